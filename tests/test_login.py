"""Every way to name an org and to log in, from the options of pytest to what Salesforce is sent."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from pytest_oauthcontrols.sources.live import salesforce_cli

from .support.logins import ACCESS_TOKEN, ACME, BAD_LOGINS, CLIENT, KEY, KEY_FILE, PASSWORD
from .support.metadata_files import GOOD, GOOD_PATH, written, zipped
from .support.runs import Outcome, outcome, run, usage_error
from .support.salesforce import Emulator, FakeOrg, fault, oauth_error, raw

# Each way to log in is tried in a whole run.
pytestmark = [pytest.mark.live, pytest.mark.slow]

UAT = "acme--uat.sandbox.my.salesforce.com"
ORG_ID = "00D5g000004XyzAEAS"
TOKEN = f"{ORG_ID[:15]}!AQ8AQPlanted.Opaque_Token.1a2b3c4d5e6f7g8h9i0j"
NEWER_TOKEN = f"{ORG_ID[:15]}!AQ8AQPlanted.Newer_Token.9z8y7x6w5v4u3t2s1r0q"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJwbGFudGVkIn0.cGxhbnRlZC1zaWduYXR1cmU"
REDACTED = "[REDACTED] Use 'sf org auth show-access-token' to view"
SECRETS = (TOKEN, NEWER_TOKEN, JWT, "correct-horse", "PlantedSecurityToken1", "PlantedConsumerSecret")
"""What no output ever holds, besides the private key."""

PRODUCTION = "login.salesforce.com"
SANDBOX = "test.salesforce.com"


class KeyPair(NamedTuple):
    """A key that signs assertions."""

    private: RSAPrivateKey
    pem: str


@pytest.fixture(scope="module")
def key() -> KeyPair:
    """Return the key that the org knows."""
    private = generate_private_key(public_exponent=65537, key_size=2048)
    return KeyPair(private, pem(private).decode())


@pytest.fixture
def org(salesforce: Emulator, key: KeyPair, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> FakeOrg:
    """Return an org with one app, whose credentials are in variables, and whose key is in a file too."""
    (pytester.path / "server.key").write_text(key.pem, "utf-8")
    variables = {
        "TOKEN": TOKEN,
        "KEY": key.pem,
        "KEY_IN_A_LINE": key.pem.replace("\n", "\\n"),
        "CONSUMER_SECRET": "PlantedConsumerSecret",
        "PASSWORD": "correct-horse",
        "SECURITY_TOKEN": "PlantedSecurityToken1",
        "COMPANY": "acme",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return salesforce.add(FakeOrg(token=TOKEN, files={GOOD_PATH: GOOD}, public_key=key.private.public_key()))


def pem(
    private: Any,
    encryption: KeySerializationEncryption | None = None,
    form: PrivateFormat = PrivateFormat.PKCS8,
) -> bytes:
    """Return a private key as the content of a file."""
    content: bytes = private.private_bytes(Encoding.PEM, form, encryption or NoEncryption())
    return content


def configure(pytester: pytest.Pytester, logins: Mapping[str, Any], path: str = "oauthcontrols.yaml") -> None:
    """Write a configuration with these logins: each key in a line of its own, the first org's name in line 2."""
    (pytester.path / path).parent.mkdir(exist_ok=True)
    (pytester.path / path).write_text(yaml.safe_dump({"orgs": logins}, sort_keys=False, width=10_000), "utf-8")


class Assessed(NamedTuple):
    """A run that assessed one org."""

    found: Outcome
    org: dict[str, Any]
    """What the results file says of the org."""
    notes: list[str]
    """What it says of the configuration."""


def assess(pytester: pytest.Pytester, *arguments: str, org: str = "prod") -> Assessed:
    """Assess an org, of which nothing secret is shown."""
    found = run(pytester, "--junitxml=junit.xml", "-k=ca-pkce", *arguments, org=org)
    assert found.code == pytest.ExitCode.OK, found.output
    assert found.verdicts == {("Stock_Sync", "ca-pkce"): "pass"}
    assert_nothing_secret(pytester, found)
    path = pytester.path / "results.json"
    (said,) = json.loads(path.read_text("utf-8"))["orgs"]
    path.unlink()
    return Assessed(found, said, [note for note in said["notes"] if ".yaml:" in note])


def refused(pytester: pytest.Pytester, *arguments: str, org: str = "prod") -> str:
    """Return the one line of a run that could read nothing, which shows nothing secret."""
    found = run(pytester, *arguments, org=org)
    assert_nothing_secret(pytester, found)
    return usage_error(found)


def assert_nothing_secret(pytester: pytest.Pytester, found: Outcome) -> None:
    """Check that no credential is in the output or the files of a run."""
    written_to = [pytester.path / name for name in ("results.json", "junit.xml")]
    texts = [found.output, *(path.read_text("utf-8") for path in written_to if path.exists())]
    for secret in (*SECRETS, *os.environ["KEY"].splitlines()[1:3]):
        assert not any(secret in text for text in texts), "a credential is shown"


def logins(org: FakeOrg) -> list[tuple[str, str]]:
    """Return host and action of each request that was a login."""
    return [(asked.host, asked.action) for asked in org.requests if asked.action in ("login", "token")]


EXCHANGED = {"key file": KEY_FILE, "key": KEY, "client credentials": CLIENT, "password": PASSWORD}

