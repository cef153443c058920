"""Truth values of conditions: a chain on which `all` is the least and `any` the greatest, as in Kleene's logic."""

from __future__ import annotations

from enum import IntEnum


class Truth(IntEnum):
    """Whether a condition holds."""

    FALSE = 0
    FALSE_BY_DEFAULT = 1
    """Only because a documented default stands in for an element that a file leaves out."""
    UNKNOWN = 2
    TRUE_BY_DEFAULT = 3
    """Only because a documented default stands in for an element that a file leaves out."""
    TRUE = 4


# Looking a member up in its class is the dearest step of evaluating a condition before Python 3.12.
FALSE = Truth.FALSE
FALSE_BY_DEFAULT = Truth.FALSE_BY_DEFAULT
UNKNOWN = Truth.UNKNOWN
TRUE_BY_DEFAULT = Truth.TRUE_BY_DEFAULT
TRUE = Truth.TRUE


def truth(holds: bool) -> Truth:
    """Return what was seen to hold, or not."""
    return TRUE if holds else FALSE
