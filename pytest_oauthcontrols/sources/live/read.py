"""A live org: one retrieve for everything that is metadata, and a few queries for what is not."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import replace

from pytest_oauthcontrols.config.credentials import Credentials
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.sources.archive import metadata_files, open_archive
from pytest_oauthcontrols.sources.assembly import Origin, assemble, now
from pytest_oauthcontrols.sources.live.connection import Connection
from pytest_oauthcontrols.sources.live.errors import Refusal, explain
from pytest_oauthcontrols.sources.live.metadata_api import LISTED, Listed, list_components, retrieve
from pytest_oauthcontrols.sources.live.missing import Gaps, not_arrived
from pytest_oauthcontrols.sources.live.soql import (
    Records,
    add_applications,
    add_holders,
    add_permissions,
    add_tokens,
    ask_rest,
    ask_tokens,
)
from pytest_oauthcontrols.sources.parallel import Patience, Say
from pytest_oauthcontrols.sources.parser import APP_TYPES, SOURCE, SourceError


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
    gaps = Gaps(messages, connection.version)
    listed = _counted(connection, found, gaps)
    with open_archive(io.BytesIO(archive), SOURCE) as unpacked:
        files = list(metadata_files(unpacked, SOURCE, joint=" "))
        files += not_arrived(files, listed, gaps)
        origin = Origin(name, "org", connection.address, taken_at, connection.version)
        org = assemble(origin, files, gaps.missing)
    ids = {(APP_TYPES[one.type], one.full_name.casefold()): one.id for one in listed if one.type in APP_TYPES}
    queried = ask_rest(connection, org.apps)
    org = add_applications(org, queried.applications, tokens, ids, complete="ConnectedApp" not in gaps.missing)
    # Salesforce shows both to users with Customize Application only.
    sees_others = any(app.kind == CONNECTED_APP and "ConnectedApp" in app.read for app in org.apps)
    all_external = "ExternalClientApplication" not in gaps.missing and all(
        app.readable for app in org.apps if app.kind == EXTERNAL_CLIENT_APP
    )
    org = add_tokens(org, tokens, queried.applications, sees_others, complete=all_external)
    org = add_holders(add_permissions(org, queried.permissions), queried.holders)
    answers = json.dumps([tokens, queried], sort_keys=True)
    return replace(
        org,
        sha256=hashlib.sha256(f"{org.sha256}\0{answers}".encode()).hexdigest(),
        org_id=connection.org_id,
        user=connection.user,
        api_calls=connection.calls,
        notes=(*org.notes, *gaps.notes),
        problems=tuple(gaps.problems),
    )


def _list(connection: Connection, types: Iterable[str]) -> list[Listed] | Refusal:
    try:
        return list_components(connection, types)
    except Refusal as refusal:
        return refusal


def _counted(connection: Connection, found: list[Listed] | Refusal, gaps: Gaps) -> list[Listed]:
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
