"""Words: what is safe to print, what was probably meant, and which names a pattern stands for."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from fnmatch import fnmatchcase


def plain(text: str) -> str:
    """Return the text with every character spelled out that could move a cursor or reverse a line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def capitalised(sentence: str) -> str:
    """Return a sentence with a capital letter, unless the name of a setting is its first word."""
    return sentence if "." in sentence.partition(" ")[0] else sentence[:1].upper() + sentence[1:]


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
