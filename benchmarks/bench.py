"""Ratios that show what the plugin costs.

Each compares two things in one run, taking turns, so that the machine's mood cancels out.

    python benchmarks/bench.py [--rounds 5] [--only collect_and_run]

Prints a line per ratio with its median, its goal and whether it is met. Never a test: machines differ.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import multiprocessing
import multiprocessing.connection
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path

from lxml import etree

from pytest_oauthcontrols.config.credentials import AccessToken
from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.evaluation import evaluate, subjects
from pytest_oauthcontrols.sources.assembly import Origin, now
from pytest_oauthcontrols.sources.directory import read_directory
from pytest_oauthcontrols.sources.live import metadata_api
from pytest_oauthcontrols.sources.live.connection import Connection
from pytest_oauthcontrols.sources.live.read import read_org
from pytest_oauthcontrols.sources.parallel import Patience

HERE = Path(__file__).parent
DEMO = Path(str(files("pytest_oauthcontrols"))) / "demo"


def write_org(folder: Path, template: str, apps: int) -> Path:
    """Write an org of `apps` connected apps, all like one app of the demo org."""
    text = (DEMO / "connectedApps" / f"{template}.connectedApp-meta.xml").read_text("utf-8")
    target = folder / "connectedApps"
    target.mkdir(parents=True)
    for number in range(apps):
        (target / f"App_{number:05}.connectedApp-meta.xml").write_text(text, "utf-8")
    return folder


def read(folder: Path) -> Org:
    """Read an org from a folder."""
    return read_directory(folder, Origin("bench", "directory", str(folder), now()))


@cache
def passing_controls(template: str) -> tuple[str, ...]:
    """Return the ids of the controls that an app of the demo org passes."""
    with tempfile.TemporaryDirectory() as folder:
        assessment = Assessment((read(write_org(Path(folder), template, 1)),), load())
        return tuple(
            check.control.id
            for check in assessment.checks
            if check.app and evaluate(check.control, check.app, check.org).verdict is Verdict.PASS
        )


PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def pytest_cpu(folder: Path, *args: str, conftest: str = "") -> float:
    """Return the CPU seconds from the start of collection to the end of pytest's summary."""
    return probed("cpu", folder, *args, conftest=conftest)


def pytest_memory(folder: Path, *args: str, conftest: str = "") -> float:
    """Return the most bytes that are held at once from the start of collection to the end of pytest's summary."""
    return probed("memory", folder, *args, conftest=conftest)


def probed(probe: str, folder: Path, *args: str, conftest: str) -> float:
    """Return what the probe writes down of a run."""
    (folder / "conftest.py").write_text(conftest, "utf-8")
    spent = folder / "spent.json"
    path = os.pathsep.join((str(HERE), os.environ.get("PYTHONPATH", "")))
    env = {**os.environ, "OAUTHCONTROLS_PROBE": probe, "OAUTHCONTROLS_SPENT": str(spent), "PYTHONPATH": path}
    subprocess.run([*PYTEST, "-p", "probe", *args], cwd=folder, env=env, stdout=subprocess.DEVNULL, check=False)
    return float(json.loads(spent.read_text("utf-8")))


def whole_cpu(folder: Path, *args: str, conftest: str = "") -> float:
    """Return the CPU seconds of pytest and its workers, from start to exit."""
    (folder / "conftest.py").write_text(conftest, "utf-8")
    before = os.times()
    subprocess.run([*PYTEST, *args], cwd=folder, stdout=subprocess.DEVNULL, check=False)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


# Leaves the suite only the controls that are wanted, so that both sides run the same number of cases.
CONFTEST = """
import dataclasses
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key

WANTED = {wanted!r}

def pytest_collection(session):
    assessment = session.config.stash[assessment_key]
    controls = tuple(control for control in assessment.catalogue.controls if control.id in WANTED)
    catalogue = dataclasses.replace(assessment.catalogue, controls=controls)
    session.config.stash[assessment_key] = dataclasses.replace(assessment, catalogue=catalogue)
"""

BARE = """
import pytest

CASES = [
    pytest.param(app, control, id=f"App_{{app:05}}-control_{{control}}")
    for app in range({apps})
    for control in range({controls})
]

@pytest.mark.parametrize(("app", "control"), CASES)
def test_control(app, control):
    {body}
"""


