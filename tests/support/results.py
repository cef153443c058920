"""What a run comes to, without running pytest."""

from __future__ import annotations

from typing import Any

from pytest_oauthcontrols.decisions.assessment import Assessment, node_id
from pytest_oauthcontrols.decisions.gate import NO_DECISIONS, Decisions
from pytest_oauthcontrols.decisions.run import Result, Run
from pytest_oauthcontrols.reports.wording import explain
from pytest_oauthcontrols.rules.evaluation import Check, evaluate
from pytest_oauthcontrols.rules.finding import Finding


def result_of(finding: Finding, decisions: Decisions = NO_DECISIONS, at: str = "test") -> Result:
    """Return a finding as the result of a check."""
    check = Check(at, finding.org, finding.app, finding.control)
    return Result(check, at, finding, decisions.judge(finding))


def complete(checks: int) -> dict[str, Any]:
    """Return what a results file says of checks that all have a result."""
    return {"total": checks, "with_result": checks, "without_result": []}


def explained(finding: Finding) -> str:
    """Return a finding as the terminal explains it."""
    return explain(result_of(finding))


def run_of(assessment: Assessment, checks: int | None = None) -> Run:
    """Return what a run over the first checks of an assessment comes to, or over all of them."""
    return Run(
        tuple(
            result_of(evaluate(check.control, check.app, check.org), assessment.decisions, node_id(check))
            for check in assessment.checks[:checks]
        ),
        (),
    )
