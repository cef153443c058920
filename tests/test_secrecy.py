"""Secrets reach nothing: no output, no report, no snapshot, no worker, no exception, and no host but the org's own."""

from __future__ import annotations

import html
import json
import os
import pickle
import re
import traceback
import warnings
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, unquote_plus

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from werkzeug import Response

from pytest_oauthcontrols import sources
from pytest_oauthcontrols.config import credentials
from pytest_oauthcontrols.config.configuration import load
from pytest_oauthcontrols.config.description import WAYS_TO_LOG_IN
from pytest_oauthcontrols.orgs import snapshot
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.pytest_hooks.progress import Progress
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.rules.catalogue import load as load_catalogue
from pytest_oauthcontrols.sources.live import transport
from pytest_oauthcontrols.sources.live.errors import Refusal
from pytest_oauthcontrols.sources.live.login import Session
from pytest_oauthcontrols.sources.live.salesforce_cli import Failure, Target
from pytest_oauthcontrols.sources.live.transport import Transport
from pytest_oauthcontrols.sources.parallel import Patience, read_together

from .support.credentials import (
    CONSUMER_KEY,
    CONSUMER_SECRET,
    HOST,
    PASSWORD,
    SECURITY_TOKEN,
    TOKEN,
    cli,
    fields,
    key,
    pem,
)
from .support.metadata_files import child, connected_app, xml
from .support.salesforce import (
    ACTIONS,
    SECRET_COLUMNS,
    Answer,
    Call,
    Emulator,
    FakeOrg,
    cut,
    oauth_error,
    raw,
    redirect,
    reset,
    rest_error,
)

# Each way to log in is searched after a whole run.
pytestmark = pytest.mark.slow

STRANGE_TOKEN = "Ux2vSessionOfNoKnownForm9Lb4"  # noqa: S105  (invented)
IN_METADATA = ("Mk3dPlantedMetadataKey", "Ms6bPlantedMetadataSecret")

EVERYTHING = (
    *("-v", "-rA", "--showlocals", "--tb=long", "--full-trace", "--debug=debug.txt", "-W", "always"),
    *("--log-level=DEBUG", "-o", "log_cli=true", "--log-file=log.txt", "--junitxml=junit.xml", "-o"),
    *("junit_logging=all", "--html=report.html", "--self-contained-html", "--sf-json=results.json"),
    *("--sf-snapshot=kept", "-k", "ca-pkce or readable or sbs-oauth-001"),
)
"""Whatever can make a run say more."""


# What is looked for


def windows(text: str) -> Iterator[str]:
    """Yield pieces of a secret: whoever shows more than a half of it shows one of them."""
    yield from (text[start : start + 10] for start in range(0, max(1, len(text) - 9), 5))


