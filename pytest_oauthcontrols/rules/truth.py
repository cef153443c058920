"""Truth values of conditions: Kleene's logic, with what is so by default only and what a person has to look at."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum


class Truth(IntEnum):
    """Whether a condition holds; of several that all have to hold, the least decides."""

    FALSE = 0
    FALSE_BY_DEFAULT = 1
    """Only because a documented default stands in for an element that a file leaves out."""
    UNKNOWN = 2
    """It should be readable, and was not."""
    TRUE_BY_DEFAULT = 3
    """Only because a documented default stands in for an element that a file leaves out."""
    BY_HAND = 4
    """Nothing that a tool could read here shows it."""
    TRUE = 5


# Looking a member up in its class is the dearest step of evaluating a condition before Python 3.12.
FALSE = Truth.FALSE
FALSE_BY_DEFAULT = Truth.FALSE_BY_DEFAULT
UNKNOWN = Truth.UNKNOWN
TRUE_BY_DEFAULT = Truth.TRUE_BY_DEFAULT
BY_HAND = Truth.BY_HAND
TRUE = Truth.TRUE


def truth(holds: bool) -> Truth:
    """Return what was seen to hold, or not."""
    return TRUE if holds else FALSE


def untold(by_hand: bool) -> Truth:
    """Return what cannot be told, by any tool or from what was read."""
    return BY_HAND if by_hand else UNKNOWN


def least(truths: Collection[Truth]) -> Truth:
    """Return whether all of several hold; a default that stands in beside what only a person can see is not enough."""
    worst = min(truths)
    return UNKNOWN if worst == TRUE_BY_DEFAULT and BY_HAND in truths else worst


def greatest(truths: Collection[Truth]) -> Truth:
    """Return whether one of several holds; a person has to look only where nothing else is in the way."""
    best = max(truths)
    if best != BY_HAND:
        return best
    return next((other for other in (TRUE_BY_DEFAULT, UNKNOWN) if other in truths), BY_HAND)


def negated(found: Truth) -> Truth:
    """Return whether the opposite holds; what cannot be told stays so."""
    return _OPPOSITES.get(found, found)


_OPPOSITES = {
    FALSE: TRUE,
    FALSE_BY_DEFAULT: TRUE_BY_DEFAULT,
    TRUE_BY_DEFAULT: FALSE_BY_DEFAULT,
    TRUE: FALSE,
}
