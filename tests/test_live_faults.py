"""What faults of live orgs come to: one clear line, the right exit code, and nothing half-read taken for whole."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, TypeAlias

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug import Response

from pytest_oauthcontrols.config.credentials import AccessToken
from pytest_oauthcontrols.decisions.assessment import SUITE_ID
from pytest_oauthcontrols.orgs.metadata_types import PERMISSIONS
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.evaluation import evaluate, subjects
from pytest_oauthcontrols.sources.live import metadata_api, transport
from pytest_oauthcontrols.sources.live.read import read_org
from pytest_oauthcontrols.sources.parallel import Patience
from pytest_oauthcontrols.sources.parser import MAX_FILE
from pytest_oauthcontrols.text import plain

from .support.hostile_files import LAUGHS
from .support.metadata_files import child, connected_app, xml
from .support.runs import Outcome, run, run_apart, usage_error
from .support.salesforce import (
    Answer,
    Call,
    Emulator,
    FakeOrg,
    Listed,
    component_id,
    cut,
    emulator,
    fault,
    hang,
    oauth_error,
    page,
    raw,
    redirect,
    reset,
    rest_error,
)

# Each fault is met by a whole run.
pytestmark = [pytest.mark.live, pytest.mark.slow]

ACME = "acme.my.salesforce.com"
WRONG_SECRET = "planted-wrong-3f61"  # noqa: S105  (stands in for what a user gets wrong)
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhY21lIn0.UGxhbnRlZA"
EVIL = "https://evil.example/services"
ROBOT = "robot@acme.example"

STOCK_SYNC = "connectedApps/Stock_Sync.connectedApp"
FILES = {
    STOCK_SYNC: connected_app(
        "<label>Stock Sync</label>\n<mobileAppConfig><devicePlatform>ios</devicePlatform></mobileAppConfig>\n"
        "<oauthConfig>\n<callbackUrl>https://stock.example/callback</callbackUrl>\n"
        "<isPkceRequired>true</isPkceRequired>\n</oauthConfig>"
    ),
    "externalClientApps/Courier.eca": xml(
        "ExternalClientApplication", "<distributionState>Local</distributionState><label>Courier</label>"
    ),
    "extlClntAppGlobalOauthSets/Courier_glbloauth.ecaGlblOauth": child(
        "ExtlClntAppGlobalOauthSettings",
        "Courier",
        "<callbackUrl>https://courier.example/callback</callbackUrl>"
        "<isClientCredentialsFlowEnabled>true</isClientCredentialsFlowEnabled><isPkceRequired>true</isPkceRequired>",
    ),
    "extlClntAppOauthSettings/Courier_oauth.ecaOauth": child(
        "ExtlClntAppOauthSettings", "Courier", "<commaSeparatedOauthScopes>Api</commaSeparatedOauthScopes>"
    ),
    "extlClntAppOauthPolicies/Courier_oauthPlcy.ecaOauthPlcy": child(
        "ExtlClntAppOauthConfigurablePolicies",
        "Courier",
        f"<clientCredentialsFlowUser>{ROBOT}</clientCredentialsFlowUser>"
        "<commaSeparatedPermissionSet>Courier</commaSeparatedPermissionSet>"
        "<isClientCredentialsFlowEnabled>true</isClientCredentialsFlowEnabled>"
        "<permittedUsersPolicyType>AdminApprovedPreAuthorized</permittedUsersPolicyType>",
    ),
    "settings/OauthOidc.settings": xml(
        "OauthOidcSettings",
        "<blockOAuthUnPwFlow>true</blockOAuthUnPwFlow><blockOAuthUsrAgtFlow>true</blockOAuthUsrAgtFlow>",
    ),
    "settings/ConnectedApp.settings": xml(
        "ConnectedAppSettings", "<enableAdminApprovedAppsOnly>true</enableAdminApprovedAppsOnly>"
    ),
    "settings/ExternalClientApp.settings": xml(
        "ExternalClientAppSettings",
        "<enableClientSecretInRestApiAccess>false</enableClientSecretInRestApiAccess>"
        "<enableConsumerSecretApiAccess>false</enableConsumerSecretApiAccess>",
    ),
    "settings/Security.settings": xml(
        "SecuritySettings",
        "<networkAccess><ipRanges><end>192.0.2.9</end><start>192.0.2.1</start></ipRanges></networkAccess>"
        "<sessionSettings><disableTimeoutWarning>true</disableTimeoutWarning>"
        "<forceLogoutOnSessionTimeout>true</forceLogoutOnSessionTimeout>"
        "<sessionTimeout>FifteenMinutes</sessionTimeout></sessionSettings>",
    ),
}
ROWS: dict[str, list[dict[str, Any]]] = {
    "OauthToken": [{"AppName": "Stock Sync", "users": 2}],
    "ConnectedApplication": [
        {
            "Id": component_id("ConnectedApp", "Stock_Sync"),
            "Name": "Stock Sync",
            "MobileSessionTimeout": "5",
            "PinLength": "8",
        }
    ],
    "PermissionSetAssignment": [
        {
            "Assignee": {"Username": ROBOT},
            "PermissionSet": {f"Permissions{name}": name in ("ApiEnabled", "ApiUserOnly") for name in PERMISSIONS},
        }
    ],
}
READING = [
    "versions",
    "retrieve",
    "query:OauthToken",
    "checkRetrieveStatus",
    "listMetadata",
    "query:ConnectedApplication",
    "composite:PermissionSetAssignment",
]
"""What is asked of an org that is fine."""

CLIENT = "{consumer_key: '${ACME_KEY}', consumer_secret: '${ACME_SECRET}', my_domain: acme.my.salesforce.com}"
PASSWORD = "{username: auditor@acme.example, password: '${ACME_PASSWORD}', security_token: '${ACME_SECURITY_TOKEN}'}"  # noqa: S105  (names variables)
ASSERTION = "{username: auditor@acme.example, consumer_key: '${ACME_KEY}', private_key_file: key.pem}"

QUERIED = {
    "query:OauthToken": (None, "sbs-oauth-001"),
    "composite:PermissionSetAssignment": ("Courier", "sbs-acs-008"),
    "query:ConnectedApplication": ("Stock_Sync", "ca-mobile-pin-length"),
}
"""Query to the app and control that it decides."""

Assess: TypeAlias = Callable[..., Outcome]
Verdicts: TypeAlias = dict[tuple[str | None, str], str]


@pytest.fixture(scope="module")
def key_pem() -> bytes:
    """Return a private key that signs assertions."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def whole() -> Verdicts:
    """Return app and control to verdict, as they are where nothing goes wrong."""
    with emulator() as emulated, pytest.MonkeyPatch.context() as patch:
        emulated.set_environment(patch)
        patch.setattr(metadata_api, "FIRST_POLL", 0.02)
        fine = fill(emulated.add(FakeOrg()))
        credentials = AccessToken(access_token=fine.token, instance_url=f"https://{ACME}")
        org = read_org("env", credentials, Patience(60), lambda _: None)
    assert (org.problems, org.notes) == ((), ())
    assert sorted(actions(fine)) == sorted(READING)
    return {
        (None if app is None else app.name, control.id): evaluate(control, app, org).verdict.value
        for app, control in subjects(org, load())
    }


def fill(org: FakeOrg) -> FakeOrg:
    """Put into an org what all tests have in it."""
    org.files = dict(FILES)
    org.rows = {name: [dict(row) for row in rows] for name, rows in ROWS.items()}
    return org


