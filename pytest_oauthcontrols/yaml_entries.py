"""YAML documents whose every entry knows its line, so that an error can name it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from pytest_oauthcontrols.errors import OAuthControlsError
from pytest_oauthcontrols.text import suggestion

_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class DocumentError(OAuthControlsError):
    """A YAML file with a mistake. The message names file and line."""


class Entry(dict[str, Any]):
    """A YAML mapping that knows its file and the line of each of its keys."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file = file
        self.line = line
        self.lines: dict[str, int] = {}

    def error(self, message: str, key: str | None = None) -> DocumentError:
        """Return an error at `key`, or at the start of the entry."""
        return DocumentError(f"{self.file}:{self.lines.get(key or '', self.line)}: {message}")

    def only(self, allowed: Collection[str]) -> None:
        """Raise `DocumentError` at the first key that is not allowed."""
        for key in self:
            if key not in allowed:
                hint = suggestion(key, allowed) or f"; use {', '.join(allowed)}"
                raise self.error(f"unknown key '{key}'{hint}", key)

    def text(self, key: str) -> str:
        """Return a text that is required and not empty. Each run of white space in it becomes one blank."""
        value = self.get(key)
        if value is None:
            raise self.error(f"'{key}' is missing", key)
        if not isinstance(value, str) or not value.strip():
            # The value may be a secret, so the message does not quote it.
            unquoted = isinstance(value, (bool, int, float, date))
            raise self.error(f"'{key}' must be a text{': put the value in quotes' if unquoted else ''}", key)
        return " ".join(value.split())

    def verbatim(self, key: str) -> str:
        """Return a text that is required and not empty, as it is written."""
        self.text(key)
        return str(self[key])

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.get(key)
        if not isinstance(value, bool):
            raise self.error(f"'{key}' must be true or false", key)
        return value

    def choice(self, key: str, choices: Collection[str]) -> str:
        """Return a text that is one of the choices."""
        value = self.text(key)
        if value not in choices:
            raise self.error(
                f"'{key}' must be one of {', '.join(choices)}, not '{value}'{suggestion(value, choices)}", key
            )
        return value

    def known(self, key: str, noun: str, known: Collection[str]) -> str:
        """Return a text that is one of many known names."""
        value = self.text(key)
        if value not in known:
            raise self.error(f"there is no {noun} '{value}'{suggestion(value, known)}", key)
        return value

    def day(self, key: str) -> date:
        """Return a day that is required."""
        value = self.get(key)
        if value is None:
            raise self.error(f"'{key}' is missing", key)
        if type(value) is date:
            return value
        try:
            # In quotes it is a text. Python 3.11 and later understand more notations than this one.
            return date.fromisoformat(value if _DAY.fullmatch(str(value)) else "")
        except (TypeError, ValueError):
            raise self.error(f"'{key}' must be a day such as 2027-03-31, not '{value}'", key) from None

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; empty where the key is missing."""
        value = self.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self.error(f"'{key}' must be a list of texts", key)
        return tuple(" ".join(item.split()) for item in value)

    def entries(self, key: str) -> Iterator[Entry]:
        """Iterate over a list of mappings; nothing where the key is missing."""
        value = self.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, Entry) for item in value):
            raise self.error(f"'{key}' must be a list of mappings", key)
        yield from value


def read_text(path: Path, shown: str) -> str:
    """Return the text of a file.

    Raises:
        DocumentError: The file cannot be read, or is not UTF-8. The message names it by `shown`.
    """
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise DocumentError(f"{shown}:1: is not UTF-8") from None
    except OSError as error:
        raise DocumentError(f"{shown}: cannot be read: {error.strerror}") from None


def parse(text: str, file: str) -> Entry:
    """Return the document's mapping; an empty document is an empty mapping.

    Raises:
        DocumentError: The text is not YAML, not a mapping, or has a key twice.
    """
    try:
        _bound(text, file)
        loaded = yaml.load(text, _loader(file))  # noqa: S506  (a subclass of the safe loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        # A tag may be a secret that begins with '!' and was not quoted.
        tagged = (error.problem or "").startswith("could not determine a constructor for the tag")
        problem = "put a text that begins with '!' in quotes" if tagged else error.problem
        raise DocumentError(f"{file}:{mark.line + 1 if mark else 1}: not YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(f"{file}:{line}: not YAML: the character #x{error.character:04x} is not allowed") from None
    except RecursionError:
        raise DocumentError(f"{file}:1: is nested too deeply") from None
    if loaded is None:
        return Entry(file, 1)
    if not isinstance(loaded, Entry):
        raise DocumentError(f"{file}:1: the file must be a mapping of keys to values")
    return loaded


def _bound(text: str, file: str) -> None:
    """Raise `DocumentError` where a long text is nested so deeply that libyaml would run out of stack."""
    if len(text) < _SHORT:
        return
    depth = 0
    for event in yaml.parse(text, _loader(file)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise DocumentError(f"{file}:{event.start_mark.line + 1 if event.start_mark else 1}: is nested too deeply")


_SHORT = 10_000
_DEEPEST = 50


def _loader(file: str) -> Any:
    """Return the class that loads a file: the safe loader, with mappings that know their lines."""
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]  # which of PyYAML's two loaders it is shows at run time only
        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> Entry:
            entry = Entry(file, node.start_mark.line + 1)
            for key_node, value_node in node.value:
                key = key_node.value
                line = key_node.start_mark.line + 1
                if not isinstance(key_node, yaml.ScalarNode):
                    raise DocumentError(f"{file}:{line}: a key must be a text")
                if key in entry:
                    raise DocumentError(f"{file}:{line}: '{key}' is repeated: it is already in line {entry.lines[key]}")
                entry.lines[key] = line
                entry[key] = self.construct_object(value_node, deep=True)
            return entry

        def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
            try:
                return super().construct_object(node, deep)
            except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
                is_date = node.tag == "tag:yaml.org,2002:timestamp"
                problem = f"'{node.value}' is not a valid date: {error}" if is_date else f"not YAML: {error}"
                raise DocumentError(f"{file}:{node.start_mark.line + 1}: {problem}") from None

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, Loader.construct_mapping)
    return Loader
