"""Everything that one run assesses: orgs, catalogue and cases, each case with the id that its test has."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from pytest_oauthcontrols.decisions.waivers import UNDECIDED, Decisions
from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.rules.catalogue import Catalogue, in_order
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.evaluation import cases, evaluate
from pytest_oauthcontrols.rules.finding import Finding

SUITE_ID = "pytest_oauthcontrols/suite.py"
"""Node id of the shipped tests."""

_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class Case(NamedTuple):
    """One test of the shipped suite."""

    id: str
    """What stands in the brackets of its node id."""
    org: Org
    app: App | None
    """None for the org's own controls."""
    control: Control

    @property
    def node_id(self) -> str:
        """The test's node id."""
        return f"{SUITE_ID}::{'test_org_control' if self.app is None else 'test_control'}[{self.id}]"

    @property
    def finding(self) -> Finding:
        """What the control says."""
        return evaluate(self.control, self.app, self.org)


@dataclass(frozen=True)
class Assessment:
    """What a run assesses."""

    orgs: tuple[Org, ...]
    catalogue: Catalogue
    decisions: Decisions = UNDECIDED
    """What the user has decided; the orgs have it too."""
    own_cases: int = 0
    """How many cases there are of controls that tests of the project state; known at the end of a run."""

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
        """How the ids of an org's own cases, and of an app's, begin; what is assessed of it stands behind."""
        found: dict[Org | App, str] = {}
        for org in self.orgs:
            found[org] = f"{self.slugs[org]}-" if len(self.orgs) > 1 else ""
            found |= {app: f"{found[org]}{self.slugs[app]}-" for app in org.apps}
        return found

    def with_own(self, controls: Mapping[str, Control], cases: int) -> Assessment:
        """Return the assessment with the controls that tests of the project state, by id."""
        if not cases:
            return self
        catalogue = replace(self.catalogue, controls=in_order((*self.catalogue.controls, *controls.values())))
        return replace(self, catalogue=catalogue, own_cases=cases)

    @property
    def number_of_cases(self) -> int:
        """How many cases there are, of the suite and of controls that tests of the project state."""
        return len(self.cases) + self.own_cases

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every case of the suite, in the order in which they run."""
        return tuple(self._cases())

    def _cases(self) -> Iterator[Case]:
        taken: set[tuple[str, bool]] = set()
        for org in self.orgs:
            for app, control in cases(org, self.catalogue):
                prefix = self.prefixes[app or org]
                id_ = f"{prefix}{control.id}"
                while (id_, app is None) in taken:
                    # Two names can join like two others: prod and eu-Sync, prod-eu and Sync.
                    prefix = f"{prefix}{_digest(id_, org.name, org.location)}-"
                    id_ = f"{prefix}{control.id}"
                taken.add((id_, app is None))
                yield Case(id_, org, app, control)


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
