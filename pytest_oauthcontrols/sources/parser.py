"""Files of the Metadata API, in either format, into components and their settings: the one parser of all sources.

What comes in is hostile until parsed: no entity is expanded, no document type accepted, nothing fetched, and depth and
size are bounded.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from urllib.parse import unquote

from lxml import etree

from pytest_oauthcontrols.errors import OAuthControlsError
from pytest_oauthcontrols.orgs.certificates import parse_certificate
from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    METADATA_TYPES,
    Field,
    MetadataType,
    canonical_scope,
)
from pytest_oauthcontrols.orgs.model import Seen, Unreadable, Value

MAX_FILE = 8 * 1024 * 1024
"""Bytes of the largest metadata file that is read."""

SOURCE = "Metadata API"
"""What evidence names as the source of a file that a live org delivered."""

_NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_LONGEST_QUOTE = 60

FILE_TYPES = {known.name: known for known in METADATA_TYPES.values() if known.suffix}
"""Name of every metadata type that is in files to the type."""

APP_TYPES = {"ConnectedApp": CONNECTED_APP, "ExternalClientApplication": EXTERNAL_CLIENT_APP}
"""Name of the type of an app itself to its kind."""

_TYPE_BY_SUFFIX = {
    known.suffix.lower(): known for known in METADATA_TYPES.values() if known.suffix and known.suffix != "settings"
}


class SourceError(OAuthControlsError):
    """A source that cannot be read at all; the message says what is wrong and what to do."""


class UnreadableFile(Exception):
    """One file that cannot be read; the message names it, and the line where there is one."""

    managed = False
    """Whether it belongs to an app that was installed from a package, whose publisher alone can read it."""


class MetadataFile(NamedTuple):
    """A file that a source found."""

    path: str
    """Where it is, for people."""
    relative: str
    """Where it is below the source's root; the same wherever the root lies."""
    read: Callable[[], bytes]
    """Returns its content; raises `UnreadableFile`."""


@dataclass(slots=True)
class Component:
    """A metadata component: what one file describes."""

    type: MetadataType
    path: str
    relative: str = ""
    """Path below the source's root."""
    settings: dict[str, Seen | Unreadable] = field(default_factory=dict)
    parent: str | None = None
    """Full name of the app that it belongs to; None for an app itself and for settings of the org."""
    parent_line: int | None = None
    """Line that names the app."""
    secret_line: int | None = None
    """Line of a consumer secret that was left in the file, and not of a placeholder; the secret is never kept."""


def is_metadata(name: str) -> bool:
    """Tell by its name whether a file can describe an app or settings of an org."""
    stem, suffix = _split(name)
    if not stem or stem.startswith("."):
        return False
    return suffix == "settings" or suffix in _TYPE_BY_SUFFIX


def _split(name: str) -> tuple[str, str]:
    """Return stem and lower-case suffix of a file name."""
    if name.lower().endswith("-meta.xml"):
        name = name[: -len("-meta.xml")]
    stem, _, suffix = name.rpartition(".")
    return stem, suffix.lower()


def full_name(path: str) -> str:
    """Return the full name of the component in a file: its stem, percent-decoded."""
    return unquote(_split(path.rpartition("/")[2])[0])


class _Known(NamedTuple):
    """What to do with an element."""

    name: str
    """The setting that it holds; for what is no setting, the element's own name."""
    convert: Callable[[str], Value] | None
    """Makes the setting's value of the element's text, or raises `ValueError`; None for what is no single value."""
    type: str
    """Type of the setting; empty for the element that names the app."""
    children: dict[str, _Known]


def _table(known: MetadataType) -> dict[str, _Known]:
    """Return what to do with each element of a type, by its tag: one look-up for each element of each file."""
    table: dict[str, _Known] = {}
    fields: dict[str, Field | None] = {
        # A secret is noticed wherever somebody has put one.
        **dict.fromkeys(("consumerSecret", "oauthConfig.consumerSecret"), Field("secret")),
        **known.fields,
        known.parent: None,
    }
    for path, spec in sorted(fields.items()):
        *parents, last = path.split(".")
        level = table
        for parent in parents:
            level = level[parent].children if parent in level else {}
        entry = (
            _Known(last, None, "", {}) if spec is None else _Known(known.prefix + path, _converter(spec), spec.type, {})
        )
        level[_NAMESPACE + last] = level[last] = entry
    return table


def _converter(spec: Field) -> Callable[[str], Value] | None:
    separator = spec.separator
    if spec.type == "list" and separator:
        return lambda text: tuple(
            part.strip() for part in (text.splitlines() if separator == "\n" else text.split(separator)) if part.strip()
        )
    return _CONVERTERS.get(spec.type)


def _boolean(text: str) -> bool:
    if text in ("true", "1"):
        return True
    if text in ("false", "0"):
        return False
    raise ValueError("neither true nor false")


def _integer(text: str) -> int:
    if re.fullmatch(r"-?[0-9]{1,15}", text) is None:
        raise ValueError("no whole number")
    return int(text)


def _scopes(text: str) -> tuple[str, ...]:
    return tuple(canonical_scope(part.strip()) for part in text.split(",") if part.strip())


_CONVERTERS: dict[str, Callable[[str], Value]] = {
    "boolean": _boolean,
    "integer": _integer,
    "string": str,
    "list": lambda text: (text,),
    "scopes": _scopes,
}

_TABLES = {name: _table(known) for name, known in FILE_TYPES.items()}


def expected_type(path: str) -> MetadataType | None:
    """Return the type that a file's name promises; None for settings of the org that no control reads."""
    stem, suffix = _split(path.rpartition("/")[2])
    return FILE_TYPES.get(f"{stem}Settings") if suffix == "settings" else _TYPE_BY_SUFFIX.get(suffix)


