"""What only queries (SOQL) show of an org: PIN policies, apps that no metadata shows, tokens, the users apps run as.

A query that is refused leaves its settings unreadable, never the rest. Columns that hold a token are never asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import quote

from pytest_oauthcontrols.orgs.derived import derive
from pytest_oauthcontrols.orgs.masking import listed
from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    HELD,
    METADATA_TYPES,
    OAUTH_POLICIES,
    PERMISSIONS,
)
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.sources.assembly import SAID
from pytest_oauthcontrols.sources.live.connection import Connection
from pytest_oauthcontrols.sources.live.errors import TRANSIENT, Refusal, explain

LONGEST_QUERY = 12_000
"""Characters of the longest query, as it stands in a URL; Salesforce takes 16,384 with everything around it."""

MOST_CALLS = 10
"""Calls that the reading of an org takes at most; of a query with more pages than fit, the rest is not read."""

_RUN_AS = "run as"
_RUN_AS_USER = {
    CONNECTED_APP: "oauthConfig.oauthClientCredentialUser",
    EXTERNAL_CLIENT_APP: f"{OAUTH_POLICIES}.clientCredentialsFlowUser",
}

_LONGEST_NUMBER = 15
_APPLICATIONS = "ConnectedApplication"
_TOKENS = "OauthToken"
_ASSIGNMENTS = "PermissionSetAssignment"
_FROM_APPLICATIONS = f"SOQL {_APPLICATIONS}"


class Records(NamedTuple):
    """The answer to a query."""

    rows: tuple[dict[str, Any], ...] = ()
    gap: str | None = None
    """Why rows are missing; None where all of them are there."""
    spared: bool = False
    """Whether rows are missing only because they would have taken too many calls."""
    refused: tuple[tuple[str, str], ...] = ()
    """Columns that the org refused, each with the reason."""


class Queried(NamedTuple):
    """What queries show of an org besides its tokens."""

    applications: Records
    """The connected apps that are known to the org, those of other publishers too."""
    permissions: Records
    """What the users that apps run as may do, from their profiles and their permission sets."""
    holders: dict[str, Records]
    """Permission to the users who hold it; one that the org does not know is left out."""


_Answer = dict[str, Any] | Refusal
"""The first page of the records of a query, or why it was refused."""


def ask(connection: Connection, soql: str) -> Records:
    """Return the records of a query."""
    return _all_pages(connection, _ask(connection, soql))


def _ask(connection: Connection, soql: str) -> _Answer:
    try:
        return connection.query(soql)
    except Refusal as refusal:
        return refusal


def _all_pages(connection: Connection, page: _Answer) -> Records:
    """Return the records on a page and on those after it; that none is missing has to be shown."""
    rows: list[dict[str, Any]] = []
    while True:
        if isinstance(page, Refusal):
            return Records(tuple(rows), explain(page))
        rows += [row for row in page["records"] if isinstance(row, dict)]
        total, url = page.get("totalSize"), page.get("nextRecordsUrl")
        if not all(isinstance(row, dict) for row in page["records"]):
            return Records(tuple(rows), "a record cannot be understood")
        if page.get("done") is True:
            complete = type(total) is int and total == len(rows)
            return Records(tuple(rows), None if complete else f"{len(rows)} of {total} records arrived")
        if not isinstance(url, str) or not url.startswith("/"):
            return Records(tuple(rows), "the next page of records is not named")
        if connection.calls >= MOST_CALLS:
            gap = f"{len(rows)} of {total} records were read, to spare the org's API requests"
            return Records(tuple(rows), gap, spared=True)
        try:
            page = connection.query_more(url)
        except Refusal as refusal:
            page = refusal


def ask_tokens(connection: Connection) -> Records:
    """Return which apps users hold tokens of: `AppName`, and `users`, how many hold one."""
    return ask(connection, f"SELECT AppName, COUNT_DISTINCT(UserId) users FROM {_TOKENS} GROUP BY AppName")  # noqa: S608


def ask_rest(connection: Connection, apps: Iterable[App]) -> Queried:
    """Return what queries show of connected apps, of the users that apps run as, and of who holds which permission.

    Two calls, and more for further pages and for columns that the org refuses, as long as there are calls left.
    """
    columns = list(METADATA_TYPES[CONNECTED_APP, _APPLICATIONS].fields)
    refused: dict[str, str] = {}
    found = _ask(connection, _applications(columns))
    questions = {name: _holders(name) for name in HELD}
    run_as = _permissions(apps)
    if run_as:
        questions = {_RUN_AS: run_as, **questions}
    if _take_out(found, columns, refused):
        questions[_APPLICATIONS] = _applications(columns)
    answers = _ask_together(connection, questions)
    found = answers.pop(_APPLICATIONS, found)
    while _take_out(found, columns, refused) and connection.calls < MOST_CALLS:
        found = _ask(connection, _applications(columns))
    permissions = _all_pages(connection, answers.pop(_RUN_AS)) if run_as else Records()
    applications = _named(_all_pages(connection, found))._replace(refused=tuple(refused.items()))
    holders = {
        name: _all_pages(connection, answer)
        for name, answer in answers.items()
        if _refused_column(answer) != f"Permissions{name}"
    }
    return Queried(applications, permissions, holders)


def _named(applications: Records) -> Records:
    """Return the records that name an app; that others were there is a gap."""
    rows = tuple(row for row in applications.rows if isinstance(row.get("Name"), str) and row["Name"].strip())
    if len(rows) == len(applications.rows):
        return applications
    return applications._replace(rows=rows, gap=applications.gap or "a record names no app")


def _ask_together(connection: Connection, questions: Mapping[str, str]) -> dict[str, _Answer]:
    """Return the answers to several queries, which one call brings; one by one from an org that refuses that call."""
    try:
        return dict(zip(questions, connection.query_together([*questions.values()]), strict=True))
    except Refusal as refusal:
        alone = refusal.code not in (*TRANSIENT, "REQUEST_LIMIT_EXCEEDED")
        return {
            name: _ask(connection, soql) if alone and connection.calls < MOST_CALLS else refusal
            for name, soql in questions.items()
        }


_NO_COLUMN = re.compile(r"No such column '(\w+)'")


def _refused_column(answer: _Answer) -> str | None:
    """Return the column that an org does not have; None where a query was not refused for one."""
    if not isinstance(answer, Refusal) or answer.code != "INVALID_FIELD":
        return None
    named = _NO_COLUMN.search(answer.text)
    return None if named is None else named[1]


def _take_out(answer: _Answer, columns: list[str], refused: dict[str, str]) -> bool:
    """Take the column out for which a query was refused; tell whether there was one, so that it can be asked again."""
    column = _refused_column(answer)
    if column not in columns:
        return False
    assert isinstance(answer, Refusal)
    columns.remove(column)
    refused[column] = explain(answer)
    return True


def _applications(columns: Iterable[str]) -> str:
    return f"SELECT {', '.join(['Id', 'Name', *columns])} FROM {_APPLICATIONS}"  # noqa: S608


def _holders(permission: str) -> str:
    return (
        f"SELECT Assignee.Username FROM {_ASSIGNMENTS}"  # noqa: S608
        f" WHERE PermissionSet.Permissions{permission} = true AND Assignee.IsActive = true ORDER BY Assignee.Username"
    )


def _permissions(apps: Iterable[App]) -> str:
    """Return the query for what the users may do that apps run as; empty where there are none."""
    columns = [f"PermissionSet.Permissions{name}" for name in PERMISSIONS]
    users = sorted({user for app in apps if (user := _run_as(app)) is not None})
    if not users:
        return ""
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
    return f"{question}{','.join(names)})"


def _run_as(app: App) -> str | None:
    user = app.settings.get(_RUN_AS_USER[app.kind])
    return str(user.value) if isinstance(user, Seen) else None


def add_applications(
    org: Org, applications: Records, tokens: Records, ids: dict[tuple[str, str], str], complete: bool
) -> Org:
    """Return the org with what the query shows of its connected apps, and with the apps that only the query shows.

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
    others: dict[str, list[dict[str, Any]]] = {}
    for row in applications.rows:
        label = _folded(str(row.get("Name")))
        known = by_id.get(str(row.get("Id"))[:15])
        if known is not None:
            of_app.setdefault(known, []).append(row)
        elif label in by_label:
            of_app.setdefault(by_label[label][0], []).append(row)
            ambiguous.update(by_label[label] if len(by_label[label]) > 1 else ())
        else:
            others.setdefault(" ".join(str(row.get("Name")).split()), []).append(row)
    authorized = {_folded(str(row["AppName"])) for row in tokens.rows if row.get("AppName")}
    apps = []
    for app in org.apps:
        rows = of_app.get(app, [])
        if app.kind != CONNECTED_APP:
            apps.append(app)
        elif app.out_of_reach and len(rows) == 1 and app not in ambiguous:
            label = " ".join(str(rows[0].get("Name")).split()) or app.label
            apps.append(_installed(replace(app, label=label), rows[0], applications, authorized))
        else:
            apps.append(_with_policies(app, rows, applications, app in ambiguous))
    apps += _only_queried(others, applications, authorized, complete)
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
    settings = {**app.settings, **_columns(rows[0], applications)}
    return replace(app, settings=settings, read={**app.read, _APPLICATIONS: _FROM_APPLICATIONS})


