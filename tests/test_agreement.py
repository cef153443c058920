"""All reports of one run state the same: counts, findings, severities, and how many of them fail the run."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from lxml import etree, html

from .support.runs import WORKERS

CONFIGURATION = """
gate: high
waivers:
- {control: ca-pkce, app: "*", reason: The clients change in spring., owner: Jane Doe, expires: 2099-12-31}
attestations:
- {control: org-idp-mfa, statement: Enforced for all., by: John Roe, expires: 2099-12-31}
"""


class Said(NamedTuple):
    """What a report says of a run; None where it does not say that."""

    severities: dict[str, int]
    """Findings by severity."""
    findings: Counter[tuple[str, str]] | None
    """Full name of the app, empty for the org itself, and control of each finding."""
    failing: int | None
    """How many findings fail the run."""


@pytest.fixture(scope="module", params=WORKERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every report of one run over the sample org."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "oauthcontrols.yaml").write_text(CONFIGURATION, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    arguments = [f"--sf-{name}=out/{name}" for name in ("json", "report", "sarif", "csv", "markdown")]
    arguments += ["--html=out/html", "--self-contained-html", "--junitxml=out/junit", "--sf-org=demo", request.param]
    with (folder / "terminal").open("w", encoding="utf-8") as terminal:
        done = subprocess.run([sys.executable, "-m", "pytest", *arguments], cwd=folder, stdout=terminal, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    return folder


def said(rows: list[tuple[str, str, str, bool]]) -> Said:
    """Return what rows of app, control, severity and whether it fails the run say."""
    severities = Counter(severity for _, _, severity, _ in rows)
    return Said(dict(severities), Counter((app, control) for app, control, *_ in rows), sum(row[3] for row in rows))


def of_json(folder: Path) -> Said:
    """Read the results file."""
    rows = json.loads((folder / "out/json").read_text("utf-8"))["results"]
    failing = [row for row in rows if row["verdict"] in ("fail", "unverifiable")]
    return said([(row["app"] or "", row["control"], row["severity"], row["not_blocking"] is None) for row in failing])


def of_junit(folder: Path) -> Said:
    """Read JUnit's properties, and its own word for what failed."""
    rows = []
    for case in etree.parse(folder / "out/junit").iter("testcase"):
        told = {one.get("name"): str(one.get("value")) for one in case.iter("property")}
        if told["verdict"] in ("fail", "unverifiable"):
            failed = case.find("failure") is not None
            rows.append((told.get("app", ""), told["control"], told["severity"], failed))
    return said(rows)


def of_sarif(folder: Path) -> Said:
    """Read code scanning's file."""
    (run,) = json.loads((folder / "out/sarif").read_text("utf-8"))["runs"]
    told = [(one["ruleId"], one["properties"]) for one in run["results"]]
    return said([(one["app"] or "", rule, one["severity"], one["notBlocking"] is None) for rule, one in told])


def of_csv(folder: Path) -> Said:
    """Read the plan of action."""
    rows = csv.DictReader(io.StringIO((folder / "out/csv").read_text("utf-8-sig")))
    return said(
        [
            (row["app"], row["control"], row["published severity"], not row["not blocking"])
            for row in rows
            if row["verdict"] not in ("complete", "partial")
        ]
    )


def of_pytest_html(folder: Path) -> Said:
    """Read pytest-html's table."""
    page = html.parse(str(folder / "out/html")).getroot()
    tests = json.loads(page.get_element_by_id("data-container").attrib["data-jsonblob"])["tests"]
    severities: Counter[str] = Counter()
    failed = 0
    for test in (one for tests_of_id in tests.values() for one in tests_of_id):
        if test["result"] in ("Failed", "XFailed"):
            severities[html.fromstring(test["resultsTableRow"][1]).text_content().split()[1]] += 1
            failed += test["result"] == "Failed"
    return Said(dict(severities), None, failed)


def of_audit(folder: Path) -> Said:
    """Read the auditor's page, as it is without scripts."""
    page = html.parse(str(folder / "out/report")).getroot()
    severities = {}
    for row in page.xpath("//table[contains(@class, 'counts')]/tbody/tr"):
        severity, failing, unverifiable, *_ = (" ".join(cell.text_content().split()) for cell in row)
        severities[severity] = int(failing) + int(unverifiable)
    total = severities.pop("all")
    assert total == sum(severities.values())
    (number,) = re.findall(r"(\d+)\s+fail the run", page.text_content())
    return Said({severity: count for severity, count in severities.items() if count}, None, int(number))


def of_markdown(folder: Path) -> Said:
    """Read the table of the summary."""
    text = (folder / "out/markdown").read_text("utf-8")
    rows = re.findall(r"^\| (critical|high|medium|low) \| (.*) \|$", text, re.MULTILINE)
    numbers = {severity: [int(number) for number in cells.split(" | ")] for severity, cells in rows}
    severities = {severity: sum(counts) for severity, counts in numbers.items() if sum(counts)}
    return Said(severities, None, sum(counts[0] for counts in numbers.values()))


def of_terminal(folder: Path) -> Said:
    """Read the end of the run."""
    text = (folder / "terminal").read_text("utf-8")
    (line,) = re.findall(r"^failing: (.*)$", text, re.MULTILINE)
    (number,) = re.findall(r"^gate: high: (\d+) of \d+ fail the run", text, re.MULTILINE)
    severities = {severity: int(count) for count, severity in (one.split() for one in line.split(", "))}
    return Said(severities, None, int(number))


@pytest.mark.parametrize(
    "report",
    [of_junit, of_sarif, of_csv, of_pytest_html, of_audit, of_markdown, of_terminal],
    ids=lambda report: report.__name__.removeprefix("of_"),
)
def test_report_agrees_with_the_results_file(folder: Path, report: Callable[[Path], Said]) -> None:
    """A report has the findings that the results file has, as severe, and as many of them fail the run."""
    expected, found = of_json(folder), report(folder)
    assert sum(expected.severities.values()) > 80
    assert expected.failing is not None
    assert 60 < expected.failing < sum(expected.severities.values())
    assert found.severities == expected.severities
    assert found.findings in (None, expected.findings)
    assert found.failing == expected.failing


def test_finding_that_cannot_be_compared_is_in_every_report(pytester: pytest.Pytester) -> None:
    """A rule that has changed makes findings that are neither new nor persist; no report stumbles over them."""
    pytester.makeini("[pytest]\n")
    arguments = ["--sf-org=demo", "-k", "ca-pkce and not eca-pkce"]
    pytester.runpytest(*arguments, "--sf-json=before.json")
    before = json.loads((pytester.path / "before.json").read_text("utf-8"))
    before["catalogue"]["rules"]["ca-pkce"] = "another"
    (pytester.path / "before.json").write_text(json.dumps(before), "utf-8")
    arguments += [f"--sf-{name}=out/{name}" for name in ("json", "report", "sarif", "csv", "markdown")]
    result = pytester.runpytest(*arguments, "--sf-baseline=before.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    rows = json.loads((pytester.path / "out/json").read_text("utf-8"))["results"]
    number = sum(row["change"] == "not comparable" for row in rows)
    assert number > 3
    page = html.parse(str(pytester.path / "out/report")).getroot()
    assert f"0 persisting, 0 fixed, {number} not comparable" in " ".join(page.text_content().split())
    assert f"{number} not comparable" in (pytester.path / "out/markdown").read_text("utf-8")
    assert (pytester.path / "out/csv").read_text("utf-8-sig").count('"not comparable"') == number
