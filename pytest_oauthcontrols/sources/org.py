"""A live org: one retrieve for everything that is metadata, and a few queries for what is not."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NoReturn

from pytest_oauthcontrols.credentials import Credentials
from pytest_oauthcontrols.model import CONNECTED_APP, EXTERNAL_CLIENT_APP, Org
from pytest_oauthcontrols.settings import METADATA_TYPES
from pytest_oauthcontrols.sources.archive import metadata_files, open_archive
from pytest_oauthcontrols.sources.assembly import Origin, assemble, now
from pytest_oauthcontrols.sources.connection import Connection
from pytest_oauthcontrols.sources.metadata import FILE_TYPES, MetadataFile, SourceError, UnreadableFile, full_name
from pytest_oauthcontrols.sources.metadata_api import LISTED, Listed, list_components, retrieve
from pytest_oauthcontrols.sources.queries import (
    Records,
    add_applications,
    add_permissions,
    add_tokens,
    ask_applications,
    ask_permissions,
    ask_tokens,
)
from pytest_oauthcontrols.sources.refusals import Refusal, explain
from pytest_oauthcontrols.sources.threads import Patience, Say

SOURCE = "Metadata API"

_APP_TYPES = {"ConnectedApp": CONNECTED_APP, "ExternalClientApplication": EXTERNAL_CLIENT_APP}


def read_org(name: str, credentials: Credentials, patience: Patience, say: Say) -> Org:
    """Return a live org; `say` is told what is being done.

    Raises `SourceError` where the org cannot be read. What only a part of it cannot be read is a problem of the org, or
    of an app.
    """
    try:
        say("logging in")
        return _read(name, Connection(credentials, patience), say)
    except Refusal as refusal:
        raise SourceError(explain(refusal)) from None


def _read(name: str, connection: Connection, say: Say) -> Org:
    taken_at = now()
    meanwhile: list[tuple[Records, list[Listed] | Refusal]] = []

    def ask() -> None:
        # A retrieve that has to be repeated has been waited for once.
        if not meanwhile:
            meanwhile.append((ask_tokens(connection), _list(connection, LISTED)))

    say("retrieving")
    archive, messages = retrieve(connection, ask)
    say("reading")
    tokens, found = meanwhile[0]
    gaps = _Gaps(messages, connection.version)
    listed = _counted(connection, found, gaps)
    with open_archive(io.BytesIO(archive), SOURCE) as unpacked:
        files = list(metadata_files(unpacked, SOURCE, joint=" "))
        files += _not_arrived(files, listed, gaps)
        origin = Origin(name, "org", connection.address, taken_at, connection.version)
        org = assemble(origin, files, gaps.missing)
    ids = {(_APP_TYPES[one.type], one.full_name.casefold()): one.id for one in listed if one.type in _APP_TYPES}
    permissions = ask_permissions(connection, org.apps)
    applications = ask_applications(connection)
    org = add_applications(org, applications, ids, complete="ConnectedApp" not in gaps.missing)
    # Salesforce shows both to users with Customize Application only.
    sees_others = any(app.kind == CONNECTED_APP and app.readable for app in org.apps)
    all_external = "ExternalClientApplication" not in gaps.missing and all(
        app.readable for app in org.apps if app.kind == EXTERNAL_CLIENT_APP
    )
    org = add_tokens(org, tokens, applications, sees_others, complete=all_external)
    org = add_permissions(org, permissions)
    queried = json.dumps([tokens, applications, permissions], sort_keys=True)
    return replace(
        org,
        sha256=hashlib.sha256(f"{org.sha256}\0{queried}".encode()).hexdigest(),
        org_id=connection.org_id,
        api_calls=connection.calls,
        notes=(*org.notes, *gaps.notes),
        problems=tuple(gaps.problems),
    )


class _Gaps:
    """What the org says that it did not deliver."""

    def __init__(self, messages: Iterable[str], version: float) -> None:
        self.missing: dict[str, str] = {}
        """Metadata type to why components of it may exist that did not arrive."""
        self.unavailable: set[str] = set()
        """Types that the org does not have."""
        self.components: dict[tuple[str, str], str] = {}
        """Type and full name to why a component did not arrive."""
        self.problems: list[str] = []
        self.notes: list[str] = []
        for known in METADATA_TYPES.values():
            if known.suffix and known.since > version:
                since = f"{known.since:.1f}"
                self.missing[known.name] = (
                    f"API version {version}, at which the org was read, does not have {known.name}; {since} does"
                )
        for message in messages:
            self._understand(message)

    def _understand(self, message: str) -> None:
        reason = f"{SOURCE}: {message}"
        component = _NAMED.search(message) or _LOADED.search(message)
        type_ = _DENIED.search(message) or _UNAVAILABLE.search(message)
        if component is not None:
            type_name, full = component[1], component[2]
            type_name = f"{full}Settings" if type_name == "Settings" else type_name
            if type_name in _APP_TYPES:
                self.components[type_name, full] = reason
            elif type_name in FILE_TYPES:
                self.missing[type_name] = reason
            self.notes.append(reason)
        elif type_ is not None and _UNAVAILABLE.search(message) and type_[1] != "ConnectedApp":
            # An org whose edition has no external client apps.
            self.unavailable.add(type_[1])
            self.notes.append(reason)
        elif type_ is not None and type_[1] == "Settings":
            self.missing |= {name: reason for name, known in FILE_TYPES.items() if known.suffix == "settings"}
            self.notes.append(reason)
        elif type_ is not None and type_[1] in FILE_TYPES and type_[1] not in _APP_TYPES:
            self.missing[type_[1]] = reason
            self.notes.append(reason)
        else:
            # What it is about, nobody can tell, or it may be an app that nobody can name.
            self.missing |= {type_[1]: reason} if type_ and type_[1] in _APP_TYPES else {}
            self.problems.append(reason)


_NAMED = re.compile(r"Entity of type '(\w+)' named '(.+)' cannot be found")
_LOADED = re.compile(r"for metadata of type:\s*(\w+) and file name:\s*(.+?)\.?$")
_DENIED = re.compile(r"proper permissions to access (\w+)")
_UNAVAILABLE = re.compile(r"Entity type:? '(\w+)' is (?:unknown|not available)")


def _list(connection: Connection, types: Iterable[str]) -> list[Listed] | Refusal:
    try:
        return list_components(connection, types)
    except Refusal as refusal:
        return refusal


def _counted(connection: Connection, found: list[Listed] | Refusal, gaps: _Gaps) -> list[Listed]:
    """Return the components that exist; where they could not be counted, that is a problem of the org."""
    types = [name for name in LISTED if name not in gaps.unavailable]
    if isinstance(found, Refusal) and gaps.unavailable:
        # An org refuses the whole list for one type that it does not have.
        found = _list(connection, types)
    if isinstance(found, Refusal):
        reason = f"{SOURCE}: the org's apps could not be counted, so some may be missing: {explain(found)}"
        gaps.problems.append(reason)
        gaps.missing |= dict.fromkeys(types, reason)
        return []
    return found


def _not_arrived(files: Iterable[MetadataFile], listed: Iterable[Listed], gaps: _Gaps) -> Iterator[MetadataFile]:
    """Yield a file that cannot be read for each app that exists and is not among the files."""
    suffixes = {FILE_TYPES[name].suffix: name for name in LISTED}
    arrived = {
        (suffixes[suffix], full_name(file.relative).casefold())
        for file in files
        if (suffix := file.relative.removesuffix("-meta.xml").rpartition(".")[2]) in suffixes
    }
    lacking = {(one.type, one.full_name): one.installed for one in listed}
    for (type_name, full), installed in lacking.items():
        if (type_name, full.casefold()) not in arrived and type_name not in _APP_TYPES:
            gaps.missing.setdefault(type_name, f"{type_name} {full} exists, and the Metadata API did not deliver it")
        elif (type_name, full.casefold()) not in arrived:
            gaps.components.setdefault(
                (type_name, full), f"{full} exists, and the Metadata API did not deliver it{_WHY[installed]}"
            )
    for (type_name, full), reason in gaps.components.items():
        if (type_name, full.casefold()) not in arrived:
            relative = f"{type_name}/{full}.{FILE_TYPES[type_name].suffix}"
            fail = _Failing(reason, managed=lacking.get((type_name, full), False))
            yield MetadataFile(f"{SOURCE} {relative}", relative, fail)


_WHY = {
    True: ": it comes from a package; look at its policies in Setup > Manage Connected Apps",
    False: "; the user needs Manage Connected Apps, or View all External Client Apps",
}


class _Failing:
    """A file that exists and did not arrive."""

    def __init__(self, reason: str, managed: bool) -> None:
        self._error = UnreadableFile(reason)
        self._error.managed = managed

    def __call__(self) -> NoReturn:
        raise self._error
