"""What a control says of an app: every state that a setting can be in, and how a finding is put into words."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    GLOBAL_OAUTH,
    METADATA_TYPES,
    OAUTH,
    OAUTH_POLICIES,
    ORG,
)
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.reports.wording import describe
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import Control, Verdict
from pytest_oauthcontrols.rules.control_file import parse_control
from pytest_oauthcontrols.rules.evaluation import evaluate, subjects
from pytest_oauthcontrols.rules.finding import READABLE, Finding
from pytest_oauthcontrols.rules.truth import FALSE, FALSE_BY_DEFAULT, TRUE, TRUE_BY_DEFAULT, UNKNOWN, Truth
from pytest_oauthcontrols.sources import read
from pytest_oauthcontrols.text import plain

from .support.examples import Example, examples
from .support.orgs import TAKEN_AT
from .support.results import explained

CA = "ConnectedApp"
ECA = "ExternalClientApplication"
SAML_POLICIES = "ExtlClntAppSamlConfigurablePolicies"
CA_FILE = "ConnectedApp/App.connectedApp"

PASS, FAIL, MANUAL, UNVERIFIABLE = Verdict.PASS, Verdict.FAIL, Verdict.MANUAL, Verdict.UNVERIFIABLE
NOT_APPLICABLE = Verdict.NOT_APPLICABLE

CATALOGUE = load()
CONTROLS = {control.id: control for control in CATALOGUE.controls}

Said = dict[str, Any]
"""What an org consists of, as the examples have it: metadata type to what stands in its file."""


def xml(values: dict[str, str]) -> str:
    """Return elements for settings by their paths."""
    groups: dict[str, dict[str, str]] = {}
    for path, value in values.items():
        name, _, rest = path.partition(".")
        groups.setdefault(name, {})[rest] = value
    elements = []
    for name, inner in groups.items():
        text = inner.pop("", "")
        elements.append(f"<{name}>{xml(inner) if inner else text}</{name}>")
    return "\n".join(elements)


def connected(**flags: str) -> Said:
    """Return a connected app with these elements in its OAuth settings."""
    return {CA: xml({"oauthConfig": "", **{f"oauthConfig.{name}": value for name, value in flags.items()}})}


def external(settings_: str | None = "", **components: str) -> Said:
    """Return an external client app with all three of its OAuth components, or without its global OAuth settings."""
    said: Said = {ECA: "", GLOBAL_OAUTH: settings_, OAUTH: "", OAUTH_POLICIES: "", **components}
    return {name: inner for name, inner in said.items() if inner is not None}


MANAGED: Said = {ECA: "<distributionState>Managed</distributionState>", OAUTH_POLICIES: ""}
WITHOUT_OAUTH: Said = {
    ECA: "",
    "ExtlClntAppConfigurablePolicies": "<isOauthPluginEnabled>false</isOauthPluginEnabled>",
}


def org_of(said: Said, folder: Path = Path()) -> Org:
    """Return the org; a folder is needed where a configuration belongs to it."""
    return Example("made", 0, said).org(folder)


def rule(decided_by: str, subject: str = CONNECTED_APP) -> Control:
    """Return a control of the tests from the YAML that says what decides it."""
    text = (
        f"id: made\nname: A control of the tests\npage: made\napplies_to: [{subject}]\nrecommended: As it should be.\n"
        "cvss: {severity: high, range: [7.0, 8.9], basis: page}\nassessed: automatically\n"
        "overview: It does.\nthreat: Something happens.\nimpact: It does.\nguidance: Look.\n"
        "remediation: Change it.\nmay_break: Something.\n"
        f"decided_by:\n{decided_by}"
    )
    return parse_control(text, "controls/made.yaml")


def requiring(*conditions: str, subject: str = CONNECTED_APP) -> Control:
    """Return a control that requires every one of some conditions."""
    parts = [
        f"  - {condition}\n    finding: Requirement {number} is not met.\n"
        for number, condition in enumerate(conditions, 1)
    ]
    return rule("- require:\n" + "".join(parts), subject)


def any_of(*conditions: str) -> str:
    """Return the condition that one of some conditions holds."""
    return f"any: [{', '.join(f'{{{condition}}}' for condition in conditions)}]"


def judge(control: Control | str, said: Said, folder: Path = Path()) -> Finding:
    """Evaluate a control on the app called App, or on the org where it is a control of orgs."""
    chosen = CONTROLS[control] if isinstance(control, str) else control
    org = org_of(said, folder)
    app = next((one for one in org.apps if one.name == "App" and one.kind in chosen.applies_to), None)
    assert (app is None) is (chosen.applies_to == (ORG,))
    return evaluate(chosen, app, org)


# What the absence of an element comes to.

PKCE = "oauthConfig.isPkceRequired: true"
"""Its documented default, false, is not what is required; in API versions from 59.0."""
SECRET = "oauthConfig.isSecretRequiredForRefreshToken: true"  # noqa: S105  (a setting)
"""Its documented default, true, is what is required; in API versions from 51.0."""
DEVICE = "oauthConfig.isDeviceFlowEnabled: false"
"""Only API 68.0 and later shows it, and no default is documented."""
BINDING = "oauthConfig.isDPopEnabled: true"
"""In API versions from 68.0; no default is documented."""
EXTERNAL_PKCE = f"{GLOBAL_OAUTH}.isPkceRequired: true"
EXTERNAL_FLOW = f"{GLOBAL_OAUTH}.isClientCredentialsFlowEnabled: false"

ABSENT: dict[str, tuple[str, Said, Verdict, list[str]]] = {
    "live, the version knows it, insecure default": (PKCE, connected() | {"live": 59.0}, FAIL, ["Requirement 1"]),
    "live, the version knows it, secure default": (SECRET, connected() | {"live": 51.0}, PASS, []),
    "live, the version knows it, no default": (
        BINDING,
        connected() | {"live": 68.0},
        UNVERIFIABLE,
        ["oauthConfig.isDPopEnabled is absent", "no default is documented"],
    ),
    "live, older version, insecure default": (
        PKCE,
        connected() | {"live": 58.0},
        UNVERIFIABLE,
        ["API version 58.0", "oauthConfig.isPkceRequired", "59.0"],
    ),
    "live, older version, secure default": (
        SECRET,
        connected() | {"live": 50.0},
        UNVERIFIABLE,
        ["API version 50.0", "oauthConfig.isSecretRequiredForRefreshToken", "51.0"],
    ),
    "live, older version, seen as required": (PKCE, connected(isPkceRequired="true") | {"live": 58.0}, PASS, []),
    "live, older version, seen otherwise": (PKCE, connected(isPkceRequired="false") | {"live": 58.0}, FAIL, []),
    "live, older version, no API shows it": (DEVICE, connected() | {"live": 67.0}, MANUAL, ["Only API 68.0 and later"]),
    "file, insecure default": (
        PKCE,
        connected(),
        FAIL,
        ["Requirement 1 is not met. (Absent: the documented default applies.)"],
    ),
    "file, insecure default in every API version": (
        "oauthConfig.isAdminApproved: true",
        connected(),
        FAIL,
        ["Requirement 1 is not met. (Absent: the documented default applies.)"],
    ),
    "file, secure default": (
        SECRET,
        connected(),
        UNVERIFIABLE,
        [
            f"oauthConfig.isSecretRequiredForRefreshToken is absent from {CA_FILE}",
            "documented default, true, would do",
            "before 51.0",
        ],
    ),
    "file, no default": (
        BINDING,
        connected(),
        UNVERIFIABLE,
        [f"oauthConfig.isDPopEnabled is absent from {CA_FILE}", "no default is documented"],
    ),
    "file, no API before shows it": (DEVICE, connected(), MANUAL, ["Only API 68.0 and later"]),
    "file, parent element missing, insecure default": (
        "oauthPolicy.isTokenExchangeFlowEnabled: true",
        connected(),
        FAIL,
        ["(Absent: the documented default applies.)"],
    ),
    "file, parent element missing, secure default": (
        "oauthPolicy.ipRelaxation: {is: ENFORCE}",
        connected(),
        UNVERIFIABLE,
        [f"oauthPolicy.ipRelaxation is absent from {CA_FILE}", "ENFORCE, would do"],
    ),
    "live, parent element missing, secure default": (
        "oauthPolicy.ipRelaxation: {is: ENFORCE}",
        connected() | {"live": 60.0},
        PASS,
        [],
    ),
    "empty element": (PKCE, connected(isPkceRequired=""), FAIL, ["(Absent: the documented default applies.)"]),
    "unreadable value": (
        PKCE,
        connected(isPkceRequired="maybe"),
        UNVERIFIABLE,
        [f"{CA_FILE}:3: oauthConfig.isPkceRequired is 'maybe', neither true nor false"],
    ),
    "unreadable value, live": (
        PKCE,
        connected(isPkceRequired="maybe") | {"live": 60.0},
        UNVERIFIABLE,
        ["oauthConfig.isPkceRequired is 'maybe'"],
    ),
    "component missing": (
        EXTERNAL_PKCE,
        external(None),
        UNVERIFIABLE,
        [f"No {GLOBAL_OAUTH} of App was found"],
    ),
    "component missing, live": (
        EXTERNAL_PKCE,
        external(None) | {"live": 60.0},
        UNVERIFIABLE,
        [f"No {GLOBAL_OAUTH} of App was found"],
    ),
    "component of the org missing": (
        "OauthOidcSettings.isPkceRequired: true",
        connected(),
        UNVERIFIABLE,
        ["No OauthOidcSettings was read"],
    ),
    "component that cannot be read": (
        EXTERNAL_PKCE,
        external("<isPkceRequired>true"),
        UNVERIFIABLE,
        [f"{GLOBAL_OAUTH}/App.ecaGlblOauth"],
    ),
    "managed package": (EXTERNAL_PKCE, MANAGED, MANUAL, ["App comes from a package", "the publisher's org"]),
    "installed by Salesforce": (
        EXTERNAL_PKCE,
        MANAGED | {ECA: "<distributionState>AutoInstalled</distributionState>"},
        MANUAL,
        ["App comes from a package"],
    ),
    "package of this org": (
        EXTERNAL_PKCE,
        MANAGED | {ECA: "<distributionState>Packaged</distributionState>"},
        UNVERIFIABLE,
        [f"No {GLOBAL_OAUTH} of App was found"],
    ),
    "managed package, its settings here": (
        EXTERNAL_PKCE,
        MANAGED | {GLOBAL_OAUTH: "<isPkceRequired>false</isPkceRequired>"},
        FAIL,
        ["Requirement 1"],
    ),
}


@pytest.mark.parametrize("case", ABSENT)
def test_an_absent_element(case: str) -> None:
    """An element that is not there is judged by where it is missing from, and never passes by accident."""
    condition, said, verdict, phrases = ABSENT[case]
    subject = EXTERNAL_CLIENT_APP if ECA in said else CONNECTED_APP
    finding = judge(requiring(condition, subject=subject), said)
    assert finding.verdict is verdict
    for phrase in phrases:
        assert phrase in finding.message
    assert finding.message.startswith("cannot be verified: ") is (verdict is UNVERIFIABLE)


OFF_IS_OUT_OF_SCOPE = rule(
    "- when: {oauthConfig.isTokenExchangeEnabled: false}\n  not_applicable: The flow is off.\n"
    "- require:\n  - oauthConfig.isPkceRequired: true\n    finding: PKCE is not required.\n"
)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (connected(), NOT_APPLICABLE),
        (connected() | {"live": 60.0}, NOT_APPLICABLE),
        (connected() | {"live": 59.0}, UNVERIFIABLE),
        (connected(isTokenExchangeEnabled="false"), NOT_APPLICABLE),
        (connected(isTokenExchangeEnabled="true", isPkceRequired="true"), PASS),
        (connected(isTokenExchangeEnabled="true"), FAIL),
        (connected(isTokenExchangeEnabled="on", isPkceRequired="true"), UNVERIFIABLE),
    ],
)
def test_absent_counts_as_off_where_a_control_does_not_apply(said: Said, verdict: Verdict) -> None:
    """A flag that takes an app out of scope counts as off where it is absent, unless the API version lacks it."""
    assert judge(OFF_IS_OUT_OF_SCOPE, said).verdict is verdict


REAL: list[tuple[str, Said, Verdict, str]] = [
    ("ca-pkce", connected(), FAIL, "(Absent: the documented default applies.)"),
    ("ca-pkce", connected() | {"live": 58.0}, UNVERIFIABLE, "API version 58.0"),
    ("ca-pkce", connected() | {"live": 59.0}, FAIL, "Neither the app nor the org is seen to require PKCE."),
    ("ca-pkce", {CA: "<samlConfig/>"}, NOT_APPLICABLE, "The app has no OAuth settings."),
    ("ca-secret-refresh-token", connected(), UNVERIFIABLE, "before 51.0"),
    ("ca-secret-refresh-token", connected() | {"live": 51.0}, PASS, "Configured as recommended."),
    ("ca-secret-refresh-token", connected() | {"live": 50.0}, UNVERIFIABLE, "API version 50.0"),
    ("ca-secret-refresh-token", connected(isSecretRequiredForRefreshToken="no"), UNVERIFIABLE, f"{CA_FILE}:3"),
    ("ca-code-credentials", connected(), FAIL, "(Absent: the documented default applies.)"),
    ("ca-code-credentials", connected() | {"live": 56.0}, UNVERIFIABLE, "API version 56.0"),
    ("ca-client-credentials", connected(), UNVERIFIABLE, "documented default, false, would do"),
    ("ca-client-credentials", connected() | {"live": 56.0}, PASS, "Configured as recommended."),
    ("ca-device-flow", connected(), MANUAL, "Only API 68.0 and later"),
    ("ca-device-flow", connected() | {"live": 67.0}, MANUAL, "Only API 68.0 and later"),
    ("ca-device-flow", connected(isDeviceFlowEnabled="false"), PASS, "Configured as recommended."),
    ("ca-token-exchange", connected(), NOT_APPLICABLE, "not enabled"),
    ("ca-token-exchange", connected(isTokenExchangeEnabled="true"), UNVERIFIABLE, "isSecretRequiredForTokenExchange"),
    ("ca-mobile-pin", {CA: "<mobileAppConfig/>"}, MANUAL, "nly a live org shows ConnectedApplication"),
    (
        "ca-manage-profiles",
        connected() | {CA: "<oauthConfig/><profileName>Sync Users</profileName>"},
        FAIL,
        "All users may authorize the app themselves. (Absent: the documented default applies.)",
    ),
    ("eca-pkce", external(), UNVERIFIABLE, "documented default, true, would do"),
    ("eca-pkce", external() | {"live": 59.0}, PASS, "Configured as recommended."),
    ("eca-pkce", external() | {"live": 58.0}, UNVERIFIABLE, "API version 58.0"),
    ("eca-pkce", external(None), UNVERIFIABLE, f"No {GLOBAL_OAUTH} of App was found"),
    ("eca-pkce", MANAGED, MANUAL, "comes from a package"),
    ("eca-pkce", {ECA: ""}, UNVERIFIABLE, f"No {GLOBAL_OAUTH} of App was found"),
    ("eca-pkce", WITHOUT_OAUTH, NOT_APPLICABLE, "The app has no OAuth settings."),
    ("eca-code-credentials", external(), FAIL, "(Absent: the documented default applies.)"),
    ("eca-code-credentials", MANAGED, MANUAL, "comes from a package"),
    ("eca-client-credentials", external(), UNVERIFIABLE, "documented default, false, would do"),
    ("eca-client-credentials", external() | {"live": 60.0}, PASS, "Configured as recommended."),
    ("eca-client-credentials", MANAGED, UNVERIFIABLE, f"{OAUTH_POLICIES}.isClientCredentialsFlowEnabled is absent"),
    ("eca-client-credentials", MANAGED | {"live": 60.0}, PASS, "Configured as recommended."),
    ("eca-secret-refresh-token", MANAGED, MANUAL, "comes from a package"),
    ("org-oauth-oidc", {}, UNVERIFIABLE, "No OauthOidcSettings was read"),
    ("org-oauth-oidc", {"OauthOidcSettings": ""}, FAIL, "(Absent: the documented default applies.)"),
    (
        "sbs-dep-006",
        {CA: xml({"label": "Salesforce CLI", "oauthConfig": "", "sessionPolicy.sessionTimeout": "15"})},
        FAIL,
        "Refresh tokens of the app do not expire within 90 days. (Absent: the documented default applies.)",
    ),
]


@pytest.mark.parametrize(("control_id", "said", "verdict", "phrase"), REAL)
def test_an_absent_element_and_a_published_control(control_id: str, said: Said, verdict: Verdict, phrase: str) -> None:
    """The controls that ship keep to what an absent element comes to."""
    finding = judge(control_id, said)
    assert (finding.verdict, phrase in finding.message) == (verdict, True), finding.message


# Operators

OTHER_VALUES = "<samlSigningAlgoType>SHA1</samlSigningAlgoType><samlSigningAlgoType>SHA256</samlSigningAlgoType>"

FLAG = "oauthConfig.isDPopEnabled"
ALGORITHM = "samlConfig.samlSigningAlgoType"
TIMEOUT = "sessionPolicy.sessionTimeout"
SCOPES = f"{OAUTH}.commaSeparatedOauthScopes"
RANGES = f"{OAUTH}.trustedIpRanges"
PROVISIONING = "UserProvisioningConfig"


def in_app(path: str, value: str) -> Said:
    """Return a connected app with one setting."""
    return {CA: xml({"oauthConfig": "", path: value})}


def in_oauth(inner: str | None) -> Said:
    """Return an external client app with this in its OAuth settings, or without them."""
    return {name: said for name, said in {ECA: "", OAUTH: inner, OAUTH_POLICIES: ""}.items() if said is not None}


def scopes(listed: str) -> Said:
    """Return an external client app with these scopes."""
    return in_oauth(f"<commaSeparatedOauthScopes>{listed}</commaSeparatedOauthScopes>")


def ranges(*pairs: tuple[str, str]) -> Said:
    """Return an external client app with these trusted address ranges."""
    return in_oauth(
        "".join(f"<trustedIpRanges><start>{low}</start><end>{high}</end></trustedIpRanges>" for low, high in pairs)
    )


OPERATORS: list[tuple[str, Said, Verdict]] = [
    # true, false
    (f"{FLAG}: true", in_app(FLAG, "true"), PASS),
    (f"{FLAG}: true", in_app(FLAG, "1"), PASS),
    (f"{FLAG}: true", in_app(FLAG, "false"), FAIL),
    (f"{FLAG}: true", in_app(FLAG, "0"), FAIL),
    (f"{FLAG}: true", connected(), UNVERIFIABLE),
    (f"{FLAG}: true", in_app(FLAG, "TRUE"), UNVERIFIABLE),
    (f"{FLAG}: false", in_app(FLAG, "false"), PASS),
    (f"{FLAG}: false", in_app(FLAG, "true"), FAIL),
    (f"{FLAG}: false", connected(), UNVERIFIABLE),
    (f"{FLAG}: false", in_app(FLAG, "off"), UNVERIFIABLE),
    # is
    (f"{ALGORITHM}: {{is: SHA256}}", in_app(ALGORITHM, "SHA256"), PASS),
    (f"{ALGORITHM}: {{is: SHA256}}", in_app(ALGORITHM, "sha256"), PASS),
    (f"{ALGORITHM}: {{is: SHA256}}", in_app(ALGORITHM, "SHA2567"), FAIL),
    (f"{ALGORITHM}: {{is: SHA256}}", in_app(ALGORITHM, "SHA1"), FAIL),
    (f"{ALGORITHM}: {{is: SHA256}}", connected(), FAIL),
    (f"{ALGORITHM}: {{is: SHA256}}", {CA: f"<samlConfig>{OTHER_VALUES}</samlConfig>"}, UNVERIFIABLE),
    (f"{TIMEOUT}: {{is: 15}}", in_app(TIMEOUT, "15"), PASS),
    (f"{TIMEOUT}: {{is: 15}}", in_app(TIMEOUT, "150"), FAIL),
    # seen
    (f"{FLAG}: {{seen: true}}", in_app(FLAG, "true"), PASS),
    (f"{FLAG}: {{seen: true}}", in_app(FLAG, "false"), FAIL),
    (f"{FLAG}: {{seen: true}}", connected(), FAIL),
    (f"{FLAG}: {{seen: true}}", in_app(FLAG, "maybe"), FAIL),
    ("oauthConfig.isSecretRequiredForRefreshToken: {seen: true}", connected(), FAIL),
    ("OauthOidcSettings.isPkceRequired: {seen: true}", connected(), FAIL),
    # one of
    (f"{ALGORITHM}: {{one_of: [SHA1, SHA256]}}", in_app(ALGORITHM, "Sha1"), PASS),
    (f"{ALGORITHM}: {{one_of: [SHA256]}}", in_app(ALGORITHM, "SHA1"), FAIL),
    (f"{ALGORITHM}: {{one_of: [SHA1, SHA256]}}", connected(), FAIL),
    (f"{ALGORITHM}: {{one_of: [SHA1, SHA256]}}", {CA: f"<samlConfig>{OTHER_VALUES}</samlConfig>"}, UNVERIFIABLE),
    # between
    (f"{TIMEOUT}: {{between: [1, 60]}}", in_app(TIMEOUT, "1"), PASS),
    (f"{TIMEOUT}: {{between: [1, 60]}}", in_app(TIMEOUT, "60"), PASS),
    (f"{TIMEOUT}: {{between: [1, 60]}}", in_app(TIMEOUT, "0"), FAIL),
    (f"{TIMEOUT}: {{between: [1, 60]}}", in_app(TIMEOUT, "61"), FAIL),
    (f"{TIMEOUT}: {{between: [1, 60]}}", in_app(TIMEOUT, "-5"), FAIL),
    (f"{TIMEOUT}: {{between: [1, 60]}}", connected(), FAIL),
    (f"{TIMEOUT}: {{between: [1, 60]}}", in_app(TIMEOUT, "15.5"), UNVERIFIABLE),
    # at least
    (f"{TIMEOUT}: {{at_least: 8}}", in_app(TIMEOUT, "8"), PASS),
    (f"{TIMEOUT}: {{at_least: 8}}", in_app(TIMEOUT, "7"), FAIL),
    (f"{TIMEOUT}: {{at_least: 8}}", connected(), FAIL),
    (f"{TIMEOUT}: {{at_least: 8}}", in_app(TIMEOUT, "eight"), UNVERIFIABLE),
    # starts with
    ("samlConfig.acsUrl: {starts_with: 'https://'}", in_app("samlConfig.acsUrl", "https://sso.example/acs"), PASS),
    ("samlConfig.acsUrl: {starts_with: 'https://'}", in_app("samlConfig.acsUrl", "HTTPS://sso.example"), PASS),
    ("samlConfig.acsUrl: {starts_with: 'https://'}", in_app("samlConfig.acsUrl", "http://sso.example"), FAIL),
    ("samlConfig.acsUrl: {starts_with: 'https://'}", in_app("samlConfig.acsUrl", "x https://sso.example"), FAIL),
    ("samlConfig.acsUrl: {starts_with: 'https://'}", connected(), FAIL),
    (
        "samlConfig.acsUrl: {starts_with: 'https://'}",
        {CA: "<samlConfig><acsUrl>https://one.example</acsUrl><acsUrl>https://two.example</acsUrl></samlConfig>"},
        UNVERIFIABLE,
    ),
    # contains
    (f"{SCOPES}: {{contains: OpenID}}", scopes("Api,OpenID"), PASS),
    (f"{SCOPES}: {{contains: OpenID}}", scopes("Api, openid"), PASS),
    (f"{SCOPES}: {{contains: [OpenID, Api]}}", scopes("Api,OpenID,Web"), PASS),
    (f"{SCOPES}: {{contains: [OpenID, Api]}}", scopes("OpenID"), FAIL),
    (f"{SCOPES}: {{contains: RefreshToken}}", scopes("offlineaccess"), PASS),
    (f"{SCOPES}: {{contains: OpenID}}", scopes("Api"), FAIL),
    (f"{SCOPES}: {{contains: OpenID}}", in_oauth(""), FAIL),
    (f"{SCOPES}: {{contains: OpenID}}", in_oauth(None), UNVERIFIABLE),
    # lacks
    (f"{SCOPES}: {{lacks: Full}}", scopes("Api,OpenID"), PASS),
    (f"{SCOPES}: {{lacks: Full}}", scopes("Api,FULL"), FAIL),
    (f"{SCOPES}: {{lacks: [Full, Web]}}", scopes("Api,Web"), FAIL),
    (f"{SCOPES}: {{lacks: [Full, Web]}}", scopes("Api"), PASS),
    (f"{SCOPES}: {{lacks: Full}}", in_oauth(""), UNVERIFIABLE),
    (f"{SCOPES}: {{lacks: Full}}", in_oauth(None), UNVERIFIABLE),
    # narrower than
    (f"{RANGES}: {{narrower_than: 0.0.0.0/0}}", ranges(("192.0.2.0", "192.0.2.255")), PASS),
    (f"{RANGES}: {{narrower_than: 0.0.0.0/0}}", ranges(("0.0.0.0", "255.255.255.255")), FAIL),  # noqa: S104  (a range)
    (
        f"{RANGES}: {{narrower_than: 0.0.0.0/0}}",
        ranges(("0.0.0.0", "127.255.255.255"), ("128.0.0.0", "255.255.255.255")),  # noqa: S104  (a range)
        FAIL,
    ),
    (f"{RANGES}: {{narrower_than: 0.0.0.0/0}}", ranges(("0.0.0.0", "255.255.255.254")), PASS),  # noqa: S104  (a range)
    (f"{RANGES}: {{narrower_than: 10.0.0.0/8}}", ranges(("10.0.0.0", "10.255.255.255")), FAIL),
    (f"{RANGES}: {{narrower_than: 10.0.0.0/8}}", ranges(("9.0.0.0", "11.0.0.0")), FAIL),
    (f"{RANGES}: {{narrower_than: [10.0.0.0/8, 192.0.2.0/24]}}", ranges(("192.0.2.0", "192.0.2.255")), FAIL),
    (f"{RANGES}: {{narrower_than: [10.0.0.0/8, 192.0.2.0/24]}}", ranges(("192.0.2.1", "192.0.2.255")), PASS),
    (f"{RANGES}: {{narrower_than: 0.0.0.0/0}}", ranges(("2001:db8::", "2001:db8::ffff")), PASS),
    (f"{RANGES}: {{narrower_than: 0.0.0.0/0}}", in_oauth(""), FAIL),
    (f"{RANGES}: {{narrower_than: 0.0.0.0/0}}", in_oauth(None), UNVERIFIABLE),
    (f"{RANGES}: {{narrower_than: 0.0.0.0/0}}", ranges(("192.0.2.255", "192.0.2.0")), UNVERIFIABLE),
    # A setting that is there, or is not
    ("samlConfig.entityUrl: present", in_app("samlConfig.entityUrl", "urn:portal"), PASS),
    ("samlConfig.entityUrl: present", in_app("samlConfig.entityUrl", ""), FAIL),
    ("samlConfig.entityUrl: present", connected(), FAIL),
    ("samlConfig.entityUrl: absent", connected(), PASS),
    ("samlConfig.entityUrl: absent", in_app("samlConfig.entityUrl", "urn:portal"), FAIL),
    (f"{FLAG}: present", in_app(FLAG, "maybe"), UNVERIFIABLE),
    (f"{FLAG}: absent", in_app(FLAG, "maybe"), UNVERIFIABLE),
    (f"{FLAG}: absent", connected() | {"live": 60.0}, UNVERIFIABLE),
    (f"{FLAG}: absent", connected() | {"live": 68.0}, PASS),
    (f"{SCOPES}: present", in_oauth(None), UNVERIFIABLE),
    (f"{SCOPES}: absent", in_oauth(None), UNVERIFIABLE),
    # A component that was read, is known not to exist, or was not read
    (f"{PROVISIONING}: present", connected() | {PROVISIONING: ""}, PASS),
    (f"{PROVISIONING}: present", connected(), FAIL),
    (f"{PROVISIONING}: present", connected() | {PROVISIONING: "<enabled>"}, UNVERIFIABLE),
    (f"{PROVISIONING}: absent", connected(), PASS),
    (f"{PROVISIONING}: absent", connected() | {PROVISIONING: ""}, FAIL),
    (f"{PROVISIONING}: absent", connected() | {PROVISIONING: "<enabled>"}, UNVERIFIABLE),
    (f"{PROVISIONING}: unread", connected(), PASS),
    (f"{PROVISIONING}: unread", connected() | {PROVISIONING: ""}, FAIL),
    (f"{PROVISIONING}: unread", connected() | {PROVISIONING: "<enabled>"}, PASS),
    ("OauthOidcSettings: present", connected() | {"OauthOidcSettings": ""}, PASS),
    ("OauthOidcSettings: unread", connected(), PASS),
]


@pytest.mark.parametrize(("condition", "said", "verdict"), OPERATORS)
def test_an_operator(condition: str, said: Said, verdict: Verdict) -> None:
    """A condition holds, does not, or cannot be told, as the vocabulary has it."""
    subject = EXTERNAL_CLIENT_APP if ECA in said else CONNECTED_APP
    assert judge(requiring(condition, subject=subject), said).verdict is verdict


# Several conditions at once. F: false, f: false by default, ?: unknown, t: true by default, T: true.

TRUTHS = {"F": FALSE, "f": FALSE_BY_DEFAULT, "?": UNKNOWN, "t": TRUE_BY_DEFAULT, "T": TRUE}

FLAGS = connected(
    isAdminApproved="true", isIntrospectAllTokens="true", isNamedUserJwtEnabled="true", isClientCredentialEnabled="true"
)
LEFT = {
    "F": "oauthConfig.isNamedUserJwtEnabled: false",
    "f": "oauthConfig.isCodeCredentialEnabled: true",
    "?": "oauthConfig.isDPopEnabled: true",
    "t": "oauthConfig.isPkceRequired: false",
    "T": "oauthConfig.isAdminApproved: true",
}
RIGHT = {
    "F": "oauthConfig.isClientCredentialEnabled: false",
    "f": "oauthConfig.isRefreshTokenRotationEnabled: true",
    "?": "oauthConfig.isPKImTLSEnabled: true",
    "t": "oauthConfig.isTokenExchangeEnabled: false",
    "T": "oauthConfig.isIntrospectAllTokens: true",
}
"""Conditions on the same app, by what they come to."""


def table(text: str) -> list[tuple[str, str, str]]:
    """Return what stands to the left of a row, above a column, and where they meet."""
    above, *rows = [line.split() for line in text.strip().splitlines()]
    return [(left, right, cell) for left, *cells in rows for right, cell in zip(above, cells, strict=True)]


def holds(control: Control, said: Said) -> Truth:
    """Tell whether the first requirement of a control holds."""
    org = org_of(said)
    return control.rules[CONNECTED_APP][0].requirements[0].condition.holds(org.apps[0], org)


@pytest.mark.parametrize("value", TRUTHS)
def test_the_conditions_come_to_what_they_stand_for(value: str) -> None:
    """The conditions that the tables are made of have the truth that they stand for."""
    assert holds(requiring(LEFT[value]), FLAGS) is TRUTHS[value]
    assert holds(requiring(RIGHT[value]), FLAGS) is TRUTHS[value]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    table("""
        F f ? t T
      F F F F F F
      f F f f f f
      ? F f ? ? ?
      t F f ? t t
      T F f ? t T
    """),
)
def test_several_settings_at_once(left: str, right: str, expected: str) -> None:
    """All of several settings hold as the least of them does."""
    assert holds(requiring(f"{LEFT[left]}\n    {RIGHT[right]}"), FLAGS) is TRUTHS[expected]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    table("""
        F f ? t T
      F F f ? t T
      f f f ? t T
      ? ? ? ? t T
      t t t t t T
      T T T T T T
    """),
)
def test_any_of_several(left: str, right: str, expected: str) -> None:
    """One of several conditions holds as the greatest of them does."""
    assert holds(requiring(any_of(LEFT[left], RIGHT[right])), FLAGS) is TRUTHS[expected]


OUTCOMES = {"fail": FAIL, "pass": PASS, "n/a": NOT_APPLICABLE, "manual": MANUAL, "unv.": UNVERIFIABLE}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    table("""
         F    f    ?    t    T
      F fail fail fail fail fail
      f fail fail fail fail fail
      ? fail fail unv. unv. unv.
      t fail fail unv. unv. unv.
      T fail fail unv. unv. pass
    """),
)
def test_several_requirements(left: str, right: str, expected: str) -> None:
    """A failure beats what is unknown, and what is unknown, or rests on a default of a file, beats a pass."""
    finding = judge(requiring(LEFT[left], RIGHT[right]), FLAGS)
    assert finding.verdict is OUTCOMES[expected]
    if finding.verdict is FAIL:
        failed = {number for number, value in ((1, left), (2, right)) if value in "Ff"}
        assert set(map(int, re.findall(r"Requirement (\d)", finding.message))) == failed


@pytest.mark.parametrize(
    ("steps", "holding", "expected"),
    table("""
                         F    f    ?    t     T
      pass,fail         fail fail unv. unv.  pass
      fail,pass         pass unv. unv. fail  fail
      n/a,pass          pass unv. unv. n/a   n/a
      n/a,fail          fail fail unv. n/a   n/a
      manual,pass       pass unv. unv. manual manual
      manual,fail       fail fail unv. manual manual
      require,fail      fail fail unv. unv.  pass
      n/a,require       pass unv. unv. n/a   n/a
      n/a,n/a           n/a  n/a  unv. n/a   n/a
      fail,n/a          n/a  n/a  unv. fail  fail
      pass,manual       manual manual unv. unv. pass
    """),
)
def test_a_step_with_a_condition(steps: str, holding: str, expected: str) -> None:
    """A pass behind a guard that held, or did not, by default only is unverifiable; other verdicts stand."""
    outcomes = {"n/a": "not_applicable: Out of scope.", "require": f"require: [{{{RIGHT['T']}, finding: Not met.}}]"}
    first, last = (outcomes.get(step, f"{step}: Decided.") for step in steps.split(","))
    control = rule(f"- when: {{{LEFT[holding]}}}\n  {first}\n- {last}\n")
    assert judge(control, FLAGS).verdict is OUTCOMES[expected]


@pytest.mark.parametrize("outcome", ["pass: Decided.", f"require: [{{{RIGHT['T']}, finding: Not met.}}]"])
def test_a_default_counts_however_early_it_was_looked_at(outcome: str) -> None:
    """A pass is unverifiable where the first of several guards was passed by default, though the last was not."""
    control = rule(
        f"- when: {{{LEFT['f']}}}\n  not_applicable: Out of scope.\n"
        f"- when: {{{LEFT['T']}}}\n  {outcome}\n"
        "- fail: Neither.\n"
    )
    finding = judge(control, FLAGS)
    assert finding.verdict is UNVERIFIABLE
    assert "oauthConfig.isCodeCredentialEnabled is absent" in finding.message


def test_the_first_step_whose_condition_holds_decides() -> None:
    """Steps after the one that decides are not looked at."""
    control = rule(
        f"- when: {{{LEFT['T']}}}\n  pass: First.\n- when: {{{LEFT['?']}}}\n  fail: Second.\n- fail: Third.\n"
    )
    finding = judge(control, FLAGS)
    assert (finding.verdict, finding.reasons) == (PASS, ("First.",))
    assert [one.name for one in finding.evidence] == ["oauthConfig.isAdminApproved"]


def test_a_failure_by_default_says_so_once_for_each_requirement() -> None:
    """Only the requirements that fail by default are said to."""
    finding = judge(requiring(LEFT["F"], LEFT["f"], LEFT["T"]), FLAGS)
    assert finding.reasons == (
        "Requirement 1 is not met.",
        "Requirement 2 is not met. (Absent: the documented default applies.)",
    )


# What only a person can tell


@pytest.mark.parametrize(
    ("conditions", "verdict"),
    [
        ([DEVICE], MANUAL),
        ([DEVICE, LEFT["T"]], MANUAL),
        ([DEVICE, LEFT["?"]], UNVERIFIABLE),
        ([LEFT["?"], DEVICE], UNVERIFIABLE),
        ([DEVICE, LEFT["F"]], FAIL),
        ([DEVICE, LEFT["f"]], FAIL),
        ([DEVICE, LEFT["t"]], UNVERIFIABLE),
        ([any_of(DEVICE, LEFT["T"])], PASS),
        ([any_of(DEVICE, LEFT["F"])], MANUAL),
        ([any_of(DEVICE, LEFT["T"]), RIGHT["t"]], UNVERIFIABLE),
        ([any_of(DEVICE, LEFT["T"]), RIGHT["?"]], UNVERIFIABLE),
        ([any_of(DEVICE, "OauthOidcSettings.isPkceRequired: {seen: true}")], MANUAL),
    ],
)
def test_manual_only_if_a_person_can_settle_it(conditions: list[str], verdict: Verdict) -> None:
    """A verdict is left to a person only where every setting that stands in its way is one that no tool could read."""
    assert judge(requiring(*conditions), FLAGS).verdict is verdict


def test_a_guard_that_only_a_person_can_tell() -> None:
    """A guard that no tool could read leaves the verdict to a person."""
    control = rule(f"- when: {{{DEVICE}}}\n  fail: It is off.\n- pass: It is on.\n")
    assert judge(control, FLAGS).verdict is MANUAL


@pytest.mark.parametrize(
    ("policies", "verdict"),
    [
        ("<isClientCredentialsFlowEnabled>false</isClientCredentialsFlowEnabled>", PASS),
        ("<isClientCredentialsFlowEnabled>true</isClientCredentialsFlowEnabled>", FAIL),
        ("<isClientCredentialsFlowEnabled>never</isClientCredentialsFlowEnabled>", UNVERIFIABLE),
        ("", UNVERIFIABLE),
    ],
)
def test_policies_decide_where_the_publisher_keeps_the_settings(policies: str, verdict: Verdict) -> None:
    """Of an app from a package the policies decide, and the settings that were not read do not make it manual."""
    assert judge("eca-client-credentials", MANAGED | {OAUTH_POLICIES: policies}).verdict is verdict


# Messages of what could not be decided


def test_a_message_names_everything_that_is_missing() -> None:
    """What cannot be verified is said of every setting that stands in the way, each with its file."""
    finding = judge(requiring(LEFT["?"], LEFT["t"]), FLAGS)
    unknown, by_default = finding.reasons
    assert unknown == f"oauthConfig.isDPopEnabled is absent from {CA_FILE}, and no default is documented."
    assert by_default == (
        f"oauthConfig.isPkceRequired is absent from {CA_FILE}: its documented default, false, would do, "
        "but a file of an API version before 59.0 leaves it out too."
    )


def test_a_message_never_recommends_a_default_that_would_not_do() -> None:
    """Of a default that is not what is required nobody is told that it would do."""
    finding = judge(requiring(any_of(LEFT["f"], RIGHT["?"])), FLAGS)
    assert finding.verdict is UNVERIFIABLE
    assert "isPKImTLSEnabled is absent" in finding.message
    assert "would do" not in finding.message


# Evidence


def names_twice(finding: Finding) -> list[str]:
    """Return the names that stand in a finding's evidence more than once."""
    return [name for name, count in Counter(setting.name for setting in finding.evidence).items() if count > 1]


