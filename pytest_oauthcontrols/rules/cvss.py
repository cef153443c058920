"""Severities and scores as the Common Vulnerability Scoring System has them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from enum import Enum


class Severity(str, Enum):
    """Qualitative severity rating (CVSS v3.1, section 5)."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """1 for the worst, for sorting."""
        return list(Severity).index(self) + 1

    @property
    def band(self) -> tuple[Decimal, Decimal]:
        """Lowest and highest score with this rating."""
        return _BANDS[self]


_BANDS = {
    Severity.CRITICAL: (Decimal("9.0"), Decimal("10.0")),
    Severity.HIGH: (Decimal("7.0"), Decimal("8.9")),
    Severity.MEDIUM: (Decimal("4.0"), Decimal("6.9")),
    Severity.LOW: (Decimal("0.1"), Decimal("3.9")),
}


def severity_of(score: Decimal) -> Severity:
    """Return the rating of a score above 0."""
    return next(severity for severity in Severity if score >= severity.band[0])


def base_score(low: Decimal, high: Decimal) -> Decimal:
    """Return the middle of a published range, rounded half up to one decimal."""
    return ((low + high) / 2).quantize(Decimal("0.1"), ROUND_HALF_UP)


def score_range(numbers: Sequence[object]) -> tuple[Decimal, Decimal]:
    """Return a range of scores from the lowest and the highest; raises `ValueError`, which says what it must be."""
    if len(numbers) != 2 or not all(isinstance(one, (int, float)) and 0.1 <= one <= 10 for one in numbers):
        raise ValueError("must be a list of the lowest and the highest score, between 0 and 10")
    low, high = (Decimal(str(float(one))) for one in numbers)  # type: ignore[arg-type]
    if low > high:
        raise ValueError(f"must ascend, not from {low} to {high}")
    return low, high


def score_of(vector: str) -> Decimal:
    """Return what a CVSS vector scores, of version 3.1 or 4.0, with its environmental metrics where it has some.

    Raises `ValueError`, which says what is wrong, for any other text and for a vector that scores nothing.
    """
    from cvss import CVSS3, CVSS4, CVSSError  # type: ignore[import-untyped]  # it has no types

    try:
        if vector.startswith("CVSS:3.1/"):
            score = CVSS3(vector).scores()[-1]
        elif vector.startswith("CVSS:4.0/"):
            score = CVSS4(vector).scores()[-1]
        else:
            raise ValueError("a vector begins with CVSS:3.1/ or CVSS:4.0/")
    except CVSSError as error:
        raise ValueError(str(error)) from None
    if not score:
        raise ValueError("the vector scores 0.0, so there is no risk to control")
    return Decimal(str(score))
