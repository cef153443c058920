"""The emulator of Salesforce, seen by requests and the standard library: it is what the tests of live orgs rest on."""

from __future__ import annotations

import io
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from lxml import etree

from .support import sample_org
from .support.salesforce import (
    JWT_BEARER,
    METADATA,
    PARTNER,
    Answer,
    Asked,
    Emulator,
    FakeOrg,
    Listed,
    component_id,
    cut,
    emulator,
    fault,
    hang,
    mdapi_files,
    oauth_error,
    page,
    raw,
    redirect,
    reset,
    rest_error,
)

ACME = "https://acme.my.salesforce.com"
DEMO = Path(str(files("pytest_oauthcontrols") / "demo"))
WEB_APP = "connectedApps/Web.connectedApp"
REDACTED = "[REDACTED] Use 'sf org auth show-access-token' to view"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhY21lIn0.c2lnbmF0dXJl"


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Return an emulator that this process uses."""
    with emulator() as running:
        running.set_environment(monkeypatch)
        yield running


@pytest.fixture
def org(emulated: Emulator) -> FakeOrg:
    """Return the only org."""
    return emulated.add(FakeOrg())


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    """Return the key that signs assertions."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def call(action: str, body: str, token: str, version: str = "68.0", host: str = ACME) -> requests.Response:
    """Send a call of the Metadata API."""
    envelope = (
        f'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="{METADATA}">'
        f"<soapenv:Header><SessionHeader><sessionId>{escape(token)}</sessionId></SessionHeader></soapenv:Header>"
        f"<soapenv:Body><{action}>{body}</{action}></soapenv:Body></soapenv:Envelope>"
    )
    headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": action}
    return requests.post(f"{host}/services/Soap/m/{version}", envelope, headers=headers, timeout=10)


def said(response: requests.Response, name: str) -> list[str | None]:
    """Return the texts of all elements of a name."""
    return [element.text for element in etree.fromstring(response.content).iter(f"{{{METADATA}}}{name}", name)]


def retrieve(org: FakeOrg, version: str = "68.0", single: str = "true", **types: str) -> str | None:
    """Start a retrieve of types and their members, separated by spaces; return its id."""
    package = "".join(
        f"<types>{''.join(f'<members>{member}</members>' for member in members.split())}<name>{name}</name></types>"
        for name, members in types.items()
    )
    answer = call(
        "retrieve",
        f"<retrieveRequest><apiVersion>60.0</apiVersion><singlePackage>{single}</singlePackage>"
        f"<unpackaged>{package}<version>{version}</version></unpackaged></retrieveRequest>",
        org.token,
    )
    assert said(answer, "state") == ["Queued"]
    return said(answer, "id")[0]


def look(org: FakeOrg, process: str | None, more: str = "") -> requests.Response:
    """Look at how far a retrieve is."""
    return call("checkRetrieveStatus", f"<asyncProcessId>{process}</asyncProcessId>{more}", org.token)


def members(response: requests.Response) -> dict[str, bytes]:
    """Return the files in the archive that a retrieve delivered."""
    with zipfile.ZipFile(io.BytesIO(b64decode(said(response, "zipFile")[0] or ""))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def query(org: FakeOrg, soql: str, version: str = "68.0") -> requests.Response:
    """Send a query."""
    return requests.get(
        f"{ACME}/services/data/v{version}/query/",
        params={"q": soql},
        headers={"Authorization": f"Bearer {org.token}"},
        timeout=10,
    )


def log_in_by_password(org: FakeOrg, password: str, version: str = "64.0", login: str = "login") -> requests.Response:
    """Log in through the SOAP API."""
    envelope = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        '<n:login xmlns:n="urn:partner.soap.sforce.com">'
        f"<n:username>{org.username}</n:username><n:password>{password}</n:password></n:login></e:Body></e:Envelope>"
    )
    return requests.post(f"https://{login}.salesforce.com/services/Soap/u/{version}", envelope, timeout=10)


