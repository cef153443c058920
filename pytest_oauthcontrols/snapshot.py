"""What was read of orgs as data, and back: how it reaches the workers of a distributed run, and what a snapshot keeps.

A snapshot is a JSON file of one org, sorted, that says of itself which version of this format it has and what its
content's digest is. Only settings are in it, so no key, secret or session id.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pytest_oauthcontrols.model import ORG, App, Org, Seen, Snapshot, Subject, Unreadable
from pytest_oauthcontrols.settings import Field, fields_of

FORMAT = "pytest-oauthcontrols snapshot"
VERSION = 1

_ORG_FIELDS = ("name", "source", "location", "sha256", "org_id", "api_version", "api_calls", "readable")
_APP_FIELDS = ("kind", "name", "label", "source", "readable", "managed")


class SnapshotError(Exception):
    """A file that is no snapshot, or not the one that was written; the message says why."""


def encode(orgs: Iterable[Org]) -> bytes:
    """Return orgs as bytes."""
    return zlib.compress(json.dumps([_org(org) for org in orgs], separators=(",", ":")).encode(), level=1)


def decode(content: bytes) -> tuple[Org, ...]:
    """Return the orgs that `encode` was given."""
    return tuple(_to_org(org) for org in json.loads(zlib.decompress(content)))


def dump(org: Org) -> bytes:
    """Return the content of an org's snapshot."""
    said = _org(org)
    del said["snapshot"]
    return _bytes({"format": FORMAT, "version": VERSION, "sha256": _digest(said), "org": said})


def load(content: bytes, file: str) -> Org:
    """Return the org that a snapshot keeps; `file` is its path, as people know it.

    Raises `SnapshotError` for a file that is none, that another version of this format has, or that was changed.
    """
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        raise SnapshotError(f"{file}: is no JSON, so no snapshot; write one with --sf-snapshot") from None
    if not isinstance(said, dict) or said.get("format") != FORMAT:
        raise SnapshotError(f"{file}: is no snapshot; write one with --sf-snapshot")
    if said.get("version") != VERSION:
        raise SnapshotError(
            f"{file}: is a snapshot of version {said.get('version')}, and version {VERSION} is read here; read the org"
            " again, or use the release that wrote it"
        )
    if _digest(said.get("org")) != said.get("sha256"):
        raise SnapshotError(f"{file}: was changed after it was written; its content does not have the digest it states")
    try:
        org = _to_org({**said["org"], "snapshot": None})
        _check(org)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SnapshotError(f"{file}: is no snapshot that this tool has written ({error!r})") from None
    return replace(org, source="snapshot", snapshot=Snapshot(file, hashlib.sha256(content).hexdigest()))


def _bytes(said: Any) -> bytes:
    return (json.dumps(said, indent=1, sort_keys=True) + "\n").encode()


def _digest(said: Any) -> str:
    return hashlib.sha256(_bytes(said)).hexdigest()


def _org(org: Org) -> dict[str, Any]:
    fields = {name: getattr(org, name) for name in (*_ORG_FIELDS, "notes", "problems", "snapshot")}
    return {**fields, **_subject(org), "taken_at": org.taken_at.isoformat(), "apps": [_app(app) for app in org.apps]}


def _to_org(said: dict[str, Any]) -> Org:
    return Org(
        **{name: said[name] for name in _ORG_FIELDS},
        **_to_subject(said),
        taken_at=datetime.fromisoformat(said["taken_at"]),
        apps=tuple(_to_app(app) for app in said["apps"]),
        notes=tuple(said["notes"]),
        problems=tuple(said["problems"]),
        snapshot=Snapshot(*said["snapshot"]) if said["snapshot"] else None,
    )


def _app(app: App) -> dict[str, Any]:
    return {**{name: getattr(app, name) for name in _APP_FIELDS}, "problems": app.problems, **_subject(app)}


def _to_app(said: dict[str, Any]) -> App:
    return App(**{name: said[name] for name in _APP_FIELDS}, **_to_subject(said), problems=tuple(said["problems"]))


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "settings": {name: _setting(setting) for name, setting in subject.settings.items()},
        "read": dict(subject.read),
        "unread": {name: _setting(setting) for name, setting in subject.unread.items()},
    }


def _to_subject(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "settings": {name: _to_setting(name, setting) for name, setting in said["settings"].items()},
        "read": dict(said["read"]),
        "unread": {name: _to_setting(name, setting) for name, setting in said["unread"].items()},
    }


def _setting(setting: Seen | Unreadable) -> dict[str, Any]:
    """Return a setting without what need not be said of it."""
    if isinstance(setting, Seen):
        said = {"value": setting.value, "source": setting.source, "line": setting.line, "shown": setting.shown}
        return {name: value for name, value in said.items() if value is not None}
    return {"unreadable": setting.reason, **({"manual": True} if setting.manual else {})}


def _to_setting(name: str, said: Mapping[str, Any]) -> Any:
    if "unreadable" in said:
        return Unreadable(name, said["unreadable"], said.get("manual", False))
    value = said["value"]
    value = tuple(value) if isinstance(value, list) else value
    return Seen(name, value, said["source"], said.get("line"), said.get("shown"))


def _check(org: Org) -> None:
    """Raise `ValueError` for a setting that nothing here would have read."""
    for subject, kind in ((org, ORG), *((app, app.kind) for app in org.apps)):
        known = fields_of(kind)
        for name, setting in subject.settings.items():
            if name not in known or (isinstance(setting, Seen) and not _fits(setting.value, known[name][1])):
                raise ValueError(name)


def _fits(value: object, known: Field) -> bool:
    return isinstance(value, _TYPES.get(known.type, str)) and (known.type == "boolean" or not isinstance(value, bool))


_TYPES: dict[str, type] = {"boolean": bool, "integer": int, "list": tuple, "scopes": tuple, "ranges": tuple}