def needles(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret, or a part of it, could stand somewhere."""
    # The id of its org, with which an access token begins, is public.
    bare = secret.partition("!")[2] or secret
    for one in {bare, html.escape(bare), quote(bare), quote_plus(bare), json.dumps(bare)[1:-1]}:
        yield from windows(one)
    for shift in range(3):
        # Base64 of something that the secret is only a part of.
        whole = b64encode(bytes(shift) + bare.encode())[4 if shift else 0 : -4]
        yield from windows(whole.decode())
        yield from windows(whole.translate(bytes.maketrans(b"+/", b"-_")).decode())


@cache
def forms() -> dict[str, str]:
    """Return each form to what it is a form of."""
    found: dict[str, str] = {}
    planted = {
        "access token": TOKEN,
        "strange access token": STRANGE_TOKEN,
        "password": PASSWORD,
        "security token": SECURITY_TOKEN,
        "consumer key": CONSUMER_KEY,
        "consumer secret": CONSUMER_SECRET,
        "consumer key in metadata": IN_METADATA[0],
        "consumer secret in metadata": IN_METADATA[1],
    }
    for name, secret in planted.items():
        found |= dict.fromkeys(needles(secret), name)
    return found | {line[:16]: "private key" for line in pem().splitlines() if not line.startswith("-")}


ASSERTION = re.compile(r"eyJ[\w-]{16,}\.eyJ|eyJhbGciOiJSUzI1NiI")
"""The start of a JWT, which the assertion is."""


def leaks(text: str) -> set[str]:
    """Return the names of the secrets that stand in a text, as they are or in disguise."""
    said = {text, html.unescape(text)}
    found = {name for form, name in forms().items() for one in said if form in one}
    return found | ({"assertion"} if any(ASSERTION.search(one) for one in said) else set())


def contents(folder: Path, but: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield name and content of every file below a folder, but for those that held the secrets to begin with."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in but:
            yield str(path.relative_to(folder)), path.read_bytes().decode("utf-8", "replace")


INPUTS = ("oauthcontrols.yaml", "key.pem", "sf", "netrc")


class Ran(NamedTuple):
    """A run that was searched."""

    code: int
    output: str


def searched(
    pytester: pytest.Pytester,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    *arguments: str,
    org: str = "uat",
) -> Ran:
    """Assess an org with every switch that makes a run say more, and check that no secret is in whatever it says."""
    caplog.set_level("DEBUG")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        result = pytester.runpytest_inprocess(f"--sf-org={org}", *EVERYTHING, *arguments, no_reraise_ctrlc=True)
    out, err = capfd.readouterr()
    output = f"{result.stdout.str()}\n{result.stderr.str()}"
    said = {"output": output, "file descriptors": out + err, "log": caplog.text}
    said["warnings"] = "\n".join(str(one.message) for one in warned)
    said |= dict(contents(pytester.path, INPUTS))
    assert {name: found for name, text in said.items() if (found := leaks(text))} == {}
    return Ran(int(result.ret), output)


# Ways to log in


class Way(NamedTuple):
    """A way to log in."""

    yaml: str
    """What the configuration says of the org; empty where it says nothing."""
    environment: Mapping[str, str]
    action: str
    """The action that logs in; empty where nothing is sent for it."""
    hosts: set[str]
    org: str = "uat"
    """What `--sf-org` is given."""


LOGIN = "login.salesforce.com"
WAYS = {
    "env": Way("", {"SF_ACCESS_TOKEN": TOKEN, "SF_ORG_INSTANCE_URL": f"https://{HOST}"}, "", {HOST}, "env"),
    "access_token": Way(
        f"{{access_token: '${{UAT_TOKEN}}', instance_url: https://{HOST}}}", {"UAT_TOKEN": TOKEN}, "", {HOST}
    ),
    "cli": Way("{cli: acme}", {}, "", {HOST}),
    "cli-by-name": Way("", {}, "", {HOST}, "acme"),
    "password": Way(
        "{username: auditor@acme.example, password: '${UAT_PASSWORD}', security_token: '${UAT_SECURITY}'}",
        {"UAT_PASSWORD": PASSWORD, "UAT_SECURITY": SECURITY_TOKEN},
        "login",
        {LOGIN, HOST},
    ),
    "consumer_secret": Way(
        f"{{consumer_key: '${{UAT_KEY}}', consumer_secret: '${{UAT_SECRET}}', my_domain: {HOST}}}",
        {"UAT_KEY": CONSUMER_KEY, "UAT_SECRET": CONSUMER_SECRET},
        "token",
        {HOST},
    ),
    "private_key": Way(
        "{username: auditor@acme.example, consumer_key: '${UAT_KEY}', private_key: '${UAT_PRIVATE}'}",
        {"UAT_KEY": CONSUMER_KEY, "UAT_PRIVATE": pem().replace("\n", "\\n")},
        "token",
        {LOGIN, HOST},
    ),
    "private_key_file": Way(
        f"{{username: auditor@acme.example, consumer_key: '${{UAT_KEY}}', private_key_file: key.pem, login: {HOST}}}",
        {"UAT_KEY": CONSUMER_KEY},
        "token",
        {HOST},
    ),
}
EXCHANGING = [name for name, way in WAYS.items() if way.action]


def files() -> dict[str, bytes]:
    """Return metadata that holds keys and secrets, as exports of some tools do."""
    consumer, secret = IN_METADATA
    planted = f"<consumerKey>{consumer}</consumerKey>\n<consumerSecret>{secret}</consumerSecret>"
    user = "<oauthClientCredentialUser>bot@acme.example</oauthClientCredentialUser>"
    return {
        "connectedApps/Stock.connectedApp": connected_app(
            f"<label>Stock</label><oauthConfig>{planted}{user}</oauthConfig>"
        ),
        "connectedApps/Twice.connectedApp": connected_app(f"<oauthConfig>{planted}{planted}</oauthConfig>{planted}"),
        "connectedApps/Broken.connectedApp": b"<ConnectedApp>" + planted.encode(),
        "externalClientApps/Ledger.eca": xml("ExternalClientApplication"),
        "extlClntAppGlobalOauthSets/Ledger.ecaGlblOauth": child("ExtlClntAppGlobalOauthSettings", "Ledger", planted),
    }


@pytest.fixture
def fake(salesforce: Emulator, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> FakeOrg:
    """Return the org, with every secret planted; the Salesforce CLI knows it as `acme`."""
    monkeypatch.setenv("PATH", str(pytester.path / "bin"), prepend=os.pathsep)
    cli(pytester, "access", {"accessToken": TOKEN})
    org = FakeOrg(
        token=TOKEN,
        password=PASSWORD,
        security_token=SECURITY_TOKEN,
        consumer_key=CONSUMER_KEY,
        consumer_secret=CONSUMER_SECRET,
        public_key=key().public_key(),
        files=files(),
        rows={
            "OauthToken": [{"AppName": "Stock", "users": 2}],
            "PermissionSetAssignment": [{"Assignee": {"Username": "bot@acme.example"}, "PermissionSet": {}}],
        },
    )
    return salesforce.add(org)


def configured(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str) -> Way:
    """Write down a way to log in."""
    way = WAYS[name]
    (pytester.path / "key.pem").write_text(pem(), "ascii")
    if way.yaml:
        (pytester.path / "oauthcontrols.yaml").write_text(f"orgs:\n  uat: {way.yaml}\n", "utf-8")
    for variable, value in way.environment.items():
        monkeypatch.setenv(variable, value)
    return way


@pytest.mark.parametrize(
    ("name", "workers"), [*((name, "-n0") for name in WAYS), ("env", "-n2"), ("private_key", "-n2")]
)
def test_reading_shows_no_secret(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    salesforce: Emulator,
    fake: FakeOrg,
    name: str,
    workers: str,
) -> None:
    """However it logs in, a run shows, writes and hands on no secret, asks only to read, and only of the org."""
    way = configured(pytester, monkeypatch, name)
    pytester.makeconftest(TRAVELS)
    ran = searched(pytester, caplog, capfd, workers, org=way.org)
    assert ran.code == 1, ran.output
    assert {"debug.txt", "log.txt", "junit.xml", "report.html", "results.json", "kept"} <= {
        path.name for path in pytester.path.iterdir()
    }
    assert len(list(pytester.path.glob("travels-*"))) == (2 if workers == "-n2" else 0)
    assert "PASSED" in ran.output
    (kept,) = (pytester.path / "kept").iterdir()
    assert '"shown": "a consumer secret"' in kept.read_text("utf-8")
    assert set(salesforce.proxy.hosts) == way.hosts
    assert_reads_only(fake)
    assert len({asked.action for asked in fake.requests}) >= 6


TRAVELS = """
import pathlib
import pytest

@pytest.hookimpl(trylast=True, optionalhook=True)
def pytest_configure_node(node):
    said = [repr(node.workerinput), repr(vars(node.config.option)), repr(vars(node)), repr(vars(node.config))]
    said.append(node.workerinput["oauthcontrols"].decode("latin-1"))
    assert "Stock" in said[-1]
    pathlib.Path("travels-" + node.gateway.id).write_text("\\n".join(said), "utf-8")
"""
"""Writes down what each worker is given."""


def assert_reads_only(fake: FakeOrg) -> None:
    """Check that whatever was sent logs in or reads, over TLS, and asks for no column that holds a secret."""
    assert fake.unexpected == []
    assert {asked.action.partition(":")[0] for asked in fake.requests} <= set(ACTIONS)
    assert {asked.method for asked in fake.requests} <= {"GET", "POST"}
    assert all(asked.method == "GET" for asked in fake.requests if asked.action.startswith(("query", "versions")))
    for sent in fake.sent:
        assert re.match(r"(GET|POST) https://[a-z.]+\.salesforce\.com/", sent)
        if "/query" in sent:
            columns = re.findall(r"[A-Za-z_]+", sent.partition(" FROM ")[0])
            assert not {one.lower() for one in columns} & {one.lower() for one in SECRET_COLUMNS}
            assert TOKEN not in sent


# What a server may quote


def echoed(call: Call) -> str:
    """Return everything that a request said, with its Authorization as it stands and decoded."""
    request = call.request
    # What is quoted at length is cut short, so what stands before the secrets is left out.
    body = re.sub(r"(?s)^.*(?=<(n1:password|sessionId)>)", "", request.get_data(as_text=True))
    said = [str(request.headers.get("Authorization")), body, request.path]
    if request.authorization is not None and request.authorization.type == "basic":
        said += [str(request.authorization.username), str(request.authorization.password)]
    return " ".join(said)


def known(call: Call) -> str:
    """Return the secrets that a request holds, as they are."""
    text = html.unescape(unquote_plus(echoed(call)))
    return " ".join(one for one in (TOKEN, PASSWORD, SECURITY_TOKEN, CONSUMER_KEY, CONSUMER_SECRET) if one in text)


def answering(answer: Callable[[str], Answer], say: Callable[[Call], str] = echoed) -> Answer:
    """Return an answer that quotes its request."""
    return lambda call: answer(say(call))(call)


def soap(code: str, text: str, *, detail: bool = False) -> Answer:
    """Answer with a SOAP fault, in either of the forms that there are."""
    said = f"<faultcode>{html.escape(code)}</faultcode><faultstring>{html.escape(text)}</faultstring>"
    if detail:
        said = (
            f"<faultcode>x</faultcode><detail><exceptionCode>{html.escape(code)}</exceptionCode>"
            f"<exceptionMessage>{html.escape(text)}</exceptionMessage></detail>"
        )
    return raw(500, "text/xml", f"<Envelope><Body><Fault>{said}</Fault></Body></Envelope>")


def reason(text: str) -> Answer:
    """Answer with a status line that says more."""
    return lambda call: Response("", f"400 {' '.join(text.split())}".encode("latin-1", "replace").decode("latin-1"))


ECHOES: dict[str, Answer] = {
    "fault": answering(lambda said: soap("sf:UNKNOWN", said)),
    "fault-detail": answering(lambda said: soap("UNKNOWN", said, detail=True)),
    "fault-known": answering(lambda said: soap("sf:UNKNOWN", said), known),
    "fault-code": answering(lambda said: soap(said, "?")),
    "fault-code-known": answering(lambda said: soap(said, "?"), known),
    "rest": answering(lambda said: rest_error(400, "UNKNOWN", said)),
    "rest-known": answering(lambda said: rest_error(400, "UNKNOWN", said), known),
    "rest-code": answering(lambda said: rest_error(400, said, "?")),
    "oauth": answering(lambda said: oauth_error("invalid_grant", said)),
    "oauth-error": answering(lambda said: oauth_error(said, "?")),
    "expired": answering(lambda said: rest_error(401, "INVALID_SESSION_ID", said)),
    "not-approved": answering(lambda said: oauth_error("invalid_grant", "user hasn't approved this consumer")),
    "page": answering(lambda said: raw(200, "text/html", f"<html><h1>{said}</h1></html>")),
    "json": answering(lambda said: raw(200, "application/json", json.dumps({"echo": said}))),
    "json-records": answering(lambda said: raw(200, "application/json", json.dumps({"records": said, "done": said}))),
    "half-json": answering(lambda said: raw(200, "application/json", f'{{"access_token": "{said}')),
    "xml": answering(lambda said: raw(200, "text/xml", f"<a>{html.escape(said)}</a>")),
    "half-xml": answering(lambda said: raw(500, "text/xml", f"<a><faultstring>{html.escape(said)}")),
    "text": answering(lambda said: raw(400, "text/plain", said)),
    "text-200": answering(lambda said: raw(200, "text/plain", said)),
    "reason": answering(reason, known),
    "elsewhere": answering(lambda said: redirect(f"https://{quote(said, safe='')}@evil.example/{quote(said)}")),
    "cut": cut(),
    "reset": reset(),
}


def read(pytester: pytest.Pytester, way: Way) -> Org | sources.SourceError:
    """Read an org in a thread, as a run does; return the org, or why it could not be read."""
    path, patience = pytester.path / "oauthcontrols.yaml", Patience(2)
    logins = load(path, path.name, load_catalogue()).logins if way.yaml else {}
    reader = sources.reader(way.org, logins, pytester.path, pytester.path, patience)
    return read_together({way.org: reader}, patience, lambda doing: None)[way.org]


def shown(result: Org | sources.SourceError) -> str:
    """Return everything that a run could show of an org, or of why there is none."""
    if isinstance(result, Org):
        return pickle.dumps(result).decode("latin-1") + snapshot.dump(result).decode()
    return "\n".join([str(result), repr(result), repr(result.args), repr(vars(result))])


@pytest.mark.parametrize(
    ("name", "action"),
    [
        *((name, "") for name in EXCHANGING if name != "private_key_file"),
        *(("consumer_secret", action) for action in ("versions", "retrieve", "checkRetrieveStatus")),
        *(("env", action) for action in ("listMetadata", "query:OauthToken")),
    ],
)
def test_no_answer_brings_a_secret_back(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg, name: str, action: str
) -> None:
    """Whatever an answer quotes of its request, none of it is in what is read, or in why nothing could be."""
    monkeypatch.setattr(transport, "PAUSES", (0.0,))
    way = configured(pytester, monkeypatch, name)
    found, ended = {}, {}
    for echo, answer in ECHOES.items():
        fake.planned.clear()
        fake.fail(action or way.action, answer, always=True)
        result = read(pytester, way)
        found[echo], ended[echo] = leaks(shown(result)), isinstance(result, Org)
    assert {echo: secrets for echo, secrets in found.items() if secrets} == {}
    # A session that is refused again and again ends the reading, whatever it is refused for.
    partly = ":" in action or action == "listMetadata"
    assert ended == {echo: partly and echo != "expired" for echo in ECHOES}
    assert_reads_only(fake)


@pytest.mark.parametrize(
    ("name", "action", "echo"),
    [
        *((name, "", "oauth") for name in EXCHANGING),
        ("password", "", "fault-detail"),
        ("password", "", "text-200"),
        ("consumer_secret", "", "half-json"),
        ("private_key", "", "rest-code"),
        ("access_token", "retrieve", "fault-code-known"),
        ("access_token", "query", "rest-code"),
        ("private_key", "listMetadata", "fault"),
    ],
)
def test_no_answer_makes_a_run_show_a_secret(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fake: FakeOrg,
    name: str,
    action: str,
    echo: str,
) -> None:
    """The same for all that a run says and writes, with every switch that makes it say more."""
    way = configured(pytester, monkeypatch, name)
    fake.fail(action or way.action, ECHOES[echo], always=True)
    ran = searched(pytester, caplog, capfd, org=way.org)
    if action in ("query", "listMetadata"):
        assert (ran.code, "Traceback" in ran.output) == (1, False)
    else:
        assert_one_line(ran)


def assert_one_line(ran: Ran) -> None:
    """Check that a run ended with one line that says why, and no traceback."""
    assert (ran.code, "Traceback" in ran.output) == (4, False), ran.output
    assert len([line for line in ran.output.splitlines() if line.startswith("ERROR: ")]) == 1


def test_what_the_org_says_of_a_retrieve_is_cleaned(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg
) -> None:
    """Neither messages of a retrieve nor the reason of its failure repeat a secret."""
    way = configured(pytester, monkeypatch, "consumer_secret")
    said = f"{TOKEN} {CONSUMER_SECRET} {CONSUMER_KEY}"
    fake.messages = [
        ("unpackaged/package.xml", f"{said} in general"),
        ("x", f"Entity of type 'X' named '{said}' cannot be found"),
    ]
    result = read(pytester, way)
    assert isinstance(result, Org)
    assert leaks(shown(result)) == set()
    assert "*** in general" in shown(result)
    fake.failure = (f"CODE-{CONSUMER_SECRET}", said)
    result = read(pytester, way)
    assert isinstance(result, sources.SourceError)
    assert leaks(shown(result)) == set()
    assert "***" in shown(result)


@pytest.mark.parametrize("echo", ["rest", "fault", "oauth", "elsewhere"])
def test_token_that_looks_like_none(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg, echo: str
) -> None:
    """An access token is not shown whatever it looks like."""
    way = configured(pytester, monkeypatch, "env")
    monkeypatch.setenv("SF_ACCESS_TOKEN", STRANGE_TOKEN)
    fake.token = STRANGE_TOKEN
    fake.fail("retrieve", ECHOES[echo])
    result = read(pytester, way)
    assert isinstance(result, sources.SourceError)
    assert leaks(shown(result)) == set()
    result = read(pytester, way)
    assert isinstance(result, Org)
    assert leaks(shown(result)) == set()


@pytest.mark.parametrize("name", ["env", "access_token", "password", "consumer_secret", "cli"])
def test_session_that_ends_in_the_middle(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg, name: str
) -> None:
    """Neither the token that has expired nor the one after it is shown, even where both are quoted."""
    way = configured(pytester, monkeypatch, name)
    both = f"{TOKEN} {TOKEN}X Bearer {TOKEN}"
    fake.fail("listMetadata", soap("sf:INVALID_SESSION_ID", both), soap("UNKNOWN", both), always=True)
    result = read(pytester, way)
    assert isinstance(result, Org) == (name not in ("env", "access_token"))
    assert leaks(shown(result)) == set()


# The Salesforce CLI

CLI_ANSWERS: dict[str, tuple[Any, ...]] = {
    "text": (f"Your token is {TOKEN}",),
    "half": (f'{{"status": 0, "result": {{"accessToken": "{TOKEN}"',),
    "list": (json.dumps([TOKEN]),),
    "redacted": ({"accessToken": "[REDACTED] " + TOKEN},),
    "token-is-no-text": ({"accessToken": [TOKEN]},),
    "other-key": ({"token": TOKEN},),
    "result-is-a-text": (TOKEN,),
    "fails": ({"name": "NoToken", "message": f"no permission for {TOKEN}"}, {}),
    "fails-by-name": ({"name": TOKEN, "message": "?"}, {}),
    "nothing": ("",),
}


@pytest.mark.parametrize("command", ["show-access-token", "display"])
@pytest.mark.parametrize("answer", CLI_ANSWERS)
def test_no_answer_of_the_cli_brings_a_secret_back(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg, answer: str, command: str
) -> None:
    """Whatever the CLI says in the place of an answer, no token of it is shown."""
    way = configured(pytester, monkeypatch, "cli")
    shown_ = CLI_ANSWERS[answer]
    status = int(answer.startswith("fails"))
    said = (
        shown_[-1]
        if isinstance(shown_[-1], str)
        else json.dumps({"status": status, "result": shown_[-1], **fields(shown_)})
    )
    if command == "display":
        cli(pytester, {}, display=said)
    else:
        cli(pytester, said)
    result = read(pytester, way)
    assert isinstance(result, sources.SourceError)
    assert leaks(shown(result)) == set()
    assert fake.requests == []


# Mistakes of users


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("{password: '${SECRET}', username: '${NOBODY}'}", {"SECRET": PASSWORD}),
        ("{password: 12345678901}", {}),
        (
            "{username: x, consumer_key: '${KEY}', private_key: '${SECRET}'}",
            {"KEY": CONSUMER_KEY, "SECRET": pem()[:300]},
        ),
        ("{username: x, consumer_key: '${KEY}', private_key: '${SECRET}'}", {"KEY": CONSUMER_KEY, "SECRET": PASSWORD}),
        (f"{{username: x, password: '${{SECRET}}', consumer_secret: '{CONSUMER_SECRET}'}}", {"SECRET": PASSWORD}),
        ("{access_token: x, instance_url: '${SECRET}'}", {"SECRET": f"https://user:{CONSUMER_SECRET}@{HOST}"}),
        ("{access_token: x, instance_url: '${SECRET}'}", {"SECRET": TOKEN}),
        (f"\n    username: x\n    password: *{SECURITY_TOKEN}", {}),
        (f"\n    username: x\n    password: @{SECURITY_TOKEN}", {}),
        (f"\n    username: x\n    password: x: {SECURITY_TOKEN}", {}),
        (f"\n    username: x\n    password: !{SECURITY_TOKEN}", {}),
        ("{username: x, consumer_key: '${KEY}', private_key_file: '${SECRET}'}", {"KEY": "x", "SECRET": pem()}),
        ("{username: x, password: '${SECRET}', login: '${SECRET}'}", {"SECRET": PASSWORD}),
        ("{consumer_key: x, consumer_secret: x, my_domain: '${SECRET}'}", {"SECRET": CONSUMER_SECRET}),
        ("{cli: '${SECRET}'}", {"SECRET": TOKEN}),
    ],
)
def test_mistakes_do_not_show_secrets(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    salesforce: Emulator,
    text: str,
    environment: Mapping[str, str],
) -> None:
    """A secret in the wrong place is not quoted by the line that says so, and is sent nowhere."""
    (pytester.path / "oauthcontrols.yaml").write_text(f"orgs:\n  uat: {text}\n", "utf-8")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    ran = searched(pytester, caplog, capfd)
    assert_one_line(ran)
    assert "12345678901" not in ran.output
    assert salesforce.proxy.hosts == []


def test_variables_that_were_mixed_up(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """Token and address in each other's variable are refused: nobody asks for a host that is called like the token."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", f"https://{HOST}")
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", TOKEN)
    result = read(pytester, Way("", {}, "", set(), "env"))
    asked, salesforce.proxy.hosts[:] = list(salesforce.proxy.hosts), []
    assert isinstance(result, sources.SourceError)
    assert leaks(shown(result)) == set()
    assert asked == []


def test_secrets_in_plain_text_are_warned_of_and_not_shown(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fake: FakeOrg,
) -> None:
    """Where the configuration holds the secret itself, its line is named, and not what stands there."""
    text = f"{{consumer_key: {CONSUMER_KEY}, consumer_secret: '{CONSUMER_SECRET}', my_domain: {HOST}}}"
    (pytester.path / "oauthcontrols.yaml").write_text(f"orgs:\n  uat: {text}\n", "utf-8")
    ran = searched(pytester, caplog, capfd)
    assert ran.code == 1
    assert "oauthcontrols.yaml:2: 'consumer_secret' of uat is in plain text" in ran.output
    assert "${UAT_CONSUMER_SECRET}" in ran.output


def other_keys() -> dict[str, bytes]:
    """Return private keys that cannot be used."""
    encrypted = key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase"))
    elliptic = generate_ec_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "encrypted": encrypted,
        "elliptic": elliptic,
        "half": pem().encode()[:900],
        "binary": pem().encode() + b"\xff",
    }