def log_in_by_assertion(org: FakeOrg, key: RSAPrivateKey, **claims: str) -> requests.Response:
    """Log in with a JWT."""
    expiry = datetime.now(timezone.utc) + timedelta(minutes=3)
    claims = {"iss": org.consumer_key, "sub": org.username, "aud": "https://login.salesforce.com"} | claims
    assertion = jwt.encode({**claims, "exp": expiry}, key, algorithm="RS256")
    form = {"grant_type": JWT_BEARER, "assertion": assertion}
    return requests.post("https://login.salesforce.com/services/oauth2/token", form, timeout=10)


def log_in_as_client(org: FakeOrg, secret: str, host: str = ACME) -> requests.Response:
    """Log in with client credentials."""
    form = {"grant_type": "client_credentials"}
    return requests.post(f"{host}/services/oauth2/token", form, auth=(org.consumer_key, secret), timeout=10)


def test_real_host_names_with_their_certificate(
    emulated: Emulator, org: FakeOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Programs reach it by Salesforce's names, and check its certificate against its authority alone."""
    assert requests.get(f"{ACME}/services/data", timeout=10).json()[-1]["version"] == "68.0"
    program = "import requests, sys; print(len(requests.get(sys.argv[1], timeout=10).json()))"
    done = subprocess.run(
        [sys.executable, "-c", program, f"{ACME}/services/data/"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("9\n", "")
    context = ssl.create_default_context(cafile=emulated.ca_file)
    with urllib.request.urlopen(f"{ACME}/services/data", context=context) as answer:  # noqa: S310  (a constant)
        assert answer.status == 200
    assert org.requests == [
        Asked("GET", "acme.my.salesforce.com", path, "versions")
        for path in ("/services/data", "/services/data/", "/services/data")
    ]
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(f"{ACME}/services/data")  # noqa: S310  (a constant)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        requests.get(f"{ACME}/services/data", timeout=10)
    assert emulated.proxy.hosts == ["acme.my.salesforce.com"] * 5
    assert emulated.unexpected == []


def test_no_other_host_is_reached(emulated: Emulator) -> None:
    """Other hosts and ports are refused, and written down."""
    for url in ("https://salesforce.com.evil.example/x", "https://acme.my.salesforce.com:8443/x"):
        with pytest.raises(requests.exceptions.ProxyError, match="502"):
            requests.get(url, timeout=10)
    assert requests.get("http://plain.example/x", timeout=10).status_code == 502
    assert requests.get("https://other.my.salesforce.com/x", timeout=10).status_code == 404
    assert emulated.proxy.hosts == [
        "salesforce.com.evil.example",
        "acme.my.salesforce.com:8443",
        "http://plain.example/x",
        "other.my.salesforce.com",
    ]
    assert emulated.unexpected == [Asked("GET", "other.my.salesforce.com", "/x", "stray")]


def test_retrieve_delivers_what_the_package_names(org: FakeOrg) -> None:
    """A retrieve ends after its polls, delivers what it was asked for once, and says what it cannot deliver."""
    org.files = mdapi_files(DEMO)
    org.polls = 2
    org.denied_types = {"UserAuthCertificate"}
    org.unknown_types = {"OauthCustomScope"}
    process = retrieve(
        org,
        version="66.0",
        ConnectedApp="*",
        ExternalClientApplication="docvault__Document_Vault Nobody",
        Settings="OauthOidc",
        ExtlClntAppOauthSecuritySettings="*",
        UserAuthCertificate="*",
        OauthCustomScope="*",
    )
    for status in ("Pending", "InProgress"):
        pending = look(org, process)
        assert said(pending, "status") + said(pending, "done") + said(pending, "zipFile") == [status, "false", None]
    withheld = look(org, process, "<includeZip>false</includeZip>")
    assert (said(withheld, "status"), said(withheld, "zipFile")) == (["Succeeded"], [None])
    delivered = look(org, process)
    apps = {name for name in org.files if name.startswith("connectedApps/")}
    assert len(apps) == sample_org.CONNECTED
    some = {"externalClientApps/docvault__Document_Vault.eca", "settings/OauthOidc.settings", "package.xml"}
    content = members(delivered)
    assert set(content) == apps | some
    assert all(content[name] == org.files[name] for name in apps)
    assert set(said(delivered, "fileName")) == {f"unpackaged/{name}" for name in content}
    assert said(delivered, "namespacePrefix") == ["docvault"]
    assert component_id("ConnectedApp", "Nightly_ETL") in said(delivered, "id")
    assert said(delivered, "problem") == [
        "Entity of type 'ExternalClientApplication' named 'Nobody' cannot be found",
        "Entity type 'ExtlClntAppOauthSecuritySettings' is not available in this api version",
        "You do not have the proper permissions to access UserAuthCertificate.",
        "Entity type: 'OauthCustomScope' is unknown",
    ]
    again = look(org, process)
    assert (again.status_code, said(again, "faultcode")) == (500, ["sf:INVALID_ID_FIELD"])


def test_retrieve_of_no_single_package_and_its_failure(org: FakeOrg) -> None:
    """Other members and messages are added, an archive can be anything, and a retrieve can fail."""
    org.files = {WEB_APP: b"<ConnectedApp/>", "../outside.txt": b"?"}
    org.messages = [(WEB_APP, "Load of metadata from db failed")]
    delivered = look(org, retrieve(org, single="false", ConnectedApp="*"))
    assert set(members(delivered)) == {f"unpackaged/{name}" for name in (*org.files, "package.xml")}
    assert said(delivered, "problem") == ["Load of metadata from db failed"]
    org.archive = b"no zip"
    assert b64decode(said(look(org, retrieve(org, ConnectedApp="*")), "zipFile")[0] or "") == b"no zip"
    org.failure = ("UNKNOWN_EXCEPTION", "INVALID_CROSS_REFERENCE_KEY: No package named 'Abacus' found")
    failed = look(org, retrieve(org, ConnectedApp="*"))
    assert said(failed, "status") + said(failed, "success") == ["Failed", "false"]
    assert said(failed, "errorStatusCode") + said(failed, "errorMessage") == list(org.failure)


def test_list_metadata_tells_what_exists(org: FakeOrg) -> None:
    """What no retrieve delivers is listed too, of three types at most."""
    org.files = {WEB_APP: b""}
    org.listed = [Listed("ConnectedApp", "Vendor", "vnd", "installed", "0H4000000000001AAA")]
    org.denied_types = {"ExternalClientApplication"}
    org.unknown_types = {"OauthCustomScope"}

    def listed(version: str, *types: str) -> requests.Response:
        queries = "".join(f"<queries><type>{name}</type></queries>" for name in types)
        return call("listMetadata", f"{queries}<asOfVersion>{version}</asOfVersion>", org.token)

    found = listed("68.0", "ConnectedApp", "ExternalClientApplication")
    assert said(found, "fullName") == ["Web", "Vendor"]
    assert said(found, "id") == [component_id("ConnectedApp", "Web"), "0H4000000000001AAA"]
    assert said(found, "fileName") == [WEB_APP, "connectedApps/Vendor.connectedApp"]
    assert said(found, "manageableState") == ["unmanaged", "installed"]
    assert said(listed("68.0", "ExternalClientApplication"), "result") == []
    for version, types, code in (
        ("68.0", ["ConnectedApp"] * 4, "sf:EXCEEDED_MAX_TYPES_LIMIT"),
        ("68.0", ["OauthCustomScope"], "sf:INVALID_TYPE"),
        ("58.0", ["ExternalClientApplication"], "sf:INVALID_TYPE"),
    ):
        refused = listed(version, *types)
        assert (refused.status_code, said(refused, "faultcode")) == (500, [code])
    described = call("describeMetadata", "<asOfVersion>66.0</asOfVersion>", org.token)
    assert {"ConnectedApp", "ExtlClntAppCanvasSettings"} <= set(said(described, "xmlName"))
    assert not {"OauthCustomScope", "ExtlClntAppAttestSettings"} & set(said(described, "xmlName"))


def test_queries_come_in_pages(org: FakeOrg) -> None:
    """A query returns the records that there are, 2,000 at a time."""
    org.rows["AppMenuItem"] = [{"Id": f"0DS{number:012}", "Name": f"App {number}"} for number in range(4001)]
    org.rows["OauthToken"] = [{"AppName": "Web", "users": 3}]
    org.denied_types = {"ConnectedApplication"}
    url: str | None = f"{ACME}/services/data/v68.0/query?q=SELECT+Id,+Name+FROM+AppMenuItem"
    sizes: list[tuple[int, bool]] = []
    names: list[str] = []
    while url is not None:
        answer: dict[str, Any] = requests.get(url, headers={"Authorization": f"Bearer {org.token}"}, timeout=10).json()
        sizes.append((answer["totalSize"], answer["done"]))
        names += [record["Name"] for record in answer["records"]]
        url = ACME + answer["nextRecordsUrl"] if "nextRecordsUrl" in answer else None
    assert sizes == [(4001, False), (4001, False), (4001, True)]
    assert names == [row["Name"] for row in org.rows["AppMenuItem"]]
    assert org.requests[-1].path.startswith("/services/data/v68.0/query/01g")
    assert org.requests[-1].path.endswith("-4000")
    aggregate = query(org, "SELECT AppName, COUNT_DISTINCT(UserId) users FROM OauthToken GROUP BY AppName").json()
    assert aggregate["records"] == [{"attributes": {"type": "AggregateResult"}, "AppName": "Web", "users": 3}]
    assert query(org, "SELECT Id FROM PermissionSet").json() == {"totalSize": 0, "done": True, "records": []}
    refused = query(org, "SELECT Id FROM ConnectedApplication")
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_TYPE")
    assert {asked.action for asked in org.requests} == {
        "query:AppMenuItem",
        "query:OauthToken",
        "query:PermissionSet",
        "query:ConnectedApplication",
    }


@pytest.mark.parametrize("columns", ["Id, AccessToken", "FIELDS(ALL)", "Id, (SELECT deletetoken FROM Tokens)"])
def test_secrets_are_not_queried(columns: str, emulated: Emulator, org: FakeOrg) -> None:
    """A query that would show a secret is refused and kept."""
    soql = f"SELECT {columns} FROM OauthToken"  # noqa: S608  (there is no database)
    assert query(org, soql).status_code == 400
    assert [asked.action for asked in emulated.unexpected] == [f"forbidden query: {soql}"]


def test_whatever_is_no_reading_is_refused_and_kept(emulated: Emulator, org: FakeOrg) -> None:
    """Whatever writes, runs or shows a secret is refused and kept."""
    assert call("deploy", "<ZipFile>UEsDB</ZipFile>", org.token).status_code == 400
    assert requests.post(f"{ACME}/services/Soap/m/68.0", "not XML", timeout=10).status_code == 400
    assert requests.patch(f"{ACME}/services/data/v68.0/sobjects/User/005", "{}", timeout=10).status_code == 400
    assert requests.get(f"{ACME}/services/data/v68.0/apps/oauth/credentials/x?a=b%20c", timeout=10).status_code == 400
    assert call("listMetadata", "", org.token, host="https://login.salesforce.com").status_code == 400
    expected = ["deploy", "no SOAP", "PATCH /services/data/v68.0/sobjects/User/005"]
    assert [asked.action for asked in org.unexpected[:3]] == expected
    assert org.unexpected[4][1:] == ("login.salesforce.com", "/services/Soap/m/68.0", "listMetadata")
    assert emulated.unexpected == org.unexpected == org.requests
    assert "UEsDB" in org.sent[0]
    assert org.sent[3] == f"GET {ACME}/services/data/v68.0/apps/oauth/credentials/x?a=b c\n"


def test_logins(org: FakeOrg, key: RSAPrivateKey) -> None:
    """Each flow gives the token to who is entitled to it, at the host for it, and to nobody else."""
    org.public_key = key.public_key()
    password = org.password + org.security_token
    logged_in = log_in_by_password(org, password)
    partner = {"p": PARTNER}
    root = etree.fromstring(logged_in.content)
    assert root.findtext(".//p:sessionId", namespaces=partner) == org.token
    assert root.findtext(".//p:serverUrl", namespaces=partner) == f"{ACME}/services/Soap/u/64.0/{org.org_id}"
    for answer in (log_in_by_assertion(org, key), log_in_as_client(org, org.consumer_secret)):
        token = answer.json()
        assert (answer.status_code, token["access_token"], token["instance_url"]) == (200, org.token, ACME)
        assert (token["token_type"], org.org_id in token["id"]) == ("Bearer", True)

    for refused, code in (
        (log_in_by_password(org, org.password), "INVALID_LOGIN"),
        (log_in_by_password(org, password, login="test"), "INVALID_LOGIN"),
        (log_in_by_password(org, password, version="65.0"), "INVALID_OPERATION"),
    ):
        assert refused.status_code == 500
        assert f"<sf:exceptionCode>{code}</sf:exceptionCode>" in refused.text
        assert said(refused, "faultcode") == [f"sf:{code}"]
    other = generate_private_key(public_exponent=65537, key_size=2048)
    for refused, error in (
        (log_in_by_assertion(org, other), "invalid_grant"),
        (log_in_by_assertion(org, key, iss="somebody"), "invalid_grant"),
        (log_in_by_assertion(org, key, sub="somebody"), "invalid_grant"),
        (log_in_by_assertion(org, key, aud=ACME), "invalid_grant"),
        (log_in_as_client(org, "wrong"), "invalid_client"),
        (log_in_as_client(org, org.consumer_secret, "https://login.salesforce.com"), "invalid_grant"),
    ):
        assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert org.unexpected == []
    assert {asked.action for asked in org.requests} == {"login", "token"}


def test_sessions_end(org: FakeOrg) -> None:
    """A token that has expired is refused, and a login gives another."""
    before = org.token
    assert query(org, "SELECT Id FROM User").status_code == 200
    org.expire()
    ended = query(org, "SELECT Id FROM User")
    assert (ended.status_code, ended.json()) == (
        401,
        [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}],
    )
    assert said(call("listMetadata", "", before), "faultcode") == ["sf:INVALID_SESSION_ID"]
    assert log_in_as_client(org, org.consumer_secret).json()["access_token"] == org.token != before
    assert query(org, "SELECT Id FROM User").status_code == 200
    assert call("listMetadata", "", before).status_code == 500
    assert call("listMetadata", "", org.token).status_code == 200
    org.token = REDACTED
    assert query(org, "SELECT Id FROM User").json()[0]["errorCode"] == "INVALID_AUTH_HEADER"


def test_versions_and_tokens_that_are_jwts(org: FakeOrg) -> None:
    """API versions that the org lacks are refused; the Metadata API takes JWTs from 68.0 on."""
    org.versions = ["67.0", "68.0"]
    org.token = JWT
    assert [call("listMetadata", "", JWT, version).status_code for version in org.versions] == [500, 200]
    assert query(org, "SELECT Id FROM User", "67.0").status_code == 200
    assert said(call("listMetadata", "", JWT, "66.0"), "faultcode") == ["sf:UNSUPPORTED_API_VERSION"]
    unknown = query(org, "SELECT Id FROM User", "66.0")
    assert (unknown.status_code, unknown.json()[0]["errorCode"]) == (404, "NOT_FOUND")


def test_several_orgs(emulated: Emulator, key: RSAPrivateKey) -> None:
    """Each org answers at its own host, and to its own token."""
    acme = emulated.add(FakeOrg(public_key=key.public_key()))
    domain = "acme--uat.sandbox.my.salesforce.com"
    uat = emulated.add(FakeOrg(domain, username="auditor@acme.example.uat", token="00DUAT!x"))  # noqa: S106  (invented)
    password = uat.password + uat.security_token
    assert "00DUAT!x" in log_in_by_password(uat, password, login="test").text
    assert "00DUAT!x" in log_in_by_password(uat, password, login=domain.removesuffix(".salesforce.com")).text
    assert log_in_by_password(uat, password, login="login").status_code == 500
    assert log_in_by_assertion(acme, key).json()["instance_url"] == ACME
    assert call("listMetadata", "", uat.token, host=f"https://{domain}").status_code == 200
    assert call("listMetadata", "", uat.token).status_code == 500
    assert [len(acme.requests), len(uat.requests)] == [2, 4]
    with pytest.raises(ValueError, match=f"there is an org at {domain} already"):
        emulated.add(FakeOrg(domain))


def versions() -> requests.Response:
    """Ask for the API versions."""
    return requests.get(f"{ACME}/services/data", timeout=10, allow_redirects=False)


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        (page(), 503, "We are down for maintenance."),
        (raw(200, "text/xml", "<a><b>"), 200, "<a><b>"),
        (rest_error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."), 403, "REQUEST_LIMIT_EXCEEDED"),
        (oauth_error("inactive_user", "user is inactive"), 400, "inactive_user"),
        (redirect("https://elsewhere.example/"), 302, ""),
        (fault("SERVER_UNAVAILABLE", "at <peace>"), 500, "SERVER_UNAVAILABLE: at &lt;peace&gt;"),
    ],
)
def test_other_answers(answer: Answer, status: int, text: str, org: FakeOrg) -> None:
    """A failure is answered once."""
    org.fail("versions", answer)
    answered = versions()
    assert (answered.status_code, answered.is_redirect) == (status, status == 302)
    assert text in answered.text
    assert versions().status_code == 200


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        # Some versions of Python take a reset below TLS for an end.
        (reset(), requests.exceptions.ConnectionError, "ConnectionResetError|RemoteDisconnected"),
        (reset(midway=True), requests.exceptions.ChunkedEncodingError, "ConnectionResetError|IncompleteRead"),
        (cut(), requests.exceptions.ChunkedEncodingError, "IncompleteRead"),
    ],
)
def test_broken_connections_make_no_noise(
    answer: Answer, error: type[Exception], text: str, org: FakeOrg, capfd: pytest.CaptureFixture[str]
) -> None:
    """A connection can break in each way, and nothing but the client notices."""
    org.fail("versions", answer)
    with pytest.raises(error, match=text):
        versions()
    assert versions().status_code == 200
    assert capfd.readouterr() == ("", "")


