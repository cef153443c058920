"""Words: what was probably meant, and which names a pattern stands for."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from fnmatch import fnmatchcase


def suggestion(word: str, known: Collection[str]) -> str:
    """Return a hint at the known word that is meant, or nothing."""
    near = difflib.get_close_matches(word, known, 1)
    return f"; did you mean '{near[0]}'?" if near else ""


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name is the one, or one of those, that a pattern stands for; part of a name is no match."""
    return name == pattern or fnmatchcase(name, pattern)


def is_pattern(text: str) -> bool:
    """Tell whether a text can stand for several names."""
    return any(char in text for char in "*?[")
