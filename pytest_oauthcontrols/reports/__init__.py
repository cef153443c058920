"""What a run leaves as files.

Each report is a module with a function `encode(document, catalogue)`, which gets what a run found as plain data, the
document of `results`, so that all of them state the same. A new report is a module and a row here.
"""

from __future__ import annotations

from typing import NamedTuple


class Report(NamedTuple):
    """A report that can be asked for."""

    option: str
    module: str
    """Module of this package; imported when the report is written, as some are heavy."""
    help: str

    @property
    def name(self) -> str:
        """What the report is called where the run says what it has written."""
        return self.option.removeprefix("--sf-")


REPORTS = (
    Report("--sf-json", "results", "write every result to this file"),
    Report("--sf-report", "audit", "write the auditor's page, HTML in one file"),
    Report("--sf-sarif", "sarif", "write the findings as SARIF, for code scanning"),
    Report("--sf-csv", "csv_file", "write the findings as a plan of action, for spreadsheets"),
    Report("--sf-markdown", "markdown", "write a summary as Markdown"),
)
