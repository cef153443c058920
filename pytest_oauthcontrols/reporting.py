"""Says what was read and what was found: header, summary, properties of reports, results file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import pytest

from pytest_oauthcontrols import output, results
from pytest_oauthcontrols.assessment import Assessment, Case
from pytest_oauthcontrols.catalogue import Verdict
from pytest_oauthcontrols.cvss import Severity
from pytest_oauthcontrols.evaluation import Finding
from pytest_oauthcontrols.messages import origin, plain
from pytest_oauthcontrols.model import CONNECTED_APP, App, Org, Seen
from pytest_oauthcontrols.session import assessment_key

_FAILING = (Verdict.FAIL, Verdict.UNVERIFIABLE)
_WORST_APPS = 5
_NOTES = 3


class Reporter:
    """Hooks that report; they run in the controller of a distributed run, never in its workers."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.findings: dict[str, Finding] = {}
        """Node id to finding, for every case that ran."""
        self._results_file = self._writable(config.option.sf_json)

    def _writable(self, given: str | None) -> Path | None:
        """Return the path of a file to be written, checked before anything is read."""
        if given is None:
            return None
        path = self._config.invocation_params.dir / given
        try:
            output.check_writable(path)
        except OSError as error:
            raise pytest.UsageError(f"--sf-json={given}: cannot be written: {error.strerror}") from None
        return path

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
                self.findings[report.nodeid] = case.finding
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
        if self._results_file is not None:
            terminalreporter.write_line(f"results: {self._config.option.sf_json}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the results file."""
        if self._results_file is None or assessment_key not in self._config.stash or self._config.option.collectonly:
            return
        try:
            document = results.document(self.assessment, self.findings.items())
            output.write(self._results_file, results.encode(document))
        except OSError as error:
            message = f"--sf-json={self._config.option.sf_json}: cannot be written: {error.strerror}"
            pytest.exit(message, returncode=pytest.ExitCode.USAGE_ERROR)


def tool(assessment: Assessment) -> str:
    """Return what assesses: versions of tool and catalogue."""
    catalogue = assessment.catalogue
    controls = f"{len(catalogue.controls)} controls, sha256 {catalogue.sha256[:12]}"
    return f"{version(results.DISTRIBUTION)}, catalogue {catalogue.version} ({controls})"


def reading(org: Org) -> str:
    """Return what was read, when and from what."""
    if not org.readable:
        return plain(f"{org.name}: could not be read")
    when = f"{org.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    api = "" if org.api_version is None else f"API {org.api_version}, "
    digest = f"{api}sha256 {org.sha256[:12]}"
    return f"{plain(org.name)}: {apps_in_words(org)}, read {when} from {origin(org)} ({digest})"


def apps_in_words(org: Org) -> str:
    """Return how many apps of which kind an org has."""
    connected = sum(app.kind == CONNECTED_APP for app in org.apps)
    external = len(org.apps) - connected
    return (
        f"{_count(len(org.apps), 'app')} ({connected} connected, {external} external client)" if org.apps else "0 apps"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


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
    seen = next((setting for setting in finding.evidence if isinstance(setting, Seen)), None)
    source = seen.source if seen else finding.app.source if finding.app else None
    if source is not None:
        yield "file", source
    if seen is not None and seen.line is not None:
        yield "line", str(seen.line)


def summary(assessment: Assessment, findings: Iterable[Finding]) -> Iterable[str]:
    """Return what a reader needs to know in ten seconds; a line each."""
    found = list(findings)
    for org in assessment.orgs:
        verdicts = Counter(finding.verdict for finding in found if finding.org is org)
        if not org.readable:
            yield plain(f"{org.name}: could not be read, so nothing of it was assessed")
            continue
        yield plain(f"{org.name}: {apps_in_words(org)}, {_count(sum(verdicts.values()), 'case')}")
        if not org.apps:
            yield "  0 apps were found: nothing but the org's own settings was assessed"
        yield "  " + ", ".join(f"{verdicts[verdict]} {verdict.value.replace('_', ' ')}" for verdict in Verdict)
        if org.api_calls:
            yield f"  read with {_count(org.api_calls, 'API call')}"
        if org.snapshot is not None:
            yield plain(f"  snapshot: {org.snapshot.file}")
            yield f"    sha256 {org.snapshot.sha256}"
        for problem in org.problems:
            yield plain(f"  not read: {problem}")
        for note in org.notes[:_NOTES]:
            yield plain(f"  note: {note}")
        if len(org.notes) > _NOTES:
            yield f"  and {_count(len(org.notes) - _NOTES, 'note')} more, all of them in the results file (--sf-json)"
    failing = [finding for finding in found if finding.verdict in _FAILING]
    by_severity = Counter(finding.control.severity for finding in failing)
    if failing:
        yield "failing: " + ", ".join(
            f"{by_severity[severity]} {severity.value}" for severity in Severity if by_severity[severity]
        )
        yield from _worst(assessment, failing)


def _worst(assessment: Assessment, failing: list[Finding]) -> Iterable[str]:
    counts: dict[App, Counter[Severity]] = {}
    for finding in failing:
        if finding.app is not None:
            counts.setdefault(finding.app, Counter())[finding.control.severity] += 1
    worst = sorted(counts, key=lambda app: ([-counts[app][severity] for severity in Severity], app.name))[:_WORST_APPS]
    if worst:
        yield "worst apps:"
    for app in worst:
        numbers = ", ".join(
            f"{counts[app][severity]} {severity.value}" for severity in Severity if counts[app][severity]
        )
        name = f"{app.label} ({app.org.name})" if len(assessment.orgs) > 1 else app.label
        yield plain(f"  {name}: {numbers}")
