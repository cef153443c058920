"""Beside other plugins, editors and a project's own habits: nothing of theirs changes, and everything is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_oauthcontrols import suite

from .support.checkout import PROJECT
from .support.metadata_files import PKCE, app, written
from .support.orgs import kept

SUITE = "pytest_oauthcontrols/suite.py"
CHOSEN = f"{SUITE}::test_control[Price_Feed-ca-pkce]"


@pytest.fixture
def _uat(pytester: pytest.Pytester) -> None:
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})


# Names of fixtures

OTHER_PLUGIN = """
import pytest

@pytest.fixture
def app():
    return "an application of another plugin"

@pytest.fixture
def org():
    return "an organisation of another plugin"
"""


@pytest.mark.usefixtures("_uat")
@pytest.mark.parametrize("order", [("a_plugin",), ("z_plugin",)])
@pytest.mark.parametrize("arguments", [(), ("--sf-org=./uat.json", "-k", "test_other")])
def test_fixtures_of_other_plugins_go_first(
    pytester: pytest.Pytester, order: tuple[str, ...], arguments: tuple[str, ...]
) -> None:
    """`app` and `org` of another plugin are taken, whichever was loaded first, with and without an org to assess."""
    (plugin,) = order
    pytester.makepyfile(**{plugin: OTHER_PLUGIN})
    pytester.makepyfile(
        test_other="def test_other(app, org):\n    assert app.endswith('another plugin') and org.endswith('plugin')\n",
        test_ours="def test_other_of_ours(sf_org):\n    assert sf_org.name == 'uat'\n",
    )
    result = pytester.runpytest_subprocess("-p", plugin, *arguments)
    counts = result.parseoutcomes()
    assert (counts["passed"], counts.get("skipped", 0)) == ((2, 0) if arguments else (1, 1))
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.usefixtures("_uat")
def test_the_suite_uses_no_name_of_others(pytester: pytest.Pytester) -> None:
    """A fixture that acts on every test with `app`, as web frameworks' plugins have, leaves the suite alone."""
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(autouse=True)
        def push_context(request):
            if "app" in request.fixturenames:
                request.getfixturevalue("app").test_request_context()
        """
    )
    result = pytester.runpytest("--sf-org=./uat.json", "-k", "ca-pkce")
    assert result.parseoutcomes()["passed"] == 1
    assert "errors" not in result.parseoutcomes()


@pytest.mark.usefixtures("_uat")
@pytest.mark.parametrize("workers", ["-n0", pytest.param("-n2", marks=pytest.mark.slow)])
def test_the_org_can_be_asked_for_while_a_test_runs(pytester: pytest.Pytester, workers: str) -> None:
    """With one org `org` needs no argument; what has a value per app is an error that says why."""
    pytester.makepyfile(
        test_dynamic="""
        import unittest
        import pytest

        def test_value(request):
            assert request.getfixturevalue("org").name == request.getfixturevalue("sf_org").name == "uat"

        @pytest.mark.usefixtures("org")
        class TestMarked(unittest.TestCase):
            def test_it(self):
                pass

        def test_app(request):
            request.getfixturevalue("app")
        """
    )
    result = pytester.runpytest_subprocess("--sf-org=./uat.json", "test_dynamic.py", workers)
    assert result.parseoutcomes()["passed"] == 2
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        ["'app' has no single value here: there is one for each app. Take 'app' as an argument*"]
    )
    result.stdout.no_fnmatch_line("*give --sf-org*")


@pytest.mark.usefixtures("_uat")
def test_of_several_orgs_none_is_taken_for_granted(pytester: pytest.Pytester) -> None:
    """With two orgs a test that asks for `org` while it runs fails, and learns how to run once for each."""
    kept(pytester, {"Price_Feed": app()}, name="prod")
    pytester.makepyfile(test_dynamic="def test_value(request):\n    request.getfixturevalue('org')\n")
    result = pytester.runpytest("--sf-org=./uat.json", "--sf-org=./prod.json", "test_dynamic.py")
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(["'org' has no single value here: there are 2 orgs.*"])


def test_parameters_name_their_org(pytester: pytest.Pytester) -> None:
    """What tools know a parameter by tells the same app of two orgs apart, so that each check has a history."""
    for name in ("uat", "prod"):
        kept(pytester, {"Billing": app()}, name=name)
    pytester.makeconftest(
        """
        def pytest_collection_finish(session):
            known = {repr(sorted(item.callspec.params.items())) for item in session.items}
            print("KNOWN", len(known), len(session.items))
        """
    )
    result = pytester.runpytest("--sf-org=./uat.json", "--sf-org=./prod.json", "--collect-only", "-q")
    (line,) = [line for line in result.outlines if line.startswith("KNOWN")]
    _, known, items = line.split()
    assert known == items


# Paths and places


@pytest.mark.usefixtures("_uat")
def test_an_editor_can_show_the_tests_as_a_tree(pytester: pytest.Pytester) -> None:
    """From the file of each test its folders lead up to the session's, so the project's own tests are there too."""
    pytester.makepyfile(test_mine="def test_mine():\n    pass\n")
    pytester.makeconftest(
        """
        def pytest_collection_finish(session):
            for item in session.items:
                assert session.path in item.path.parents and session.path in item.parent.path.parents, item
                assert item.location[0] == item.nodeid.partition("::")[0]
            print("SEEN", len(session.items))
        """
    )
    result = pytester.runpytest("--sf-org=./uat.json", "--collect-only", "-q", "-k", "ca-pkce or mine")
    result.stdout.fnmatch_lines(["*SEEN 3"])


def test_a_failure_is_placed_in_the_metadata(pytester: pytest.Pytester) -> None:
    """What annotates a failure in a change finds file and line of the setting that is wrong."""
    written(
        pytester.path / "force-app",
        {"connectedApps/Feed.connectedApp-meta.xml": app("<isPkceRequired>false</isPkceRequired>")},
    )
    pytester.makeconftest(
        """
        def pytest_runtest_logreport(report):
            if report.failed:
                file, line, _ = report.location
                print("PLACE", file, line + 1, report.longrepr.reprcrash.lineno, report.longrepr.reprcrash.message[:17])
        """
    )
    result = pytester.runpytest("--sf-org=./force-app", "-s", "-k", "ca-pkce")
    name = os.path.join("force-app", "connectedApps", "Feed.connectedApp-meta.xml")  # noqa: PTH118  (as it is shown)
    result.stdout.fnmatch_lines([f"*PLACE {name} 3 3 critical 9.0-10.0"])


@pytest.mark.usefixtures("_uat")
@pytest.mark.parametrize(
    "given",
    [
        (SUITE,),
        (f"./{SUITE}",),
        ("{root}/" + SUITE,),
        (suite.__file__,),
        (f"{suite.__file__}::test_control[Price_Feed-ca-pkce]",),
        ("--pyargs", "pytest_oauthcontrols.suite"),
        ("--pyargs", "pytest_oauthcontrols"),
    ],
)
def test_the_suite_by_any_spelling_is_the_suite(pytester: pytest.Pytester, given: tuple[str, ...]) -> None:
    """By its id, its path or its module the suite has the ids that it always has, and runs once."""
    arguments = [argument.format(root=pytester.path) if "{root}" in argument else argument for argument in given]
    result = pytester.runpytest("--sf-org=./uat.json", *arguments, "-k", "Price_Feed-ca-pkce", "-v", "--sf-json=r.json")
    assert result.parseoutcomes()["failed"] == 1
    (row,) = json.loads((pytester.path / "r.json").read_bytes())["results"]
    assert row["node_id"] == CHOSEN


@pytest.mark.usefixtures("_uat")
@pytest.mark.parametrize(
    "given", ["tests/pytest_oauthcontrols/suite.py", "pytest_oauthcontrols/Suite.py", "pytest_oauthcontrols.suite"]
)
def test_a_misspelt_suite_is_an_error_that_spells_it(pytester: pytest.Pytester, given: str) -> None:
    """A path that is meant for the suite and leads nowhere is a usage error with the right spelling."""
    result = pytester.runpytest("--sf-org=./uat.json", given)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{given}: not found; the shipped suite is called {SUITE}"])


@pytest.mark.usefixtures("_uat")
@pytest.mark.parametrize(
    "option",
    [
        f"--ignore={SUITE}",
        "--ignore=pytest_oauthcontrols",
        "--ignore-glob=*oauthcontrols/suite.py",
        f"--deselect={SUITE}",
    ],
)
def test_the_suite_can_be_left_out(pytester: pytest.Pytester, option: str) -> None:
    """--ignore and --deselect leave the suite out, and the project's tests run."""
    pytester.makepyfile("def test_mine():\n    pass\n")
    result = pytester.runpytest("--sf-org=./uat.json", option)
    assert result.parseoutcomes()["passed"] == 1
    assert "failed" not in result.parseoutcomes()