def suite_and_bare(
    count: int, failing: bool, measure: Callable[..., float] = pytest_cpu, *args: str
) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what runs the shipped suite and what runs as many bare tests; a quarter of failing runs fails."""
    template = "Warehouse_Sync"
    controls = passing_controls(template)
    # The four that fail stand first, sixteen in all.
    controls = tuple(sorted(controls, key=lambda one: one not in FAILING)[:CONTROLS])
    apps = count // CONTROLS
    root = Path(tempfile.mkdtemp())
    org = write_org(root / "org", template, apps)
    if failing:
        for path in (org / "connectedApps").iterdir():
            text = path.read_text("utf-8")
            for name in SWITCHES:
                text = text.replace(f"<{name}>true", f"<{name}>false")
            path.write_text(text, "utf-8")
    suite, bare = root / "suite", root / "bare"
    suite.mkdir()
    bare.mkdir()
    body = "assert control % 4" if failing else "pass"
    (bare / "test_bare.py").write_text(BARE.format(apps=apps, controls=CONTROLS, body=body), "utf-8")
    conftest = CONFTEST.format(wanted=set(controls))
    return (
        lambda: measure(suite, f"--sf-org={org}", *args, conftest=conftest),
        lambda: measure(bare, "-p", "no:oauthcontrols", *args),
    )


CONTROLS = 16
SWITCHES = ("isPkceRequired", "isRefreshTokenRotationEnabled", "isSecretRequiredForRefreshToken")
FAILING = ("ca-pkce", "ca-refresh-token-rotation", "ca-secret-refresh-token", "ca-code-credentials")
"""The controls that fail with the switches off."""


def write_demo(folder: Path, copies: int) -> Path:
    """Write the apps of the demo org several times over, and its settings once."""
    for path in DEMO.rglob("*.xml"):
        text = path.read_text("utf-8")
        target = folder / path.parent.name
        target.mkdir(exist_ok=True)
        if path.parent.name == "settings":
            (target / path.name).write_text(text, "utf-8")
            continue
        stem, _, suffix = path.name.partition(".")
        for number in range(copies):
            own = re.sub(r"(<(externalClientApplication|connectedApp)>)([^<]*)", rf"\g<1>\g<3>_{number:03}", text)
            (target / f"{stem}_{number:03}.{suffix}").write_text(own, "utf-8")
    return folder


def parse_and_evaluate() -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what reads and assesses 1,008 apps, and what reads the same files with lxml alone."""
    folder = write_demo(Path(tempfile.mkdtemp()), 84)
    catalogue = load()

    def ours() -> float:
        gc.collect()  # what the rounds before have left is not part of this one
        start = time.process_time()
        org = read(folder)
        for app, control in subjects(org, catalogue):
            evaluate(control, app, org)
        return time.process_time() - start

    def lxml_alone() -> float:
        gc.collect()
        start = time.process_time()
        for path in sorted(folder.rglob("*.xml")):
            for element in etree.fromstring(path.read_bytes()).iter():
                _ = element.tag, element.text, element.sourceline
        return time.process_time() - start

    return (lambda: min(ours() for _ in range(5))), (lambda: min(lxml_alone() for _ in range(5)))


