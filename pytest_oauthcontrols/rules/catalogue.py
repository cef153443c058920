"""The catalogue of controls, read from the YAML files beside this module, and from a project's own.

Each file of `controls/` is one control. What may stand in it is said by `_KEYS` and in `conditions`; anything else is
an error that names file and line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from functools import cache, cached_property
from importlib.resources import files

from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG
from pytest_oauthcontrols.rules.conditions import Condition, all_of, compile_condition, factors_of
from pytest_oauthcontrols.rules.cvss import Severity, base_score, score_of, score_range, severity_of
from pytest_oauthcontrols.rules.selection import EVERYTHING, Selection
from pytest_oauthcontrols.yaml_entries import Entry, parse

_PACKAGE = "pytest_oauthcontrols"
VERSION = "2026.11"
"""Year and month in which the published pages were read."""


class Verdict(str, Enum):
    """What a control says of an app or org."""

    PASS = "pass"  # noqa: S105  (not a password)
    FAIL = "fail"
    NOT_APPLICABLE = "not_applicable"
    MANUAL = "manual"
    """No API shows the setting: a person has to look."""
    UNVERIFIABLE = "unverifiable"
    """It should be readable and was not: never a pass."""


@dataclass(frozen=True)
class Requirement:
    """What has to hold for an app to pass."""

    condition: Condition
    finding: str
    """What is wrong where it does not hold."""


@dataclass(frozen=True)
class Clause:
    """One step of a rule: the first whose condition holds decides."""

    when: Condition | None
    """None: always."""
    verdict: Verdict
    """What it says; with requirements only where they hold, else the verdict is fail."""
    because: str
    requirements: tuple[Requirement, ...]
    required: Condition | None
    """All requirements at once; None where there are none."""


@dataclass(frozen=True, eq=False)
class RiskCondition:
    """What, by the published page, makes the risk of a finding higher or lower than usual."""

    says: str
    conditions: Mapping[str, Condition]
    """By what the control applies to."""
    factors: Mapping[str, bool]
    """Risk factors among them, which somebody has to attest: whether that shows the condition, or rules it out."""

    @property
    def with_factors(self) -> str:
        """What it says, and which attestation would tell whether it holds."""
        factors = (
            f" To {'show it' if shows else 'rule it out'}, attest the factor {factor}."
            for factor, shows in self.factors.items()
        )
        return f"{self.says}{''.join(factors)}"


@dataclass(frozen=True)
class Contradiction:
    """Something in which published pages disagree, or a page with itself."""

    says: str
    """What disagrees, which reading decides, and why."""
    matters: Mapping[str, Condition]
    """When it matters, by what the control applies to; empty: always."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Control:
    """One control, published or a project's own, and what decides it."""

    id: str
    name: str
    """As published."""
    severity: Severity
    cvss: tuple[Decimal, Decimal]
    """Published range of CVSS base scores."""
    basis: str
    """Where the range comes from."""
    assessed: str
    """How a verdict comes about: `automatically`, `by hand`, ..."""
    remediation: str
    rules: Mapping[str, tuple[Clause, ...]]
    """What decides, by what it applies to: a kind of app, or `org`. Without clauses something else than a rule does."""
    rule_sha256: str
    """Digest of what decides, as it is stated: findings of two runs can be compared only where it is the same."""
    page: str = ""
    """URL of the published page; empty where there is none, as all that follows can be."""
    core: bool = False
    recommended: str = ""
    threat: str = ""
    may_break: str = ""
    """What a fix may break."""
    higher_risk_when: tuple[RiskCondition, ...] = ()
    low_risk_when: tuple[RiskCondition, ...] = ()
    low_risk_needs: str = ""
    """`any` or `all` of the conditions for low risk; empty where there is at most one."""
    contradictions: tuple[Contradiction, ...] = ()
    notes: tuple[str, ...] = ()
    shows: Mapping[str, tuple[Condition, ...]] = field(default_factory=dict)
    """What is shown as evidence beside what decides."""
    origin: str = ""
    """Where a project's own control is stated: file and line."""
    overridden: str = ""
    """What the project says otherwise than the published page, why, and where."""

    @property
    def frameworks(self) -> tuple[str, ...]:
        """What it is a part of: `shr` or `sbs`, and `core`; or `own`."""
        if self.origin:
            return ("own",)
        published = "sbs" if self.id.startswith("sbs-") else "shr"
        return ("core", published) if self.core else (published,)

    @property
    def applies_to(self) -> tuple[str, ...]:
        """The kinds of app, or `org`."""
        return tuple(self.rules)

    @property
    def score(self) -> Decimal:
        """Base score: the middle of the published range."""
        return base_score(*self.cvss)

    @property
    def cvss_range(self) -> str:
        """The published range as text; the one score where a vector gave it."""
        low, high = self.cvss
        return str(low) if low == high else f"{low}-{high}"

    def __repr__(self) -> str:
        return f"<Control {self.id}>"


