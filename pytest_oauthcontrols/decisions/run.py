"""What a run came to: for each check a result, or why it has none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import NamedTuple

from pytest_oauthcontrols.decisions.gate import Judgement
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.evaluation import Check
from pytest_oauthcontrols.rules.finding import Finding


class Result(NamedTuple):
    """What one check found, and what follows from it: worked out once, where its test ended."""

    check: Check
    node_id: str
    """Node id of its test; of several tests, of the one that counts."""
    finding: Finding
    judgement: Judgement
    runs: int = 1
    """How many tests of the run made this check; the worst of them counts."""

    @property
    def blocking(self) -> bool:
        """Whether it fails the run."""
        return self.finding.failing and self.judgement.blocking


class Why(str, Enum):
    """Why a check has no result."""

    ERROR = "error"
    SKIPPED = "skipped by the project"
    DESELECTED = "deselected"
    NOT_COLLECTED = "not collected"
    INTERRUPTED = "not reached"


class NoResult(NamedTuple):
    """A check without a result."""

    check: Check
    why: Why
    says: str
    """The reason in words; empty where `why` says all."""
    runs: int = 1

    @property
    def reason(self) -> str:
        """Why, in words."""
        return f"{self.why.value}: {self.says}" if self.says else self.why.value


_WORST_FIRST = (Verdict.FAIL, Verdict.UNVERIFIABLE, None, Verdict.MANUAL, Verdict.PASS, Verdict.NOT_APPLICABLE)
"""Verdicts by how much they ask of a reader; None is no result, which must never look better than it is."""


def worst(first: Result | NoResult, second: Result | NoResult) -> Result | NoResult:
    """Return the one of two runs of a check that counts: what blocks, then what asks most of a reader."""
    return min(first, second, key=_badness)


def _badness(end: Result | NoResult) -> tuple[bool, int]:
    if isinstance(end, NoResult):
        return True, _WORST_FIRST.index(None)
    return not end.blocking, _WORST_FIRST.index(end.finding.verdict)


@dataclass(frozen=True)
class Run:
    """Results and gaps of a run."""

    results: tuple[Result, ...]
    without_result: tuple[NoResult, ...]
    cut_short: str | None = None
    """Why the run ended before its last test; None where it did not."""

    @property
    def total(self) -> int:
        """How many checks the orgs of the run have."""
        return len(self.results) + len(self.without_result)

    @property
    def complete(self) -> bool:
        """Whether every check has a result: only then can "no findings" be said."""
        return not self.without_result and self.cut_short is None

    @cached_property
    def findings(self) -> tuple[Result, ...]:
        """The results that are findings: failed, or not verifiable."""
        return tuple(result for result in self.results if result.finding.failing)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        """Why checks have no result, each reason with the number of checks, the most frequent first."""
        return Counter(gap.reason for gap in self.without_result).most_common()