@pytest.mark.parametrize("example", examples(), ids=lambda example: str(example.id))
def test_evidence_lists_each_setting_once(example: Example, tmp_path: Path) -> None:
    """No setting stands in the evidence twice."""
    assert not names_twice(example.finding(CONTROLS[example.control_id], tmp_path))


def test_evidence_lists_a_setting_once_that_decides_and_is_shown() -> None:
    """A setting that decides by its default and is shown besides stands in the evidence once."""
    finding = judge("eca-client-credentials", MANAGED | {"live": 65.0})
    assert finding.verdict is PASS
    assert not names_twice(finding)


def test_evidence_lists_a_setting_once_that_is_absent_for_two_reasons(tmp_path: Path) -> None:
    """Scopes that are absent are named once, though two conditions need them."""
    said = in_oauth("") | {"config": "apps: [{app: App, allowed_scopes: [Api]}]"}
    finding = judge("eca-scopes", said, tmp_path)
    assert finding.verdict is UNVERIFIABLE
    assert not names_twice(finding)
    assert len(finding.reasons) == 1


def test_evidence_knows_file_and_line() -> None:
    """Each setting that was seen has the file and the line that it stands in."""
    said = connected(isPkceRequired="false") | {"OauthOidcSettings": "<isPkceRequired>false</isPkceRequired>"}
    finding = judge("ca-pkce", said)
    assert [(one.name, one.source, one.line) for one in finding.evidence if isinstance(one, Seen)] == [
        ("oauthConfig.isPkceRequired", CA_FILE, 3),
        ("OauthOidcSettings.isPkceRequired", "OauthOidcSettings/OauthOidc.settings", 3),
    ]