@pytest.mark.parametrize(
    ("way", "name"),
    [
        *(("private_key", name) for name in ("encrypted", "elliptic", "half")),
        *(("private_key_file", name) for name in ("encrypted", "elliptic", "half", "binary")),
    ],
)
def test_private_key_that_cannot_be_used(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg, way: str, name: str
) -> None:
    """What is wrong with a key is said without a line of it."""
    known_ = configured(pytester, monkeypatch, way)
    content = other_keys()[name]
    (pytester.path / "key.pem").write_bytes(content)
    monkeypatch.setenv("UAT_PRIVATE", content.decode("ascii", "replace"))
    result = read(pytester, known_)
    assert isinstance(result, sources.SourceError)
    assert leaks(shown(result)) == set()
    lines = [line for line in content.decode("ascii", "replace").splitlines() if not line.startswith("-")]
    assert not [line for line in lines if line[:16] in shown(result)]
    assert fake.requests == []


# What else could give them away


def test_passwords_of_netrc_stay_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg
) -> None:
    """A password that ~/.netrc has for the host is not sent in the place of the token."""
    path = pytester.path / "netrc"
    path.write_text(f"machine {HOST} login auditor password {SECURITY_TOKEN}\n", "utf-8")
    monkeypatch.setenv("NETRC", str(path))
    for name in ("env", "consumer_secret"):
        result = read(pytester, configured(pytester, monkeypatch, name))
        assert isinstance(result, Org), result
        assert "OauthToken.AppName" in result.settings


