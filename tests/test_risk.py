"""The risk of a finding in context: its arithmetic, attested factors, and what a control can say of risk."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pytest_oauthcontrols.orgs.metadata_types import ORG
from pytest_oauthcontrols.orgs.model import Absent, Org, Seen, Unreadable
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.control_file import parse_control
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.rules.predicates import PREDICATES
from pytest_oauthcontrols.rules.risk import in_context, seen
from pytest_oauthcontrols.rules.truth import (
    BY_HAND,
    FALSE,
    FALSE_BY_DEFAULT,
    TRUE,
    TRUE_BY_DEFAULT,
    UNKNOWN,
    Truth,
)
from pytest_oauthcontrols.yaml_entries import DocumentError

from .support.examples import Example

CATALOGUE = load()
FILE = "controls/ca-sample.yaml"
SAMPLE = """\
id: ca-sample
name: A control of the tests
page: a_page_of_the_tests
applies_to: [{subject}]
recommended: It is as it should be.
cvss: {{severity: {severity}, range: [{low}, {high}], basis: page}}
assessed: automatically
decided_by:
- fail: It always fails.
{risk}
threat: Somebody gets in.
overview: It says what may be used.
impact: Data is lost.
guidance: Look at it.
remediation: Select the option.
may_break: Clients that are old.
"""
FULL = "{says: Full access., when: {oauthConfig.scopes: {contains: Full}}}"
WEB = "{says: Web access., when: {oauthConfig.scopes: {contains: Web}}}"
ROTATED = "{says: Rotation., when: {oauthConfig.isRefreshTokenRotationEnabled: true}}"
PKCE = "{says: PKCE., when: {oauthConfig.isPkceRequired: true}}"
MANAGED = "{says: Devices are managed., when: {factor.mdm: true}}"


def sample(
    risk: str = "", severity: str = "high", low: str = "7.0", high: str = "8.9", subject: str = "connected_app"
) -> Control:
    """Return a control that everything fails."""
    return parse_control(SAMPLE.format(risk=risk, severity=severity, low=low, high=high, subject=subject), FILE)


def found(control: Control, folder: Path, oauth: str = "", **said: Any) -> Finding:
    """Return what a control says of a connected app, of which the inside of `oauthConfig` is given."""
    example = {"verdict": "fail", "ConnectedApp": f"<oauthConfig>{oauth}</oauthConfig>", **said}
    return Example("ca-sample", 0, example).finding(control, folder)


def says(conditions: Any) -> list[str]:
    """Return the texts of conditions."""
    return [condition.says for condition in conditions]


@pytest.mark.parametrize(
    ("severity", "low", "high", "score"),
    [
        ("high", "6.0", "8.5", "7.3"),
        ("high", "7.0", "8.9", "8.0"),
        ("critical", "9.0", "10.0", "9.5"),
        ("critical", "7.0", "10.0", "8.5"),
        ("medium", "4.0", "6.9", "5.5"),
        ("medium", "6.0", "6.1", "6.1"),
        ("low", "1.0", "1.0", "1.0"),
    ],
)
def test_the_base_score_is_the_middle_rounded_half_up(
    severity: str, low: str, high: str, score: str, tmp_path: Path
) -> None:
    """Where nothing raises or lowers it, the score is the middle of the range, and half a tenth is rounded up."""
    control = sample(severity=severity, low=low, high=high)
    assert str(control.score) == score
    risk = in_context(found(control, tmp_path))
    assert (str(risk.score), risk.raised_by, risk.lowered_by, risk.unseen) == (score, (), (), ())


RAISED, MIDDLE, LOWERED = "8.9", "8.0", "3.9"
ON = {
    "full": "<scopes>Full</scopes>",
    "web": "<scopes>Web</scopes>",
    "rotated": "<isRefreshTokenRotationEnabled>true</isRefreshTokenRotationEnabled>",
    "pkce": "<isPkceRequired>true</isPkceRequired>",
    "not rotated": "<isRefreshTokenRotationEnabled>false</isRefreshTokenRotationEnabled>",
}
HIGHER = f"higher_risk_when: [{FULL}, {WEB}]"
ONE = f"low_risk_when: [{ROTATED}]"
ANY = f"low_risk_when: [{ROTATED}, {PKCE}]\nlow_risk_needs: any"
ALL = f"low_risk_when: [{ROTATED}, {PKCE}]\nlow_risk_needs: all"


@pytest.mark.parametrize(
    ("low", "settings", "score", "raised_by", "lowered_by"),
    [
        # One condition of higher risk is enough.
        ("", [], MIDDLE, [], []),
        ("", ["web"], RAISED, ["Web access."], []),
        ("", ["full", "web"], RAISED, ["Full access.", "Web access."], []),
        # One condition of low risk.
        (ONE, ["rotated"], LOWERED, [], ["Rotation."]),
        (ONE, ["not rotated"], MIDDLE, [], []),
        (ONE, ["rotated", "full"], RAISED, ["Full access."], []),
        # Any of two.
        (ANY, ["rotated"], LOWERED, [], ["Rotation."]),
        (ANY, ["pkce", "not rotated"], LOWERED, [], ["PKCE."]),
        (ANY, ["rotated", "pkce"], LOWERED, [], ["Rotation.", "PKCE."]),
        (ANY, ["not rotated"], MIDDLE, [], []),
        (ANY, ["rotated", "pkce", "web"], RAISED, ["Web access."], []),
        # All of two.
        (ALL, ["rotated"], MIDDLE, [], []),
        (ALL, ["pkce", "not rotated"], MIDDLE, [], []),
        (ALL, ["rotated", "pkce"], LOWERED, [], ["Rotation.", "PKCE."]),
        (ALL, ["rotated", "pkce", "full"], RAISED, ["Full access."], []),
    ],
)
def test_a_score_is_raised_or_lowered(
    low: str, settings: list[str], score: str, raised_by: list[str], lowered_by: list[str], tmp_path: Path
) -> None:
    """Higher risk goes to the top of the range, low risk to 3.9; where both are seen, higher risk decides."""
    control = sample(f"{HIGHER}\n{low}")
    risk = in_context(found(control, tmp_path, "".join(ON[name] for name in settings)))
    assert (str(risk.score), says(risk.raised_by), says(risk.lowered_by)) == (score, raised_by, lowered_by)


def test_the_published_score_stays(tmp_path: Path) -> None:
    """What raises or lowers the score in context changes neither range nor severity, nor the control itself."""
    control = sample(f"{HIGHER}\n{ONE}", "critical", "9.0", "10.0")
    for settings, score, severity in [
        ("full", "10.0", Severity.CRITICAL),
        ("rotated", "3.9", Severity.LOW),
        ("pkce", "9.5", Severity.CRITICAL),
    ]:
        finding = found(control, tmp_path, ON[settings])
        risk = in_context(finding)
        assert (str(risk.score), risk.severity) == (score, severity)
        assert finding.control.cvss == (Decimal("9.0"), Decimal("10.0"))
        assert (finding.control.cvss_range, finding.control.severity) == ("9.0-10.0", Severity.CRITICAL)
        assert str(finding.control.score) == "9.5"


def test_severity_in_context_is_the_band_of_the_score(tmp_path: Path) -> None:
    """A range from Medium to High has a middle in High, and its top too."""
    control = sample(HIGHER, "high", "6.0", "8.5")
    assert in_context(found(control, tmp_path)).severity is Severity.HIGH
    medium = sample(HIGHER, "high", "4.0", "8.5")
    assert str(in_context(found(medium, tmp_path)).score) == "6.3"
    assert in_context(found(medium, tmp_path)).severity is Severity.MEDIUM
    assert in_context(found(medium, tmp_path, ON["full"])).severity is Severity.HIGH


KEY = "{says: A secret., when: {oauthConfig.isSecretRequiredForRefreshToken: true}}"
NO_KEY = "{says: No secret., when: {oauthConfig.isSecretRequiredForRefreshToken: false}}"
NO_PKCE = "{says: No PKCE., when: {oauthConfig.isPkceRequired: false}}"


@pytest.mark.parametrize(
    ("risk", "live", "score", "unseen"),
    [
        # The documented default is true, since 51.0: secure, so a file that leaves it out proves nothing.
        (f"low_risk_when: [{KEY}]", None, MIDDLE, ["A secret."]),
        (f"low_risk_when: [{KEY}]", 68.0, LOWERED, []),
        (f"low_risk_when: [{KEY}]", 50.0, MIDDLE, ["A secret."]),
        (f"higher_risk_when: [{NO_KEY}]", None, MIDDLE, ["No secret."]),
        (f"higher_risk_when: [{NO_KEY}]", 68.0, MIDDLE, []),
        # The documented default is false, since 59.0: insecure, so it counts.
        (f"higher_risk_when: [{NO_PKCE}]", None, RAISED, []),
        (f"higher_risk_when: [{NO_PKCE}]", 59.0, RAISED, []),
        (f"higher_risk_when: [{NO_PKCE}]", 58.0, MIDDLE, ["No PKCE."]),
        (f"low_risk_when: [{PKCE}]", None, MIDDLE, []),
    ],
)
def test_a_documented_default_raises_but_does_not_lower(
    risk: str, live: float | None, score: str, unseen: list[str], tmp_path: Path
) -> None:
    """Of an element that a file leaves out an insecure default raises the score, and a secure one does not lower it."""
    said: dict[str, Any] = {} if live is None else {"live": live}
    context = in_context(found(sample(risk), tmp_path, **said))
    assert (str(context.score), says(context.unseen)) == (score, unseen)


@pytest.mark.parametrize(("needs", "score"), [("any", LOWERED), ("all", MIDDLE)])
def test_what_is_not_seen_is_listed_and_changes_nothing(needs: str, score: str, tmp_path: Path) -> None:
    """Conditions that nobody can tell are listed; they neither raise nor lower, and hold up those that need all."""
    user = "{says: An administrator., when: {RunAsUser.Permissions: {contains_any: [ModifyAllData]}}}"
    broken = "{says: Short sessions., when: {sessionPolicy.sessionTimeout: {between: [1, 15]}}}"
    control = sample(
        f"higher_risk_when: [{user}, {MANAGED}]\nlow_risk_when: [{ROTATED}, {broken}]\nlow_risk_needs: {needs}"
    )
    app = f"<oauthConfig>{ON['rotated']}</oauthConfig><sessionPolicy><sessionTimeout>x</sessionTimeout></sessionPolicy>"
    risk = in_context(found(control, tmp_path, ConnectedApp=app))
    assert str(risk.score) == score
    assert says(risk.unseen) == ["An administrator.", "Devices are managed.", "Short sessions."]


def attested(factor: str, **said: str) -> str:
    """Return a configuration with one attestation of a factor."""
    scope = {"expires": "2027-06-30", **said}
    keys = "".join(f", {key}: {value}" for key, value in scope.items())
    return f"attestations: [{{factor: {factor}, statement: It was checked., by: Jo Ito{keys}}}]"


@pytest.mark.parametrize(
    ("config", "score"),
    [
        (attested("mdm", app="App"), LOWERED),
        (attested("mdm", app="A*"), LOWERED),
        (attested("mdm"), LOWERED),
        (attested("mdm", org="example"), LOWERED),
        (attested("mdm", app="App", org="ex*"), LOWERED),
        (attested("mdm", app="App", expires="2026-11-20"), LOWERED),
        (attested("mdm", app="App", expires="2026-11-19"), MIDDLE),
        (attested("mdm", app="Other"), MIDDLE),
        (attested("mdm", app="app"), MIDDLE),
        (attested("mdm", app="App", org="production"), MIDDLE),
        (attested("mdm", org="production"), MIDDLE),
        (attested("mfa", app="App"), MIDDLE),
    ],
)
def test_an_attested_factor_counts_where_and_while_it_holds(config: str, score: str, tmp_path: Path) -> None:
    """An attestation counts for the apps and orgs that it names, all where it names none, and until its last day."""
    risk = in_context(found(sample(f"low_risk_when: [{MANAGED}]"), tmp_path, config=config))
    assert str(risk.score) == score
    assert says(risk.unseen) == ([] if score == LOWERED else ["Devices are managed."])


def test_an_attestation_for_the_whole_org_counts_for_every_app(tmp_path: Path) -> None:
    """A factor that was attested of no app in particular is there for connected and external client apps alike."""
    risk = f"low_risk_when: [{MANAGED}]"
    assert str(in_context(found(sample(risk), tmp_path, config=attested("mdm"))).score) == LOWERED
    said = {"verdict": "fail", "config": attested("mdm"), "ExternalClientApplication": "<label>A</label>"}
    external = sample(risk, subject="external_client_app")
    assert str(in_context(Example("ca-sample", 0, said).finding(external, tmp_path)).score) == LOWERED


@pytest.mark.parametrize(
    ("config", "score"),
    [
        (attested("mdm"), RAISED),
        (attested("mdm", org="example"), RAISED),
        (attested("mdm", app="App"), MIDDLE),
        (attested("mdm", app="'*'"), MIDDLE),
    ],
)
def test_of_the_org_itself_only_an_attestation_without_app_counts(config: str, score: str, tmp_path: Path) -> None:
    """What was attested of one app, or of apps by a pattern, says nothing of the org."""
    control = sample(f"higher_risk_when: [{MANAGED}]", subject="org")
    assert str(in_context(found(control, tmp_path, config=config)).score) == score


@pytest.mark.parametrize(
    ("config", "score", "unseen"),
    [
        ("", MIDDLE, ["Nobody watches."]),
        (attested("monitoring"), MIDDLE, []),
        (attested("monitoring", expires="2026-11-19"), MIDDLE, ["Nobody watches."]),
        (attested("monitoring", app="Other"), MIDDLE, ["Nobody watches."]),
    ],
)
def test_the_absence_of_a_safeguard_is_ruled_out_by_its_attestation(
    config: str, score: str, unseen: list[str], tmp_path: Path
) -> None:
    """A condition on a factor's absence is unseen until the factor is attested, and then does not hold."""
    control = sample("higher_risk_when: [{says: Nobody watches., when: {factor.monitoring: false}}]")
    risk = in_context(found(control, tmp_path, config=config))
    assert (str(risk.score), says(risk.unseen)) == (score, unseen)


