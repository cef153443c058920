"""Each way a check can end, and what pytest and every report say about it: they agree, with and without workers."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
from lxml import etree, html

from .support.configurations import ACCEPTED, configure
from .support.metadata_files import PKCE, app
from .support.orgs import kept

# Each way is a run in a process of its own.
pytestmark = pytest.mark.slow

SUITE = "pytest_oauthcontrols/suite.py::test_control"
FAILS, PASSES = f"{SUITE}[Price_Feed-ca-pkce]", f"{SUITE}[Stock_Sync-ca-pkce]"
OWN = "test_acme.py::test_rule[Price_Feed-acme-rule]"

STATES_A_CONTROL = """
import pytest

@pytest.mark.control("acme-rule", severity="high", name="Our rule", remediation="Do as we say.",)
def test_rule(app{fixtures}):
    if app.name != "Price_Feed":
        pytest.skip("Another app.")
    {body}
"""
MARKED = """
import pytest

def pytest_collection_modifyitems(items):
    for item in items:
        if "Price_Feed" in item.nodeid:
            item.add_marker({mark})
"""
AROUND = """
import pytest

@pytest.fixture(autouse=True)
def around(request):
    {before}
    yield
    {after}
"""
STOPWATCH = """
import pytest

def stop(app):
    if app.name == "Price_Feed":
        pytest.fail("Timeout (>1.0s)")
"""
"""A plugin that ends tests, as those for timeouts do from the handler of a signal."""
RERUN = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    # As pytest-rerunfailures does: a report of a run that does not count has an outcome of its own.
    for again in (True, False):
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            if again and report.failed:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        item._initrequest()
    return True
"""
CRASHES = """
import os

def pytest_runtest_call(item):
    if "Price_Feed" in item.nodeid:
        os._exit(3)
"""
INTERRUPTED = """
import pytest

def pytest_runtest_setup(item):
    if "Price_Feed" in item.nodeid:
        pytest.exit("enough", returncode=2)
"""


class Way(NamedTuple):
    """How a check ends, and what is said about it."""

    pytest: dict[str, int]
    """What pytest counts, of the tests of both apps, beside what passes."""
    code: int
    said: str
    """The verdict, and why it does not block; or why there is no result."""
    conftest: str = ""
    arguments: tuple[str, ...] = ()
    config: dict[str, Any] = {}  # noqa: RUF012  (nobody changes it)
    check: str = FAILS
    own: str = ""
    """Body of a test that states a control; with it the check is that of the test."""
    fixtures: str = ""
    modules: dict[str, str] = {}  # noqa: RUF012  (nobody changes it)
    cut_short: str = ""
    """Why the run ended early; empty where it did not."""
    workers: tuple[str, ...] = ("-n0", "-n2")


