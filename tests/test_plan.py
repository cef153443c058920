"""The plan of action: what its rows say, and that no cell of it is a formula to any spreadsheet."""

from __future__ import annotations

import copy
import csv
import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_oauthcontrols.reports import csv_file
from pytest_oauthcontrols.rules.catalogue import load

from .support.configurations import ACCEPTED, configure
from .support.metadata_files import app
from .support.orgs import kept
from .support.results import complete

FIRST = ["control", "app", "published severity", "score in context", "finding", "remediation", "owner", "due"]
RANKS = ["critical", "high", "medium", "low"]
CATALOGUE = load()


def assess(
    pytester: pytest.Pytester, *arguments: str, org: str = "demo"
) -> tuple[list[dict[str, str]], dict[str, Any]]:
    """Assess an org; return the rows of the plan, by column, and the results file."""
    pytester.runpytest(f"--sf-org={org}", "--sf-csv=plan.csv", "--sf-json=results.json", *arguments)
    return read((pytester.path / "plan.csv").read_bytes()), json.loads((pytester.path / "results.json").read_bytes())


def read(content: bytes) -> list[dict[str, str]]:
    """Return the rows of findings as a spreadsheet has them; the row before them says how much was assessed."""
    first, *rows = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    assert first["verdict"] in ("complete", "partial")
    assert re.match(r"(complete|partial): [\d,]+ of [\d,]+ checks have a result", first["finding"])
    return rows


def test_there_is_a_row_for_each_failing_finding(pytester: pytest.Pytester) -> None:
    """Each finding that fails is one row, worst first; the columns for a plan come first."""
    rows, document = assess(pytester)
    found = {(row["app"] or "", row["control"]) for row in document["results"] if row["verdict"] == "fail"}
    unsure = {(row["app"] or "", row["control"]) for row in document["results"] if row["verdict"] == "unverifiable"}
    assert found
    assert unsure
    assert {(row["app"], row["control"]) for row in rows} == found | unsure
    assert len(rows) == len(found) + len(unsure)
    assert list(rows[0])[:8] == FIRST
    order = [(-float(row["score in context"]), RANKS.index(row["published severity"])) for row in rows]
    assert order == sorted(order)
    assert len(set(order)) > 2


def test_a_row_says_what_is_wrong_where_and_how_to_mend_it(pytester: pytest.Pytester) -> None:
    """A row has the finding, its score in context, its remediation, and each setting with file and line."""
    rows, _ = assess(pytester, "-k", "Nightly_ETL-ca-pkce")
    (row,) = rows
    assert row.pop("remediation").startswith("In Setup > App Manager > Edit, select 'Require Proof Key")
    assert row.pop("page").endswith("require_proof_key_for_code_exchange_pkce.htm&type=5")
    assert len(row.pop("since")) == len("2026-11-20")
    assert row == {
        "control": "ca-pkce",
        "app": "Nightly_ETL",
        "published severity": "critical",
        "score in context": "3.9",
        "finding": "Neither the app nor the org is seen to require PKCE.",
        "owner": "",
        "due": "",
        "org": "demo",
        "kind": "connected_app",
        "label": "Nightly ETL",
        "verdict": "fail",
        "control name": "Connected Apps: API (Enable OAuth Settings): Require Proof Key for Code Exchange (PKCE)",
        "evidence": "demo/connectedApps/Nightly_ETL.connectedApp-meta.xml:15 oauthConfig.isPkceRequired = false;"
        " demo/settings/OauthOidc.settings-meta.xml:5 OauthOidcSettings.isPkceRequired = false",
        "not blocking": "",
        "deadline": "",
        "waiver": "",
        "ticket": "",
        "change": "",
    }


def test_owner_and_due_are_those_of_the_waiver(pytester: pytest.Pytester) -> None:
    """A waived finding has who accepted it, until when and why; the expired waiver of one that fails is there too."""
    kept(pytester, {"Price_Feed": app(), "Late_Feed": app(), "Other": app()})
    ends = (("Price_Feed", "2099-12-31"), ("Late_Feed", "2026-11-19"))
    configure(pytester, waivers=[{**ACCEPTED, "app": name, "ticket": "SEC-1", "expires": day} for name, day in ends])
    rows, _ = assess(pytester, "-k", "ca-pkce", org="./uat.json")
    columns = ("owner", "due", "not blocking", "waiver", "ticket")
    assert {row["app"]: tuple(row[column] for column in columns) for row in rows} == {
        "Price_Feed": ("jo@acme.example", "2099-12-31", "waived", "The client cannot do it.", "SEC-1"),
        "Late_Feed": ("jo@acme.example", "2026-11-19", "", "The client cannot do it.", "SEC-1"),
        "Other": ("", "", "", "", ""),
    }


def test_what_cannot_be_read_is_in_the_plan(pytester: pytest.Pytester) -> None:
    """An app that cannot be read has a row, although no published control is about that."""
    kept(pytester, {"Broken.connectedApp": b"<ConnectedApp>"})
    rows, _ = assess(pytester, "-k", "readable", org="./uat.json")
    assert [(row["control"], row["app"], row["remediation"]) for row in rows] == [
        ("readable", "Broken", "Mend what is named, and read again.")
    ]