@pytest.mark.parametrize("port", [1, None])
def test_password_of_the_proxy(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, port: int | None
) -> None:
    """A proxy's password is not shown where the proxy cannot be reached, or lets nothing through."""
    address = f"http://user:{SECURITY_TOKEN}@127.0.0.1:{port or salesforce.proxy.server_address[1]}"
    for variable in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(variable, address)
    monkeypatch.setenv("SF_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", "https://nowhere.example.com")
    result = read(pytester, Way("", {}, "", set(), "env"))
    salesforce.proxy.hosts.clear()
    assert isinstance(result, sources.SourceError)
    assert leaks(shown(result)) == set()


@pytest.mark.parametrize(
    "url", [f"http://{HOST}", f"http://{HOST}:443", f"ftp://{HOST}", "https://login.salesforce.com"]
)
def test_token_is_sent_over_tls_only(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, url: str
) -> None:
    """An address without TLS, or of a login host, is refused before anything is sent."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", url)
    result = read(pytester, Way("", {}, "", set(), "env"))
    assert isinstance(result, sources.SourceError)
    assert salesforce.proxy.hosts == []


@pytest.mark.parametrize(
    "url",
    [
        "http://acme.my.salesforce.com/services/data",
        "https://evil.example/services/data",
        "https://acme.my.salesforce.com@evil.example/services/data",
        "https://acme.my.salesforce.com.evil.example/",
        "https://other.my.salesforce.com/services/data",
        "https://acme.my.salesforce.com:8443/services/data",
    ],
)
def test_transport_sends_to_hosts_that_it_was_told_of(salesforce: Emulator, url: str) -> None:
    """Neither another host nor plain HTTP is sent anything."""
    sender = Transport(Patience(3))
    sender.hosts.add(HOST)
    with pytest.raises(sources.SourceError, match="which is not the org"):
        sender.get(url, headers={"Authorization": f"Bearer {TOKEN}"})
    assert salesforce.proxy.hosts == []


@pytest.mark.parametrize("url", ["@evil.example/x", ".evil.example/x", ":8443/x", "/x"])
def test_next_page_of_another_host(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, fake: FakeOrg, url: str
) -> None:
    """The address of the next page of records leads to no other host."""
    way = configured(pytester, monkeypatch, "env")
    said = {"totalSize": 5, "done": False, "nextRecordsUrl": url, "records": []}
    fake.fail("query:OauthToken", raw(200, "application/json", json.dumps(said)))
    result = read(pytester, way)
    assert leaks(shown(result)) == set()
    assert set(salesforce.proxy.hosts) == {HOST}
    # What is on the org's own host is asked for, and is nothing that the emulator knows.
    assert [asked.path for asked in fake.unexpected] == (["/x"] if url == "/x" else [])
    fake.unexpected.clear()


# What is kept in memory

PLANTED: list[Any] = [
    credentials.AccessToken(TOKEN, f"https://{HOST}"),
    credentials.JwtBearer("auditor", CONSUMER_KEY, pem()),
    credentials.JwtBearerFile("auditor", CONSUMER_KEY, "key.pem"),
    credentials.ClientCredentials(CONSUMER_KEY, CONSUMER_SECRET, HOST),
    credentials.Password("auditor", PASSWORD, SECURITY_TOKEN),
    Session(TOKEN, HOST, None, None),
    Target(TOKEN, f"https://{HOST}", None, None),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: type(one).__name__)
def test_no_representation_shows_a_secret(planted: Any) -> None:
    """Neither repr nor str nor a format of what holds a secret shows it, alone or within something else."""
    said = [repr(planted), str(planted), f"{planted}", f"{planted!r:>9}", repr([planted]), "%s" % (planted,)]  # noqa: UP031
    assert leaks("\n".join(said)) == set()
    assert leaks(repr(vars(planted) if hasattr(planted, "__dict__") else tuple(planted)))


def test_every_way_to_log_in_is_looked_at() -> None:
    """No class of credentials, or field of one that is called a secret, is left out of these tests."""
    looked_at = {type(one) for one in PLANTED} | {credentials.SalesforceCli, credentials.Source}
    assert {way.credentials for way in WAYS_TO_LOG_IN.values()} <= looked_at
    assert set(WAYS_TO_LOG_IN) <= set(WAYS) | {"source"}


def test_logins_show_no_secret(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of logins holds variables' names, and no value of theirs; plain text is not shown either."""
    for name, way in WAYS.items():
        if way.yaml:
            configured(pytester, monkeypatch, name)
            found = load(pytester.path / "oauthcontrols.yaml", "oauthcontrols.yaml", load_catalogue())
            assert leaks(repr(found) + str(found) + repr(found.logins) + repr(vars(found.logins["uat"]))) == set()
    text = f"{{username: x, password: '{CONSUMER_SECRET}'}}"
    (pytester.path / "oauthcontrols.yaml").write_text(f"orgs:\n  uat: {text}\n", "utf-8")
    found = load(pytester.path / "oauthcontrols.yaml", "oauthcontrols.yaml", load_catalogue())
    assert leaks(repr(found) + repr(found.logins["uat"].warnings)) == set()