@dataclass(frozen=True)
class Catalogue:
    """All controls, in the order in which they are reported."""

    controls: tuple[Control, ...]
    version: str
    sha256: str
    """Digest over the files that ship with the package."""
    selection: Selection = EVERYTHING

    @cached_property
    def left_out(self) -> Mapping[str, str]:
        """Controls that are not assessed, each with the reason."""
        found = {control.id: self.why_left_out(control) for control in self.controls}
        return {control: why for control, why in found.items() if why is not None}

    @property
    def assessed(self) -> tuple[Control, ...]:
        """The controls that are not left out."""
        return tuple(control for control in self.controls if control.id not in self.left_out)

    @property
    def unmatched(self) -> tuple[tuple[str, str], ...]:
        """What was asked for and matches no control, and where it was said."""
        return tuple(self.selection.unmatched((control.id, control.frameworks) for control in self.controls))

    def why_left_out(self, control: Control) -> str | None:
        """Return why a control, also one that a test of the project states, is not assessed; None where it is."""
        return self.selection.why_left_out(control.id, control.frameworks)

    @property
    def rules(self) -> Mapping[str, str]:
        """By which rule each control decides, as a digest."""
        return {control.id: control.rule_sha256 for control in self.controls}

    @cached_property
    def factors(self) -> Mapping[str, tuple[str, ...]]:
        """Each risk factor that can be attested, with what that shows or rules out."""
        found: dict[str, dict[str, None]] = {}
        for control in self.controls:
            for condition in (*control.higher_risk_when, *control.low_risk_when):
                for factor, shows in condition.factors.items():
                    says = f"{'shows' if shows else 'rules out'}, for {control.id}: {condition.says}"
                    found.setdefault(factor, {})[says] = None
        return {factor: tuple(found[factor]) for factor in sorted(found)}

    def of(self, subject: str) -> tuple[Control, ...]:
        """Return the controls of a kind of app, or of the org itself."""
        return tuple(control for control in self.assessed if control.rules.get(subject))


ASSESSED = (
    "automatically",
    "automatically from API 68",
    "automatically where configured",
    "of live orgs only",
    "with an inventory",
    "by hand",
)
"""How verdicts come about."""

_KEYS = {
    *(
        "id",
        "name",
        "page",
        "applies_to",
        "core",
        "recommended",
        "cvss",
        "assessed",
        "decided_by",
        "shows",
        "higher_risk_when",
    ),
    *("low_risk_when", "low_risk_needs", "threat", "remediation", "may_break", "contradictions", "notes"),
}
_OUTCOMES = {verdict.value: verdict for verdict in Verdict if verdict is not Verdict.UNVERIFIABLE}
_PAGE = "https://help.salesforce.com/s/articleView?id=xcloud.{}.htm&type=5"
_SUBJECTS = (CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG)
_PREFIXES = ("ca-", "eca-", "org-", "sbs-")
"""How the ids of the controls that ship with the package begin."""


def is_own_id(control: str) -> bool:
    """Tell whether an id can be that of a control of a project's own: lower-case words, joined by hyphens."""
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", control) is not None and not control.startswith(_PREFIXES)


