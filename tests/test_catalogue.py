"""The catalogue that ships, against a list of its own, and what is said of a file that is no control."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml

from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, METADATA_TYPES, ORG
from pytest_oauthcontrols.reports.listing import show_one
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.control_file import ASSESSED, parse_control
from pytest_oauthcontrols.rules.predicates import PREDICATES
from pytest_oauthcontrols.rules.selection import FRAMEWORKS
from pytest_oauthcontrols.yaml_entries import DocumentError

PUBLISHED = """\
ca-code-credentials critical 9.0-10.0 core
  Connected Apps: API (Enable OAuth Settings): Authorization Code and Credentials Flow Settings
  shr_api_enable_oauth_settings_authorization_code_and_credentials_flow_settings
ca-secret-refresh-token critical 9.0-10.0 core
  Connected App: API (Enable OAuth Settings): Require Secret for Refresh Token Flow
  shr_api_enable_oauth_settings_require_secret_for_refresh_token_flow
ca-asset-token critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Enable Asset Tokens
  shr_api_enable_oauth_settings_enable_asset_tokens
ca-client-credentials critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Disable Client Credentials Flow
  shr_api_enable_oauth_settings_disable_client_credentials_flow
ca-oauth-settings critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Enable OAuth Settings
  shr_api_enable_oauth_settings_enable_oauth_settings
ca-pkce critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Require Proof Key for Code Exchange (PKCE)
  shr_api_enable_oauth_settings_require_proof_key_for_code_exchange_pkce
ca-refresh-token-rotation critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Enable Refresh Token Rotation
  shr_api_enable_oauth_settings_enable_refresh_token_rotation
ca-scopes critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Select the OAuth Scopes to Apply to the Connected App
  shr_api_enable_oauth_settings_select_the_oauth_scopes_to_apply_to_the_connected_app
ca-secret-web-server critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Require Secret for Web Server Flow
  shr_api_enable_oauth_settings_require_secret_for_web_server_flow
ca-session-timeout critical 9.0-10.0
  Connected Apps: Manage Session Policies for a Connected App: Session Timeout
  shr_manage_session_policies_for_a_connected_app_session_timeout
ca-token-exchange critical 9.0-10.0
  Connected Apps: API (Enable OAuth Settings): Secure Token Exchange Flow
  shr_api_enable_oauth_settings_secure_token_exchange_flow
ca-canvas-signed-request high 7.0-8.9
  Connected Apps: Canvas App Settings: Canvas Signed Request Security
  shr_canvas_app_settings_canvas_signed_request_security
ca-device-flow high 7.0-8.9
  Connected Apps: API (Enable OAuth Settings): Enable for Device Flow - Deselected
  shr_api_enable_oauth_settings_enable_for_device_flow_deselected
ca-digital-signature high 7.0-8.9
  Connected Apps: API (Enable OAuth Settings): Use Digital Signatures - Selected
  shr_api_enable_oauth_settings_use_digital_signatures_selected
ca-id-token high 7.0-8.9
  Connected Apps: API (Enable OAuth Settings): Configure ID token
  shr_api_enable_oauth_settings_configure_id_token
ca-ip-relaxation high 6.0-8.5
  Manage OAuth Access Policies for Connected Apps – IP Relaxation
  shr_manage_oauth_access_policies_for_a_connected_app_ip_relaxation
ca-manage-profiles high 7.0-8.9
  Connected Apps: Manage Other Access Settings for a Connected App: Manage Profiles
  shr_manage_other_access_settings_for_a_connected_app_manage_profiles
ca-mobile-pin high 7.0-8.9
  Connected Apps: Mobile App Settings: Mobile PIN Requirement
  shr_mobile_app_settings_mobile_pin_requirement
ca-mobile-pin-length high 7.0-8.9
  Connected Apps: Manage Mobile Policies for a Connected App: Mobile PIN Complexity
  shr_manage_mobile_policies_for_a_connected_app_mobile_pin_complexity
ca-mobile-pin-timeout high 7.0-8.9
  Connected Apps: Manage Mobile Policies for a Connected App: Mobile PIN Timeout
  shr_manage_mobile_policies_for_a_connected_app_mobile_pin_timeout
ca-saml-encryption high 7.0-8.9
  Connected Apps: Web App Settings: Encrypt SAML response - Select
  shr_web_app_settings_encrypt_saml_response_select
ca-saml-policies high 7.0-8.9
  Connected Apps: Web App Settings: After enabling SAML, configure the required policies
  shr_web_app_settings_after_enabling_saml_configure_the_required_policies
ca-saml-request-signature high 7.0-8.9
  Connected Apps: Web App Settings: Verify request signatures - Select
  shr_web_app_settings_verify_request_signatures_select
ca-saml-sha256 high 7.0-8.9
  Connected Apps: Web App Settings: Signing Algorithm for SAML Messages - Select SHA256
  shr_web_app_settings_signing_algorithm_for_saml_messages_select_sha256
ca-single-logout high 7.0-8.9
  OAuth Access Policies - Enable Single Logout
  shr_oauth_access_policies_enable_single_logout
ca-trusted-ip-ranges high 6.0-8.5
  Connected Apps: Configure Trusted IP Ranges for a Connected App: Trusted IP Ranges for a Connected App
  shr_configure_trusted_ip_ranges_for_a_connected_app_trusted_ip_ranges_for_a_connected_app
