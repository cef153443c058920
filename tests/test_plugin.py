"""What a user of the plugin sees: selection, ids, fixtures, outcomes and exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from .support import sample_org

SUITE = "pytest_oauthcontrols/suite.py"

GOOD = """
<ConnectedApp xmlns="http://soap.sforce.com/2006/04/metadata">
    <label>Stock Sync</label>
    <oauthConfig>
        <callbackUrl>https://stock.example/callback</callbackUrl>
        <isPkceRequired>true</isPkceRequired>
    </oauthConfig>
</ConnectedApp>
"""
BAD = GOOD.replace("true</isPkce", "false</isPkce").replace("Stock Sync", "Price Feed")


@pytest.fixture
def org(pytester: pytest.Pytester) -> Path:
    """A folder with two apps: Stock_Sync requires PKCE, Price_Feed does not."""
    folder = pytester.path / "force-app" / "connectedApps"
    folder.mkdir(parents=True)
    (folder / "Stock_Sync.connectedApp-meta.xml").write_text(GOOD, "utf-8")
    (folder / "Price_Feed.connectedApp-meta.xml").write_text(BAD, "utf-8")
    return folder.parent


def ids(result: pytest.RunResult) -> list[str]:
    """Return the node ids of the shipped suite that a run with --collect-only -q prints."""
    return [line for line in result.outlines if line.startswith(SUITE)]


def verdicts(path: Path) -> dict[tuple[str | None, str], str]:
    """Return app and control to verdict, from a results file."""
    document = json.loads(path.read_text("utf-8"))
    return {(row["app"], row["control"]): row["verdict"] for row in document["results"]}


def test_demo_runs_in_an_empty_folder(pytester: pytest.Pytester) -> None:
    """The sample org shows every verdict, findings give exit code 1 and no traceback."""
    result = pytester.runpytest("--sf-org=demo", "--sf-json=results.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    counts = result.parseoutcomes()
    found = list(verdicts(pytester.path / "results.json").values())
    assert set(found) == {"pass", "fail", "not_applicable", "manual", "unverifiable"}
    assert counts["passed"] == found.count("pass")
    assert counts["failed"] == found.count("fail") + found.count("unverifiable")
    assert counts["skipped"] == found.count("not_applicable") + found.count("manual")
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*suite.py:*: Failed")


def test_well_configured_app_of_the_demo_passes(pytester: pytest.Pytester) -> None:
    """A run whose cases all pass, do not apply or need a person ends with exit code 0."""
    result = pytester.runpytest("--sf-org=demo", "-k", "Warehouse_Sync")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] > 15


def test_failure_says_what_an_administrator_needs(pytester: pytest.Pytester, org: Path) -> None:
    """A failure names app, control, severity, what was seen and where, what is recommended, how to mend it, page."""
    result = pytester.runpytest("--sf-org=./force-app", "-k", "Price_Feed and ca-pkce")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*test_control?Price_Feed-ca-pkce?*",
            "critical 9.0-10.0: *PKCE*",
            "control      ca-pkce: Connected Apps: API (Enable OAuth Settings)*",
            "severity     critical, CVSS 9.0-10.0*",
            "app          Price Feed (Price_Feed, connected app)",
            "seen         oauthConfig.isPkceRequired = false",
            "             at force-app/connectedApps/Price_Feed.connectedApp-meta.xml:6",
            "recommended  *",
            "to mend      *",
            "may break    *",
            "page         https://help.salesforce.com/*shr_api_enable_oauth_settings_require_proof_key*",
        ]
    )


def test_summary_is_read_in_ten_seconds(pytester: pytest.Pytester, org: Path) -> None:
    """The terminal ends with apps, cases by verdict, failures by severity and the worst apps."""
    result = pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce", "--tb=no", "-q")
    assert result.outlines[-6:] == [
        f"force-app: 2 apps (2 connected, 0 external client), 2 of {sample_org.cases_of(2, 0)} checks",
        "  1 pass, 1 fail, 0 not applicable, 0 manual, 0 unverifiable",
        "failing: 1 critical",
        "worst apps:",
        "  Price Feed: 1 critical",
        re.sub(r"in .*", "", result.outlines[-1]) + re.findall(r"in .*", result.outlines[-1])[0],
    ]


def test_reason_of_a_skip_is_shown(pytester: pytest.Pytester, org: Path) -> None:
    """A case that does not apply, or needs a person, is skipped with its verdict and the reason."""
    result = pytester.runpytest("--sf-org=./force-app", "-rs", "-k", "Stock_Sync and (saml-sha256 or device-flow)")
    result.stdout.fnmatch_lines_random(["SKIPPED*: not applicable: *SAML*", "SKIPPED*: manual: *API*68.0*"])


def test_unverifiable_fails(pytester: pytest.Pytester, org: Path) -> None:
    """What could not be read fails, and its message begins by saying so."""
    result = pytester.runpytest("--sf-org=./force-app", "-k", "Stock_Sync and ca-client-credentials")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["cannot be verified: oauthConfig.isClientCredentialEnabled is absent from force-app/*"]
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-k", "ca-pkce"], {"Stock_Sync-ca-pkce", "Price_Feed-ca-pkce"}),
        (["-k", "Stock_Sync and ca-pkce"], {"Stock_Sync-ca-pkce"}),
        ([f"{SUITE}::test_control[Price_Feed-ca-pkce]"], {"Price_Feed-ca-pkce"}),
        (["--deselect", f"{SUITE}::test_control[Price_Feed-ca-pkce]", "-k", "ca-pkce"], {"Stock_Sync-ca-pkce"}),
    ],
)
def test_selection(pytester: pytest.Pytester, org: Path, arguments: list[str], expected: set[str]) -> None:
    """-k, a typed-back node id and --deselect choose cases."""
    result = pytester.runpytest("--sf-org=./force-app", "--collect-only", "-q", *arguments)
    assert {one.partition("[")[2].rstrip("]") for one in ids(result)} == expected


@pytest.mark.parametrize("severity", ["critical", "high", "medium"])
def test_marker_selects_severity(pytester: pytest.Pytester, org: Path, severity: str) -> None:
    """-m cvss_SEVERITY chooses the controls of this severity, and --strict-markers knows the markers."""
    result = pytester.runpytest(
        "--sf-org=./force-app", "--sf-json=r.json", "--strict-markers", "-m", f"cvss_{severity}"
    )
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    rows = json.loads((pytester.path / "r.json").read_text("utf-8"))["results"]
    assert rows
    assert {row["severity"] for row in rows} == {severity}


def test_control_marker_holds_id_and_severity(pytester: pytest.Pytester, org: Path) -> None:
    """Hooks of the project see the suite's items, with the control's id and severity in their marker."""
    pytester.makeconftest(
        """
        def pytest_collection_modifyitems(items):
            for item in items:
                marker = item.get_closest_marker("control")
                if item.callspec.id == "Price_Feed-ca-pkce":
                    print("SEEN", marker.kwargs)
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "--collect-only", "-q")
    result.stdout.fnmatch_lines(["*SEEN {'id': 'ca-pkce', 'severity': 'critical'}"])


