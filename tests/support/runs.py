"""Runs of pytest that assess an org, and what they ended with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lxml import etree

from .metadata_files import written

WORKERS = ["-n0", pytest.param("-n2", marks=pytest.mark.slow)]
"""Options of a run in this process, and of one that starts two others."""


class Outcome(NamedTuple):
    """What a run ended with."""

    code: int
    output: str
    verdicts: dict[tuple[str | None, str], str]
    """App and control to verdict, as the results file has it; empty where none was written."""
    messages: dict[tuple[str | None, str], str]
    """App and control to message."""


def outcome(pytester: pytest.Pytester, result: pytest.RunResult) -> Outcome:
    """Return what a run ended with; no run shows a traceback, or anything that a terminal would act upon."""
    output = f"{result.stdout.str()}\n{result.stderr.str()}"
    for never in ("Traceback", "INTERNALERROR"):
        assert never not in output
    assert [char for char in output if not char.isprintable() and char != "\n"] == []
    path = pytester.path / "results.json"
    rows = json.loads(path.read_text("utf-8"))["results"] if path.exists() else []
    return Outcome(
        int(result.ret),
        output,
        {(row["app"], row["control"]): row["verdict"] for row in rows},
        {(row["app"], row["control"]): row["message"] for row in rows},
    )


def run(pytester: pytest.Pytester, *arguments: str, org: str = "./org") -> Outcome:
    """Assess an org in this process."""
    return outcome(pytester, pytester.runpytest(f"--sf-org={org}", "--sf-json=results.json", *arguments))


def run_apart(pytester: pytest.Pytester, *arguments: str, org: str = "./org") -> Outcome:
    """Assess an org in a process of its own, which is stopped where it hangs."""
    arguments = (f"--sf-org={org}", "--sf-json=results.json", *arguments)
    return outcome(pytester, pytester.runpytest_subprocess(*arguments, timeout=20))


def usage_error(found: Outcome) -> str:
    """Return the one line of a run that assessed nothing."""
    assert found.code == pytest.ExitCode.USAGE_ERROR
    assert not found.verdicts
    (line,) = [line for line in found.output.splitlines() if line.startswith("ERROR: ")]
    after = found.output.partition(line)[2]
    assert after.split() == [], "the message goes on after its line"
    return line.removeprefix("ERROR: ")


def folder(pytester: pytest.Pytester, content: dict[str, bytes]) -> Path:
    """Write files into the folder that is assessed."""
    return written(pytester.path / "org", content)


class Case(NamedTuple):
    """What JUnit says of a case (passed, failed, skipped or xfailed, and why), and its row in the results file."""

    outcome: str
    reason: str
    row: dict[str, Any]
    properties: dict[str, str]


class Ran(NamedTuple):
    """What a run ended with; cases are by what stands in the brackets of their ids."""

    code: int
    lines: list[str]
    cases: dict[str, Case]
    document: dict[str, Any]

    def having(self, *outcomes: str) -> set[str]:
        """Return the cases with one of the outcomes."""
        return {name for name, case in self.cases.items() if case.outcome in outcomes}


def assess(pytester: pytest.Pytester, *arguments: str, orgs: Iterable[str] = ("./uat.json",)) -> Ran:
    """Assess orgs; exit code, terminal, JUnit and the results file have to agree on the outcome of every case."""
    files = ("--sf-json=results.json", "--junitxml=report.xml")
    result = pytester.runpytest(*(f"--sf-org={org}" for org in orgs), *files, *arguments)
    found = outcome(pytester, result)
    assert found.code in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), found.output
    document = json.loads((pytester.path / "results.json").read_text("utf-8"))
    rows = {row["node_id"].rpartition("::")[2]: row for row in document["results"]}
    reported = {str(case.get("name")): case for case in etree.parse(pytester.path / "report.xml").iter("testcase")}
    assert rows.keys() == reported.keys()
    cases = {name.partition("[")[2][:-1]: _case(reported[name], row) for name, row in rows.items()}
    counts, shown = Counter(case.outcome for case in cases.values()), result.parseoutcomes()
    for one in ("passed", "failed", "skipped", "xfailed"):
        assert shown.get(one, 0) == counts[one]
    assert found.code == (pytest.ExitCode.TESTS_FAILED if counts["failed"] else pytest.ExitCode.OK)
    return Ran(found.code, result.outlines, cases, document)


def _case(reported: Any, row: dict[str, Any]) -> Case:
    kinds = {"failure": "failed", "pytest.xfail": "xfailed", "pytest.skip": "skipped"}
    said = [one for one in reported if one.tag != "properties"]
    happened = kinds[said[0].get("type") or said[0].tag] if said else "passed"
    failing = "failed" if row["not_blocking"] is None else "xfailed"
    assert happened == {"pass": "passed", "fail": failing, "unverifiable": failing}.get(row["verdict"], "skipped")
    properties = {one.get("name"): one.get("value") for one in reported.iter("property")}
    assert properties["verdict"] == row["verdict"]
    return Case(happened, said[0].get("message") if said else "", row, properties)