NO_RESULT = "none: "
WAIVED = {"waivers": [{**ACCEPTED, "expires": "2099-12-31"}]}
WAYS = {
    "pass": Way({"failed": 1}, 1, "pass", check=PASSES),
    "fail": Way({"failed": 1}, 1, "fail"),
    "waived": Way({"xfailed": 1}, 0, "fail, waived", config=WAIVED),
    "waived, and nothing is to be let pass": Way({"failed": 1}, 1, "fail", arguments=("--runxfail",), config=WAIVED),
    "waived, without pytest's plugin for skipping": Way(
        {"failed": 1}, 1, "fail", arguments=("-p", "no:skipping"), config=WAIVED
    ),
    "in the baseline": Way(
        {"xfailed": 1}, 0, "fail, in the baseline", arguments=("--sf-baseline=before.json", "--sf-new-only")
    ),
    "below the gate": Way({"xfailed": 1}, 0, "fail, below the gate", arguments=("--sf-fail-on=never",)),
    "xfail by the project": Way(
        {"xfailed": 1}, 0, "fail, xfailed", conftest=MARKED.format(mark='pytest.mark.xfail(reason="the board")')
    ),
    "xfail by the project, not run": Way(
        {"xfailed": 1},
        0,
        "none: skipped by the project: xfail: [NOTRUN] the board",
        conftest=MARKED.format(mark='pytest.mark.xfail(reason="the board", run=False)'),
    ),
    "xfail by the project, strict, of what passes": Way(
        {"failed": 2},
        1,
        "none: error: [XPASS(strict)] the board",
        conftest=MARKED.replace("Price_Feed", "Stock_Sync").format(
            mark='pytest.mark.xfail(reason="the board", strict=True)'
        ),
        check=PASSES,
    ),
    "skip by the project": Way(
        {"skipped": 1},
        0,
        "none: skipped by the project: not today",
        conftest=MARKED.format(mark='pytest.mark.skip(reason="not today")'),
    ),
    "error in set-up": Way(
        {"errors": 2},
        1,
        "none: error: in setup: RuntimeError: no database",
        conftest=AROUND.format(before='raise RuntimeError("no database")', after=""),
    ),
    "error in teardown of what passes": Way(
        {"failed": 1, "errors": 2},
        1,
        "none: error: in teardown: RuntimeError: no database",
        conftest=AROUND.format(before="", after='raise RuntimeError("no database")'),
        check=PASSES,
    ),
    "error in teardown of what fails": Way(
        {"failed": 1, "errors": 2}, 1, "fail", conftest=AROUND.format(before="", after='raise RuntimeError("no db")')
    ),
    "parametrized by the project": Way(
        {"failed": 2},
        1,
        "fail, 2 runs",
        conftest='import pytest\n\n@pytest.fixture(autouse=True, params=["a", "b"])\ndef backend(request):\n    pass\n',
    ),
    "repeated": Way(
        {"failed": 2},
        1,
        "fail, 2 runs",
        conftest="def pytest_generate_tests(metafunc):\n    metafunc.fixturenames.append('step')\n"
        "    metafunc.parametrize('step', range(2), indirect=True)\n\n"
        "import pytest\n\n@pytest.fixture\ndef step(request):\n    return request.param\n",
    ),
    "rerun": Way({"failed": 1}, 1, "fail", conftest=RERUN),
    "changed by a hook": Way(
        {},
        0,
        "pass",
        conftest="""
        from pytest_oauthcontrols import Verdict

        def pytest_oauthcontrols_finding(finding):
            return finding.restated(Verdict.PASS, "The gateway does it.", by="the gateway") if finding.failing else None
        """,
    ),
    "deselected": Way({}, 0, "none: deselected", arguments=("-k", "Stock_Sync")),
    "ignored": Way(
        {}, 5, "none: not collected", arguments=("--ignore=pytest_oauthcontrols/suite.py",), workers=("-n0",)
    ),
    "not reached, as a test before it fails": Way(
        {"failed": 1},
        1,
        "none: not reached: stopping after 1 failures",
        arguments=("-x",),
        check=PASSES,
        cut_short="stopping after 1 failures",
        workers=("-n0",),
    ),
    "interrupted": Way({}, 2, "none: not reached: enough", conftest=INTERRUPTED, cut_short="enough", workers=("-n0",)),
    "worker crash": Way({"failed": 1}, 1, "none: error: worker 'gw", conftest=CRASHES, workers=("-n2",)),
    "of the project: passes": Way({"failed": 1, "skipped": 1}, 1, "pass", own="assert app.callback_urls", check=OWN),
    "of the project: fails": Way(
        {"failed": 2, "skipped": 1}, 1, "fail", own='assert not app.callback_urls, "There is one."', check=OWN
    ),
    "of the project: is wrong itself": Way(
        {"failed": 2, "skipped": 1}, 1, "none: error: ZeroDivisionError: division by zero", own="1 / 0", check=OWN
    ),
    "of the project: timeout": Way(
        {"failed": 2, "skipped": 1},
        1,
        "none: error: Failed: Timeout (>1.0s)",
        own="import stopwatch; stopwatch.stop(app)",
        check=OWN,
        arguments=("-p", "stopwatch"),
        modules={"stopwatch": STOPWATCH},
    ),
    "of the project: error in set-up": Way(
        {"failed": 1, "errors": 2},
        1,
        "none: error: in setup: OSError: no register",
        conftest="import pytest\n\n@pytest.fixture\ndef register():\n    raise OSError('no register')\n",
        own="pass",
        fixtures=", register",
        check=OWN,
    ),
    "of the project: worker crash": Way(
        {"failed": 2},
        1,
        "none: error: worker 'gw",
        own="import os; os._exit(3)",
        check=OWN,
        workers=("-n2",),
    ),
}
if pytest.version_tuple >= (9, 0):
    WAYS["of the project: failed subtest"] = Way(
        {"failed": 3, "skipped": 1},
        1,
        "fail",
        own="with subtests.test(scope='x'):\n        assert not app.callback_urls, 'There is one.'",
        fixtures=", subtests",
        check=OWN,
    )


