"""What only queries (SOQL) show of an org: PIN policies, apps that no metadata shows, tokens, the users apps run as.

A query that is refused leaves its settings unreadable, never the rest. Columns that hold a token are never asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote

from pytest_oauthcontrols.orgs.derived import derive
from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    METADATA_TYPES,
    OAUTH_POLICIES,
    PERMISSIONS,
)
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.sources.live.connection import Connection
from pytest_oauthcontrols.sources.live.errors import Refusal, explain

LONGEST_QUERY = 12_000
"""Characters of the longest query, as it stands in a URL; Salesforce takes 16,384 with everything around it."""

MOST_CALLS = 10
"""Calls that the reading of an org takes at most; of a query with more pages than fit, the rest is not read."""

_RUN_AS_USER = {
    CONNECTED_APP: "oauthConfig.oauthClientCredentialUser",
    EXTERNAL_CLIENT_APP: f"{OAUTH_POLICIES}.clientCredentialsFlowUser",
}

_LONGEST_NUMBER = 15
_APPLICATIONS = "ConnectedApplication"
_TOKENS = "OauthToken"
_ASSIGNMENTS = "PermissionSetAssignment"


class Records(NamedTuple):
    """The answer to a query."""

    rows: tuple[dict[str, Any], ...] = ()
    gap: str | None = None
    """Why rows are missing; None where all of them are there."""


def ask(connection: Connection, soql: str) -> Records:
    """Return the records of a query."""
    rows: list[dict[str, Any]] = []
    try:
        page = connection.query(soql)
        rows += _rows(page)
        while not page.get("done", True):
            if connection.calls >= MOST_CALLS:
                total = page.get("totalSize")
                return Records(
                    tuple(rows), f"{len(rows)} of {total} records were read, to spare the org's API requests"
                )
            url = page.get("nextRecordsUrl")
            if not isinstance(url, str) or not url.startswith("/"):
                return Records(tuple(rows), "the next page of records is not named")
            page = connection.query_more(url)
            rows += _rows(page)
    except Refusal as refusal:
        return Records(tuple(rows), explain(refusal))
    return Records(tuple(rows))


def _rows(page: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for row in page["records"] if isinstance(row, dict)]


def ask_tokens(connection: Connection) -> Records:
    """Return which apps users hold tokens of: `AppName`, and `users`, how many hold one."""
    return ask(connection, f"SELECT AppName, COUNT_DISTINCT(UserId) users FROM {_TOKENS} GROUP BY AppName")  # noqa: S608


def ask_applications(connection: Connection) -> Records:
    """Return the connected apps that are known to the org, those of other publishers too."""
    columns = METADATA_TYPES[CONNECTED_APP, _APPLICATIONS].fields
    return ask(connection, f"SELECT Id, Name, {', '.join(columns)} FROM {_APPLICATIONS}")  # noqa: S608


def ask_permissions(connection: Connection, apps: Iterable[App]) -> Records:
    """Return what the users that apps run as may do, from their profiles and their permission sets."""
    columns = [f"PermissionSet.Permissions{name}" for name in PERMISSIONS]
    users = sorted({user for app in apps if (user := _run_as(app)) is not None})
    if not users:
        return Records()
    question = (
        f"SELECT Assignee.Username, {', '.join(columns)} FROM {_ASSIGNMENTS}"  # noqa: S608
        f" WHERE (PermissionSet.IsOwnedByProfile = true OR {' OR '.join(f'{column} = true' for column in columns)})"
        " AND Assignee.Username IN ("
    )
    length, names = len(quote(question)), []
    for user in users:
        name = "'" + user.replace("\\", "\\\\").replace("'", "\\'") + "'"
        length += len(quote(name, safe="")) + len("%2C")
        if length > LONGEST_QUERY:
            break
        names.append(name)
    return ask(connection, f"{question}{','.join(names)})")


def _run_as(app: App) -> str | None:
    user = app.settings.get(_RUN_AS_USER[app.kind])
    return str(user.value) if isinstance(user, Seen) else None


def add_applications(org: Org, applications: Records, ids: dict[tuple[str, str], str], complete: bool) -> Org:
    """Return the org with the PIN policies of its connected apps, and with the apps that only the query shows.

    `ids` are those of connected apps by kind and full name; `complete` says whether all apps that metadata can show are
    in the org already.
    """
    of_app: dict[App, list[dict[str, Any]]] = {}
    ambiguous: set[App] = set()
    connected = [app for app in org.apps if app.kind == CONNECTED_APP]
    by_id = {id_[:15]: app for app in connected if (id_ := ids.get((app.kind, app.name.casefold())))}
    by_label: dict[str, list[App]] = {}
    for app in connected:
        by_label.setdefault(_folded(app.label), []).append(app)
    others: list[str] = []
    for row in applications.rows:
        label = _folded(str(row.get("Name")))
        known = by_id.get(str(row.get("Id"))[:15])
        if known is not None:
            of_app.setdefault(known, []).append(row)
        elif label in by_label:
            of_app.setdefault(by_label[label][0], []).append(row)
            ambiguous.update(by_label[label] if len(by_label[label]) > 1 else ())
        else:
            others.append(" ".join(str(row.get("Name")).split()))
    apps = [
        _with_policies(app, of_app.get(app, []), applications, app in ambiguous) if app.kind == CONNECTED_APP else app
        for app in org.apps
    ]
    apps += _only_queried(others, org, complete)
    apps.sort(key=lambda app: (app.kind, app.name))
    notes = org.notes
    if applications.gap is not None:
        notes += (f"apps that no metadata shows may be missing: {_APPLICATIONS}: {applications.gap}",)
    return replace(org, apps=tuple(apps), notes=notes)


def _folded(label: str) -> str:
    return " ".join(label.split()).casefold()


def _with_policies(app: App, rows: list[dict[str, Any]], applications: Records, ambiguous: bool) -> App:
    if len(rows) != 1 or ambiguous:
        reason = (
            f"several apps, or records of {_APPLICATIONS}, are called {app.label}"
            if rows or ambiguous
            else f"no record of {_APPLICATIONS} is called {app.label}"
            if applications.gap is None
            else f"{_APPLICATIONS} could not be read: {applications.gap}"
        )
        return replace(app, unread={**app.unread, _APPLICATIONS: Unreadable(_APPLICATIONS, reason)})
    settings = dict(app.settings)
    for column in METADATA_TYPES[CONNECTED_APP, _APPLICATIONS].fields:
        name, value = f"{_APPLICATIONS}.{column}", rows[0].get(column)
        # Picklists: their values are texts.
        if isinstance(value, int | str) and str(value).isdecimal() and len(str(value)) <= _LONGEST_NUMBER:
            settings[name] = Seen(name, int(value), f"SOQL {_APPLICATIONS}")
        elif value is not None:
            settings[name] = Unreadable(name, f"{name} is '{str(value)[:60]}', no whole number")
    return replace(app, settings=settings, read={**app.read, _APPLICATIONS: f"SOQL {_APPLICATIONS}"})


def _only_queried(labels: list[str], org: Org, complete: bool) -> Iterator[App]:
    """Yield an app for each label that no metadata shows: installed from a publisher's org, which alone shows it."""
    for label in sorted(set(labels)):
        problem = (
            f"{label} is installed from its publisher's org, and the Metadata API does not show it; look at its"
            " policies in Setup > Manage Connected Apps"
        )
        app = App(
            kind=CONNECTED_APP,
            name=label,
            label=label,
            source=f"SOQL {_APPLICATIONS}",
            settings={},
            read={},
            unread={},
            managed=complete,
            readable=False,
            problems=(problem,),
        )
        yield replace(app, settings=derive(app))