def _columns(row: dict[str, Any], applications: Records) -> dict[str, Seen | Unreadable]:
    """Return what a record shows of an app; a column that the org refused is unreadable."""
    settings: dict[str, Seen | Unreadable] = {}
    refused = dict(applications.refused)
    for column, spec in METADATA_TYPES[CONNECTED_APP, _APPLICATIONS].fields.items():
        name, value = f"{_APPLICATIONS}.{column}", row.get(column)
        if column in refused:
            settings[name] = Unreadable(name, f"the org refused {name}: {refused[column]}")
        elif spec.type == "boolean":
            if isinstance(value, bool):
                settings[name] = Seen(name, value, _FROM_APPLICATIONS)
            elif value is not None:
                settings[name] = Unreadable(name, f"{name} is '{str(value)[:60]}', neither true nor false")
        # Picklists: their values are texts.
        elif isinstance(value, int | str) and str(value).isdecimal() and len(str(value)) <= _LONGEST_NUMBER:
            settings[name] = Seen(name, int(value), _FROM_APPLICATIONS)
        elif value is not None:
            settings[name] = Unreadable(name, f"{name} is '{str(value)[:60]}', no whole number")
    return settings


def _installed(app: App, row: dict[str, Any], applications: Records, authorized: Collection[str]) -> App:
    """Return an app of another publisher with the few policies that the query shows of it; no API shows the others."""
    columns = _columns(row, applications)
    reason = (
        f"{app.label} is an app of another publisher, and no API shows this of it; look at its policies in Setup >"
        " Manage Connected Apps, or ask its publisher"
    )
    used = _folded(app.label) in authorized
    oauth = Seen(
        "oauth",
        True,
        f"SOQL {_TOKENS}" if used else _FROM_APPLICATIONS,
        None,
        "users hold tokens of it" if used else "inferred: installed apps of other publishers are OAuth clients",
    )
    label = Seen("label", app.label, _FROM_APPLICATIONS)
    app = replace(
        app,
        settings={"label": label, "oauth": oauth, **columns, **_policies(columns)},
        read={**app.read, _APPLICATIONS: _FROM_APPLICATIONS},
        unread={**app.unread, "ConnectedApp": Unreadable("ConnectedApp", reason, manual=True)},
        problems=(),
        readable=True,
    )
    return replace(app, settings={**app.settings, **derive(app)})