@pytest.mark.parametrize(
    ("name", "workers"), [(name, workers) for name, way in WAYS.items() for workers in way.workers], ids=str
)
def test_pytest_and_every_report_agree(pytester: pytest.Pytester, name: str, workers: str) -> None:
    """What a check came to is the same on the terminal, in the exit code and in every report."""
    way = WAYS[name]
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})
    configure(pytester, select=["ca-pkce", "own"], **way.config)
    if "before.json" in " ".join(way.arguments):
        pytester.runpytest("--sf-org=./uat.json", "--sf-json=before.json")
    pytester.makeconftest(dedent(way.conftest))
    for module, text in way.modules.items():
        pytester.makepyfile(**{module: text})
    if way.own:
        pytester.makepyfile(test_acme=STATES_A_CONTROL.format(body=way.own, fixtures=way.fixtures))
    files = ("json", "report", "sarif", "csv", "markdown")
    result = pytester.runpytest_subprocess(
        "--sf-org=./uat.json",
        *(f"--sf-{file}=out/{file}" for file in files),
        "--junitxml=out/junit",
        "--html=out/html",
        "--self-contained-html",
        "-p",
        "no:randomly",
        workers,
        *way.arguments,
        timeout=120,
    )
    assert result.ret == way.code, result.stdout.str()
    counts = {what: number for what, number in result.parseoutcomes().items() if what in COUNTED}
    if workers == "-n0":
        assert counts == way.pytest
    said = {report: read(pytester.path / "out", way.check) for report, read in READERS.items()}
    said |= {"terminal": of_terminal(result.outlines)}
    document = json.loads((pytester.path / "out/json").read_bytes())
    assert said["json"].startswith(way.said)
    for report, words in said.items():
        assert words in (said["json"], UNSAID), report
    _assert_gaps_are_said(document, pytester.path / "out", result.outlines, way)


COUNTED = ("failed", "skipped", "xfailed", "errors")
UNSAID = "(the report has no place for it)"


def of_json(folder: Path, check: str) -> str:
    """Return what the results file says of a check."""
    document = json.loads((folder / "json").read_bytes())
    control, name = _control_and_app(check)
    rows = [row for row in document["results"] if (row["control"], row["app"]) == (control, name)]
    if not rows:
        reasons = [str(gap["reason"]) for gap in document["checks"]["without_result"]]
        # The gap of the check is the one that is not of the other app.
        return NO_RESULT + min(reasons, key=lambda reason: _unlikely(reason, check))
    (row,) = rows
    return _said(row["verdict"], row["not_blocking"], row["runs"])


def _unlikely(reason: str, check: str) -> int:
    """Return a low number for the reason that is meant: of several gaps the one that is not left from the suite."""
    return ("not collected" in reason) + ("deselected" in reason and check == OWN)


def _said(verdict: str, not_blocking: str | None, runs: int = 1) -> str:
    more = f", {not_blocking}" if not_blocking else ""
    return f"{verdict}{more}{f', {runs} runs' if runs > 1 else ''}"


def of_junit(folder: Path, check: str) -> str:
    """Return what JUnit's properties say."""
    name = check.partition("::")[2].removesuffix("]")
    for case in etree.parse(folder / "junit").iter("testcase"):
        properties = {each.get("name"): str(each.get("value")) for each in case.iter("property")}
        if str(case.get("name")).startswith(name) and "verdict" in properties:
            verdict = properties["verdict"]
            if verdict.startswith("none ("):
                return NO_RESULT + verdict.removeprefix("none (").removesuffix(")")
            return _with_runs(_said(properties["verdict"], properties.get("not_blocking")), folder, check)
    return UNSAID


def of_csv(folder: Path, check: str) -> str:
    """Return what the spreadsheet says of a finding; what is none has no row."""
    control, name = _control_and_app(check)
    for row in csv.DictReader(io.StringIO((folder / "csv").read_text("utf-8-sig"))):
        if (row["control"], row["app"]) == (control, name):
            return _with_runs(_said(row["verdict"], row["not blocking"] or None), folder, check)
    return UNSAID


def of_sarif(folder: Path, check: str) -> str:
    """Return what code scanning gets of a finding."""
    control, name = _control_and_app(check)
    (run,) = json.loads((folder / "sarif").read_bytes())["runs"]
    for result in run["results"]:
        if (result["ruleId"], result["properties"]["app"]) == (control, name):
            properties = result["properties"]
            assert bool(result["suppressions"]) is (properties["notBlocking"] == "waived")
            return _with_runs(_said(properties["verdict"], properties["notBlocking"]), folder, check)
    return UNSAID


def of_page(folder: Path, check: str) -> str:
    """Return what the auditor's page has in its data."""
    control, name = _control_and_app(check)
    page = html.fromstring((folder / "report").read_text("utf-8"))
    data = json.loads(page.get_element_by_id("data").text or "")
    texts, results = data["texts"], data["results"]
    for number, (of_app, of_control) in enumerate(zip(results["app"], results["control"], strict=True)):
        if texts[data["apps"]["name"][of_app]] == name and data["controls"][of_control]["id"] == control:
            verdict = data["words"]["verdict"][results["verdict"][number]]
            not_blocking = data["words"]["accepted"].get(results["accepted"][number])
            return _with_runs(_said(verdict, not_blocking), folder, check)
    return UNSAID