def add_tokens(org: Org, tokens: Records, applications: Records, others_seen: bool, complete: bool) -> Org:
    """Return the org with the names of authorized and of installed apps.

    `others_seen` says whether the user is known to see tokens of others; `complete`, whether all external client apps
    are in the org.
    """
    others_seen = others_seen or any(isinstance(row.get("users"), int) and row["users"] > 1 for row in tokens.rows)
    authorized = [str(row["AppName"]) for row in tokens.rows if row.get("AppName")]
    installed = [str(row.get("Name")) for row in applications.rows]
    installed += [app.label for app in org.apps if app.kind == EXTERNAL_CLIENT_APP]
    gap = tokens.gap
    if gap is None and not others_seen:
        gap = "nothing shows that the user may see the tokens of others; it needs Customize Application"
    org = _with_names(org, f"{_TOKENS}.AppName", authorized, gap, f"SOQL {_TOKENS}")
    gap = applications.gap
    if gap is None and not complete:
        gap = "external client apps could not be read"
    return _with_names(org, "InstalledApps.Label", installed, gap, f"SOQL {_APPLICATIONS}")


def _with_names(org: Org, name: str, values: list[str], gap: str | None, source: str) -> Org:
    component = name.partition(".")[0]
    if gap is not None:
        why = Unreadable(component, f"{component} could not be read: {gap}")
        return replace(org, unread={**org.unread, component: why})
    seen = Seen(name, tuple(sorted(values)), source)
    return replace(org, settings={**org.settings, name: seen}, read={**org.read, component: source})


def add_permissions(org: Org, assignments: Records) -> Org:
    """Return the org with the permissions of the users that its apps run as."""
    held: dict[str, set[str]] = {}
    unclear: set[str] = set()
    for row in assignments.rows:
        user, granted = row.get("Assignee"), row.get("PermissionSet")
        if isinstance(user, dict) and isinstance(granted, dict):
            name = str(user.get("Username")).casefold()
            said = {permission: granted.get(f"Permissions{permission}") for permission in PERMISSIONS}
            held.setdefault(name, set()).update(permission for permission, has in said.items() if has is True)
            unclear.update([name] if not all(isinstance(has, bool) for has in said.values()) else ())
    for name in unclear:
        del held[name]
    return replace(org, apps=tuple(_with_permissions(app, held, assignments.gap) for app in org.apps))


def _with_permissions(app: App, held: dict[str, set[str]], gap: str | None) -> App:
    user = _run_as(app)
    if user is None:
        return app
    if gap is not None or user.casefold() not in held:
        reason = f"the permissions of {user} could not be read: " + (
            gap
            or f"{_ASSIGNMENTS} does not show them in full; the auditing user needs View Setup and Configuration, and"
            " of a great many users the first ones are asked for"
        )
        return replace(app, unread={**app.unread, "RunAsUser": Unreadable("RunAsUser", reason)})
    source = f"SOQL {_ASSIGNMENTS}"
    seen = Seen("RunAsUser.Permissions", tuple(sorted(held[user.casefold()])), source)
    return replace(app, settings={**app.settings, seen.name: seen}, read={**app.read, "RunAsUser": source})
