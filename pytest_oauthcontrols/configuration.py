"""`oauthcontrols.yaml`: how to log in to orgs, and what the user says of their apps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pytest_oauthcontrols.credentials import Login, parse_logins
from pytest_oauthcontrols.document import DocumentError, Entry, parse, suggestion
from pytest_oauthcontrols.model import App, Org, Seen
from pytest_oauthcontrols.settings import SCOPES, canonical_scope, is_scope

FILE_NAME = "oauthcontrols.yaml"

CLIENT_TYPES = ("public", "private")
PURPOSES = ("iot", "server", "cli")
CRITICALITIES = ("low", "medium", "high", "critical")


@dataclass(frozen=True)
class Declaration:
    """What is said of the apps whose full name matches a pattern."""

    pattern: str
    """Shell pattern (`*`, `?`, `[...]`) for the full name, with regard to case."""
    settings: tuple[Seen, ...]
    file: str
    line: int


@dataclass(frozen=True)
class Configuration:
    """A configuration file, checked."""

    file: str
    """The file; empty where there is none."""
    declarations: tuple[Declaration, ...] = ()
    inventoried: bool = False
    """Whether there is an inventory of apps."""
    logins: Mapping[str, Login] = field(default_factory=dict)
    """Name of an org to how to log in to it."""


def load(path: Path, shown: str, reserved: tuple[str, ...] = ()) -> Configuration:
    """Return the configuration in a file; `reserved` are names that no org of it can have.

    Raises `DocumentError`, which names file and line, for whatever is not understood.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise DocumentError(f"{shown}:1: is not UTF-8") from None
    except OSError as error:
        raise DocumentError(f"{shown}: cannot be read: {error.strerror}") from None
    entry = parse(text, shown)
    entry.only(("orgs", "apps", "inventory"))
    declarations = tuple(_declared(entry)) + tuple(_inventoried(entry))
    return Configuration(shown, declarations, "inventory" in entry, parse_logins(entry, reserved))


def _declared(entry: Entry) -> Iterator[Declaration]:
    for one in entry.entries("apps"):
        one.only(("app", "client_type", "purpose", "allowed_scopes"))
        settings: list[Seen] = []
        if "client_type" in one:
            settings.append(_seen(one, "declared", "client_type", one.choice("client_type", CLIENT_TYPES)))
        if "purpose" in one:
            settings.append(_seen(one, "declared", "purpose", one.choice("purpose", PURPOSES)))
        if "allowed_scopes" in one:
            scopes = one.texts("allowed_scopes")
            for scope in scopes:
                if not is_scope(scope):
                    raise one.error(f"there is no scope '{scope}'{suggestion(scope, SCOPES)}", "allowed_scopes")
            settings.append(_seen(one, "declared", "allowed_scopes", tuple(canonical_scope(scope) for scope in scopes)))
        if not settings:
            raise one.error("says nothing of the app: give client_type, purpose or allowed_scopes")
        yield Declaration(one.text("app"), tuple(settings), one.file, one.line)


def _inventoried(entry: Entry) -> Iterator[Declaration]:
    for one in entry.entries("inventory"):
        one.only(("app", "criticality", "documents", "gaps"))
        settings = []
        if "criticality" in one:
            settings.append(_seen(one, "inventory", "criticality", one.choice("criticality", CRITICALITIES)))
        if one.texts("documents"):
            settings.append(_seen(one, "inventory", "documents", one.texts("documents")))
        if "gaps" in one:
            settings.append(_seen(one, "inventory", "gaps", one.text("gaps")))
        yield Declaration(one.text("app"), tuple(settings), one.file, one.line)


def _seen(entry: Entry, group: str, key: str, value: Any) -> Seen:
    return Seen(f"{group}.{key}", value, entry.file, entry.lines[key])


def apply(configuration: Configuration, org: Org) -> Org:
    """Return the org with what the configuration says of its apps; of two patterns that match, the later goes first.

    A pattern that matches no app is named in the org's notes.
    """
    if not configuration.file:
        return org
    matched: set[Declaration] = set()
    apps = tuple(_apply(configuration, app, matched) for app in org.apps)
    notes = tuple(
        f"{one.file}:{one.line}: no app is called '{one.pattern}'"
        for one in configuration.declarations
        if one not in matched
    )
    return replace(org, apps=apps, notes=org.notes + notes)


def _apply(configuration: Configuration, app: App, matched: set[Declaration]) -> App:
    said: dict[str, Seen] = {}
    for declaration in configuration.declarations:
        if fnmatchcase(app.name, declaration.pattern):
            matched.add(declaration)
            said |= {setting.name: setting for setting in declaration.settings}
    declared = said.get("declared.client_type")
    if declared is not None:
        said["client_type"] = declared._replace(
            name="client_type", shown=f"{declared.value}: declared in the configuration"
        )
    read = {**app.read, "declared": configuration.file, "inventory": configuration.file}
    if configuration.inventoried:
        said["inventory"] = Seen("inventory", "present", configuration.file)
    return replace(app, settings={**app.settings, **said}, read=read)