def test_hooks_of_the_project_get_test_functions(pytester: pytest.Pytester, org: Path) -> None:
    """Each hook about tests is given the suite's cases as those of any test function: parameters, marks, place, all."""
    pytester.makeconftest(
        """
        import pathlib
        import pytest

        from pytest_oauthcontrols import suite

        item_file = suite.__file__

        def show(hook, item):
            assert isinstance(item, pytest.Function)
            assert item.function is item.obj is item.module.test_control
            assert item.originalname == "test_control" and item.name == "test_control[Price_Feed-ca-pkce]"
            assert item.callspec.params["sf_app"].name == "Price_Feed"
            assert item.callspec.params["sf_control"].id == "ca-pkce"
            assert {"Price_Feed-ca-pkce", "control", "cvss_critical"} <= set(item.keywords)
            assert [mark.name for mark in item.iter_markers()] == ["control", "cvss_critical"]
            arguments = {name: str(value) for name, value in sorted((item.funcargs or {}).items())}
            print(f"SEEN {hook}", *arguments.values())

        def pytest_itemcollected(item):
            if item.callspec.id == "Price_Feed-ca-pkce":
                show("itemcollected", item)

        def pytest_runtest_logstart(nodeid, location):
            file, line, name = location
            source = pathlib.Path(item_file).read_text("utf-8").splitlines()
            print("SEEN logstart", file, source[line].partition("(")[0], name)

        def pytest_runtest_setup(item):
            show("setup", item)

        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            show("pyfunc_call", pyfuncitem)

        def pytest_runtest_call(item):
            show("call", item)

        def pytest_runtest_makereport(item, call):
            show(f"makereport {call.when}", item)

        def pytest_runtest_teardown(item):
            show("teardown", item)
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-s", "-k", "Price_Feed-ca-pkce")
    assert result.parseoutcomes()["failed"] == 1
    arguments = "<App connected_app Price_Feed of force-app> <Control ca-pkce>"
    seen = [line.partition("SEEN ")[2] for line in result.outlines if "SEEN " in line]
    assert seen == [
        "itemcollected",
        f"logstart {SUITE} def test_control test_control[Price_Feed-ca-pkce]",
        "setup",
        f"makereport setup {arguments}",
        f"call {arguments}",
        f"pyfunc_call {arguments}",
        f"makereport call {arguments}",
        f"teardown {arguments}",
        f"makereport teardown {arguments}",
    ]


def test_hook_may_stand_in_for_the_test(pytester: pytest.Pytester, org: Path) -> None:
    """A project's pytest_pyfunc_call decides how a check is called, or that it is not; then it has no result."""
    pytester.makeconftest("def pytest_pyfunc_call(pyfuncitem):\n    return True\n")
    result = pytester.runpytest("--sf-org=./force-app", "-k", "Price_Feed-ca-pkce")
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["partial: 0 of * checks have a result", "  1 error: the test ended without a verdict"])


