"""Users' names: masked in every report unless that is asked for; and who read which kind of org."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_oauthcontrols.reports import REPORTS
from pytest_oauthcontrols.reports.terminal import reading

from .support import sample_org
from .support.configurations import configure
from .support.credentials import CONSUMER_KEY, CONSUMER_SECRET, PASSWORD, SECURITY_TOKEN, TOKEN, cli, key, pem
from .support.metadata_files import child, connected_app, written, xml
from .support.orgs import assignment, demo_files, small_org
from .support.runs import WORKERS
from .support.salesforce import Emulator, FakeOrg, rest_error

# Each report is searched after a whole run.
pytestmark = pytest.mark.slow

RUN_AS = ("Petra.Muster@acme.example", "o'brien+bot@sub.acme-corp.example", "jürgen.weiß@müller.example")
"""Users that apps run as, by the file of the app."""
MASKED = ("P***@acme.example", "o***@sub.acme-corp.example", "j***@müller.example")
AUDITOR, REFUSED = "Audra.Itor@acme.example", "Rita.Fuse@acme.example"
"""Who reads the live org, and who stands in what it refuses."""
OWNER, WITNESS = "Olga.Wner@acme.example", "Willi.Tness@acme.example"
"""Who put their names to a waiver and an attestation."""
KEY_IN_METADATA = "3MVG9.Zx4qIdentityKey_77"
INPUTS = ("oauthcontrols.yaml", "key.pem", "sf")


def files() -> dict[str, bytes]:
    """Return apps that run as users, each in its way."""
    user = "<oauthClientCredentialUser>{}</oauthClientCredentialUser>"
    apps = {
        f"connectedApps/App_{number}.connectedApp": connected_app(
            f"<label>App {number}</label><oauthConfig><callbackUrl>https://x.example/callback</callbackUrl>"
            f"<consumerKey>{KEY_IN_METADATA}</consumerKey>"
            f"<isClientCredentialEnabled>true</isClientCredentialEnabled>{user.format(name)}</oauthConfig>"
        )
        for number, name in enumerate(RUN_AS)
    }
    flow = f"<clientCredentialsFlowUser>{RUN_AS[0]}</clientCredentialsFlowUser>"
    return {
        **apps,
        "externalClientApps/Ledger.eca": xml("ExternalClientApplication"),
        "extlClntAppGlobalOauthSets/Ledger.ecaGlblOauth": child("ExtlClntAppGlobalOauthSettings", "Ledger", ""),
        "extlClntAppOauthPolicies/Ledger.ecaOauthPlcy": child(
            "ExtlClntAppOauthConfigurablePolicies",
            "Ledger",
            f"<isClientCredentialsFlowEnabled>true</isClientCredentialsFlowEnabled>{flow}",
        ),
    }


class Ran(NamedTuple):
    """Everything that a run said: output, and each file but the snapshot."""

    said: dict[str, str]

    def where(self, name: str) -> set[str]:
        """Return where a name stands, escaped or not; without its domain it is as much of a name."""
        bare = name.partition("@")[0]
        return self.where_whole(bare)

    def where_whole(self, said: str) -> set[str]:
        """Return where a text stands."""
        return {place for place, text in self.said.items() if said in text}


def contents(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield what stands in every file below a folder, with every escape undone."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in INPUTS and "kept" not in path.parts and "org" not in path.parts:
            text = path.read_bytes().decode("utf-8", "replace")
            # HTML in JSON in HTML; letters in JSON; punctuation in Markdown.
            undone = html.unescape(html.unescape(text))
            undone = re.sub(r"\\u([0-9a-f]{4})", lambda one: chr(int(one[1], 16)), undone)
            yield path.name, text + re.sub(r"\\([*_])", r"\1", undone).replace("\u200b", "")


def assess(pytester: pytest.Pytester, org: str, *arguments: str) -> Ran:
    """Assess an org with every report and every switch that makes a run say more."""
    reports = [f"{report.option}=out/{report.name}" for report in REPORTS]
    others = ("--junitxml=out/junit.xml", "--html=out/page.html", "--self-contained-html", "-o", "junit_logging=all")
    more = ("-rA", "-vv", "--showlocals", "--tb=long", "-o", "log_cli=true", "-p", "no:cacheprovider")
    result = pytester.runpytest(f"--sf-org={org}", *reports, *others, *more, *arguments)
    assert int(result.ret) in (0, 1), result.stderr.str()
    said = dict(contents(pytester.path / "out"))
    assert said.keys() == {*(report.name for report in REPORTS), "junit.xml", "page.html"}
    return Ran({"output": f"{result.stdout.str()}\n{result.stderr.str()}", **said})


def decided(pytester: pytest.Pytester, **orgs: Any) -> None:
    """Write down a waiver and an attestation, and how to log in."""
    scope = {"expires": "2099-12-31"}
    configure(
        pytester,
        waivers=[{"control": "ca-pkce", "app": "App_0", "owner": OWNER, "reason": "It is old.", **scope}],
        attestations=[{"control": "org-customer-sso", "by": WITNESS, "statement": "All sites use SAML.", **scope}],
        **orgs,
    )


@pytest.fixture
def live(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator) -> FakeOrg:
    """Return a live org that `--sf-org=uat` logs in to, and that refuses a query with a user's name."""
    monkeypatch.setenv("UAT_KEY", CONSUMER_KEY)
    (pytester.path / "key.pem").write_text(pem(), "ascii")
    uat = {"username": AUDITOR, "consumer_key": "${UAT_KEY}", "private_key_file": "key.pem"}
    decided(pytester, orgs={"uat": uat})
    org = FakeOrg(
        username=AUDITOR,
        consumer_key=CONSUMER_KEY,
        public_key=key().public_key(),
        files=files(),
        rows={"PermissionSetAssignment": [assignment(RUN_AS[0], "ApiEnabled", "ViewAllData")]},
    )
    refused = rest_error(400, "INSUFFICIENT_ACCESS", f"{REFUSED} may not see this. Ask {REFUSED}.")
    org.fail("query:OauthToken", refused, always=True)
    return salesforce.add(org)


