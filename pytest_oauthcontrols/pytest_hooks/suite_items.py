"""Collects the shipped suite beside a project's own tests, and generates its cases."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from functools import cached_property
from typing import Any

import pytest

from pytest_oauthcontrols import suite
from pytest_oauthcontrols.decisions.assessment import SUITE_ID, Assessment
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.rules.control import Control


class Suite(pytest.Module):
    """The shipped test module.

    It is added to the session instead of being named on the command line, where the project's conftest files would not
    see its tests and the project's naming rules (`python_functions`) would hide them.
    """

    def _getobj(self) -> Any:
        """Return the module."""
        return suite

    def istestfunction(self, obj: object, name: str) -> bool:
        """Tell which functions are tests, whatever the project calls its own."""
        # Without a case pytest would show one test, skipped for want of parameters.
        cases = self.config.stash[assessment_key].cases
        return {
            "test_control": any(case.app for case in cases),
            "test_org_control": any(not case.app for case in cases),
        }.get(name, False)

    def istestclass(self, obj: object, name: str) -> bool:
        """Tell that no class is a test."""
        return False

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield the cases."""
        for item in super().collect():
            # pytest makes the items of a module itself, and asks nobody of which class.
            item.__class__ = ControlCase
            yield item

    @cached_property
    def unwatched(self) -> bool:
        """Whether nobody but pytest itself looks at how parameters are set up: no hook, and no --setup-show."""
        hooks = (self.ihook.pytest_fixture_setup, self.ihook.pytest_fixture_post_finalizer)
        modules = (impl.function.__module__ for hook in hooks for impl in hook.get_hookimpls())
        shown = self.config.getoption("setupshow", False)
        return not shown and all(module.startswith("_pytest.") for module in modules)

    @cached_property
    def places(self) -> dict[str, tuple[str, int | None]]:
        """Name of each test to its file and line, filled by its first case."""
        return {}


class ControlCase(pytest.Function):
    """A case of a shipped test.

    To hooks, marks, fixtures and options it is what the cases of any test are. What pytest finds out for each of them
    anew, though it is the same for all or not needed here, is a quarter of the run.
    """

    parent: Suite

    def setup(self) -> None:
        """Set up fixtures: for the test itself, whose arguments are its parameters, there is nothing to do.

        pytest makes a fixture of every parameter, and sets it up and tears it down for each case. It still does that
        where somebody looks, or where there are fixtures that apply to the case: a project's, or what a hook has added.
        """
        __tracebackhide__ = True
        if self.parent.unwatched and self.fixturenames == [*self.callspec.params]:
            self.funcargs.update(self.callspec.params)
        else:
            super().setup()

    @cached_property
    def location(self) -> tuple[str, int | None, str]:
        """File, line and name; cases of the same test differ in the name only."""
        place = self.parent.places.get(self.originalname)
        if place is None:
            place = self.parent.places[self.originalname] = super().location[:2]
        return (*place, self.name)


class Collection:
    """Hooks that collect."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        asked = {arg: test for arg in config.args for path, _, test in [arg.partition("::")] if _is_suite(path, config)}
        explicit = config.args_source is pytest.Config.ArgsSource.ARGS
        self._wanted = bool(asked) or not explicit
        self._chosen = () if "" in asked.values() else tuple(asked.values())
        # The suite has no file below the root directory, which is where pytest would look for it.
        config.args[:] = [arg for arg in config.args if arg not in asked]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the suite to what the session collects."""
        report = yield
        if isinstance(collector, pytest.Session) and self._wanted:
            report.result.append(Suite.from_parent(collector, path=collector.config.rootpath, nodeid=SUITE_ID))
        elif isinstance(collector, Suite) and report.passed:
            # --lf passes over files in which nothing failed, and knows them by paths; the suite has none.
            report.result = self._select(report.result or list(collector.collect()))
        return report

    def _select(self, items: list[Any]) -> list[Any]:
        """Return the items that the command line asks for by their ids, all of a test where no parameters are given."""
        if not self._chosen:
            return items
        chosen: dict[Any, None] = {}
        for name in self._chosen:
            found = [item for item in items if name in (item.name, item.originalname)]
            if not found:
                raise pytest.UsageError(f"not found: {SUITE_ID}::{name}; --collect-only -q shows the ids there are")
            chosen.update(dict.fromkeys(found))
        return list(chosen)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Generate the cases of the suite."""
        if metafunc.module is suite:
            _generate_suite(metafunc, self._config.stash[assessment_key])


def _is_suite(path: str, config: pytest.Config) -> bool:
    """Tell whether a path is the suite's, which pytest shows as seen from where it was started."""
    return path == SUITE_ID or os.path.normpath(config.invocation_params.dir / path) == os.path.normpath(
        config.rootpath / SUITE_ID
    )


def _generate_suite(metafunc: pytest.Metafunc, assessment: Assessment) -> None:
    marks = Marks()
    # A relic of the fixtures that the parameters stand in for; it would be looked up for each case.
    metafunc.fixturenames[:] = [name for name in metafunc.fixturenames if name != "request"]
    if metafunc.function is suite.test_control:
        names: tuple[str, ...] = ("app", "control")
        params = [
            pytest.param(case.app, case.control, id=case.id, marks=marks[case.control])
            for case in assessment.cases
            if case.app is not None
        ]
    else:
        names = ("org", "control")
        params = [
            pytest.param(case.org, case.control, id=case.id, marks=marks[case.control])
            for case in assessment.cases
            if case.app is None
        ]
    metafunc.parametrize(names, params)


class Marks(dict[Control, "tuple[pytest.MarkDecorator, ...]"]):
    """The marks of each control's cases, made once and shared: with its own marks each case costs a third more."""

    def __missing__(self, control: Control) -> tuple[pytest.MarkDecorator, ...]:
        severity = control.severity.value
        self[control] = (
            pytest.mark.control(id=control.id, severity=severity),
            getattr(pytest.mark, f"cvss_{severity}"),
        )
        return self[control]