ca-user-provisioning high 7.0-8.9
  Connected Apps: User Provisioning for Connected Apps: Enable User Provisioning
  shr_user_provisioning_for_connected_apps_enable_user_provisioning
eca-client-credentials high 7.0-8.9 core
  External Client Apps: OAuth Flow Enablement: Disable Client Credentials Flow
  shr_oauth_flow_enablement_disable_client_credentials_flow
eca-code-credentials high 7.0-8.9 core
  External Client Apps: OAuth Flow Enablement Enable Authorization Code and Credentials Flow
  shr_oauth_flow_enablement_enable_authorization_code_and_credentials_flow
eca-scopes critical 9.0-10.0
  External Client Apps: Configure the External Client App OAuth Settings: OAuth Scope Least Privilege
  shr_configure_the_external_client_app_oauth_settings_oauth_scope_least_privilege
eca-token-exchange critical 9.0-10.0
  External Client Apps: Secure Token Exchange Flow (our name)
  analogy: ca-token-exchange
eca-client-credentials-policy high 7.0-8.9
  External Client Apps: Configure OAuth Policies: Configure Client Credential Flow Policies
  shr_configure_oauth_policies_configure_client_credential_flow_policies
eca-credential-rotation high 7.0-8.9
  External Client Apps: Configure OAuth Policies: Stage, Rotate, and Delete OAuth Credentials for an External
  Client App
  shr_configure_oauth_policies_stage_rotate_and_delete_oauth_credentials_for_an_external_client_app
eca-custom-attributes high 7.0-8.9
  External Client Apps: Configure OAuth Policies: Custom Attribute Security
  shr_configure_oauth_policies_custom_attribute_security
eca-custom-scopes high 7.0-8.9
  External Client Apps: Configure OAuth Policies: Configure Custom Scopes for External Client Apps
  shr_configure_oauth_policies_configure_custom_scopes_for_external_client_apps
eca-device-flow high 7.0-8.9
  External Client Apps: Enable for Device Flow - Deselected (our name)
  analogy: ca-device-flow
eca-id-token high 7.0-8.9
  External Client Apps: Configure the External Client App OAuth Settings: Configure ID Token
  shr_configure_the_external_client_app_oauth_settings_configure_id_token
eca-ip-relaxation high 6.0-8.5
  External Client Apps: IP Relaxation (our name)
  analogy: ca-ip-relaxation
eca-jwt-bearer high 7.0-8.9
  External Client Apps: OAuth Flow Enablement: Enable JWT Bearer Flow
  shr_oauth_flow_enablement_enable_jwt_bearer_flow
eca-mobile-screen-lock high 7.0-8.9
  External Client Apps: Mobile App Settings: Screen lock - Select
  shr_external_client_apps_mobile_app_settings_mobile_screen_lock
eca-notifications high 7.0-8.9
  External Client Apps: Notification Settings: External Client App’s Notification Settings: External Client App’s
  Notification Settings
  shr_notification_settings_external_client_app_s_notification_settings
eca-oauth-usage high 7.0-8.9
  External Client Apps: Configure OAuth Policies: Manage External Client App OAuth Usage
  shr_configure_oauth_policies_manage_external_client_app_oauth_usage
eca-pkce high 7.0-8.9
  External Client Apps: Security: Require Proof Key for Code Exchange (PKCE)
  shr_security_require_proof_key_for_code_exchange_pkce
eca-push high 7.0-8.9
  External Client Apps: Push Notification Settings and Policies for Mobile: Mobile Push Security
  shr_push_notification_settings_and_policies_for_mobile_mobile_push_security
eca-refresh-token-rotation high 7.0-8.9
  External Client Apps: Security: Enable Refresh Token Rotation
  shr_security_enable_refresh_token_rotation
eca-secret-refresh-token high 7.0-8.9
  External Client Apps: Security: Require secret for Refresh Token Flow
  shr_security_require_secret_for_refresh_token_flow
eca-secret-web-server high 7.0-8.9
  External Client Apps: Security: Require secret for Web Server Flow
  shr_security_require_secret_for_web_server_flow
eca-session-timeout high 7.0-8.9
  External Client Apps: Session Timeout (our name)
  analogy: ca-session-timeout
eca-single-logout high 7.0-8.9
  External Client Apps: Enable Single Logout (our name)
  analogy: ca-single-logout
oauth-redirect-uri high 7.0-8.9
  Exact redirect URIs (our name)
  RFC 9700, sections 2.1 and 4.1.3
org-customer-sso critical 9.0-10.0
  Single Sign-On (SSO) for Salesforce Customer Identity
  shr_single_sign_on_for_salesforce_customer_identity
org-headless-identity critical 9.0-10.0
  Headless Identity for Customers and Partners
  shr_headless_identity_for_customers_and_partners
org-network-access critical 9.0-10.0
  Network Access - Trusted IP Ranges
  shr_network_access
org-oauth-oidc critical 7.0-10.0
  OAuth and OpenID Connect Settings
  shr_oauth_and_openid_connect_settings
org-session-timeout critical 9.0-10.0
  Session Timeout
  shr_session_timeout_settings
org-single-logout critical 9.0-10.0
  Single Logout
  shr_single_logout
org-auth-providers high 7.0-8.9
  Authentication Provider Configuration and Validation
  shr_auth_providers
org-connected-app-creation high 7.0-8.9
  Connected Apps: Manage Connected Apps: Allow creation of connected apps - Off
  shr_manage_connect_apps_allow_creation_of_connected_apps_off
