"""The one verdict on each check: worked out where its test ends, and carried to the reports on pytest's own report.

A shipped test concludes with its finding; the test of a project's own control is judged by how it ends, and what it
has looked at is the evidence. Then plugins may change the finding, waivers, baseline and gate judge it, and pytest's
outcome follows. Nothing is decided again after that.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.gate import Judgement, NotBlocking
from pytest_oauthcontrols.decisions.run import NoResult, Result, Why
from pytest_oauthcontrols.orgs.model import Absent, Setting, Unreadable, Unverifiable, examining
from pytest_oauthcontrols.pytest_hooks.collected import check_key
from pytest_oauthcontrols.pytest_hooks.handover import handover
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.pytest_hooks.suite_items import CheckItem
from pytest_oauthcontrols.reports.wording import explain, title
from pytest_oauthcontrols.rules.concluding import Concluded, Stated
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.evaluation import Check, stated
from pytest_oauthcontrols.rules.finding import Finding, Statement, by_default, place
from pytest_oauthcontrols.text import capitalised, plain

CARRIED = "oauthcontrols"
"""Attribute of a report that carries what its check came to, or the check whose test has begun."""


class Outcome:
    """Hooks that end the tests of checks."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._running: pytest.Item | None = None
        """The item whose test is running: reports that are made meanwhile are of parts of it."""
        self._failed_parts: list[BaseException] = []
        """What parts of the running test have failed with: subtests."""
        self._result: Result | None = None
        """What the test that ran last came to."""
        # Workers hand results on as bytes; the controller, and a run in one process, as they are.
        self._distributed = hasattr(config, "workerinput")

    @property
    def _assessment(self) -> Assessment:
        return self._config.stash[assessment_key]

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Run the test of a check, and end it with pytest's outcome for what it found."""
        __tracebackhide__ = True
        check = pyfuncitem.stash.get(check_key, None)
        if check is None:
            return (yield)
        self._running, self._result, self._failed_parts = pyfuncitem, None, []
        error: BaseException | None = None
        finding: Finding | None = None
        outcome: object = None
        with examining() as looked_at:
            try:
                outcome = yield
            except Concluded as concluded:
                finding = concluded.finding
            except (Exception, pytest.fail.Exception, pytest.skip.Exception) as raised:  # noqa: BLE001  (judged below)
                error = raised
            finally:
                self._running = None
        # A shipped test concludes: whatever else it raises comes from elsewhere, and if it returns, a hook stood in.
        if finding is None and not isinstance(pyfuncitem, CheckItem):
            finding = self._found(check, error, looked_at)
        if error is not None and finding is None:
            # The test itself is wrong, or was stopped: nothing was found out about the app.
            raise error
        if finding is None:
            return outcome
        changed: Finding | None = self._config.hook.pytest_oauthcontrols_finding(config=self._config, finding=finding)
        finding = changed or finding
        self._result = Result(check, pyfuncitem.nodeid, finding, self._assessment.decisions.judge(finding))
        _end(self._result)
        return outcome

    def _found(self, check: Check, error: BaseException | None, looked_at: list[Setting]) -> Finding | None:
        """Return what a test that states a control has found; None where it came to no verdict."""
        evidence: tuple[Setting, ...]
        if self._failed_parts:
            reasons = [_words(part) for part in self._failed_parts if isinstance(part, _ASSERTIONS)]
            if not reasons:
                return None
            verdict, evidence = Verdict.FAIL, tuple(looked_at)
        elif isinstance(error, pytest.xfail.Exception):
            # pytest says that it was expected; what was found, nobody said.
            return None
        elif isinstance(error, (*_ASSERTIONS, pytest.skip.Exception)) and self._is_of_plugin(error):
            return None
        else:
            judged = _judged(error, looked_at, check)
            if judged is None:
                return None
            verdict, reason = judged
            reasons, evidence = [reason], (error.evidence if isinstance(error, Stated) else ()) or tuple(looked_at)
        statement = Statement(tuple(reasons), tuple(dict.fromkeys(evidence)))
        return stated(check.control, check.app, check.org, verdict, statement)

    def _is_of_plugin(self, error: BaseException) -> bool:
        """Tell whether a plugin ended the test, a timeout say, and not the test's own code or a conftest file."""
        module = sys.modules.get(_raised_in(error))
        if module is None or Path(module.__file__ or "").name == "conftest.py":
            return False
        if module.__name__.startswith("_pytest."):
            # `async def` without a plugin is skipped by pytest itself, and importorskip says nothing about an app.
            return isinstance(error, pytest.skip.Exception)
        return any(
            plugin is module for plugin in self._config.pluginmanager.get_plugins() if isinstance(plugin, ModuleType)
        )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put on the report what the check came to; all other plugins have had their say in the outcome."""
        check = item.stash.get(check_key, None)
        if check is not None and call.excinfo is not None:
            _shorten(call.excinfo)
        report = yield
        if check is None or (call.when == "teardown" and report.outcome == "passed"):
            return report
        if self._running is item:
            if report.failed and call.excinfo is not None:
                self._failed_parts.append(call.excinfo.value)
            return report
        result = self._result if call.when == "call" else None
        end = _ended(check, report) if result is None else self._agreed(result, report, call)
        if call.when == "call":
            self._result = None
        if isinstance(end, Result):
            if end.finding.failing:
                self._show_place(end, report)
            if isinstance(report.longrepr, tuple):
                # The test is what was skipped, wherever that was decided.
                file, line, _ = item.location
                report.longrepr = (file, (line or 0) + 1, report.longrepr[2])
        if end is not None:
            report.__dict__[CARRIED] = handover(self._config).dumps(end) if self._distributed else end
        elif call.when == "setup" and self._distributed and not isinstance(item, CheckItem):
            # The controller knows the checks of the suite; of those of the project it would not learn from a worker
            # that crashes.
            report.__dict__[CARRIED] = handover(self._config).dumps(check)
        return report

    def _agreed(self, result: Result, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Result | NoResult:
        """Return a result that agrees with pytest's outcome, which marks and other plugins may have changed."""
        if report.failed and not result.finding.failing:
            error = None if call.excinfo is None else call.excinfo.value
            if not isinstance(error, AssertionError) or isinstance(error, Concluded):
                return NoResult(result.check, Why.ERROR, first_line(report.longreprtext))
            # Soft assertions, which a plugin collects and reports at the end.
            failed = result.finding._replace(
                verdict=Verdict.FAIL, decided=True, stated=Statement((_words(error),), result.finding.evidence)
            )
            result = result._replace(finding=failed, judgement=self._assessment.decisions.judge(failed))
        if result.finding.failing and report.failed is not result.judgement.blocking:
            return result._replace(judgement=_as_pytest_has_it(result.judgement, report))
        return result

    def _show_place(self, result: Result, report: pytest.TestReport) -> None:
        """Let annotators show a failure in the metadata, where there is a file, and not in the shipped suite."""
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            # In CI pytest's short summary repeats the whole message otherwise.
            crash.message = title(result)
        file, line = place(result.finding)
        path = self._config.invocation_params.dir / (file or "")
        if file is None or result.check.org.source != "directory" or not path.is_file():
            return
        shown = line or 1
        if crash is not None:
            crash.path, crash.lineno = str(path), shown
        try:
            relative = os.path.relpath(path, self._config.rootpath)
        except ValueError:  # on another drive of Windows
            relative = str(path)
        report.location = (relative, shown - 1, report.location[2])