def unused() -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what runs a trivial test with the plugin installed and unused, and what runs it without."""
    folder = Path(tempfile.mkdtemp())
    (folder / "test_trivial.py").write_text("def test_trivial():\n    pass\n", "utf-8")

    def run(*args: str) -> float:
        start = time.perf_counter()
        subprocess.run(
            [*PYTEST, *args],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - start

    return run, lambda: run("-p", "no:oauthcontrols")


def serve(end: multiprocessing.connection.Connection) -> None:
    """Emulate an org of 1,008 apps in a process of its own, and send how to reach it."""
    sys.path.insert(0, str(HERE.parent))
    from tests.support.salesforce import FakeOrg, emulator, mdapi_files

    content = mdapi_files(write_demo(Path(tempfile.mkdtemp()), 84))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with emulator() as salesforce:
        org = salesforce.add(FakeOrg(files=content, archive=packed.getvalue()))
        token = AccessToken(access_token=org.token, instance_url=f"https://{org.my_domain}")
        end.send((salesforce.environment, token))
        threading.Event().wait()


def live() -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what reads 1,008 apps of an emulated org, and what only downloads and unpacks the same archive.

    Neither waits for the org to put the archive together.
    """
    metadata_api.FIRST_POLL = 0.001
    ours_end, its_end = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=serve, args=(its_end,), daemon=True).start()
    environment, token = ours_end.recv()
    os.environ.update(environment)

    def ours() -> float:
        gc.collect()
        start = time.perf_counter()
        assert len(read_org("bench", token, Patience(60), lambda doing: None).apps) == 84 * 12
        return time.perf_counter() - start

    def download() -> float:
        gc.collect()
        start = time.perf_counter()
        connection = Connection(token, Patience(60))
        with zipfile.ZipFile(io.BytesIO(metadata_api.retrieve(connection, lambda: None).archive)) as archive:
            for member in archive.infolist():
                archive.read(member)
        return time.perf_counter() - start

    return (lambda: min(ours() for _ in range(5))), (lambda: min(download() for _ in range(5)))


def suite_against_itself(failing: bool) -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what runs 40,000 cases and what runs 10,000."""
    return suite_and_bare(40_000, failing)[0], suite_and_bare(10_000, failing)[0]


def orgs_together() -> tuple[Callable[[], float], Callable[[], float]]:
    """Return what assesses five orgs of 60 apps in one run, and what assesses each in a run of its own."""
    root = Path(tempfile.mkdtemp())
    orgs = [f"--sf-org={root / f'org_{number}'}" for number in range(5)]
    for org in orgs:
        folder = Path(org.removeprefix("--sf-org="))
        folder.mkdir()
        write_demo(folder, 5)
    run = root / "run"
    run.mkdir()
    return (lambda: whole_cpu(run, *orgs)), (lambda: sum(whole_cpu(run, org) for org in orgs))


RATIOS: dict[str, tuple[str, float, Callable[[], tuple[Callable[[], float], Callable[[], float]]], int]] = {
    "collect_and_run": (
        "10,000 passing cases against bare tests",
        0.9,
        lambda: suite_and_bare(10_000, failing=False),
        1,
    ),
    "failing": (
        "10,000 cases, a quarter failing, against bare tests",
        0.40,
        lambda: suite_and_bare(10_000, failing=True),
        1,
    ),
    "memory": (
        "memory of 10,000 passing cases against bare tests",
        1.05,
        lambda: suite_and_bare(10_000, False, pytest_memory),
        1,
    ),
    "distributed": (
        "10,000 passing cases with -n 2 against bare tests with -n 2, all processes from start to exit",
        1.0,
        lambda: suite_and_bare(10_000, False, whole_cpu, "-n2"),
        1,
    ),
    "orgs": ("five orgs of 60 apps in one run against five runs, all from start to exit", 1.0, orgs_together, 1),
    "growth": ("40,000 passing cases against 10,000", 4.3, lambda: suite_against_itself(failing=False), 1),
    "growth_failing": (
        "40,000 cases, a quarter failing, against 10,000",
        4.3,
        lambda: suite_against_itself(failing=True),
        1,
    ),
    "evaluate": ("parsing and evaluating 1,008 apps against lxml alone", 2.5, parse_and_evaluate, 2),
    "live": ("reading 1,008 apps of an org against downloading and unpacking the same archive", 2.0, live, 2),
    "unused": ("a trivial test with the plugin unused against without it", 1.05, unused, 4),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=RATIOS, action="append")
    options = parser.parse_args()
    for name, (what, goal, build, times) in RATIOS.items():
        if options.only and name not in options.only:
            continue
        one, other = build()
        one(), other()
        ratios = [one() / other() for _ in range(options.rounds * times)]
        median = statistics.median(ratios)
        verdict = "met" if median <= goal else "MISSED"
        print(
            f"{name:16} {median:5.2f}  goal {goal:4.2f}  {verdict:6}  ({min(ratios):.2f} to {max(ratios):.2f})  {what}",
            flush=True,
        )


if __name__ == "__main__":
    main()
