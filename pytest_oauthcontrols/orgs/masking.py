"""Users' names and addresses, which reports mask: they travel further than who may know them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pytest_oauthcontrols.orgs.metadata_types import fields_of
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable

MOST_LISTED = 50
"""Names that reports show of a list of users."""

_ADDRESS = re.compile(r"([\w.+%'-])[\w.+%'-]{0,79}@([\w-]{1,63}(?:\.[\w-]{1,63})+)")


def mask(text: str) -> str:
    """Return a text in which usernames and addresses of people keep their first letter and their domain."""
    return _ADDRESS.sub(r"\1***@\2", text)


def mask_identity(name: str) -> str:
    """Return a username, or any other name of a user, of which the first letter and the domain stay."""
    local, at, domain = name.rpartition("@")
    return f"{(local or domain)[:1]}***{at}{domain if at else ''}"


def listed(names: Sequence[str]) -> str:
    """Return names as reports show them: the first of a great many, and how many more there are."""
    more = len(names) - MOST_LISTED
    if not names:
        return "nobody"
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")


def is_masked(setting: Seen) -> bool:
    """Tell whether the users that a setting names are shown masked."""
    return isinstance(setting.value, tuple) and setting.shown not in (None, listed(setting.value))


def masked(org: Org) -> Org:
    """Return an org whose users' names are shown masked; what is evaluated stays as it was read.

    An org can be known by a username. One that could not be read has nothing else for its location.
    """
    return replace(
        _masked(org, "org"),
        name=mask(org.name),
        unmasked=org.name,
        location=mask(org.location) if org.location == org.name else org.location,
        apps=tuple(_masked(app, app.kind) for app in org.apps),
        user=None if org.user is None else mask(org.user),
        notes=tuple(mask(note) for note in org.notes),
    )


_Subject = TypeVar("_Subject", App, Org)


def _masked(subject: _Subject, kind: str) -> _Subject:
    known = fields_of(kind)
    return replace(
        subject,
        settings={name: _shown(setting, known[name][1].identity) for name, setting in subject.settings.items()},
        unread={name: one._replace(reason=mask(one.reason)) for name, one in subject.unread.items()},
        problems=tuple(mask(problem) for problem in subject.problems),
    )


def _shown(setting: Seen | Unreadable, identity: bool) -> Seen | Unreadable:
    if isinstance(setting, Unreadable):
        return setting._replace(reason=mask(setting.reason))
    if not identity:
        return setting
    names = setting.value if isinstance(setting.value, tuple) else (str(setting.value),)
    return setting._replace(shown=listed([mask_identity(name) for name in names]))