# Nothing is expanded, fetched or validated; without `huge_tree` libxml2 bounds depth and sizes itself.
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    # Of no use here: white space between elements, and a table of ids.
    remove_blank_text=True,
    collect_ids=False,
)


def parse(content: bytes, path: str) -> Component | None:
    """Return the component that a file describes; None for settings of the org that no control reads.

    Raises `UnreadableFile` for what is not well-formed, declares a document type, or has a root element that is none of
    an app.
    """
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError as error:
        reason = str(error.msg or "the file is empty").partition(", line ")[0]
        raise UnreadableFile(f"{path}:{error.lineno or 1}: not well-formed XML: {reason}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableFile(f"{path}:1: declares a document type, which metadata never does; it is not read")
    name = str(root.tag).removeprefix(_NAMESPACE)
    known = FILE_TYPES.get(name)
    if known is None:
        if _split(path)[1] == "settings":
            return None
        raise UnreadableFile(
            f"{path}:{root.sourceline}: the root element '{name}' is none of an app or of its settings"
        )
    component = Component(known, path)
    _collect(root, _TABLES[name], component)
    if known.parent and component.parent is None:
        raise UnreadableFile(
            f"{path}:{root.sourceline}: has no {known.parent} element, so nobody can tell which app it belongs to"
        )
    return component


# Half the price of calling the class, for what is done with nearly every element of every file.
_seen: Callable[[tuple[str, Value, str, int | None, None]], Seen] = partial(tuple.__new__, Seen)


def _collect(parent: etree._Element, table: dict[str, _Known], component: Component) -> None:
    """Put what stands below an element into the component."""
    settings, path = component.settings, component.path
    for element in parent:
        known = table.get(element.tag)  # type: ignore[arg-type]  # without comments and instructions every tag is a text
        if known is None:
            continue
        name, convert, _, _ = known
        if convert is None:
            _collect_special(element, known, component)
            continue
        text = element.text
        if text is None:
            continue
        text = text.strip()
        if not text:
            continue
        line = element.sourceline
        try:
            value = convert(text)
        except ValueError as error:
            settings[name] = Unreadable(name, f"{path}:{line}: {name} is '{text[:_LONGEST_QUOTE]}', {error}")
        else:
            _put(settings, _seen((name, value, path, line, None)))


def _collect_special(element: etree._Element, known: _Known, component: Component) -> None:
    """Put what is no single value into the component."""
    name, _, type_, children = known
    settings, path, line = component.settings, component.path, element.sourceline
    if type_ == "object":
        if element.get(_NIL) not in ("true", "1"):
            settings[name] = Seen(name, "present", path, line)
            _collect(element, children, component)
        return
    text = (element.text or "").strip()
    if type_ == "ranges":
        try:
            seen = Seen(name, (_range(element),), path, line)
        except ValueError as error:
            settings[name] = Unreadable(name, f"{path}:{line}: {name} {error}")
        else:
            _put(settings, seen)
    elif text and type_ == "certificate":
        if parse_certificate(text) is None:
            settings[name] = Unreadable(name, f"{path}:{line}: {name} is not a certificate")
        else:
            # A certificate is public, but nobody wants to read it in a report.
            _put(settings, Seen(name, text, path, line, "a certificate"))
    elif type_ == "secret":
        if text and not is_placeholder(text):
            component.secret_line = line
    elif text:
        if component.parent not in (None, text):
            raise UnreadableFile(f"{path}:{line}: names a second app, {text} after {component.parent}")
        component.parent, component.parent_line = text, line


_PLACEHOLDER = re.compile(
    r"[*x]+|\W*_*(?:redacted|masked|hidden|removed|placeholder)_*\W*"
    r"|__\w+__|\$\{[^{}]+\}|\{\{[^{}]+\}\}|%[^%]+%|<[^<>]+>",
    re.IGNORECASE,
)


def is_placeholder(text: str) -> bool:
    """Tell whether a text stands in for a secret that was masked, or that is put in when the file is deployed."""
    return _PLACEHOLDER.fullmatch(text) is not None


def _put(settings: dict[str, Seen | Unreadable], seen: Seen) -> None:
    """Keep what an element says, together with what an earlier one of its name said."""
    earlier = settings.setdefault(seen.name, seen)
    if earlier is not seen:
        settings[seen.name] = _again(earlier, seen.value, seen.line)


def _again(earlier: Seen | Unreadable, value: Value, line: int | None) -> Seen | Unreadable:
    """Return a setting whose element stands there once more: a list grows, anything else has to say the same."""
    if isinstance(earlier, Unreadable) or earlier.value == value:
        return earlier
    if isinstance(earlier.value, tuple) and isinstance(value, tuple):
        return earlier._replace(value=earlier.value + value)
    where = f"{earlier.source}:{line}"
    reason = f"{where}: {earlier.name} stands here a second time, with another value than in line {earlier.line}"
    return Unreadable(earlier.name, reason)


def _range(element: etree._Element) -> str:
    """Return an address range as `first-last`."""
    ends = {str(child.tag).removeprefix(_NAMESPACE): (child.text or "").strip() for child in element}
    first, last = (ends.get(name, ends.get(f"{name}IpAddress", "")) for name in ("start", "end"))
    problem = f"from '{first}' to '{last}' is no range of addresses"
    try:
        low, high = ipaddress.ip_address(first), ipaddress.ip_address(last)
    except ValueError:
        raise ValueError(problem) from None
    if low.version != high.version or int(low) > int(high) or "%" in first + last:
        raise ValueError(problem)
    return f"{low}-{high}"
