"""Severities and scores as the Common Vulnerability Scoring System has them."""

from __future__ import annotations

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
