"""What a run leaves as files.

Each report is a module with a function `encode`, which is given what a run found as plain data, the document of
`results`, and the catalogue, so that all of them state the same.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pytest_oauthcontrols.decisions.baseline import FAILING
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.cvss import Severity

Document = dict[str, Any]
Encode = Callable[[Document, Catalogue], bytes]


def failing(document: Document) -> list[dict[str, Any]]:
    """Return the results that are findings, in the document's order, accepted ones too."""
    return [row for row in document["results"] if row["verdict"] in FAILING]


def by_score(row: dict[str, Any]) -> tuple[object, ...]:
    """Return what findings are sorted by: the highest score in context first, then the worst severity."""
    severity = Severity(row["severity"]).rank
    return (-row["context"]["score"], severity, row["org"], row["app"] or "", row["control"], row["node_id"])


REPORTS = {
    "--sf-json": "results",
    "--sf-report": "audit",
    "--sf-sarif": "sarif",
    "--sf-csv": "csv_file",
    "--sf-markdown": "markdown",
}
"""Option to the module of the report that it asks for."""


def encoder(option: str) -> Encode:
    """Return what makes the report that an option asks for; imported when it is needed, as some are heavy."""
    encode: Encode = import_module(f"{__name__}.{REPORTS[option]}").encode
    return encode