def test_refusals_and_failures_hold_what_they_were_given() -> None:
    """A refusal shows code and text, which were cleaned; nothing else is in it."""
    for error in (Refusal("CODE", "text"), Failure("CODE", "text")):
        assert {*error.args} == {"CODE", "text"}
        assert set(vars(error).values()) == {"CODE", "text"}
    sender = Transport(Patience(3))
    sender.secrets |= {CONSUMER_SECRET, PASSWORD}
    assert leaks(repr(sender)) == set()
    said = f"{CONSUMER_SECRET}\n{PASSWORD} {TOKEN} eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhY21lIn0.c2ln {'x' * 500}"
    assert sender.clean(said).startswith("*** *** *** *** xxx")
    assert len(sender.clean(said)) < 310


@pytest.mark.parametrize(
    "spell", [quote_plus, quote, html.escape, lambda text: b64encode(b"key:" + text.encode()).decode()]
)
@pytest.mark.parametrize("secret", [PASSWORD, CONSUMER_SECRET, TOKEN], ids=["password", "secret", "token"])
def test_cleaning_knows_how_secrets_are_spelled(secret: str, spell: Callable[[str], str]) -> None:
    """Secrets are taken out as a URL, XML or an Authorization spells them too."""
    sender = Transport(Patience(3))
    sender.secrets |= {"key", secret}
    assert leaks(sender.clean(f"you sent '{spell(secret)}'")) == set()


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, and everything that led to it, shown or not."""
    seen: list[BaseException] = []
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and one not in seen:
            seen.append(one)
            left += [one.__cause__, one.__context__]
            yield one


FAILURES = [
    ("password", "login", "text-200"),
    ("password", "login", "fault"),
    ("consumer_secret", "token", "oauth"),
    ("consumer_secret", "token", "half-json"),
    ("private_key", "token", "json"),
    ("private_key", "token", "reset"),
    ("env", "retrieve", "rest"),
    ("env", "checkRetrieveStatus", "half-xml"),
    ("env", "versions", "elsewhere"),
    ("env", "retrieve", "expired"),
]


@pytest.mark.parametrize("locals_", [False, True], ids=["lines", "locals"])
@pytest.mark.parametrize(("name", "action", "echo"), FAILURES)
def test_no_traceback_of_an_error_shows_a_secret(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    fake: FakeOrg,
    name: str,
    action: str,
    echo: str,
    locals_: bool,
) -> None:
    """The error that ends a reading, with all that led to it, shows none: not even with the locals of its frames."""
    way = configured(pytester, monkeypatch, name)
    fake.fail(action, ECHOES[echo], always=True)
    result = read(pytester, way)
    assert isinstance(result, sources.SourceError)
    said = traceback.format_exception(result)
    for one in chain(result):
        said += [repr(one), str(one)]
        said += traceback.TracebackException.from_exception(one, capture_locals=locals_).format(chain=False)
    assert leaks("\n".join(said)) == set()


@pytest.mark.parametrize("name", ["env", "password", "consumer_secret", "private_key", "cli"])
def test_error_that_nobody_expected_shows_no_secret(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fake: FakeOrg,
    name: str,
) -> None:
    """Where something breaks in the midst of a request, pytest shows the traceback, and no secret among the locals."""
    way = configured(pytester, monkeypatch, name)

    whole = requests.adapters.HTTPAdapter.send

    def broken(adapter: Any, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        if str(request.url).endswith("/services/data"):
            return whole(adapter, request, **options)
        raise RuntimeError("out of order")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", broken)
    ran = searched(pytester, caplog, capfd, org=way.org)
    assert ran.code == pytest.ExitCode.INTERNAL_ERROR
    assert "out of order" in ran.output


def test_interruption_shows_no_secret(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    fake: FakeOrg,
) -> None:
    """A run that is interrupted while an org is read shows where it was, and no secret among the locals."""
    # Long values are cut short in the middle, so the token stands where the first half of it would be seen.
    way = configured(pytester, monkeypatch, "env")
    monkeypatch.setenv("SF_ACCESS_TOKEN", STRANGE_TOKEN)
    fake.token = STRANGE_TOKEN

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Progress, "show", interrupted)
    ran = searched(pytester, caplog, capfd, org=way.org)
    assert ran.code == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in ran.output


@pytest.mark.parametrize("name", ["env", "private_key"])
def test_what_a_worker_is_given_holds_no_secret(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, fake: FakeOrg, name: str
) -> None:
    """Workers are handed orgs and decisions, pickled: neither they nor what is kept of them holds a secret."""
    way = configured(pytester, monkeypatch, name)
    config = pytester.parseconfigure(f"--sf-org={way.org}")
    reading = config.pluginmanager.getplugin("oauthcontrols-reading")
    reading.pytest_sessionstart()

    class Node:
        """A worker, as far as it is asked."""

        workerinput: dict[str, Any]

    node = Node()
    node.workerinput = {}
    reading.pytest_configure_node(node)
    (handed,) = node.workerinput.values()
    plain = handed.decode("latin-1")
    assert "Stock" in plain
    assert leaks(plain + repr(node.workerinput) + pickle.dumps(node.workerinput).decode("latin-1")) == set()
    assert leaks(pickle.dumps(config.stash[assessment_key].orgs).decode("latin-1")) == set()
    assert leaks(repr(vars(reading)) + repr(vars(config.option))) == set()


def test_what_is_searched_would_be_found() -> None:
    """Each secret is found as it is, in part, and in each spelling; what is public is not taken for one."""
    secrets = [TOKEN, STRANGE_TOKEN, PASSWORD, SECURITY_TOKEN, CONSUMER_KEY, CONSUMER_SECRET, *IN_METADATA]
    for secret in secrets:
        end = secret[-16:]
        for said in (secret, end, quote_plus(secret), html.escape(secret), json.dumps({"x": secret}), repr(secret)):
            assert leaks(f"so {said} it is"), said
        for shift in ("", "k:", "key:"):
            assert leaks(b64encode(f"{shift}{secret}".encode()).decode())
    assert leaks(pem().splitlines()[5]) == {"private key"}
    assert leaks("assertion=eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJ4In0.x") == {"assertion"}
    assert leaks(f"00D5g000004XyzAEAS auditor@acme.example {HOST} ***") == set()
