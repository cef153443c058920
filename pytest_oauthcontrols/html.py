"""Columns, findings and provenance in pytest-html's report.

That report escapes nothing, so everything is escaped here.
"""

from __future__ import annotations

from html import escape
from typing import Any

import pytest

from pytest_oauthcontrols.messages import explain, plain
from pytest_oauthcontrols.reporting import Reporter
from pytest_oauthcontrols.summary import reading, tool


class HtmlReport:
    """Hooks of pytest-html."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def pytest_html_results_summary(
        self, prefix: list[str], summary: list[str], postfix: list[str], session: pytest.Session
    ) -> None:
        """Say at the top what was read, when and from where, and by what."""
        assessment = self._reporter.assessment
        prefix.extend(f"<p>Org {escape(reading(org))}</p>" for org in assessment.orgs)
        prefix.extend(f"<p>Note: {escape(plain(note))}</p>" for org in assessment.orgs for note in org.notes)
        prefix.append(f"<p>pytest-oauthcontrols {escape(tool(assessment))}</p>")

    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add the columns."""
        columns = {"severity": "Severity", "control": "Control", "app": "App"}
        cells[1:1] = [f'<th class="sortable" data-column-type="{key}">{name}</th>' for key, name in columns.items()]

    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fill the columns of a case."""
        finding = self._reporter.findings.get(report.nodeid)
        values = ("", "", "")
        if finding is not None:
            severity = finding.control.severity
            # The column is sorted as text, so the rank comes first.
            values = (f"{severity.rank} {severity.value}", finding.control.id, plain(finding.subject))
        keys = ("severity", "control", "app")
        cells[1:1] = [f'<td class="col-{key}">{escape(value)}</td>' for key, value in zip(keys, values, strict=True)]

    def pytest_html_results_table_html(self, report: pytest.TestReport, data: list[Any]) -> None:
        """Show the finding as the detail of its row."""
        finding = self._reporter.findings.get(report.nodeid)
        if finding is not None and report.when == "call":
            data[:] = [escape(explain(finding))]