def test_a_factor_and_a_setting_have_to_hold_together(tmp_path: Path) -> None:
    """In one condition a setting that is seen lowers nothing by itself, and neither does the attestation."""
    control = sample("low_risk_when: [{says: Both., when: {oauthConfig.isPkceRequired: true, factor.mdm: true}}]")
    assert str(in_context(found(control, tmp_path, ON["pkce"])).score) == MIDDLE
    assert str(in_context(found(control, tmp_path, config=attested("mdm"))).score) == MIDDLE
    assert str(in_context(found(control, tmp_path, ON["pkce"], config=attested("mdm"))).score) == LOWERED


def test_evidence_of_a_factor_is_who_attested_it(tmp_path: Path) -> None:
    """What a factor was seen by is the attestation, with its file and line; an expired one says that it has."""
    control = sample(f"low_risk_when: [{MANAGED}]")
    finding = found(control, tmp_path, config=f"# a comment\n{attested('mdm')}")
    (setting,) = seen(finding, control.low_risk_when[0])
    assert setting == Seen(
        "factor.mdm",
        "It was checked.",
        "oauthcontrols.yaml",
        2,
        "attested by Jo Ito until 2027-06-30: It was checked.",
    )
    (setting,) = seen(found(control, tmp_path, config=attested("mdm", expires="2026-11-19")), control.low_risk_when[0])
    assert isinstance(setting, Unreadable)
    assert setting.reason == "the attestation by Jo Ito expired on 2026-11-19 (oauthcontrols.yaml:1)"
    (setting,) = seen(found(control, tmp_path), control.low_risk_when[0])
    assert isinstance(setting, Unreadable)
    assert "nobody has attested the factor mdm" in setting.reason