# Ways to log in.


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (ACCESS_TOKEN, []),
        (ACCESS_TOKEN | {"instance_url": "acme.my.salesforce.com"}, []),
        (ACCESS_TOKEN | {"instance_url": f"{ACME}:443/lightning/page/home"}, []),
        (ACCESS_TOKEN | {"instance_url": "https://ACME.my.salesforce.com/"}, []),
        (KEY_FILE, [(PRODUCTION, "token")]),
        (KEY_FILE | {"login": "login.salesforce.com"}, [(PRODUCTION, "token")]),
        (KEY_FILE | {"login": "acme.my.salesforce.com"}, [("acme.my.salesforce.com", "token")]),
        (KEY_FILE | {"login": f"{ACME}/"}, [("acme.my.salesforce.com", "token")]),
        (KEY, [(PRODUCTION, "token")]),
        (KEY | {"private_key": "${KEY_IN_A_LINE}"}, [(PRODUCTION, "token")]),
        (CLIENT, [("acme.my.salesforce.com", "token")]),
        (PASSWORD, [(PRODUCTION, "login")]),
        (PASSWORD | {"login": "login"}, [(PRODUCTION, "login")]),
        (PASSWORD | {"login": "acme.my.salesforce.com"}, [("acme.my.salesforce.com", "login")]),
    ],
    ids=[
        *("token", "token-bare-host", "token-page", "token-capitals", "key-file", "key-file-host"),
        *("key-file-my-domain", "key-file-address", "key", "key-in-a-line", "client", "password"),
        *("password-login", "password-my-domain"),
    ],
)
def test_login_to_production(
    pytester: pytest.Pytester, org: FakeOrg, login: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    """Each way to log in reads the org: once, at the host that it names, and the results file says which org it is."""
    configure(pytester, {"prod": login})
    assessed = assess(pytester)
    assert logins(org) == expected
    assert (assessed.org["name"], assessed.org["location"], assessed.org["org_id"]) == ("prod", ACME, ORG_ID)
    counted = [asked for asked in org.requests if asked.action not in ("login", "token", "versions")]
    assert assessed.org["api_calls"] == len(counted) > 3
    assert f"read with {len(counted)} API calls" in assessed.found.output


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (ACCESS_TOKEN | {"instance_url": f"https://{UAT}"}, []),
        (KEY_FILE | {"login": "test"}, [(SANDBOX, "token")]),
        (KEY_FILE | {"login": "https://test.salesforce.com"}, [(SANDBOX, "token")]),
        (KEY | {"login": UAT}, [(UAT, "token")]),
        (CLIENT | {"my_domain": UAT}, [(UAT, "token")]),
        (PASSWORD | {"login": "test"}, [(SANDBOX, "login")]),
        (PASSWORD | {"login": UAT}, [(UAT, "login")]),
    ],
    ids=[
        *("token", "key-file-test", "key-file-host", "key-my-domain", "client", "password-test", "password-my-domain"),
    ],
)
def test_login_to_a_sandbox(
    pytester: pytest.Pytester, org: FakeOrg, login: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    """A sandbox is logged in to at its own host or that of all sandboxes, and its assertions are for the latter."""
    org.my_domain = UAT
    configure(pytester, {"uat": login})
    assessed = assess(pytester, org="uat")
    assert logins(org) == expected
    assert (assessed.org["location"], assessed.org["org_id"]) == (f"https://{UAT}", ORG_ID)


@pytest.mark.parametrize(
    ("way", "login"),
    [
        ("key file", "login"),
        ("client credentials", "acme-api.my.salesforce.com"),
        *(("password", login) for login in ("login", "test", "acme-api.my.salesforce.com")),
    ],
)
def test_my_domain_whose_name_ends_in_api(pytester: pytest.Pytester, org: FakeOrg, way: str, login: str) -> None:
    """An org whose host contains -api is talked to by that name and by no other."""
    org.my_domain = "acme-api.my.salesforce.com"
    if login == "test":
        org.my_domain = "acme--app-api.sandbox.my.salesforce.com"
    chosen = {"my_domain": org.my_domain} if way == "client credentials" else {"login": login}
    configure(pytester, {"prod": EXCHANGED[way] | chosen})
    assert assess(pytester).org["location"] == f"https://{org.my_domain}"
    assert {asked.host for asked in org.requests} <= {org.my_domain, org.login_host}


def test_password_without_a_security_token(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """In a trusted network the password alone is sent, whatever characters it is of."""
    org.password, org.security_token = "p&<\"'>${ ä]]>", ""
    configure(pytester, {"prod": {"username": org.username, "password": org.password}})
    assert assess(pytester).org["org_id"] == ORG_ID


def test_access_token_that_is_a_jwt(pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    """An access token that does not say whose it is reads the org; only a login can tell the org's id then."""
    monkeypatch.setenv("TOKEN", JWT)
    org.token = JWT
    configure(pytester, {"prod": ACCESS_TOKEN, "signed": KEY})
    assert assess(pytester).org["org_id"] is None
    assert assess(pytester, org="signed").org["org_id"] == ORG_ID


def test_org_id_of_fifteen_characters_gets_its_three(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id in the results file always has 18 characters, also where the token begins with all of them."""
    org.token = f"{ORG_ID}!{TOKEN.partition('!')[2]}"
    monkeypatch.setenv("TOKEN", org.token)
    configure(pytester, {"prod": ACCESS_TOKEN})
    assert assess(pytester).org["org_id"] == ORG_ID


@pytest.mark.parametrize("place", ["of-root", "elsewhere", "absolute"])
def test_key_file_is_beside_the_configuration(pytester: pytest.Pytester, org: FakeOrg, place: str) -> None:
    """The path of a key file is relative to the configuration's folder, wherever pytest was started."""
    folder = "." if place == "of-root" else "audit"
    source = pytester.path / "server.key"
    moved = pytester.mkdir("keys") / "acme.key"
    source.rename(moved)
    path = {"of-root": "keys/acme.key", "elsewhere": "../keys/acme.key", "absolute": str(moved)}[place]
    configure(pytester, {"prod": KEY_FILE | {"private_key_file": path}}, f"{folder}/oauthcontrols.yaml")
    arguments = [] if place == "of-root" else ["--sf-config=audit/oauthcontrols.yaml"]
    assess(pytester, *arguments)
    assert logins(org) == [(PRODUCTION, "token")]


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_source(pytester: pytest.Pytester, salesforce: Emulator, kind: str, elsewhere: bool) -> None:
    """A name can stand for metadata in a folder or zip, relative to the configuration; nobody is asked for it."""
    folder = pytester.path / ("audit" if elsewhere else ".")
    if kind == "folder":
        written(folder / "meta", {GOOD_PATH: GOOD})
    else:
        folder.mkdir(exist_ok=True)
        zipped(folder / "meta.zip", {GOOD_PATH: GOOD})
    path = "meta" if kind == "folder" else "meta.zip"
    configure(pytester, {"prod": {"source": path}}, f"{folder.name if elsewhere else '.'}/oauthcontrols.yaml")
    arguments = ["--sf-config=audit/oauthcontrols.yaml"] if elsewhere else []
    found = run(pytester, "-k=ca-pkce", *arguments, org="prod")
    assert found.verdicts["Stock_Sync", "ca-pkce"] == "pass"
    assert "oauthcontrols: reading" not in found.output
    assert salesforce.proxy.hosts == []


def test_source_has_the_name_that_it_was_given(pytester: pytest.Pytester) -> None:
    """Metadata that the configuration names is called as it says there."""
    written(pytester.path / "meta", {GOOD_PATH: GOOD})
    configure(pytester, {"prod": {"source": "meta"}})
    found = run(pytester, "-k=ca-pkce", org="prod")
    assert "\nprod: 1 app " in found.output


def test_source_that_is_called_demo(pytester: pytest.Pytester) -> None:
    """A source is a path, also where it is called like the sample org."""
    written(pytester.path / "demo", {GOOD_PATH: GOOD})
    configure(pytester, {"prod": {"source": "demo"}})
    assert run(pytester, "-k=ca-pkce", org="prod").verdicts == {("Stock_Sync", "ca-pkce"): "pass"}


def test_source_that_is_not_there(pytester: pytest.Pytester) -> None:
    """A source that leads nowhere is one line that names the org and the path."""
    configure(pytester, {"prod": {"source": "nowhere"}})
    assert usage_error(run(pytester, org="prod")) == "prod: nowhere: there is no such file or folder"


# Variables.


def test_variable_that_is_part_of_a_value(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """Variables are replaced wherever they stand in a value, several of them too."""
    login = ACCESS_TOKEN | {"instance_url": "https://${COMPANY}.my.salesforce.com"}
    configure(pytester, {"prod": login})
    assess(pytester)
    org.password = f"{org.password}-acme"
    configure(
        pytester, {"prod": PASSWORD | {"password": "${PASSWORD}-${COMPANY}", "login": "${COMPANY}.my.salesforce.com"}}
    )
    assess(pytester)
    assert logins(org) == [("acme.my.salesforce.com", "login")]


@pytest.mark.parametrize(
    "value",
    ["a$PASSWORD", "$(PASSWORD)", "${PASSWORD", "$5", "${}."],
)
def test_value_that_only_looks_like_a_variable(pytester: pytest.Pytester, org: FakeOrg, value: str) -> None:
    """Whatever is not a name between ${ and } is sent as it stands, and is noted as plain text."""
    org.password = value
    configure(pytester, {"prod": PASSWORD | {"password": value}})
    found = assess(pytester).found
    assert len(logins(org)) == 1
    assert "  note: oauthcontrols.yaml:4: 'password' of prod is in plain text" in found.output


def test_variable_with_a_variable_in_it(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a variable holds is not looked into again."""
    org.password = f"${{{'COMPANY'}}}"
    monkeypatch.setenv("PASSWORD", org.password)
    configure(pytester, {"prod": PASSWORD})
    assess(pytester)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (None, "${ACME_MISSING}"),
        (None, "https://${ACME_MISSING}"),
        ("", "${ACME_MISSING}"),
        ("", "https://${COMPANY}${ACME_MISSING}"),
        (" \n", "${ACME_MISSING}"),
    ],
    ids=["unset", "unset-part", "empty", "empty-part", "blank"],
)
def test_variable_that_is_not_set(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch, value: str | None, part: str
) -> None:
    """A variable that is not set, or holds nothing, is named with file and line before anything is sent."""
    if value is not None:
        monkeypatch.setenv("ACME_MISSING", value)
    configure(pytester, {"uat": ACCESS_TOKEN, "prod": {"access_token": "${TOKEN}", "instance_url": part}})
    message = refused(pytester)
    assert message == "oauthcontrols.yaml:7: the environment variable ACME_MISSING is not set"
    assert org.requests == []


def test_variable_of_an_org_that_is_not_asked_for(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """A variable that only another org needs may be missing."""
    configure(pytester, {"uat": {"access_token": "${ACME_MISSING}", "instance_url": ACME}, "prod": ACCESS_TOKEN})
    assess(pytester)
    assert refused(pytester, org="uat").startswith("oauthcontrols.yaml:3: ")


@pytest.mark.parametrize("where", ["configuration", "environment"])
def test_token_with_white_space_around_it(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The line break that a file of a secret ends with is no part of the token."""
    monkeypatch.setenv("TOKEN", f" {TOKEN}\n")
    monkeypatch.setenv("SF_ACCESS_TOKEN", f" {TOKEN}\n")
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"{ACME}\n")
    configure(pytester, {"prod": ACCESS_TOKEN})
    assess(pytester, org="prod" if where == "configuration" else "env")


# Names.


def test_token_in_the_environment(pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name env stands for the access token in the environment, without a configuration."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", ACME)
    said = assess(pytester, org="env").org
    assert (said["name"], said["location"], said["org_id"]) == ("env", ACME, ORG_ID)


@pytest.mark.parametrize("missing", ["SF_ACCESS_TOKEN", "SF_ORG_INSTANCE_URL"])
@pytest.mark.parametrize("value", [None, ""], ids=["unset", "empty"])
def test_environment_without_a_variable(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch, missing: str, value: str | None
) -> None:
    """The variable that env lacks is named."""
    for name, given in {"SF_ACCESS_TOKEN": TOKEN, "SF_ORG_INSTANCE_URL": ACME, missing: value}.items():
        if given is not None:
            monkeypatch.setenv(name, given)
    message = refused(pytester, org="env")
    assert message == f"--sf-org=env needs SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL; {missing} is not set"


ADDRESSES = {
    "https://login.salesforce.com": "is where people log in, not the org",
    "https://test.salesforce.com/": "is where people log in, not the org",
    "login.salesforce.com": "is where people log in, not the org",
    "http://acme.my.salesforce.com": "is no address of an org",
    "ftp://acme.my.salesforce.com": "is no address of an org",
    "https://auditor@acme.my.salesforce.com": "is no address of an org",
    "https://acme.my.salesforce.com@evil.example": "is no address of an org",
    "https://": "is no address of an org",
    "https:///services": "is no address of an org",
    "https://acme.my.salesforce.com:sixty": "is no address of an org",
    "https://acme.my.salesforce.com:99999": "is no address of an org",
    "https://[acme": "is no address of an org",
    "https://acme my salesforce com": "is no address of an org",
    "https://acme.my.salesforce.com\\@evil.example/": "is no address of an org",
    "https://evil.example": "is no address of an org",
    "https://acme.my.salesforce.com.evil.example": "is no address of an org",
    "https://evilsalesforce.com": "is no address of an org",
    "?": "is no address of an org",
}


@pytest.mark.parametrize(
    ("where", "address"),
    [
        *(("environment", address) for address in ADDRESSES),
        ("configuration", "https://login.salesforce.com"),
        ("configuration", "http://acme.my.salesforce.com"),
    ],
)
def test_address_that_is_none(
    pytester: pytest.Pytester,
    org: FakeOrg,
    salesforce: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    address: str,
) -> None:
    """An address that is not that of an org is one line, and the token is sent nowhere."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", address)
    configure(pytester, {"prod": ACCESS_TOKEN | {"instance_url": address}})
    name = "env" if where == "environment" else "prod"
    message = refused(pytester, org=name)
    assert message.startswith(f"{name}: ")
    assert ADDRESSES[address] in message
    assert salesforce.proxy.hosts == []


def test_address_with_a_password_is_not_repeated(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message about an address that holds a password leaves the password out."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", "https://auditor:correct-horse@acme.my.salesforce.com")
    assert "is no address of an org" in refused(pytester, org="env")


def test_token_in_the_place_of_the_address(
    pytester: pytest.Pytester, org: FakeOrg, salesforce: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two variables whose values were exchanged are one line that does not repeat the token, and nobody sees it."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", ACME)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", TOKEN)
    message = refused(pytester, org="env")
    hosts, salesforce.proxy.hosts[:] = list(salesforce.proxy.hosts), []
    assert hosts == []
    assert TOKEN.lower() not in message.lower()
    assert "is no address of an org" in message


def test_name_env_in_the_configuration(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configured org called env goes before the token in the environment."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", "00D000000000000!Other")
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", "https://other.my.salesforce.com")
    configure(pytester, {"env": ACCESS_TOKEN})
    assert assess(pytester, org="env").org["location"] == ACME


@pytest.mark.parametrize("name", ["demo", "a/b", "a\\b", "org.zip", "org.json", "Org.ZIP", "./org", ".", ".."])
def test_name_that_no_org_can_have(pytester: pytest.Pytester, salesforce: Emulator, name: str) -> None:
    """A name that means something else is refused with file and line, whichever org is asked for."""
    configure(pytester, {"prod": {"cli": "acme"}, name: {"cli": "acme"}})
    message = usage_error(run(pytester, org="prod"))
    assert (
        message
        == f"oauthcontrols.yaml:4: an org cannot be called '{name}': --sf-org takes it for the sample org or a path"
    )


# Configurations that say no login.


@pytest.mark.parametrize(
    ("name", "asked"), [*((name, "prod") for name in BAD_LOGINS), ("number", "uat"), ("unknown key", "demo")]
)
def test_login_that_is_not_understood(pytester: pytest.Pytester, salesforce: Emulator, name: str, asked: str) -> None:
    """A mistake in a login is one line with file and line, whichever org is asked for, and nothing is sent."""
    text, line, words = BAD_LOGINS[name]
    more = f"\n  uat:\n    access_token: x\n    instance_url: {ACME}\n"
    (pytester.path / "oauthcontrols.yaml").write_text(f"orgs:\n  prod:\n    {text}{more}", "utf-8")
    message = usage_error(run(pytester, org=asked))
    assert message.startswith(f"oauthcontrols.yaml:{line}: ")
    assert words in message
    assert salesforce.proxy.hosts == []


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("orgs:\n- prod\n", 1, "'orgs' must be a mapping of names to logins"),
        ("orgs: prod\n", 1, "'orgs' must be a mapping of names to logins"),
        ("\norgs:\n", 2, "'orgs' has no value"),
        ("orgs:\n  prod: acme\n", 2, "'prod' must be a mapping that says how to log in"),
        ("orgs:\n  prod:\n  uat:\n    cli: acme\n", 2, "'prod' must be a mapping that says how to log in"),
        ("orgs:\n  prod:\n    cli: a\n  prod:\n    cli: b\n", 4, "'prod' is repeated"),
        ("orgs:\n  prod:\n    cli: a\n    cli: b\n", 4, "'cli' is repeated"),
        ("org:\n  prod:\n    cli: a\n", 1, "unknown key 'org'; did you mean 'orgs'?"),
    ],
    ids=["list", "text", "nothing", "login-text", "login-nothing", "name-twice", "key-twice", "section"],
)
def test_orgs_that_are_not_understood(
    pytester: pytest.Pytester, salesforce: Emulator, text: str, line: int, words: str
) -> None:
    """A mistake around the logins is one line with file and line, and nothing is sent."""
    (pytester.path / "oauthcontrols.yaml").write_text(text, "utf-8")
    message = usage_error(run(pytester, org="prod"))
    assert message.startswith(f"oauthcontrols.yaml:{line}: {words}")
    assert salesforce.proxy.hosts == []


def test_orgs_of_the_file_that_is_named(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """With --sf-config the logins are those of that file alone, and its mistakes bear its name."""
    configure(pytester, {"prod": {"cil": "acme"}})
    configure(pytester, {"prod": ACCESS_TOKEN}, "audit/acme.yaml")
    assess(pytester, "--sf-config=audit/acme.yaml")
    configure(pytester, {"prod": {"cil": "acme"}}, "audit/acme.yaml")
    assert refused(pytester, "--sf-config=audit/acme.yaml").startswith("audit/acme.yaml:3: unknown key 'cil'")


@pytest.mark.parametrize(
    ("way", "host"),
    [
        ("key", "acme"),
        ("key", "acme.my"),
        ("key", "evil.example"),
        ("key", "salesforce.com"),
        ("key file", ".salesforce.com"),
        ("key", "acme.my.salesforce.com.evil.example"),
        ("key", "https://[acme"),
        ("password", "a b.my.salesforce.com"),
        ("password", "https://login.salesforce.com.evil.example/"),
        ("password", "evil.example?.salesforce.com"),
        ("client credentials", "acme"),
        ("client credentials", "https://evil.example/acme.my.salesforce.com"),
    ],
)
def test_login_host_that_is_none(
    pytester: pytest.Pytester, org: FakeOrg, salesforce: Emulator, way: str, host: str
) -> None:
    """A host that is not Salesforce's gets no credentials; the line quotes what is a host, and says what to give."""
    configure(pytester, {"prod": EXCHANGED[way] | {"my_domain" if way == "client credentials" else "login": host}})
    message = refused(pytester)
    quoted = "what is given" if " " in host else f"'{host}'"
    assert message == (
        f"prod: {quoted} is no host to log in to: give login, test, or My Domain (acme.my.salesforce.com)"
    )
    assert salesforce.proxy.hosts == []


@pytest.mark.parametrize("host", ["login", "test", "https://login.salesforce.com"])
def test_client_credentials_at_a_host_of_all_orgs(
    pytester: pytest.Pytester, org: FakeOrg, salesforce: Emulator, host: str
) -> None:
    """Client credentials, which only the org's own host takes, are sent to no other."""
    configure(pytester, {"prod": CLIENT | {"my_domain": host}})
    assert refused(pytester) == f"prod: my_domain is '{host}'; client credentials need the org's own host"
    assert salesforce.proxy.hosts == []


# Key files.


def certificate(key: KeyPair) -> bytes:
    """Return the certificate that belongs to a key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acme")])
    start = datetime(2026, 1, 5, tzinfo=timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.private.public_key(), 1, start, start + timedelta(days=365))
    return builder.sign(key.private, SHA256()).public_bytes(Encoding.PEM)


PASSPHRASE = BestAvailableEncryption(b"planted-passphrase")
KEY_FILES: dict[str, tuple[Callable[[KeyPair], bytes], str]] = {
    "text": (lambda _: b"To be done.\n", "is no private key in PEM format"),
    "empty": (lambda _: b"", "is no private key in PEM format"),
    "binary": (lambda _: b"\x30\x82\xff\x00" * 99, "is no private key in PEM format"),
    "DER": (
        lambda key: key.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),
        "is no private key in PEM format",
    ),
    "half": (lambda key: key.pem[: len(key.pem) // 2].encode(), "is no private key in PEM format"),
    "encrypted": (lambda key: pem(key.private, PASSPHRASE), "is encrypted; give it without a passphrase"),
    "encrypted as OpenSSL did": (
        lambda key: pem(key.private, PASSPHRASE, PrivateFormat.TraditionalOpenSSL),
        "is encrypted; give it without a passphrase",
    ),
    "EC": (lambda _: pem(generate_ec_key(SECP256R1())), "is no RSA key, which Salesforce needs (RS256)"),
    "certificate": (certificate, "is no private key in PEM format"),
}


@pytest.mark.parametrize(
    ("way", "name"),
    [
        *(("key file", name) for name in KEY_FILES),
        *(("key", name) for name in ("text", "encrypted", "EC", "certificate")),
    ],
)
def test_key_that_is_none(
    pytester: pytest.Pytester, org: FakeOrg, key: KeyPair, monkeypatch: pytest.MonkeyPatch, way: str, name: str
) -> None:
    """What is no key that can sign is one line that names the file, or the key of the configuration."""
    make, problem = KEY_FILES[name]
    content = make(key)
    path = pytester.path / "server.key"
    path.write_bytes(content)
    if way == "key":
        monkeypatch.setenv("CANDIDATE", content.decode())
    configure(pytester, {"prod": KEY_FILE if way == "key file" else KEY | {"private_key": "${CANDIDATE}"}})
    shown = f"private_key_file {path}" if way == "key file" else "private_key"
    assert refused(pytester) == f"prod: {shown}: {problem}"
    assert org.requests == []


@pytest.mark.parametrize(("path", "why"), [("none.key", "No such file"), (".", "Is a directory")])
def test_key_file_that_is_not_there(pytester: pytest.Pytester, org: FakeOrg, path: str, why: str) -> None:
    """A key file that cannot be read is one line that names it."""
    configure(pytester, {"prod": KEY_FILE | {"private_key_file": path}})
    assert refused(pytester).startswith(f"prod: private_key_file {pytester.path / path}: cannot be read: {why}")
    assert org.requests == []


def test_key_in_the_older_format(pytester: pytest.Pytester, org: FakeOrg, key: KeyPair) -> None:
    """A key as openssl genrsa wrote it signs too."""
    content = pem(key.private, form=PrivateFormat.TraditionalOpenSSL)
    (pytester.path / "server.key").write_bytes(content.replace(b"\n", b"\r\n"))
    configure(pytester, {"prod": KEY_FILE})
    assess(pytester)


# Secrets in plain text.


def plain_text(key: KeyPair) -> dict[str, Any]:
    """Return every login that can hold a secret, each in plain text."""
    return {
        "acme-prod": {"access_token": TOKEN, "instance_url": ACME},
        "signed": KEY | {"private_key": key.pem},
        "client.2": CLIENT | {"consumer_secret": "PlantedConsumerSecret"},
        "person": PASSWORD | {"password": "correct-horse", "security_token": "PlantedSecurityToken1"},
    }


PLAIN = [
    ("acme-prod", "access_token", "ACME_PROD_ACCESS_TOKEN"),
    ("signed", "private_key", "SIGNED_PRIVATE_KEY"),
    ("client.2", "consumer_secret", "CLIENT_2_CONSUMER_SECRET"),
    ("person", "password", "PERSON_PASSWORD"),
    ("person", "security_token", "PERSON_SECURITY_TOKEN"),
]
"""Org, key, and the variable that is to take what it says."""


def test_secret_in_plain_text(
    pytester: pytest.Pytester, org: FakeOrg, key: KeyPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret that stands in the configuration is noted with its line and what to write there, and never shown.

    What the note says to write there works, and is not noted.
    """
    said = plain_text(key)
    configure(pytester, said)
    lines = (pytester.path / "oauthcontrols.yaml").read_text("utf-8").splitlines()
    expected = []
    for name, secret, variable in PLAIN:
        start = lines.index(f"  {name}:")
        line = next(at for at in range(start, len(lines)) if lines[at].startswith(f"    {secret}:")) + 1
        expected.append(
            f"oauthcontrols.yaml:{line}: '{secret}' of {name} is in plain text: move it to an environment"
            f" variable and write '{secret}: ${{{variable}}}'"
        )
    arguments = ("-k=ca-pkce", *(f"--sf-org={name}" for name in said if name != "person"))
    found = run(pytester, *arguments, org="person")
    assert_nothing_secret(pytester, found)
    assert sorted(plain_notes(pytester)) == sorted(expected)
    assert sorted(line for line in found.output.splitlines() if "plain text" in line) == sorted(
        f"  note: {note}" for note in expected
    )
    for name, secret, variable in PLAIN:
        monkeypatch.setenv(variable, said[name][secret])
        said[name][secret] = f"${{{variable}}}"
    configure(pytester, said)
    found = run(pytester, *arguments, org="person")
    assert found.code == pytest.ExitCode.OK
    assert plain_notes(pytester) == []
    assert "plain text" not in found.output


def plain_notes(pytester: pytest.Pytester) -> list[str]:
    """Return the notes of the results file on secrets in plain text."""
    said = json.loads((pytester.path / "results.json").read_text("utf-8"))
    return [note for org in said["orgs"] for note in org["notes"] if "plain text" in note]


@pytest.mark.parametrize("way", ["password", "key file"])
def test_password_login_is_warned_of(pytester: pytest.Pytester, org: FakeOrg, way: str) -> None:
    """A login with a password says when that ends and what to use; no other way is noted."""
    configure(pytester, {"prod": EXCHANGED[way]})
    assessed = assess(pytester)
    warning = (
        "oauthcontrols.yaml:3: prod logs in with a password, which Salesforce retires in June 2027: use a JWT"
        " (private_key_file) or the Salesforce CLI (cli)"
    )
    assert assessed.notes == ([warning] if way == "password" else [])
    assert (f"  note: {warning}" in assessed.found.output.splitlines()) == (way == "password")


# What Salesforce refuses.


@pytest.mark.parametrize(
    ("way", "changed", "words"),
    [
        (
            "key file",
            {"username": "nobody@acme.example"},
            "invalid_grant: user hasn't approved this consumer; check that",
        ),
        ("key file", {"login": "test"}, "invalid_grant: audience is invalid; check that the app knows the certificate"),
        ("key", {"consumer_key": "3MVG9.Other"}, "invalid_grant: invalid assertion; check that the app knows"),
        ("client credentials", {"consumer_key": "3MVG9.Other"}, "invalid_client_id: client identifier invalid; check"),
        ("client credentials", {"consumer_secret": "Other"}, "invalid_client: invalid client credentials; check"),
        (
            "password",
            {"password": "Other"},
            "INVALID_LOGIN: Invalid username, password, security token; or user locked",
        ),
        ("password", {"security_token": "Other"}, "INVALID_LOGIN: Invalid username, password, security token;"),
        (
            "password",
            {"login": "test"},
            "INVALID_LOGIN: Invalid username, password, security token; or user locked out",
        ),
    ],
)
def test_login_that_is_refused(
    pytester: pytest.Pytester, org: FakeOrg, way: str, changed: dict[str, str], words: str
) -> None:
    """A login that is refused is one line with Salesforce's own words and advice, and is tried once only."""
    configure(pytester, {"prod": EXCHANGED[way] | changed})
    assert refused(pytester).startswith(f"prod: login failed: {words}")
    assert len(logins(org)) == len(org.requests) == 1


@pytest.mark.parametrize("way", EXCHANGED)
def test_refusal_that_repeats_the_secrets(pytester: pytest.Pytester, org: FakeOrg, way: str) -> None:
    """Salesforce's words are shown without any secret, should they repeat one."""
    secrets = {"password": SECRETS[3:5], "client credentials": SECRETS[5:]}.get(way, (os.environ["KEY"],))
    text = f"You sent {' '.join(secrets)} {TOKEN}, {JWT}"
    org.fail(
        "login" if way == "password" else "token", fault("ODD", text) if way == "password" else oauth_error("odd", text)
    )
    configure(pytester, {"prod": EXCHANGED[way]})
    message = refused(pytester)
    assert re.fullmatch(r"prod: login failed: odd: You sent (\*\*\* )+\*\*\*,? \*\*\*", message, re.IGNORECASE)


@pytest.mark.parametrize(
    "body",
    [
        *("", "{}", "[]", "null", "5", "no JSON", '{"access_token": null}', '{"access_token": "x"}'),
        *('{"access_token": 5, "instance_url": "https://acme.my.salesforce.com"}', '{"instance_url": "https://x"}'),
        '{"access_token": "x", "instance_url": 5}',
    ],
)
def test_token_answer_without_a_token(pytester: pytest.Pytester, org: FakeOrg, body: str) -> None:
    """A success that holds no token is one line."""
    org.fail("token", raw(200, "application/json", body))
    configure(pytester, {"prod": CLIENT})
    assert refused(pytester) == "prod: login failed: the answer holds no access token"


@pytest.mark.parametrize("address", ["https://[acme", "https://", "https://login.salesforce.com", "https://nobody@x"])
def test_token_answer_with_a_strange_address(pytester: pytest.Pytester, org: FakeOrg, address: str) -> None:
    """A token whose org has no address is one line, and the token is sent nowhere."""
    org.fail("token", raw(200, "application/json", json.dumps({"access_token": TOKEN, "instance_url": address})))
    configure(pytester, {"prod": KEY_FILE})
    assert refused(pytester).startswith("prod: ")
    assert len(org.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        *("", "no XML", "<half>", "<a/>", "<a><sessionId/><serverUrl/></a>", "<a><sessionId>x</sessionId></a>"),
        "<a><sessionId>x</sessionId><serverUrl>nowhere</serverUrl></a>",
        "<a><sessionId>x</sessionId><serverUrl>https://[acme/</serverUrl></a>",
        "<!DOCTYPE a [<!ENTITY b 'x'>]><a><sessionId>x</sessionId><serverUrl>https://x/</serverUrl></a>",
    ],
)
def test_password_answer_without_a_session(pytester: pytest.Pytester, org: FakeOrg, body: str) -> None:
    """A success that holds no session is one line."""
    org.fail("login", raw(200, "text/xml", body))
    configure(pytester, {"prod": PASSWORD})
    assert refused(pytester).startswith("prod: login failed: ")
    assert len(org.requests) == 1


@pytest.mark.parametrize("way", ["password", "key"])
def test_session_that_expires(pytester: pytest.Pytester, org: FakeOrg, way: str) -> None:
    """A session that ends while the org is read is renewed by another login, once."""
    org.fail("retrieve", fault("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader: Illegal Session"))
    configure(pytester, {"prod": EXCHANGED[way]})
    assess(pytester)
    assert len(logins(org)) == 2


def test_access_token_that_has_expired(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """A token that nobody can renew is one line that says how to get another."""
    org.expire()
    configure(pytester, {"prod": ACCESS_TOKEN})
    message = refused(pytester)
    assert message.startswith("prod: the access token has expired, or is none of this org (Invalid Session ID found")
    assert message.endswith("get a new one with 'sf org login web' and 'sf org auth show-access-token'")


# The Salesforce CLI.

STAND_IN = """#!PYTHON -IS
import json, os, sys, time
from pathlib import Path
folder = Path(__file__).parent
words = sys.argv[1:]
command = " ".join(words[:words.index("--target-org")])
asked = json.loads((folder / "asked.json").read_text())
answers = json.loads((folder / "answers.json").read_text())[command]
code, out, err, seconds = answers[min(len([one for one in asked if one[0] == command]), len(answers) - 1)]
quiet = {name: os.environ.get(name) for name in ("SF_DISABLE_TELEMETRY", "SF_SKIP_NEW_VERSION_CHECK", "FORCE_COLOR")}
asked.append([command, words, quiet])
(folder / "asked.json").write_text(json.dumps(asked))
sys.stdout.write(out)
sys.stdout.flush()
sys.stderr.write(err)
time.sleep(seconds)
sys.exit(code)
"""
SHOW = "org auth show-access-token"
DISPLAY = "org display"


class Said(NamedTuple):
    """What a command ends with."""

    code: int
    out: str
    err: str = ""
    seconds: float = 0


def result(**values: Any) -> Said:
    """Return the answer of a command that succeeds."""
    return Said(0, json.dumps({"status": 0, "result": values, "warnings": []}, indent=2) + "\n")


def display(token: str = REDACTED, url: str = ACME, **more: Any) -> Said:
    """Return what is shown of an org."""
    return result(id=ORG_ID, apiVersion="68.0", accessToken=token, instanceUrl=url, username="a@acme.example", **more)


def failure(name: str, message: str) -> Said:
    """Return the answer of a command that fails."""
    said = {"status": 1, "name": name, "message": message, "exitCode": 1, "warnings": [], "stack": f"{name}: at x"}
    return Said(1, json.dumps(said, indent=2))


UNKNOWN = Said(2, "", " >   Error: command org:auth:show-access-token not found\n")
"""The answer of a CLI to a command that is younger than it."""


class Cli:
    """A stand-in for the Salesforce CLI."""

    def __init__(self, folder: Path) -> None:
        self.program = folder / "sf"
        self._folder = folder
        self.program.write_text(STAND_IN.replace("PYTHON", sys.executable), "utf-8")
        self.program.chmod(0o755)
        (folder / "asked.json").write_text("[]")
        self.says(display(), result(accessToken=TOKEN))

    def says(self, shown: Said | list[Said], token: Said | list[Said] = UNKNOWN) -> None:
        """Set what its two commands answer; of several answers, the last stays."""
        answers = {
            command: [list(one) for one in (said if isinstance(said, list) else [said])]
            for command, said in ((DISPLAY, shown), (SHOW, token))
        }
        (self._folder / "answers.json").write_text(json.dumps(answers))

    @property
    def asked(self) -> list[Any]:
        """What it was asked: command, all words, and its environment."""
        asked: list[Any] = json.loads((self._folder / "asked.json").read_text())
        return asked

    @property
    def commands(self) -> list[str]:
        """The commands that it was given."""
        return [command for command, *_ in self.asked]


@pytest.fixture
def cli(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Put a Salesforce CLI first on PATH, a new one that is logged in."""
    if os.name == "nt":
        pytest.skip("the stand-in is a script, which only POSIX runs")
    folder = pytester.mkdir("bin")
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return Cli(folder)


@pytest.mark.parametrize(
    ("alias", "configured"),
    [
        *((one, False) for one in ("acme", "auditor@acme.example", "ACME Prod", "acme_1-2+3", "o'brien@acme.example")),
        ("auditor@acme.example", True),
    ],
)
def test_org_that_the_cli_knows(
    pytester: pytest.Pytester, org: FakeOrg, cli: Cli, alias: str, configured: bool
) -> None:
    """An alias or username that the CLI knows is an org, by that name or by one of the configuration."""
    if configured:
        configure(pytester, {"prod": {"cli": alias}})
    name = "prod" if configured else alias
    assessed = assess(pytester, "--sf-show-identities", org=name)
    said = assessed.org
    assert (said["name"], said["location"], said["org_id"], assessed.notes) == (name, ACME, ORG_ID, [])
    assert said["api_calls"] == len([asked for asked in org.requests if asked.action != "versions"])
    quiet = {"SF_DISABLE_TELEMETRY": "true", "SF_SKIP_NEW_VERSION_CHECK": "true", "FORCE_COLOR": "0"}
    assert cli.asked == [
        [command, [*command.split(), "--target-org", alias, "--json"], quiet] for command in (DISPLAY, SHOW)
    ]
    assert logins(org) == []


def test_configuration_goes_before_the_cli(pytester: pytest.Pytester, org: FakeOrg, cli: Cli) -> None:
    """A name that both know is the configuration's, and the CLI is not asked."""
    configure(pytester, {"acme": ACCESS_TOKEN})
    assess(pytester, org="acme")
    assert cli.asked == []


WARNING = "(node:4711) Warning: Plugin @acme/sf-tools is deprecated. [update]\n\n"


@pytest.mark.parametrize(
    ("shown", "token"),
    [
        (display(TOKEN), UNKNOWN),
        (display(TOKEN), Said(127, "", "sf: not a command")),
        (Said(0, WARNING + display().out), Said(0, WARNING + result(accessToken=TOKEN).out)),
        (display()._replace(err=f"{WARNING}{TOKEN}"), result(accessToken=TOKEN)),
        (display(url="https://acme.my.salesforce.com:443/"), result(accessToken=TOKEN)),
    ],
    ids=["older", "older-without-words", "plugin-warning", "warning-on-stderr", "port"],
)
def test_cli_of_another_kind(pytester: pytest.Pytester, org: FakeOrg, cli: Cli, shown: Said, token: Said) -> None:
    """CLIs before and after the token went to a command of its own are understood, whatever their plugins print."""
    cli.says(shown, token)
    assert assess(pytester, org="acme").org["org_id"] == ORG_ID


def test_cli_that_does_not_tell_the_org_id(pytester: pytest.Pytester, org: FakeOrg, cli: Cli) -> None:
    """The org's id is then that of the token."""
    cli.says(result(instanceUrl=ACME), result(accessToken=TOKEN))
    assert assess(pytester, org="acme").org["org_id"] == ORG_ID


LOGIN_AGAIN = "sf org login web --alias acme"


@pytest.mark.parametrize(
    ("shown", "token", "words"),
    [
        (
            failure("NamedOrgNotFoundError", "No authorization information found for acme."),
            UNKNOWN,
            f"knows no org called 'acme'; log in with '{LOGIN_AGAIN}', or say in oauthcontrols.yaml how to log in, or",
        ),
        (
            failure("RefreshTokenAuthError", "Error authenticating with the refresh token due to:\n expired token"),
            UNKNOWN,
            f"with the refresh token due to: expired token (RefreshTokenAuthError); log in with '{LOGIN_AGAIN}'",
        ),
        (Said(7, "Segmentation fault\n"), UNKNOWN, "it ended with status 7 and no JSON (NotUnderstood); log in with"),
        (Said(0, ""), UNKNOWN, "it ended with status 0 and no JSON (NotUnderstood)"),
        (Said(0, "{half"), UNKNOWN, "it ended with status 0 and no JSON (NotUnderstood)"),
        (Said(0, "{}"), UNKNOWN, "it ended with status 0 and no JSON (NotUnderstood)"),
        (Said(0, '{"status": 0, "result": []}'), UNKNOWN, "the Salesforce CLI cannot reach 'acme': "),
        (display(), UNKNOWN, "the Salesforce CLI shows no access token of 'acme'; update it (sf update), or log in"),
        (display(), result(accessToken=REDACTED), "the Salesforce CLI shows no access token of 'acme'"),
        (display(), result(accessToken=None), "the Salesforce CLI shows no access token of 'acme'"),
        (display(), result(accessToken=""), "the Salesforce CLI shows no access token of 'acme'"),
        (result(id=ORG_ID), result(accessToken=TOKEN), "the Salesforce CLI shows no access token of 'acme'"),
        (display(url="https://login.salesforce.com"), result(accessToken=TOKEN), "is where people log in, not the org"),
        (display(url="http://acme.my.salesforce.com"), result(accessToken=TOKEN), "is no address of an org"),
    ],
    ids=[
        *("not-found", "expired", "crash", "silent", "half", "no-status", "no-result", "redacted", "redacted-again"),
        *("no-token", "empty-token", "no-address", "login-host", "http"),
    ],
)
def test_cli_that_does_not_help(
    pytester: pytest.Pytester, org: FakeOrg, cli: Cli, shown: Said, token: Said, words: str
) -> None:
    """Whatever keeps the CLI from giving a token is one line, and nothing is sent."""
    cli.says(shown, token)
    assert words in refused(pytester, org="acme")
    assert org.requests == []


def test_error_of_the_cli_that_repeats_a_token(pytester: pytest.Pytester, org: FakeOrg, cli: Cli) -> None:
    """The CLI's words are shown without a token, should they repeat one."""
    cli.says(failure("ERROR_HTTP_420", f"request with {TOKEN} failed"))
    assert "ERROR_HTTP_420" in refused(pytester, org="acme")


def test_cli_that_hangs(pytester: pytest.Pytester, org: FakeOrg, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CLI that does not end is stopped, and the line says what to try."""
    monkeypatch.setattr(salesforce_cli, "TIMEOUT", 0.3)
    cli.says(display(TOKEN)._replace(seconds=60))
    started = time.monotonic()
    message = refused(pytester, org="acme")
    assert time.monotonic() - started < 5
    assert message == (
        "the Salesforce CLI said nothing about 'acme' for 0.3 s; try 'sf org display --target-org acme' by hand"
    )


def test_cli_whose_second_command_hangs(
    pytester: pytest.Pytester, org: FakeOrg, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command to try is one that exists."""
    monkeypatch.setattr(salesforce_cli, "TIMEOUT", 0.8)
    cli.says(display(), result(accessToken=TOKEN)._replace(seconds=60))
    assert "'sf org auth show-access-token --target-org acme'" in refused(pytester, org="acme")


@pytest.mark.parametrize("why", ["missing", "no program", "no interpreter", "empty"])
def test_cli_that_cannot_be_run(
    pytester: pytest.Pytester, org: FakeOrg, cli: Cli, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """A CLI that is not there, or that the system cannot run, is one line that says so."""
    monkeypatch.setenv("PATH", str(cli.program.parent))
    if why == "missing":
        cli.program.unlink()
    elif why == "no program":
        cli.program.chmod(0o644)
    else:
        cli.program.write_text("#!/nowhere/node\n" if why == "no interpreter" else "\0\0")
    message = refused(pytester, org="acme")
    if why in ("missing", "no program"):
        assert message == (
            "the Salesforce CLI (sf), which is asked for 'acme', is not installed; install it, or say in"
            " oauthcontrols.yaml how to log in, or give a path (./acme for a folder)"
        )
    else:
        assert f"the Salesforce CLI ({cli.program}) cannot be run: " in message
    assert cli.asked == []


@pytest.mark.parametrize("why", ["missing", "not found"])
def test_alias_of_the_configuration_that_the_cli_does_not_know(
    pytester: pytest.Pytester, org: FakeOrg, cli: Cli, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Of an org that the configuration names, it is the CLI that is said not to know it."""
    configure(pytester, {"prod": {"cli": "acme"}})
    if why == "missing":
        monkeypatch.setenv("PATH", str(pytester.mkdir("nothing")))
    else:
        cli.says(failure("NamedOrgNotFoundError", "No authorization information found for acme."))
    message = refused(pytester)
    asked = "(sf), which is asked for 'acme'" if why == "missing" else "knows no org called 'acme'"
    assert message.startswith(f"prod: the Salesforce CLI {asked}")


ALIASES = ["-x", "--help", "a;b", "a|b", "a&b", "$(id)", "`id`", 'a"b', "%PATH%", "a^b", "a\nb", " a"]


@pytest.mark.parametrize(
    ("alias", "configured"), [*((alias, False) for alias in ALIASES), ("-x", True), ("a;b", True), ("a/b", True)]
)
def test_alias_that_is_refused(pytester: pytest.Pytester, org: FakeOrg, cli: Cli, alias: str, configured: bool) -> None:
    """A name that a program could take for an option, or a shell for more than a name, reaches no program."""
    if configured:
        configure(pytester, {"prod": {"cli": alias}})
    message = refused(pytester, org="prod" if configured else alias)
    assert message.endswith("is no alias or username of the Salesforce CLI")
    assert cli.asked == []


def test_cli_is_asked_again_when_the_session_has_expired(pytester: pytest.Pytester, org: FakeOrg, cli: Cli) -> None:
    """The CLI, which keeps the token fresh, is asked once more when a token is refused."""
    org.token = NEWER_TOKEN
    cli.says(display(), [result(accessToken=TOKEN), result(accessToken=NEWER_TOKEN)])
    assert assess(pytester, org="acme").org["org_id"] == ORG_ID
    assert cli.commands == [DISPLAY, SHOW] * 2


def test_cli_whose_every_token_is_refused(pytester: pytest.Pytester, org: FakeOrg, cli: Cli) -> None:
    """A CLI whose second token is refused too is not asked a third time, and the line says to log in again."""
    org.token = NEWER_TOKEN
    message = refused(pytester, org="acme")
    assert message.startswith("acme: the session is refused right after logging in (Invalid Session ID found")
    assert message.endswith(f"; log in again: {LOGIN_AGAIN}")
    assert cli.commands == [DISPLAY, SHOW] * 2


def test_program_of_windows(pytester: pytest.Pytester, org: FakeOrg, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is whatever the system finds by the name of sf, such as sf.cmd, and is run by its path."""
    program = cli.program.rename(cli.program.with_name("sf.cmd"))
    which = shutil.which

    def found(name: str, *arguments: Any, **options: Any) -> str | None:
        return str(program) if name == "sf" else which(name, *arguments, **options)

    monkeypatch.setattr(shutil, "which", found)
    assert assess(pytester, org="acme").org["org_id"] == ORG_ID
    assert cli.commands == [DISPLAY, SHOW]


# The network.


@pytest.mark.parametrize(
    ("way", "place"), [("access token", "NETRC"), ("access token", "HOME"), ("client credentials", "NETRC")]
)
def test_netrc_does_not_replace_credentials(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch, way: str, place: str
) -> None:
    """A password that ~/.netrc has for the org's host is not sent in the place of the credentials."""
    home = pytester.mkdir("home")
    entries = "".join(
        f"machine {host} login planted password planted-netrc\n" for host in ("acme.my.salesforce.com", PRODUCTION)
    )
    (home / ".netrc").write_text(entries, "utf-8")
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.setenv(place, str(home / ".netrc" if place == "NETRC" else home))
    configure(pytester, {"prod": (EXCHANGED | {"access token": ACCESS_TOKEN})[way]})
    said = assess(pytester).org
    assert said["problems"] == []
    assert [asked.action for asked in org.requests].count("query:OauthToken") == 1


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of an authority that no certificate is from."""
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize(
    ("way", "bundle"),
    [
        ("access token", "stranger"),
        ("key file", "stranger"),
        ("password", "stranger"),
        ("access token", "missing"),
        ("access token", "no PEM"),
    ],
)
def test_certificate_that_is_not_trusted(
    pytester: pytest.Pytester,
    org: FakeOrg,
    stranger: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    bundle: str,
) -> None:
    """Where the bundle of authorities does not know the certificate, or is none, the line names its variable."""
    path = stranger if bundle == "stranger" else pytester.path / "ca.pem"
    if bundle == "no PEM":
        path.write_text("To be done.\n", "utf-8")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    configure(pytester, {"prod": (EXCHANGED | {"access token": ACCESS_TOKEN})[way]})
    message = refused(pytester)
    assert message.startswith("prod: ")
    assert "REQUESTS_CA_BUNDLE" in message
    if bundle == "stranger":
        assert "the certificate is not trusted; set REQUESTS_CA_BUNDLE to the file of the authority" in message
    assert org.requests == []


@pytest.mark.parametrize(
    ("way", "proxy"),
    [
        ("access token", "http://127.0.0.1:9"),
        ("key file", "http://127.0.0.1:9"),
        ("password", "http://planted:correct-horse@127.0.0.1:9"),
        ("access token", "http://["),
        ("access token", "http://"),
    ],
)
def test_proxy_that_is_down(
    pytester: pytest.Pytester, org: FakeOrg, monkeypatch: pytest.MonkeyPatch, way: str, proxy: str
) -> None:
    """A proxy that cannot be reached is one line that names its variable, and not the password in it."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    configure(pytester, {"prod": (EXCHANGED | {"access token": ACCESS_TOKEN})[way]})
    message = refused(pytester)
    assert message.startswith("prod: ")
    assert "check HTTPS_PROXY" in message or "and HTTPS_PROXY" in message
    assert org.requests == []


def test_proxy_that_refuses(pytester: pytest.Pytester, org: FakeOrg, salesforce: Emulator) -> None:
    """A proxy that does not let the org's host through is one line that names its variable."""
    configure(pytester, {"prod": ACCESS_TOKEN | {"instance_url": f"{ACME}:8443"}})
    message = refused(pytester)
    hosts, salesforce.proxy.hosts[:] = list(salesforce.proxy.hosts), []
    assert hosts == ["acme.my.salesforce.com:8443"]
    assert message == "prod: the proxy does not let it through; check HTTPS_PROXY"


# Progress.


def test_progress_that_is_no_terminal(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """Where nobody watches, one line says that the org is being read, another that it was, both before the header."""
    configure(pytester, {"prod": ACCESS_TOKEN})
    lines = assess(pytester).found.output.splitlines()
    reading = lines.index("oauthcontrols: reading prod ...")
    assert re.fullmatch(r"oauthcontrols: read in \d+ s", lines[reading + 1])
    assert [line for line in lines if line.startswith(("oauthcontrols: read", "reading"))] == lines[
        reading : reading + 2
    ]


def test_progress_of_several_orgs(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """The line names the orgs that are asked, and not those that are files."""
    written(pytester.path / "meta", {GOOD_PATH: GOOD})
    configure(pytester, {"prod": ACCESS_TOKEN, "files": {"source": "meta"}, "uat": KEY})
    found = run(
        pytester, "--sf-org=./meta", "--sf-org=files", "--sf-org=uat", "--sf-org=demo", "-k=ca-pkce", org="prod"
    )
    assert [line for line in found.output.splitlines() if line.startswith("oauthcontrols: reading")] == [
        "oauthcontrols: reading prod, uat ..."
    ]


def test_progress_of_a_reading_that_fails(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """A run that reads nothing does not say that it did."""
    configure(pytester, {"prod": PASSWORD | {"password": "Other"}})
    found = run(pytester, org="prod")
    usage_error(found)
    assert "oauthcontrols: reading prod ..." in found.output
    assert "oauthcontrols: read in" not in found.output


def test_no_progress_of_a_quiet_run(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """With -q nothing is said of the reading."""
    configure(pytester, {"prod": ACCESS_TOKEN})
    assert "oauthcontrols: read" not in assess(pytester, "-q").found.output


WAITS = """
from pytest_oauthcontrols.sources.live import metadata_api
metadata_api.FIRST_POLL = {}
"""
"""Lets the first look at a retrieve come sooner than for users."""


def in_terminal(pytester: pytest.Pytester, *arguments: str) -> str:
    """Run pytest in a terminal; return everything that it wrote there."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *arguments],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=pytester.path,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    ) as process:
        os.close(follower)
        content = b""
        try:
            while piece := os.read(leader, 1 << 16):
                content += piece
        except OSError:
            pass  # on Linux the end of the other side is an error
        finally:
            os.close(leader)
        process.wait(20)
    return content.decode()


def seen(content: str) -> list[str]:
    """Return the lines that are on a terminal in the end."""
    lines = []
    for line in re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", content).replace("\r\n", "\n").split("\n"):
        shown: list[str] = []
        for piece in line.split("\r"):
            shown[: len(piece)] = piece
        lines.append("".join(shown).rstrip())
    return lines


def test_progress_in_a_terminal(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """On a terminal one line says what is done and for how long, over and over, and is gone in the end."""
    pytester.makeconftest(WAITS.format(1.3))
    configure(pytester, {"prod": KEY})
    content = in_terminal(pytester, "--sf-org=prod", "-k", "ca-pkce")
    assert re.search(r"\rreading prod: retrieving \(0 s\) *\rreading prod: retrieving", content)
    assert "\rreading prod: retrieving (1 s)" in content
    lines = seen(content)
    assert [line for line in lines if "reading prod" in line or "read in" in line] == []
    first = next(line for line in lines if line)
    assert re.fullmatch("=+ test session starts =+", first)
    assert not any(secret in content for secret in SECRETS)


def test_progress_in_a_terminal_of_a_reading_that_fails(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """The line is gone too where the org cannot be read, and the error stands alone."""
    pytester.makeconftest(WAITS.format(0.5))
    org.failure = ("UNKNOWN_EXCEPTION", "An unexpected error occurred.")
    configure(pytester, {"prod": KEY})
    content = in_terminal(pytester, "--sf-org=prod")
    assert "\rreading prod: retrieving (0 s)" in content
    (line,) = [line for line in seen(content) if line]
    assert line.startswith("ERROR: prod: ")


def test_no_progress_in_a_terminal_with_q(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """With -q a terminal shows nothing of the reading either."""
    pytester.makeconftest(WAITS.format(0.5))
    configure(pytester, {"prod": KEY})
    assert "reading prod" not in in_terminal(pytester, "--sf-org=prod", "-q", "-k", "ca-pkce")


# Warnings.


def run_strictly(pytester: pytest.Pytester, *names: str) -> Outcome:
    """Assess orgs in a process in which every warning is an error."""
    pytester.makeconftest(WAITS.format(0.02))
    python = (sys.executable, "-W", "error", "-m", "pytest", "-W", "error")
    orgs = [f"--sf-org={name}" for name in names]
    return outcome(pytester, pytester.run(*python, *orgs, "--sf-json=results.json", "-k=ca-pkce"))


def test_no_warning(pytester: pytest.Pytester, org: FakeOrg, cli: Cli) -> None:
    """Where every warning is an error, each way to log in reads the org as ever."""
    configure(pytester, {**EXCHANGED, "access token": ACCESS_TOKEN, "command line": {"cli": "acme"}})
    found = run_strictly(pytester, *EXCHANGED, "access token", "command line")
    assert found.code == pytest.ExitCode.OK
    assert "6 passed" in found.output
    assert "warnings" not in found.output


@pytest.mark.parametrize("strictly", [False, True])
def test_no_warning_of_an_app_that_is_not_approved(
    pytester: pytest.Pytester, org: FakeOrg, strictly: bool, recwarn: pytest.WarningsRecorder
) -> None:
    """The warning that the library has for a user who did not approve the app is not shown: the line says it."""
    org.public_key = None
    configure(pytester, {"prod": KEY})
    found = run_strictly(pytester, "prod") if strictly else run(pytester, org="prod")
    message = usage_error(found)
    assert message.startswith(
        "prod: login failed: invalid_grant: user hasn't approved this consumer; check that the app"
    )
    assert "self-authorize" not in found.output
    assert [str(one.message) for one in recwarn] == []


def test_no_warning_of_a_short_key(pytester: pytest.Pytester, org: FakeOrg) -> None:
    """A key that is shorter than the libraries like is no warning of theirs: Salesforce says what it thinks of it."""
    short = generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  (that is the point)
    (pytester.path / "server.key").write_bytes(pem(short))
    configure(pytester, {"prod": KEY_FILE})
    assert usage_error(run_strictly(pytester, "prod")).startswith("prod: ")