NO_OWN_ID = (
    "is no id for a control of your own: take lower-case words joined by '-', the first of them your project's"
    f" ({', '.join(_PREFIXES)} are taken)"
)
"""What is wrong with another id; it stands behind the id."""


@cache
def load() -> Catalogue:
    """Return the catalogue that ships with the package; its files are read once."""
    shipped = sorted(
        (one for one in files(_PACKAGE).joinpath("controls").iterdir() if one.name.endswith(".yaml")),
        key=lambda one: one.name,
    )
    texts = [(f"{_PACKAGE}/controls/{one.name}", one.read_text("utf-8")) for one in shipped]
    digest = hashlib.sha256("".join(text for _, text in texts).encode()).hexdigest()
    return Catalogue(in_order(parse_control(text, file) for file, text in texts), VERSION, digest)


def in_order(controls: Iterable[Control]) -> tuple[Control, ...]:
    """Sort by what a control applies to, the core first, then by severity and id; a project's own go last."""
    return tuple(
        sorted(
            controls,
            key=lambda one: (bool(one.origin), one.id.partition("-")[0], not one.core, one.severity.rank, one.id),
        )
    )


def parse_control(text: str, file: str, *, own: bool = False) -> Control:
    """Return the control that a YAML document describes.

    What a published page says, a project's own control can leave out: it may have no page, threat or side effects.
    Raises `DocumentError`, which names file and line, where it says what a control cannot say.
    """
    entry = parse(text, file)
    entry.only(_KEYS - {"core"} if own else _KEYS)

    def said(key: str) -> str:
        return "" if own and key not in entry else entry.text(key)

    id_ = entry.text("id")
    if id_ != file.replace("\\", "/").rpartition("/")[2].removesuffix(".yaml"):
        raise entry.error(f"the control's id is '{id_}', the file has another name", "id")
    if own and not is_own_id(id_):
        raise entry.error(f"'{id_}' {NO_OWN_ID}", "id")
    severity, low, high, basis = _cvss(entry, own)
    applies_to = entry.texts("applies_to")
    for subject in applies_to:
        if subject not in _SUBJECTS:
            raise entry.error(f"'applies_to' lists {', '.join(_SUBJECTS)}, not '{subject}'", "applies_to")
    if not applies_to:
        raise entry.error("'applies_to' is missing", "applies_to")
    page = said("page")
    if own and page and not page.startswith("https://"):
        raise entry.error("'page' must be a URL that begins with https://", "page")
    core = entry.get("core", False)
    if not isinstance(core, bool):
        raise entry.error("'core' must be true or false", "core")
    low_risk_when = tuple(_risks(entry, "low_risk_when", applies_to))
    low_risk_needs = entry.choice("low_risk_needs", ("any", "all")) if len(low_risk_when) > 1 else ""
    return Control(
        id=id_,
        name=entry.text("name"),
        page=page if own or page.startswith("https://") else _PAGE.format(page),
        severity=severity,
        cvss=(low, high),
        basis=basis,
        core=core,
        assessed=entry.choice("assessed", ASSESSED) if "assessed" in entry or not own else ASSESSED[0],
        recommended=entry.text("recommended"),
        threat=said("threat"),
        remediation=entry.text("remediation"),
        may_break=said("may_break"),
        higher_risk_when=tuple(_risks(entry, "higher_risk_when", applies_to)),
        low_risk_when=low_risk_when,
        low_risk_needs=low_risk_needs,
        contradictions=tuple(_contradictions(entry, applies_to)),
        notes=entry.texts("notes"),
        rules={subject: _rule(entry, subject, applies_to) for subject in applies_to},
        rule_sha256=hashlib.sha256(json.dumps([entry["applies_to"], entry["decided_by"]]).encode()).hexdigest(),
        shows={subject: _shows(entry, subject) for subject in applies_to},
        origin=f"{file}:{entry.line}" if own else "",
    )


