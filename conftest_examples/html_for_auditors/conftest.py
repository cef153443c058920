"""Puts the audit on the report."""

from typing import Any


def pytest_html_report_title(report: Any) -> None:
    """Say whose audit it is."""
    report.title = "OAuth controls of Acme, audit of 2026"
