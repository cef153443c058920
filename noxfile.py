"""What has to hold: `nox` runs what a change has to pass.

Sessions that only look at the checkout run in the environment that nox is in, which CONTRIBUTING.md sets up; the others
make environments of their own.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
PYTESTS = ["8.0.0", "newest"]

ON_ALL_CORES = ("-n", "auto", "--dist", "worksteal")
QUICK = "not slow and not network and not browser"
MEASURED = f"live or ({QUICK})"

nox.options.sessions = ["lint", "types", "coverage", "dist", "demo"]
# Here a Python that is not installed is skipped, and said so; CI asks for the ones that must be there.
nox.options.error_on_missing_interpreters = False


def run_here(session: nox.Session, *command: str) -> None:
    """Run a Python module in the environment that nox is in."""
    session.run(sys.executable, "-m", *command, external=True)


def install(session: nox.Session, pytest: str, *packages: str) -> None:
    """Install packages beside a version of pytest and the newest of what extends it."""
    version = "" if pytest == "newest" else f"=={pytest}"
    session.install("--upgrade", f"pytest{version}", "pytest-html", *packages)


@nox.session(python=False)
def lint(session: nox.Session) -> None:
    """Check the style of all files."""
    run_here(session, "ruff", "check")
    run_here(session, "ruff", "format", "--check")


@nox.session(python=False)
def types(session: nox.Session) -> None:
    """Check all types."""
    run_here(session, "mypy")


@nox.session(python=False)
def generate(session: nox.Session) -> None:
    """Write everything that is generated: the table of controls, and the schema of oauthcontrols.yaml."""
    run_here(session, "tests.support.generated")


@nox.session(python=False)
def quick(session: nox.Session) -> None:
    """Run the tests that take no time, no network and no browser."""
    run_here(session, "pytest", *ON_ALL_CORES, "-m", QUICK, *session.posargs)


@nox.session(python=False)
def coverage(session: nox.Session) -> None:
    """Run all tests, and say which lines and branches are reached by none that are quick, or of live orgs.

    The others go through whole runs once more, in other ways. Measured they would take half as long again; what they
    alone reach counts as not reached.
    """
    run_here(session, "coverage", "erase")
    run_here(session, "coverage", "run", "-m", "pytest", *ON_ALL_CORES, "-m", MEASURED, *session.posargs)
    run_here(session, "pytest", *ON_ALL_CORES, "-m", f"not ({MEASURED})", *session.posargs)
    run_here(session, "coverage", "combine", "--quiet")
    run_here(session, "coverage", "report")


@nox.session
def dist(session: nox.Session) -> None:
    """Build what a release consists of, into dist, and see whether the package index would take it."""
    session.install("build", "twine")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build")
    session.run("twine", "check", "--strict", *map(str, Path("dist").iterdir()))


@nox.session(python=PYTHONS)
@nox.parametrize("pytest", PYTESTS)
def tests(session: nox.Session, pytest: str) -> None:
    """Run the tests."""
    install(session, pytest, "-e", ".[dev]")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS)
def demo(session: nox.Session) -> None:
    """Assess the sample org as somebody would who installed no more than the package.

    With each pytest, and then again where xdist is installed too. The sample org has findings, hence the 1.
    """
    command = ["pytest", "-W", "error", "-q", "--tb=no", "-rN", "--sf-org=demo"]
    reports = ["--html=report.html", "--junitxml=report.xml"]
    session.install(".")
    for workers in ([], ["-n2"]):
        if workers:
            session.install("pytest-xdist")
        for pytest in PYTESTS:
            install(session, pytest)
            with session.chdir(session.create_tmp()):
                session.run(*command, *reports, *workers, success_codes=[1])