def of_pytest_html(folder: Path, check: str) -> str:
    """Return what the row of pytest-html says, in pytest's words."""
    page = html.fromstring((folder / "html").read_text("utf-8"))
    tests = json.loads(page.get_element_by_id("data-container").attrib["data-jsonblob"])["tests"]
    whole = of_json(folder, check)
    rows = [row for at, several in tests.items() if at.startswith(check.removesuffix("]")) for row in several]
    if not rows or whole.startswith(NO_RESULT):
        return UNSAID
    outcomes = {"pass": "Passed", "fail": "XFailed" if ", " in whole.replace(", 2 runs", "") else "Failed"}
    assert outcomes[whole.partition(",")[0]] in {row["result"] for row in rows}
    return whole


def _control_and_app(check: str) -> tuple[str, str]:
    name, _, control = check.partition("[")[2].removesuffix("]").partition("-")
    return control, name


def _with_runs(said: str, folder: Path, check: str) -> str:
    """Return what a report says together with the number of runs, for which it has no place."""
    return f"{said}, 2 runs" if of_json(folder, check).endswith(", 2 runs") else said


def of_terminal(lines: list[str]) -> str:
    """Return nothing of a check: the summary has numbers only, which are compared below."""
    assert lines
    return UNSAID


READERS = {
    "json": of_json,
    "junit": of_junit,
    "csv": of_csv,
    "sarif": of_sarif,
    "page": of_page,
    "pytest-html": of_pytest_html,
}


def _assert_gaps_are_said(document: dict[str, Any], folder: Path, lines: list[str], way: Way) -> None:
    """Assert that every report says how many checks have a result, why others have none, and how many findings fail."""
    checks = document["checks"]
    total, with_result = checks["total"], checks["with_result"]
    assert with_result == len(document["results"])
    assert total == (4 if way.own else 2)
    assert total == with_result + sum(gap["checks"] for gap in checks["without_result"])
    complete = total == with_result and not way.cut_short
    assert document["cut_short"] == (way.cut_short or None) or (way.code and not way.cut_short)
    counts = f"{with_result} of {total} checks have a result"
    failing = [row for row in document["results"] if row["verdict"] in ("fail", "unverifiable")]
    assert bool([row for row in failing if row["blocking"]]) <= (way.code == pytest.ExitCode.TESTS_FAILED)
    markdown = (folder / "markdown").read_text("utf-8")
    page = re.sub(r"\s+", " ", html.fromstring((folder / "report").read_text("utf-8")).text_content())
    top = re.sub(r"\s+", " ", html.fromstring((folder / "html").read_text("utf-8")).text_content())
    spreadsheet = next(csv.DictReader(io.StringIO((folder / "csv").read_text("utf-8-sig"))))["finding"]
    (run,) = json.loads((folder / "sarif").read_bytes())["runs"]
    notification = run["invocations"][0]["toolExecutionNotifications"][0]
    junit = {each.get("name"): each.get("value") for each in etree.parse(folder / "junit").iter("property")}
    for text in (markdown, page, top, spreadsheet, notification["message"]["text"]):
        assert counts in text
    assert (junit["oauthcontrols.checks"], junit["oauthcontrols.checks_with_result"]) == (str(total), str(with_result))
    assert run["invocations"][0]["executionSuccessful"] is complete
    assert ("partial: " in "\n".join(lines)) is not complete or way.cut_short
    assert ("## OAuth controls: no findings\n" in markdown) is (complete and not failing)
    for gap in checks["without_result"]:
        for text in (markdown.replace("\\", ""), page, top, spreadsheet, notification["message"]["text"]):
            assert gap["reason"].partition(": ")[0] in text
        if not way.cut_short:
            assert f"  {gap['checks']} {gap['reason']}" in lines


def test_a_check_is_evaluated_once(pytester: pytest.Pytester) -> None:
    """However many reports are written, each check is evaluated once, in its test, and a hook is asked once."""
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})
    configure(pytester, select=["ca-*"])
    pytester.makeconftest(
        """
        from pytest_oauthcontrols import suite

        evaluate, calls = suite.evaluate, {"evaluate": 0, "hook": 0}

        def counted(*arguments):
            calls["evaluate"] += 1
            return evaluate(*arguments)

        suite.evaluate = counted

        def pytest_oauthcontrols_finding(finding):
            calls["hook"] += 1

        def pytest_oauthcontrols_results(results):
            assert calls == dict.fromkeys(calls, results["checks"]["total"])
            suite.evaluate = evaluate
        """
    )
    files = [f"--sf-{name}=out/{name}" for name in ("json", "report", "sarif", "csv", "markdown")]
    result = pytester.runpytest("--sf-org=./uat.json", *files, "--junitxml=out/junit", "--html=out/html")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