def _policies(columns: Mapping[str, Seen | Unreadable]) -> dict[str, Seen | Unreadable]:
    """Return the settings that columns of a record show, by the names that they have in metadata."""
    policies: dict[str, Seen | Unreadable] = {}
    approved = columns.get(f"{_APPLICATIONS}.OptionsAllowAdminApprovedUsersOnly")
    high = columns.get(f"{_APPLICATIONS}.OptionsHasSessionLevelPolicy")
    for name, column in (("oauthConfig.isAdminApproved", approved), ("sessionPolicy.sessionLevel", high)):
        if isinstance(column, Unreadable):
            policies[name] = column._replace(name=name)
    if isinstance(approved, Seen):
        shown = f"{str(approved.value).lower()} ({approved.name})"
        policies["oauthConfig.isAdminApproved"] = approved._replace(name="oauthConfig.isAdminApproved", shown=shown)
    if isinstance(high, Seen):
        level = "HIGH_ASSURANCE" if high.value else "STANDARD"
        shown = f"{'a' if high.value else 'no'} high-assurance session is required ({high.name})"
        policies["sessionPolicy.sessionLevel"] = Seen("sessionPolicy.sessionLevel", level, high.source, None, shown)
    return policies


def _only_queried(
    others: Mapping[str, list[dict[str, Any]]], applications: Records, authorized: Collection[str], complete: bool
) -> Iterator[App]:
    """Yield an app for each label that no metadata shows: installed from a publisher's org, which alone shows the rest.

    Where metadata is missing, nobody can tell whether it would have shown the app.
    """
    for label, rows in sorted(others.items()):
        problem = (
            f"{label} is installed from its publisher's org, and the Metadata API does not show it; look at its"
            " policies in Setup > Manage Connected Apps"
            if complete
            else f"{label} exists, and nothing shows whether the Metadata API would deliver it"
        )
        app = App(
            kind=CONNECTED_APP,
            name=label,
            label=label,
            source=_FROM_APPLICATIONS,
            settings={},
            read=SAID,
            unread={},
            managed=complete,
            readable=False,
            problems=(problem,),
        )
        if complete and len(rows) == 1:
            yield _installed(app, rows[0], applications, authorized)
        else:
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
    if gap is None and len(authorized) < len(tokens.rows):
        gap = "there are tokens that name no app"
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


