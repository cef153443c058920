"""Columns, findings and provenance in pytest-html's report.

That report escapes nothing, so everything is escaped here.
"""

from __future__ import annotations

from html import escape
from typing import Any

import pytest

from pytest_oauthcontrols.decisions.run import Result
from pytest_oauthcontrols.pytest_hooks.reporter import Reporter
from pytest_oauthcontrols.reports.terminal import Line, coverage, gate, reading, reviewed, tailored, tool
from pytest_oauthcontrols.reports.wording import explain
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.text import plain

ROWS = 1500
"""More rows than these a browser does not show at once; then what asks nothing of anybody has none."""

_LEFT_OUT = (Verdict.PASS, Verdict.NOT_APPLICABLE)


class HtmlReport:
    """Hooks of pytest-html."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._data: Any = None
        """What pytest-html makes its page of."""
        self._left_out = 0

    def pytest_html_report_title(self, report: Any) -> None:
        """Take hold of the counts, in which rows are that are left out of the table."""
        self._data = report

    def pytest_html_results_summary(
        self, prefix: list[str], summary: list[str], postfix: list[str], session: pytest.Session
    ) -> None:
        """Say at the top what was read, when and from where, and by what."""
        assessment = self._reporter.assessment
        prefix.extend(f"<p>Org {escape(reading(org))}</p>" for org in assessment.orgs)
        prefix.extend(f"<p>Note: {escape(plain(note))}</p>" for org in assessment.orgs for note in org.notes)
        prefix.append(f"<p>pytest-oauthcontrols {escape(tool(assessment))}</p>")
        run = self._reporter.run
        checks = f"{len(run.results)} of {run.total} checks have a result"
        said = [*coverage(run)] if not run.complete else [Line(checks)]
        said += [*gate(assessment, run), *tailored(assessment), *reviewed(assessment, run)]
        prefix.extend(f"<p>{escape(line.strip())}</p>" for line in said)
        if self._left_out:
            prefix.append(
                f"<p>{self._left_out} checks that pass or do not apply have no row below, as there would be more than"
                f" {ROWS} rows; they are counted. --sf-report=FILE writes a page that has every check.</p>"
            )

    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add the columns."""
        columns = {"severity": "Severity", "control": "Control", "app": "App"}
        cells[1:1] = [f'<th class="sortable" data-column-type="{key}">{name}</th>' for key, name in columns.items()]

    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fill the columns of a test, or leave its row out."""
        end = self._reporter.ends.get(report.nodeid)
        if isinstance(end, Result) and self._leaves_out(end, report):
            del cells[:]
            return
        values = ("", "", "")
        if end is not None:
            control, app = end.check.control, end.check.app
            # The column is sorted as text, so the rank comes first.
            subject = end.check.org.name if app is None else app.label
            values = (f"{control.severity.rank} {control.severity.value}", control.id, plain(subject))
        keys = ("severity", "control", "app")
        cells[1:1] = [f'<td class="col-{key}">{escape(value)}</td>' for key, value in zip(keys, values, strict=True)]

    def _leaves_out(self, result: Result, report: pytest.TestReport) -> bool:
        """Tell whether a row is left out; pytest-html counts rows, so what has none is counted here."""
        expected = report.outcome in ("passed", "skipped") and not hasattr(report, "wasxfail")
        many = self._reporter.tests > ROWS
        if not (many and expected and result.finding.verdict in _LEFT_OUT and self._data is not None):
            return False
        if report.when == "call":
            self._data.outcomes = report.outcome
            self._left_out += 1
        return True

    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[Any]) -> None:
        """Show the finding as the detail of its row."""
        end = self._reporter.ends.get(report.nodeid)
        if isinstance(end, Result) and report.when == "call":
            data[:] = [escape(explain(end))]