@pytest.mark.parametrize("scope", ["function", "class", "module", "package", "session"])
def test_fixtures_for_every_test_apply(pytester: pytest.Pytester, org: Path, scope: str) -> None:
    """A project's autouse fixtures of any scope are set up for the cases and torn down after them."""
    pytester.makeconftest(
        f"""
        import pytest

        @pytest.fixture(autouse=True, scope="{scope}")
        def everywhere(request):
            print("SEEN up", request.scope)
            yield
            print("SEEN down", request.node.name)
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-s", "-k", "ca-pkce")
    assert (result.parseoutcomes()["passed"], result.parseoutcomes()["failed"]) == (1, 1)
    times = 2 if scope in ("function", "class") else 1
    for said in (f"up {scope}", "down "):
        assert len([line for line in result.outlines if f"SEEN {said}" in line]) == times


def test_fixtures_for_every_test_see_the_case(pytester: pytest.Pytester, org: Path) -> None:
    """An autouse fixture may ask for the case's app and control, record properties and skip or break the case."""
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def everywhere(request, record_property):
            app, control = request.getfixturevalue("app"), request.getfixturevalue("control")
            assert (app, control) == (request.node.funcargs["sf_app"], request.node.callspec.params["sf_control"])
            record_property("owner", f"{app.name}/{control.id}")
            if control.id == "ca-refresh-token-rotation":
                pytest.skip("another time")
            assert control.id != "ca-secret-web-server", "broken"
        """
    )
    controls = "ca-pkce or ca-refresh-token-rotation or ca-secret-web-server"
    result = pytester.runpytest(
        "--sf-org=./force-app",
        "--junitxml=junit.xml",
        "-ojunit_family=xunit1",
        "-rsE",
        "-k",
        f"Stock_Sync and ({controls})",
    )
    counts = result.parseoutcomes()
    assert (counts["passed"], counts["skipped"], counts["errors"]) == (1, 1, 1)
    result.stdout.fnmatch_lines(["E * AssertionError: broken", "SKIPPED*another time", "ERROR *ca-secret-web-server*"])
    result.stdout.no_fnmatch_line("*collection.py*")
    assert '<property name="owner" value="Stock_Sync/ca-pkce"' in (pytester.path / "junit.xml").read_text("utf-8")


@pytest.mark.parametrize("by", ["ini", "hook"])
def test_fixtures_that_are_asked_for_apply(pytester: pytest.Pytester, org: Path, by: str) -> None:
    """So do fixtures that the ini or a hook asks for."""
    pytester.makeini("[pytest]\nusefixtures = noted\n" if by == "ini" else "[pytest]\n")
    pytester.makeconftest(
        f"""
        import pytest

        @pytest.fixture
        def noted():
            print("SEEN noted")

        def pytest_itemcollected(item):
            if {by == "hook"} and "noted" not in item.fixturenames:
                item.fixturenames.insert(0, "noted")
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-s", "-k", "Stock_Sync-ca-pkce")
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(["*SEEN noted*"])


def test_parametrized_fixtures_for_every_test_apply(pytester: pytest.Pytester, org: Path) -> None:
    """An autouse fixture with parameters runs each case once for each of them."""
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True, params=["first", "second"])
        def everywhere(request):
            print("SEEN", request.param)
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-s", "-k", "Stock_Sync and ca-pkce")
    assert result.parseoutcomes()["passed"] == 2
    result.stdout.fnmatch_lines_random(["*SEEN first*", "*SEEN second*"])


