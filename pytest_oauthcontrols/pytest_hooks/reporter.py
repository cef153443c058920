"""Says what was read and what was found: header, summary, properties of reports, results file."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from pytest_oauthcontrols.decisions.assessment import Assessment, Case
from pytest_oauthcontrols.decisions.comparison import change_of
from pytest_oauthcontrols.decisions.gate import waiver_of
from pytest_oauthcontrols.orgs.model import Unreadable
from pytest_oauthcontrols.pytest_hooks.amending import amended
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key, check_writable
from pytest_oauthcontrols.pytest_hooks.user_findings import OWN_FINDING, decode, own_control_key
from pytest_oauthcontrols.reports import REPORTS, Document, encoder, results, writing
from pytest_oauthcontrols.reports.terminal import Line, reading, summary, tool
from pytest_oauthcontrols.reports.wording import title
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.rules.risk import in_context
from pytest_oauthcontrols.text import plain

_STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""Variable of GitHub Actions that names the file to which a step adds its summary, Markdown."""


class Reporter:
    """Hooks that report; they run in the controller of a distributed run, never in its workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.findings: dict[str, Finding] = {}
        """Node id to finding, for every case that ran."""
        self.cut_short: str | None = None
        """Why the run ended before its last case; None where it did not."""
        self.collected: set[str] = set()
        """Node ids of all tests that were to run, the project's own too."""
        self._own: set[str] = set()
        """Node ids of cases of controls that tests of the project state."""
        self._reported: set[str] = set()
        self._unwritten: dict[str, str] = {}
        """What could not be written, as it was given, to why."""
        self._failed: list[str] = []
        """What plugins could not do with the results."""
        self._files = {option: given for option in REPORTS if (given := config.getoption(option)) is not None}
        for option, given in self._files.items():
            check_writable(self._path(given), f"{option}={given}")

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

    @cached_property
    def _cases(self) -> dict[str, Case]:
        return {case.node_id: case for case in self.assessment.cases}

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

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what is to run."""
        self.collected.update(item.nodeid for item in session.items)
        self._own.update(item.nodeid for item in session.items if own_control_key in item.stash)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Note what is to run in a distributed run, where the controller collects nothing."""
        self.collected.update(ids)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the finding of a case that ran, and what JUnit is to say of it."""
        if report.when == "setup":
            self._reported.add(report.nodeid)
        found = self._found(report)
        if found is not None:
            self.findings[report.nodeid] = found
            crash = getattr(report.longrepr, "reprcrash", None)
            if crash is not None and found.failing:
                # Where a run is CI's, pytest's summary has the whole of it once more.
                crash.message = title(found)
        elif report.when == "teardown" and self._config.getoption("xmlpath", None):
            # Not on the item: what JUnit says of a case is made once, in the controller, if the case ran.
            finding = self.findings.get(report.nodeid)
            if finding is not None:
                report.user_properties.extend(properties(finding))

    def _found(self, report: pytest.TestReport) -> Finding | None:
        """Return the finding that a report brings; None where it is of another test, or of another phase."""
        stated = getattr(report, OWN_FINDING, None)
        if stated is not None:
            self._own.add(report.nodeid)
            return decode(stated, self._config.stash[assessment_key])
        case = self._cases.get(report.nodeid) if report.when == "call" else None
        return None if case is None else amended(self._config, case.finding)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """End with a summary."""
        # For each failure pytest looks through all reports of setup and teardown; the suite's have nothing to show.
        if self._config.getoption("durations") is None:
            silent = terminalreporter.stats.get("", [])
            silent[:] = [report for report in silent if report.sections or report.nodeid not in self.findings]
        yield
        if not self._assesses:
            return
        terminalreporter.section("OAuth controls")
        for line in (*summary(self.assessment, self.findings.values(), self.cut_short), *self._written()):
            for part in self._fitted(line):
                for text, colour in part.stretches():
                    terminalreporter.write(text, **({colour: True} if colour else {}))
                terminalreporter.line("")

    def _written(self) -> Iterator[Line]:
        """Yield where the reports are, and which could not be written."""
        for option, given in self._files.items():
            if f"{option}={given}" not in self._unwritten:
                yield Line(f"{option.removeprefix('--sf-')}: {given}")
        for given, why in self._unwritten.items():
            said = f"{given}: cannot be written: {why}"
            yield Line(plain(said), [(0, len(given), "yellow" if given == _STEP_SUMMARY else "red")])

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note what ended the run: a person, pytest.exit(), an error in collection, or -x in a distributed run."""
        self.cut_short = str(excinfo.value) or "interrupted"

    def pytest_internalerror(self, excrepr: object, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that an error in pytest or a plugin ended the run."""
        self.cut_short = "internal error"

    def _why_cut_short(self, session: pytest.Session) -> str | None:
        stopped = self.cut_short or session.shouldfail or session.shouldstop
        if stopped:
            return str(stopped)
        # Of workers that are not replaced when they crash, nothing else tells.
        missing = len((self.collected & (self._cases.keys() | self._own)) - self._reported)
        return f"{missing} that were to run did not" if missing else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write the reports."""
        if not self._assesses:
            return (yield)
        self.cut_short = self._why_cut_short(session)
        self._config.stash[assessment_key] = self.assessment.with_own(
            {found.control.id: found.control for at, found in self.findings.items() if at in self._own}, len(self._own)
        )
        self._write()
        # Other plugins write theirs, and the terminal has its summary, whatever could not be written here.
        yield
        failed = [
            *(f"{given}: cannot be written: {why}" for given, why in self._unwritten.items() if given != _STEP_SUMMARY),
            *self._failed,
        ]
        if failed:
            pytest.exit("; ".join(failed), returncode=pytest.ExitCode.USAGE_ERROR)
        return None

    def _write(self) -> None:
        step_summary = os.environ.get(_STEP_SUMMARY)
        receive = self._config.hook.pytest_oauthcontrols_results
        if not self._files and not step_summary and not receive.get_hookimpls():
            return
        document = results.document(self.assessment, self.findings.items(), self.cut_short)
        for option, given in self._files.items():
            try:
                writing.write(self._path(given), encoder(option)(document, self.assessment.catalogue))
            except OSError as error:
                self._unwritten[f"{option}={given}"] = error.strerror or str(error)
        if step_summary:
            self._add_to_step_summary(self._path(step_summary), document)
        try:
            receive(config=self._config, results=document)
        except Exception as error:  # noqa: BLE001  (whatever a plugin does, the reports are there and the run is to end)
            self._failed.append(f"pytest_oauthcontrols_results ended with {type(error).__name__}: {plain(str(error))}")

    def _add_to_step_summary(self, path: Path, document: Document) -> None:
        """Add the Markdown summary to a file to which others write too; no test hangs on whether that is possible."""
        markdown = "--sf-markdown"
        given = self._files.get(markdown)
        try:
            if given is not None and self._path(given).resolve() == path.resolve():
                return
            with path.open("ab") as file:
                if file.tell():
                    file.write(b"\n")
                file.write(encoder(markdown)(document, self.assessment.catalogue))
        except OSError as error:
            self._unwritten[_STEP_SUMMARY] = error.strerror or str(error)


def properties(finding: Finding) -> Iterable[tuple[str, str]]:
    """Return what JUnit says of a case."""
    control = finding.control
    yield "control", control.id
    yield "verdict", finding.verdict.value
    yield "severity", control.severity.value
    yield "cvss", control.cvss_range
    yield "org", plain(finding.org.name)
    if finding.app is not None:
        yield "app", plain(finding.app.name)
        yield "kind", finding.app.kind
    yield from _decided(finding)
    shown = next((setting for setting in finding.evidence if not isinstance(setting, Unreadable)), None)
    source = shown.source if shown else finding.app.source if finding.app else None
    if source is not None:
        yield "file", plain(source)
    if shown is not None and shown.line is not None:
        yield "line", str(shown.line)


def _decided(finding: Finding) -> Iterable[tuple[str, str]]:
    """Return what JUnit says of what was decided of a case."""
    attestation = finding.attestation
    if attestation is not None:
        yield "attestation", plain(f"{attestation} ({attestation.scope.where})")
    if not finding.failing:
        return
    risk = in_context(finding)
    yield "severity_in_context", risk.severity.value
    yield "score_in_context", str(risk.score)
    waiver, change = waiver_of(finding), change_of(finding)
    if waiver is not None:
        yield "waiver", plain(f"{waiver} ({waiver.scope.where})")
    if change is not None:
        yield "change", change.value