def _end(result: Result) -> None:
    """End the test with pytest's outcome for a result.

    Not hidden from tracebacks, of which pytest shows nothing here: where all is hidden, it says so under the message.
    """
    finding = result.finding
    if finding.verdict is Verdict.PASS:
        return
    if result.blocking:
        pytest.fail(explain(result), pytrace=False)
    if finding.failing:
        pytest.xfail(f"{plain(result.judgement.says)} | {title(result)}")
    attest = " (Look, and attest it in oauthcontrols.yaml.)" if finding.verdict is Verdict.MANUAL else ""
    pytest.skip(f"{finding.verdict.value.replace('_', ' ')}: {title(result)}{attest}")


def _shorten(error: pytest.ExceptionInfo[BaseException]) -> None:
    """Leave of a traceback that pytest does not show the frames that say where it ends.

    pytest would filter all of each failure: with a quarter of 10,000 checks failing, 0.45 of bare tests and not 0.26.
    """
    if isinstance(error.value, pytest.fail.Exception) and not error.value.pytrace:
        error.traceback = error.traceback[-2:]


_ASSERTIONS = (AssertionError, pytest.fail.Exception)
"""Exceptions by which a test says that an app is not as it should be."""


def _judged(error: BaseException | None, looked_at: list[Setting], check: Check) -> tuple[Verdict, str] | None:
    """Return the verdict of a test by how it ended, and why; None where the test itself is wrong."""
    if error is None or (isinstance(error, Stated) and error.verdict is Verdict.PASS and not error.evidence):
        return _passes(looked_at, check, str(error or "The test passes."))
    if isinstance(error, Stated):
        return error.verdict, str(error)
    if isinstance(error, Unverifiable):
        return _unread(error.setting)
    if isinstance(error, pytest.skip.Exception):
        return Verdict.NOT_APPLICABLE, str(error)
    return (Verdict.FAIL, _words(error)) if isinstance(error, _ASSERTIONS) else None


