"""Reads `oauthcontrols.yaml`, and adds to orgs what it says about their apps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePath

from pytest_oauthcontrols.config.credentials import Login
from pytest_oauthcontrols.config.description import (
    FILE_NAME,
    IN_CONTEXT,
    KEYS,
    ORGS_APPS_AND_FINDINGS,
    PROJECT_CONTROLS,
)
from pytest_oauthcontrols.config.kinds import read_keys
from pytest_oauthcontrols.config.tailoring import UNTAILORED, Override, Tailoring, tailored
from pytest_oauthcontrols.decisions.waivers import Attestation, Scope, Waiver, latest
from pytest_oauthcontrols.orgs.derived import declared_client_type
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.conditions import FACTOR
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import ATTESTED
from pytest_oauthcontrols.rules.selection import Selection
from pytest_oauthcontrols.text import matches
from pytest_oauthcontrols.yaml_entries import Entry, parse, read_text

__all__ = ["FILE_NAME", "Configuration", "Declaration", "apply", "load"]


@dataclass(frozen=True)
class Declaration:
    """What the file says about the apps whose full name matches a pattern."""

    pattern: str
    """A full name, or a shell pattern (`*`, `?`, `[...]`) for full names; case matters."""
    settings: tuple[Seen, ...]
    file: str
    line: int


@dataclass(frozen=True)
class Configuration:
    """A configuration file, checked."""

    file: str
    """The file; empty where there is none."""
    catalogue: Catalogue
    """The controls, as the project has them."""
    declarations: tuple[Declaration, ...] = ()
    inventoried: bool = False
    """Whether there is an inventory of apps."""
    logins: Mapping[str, Login] = field(default_factory=dict)
    """How to log in to an org, by its name."""
    gate: str = ORGS_APPS_AND_FINDINGS["gate"].default
    """The least severity that fails a run, or `never`."""
    in_context: bool = False
    """Whether the gate goes by the score in context."""
    waivers: tuple[Waiver, ...] = ()
    attestations: tuple[Attestation, ...] = ()
    tailoring: Tailoring = UNTAILORED
    """What made the catalogue the project's, as plain data."""
    permission_holders: tuple[Seen, ...] = ()
    """For each permission that has a list of users who may hold it, the list."""


def load(path: Path, shown: str, catalogue: Catalogue) -> Configuration:
    """Read a configuration file.

    Args:
        path: The file.
        shown: Its path as the user gave it, for messages.
        catalogue: The controls without those of the project.

    Returns:
        What the file says, and the controls as the project has them.

    Raises:
        DocumentError: The file, or one that it names, is wrong. The message names file and line.
    """
    entry = parse(read_text(path, shown), shown)
    entry.only(KEYS)
    controls = read_keys(entry, PROJECT_CONTROLS, catalogue)
    selection = Selection(controls.get("select", ()), controls.get("ignore", ()), shown, shown)
    files = tuple(_read_controls(controls.get("controls", ()), path, shown))
    tailoring = Tailoring(files, tuple(_overrides(controls.get("overrides", ()))), selection)
    catalogue = tailored(catalogue, tailoring)
    values = read_keys(entry, ORGS_APPS_AND_FINDINGS, catalogue)
    gate = values.get("gate", Configuration.gate)
    return Configuration(
        shown,
        catalogue,
        declarations=(*_declared(values.get("apps", ())), *_inventoried(values.get("inventory", ()))),
        inventoried="inventory" in values,
        logins=values.get("orgs", {}),
        gate=gate.removesuffix(IN_CONTEXT),
        in_context=gate.endswith(IN_CONTEXT),
        waivers=tuple(_waiver(waiver) for waiver in values.get("waivers", ())),
        attestations=tuple(_attestation(attestation) for attestation in values.get("attestations", ())),
        tailoring=tailoring,
        permission_holders=tuple(_permission_holders(values.get("permission_holders"))),
    )


def _read_controls(files: Iterable[str], path: Path, shown: str) -> Iterator[tuple[str, str]]:
    """Yield text and file of each of the project's own controls; paths are relative to the configuration's folder."""
    for file in dict.fromkeys(files):
        shown_file = (PurePath(shown).parent / file).as_posix()
        yield read_text(path.parent / file, shown_file), shown_file


