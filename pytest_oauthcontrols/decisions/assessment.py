"""Everything that one run assesses: orgs, catalogue and checks, each check with the id that its test has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_oauthcontrols.decisions.gate import NO_DECISIONS, Decisions
from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.rules.catalogue import Catalogue, in_order
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.evaluation import Check, subjects

SUITE_ID = "pytest_oauthcontrols/suite.py"
"""Node id of the shipped tests."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


def node_id(check: Check) -> str:
    """Return the node id of the shipped test that makes a check."""
    return f"{SUITE_ID}::{'test_org_control' if check.app is None else 'test_control'}[{check.id}]"


@dataclass(frozen=True)
class Assessment:
    """What a run assesses."""

    orgs: tuple[Org, ...]
    catalogue: Catalogue
    decisions: Decisions = NO_DECISIONS
    """What the user has decided."""

    @cached_property
    def slugs(self) -> dict[Org | App, str]:
        """What stands for each org and app in ids.

        Ids hold letters, digits, `_`, `.` and `-` only: they are typed into shells and written into pages. Where a
        character had to be replaced, or two names would be alike, a hash of the name tells them apart; the same name
        gets the same slug in every run.
        """
        found = slugs((org, org.name, org.location) for org in self.orgs)
        for org in self.orgs:
            found |= slugs((app, app.name, app.kind) for app in org.apps)
        return found

    @cached_property
    def prefixes(self) -> dict[Org | App, str]:
        """How the ids of an org's own checks, and of an app's, begin; the control follows."""
        found: dict[Org | App, str] = {}
        for org in self.orgs:
            found[org] = f"{self.slugs[org]}-" if len(self.orgs) > 1 else ""
            found |= {app: f"{found[org]}{self.slugs[app]}-" for app in org.apps}
        return found

    def with_controls(self, controls: Iterable[Control]) -> Assessment:
        """Return the assessment with the controls that tests of the project state."""
        known = {control.id: control for control in (*self.catalogue.controls, *controls)}
        return replace(self, catalogue=replace(self.catalogue, controls=in_order(known.values())))

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """Every check of the shipped suite, in the order in which they run."""
        return tuple(self._checks())

    def _checks(self) -> Iterator[Check]:
        taken: set[tuple[str, bool]] = set()
        for org in self.orgs:
            for app, control in subjects(org, self.catalogue):
                prefix = self.prefixes[app or org]
                id_ = f"{prefix}{control.id}"
                while (id_, app is None) in taken:
                    # Two names can join like two others: prod and eu-Sync, prod-eu and Sync.
                    prefix = f"{prefix}{_digest(id_, org.name, org.location)}-"
                    id_ = f"{prefix}{control.id}"
                taken.add((id_, app is None))
                yield Check(id_, org, app, control)


def slugs(named: Iterable[tuple[Org | App, str, str]]) -> dict[Org | App, str]:
    """Return ids for orgs or apps, each given with its name and what else tells it apart."""
    found: dict[Org | App, str] = {}
    taken: set[str] = set()
    for one, name, more in named:
        slug = _UNSAFE.sub("_", name)
        if slug != name or not slug:
            slug = f"{slug or 'unnamed'}-{_digest(name, more)}"
        while slug in taken:
            slug = f"{slug}-{_digest(name, more)}"
        taken.add(slug)
        found[one] = slug
    return found


def _digest(*names: str) -> str:
    return hashlib.sha256(" ".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:8]
