"""What was read of an org as a file, and back: a snapshot.

A snapshot is a JSON file of one org, sorted, that says of itself which version of this format it has and what its
content's digest is. Only settings are in it, so no key, secret or session id.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from pytest_oauthcontrols.errors import OAuthControlsError
from pytest_oauthcontrols.orgs.derived import derive
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG, Field, fields_of
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Snapshot, Subject, Unreadable, Value

FORMAT = "pytest-oauthcontrols snapshot"
VERSION = 1
_LONGEST_VERSION = 20

_ORG_FIELDS = ("name", "source", "location", "sha256", "org_id", "user", "api_version", "api_calls", "readable")
_APP_FIELDS = ("kind", "name", "label", "source", "readable", "managed")


class SnapshotError(OAuthControlsError):
    """A file that is no snapshot, or not the one that was written; the message says why."""


def dump(org: Org) -> bytes:
    """Return the content of an org's snapshot."""
    said = _org(org)
    del said["snapshot"], said["unmasked"]
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
        version = str(said.get("version"))[:_LONGEST_VERSION]
        raise SnapshotError(
            f"{file}: is a snapshot of version {version}, and version {VERSION} is read here; read the org again, or"
            " use the release that wrote it"
        )
    if not said.get("sha256") or _digest(said.get("org")) != said["sha256"]:
        raise SnapshotError(f"{file}: was changed after it was written; its content has another digest now")
    try:
        org = _to_org({**said["org"], "snapshot": None, "unmasked": None})
    except (KeyError, TypeError, ValueError):
        org = None
    # An org of which nothing could be read is not kept.
    if org is None or not org.readable:
        raise SnapshotError(f"{file}: is no snapshot that this tool has written; read the org again")
    return replace(org, source="snapshot", snapshot=Snapshot(file, hashlib.sha256(content).hexdigest()))


def _bytes(said: Any) -> bytes:
    return (json.dumps(said, indent=1, sort_keys=True) + "\n").encode()


def _digest(said: Any) -> str:
    """Return the digest of the content; empty for what is nested so deeply that it cannot be written again."""
    try:
        return hashlib.sha256(_bytes(said)).hexdigest()
    except RecursionError:
        return ""


def _org(org: Org) -> dict[str, Any]:
    fields = {name: getattr(org, name) for name in (*_ORG_FIELDS, "unmasked", "notes", "problems", "snapshot")}
    return {**fields, **_subject(org), "taken_at": org.taken_at.isoformat(), "apps": [_app(app) for app in org.apps]}


def _app(app: App) -> dict[str, Any]:
    return {**{name: getattr(app, name) for name in _APP_FIELDS}, "problems": app.problems, **_subject(app)}


def _subject(subject: Subject) -> dict[str, Any]:
    return {
        "settings": {name: _setting(setting) for name, setting in subject.settings.items()},
        "read": dict(subject.read),
        "unread": {name: _setting(setting) for name, setting in subject.unread.items()},
    }


def _setting(setting: Seen | Unreadable) -> dict[str, Any]:
    """Return a setting without what need not be said of it."""
    if isinstance(setting, Seen):
        said = {"value": setting.value, "source": setting.source, "line": setting.line, "shown": setting.shown}
        return {name: value for name, value in said.items() if value is not None}
    return {"unreadable": setting.reason, **({"manual": True} if setting.manual else {})}


# Back again: a snapshot may say anything, so whatever is not as it is written raises KeyError, TypeError or ValueError.


def _to_org(said: Any) -> Org:
    taken_at = datetime.fromisoformat(_is(said["taken_at"], str))
    if taken_at.utcoffset() is None:
        raise ValueError("taken_at")
    return Org(
        name=_is(said["name"], str),
        source=_is(said["source"], str),
        location=_is(said["location"], str),
        sha256=_is(said["sha256"], str),
        org_id=_is(said["org_id"], str, type(None)),
        user=_is(said["user"], str, type(None)),
        api_version=_is(said["api_version"], float, type(None)),
        api_calls=_is(said["api_calls"], int),
        readable=_is(said["readable"], bool),
        notes=_texts(said["notes"]),
        problems=_texts(said["problems"]),
        taken_at=taken_at,
        apps=tuple(_to_app(app) for app in _is(said["apps"], list)),
        snapshot=Snapshot(*said["snapshot"]) if said["snapshot"] else None,
        unmasked=said["unmasked"],
        **_to_subject(said, ORG),
    )


def _to_app(said: Any) -> App:
    kind = said["kind"]
    if kind not in (CONNECTED_APP, EXTERNAL_CLIENT_APP):
        raise ValueError("kind")
    app = App(
        kind=kind,
        name=_is(said["name"], str),
        label=_is(said["label"], str),
        source=_is(said["source"], str),
        readable=_is(said["readable"], bool),
        managed=_is(said["managed"], bool),
        problems=_texts(said["problems"]),
        **_to_subject(said, kind),
    )
    if not app.readable and not app.problems:
        raise ValueError("problems")
    # What every app has, because it follows from the rest. A release that did not say how the client type is known drew
    # other conclusions, so that all follows anew from what it read.
    _ = app.settings["oauth"], app.settings["client_type"]
    if "client_type_basis" in app.settings:
        return app
    return replace(app, settings={**app.settings, **derive(app)})


def _to_subject(said: Any, kind: str) -> dict[str, Any]:
    known = fields_of(kind)
    return {
        "settings": {
            name: _to_setting(name, setting, known[name][1]) for name, setting in _is(said["settings"], dict).items()
        },
        "read": {name: _is(source, str) for name, source in _is(said["read"], dict).items()},
        "unread": {name: _to_unreadable(name, setting) for name, setting in _is(said["unread"], dict).items()},
    }


def _to_setting(name: str, said: Any, known: Field) -> Seen | Unreadable:
    if "unreadable" in _is(said, dict):
        return _to_unreadable(name, said)
    return Seen(
        name,
        _to_value(said["value"], known.type),
        _is(said["source"], str),
        _is(said.get("line"), int, type(None)),
        _is(said.get("shown"), str, type(None)),
    )


def _to_unreadable(name: str, said: Any) -> Unreadable:
    return Unreadable(name, _is(said["unreadable"], str), _is(said.get("manual", False), bool))


def _to_value(value: Any, type_: str) -> Value:
    if type_ == "boolean":
        return bool(_is(value, bool))
    if type_ == "integer":
        return int(_is(value, int))
    if type_ not in ("list", "scopes", "ranges"):
        return str(_is(value, str))
    values = _texts(value)
    if type_ == "ranges":
        for one in values:
            first, last = (ipaddress.ip_address(end) for end in one.split("-"))
            if first.version != last.version or int(first) > int(last):
                raise ValueError(one)
    return values


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_is(one, str) for one in _is(value, list))


def _is(value: Any, *types: type) -> Any:
    """Return a value that is of one of the types; a boolean is no number."""
    if type(value) not in types:
        raise TypeError(f"{type(value).__name__} in the place of {types[0].__name__}")
    return value
