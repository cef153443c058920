"""JUnit XML of a run: valid against the schema of xunit2 that pytest tests its own reports with."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest
from lxml import etree

from .support import sample_org
from .support.baselines import IS, NEW_ONLY, WAS, found_before
from .support.configurations import ACCEPTED, ATTESTED, configure
from .support.metadata_files import DEMO_FILES, app
from .support.orgs import ORG_ID, kept
from .support.runs import WORKERS

# The schema of JUnit XML comes with the sources of pytest.
pytestmark = pytest.mark.network

SCHEMA = "testing/example_scripts/junit-10.xsd"
"""Where the schema is in the source distribution of pytest; the installed package has it not."""

HOSTILE = "]]><failure>&amp;<img src=x onerror=alert(1)>\x1b[31m\x9b\u202e\ufffe"


def source_distribution(folder: Path) -> Path | str:
    """Return the source distribution of the pytest that is installed, or why there is none to be had."""
    name = f"pytest-{version('pytest')}.tar.gz"
    if not (folder / name).exists():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
        command += [f"--dest={folder}", f"pytest=={version('pytest')}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
        if done.returncode:
            return done.stderr
    return folder / name


@pytest.fixture(scope="session")
def schema(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The schema, from the package registry; where that is out of reach, CI alone must not go without it."""
    cache = request.config.cache if hasattr(request.config, "cache") else None
    folder = tmp_path_factory.mktemp("pytest-sources") if cache is None else cache.mkdir("pytest-sources")
    found = source_distribution(folder)
    if isinstance(found, str):
        if "CI" in os.environ:
            pytest.fail(f"the source distribution of pytest cannot be had: {found}")
        pytest.skip("the source distribution of pytest cannot be had: no package registry?")
    with tarfile.open(found) as archive:
        content = archive.extractfile(f"pytest-{version('pytest')}/{SCHEMA}")
        assert content is not None
        return etree.XMLSchema(etree.fromstring(content.read()))


def report(pytester: pytest.Pytester, *arguments: str) -> etree._ElementTree:
    """Run with JUnit XML and return the report."""
    result = pytester.runpytest("--junitxml=report.xml", "-p", "no:cacheprovider", *arguments)
    assert int(result.ret) in (0, 1, 2), result.stderr.str()
    return etree.parse(pytester.path / "report.xml")


def properties(element: etree._Element) -> dict[str, str]:
    """Return the properties of a case, or of the suite itself."""
    return {str(one.get("name")): str(one.get("value")) for one in element.iterfind("properties/property")}


def validate(tree: etree._ElementTree, schema: etree.XMLSchema) -> None:
    """Check a report; properties, which the schema has of suites only, are checked each for itself.

    pytest says of the properties of cases that they are beyond the schema, whoever records them.
    """
    cases = list(tree.iter("testcase"))
    assert cases
    for case in cases:
        (held,) = case.findall("properties")
        assert case[0] is held
        case.remove(held)
        schema.assertValid(held)
    schema.assertValid(tree)


@pytest.mark.parametrize("workers", WORKERS)
def test_report_is_valid(pytester: pytest.Pytester, schema: etree.XMLSchema, workers: str) -> None:
    """The report of the sample org is valid, and has the counts of the suite and properties of every case."""
    tree = report(pytester, "--sf-org=demo", workers)
    (suite,) = tree.iter("testsuite")
    cases = list(suite.iter("testcase"))
    assert int(str(suite.get("tests"))) == len(cases) == sample_org.CASES
    assert int(str(suite.get("failures"))) == len(list(suite.iter("failure")))
    failing = [case for case in cases if properties(case)["verdict"] in ("fail", "unverifiable")]
    assert len(failing) == len(list(suite.iter("failure"))) > sample_org.APPS
    assert all(properties(case).keys() >= {"control", "verdict", "severity", "cvss", "org"} for case in cases)
    total = str(sample_org.CASES)
    assert properties(suite) == {"oauthcontrols.checks": total, "oauthcontrols.checks_with_result": total}
    validate(tree, schema)