def test_evidence_has_oauth_only_where_nothing_else_was_looked_at() -> None:
    """That an app has OAuth settings is evidence only where it decides."""
    assert [one.name for one in judge("ca-pkce", {CA: "<samlConfig/>"}).evidence] == ["oauth"]
    assert "oauth" not in [one.name for one in judge("ca-pkce", connected()).evidence]


BODY = "MIIC" + "Zm9vYmFy" * 200
PEM = f"-----BEGIN CERTIFICATE-----\n{BODY}\n-----END CERTIFICATE-----"


@pytest.mark.parametrize("certificate", [PEM, BODY])
@pytest.mark.parametrize(
    ("control_id", "said"),
    [
        ("ca-digital-signature", {CA: "<oauthConfig><certificate>{}</certificate></oauthConfig>"}),
        ("ca-saml-request-signature", {CA: "<samlConfig><certificate>{}</certificate></samlConfig>"}),
        ("ca-saml-encryption", {CA: "<samlConfig><encryptionCertificate>{}</encryptionCertificate></samlConfig>"}),
        (
            "eca-jwt-bearer",
            external(
                "<isClientCredentialsFlowEnabled>true</isClientCredentialsFlowEnabled><certificate>{}</certificate>"
            ),
        ),
    ],
)
def test_evidence_never_holds_a_whole_certificate(control_id: str, said: Said, certificate: str) -> None:
    """A certificate is shown by what can be said of it, never with its whole text."""
    filled = {name: inner.replace("{}", certificate) for name, inner in said.items()}
    finding = judge(control_id, filled)
    shown = explained(finding) + "".join(describe(one) for one in finding.evidence)
    assert "ertificate" in shown
    assert "Zm9vYmFy" * 20 not in "".join(shown.split())