def _cvss(entry: Entry, own: bool) -> tuple[Severity, Decimal, Decimal, str]:
    cvss = entry.get("cvss")
    if not isinstance(cvss, Entry):
        raise entry.error("'cvss' must be a mapping of severity, range and basis, or of vector and basis", "cvss")
    basis = cvss.text("basis") if "basis" in cvss or not own else "assigned"
    if "vector" in cvss:
        cvss.only(("vector", "basis"))
        try:
            score = score_of(cvss.text("vector"))
        except ValueError as error:
            raise cvss.error(f"'vector': {error}", "vector") from None
        return severity_of(score), score, score, basis
    cvss.only(("severity", "range", "basis"))
    numbers = cvss.get("range")
    if not isinstance(numbers, list):
        numbers = []
    try:
        low, high = score_range(numbers)
    except ValueError as error:
        raise cvss.error(f"'range' {error}", "range") from None
    severity = Severity(cvss.choice("severity", [one.value for one in Severity]))
    if severity_of(high) is not severity:
        raise cvss.error(f"a range up to {high} is {severity_of(high).value}, not {severity.value}", "severity")
    return severity, low, high, basis


def _rule(entry: Entry, subject: str, applies_to: tuple[str, ...]) -> tuple[Clause, ...]:
    source, key = entry, "decided_by"
    if len(applies_to) > 1:
        by_subject = entry.get(key)
        if not isinstance(by_subject, Entry):
            raise entry.error(f"'{key}' must say it for each of {', '.join(applies_to)}", key)
        by_subject.only(applies_to)
        source, key = by_subject, subject
    clauses = tuple(_clause(one, subject) for one in source.entries(key))
    if not clauses:
        raise source.error(f"'{key}' is missing")
    if clauses[-1].when is not None:
        raise source.error(f"the last step of '{key}' must decide always, so it cannot have a 'when'", key)
    return clauses


def _clause(entry: Entry, subject: str) -> Clause:
    entry.only(("when", "require", *_OUTCOMES))
    outcomes = [key for key in entry if key != "when"]
    if len(outcomes) != 1:
        raise entry.error(f"exactly one of require, {', '.join(_OUTCOMES)} must be said")
    when = _condition(entry, "when", subject) if "when" in entry else None
    if outcomes == ["require"]:
        requirements = tuple(
            Requirement(compile_condition(one, subject, ("finding",)), one.text("finding"))
            for one in entry.entries("require")
        )
        if not requirements:
            raise entry.error("'require' must not be empty", "require")
        return Clause(when, Verdict.PASS, "", requirements, all_of(tuple(one.condition for one in requirements)))
    return Clause(when, _OUTCOMES[outcomes[0]], entry.text(outcomes[0]), (), None)


def _risks(entry: Entry, key: str, applies_to: tuple[str, ...]) -> Iterator[RiskCondition]:
    for one in entry.entries(key):
        one.only(("says", "when"))
        if "when" not in one:
            raise one.error("'when' is missing: where no API shows it, say when: {factor.NAME: true}")
        conditions = {subject: _condition(one, "when", subject) for subject in applies_to}
        yield RiskCondition(one.text("says"), conditions, dict(factors_of(one["when"])))


def _contradictions(entry: Entry, applies_to: tuple[str, ...]) -> Iterator[Contradiction]:
    for one in entry.entries("contradictions"):
        one.only(("says", "when"))
        matters = {subject: _condition(one, "when", subject) for subject in applies_to if "when" in one}
        yield Contradiction(one.text("says"), matters)


def _condition(entry: Entry, key: str, subject: str) -> Condition:
    if not isinstance(entry[key], Entry):
        raise entry.error(f"'{key}' must be a condition", key)
    return compile_condition(entry[key], subject)


def _shows(entry: Entry, subject: str) -> tuple[Condition, ...]:
    shown = []
    for name in entry.texts("shows"):
        one = Entry(entry.file, entry.lines["shows"])
        one[name] = "present"
        shown.append(compile_condition(one, subject))
    return tuple(shown)