org-identity-provider high 7.0-8.9
  Identity Provider Configuration
  shr_identity_provider
org-idp-mfa high 7.0-8.9
  Salesforce as Identity Provider for Applications
  shr_sso_scenarios_salesforce_as_the_identity_provider
org-metadata-secrets high 7.0-8.9
  External Client App Settings: Metadata Secrets Protection
  shr_external_client_app_settings_metadata_secrets_protection
org-rest-secrets high 7.0-8.9
  External Client App Settings: REST API Secret Masking
  shr_external_client_app_settings_rest_api_secret_masking
org-session-level high 7.0-8.9
  Session Security Level - High Assurance Session Security
  shr_session_security_level_policies
partner-pkce critical 9.0-10.0
  Proof Key for Code Exchange (partner requirement)
  secure_code_ac_eca
partner-refresh-token-idle critical 9.0-10.0
  Refresh Token Idle TTL (partner requirement)
  secure_code_ac_eca
partner-refresh-token-ip critical 9.0-10.0
  Refresh Token IP Allowlist (partner requirement)
  secure_code_ac_eca
partner-refresh-token-rotation critical 9.0-10.0
  Refresh Token Rotation (partner requirement)
  secure_code_ac_eca
sbs-acs-003 critical 9.0-10.0
  Documented Justification for `Approve Uninstalled Connected Apps` Permission
  SBS-ACS-003
sbs-acs-006 critical 9.0-10.0
  Documented Justification for `Use Any API Client` Permission
  SBS-ACS-006
sbs-dep-005 critical 9.0-10.0
  Implement Secret Scanning for Salesforce Source Repositories
  SBS-DEP-005
sbs-oauth-001 critical 9.0-10.0
  Require Formal Installation of Connected Apps
  SBS-OAUTH-001
sbs-oauth-002 critical 9.0-10.0
  Require Profile or Permission Set Access Control for Connected Apps
  SBS-OAUTH-002
sbs-acs-002 high 7.0-8.9
  Documented Justification for All API-Enabled Authorizations
  SBS-ACS-002
sbs-acs-008 high 7.0-8.9
  Restrict Broad Privileges for Non-Human Identities
  SBS-ACS-008
sbs-dep-006 high 7.0-8.9
  Configure Salesforce CLI Connected App with Token Expiration Policies
  SBS-DEP-006
sbs-oauth-003 high 7.0-8.9
  Add Criticality Classification of OAuth-Enabled Connected Apps
  SBS-OAUTH-003
sbs-acs-009 medium 4.0-6.9
  Implement Compensating Controls for Privileged Non-Human Identities
  SBS-ACS-009
sbs-oauth-004 medium 4.0-6.9
  Due Diligence Documentation for High-Risk Connected App Vendors
  SBS-OAUTH-004
"""  # noqa: RUF001  (dashes and apostrophes as published)
"""Id, severity, range and whether it is of the core; name; page, or what it follows. In the order of the reports."""

BANDS = {"critical": ("9.0", "10.0"), "high": ("7.0", "8.9"), "medium": ("4.0", "6.9"), "low": ("0.1", "3.9")}


class Published(NamedTuple):
    """A control as the published pages have it."""

    id: str
    severity: str
    cvss_range: str
    core: bool
    name: str
    page: str


def published() -> Iterator[Published]:
    """Yield every row of the list."""
    for block in re.split(r"\n(?=\S)", PUBLISHED.strip()):
        head, *name, page = [" ".join(line.split()) for line in block.splitlines()]
        id_, severity, cvss_range, *core = head.split()
        yield Published(id_, severity, cvss_range, core == ["core"], " ".join(name), page)


ROWS = tuple(published())
CATALOGUE = load()
CONTROLS = {control.id: control for control in CATALOGUE.controls}
SHIPPED: dict[str, dict[str, Any]] = {
    one.name.removesuffix(".yaml"): yaml.safe_load(one.read_text("utf-8"))
    for one in files("pytest_oauthcontrols").joinpath("controls").iterdir()
}
"""What the files say, without the package's own reading of them."""


def steps(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every step that decides a control, with the kind of app (or the org) that it decides for."""
    for subject in document["applies_to"]:
        rule = document["decided_by"]
        for step in rule if isinstance(rule, list) else rule[subject]:
            yield subject, step


def conditions_of(condition: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every setting, or `predicate`, of a condition with what it is put to."""
    for key, test in condition.items():
        if key == "any":
            for one in test:
                yield from conditions_of(one)
        elif key == "not":
            yield from conditions_of(test)
        elif key != "finding":
            yield key, test


def settings_of(document: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """Yield kind of app, setting (or `predicate`) and test of everything that decides a control."""
    for subject, step in steps(document):
        for condition in [step.get("when", {}), *step.get("require", [])]:
            for key, test in conditions_of(condition):
                yield subject, key, test


def test_the_list_has_every_control_once() -> None:
    """The list that the catalogue is held against has 78 different controls, four of them the core."""
    assert len({row.id for row in ROWS}) == len(ROWS) == 78
    assert {row.id for row in ROWS if row.core} == {
        "ca-code-credentials",
        "ca-secret-refresh-token",
        "eca-code-credentials",
        "eca-client-credentials",
    }


def test_the_catalogue_has_every_control_once_in_a_fixed_order() -> None:
    """The catalogue has exactly the published controls: the core first, then by severity, then by id, in every run."""
    assert [control.id for control in CATALOGUE.controls] == [row.id for row in ROWS]
    again = load()
    assert [control.id for control in again.controls] == [row.id for row in ROWS]
    assert (again.version, again.sha256) == (CATALOGUE.version, CATALOGUE.sha256)
    assert re.fullmatch("[0-9a-f]{64}", CATALOGUE.sha256)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.id))
