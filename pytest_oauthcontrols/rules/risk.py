"""The risk of a finding in context: what the published page says makes it higher or lower, as far as it can be seen."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from pytest_oauthcontrols.orgs.metadata_types import ORG
from pytest_oauthcontrols.orgs.model import Setting
from pytest_oauthcontrols.rules.control import RiskCondition
from pytest_oauthcontrols.rules.cvss import Severity, severity_of
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.rules.truth import BY_HAND, FALSE_BY_DEFAULT, TRUE, TRUE_BY_DEFAULT, UNKNOWN

LOWERED = Severity.LOW.band[1]
"""The score of a finding whose risk is seen to be low."""


class Risk(NamedTuple):
    """What a finding scores in its context."""

    score: Decimal
    """The base score, or the top of the published range, or 3.9 (low)."""
    raised_by: tuple[RiskCondition, ...]
    """Conditions of higher risk that are seen to hold."""
    lowered_by: tuple[RiskCondition, ...]
    """Conditions of low risk that are seen to hold, where they are enough and nothing raises the score."""
    unseen: tuple[RiskCondition, ...]
    """Conditions that nobody can tell from what was read."""

    @property
    def severity(self) -> Severity:
        """The score's rating."""
        return severity_of(self.score)


def in_context(finding: Finding) -> Risk:
    """Return the risk of what a control finds, on the app or org that it finds it of.

    A documented default of an element that a file leaves out can raise the score, but it cannot lower it: as elsewhere,
    absence is no proof that something is safe.
    """
    control, app, org = finding.control, finding.app, finding.org
    subject = ORG if app is None else app.kind
    higher = {one: one.conditions[subject].holds(app, org) for one in control.higher_risk_when}
    lower = {one: one.conditions[subject].holds(app, org) for one in control.low_risk_when}
    raised_by = tuple(one for one, holds in higher.items() if holds in (TRUE, TRUE_BY_DEFAULT))
    mitigating = tuple(one for one, holds in lower.items() if holds == TRUE)
    enough = bool(mitigating) and (control.low_risk_needs == "any" or len(mitigating) == len(lower))
    unseen = [one for one, holds in higher.items() if holds in (UNKNOWN, BY_HAND, FALSE_BY_DEFAULT)]
    unseen += [one for one, holds in lower.items() if holds in (UNKNOWN, BY_HAND, TRUE_BY_DEFAULT)]
    if raised_by:
        return Risk(control.cvss[1], raised_by, (), tuple(unseen))
    if enough:
        return Risk(LOWERED, (), mitigating, tuple(unseen))
    return Risk(control.score, (), (), tuple(unseen))


def seen(finding: Finding, condition: RiskCondition) -> Iterator[Setting]:
    """Yield the settings that a condition was seen by."""
    yield from condition.conditions[ORG if finding.app is None else finding.app.kind].evidence(finding.app, finding.org)
