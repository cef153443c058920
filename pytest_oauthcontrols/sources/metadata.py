"""Files of the Metadata API, in either format, into apps and settings of an org: the one parser of all sources.

What comes in is hostile until parsed: no entity is expanded, no document type accepted, nothing fetched, and depth and
size are bounded.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import unquote

from lxml import etree

from pytest_oauthcontrols.model import (
    CONNECTED_APP,
    GLOBAL_OAUTH,
    MANAGED,
    OAUTH_TYPES,
    ORG,
    App,
    Org,
    Seen,
    Subject,
    Unreadable,
    Value,
    derive,
)
from pytest_oauthcontrols.settings import METADATA_TYPES, Field, MetadataType, canonical_scope, is_certificate_name

MAX_FILE = 8 * 1024 * 1024
"""Bytes of the largest metadata file that is read."""

_NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TYPES = {known.name: known for known in METADATA_TYPES.values() if known.suffix}
_TYPE_BY_SUFFIX = {
    known.suffix.lower(): known for known in METADATA_TYPES.values() if known.suffix and known.suffix != "settings"
}
_FOLDERS = {"ConnectedApp": "connectedApps", "ExternalClientApplication": "externalClientApps"}


_LONGEST_QUOTE = 60


class SourceError(Exception):
    """A source that cannot be read at all; the message says what is wrong and what to do."""


class UnreadableFile(Exception):
    """One file that cannot be read; the message names it, and the line where there is one."""


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
    settings: dict[str, Seen | Unreadable] = field(default_factory=dict)
    parent: str | None = None
    """Full name of the app that it belongs to; None for an app itself and for settings of the org."""
    secret_line: int | None = None
    """Line of a consumer secret that was left in the file; the secret itself is never kept."""


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
    """Type of the setting; empty for the element that names the app, and for a secret."""
    children: dict[str, _Known]


def _table(known: MetadataType) -> dict[str, _Known]:
    """Return what to do with each element of a type, by its tag: one look-up for each element of each file."""
    table: dict[str, _Known] = {}
    fields: dict[str, Field | None] = {
        **known.fields,
        **dict.fromkeys(("consumerSecret", "oauthConfig.consumerSecret", known.parent)),
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

_TABLES = {name: _table(known) for name, known in _TYPES.items()}

# Nothing is expanded, fetched or validated; without `huge_tree` libxml2 bounds depth and sizes itself.
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
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
    known = _TYPES.get(name)
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
        text = (element.text or "").strip()
        if not text:
            continue
        line = element.sourceline
        try:
            value = convert(text)
        except ValueError as error:
            settings[name] = Unreadable(name, f"{path}:{line}: {name} is '{text[:_LONGEST_QUOTE]}', {error}")
        else:
            settings[name] = _again(settings[name], value, line) if name in settings else Seen(name, value, path, line)


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
            value = (_range(element),)
        except ValueError as error:
            settings[name] = Unreadable(name, f"{path}:{line}: {name} {error}")
        else:
            settings[name] = _again(settings[name], value, line) if name in settings else Seen(name, value, path, line)
    elif text and type_ == "certificate":
        # A certificate is public, but nobody wants to read it in a report.
        seen = Seen(name, text, path, line, None if is_certificate_name(text) else "a certificate")
        settings[name] = _again(settings[name], text, line) if name in settings else seen
    elif text and name == "consumerSecret":
        component.secret_line = line
    elif text:
        if component.parent not in (None, text):
            raise UnreadableFile(f"{path}:{line}: names a second app, {text} after {component.parent}")
        component.parent = text


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


@dataclass
class _Found:
    """Everything that was found of one app."""

    name: str = ""
    """Full name: of its own file, else as others refer to it; Salesforce's names ignore case."""
    own_file_broken: bool = False
    components: dict[str, list[Component]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass
class _Files:
    """Everything that was found in the files of a source."""

    apps: dict[tuple[str, str], _Found] = field(default_factory=lambda: defaultdict(_Found))
    """Kind and full name to what was found of an app."""
    org: dict[str, list[Component]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Metadata type to what is wrong with files of it that could not be read."""
    notes: list[str] = field(default_factory=list)

    def add(self, file: MetadataFile, component: Component) -> None:
        """Add what a file describes."""
        if component.secret_line is not None:
            self.notes.append(
                f"{file.path}:{component.secret_line}: a consumer secret is kept in this file;"
                " take it out and have a new one made"
            )
        known = component.type
        if known.subject == ORG:
            self.org[known.name].append(component)
        else:
            own = component.parent is None
            app = self._app(known.subject, full_name(file.relative) if own else str(component.parent), own=own)
            app.components.setdefault(known.name, []).append(component)

    def add_broken(self, file: MetadataFile, reason: str) -> None:
        """Add what is wrong with a file that could not be read."""
        stem, suffix = full_name(file.relative), _split(file.relative)[1]
        known = _TYPES.get(f"{stem}Settings") if suffix == "settings" else _TYPE_BY_SUFFIX.get(suffix)
        if known is None or known.subject == ORG:
            self.notes.append(reason)
        else:
            app = self._app(known.subject, stem, own=not known.parent)
            app.problems.append(reason)
            app.own_file_broken = app.own_file_broken or not known.parent
        if known is not None:
            self.broken[known.name].append(reason)

    def _app(self, kind: str, name: str, *, own: bool) -> _Found:
        app = self.apps[kind, name.casefold()]
        app.name = name if own or not app.name else app.name
        return app


def assemble(name: str, source: str, location: str, files: Iterable[MetadataFile], taken_at: datetime) -> Org:
    """Return the org that the files of a source describe.

    What cannot be read is a problem of its app, never an app less.
    """
    found = _Files()
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda one: one.relative):
        digest.update(file.relative.encode("utf-8", "surrogatepass") + b"\0")
        try:
            content = file.read()
            digest.update(hashlib.sha256(content).digest())
            component = parse(content, file.path)
        except UnreadableFile as error:
            found.add_broken(file, str(error))
        else:
            if component is not None:
                found.add(file, component)
    apps = [
        _app(kind, of_app, found, location)
        for (kind, _), of_app in sorted(found.apps.items(), key=lambda one: (one[0][0], one[1].name))
    ]
    return Org(
        name=name,
        source=source,
        location=location,
        taken_at=taken_at,
        sha256=digest.hexdigest(),
        apps=tuple(app for app in apps if app is not None),
        notes=tuple(found.notes),
        **_org_settings(found),
    )


def _app(kind: str, found: _Found, files: _Files, location: str) -> App | None:
    """Return an app; None where nothing but a component that refers to it was found, and it need not exist."""
    own_type = "ConnectedApp" if kind == CONNECTED_APP else "ExternalClientApplication"
    name, problems = found.name, list(found.problems)
    settings: dict[str, Seen | Unreadable] = {}
    read = dict(_SAID)
    for type_name, components in found.components.items():
        component, others = _choose(components) if len(components) > 1 else (components[0], ())
        problems += [
            f"{other.path} describes {name} too, with other settings; {component.path} was assessed,"
            " remove one of the two"
            for other in others
        ]
        settings.update(component.settings)
        read[type_name] = component.path
    if own_type not in read and found.components and not found.own_file_broken:
        known = next(iter(found.components))
        files.notes.append(f"{read[known]} refers to the {kind.replace('_', ' ')} {name}, of which no file was found")
        if kind == CONNECTED_APP:
            return None
    unread = _LIVE_ONLY if kind == CONNECTED_APP and not files.broken else _unread(kind, name, settings, read, files)
    label = settings.get("label")
    source = read.get(own_type) or next((path for key, path in read.items() if key not in _SAID), location)
    settings.update(derive(kind, source, Subject(settings=settings, read=read, unread=unread)))
    return App(
        settings=settings,
        read=read,
        unread=unread,
        kind=kind,
        name=name,
        label=str(label.value) if isinstance(label, Seen) else name,
        source=source,
        problems=tuple(problems),
        readable=own_type in read or (kind != CONNECTED_APP and bool(found.components)),
    )


_SAID = {"declared": "the configuration", "inventory": "the configuration"}
"""What the configuration says of an app: always read, and empty until it is."""

_LIVE_ONLY = {
    known.name: Unreadable(known.name, f"only a live org shows {known.name}", manual=True)
    for known in METADATA_TYPES.values()
    if known.live
}


def _unread(
    kind: str, name: str, settings: dict[str, Seen | Unreadable], read: dict[str, str], files: _Files
) -> dict[str, Unreadable]:
    """Return why components of an app that exist, or may exist, are not there."""
    unread = dict(_LIVE_ONLY)
    for type_name, reasons in files.broken.items():
        known = _TYPES[type_name]
        if known.subject == kind and known.parent and type_name not in read:
            unread[type_name] = Unreadable(type_name, f"it may be in a file that could not be read: {reasons[0]}")
    if kind == CONNECTED_APP:
        return unread
    state = settings.get("distributionState")
    managed = isinstance(state, Seen) and state.value in MANAGED
    if managed and GLOBAL_OAUTH not in read:
        reason = f"{name} comes from a package: its {GLOBAL_OAUTH} is kept in the publisher's org"
        unread[GLOBAL_OAUTH] = Unreadable(GLOBAL_OAUTH, reason, manual=True)
    # An app without any of the three has no OAuth, and then nothing is missing.
    if managed or any(type_name in read for type_name in OAUTH_TYPES):
        for type_name in OAUTH_TYPES:
            if type_name not in read:
                unread.setdefault(type_name, Unreadable(type_name, f"no {type_name} of {name} was found"))
    return unread


def _choose(components: list[Component]) -> tuple[Component, list[Component]]:
    """Return the component to assess of several that describe the same, and those that say something else.

    A file in its type's own folder goes before one elsewhere (a template, say), then the first by its path.
    """
    known = components[0].type.name
    if known == "UserProvisioningConfig":
        # An app may have several, and one that is on is enough.
        return max(components, key=lambda one: _values(one).get("UserProvisioningConfig.enabled") is True), []
    first = min(components, key=lambda one: f"/{_FOLDERS.get(known)}/" not in f"/{one.path}")
    return first, [one for one in components if _values(one) != _values(first)]


def _values(component: Component) -> dict[str, object]:
    return {name: setting.value if isinstance(setting, Seen) else None for name, setting in component.settings.items()}


def _org_settings(files: _Files) -> dict[str, Any]:
    settings: dict[str, Seen | Unreadable] = {}
    read: dict[str, str] = {}
    unread = dict(_LIVE_ONLY)
    for name, components in files.org.items():
        component, others = _choose(components)
        if others:
            unread[name] = Unreadable(name, f"{component.path} and {others[0].path} disagree")
        else:
            settings |= component.settings
            read[name] = component.path
    for name, reasons in files.broken.items():
        if (ORG, name) in METADATA_TYPES and name not in read:
            unread[name] = Unreadable(name, reasons[0])
    return {"settings": settings, "read": read, "unread": unread}