@pytest.mark.slow
def test_decisions_are_valid(pytester: pytest.Pytester, schema: etree.XMLSchema) -> None:
    """So is one with waivers in force and expired, attestations, a baseline and apps that cannot be read."""
    found_before(pytester, WAS, "-k", "ca-pkce", org_id=ORG_ID)
    kept(pytester, {**IS, "Price_Feed": app(), "Late_Feed": app()}, org_id=ORG_ID, problems=("Not all was read.",))
    waivers = [{**ACCEPTED, "expires": "2099-12-31"}, {**ACCEPTED, "app": "Late_Feed", "expires": "2026-11-19"}]
    configure(pytester, waivers=waivers, attestations=[{**ATTESTED, "expires": "2099-12-31"}])
    tree = report(pytester, "--sf-org=./uat.json", *NEW_ONLY)
    cases = {str(case.get("name"))[len("test_control[") : -1]: case for case in tree.iter("testcase")}
    waived, expired, broken = (cases[name] for name in ("Price_Feed-ca-pkce", "Late_Feed-ca-pkce", "Broken-readable"))
    for case in (waived, expired):
        assert properties(case)["waiver"].startswith("waived by jo@acme.example until ")
    assert [one.get("type") for one in waived.iter("skipped")] == ["pytest.xfail"]
    assert [properties(case).get("not_blocking") for case in (waived, expired)] == ["waived", None]
    assert [one.tag for one in (*expired, *broken)] == ["properties", "failure"] * 2
    assert properties(cases["Same-ca-pkce"])["change"] == "persisting"
    assert {"not comparable", "new"} <= {properties(case).get("change") for case in cases.values()}
    validate(tree, schema)


def test_hostile_texts_are_valid(pytester: pytest.Pytester, schema: etree.XMLSchema) -> None:
    """So is one with names and words that are markup, or no XML at all."""
    label = HOSTILE.replace("]]>", "").replace("&amp;", "").replace("\x1b", "").replace("\ufffe", "")
    feed = app(label=f"<![CDATA[{label}]]>")
    kept(pytester, {f"{HOSTILE}.connectedApp": feed, "Price_Feed": feed})
    waiver = {**ACCEPTED, "reason": HOSTILE, "owner": HOSTILE, "ticket": HOSTILE, "expires": "2099-12-31"}
    configure(pytester, waivers=[waiver])
    tree = report(pytester, "--sf-org=./uat.json", "-k", "ca-pkce")
    hostile, waived = sorted(tree.iter("testcase"), key=lambda case: "waiver" in properties(case))
    assert "<failure>" in properties(hostile)["app"]
    assert "<failure>" in properties(waived)["waiver"]
    assert [one.tag for one in hostile] == ["properties", "failure"]
    assert [one.tag for one in waived] == ["properties", "skipped"]
    assert not list(tree.iter("img"))
    validate(tree, schema)


def test_run_that_was_cut_short_is_valid(pytester: pytest.Pytester, schema: etree.XMLSchema) -> None:
    """So is one that stopped at the first finding."""
    (pytester.path / "org").mkdir()
    for name, content in DEMO_FILES.items():
        path = pytester.path / "org" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    tree = report(pytester, "--sf-org=./org", "-x")
    assert len(list(tree.iter("failure"))) == 1
    ran = len(list(tree.iter("testcase")))
    assert ran < sample_org.CASES
    (suite,) = tree.iter("testsuite")
    assert properties(suite) == {
        "oauthcontrols.checks": str(sample_org.CASES),
        "oauthcontrols.checks_with_result": str(ran),
        "oauthcontrols.checks_without_result": f"{sample_org.CASES - ran} not reached: stopping after 1 failures",
    }
    validate(tree, schema)


def test_what_the_schema_refuses(pytester: pytest.Pytester, schema: etree.XMLSchema) -> None:
    """The schema that the tests use is one that refuses: an element that it has not, and a suite without a count."""
    kept(pytester, {"Price_Feed": app()})
    tree = report(pytester, "--sf-org=./uat.json", "-k", "ca-pkce")
    validate(tree, schema)
    (suite,) = tree.iter("testsuite")
    added = etree.SubElement(suite[0], "finding")
    assert not schema.validate(tree)
    suite[0].remove(added)
    assert schema.validate(tree)
    del suite.attrib["failures"]
    assert not schema.validate(tree)
