"""The catalogue that ships, against what was published, and what is said of a file that is no control."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from typing import Any
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

from .support.examples import published

BANDS = {"critical": ("9.0", "10.0"), "high": ("7.0", "8.9"), "medium": ("4.0", "6.9"), "low": ("0.1", "3.9")}


PUBLISHED = published()
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


def test_the_catalogue_has_every_control_once_in_a_fixed_order() -> None:
    """Each file is one control; in each group the core is first, and then it goes by severity and id, in every run."""
    severities = tuple(BANDS)
    order = sorted(
        PUBLISHED,
        key=lambda one: (
            one.partition("-")[0],
            not PUBLISHED[one].get("core", False),
            severities.index(PUBLISHED[one]["severity"]),
            one,
        ),
    )
    again = load.__wrapped__()
    for catalogue in (CATALOGUE, again):
        assert [control.id for control in catalogue.controls] == order
    assert (again.version, again.sha256) == (CATALOGUE.version, CATALOGUE.sha256)
    assert re.fullmatch("[0-9a-f]{64}", CATALOGUE.sha256)
    assert set(SHIPPED) == set(PUBLISHED)


@pytest.mark.parametrize("control_id", PUBLISHED)
def test_a_control_is_as_published(control_id: str) -> None:
    """Name, severity, range, core and page of a control are those that its examples say were published."""
    control, said = CONTROLS[control_id], PUBLISHED[control_id]
    assert (control.name, control.severity.value, control.cvss_range) == (said["name"], said["severity"], said["cvss"])
    assert control.core is said.get("core", False)
    followed = said["page"]
    if followed.startswith("shr_"):
        assert control.page == f"https://help.salesforce.com/s/articleView?id=xcloud.{followed}.htm&type=5"
        assert control.framework == "shr"
    elif followed.startswith("analogy: "):
        assert (control.page, control.source, control.framework) == ("", followed, "analogy")
        assert followed.removeprefix("analogy: ") in CONTROLS
    else:
        host, framework = FOLLOWED[re.split("[-_ ]", followed)[0]]
        assert control.page.startswith(f"https://{host}/")
        assert control.source
        assert control.framework == framework


FOLLOWED = {
    "SBS": ("docs.securitybenchmark.org", "sbs"),
    "RFC": ("www.rfc-editor.org", "rfc9700"),
    "secure": ("developer.salesforce.com", "partner"),
}
"""How an example names what its control follows instead of the Security Health Review: the site, and the framework."""


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
    """A control's id tells what it applies to; one that tells it not is of either kind of app, or of the org."""
    kinds: dict[str, list[tuple[str, ...]]] = {
        "ca": [(CONNECTED_APP,)],
        "eca": [(EXTERNAL_CLIENT_APP,)],
        "org": [(ORG,)],
    }
    others = [(ORG,), (CONNECTED_APP, EXTERNAL_CLIENT_APP)]
    for control in CATALOGUE.controls:
        assert control.applies_to in kinds.get(control.id.partition("-")[0], others), control
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
    assert f"{len(SHIPPED)} controls" in first
    end = 2 * len(SHIPPED)
    factors = {key for document in SHIPPED.values() for key in factors_of(document)}
    assert lines[end : end + 2] == ["", f"{len(factors)} risk factors that no API shows, and that can be attested"]
    (mdm,) = [number for number, line in enumerate(lines) if line == "mdm"]
    assert lines[mdm + 1].startswith("  shows, for ca-mobile-pin: Central device management ")
    (passcode,) = [number for number, line in enumerate(lines) if line == "device-passcode"]
    assert lines[passcode + 1] == "  rules out, for ca-mobile-pin: The device itself has no passcode."
    lines = lines[:end]
    shown = [[*head.split(None, 3), name.strip()] for head, name in zip(lines[::2], lines[1::2], strict=True)]
    assert [[id_, severity, cvss_range, name] for id_, severity, cvss_range, _, name in shown] == [
        [control.id, said["severity"], said["cvss"], said["name"]]
        for control in CATALOGUE.controls
        for said in [PUBLISHED[control.id]]
    ]
    assert {id_: assessed for id_, _, _, assessed, _ in shown} == {id_: one["assessed"] for id_, one in SHIPPED.items()}


def factors_of(stated: Any) -> Iterator[str]:
    """Yield every risk factor that is named in what a file states."""
    if isinstance(stated, dict):
        yield from (key for key in stated if key.startswith("factor."))
        stated = list(stated.values())
    for one in stated if isinstance(stated, list) else ():
        yield from factors_of(one)


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
    "key twice": (("may_break:", "threat: Another one. # here\nmay_break:"), "'threat' is repeated"),
    "key of a requirement twice": (
        (REQUIRED, f"{REQUIRED}    oauthConfig.isPkceRequired: false # here\n"),
        "'oauthConfig.isPkceRequired' is repeated",
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
    "date that there is none": (
        instead("name: A control of the tests", "name: 2026-13-45"),
        "'2026-13-45' is not a valid date",
    ),
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
        ("- id: ca-sample\n", "the file must be a mapping"),
        ("just a text\n", "the file must be a mapping"),
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