def test_a_control_is_as_published(row: Published) -> None:
    """Name, severity, range, core and page of a control are those that were published."""
    control = CONTROLS[row.id]
    assert (control.name, control.severity.value, control.cvss_range) == (row.name, row.severity, row.cvss_range)
    assert control.core is row.core
    if row.page.startswith("shr_"):
        assert control.page == f"https://help.salesforce.com/s/articleView?id=xcloud.{row.page}.htm&type=5"
        assert control.framework == "shr"
    elif row.page.startswith("analogy: "):
        assert (control.page, control.source, control.framework) == ("", row.page, "analogy")
        assert row.page.removeprefix("analogy: ") in CONTROLS
    else:
        host, framework = FOLLOWED[re.split("[-_ ]", row.page)[0]]
        assert control.page.startswith(f"https://{host}/")
        assert control.source
        assert control.framework == framework


FOLLOWED = {
    "SBS": ("docs.securitybenchmark.org", "sbs"),
    "RFC": ("www.rfc-editor.org", "rfc9700"),
    "secure": ("developer.salesforce.com", "partner"),
}
"""How a row names what a control follows instead of the Security Health Review: the site, and the framework."""


def test_every_framework_has_controls() -> None:
    """Each framework but the project's own has controls, and every control is of one that can be selected."""
    assert {one for control in CATALOGUE.controls for one in control.frameworks} == set(FRAMEWORKS) - {"own"}


@pytest.mark.parametrize("control", CATALOGUE.controls, ids=lambda control: str(control.id))
class TestEveryControl:
    """What holds of every control."""

    def test_severity_is_the_band_of_the_upper_end(self, control: Control) -> None:
        """The upper end of the range lies in the band of the severity, and the base score within the range."""
        low, high = (Decimal(one) for one in BANDS[control.severity.value])
        assert low <= control.cvss[1] <= high
        assert control.cvss[0] <= control.score <= control.cvss[1]

    def test_pages_are_https_urls(self, control: Control) -> None:
        """Page and sources are URLs that can be followed, with nothing in them that a URL cannot hold."""
        urls = [control.page] if control.page else []
        urls += [one.source for one in control.deadlines]
        assert urls or control.framework == "analogy"
        for url in urls:
            parts = urlsplit(url)
            assert parts.scheme == "https"
            assert parts.hostname in ("help.salesforce.com", *(host for host, _ in FOLLOWED.values()))
            assert re.fullmatch(r"[!-~]+", url)

    def test_last_step_always_decides(self, control: Control) -> None:
        """The last step of every rule has no condition, and no other step decides always."""
        for rule in control.rules.values():
            assert [clause.when is None for clause in rule] == [False] * (len(rule) - 1) + [True]

    def test_every_setting_exists(self, control: Control) -> None:
        """Every setting that decides, or is shown, is one of the metadata types of the app or of its org."""
        named = ("predicate", "read_from")
        read = [(subject, key) for subject, key, _ in settings_of(SHIPPED[control.id]) if key not in named]
        read += [(subject, key) for subject in control.applies_to for key in SHIPPED[control.id].get("shows", [])]
        said = {"oauth", "client_type", "inventory", "refresh_tokens", "signs_users_on", "consumer_secret_committed"}
        said |= {"custom_attributes", "custom_scopes"}
        for subject, key in read:
            types = [known for (of, _), known in METADATA_TYPES.items() if of in (subject, ORG)]
            known = {one.name for one in types} | {one.prefix + name for one in types for name in one.fields}
            assert key in known | said or key.startswith(("declared.", "inventory.")), key

    def test_by_hand_means_that_nothing_is_judged(self, control: Control) -> None:
        """A control that is assessed by hand never passes or fails; any other does."""
        outcomes = {key for _, step in steps(SHIPPED[control.id]) for key in step if key != "when"}
        if control.assessed == "by hand":
            assert "manual" in outcomes
            assert outcomes <= {"manual", "not_applicable"}
        else:
            assert outcomes & {"require", "fail", "pass"}

    def test_every_text_is_there(self, control: Control) -> None:
        """What an auditor or administrator reads is a sentence or more, and says how a verdict comes about."""
        texts = (control.recommended, control.overview, control.threat, control.impact, control.guidance)
        for text in (*texts, control.remediation, control.may_break, *(one.what for one in control.deadlines)):
            assert text.endswith(".")
            assert len(text) > 15
        assert control.assessed in ASSESSED
        assert control.basis
        assert control.low_risk_needs in (("any", "all") if len(control.low_risk_when) > 1 else ("",))


def test_every_control_is_of_a_kind_of_app_or_of_the_org() -> None:
    """A control's id tells what it applies to; others than those for one kind may be of both, or of the org."""
    kinds: dict[str, list[tuple[str, ...]]] = {
        "ca": [(CONNECTED_APP,)],
        "eca": [(EXTERNAL_CLIENT_APP,)],
        "org": [(ORG,)],
        "oauth": [(CONNECTED_APP, EXTERNAL_CLIENT_APP)],
        "partner": [(CONNECTED_APP, EXTERNAL_CLIENT_APP)],
        "sbs": [(ORG,), (CONNECTED_APP, EXTERNAL_CLIENT_APP)],
    }
    for control in CATALOGUE.controls:
        assert control.applies_to in kinds[control.id.partition("-")[0]], control
    parts = [CATALOGUE.of(subject) for subject in (CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG)]
    assert {control.id for part in parts for control in part} == set(CONTROLS)