def test_hooks_of_fixtures_see_parameters(pytester: pytest.Pytester, org: Path) -> None:
    """Hooks that are told of fixtures are told of the cases' parameters."""
    pytester.makeconftest(
        """
        def pytest_fixture_setup(fixturedef, request):
            print("SEEN up", fixturedef.argname, request.param)

        def pytest_fixture_post_finalizer(fixturedef):
            print("SEEN down", fixturedef.argname)
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-s", "-k", "Stock_Sync-ca-pkce")
    assert result.parseoutcomes()["passed"] == 1
    result.stdout.fnmatch_lines(
        ["*SEEN up sf_app <App connected_app Stock_Sync of force-app>", "SEEN up sf_control <Control ca-pkce>"]
    )
    result.stdout.fnmatch_lines_random(["*SEEN down sf_app", "*SEEN down sf_control"])


def test_setup_is_shown(pytester: pytest.Pytester, org: Path) -> None:
    """--setup-show and --setup-plan show the cases' parameters; a plan runs nothing."""
    shown = pytester.runpytest("--sf-org=./force-app", "--setup-show", "-k", "Price_Feed-ca-pkce")
    shown.stdout.fnmatch_lines(
        ["*SETUP*sf_app?*", "*SETUP*sf_control?*ca-pkce*", "*test_control?Price_Feed-ca-pkce?*fixtures used*"]
    )
    assert shown.parseoutcomes()["failed"] == 1
    planned = pytester.runpytest("--sf-org=./force-app", "--setup-plan", "-k", "Price_Feed-ca-pkce")
    planned.stdout.fnmatch_lines(["*SETUP*sf_app?*", "*SETUP*sf_control?*ca-pkce*"])
    assert planned.ret == pytest.ExitCode.OK


def test_marks_of_the_project_apply(pytester: pytest.Pytester, org: Path) -> None:
    """A project may skip cases with a mark of pytest's, and choose them by a mark of its own."""
    pytester.makeini("[pytest]\nmarkers = board: what the board asks for\n")
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                if item.callspec.params["sf_control"].id == "ca-pkce":
                    item.add_marker("board")
                if "Price_Feed" in item.name:
                    item.add_marker(pytest.mark.skip(reason="to be switched off"))
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-m", "board", "-rs", "-k", "test_control")
    assert (result.parseoutcomes()["passed"], result.parseoutcomes()["skipped"]) == (1, 1)
    result.stdout.fnmatch_lines(["SKIPPED*to be switched off"])


def test_options_that_order_and_time_cases(pytester: pytest.Pytester, org: Path) -> None:
    """--ff runs first what failed, -x stops there, and --durations times the cases."""
    pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce")
    first = pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce", "--ff", "-v")
    order = [line.partition(" ")[0] for line in first.outlines if re.search(r"ca-pkce\] (PASSED|FAILED)", line)]
    assert order == [f"{SUITE}::test_control[{app}-ca-pkce]" for app in ("Price_Feed", "Stock_Sync")]
    stopped = pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce", "--ff", "-x")
    assert stopped.parseoutcomes()["failed"] == 1
    assert "passed" not in stopped.parseoutcomes()
    timed = pytester.runpytest("--sf-org=./force-app", "-k", "Stock_Sync-ca-pkce", "--durations=0", "-vv")
    timed.stdout.fnmatch_lines(["*s call *test_control?Stock_Sync-ca-pkce?"])


@pytest.mark.slow
@pytest.mark.parametrize("dist", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "each"])
def test_every_distribution_runs_the_cases(pytester: pytest.Pytester, org: Path, dist: str) -> None:
    """However xdist hands out tests, each case runs."""
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xdist_group(item.originalname))
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-n2", f"--dist={dist}", "-k", "ca-pkce")
    times = 2 if dist == "each" else 1
    assert (result.parseoutcomes()["passed"], result.parseoutcomes()["failed"]) == (times, times)


def test_ids_of_collect_only_can_be_typed_back(pytester: pytest.Pytester, org: Path) -> None:
    """Every id that --collect-only prints runs exactly that case."""
    every = ids(pytester.runpytest("--sf-org=./force-app", "--collect-only", "-q"))
    assert len(every) == len(set(every)) > 60
    again = ids(pytester.runpytest("--sf-org=./force-app", "--collect-only", "-q", *every))
    assert again == every


def test_id_that_is_not_there_is_a_usage_error(pytester: pytest.Pytester, org: Path) -> None:
    """A mistyped id is named, with exit code 4."""
    result = pytester.runpytest("--sf-org=./force-app", f"{SUITE}::test_control[Price_Feed-ca-pkcee]")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not found: *test_control?Price_Feed-ca-pkcee?*"])


def test_last_failed_runs_what_failed(pytester: pytest.Pytester, org: Path) -> None:
    """--lf runs the failed cases again, also when a test of the project failed too."""
    pytester.makepyfile("def test_own():\n    assert False\n\ndef test_other():\n    pass\n")
    first = pytester.runpytest("--sf-org=./force-app", "-k", "ca-pkce or own or other")
    assert first.parseoutcomes() == {"failed": 2, "passed": 2, "deselected": first.parseoutcomes()["deselected"]}
    second = pytester.runpytest("--sf-org=./force-app", "--lf", "-v")
    assert second.parseoutcomes()["failed"] == 2
    assert "passed" not in second.parseoutcomes()
    second.stdout.fnmatch_lines_random(["*Price_Feed-ca-pkce* FAILED*", "*test_own FAILED*"])


def test_stepwise_stops_at_a_finding_and_goes_on_there(pytester: pytest.Pytester, org: Path) -> None:
    """--sw stops at the first finding and starts there the next time."""
    for _ in range(2):
        result = pytester.runpytest("--sf-org=./force-app", "--sw", "-k", "ca-pkce", "-v")
        result.stdout.fnmatch_lines(["*Price_Feed-ca-pkce* FAILED*"])
        assert result.parseoutcomes()["failed"] == 1


