"""Which waivers and attestations their owners should look at: expired, soon to expire, or of no use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.run import Run
from pytest_oauthcontrols.decisions.waivers import Attestation, Waiver
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.evaluation import Check
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.text import is_pattern, matches


class Notice(NamedTuple):
    """Something to look at."""

    about: Waiver | Attestation
    says: str

    @property
    def what(self) -> str:
        """What it is."""
        return "waiver" if isinstance(self.about, Waiver) else "attestation"

    @property
    def by(self) -> str:
        """Who put their name to it."""
        return self.about.owner if isinstance(self.about, Waiver) else self.about.by


def notices(assessment: Assessment, run: Run) -> Iterator[Notice]:
    """Yield what should be looked at of the waivers and attestations that are meant for the orgs of a run."""
    decided = assessment.decisions.waivers_and_attestations
    if not decided:
        return
    checks, found = _by_control(assessment.checks), _by_control(result.finding for result in run.results)
    for one in decided:
        orgs = _meant(assessment, one)
        if not orgs:
            continue
        ran = _covered(one, found)
        if ran:
            says = _needless(one, ran)
        elif one.control is None:
            there = one.scope.app is None or any(one.covers(org.given, app.name) for org in orgs for app in org.apps)
            says = "" if there else _NOTHING
        else:
            says = "" if _covered(one, checks) else _NOTHING
        says = says or _term(one, orgs)
        if says:
            yield Notice(one, says)


_NOTHING = "matches nothing"
_Judged = TypeVar("_Judged", Check, Finding)


def _by_control(judged: Iterable[_Judged]) -> dict[str, list[_Judged]]:
    found: dict[str, list[_Judged]] = {}
    for one in judged:
        found.setdefault(one.control.id, []).append(one)
    return found


def _covered(said: Waiver | Attestation, judged: dict[str, list[_Judged]]) -> list[_Judged]:
    """Return the checks or findings that a waiver or attestation is about."""
    return [
        one
        for one in judged.get(said.control or "", ())
        if said.covers(one.org.given, None if one.app is None else one.app.name)
    ]


def _needless(one: Waiver | Attestation, ran: list[Finding]) -> str:
    """Say that nothing needs it any more; empty where something does."""
    if isinstance(one, Attestation):
        return "" if any(finding.attestation for finding in ran) else "is not needed: no check of it is manual"
    if any(finding.failing for finding in ran):
        return ""
    passes = all(finding.verdict is Verdict.PASS for finding in ran)
    return f"is not needed any more: {'the control passes' if passes else 'nothing is found'} now"


def _term(one: Waiver | Attestation, orgs: list[Org]) -> str:
    """Say that it has expired, or soon will."""
    day = max(org.day for org in orgs)
    if not one.scope.holds(day):
        return f"expired on {one.scope.expires}"
    return f"expires on {one.scope.expires}" if one.scope.expires_soon(day) else ""


def unmatched(assessment: Assessment) -> Iterator[str]:
    """Yield an error for each pattern that matches no app of the orgs that it is meant for."""
    for one in assessment.decisions.waivers_and_attestations:
        pattern = one.scope.app
        orgs = [org for org in _meant(assessment, one) if org.apps]
        if (
            pattern is not None
            and is_pattern(pattern)
            and orgs
            and not any(matches(pattern, app.name) for org in orgs for app in org.apps)
        ):
            names = " or ".join(dict.fromkeys(org.name for org in orgs))
            yield (
                f"{one.scope.where}: '{pattern}' matches no app of {names}; say which 'org' it is meant for, or take it"
                " out"
            )


def _meant(assessment: Assessment, one: Waiver | Attestation) -> list[Org]:
    """Return the orgs of the run that it is meant for, of those that could be read."""
    return [org for org in assessment.orgs if org.readable and one.scope.of_org(org.given)]
