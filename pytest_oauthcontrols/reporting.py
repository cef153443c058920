"""Says what was read and what was found: header, summary, properties of reports, results file."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import cached_property
from pathlib import Path

import pytest

from pytest_oauthcontrols import output
from pytest_oauthcontrols.acceptance import waiver_of
from pytest_oauthcontrols.assessment import Assessment, Case
from pytest_oauthcontrols.drift import change_of
from pytest_oauthcontrols.evaluation import Finding
from pytest_oauthcontrols.messages import plain, title
from pytest_oauthcontrols.model import Seen
from pytest_oauthcontrols.reports import REPORTS, encoder, results
from pytest_oauthcontrols.risk import in_context
from pytest_oauthcontrols.session import assessment_key, check_writable
from pytest_oauthcontrols.summary import reading, summary, tool

_INTERRUPTED: dict[int, str] = {
    pytest.ExitCode.INTERRUPTED: "interrupted",
    pytest.ExitCode.INTERNAL_ERROR: "internal error",
}


class Reporter:
    """Hooks that report; they run in the controller of a distributed run, never in its workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.findings: dict[str, Finding] = {}
        """Node id to finding, for every case that ran."""
        self._files = {option: given for option in REPORTS if (given := config.getoption(option)) is not None}
        for option, given in self._files.items():
            check_writable(self._path(given), f"{option}={given}")

    def _path(self, given: str) -> Path:
        return self._config.invocation_params.dir / given

    @property
    def assessment(self) -> Assessment:
        """What the run assesses."""
        return self._config.stash[assessment_key]

    @cached_property
    def _cases(self) -> dict[str, Case]:
        return {case.node_id: case for case in self.assessment.cases}

    def pytest_report_header(self) -> list[str]:
        """Say before the run what was read, when and from where, and by what."""
        return [f"oauthcontrols: {tool(self.assessment)}", *(f"org {reading(org)}" for org in self.assessment.orgs)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the finding of a case that ran, and what JUnit is to say of it."""
        if report.when == "call":
            case = self._cases.get(report.nodeid)
            if case is not None:
                found = self.findings[report.nodeid] = case.finding
                crash = getattr(report.longrepr, "reprcrash", None)
                if crash is not None and found.failing:
                    # Where a run is CI's, pytest's summary has the whole of it once more.
                    crash.message = title(found)
        elif report.when == "teardown" and self._config.getoption("xmlpath", None):
            # Not on the item: what JUnit says of a case is made once, in the controller, if the case ran.
            finding = self.findings.get(report.nodeid)
            if finding is not None:
                report.user_properties.extend(properties(finding))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
        """End with a summary."""
        # For each failure pytest looks through all reports of setup and teardown; the suite's have nothing to show.
        silent = terminalreporter.stats.get("", [])
        silent[:] = [report for report in silent if report.sections or report.nodeid not in self.findings]
        yield
        if self._config.option.collectonly:
            return
        terminalreporter.section("OAuth controls")
        for line in summary(self.assessment, self.findings.values()):
            terminalreporter.write_line(line)
        for option, given in self._files.items():
            terminalreporter.write_line(f"{option.removeprefix('--sf-')}: {given}")

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the reports."""
        if not self._files or assessment_key not in self._config.stash or self._config.option.collectonly:
            return
        cut_short = session.shouldfail or session.shouldstop or _INTERRUPTED.get(exitstatus)
        document = results.document(self.assessment, self.findings.items(), str(cut_short) if cut_short else None)
        for option, given in self._files.items():
            try:
                output.write(self._path(given), encoder(option)(document, self.assessment.catalogue))
            except OSError as error:
                message = f"{option}={given}: cannot be written: {error.strerror}"
                pytest.exit(message, returncode=pytest.ExitCode.USAGE_ERROR)


def properties(finding: Finding) -> Iterable[tuple[str, str]]:
    """Return what JUnit says of a case."""
    control = finding.control
    yield "control", control.id
    yield "verdict", finding.verdict.value
    yield "severity", control.severity.value
    yield "cvss", control.cvss_range
    yield "org", finding.org.name
    if finding.app is not None:
        yield "app", finding.app.name
        yield "kind", finding.app.kind
    yield from _decided(finding)
    seen = next((setting for setting in finding.evidence if isinstance(setting, Seen)), None)
    source = seen.source if seen else finding.app.source if finding.app else None
    if source is not None:
        yield "file", source
    if seen is not None and seen.line is not None:
        yield "line", str(seen.line)


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