# What is assessed of an org

MIXED: Said = {
    **connected(),
    "apps": {
        "Sync": {CA: "<oauthConfig/>"},
        "Torn": {CA: "<oauthConfig>"},
        "Bot": {ECA: ""},
        "Half": {ECA: "", OAUTH: "<commaSeparatedOauthScopes>"},
    },
}


def test_every_control_is_a_case_for_every_app_of_its_kind() -> None:
    """Each app is assessed by every control of its kind, each org by its own, each once, and no control is left out."""
    org = org_of(MIXED)
    found = [(None if app is None else app.name, control.id) for app, control in subjects(org, CATALOGUE)]
    assert len(found) == len(set(found))
    of_kind = {
        kind: {one.id for one in CATALOGUE.controls if kind in one.applies_to}
        for kind in (CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG)
    }
    by_app = {name: {control for app, control in found if app == name} for name, _ in found}
    assert by_app == {
        "App": of_kind[CONNECTED_APP],
        "Sync": of_kind[CONNECTED_APP],
        "Torn": {"readable"},
        "Bot": of_kind[EXTERNAL_CLIENT_APP],
        "Half": of_kind[EXTERNAL_CLIENT_APP] | {"readable"},
        None: of_kind[ORG],
    }
    assert {control for _, control in found} == set(CONTROLS) | {"readable"}