@pytest.mark.parametrize("workers", ["-n2", "-n0"])
def test_distributed_run_gives_the_same(pytester: pytest.Pytester, org: Path, workers: str) -> None:
    """Under xdist the verdicts, the counts, the exit code and the results file are those of a serial run."""
    serial = pytester.runpytest("--sf-org=./force-app", "--sf-json=serial.json")
    spread = pytester.runpytest("--sf-org=./force-app", "--sf-json=spread.json", workers)
    assert spread.ret == serial.ret
    counts = ("passed", "failed", "skipped")
    assert [spread.parseoutcomes()[one] for one in counts] == [serial.parseoutcomes()[one] for one in counts]
    written = [json.loads((pytester.path / name).read_text("utf-8")) for name in ("serial.json", "spread.json")]
    for document in written:
        del document["orgs"][0]["taken_at"]
    assert written[0] == written[1]


@pytest.mark.slow
def test_orgs_are_read_once_for_all_workers(pytester: pytest.Pytester, org: Path) -> None:
    """Workers get what the controller read: they need not even see the files."""
    pytester.makeconftest(
        """
        import pathlib, shutil
        import pytest

        @pytest.hookimpl(trylast=True, optionalhook=True)
        def pytest_configure_node(node):
            shutil.rmtree("force-app", ignore_errors=True)
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-n2", "-k", "pkce")
    assert not (pytester.path / "force-app").exists()
    assert (result.parseoutcomes()["passed"], result.parseoutcomes()["failed"]) == (1, 1)


@pytest.mark.parametrize(
    ("ini", "own"),
    [
        ("[pytest]\n", "def test_own():\n    pass\n"),
        ("[pytest]\ntestpaths = checks\n", "def test_own():\n    pass\n"),
        ("[pytest]\npython_functions = check_*\n", "def check_own():\n    pass\n"),
        ("[pytest]\naddopts = --import-mode=importlib\n", "def test_own():\n    pass\n"),
    ],
)
def test_runs_beside_own_tests(pytester: pytest.Pytester, org: Path, ini: str, own: str) -> None:
    """The suite runs beside the project's tests, whatever its ini says of paths, names and imports."""
    pytester.makeini(ini)
    checks = pytester.mkdir("checks")
    (checks / "test_own.py").write_text(own, "utf-8")
    result = pytester.runpytest("--sf-org=./force-app", "-k", "own or pkce", "-v")
    result.stdout.fnmatch_lines_random(
        ["checks/test_own.py::*own PASSED*", "*Stock_Sync-ca-pkce* PASSED*", "*Price_Feed-ca-pkce* FAILED*"]
    )


def test_arguments_choose_what_runs(pytester: pytest.Pytester, org: Path) -> None:
    """With a path on the command line only that runs; the suite can be asked for by its own id."""
    pytester.makepyfile("def test_own():\n    pass\n")
    alone = pytester.runpytest("--sf-org=./force-app", "test_arguments_choose_what_runs.py")
    assert alone.parseoutcomes() == {"passed": 1}
    both = pytester.runpytest(
        "--sf-org=./force-app", "test_arguments_choose_what_runs.py", SUITE, "-k", "own or ca-pkce"
    )
    assert (both.parseoutcomes()["passed"], both.parseoutcomes()["failed"]) == (2, 1)


def test_own_app_fixture_is_left_alone(pytester: pytest.Pytester, org: Path) -> None:
    """A project with a fixture called `app` of its own, as Flask projects have, keeps it."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def app():
            return "flask"

        def test_own(app):
            assert app == "flask"
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "test_own_app_fixture_is_left_alone.py")
    assert result.parseoutcomes() == {"passed": 1}


def test_own_tests_are_generated(pytester: pytest.Pytester, org: Path) -> None:
    """A test that takes `app`, `org` or `control` runs once for each, and for each pair that goes together."""
    pytester.makepyfile(
        """
        import pytest

        def test_app(app):
            assert app.callback_urls == ("https://stock.example/callback",)

        def test_org(org):
            assert [app.name for app in org.apps] == ["Price_Feed", "Stock_Sync"]

        def test_pair(app, control):
            assert app.kind in control.applies_to

        def test_org_pair(org, control):
            assert control.applies_to == ("org",)

        @pytest.fixture(scope="module")
        def names(org):
            return {app.name for app in org.apps}

        def test_derived(app, names):
            assert app.name in names
        """
    )
    collected = pytester.runpytest("--sf-org=./force-app", "--collect-only", "-q", "test_own_tests_are_generated.py")
    lines = [line.rpartition("::")[2] for line in collected.outlines if "::" in line]
    assert [line for line in lines if line.startswith("test_app[")] == ["test_app[Price_Feed]", "test_app[Stock_Sync]"]
    assert [line for line in lines if line.startswith("test_org[")] == ["test_org[force-app]"]
    assert "test_pair[Price_Feed-ca-pkce]" in lines
    assert "test_org_pair[org-oauth-oidc]" in lines
    result = pytester.runpytest("--sf-org=./force-app", "test_own_tests_are_generated.py")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] == len(lines)


def test_own_tests_skip_without_an_org(pytester: pytest.Pytester) -> None:
    """Without --sf-org a test that needs an org is skipped, and the skip says what to give."""
    pytester.makepyfile("def test_app(app):\n    pass\n")
    result = pytester.runpytest("-rs")
    assert result.parseoutcomes() == {"skipped": 1}
    result.stdout.fnmatch_lines(["*needs a Salesforce org: give --sf-org"])


def test_own_tests_fail_beside_a_run_without_findings(pytester: pytest.Pytester) -> None:
    """The exit code counts the project's own failures and the findings alike."""
    pytester.makepyfile("def test_broken():\n    assert False\n")
    result = pytester.runpytest("--sf-org=demo", "-k", "test_broken or Warehouse_Sync")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1


def test_several_orgs_in_one_run(pytester: pytest.Pytester, org: Path) -> None:
    """With several orgs the org stands in front of each id, and the summary has a line for each."""
    result = pytester.runpytest("--sf-org=./force-app", "--sf-org=demo", "--collect-only", "-q")
    collected = ids(result)
    assert f"{SUITE}::test_control[force-app-Price_Feed-ca-pkce]" in collected
    assert f"{SUITE}::test_control[demo-Nightly_ETL-ca-pkce]" in collected
    assert f"{SUITE}::test_org_control[demo-org-oauth-oidc]" in collected
    run = pytester.runpytest("--sf-org=./force-app", "--sf-org=demo", "-k", "ca-pkce", "--tb=no")
    run.stdout.fnmatch_lines(["force-app: 2 apps*, 2 of * checks", f"demo: {sample_org.APPS} apps*"])


def differing(pytester: pytest.Pytester) -> None:
    """Write two orgs of which one app has the same name, and requires PKCE in one of them only."""
    for name, content in (("uat", GOOD), ("prod", GOOD.replace("<isPkceRequired>true", "<isPkceRequired>false"))):
        folder = pytester.mkdir(name)
        (folder / "Stock_Sync.connectedApp").write_text(content, "utf-8")


def test_several_orgs_are_compared(pytester: pytest.Pytester) -> None:
    """The summary has a table of orgs by severity, and names what one org does and another does not."""
    differing(pytester)
    run = pytester.runpytest("--sf-org=./uat", "--sf-org=./prod", "-k", "Stock_Sync-ca-pkce", "--tb=no", "-q")
    lines = run.stdout.lines
    start = lines.index("  failing in  critical      high    medium       low")
    assert lines[start + 1 : start + 3] == [
        "  uat                0         0         0         0",
        "  prod               1         0         0         0",
    ]
    assert lines[lines.index("orgs differ:") + 1] == "  ca-pkce of Stock Sync: passes in uat, fails in prod"
    one = pytester.runpytest("--sf-org=./prod", "-k", "Stock_Sync-ca-pkce", "--tb=no", "-q")
    one.stdout.no_fnmatch_line("*failing in*")
    one.stdout.no_fnmatch_line("orgs differ:*")


def test_orgs_of_one_name_are_told_apart_in_the_summary(pytester: pytest.Pytester) -> None:
    """Two orgs that are called alike are named with where they were read."""
    differing(pytester)
    for name in ("uat", "prod"):
        target = pytester.mkdir(f"of_{name}") / "force-app"
        (pytester.path / name).rename(target)
    run = pytester.runpytest(
        "--sf-org=of_uat/force-app", "--sf-org=of_prod/force-app", "-k", "Stock_Sync-ca-pkce", "--tb=no", "-q"
    )
    assert (
        "  ca-pkce of Stock Sync: passes in force-app (of_uat/force-app), fails in force-app (of_prod/force-app)"
        in run.stdout.lines
    )


def test_two_folders_of_one_name_keep_apart(pytester: pytest.Pytester, org: Path) -> None:
    """Orgs that are called alike get different ids."""
    (pytester.path / "old").mkdir()
    org.rename(pytester.path / "old" / "force-app")
    (pytester.path / "new" / "force-app").mkdir(parents=True)
    (pytester.path / "new" / "force-app" / "Stock_Sync.connectedApp").write_text(GOOD, "utf-8")
    result = pytester.runpytest(
        "--sf-org=old/force-app", "--sf-org=new/force-app", "--collect-only", "-q", "-k", "Stock_Sync-ca-pkce"
    )
    assert len(set(ids(result))) == 2


def test_apps_of_one_name_keep_apart(pytester: pytest.Pytester, org: Path) -> None:
    """A connected app and an external client app of the same name get different ids."""
    (org / "Stock_Sync.eca").write_text(
        "<ExternalClientApplication><label>Stock Sync</label></ExternalClientApplication>", "utf-8"
    )
    result = pytester.runpytest("--sf-org=./force-app", "--collect-only", "-q", "-k", "sbs-oauth-002 and Stock_Sync")
    connected_app, external_client_app = ids(result)
    assert connected_app.endswith("[Stock_Sync-sbs-oauth-002]")
    assert re.fullmatch(r".*\[Stock_Sync-[0-9a-f]{8}-sbs-oauth-002\]", external_client_app)


def test_zip_gives_the_verdicts_of_the_folder(pytester: pytest.Pytester, org: Path) -> None:
    """A .zip of a folder is assessed like the folder."""
    shutil.make_archive(str(pytester.path / "retrieved"), "zip", org)
    pytester.runpytest("--sf-org=./force-app", "--sf-json=folder.json")
    pytester.runpytest("--sf-org=retrieved.zip", "--sf-json=zip.json")
    assert verdicts(pytester.path / "zip.json") == verdicts(pytester.path / "folder.json")


@pytest.mark.parametrize("option", ["--help", "--version", "--markers", "--fixtures", "--fixtures-per-test"])
def test_asking_pytest_reads_no_org(pytester: pytest.Pytester, option: str) -> None:
    """Options that only show something do not read the org, which is not even there."""
    result = pytester.runpytest("--sf-org=./nowhere", option)
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def test_options_markers_and_fixtures_are_documented(pytester: pytest.Pytester) -> None:
    """--help, --markers and --fixtures show what the plugin adds."""
    pytester.runpytest("--help").stdout.fnmatch_lines(
        ["*--sf-org=ORG*", "*--sf-config=FILE*", "*--sf-json=FILE*", "*--sf-controls*"]
    )
    pytester.runpytest("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.control(id, severity, cvss, name, remediation, ...)*", "@pytest.mark.cvss_critical:*"]
    )
    fixtures = pytester.runpytest("--fixtures")
    fixtures.stdout.fnmatch_lines_random(
        [
            "org * -- *",
            "app * -- *",
            "control * -- *",
            "*The Salesforce org under test*",
            "*A control of the catalogue*",
        ]
    )


