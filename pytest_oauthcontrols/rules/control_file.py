"""A control as a YAML file says it: a shipped one in `controls/`, or one of a project's own.

What may stand in it is said by `_KEYS` and in `conditions`; anything else is an error that names file and line.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG
from pytest_oauthcontrols.rules.conditions import FACTOR, Condition, all_of, compile_condition, factors_of
from pytest_oauthcontrols.rules.control import (
    NO_OWN_ID,
    Clause,
    Contradiction,
    Control,
    Deadline,
    Requirement,
    RiskCondition,
    Verdict,
    is_own_id,
)
from pytest_oauthcontrols.rules.cvss import Severity, score_of, score_range, severity_of
from pytest_oauthcontrols.rules.selection import FRAMEWORKS
from pytest_oauthcontrols.yaml_entries import Entry, parse

ASSESSED = (
    "automatically",
    "automatically from API 68",
    "automatically where configured",
    "automatically where declared",
    "of files only",
    "of live orgs only",
    "with an inventory",
    "by hand",
)
"""How verdicts come about."""

_KEYS = frozenset(
    [
        "id",
        "name",
        "page",
        "source",
        "framework",
        "applies_to",
        "core",
        "recommended",
        "cvss",
        "assessed",
        "decided_by",
        "shows",
        "higher_risk_when",
        "low_risk_when",
        "low_risk_needs",
        "deadlines",
        "overview",
        "threat",
        "impact",
        "guidance",
        "remediation",
        "may_break",
        "contradictions",
        "notes",
    ]
)
_SHIPPED = {"core", "framework"}
"""What only a control that ships with the package can say."""
_OUTCOMES = {verdict.value: verdict for verdict in Verdict if verdict is not Verdict.UNVERIFIABLE}
_PAGE = "https://help.salesforce.com/s/articleView?id=xcloud.{}.htm&type=5"
_SUBJECTS = (CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG)


def parse_control(text: str, file: str, *, own: bool = False) -> Control:
    """Return the control that a YAML document describes.

    What a published page says, a project's own control can leave out: it may have no page, threat or side effects.
    Raises `DocumentError`, which names file and line, where it says what a control cannot say.
    """
    entry = parse(text, file)
    entry.only(_KEYS - _SHIPPED if own else _KEYS)

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
    # A control that no page of its own asks for says what it follows instead.
    source = entry.text("source") if "source" in entry else ""
    page = "" if source and "page" not in entry else said("page")
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
        page=_PAGE.format(page) if page and not own and not page.startswith("https://") else page,
        source=source,
        framework=Control.framework if own else _framework(entry),
        severity=severity,
        cvss=(low, high),
        basis=basis,
        core=core,
        assessed=entry.choice("assessed", ASSESSED) if "assessed" in entry or not own else ASSESSED[0],
        recommended=entry.text("recommended"),
        overview=said("overview"),
        threat=said("threat"),
        impact=said("impact"),
        guidance=said("guidance"),
        remediation=entry.text("remediation"),
        may_break=said("may_break"),
        higher_risk_when=tuple(_risks(entry, "higher_risk_when", applies_to)),
        low_risk_when=low_risk_when,
        low_risk_needs=low_risk_needs,
        contradictions=tuple(_contradictions(entry, applies_to)),
        deadlines=tuple(sorted(_deadlines(entry), key=lambda one: one.date)),
        notes=entry.texts("notes"),
        rules={subject: _rule(entry, subject, applies_to) for subject in applies_to},
        rule_sha256=hashlib.sha256(json.dumps([entry["applies_to"], entry["decided_by"]]).encode()).hexdigest(),
        stated_rule=_lines_of(text, entry, "decided_by"),
        evidence=tuple(dict.fromkeys((*_settings_of(entry["decided_by"]), *entry.texts("shows")))),
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


def _lines_of(text: str, entry: Entry, key: str) -> str:
    """Return the lines in which a document states a key, without the key itself."""
    first = entry.lines[key]
    following = sorted(line for line in entry.lines.values() if line > first)
    lines = text.splitlines()[first : following[0] - 1 if following else None]
    return "\n".join(lines) or text.splitlines()[first - 1].partition(":")[2].strip()


def _settings_of(stated: Any) -> Iterator[str]:
    """Yield the name of every setting and predicate in a rule, as it is stated."""
    if isinstance(stated, list):
        for one in stated:
            yield from _settings_of(one)
    elif isinstance(stated, Entry):
        for key, value in stated.items():
            if key in _STRUCTURE:
                yield from _settings_of(value)
            elif key == "predicate":
                yield str(value)
            elif key not in (*_OUTCOMES, "finding", "read_from") and not key.startswith(FACTOR):
                yield key


_STRUCTURE = ("when", "require", "any", "not", *_SUBJECTS)
"""Keys of a rule below which conditions stand."""


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
        one.only(("says", "established", "when"))
        if "when" not in one:
            raise one.error("'when' is missing: where no API shows it, say when: {factor.NAME: true}")
        conditions = {subject: _condition(one, "when", subject) for subject in applies_to}
        found = one.text("established") if "established" in one else ""
        yield RiskCondition(one.text("says"), conditions, dict(factors_of(one["when"])), found)


def _framework(entry: Entry) -> str:
    """Return the framework of a control that ships with the package: the Security Health Review unless it says so."""
    return entry.choice("framework", tuple(FRAMEWORKS)) if "framework" in entry else "shr"


def _deadlines(entry: Entry) -> Iterator[Deadline]:
    for one in entry.entries("deadlines"):
        one.only(("date", "what", "source"))
        source = one.text("source")
        if not source.startswith("https://"):
            raise one.error("'source' must be a URL that begins with https://", "source")
        yield Deadline(one.day("date"), one.text("what"), source)


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
