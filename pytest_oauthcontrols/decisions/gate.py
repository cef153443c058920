"""Which findings fail a run, and why the others do not: a waiver, the baseline, or the gate."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from pytest_oauthcontrols.decisions.baseline import Baseline, Change
from pytest_oauthcontrols.decisions.waivers import Attestation, Waiver, latest
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import READABLE, Finding
from pytest_oauthcontrols.rules.risk import in_context


class NotBlocking(str, Enum):
    """Why a finding does not fail the run."""

    WAIVED = "waived"
    IN_BASELINE = "in the baseline"
    BELOW_GATE = "below the gate"
    XFAILED = "xfailed"
    """The project marks the test as expected to fail, and pytest says so."""


class Judgement(NamedTuple):
    """What follows from a finding in this run: worked out once, where the test ends."""

    not_blocking: NotBlocking | None = None
    """Why a failing finding does not fail the run; None where it does, and where nothing fails."""
    says: str = ""
    """The same in words, with who or what decided it."""
    waiver: Waiver | None = None
    """The waiver of a failing finding, expired or not."""
    expired: bool = False
    """Whether the waiver has expired."""
    change: Change | None = None
    """What a failing finding is, compared with the baseline; None without a baseline."""
    since: date | None = None
    """The day of the reading that first had a failing finding, as far as the baseline knows."""
    attestation: Attestation | None = None
    """The attestation, expired or not, of a check that only a person can make."""

    @property
    def blocking(self) -> bool:
        """Whether a failing finding fails the run."""
        return self.not_blocking is None


_NOTHING_FOLLOWS = Judgement()


@dataclass(frozen=True)
class Decisions:
    """Everything that was decided for a run."""

    fail_on: Severity | None = Severity.LOW
    """The gate, the lowest severity that fails the run; None: nothing fails it."""
    in_context: bool = False
    """Whether the gate goes by the severity of the score in context instead of the published one."""
    waivers: tuple[Waiver, ...] = ()
    ignore_waivers: bool = False
    attestations: tuple[Attestation, ...] = ()
    baseline: Baseline | None = None
    new_only: bool = False
    """Whether what the baseline has does not fail the run."""
    all_blocking: bool = False
    """Whether every finding fails the run, as with `--runxfail`."""

    @property
    def gate(self) -> str:
        """The lowest severity that fails the run, in words."""
        if self.fail_on is None:
            return "never"
        return f"{self.fail_on.value}{' in context' if self.in_context else ''}"

    @property
    def waivers_and_attestations(self) -> tuple[Waiver | Attestation, ...]:
        """Everything that somebody has put a name and a last day to."""
        return (*self.waivers, *self.attestations)

    @cached_property
    def _by_control(self) -> dict[str, list[Waiver]]:
        """Waivers by control: there may be thousands, and each finding asks."""
        waivers: dict[str, list[Waiver]] = defaultdict(list)
        for waiver in self.waivers:
            waivers[waiver.control].append(waiver)
        return waivers

    def waiver_of(self, finding: Finding) -> Waiver | None:
        """Return the waiver of a finding, expired or not; of several the one that expires last."""
        if self.ignore_waivers:
            return None
        org, app = finding.org.given, None if finding.app is None else finding.app.name
        waivers = [waiver for waiver in self._by_control.get(finding.control.id, ()) if waiver.covers(org, app)]
        return latest(waivers) if waivers else None

    def attestation_of(self, finding: Finding) -> Attestation | None:
        """Return the attestation that a finding rests on, or rested on until it expired."""
        if not self.attestations or finding.attestation is None:
            return None
        # There is one: it is by the same attestations that the setting was made.
        org, app = finding.org.given, None if finding.app is None else finding.app.name
        return latest(
            attestation
            for attestation in self.attestations
            if attestation.control == finding.control.id and attestation.covers(org, app)
        )

    def judge(self, finding: Finding) -> Judgement:
        """Return what follows from a finding in this run."""
        attestation = self.attestation_of(finding)
        if not finding.failing:
            return _NOTHING_FOLLOWS if attestation is None else Judgement(attestation=attestation)
        waiver = self.waiver_of(finding)
        expired = waiver is not None and not waiver.scope.holds(finding.org.day)
        change, since = None, finding.org.day
        if self.baseline is not None:
            change, since = self.baseline.compare(finding)
        not_blocking, says = self._not_blocking(finding, waiver, expired, change, since)
        return Judgement(not_blocking, says, waiver, expired, change, since, attestation)

    def _not_blocking(
        self, finding: Finding, waiver: Waiver | None, expired: bool, change: Change | None, since: date
    ) -> tuple[NotBlocking | None, str]:
        """Return why a failing finding does not fail the run, and the same in words."""
        if self.all_blocking:
            return None, ""
        if waiver is not None and not expired:
            return NotBlocking.WAIVED, str(waiver)
        # The baseline has what was waived, too: nobody would notice that a waiver has expired. And a run that could not
        # read something must not end well because the one before could not read it either.
        comparable = waiver is None and finding.control is not READABLE
        if self.new_only and comparable and change is Change.PERSISTING:
            return NotBlocking.IN_BASELINE, f"in the baseline since {since}"
        if self.fail_on is None or self._gated_severity(finding).rank > self.fail_on.rank:
            return NotBlocking.BELOW_GATE, f"below the gate ({self.gate})"
        return None, ""

    def _gated_severity(self, finding: Finding) -> Severity:
        """Return the severity that the gate goes by.

        What cannot be verified keeps the published one: nobody has seen how bad it is.
        """
        if self.in_context and finding.verdict is not Verdict.UNVERIFIABLE:
            return in_context(finding).severity
        return finding.control.severity


NO_DECISIONS = Decisions()
"""What holds where nothing was decided: every finding fails the run."""