@pytest.fixture
def org(salesforce: Emulator, monkeypatch: pytest.MonkeyPatch) -> FakeOrg:
    """Return an org whose access token and other credentials are in the environment."""
    fine = fill(salesforce.add(FakeOrg()))
    monkeypatch.setenv("SF_ACCESS_TOKEN", fine.token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{ACME}")
    monkeypatch.setenv("ACME_KEY", fine.consumer_key)
    monkeypatch.setenv("ACME_SECRET", fine.consumer_secret)
    monkeypatch.setenv("ACME_PASSWORD", fine.password)
    monkeypatch.setenv("ACME_SECURITY_TOKEN", fine.security_token)
    return fine


@pytest.fixture
def assess(pytester: pytest.Pytester, salesforce: Emulator) -> Assess:
    """Return what assesses an org in this process, and checks that no secret is shown."""

    def assess(*arguments: str, org: str = "env") -> Outcome:
        found = run(pytester, *arguments, org=org)
        path = pytester.path / "results.json"
        shown = found.output + (path.read_text("utf-8") if path.exists() else "")
        secrets = {WRONG_SECRET}
        for one in salesforce.orgs:
            secrets |= {one.token, one.password, one.security_token, one.consumer_key, one.consumer_secret}
        assert [secret for secret in secrets if secret in shown] == []
        return found

    return assess


def configure(pytester: pytest.Pytester, **logins: str) -> None:
    """Write the configuration: how to log in to each org."""
    lines = "".join(f"  {name}: {login}\n" for name, login in logins.items())
    (pytester.path / "oauthcontrols.yaml").write_text(f"orgs:\n{lines}", "utf-8")


def actions(org: FakeOrg) -> list[str]:
    """Return what an org was asked for, in order."""
    return [asked.action for asked in org.requests]


def count(org: FakeOrg, action: str) -> int:
    """Return how often an org was asked for something."""
    return actions(org).count(action)


def said(pytester: pytest.Pytester, name: str = "env") -> dict[str, Any]:
    """Return what the results file says of an org itself."""
    document = json.loads((pytester.path / "results.json").read_text("utf-8"))
    (org,) = (one for one in document["orgs"] if one["name"] == name)
    return dict(org)


def assert_whole(found: Outcome, whole: Verdicts, pytester: pytest.Pytester, name: str = "env") -> None:
    """Check that an org was read as if nothing had gone wrong."""
    assert found.code == pytest.ExitCode.TESTS_FAILED
    assert found.verdicts == whole
    assert (said(pytester, name)["problems"], said(pytester, name)["notes"]) == ([], [])


def assert_nothing_is_better(
    found: Outcome, whole: Verdicts, *unread: tuple[str | None, str], read: Collection[tuple[str | None, str]] = ()
) -> None:
    """Check that no app is missing, and that nothing passes, or does not apply, that was not read.

    The controls in `unread` cannot be verified, though they were decided when all was well. Those in `read` pass by
    what was read, though they did not apply when all was well.
    """
    assert found.code == pytest.ExitCode.TESTS_FAILED
    assert {app for app, _ in whole} <= {app for app, _ in found.verdicts}
    known = {app for app, _ in whole}
    better = {
        one: verdict
        for one, verdict in found.verdicts.items()
        if whole.get(one) != verdict and (verdict == "pass" or (verdict == "not_applicable" and one[0] in known))
    }
    assert better == dict.fromkeys(read, "pass")
    assert {whole[one] for one in read} <= {"not_applicable"}
    for one in unread:
        assert whole[one] in ("pass", "fail")
        assert found.verdicts[one] == "unverifiable"


def failing_org(found: Outcome) -> str:
    """Return the message of the failing case of the org itself, a line of its own in the output."""
    assert found.code == pytest.ExitCode.TESTS_FAILED
    assert found.verdicts[None, "readable"] == "unverifiable"
    message = found.messages[None, "readable"]
    assert plain(message) in found.output.splitlines()
    return message.removeprefix("cannot be verified: ")


def then_normal(*answers: Answer) -> tuple[Answer, ...]:
    """Return answers, each with one between it and the next that is as always."""
    return tuple(each for answer in answers for each in (answer, normal))[:-1]


def normal(call: Call) -> Response:
    """Answer as always."""
    return call.answer()


def expire(call: Call) -> Response:
    """End the session, and answer as an org then does."""
    next(one for one in call.emulator.orgs if one.my_domain == call.request.host).expire()
    return call.answer()


EXPIRED = fault("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader: Illegal Session")
EXPIRED_REST = rest_error(401, "INVALID_SESSION_ID", "Session expired or invalid")


def expired(action: str) -> Answer:
    """Return the refusal of an expired session."""
    return EXPIRED_REST if action.startswith("query") else EXPIRED


# Logging in


def test_wrong_password_is_a_usage_error_that_warns_of_the_lockout(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password is tried once, for each try counts."""
    monkeypatch.setenv("ACME_PASSWORD", WRONG_SECRET)
    configure(pytester, acme=PASSWORD)
    message = usage_error(assess(org="acme"))
    assert message == (
        "acme: login failed: INVALID_LOGIN: Invalid username, password, security token; or user locked out.; check"
        " username, password and security token; every wrong try counts towards the user's lockout"
    )
    assert actions(org) == ["login"]


def test_soap_login_that_is_switched_off_is_a_usage_error_that_names_another_way(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess
) -> None:
    """An org without SOAP login says so, and the message says what to use."""
    text = "SOAP API login() is disabled by default in this org. Contact the org administrator"
    org.fail("login", fault("INVALID_OPERATION", text))
    configure(pytester, acme=PASSWORD)
    message = usage_error(assess(org="acme"))
    assert message.startswith(f"acme: login failed: INVALID_OPERATION: {text}; ")
    assert message.endswith("the org has SOAP login switched off; use a JWT (private_key_file)")
    assert actions(org) == ["login"]


def test_refused_assertion_is_a_usage_error_that_says_what_to_check(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, key_pem: bytes
) -> None:
    """The consumer key, which simple-salesforce would put into a warning, is not shown."""
    (pytester.path / "key.pem").write_bytes(key_pem)
    configure(pytester, acme=ASSERTION)
    found = assess(org="acme")
    assert usage_error(found) == (
        "acme: login failed: invalid_grant: user hasn't approved this consumer; check that the app knows the"
        " certificate, that the user is pre-authorized for it, and that login is 'test' for a sandbox"
    )
    assert "warning" not in found.output.lower()
    assert actions(org) == ["token"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "invalid_client: invalid client credentials; check consumer_key and consumer_secret, and that the app"),
        (oauth_error("invalid_grant", "user hasn't approved this consumer"), "invalid_grant: user hasn't approved"),
        (oauth_error("inactive_user", "user is inactive"), "inactive_user: user is inactive; the user is inactive"),
        (page(), "status 503 with a web page, as during maintenance; see https://status.salesforce.com and run again"),
        (redirect(EVIL), "HTTP_302: it sends on to evil.example"),
        (fault("SERVER_UNAVAILABLE", "down"), "SERVER_UNAVAILABLE: down; see https://status.salesforce.com"),
    ],
)
def test_refused_client_credentials_are_a_usage_error(
    pytester: pytest.Pytester,
    salesforce: Emulator,
    org: FakeOrg,
    assess: Assess,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer | None,
    words: str,
) -> None:
    """The reason is shown, and no warning with the consumer key in it."""
    if answer is None:
        monkeypatch.setenv("ACME_SECRET", WRONG_SECRET)
    else:
        org.fail("token", answer, always=True)
    configure(pytester, acme=CLIENT)
    found = assess(org="acme")
    assert usage_error(found).startswith(f"acme: login failed: {words}")
    assert "warning" not in found.output.lower()
    assert count(org, "token") == len(org.requests) == (4 if "status" in words else 1)
    assert set(salesforce.proxy.hosts) == {ACME}


NO_LOGIN = [
    "",
    "no XML",
    "<loginResponse><result>",
    "<loginResponse/>",
    "<loginResponse><result><sessionId>x</sessionId></result></loginResponse>",
    "<a><sessionId>x</sessionId><serverUrl>https://[</serverUrl></a>",
    "<a><sessionId>x</sessionId><serverUrl>nowhere</serverUrl></a>",
    f'<!DOCTYPE a [<!ENTITY lol0 "ha">{LAUGHS}]><a><sessionId>&lol9;</sessionId><serverUrl>x</serverUrl></a>',
]


@pytest.mark.parametrize("content", NO_LOGIN)
def test_answer_to_a_login_that_is_none_is_a_usage_error(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, content: str
) -> None:
    """Whatever the login host answers, there is one line, and the org is asked nothing."""
    org.fail("login", raw(200, "text/xml", content), always=True)
    configure(pytester, acme=PASSWORD)
    assert usage_error(assess(org="acme")).startswith("acme: login failed: the answer ")
    assert set(actions(org)) == {"login"}


NO_TOKEN = [
    "",
    "no JSON",
    "[]",
    "{}",
    '{"access_token": "x"}',
    '{"access_token": "", "instance_url": "https://acme.my.salesforce.com"}',
    '{"access_token": 5, "instance_url": "https://acme.my.salesforce.com"}',
    '{"access_token": {"a": 1}, "instance_url": "https://acme.my.salesforce.com"}',
    '{"access_token": "x", "instance_url": 5}',
    '{"access_token": "x", "instance_url": "https://["}',
    '{"access_token": "x", "instance_url": ""}',
    "[" * 100_000,
]


@pytest.mark.parametrize("content", NO_TOKEN, ids=range(len(NO_TOKEN)))
def test_answer_without_an_access_token_is_a_usage_error(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, content: str
) -> None:
    """Whatever the token endpoint answers, there is one line, and the org is asked nothing."""
    org.fail("token", raw(200, "application/json", content), always=True)
    configure(pytester, acme=CLIENT)
    assert usage_error(assess(org="acme")).startswith("acme: ")
    assert set(actions(org)) == {"token"}


@pytest.mark.parametrize(
    "address",
    [
        "https://[acme",
        "https://",
        "http://acme.my.salesforce.com",
        "https://login.salesforce.com",
        "https://acme.my.salesforce.com:99999",
    ],
)
def test_address_that_is_none_is_a_usage_error_that_names_it(
    salesforce: Emulator, org: FakeOrg, assess: Assess, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """An address without a host, or of no org, gets no access token."""
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", address)
    message = usage_error(assess())
    assert message.startswith("env: ")
    assert address in message
    assert "My Domain" in message
    assert (org.requests, salesforce.proxy.hosts) == ([], [])


# Sessions that expire


@pytest.mark.parametrize("action", ["retrieve", "checkRetrieveStatus", "listMetadata", "query:ConnectedApplication"])
def test_expired_session_is_renewed_once_and_the_org_is_read(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts, action: str
) -> None:
    """Where another login is possible, the reading goes on with the new access token."""
    before = org.token
    org.fail(action, expire)
    configure(pytester, acme=CLIENT)
    found = assess(org="acme")
    assert_whole(found, whole, pytester, "acme")
    assert sorted(actions(org)) == sorted(["token", *READING, action, "token"])
    assert org.token != before
    assert before not in found.output


@pytest.mark.parametrize("action", ["retrieve", "listMetadata", "query:ConnectedApplication"])
def test_session_that_is_refused_right_after_the_login_is_a_usage_error(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, action: str
) -> None:
    """There is one more login, not one after another."""
    org.fail(action, expired(action), always=True)
    configure(pytester, acme=CLIENT)
    message = usage_error(assess(org="acme"))
    assert message.startswith("acme: the session is refused right after logging in (")
    assert message.endswith("; the app's OAuth scopes must contain api")
    assert (count(org, "token"), count(org, action)) == (2, 2)


@pytest.mark.parametrize("action", ["retrieve", "checkRetrieveStatus", "query:OauthToken"])
def test_expired_access_token_is_a_usage_error_that_says_how_to_get_another(
    org: FakeOrg, assess: Assess, action: str
) -> None:
    """A bare access token cannot be renewed, and its org is not asked again."""
    org.fail(action, expired(action), always=True)
    message = usage_error(assess())
    assert message.startswith("env: the access token has expired, or is none of this org (")
    assert message.endswith("get a new one with 'sf org login web' and 'sf org auth show-access-token'")
    assert (actions(org)[-1], count(org, action)) == (action, 1)


def test_header_that_is_refused_is_a_usage_error_like_an_expired_token(org: FakeOrg, assess: Assess) -> None:
    """A broken access token has another code."""
    org.fail("query:OauthToken", rest_error(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE"), always=True)
    assert "INVALID_HEADER_TYPE" in usage_error(assess())
    assert count(org, "query:OauthToken") == 1


def test_login_that_fails_the_second_time_is_a_usage_error(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess
) -> None:
    """Where the app was blocked meanwhile, the message is that of the login."""
    org.fail("retrieve", expire)
    org.fail("token", normal, oauth_error("invalid_client", "app must be installed into org"))
    configure(pytester, acme=CLIENT)
    message = usage_error(assess(org="acme"))
    assert message.startswith("acme: login failed: invalid_client: app must be installed into org; check consumer_key")
    assert count(org, "token") == 2


def test_jwt_that_an_old_org_does_not_take_is_a_usage_error_that_says_so(
    org: FakeOrg, assess: Assess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Metadata API takes JWTs from version 68.0 on: it is not asked before."""
    org.token = JWT
    org.versions.remove("68.0")
    monkeypatch.setenv("SF_ACCESS_TOKEN", JWT)
    assert usage_error(assess()) == (
        "env: the access token is a JWT, which the Metadata API takes from API version 68.0 on, and this org has 67.0;"
        " log in through an app that issues opaque access tokens"
    )
    assert actions(org) == ["versions"]


def test_jwt_reads_a_new_org(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With version 68.0 a JWT is as good as any other access token."""
    org.token = JWT
    monkeypatch.setenv("SF_ACCESS_TOKEN", JWT)
    assert_whole(assess(), whole, pytester)


# Permissions and limits


FINAL = [
    (
        "INSUFFICIENT_ACCESS",
        "use of the Metadata API requires a user with the ModifyAllData or ModifyMetadata permissions",
        "the user needs API Enabled, Customize Application and Modify Metadata Through Metadata API Functions",
    ),
    (
        "REQUEST_LIMIT_EXCEEDED",
        "TotalRequests Limit exceeded.",
        "the org has used up its API requests of the last 24 hours; run again later",
    ),
    ("API_DISABLED_FOR_ORG", "The API is not enabled for this Organization.", "the org's edition has no API"),
    ("ORG_LOCKED", "The org is locked.", ""),
]


@pytest.mark.parametrize(("code", "text", "advice"), FINAL, ids=[one[0] for one in FINAL])
def test_what_no_repetition_mends_is_a_usage_error_after_one_request(
    org: FakeOrg, assess: Assess, code: str, text: str, advice: str
) -> None:
    """Salesforce's own words come first, then what to do."""
    org.fail("retrieve", fault(code, text), always=True)
    assert usage_error(assess()) == f"env: {code}: {text}" + (f"; {advice}" if advice else "")
    assert actions(org) == ["versions", "retrieve"]


def test_fault_that_repeats_the_token_is_shown_without_it(org: FakeOrg, assess: Assess) -> None:
    """What an answer repeats of the request is left out, and the rest of it is short."""
    org.fail("retrieve", fault("ORG_LOCKED", f"session {org.token} is\n" + "long " * 1000), always=True)
    message = usage_error(assess())
    assert message.startswith("env: ORG_LOCKED: session *** is long long")
    assert len(message) < 500


def test_refusal_that_repeats_a_secret_is_shown_without_it(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess
) -> None:
    """Secrets that look like any other word are left out too."""
    org.fail("token", oauth_error("invalid_client", f"no {org.consumer_key} with {org.consumer_secret} is known"))
    configure(pytester, acme=CLIENT)
    message = usage_error(assess(org="acme"))
    assert message.startswith("acme: login failed: invalid_client: no *** with *** is known; ")


REFUSED_QUERIES = {
    "limit": (
        rest_error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
        1,
        "REQUEST_LIMIT_EXCEEDED: ",
    ),
    "unknown": (rest_error(500, "UNKNOWN_EXCEPTION", "An unexpected error"), 2, "UNKNOWN_EXCEPTION: An unexpected"),
    "maintenance": (page(), 4, "status 503 with a web page, as during maintenance"),
    "unavailable": (rest_error(503, "SERVER_UNAVAILABLE", "down"), 4, "SERVER_UNAVAILABLE: down"),
    "reset": (reset(), 4, "the connection was "),
    "redirect": (redirect(EVIL), 1, "HTTP_302: it sends on to evil.example"),
    "half": (raw(200, "application/json", '{"totalSize": 1, "done": true, "rec'), 1, "the answer is no JSON, or was"),
    "list": (raw(200, "application/json", "[]"), 1, "the answer holds no records"),
    "deep": (raw(200, "application/json", "[" * 100_000), 1, "the answer is no JSON"),
    "deep refusal": (raw(400, "application/json", "[" * 100_000), 1, "HTTP_400"),
    "XML refusal": (raw(400, "text/xml", "<a"), 1, "HTTP_400"),
}


@pytest.mark.parametrize("what", REFUSED_QUERIES)
def test_refused_query_leaves_its_settings_unverifiable_and_the_rest_read(
    pytester: pytest.Pytester, salesforce: Emulator, org: FakeOrg, assess: Assess, whole: Verdicts, what: str
) -> None:
    """The reason is that of the refusal, and the org is not asked more often than makes sense."""
    answer, requests, words = REFUSED_QUERIES[what]
    query = "query:ConnectedApplication"
    org.fail(query, answer, always=True)
    found = assess()
    assert_nothing_is_better(found, whole, QUERIED[query])
    assert words in found.messages[QUERIED[query]]
    assert count(org, query) == requests
    # Those that the installed apps decide cannot be told either.
    changed = {one for one in whole if found.verdicts[one] != whole[one]}
    pins = {("Stock_Sync", f"ca-mobile-{name}") for name in ("pin", "pin-length", "pin-timeout")}
    assert changed == {*pins, (None, "sbs-oauth-001")}
    (note,) = said(pytester)["notes"]
    assert note.startswith("apps that no metadata shows may be missing: ConnectedApplication: ")
    assert words in note
    assert set(salesforce.proxy.hosts) == {ACME}


@pytest.mark.parametrize("query", QUERIED)
def test_each_query_that_is_refused_leaves_the_others_alone(
    org: FakeOrg, assess: Assess, whole: Verdicts, query: str
) -> None:
    """What hangs on one query is unverifiable, with the reason, and what hangs on another is not."""
    answer, requests, words = REFUSED_QUERIES["limit"]
    org.fail(query, answer, always=True)
    found = assess()
    assert_nothing_is_better(found, whole, QUERIED[query])
    assert words in found.messages[QUERIED[query]]
    assert count(org, query) == requests
    assert set(actions(org)) == set(READING)
    for other, decided in QUERIED.items():
        if other != query and not (query == "query:ConnectedApplication" and decided[0] is None):
            assert found.verdicts[decided] == whole[decided]


# What may pass


PASSING: dict[str, tuple[Answer, str]] = {
    "maintenance": (page(), "status 503 with a web page, as during maintenance; see https://status.salesforce.com"),
    "web page": (page(200), "status 200 with a web page, as during maintenance; see https://status.salesforce.com"),
    "bad message": (raw(400, "text/html", "<h1>Bad Message 400</h1>"), "BAD_MESSAGE: Bad Message 400"),
    "too many": (raw(429, "text/plain", "slow down"), "HTTP_429: "),
    "gateway": (raw(502, "text/plain", ""), "HTTP_502: "),
    "reset": (reset(), "the connection was "),
    "reset midway": (reset(midway=True), "the "),
    "cut": (cut(), "the answer was cut short; check the address, the network and HTTPS_PROXY"),
    "lock": (fault("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access"), "UNABLE_TO_LOCK_ROW: unable to obtain"),
    "unavailable": (fault("SERVER_UNAVAILABLE", "too busy"), "SERVER_UNAVAILABLE: too busy; see https://status.sales"),
}


@pytest.mark.parametrize("what", ["web page", "reset", "reset midway", "cut", "lock"])
def test_fault_that_passes_within_three_repetitions_leaves_no_trace(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts, what: str
) -> None:
    """The fourth answer is as good as the first."""
    org.fail("retrieve", *[PASSING[what][0]] * 3)
    assert_whole(assess(), whole, pytester)
    assert count(org, "retrieve") == 4


@pytest.mark.parametrize("what", PASSING)
def test_fault_that_persists_is_a_usage_error_after_four_requests(org: FakeOrg, assess: Assess, what: str) -> None:
    """The message says what was wrong the last time."""
    answer, words = PASSING[what]
    org.fail("retrieve", answer, always=True)
    assert usage_error(assess()).startswith(f"env: {words}")
    assert actions(org) == ["versions", *["retrieve"] * 4]


@pytest.mark.parametrize("action", ["versions", "checkRetrieveStatus", "listMetadata", "query:OauthToken"])
def test_fault_passes_wherever_it_happens(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts, action: str
) -> None:
    """Every request is repeated, not the retrieve alone."""
    org.fail(action, page(), page(), page())
    assert_whole(assess(), whole, pytester)
    assert sorted(actions(org)) == sorted([*READING, *[action] * 3])


@pytest.mark.parametrize("action", ["versions", "checkRetrieveStatus"])
@pytest.mark.parametrize("what", ["web page", "reset"])
def test_fault_that_persists_elsewhere_is_a_usage_error_too(
    org: FakeOrg, assess: Assess, action: str, what: str
) -> None:
    """An org whose versions, or whose retrieve, cannot be looked at cannot be read."""
    answer, words = PASSING[what]
    org.fail(action, answer, always=True)
    assert usage_error(assess()).startswith(f"env: {words}")
    assert (actions(org)[-1], count(org, action)) == (action, 4)


def test_unknown_exception_is_repeated_once_and_passes(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """Nobody knows what it is, so one more try is worth it."""
    org.fail("retrieve", fault("UNKNOWN_EXCEPTION", "An unexpected error occurred."))
    assert_whole(assess(), whole, pytester)
    assert count(org, "retrieve") == 2


def test_unknown_exception_that_persists_is_a_usage_error_after_two_requests(org: FakeOrg, assess: Assess) -> None:
    """More than one more try is not."""
    text = "An unexpected error occurred. Please include this ErrorId if you contact support: 1-2 (3)"
    org.fail("retrieve", fault("UNKNOWN_EXCEPTION", text), always=True)
    assert usage_error(assess()) == f"env: UNKNOWN_EXCEPTION: {text}"
    assert count(org, "retrieve") == 2


@pytest.mark.parametrize("action", ["versions", "retrieve", "checkRetrieveStatus"])
def test_redirect_to_another_host_is_a_usage_error_and_nothing_goes_there(
    salesforce: Emulator, org: FakeOrg, assess: Assess, action: str
) -> None:
    """The session id would go along."""
    org.fail(action, redirect(EVIL), always=True)
    assert usage_error(assess()) == "env: HTTP_302: it sends on to evil.example"
    assert count(org, action) == 1
    assert set(salesforce.proxy.hosts) == {ACME}


@pytest.mark.parametrize("location", ["https://[evil.example/", "https://evil.example:port/", ""])
@pytest.mark.parametrize("action", ["versions", "retrieve"])
def test_redirect_to_no_address_is_a_usage_error(
    salesforce: Emulator, org: FakeOrg, assess: Assess, action: str, location: str
) -> None:
    """Where it leads need not be an address."""

    def answer(_: Call) -> Response:
        return Located(location)

    org.fail(action, answer, always=True)
    assert usage_error(assess()).startswith("env: ")
    assert count(org, action) == 1
    assert set(salesforce.proxy.hosts) == {ACME}


class Located(Response):
    """A redirect whose address is sent as it is."""

    def __init__(self, location: str) -> None:
        super().__init__("", 302)
        self.sent = location

    def get_wsgi_headers(self, environ: Any) -> Any:
        """Return the headers, with an address that nobody has looked at."""
        headers = super().get_wsgi_headers(environ)
        headers["Location"] = self.sent
        return headers


# Time


@pytest.mark.parametrize("action", ["retrieve", "checkRetrieveStatus"])
def test_org_that_does_not_answer_is_a_usage_error_in_time(org: FakeOrg, assess: Assess, action: str) -> None:
    """The time that is allowed ends the waiting for an answer too."""
    org.fail(action, hang(60), always=True)
    message = usage_error(assess("--sf-timeout=1"))
    assert message == "env: no answer in time; check the address, the network and HTTPS_PROXY"
    assert 1 <= count(org, action) <= 2


def test_query_that_is_not_answered_is_repeated_and_then_left_alone(
    org: FakeOrg, assess: Assess, whole: Verdicts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer has a limit of its own, so that one hanging request does not take all the time."""
    monkeypatch.setattr(transport, "_READ", 0.1)
    monkeypatch.setattr(transport, "PAUSES", (0.01,))
    query = "query:ConnectedApplication"
    org.fail(query, hang(60), always=True)
    found = assess()
    assert_nothing_is_better(found, whole, QUERIED[query])
    assert "no answer in time" in found.messages[QUERIED[query]]
    assert count(org, query) == 2


def test_answer_that_trickles_is_a_usage_error_in_time(org: FakeOrg, assess: Assess) -> None:
    """A byte now and then is no answer, though no single wait is long."""
    sent: list[bytes] = []

    def trickle(call: Call) -> Response:
        def body() -> Iterator[bytes]:
            for _ in range(150):
                call.emulator.proxy.closing.wait(0.1)
                sent.append(b" ")
                yield b" "

        return Response(body(), headers={"Content-Length": "150"}, content_type="text/xml")

    org.fail("retrieve", trickle, always=True)
    assert usage_error(assess("--sf-timeout=1")).startswith("env: ")
    assert len(sent) < 150


def test_retrieve_that_never_ends_is_a_usage_error_that_names_the_option(org: FakeOrg, assess: Assess) -> None:
    """What is waited for, and how to wait longer; the org is looked at a few times only."""
    org.polls = 1_000_000
    assert usage_error(assess("--sf-timeout=1")) == (
        "env: the retrieve had not ended after 1 s (it is InProgress); run again, or allow more time with --sf-timeout"
    )
    assert 2 <= count(org, "checkRetrieveStatus") <= metadata_api.MOST_POLLS


def test_retrieve_that_takes_its_time_is_waited_for(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """A retrieve that has not ended at the first looks is read when it has."""
    org.polls = 2
    assert_whole(assess("--sf-timeout=5"), whole, pytester)
    assert (count(org, "retrieve"), count(org, "checkRetrieveStatus")) == (1, 3)


def test_retrieve_that_fails_is_a_usage_error_with_the_orgs_reason(org: FakeOrg, assess: Assess) -> None:
    """A retrieve that has failed is not asked for again."""
    org.failure = ("UNKNOWN_EXCEPTION", "INVALID_CROSS_REFERENCE_KEY: No package named 'Abacus' found")
    assert usage_error(assess()) == (
        "env: the retrieve ended as Failed: UNKNOWN_EXCEPTION INVALID_CROSS_REFERENCE_KEY: No package named 'Abacus'"
        " found"
    )
    assert (count(org, "retrieve"), count(org, "checkRetrieveStatus")) == (1, 1)


# The archive


def swapped(zip_file: bytes) -> Answer:
    """Answer as always, with something else in the place of the archive."""

    def answer(call: Call) -> Response:
        response = call.answer()
        response.set_data(re.sub(rb"<zipFile>[^<]*</zipFile>", zip_file, response.get_data()))
        return response

    return answer


INCOMPLETE: dict[str, tuple[Answer, ...]] = {
    # Repeated because the connection failed: by then the org has deleted the archive.
    "cut": (cut(), normal),
    "nil": (swapped(b'<zipFile xsi:nil="true"/>'),),
    "no zip": (swapped(b"<zipFile>R2FyYmFnZQ==</zipFile>"),),
    "no base64": (swapped(b"<zipFile>%%%% garbage %%%%</zipFile>"),),
}


@pytest.mark.parametrize("what", INCOMPLETE)
def test_archive_that_arrives_incomplete_once_is_retrieved_again(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts, what: str
) -> None:
    """The org keeps no archive that was fetched, so there is a new retrieve."""
    org.fail("checkRetrieveStatus", *INCOMPLETE[what])
    assert_whole(assess(), whole, pytester)
    assert count(org, "retrieve") == 2


@pytest.mark.parametrize("what", INCOMPLETE)
def test_archive_that_arrives_incomplete_twice_is_a_usage_error(org: FakeOrg, assess: Assess, what: str) -> None:
    """There is no third retrieve."""
    org.fail("checkRetrieveStatus", *INCOMPLETE[what], *INCOMPLETE[what], *INCOMPLETE[what])
    assert usage_error(assess()) == (
        "env: the archive of the retrieve arrived incomplete, twice; check the network and run again"
    )
    assert count(org, "retrieve") == 2


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def damaged(content: bytes, at: bytes) -> bytes:
    """Return a zip in which a byte after the first occurrence of a text is another."""
    place = content.index(at) + len(at) + 5
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def test_archive_that_is_truncated_is_a_usage_error(org: FakeOrg, assess: Assess) -> None:
    """A zip without its end is never read."""
    org.archive = zipped(FILES)[:-40]
    assert usage_error(assess()).startswith("env: the archive of the retrieve arrived incomplete, twice; ")
    assert count(org, "retrieve") == 2


def test_archive_that_is_no_zip_but_for_its_end_is_a_usage_error(org: FakeOrg, assess: Assess) -> None:
    """An end that belongs to nothing makes no zip."""
    content = zipped(FILES)
    org.archive = b"garbage" * 30 + content[content.rindex(b"PK\x05\x06") :]
    message = usage_error(assess())
    assert message.startswith("env: Metadata API: is no zip, or is cut short (")


@pytest.mark.parametrize(
    "name",
    [
        "../outside.connectedApp",
        "connectedApps/../../outside.connectedApp",
        "/etc/outside.eca",
        "C:/outside.eca",
        "..\\x",
    ],
)
def test_archive_with_a_name_that_leads_out_of_it_is_a_usage_error(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, name: str
) -> None:
    """Nothing is written, and no part of such an archive is believed."""
    org.archive = zipped({**FILES, name: FILES[STOCK_SYNC]})
    message = usage_error(assess())
    assert message.startswith("env: Metadata API: holds '")
    assert message.endswith("a name that leads out of the archive; it is not read")
    assert list(pytester.path.rglob("*outside*")) == []


BROKEN_MEMBERS = {
    "huge": ({STOCK_SYNC: b" " * (MAX_FILE + 1)}, "is larger than 8 MiB, which no metadata of an app is"),
    "entities": (
        {STOCK_SYNC: f'<!DOCTYPE a [<!ENTITY lol0 "ha">{LAUGHS}]><ConnectedApp>&lol9;</ConnectedApp>'.encode()},
        "Stock_Sync.connectedApp:1: ",
    ),
    "cut short": ({STOCK_SYNC: FILES[STOCK_SYNC][:-30]}, "not well-formed XML"),
    "empty": ({STOCK_SYNC: b""}, "not well-formed XML"),
}


@pytest.mark.parametrize("what", BROKEN_MEMBERS)
def test_member_that_cannot_be_read_is_a_failing_case_of_its_app(
    org: FakeOrg, assess: Assess, whole: Verdicts, what: str
) -> None:
    """The other apps are assessed."""
    members, words = BROKEN_MEMBERS[what]
    org.archive = zipped({**FILES, **members})
    assert_app_is_failing(assess(), whole, "Stock_Sync", words)


def test_member_that_is_damaged_is_a_failing_case_of_its_app(org: FakeOrg, assess: Assess, whole: Verdicts) -> None:
    """What the checksum does not confirm is not believed."""
    org.archive = damaged(zipped(FILES, zipfile.ZIP_STORED), b"<label>")
    assert_app_is_failing(assess(), whole, "Stock_Sync", "cannot be unpacked: Bad CRC-32")


def assert_app_is_failing(found: Outcome, whole: Verdicts, name: str, words: str) -> None:
    """Check that nothing of an app was read, that this is a failing case with the reason, and the rest was read."""
    assert_nothing_is_better(found, whole)
    assert {control: verdict for (app, control), verdict in found.verdicts.items() if app == name} == {
        "readable": "unverifiable"
    }
    message = found.messages[name, "readable"]
    assert words in message
    assert message in found.output.splitlines()
    others = {one: verdict for one, verdict in whole.items() if one[0] not in (name, None)}
    assert {one: found.verdicts[one] for one in others} == others


def test_archive_that_is_too_long_is_a_usage_error(
    org: FakeOrg, assess: Assess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer without end does not fill the memory."""
    monkeypatch.setattr(transport, "MAX_ANSWER", 1024 * 1024)
    org.archive = zipped({**FILES, "padding": os.urandom(1024 * 1024)})
    assert usage_error(assess()) == "env: more than 1 MiB"
    assert count(org, "checkRetrieveStatus") == 1


# What a retrieve says that it did not deliver


NOT_LOADED = (
    "Metadata API received improper input. Please ensure file name and capitalization is correct. Load of metadata from"
    " db failed for metadata of type:{} and file name:{}."
)
NAMED = ["Entity of type '{}' named '{}' cannot be found", NOT_LOADED]
DENIED = {
    "ExtlClntAppGlobalOauthSettings": [("Courier", "eca-pkce"), ("Courier", "eca-secret-web-server")],
    "ExtlClntAppOauthConfigurablePolicies": [("Courier", "sbs-acs-008"), ("Courier", "sbs-oauth-002")],
    "ExtlClntAppOauthSettings": [("Courier", "eca-scopes")],
}


def test_connected_apps_that_the_user_may_not_see_are_a_failing_case_of_the_org(
    org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """Which apps they are, nobody can tell, so the org stands for them."""
    org.denied_types = {"ConnectedApp"}
    found = assess()
    assert failing_org(found) == "Metadata API: You do not have the proper permissions to access ConnectedApp."
    # What is known of an app without its metadata passes nothing.
    shown = {
        one: verdict for one, verdict in found.verdicts.items() if one[0] == "Stock_Sync" or one[0] == "Stock Sync"
    }
    assert set(shown.values()) <= {"unverifiable"}
    others = {one: verdict for one, verdict in whole.items() if one[0] == "Courier"}
    assert {one: found.verdicts[one] for one in others} == others
    assert found.verdicts[None, "org-single-logout"] not in ("pass", "not_applicable")


def test_external_client_apps_that_the_user_may_not_see_are_a_failing_case_of_the_org(
    org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """An app of which only the settings arrived is not missing, though others may be."""
    org.denied_types = {"ExternalClientApplication"}
    found = assess()
    reason = "Metadata API: You do not have the proper permissions to access ExternalClientApplication."
    assert failing_org(found) == reason
    assert_nothing_is_better(found, whole)
    assert found.verdicts["Courier", "eca-pkce"] == whole["Courier", "eca-pkce"] == "pass"


@pytest.mark.parametrize("type_name", DENIED)
def test_settings_that_the_user_may_not_see_are_unverifiable(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts, type_name: str
) -> None:
    """The reason is the org's own, in each case that it concerns and in a note."""
    org.denied_types = {type_name}
    found = assess()
    reason = f"You do not have the proper permissions to access {type_name}."
    # The secret is required by default, whether or not the scopes, which the user may not see, allow refresh tokens.
    read = {("Courier", "eca-secret-refresh-token")} if type_name == "ExtlClntAppOauthSettings" else set()
    assert_nothing_is_better(found, whole, *DENIED[type_name], read=read)
    for one in DENIED[type_name]:
        assert reason in found.messages[one]
    assert f"Metadata API: {reason}" in said(pytester)["notes"]
    others = {one: verdict for one, verdict in whole.items() if one[0] == "Stock_Sync"}
    assert {one: found.verdicts[one] for one in others} == others


@pytest.mark.parametrize(
    "problem",
    [
        "You do not have the proper permissions to access Settings.",
        "You do not have the proper permissions to access CustomObject.",
        "Entity of type 'CustomObject' named 'Account' cannot be found",
        "Entity of type 'Settings' named 'Chatter' cannot be found",
        "Entity type 'CustomObject' is not available in this api version",
        NOT_LOADED.format("CustomObject", "Account"),
    ],
)
def test_message_about_another_type_takes_nothing_from_the_apps(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts, problem: str
) -> None:
    """It is noted, or is a failing case of the org, and the apps are assessed."""
    org.messages = [("unpackaged/package.xml", problem)]
    found = assess()
    assert_nothing_is_better(found, whole)
    org_said = said(pytester)
    assert [one for one in org_said["notes"] + org_said["problems"] if problem in one]
    apps = {one: verdict for one, verdict in whole.items() if one[0] is not None}
    assert {one: found.verdicts[one] for one in apps} == apps


@pytest.mark.parametrize("how", ["denied_types", "unknown_types"])
def test_org_settings_that_the_user_may_not_see_are_unverifiable(
    org: FakeOrg, assess: Assess, whole: Verdicts, how: str
) -> None:
    """No setting of the org passes, and the apps are assessed."""
    setattr(org, how, {"Settings"})
    found = assess()
    controls = ("org-oauth-oidc", "org-metadata-secrets", "org-rest-secrets", "org-session-timeout")
    assert_nothing_is_better(found, whole, *((None, control) for control in controls))
    assert "Settings" in found.messages[None, "org-oauth-oidc"]
    apps = {one for one in whole if one[0] is not None and found.verdicts[one] != whole[one]}
    assert apps == set()


def test_org_without_external_client_apps_is_read_with_a_note(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """An edition that does not have them has none: no failure, and nothing asked that the org would refuse."""
    for name in [name for name in org.files if "xtlClntApp" in name or name.endswith(".eca")]:
        del org.files[name]
    org.rows["PermissionSetAssignment"] = []
    names = ("ExternalClientApplication", "ExtlClntAppGlobalOauthSettings", "ExtlClntAppOauthSettings")
    org.unknown_types = {*names, "ExtlClntAppOauthConfigurablePolicies", "ExtlClntAppConfigurablePolicies"}
    found = assess()
    assert said(pytester)["problems"] == []
    for name in names:
        assert f"Metadata API: Entity type: '{name}' is unknown" in said(pytester)["notes"]
    assert {app for app, _ in found.verdicts} == {"Stock_Sync", None}
    assert (None, "readable") not in found.verdicts
    assert count(org, "listMetadata") <= 2
    others = {one: verdict for one, verdict in whole.items() if one[0] == "Stock_Sync"}
    assert {one: found.verdicts[one] for one in others} == others
    assert found.verdicts[None, "sbs-oauth-001"] == "pass"


@pytest.mark.parametrize(
    ("type_name", "problem", "listed"),
    [
        ("ConnectedApp", NAMED[0], True),
        ("ConnectedApp", NAMED[1], False),
        ("ExternalClientApplication", NAMED[0], False),
        ("ExternalClientApplication", NAMED[1], True),
    ],
)
def test_app_that_a_message_names_is_a_failing_case_with_the_message(
    org: FakeOrg, assess: Assess, whole: Verdicts, type_name: str, problem: str, *, listed: bool
) -> None:
    """The app exists, whether or not it is listed, and nothing of it was read."""
    text = problem.format(type_name, "Till_2.1")
    org.messages = [("unpackaged/package.xml", text)]
    org.listed = [Listed(type_name, "Till_2.1")] if listed else []
    assert_app_is_failing(assess(), whole, "Till_2.1", f"Metadata API: {text}")


@pytest.mark.parametrize("type_name", ["ConnectedApp", "ExternalClientApplication"])
def test_app_that_is_listed_and_did_not_arrive_is_a_failing_case(
    org: FakeOrg, assess: Assess, whole: Verdicts, type_name: str
) -> None:
    """The message says what the user needs."""
    org.listed = [Listed(type_name, "Till")]
    words = "Till exists, and the Metadata API did not deliver it; the user needs Manage Connected Apps"
    assert_app_is_failing(assess(), whole, "Till", words)


@pytest.mark.parametrize(
    ("type_name", "named"), [("ConnectedApp", False), ("ConnectedApp", True), ("ExternalClientApplication", False)]
)
def test_app_of_a_package_that_did_not_arrive_is_left_to_a_person(
    org: FakeOrg, assess: Assess, whole: Verdicts, type_name: str, *, named: bool
) -> None:
    """Its publisher alone can read it, so the case is skipped with where to look, and never passes."""
    org.listed = [Listed(type_name, "tlk__Till", "tlk", "installed")]
    org.messages = [("", NAMED[0].format(type_name, "tlk__Till"))] if named else []
    found = assess()
    assert_nothing_is_better(found, whole)
    of_till = {control: verdict for (app, control), verdict in found.verdicts.items() if app == "tlk__Till"}
    assert of_till == {"readable": "manual"}
    words = NAMED[0].format(type_name, "tlk__Till") if named else "Setup > Manage Connected Apps"
    assert words in found.messages["tlk__Till", "readable"]
    assert (None, "readable") not in found.verdicts


def test_oauth_settings_that_are_listed_and_did_not_arrive_are_unverifiable(
    org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """An app whose OAuth settings exist is not one without OAuth."""
    name = "extlClntAppGlobalOauthSets/Courier_glbloauth.ecaGlblOauth"
    del org.files[name]
    org.listed = [Listed("ExtlClntAppGlobalOauthSettings", "Courier_glbloauth")]
    found = assess()
    assert_nothing_is_better(found, whole, ("Courier", "eca-pkce"), ("Courier", "eca-secret-web-server"))
    assert "Courier_glbloauth exists, and the Metadata API did not deliver it" in found.messages["Courier", "eca-pkce"]


@pytest.mark.parametrize(
    "problem",
    [
        "Something else went wrong",
        "",
        "Entity type: 'ConnectedApp' is unknown",
        "\N{RIGHT-TO-LEFT OVERRIDE}egassem",
        "x" * 5000,
    ],
)
def test_message_that_nobody_understands_is_a_failing_case_of_the_org(
    org: FakeOrg, assess: Assess, whole: Verdicts, problem: str
) -> None:
    """What it is about, nobody can tell: it may be an app."""
    org.messages = [("unpackaged/package.xml", problem)]
    found = assess()
    assert_nothing_is_better(found, whole)
    message = failing_org(found)
    assert message.startswith("Metadata API: ")
    assert len(message) < 400
    apps = {one: verdict for one, verdict in whole.items() if one[0] is not None}
    assert {one: found.verdicts[one] for one in apps} == apps


# What exists


UNCOUNTED: dict[str, tuple[Answer, str]] = {
    "access": (fault("INSUFFICIENT_ACCESS", "no"), "INSUFFICIENT_ACCESS: no; the user needs API Enabled"),
    "redirect": (redirect(EVIL), "HTTP_302: it sends on to evil.example"),
    "cut": (cut(), "the answer was cut short"),
    "no XML": (raw(200, "text/xml", "listed: none"), "the answer is no XML, or was cut short"),
    "entities": (
        raw(200, "text/xml", f'<!DOCTYPE a [<!ENTITY lol0 "ha">{LAUGHS}]><a>&lol9;</a>'),
        "the answer ",
    ),
    "no list": (raw(200, "text/xml", "<status>fine</status>"), "the answer "),
    "other answer": (raw(200, "text/xml", "<a><retrieveResponse/></a>"), "the answer "),
}


@pytest.mark.parametrize("what", UNCOUNTED)
def test_apps_that_cannot_be_counted_are_a_failing_case_of_the_org(
    salesforce: Emulator, org: FakeOrg, assess: Assess, whole: Verdicts, what: str
) -> None:
    """Apps may be missing, so that has to be said."""
    answer, words = UNCOUNTED[what]
    org.fail("listMetadata", answer, always=True)
    found = assess()
    assert_nothing_is_better(found, whole)
    assert failing_org(found).startswith(
        f"Metadata API: the org's apps could not be counted, so some may be missing: {words}"
    )
    apps = {one: verdict for one, verdict in whole.items() if one[0] == "Stock_Sync"}
    assert {one: found.verdicts[one] for one in apps} == apps
    assert set(salesforce.proxy.hosts) == {ACME}


# API versions


def test_org_that_is_too_old_is_a_usage_error_that_says_which_version_is_needed(org: FakeOrg, assess: Assess) -> None:
    """Before 60.0 the metadata does not show what the controls ask for."""
    org.versions = [f"{number}.0" for number in range(50, 60)]
    assert usage_error(assess()) == (
        "env: the newest API version of this org is 59.0; 60.0 or later is needed to read it"
    )
    assert actions(org) == ["versions"]


def test_oldest_version_is_read(org: FakeOrg, assess: Assess, whole: Verdicts, pytester: pytest.Pytester) -> None:
    """What younger versions show is unverifiable, with that reason."""
    org.versions = ["59.0", "60.0"]
    found = assess()
    assert_nothing_is_better(found, whole)
    assert said(pytester)["api_version"] == "60.0"


def test_types_that_the_version_does_not_have_are_unverifiable_with_that_reason(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """An org of the release before last has no types of 67.0."""
    org.versions = [f"{number}.0" for number in range(60, 67)]
    secured = "extlClntAppOauthSecuritySettings/Courier_oauthSecurity.ecaOauthSecurity"
    org.files[secured] = child("ExtlClntAppOauthSecuritySettings", "Courier", "<tokenIpRanges/>")
    found = assess("--sf-snapshot=kept")
    assert_nothing_is_better(found, whole)
    assert said(pytester)["api_version"] == "66.0"
    reason = "API version 66.0, at which the org was read, does not have ExtlClntAppOauthSecuritySettings; 67.0 does"
    assert reason in (pytester.path / "kept" / "env.json").read_text("utf-8")
    assert "ExtlClntAppOauthSecuritySettings" not in "".join(org.sent)


NO_VERSIONS = [
    "",
    "no JSON",
    "null",
    "[]",
    "5",
    '["68.0"]',
    "[{}]",
    '[{"version": null}]',
    '[{"version": "newest"}]',
    '[{"version": "nan"}]',
    '[{"version": NaN}]',
    f'[{{"version": 1{"0" * 400}}}]',
    "[" * 100_000,
    "<versions/>",
]


@pytest.mark.parametrize("content", NO_VERSIONS, ids=range(len(NO_VERSIONS)))
def test_versions_that_cannot_be_read_are_a_usage_error(org: FakeOrg, assess: Assess, content: str) -> None:
    """Without a version nothing is asked."""
    org.fail("versions", raw(200, "application/json", content), always=True)
    assert usage_error(assess()) == "env: the list of API versions cannot be read"
    assert actions(org) == ["versions"]


UNSUPPORTED = fault("UNSUPPORTED_API_VERSION", "Invalid Api version specified on URL")


def test_version_that_is_turned_down_is_lowered_once(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess, whole: Verdicts
) -> None:
    """During an upgrade an org may list a version that it does not take yet."""
    org.fail("retrieve", UNSUPPORTED)
    found = assess()
    assert_nothing_is_better(found, whole)
    assert said(pytester)["api_version"] == "67.0"
    assert (None, "readable") not in found.verdicts
    paths = [asked.path for asked in org.requests if asked.action == "retrieve"]
    assert paths == ["/services/Soap/m/68.0", "/services/Soap/m/67.0"]
    assert "<version>67.0</version>" in "".join(org.sent)


def test_version_that_is_turned_down_twice_is_a_usage_error_that_says_so(org: FakeOrg, assess: Assess) -> None:
    """There is no third try."""
    org.fail("retrieve", UNSUPPORTED, always=True)
    message = usage_error(assess())
    assert message.startswith("env: UNSUPPORTED_API_VERSION: Invalid Api version specified on URL")
    assert count(org, "retrieve") == 2


def test_archive_that_is_cut_short_after_a_lowered_version_is_retrieved_again(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess
) -> None:
    """One has nothing to do with the other."""
    org.fail("retrieve", UNSUPPORTED)
    org.fail("checkRetrieveStatus", *INCOMPLETE["no zip"])
    assert assess().code == pytest.ExitCode.TESTS_FAILED
    assert said(pytester)["problems"] == []
    assert count(org, "retrieve") == 3


# Answers that are none


BOMB = f'<!DOCTYPE a [<!ENTITY lol0 "ha">{LAUGHS}]><a><id>&lol9;</id></a>'
NO_ANSWERS = {
    "empty": ("", "the answer is no XML, or was cut short"),
    "text": ("All is well.", "the answer is no XML, or was cut short"),
    "truncated": ("<Envelope><Body><retrieveResponse><result><id>09S5g0000000", "the answer is no XML, or was cut"),
    "entities": (BOMB, "the answer "),
    "external entity": (
        '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a><id>&e;</id></a>',
        "the answer declares a document type, which Salesforce's never do",
    ),
    "external type": (
        f'<!DOCTYPE a SYSTEM "{EVIL}"><a><id>09S5g0000000001EAA</id></a>',
        "the answer declares a document type, which Salesforce's never do",
    ),
    "strange encoding": ('<?xml version="1.0" encoding="klingon"?><a/>', "the answer is no XML, or was cut short"),
    "deep": ("<a>" * 5000, "the answer is no XML, or was cut short"),
}


@pytest.mark.parametrize(
    ("action", "what"),
    [*(("retrieve", what) for what in NO_ANSWERS), *(("checkRetrieveStatus", what) for what in ("empty", "entities"))],
)
def test_answer_that_is_none_is_a_usage_error(
    salesforce: Emulator, org: FakeOrg, assess: Assess, action: str, what: str
) -> None:
    """What cannot be parsed is not asked for again, and nothing in it is followed."""
    content, words = NO_ANSWERS[what]
    org.fail(action, raw(200, "text/xml", content), always=True)
    assert usage_error(assess()).startswith(f"env: {words}")
    assert count(org, action) == 1
    assert set(salesforce.proxy.hosts) == {ACME}


@pytest.mark.parametrize(
    "content", ["<retrieveResponse/>", "<a><id/></a>", "<a><id>&lt;x/&gt;</id></a>", "<a><id>../../services</id></a>"]
)
def test_answer_that_names_no_process_is_a_usage_error(org: FakeOrg, assess: Assess, content: str) -> None:
    """What is no id is not sent back as one."""
    org.fail("retrieve", raw(200, "text/xml", content), always=True)
    assert usage_error(assess()) == "env: the answer to the retrieve names no process"
    assert actions(org) == ["versions", "retrieve"]


@pytest.mark.parametrize("content", ["", "no XML", "<a", "<a/>", BOMB, "[" * 100_000, '[{"errorCode": 5}]', "[5]"])
def test_failure_without_a_reason_is_a_usage_error_with_the_status(org: FakeOrg, assess: Assess, content: str) -> None:
    """A status is all there is to say."""
    org.fail("retrieve", raw(500, "text/xml", content), always=True)
    message = usage_error(assess())
    assert message.startswith(("env: HTTP_500: ", "env: 5"))
    assert count(org, "retrieve") == 1


LEADING_AWAY = [
    "@evil.example/services/data",
    ".evil.example/services",
    ":8443@evil.example/",
    ":8443/services",
    "@[evil",
]


@pytest.mark.parametrize("url", LEADING_AWAY)
def test_next_page_at_another_host_is_not_fetched(salesforce: Emulator, org: FakeOrg, assess: Assess, url: str) -> None:
    """An address that is put together with what an answer says leads to the org or nowhere."""
    body = json.dumps({"totalSize": 9, "done": False, "nextRecordsUrl": url, "records": ROWS["ConnectedApplication"]})
    org.fail("query:ConnectedApplication", raw(200, "application/json", body), always=True)
    found = assess()
    assert set(salesforce.proxy.hosts) == {ACME}
    assert count(org, "query:ConnectedApplication") == 1
    if found.code == pytest.ExitCode.USAGE_ERROR:
        assert "which is not the org" in usage_error(found)
    else:
        assert found.verdicts[None, "sbs-oauth-001"] == "unverifiable"


PAGES: list[Any] = [
    {"totalSize": 9, "done": False, "records": ROWS["ConnectedApplication"]},
    {"totalSize": 9, "done": False, "nextRecordsUrl": None, "records": ROWS["ConnectedApplication"]},
    {"totalSize": 9, "done": False, "nextRecordsUrl": "/services/data/v68.0/query/01g000-1", "records": [None, 5, "x"]},
    {"totalSize": 9, "done": False, "nextRecordsUrl": "/services/data/v68.0/query/01g000-1", "records": []},
]


@pytest.mark.parametrize("first", PAGES, ids=range(len(PAGES)))
def test_page_that_is_missing_leaves_the_settings_unverifiable(
    org: FakeOrg, assess: Assess, whole: Verdicts, first: Any
) -> None:
    """Half of the records are never taken for all of them."""
    org.fail("query:ConnectedApplication", raw(200, "application/json", json.dumps(first)))
    org.fail("query:unknown", rest_error(400, "INVALID_QUERY_LOCATOR", "invalid query locator"), always=True)
    found = assess()
    assert_nothing_is_better(found, whole, (None, "sbs-oauth-001"))


def test_pages_without_end_are_given_up(org: FakeOrg, assess: Assess, whole: Verdicts) -> None:
    """A page whose next one is itself does not take up the org's API requests."""

    def answer(call: Call) -> Response:
        # It does end, so that a reader without a limit fails instead of hanging.
        done = count(org, "query:OauthToken") > 50
        body = {"totalSize": 9, "done": done, "nextRecordsUrl": call.request.path, "records": [{"AppName": "Courier"}]}
        return Response(json.dumps(body), content_type="application/json")

    def first(call: Call) -> Response:
        response = call.answer()
        said = json.loads(response.get_data()) | {"done": False}
        response.set_data(json.dumps({**said, "nextRecordsUrl": "/services/data/v68.0/query/01g5g0000000001AAA-1"}))
        return response

    org.fail("query:OauthToken", first)
    org.fail("query:OauthToken", answer, always=True)
    found = assess()
    assert_nothing_is_better(found, whole, (None, "sbs-oauth-001"))
    assert "to spare the org's API requests" in found.messages[None, "sbs-oauth-001"]
    assert 2 < count(org, "query:OauthToken") < 12


STRANGE_ROWS: list[dict[str, Any]] = [
    {"Id": 5, "Name": ["a"], "PinLength": {}},
    {"Id": None, "Name": "Stock Sync", "MobileSessionTimeout": "9" * 5000, "PinLength": "9" * 5000},
    {"Id": "", "Name": "Stock Sync", "MobileSessionTimeout": "\u0663", "PinLength": "\u00b2"},
    {"Id": "", "Name": "Stock Sync", "MobileSessionTimeout": True, "PinLength": -1.5},
    {"Name": "\ud800\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}\n" + "x" * 3000},
]


@pytest.mark.parametrize("row", STRANGE_ROWS, ids=range(len(STRANGE_ROWS)))
def test_strange_values_of_records_pass_nothing(
    org: FakeOrg, assess: Assess, whole: Verdicts, row: dict[str, Any]
) -> None:
    """What is no number decides nothing, and what is no text is shown as if it were one."""
    org.rows["ConnectedApplication"] = [row]
    found = assess()
    assert_nothing_is_better(found, whole)
    assert found.verdicts["Stock_Sync", "ca-mobile-pin-length"] != "pass"


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("OauthToken", {"AppName": 5, "users": "many"}),
        ("PermissionSetAssignment", {"Assignee": 5, "PermissionSet": []}),
        ("PermissionSetAssignment", {"Assignee": {"Username": ROBOT}, "PermissionSet": {}}),
    ],
)
def test_strange_records_of_other_queries_pass_nothing(
    org: FakeOrg, assess: Assess, whole: Verdicts, name: str, row: dict[str, Any]
) -> None:
    """A record without what was asked for is none."""
    org.rows[name] = [row]
    found = assess()
    if name == "PermissionSetAssignment":
        assert_nothing_is_better(found, whole, ("Courier", "sbs-acs-008"))
    assert found.code == pytest.ExitCode.TESTS_FAILED


# Nothing to assess


def test_org_without_apps_is_assessed_by_its_own_controls(
    pytester: pytest.Pytester, org: FakeOrg, assess: Assess
) -> None:
    """No app is no failure; whose tokens and permissions the user sees then cannot be told, which is one."""
    org.files = {name: content for name, content in org.files.items() if name.startswith("settings/")}
    org.rows = {}
    found = assess()
    assert "env: 0 apps" in found.output
    assert {app for app, _ in found.verdicts} == {None}
    assert (said(pytester)["apps"], said(pytester)["problems"], said(pytester)["notes"]) == (0, [], [])
    failing = {control for (_, control), verdict in found.verdicts.items() if verdict in ("fail", "unverifiable")}
    assert failing == {"sbs-oauth-001", "sbs-acs-002", "sbs-acs-003", "sbs-acs-006"}
    assert found.code == pytest.ExitCode.TESTS_FAILED
    assert assess("-k", "not sbs-oauth-001 and not sbs-acs").code == pytest.ExitCode.OK


# Interruptions


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent an interrupt alone")
@pytest.mark.parametrize("hangs", [False, True])
def test_interrupt_ends_the_reading_at_once(pytester: pytest.Pytester, org: FakeOrg, *, hangs: bool) -> None:
    """Ctrl-C while the org is waited for ends the run as Ctrl-C does, and asks nothing more."""
    org.polls = 1_000_000
    if hangs:
        org.fail("checkRetrieveStatus", hang(60), always=True)
    awaited = {"checkRetrieveStatus"} if hangs else {"query:OauthToken", "listMetadata"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--sf-org=env", "--sf-json=results.json"]
    with subprocess.Popen(
        command, cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    ) as process:
        try:
            deadline = time.monotonic() + 20
            while not awaited <= set(actions(org)):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            shown, _ = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in shown
    assert "Traceback" not in shown
    assert org.token not in shown
    assert not (pytester.path / "results.json").exists()
    assert count(org, "checkRetrieveStatus") == hangs


# Several orgs


def add_others(
    pytester: pytest.Pytester, salesforce: Emulator, monkeypatch: pytest.MonkeyPatch, *names: str
) -> list[FakeOrg]:
    """Return orgs that the configuration names, each with an access token of its own."""
    orgs, logins = [], {}
    for number, name in enumerate(names):
        one = fill(salesforce.add(FakeOrg(f"{name}.my.salesforce.com", f"00D5g00000{number}XyzAEAS")))
        one.token = f"00D5g00000{number}Xyz!Planted.Token.Of.{name}"
        monkeypatch.setenv(f"{name.upper()}_TOKEN", one.token)
        logins[name] = f"{{access_token: '${{{name.upper()}_TOKEN}}', instance_url: https://{one.my_domain}}}"
        orgs.append(one)
    configure(pytester, **logins)
    return orgs


def test_org_that_cannot_be_read_is_a_failing_case_beside_the_others(
    pytester: pytest.Pytester, salesforce: Emulator, assess: Assess, monkeypatch: pytest.MonkeyPatch, whole: Verdicts
) -> None:
    """The others are assessed in full, and the case says why it is not."""
    _, east, _ = add_others(pytester, salesforce, monkeypatch, "north", "east", "south")
    east.fail("retrieve", fault("INSUFFICIENT_ACCESS", "no"), always=True)
    found = assess("--sf-org=east", "--sf-org=south", org="north")
    assert found.code == pytest.ExitCode.TESTS_FAILED
    rows = json.loads((pytester.path / "results.json").read_text("utf-8"))["results"]
    for name in ("north", "south"):
        assert {(row["app"], row["control"]): row["verdict"] for row in rows if row["org"] == name} == whole
    (row,) = (row for row in rows if row["org"] == "east")
    assert row["node_id"] == f"{SUITE_ID}::test_org_control[east-readable]"
    assert row["verdict"] == "unverifiable"
    assert row["message"].startswith("cannot be verified: east: INSUFFICIENT_ACCESS: no; the user needs API Enabled")
    assert row["message"] in found.output.splitlines()
    assert "east: could not be read, so nothing of it was assessed" in found.output.splitlines()
    assert said(pytester, "east")["problems"] == [row["message"].removeprefix("cannot be verified: ")]


def test_orgs_none_of_which_can_be_read_are_a_usage_error_with_all_reasons(
    pytester: pytest.Pytester, salesforce: Emulator, assess: Assess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line names each org and what is wrong with it."""
    north, east = add_others(pytester, salesforce, monkeypatch, "north", "east")
    north.fail("retrieve", fault("REQUEST_LIMIT_EXCEEDED", "gone"), always=True)
    east.fail("versions", page(), always=True)
    message = usage_error(assess("--sf-org=east", "--sf-org=./nowhere", org="north"))
    assert re.fullmatch(
        r"north: REQUEST_LIMIT_EXCEEDED: gone; .+; east: status 503 with a web page, .+; \./nowhere: there is no .+",
        message,
    )


def test_org_that_cannot_be_read_leaves_files_alone(pytester: pytest.Pytester, org: FakeOrg, assess: Assess) -> None:
    """A live org that is down beside the sample org."""
    org.fail("retrieve", page(), always=True)
    found = assess("--sf-org=env", org="demo")
    assert found.messages[None, "readable"].startswith("cannot be verified: env: status 503 with a web page")
    assert found.verdicts["Nightly_ETL", "ca-pkce"] in ("pass", "fail")


def test_orgs_are_read_at_the_same_time(
    pytester: pytest.Pytester, salesforce: Emulator, assess: Assess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each org answers only when all have been asked, which one after the other they never would be."""
    orgs = add_others(pytester, salesforce, monkeypatch, "north", "east", "south")
    together = threading.Barrier(len(orgs))
    met: list[str] = []

    def answer(call: Call) -> Response:
        together.wait(20)
        met.append(call.request.host)
        return call.answer()

    for one in orgs:
        one.fail("retrieve", answer)
    assert assess("--sf-org=east", "--sf-org=south", org="north").code == pytest.ExitCode.TESTS_FAILED
    assert sorted(met) == sorted(one.my_domain for one in orgs)


def test_org_that_hangs_keeps_no_other_from_being_assessed(
    pytester: pytest.Pytester,
    salesforce: Emulator,
    assess: Assess,
    monkeypatch: pytest.MonkeyPatch,
    whole: Verdicts,
) -> None:
    """What was read is assessed when the other has been given up."""
    monkeypatch.setattr(transport, "_READ", 0.1)
    monkeypatch.setattr(transport, "PAUSES", (0.01,))
    _, east = add_others(pytester, salesforce, monkeypatch, "north", "east")
    east.fail("retrieve", hang(60), always=True)
    found = assess("--sf-org=east", org="north")
    assert "cannot be verified: east: no answer in time" in found.messages[None, "readable"]
    assert {**found.verdicts, (None, "readable"): "unverifiable"} == {**whole, (None, "readable"): "unverifiable"}


@pytest.mark.parametrize("fails", [False, True])
def test_workers_of_a_distributed_run_read_nothing_themselves(
    pytester: pytest.Pytester, org: FakeOrg, whole: Verdicts, *, fails: bool
) -> None:
    """The org is read once, or fails once, however many workers there are."""
    if fails:
        org.fail("retrieve", fault("INSUFFICIENT_ACCESS", "no"), always=True)
        assert usage_error(run_apart(pytester, "-n2", "-p", "no:cacheprovider", org="env")).startswith(
            "env: INSUFFICIENT_ACCESS: no; "
        )
        assert actions(org) == ["versions", "retrieve"]
    else:
        assert_whole(run_apart(pytester, "-n2", "-p", "no:cacheprovider", org="env"), whole, pytester)
        assert sorted(actions(org)) == sorted(READING)
