"""Each folder of conftest_examples works as its README says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "conftest_examples"


def run(pytester: pytest.Pytester, name: str, *arguments: str) -> pytest.RunResult:
    """Copy an example and run the command of its README there."""
    shutil.copytree(EXAMPLES / name, pytester.path, dirs_exist_ok=True)
    assert "    pytest --sf-org=demo\n" in (pytester.path / "README.md").read_text("utf-8")
    pytester.makeini("[pytest]\n")
    return pytester.runpytest("--sf-org=demo", *arguments)


def test_every_example_is_tested() -> None:
    """No example is left without a test of its name."""
    examples = {path.name for path in EXAMPLES.iterdir()}
    assert {f"test_{name}" for name in examples} == {name for name in globals() if name.startswith("test_")} - {
        "test_every_example_is_tested"
    }


def test_own_test(pytester: pytest.Pytester) -> None:
    """The project's test runs once per app beside the suite, and passes for every app of the sample org."""
    result = run(pytester, "own_test", "-v")
    passed = [line for line in result.outlines if line.startswith("test_callbacks.py::") and "PASSED" in line]
    assert len(passed) == 12
    assert result.parseoutcomes()["passed"] > 12


def test_declared_apps(pytester: pytest.Pytester) -> None:
    """What is declared decides controls that files alone leave open."""
    run(pytester, "declared_apps", "--sf-json=results.json")
    document = json.loads((pytester.path / "results.json").read_text("utf-8"))
    verdicts = {(row["app"], row["control"]): row["verdict"] for row in document["results"]}
    assert not document["orgs"][0]["notes"]
    assert verdicts["Nightly_ETL", "sbs-oauth-003"] == "pass"
    assert verdicts["Nightly_ETL", "sbs-oauth-004"] == "pass"
    assert verdicts["Warehouse_Sync", "sbs-oauth-004"] == "not_applicable"
    assert verdicts["Warehouse_Sync", "ca-scopes"] == "pass"
    assert verdicts["Meter_Gateway", "ca-asset-token"] == "pass"
