"""What pytest loads: options, markers and fixtures.

Nothing heavier than pytest is imported here: everything else is only where `--sf-org` or `--sf-controls` asks for it.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_oauthcontrols.orgs.model import App, Org
    from pytest_oauthcontrols.rules.catalogue import Control

_MARKERS = (
    "control(id, severity, cvss, name, remediation, ...): what the test is a case of, or states (pytest-oauthcontrols)",
    *(
        f"cvss_{severity}: a case of a control whose published severity is {severity}"
        for severity in ("critical", "high", "medium", "low")
    ),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("oauthcontrols", "OAuth controls of Salesforce orgs")
    group.addoption(
        "--sf-org",
        action="append",
        default=[],
        metavar="ORG",
        help="assess this org: a name that oauthcontrols.yaml or the Salesforce CLI knows, the path of a folder or .zip"
        " of metadata or of a snapshot (.json), 'env' for the access token in the environment, or 'demo' for the sample"
        " org; repeat for several orgs",
    )
    group.addoption(
        "--sf-config",
        metavar="FILE",
        help="how to log in to orgs, and what is to be known of their apps"
        " (default: oauthcontrols.yaml in the current folder, else in the root directory)",
    )
    group.addoption(
        "--sf-timeout",
        type=_seconds,
        default=300,
        metavar="SECONDS",
        help="how long the reading of an org may take (default: 300)",
    )
    group.addoption("--sf-snapshot", metavar="DIR", help="keep what was read in this folder, a file for each org")
    for option, report in _REPORTS.items():
        group.addoption(option, metavar="FILE", help=report)
    group.addoption(
        "--sf-fail-on",
        choices=("critical", "high", "medium", "low", "never"),
        help="the least severity that fails the run; what is below is reported and xfailed (default: 'gate' in the"
        " configuration, else low)",
    )
    group.addoption(
        "--sf-severity",
        choices=("published", "context"),
        help="whether the gate goes by the published severity, or by that of the score in context (default: 'gate' in"
        " the configuration, else published)",
    )
    for option, what in (("--sf-select", "assess only"), ("--sf-ignore", "leave out")):
        group.addoption(
            option,
            action="append",
            metavar="CONTROL",
            help=f"{what} these controls: an id, a shell pattern for ids, or a framework (core, shr, sbs, own); repeat"
            " it, or put commas between several",
        )
    group.addoption("--sf-no-waivers", action="store_true", help="ignore the waivers of the configuration")
    group.addoption(
        "--sf-baseline", metavar="FILE", help="say what is new, persists or is fixed since this earlier --sf-json"
    )
    group.addoption("--sf-new-only", action="store_true", help="let only what is new since the baseline fail the run")
    group.addoption("--sf-show-identities", action="store_true", help="show users' names, which are masked otherwise")
    group.addoption(
        "--sf-controls", action="store_true", help="show the catalogue of controls, as the project has it, and exit"
    )


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the hooks that other plugins and conftest files can implement."""
    from pytest_oauthcontrols.pytest_hooks import hookspecs

    pluginmanager.add_hookspecs(hookspecs)


def _seconds(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _LONGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds from 1 to {_LONGEST}")
    return int(text)


_LONGEST = 24 * 60 * 60


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers and, where an org is to be assessed, everything that assesses it."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    if config.option.sf_org:
        _activate(config)
    else:
        given = [name for name in _NEED_ORG if getattr(config.option, name.lstrip("-").replace("-", "_"))]
        if given:
            raise pytest.UsageError(f"{given[0]} needs --sf-org, which says what is to be assessed")
    if config.option.sf_new_only and not config.option.sf_baseline:
        raise pytest.UsageError("--sf-new-only needs --sf-baseline, which says what is not new")


_REPORTS = {
    "--sf-json": "write every result to this file",
    "--sf-report": "write the auditor's page, HTML in one file",
    "--sf-sarif": "write the findings as SARIF, for code scanning",
    "--sf-csv": "write the findings as a plan of action, for spreadsheets",
    "--sf-markdown": "write a summary as Markdown",
}
"""Option of each report to what it does."""

_NEED_ORG = (
    *_REPORTS,
    *("--sf-config", "--sf-snapshot", "--sf-select", "--sf-ignore"),
    *("--sf-baseline", "--sf-new-only", "--sf-no-waivers"),
)


def _activate(config: pytest.Config) -> None:
    from pytest_oauthcontrols.pytest_hooks.reading import Reading
    from pytest_oauthcontrols.pytest_hooks.suite_items import Collection
    from pytest_oauthcontrols.pytest_hooks.user_tests import OwnTests

    config.pluginmanager.register(Reading(config), "oauthcontrols-reading")
    config.pluginmanager.register(Collection(config), "oauthcontrols-collection")
    config.pluginmanager.register(OwnTests(config), "oauthcontrols-own-tests")
    if hasattr(config, "workerinput"):
        return
    from pytest_oauthcontrols.pytest_hooks.reporter import Reporter

    reporter = Reporter(config)
    config.pluginmanager.register(reporter, "oauthcontrols-reporter")
    if config.getoption("htmlpath", None):
        from pytest_oauthcontrols.pytest_hooks.html_rows import HtmlReport

        config.pluginmanager.register(HtmlReport(reporter), "oauthcontrols-html")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Show the catalogue instead of running tests, where that is asked for."""
    if not config.option.sf_controls:
        return None
    from pytest_oauthcontrols.pytest_hooks.project import catalogue_of
    from pytest_oauthcontrols.reports.listing import show

    show(catalogue_of(config))
    return int(pytest.ExitCode.OK)


@pytest.fixture(scope="session")
def org(_oauth_org: Org) -> Org:
    """The Salesforce org under test: its name, settings and apps. A test that takes it runs once per --sf-org."""
    return _oauth_org


@pytest.fixture(scope="session")
def app(_oauth_app: App) -> App:
    """A connected app or external client app of the org. A test that takes it runs once per app."""
    return _oauth_app


@pytest.fixture(scope="session")
def control(_oauth_control: Control) -> Control:
    """A control of the catalogue. A test that takes it runs once per control, with `app` once per app and control."""
    return _oauth_control


# The parameters are put on these, so that a project's own fixture called `app` or `org` is left alone.


@pytest.fixture(scope="session")
def _oauth_org(request: pytest.FixtureRequest) -> Any:
    return _parameter(request)


@pytest.fixture(scope="session")
def _oauth_app(request: pytest.FixtureRequest) -> Any:
    return _parameter(request)


@pytest.fixture(scope="session")
def _oauth_control(request: pytest.FixtureRequest) -> Any:
    return _parameter(request)


def _parameter(request: pytest.FixtureRequest) -> Any:
    if not hasattr(request, "param"):
        pytest.skip("needs a Salesforce org: give --sf-org")
    return request.param