def test_every_predicate_is_used() -> None:
    """No predicate is there that no control names, be it to decide or to tell the risk."""
    assert {one for document in SHIPPED.values() for one in predicates_of(document)} == set(PREDICATES)


def predicates_of(stated: Any) -> Iterator[str]:
    """Yield every predicate that is named in what a file states."""
    if isinstance(stated, dict):
        yield from (one for key, one in stated.items() if key == "predicate")
        stated = list(stated.values())
    for one in stated if isinstance(stated, list) else ():
        yield from predicates_of(one)


def test_the_catalogue_is_printed(pytester: pytest.Pytester) -> None:
    """--sf-controls prints every control, how severe it is, and what can be attested; it reads no org."""
    result = pytester.runpytest("--sf-controls", "--sf-org=./there-is-no-such-folder")
    assert result.ret == pytest.ExitCode.OK
    first, *lines = result.outlines
    assert "78 controls" in first
    assert lines[156:158] == ["", f"{len(CATALOGUE.factors)} risk factors that no API shows, and that can be attested"]
    (mdm,) = [number for number, line in enumerate(lines) if line == "mdm"]
    assert lines[mdm + 1].startswith("  shows, for ca-mobile-pin: Central device management ")
    (passcode,) = [number for number, line in enumerate(lines) if line == "device-passcode"]
    assert lines[passcode + 1] == "  rules out, for ca-mobile-pin: The device itself has no passcode."
    lines = lines[:156]
    shown = [[*head.split(None, 3), name.strip()] for head, name in zip(lines[::2], lines[1::2], strict=True)]
    assert [[id_, severity, cvss_range, name] for id_, severity, cvss_range, _, name in shown] == [
        [row.id, row.severity, row.cvss_range, row.name] for row in ROWS
    ]
    assert {id_: assessed for id_, _, _, assessed, _ in shown} == {id_: one["assessed"] for id_, one in SHIPPED.items()}


@pytest.mark.parametrize("control", CATALOGUE.controls, ids=lambda control: str(control.id))
def test_one_control_is_printed_in_full(control: Control, capsys: pytest.CaptureFixture[str]) -> None:
    """One control is shown with its page in our own words, what decides it, its evidence and its dates."""
    show_one(CATALOGUE, control)
    said = " ".join(capsys.readouterr().out.split())
    texts = [control.recommended, control.overview, control.threat, control.impact, control.guidance]
    texts += [control.remediation, control.may_break, control.page, control.source, *control.notes]
    texts += [one.says for one in control.contradictions]
    texts += [one.says for one in (*control.higher_risk_when, *control.low_risk_when)]
    texts += [one.what for one in control.deadlines] + [str(one.date) for one in control.deadlines]
    for text in texts:
        assert text in said
    named = {key for _, key, _ in settings_of(SHIPPED[control.id])} | set(SHIPPED[control.id].get("shows", []))
    named |= {one for document in [SHIPPED[control.id]["decided_by"]] for one in predicates_of(document)}
    assert set(control.evidence) == named - {"predicate", "read_from"}
    stated = yaml.safe_load(control.stated_rule)
    assert stated == SHIPPED[control.id]["decided_by"]


def test_a_control_that_there_is_not_cannot_be_shown(pytester: pytest.Pytester) -> None:
    """--sf-controls=ID with an unknown id is an error of one line that suggests another."""
    shown = pytester.runpytest("--sf-controls=ca-pkce")
    assert shown.ret == pytest.ExitCode.OK
    assert shown.outlines[0].startswith("ca-pkce: Connected Apps: ")
    refused = pytester.runpytest("--sf-controls=ca-pcke")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    assert refused.errlines[0] == "ERROR: --sf-controls: there is no control 'ca-pcke'; did you mean 'ca-pkce'?"


def test_a_threat_has_one_line() -> None:
    """The first sentence of a threat is its short form."""
    for control in CATALOGUE.controls:
        assert control.threat.startswith(control.threat_line)
        assert control.threat_line.endswith(".")
        assert "\n" not in control.threat_line


SAMPLE = """\
id: ca-sample
name: A control of the tests
page: a_page_of_the_tests
applies_to: [connected_app]
recommended: PKCE is required.
cvss: {severity: high, range: [7.0, 8.9], basis: page}
assessed: automatically
decided_by:
- when: {oauth: false}
  not_applicable: The app has no OAuth settings.
- require:
  - oauthConfig.isPkceRequired: true
    finding: PKCE is not required.
threat: Somebody else redeems the code.
overview: It says what may be used.
impact: Data is lost.
guidance: Look at it.
remediation: Select the option.
may_break: Clients without PKCE.
"""
FILE = "controls/ca-sample.yaml"

REQUIRED = "  - oauthConfig.isPkceRequired: true\n"
GUARD = "- when: {oauth: false}\n"
RANGE = "cvss: {severity: high, range: [7.0, 8.9], basis: page}\n"


def requiring(condition: str) -> tuple[str, str]:
    """Return what puts another requirement into the sample, at the marked line."""
    return REQUIRED, f"  - {condition} # here\n"


def ranging(cvss: str) -> tuple[str, str]:
    """Return what puts another range into the sample, at the marked line."""
    return RANGE, f"cvss: {{{cvss}}} # here\n"