def _words(error: BaseException) -> str:
    """Return what an assertion says; without words of its own, what pytest makes of it."""
    text = str(error)
    first = text.partition("\n")[0]
    return " ".join(text.split()) if first.startswith("assert ") else first or "The assertion fails."


def _passes(looked_at: list[Setting], check: Check, reason: str) -> tuple[Verdict, str]:
    """Return pass where what the test has looked at shows it: never without evidence."""
    for setting in looked_at:
        if isinstance(setting, Unreadable):
            return _unread(setting)
        if (
            isinstance(setting, Absent)
            and setting.default is not None
            and setting.since
            and check.org.api_version is None
        ):
            return Verdict.UNVERIFIABLE, by_default(setting)
    if not looked_at:
        return Verdict.UNVERIFIABLE, "The test has looked at no setting, so nothing shows that it passes."
    return Verdict.PASS, reason


def _unread(setting: Unreadable) -> tuple[Verdict, str]:
    """Return the verdict where a setting cannot be read, and why."""
    return Verdict.MANUAL if setting.manual else Verdict.UNVERIFIABLE, f"{capitalised(setting.reason)}."


def _raised_in(error: BaseException) -> str:
    """Return the name of the module that raised an error, or that called pytest to raise it."""
    traceback, name = error.__traceback__, ""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        if module != "_pytest.outcomes" or traceback.tb_frame.f_code.co_name == "importorskip":
            name = module
        traceback = traceback.tb_next
    return name


def _ended(check: Check, report: pytest.TestReport) -> NoResult | None:
    """Return why a check has no result, by the report of a phase that came to none; None where that may still come."""
    if hasattr(report, "wasxfail"):
        return NoResult(check, Why.SKIPPED, plain(f"xfail: {report.wasxfail}"))
    if report.skipped:
        return NoResult(check, Why.SKIPPED, plain(_skip_reason(report)))
    if report.failed:
        phase = "" if report.when == "call" else f"in {report.when}: "
        return NoResult(check, Why.ERROR, plain(f"{phase}{first_line(report.longreprtext)}"))
    return NoResult(check, Why.ERROR, "the test ended without a verdict") if report.when == "call" else None


def _skip_reason(report: pytest.TestReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    return first_line(reason.removeprefix("Skipped: "))


def first_line(text: str) -> str:
    """Return the line that says what is wrong: pytest marks it with an E, and ends a longer text with it."""
    # pytest-xdist puts the worker before it.
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("[gw")]
    marked = [line[1:].strip() for line in lines if line.startswith("E ")]
    return (marked or [*lines[:1], ""])[0]


def _as_pytest_has_it(judgement: Judgement, report: pytest.TestReport) -> Judgement:
    """Return a judgement that says what pytest says of the outcome."""
    if report.failed:
        return judgement._replace(not_blocking=None, says="")
    reason = getattr(report, "wasxfail", None) or report.outcome
    return judgement._replace(not_blocking=NotBlocking.XFAILED, says=f"xfailed: {reason}")
