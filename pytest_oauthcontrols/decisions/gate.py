"""Which findings fail a run, and which are accepted: by a waiver, because they are not new, or below the gate."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from pytest_oauthcontrols.decisions.baseline import Change
from pytest_oauthcontrols.decisions.comparison import change_of, since
from pytest_oauthcontrols.decisions.waivers import Waiver
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import READABLE, Finding
from pytest_oauthcontrols.rules.risk import in_context


class Accepted(str, Enum):
    """Why a finding does not fail the run."""

    WAIVED = "waived"
    IN_BASELINE = "in the baseline"
    BELOW_GATE = "below the gate"


class Acceptance(NamedTuple):
    """That a finding does not fail the run."""

    how: Accepted
    says: str
    """The same, with who or what accepts it."""


def acceptance(finding: Finding) -> Acceptance | None:
    """Return why a failing finding does not fail the run; None where it does."""
    decisions = finding.org.decisions
    if decisions.accept_nothing:
        return None
    waiver = waiver_of(finding)
    if waiver is not None and waiver.scope.holds(finding.org.day):
        return Acceptance(Accepted.WAIVED, str(waiver))
    # The baseline has what was waived, too: nobody would notice that a waiver has expired. And a run that could not
    # read something is not to end well because the one before could not read it either.
    known = waiver is None and finding.control is not READABLE
    if decisions.new_only and known and change_of(finding) is Change.PERSISTING:
        return Acceptance(Accepted.IN_BASELINE, f"in the baseline since {since(finding)}")
    if decisions.fail_on is None or gated_severity(finding).rank > decisions.fail_on.rank:
        return Acceptance(Accepted.BELOW_GATE, f"below the gate ({decisions.gate})")
    return None


def gated_severity(finding: Finding) -> Severity:
    """Return the severity that the gate goes by: the published one, or that of the score in context.

    What cannot be verified keeps the published one: nobody has seen how bad it is.
    """
    if finding.org.decisions.in_context and finding.verdict is not Verdict.UNVERIFIABLE:
        return in_context(finding).severity
    return finding.control.severity


def waiver_of(finding: Finding) -> Waiver | None:
    """Return the waiver of a finding, expired or not."""
    app = None if finding.app is None else finding.app.name
    return finding.org.decisions.waiver(finding.control.id, finding.org.given, app)