def test_an_org_without_apps_is_assessed_by_its_own_controls() -> None:
    """An org of which no app was found still has the cases of its own."""
    found = list(subjects(org_of({"OauthOidcSettings": ""}), CATALOGUE))
    assert [control.id for _, control in found] == [one.id for one in CATALOGUE.controls if ORG in one.applies_to]
    assert not any(app for app, _ in found)


@pytest.mark.parametrize(
    ("name", "verdict", "file"),
    [("Torn", UNVERIFIABLE, "ConnectedApp/Torn.connectedApp"), ("Half", UNVERIFIABLE, f"{OAUTH}/Half.ecaOauth")],
)
def test_what_could_not_be_read_is_a_failing_case(name: str, verdict: Verdict, file: str) -> None:
    """The case of an app that could not be read, or only in part, cannot be verified and names file and line."""
    org = org_of(MIXED)
    app = next(one for one in org.apps if one.name == name)
    finding = evaluate(READABLE, app, org)
    assert finding.verdict is verdict
    assert re.match(rf"cannot be verified: {re.escape(file)}:\d+: not well-formed XML", finding.message)
    assert "\n" not in finding.message
    assert f"{file}:" in explained(finding)


@pytest.mark.parametrize(
    ("state", "readable", "verdict"),
    [
        ("Managed", False, MANUAL),
        ("AutoInstalled", False, MANUAL),
        ("Managed", True, UNVERIFIABLE),
        ("Packaged", False, UNVERIFIABLE),
        ("Local", False, UNVERIFIABLE),
    ],
)
def test_an_unreadable_app_of_a_package_is_left_to_a_person(state: str, readable: bool, verdict: Verdict) -> None:
    """An app of a package of which nothing can be read is manual; a part that is there and broken fails."""
    org = org_of({ECA: f"<distributionState>{state}</distributionState>", OAUTH: "<commaSeparatedOauthScopes>"})
    app = replace(org.apps[0], readable=readable)
    assert evaluate(READABLE, app, org).verdict is verdict