def instead(old: str, new: str) -> tuple[str, str]:
    """Return what puts a line in the place of another, and marks it."""
    return f"{old}\n", f"{new} # here\n"


BAD: dict[str, tuple[tuple[str, str], str]] = {
    # Keys
    "unknown key": (
        instead("threat: Somebody else redeems the code.", "thread: x"),
        "unknown key 'thread'; did you mean 'threat'?",
    ),
    "unknown key of the score": (
        ranging("severity: high, ranges: [7.0, 8.9], basis: page"),
        "unknown key 'ranges'; did you mean 'range'?",
    ),
    "key twice": (("may_break:", "threat: Another one. # here\nmay_break:"), "'threat' stands here a second time"),
    "key of a requirement twice": (
        (REQUIRED, f"{REQUIRED}    oauthConfig.isPkceRequired: false # here\n"),
        "'oauthConfig.isPkceRequired' stands here a second time",
    ),
    # The control itself
    "id of another file": (instead("id: ca-sample", "id: ca-simple"), "the control's id is 'ca-simple'"),
    "unknown subject": (
        instead("applies_to: [connected_app]", "applies_to: [connected_apps]"),
        "not 'connected_apps'",
    ),
    "no subject": (instead("applies_to: [connected_app]", "applies_to: []"), "'applies_to' is missing"),
    "text in place of a list": (
        instead("applies_to: [connected_app]", "applies_to: connected_app"),
        "'applies_to' must be a list of texts",
    ),
    "number in place of a text": (instead("page: a_page_of_the_tests", "page: 7"), "'page' must be a text"),
    "empty text": (instead("recommended: PKCE is required.", "recommended: ' '"), "'recommended' must be a text"),
    "core that is a text": (
        instead("page: a_page_of_the_tests", "page: a_page\ncore: maybe"),
        "'core' must be true or false",
    ),
    "unknown way of assessment": (
        instead("assessed: automatically", "assessed: automaticaly"),
        "did you mean 'automatically'?",
    ),
    "several low risks without any or all": (
        (
            "threat:",
            "low_risk_when: [{says: A., when: {factor.mfa: true}}, {says: B., when: {factor.mdm: true}}]\nthreat:",
        ),
        "'low_risk_needs' is missing",
    ),
    # Dates
    "deadline that is no day": (
        ("threat:", "deadlines: [{date: soon, what: It ends., source: 'https://x'}] # here\nthreat:"),
        "'date' must be a day such as 2027-03-31",
    ),
    "deadline without a source": (
        ("threat:", "deadlines: [{date: 2027-06-01, what: It ends.}] # here\nthreat:"),
        "'source' is missing",
    ),
    "deadline from hearsay": (
        ("threat:", "deadlines: [{date: 2027-06-01, what: It ends., source: a blog}] # here\nthreat:"),
        "'source' must be a URL that begins with https://",
    ),
    "framework that there is not": (("threat:", "framework: rfc # here\nthreat:"), "did you mean"),
    # Score
    "score that is a list": (
        instead("cvss: {severity: high, range: [7.0, 8.9], basis: page}", "cvss: [7.0, 8.9]"),
        "'cvss' must be a mapping",
    ),
    "unknown severity": (ranging("severity: hihg, range: [7.0, 8.9], basis: page"), "did you mean 'high'?"),
    "severity of another band": (
        ranging("severity: critical, range: [7.0, 8.9], basis: page"),
        "a range up to 8.9 is high, not critical",
    ),
    "range that descends": (ranging("severity: high, range: [8.9, 7.0], basis: page"), "must ascend"),
    "range past 10": (ranging("severity: critical, range: [9.0, 10.1], basis: page"), "between 0 and 10"),
    "range from 0": (ranging("severity: high, range: [0, 8.9], basis: page"), "between 0 and 10"),
    "range below every band": (ranging("severity: low, range: [0.01, 0.05], basis: page"), "range"),
    "range of no number": (ranging("severity: high, range: [.nan, 8.9], basis: page"), "range"),
    "range of one score": (ranging("severity: high, range: [8.9], basis: page"), "the lowest and the highest score"),
    "range of texts": (ranging("severity: high, range: [low, high], basis: page"), "the lowest and the highest score"),
    "range that is a text": (
        ranging("severity: high, range: 7.0-8.9, basis: page"),
        "the lowest and the highest score",
    ),
    "no basis": (ranging("severity: high, range: [7.0, 8.9]"), "'basis' is missing"),
    # Steps
    "unknown verdict": (
        instead("  not_applicable: The app has no OAuth settings.", "  notapplicable: It has none."),
        "unknown key 'notapplicable'; did you mean 'not_applicable'?",
    ),
    "verdict that no rule may give": (
        instead("  not_applicable: The app has no OAuth settings.", "  unverifiable: It has none."),
        "unknown key 'unverifiable'",
    ),
    "verdict without a reason": (
        instead("  not_applicable: The app has no OAuth settings.", "  not_applicable: true"),
        "'not_applicable' must be a text",
    ),
    "two outcomes": ((GUARD, "- when: {oauth: false} # here\n  fail: It has none.\n"), "exactly one of"),
    "no outcome": (
        (f"{GUARD}  not_applicable: The app has no OAuth settings.\n", "- when: {oauth: false} # here\n"),
        "exactly",
    ),
    "step that is a text": (
        (f"decided_by:\n{GUARD}", f"decided_by: # here\n- a text\n{GUARD}"),
        "'decided_by' must be a list of mappings",
    ),
    "last step with a condition": (
        (
            SAMPLE[SAMPLE.index("decided_by:") : SAMPLE.index("threat:")],
            f"decided_by: # here\n{GUARD}  fail: It has none.\n",
        ),
        "cannot have a 'when'",
    ),
    "condition that is a text": (
        (GUARD, "- when: oauth is off # here\n"),
        "'when' must be a condition",
    ),
    "condition that is empty": ((GUARD, "- when: {} # here\n"), "a condition is missing"),
    "any of nothing": ((GUARD, "- when: {any: []} # here\n"), "any"),
    "any of a mapping": ((GUARD, "- when: {any: {oauth: false}} # here\n"), "'any' must be a list of mappings"),
    "nothing required": (
        (f"- require:\n{REQUIRED}    finding: PKCE is not required.\n", "- require: [] # here\n"),
        "'require' must not be empty",
    ),
    "requirement without a finding": (
        (f"{REQUIRED}    finding: PKCE is not required.\n", "  - oauthConfig.isPkceRequired: true # here\n"),
        "'finding' is missing",
    ),
    "requirement without a condition": (
        (f"{REQUIRED}    finding: PKCE is not required.\n", "  - finding: PKCE is not required. # here\n"),
        "a condition is missing",
    ),
    # Conditions
    "unknown setting": (
        requiring("oauthConfig.isPkceRequird: true"),
        "there is no setting 'oauthConfig.isPkceRequird' of connected apps; did you mean 'oauthConfig.isPkceRequired'?",
    ),
    "setting of the other kind": (
        requiring("ExtlClntAppGlobalOauthSettings.isPkceRequired: true"),
        "there is no setting 'ExtlClntAppGlobalOauthSettings.isPkceRequired' of connected apps",
    ),
    "unknown setting that is shown": (
        ("threat:", "shows: [oauthConfig.isPkce] # here\nthreat:"),
        "there is no setting 'oauthConfig.isPkce' of connected apps",
    ),
    "unknown operator": (
        requiring("oauthPolicy.ipRelaxation: {oneof: [ENFORCE]}"),
        "unknown operator 'oneof'; did you mean 'one_of'?",
    ),
    "two operators": (
        requiring("sessionPolicy.sessionTimeout: {at_least: 1, between: [1, 60]}"),
        "one operator with its operand",
    ),
    "neither operator nor flag": (requiring("oauthConfig.isPkceRequired: enabled"), "one operator with its operand"),
    "flag of a text": (requiring("samlConfig.acsUrl: true"), "must be a text"),
    "flag of an object": (requiring("samlConfig: true"), "'is' does not go with 'samlConfig', which is of type object"),
    "contains of a text": (requiring("startUrl: {contains: https}"), "'contains' does not go with 'startUrl'"),
    "is of a list": (requiring("oauthConfig.scopes: {is: Full}"), "'is' does not go with 'oauthConfig.scopes'"),
    "at least of a flag": (requiring("oauthConfig.isPkceRequired: {at_least: 1}"), "'at_least' does not go with"),
    "narrower than of a list": (
        requiring("profileName: {narrower_than: 0.0.0.0/0}"),
        "'narrower_than' does not go with",
    ),
    "state that no component has": (requiring("UserProvisioningConfig: missing"), "present, absent, unread"),
    "flag of a component": (requiring("UserProvisioningConfig: true"), "'UserProvisioningConfig' must be a text"),
    "text for a flag": (requiring("oauthConfig.isPkceRequired: {is: 'yes'}"), "must be true or false"),
    "text for a number": (requiring("sessionPolicy.sessionTimeout: {at_least: '8'}"), "must be a whole number"),
    "flag for a number": (requiring("sessionPolicy.sessionTimeout: {is: true}"), "must be a whole number"),
    "fraction for a number": (requiring("sessionPolicy.sessionTimeout: {at_least: 1.5}"), "must be a whole number"),
    "number for a text": (requiring("startUrl: {starts_with: 1}"), "must be a text"),
    "between one number": (
        requiring("sessionPolicy.sessionTimeout: {between: [1]}"),
        "the lowest and the highest number",
    ),
    "between texts": (
        requiring("sessionPolicy.sessionTimeout: {between: [a, b]}"),
        "the lowest and the highest number",
    ),
    "one of nothing": (requiring("oauthPolicy.ipRelaxation: {one_of: []}"), "must be a list"),
    "one of a text": (requiring("oauthPolicy.ipRelaxation: {one_of: ENFORCE}"), "must be a list"),
    "contains nothing": (requiring("oauthConfig.scopes: {contains: []}"), "must be a text or a list of texts"),
    "lacks a scope that there is none": (requiring("oauthConfig.scopes: {lacks: Fulll}"), "there is no scope 'Fulll'"),
    "narrower than no network": (requiring("ipRanges: {narrower_than: everything}"), "'narrower_than' of 'ipRanges'"),
    "narrower than nothing": (requiring("ipRanges: {narrower_than: []}"), "'narrower_than' of 'ipRanges'"),
    "value that the setting cannot have": (
        requiring("oauthPolicy.ipRelaxation: {is: ENFORCED}"),
        "must be one of ENFORCE, ENFORCE_RELAXREFRESH, BYPASS_2FACTOR, BYPASS, not 'ENFORCED'; did you mean 'ENFORCE'?",
    ),
    "unknown predicate": (
        requiring("predicate: scopes_are_alowed"),
        "not 'scopes_are_alowed'; did you mean 'scopes_are_allowed'?",
    ),
    # YAML
    "colon in a text": (instead("name: A control of the tests", "name: A control: of the tests"), "not YAML"),
    "bracket that is not opened": (instead("name: A control of the tests", "name: ] A control"), "not YAML"),
    "tab": (instead("name: A control of the tests", "name:\n\t- x"), "not YAML"),
    "control character": (instead("name: A control of the tests", "name: A \x07 control"), "not YAML"),
    "date that there is none": (instead("name: A control of the tests", "name: 2026-13-45"), "'2026-13-45' is no date"),
    "tag that does not fit": (instead("name: A control of the tests", "name: !!float none"), "not YAML"),
    "unknown tag": (instead("name: A control of the tests", "name: !module os"), "not YAML"),
    "key that is a list": (("name: A control of the tests\n", "? [name] # here\n: x\n"), "a key must be a text"),
}


