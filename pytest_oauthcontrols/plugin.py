"""What pytest loads: options, markers and fixtures.

Nothing heavier than pytest is imported here: everything else is only where `--sf-org` or `--sf-controls` asks for it.
"""

from __future__ import annotations

import argparse
import os
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_oauthcontrols.reports import REPORTS

if TYPE_CHECKING:
    from pytest_oauthcontrols.orgs.model import App, Org
    from pytest_oauthcontrols.rules.control import Control

_MARKERS = (
    "control(id, severity, cvss, name, remediation, ...): the control that a test checks (pytest-oauthcontrols)",
    *(
        f"cvss_{severity}: checks a control whose published severity is {severity}"
        for severity in ("critical", "high", "medium", "low")
    ),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options, and what a project can set once in its pytest configuration."""
    group = parser.getgroup("oauthcontrols", "OAuth controls of Salesforce orgs")
    group.addoption(
        "--sf-org",
        action="append",
        default=[],
        metavar="ORG",
        help="assess this org: a name that oauthcontrols.yaml or the Salesforce CLI knows, the path of a folder or .zip"
        " of metadata or of a snapshot (.json), 'env' for the access token in the environment, or 'demo' for the sample"
        " org; repeat for several orgs (default: the ini option sf_org)",
    )
    group.addoption(
        "--sf-config",
        metavar="FILE",
        help="how to log in to orgs, and what is known about their apps (default: the ini option sf_config, else"
        " oauthcontrols.yaml in the current folder, else in the root directory)",
    )
    group.addoption(
        "--sf-timeout",
        type=_seconds,
        metavar="SECONDS",
        help="how long the reading of an org may take (default: 300)",
    )
    group.addoption("--sf-snapshot", metavar="DIR", help="keep what was read in this folder, a file for each org")
    for report in REPORTS:
        group.addoption(report.option, metavar="FILE", help=report.help)
    group.addoption(
        "--sf-fail-on",
        choices=("critical", "high", "medium", "low", "never"),
        help="the lowest severity that fails the run; findings below it are reported and xfailed (default: 'gate' in"
        " the configuration, else low)",
    )
    group.addoption(
        "--sf-severity",
        choices=("published", "context"),
        help="whether the gate goes by the published severity or by that of the score in context (default: 'gate' in"
        " the configuration, else published)",
    )
    for option, what in (("--sf-select", "assess only"), ("--sf-ignore", "leave out")):
        group.addoption(
            option,
            action="append",
            metavar="CONTROL",
            help=f"{what} these controls: an id, a shell pattern for ids, or a framework (core, shr, sbs, partner,"
            " analogy, rfc9700, own); repeat it, or put commas between several",
        )
    group.addoption("--sf-no-waivers", action="store_true", help="ignore the waivers of the configuration")
    group.addoption(
        "--sf-baseline", metavar="FILE", help="say what is new, persists or is fixed since this earlier --sf-json"
    )
    group.addoption("--sf-new-only", action="store_true", help="let only what is new since the baseline fail the run")
    group.addoption("--sf-show-identities", action="store_true", help="show users' names, which are masked otherwise")
    group.addoption(
        "--sf-controls",
        nargs="?",
        const="",
        metavar="CONTROL",
        help="show the catalogue of controls, as the project has it, or with --sf-controls=CONTROL one control in full,"
        " and exit",
    )
    parser.addini("sf_org", "the orgs to assess where --sf-org is not given, one per line", "linelist", [])
    parser.addini("sf_config", "the oauthcontrols.yaml to use where --sf-config is not given")


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that other plugins and conftest files can implement."""
    from pytest_oauthcontrols.pytest_hooks import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _LONGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of seconds from 1 to {_LONGEST}")
    return int(text)


_LONGEST = 24 * 60 * 60


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and, where an org is to be assessed, everything that assesses it."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    _fill_in(config)
    option = config.option
    if option.sf_org:
        _activate(config)
    elif not option.sf_controls:
        given = [name for name in _NEED_ORG if getattr(option, name.lstrip("-").replace("-", "_"))]
        if given:
            raise pytest.UsageError(f"{given[0]} needs --sf-org, which says what to assess")
    if option.sf_new_only and not option.sf_baseline:
        raise pytest.UsageError("--sf-new-only needs --sf-baseline, which says what is not new")


_NEED_ORG = (
    *(report.option for report in REPORTS),
    "--sf-config",
    "--sf-timeout",
    "--sf-snapshot",
    "--sf-fail-on",
    "--sf-severity",
    "--sf-select",
    "--sf-ignore",
    "--sf-no-waivers",
    "--sf-baseline",
    "--sf-new-only",
    "--sf-show-identities",
)


def _fill_in(config: pytest.Config) -> None:
    """Take from pytest's configuration what no option says."""
    option = config.option
    if not option.sf_org:
        option.sf_org = [_from_ini(config, value) for value in config.getini("sf_org")]
    if option.sf_config is None and (option.sf_org or option.sf_controls is not None) and config.getini("sf_config"):
        option.sf_config = _relative(config, config.getini("sf_config"))


def _from_ini(config: pytest.Config, value: str) -> str:
    """Return a value as an option would give it: a path is relative to the file that says it, not to where we are."""
    return _relative(config, value) if value.startswith(("./", "../", ".\\", "..\\")) or value == "." else value


def _relative(config: pytest.Config, path: str) -> str:
    """Return a path that is relative to pytest's configuration file as one that is relative to the current folder."""
    folder = config.rootpath if config.inipath is None else config.inipath.parent
    full = folder / path
    try:
        relative = os.path.relpath(full, config.invocation_params.dir)
    except ValueError:  # on another drive of Windows
        return str(full)
    return relative if relative.startswith(".") else f"./{relative}"


def _activate(config: pytest.Config) -> None:
    from pytest_oauthcontrols.pytest_hooks.collected import Collected
    from pytest_oauthcontrols.pytest_hooks.outcome import Outcome
    from pytest_oauthcontrols.pytest_hooks.reading import Reading
    from pytest_oauthcontrols.pytest_hooks.suite_items import Collection
    from pytest_oauthcontrols.pytest_hooks.user_tests import UserTests

    collected = Collected(config)
    register = config.pluginmanager.register
    register(Reading(config), "oauthcontrols-reading")
    register(collected, "oauthcontrols-collected")
    register(Collection(config), "oauthcontrols-collection")
    register(UserTests(config, collected), "oauthcontrols-user-tests")
    register(Outcome(config), "oauthcontrols-outcome")
    if hasattr(config, "workerinput"):
        return
    from pytest_oauthcontrols.pytest_hooks.reporter import Reporter

    reporter = Reporter(config, collected)
    register(reporter, "oauthcontrols-reporter")
    if config.getoption("htmlpath", None):
        from pytest_oauthcontrols.pytest_hooks.html_rows import HtmlReport

        register(HtmlReport(reporter), "oauthcontrols-html")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Show the catalogue instead of running tests, where that is asked for."""
    if config.option.sf_controls is None:
        return None
    from pytest_oauthcontrols.pytest_hooks.project import catalogue_of
    from pytest_oauthcontrols.reports.listing import show, show_one
    from pytest_oauthcontrols.text import suggestion

    _fill_in(config)
    catalogue, asked = catalogue_of(config), config.option.sf_controls
    controls = {control.id: control for control in catalogue.controls}
    if not asked:
        show(catalogue)
    elif asked in controls:
        show_one(catalogue, controls[asked])
    else:
        raise pytest.UsageError(f"--sf-controls: there is no control '{asked}'{suggestion(asked, controls)}")
    return int(pytest.ExitCode.OK)


@pytest.fixture(scope="session")
def sf_org(request: pytest.FixtureRequest) -> Org:
    """The Salesforce org under test: its name, settings and apps. A test that takes it runs once per --sf-org."""
    return cast("Org", _parameter(request))


@pytest.fixture(scope="session")
def sf_app(request: pytest.FixtureRequest) -> App:
    """A connected app or external client app of the org. A test that takes it runs once per app."""
    return cast("App", _parameter(request))


@pytest.fixture(scope="session")
def sf_control(request: pytest.FixtureRequest) -> Control:
    """A control of the catalogue. A test that takes it runs once per control, with `app` once per app and control."""
    return cast("Control", _parameter(request))


def _parameter(request: pytest.FixtureRequest) -> Any:
    """Return what the running test was parametrized with; without an org the test is skipped."""
    if hasattr(request, "param"):
        return request.param
    if not request.config.option.sf_org:
        pytest.skip("needs a Salesforce org: give --sf-org")
    from pytest_oauthcontrols.pytest_hooks.reading import only_org

    return only_org(request)


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Offer the fixtures under short names, but for those that another plugin has taken.

    Fixtures of conftest files and test modules go before those of plugins anyway; of plugins the last one would win.
    """

    @pytest.fixture(scope="session")
    def org(sf_org: Org) -> Org:
        """The Salesforce org under test, as `sf_org`; not there where a project or another plugin has an `org`."""
        return sf_org

    @pytest.fixture(scope="session")
    def app(sf_app: App) -> App:
        """A connected app or external client app, as `sf_app`; not there where somebody else has an `app`."""
        return sf_app

    @pytest.fixture(scope="session")
    def control(sf_control: Control) -> Control:
        """A control of the catalogue, as `sf_control`; not there where somebody else has a `control`."""
        return sf_control

    root: Any = session if pytest.version_tuple >= (8, 1) else session.nodeid
    holder = ModuleType("pytest_oauthcontrols.short_names")
    for name, fixture in (("org", org), ("app", app), ("control", control)):
        if not session._fixturemanager.getfixturedefs(name, root):  # noqa: SLF001  (pytest has no public look-up)
            setattr(holder, name, fixture)
    session.config.pluginmanager.register(holder, "oauthcontrols-short-names")
