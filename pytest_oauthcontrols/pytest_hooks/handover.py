"""What travels between the controller of a distributed run and its workers.

Controller and workers are one trust domain, on one machine or on machines that pytest-xdist was told, so pickle does:
what was read and decided goes to the workers, what tests find comes back on pytest's own reports.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.finding import READABLE

_handover_key = pytest.StashKey["Handover"]()


def handover(config: pytest.Config) -> Handover:
    """Return what a process hands over with: one for all, so that a control that tests state is one object."""
    if _handover_key not in config.stash:
        config.stash[_handover_key] = Handover(config.stash[assessment_key])
    return config.stash[_handover_key]


class Handover:
    """Writes results in a worker and reads them in the controller.

    What both have, orgs, apps and the controls of the catalogue, goes by its place, so that the controller gets its
    own; a control that a test of the project states goes as it is, and is one object for all of its results.
    """

    def __init__(self, assessment: Assessment) -> None:
        self._orgs = assessment.orgs
        self._places: dict[Org | App, tuple[int, int | None]] = {}
        for number, org in enumerate(assessment.orgs):
            self._places[org] = (number, None)
            self._places |= {app: (number, place) for place, app in enumerate(org.apps)}
        self._controls = {control.id: control for control in (*assessment.catalogue.controls, READABLE)}
        self._stated: dict[str, bytes] = {}

    def dumps(self, results: Any) -> bytes:
        """Return results as bytes."""
        file = io.BytesIO()
        _Pickler(file, self.place).dump(results)
        return file.getvalue()

    def loads(self, content: bytes) -> Any:
        """Return the results that `dumps` was given, of this process's orgs, apps and controls."""
        return _Unpickler(io.BytesIO(content), self.at).load()

    def place(self, value: Any) -> object:
        """Return where both processes have a value, or None for one that goes as it is."""
        if isinstance(value, (App, Org)):
            return self._places[value]
        if not isinstance(value, Control):
            return None
        if self._controls.get(value.id) is value:
            return value.id
        if value.id not in self._stated:
            self._stated[value.id] = pickle.dumps(value)
        return value.id, self._stated[value.id]

    def at(self, place: Any) -> object:
        """Return what this process has at a place."""
        if isinstance(place, str):
            return self._controls[place]
        first, second = place
        if isinstance(first, int):
            return self._orgs[first] if second is None else self._orgs[first].apps[second]
        if first not in self._controls:
            self._controls[first] = pickle.loads(second)  # noqa: S301  (see above: one trust domain)
        return self._controls[first]


class _Pickler(pickle.Pickler):
    """Writes the places that it is given in place of values."""

    def __init__(self, file: io.BytesIO, place: Callable[[Any], object]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._place = place

    def persistent_id(self, value: Any) -> object:
        return self._place(value)


class _Unpickler(pickle.Unpickler):
    """Reads values from the places that stand for them."""

    def __init__(self, file: io.BytesIO, at: Callable[[Any], object]) -> None:
        super().__init__(file)
        self._at = at

    def persistent_load(self, place: Any) -> object:
        return self._at(place)