def line_of(text: str) -> int:
    """Return the marked line of a document, the first where none is marked."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if "# here" in line), 1)


def test_the_sample_is_a_control() -> None:
    """What the bad documents are made of is a control, so that each of them has one fault."""
    control = parse_control(SAMPLE, FILE)
    assert (control.id, control.cvss_range, len(control.rules[CONNECTED_APP])) == ("ca-sample", "7.0-8.9", 2)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_control_is_named_with_its_line(case: str) -> None:
    """A file that says what a control cannot say is an error: one line, with the file, the line and the reason."""
    (old, new), reason = BAD[case]
    assert SAMPLE.count(old) == 1
    text = SAMPLE.replace(old, new)
    with pytest.raises(DocumentError) as caught:
        parse_control(text, FILE)
    message = str(caught.value)
    assert message.startswith(f"{FILE}:{line_of(text)}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "key",
    [
        "id",
        "name",
        "page",
        "applies_to",
        "recommended",
        "cvss",
        "assessed",
        "decided_by",
        "threat",
        "remediation",
        "may_break",
    ],
)
def test_a_missing_key_is_named(key: str) -> None:
    """A control that lacks a key it needs is an error that names file and key."""
    text = re.sub(rf"^{key}:.*\n(?:[- ].*\n)*", "", SAMPLE, flags=re.MULTILINE)
    assert len(text) < len(SAMPLE)
    with pytest.raises(DocumentError, match=f"^{FILE}:1: .*'{key}'"):
        parse_control(text, FILE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- id: ca-sample\n", "the file must hold a mapping"),
        ("just a text\n", "the file must hold a mapping"),
        ("", "'id' is missing"),
        ("id: &id [*id]\n", "not YAML"),
    ],
)
def test_a_file_of_something_else_is_named(text: str, reason: str) -> None:
    """A file that holds no mapping, or nothing, is an error at its first line."""
    with pytest.raises(DocumentError, match=f"^{FILE}:1: .*{reason}"):
        parse_control(text, FILE)


OF_BOTH = """\
applies_to: [connected_app, external_client_app]
recommended: PKCE is required.
cvss: {severity: high, range: [7.0, 8.9], basis: page}
assessed: automatically
decided_by:
"""
FOR_CONNECTED = "  connected_app: [{require: [{oauthConfig.isPkceRequired: true, finding: It is off.}]}]\n"
FOR_EXTERNAL = (
    "  external_client_app: [{require: [{ExtlClntAppGlobalOauthSettings.isPkceRequired: true, finding: It is off.}]}]\n"
)


def of_both(decided_by: str) -> str:
    """Return a control of both kinds of app."""
    head, tail = SAMPLE.partition("applies_to")[0], SAMPLE[SAMPLE.index("threat:") :]
    return f"{head}{OF_BOTH}{decided_by}{tail}"


def test_a_control_of_both_kinds_decides_for_each() -> None:
    """A control of both kinds of app says for each what decides it."""
    control = parse_control(of_both(FOR_CONNECTED + FOR_EXTERNAL), FILE)
    assert control.applies_to == (CONNECTED_APP, EXTERNAL_CLIENT_APP)


@pytest.mark.parametrize(
    ("decided_by", "line", "reason"),
    [
        (FOR_CONNECTED, 9, "'external_client_app' is missing"),
        (FOR_CONNECTED + FOR_EXTERNAL.replace("_app:", "_apps:"), 10, "did you mean 'external_client_app'"),
        ("- manual: Look.\n", 8, "must say it for each of connected_app, external_client_app"),
        (
            FOR_CONNECTED + FOR_EXTERNAL.replace("ExtlClntAppGlobalOauthSettings", "oauthConfig"),
            10,
            "external client apps",
        ),
    ],
)
def test_a_control_of_both_kinds_has_to(decided_by: str, line: int, reason: str) -> None:
    """A control of both kinds of app that does not decide for each is an error with file and line."""
    with pytest.raises(DocumentError, match=f"^{FILE}:{line}: .*{reason}"):
        parse_control(of_both(decided_by), FILE)


def test_a_page_of_another_site_is_kept() -> None:
    """A page that is a URL is that page, any other is an article of Salesforce's help."""
    assert parse_control(SAMPLE, FILE).page == (
        "https://help.salesforce.com/s/articleView?id=xcloud.a_page_of_the_tests.htm&type=5"
    )
    text = SAMPLE.replace("page: a_page_of_the_tests", "page: https://docs.example/controls#one")
    assert parse_control(text, FILE).page == "https://docs.example/controls#one"
