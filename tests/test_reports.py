"""What pytest's own reports say of an org: pytest-html and JUnit XML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree, html

from .support import sample_org
from .support.catalogue import CATALOGUE
from .support.runs import WORKERS

HOSTILE = "<img src=x onerror=alert(1)>"
APP = """
<ConnectedApp xmlns="http://soap.sforce.com/2006/04/metadata">
    <label>{label}</label>
    <oauthConfig>
        <callbackUrl>https://stock.example/callback</callbackUrl>
        <isPkceRequired>{pkce}</isPkceRequired>
    </oauthConfig>
</ConnectedApp>
"""


@pytest.fixture
def org(pytester: pytest.Pytester) -> Path:
    """A folder with an app that requires PKCE and one with a hostile name that does not."""
    folder = pytester.path / "force-app"
    folder.mkdir()
    (folder / "Stock_Sync.connectedApp").write_text(APP.format(label="Stock Sync", pkce="true"), "utf-8")
    hostile = APP.format(label=f"<![CDATA[{HOSTILE} \\N{{x}} \x85 \u202e]]>", pkce="false")
    (folder / "%3Cimg src=x onerror=alert(1)%3E.connectedApp").write_text(hostile, "utf-8")
    return folder


def html_report(pytester: pytest.Pytester, *arguments: str) -> tuple[Any, dict[str, Any]]:
    """Run with pytest-html; return the page and the data that its script makes the table of."""
    pytester.runpytest("--sf-org=./force-app", "--html=out/report.html", "--self-contained-html", *arguments)
    page = html.parse(str(pytester.path / "out/report.html")).getroot()
    return page, json.loads(page.get_element_by_id("data-container").attrib["data-jsonblob"])


def cells(test: dict[str, Any]) -> list[str]:
    """Return the cells of a row as the browser shows them, having checked that they hold no element of their own."""
    shown = []
    for cell in test["resultsTableRow"]:
        element = html.fragment_fromstring(f"<table><tr>{cell}</tr></table>").find(".//td")
        assert element is not None
        assert not len(element) or "col-links" in cell
        shown.append(element.text or "")
    return shown


def test_html_has_columns_for_severity_control_and_app(pytester: pytest.Pytester, org: Path) -> None:
    """Each row says severity, control and app, severity with its rank in front so that it sorts."""
    page, data = html_report(pytester, "-k", "Stock_Sync and (ca-pkce or ca-digital-signature or sbs-oauth-004)")
    header = [element.text_content() for element in page.get_element_by_id("results-table-head").iter("th")]
    assert header[:5] == ["Result", "Severity", "Control", "App", "Test"]
    sortable = [
        element.get("data-column-type") for element in page.iter("th") if "sortable" in (element.get("class") or "")
    ]
    assert {"severity", "control", "app"} <= set(sortable)
    rows = sorted(cells(test)[:4] for tests in data["tests"].values() for test in tests)
    assert rows == [
        ["Failed", "2 high", "ca-digital-signature", "Stock Sync"],
        ["Passed", "1 critical", "ca-pkce", "Stock Sync"],
        ["Skipped", "3 medium", "sbs-oauth-004", "Stock Sync"],
    ]


def test_html_detail_is_the_finding(pytester: pytest.Pytester, org: Path) -> None:
    """The detail of a row, passing rows too, says what was seen and where."""
    _, data = html_report(pytester, "-k", "Stock_Sync and ca-pkce")
    ((test,),) = data["tests"].values()
    log = html.fragment_fromstring(test["log"], create_parent="pre").text_content()
    assert "oauthConfig.isPkceRequired = true\n             at force-app/Stock_Sync.connectedApp:6" in log


def test_html_says_what_was_read(pytester: pytest.Pytester, org: Path) -> None:
    """The top of the report says which org was read, when, from what, and by which catalogue."""
    page, _ = html_report(pytester, "-k", "ca-pkce")
    top = page.text_content()
    assert "Org force-app: 2 apps (2 connected, 0 external client), read 20" in top
    assert "UTC from directory force-app (sha256 " in top
    assert f"catalogue {CATALOGUE.version} ({len(sample_org.CONTROLS)} controls, sha256 " in top


def test_html_keeps_hostile_names_text(pytester: pytest.Pytester, org: Path) -> None:
    """An app that is called like an element stays text in every part of the report."""
    _, data = html_report(pytester, "-k", "ca-pkce")
    rows = [cells(test) for tests in data["tests"].values() for test in tests]
    assert any(HOSTILE in row[3] for row in rows)
    for node_id, tests in data["tests"].items():
        assert "<" not in node_id
        for test in tests:
            assert "<img" not in test["log"]
            assert "<img" not in "".join(test["resultsTableRow"])
    assert "<img src=x" not in (pytester.path / "out/report.html").read_text("utf-8")


def test_html_leaves_own_tests_alone(pytester: pytest.Pytester, org: Path) -> None:
    """Rows of the project's own tests have empty cells in the added columns and their own log."""
    pytester.makepyfile("def test_broken():\n    assert 1 == 2\n")
    _, data = html_report(pytester, "-k", "test_broken")
    ((test,),) = data["tests"].values()
    assert cells(test)[:4] == ["Failed", "", "", ""]
    assert "assert 1 == 2" in test["log"]


