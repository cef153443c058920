"""Which rows pytest-html's table has, that its counts are true, and what stands above it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from pytest_oauthcontrols.pytest_hooks import html_rows as plugin

from .support import sample_org
from .support.configurations import ACCEPTED, ATTESTED, configure
from .support.metadata_files import app
from .support.orgs import kept
from .support.runs import WORKERS


def assess(
    pytester: pytest.Pytester, *arguments: str, org: str = "demo"
) -> tuple[Any, dict[str, list[dict[str, Any]]]]:
    """Assess an org; return pytest-html's page and its rows, by node id."""
    pytester.runpytest(f"--sf-org={org}", "--html=report.html", "--self-contained-html", *arguments)
    page = html.parse(str(pytester.path / "report.html")).getroot()
    return page, json.loads(page.get_element_by_id("data-container").attrib["data-jsonblob"])["tests"]


def counts(page: Any) -> dict[str, int]:
    """Return what the page counts, as it shows it."""
    shown = (span.text.strip().rstrip(",").partition(" ") for span in page.find_class("filters")[0].iter("span"))
    return {label: int(number) for number, _, label in shown}


def results(rows: dict[str, list[dict[str, Any]]]) -> Counter[str]:
    """Return how many rows have which result."""
    return Counter(str(row["result"]) for some in rows.values() for row in some)


def verdicts(pytester: pytest.Pytester) -> Counter[str]:
    """Return how many cases have which verdict by the results file."""
    return Counter(row["verdict"] for row in json.loads((pytester.path / "results.json").read_bytes())["results"])


def top(page: Any) -> list[str]:
    """Return what the plugin says above the table."""
    return [one.text_content() for one in page.find_class("prefix")[0].iter("p")]


