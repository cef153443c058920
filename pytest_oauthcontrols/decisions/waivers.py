"""What the user has decided of findings: which of them fail the run, which risks are accepted, what is vouched for."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, fields
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from pytest_oauthcontrols.decisions.baseline import Baseline, Earlier, Key
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.text import matches

SOON = timedelta(days=30)
"""How long before its end a waiver or an attestation is said to expire soon."""


@dataclass(frozen=True)
class Scope:
    """What a waiver or an attestation is about, where it stands, and until when it holds."""

    app: str | None
    """Full name of an app, or a shell pattern for full names, with regard to case; None where it is about no app."""
    org: str | None
    """Name of an org, or a shell pattern for names; None: every org."""
    expires: date
    """The last day on which it holds."""
    file: str
    line: int

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}"

    def of_org(self, org: str) -> bool:
        """Tell whether it is about an org, or about apps of it."""
        return self.org is None or matches(self.org, org)

    def covers(self, org: str, app: str | None) -> bool:
        """Tell whether it is about an app of an org, or about the org itself where `app` is None."""
        return self.of_org(org) and (app is None if self.app is None else app is not None and matches(self.app, app))

    def holds(self, day: date) -> bool:
        """Tell whether it has not expired on a day."""
        return day <= self.expires

    def expires_soon(self, day: date) -> bool:
        """Tell whether it holds on a day, and ends soon after."""
        return day <= self.expires <= day + SOON


@dataclass(frozen=True)
class Waiver:
    """An accepted risk: what one control finds of the apps in its scope."""

    control: str
    """Id of the control."""
    scope: Scope
    reason: str
    owner: str
    """Who accepts the risk."""
    ticket: str | None = None

    @property
    def about(self) -> str:
        """The control."""
        return self.control

    def covers(self, org: str, app: str | None) -> bool:
        """Tell whether it is about an app, or an org itself."""
        return self.scope.covers(org, app)

    def __str__(self) -> str:
        ticket = f" ({self.ticket})" if self.ticket else ""
        return f"waived by {self.owner} until {self.scope.expires}{ticket}: {self.reason}"


@dataclass(frozen=True)
class Attestation:
    """A person's word that a manual control is met, or that a risk factor is there; one of the two is named."""

    control: str | None
    """Id of the control."""
    factor: str | None
    scope: Scope
    statement: str
    by: str
    evidence: str | None = None
    """Where the proof is kept."""

    @property
    def about(self) -> str:
        """The control or the factor."""
        return self.control or f"factor {self.factor}"

    def __str__(self) -> str:
        proof = f" ({self.evidence})" if self.evidence else ""
        return f"attested by {self.by} until {self.scope.expires}: {self.statement}{proof}"

    def covers(self, org: str, app: str | None) -> bool:
        """Tell whether it is about an app, or an org itself; a factor of no app in particular is there for all."""
        if self.factor is not None and self.scope.app is None:
            return self.scope.of_org(org)
        return self.scope.covers(org, app)


@dataclass(frozen=True)
class Decisions:
    """Everything that was decided for a run."""

    fail_on: Severity | None = Severity.LOW
    """The least severity that fails the run; None: nothing fails it."""
    in_context: bool = False
    """Whether the severity of the score in context counts instead of the published one."""
    waivers: tuple[Waiver, ...] = ()
    ignore_waivers: bool = False
    attestations: tuple[Attestation, ...] = ()
    baseline: Baseline | None = None
    new_only: bool = False
    """Whether what the baseline has does not fail the run."""
    accept_nothing: bool = False
    """Whether what would be accepted fails the run all the same, as `--runxfail` asks."""

    @property
    def gate(self) -> str:
        """The least severity that fails the run, in words."""
        if self.fail_on is None:
            return "never"
        return f"{self.fail_on.value}{' in context' if self.in_context else ''}"

    @property
    def waivers_and_attestations(self) -> tuple[Waiver | Attestation, ...]:
        """Everything that somebody has put a name and a date to."""
        return (*self.waivers, *self.attestations)

    @cached_property
    def _waivers(self) -> dict[str, list[Waiver]]:
        """Waivers by control: there may be hundreds, and each finding asks."""
        found: dict[str, list[Waiver]] = {}
        for one in self.waivers:
            found.setdefault(one.control, []).append(one)
        return found

    def waiver(self, control: str, org: str, app: str | None) -> Waiver | None:
        """Return the waiver of what a control finds, expired or not; of several the one that expires last."""
        if self.ignore_waivers:
            return None
        found = (one for one in self._waivers.get(control, ()) if one.covers(org, app))
        return max(found, key=lambda one: one.scope.expires, default=None)

    def attested_control(self, control: str, org: str, app: str | None) -> Attestation | None:
        """Return the attestation of a control, expired or not; of several the one that expires last."""
        found = (one for one in self.attestations if one.control == control and one.covers(org, app))
        return max(found, key=lambda one: one.scope.expires, default=None)

    def attested_factor(self, factor: str, org: str, app: str | None) -> Attestation | None:
        """Return the attestation of a risk factor, expired or not; of several the one that expires last."""
        found = (one for one in self.attestations if one.factor == factor and one.covers(org, app))
        return max(found, key=lambda one: one.scope.expires, default=None)


UNDECIDED = Decisions()
"""What holds where nothing was decided: every finding fails the run."""


def encode(decisions: Decisions) -> bytes:
    """Return decisions as bytes, for the workers of a distributed run."""
    said = {**vars(decisions), "waivers": [asdict(one) for one in decisions.waivers]}
    said["attestations"] = [asdict(one) for one in decisions.attestations]
    if decisions.baseline is not None:
        baseline = decisions.baseline
        said["baseline"] = {
            **vars(baseline),
            "findings": [[*key, *earlier] for key, earlier in baseline.findings.items()],
        }
    text = json.dumps({one.name: said[one.name] for one in fields(Decisions)}, default=date.isoformat)
    return zlib.compress(text.encode(), level=1)


def decode(content: bytes) -> Decisions:
    """Return the decisions that `encode` was given."""
    said = json.loads(zlib.decompress(content))
    if said["fail_on"] is not None:
        said["fail_on"] = Severity(said["fail_on"])
    said["waivers"] = tuple(Waiver(**{**one, "scope": _scope(one["scope"])}) for one in said["waivers"])
    said["attestations"] = tuple(Attestation(**{**one, "scope": _scope(one["scope"])}) for one in said["attestations"])
    if said["baseline"] is not None:
        baseline = said["baseline"]
        said["baseline"] = Baseline(
            baseline["file"],
            baseline["orgs"],
            baseline["rules"],
            {
                Key(org, kind, app, control): Earlier(verdict, date.fromisoformat(since))
                for org, kind, app, control, verdict, since in baseline["findings"]
            },
            baseline["missing"],
        )
    return Decisions(**said)


def _scope(said: dict[str, Any]) -> Scope:
    return Scope(**{**said, "expires": date.fromisoformat(said["expires"])})