@pytest.mark.parametrize("workers", WORKERS)
def test_junit_has_properties(pytester: pytest.Pytester, org: Path, workers: str) -> None:
    """Each case has control, verdict, severity, CVSS range, org, app, and the metadata's file and line."""
    pytester.runpytest("--sf-org=./force-app", "--junitxml=report.xml", "-k", "ca-pkce", workers)
    cases = {case.get("name"): case for case in etree.parse(pytester.path / "report.xml").iter("testcase")}
    case = cases["test_control[Stock_Sync-ca-pkce]"]
    assert case.get("classname") == "pytest_oauthcontrols.suite"
    assert {one.get("name"): one.get("value") for one in case.iter("property")} == {
        "control": "ca-pkce",
        "verdict": "pass",
        "severity": "critical",
        "cvss": "9.0-10.0",
        "org": "force-app",
        "app": "Stock_Sync",
        "kind": "connected_app",
        "file": "force-app/Stock_Sync.connectedApp",
        "line": "6",
    }
    (hostile,) = [case for name, case in cases.items() if name != "test_control[Stock_Sync-ca-pkce]"]
    assert HOSTILE in {one.get("value") for one in hostile.iter("property")}
    assert not list(hostile.iter("img"))


def test_junit_spells_out_what_would_act_on_a_terminal(pytester: pytest.Pytester) -> None:
    """Names with control characters reach JUnit's properties spelled out, those of apps and files alike."""
    folder = pytester.mkdir("force-app")
    (folder / "Rev%E2%80%AEersed.connectedApp").write_text(APP.format(label="x", pkce="false"), "utf-8")
    pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce", "--junitxml=report.xml")
    values = {one.get("name"): one.get("value") for one in etree.parse(pytester.path / "report.xml").iter("property")}
    assert values["app"] == r"Rev\u202eersed"
    assert all(str(value).isprintable() for value in values.values())


def test_terminal_spells_out_what_it_cannot_print(pytester: pytest.Pytester, org: Path) -> None:
    """Characters of an org that would act on a terminal are spelled out."""
    result = pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce")
    result.stdout.fnmatch_lines([r"*\x85 \u202e*"])
    assert all(char.isprintable() for line in result.outlines for char in line)


@pytest.mark.parametrize("workers", WORKERS)
def test_summary_and_junit_have_findings_in_a_line(
    pytester: pytest.Pytester, org: Path, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """In CI, where pytest cuts nothing short, a finding is one line of the short summary and of JUnit's message."""
    monkeypatch.setenv("CI", "true")
    result = pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce", "--junitxml=report.xml", workers)
    (line,) = [line for line in result.outlines if line.startswith("FAILED ")]
    assert line.endswith("-ca-pkce] - critical 9.0-10.0: Neither the app nor the org is seen to require PKCE.")
    assert len([line for line in result.outlines if line.startswith("recommended ")]) == 1
    (failure,) = etree.parse(pytester.path / "report.xml").iter("failure")
    assert failure.get("message") == "critical 9.0-10.0: Neither the app nor the org is seen to require PKCE."
    assert "\nrecommended  The app, or the org" in str(failure.text)


def test_a_risk_that_many_apps_raise_names_five_settings(pytester: pytest.Pytester, org: Path) -> None:
    """What raised a score is shown by five settings at most, and by how many more is said."""
    for number in range(8):
        relaxed = APP.format(label="Feed", pkce="true").replace(
            "</ConnectedApp>", "<oauthPolicy><ipRelaxation>BYPASS</ipRelaxation></oauthPolicy></ConnectedApp>"
        )
        (org / f"Feed_{number}.connectedApp").write_text(relaxed, "utf-8")
    (org / "OauthOidc.settings").write_text(
        '<OauthOidcSettings xmlns="http://soap.sforce.com/2006/04/metadata">'
        "<blockOAuthUnPwFlow>false</blockOAuthUnPwFlow></OauthOidcSettings>",
        "utf-8",
    )
    result = pytester.runpytest("--sf-org=./force-app", "-k", "org-oauth-oidc")
    result.stdout.fnmatch_lines(["in context   critical, 10.0", "*raised: An app relaxes IP restrictions,*"])
    shown = [line.strip() for line in result.outlines if "oauthPolicy.ipRelaxation = BYPASS" in line]
    assert shown == [f"Feed_{number}: oauthPolicy.ipRelaxation = BYPASS" for number in range(5)]
    result.stdout.fnmatch_lines(["*  and 3 more"])
