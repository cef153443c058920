"""What a control says of an app or org: pure functions, no input or output."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from pytest_oauthcontrols.catalogue import Catalogue, Clause, Control, Verdict
from pytest_oauthcontrols.cvss import Severity
from pytest_oauthcontrols.model import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG, Absent, App, Org, Setting, Unreadable
from pytest_oauthcontrols.truth import FALSE, FALSE_BY_DEFAULT, TRUE, TRUE_BY_DEFAULT, UNKNOWN

READABLE = Control(
    id="readable",
    name="The app's metadata can be read",
    page="",
    severity=Severity.CRITICAL,
    cvss=(Decimal("9.0"), Decimal("10.0")),
    basis="assigned: what cannot be read may fail any control",
    core=False,
    assessed="automatically",
    recommended="Everything that is known of the app can be read.",
    threat="What was not read was not assessed, and may be configured in any way.",
    remediation="Mend what is named, or retrieve the app again.",
    may_break="Nothing.",
    higher_risk_when=(),
    low_risk_when=(),
    low_risk_needs="",
    notes=(),
    rules={CONNECTED_APP: (), EXTERNAL_CLIENT_APP: ()},
    shows={},
)
"""Stands in for the controls of an app that could not be read, or only in part; it is no control of the catalogue."""


class Finding(NamedTuple):
    """What a control says of an app, or of the org itself.

    Reasons and evidence are worked out when they are asked for: of most findings nobody asks.
    """

    control: Control
    app: App | None
    """None for the org's own controls."""
    org: Org
    verdict: Verdict
    steps: tuple[Clause, ...]
    """The clauses that were looked at, the one that decided last."""
    decided: bool
    """False where a setting that nobody can tell kept the last clause from being decided."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why; a sentence each."""
        if self.control is READABLE:
            return self.app.problems if self.app is not None else ()
        if not self.decided:
            return _undecided_reasons(self)
        clause = self.steps[-1]
        if clause.verdict is not None:
            by_default = clause.when is not None and clause.when.holds(self.app, self.org) == TRUE_BY_DEFAULT
            return (_worded(clause.because, by_default),)
        if self.verdict is Verdict.PASS:
            return ("Configured as recommended.",)
        judged = [(one.finding, one.condition.holds(self.app, self.org)) for one in clause.requirements]
        return tuple(_worded(finding, holds == FALSE_BY_DEFAULT) for finding, holds in judged if holds < UNKNOWN)

    @property
    def message(self) -> str:
        """All reasons in one line."""
        prefix = "cannot be verified: " if self.verdict is Verdict.UNVERIFIABLE else ""
        return prefix + " ".join(self.reasons)

    @property
    def evidence(self) -> tuple[Setting, ...]:
        """The settings that the verdict rests on, each once.

        That an app has OAuth is left out where anything else was looked at.
        """
        if self.control is READABLE and self.app is not None:
            return (Unreadable(self.app.name, self.app.problems[0], self.app.managed),)
        settings = tuple(dict.fromkeys(self.looked_at()))
        return tuple(one for one in settings if one.name != "oauth" or isinstance(one, Unreadable)) or settings

    @property
    def subject(self) -> str:
        """Label of the app, or the org's name."""
        return self.app.label if self.app is not None else self.org.name

    def looked_at(self) -> Iterator[Setting]:
        """Yield every setting that was looked at, in order, some of them more than once."""
        for clause in self.steps:
            if clause.when is not None:
                yield from clause.when.evidence(self.app, self.org)
        if self.steps[-1].when is None or self.decided or self._guard_held():
            for requirement in self.steps[-1].requirements:
                yield from requirement.condition.evidence(self.app, self.org)
        if self.decided and self.verdict is not Verdict.NOT_APPLICABLE:
            for shown in self.control.shows[_subject(self.app)]:
                yield from shown.evidence(self.app, self.org)

    def _guard_held(self) -> bool:
        when = self.steps[-1].when
        return when is not None and when.holds(self.app, self.org) > UNKNOWN


def cases(org: Org, catalogue: Catalogue) -> Iterator[tuple[App | None, Control]]:
    """Iterate over everything that is to be assessed of an org; the app is None for the org's own controls."""
    by_kind = {kind: catalogue.of(kind) for kind in (CONNECTED_APP, EXTERNAL_CLIENT_APP)}
    for app in org.apps:
        if app.problems:
            yield app, READABLE
        if app.readable:
            for control in by_kind[app.kind]:
                yield app, control
    for control in catalogue.of(ORG):
        yield None, control


def evaluate(control: Control, app: App | None, org: Org) -> Finding:
    """Return what `control` says of `app`, or of `org` itself where `app` is None."""
    if control is READABLE:
        assert app is not None
        return Finding(control, app, org, Verdict.MANUAL if app.managed else Verdict.UNVERIFIABLE, (), decided=True)
    rule = control.rules[ORG if app is None else app.kind]
    certain = True
    for depth, clause in enumerate(rule, 1):
        if clause.when is not None:
            holds = clause.when.holds(app, org)
            if holds == FALSE:
                continue
            if holds == UNKNOWN:
                return _undecided(control, app, org, rule[:depth])
            certain = certain and holds == TRUE
            if holds == FALSE_BY_DEFAULT:
                continue
        verdict = clause.verdict or _judge(clause, app, org)
        if verdict is None or (verdict is Verdict.PASS and not certain):
            return _undecided(control, app, org, rule[:depth])
        return Finding(control, app, org, verdict, rule[:depth], decided=True)
    raise AssertionError(f"no clause of {control.id} decides")


def _subject(app: App | None) -> str:
    return ORG if app is None else app.kind


def _judge(clause: Clause, app: App | None, org: Org) -> Verdict | None:
    """Return the verdict on a clause's requirements; None if it cannot be told."""
    least = min([requirement.condition.holds(app, org) for requirement in clause.requirements])
    if least == TRUE:
        return Verdict.PASS
    return Verdict.FAIL if least < UNKNOWN else None


def _undecided(control: Control, app: App | None, org: Org, steps: tuple[Clause, ...]) -> Finding:
    """Return the finding where a control cannot be decided: manual if no tool could read what it needs."""
    finding = Finding(control, app, org, Verdict.UNVERIFIABLE, steps, decided=False)
    blocking = [one.manual for one in finding.looked_at() if type(one) is Unreadable and one.blocking]
    manual = bool(blocking) and all(blocking)
    return finding._replace(verdict=Verdict.MANUAL) if manual else finding


def _undecided_reasons(finding: Finding) -> tuple[str, ...]:
    reasons = []
    for one in finding.evidence:
        if isinstance(one, Unreadable) and one.blocking:
            reasons.append(f"{_capitalised(one.reason)}.")
        elif isinstance(one, Absent) and one.since:
            reasons.append(
                f"{one.name} is absent from {one.source}: its documented default, {shown_value(one.default)}, would do,"
                f" but a file of an API version before {one.since}.0 leaves it out too."
            )
    return tuple(dict.fromkeys(reasons))


def _capitalised(sentence: str) -> str:
    # Names of settings stay as they are.
    return sentence if "." in sentence.partition(" ")[0] else sentence[:1].upper() + sentence[1:]


def _worded(sentence: str, by_default: bool) -> str:
    return f"{sentence} (Absent: the documented default applies.)" if by_default else sentence


def shown_value(value: object) -> str:
    """Return a setting's value as metadata spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
