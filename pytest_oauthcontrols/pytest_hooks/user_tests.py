"""Generates the cases of a project's own tests: of those that state a control, and of any that take `app` or `org`."""

from __future__ import annotations

import pytest

from pytest_oauthcontrols import suite
from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.orgs.metadata_types import ORG
from pytest_oauthcontrols.orgs.model import App
from pytest_oauthcontrols.pytest_hooks.amending import Amending
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.pytest_hooks.suite_items import Marks
from pytest_oauthcontrols.pytest_hooks.user_controls import refuse, stated_control
from pytest_oauthcontrols.pytest_hooks.user_findings import OwnFindings, own_control_key
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Control


class OwnTests:
    """Hooks of tests that take the plugin's fixtures."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._controls: dict[str, Control] = {}
        """Node id of a test function to the control that it states."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Generate a case for each org, app or control that a test takes."""
        if metafunc.module is suite:
            return
        names = tuple(name for name in ("_oauth_org", "_oauth_app", "_oauth_control") if name in metafunc.fixturenames)
        control = stated_control(metafunc.definition, names)
        if control is not None:
            self._check_alone(metafunc.definition, control)
            self._controls[metafunc.definition.nodeid] = control
            _generate_control(metafunc, self._config.stash[assessment_key], control, names)
        elif names:
            _generate(metafunc, self._config.stash[assessment_key], names)

    def _check_alone(self, definition: pytest.Function, control: Control) -> None:
        others = {one.id: one.origin for one in self._config.stash[assessment_key].catalogue.controls}
        others |= {one.id: one.origin for nodeid, one in self._controls.items() if nodeid != definition.nodeid}
        if control.id in others:
            refuse(definition, f"there is another control '{control.id}', at {others[control.id]}")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which items are cases of a control, and take out those of controls that the run leaves out."""
        if not self._controls:
            return
        catalogue = self._config.stash[assessment_key].catalogue
        left_out = set()
        for item in items:
            control = self._controls.get(item.nodeid.partition("[")[0])
            if control is not None:
                item.stash[own_control_key] = control
                if catalogue.why_left_out(control) is not None:
                    left_out.add(item)
        if left_out:
            self._config.hook.pytest_deselected(items=[item for item in items if item in left_out])
            items[:] = [item for item in items if item not in left_out]
        # Only now, as each of its hooks is asked for every test of the run.
        self._config.pluginmanager.register(OwnFindings(self._config), "oauthcontrols-own-findings")

    def pytest_collection_finish(self) -> None:
        """Let plugins change findings, where one wants to."""
        if self._config.hook.pytest_oauthcontrols_finding.get_hookimpls():
            self._config.pluginmanager.register(Amending(), "oauthcontrols-amending")


def _generate_control(
    metafunc: pytest.Metafunc, assessment: Assessment, control: Control, names: tuple[str, ...]
) -> None:
    """Generate a case of a control for each app, or org, that it applies to; its id ends like those of the suite."""
    mark = getattr(pytest.mark, f"cvss_{control.severity.value}")
    params = []
    for org in assessment.orgs:
        subjects: list[App | None] = [app for app in org.apps if app.readable and app.kind in control.applies_to]
        if ORG in control.applies_to:
            subjects = [None] if org.readable else []
        for app in subjects:
            values = {"_oauth_org": org, "_oauth_app": app}
            id_ = f"{assessment.prefixes[app or org]}{control.id}"
            params.append(pytest.param(*(values[name] for name in names), id=id_, marks=mark))
    metafunc.parametrize(names, params, indirect=True)


def _generate(metafunc: pytest.Metafunc, assessment: Assessment, names: tuple[str, ...]) -> None:
    """Generate the cases of a test that states no control, one for each org, app or control that it takes."""
    marks = Marks()
    params = []
    for org in assessment.orgs:
        apps = [app for app in org.apps if app.readable] if "_oauth_app" in names else [None]
        for app in apps:
            for control in _controls(assessment.catalogue, app, names):
                prefix = assessment.prefixes[app or org]
                subject = prefix.removesuffix("-") or assessment.slugs[org]
                id_ = subject if control is None else f"{prefix}{control.id}"
                values = {"_oauth_org": org, "_oauth_app": app, "_oauth_control": control}
                chosen = () if control is None else marks[control]
                params.append(pytest.param(*(values[name] for name in names), id=id_, marks=chosen))
    metafunc.parametrize(names, params, indirect=True)


def _controls(catalogue: Catalogue, app: App | None, names: tuple[str, ...]) -> tuple[Control | None, ...]:
    """Return the controls that a test is run with; None where it takes none."""
    if "_oauth_control" not in names:
        return (None,)
    return catalogue.assessed if names == ("_oauth_control",) else catalogue.of(ORG if app is None else app.kind)
