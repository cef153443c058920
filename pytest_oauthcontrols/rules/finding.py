"""What a control finds: the verdict, why, and the settings that it rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG, POLICIES
from pytest_oauthcontrols.orgs.model import Absent, App, Org, Seen, Setting, Unreadable
from pytest_oauthcontrols.rules.conditions import Condition
from pytest_oauthcontrols.rules.control import Clause, Control, Verdict
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.truth import BY_HAND, FALSE, FALSE_BY_DEFAULT, TRUE, TRUE_BY_DEFAULT, UNKNOWN
from pytest_oauthcontrols.text import capitalised

ATTESTED = "attested."
"""How the setting begins that holds the attestation of a control."""

READABLE = Control(
    id="readable",
    name="The metadata can be read",
    severity=Severity.CRITICAL,
    cvss=(Decimal("9.0"), Decimal("10.0")),
    basis="assigned: what cannot be read may fail any control",
    assessed="automatically",
    recommended="Everything that is known to exist can be read.",
    threat="What was not read was not assessed, and may be configured in any way.",
    remediation="Mend what is named, and read again.",
    may_break="Nothing.",
    rules={CONNECTED_APP: (), EXTERNAL_CLIENT_APP: (), ORG: ()},
    rule_sha256="",
)
"""Stands in for the controls of an app or org that could not be read, or only in part; the catalogue has it not."""


class Statement(NamedTuple):
    """What somebody else than a rule says of an app or org: a test of the project, a plugin, or that it is unread."""

    reasons: tuple[str, ...]
    """Why; a sentence each."""
    evidence: tuple[Setting, ...]


class Finding(NamedTuple):
    """What a control says of an app, or of the org itself.

    Reasons and evidence are worked out when they are asked for: of most findings nobody asks.
    """

    control: Control
    app: App | None
    """None for the org's own controls."""
    org: Org
    verdict: Verdict
    depth: int
    """How many clauses of the control's rule were looked at; the last of them decided."""
    decided: bool = True
    """False where a setting that nobody can tell kept the last clause from being decided."""
    stated: Statement | None = None
    """What stands in for the control's rule; None where that decides."""

    @property
    def _steps(self) -> tuple[Clause, ...]:
        """The clauses that were looked at, the one that decided last."""
        return self.control.rules[ORG if self.app is None else self.app.kind][: self.depth]

    @property
    def failing(self) -> bool:
        """Whether it fails its case, unless it is accepted."""
        return self.verdict in (Verdict.FAIL, Verdict.UNVERIFIABLE)

    @property
    def attestation(self) -> Seen | Unreadable | None:
        """The attestation where a person has to look, or has looked: seen, or unreadable because it has expired."""
        by_rule = self.decided and (self.stated is not None or self._steps[-1].verdict is Verdict.PASS)
        by_hand = self.verdict is Verdict.MANUAL or (self.verdict is Verdict.PASS and not by_rule)
        return attestation(self.control, self.app, self.org) if by_hand else None

    @property
    def contradictions(self) -> tuple[str, ...]:
        """Where published pages disagree and it matters here: which reading decides, and why."""
        subject = ORG if self.app is None else self.app.kind
        return tuple(
            one.says
            for one in self.control.contradictions
            if not one.matters or one.matters[subject].holds(self.app, self.org) in (TRUE, TRUE_BY_DEFAULT)
        )

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why; a sentence each."""
        attestation = self.attestation
        if attestation is None:
            return (*self._reasons, "The app is disabled.") if self._disabled else self._reasons
        if isinstance(attestation, Seen):
            return (f"{capitalised(str(attestation.shown))}.",)
        return (*self._reasons, f"{capitalised(attestation.reason)}.")

    @property
    def _disabled(self) -> Seen | None:
        """The setting by which an external client app is disabled, where that is worth a word."""
        if self.app is None or self.stated is not None or self.verdict is Verdict.NOT_APPLICABLE:
            return None
        enabled = self.app.settings.get(f"{POLICIES}.isEnabled")
        return enabled if isinstance(enabled, Seen) and not enabled.value else None

    @property
    def _reasons(self) -> tuple[str, ...]:
        """Why by what was read."""
        if self.stated is not None:
            return self.stated.reasons
        if not self.decided:
            return tuple(dict.fromkeys(self._in_the_way()))
        clause = self._steps[-1]
        if clause.required is None:
            return (self._worded(clause.because, clause.when),)
        if self.verdict is Verdict.PASS:
            return ("Configured as recommended.",)
        return tuple(
            self._worded(one.finding, one.condition)
            for one in clause.requirements
            if one.condition.holds(self.app, self.org) < UNKNOWN
        )

    def _worded(self, sentence: str, condition: Condition | None) -> str:
        """Fill in what a sentence names of the evidence, and say with it that it is so by a documented default."""
        sentence = _NAMED.sub(self._named, sentence)
        if condition is None:
            return sentence
        seen = condition.evidence(self.app, self.org)
        by_default = any(isinstance(one, Absent) and one.default is not None for one in seen)
        return f"{sentence} (Absent: the documented default applies.)" if by_default else sentence

    def _named(self, match: re.Match[str]) -> str:
        """Return what stands in the place of a setting's name; the name as it is where nothing shows the setting."""
        name = match[1]
        found = next((one for one in self._looked_at() if one.name == name), None)
        if found is None and self.app is not None:
            found = self.app.settings.get(name)
        return (found.shown or shown_value(found.value)) if isinstance(found, Seen) else match[0]

    @property
    def message(self) -> str:
        """All reasons in one line."""
        prefix = "cannot be verified: " if self.verdict is Verdict.UNVERIFIABLE else ""
        return prefix + " ".join(self.reasons)

    @property
    def evidence(self) -> tuple[Setting, ...]:
        """The settings that the verdict rests on, each once: first those that decide, then what else was looked at.

        That an app has OAuth is left out where anything else was looked at.
        """
        once: dict[tuple[object, ...], Setting] = {}
        for one in self._looked_at():
            # An absent setting is read with its default in one place, and without in another.
            key = one[:3] if isinstance(one, Unreadable) else (type(one), one.name, one.source)
            known = once.setdefault(key, one)
            if isinstance(one, Seen) and isinstance(known, Seen) and one.shown:
                once[key] = one  # it says more than that the setting is there
        # Where absence tells nothing, that is said once and not as an absence too.
        untold = {one.name for one in once.values() if isinstance(one, Unreadable)}
        settings = tuple(one for one in once.values() if not isinstance(one, Absent) or one.name not in untold)
        return tuple(one for one in settings if one.name != "oauth" or isinstance(one, Unreadable)) or settings

    def restated(self, verdict: Verdict, reason: str, by: str) -> Finding:
        """Return what `by`, a plugin, says instead, on the same evidence; what it stands in for is told with it."""
        said = f"({self.verdict.value.replace('_', ' ').capitalize()} by the control itself; changed by {by}.)"
        return self._replace(verdict=verdict, decided=True, stated=Statement((reason, said), self.evidence))

    @property
    def subject(self) -> str:
        """Label of the app, or the org's name."""
        return self.app.label if self.app is not None else self.org.name

    def _conditions(self) -> Iterator[Condition]:
        """Yield the conditions that were looked at: guards, and the last clause's requirements if its guard held."""
        for clause in self._steps:
            if clause.when is not None:
                yield clause.when
        last = self._steps[-1]
        if last.when is None or last.when.holds(self.app, self.org) in (TRUE, TRUE_BY_DEFAULT):
            for requirement in last.requirements:
                yield requirement.condition

    def _deciding(self) -> Iterator[Condition]:
        """Yield the conditions that decide: of requirements those that do not hold, or whatever cannot be told."""
        if not self.decided:
            told = (TRUE, FALSE)
            yield from (one for one in self._conditions() if one.holds(self.app, self.org) not in told)
            return
        last = self._steps[-1]
        for requirement in last.requirements:
            if requirement.condition.holds(self.app, self.org) < UNKNOWN:
                yield requirement.condition
        if last.when is not None and last.required is None:
            yield last.when

    def _looked_at(self) -> Iterator[Setting]:
        if self.stated is not None:
            yield from self.stated.evidence
        else:
            for condition in (*self._deciding(), *self._conditions()):
                yield from condition.evidence(self.app, self.org)
        if self._disabled is not None:
            yield self._disabled
        attestation = self.attestation
        if attestation is not None:
            yield attestation._replace(name="attestation")
        if self.stated is None and self.decided and self.verdict is not Verdict.NOT_APPLICABLE:
            for shown in self.control.shows[ORG if self.app is None else self.app.kind]:
                yield from shown.evidence(self.app, self.org)

    def _in_the_way(self) -> Iterator[str]:
        """Yield what keeps the control from being decided."""
        for condition in self._conditions():
            holds = condition.holds(self.app, self.org)
            for one in condition.evidence(self.app, self.org):
                if holds in (UNKNOWN, BY_HAND) and isinstance(one, Unreadable) and one.blocking:
                    yield f"{capitalised(one.reason)}."
                elif holds in (TRUE_BY_DEFAULT, FALSE_BY_DEFAULT) and isinstance(one, Absent) and one.since:
                    yield by_default(one)


def place(finding: Finding) -> tuple[str | None, int | None]:
    """Return the file and the line in which a finding is best shown: that of what decides, else the app's own file."""
    setting = next((setting for setting in finding.evidence if not isinstance(setting, Unreadable)), None)
    if setting is not None:
        return setting.source, setting.line
    return (None if finding.app is None else finding.app.source), None


def attestation(control: Control, app: App | None, org: Org) -> Seen | Unreadable | None:
    """Return what somebody has attested of a control: unreadable where that has expired, None where nobody has."""
    return (org if app is None else app).settings.get(f"{ATTESTED}{control.id}")


def by_default(setting: Absent) -> str:
    """Say why an element that a file leaves out does not show that its documented default holds."""
    return (
        f"{setting.name} is absent from {setting.source}: its documented default, {shown_value(setting.default)},"
        f" would do, but a file of an API version before {setting.since}.0 leaves it out too."
    )


_NAMED = re.compile(r"\{([^{}]+)\}")
"""Where a sentence of a control says what a setting is: `{client_type}`."""


def shown_value(value: object) -> str:
    """Return a setting's value as metadata spells it, cut short where it is very long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


_LONGEST_VALUE = 300
