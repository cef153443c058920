"""Collects the shipped suite beside a project's own tests, and generates a test for each check."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_oauthcontrols import suite
from pytest_oauthcontrols.decisions.assessment import SUITE_ID, Assessment
from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.pytest_hooks.collected import check_key
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.evaluation import Check

_INSTALLED = Path(suite.__file__)
_MODULES = (suite.__name__, suite.__name__.rpartition(".")[0])
"""What `--pyargs` may call the suite."""


class Suite(pytest.Module):
    """The shipped test module.

    It is added to the session instead of being named on the command line, where the project's conftest files would not
    see its tests and the project's naming rules (`python_functions`) would hide them.
    """

    @property
    def ihook(self) -> Any:
        """The hooks of the project's root: pytest takes none of the conftest files for a file that does not exist."""
        return self.session.gethookproxy(self.config.rootpath)

    def _getobj(self) -> Any:
        """Return the module."""
        return suite

    def istestfunction(self, obj: object, name: str) -> bool:
        """Tell which functions are tests, whatever the project calls its own."""
        # Without a check pytest would show one test, skipped for want of parameters.
        checks = self.config.stash[assessment_key].checks
        return {
            "test_control": any(check.app for check in checks),
            "test_org_control": any(not check.app for check in checks),
        }.get(name, False)

    def istestclass(self, obj: object, name: str) -> bool:
        """Tell that no class is a test."""
        return False

    def collect(self) -> Iterator[pytest.Item | pytest.Collector]:
        """Yield the tests, each with the check that it makes."""
        checks = {_subject(check): check for check in self.config.stash[assessment_key].checks}
        for item in super().collect():
            # pytest makes the items of a module itself, and asks nobody of which class.
            item.__class__ = CheckItem
            assert isinstance(item, CheckItem)
            params: dict[str, Any] = item.callspec.params
            item.stash[check_key] = checks[params.get("sf_app") or params["sf_org"], params["sf_control"]]
            yield item

    @cached_property
    def hooks_of_the_run(self) -> Any:
        """What `ihook` is after the collection."""
        return self.ihook

    @cached_property
    def unwatched(self) -> bool:
        """Whether nobody but pytest itself looks at how parameters are set up: no hook, and no --setup-show."""
        hooks = (self.ihook.pytest_fixture_setup, self.ihook.pytest_fixture_post_finalizer)
        modules = (impl.function.__module__ for hook in hooks for impl in hook.get_hookimpls())
        shown = self.config.getoption("setupshow", False)
        return not shown and all(module.startswith("_pytest.") for module in modules)

    @cached_property
    def lines(self) -> dict[str, int | None]:
        """Name of each test function to its line, filled by its first item."""
        return {}