def _overrides(overrides: Iterable[Entry]) -> Iterator[Override]:
    lines: dict[str, int] = {}
    for override in overrides:
        control = override["control"]
        if control in lines:
            raise override.error(f"{control} is already overridden in line {lines[control]}", "control")
        lines[control] = override.line
        severity = override.get("severity")
        yield Override(
            control,
            None if severity is None else Severity(severity),
            override.get("not_applicable_when"),
            override["reason"],
            f"{override.file}:{override.line}",
        )


def _declared(apps: Iterable[Entry]) -> Iterator[Declaration]:
    for app in apps:
        yield _declaration(app, "declared", [key for key in app if key != "app"])


def _inventoried(apps: Iterable[Entry]) -> Iterator[Declaration]:
    for app in apps:
        # An empty list of documents is not a document.
        yield _declaration(app, "inventory", [key for key in app if key != "app" and app[key]])


def _declaration(app: Entry, group: str, keys: Iterable[str]) -> Declaration:
    settings = tuple(Seen(f"{group}.{key}", app[key], app.file, app.lines[key]) for key in keys)
    return Declaration(app["app"], settings, app.file, app.line)


def _permission_holders(holders: Entry | None) -> Iterator[Seen]:
    """Yield the list of allowed holders of each permission that has one; an empty list allows nobody."""
    for key, allowed in (holders or {}).items():
        assert holders is not None
        users = "1 user" if len(allowed) == 1 else f"{len(allowed)} users"
        name = f"permission_holders.{key}"
        yield Seen(name, allowed, holders.file, holders.lines[key], f"{users} may hold it")


def _waiver(waiver: Entry) -> Waiver:
    return Waiver(waiver["control"], _scope(waiver), waiver["reason"], waiver["owner"], waiver.get("ticket"))


def _attestation(attestation: Entry) -> Attestation:
    return Attestation(
        attestation.get("control"),
        attestation.get("factor"),
        _scope(attestation),
        attestation["statement"],
        attestation["by"],
        attestation.get("evidence"),
    )


def _scope(entry: Entry) -> Scope:
    return Scope(entry.get("app"), entry.get("org"), entry["expires"], entry.file, entry.line)


def apply(configuration: Configuration, org: Org) -> Org:
    """Return the org with what the configuration says of its apps; of two patterns that match, the later goes first.

    A pattern that matches no app is named in the org's notes.
    """
    if not configuration.file:
        return org
    matched: set[Declaration] = set()
    apps = tuple(
        replace(
            declared := _apply(configuration, app, matched),
            settings={**declared.settings, **_attested(configuration.attestations, org, app.name)},
        )
        for app in org.apps
    )
    notes = tuple(
        f"{one.file}:{one.line}: no app is called '{one.pattern}'"
        for one in configuration.declarations
        if one not in matched
    )
    holders = {setting.name: setting for setting in configuration.permission_holders}
    settings = {**org.settings, **holders, **_attested(configuration.attestations, org, None)}
    return replace(org, apps=apps, settings=settings, notes=org.notes + notes)


def _attested(attestations: Iterable[Attestation], org: Org, app: str | None) -> dict[str, Seen | Unreadable]:
    """Return what is attested of an app, or of the org itself, as settings; what has expired as unreadable."""
    by_setting: dict[str, list[Attestation]] = {}
    for attestation in attestations:
        if attestation.covers(org.given, app):
            name = f"{FACTOR}{attestation.factor}" if attestation.control is None else ATTESTED + attestation.control
            by_setting.setdefault(name, []).append(attestation)
    return {name: _as_setting(name, latest(several), org.day) for name, several in by_setting.items()}


def _as_setting(name: str, attestation: Attestation, day: date) -> Seen | Unreadable:
    scope = attestation.scope
    if not scope.holds(day):
        reason = f"the attestation by {attestation.by} expired on {scope.expires} ({scope.where})"
        return Unreadable(name, reason, manual=True)
    return Seen(name, attestation.statement, scope.file, scope.line, str(attestation))


def _apply(configuration: Configuration, app: App, matched: set[Declaration]) -> App:
    said: dict[str, Seen] = {}
    for declaration in configuration.declarations:
        if matches(declaration.pattern, app.name):
            matched.add(declaration)
            said |= {setting.name: setting for setting in declaration.settings}
    declared = said.get("declared.client_type")
    if declared is not None:
        said |= declared_client_type(declared)
    read = {**app.read, "declared": configuration.file, "inventory": configuration.file}
    if configuration.inventoried:
        said["inventory"] = Seen("inventory", "present", configuration.file)
    return replace(app, settings={**app.settings, **said}, read=read)