# Predicates


def certificate(not_after: datetime) -> x509.Certificate:
    """Return a certificate that valid until then."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests.example")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(0x4142434445)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=timezone.utc))
        .not_valid_after(not_after)
        .sign(key, hashes.SHA256())
    )


def pem(not_after: datetime) -> str:
    """Return a certificate as a file has it."""
    return certificate(not_after).public_bytes(Encoding.PEM).decode()


def bare(not_after: datetime) -> str:
    """Return a certificate as the Metadata API writes it: base64 without a frame, in lines."""
    encoded = base64.b64encode(certificate(not_after).public_bytes(Encoding.DER)).decode()
    return "\n".join(encoded[start : start + 64] for start in range(0, len(encoded), 64))


def signed(text: str) -> Finding:
    """Judge a connected app with this certificate."""
    return judge("ca-digital-signature", connected(certificate=text))


def shown_of(finding: Finding, name: str) -> str:
    """Return what the evidence says of a setting."""
    return next(describe(one) for one in finding.evidence if one.name == name)


@pytest.mark.parametrize("form", [pem, bare])
@pytest.mark.parametrize(
    ("not_after", "verdict", "says"),
    [
        (datetime(2030, 1, 1, tzinfo=timezone.utc), PASS, "valid until 2030-01-01"),
        (datetime(2026, 11, 21, tzinfo=timezone.utc), PASS, "valid until 2026-11-21"),
        (datetime(2026, 11, 20, 23, 59, 59, tzinfo=timezone.utc), PASS, "valid until 2026-11-20"),
        (datetime(2026, 11, 20, 0, 0, 1, tzinfo=timezone.utc), PASS, "valid until 2026-11-20"),
        (datetime(2026, 11, 19, 23, 59, 59, tzinfo=timezone.utc), FAIL, "expired on 2026-11-19"),
        (datetime(2021, 1, 1, tzinfo=timezone.utc), FAIL, "expired on 2021-01-01"),
    ],
)
def test_a_certificate_is_judged_by_the_day_of_the_reading(
    form: Any, not_after: datetime, verdict: Verdict, says: str
) -> None:
    """A certificate has not expired as long as its last day, in UTC, is not past on the day of the reading."""
    finding = signed(form(not_after))
    assert TAKEN_AT.date().isoformat() == "2026-11-20"
    assert finding.verdict is verdict
    assert says in shown_of(finding, "oauthConfig.certificate")


def test_a_certificate_is_not_judged_by_the_day_of_the_evaluation() -> None:
    """What was read a day later is judged a day later."""
    org = org_of(connected(certificate=pem(datetime(2026, 11, 20, tzinfo=timezone.utc))))
    control = CONTROLS["ca-digital-signature"]
    assert evaluate(control, org.apps[0], org).verdict is PASS
    later = replace(org, taken_at=datetime(2026, 11, 21, tzinfo=timezone.utc))
    assert evaluate(control, later.apps[0], later).verdict is FAIL


FUTURE = certificate(datetime(2030, 1, 1, tzinfo=timezone.utc)).public_bytes(Encoding.DER)
VERSION = b"\xa0\x03\x02\x01\x02"
"""Where a certificate says that it is of the third version."""


def spoilt(old: bytes, new: bytes) -> str:
    """Return a certificate with other bytes in it."""
    assert FUTURE.count(old) == 1
    return base64.b64encode(FUTURE.replace(old, new)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\nMIIC\n-----END PUBLIC KEY-----",
        "not a certificate",
        "Sync_Signing_2026",
        "REPLACE_CERT",
        "a" * 80,
        "Zertifikat für Abgleich",
        # Made anew in each process, so that their texts cannot be ids: workers have to collect the same tests.
        pytest.param(base64.b64encode(FUTURE).decode()[:-40], id="cut off"),
        pytest.param(spoilt(VERSION, b"\xa0\x03\x02\x01\x07"), id="of no version"),
    ],
)
def test_what_is_no_certificate_cannot_be_verified(text: str) -> None:
    """What is not a certificate, such as the name of one, is unverifiable, and its text is not repeated."""
    finding = signed(text)
    assert finding.verdict is UNVERIFIABLE
    (reason,) = finding.reasons
    assert reason.endswith(": oauthConfig.certificate is not a certificate.")


def test_a_certificate_with_a_serial_number_below_zero_raises_nothing() -> None:
    """A certificate that parsers only warn about is judged, or cannot be verified, also where warnings are errors."""
    finding = signed(spoilt(b"\x02\x05ABCDE", b"\x02\x05\xffBCDE"))
    assert finding.verdict in (PASS, UNVERIFIABLE)


@pytest.mark.parametrize("said", [connected(), connected(certificate="")])
def test_no_certificate_fails(said: Said) -> None:
    """An app without a certificate fails."""
    assert judge("ca-digital-signature", said).verdict is FAIL


@pytest.mark.parametrize(
    ("scopes_", "allowed", "verdict"),
    [
        ("Api,Web", "[Api, Web, OpenID]", PASS),
        ("Api", "[Api]", PASS),
        ("Api,Web", "[Api]", FAIL),
        ("Api", "[]", FAIL),
        ("api", "[API]", PASS),
        ("RefreshToken", "[OfflineAccess]", PASS),
        ("profile", "[email]", PASS),
        ("Api,ScopeOfTheFuture", "[Api]", FAIL),
        ("Full", "[Full]", FAIL),
    ],
)
@pytest.mark.parametrize("kind", [CONNECTED_APP, EXTERNAL_CLIENT_APP])
def test_allowed_scopes(kind: str, scopes_: str, allowed: str, verdict: Verdict, tmp_path: Path) -> None:
    """Scopes outside the list that the configuration allows fail; synonyms and case make no difference."""
    said = connected(scopes=scopes_) if kind == CONNECTED_APP else scopes(scopes_)
    finding = judge(
        "ca-scopes" if kind == CONNECTED_APP else "eca-scopes",
        said | {"config": f"apps:\n- app: App\n  allowed_scopes: {allowed}\n"},
        tmp_path,
    )
    assert finding.verdict is verdict


def test_without_a_list_every_scope_but_full_access_is_allowed() -> None:
    """Where no list of scopes was declared only full access fails."""
    assert judge("ca-scopes", connected(scopes="Web")).verdict is PASS
    assert judge("eca-scopes", scopes("Web,Api")).verdict is PASS
    assert judge("eca-scopes", scopes("Web,Full")).verdict is FAIL


def cli(policy: str) -> Said:
    """Return the CLI's connected app with a refresh token policy."""
    return {
        CA: xml(
            {
                "label": "Salesforce CLI",
                "oauthConfig": "",
                "oauthPolicy.refreshTokenPolicy": policy,
                "sessionPolicy.sessionTimeout": "15",
            }
        )
    }


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("infinite", FAIL),
        ("zero", PASS),
        ("specific_lifetime:1:HOURS", PASS),
        ("specific_lifetime:2160:HOURS", PASS),
        ("specific_lifetime:2161:HOURS", FAIL),
        ("specific_lifetime:90:DAYS", PASS),
        ("specific_lifetime:91:DAYS", FAIL),
        ("specific_lifetime:3:MONTHS", PASS),
        ("specific_lifetime:4:MONTHS", FAIL),
        ("SPECIFIC_LIFETIME:30:days", PASS),
        ("specific_inactivity:1:HOURS", FAIL),
        ("specific_inactivity:30:DAYS", FAIL),
        ("specific_lifetime", FAIL),
        ("specific_lifetime:30", FAIL),
        ("specific_lifetime:DAYS", FAIL),
        ("specific_lifetime:-30:DAYS", FAIL),
        ("specific_lifetime:30:YEARS", FAIL),
        ("specific_lifetime:30:DAYS:", FAIL),
        ("specific_lifetime:30:DAYS or never", FAIL),
        ("specific_lifetime:" + "9" * 5000 + ":DAYS", FAIL),
        ("lifetime:30:DAYS", FAIL),
        ("sometimes", FAIL),
    ],
)
def test_refresh_tokens_of_a_connected_app(policy: str, verdict: Verdict) -> None:
    """Refresh tokens have to end within 90 days however much they are used; an unknown policy is no end."""
    finding = judge("sbs-dep-006", cli(policy))
    assert finding.verdict is verdict


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ({"Type": "Infinite"}, FAIL),
        ({"Type": "Zero"}, PASS),
        ({"Type": "SpecificLifetime", "Period": "2160", "Unit": "Hours"}, PASS),
        ({"Type": "SpecificLifetime", "Period": "2161", "Unit": "Hours"}, FAIL),
        ({"Type": "SpecificLifetime", "Period": "90", "Unit": "Days"}, PASS),
        ({"Type": "SpecificLifetime", "Period": "91", "Unit": "Days"}, FAIL),
        ({"Type": "SpecificLifetime", "Period": "3", "Unit": "Months"}, PASS),
        ({"Type": "SpecificLifetime", "Period": "4", "Unit": "Months"}, FAIL),
        ({"Type": "SpecificInactivity", "Period": "1", "Unit": "Days"}, FAIL),
        ({"Type": "SpecificLifetime", "Period": "1", "Unit": "Years"}, FAIL),
        ({"Type": "SpecificLifetime", "Period": "1"}, FAIL),
        ({"Type": "SpecificLifetime", "Unit": "Days"}, FAIL),
        ({"Type": "SpecificLifetime", "Period": "many", "Unit": "Days"}, UNVERIFIABLE),
        ({"Type": "Sometimes", "Period": "1", "Unit": "Days"}, FAIL),
        ({}, UNVERIFIABLE),
    ],
)
def test_refresh_tokens_of_an_external_client_app(policy: dict[str, str], verdict: Verdict) -> None:
    """The three elements of an external client app are judged as the one of a connected app is."""
    names = {"Type": "PolicyType", "Period": "ValidityPeriod", "Unit": "ValidityUnit"}
    said = {
        ECA: "<label>Salesforce CLI</label>",
        OAUTH_POLICIES: xml(
            {"sessionTimeoutInMinutes": "15", **{f"refreshToken{names[key]}": value for key, value in policy.items()}}
        ),
    }
    assert judge("sbs-dep-006", said).verdict is verdict