# What was asked for and did not happen


@pytest.mark.usefixtures("_uat")
@pytest.mark.parametrize(
    "asked", ["--sf-fail-on=high", "--sf-json=r.json", "--sf-markdown=r.md", "--sf-baseline=before.json"]
)
@pytest.mark.parametrize("how", ["addopts", "path", "skip"])
def test_an_assessment_that_did_not_happen_is_no_success(pytester: pytest.Pytester, asked: str, how: str) -> None:
    """Where an org was read, something was asked about it and no check ran, the run says so and what to do."""
    if "before" in asked:
        pytester.runpytest("--sf-org=./uat.json", "--sf-json=before.json")
    pytester.makepyfile(test_mine="def test_mine():\n    pass\n")
    pytester.makeini("[pytest]\naddopts = test_mine.py\n" if how == "addopts" else "[pytest]\n")
    if how == "skip":
        pytester.makeconftest(
            "import pytest\n\ndef pytest_collection_modifyitems(items):\n"
            "    for item in items:\n        item.add_marker(pytest.mark.skip(reason='needs --run-integration'))\n"
        )
    result = pytester.runpytest("--sf-org=./uat.json", asked, *([] if how != "path" else ["."]))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    option = asked.partition("=")[0]
    remedy = "let them run, or leave out --sf-org" if how == "skip" else f"add {SUITE} to the paths"
    result.stderr.fnmatch_lines([f"*{option} asked for an assessment, but none of * checks has a result (*): {remedy}"])