def add_holders(org: Org, holders: Mapping[str, Records]) -> Org:
    """Return the org with the users who hold permissions; one that the org does not know is absent."""
    settings = dict(org.settings)
    source = f"SOQL {_ASSIGNMENTS}"
    named = {permission: _names(records) for permission, records in holders.items()}
    # A user who may not see the assignments of others gets own ones only, which look like all there are.
    others_seen = any(len(names) > 1 for names in named.values())
    for permission, records in holders.items():
        name = f"PermissionHolders.{permission}"
        gap = records.gap
        if gap is None and not all(_username(row) for row in records.rows):
            gap = "a record names no user"
        if gap is None and not others_seen:
            gap = "nothing shows that the user may see what others are assigned; it needs View Setup and Configuration"
        if gap is not None:
            settings[name] = Unreadable(name, f"{name} could not be read: {gap}", manual=records.spared)
        else:
            names = tuple(sorted(named[permission]))
            settings[name] = Seen(name, names, source, None, listed(names))
    return replace(org, settings=settings, read={**org.read, "PermissionHolders": source})


def _names(records: Records) -> set[str]:
    return {name for row in records.rows if (name := _username(row))}


def _username(row: dict[str, Any]) -> str:
    user = row.get("Assignee")
    name = user.get("Username") if isinstance(user, dict) else None
    return name if isinstance(name, str) else ""