def connected_with(**settings_: str) -> Said:
    """Return a connected app with settings by their paths, `__` in place of the dot."""
    return {CA: xml({path.replace("__", "."): value for path, value in settings_.items()})}


SIGNS_ON = connected_with(oauthConfig__scopes="OpenID", oauthConfig__singleLogoutUrl="https://a.example/out")
SIGNS_ON_WITHOUT = connected_with(oauthConfig__scopes="OpenID")
SAML = connected_with(samlConfig__entityUrl="urn:a", samlConfig__samlSloUrl="https://a.example/out")
SAML_WITHOUT = connected_with(samlConfig__entityUrl="urn:a")
NO_SIGN_ON = connected_with(oauthConfig__scopes="Api")
UNTOLD = connected_with(oauthConfig__callbackUrl="https://a.example/in")
TORN = {CA: "<oauthConfig>"}
EXTERNAL = {**external(), OAUTH: xml({"commaSeparatedOauthScopes": "OpenID, RefreshToken"})}
EXTERNAL_WITH = {**EXTERNAL, OAUTH_POLICIES: xml({"singleLogoutUrl": "https://a.example/out"})}
EXTERNAL_API = {**external(), OAUTH: xml({"commaSeparatedOauthScopes": "Api"})}


@pytest.mark.parametrize(
    ("apps", "verdict", "named"),
    [
        ([], NOT_APPLICABLE, []),
        ([NO_SIGN_ON, EXTERNAL_API, WITHOUT_OAUTH], NOT_APPLICABLE, []),
        ([SIGNS_ON], PASS, ["App1: single logout URL"]),
        ([SIGNS_ON, SAML, EXTERNAL_WITH, NO_SIGN_ON], PASS, ["App1", "App2", "App3"]),
        ([SIGNS_ON, SIGNS_ON_WITHOUT], FAIL, ["App2: single logout URL = none"]),
        ([SAML, SAML_WITHOUT, EXTERNAL], FAIL, ["App2: single logout URL = none", "App3: single logout URL = none"]),
        ([{**EXTERNAL_API, SAML_POLICIES: ""}], FAIL, ["App1: single logout URL = none"]),
        ([{**EXTERNAL_API, SAML_POLICIES: xml({"singleLogoutUrl": "https://a.example/out"})}], PASS, ["App1"]),
        ([SIGNS_ON, UNTOLD], UNVERIFIABLE, ["App2"]),
        ([SIGNS_ON, TORN], UNVERIFIABLE, ["App2"]),
        ([UNTOLD], UNVERIFIABLE, ["App1"]),
        ([NO_SIGN_ON, TORN], UNVERIFIABLE, ["App2"]),
        ([SIGNS_ON_WITHOUT, UNTOLD], FAIL, ["App1: single logout URL = none"]),
        ([SIGNS_ON_WITHOUT, TORN], FAIL, ["App1: single logout URL = none"]),
        (
            [{ECA: "", OAUTH: xml({"commaSeparatedOauthScopes": "OpenID, RefreshToken"})}],
            UNVERIFIABLE,
            ["App1: single logout URL"],
        ),
        ([{**EXTERNAL_API, SAML_POLICIES: "<singleLogoutUrl>"}], UNVERIFIABLE, ["App1"]),
        ([{ECA: "", SAML_POLICIES: "<singleLogoutUrl>"}], UNVERIFIABLE, ["App1"]),
    ],
)
def test_single_logout_over_several_apps(apps: list[Said], verdict: Verdict, named: list[str]) -> None:
    """Every app that signs users on needs a single logout URL; without one it fails, an untold one passes nothing."""
    finding = judge("org-single-logout", {"apps": {f"App{number}": app for number, app in enumerate(apps, 1)}})
    assert finding.verdict is verdict
    shown = "\n".join(describe(one) for one in finding.evidence) + finding.message
    for name in named:
        assert name in shown


# What holds of any app

BASE: dict[str, dict[str, dict[str, str]]] = {
    CONNECTED_APP: {
        CA: {
            "label": "Salesforce CLI",
            "oauthConfig.scopes": "OpenID, RefreshToken",
            "profileName": "Sync Users",
            "samlConfig.entityUrl": "urn:sync",
            "sessionPolicy.sessionTimeout": "10",
        },
        PROVISIONING: {},
    },
    EXTERNAL_CLIENT_APP: {
        ECA: {},
        GLOBAL_OAUTH: {"idTokenConfig.idTokenAudience": "urn:sync"},
        OAUTH: {"commaSeparatedOauthScopes": "OpenID, RefreshToken"},
        OAUTH_POLICIES: {"clientCredentialsFlowUser": "sync@tests.example"},
        "ExtlClntAppMobileSettings": {},
        "ExtlClntAppPushConfigurablePolicies": {},
    },
    ORG: {
        "OauthOidcSettings": {},
        "ConnectedAppSettings": {},
        "ExternalClientAppSettings": {},
        "SecuritySettings": {"sessionSettings.sessionTimeout": "FifteenMinutes"},
    },
}
"""Apps and an org without any flag, to which every control applies that flags can bring into scope."""
CALLBACK_URL = {CA: "oauthConfig.callbackUrl", GLOBAL_OAUTH: "callbackUrl"}
CERTIFICATE = {CA: "oauthConfig.certificate", GLOBAL_OAUTH: "certificate"}
VALID = bare(datetime(2030, 1, 1, tzinfo=timezone.utc))
URLS = ("https://sync.example/in", "com.example.sync:/in")
Flags = dict[str, str | None]
"""Flags of an app or org by name; None for one that is absent."""

OF_TYPE = {
    (subject, known.prefix + name): (known.name, name)
    for (subject, _), known in METADATA_TYPES.items()
    for name, field in known.fields.items()
    if field.type == "boolean" and not known.live
}
"""Every flag of an app or org, with its metadata type and its path there."""


