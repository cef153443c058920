"""`oauthcontrols.yaml`: how to log in to orgs, what the user says of their apps, and what was decided of findings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pytest_oauthcontrols.catalogue import Catalogue, Control
from pytest_oauthcontrols.credentials import Login, parse_logins
from pytest_oauthcontrols.decisions import Attestation, Scope, Waiver
from pytest_oauthcontrols.document import DocumentError, Entry, parse, suggestion
from pytest_oauthcontrols.evaluation import READABLE
from pytest_oauthcontrols.model import ORG, App, Org, Seen
from pytest_oauthcontrols.settings import SCOPES, canonical_scope, is_scope

FILE_NAME = "oauthcontrols.yaml"

CLIENT_TYPES = ("public", "private")
GATES = ("critical", "high", "medium", "low", "never")
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
    gate: str = "low"
    """The least severity that fails a run, or `never`."""
    waivers: tuple[Waiver, ...] = ()
    attestations: tuple[Attestation, ...] = ()


def load(path: Path, shown: str, catalogue: Catalogue, reserved: tuple[str, ...] = ()) -> Configuration:
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
    entry.only(("orgs", "apps", "inventory", "gate", "waivers", "attestations"))
    declarations = tuple(_declared(entry)) + tuple(_inventoried(entry))
    controls = {control.id: control for control in catalogue.controls}
    return Configuration(
        shown,
        declarations,
        "inventory" in entry,
        parse_logins(entry, reserved),
        entry.choice("gate", GATES) if "gate" in entry else Configuration.gate,
        tuple(_waiver(one, {**controls, READABLE.id: READABLE}) for one in entry.entries("waivers")),
        tuple(_attestation(one, controls, catalogue.factors) for one in entry.entries("attestations")),
    )


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


def _waiver(entry: Entry, controls: Mapping[str, Control]) -> Waiver:
    entry.only(("control", "app", "org", "reason", "owner", "ticket", "expires"))
    control = controls[entry.known("control", "control", controls)]
    _check_app(entry, control)
    ticket = entry.text("ticket") if "ticket" in entry else None
    return Waiver(control.id, _scope(entry), entry.text("reason"), entry.text("owner"), ticket)


def _attestation(entry: Entry, controls: Mapping[str, Control], factors: Collection[str]) -> Attestation:
    entry.only(("control", "factor", "app", "org", "statement", "by", "evidence", "expires"))
    if ("control" in entry) == ("factor" in entry):
        raise entry.error("an attestation is of one 'control', or of one 'factor'")
    control = factor = None
    if "control" in entry:
        control = entry.known("control", "control", controls)
        _check_app(entry, controls[control])
    else:
        factor = entry.known("factor", "risk factor", factors)
    evidence = entry.text("evidence") if "evidence" in entry else None
    return Attestation(control, factor, _scope(entry), entry.text("statement"), entry.text("by"), evidence)


def _check_app(entry: Entry, control: Control) -> None:
    """Raise `DocumentError` where an entry names no app for a control of apps, or one for a control of the org."""
    if "app" in entry and control.applies_to == (ORG,):
        raise entry.error(f"{control.id} is a control of the org itself, so 'app' has to go", "app")
    if "app" not in entry and ORG not in control.applies_to:
        raise entry.error(f"'app' is missing: {control.id} is a control of apps; give a full name, or a pattern")


def _scope(entry: Entry) -> Scope:
    app = entry.text("app") if "app" in entry else None
    org = entry.text("org") if "org" in entry else None
    return Scope(app, org, entry.day("expires"), entry.file, entry.line)


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