def test_an_archive_that_is_cut_short_was_delivered(org: FakeOrg) -> None:
    """An archive is deleted once it was sent, whether or not it arrived."""
    process = retrieve(org, ConnectedApp="*")
    org.fail("checkRetrieveStatus", cut())
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        look(org, process)
    assert look(org, process).status_code == 500


def test_failures_come_in_order_and_may_stay(org: FakeOrg) -> None:
    """Failures wait for the requests that they are for; the last of them may stay."""
    org.fail("query:User", page(502), page(503), always=True)
    org.fail("query", page(504))
    names = ("User", "Profile", "User", "User", "Group")
    statuses = [query(org, f"SELECT Id FROM {name}").status_code for name in names]  # noqa: S608  (there is no database)
    assert statuses == [502, 504, 503, 503, 200]
    with pytest.raises(ValueError, match="'querry' is no action"):
        org.fail("querry", page())


def test_a_late_answer_comes_and_ends_with_the_emulator(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A late answer comes in the end; nobody waits for it once the emulator ends."""
    with emulator() as running:
        running.set_environment(monkeypatch)
        org = running.add(FakeOrg())
        org.fail("versions", hang(0.2), hang(600))
        started = time.monotonic()
        assert versions().status_code == 200
        assert time.monotonic() - started > 0.2
        with pytest.raises(requests.exceptions.ReadTimeout):
            requests.get(f"{ACME}/services/data", timeout=(5, 0.2))
    assert time.monotonic() - started < 5
    assert capfd.readouterr() == ("", "")
