"""What was read of orgs as bytes, and back: how it reaches the workers of a distributed run."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from pytest_oauthcontrols.model import Absent, App, Org, Seen, Subject, Unreadable

_STATES: dict[str, Callable[..., Any]] = {state.__name__: state for state in (Seen, Absent, Unreadable)}


def encode(orgs: Iterable[Org]) -> bytes:
    """Return orgs as bytes."""
    return zlib.compress(json.dumps([_org(org) for org in orgs], separators=(",", ":")).encode(), level=1)


def decode(content: bytes) -> tuple[Org, ...]:
    """Return the orgs that `encode` was given."""
    return tuple(_to_org(org) for org in json.loads(zlib.decompress(content)))


def _org(org: Org) -> dict[str, Any]:
    fields = {
        name: getattr(org, name) for name in ("name", "source", "location", "sha256", "notes", "org_id", "api_version")
    }
    return {**fields, **_subject(org), "taken_at": org.taken_at.isoformat(), "apps": [_app(app) for app in org.apps]}


def _to_org(said: dict[str, Any]) -> Org:
    apps = tuple(App(**{**app, **_to_subject(app), "problems": tuple(app["problems"])}) for app in said["apps"])
    taken_at = datetime.fromisoformat(said["taken_at"])
    return Org(**{**said, **_to_subject(said), "taken_at": taken_at, "notes": tuple(said["notes"]), "apps": apps})


def _app(app: App) -> dict[str, Any]:
    fields = {name: getattr(app, name) for name in ("kind", "name", "label", "source", "problems", "readable")}
    return {**fields, **_subject(app)}


def _subject(subject: Subject) -> dict[str, Any]:
    return {"settings": _settings(subject.settings), "read": dict(subject.read), "unread": _settings(subject.unread)}


def _to_subject(said: dict[str, Any]) -> dict[str, Any]:
    return {"settings": _to_settings(said["settings"]), "unread": _to_settings(said["unread"])}


def _settings(settings: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: [type(setting).__name__, *setting] for name, setting in settings.items()}


def _to_settings(said: dict[str, list[Any]]) -> dict[str, Any]:
    return {
        name: _STATES[state](*(tuple(one) if isinstance(one, list) else one for one in fields))
        for name, (state, *fields) in said.items()
    }