class CheckItem(pytest.Function):
    """The test of one check.

    To hooks, marks, fixtures and options it is what any test is. What pytest finds out anew for each item, though it is
    the same for all or not needed here, is a quarter of the run.
    """

    parent: Suite

    @property
    def ihook(self) -> Any:
        """The hooks of the project's root; once all conftest files are known, looked up once for all items."""
        return self.parent.hooks_of_the_run if self.session.testscollected else self.parent.ihook

    def setup(self) -> None:
        """Set up fixtures: for the test itself, whose arguments are its parameters, there is nothing to do.

        pytest makes a fixture of every parameter, and sets it up and tears it down for each item. It still does that
        where somebody looks, or where there are fixtures that apply to the test: a project's, or what a hook has added.
        """
        __tracebackhide__ = True
        if self.parent.unwatched and self.fixturenames == [*self.callspec.params]:
            self.funcargs.update(self.callspec.params)
        else:
            super().setup()

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return path, line and name, as the node id has them: the package may be installed outside the project."""
        line = self.parent.lines.setdefault(
            self.originalname, suite.__dict__[self.originalname].__code__.co_firstlineno - 1
        )
        return self.path, line, self.name

    @cached_property
    def location(self) -> tuple[str, int | None, str]:
        """File, line and name; items of the same test function differ in the name only."""
        _, line, name = self.reportinfo()
        return SUITE_ID, line, name


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
        for arg in config.args:
            _check_spelling(arg.partition("::")[0], config)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Add the suite to what the session collects."""
        report = yield
        if isinstance(collector, pytest.Session) and self._wanted and not self._is_ignored(collector):
            report.result.append(Suite.from_parent(collector, path=_path(self._config), nodeid=SUITE_ID))
        elif isinstance(collector, Suite) and report.passed:
            # --lf passes over files in which nothing failed, and knows them by paths; the suite has none.
            report.result = self._select(report.result or list(collector.collect()))
        return report

    def _is_ignored(self, session: pytest.Session) -> bool:
        """Tell whether --ignore, --ignore-glob or a hook leaves out the suite, or a folder that it would lie in."""
        path = _path(self._config)
        folders = [folder for folder in path.parents if folder.is_relative_to(self._config.rootpath)]
        return any(
            session.ihook.pytest_ignore_collect(collection_path=each, config=self._config)
            for each in (path, *folders[:-1])
        )

    def _select(self, items: list[Any]) -> list[Any]:
        """Return the items that the command line asks for by their ids, all of a test where no parameters are given."""
        if not self._chosen:
            return items
        chosen: dict[Any, None] = {}
        for name in self._chosen:
            named = [item for item in items if name in (item.name, item.originalname)]
            if not named:
                raise pytest.UsageError(f"not found: {SUITE_ID}::{name}; --collect-only -q shows the ids there are")
            chosen.update(dict.fromkeys(named))
        return list(chosen)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Generate the tests of the suite."""
        if metafunc.module is suite:
            _generate_suite(metafunc, self._config.stash[assessment_key])


def _path(config: pytest.Config) -> Path:
    """Return the path that the suite is shown at: below the root directory, where editors look for a test's file."""
    return config.rootpath / SUITE_ID


def _is_suite(path: str, config: pytest.Config) -> bool:
    """Tell whether an argument means the suite: its id, the path that pytest shows, or where it is installed."""
    if config.option.pyargs and path in _MODULES:
        return True
    places = {_path(config), _INSTALLED}
    given = config.invocation_params.dir / path
    return path == SUITE_ID or _normal(given) in {_normal(one) for place in places for one in (place, place.parent)}


def _normal(path: Path) -> str:
    """Return a path without links and detours, whether it exists or not; on Windows without regard to case."""
    return os.path.normcase(os.path.realpath(path))


def _check_spelling(path: str, config: pytest.Config) -> None:
    """Raise a usage error for a path that does not exist and is meant for the suite."""
    meant = path.replace("\\", "/").rstrip("/").removesuffix(".py").replace(".", "/").lower()
    if meant.endswith("pytest_oauthcontrols/suite") and not (config.invocation_params.dir / path).exists():
        raise pytest.UsageError(f"{path}: not found; the shipped suite is called {SUITE_ID}")


def _subject(check: Check) -> tuple[App | Org, Control]:
    return check.app or check.org, check.control


def _generate_suite(metafunc: pytest.Metafunc, assessment: Assessment) -> None:
    """Generate a test for each check of an app, or of the org."""
    marks = Marks()
    of_app = metafunc.function is suite.test_control
    # `request` is a relic of the fixtures that the parameters stand in for; it would be looked up for each test.
    metafunc.fixturenames[:] = [name for name in metafunc.fixturenames if name != "request"]
    own = ("sf_app", "sf_control") if of_app else ("sf_org", "sf_control")
    names = tuple(name for name in ("sf_org", "sf_app", "sf_control") if name in metafunc.fixturenames)
    params = [
        pytest.param(
            *(getattr(check, name.removeprefix("sf_")) for name in names), id=check.id, marks=marks[check.control]
        )
        for check in assessment.checks
        if bool(check.app) is of_app
    ]
    # Fixtures of the project may ask for the fixtures of these names, so they have to exist; else the values do.
    metafunc.parametrize(names, params, indirect=set(metafunc.fixturenames) != set(own))


class Marks(dict[Control, "tuple[pytest.MarkDecorator, ...]"]):
    """The marks of each control's tests, made once and shared: with its own marks each test costs a third more."""

    def __missing__(self, control: Control) -> tuple[pytest.MarkDecorator, ...]:
        severity = control.severity.value
        self[control] = (
            pytest.mark.control(id=control.id, severity=severity),
            getattr(pytest.mark, f"cvss_{severity}"),
        )
        return self[control]