def test_unused_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    """Without --sf-org neither parsers nor API clients nor templates are imported."""
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            heavy = {"lxml", "simple_salesforce", "cryptography", "zeep", "requests"}
            assert not heavy & set(sys.modules)
            own = {name for name in sys.modules if name.startswith("pytest_oauthcontrols.")}
            assert own == {
                "pytest_oauthcontrols.plugin",
                "pytest_oauthcontrols.pytest_hooks",
                "pytest_oauthcontrols.pytest_hooks.hookspecs",
                "pytest_oauthcontrols.reports",
            }
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest")
    assert result.parseoutcomes() == {"passed": 1}


def test_started_in_a_folder_below(pytester: pytest.Pytester, org: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration there goes before that of the root directory, and ids can be typed back as they are shown."""
    pytester.makeini("[pytest]")
    below = pytester.mkdir("below")
    (pytester.path / "oauthcontrols.yaml").write_text("gate: never", "utf-8")
    monkeypatch.chdir(below)
    arguments = ("--sf-org=../force-app", "-k", "Price_Feed-ca-pkce")
    assert pytester.runpytest(*arguments).ret == pytest.ExitCode.OK
    (below / "oauthcontrols.yaml").write_text("gate: low", "utf-8")
    result = pytester.runpytest(*arguments, "-rf")
    (shown,) = [line.split()[1] for line in result.outlines if line.startswith("FAILED ")]
    assert shown == "../pytest_oauthcontrols/suite.py::test_control[Price_Feed-ca-pkce]"
    for asked in (shown, shown.removeprefix("../")):
        again = pytester.runpytest("--sf-org=../force-app", asked)
        assert again.parseoutcomes() == {"failed": 1}, asked


@pytest.mark.parametrize(
    "option",
    [
        "--sf-json=results.json",
        "--sf-config=oauthcontrols.yaml",
        "--sf-snapshot=kept",
        "--sf-baseline=results.json",
        "--sf-no-waivers",
    ],
)
def test_option_without_an_org_is_a_usage_error(pytester: pytest.Pytester, option: str) -> None:
    """A run that is told to report on an org, but not on which, does not end well by doing nothing."""
    result = pytester.runpytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]} needs --sf-org*"])


def test_plugin_can_be_switched_off(pytester: pytest.Pytester) -> None:
    """-p no:oauthcontrols takes every option away."""
    result = pytester.runpytest_subprocess("-p", "no:oauthcontrols", "--sf-org=demo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_configuration_in_the_root_directory_is_read(pytester: pytest.Pytester, org: Path) -> None:
    """What oauthcontrols.yaml says of an app decides, and the evidence says that it does."""
    (pytester.path / "oauthcontrols.yaml").write_text("apps:\n- app: Stock_*\n  client_type: public\n", "utf-8")
    pytester.makeini("[pytest]\n")
    result = pytester.runpytest("--sf-org=./force-app", "-rs", "-k", "ca-secret-web-server and Stock_Sync")
    result.stdout.fnmatch_lines(["SKIPPED*: not applicable: The client is public*"])


def test_results_file_is_what_it_promises(pytester: pytest.Pytester, org: Path) -> None:
    """The results file has tool, catalogue, orgs and results, each with evidence, and is sorted."""
    pytester.runpytest("--sf-org=./force-app", "--sf-json=deep/er/results.json")
    document: dict[str, Any] = json.loads((pytester.path / "deep/er/results.json").read_text("utf-8"))
    assert list(document) == [
        "schema",
        "tool",
        "catalogue",
        "orgs",
        "checks",
        "cut_short",
        "gate",
        "waivers",
        "attestations",
        "review",
        "baseline",
        "results",
    ]
    assert document["schema"] == 1
    assert document["tool"]["name"] == "pytest-oauthcontrols"
    assert document["catalogue"]["controls"] == len(sample_org.CONTROLS)
    (read,) = document["orgs"]
    assert (read["name"], read["source"], read["apps"], read["org_id"], read["api_calls"]) == (
        "force-app",
        "directory",
        2,
        None,
        0,
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", read["taken_at"])
    assert re.fullmatch(r"[0-9a-f]{64}", read["sha256"])
    rows = document["results"]
    keys = [(row["org"], row["kind"] or "", row["app"] or "", row["control"]) for row in rows]
    assert keys == sorted(keys)
    (row,) = [row for row in rows if (row["app"], row["control"]) == ("Price_Feed", "ca-pkce")]
    assert row == {
        "org": "force-app",
        "app": "Price_Feed",
        "label": "Price Feed",
        "kind": "connected_app",
        "control": "ca-pkce",
        "verdict": "fail",
        "severity": "critical",
        "cvss": [9.0, 10.0],
        "score": 9.5,
        "message": row["message"],
        "threat": row["threat"],
        "deadlines": [],
        "evidence": row["evidence"],
        "context": row["context"],
        "contradictions": row["contradictions"],
        "blocking": True,
        "not_blocking": None,
        "not_blocking_says": None,
        "runs": 1,
        "waiver": None,
        "attestation": None,
        "change": None,
        "since": read["taken_at"][:10],
        "node_id": f"{SUITE}::test_control[Price_Feed-ca-pkce]",
    }
    assert row["evidence"][0] == {
        "setting": "oauthConfig.isPkceRequired",
        "state": "seen",
        "value": "false",
        "source": "force-app/connectedApps/Price_Feed.connectedApp-meta.xml",
        "line": 6,
        "note": None,
    }
    assert all(row["evidence"] for row in rows if row["verdict"] in ("pass", "fail"))


def test_results_are_those_of_the_cases_that_ran(pytester: pytest.Pytester, org: Path) -> None:
    """Deselected cases are not in the results file."""
    pytester.runpytest("--sf-org=./force-app", "--sf-json=results.json", "-k", "ca-pkce")
    assert set(verdicts(pytester.path / "results.json")) == {("Price_Feed", "ca-pkce"), ("Stock_Sync", "ca-pkce")}


def test_verdict_outlives_an_expected_failure(pytester: pytest.Pytester, org: Path) -> None:
    """A project may mark a finding as expected to fail: the run is green, the verdict stays fail."""
    pytester.makeconftest(
        """
        import pytest

        def pytest_collection_modifyitems(items):
            for item in items:
                item.add_marker(pytest.mark.xfail(reason="accepted by the board"))
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "--sf-json=results.json", "-k", "Price_Feed-ca-pkce")
    assert result.ret == pytest.ExitCode.OK
    assert verdicts(pytester.path / "results.json") == {("Price_Feed", "ca-pkce"): "fail"}


