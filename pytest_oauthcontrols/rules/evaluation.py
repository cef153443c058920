"""What a control says of an app or org: pure functions, no input or output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Control, Verdict
from pytest_oauthcontrols.rules.finding import READABLE, Finding, Statement, attestation
from pytest_oauthcontrols.rules.truth import BY_HAND, FALSE, FALSE_BY_DEFAULT, TRUE, UNKNOWN


class Check(NamedTuple):
    """One control on one app, or on the org itself: what pytest calls a test case."""

    id: str
    """What stands in the brackets of the node id of its test."""
    org: Org
    app: App | None
    """None for the org's own controls."""
    control: Control


def subjects(org: Org, catalogue: Catalogue) -> Iterator[tuple[App | None, Control]]:
    """Iterate over everything to assess in an org; the app is None for the org's own controls."""
    by_kind = {kind: catalogue.of(kind) for kind in (CONNECTED_APP, EXTERNAL_CLIENT_APP)}
    for app in org.apps:
        if app.problems:
            yield app, READABLE
        if app.readable:
            for control in by_kind[app.kind]:
                yield app, control
    if org.problems:
        yield None, READABLE
    if org.readable:
        for control in catalogue.of(ORG):
            yield None, control


def evaluate(control: Control, app: App | None, org: Org) -> Finding:
    """Return what `control` says of `app`, or of `org` itself where `app` is None."""
    if control is READABLE:
        return _unreadable(app, org)
    rule = control.rules[ORG if app is None else app.kind]
    certain = True
    for depth, clause in enumerate(rule, 1):
        if clause.when is not None:
            holds = clause.when.holds(app, org)
            if holds == FALSE:
                continue
            if holds != TRUE:
                if holds in (UNKNOWN, BY_HAND):
                    return _undecided(control, app, org, depth, by_hand=holds == BY_HAND and certain)
                certain = False
                if holds == FALSE_BY_DEFAULT:
                    continue
        verdict = clause.verdict
        if clause.required is not None:
            least = clause.required.holds(app, org)
            if UNKNOWN <= least < TRUE:
                return _undecided(control, app, org, depth, by_hand=least == BY_HAND and certain)
            if least != TRUE:
                verdict = Verdict.FAIL
        if verdict is Verdict.PASS and not certain:
            return _undecided(control, app, org, depth, by_hand=False)
        return Finding(
            control, app, org, verdict if verdict is not Verdict.MANUAL else _by_hand(control, app, org), depth
        )
    raise AssertionError(f"no clause of {control.id} decides")


def _unreadable(app: App | None, org: Org) -> Finding:
    """Return the finding of an app that could not be read: manual if nothing of a package's app can be."""
    subject = app or org
    by_hand = app is not None and app.out_of_reach
    evidence = Unreadable(subject.name, subject.problems[0], by_hand)
    verdict = Verdict.MANUAL if by_hand else Verdict.UNVERIFIABLE
    return Finding(READABLE, app, org, verdict, 0, stated=Statement(subject.problems, (evidence,)))


def stated(control: Control, app: App | None, org: Org, verdict: Verdict, statement: Statement) -> Finding:
    """Return the finding that somebody else than the control's rule states; an attestation makes manual a pass."""
    if verdict is Verdict.MANUAL and _by_hand(control, app, org) is Verdict.PASS:
        return Finding(control, app, org, Verdict.PASS, 0, decided=False, stated=statement)
    return Finding(control, app, org, verdict, 0, stated=statement)


def _undecided(control: Control, app: App | None, org: Org, depth: int, *, by_hand: bool) -> Finding:
    """Return the finding where a control cannot be decided: manual if no tool could read what it needs."""
    verdict = _by_hand(control, app, org) if by_hand else Verdict.UNVERIFIABLE
    return Finding(control, app, org, verdict, depth, decided=False)


def _by_hand(control: Control, app: App | None, org: Org) -> Verdict:
    """Return what holds where only a person can look: manual, unless somebody has looked and attests it."""
    return Verdict.PASS if isinstance(attestation(control, app, org), Seen) else Verdict.MANUAL