def of_files(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> str:
    """Prepare the assessment of files; return the org."""
    written(pytester.path / "org", files())
    decided(pytester)
    return "./org"


def of_live(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> str:
    """Prepare the assessment of a live org; return the org."""
    request.getfixturevalue("live")
    return "uat"


def of_snapshot(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> str:
    """Read a live org and keep it; return the snapshot."""
    request.getfixturevalue("live")
    pytester.runpytest("--sf-org=uat", "--sf-snapshot=kept", "-k", "ca-pkce")
    decided(pytester)
    return "kept/uat.json"


SOURCES: dict[str, Callable[[pytest.Pytester, pytest.FixtureRequest], str]] = {
    "files": of_files,
    "live": of_live,
    "snapshot": of_snapshot,
}


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("source", SOURCES)
def test_users_are_masked_in_every_report(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, source: str, workers: str
) -> None:
    """No report names a user whom an app runs as, who reads, or who stands in a refusal; owners are named."""
    org = SOURCES[source](pytester, request)
    ran = assess(pytester, org, workers)
    users = (*RUN_AS, *(() if source == "files" else (AUDITOR, REFUSED)))
    assert {name: places for name in users if (places := ran.where(name))} == {}
    for masked in MASKED:
        assert {"json", "report", "page.html"} <= ran.where_whole(masked), masked
    # What the user of this app may do is a finding where it can be asked for.
    assert ("output" in ran.where_whole(MASKED[0])) == (source != "files")
    if source != "files":
        assert {"output", "json", "report", "markdown", "page.html"} <= ran.where_whole("A***@acme.example")
        assert {"json", "report", "page.html"} <= ran.where_whole("R***@acme.example")
    everywhere = {"json", "report", "junit.xml", "page.html"}
    assert {*everywhere, "csv", "output"} <= ran.where(OWNER)
    assert everywhere <= ran.where(WITNESS)
    assert ran.where(KEY_IN_METADATA) | ran.where(CONSUMER_KEY) == set()


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("source", SOURCES)
def test_users_are_shown_where_that_is_asked_for(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, source: str, workers: str
) -> None:
    """With --sf-show-identities they are named, of snapshots too; keys and secrets are not even then."""
    org = SOURCES[source](pytester, request)
    ran = assess(pytester, org, "--sf-show-identities", workers)
    for user in RUN_AS:
        assert {"json", "report", "page.html"} <= ran.where(user)
    if source != "files":
        assert {"output", "json", "report", "markdown", "page.html"} <= ran.where(AUDITOR)
        assert {"json", "report", "page.html"} <= ran.where(REFUSED)
    assert "***@" not in "".join(ran.said.values())
    assert ran.where(KEY_IN_METADATA) | ran.where(CONSUMER_KEY) == set()


def test_masking_changes_no_verdict(pytester: pytest.Pytester, live: FakeOrg) -> None:
    """The users' permissions are held against their real names: masked or not, the verdicts are the same."""
    verdicts = []
    for arguments in ((), ("--sf-show-identities",)):
        pytester.runpytest("--sf-org=uat", "--sf-json=results.json", *arguments)
        rows = json.loads((pytester.path / "results.json").read_bytes())["results"]
        verdicts.append({row["node_id"]: row["verdict"] for row in rows})
    assert verdicts[0] == verdicts[1]
    assert verdicts[0]["pytest_oauthcontrols/suite.py::test_control[App_0-sbs-acs-008]"] == "fail"


# Orgs that are known by a username


JANE, JOHN = "jane.doe@acme.example", "john.roe@acme.example"


@pytest.fixture(params=[JANE, "jane*"])
def scope(
    request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> str:
    """Let the Salesforce CLI know an org by two usernames; return what a waiver and an attestation call the first."""
    org = str(request.param)
    monkeypatch.setenv("PATH", str(pytester.path / "bin"), prepend=os.pathsep)
    host = "https://acme.my.salesforce.com"
    cli(pytester, {"accessToken": TOKEN}, display={"instanceUrl": host, "accessToken": "x"})
    salesforce.add(FakeOrg(token=TOKEN, files=files()))
    waiver = {"control": "ca-pkce", "app": "App_0", "org": org, "owner": "Olga", "reason": "-"}
    attested = {"control": "org-customer-sso", "org": org, "by": "Willi", "statement": "-", "expires": "2099-12-31"}
    configure(pytester, waivers=[{**waiver, "expires": "2099-12-31"}], attestations=[attested])
    return org


def decided_of(pytester: pytest.Pytester) -> dict[str, tuple[str | None, str]]:
    """Return by org why the finding that is waived is accepted, and the verdict of the control that is attested."""
    rows = json.loads((pytester.path / "out" / "json").read_bytes())["results"]
    waived = {row["org"]: row["not_blocking"] for row in rows if (row["app"], row["control"]) == ("App_0", "ca-pkce")}
    return {row["org"]: (waived[row["org"]], row["verdict"]) for row in rows if row["control"] == "org-customer-sso"}


@pytest.mark.parametrize("workers", WORKERS)
def test_an_org_that_is_called_by_a_username(pytester: pytest.Pytester, scope: str, workers: str) -> None:
    """The username is masked everywhere, in ids and names of files too; decisions go by the name that was given.

    What the configuration says of its own decisions stands where they are listed, as their owners do.
    """
    ran = assess(pytester, JANE, f"--sf-org={JOHN}", "--sf-snapshot=kept", workers)
    assert ran.where(JOHN) == set()
    assert ran.where(JANE) == ({"json", "report"} if scope == JANE else set())
    assert "jane.doe" not in str([*(pytester.path / "kept").iterdir()])
    assert len([*(pytester.path / "kept").iterdir()]) == 2
    assert ran.where_whole("j***@acme.example (1)") >= {"json", "report", "sarif", "csv", "output"}
    assert decided_of(pytester) == {
        "j***@acme.example (1)": ("waived", "pass"),
        "j***@acme.example (2)": (None, "manual"),
    }


@pytest.mark.usefixtures("scope")
def test_an_org_that_is_called_by_a_username_is_shown_where_that_is_asked_for(pytester: pytest.Pytester) -> None:
    """With --sf-show-identities orgs go by the names that were given; in a snapshot they do in any case."""
    ran = assess(pytester, JANE, f"--sf-org={JOHN}", "--sf-show-identities", "--sf-snapshot=kept")
    assert {"json", "report", "sarif", "csv", "markdown", "output", "junit.xml"} <= ran.where_whole(JANE)
    decided = {JANE: ("waived", "pass"), JOHN: (None, "manual")}
    assert decided_of(pytester) == decided
    for path in (pytester.path / "kept").iterdir():
        assess(pytester, f"./kept/{path.name}")
        assert decided_of(pytester) == {"j***@acme.example": decided[json.loads(path.read_bytes())["org"]["name"]]}


@pytest.mark.parametrize("scope", ["jane*"], indirect=True)
@pytest.mark.usefixtures("scope")
def test_a_username_that_nobody_can_log_in_by(pytester: pytest.Pytester) -> None:
    """If an org cannot be read, or none can, the error masks the username too."""
    cli(pytester, {"name": "NamedOrgNotFoundError", "message": f"No authorization for {JANE}"}, status=1)
    result = pytester.runpytest(f"--sf-org={JANE}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = f"{result.stdout.str()}{result.stderr.str()}"
    assert "j***@acme.example" in said
    assert "jane.doe" not in said
    ran = assess(pytester, "demo", f"--sf-org={JANE}")
    assert ran.where("jane.doe") == set()


# Who read which kind of org


WAYS: dict[str, tuple[dict[str, str], str | None]] = {
    "JWT": ({"username": AUDITOR, "consumer_key": "${KEY}", "private_key": "${PRIVATE}"}, AUDITOR),
    "password": ({"username": AUDITOR, "password": "${PASSWORD}", "security_token": "${SECURITY}"}, AUDITOR),
    "client credentials": (
        {"consumer_key": "${KEY}", "consumer_secret": "${SECRET}", "my_domain": "acme.my.salesforce.com"},
        "0055g00000AbcdEAAR",
    ),
    "CLI": ({"cli": "acme"}, AUDITOR),
    "access token": ({"access_token": "${TOKEN}", "instance_url": "https://acme.my.salesforce.com"}, None),
}
"""Way to log in, and the user of whom that tells."""


@pytest.mark.parametrize("way", WAYS)
def test_the_user_who_reads_is_noted(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, way: str
) -> None:
    """However it logs in, a run says who read as far as the login tells, and what kind of org it was."""
    said, user = WAYS[way]
    planted = {"KEY": CONSUMER_KEY, "SECRET": CONSUMER_SECRET, "PRIVATE": pem(), "TOKEN": TOKEN}
    for name, value in {**planted, "PASSWORD": PASSWORD, "SECURITY": SECURITY_TOKEN}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", str(pytester.path / "bin"), prepend=os.pathsep)
    host = "https://acme.my.salesforce.com"
    cli(pytester, {"accessToken": TOKEN}, display={"instanceUrl": host, "accessToken": "x", "username": AUDITOR})
    salesforce.add(
        FakeOrg(
            token=TOKEN,
            username=AUDITOR,
            password=PASSWORD,
            security_token=SECURITY_TOKEN,
            consumer_key=CONSUMER_KEY,
            consumer_secret=CONSUMER_SECRET,
            public_key=key().public_key(),
            files=demo_files(),
        )
    )
    configure(pytester, orgs={"uat": said})
    shown = ("--sf-org=uat", "--sf-json=results.json", "-k", "org-oauth-oidc", "--sf-show-identities")
    result = pytester.runpytest(*shown)
    (org,) = json.loads((pytester.path / "results.json").read_bytes())["orgs"]
    assert (org["user"], org["environment"]) == (user, "production")
    by = "" if user is None else f" by {user}"
    read = rf"org uat: {sample_org.APPS} apps .*, read 2\d{{3}}-.* UTC{re.escape(by)}"
    pattern = rf"{read} from org {host} \(production, API 68.0, sha256 "
    assert [line for line in result.outlines if re.match(pattern, line)]


@pytest.mark.parametrize(
    ("location", "environment"),
    [
        ("https://acme.my.salesforce.com", "production"),
        ("https://acme.my.salesforce.com:8443", "production"),
        ("https://acme--uat.sandbox.my.salesforce.com", "sandbox"),
        ("https://acme-dev-ed.develop.my.salesforce.com", "developer edition"),
        ("https://acme.scratch.my.salesforce.com", "scratch org"),
        ("https://acme.trailblaze.my.salesforce.com", "playground"),
        ("https://acme--uat.my.salesforce.com", "sandbox"),
        ("https://acme-dev-ed.my.salesforce.com", "developer edition"),
        ("https://acme.unheard.my.salesforce.com", None),
        ("https://acme.my.salesforce.com.evil.example", None),
        ("https://evil.example/acme.my.salesforce.com", None),
        ("https://acme.my.salesforce.com@evil.example", None),
        ("http://acme.my.salesforce.com", None),
        ("https://my.salesforce.com", None),
        ("https://a.b.sandbox.my.salesforce.com", None),
        ("https://eu45.salesforce.com", None),
        ("https://acme.my.salesforce.com\n", None),
        ("force-app", None),
    ],
)
def test_the_host_tells_what_kind_of_org_it_is(location: str, environment: str | None) -> None:
    """Only the host of My Domain tells production from a sandbox; of any other address nothing is claimed."""
    assert replace(small_org(), location=location).environment == environment


def test_header_names_reader_and_environment() -> None:
    """What was read says by whom and of which kind, where both are known, and neither where they are not."""
    org = replace(small_org(), name="uat", source="org", location="https://acme--uat.sandbox.my.salesforce.com")
    assert " UTC from org https://acme--uat.sandbox.my.salesforce.com (sandbox, " in reading(org)
    said = reading(replace(org, user="a***@acme.example"))
    assert " UTC by a***@acme.example from org https://acme--uat.sandbox.my.salesforce.com (sandbox, " in said
    assert reading(replace(org, location="force-app", source="directory")).count("(") == 2