@pytest.mark.usefixtures("_uat")
def test_tests_of_a_project_may_run_alone(pytester: pytest.Pytester) -> None:
    """Nothing was asked about the org, so a run of the project's tests is a success; the summary says what it lacks."""
    pytester.makepyfile(test_mine="def test_mine(app):\n    pass\n")
    result = pytester.runpytest("--sf-org=./uat.json", "test_mine.py")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["partial: 0 of * checks have a result", "  * not collected"])


@pytest.mark.parametrize(
    "option",
    [
        "--sf-fail-on=high",
        "--sf-severity=context",
        "--sf-show-identities",
        "--sf-no-waivers",
        "--sf-timeout=5",
        "--sf-json=r.json",
        "--sf-config=c.yaml",
        "--sf-select=core",
    ],
)
def test_options_need_an_org(pytester: pytest.Pytester, option: str) -> None:
    """An option about an assessment without an org to assess is a usage error, and not a run that looks assessed."""
    pytester.makepyfile("def test_mine():\n    pass\n")
    result = pytester.runpytest(option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = option.partition("=")[0]
    result.stderr.fnmatch_lines([f"ERROR: {name} needs --sf-org, which says what to assess"])


@pytest.mark.usefixtures("_uat")
@pytest.mark.parametrize("below", [False, True])
def test_a_project_can_say_once_what_to_assess(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, below: bool
) -> None:
    """`sf_org` and `sf_config` of pytest's configuration are used where no option is given, from any folder."""
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        sf_org = ["./uat.json"]
        sf_config = "audit/settings.yaml"
        """
    )
    written(pytester.path, {"audit/settings.yaml": b"gate: never\n"})
    (pytester.path / "below").mkdir()
    if below:
        monkeypatch.chdir(pytester.path / "below")
    result = pytester.runpytest("--rootdir", str(pytester.path), "-k", "Price_Feed-ca-pkce")
    assert result.parseoutcomes()["xfailed"] == 1
    listed = pytester.runpytest("--rootdir", str(pytester.path), "--sf-controls")
    assert listed.ret == pytest.ExitCode.OK
    other = pytester.runpytest("--rootdir", str(pytester.path), "--sf-org=demo", "-k", "Nightly_ETL-ca-pkce")
    assert other.parseoutcomes()["xfailed"] == 1


@pytest.mark.usefixtures("_uat")
def test_pytest_without_its_plugin_for_skipping(pytester: pytest.Pytester) -> None:
    """`-p no:skipping` is no internal error."""
    result = pytester.runpytest("--sf-org=./uat.json", "-p", "no:skipping", "-k", "ca-pkce")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes()["failed"] == 1


# The plugins themselves


@pytest.mark.network
@pytest.mark.slow
def test_beside_the_plugins_that_people_have(tmp_path: Path) -> None:
    """With the plugins for web apps, behaviour, asyncio, timeouts, repeats and soft assertions all agrees."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    plugins = ["flask", "bdd", "asyncio", "timeout", "repeat", "rerunfailures", "check", "xdist"]
    packages = [str(PROJECT), *(f"pytest-{plugin}" for plugin in plugins), "allure-pytest"]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True, capture_output=True)
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n", "utf-8")
    (tmp_path / "test_acme.py").write_text(
        dedent(
            """
            import asyncio
            import time

            import pytest

            MARK = {"severity": "high", "name": "Ours", "remediation": "Do as we say."}

            @pytest.mark.asyncio
            @pytest.mark.control("acme-async", **MARK)
            async def test_async(sf_app):
                await asyncio.sleep(0)
                assert sf_app.callback_urls is not None

            @pytest.mark.control("acme-soft", **MARK)
            def test_soft(sf_app, check):
                with check:
                    assert not sf_app.callback_urls, "There is one."

            @pytest.mark.timeout(0.2)
            @pytest.mark.control("acme-slow", **MARK)
            def test_slow(sf_app):
                time.sleep(1)
            """
        ),
        "utf-8",
    )
    for workers in ("-n0", "-n2"):
        command = [str(python), "-m", "pytest", "--sf-org=demo", "--sf-json=r.json", "-q", "--tb=no", workers]
        command += [SUITE, "test_acme.py", "-k", "Nightly_ETL-ca-pkce or Nightly_ETL-acme"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
        document = json.loads((tmp_path / "r.json").read_bytes())
        assert {row["control"]: row["verdict"] for row in document["results"]} == {
            "ca-pkce": "fail",
            "acme-async": "pass",
            "acme-soft": "fail",
        }
        (gap,) = [gap for gap in document["checks"]["without_result"] if gap["why"] == "error"]
        assert "Timeout" in gap["reason"]
