"""Findings as a plan of action, a CSV file that spreadsheets open.

A spreadsheet runs what it takes for a formula, and an app can be called like one. So no cell begins with a character
that starts a formula, and none has one where a cell would begin for a spreadsheet that takes another character for the
separator or disregards quotes.
"""

from __future__ import annotations

import csv
import io
import re

from pytest_oauthcontrols.reports.results import (
    Document,
    Evidence,
    by_score,
    context_of,
    coverage,
    findings_of,
    is_complete,
)
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.finding import READABLE
from pytest_oauthcontrols.text import plain

COLUMNS = (
    "control",
    "app",
    "published severity",
    "score in context",
    "finding",
    "remediation",
    "owner",
    "due",
    "org",
    "kind",
    "label",
    "verdict",
    "control name",
    "evidence",
    "not blocking",
    "waiver",
    "ticket",
    "change",
    "since",
    "deadline",
    "page",
)

_STARTS = "=+\\-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
_SMALL = "\N{SMALL EQUALS SIGN}\N{SMALL PLUS SIGN}\N{SMALL HYPHEN-MINUS}\N{SMALL COMMERCIAL AT}\N{MINUS SIGN}"
_FORMULA = re.compile(rf"""((?:^|[,;|"])[ '"]*)(?=[{_STARTS}{_SMALL}])""")
_LONGEST = 32_000
"""What a spreadsheet keeps of a cell ends a little above this."""


def encode(document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of the file: a row for each failing finding, the highest score in context first.

    The first row says how many checks have a result and why the others have none, as the format has no other place.
    """
    controls = {control.id: control for control in (*catalogue.controls, READABLE)}
    findings = sorted(findings_of(document), key=by_score)
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    early = "" if document["cut_short"] is None else f"; the run ended early: {document['cut_short']}"
    verdict = "complete" if is_complete(document) else "partial"
    first = {"finding": f"{verdict}: {coverage(document)}{early}", "verdict": verdict}
    writer.writerow([_cell(first.get(column)) for column in COLUMNS])
    for row in findings:
        control, waiver = controls[row["control"]], row["waiver"] or {}
        said = {
            **row,
            "published severity": row["severity"],
            "score in context": context_of(row)["score"],
            "finding": row["message"],
            "remediation": " ".join(control.remediation.split()),
            "owner": waiver.get("owner"),
            "due": waiver.get("expires"),
            "control name": control.name,
            "evidence": "; ".join(map(_shown, row["evidence"])),
            "not blocking": row["not_blocking"],
            "waiver": waiver.get("reason"),
            "ticket": waiver.get("ticket"),
            "deadline": "; ".join(f"{each['date']}: {each['what']}" for each in row["deadlines"]),
            "page": control.page,
        }
        writer.writerow([_cell(said[column]) for column in COLUMNS])
    # Without the mark at its beginning spreadsheets take the file for one of another encoding.
    return file.getvalue().encode("utf-8-sig")


def _shown(setting: Evidence) -> str:
    """Return a setting with where it was seen, and its value."""
    said = f"{setting['setting']} = {setting['value']}"
    if setting["state"] != "seen":
        note = f" ({setting['note']})" if setting["note"] else ""
        said = f"{setting['setting']} is {setting['state']}{note}"
    line = "" if setting["line"] is None else f":{setting['line']}"
    return said if setting["source"] is None else f"{setting['source']}{line} {said}"


def _cell(value: object) -> str:
    """Return a value as a text that no spreadsheet takes for a formula; an apostrophe says that it is one."""
    if value is None:
        return ""
    text = plain(str(value))
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}..."
    return _FORMULA.sub(r"\1'", text)