@pytest.mark.parametrize("workers", WORKERS)
def test_many_rows_are_those_that_ask_for_something(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """Above the limit there are rows of what fails or is manual only, all are counted, and a line says so."""
    monkeypatch.setattr(plugin, "ROWS", sample_org.CASES - 1)
    page, rows = assess(pytester, "--sf-json=results.json", workers)
    found = verdicts(pytester)
    failing = found["fail"] + found["unverifiable"]
    assert results(rows) == {"Failed": failing, "Skipped": found["manual"]}
    assert all(rows.values()), "no test is there without a row"
    said = counts(page)
    assert (said["Failed"], said["Passed"]) == (failing, found["pass"])
    assert said["Skipped"] == found["not_applicable"] + found["manual"]
    assert page.find_class("run-count")[0].text.startswith(f"{failing + found['pass']} tests took ")
    (line,) = [line for line in top(page) if "--sf-report" in line]
    silent = found["pass"] + found["not_applicable"]
    assert line.startswith(f"{silent} checks that pass or do not apply have no row below")


@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
def test_up_to_the_limit_every_case_has_a_row(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """At the limit nothing is left out; cases that were not chosen do not count."""
    monkeypatch.setattr(plugin, "ROWS", sample_org.CASES - 1)
    page, rows = assess(pytester, "--sf-json=results.json", "-k", "not Nightly_ETL-ca-pkce", workers)
    found = verdicts(pytester)
    assert sum(found.values()) == sample_org.CASES - 1
    assert results(rows) == {
        "Failed": found["fail"] + found["unverifiable"],
        "Passed": found["pass"],
        "Skipped": found["not_applicable"] + found["manual"],
    }
    assert not [line for line in top(page) if "--sf-report" in line]


def test_own_tests_and_errors_keep_their_rows(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of the project's own tests stay, and so do those of errors and of what its conftest expects to fail."""
    monkeypatch.setattr(plugin, "ROWS", 10)
    pytester.makepyfile("def test_own():\n    pass\n")
    pytester.makeconftest(
        "import pytest\n\n@pytest.fixture(autouse=True)\ndef _after(request):\n    yield\n"
        "    assert 'ca-oauth-settings' not in request.node.name\n\n"
        "def pytest_collection_modifyitems(items):\n    for item in items:\n"
        "        if 'Price_Feed-ca-scopes' in item.nodeid:\n"
        "            item.add_marker(pytest.mark.xfail(strict=False))\n"
    )
    kept(pytester, {"Price_Feed": app("<scopes>Api</scopes>")})
    page, rows = assess(pytester, org="./uat.json")
    found = results(rows)
    assert (found["Passed"], found["Error"], found["XPassed"]) == (2, 1, 1)
    assert {node_id for node_id, some in rows.items() if some[0]["result"] == "Passed"} == {
        "test_own_tests_and_errors_keep_their_rows.py::test_own",
        "pytest_oauthcontrols/suite.py::test_control[Price_Feed-ca-oauth-settings]",
    }, "a check that passed and failed in its teardown keeps its row"
    assert counts(page)["Errors"] == 1
    assert counts(page)["Passed"] > 1


@pytest.mark.slow
def test_an_org_of_many_apps(pytester: pytest.Pytester) -> None:
    """An org with more than 1,500 cases has a table that a browser shows, and true counts."""
    kept(pytester, {f"Feed_{number}": app() for number in range(50)})
    page, rows = assess(pytester, "--sf-json=results.json", "-n2", org="./uat.json")
    found = verdicts(pytester)
    assert sum(found.values()) > plugin.ROWS == 1500
    failing = found["fail"] + found["unverifiable"]
    assert results(rows) == {"Failed": failing, "Skipped": found["manual"]}
    said = counts(page)
    assert (said["Passed"], said["Failed"]) == (found["pass"], failing)
    assert said["Skipped"] == found["not_applicable"] + found["manual"]


def test_a_row_says_a_control_once(pytester: pytest.Pytester) -> None:
    """A row has the control's text in its detail, once; the columns have no more than its id."""
    _, rows = assess(
        pytester, "-k", "Nightly_ETL-ca-pkce or Legacy_Importer-ca-scopes or Nightly_ETL-ca-oauth-settings"
    )
    assert len(rows) == 3
    for (row,) in rows.values():
        shown = "".join([row["log"], *row["resultsTableRow"]])
        assert (shown.count("control      "), shown.count("recommended  "), shown.count("\npage  ")) == (1, 1, 1)
        assert shown.count("to mend  ") <= 1


def test_severity_is_sorted_by_rank(pytester: pytest.Pytester) -> None:
    """What the table is sorted by puts critical before high, and high before medium."""
    _, rows = assess(pytester, "-k", "Nightly_ETL")
    keys = {str(row["severity"]) for some in rows.values() for row in some}
    assert [key.partition(" ")[2] for key in sorted(keys)] == ["critical", "high", "medium"]


def test_the_gate_and_the_waivers_stand_at_the_top(pytester: pytest.Pytester) -> None:
    """Above the table it says how many findings fail the run, why others do not, and what has expired."""
    kept(pytester, {"Price_Feed": app(), "Late_Feed": app(), "Other": app()})
    ends = (("Price_Feed", "2099-12-31"), ("Late_Feed", "2026-11-19"))
    hostile = "<b>jo</b>"
    configure(
        pytester,
        waivers=[{**ACCEPTED, "owner": hostile, "app": name, "expires": day} for name, day in ends],
        attestations=[{**ATTESTED, "expires": "2099-12-31"}],
    )
    page, _ = assess(pytester, "-k", "ca-pkce or org-customer-sso", org="./uat.json")
    assert top(page)[-5:] == [
        "gate: low: 2 of 3 fail the run, 1 waived",
        "attested: 1 of those that pass do so on somebody's word",
        "to review:",
        "ca-pkce of Late_Feed: the waiver by <b>jo</b> expired on 2026-11-19",
        "oauthcontrols.yaml:3",
    ]
    assert hostile not in Path(pytester.path / "report.html").read_text("utf-8")


def test_a_run_that_was_cut_short_says_so_at_the_top(pytester: pytest.Pytester) -> None:
    """The page of a run that ended early says that it is partial."""
    page, _ = assess(pytester, "-x")
    (line,) = [line for line in top(page) if line.startswith("partial: ")]
    assert line.endswith(" checks have a result (the run ended early: stopping after 1 failures)")