def test_a_setting_that_was_not_seen_says_why(pytester: pytest.Pytester) -> None:
    """Evidence tells what is absent, with the default that stands in for it, from what is set."""
    rows, _ = assess(pytester, "-k", "Legacy_Importer and (ca-pkce or ca-secret-web-server)")
    evidence = {row["control"]: row["evidence"] for row in rows}
    assert "oauthConfig.isPkceRequired is absent" in evidence["ca-pkce"]
    assert "= None" not in "".join(evidence.values())


def test_the_file_is_one_that_spreadsheets_open(pytester: pytest.Pytester) -> None:
    """It is UTF-8 and says so, lines end as RFC 4180 has it, and every line has the same number of cells."""
    kept(pytester, {"Feed": app(label="Z&#252;rich, &quot;Feed&quot;")})
    assess(pytester, "-k", "Feed", org="./uat.json")
    content = (pytester.path / "plan.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert b"\n" not in b"".join(lines)
    assert b"\r" not in b"".join(lines)
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    assert {len(row) for row in rows} == {21}
    assert {row["label"] for row in read(content)} == {'Zürich, "Feed"'}


def test_a_control_that_says_little_leaves_cells_empty() -> None:
    """A control without a page and without a remediation has a row all the same."""
    (control,) = (one for one in CATALOGUE.controls if one.id == "ca-pkce")
    bare = replace(control, page="", recommended="", threat="", remediation="", may_break="")
    (row,) = read(csv_file.encode(document(), replace(CATALOGUE, controls=(bare,))))
    assert (row["control"], row["remediation"], row["page"], row["owner"]) == ("ca-pkce", "", "", "jo")


# Formulas


FORMULA = "=+-@\uff1d\uff0b\uff0d\uff20\t\r\n"
"""What a cell starts with that is a formula to some spreadsheet."""


def document() -> Any:
    """Return a results file with one finding, which is waived."""
    return {
        "cut_short": None,
        "checks": complete(1),
        "results": [
            {
                "org": "uat",
                "app": "Feed",
                "label": "Feed",
                "kind": "connected_app",
                "control": "ca-pkce",
                "verdict": "fail",
                "severity": "critical",
                "message": "Neither the app nor the org is seen to require PKCE.",
                "evidence": [
                    {
                        "setting": "oauthConfig.isPkceRequired",
                        "state": "seen",
                        "value": "false",
                        "source": "a.connectedApp",
                        "line": 3,
                        "note": None,
                    }
                ],
                "context": {"score": 9.5},
                "threat": "",
                "deadlines": [],
                "blocking": False,
                "not_blocking": "waived",
                "waiver": {"owner": "jo", "expires": "2026-12-31", "reason": "Why not.", "ticket": "SEC-1"},
                "change": None,
                "since": "2026-11-20",
                "node_id": "suite.py::test_control[Feed-ca-pkce]",
            }
        ],
    }


def planted(said: str) -> str:
    """Return the plan in which a text stands wherever somebody else chose it."""
    one = copy.deepcopy(document())
    (row,) = one["results"]
    for key in ("org", "app", "label", "message"):
        row[key] = said
    row["evidence"][0] |= {"value": said, "source": said}
    row["waiver"] |= {"owner": said, "reason": said, "ticket": said}
    return csv_file.encode(one, CATALOGUE).decode("utf-8-sig")


def harmless(content: str) -> None:
    """Check that no cell is a formula, to spreadsheets of other separators and to those that disregard quotes."""
    for separator in (",", ";", "|", "\t"):
        for row in csv.reader(io.StringIO(content, newline=""), delimiter=separator):
            assert [cell for cell in row if cell.lstrip(' "')[:1] in (*FORMULA,)] == []
        for piece in content.replace("\r\n", separator).split(separator):
            assert piece.lstrip(' "')[:1] not in (*FORMULA,)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =1", "  '=1"),
        ('"=1', "\"'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1", "a;'=1"),
        ("a, +1", "a, '+1"),
        ("a|@b", "a|'@b"),
        ('a"=1', "a\"'=1"),
        ("\t=1", "\\t=1"),
        ("\r\n=1", "\\r\\n=1"),
        ("\u200b=1", "\\u200b=1"),
        ("a-b = c", "a-b = c"),
        ("jo@acme.example", "jo@acme.example"),
        ("https://x.example/?a=b", "https://x.example/?a=b"),
    ],
)
def test_what_would_be_a_formula_is_a_text(said: str, shown: str) -> None:
    """An apostrophe stands before what would start a formula, and before nothing else."""
    (row,) = read(planted(said).encode())
    for column in ("app", "label", "org", "finding", "owner", "waiver", "ticket"):
        assert row[column] == shown
    harmless(planted(said))


@given(st.text(st.sampled_from([*FORMULA, *",;|\"' \u200b\x1b\u202e\ud800aB1"]), max_size=12))
@settings(max_examples=300, deadline=None)
def test_no_text_is_a_formula(said: str) -> None:
    """However separators, quotes and spaces are put together, no cell is a formula, and none acts on a terminal."""
    content = planted(said)
    harmless(content)
    assert content.replace("\r\n", "").isprintable()
    assert len(read(content.encode())) == 1


def test_a_cell_holds_what_a_spreadsheet_takes() -> None:
    """A text that is longer than a cell may be is cut short, and says so."""
    (row,) = read(planted("x" * 100_000).encode())
    assert len(row["finding"]) < 32_767
    assert row["finding"].endswith("x...")