@pytest.mark.network
@pytest.mark.slow
def test_oldest_pytest_runs_the_suite(tmp_path: Path) -> None:
    """Under pytest 8.0 collection, selection, --lf, -n2 and both kinds of ids work as under the newest."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    project = Path(__file__).parents[1]
    install = [str(python), "-m", "pip", "install", "--quiet", "pytest==8.0.0", "pytest-xdist==3.5.0", str(project)]
    subprocess.run(install, check=True, capture_output=True)
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*arguments: str) -> str:
        command = [str(python), "-m", "pytest", "--sf-org=demo", *arguments]
        return subprocess.run(command, cwd=empty, capture_output=True, text=True, check=False).stdout

    assert "pytest-8.0.0" in run("-k", "pkce")
    assert "2 failed" in run("-k", "ca-pkce and (Nightly_ETL or Quote_Canvas)", "--tb=no")
    assert "2 failed" in run(
        "--lf", "-k", "not Contractor and ca-pkce and (Nightly_ETL or Quote_Canvas)", "--tb=no", "-q"
    )
    assert "2 failed" in run("-k", "ca-pkce and (Nightly_ETL or Quote_Canvas)", "-n2", "--tb=no")
    assert "1 failed" in run(f"{SUITE}::test_control[Nightly_ETL-ca-pkce]", "--tb=no")
    assert f"{SUITE}::test_control[Nightly_ETL-ca-pkce]" in run("--collect-only", "-q")
    assert "checks" in run(
        "-m", "cvss_critical", "--html=report.html", "--self-contained-html", "--junitxml=report.xml", "--tb=no"
    )
