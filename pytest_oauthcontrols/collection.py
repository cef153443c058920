"""Collects the shipped suite beside a project's own tests, and generates the cases of both."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_oauthcontrols import suite
from pytest_oauthcontrols.assessment import SUITE_ID, Assessment
from pytest_oauthcontrols.catalogue import Control
from pytest_oauthcontrols.evaluation import READABLE
from pytest_oauthcontrols.session import assessment_key


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


class Collection:
    """Hooks that collect."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        asked = [arg for arg in config.args if arg == SUITE_ID or arg.startswith(f"{SUITE_ID}::")]
        explicit = config.args_source is pytest.Config.ArgsSource.ARGS
        self._wanted = bool(asked) or not explicit
        self._chosen = () if SUITE_ID in asked else tuple(arg.partition("::")[2] for arg in asked)
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
        """Generate the cases of the suite, and of the project's tests that take the plugin's fixtures."""
        assessment = self._config.stash[assessment_key]
        if metafunc.module is suite:
            _generate_suite(metafunc, assessment)
        else:
            _generate_own(metafunc, assessment)


def _generate_suite(metafunc: pytest.Metafunc, assessment: Assessment) -> None:
    marks = _Marks()
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


def _generate_own(metafunc: pytest.Metafunc, assessment: Assessment) -> None:
    """Generate the cases of a project's own test, one for each org, app or control that it takes."""
    wanted = tuple(name for name in ("_oauth_org", "_oauth_app", "_oauth_control") if name in metafunc.fixturenames)
    if not wanted:
        return
    marks = _Marks()
    params: dict[str, Any] = {}
    for case in assessment.cases:
        if "_oauth_app" in wanted:
            if case.app is None or not case.app.readable or case.control is READABLE:
                continue
        elif "_oauth_org" in wanted and "_oauth_control" in wanted and case.app is not None:
            continue
        values = {"_oauth_org": case.org, "_oauth_app": case.app, "_oauth_control": case.control}
        parts = [assessment.slugs[case.org]] if len(assessment.orgs) > 1 or wanted == ("_oauth_org",) else []
        parts += [assessment.slugs[case.app]] if "_oauth_app" in wanted and case.app is not None else []
        parts += [case.control.id] if "_oauth_control" in wanted else []
        id_ = "-".join(parts)
        if id_ not in params:
            chosen = marks[case.control] if "_oauth_control" in wanted else ()
            params[id_] = pytest.param(*(values[name] for name in wanted), id=id_, marks=chosen)
    metafunc.parametrize(wanted, list(params.values()), indirect=True)


class _Marks(dict[Control, "tuple[pytest.MarkDecorator, ...]"]):
    """The marks of each control's cases, made once and shared: with its own marks each case costs a third more."""

    def __missing__(self, control: Control) -> tuple[pytest.MarkDecorator, ...]:
        severity = control.severity.value
        self[control] = (
            pytest.mark.control(id=control.id, severity=severity),
            getattr(pytest.mark, f"cvss_{severity}"),
        )
        return self[control]