BAD = {
    "no when": ("higher_risk_when:\n- says: x\n", 11, "'when' is missing: where no API shows it"),
    "no says": ("low_risk_when:\n- when: {factor.mdm: true}\n", 11, "'says' is missing"),
    "unknown key": (
        "higher_risk_when:\n- says: x\n  whem: {factor.mdm: true}\n",
        12,
        "unknown key 'whem'; did you mean 'when'?",
    ),
    "text in place of a condition": ("higher_risk_when: [It is dangerous.]\n", 10, "must be a list of mappings"),
    "text in place of a list": ("low_risk_when: It is safe.\n", 10, "must be a list of mappings"),
    "when that is a text": ("higher_risk_when:\n- says: x\n  when: always\n", 12, "'when' must be a condition"),
    "when that is empty": ("higher_risk_when:\n- says: x\n  when: {}\n", 12, "a condition is missing"),
    "unknown setting": (
        "higher_risk_when:\n- says: x\n  when: {oauthConfig.scope: {contains: Full}}\n",
        12,
        "there is no setting 'oauthConfig.scope' of connected apps; did you mean 'oauthConfig.scopes'?",
    ),
    "factor that is a text": (
        "higher_risk_when:\n- says: x\n  when: {factor.mdm: absent}\n",
        12,
        "must be true or false",
    ),
    "not of a text": ("higher_risk_when:\n- says: x\n  when: {not: oauth}\n", 12, "'not' must be a condition"),
    "not of nothing": ("higher_risk_when:\n- says: x\n  when: {not: {}}\n", 12, "a condition is missing"),
    "contains any of nothing": (
        "higher_risk_when:\n- says: x\n  when: {oauthConfig.scopes: {contains_any: []}}\n",
        12,
        "must be a text or a list of texts",
    ),
    "contains any of an unknown scope": (
        "higher_risk_when:\n- says: x\n  when: {oauthConfig.scopes: {contains_any: [Full, Fulll]}}\n",
        12,
        "there is no scope 'Fulll'",
    ),
    "contains any of an unknown permission": (
        "higher_risk_when:\n- says: x\n  when: {RunAsUser.Permissions: {contains_any: [ModifyAllDate]}}\n",
        12,
        "there is no 'ModifyAllDate'; did you mean 'ModifyAllData'?",
    ),
    "contains any of a text setting": (
        "higher_risk_when:\n- says: x\n  when: {label: {contains_any: [a]}}\n",
        12,
        "'contains_any' does not go with 'label'",
    ),
    "two of low risk without any or all": (
        "low_risk_when:\n- {says: x, when: {factor.mdm: true}}\n- {says: y, when: {factor.mfa: true}}\n",
        1,
        "'low_risk_needs' is missing",
    ),
    "two of low risk with neither any nor all": (
        "low_risk_when: [{says: x, when: {oauth: true}}, {says: y, when: {oauth: true}}]\nlow_risk_needs: both\n",
        11,
        "'low_risk_needs' must be one of any, all, not 'both'",
    ),
    "contradiction without a text": ("contradictions:\n- when: {oauth: true}\n", 11, "'says' is missing"),
    "contradiction with an unknown key": (
        "contradictions:\n- {says: x, wen: {oauth: true}}\n",
        11,
        "unknown key 'wen'",
    ),
    "contradiction that matters by a text": (
        "contradictions:\n- {says: x, when: on}\n",
        11,
        "'when' must be a condition",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_a_control_cannot_say_of_risk(case: str) -> None:
    """A risk condition or contradiction that is not understood is an error: one line with file, line and reason."""
    risk, line, reason = BAD[case]
    with pytest.raises(DocumentError) as caught:
        sample(risk)
    message = str(caught.value)
    assert message.startswith(f"{FILE}:{line}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("when", "app", "truth"),
    [
        # A list has at least one of several values; synonyms are the same scope, and unknown ones are none of them.
        ("oauthConfig.scopes: {contains_any: [Full, Api]}", "<scopes>Api</scopes><scopes>Web</scopes>", TRUE),
        ("oauthConfig.scopes: {contains_any: [Full, Api]}", "<scopes>Web</scopes>", FALSE),
        ("oauthConfig.scopes: {contains_any: Full}", "<scopes>Full</scopes>", TRUE),
        ("oauthConfig.scopes: {contains_any: [RefreshToken]}", "<scopes>OfflineAccess</scopes>", TRUE),
        ("oauthConfig.scopes: {contains_any: [OfflineAccess]}", "<scopes>RefreshToken</scopes>", TRUE),
        ("oauthConfig.scopes: {contains_any: [Full]}", "<scopes>Fuller</scopes>", FALSE),
        ("oauthConfig.scopes: {contains_any: [Full]}", "<scopes>Fuller</scopes><scopes>full</scopes>", TRUE),
        ("oauthConfig.scopes: {contains_any: [Full]}", "", FALSE),
        # Only a live org shows what a user may do.
        ("RunAsUser.Permissions: {contains_any: [ModifyAllData]}", "", BY_HAND),
        # The opposite: of what is seen, absent, absent with a documented default, unreadable, and nobody's to tell.
        ("not: {oauthConfig.isPkceRequired: true}", "<isPkceRequired>true</isPkceRequired>", FALSE),
        ("not: {oauthConfig.isPkceRequired: true}", "<isPkceRequired>false</isPkceRequired>", TRUE),
        ("not: {oauthConfig.isPkceRequired: true}", "", TRUE_BY_DEFAULT),
        ("not: {oauthConfig.isPkceRequired: false}", "", FALSE_BY_DEFAULT),
        ("not: {oauthConfig.isPkceRequired: true}", "<isPkceRequired>perhaps</isPkceRequired>", UNKNOWN),
        ("not: {oauthConfig.scopes: {contains_any: [Full]}}", "", TRUE),
        ("not: {oauthConfig.scopes: {contains_any: [Full]}}", "<scopes>Full</scopes>", FALSE),
        ("not: {RunAsUser.Permissions: {contains_any: [ModifyAllData]}}", "", BY_HAND),
        ("not: {OauthOidcSettings.isPkceRequired: true}", "", UNKNOWN),
        ("not: {OauthOidcSettings.isPkceRequired: {seen: true}}", "", TRUE),
        ("not: {samlConfig: present}", "", TRUE),
        ("not: {not: {oauthConfig.isPkceRequired: true}}", "<isPkceRequired>true</isPkceRequired>", TRUE),
        # Several keys under a `not` have to hold together; beside it, all.
        ("not: {oauth: true, samlConfig: present}", "", TRUE),
        ("not: {oauth: true, samlConfig: absent}", "", FALSE),
        ("{oauth: true, not: {samlConfig: present}}", "", TRUE),
        ("{oauth: false, not: {samlConfig: present}}", "", FALSE),
        ("not: {any: [{samlConfig: present}, {oauth: true}]}", "", FALSE),
        # A factor that nobody has attested.
        ("factor.mdm: true", "", BY_HAND),
        ("factor.mdm: false", "", BY_HAND),
        ("not: {factor.mdm: true}", "", BY_HAND),
        ("any: [{factor.mdm: true}, {oauth: true}]", "", TRUE),
        ("{factor.mdm: true, oauth: false}", "", FALSE),
    ],
)
def test_not_and_contains_any(when: str, app: str, truth: Truth, tmp_path: Path) -> None:
    """What is added to the vocabulary for risk follows its logic: what cannot be told stays so."""
    condition = when if when.startswith("{") else f"{{{when}}}"
    control = sample(f"higher_risk_when: [{{says: x, when: {condition}}}]")
    finding = found(control, tmp_path, app)
    assert finding.app is not None
    assert control.higher_risk_when[0].conditions["connected_app"].holds(finding.app, finding.org) == truth


@pytest.mark.parametrize(
    ("value", "truth"),
    [
        ("ENFORCE", FALSE),
        ("Enforce", FALSE),
        ("BYPASS", TRUE),
        ("ENFORCE_ACTIVATED_USERS", TRUE),
    ],
)
def test_an_unknown_value_is_not_the_one_that_is_meant(value: str, truth: Truth, tmp_path: Path) -> None:
    """A value that Salesforce does not document is another one than that under a `not`."""
    control = sample("higher_risk_when: [{says: x, when: {not: {oauthPolicy.ipRelaxation: {is: ENFORCE}}}}]")
    app = f"<oauthConfig/><oauthPolicy><ipRelaxation>{value}</ipRelaxation></oauthPolicy>"
    finding = found(control, tmp_path, ConnectedApp=app)
    assert control.higher_risk_when[0].conditions["connected_app"].holds(finding.app, finding.org) == truth


def test_a_live_org_shows_what_a_user_may_do(tmp_path: Path) -> None:
    """Permissions that a query has shown decide; none at all are none of several."""
    control = sample(
        "higher_risk_when: [{says: x, when: {RunAsUser.Permissions: {contains_any: [ModifyAllData, ManageUsers]}}}]"
    )
    for permissions, score in [(["ApiEnabled", "ManageUsers"], RAISED), (["ApiEnabled"], MIDDLE), ([], MIDDLE)]:
        finding = found(control, tmp_path, live=68.0, queried={"RunAsUser.Permissions": permissions})
        assert str(in_context(finding).score) == score
        assert in_context(finding).unseen == ()


def test_factors_of_a_condition_are_known_however_deep_they_stand() -> None:
    """A condition names its factors, wherever in it they stand, and whether they show it or rule it out."""
    control = sample(
        "higher_risk_when:\n- says: x\n  when: {any: [{factor.mdm: true}, {not: {factor.mfa: true}}],"
        " factor.hsm: false, not: {any: [{factor.vault: false}]}}"
    )
    assert control.higher_risk_when[0].factors == {"mdm": True, "mfa": False, "hsm": False, "vault": True}


API, FULL_ACCESS = "<oauthConfig><scopes>Api</scopes></oauthConfig>", "<oauthConfig><scopes>Full</scopes></oauthConfig>"
POLICY = "<oauthConfig/><oauthPolicy><ipRelaxation>{}</ipRelaxation></oauthPolicy>"
TOKENS = "<oauthConfig/><oauthPolicy><refreshTokenPolicy>{}</refreshTokenPolicy></oauthPolicy>"
ECA = "ExternalClientApplication"


def made(folder: Path, live: float | None = None, **apps: Any) -> Org:
    """Return an org of some apps: the inside of a connected app, or the components of an external client app."""
    said = {name: {"ConnectedApp": one} if isinstance(one, str) else one for name, one in apps.items()}
    return Example("made", 0, {"apps": said, **({} if live is None else {"live": live})}).org(folder)


EXTERNAL = {ECA: "<distributionState>Local</distributionState>"}


@pytest.mark.parametrize(
    ("predicate", "apps", "truth", "named"),
    [
        ("no_app_has_full_access", {}, UNKNOWN, ["apps with OAuth settings"]),
        ("no_app_has_full_access", {"One": "<samlConfig/>"}, UNKNOWN, ["apps with OAuth settings"]),
        ("no_app_has_full_access", {"One": "<oauthConfig/>"}, TRUE, ["One: oauthConfig.scopes"]),
        (
            "no_app_has_full_access",
            {"One": API, "Two": "<samlConfig/>", "Three": API},
            TRUE,
            ["One: oauthConfig.scopes", "Three: oauthConfig.scopes"],
        ),
        ("no_app_has_full_access", {"One": API, "Two": FULL_ACCESS}, FALSE, ["Two: oauthConfig.scopes"]),
        ("no_app_has_full_access", {"One": API, "Two": "<oauthConfig>"}, UNKNOWN, ["Two"]),
        # One that is bad is bad, whatever the other is.
        ("no_app_has_full_access", {"One": FULL_ACCESS, "Two": "<oauthConfig>"}, FALSE, ["One: oauthConfig.scopes"]),
        (
            "no_app_has_full_access",
            {"One": {**EXTERNAL, "ExtlClntAppOauthSettings": ""}},
            UNKNOWN,
            ["One: ExtlClntAppOauthSettings.commaSeparatedOauthScopes"],
        ),
        (
            "no_app_has_full_access",
            {"One": {ECA: "<distributionState>Managed</distributionState>"}},
            BY_HAND,
            ["One: oauth"],
        ),
        (
            "every_app_enforces_ip_restrictions",
            {"One": POLICY.format("Enforce")},
            TRUE,
            ["One: oauthPolicy.ipRelaxation"],
        ),
        (
            "every_app_enforces_ip_restrictions",
            {"One": POLICY.format("ENFORCE"), "Two": POLICY.format("ENFORCE_RELAXREFRESH")},
            FALSE,
            ["Two: oauthPolicy.ipRelaxation"],
        ),
        (
            "every_app_enforces_ip_restrictions",
            {"One": POLICY.format("ENFORCE"), "Two": API},
            TRUE_BY_DEFAULT,
            ["Two: oauthPolicy.ipRelaxation"],
        ),
        (
            "every_app_enforces_ip_restrictions",
            {"One": {**EXTERNAL, "ExtlClntAppOauthConfigurablePolicies": ""}},
            UNKNOWN,
            ["One: ExtlClntAppOauthConfigurablePolicies.ipRelaxationPolicyType"],
        ),
        (
            "every_app_enforces_ip_restrictions",
            {
                "One": {
                    **EXTERNAL,
                    "ExtlClntAppOauthConfigurablePolicies": "<ipRelaxationPolicyType>Enforce</ipRelaxationPolicyType>",
                }
            },
            TRUE,
            ["One: ExtlClntAppOauthConfigurablePolicies.ipRelaxationPolicyType"],
        ),
        ("every_app_enforces_ip_restrictions", {}, UNKNOWN, ["apps with OAuth settings"]),
        (
            "refresh_tokens_of_every_app_expire_within_90_days",
            {"One": TOKENS.format("specific_lifetime:90:DAYS"), "Two": TOKENS.format("zero")},
            TRUE,
            ["One: oauthPolicy.refreshTokenPolicy", "Two: oauthPolicy.refreshTokenPolicy"],
        ),
        (
            "refresh_tokens_of_every_app_expire_within_90_days",
            {"One": TOKENS.format("specific_lifetime:2161:HOURS"), "Two": TOKENS.format("zero")},
            FALSE,
            ["One: oauthPolicy.refreshTokenPolicy"],
        ),
        (
            "refresh_tokens_of_every_app_expire_within_90_days",
            {"One": API},
            FALSE,
            ["One: oauthPolicy.refreshTokenPolicy"],
        ),
        ("refresh_tokens_of_every_app_expire_within_90_days", {}, UNKNOWN, ["apps with OAuth settings"]),
    ],
)
def test_what_holds_of_every_app(
    predicate: str, apps: dict[str, Any], truth: Truth, named: list[str], tmp_path: Path
) -> None:
    """It holds only if every app with OAuth was seen to be fine, and never of none; the apps that decide are named."""
    holds, settings = PREDICATES[predicate](None, made(tmp_path, **apps))
    assert (holds, [setting.name for setting in settings]) == (truth, named)


def test_an_absent_ip_relaxation_has_its_default_in_a_live_org_that_knows_it(tmp_path: Path) -> None:
    """The documented default counts from the API version on that has the policy."""
    predicate = PREDICATES["every_app_enforces_ip_restrictions"]
    holds, (setting,) = predicate(None, made(tmp_path, 49.0, One=API))
    assert holds == TRUE
    assert isinstance(setting, Absent)
    assert setting.default == "ENFORCE"
    assert predicate(None, made(tmp_path, 48.0, One=API))[0] == UNKNOWN


def test_apps_that_could_not_be_counted_may_be_unsafe(tmp_path: Path) -> None:
    """Where some apps of an org may be missing, nothing is known of every app; a bad one is bad all the same."""
    predicate = PREDICATES["no_app_has_full_access"]
    fine, bad = made(tmp_path, One=API), made(tmp_path, One=FULL_ACCESS)
    assert predicate(None, fine)[0] == TRUE
    holds, (setting,) = predicate(None, replace(fine, problems=("apps may be missing",)))
    assert (holds, setting) == (UNKNOWN, Unreadable("apps with OAuth settings", "apps may be missing"))
    assert predicate(None, replace(bad, problems=("apps may be missing",)))[0] == FALSE


@pytest.mark.parametrize(
    ("policy", "truth"),
    [
        ("zero", TRUE),
        ("specific_lifetime:24:HOURS", TRUE),
        ("specific_lifetime:1:DAYS", TRUE),
        ("specific_lifetime:25:HOURS", FALSE),
        ("specific_lifetime:2:DAYS", FALSE),
        ("specific_lifetime:1:MONTHS", FALSE),
        ("specific_inactivity:1:HOURS", FALSE),
        ("infinite", FALSE),
        ("SPECIFIC_LIFETIME", FALSE),
    ],
)
def test_refresh_tokens_that_end_within_a_day(policy: str, truth: Truth, tmp_path: Path) -> None:
    """Only an absolute lifetime of 24 hours or less counts, or a token that ends at once."""
    org = made(tmp_path, One=TOKENS.format(policy))
    assert PREDICATES["refresh_tokens_expire_within_24_hours"](org.apps[0], org)[0] == truth


@pytest.mark.parametrize(
    ("control_id", "factor"),
    [
        ("ca-device-flow", "monitoring"),
        ("ca-mobile-pin", "device-passcode"),
        ("ca-mobile-pin-length", "attempt-lockout"),
        ("ca-saml-sha256", "hsm"),
        ("ca-single-logout", "session-controls"),
        ("org-connected-app-creation", "registration-alerts"),
        ("org-idp-mfa", "mfa"),
        ("org-oauth-oidc", "session-controls"),
        ("org-session-timeout", "mfa"),
        ("org-single-logout", "session-controls"),
    ],
)
def test_a_safeguard_of_the_catalogue_that_was_attested_is_no_longer_unseen(
    control_id: str, factor: str, tmp_path: Path
) -> None:
    """Where the absence of a safeguard means higher risk, its attestation, and no other, settles that."""
    control = next(one for one in CATALOGUE.controls if one.id == control_id)
    of_org = {"subject": ORG} if control_id.startswith("org") else {}
    unseen = {
        config: says(in_context(found(control, tmp_path, config=config, **of_org)).unseen)
        for config in ("", attested("private-connectivity"), attested(factor))
    }
    (settled,) = set(unseen[""]) - set(unseen[attested(factor)])
    assert settled in says(control.higher_risk_when)
    assert unseen[attested("private-connectivity")] == unseen[""]


def test_every_factor_has_a_plain_name_and_none_is_a_placeholder() -> None:
    """Factors are lower case words with hyphens, so that they can be typed and told apart."""
    assert CATALOGUE.factors
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", factor) for factor in CATALOGUE.factors)
    assert "todo" not in CATALOGUE.factors


@pytest.mark.parametrize("control", CATALOGUE.controls, ids=lambda control: str(control.id))
def test_contradictions_name_controls_that_there_are(control: Control) -> None:
    """A contradiction names only controls of the catalogue, and never just itself; no note says the same again."""
    ids = {one.id for one in CATALOGUE.controls}
    for contradiction in control.contradictions:
        named = set(re.findall(r"\b(?:ca|eca|org|sbs)(?:-[a-z0-9]+)+\b", contradiction.says))
        assert named <= ids - {control.id}
        assert contradiction.says not in control.notes


def test_conditions_of_low_risk_never_rest_on_an_absence() -> None:
    """No control of the catalogue lowers a score of an org or app about which nothing was read but that it exists."""
    for control in CATALOGUE.controls:
        for subject in control.applies_to:
            said: dict[str, Any] = {
                "connected_app": {"ConnectedApp": "<oauthConfig/>"},
                "external_client_app": {ECA: "", "ExtlClntAppGlobalOauthSettings": ""},
                ORG: {},
            }[subject]
            for one in control.low_risk_when:
                org = Example(control.id, 0, {"verdict": "x", **said}).org(Path())
                app = None if subject == ORG else org.apps[0]
                assert one.conditions[subject].holds(app, org) != TRUE, (control, one.says)
