"""What has to hold, in environments made for it.

`nox` runs what a change has to pass, `nox -s tests` the tests under each Python, with the oldest pytest and the newest.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]
PYTESTS = ["8.0.0", "newest"]

nox.options.sessions = ["lint", "types", "coverage", "dist", "demo"]
# Here a Python that is not installed is skipped, and said so; CI asks for the ones that must be there.
nox.options.error_on_missing_interpreters = False


def install(session: nox.Session, pytest: str, *packages: str) -> None:
    """Install packages beside a version of pytest and the newest of what extends it."""
    version = "" if pytest == "newest" else f"=={pytest}"
    session.install("--upgrade", f"pytest{version}", "pytest-html", *packages)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style of all files."""
    session.install("-e", ".[dev]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Check all types."""
    session.install("-e", ".[dev]")
    session.run("mypy")


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests, and say which lines and branches none of them reached."""
    session.install("-e", ".[dev]")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or ["-n", "auto"]))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


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
@nox.parametrize("xdist", [False, True])
@nox.parametrize("pytest", PYTESTS)
def demo(session: nox.Session, pytest: str, xdist: bool) -> None:
    """Assess the sample org as somebody would who installed no more than the package; it has findings, hence the 1."""
    install(session, pytest, ".", *(["pytest-xdist"] if xdist else []))
    command = ["pytest", "-W", "error", "-q", "--tb=no", "-rN", "--sf-org=demo", *(["-n2"] if xdist else [])]
    with session.chdir(session.create_tmp()):
        session.run(*command, "--html=report.html", "--junitxml=report.xml", success_codes=[1])
