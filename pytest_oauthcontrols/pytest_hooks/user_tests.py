"""Generates a project's own tests: those that state a control, and any that take `app` or `org`."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_oauthcontrols import suite
from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.orgs.metadata_types import ORG
from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.pytest_hooks.collected import Collected, check_key
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.pytest_hooks.suite_items import Marks
from pytest_oauthcontrols.pytest_hooks.user_controls import refuse, stated_control
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.evaluation import Check

_FIXTURES = ("sf_org", "sf_app", "sf_control")


class UserTests:
    """Hooks of tests that take the plugin's fixtures."""

    def __init__(self, config: pytest.Config, collected: Collected) -> None:
        self._config = config
        self._collected = collected
        self._controls: dict[str, Control] = {}
        """Node id of a test function to the control that it states."""
        self._checks: dict[tuple[App | Org, Control], Check] = {}

    @property
    def _assessment(self) -> Assessment:
        return self._config.stash[assessment_key]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Generate a test for each org, app or control that a test function takes."""
        if metafunc.module is suite:
            return
        names = tuple(name for name in _FIXTURES if name in metafunc.fixturenames)
        control = stated_control(metafunc.definition, names)
        if control is not None:
            self._check_alone(metafunc.definition, control)
            self._controls[metafunc.definition.nodeid] = control
            self._generate_checks(metafunc, control, names)
        elif names:
            _generate(metafunc, self._assessment, names)

    def _check_alone(self, definition: pytest.Function, control: Control) -> None:
        others = {other.id: other.origin for other in self._assessment.catalogue.controls}
        others |= {other.id: other.origin for node_id, other in self._controls.items() if node_id != definition.nodeid}
        if control.id in others:
            refuse(definition, f"there is another control '{control.id}', at {others[control.id]}")

    def _generate_checks(self, metafunc: pytest.Metafunc, control: Control, names: tuple[str, ...]) -> None:
        """Generate a test for each app, or org, that a control applies to; its id ends like those of the suite."""
        mark = getattr(pytest.mark, f"cvss_{control.severity.value}")
        assessment = self._assessment
        params = []
        for org in assessment.orgs:
            subjects: list[App | None] = [app for app in org.apps if app.readable and app.kind in control.applies_to]
            if ORG in control.applies_to:
                subjects = [None] if org.readable else []
            for app in subjects:
                check = Check(f"{assessment.prefixes[app or org]}{control.id}", org, app, control)
                self._checks[app or org, control] = check
                values = {"sf_org": org, "sf_app": app}
                params.append(pytest.param(*(values[name] for name in names), id=check.id, marks=mark))
        metafunc.parametrize(names, params, indirect=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the check of each item, before anything is deselected, and take out those that the run leaves out."""
        if not self._controls:
            return
        left_out, checks = set(), []
        for item in items:
            control = self._controls.get(item.nodeid.partition("[")[0])
            params: dict[str, Any] = (
                item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
            )
            subject = params.get("sf_app") or params.get("sf_org")
            if control is None or subject is None:
                continue
            item.stash[check_key] = self._checks[subject, control]
            if self._assessment.catalogue.why_left_out(control) is not None:
                left_out.add(item)
            else:
                checks.append(item.stash[check_key])
        self._collected.add(checks)
        if left_out:
            self._config.hook.pytest_deselected(items=[item for item in items if item in left_out])
            items[:] = [item for item in items if item not in left_out]


def _generate(metafunc: pytest.Metafunc, assessment: Assessment, names: tuple[str, ...]) -> None:
    """Generate the tests of a function that states no control, one for each org, app or control that it takes."""
    marks = Marks()
    params = []
    for org in assessment.orgs:
        apps = [app for app in org.apps if app.readable] if "sf_app" in names else [None]
        for app in apps:
            for control in _controls(assessment.catalogue, app, names):
                prefix = assessment.prefixes[app or org]
                subject = prefix.removesuffix("-") or assessment.slugs[org]
                id_ = subject if control is None else f"{prefix}{control.id}"
                values = {"sf_org": org, "sf_app": app, "sf_control": control}
                chosen = () if control is None else marks[control]
                params.append(pytest.param(*(values[name] for name in names), id=id_, marks=chosen))
    metafunc.parametrize(names, params, indirect=True)


def _controls(catalogue: Catalogue, app: App | None, names: tuple[str, ...]) -> tuple[Control | None, ...]:
    """Return the controls that a test is run with; None where it takes none."""
    if "sf_control" not in names:
        return (None,)
    return catalogue.assessed if names == ("sf_control",) else catalogue.of(ORG if app is None else app.kind)
