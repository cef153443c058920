"""Says what was read and what was found: header, summary, properties of reports, results file."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

from pytest_oauthcontrols.decisions.assessment import SUITE_ID, Assessment, node_id
from pytest_oauthcontrols.decisions.run import NoResult, Result, Run, Why, worst
from pytest_oauthcontrols.pytest_hooks.collected import Collected
from pytest_oauthcontrols.pytest_hooks.handover import handover
from pytest_oauthcontrols.pytest_hooks.outcome import CARRIED, first_line
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key, check_writable
from pytest_oauthcontrols.reports import REPORTS, results, writing
from pytest_oauthcontrols.reports.results import Document
from pytest_oauthcontrols.reports.terminal import Line, reading, summary, tool
from pytest_oauthcontrols.rules.evaluation import Check
from pytest_oauthcontrols.rules.finding import place
from pytest_oauthcontrols.rules.risk import in_context
from pytest_oauthcontrols.text import plain

_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Variable of GitHub Actions that names the file to which a step adds its summary, Markdown."""


class Reporter:
    """Hooks that report; they run in the controller of a distributed run, never in its workers."""

    def __init__(self, config: pytest.Config, collected: Collected) -> None:
        self._config = config
        self._collected = collected
        self.ends: dict[str, Result | NoResult] = {}
        """Node id of each test that came to its end to what its check came to."""
        self._failed: dict[str, str] = {}
        """Node ids of tests that failed otherwise than by their check, to how: a subtest, a worker that crashed."""
        self._begun: set[str] = set()
        """Node ids of tests that have begun."""
        self._rerun: set[str] = set()
        """Node ids of tests that will run again: only their last run counts."""
        self.run = Run((), ())
        """What the run came to; known at its end."""
        self._cut_short: str | None = None
        """Why the run ended before its last test; None where it did not."""
        self._unwritten: dict[str, str] = {}
        """What could not be written, as it was given, to why."""
        self._failed_hooks: list[str] = []
        """What plugins could not do with the results."""
        self._files = {
            report: given
            for report in REPORTS
            if (given := config.getoption(report.option.removeprefix("--").replace("-", "_"))) is not None
        }
        for report, given in self._files.items():
            check_writable(self._path(given), f"{report.option}={given}")

    def _path(self, given: str) -> Path:
        return self._config.invocation_params.dir / given

    @property
    def assessment(self) -> Assessment:
        """What the run assesses."""
        return self._config.stash[assessment_key]

    @property
    def _assesses(self) -> bool:
        """Whether the run was to assess anything: some only list what there is, or end before anything is read."""
        return (
            assessment_key in self._config.stash and bool(self.assessment.orgs) and not self._config.option.collectonly
        )

    @property
    def tests(self) -> int:
        """How many tests were to run, the project's own too."""
        return len(self._collected.tests)

    def pytest_report_header(self) -> list[str]:
        """Say before the run what was read, when and from where, and by what."""
        lines = [f"oauthcontrols: {tool(self.assessment)}", *(f"org {reading(org)}" for org in self.assessment.orgs)]
        return [part for line in lines for part in self._fitted(Line(line))]

    def _fitted(self, line: Line) -> Iterable[Line]:
        """Break a line where a terminal would; in files and the logs of CI it stays whole, to be searched for."""
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or not reporter.isatty:
            return (line,)
        return line.wrapped(self._config.get_terminal_writer().fullwidth)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a check came to, and what JUnit is to say about it."""
        node_id = report.nodeid
        self._begun.add(node_id)
        if report.when == "setup" and node_id in self._rerun:
            self._rerun.discard(node_id)
            self.ends.pop(node_id, None)
        # Nobody else needs it, and tools that write reports down would choke on it.
        carried = report.__dict__.pop(CARRIED, None)
        if str(report.outcome) == "rerun":
            self._rerun.add(node_id)
        elif carried is not None:
            end: Check | Result | NoResult
            end = handover(self._config).loads(carried) if isinstance(carried, bytes) else carried
            if isinstance(end, Check):
                self._collected.add([end])
                self._collected.tests[node_id] = end
            else:
                self.ends[node_id] = worst(self.ends[node_id], end) if node_id in self.ends else end
        elif report.failed:
            self._failed[node_id] = first_line(report.longreprtext)
        if report.when == "teardown" and self._config.getoption("xmlpath", None) and node_id in self.ends:
            # Not on the item: what JUnit says about a test is made once, in the controller, if the test ran.
            report.user_properties.extend(properties(self.ends[node_id]))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """End with a summary."""
        # For each failure pytest looks through all reports of setup and teardown; the suite's have nothing to show.
        if self._config.getoption("durations") is None:
            silent = terminalreporter.stats.get("", [])
            silent[:] = [report for report in silent if report.sections or report.nodeid not in self.ends]
        yield
        if not self._assesses:
            return
        terminalreporter.section("OAuth controls")
        for line in (*summary(self.assessment, self.run), *self._written()):
            for part in self._fitted(line):
                for text, colour in part.stretches():
                    terminalreporter.write(text, **({colour: True} if colour else {}))
                terminalreporter.line("")

    def _written(self) -> Iterator[Line]:
        """Yield where the reports are, and which could not be written."""
        for report, given in self._files.items():
            if f"{report.option}={given}" not in self._unwritten:
                yield Line(f"{report.name}: {given}")
        for given, why in self._unwritten.items():
            message = f"{given}: cannot be written: {why}"
            yield Line(plain(message), [(0, len(given), "yellow" if given == _STEP_SUMMARY else "red")])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note what ended the run: a person, pytest.exit(), an error in collection, or -x in a distributed run."""
        self._cut_short = str(excinfo.value) or "interrupted"

    def pytest_internalerror(self, excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that an error in pytest or a plugin ended the run."""
        self._cut_short = "internal error"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int | pytest.ExitCode
    ) -> Generator[None, None, None]:
        """Write the reports."""
        if not self._assesses:
            return (yield)
        stopped = self._cut_short or session.shouldfail or session.shouldstop
        self.run = self._ended(str(stopped) if stopped else None)
        stated = {check.control.id: check.control for check in self._collected.checks}
        self._config.stash[assessment_key] = self.assessment.with_controls(stated.values())
        self._add_suite_properties()
        self._write()
        # Other plugins write theirs, and the terminal has its summary, whatever could not be written here.
        yield
        problems = [
            *(f"{given}: cannot be written: {why}" for given, why in self._unwritten.items() if given != _STEP_SUMMARY),
            *self._failed_hooks,
        ]
        if exitstatus == pytest.ExitCode.OK:
            problems += self._nothing_assessed()
        if problems:
            pytest.exit("; ".join(problems), returncode=pytest.ExitCode.USAGE_ERROR)
        return None

    def _ended(self, stopped: str | None) -> Run:
        """Return what the run came to: a result for each check, or why it has none."""
        ends: dict[Check, Result | NoResult] = {}
        tests = self._collected.tests
        suite = {node_id(check): check for check in self.assessment.checks}
        for at, how in self._failed.items():
            check = tests.get(at) or suite.get(at)
            if check is not None:
                error = NoResult(check, Why.ERROR, plain(how))
                self.ends[at] = worst(self.ends.get(at, error), error)
        for end in self.ends.values():
            earlier = ends.get(end.check)
            ends[end.check] = end if earlier is None else worst(earlier, end)._replace(runs=earlier.runs + 1)
        collected = {check for check in tests.values() if check} | {suite[at] for at in tests if at in suite}
        gaps = [end for end in ends.values() if isinstance(end, NoResult)]
        for check in (*self.assessment.checks, *self._collected.checks):
            if check in ends:
                continue
            if check in collected:
                gaps.append(NoResult(check, Why.INTERRUPTED, plain(stopped or "")))
            elif check in self._collected.deselected:
                gaps.append(NoResult(check, Why.DESELECTED, ""))
            else:
                gaps.append(NoResult(check, Why.NOT_COLLECTED, ""))
        # Of workers that are not replaced when they crash, nothing else tells.
        lost = len(tests.keys() - self._begun)
        cut_short = stopped or (f"{lost} tests that were to run did not" if lost else None)
        return Run(tuple(end for end in ends.values() if isinstance(end, Result)), tuple(gaps), cut_short)

    def _nothing_assessed(self) -> list[str]:
        """Return what is wrong where an org was read, something was asked about it, and no check has a result."""
        option = self._config.option
        asked = [report.option for report in self._files]
        asked += ["--sf-fail-on"] if option.sf_fail_on else []
        asked += ["--sf-baseline"] if option.sf_baseline else []
        skipped = any(gap.why is Why.SKIPPED for gap in self.run.without_result)
        if self.run.results or not self.run.total or not (asked or skipped):
            return []
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.run.reasons)
        not_collected = any(gap.why is Why.NOT_COLLECTED for gap in self.run.without_result)
        remedy = f"add {SUITE_ID} to the paths" if not_collected else "let them run, or leave out --sf-org"
        wanted = f"{', '.join(asked)} asked for an assessment, but " if asked else ""
        return [f"{wanted}none of {self.run.total} checks has a result ({plain(reasons)}): {remedy}"]

    def _add_suite_properties(self) -> None:
        """Say in JUnit how many checks there are, and why some have no result."""
        if not self._config.getoption("xmlpath", None):
            return
        for plugin in self._config.pluginmanager.get_plugins():
            add = getattr(plugin, "add_global_property", None)
            if add is not None:
                add("oauthcontrols.checks", str(self.run.total))
                add("oauthcontrols.checks_with_result", str(len(self.run.results)))
                for reason, number in self.run.reasons:
                    add("oauthcontrols.checks_without_result", plain(f"{number} {reason}"))

    def _write(self) -> None:
        step_summary = os.environ.get(_STEP_SUMMARY)
        receive = self._config.hook.pytest_oauthcontrols_results
        if not self._files and not step_summary and not receive.get_hookimpls():
            return
        document = results.document(self.assessment, self.run)
        for report, given in self._files.items():
            try:
                writing.write(self._path(given), results.encoded(report, document, self.assessment.catalogue))
            except OSError as error:
                self._unwritten[f"{report.option}={given}"] = error.strerror or str(error)
        if step_summary:
            self._add_to_step_summary(self._path(step_summary), document)
        try:
            receive(config=self._config, results=document)
        except Exception as error:  # noqa: BLE001  (whatever a plugin does, the reports are there and the run is to end)
            self._failed_hooks.append(
                f"pytest_oauthcontrols_results ended with {type(error).__name__}: {plain(str(error))}"
            )

    def _add_to_step_summary(self, path: Path, document: Document) -> None:
        """Add the Markdown summary to a file to which others write too; no test hangs on whether that is possible."""
        markdown = next(report for report in REPORTS if report.module == "markdown")
        given = self._files.get(markdown)
        try:
            if given is not None and self._path(given).resolve() == path.resolve():
                return
            with path.open("ab") as file:
                if file.tell():
                    file.write(b"\n")
                file.write(results.encoded(markdown, document, self.assessment.catalogue))
        except OSError as error:
            self._unwritten[_STEP_SUMMARY] = error.strerror or str(error)


def properties(end: Result | NoResult) -> Iterable[tuple[str, str]]:
    """Return what JUnit says about a test."""
    check = end.check
    yield "control", check.control.id
    yield "verdict", end.finding.verdict.value if isinstance(end, Result) else plain(f"none ({end.reason})")
    yield "severity", check.control.severity.value
    yield "cvss", check.control.cvss_range
    yield "org", plain(check.org.name)
    if check.app is not None:
        yield "app", plain(check.app.name)
        yield "kind", check.app.kind
    if isinstance(end, Result):
        yield from _judged(end)
        file, line = place(end.finding)
        if file is not None:
            yield "file", plain(file)
        if line is not None:
            yield "line", str(line)


def _judged(result: Result) -> Iterable[tuple[str, str]]:
    """Return what JUnit says about what was decided of a finding."""
    finding, judgement = result.finding, result.judgement
    if judgement.attestation is not None:
        yield "attestation", plain(f"{judgement.attestation} ({judgement.attestation.scope.where})")
    if not finding.failing:
        return
    risk = in_context(finding)
    yield "severity_in_context", risk.severity.value
    yield "score_in_context", str(risk.score)
    if judgement.not_blocking is not None:
        yield "not_blocking", judgement.not_blocking.value
    if judgement.waiver is not None:
        yield "waiver", plain(f"{judgement.waiver} ({judgement.waiver.scope.where})")
    if judgement.change is not None:
        yield "change", judgement.change.value