def flagged(subject: str, flags: Flags, url: str = URLS[0], *, certified: bool = False) -> Org:
    """Return an org with an app that has these flags and this callback URL, with or without a certificate."""
    values = {name: dict(of_type) for name, of_type in (BASE[subject] | BASE[ORG]).items()}
    for type_name in CALLBACK_URL.keys() & values.keys():
        values[type_name][CALLBACK_URL[type_name]] = url
        if certified:
            values[type_name][CERTIFICATE[type_name]] = VALID
    for flag, value in flags.items():
        type_name, path = OF_TYPE.get((subject, flag)) or OF_TYPE[ORG, flag]
        if value is not None:
            values[type_name][path] = value
    org = org_of({name: xml(of_type) for name, of_type in values.items()})
    partner = {"declared.partner": Seen("declared.partner", True, "oauthcontrols.yaml")}
    return replace(org, apps=tuple(replace(app, settings={**app.settings, **partner}) for app in org.apps))


def flags_of(control: Control, subject: str) -> list[str]:
    """Return the flags that a control reads of an app or org."""
    org = flagged(subject, {})
    app = org.apps[0] if org.apps else None
    found = set()
    for clause in control.rules[subject]:
        conditions = [one.condition for one in clause.requirements] + ([clause.when] if clause.when else [])
        found |= {one.name for condition in conditions for one in condition.evidence(app, org)}
    return sorted(name for name in found if (subject, name) in OF_TYPE or (ORG, name) in OF_TYPE)


FLAGGED = [
    pytest.param(control, subject, flags, id=f"{control.id}-{subject}")
    for control in CATALOGUE.controls
    for subject in control.applies_to
    if (flags := flags_of(control, subject))
]


def test_the_core_reads_flags() -> None:
    """The controls that read flags are many, the core among them, so that what follows is of consequence."""
    assert len(FLAGGED) > 20
    assert {control for control in CATALOGUE.controls if control.core} <= {one.values[0] for one in FLAGGED}


def verdict_of(control: Control, subject: str, org: Org) -> Verdict:
    """Evaluate a control on the org's only app, or on the org."""
    return evaluate(control, None if subject == ORG else org.apps[0], org).verdict


STATES = (None, "true", "false")
CERTIFIED = (False, True)


@pytest.mark.parametrize(("control", "subject", "flags"), FLAGGED)
def test_flags_decide(control: Control, subject: str, flags: list[str]) -> None:
    """Of all the ways in which the flags of a control can stand, some pass and some do not."""
    orgs = (
        flagged(subject, dict(zip(flags, values, strict=True)), url, certified=certified)
        for values in product(STATES, repeat=len(flags))
        for url in URLS
        for certified in CERTIFIED
    )
    verdicts = {verdict_of(control, subject, org) for org in orgs}
    assert PASS in verdicts
    assert len(verdicts) > 1


@pytest.mark.parametrize(("control", "subject", "flags"), FLAGGED)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_taking_a_flag_out_of_a_file_never_makes_a_pass(
    control: Control, subject: str, flags: list[str], data: st.DataObject
) -> None:
    """An app that does not pass does not come to pass by an element that is left out."""
    values: Flags = {flag: data.draw(st.sampled_from(STATES)) for flag in flags}
    url, certified = data.draw(st.sampled_from(URLS)), data.draw(st.booleans())
    gone = data.draw(st.sampled_from(flags))
    before = verdict_of(control, subject, flagged(subject, values, url, certified=certified))
    after = verdict_of(control, subject, flagged(subject, values | {gone: None}, url, certified=certified))
    assert after is not PASS or before is PASS


@pytest.mark.parametrize(("control", "subject", "flags"), FLAGGED)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_the_same_app_gets_the_same_finding(
    control: Control, subject: str, flags: list[str], data: st.DataObject
) -> None:
    """A finding depends on nothing but what was read."""
    values: Flags = {flag: data.draw(st.sampled_from(STATES)) for flag in flags}
    org, again = flagged(subject, values), flagged(subject, values)
    findings = [evaluate(control, None if subject == ORG else one.apps[0], one) for one in (org, org, again)]
    assert len({(one.verdict, one.reasons, one.evidence) for one in findings}) == 1
    assert findings[0] == findings[1]


# Words


def test_a_failure_says_all_that_an_administrator_needs() -> None:
    """A failure names app, control, severity, what was seen and where, what to do, and the page."""
    finding = judge(
        "ca-pkce",
        {
            CA: xml({"label": "Stock Sync", "oauthConfig.isPkceRequired": "false"}),
            "OauthOidcSettings": "<isPkceRequired>false</isPkceRequired>",
        },
    )
    text = explained(finding)
    assert text.splitlines()[0] == "critical 9.0-10.0: Neither the app nor the org is seen to require PKCE."
    flat = " ".join(text.split())
    control = CONTROLS["ca-pkce"]
    for part in (
        "control ca-pkce: Connected Apps: API (Enable OAuth Settings): Require Proof Key for Code Exchange (PKCE)",
        "severity critical, CVSS 9.0-10.0 (page)",
        "app Stock Sync (App, connected app)",
        "org example,",
        f"seen oauthConfig.isPkceRequired = false at {CA_FILE}:4",
        "OauthOidcSettings.isPkceRequired = false at OauthOidcSettings/OauthOidc.settings:3",
        f"recommended {control.recommended}",
        f"to mend {control.remediation}",
        f"may break {control.may_break}",
        f"page {control.page}",
    ):
        assert part in flat


def test_a_failure_by_a_default_shows_the_default() -> None:
    """Of an element that is absent the evidence names the file that lacks it and the default."""
    text = " ".join(explained(judge("ca-pkce", connected())).split())
    assert f"oauthConfig.isPkceRequired is absent; documented default: false at {CA_FILE}" in text


@pytest.mark.parametrize(
    ("said", "mended"), [(connected(), True), ({CA: "<samlConfig/>"}, False), (connected(isPkceRequired="true"), False)]
)
def test_only_a_failure_is_to_be_mended(said: Said, mended: bool) -> None:
    """How to mend something is said only where something is to be mended."""
    assert ("to mend" in explained(judge("ca-pkce", said))) is mended


def findings_of(org: Org) -> Iterator[Finding]:
    """Yield every finding of an org."""
    for app, control in subjects(org, CATALOGUE):
        yield evaluate(control, app, org)


def too_long(line: str) -> bool:
    """Tell whether a line is longer than a terminal is wide, and holds more than a path, a URL or a single word."""
    if len(line) <= 80:
        return False
    text = line[13:]
    return " " in text.removeprefix("at ")


@pytest.mark.parametrize(
    "org",
    [
        pytest.param(read("demo", Path()), id="demo"),
        pytest.param(org_of(MIXED), id="mixed"),
        pytest.param(org_of(MANAGED), id="managed"),
    ],
)
def test_prose_fits_a_terminal(org: Org) -> None:
    """Below the headline no line of prose is wider than 80 columns, and the headline is one line."""
    for finding in findings_of(org):
        headline, empty, *lines = explained(finding).splitlines()
        assert headline
        assert not empty
        assert [line for line in lines if too_long(line)] == []


ANYTHING = st.text(st.characters(exclude_categories=()), max_size=40)


@given(ANYTHING)
def test_plain_text_is_printable(text: str) -> None:
    """Nothing that a terminal would act upon is left, and what is printable is left alone."""
    shown = plain(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Stock Sync (ü, 株)", "Stock Sync (ü, 株)"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u200bb", r"a\u200bb"),
        ("a\x00b", r"a\x00b"),
        ("a\ud800b", r"a\ud800b"),
    ],
)
def test_unprintable_characters_are_spelled_out(text: str, shown: str) -> None:
    """A character that is not printable is shown as its escape."""
    assert plain(text) == shown


@settings(max_examples=50, deadline=None)
@given(name=ANYTHING, label=ANYTHING, value=ANYTHING)
def test_nothing_of_an_org_reaches_the_terminal_as_it_is(name: str, label: str, value: str) -> None:
    """Names, labels and values of an org cannot move a cursor or forge a line of a message."""
    org = org_of(connected(isPkceRequired="false"))
    hostile = Unreadable("oauthConfig.isPkceRequired", f"{value} is no value")
    app = replace(org.apps[0], name=name, label=label, settings={**org.apps[0].settings, hostile.name: hostile})
    text = explained(evaluate(CONTROLS["ca-pkce"], app, org))
    plainly = explained(evaluate(CONTROLS["ca-pkce"], org.apps[0], org))
    assert all(line.isprintable() for line in text.split("\n"))
    heads = ("control ", "severity ", "app ", "org ", "seen ", "recommended ", "to mend ", "may break ", "page ")
    for head in heads:
        assert sum(line.startswith(head) for line in text.split("\n")) == 1
        assert sum(line.startswith(head) for line in plainly.split("\n")) == 1


def test_apps_are_named_in_messages_as_people_know_them() -> None:
    """A finding's subject is the app's label, or the org's name."""
    org = org_of({CA: "<label>Stock Sync</label>"})
    app: App = org.apps[0]
    assert evaluate(CONTROLS["ca-pkce"], app, org).subject == "Stock Sync"
    assert evaluate(CONTROLS["org-oauth-oidc"], None, org).subject == "example"
