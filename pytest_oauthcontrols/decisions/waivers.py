"""What people put a name and a last day to: accepted risks (waivers), and what they have checked (attestations)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

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


_Dated = TypeVar("_Dated", "Waiver", "Attestation")


def latest(dated: Iterable[_Dated]) -> _Dated:
    """Return, of several waivers or attestations, the one that expires last."""
    return max(dated, key=lambda each: each.scope.expires)


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
