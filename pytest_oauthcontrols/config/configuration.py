"""`oauthcontrols.yaml`: how to log in to orgs, what is said of apps and controls, and what was decided of findings."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path, PurePath
from typing import Any

from pytest_oauthcontrols.config.credentials import Login, parse_logins
from pytest_oauthcontrols.config.tailoring import UNTAILORED, Override, Tailoring, tailored
from pytest_oauthcontrols.decisions.waivers import Attestation, Scope, Waiver, latest
from pytest_oauthcontrols.orgs.derived import declared_client_type
from pytest_oauthcontrols.orgs.metadata_types import ORG, SCOPES, canonical_scope, is_scope
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.conditions import FACTOR, compile_condition
from pytest_oauthcontrols.rules.control import Control, is_own_id
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import ATTESTED, READABLE
from pytest_oauthcontrols.rules.selection import Selection
from pytest_oauthcontrols.text import matches, suggestion
from pytest_oauthcontrols.yaml_entries import DocumentError, Entry, parse

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
    tailoring: Tailoring = UNTAILORED


def load(path: Path, shown: str, catalogue: Catalogue, reserved: tuple[str, ...] = ()) -> Configuration:
    """Return the configuration in a file; `reserved` are names that no org of it can have.

    Raises `DocumentError`, which names file and line, for whatever is not understood.
    """
    entry = parse(_read(path, shown), shown)
    entry.only(
        (
            *("orgs", "apps", "inventory"),
            *("gate", "waivers", "attestations"),
            *("controls", "overrides", "select", "ignore"),
        )
    )
    declarations = tuple(_declared(entry)) + tuple(_inventoried(entry))
    tailoring = Tailoring(
        tuple(_own(entry, path, shown)), (), Selection(entry.texts("select"), entry.texts("ignore"), shown, shown)
    )
    catalogue = tailored(catalogue, tailoring)
    controls = {control.id: control for control in catalogue.controls}
    published = {id_: control for id_, control in controls.items() if not control.origin}
    tailoring = replace(tailoring, overrides=tuple(_overrides(entry, published)))
    return Configuration(
        shown,
        declarations,
        "inventory" in entry,
        parse_logins(entry, reserved),
        entry.choice("gate", GATES) if "gate" in entry else Configuration.gate,
        tuple(_waiver(one, {**controls, READABLE.id: READABLE}, catalogue.factors) for one in entry.entries("waivers")),
        tuple(_attestation(one, controls, catalogue.factors) for one in entry.entries("attestations")),
        tailoring,
    )


def _read(path: Path, shown: str) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise DocumentError(f"{shown}:1: is not UTF-8") from None
    except OSError as error:
        raise DocumentError(f"{shown}: cannot be read: {error.strerror}") from None


def _own(entry: Entry, path: Path, shown: str) -> Iterator[tuple[str, str]]:
    """Yield text and file of each of the project's own controls; paths are relative to the configuration's folder."""
    for file in dict.fromkeys(entry.texts("controls")):
        given = (PurePath(shown).parent / file).as_posix()
        if not file.endswith(".yaml"):
            raise entry.error(f"'{file}' is no file of a control, whose name is its id and '.yaml'", "controls")
        yield _read(path.parent / file, given), given


def _overrides(entry: Entry, controls: Mapping[str, Control]) -> Iterator[Override]:
    seen: dict[str, int] = {}
    for one in entry.entries("overrides"):
        one.only(("control", "severity", "not_applicable_when", "reason"))
        control = one.known("control", "control", controls)
        if seen.setdefault(control, one.line) != one.line:
            raise one.error(f"{control} is overridden a second time; it is in line {seen[control]} too", "control")
        if "severity" not in one and "not_applicable_when" not in one:
            raise one.error("overrides nothing: give severity or not_applicable_when")
        when = one.get("not_applicable_when")
        if "not_applicable_when" in one:
            if not isinstance(when, Entry):
                raise one.error("'not_applicable_when' must be a condition", "not_applicable_when")
            for subject in controls[control].applies_to:
                compile_condition(when, subject)
        yield Override(
            control,
            Severity(one.choice("severity", [known.value for known in Severity])) if "severity" in one else None,
            "" if when is None else json.dumps(when),
            one.text("reason"),
            f"{one.file}:{one.line}",
        )


def _declared(entry: Entry) -> Iterator[Declaration]:
    for one in entry.entries("apps"):
        one.only(("app", "client_type", "purpose", "allowed_scopes", "allowed_attributes", "partner"))
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
        if "allowed_attributes" in one:
            settings.append(_seen(one, "declared", "allowed_attributes", one.texts("allowed_attributes")))
        if "partner" in one:
            if not isinstance(one["partner"], bool):
                raise one.error("'partner' must be true or false", "partner")
            settings.append(_seen(one, "declared", "partner", one["partner"]))
        if not settings:
            raise one.error(
                "says nothing about the app: give client_type, purpose, allowed_scopes, allowed_attributes or partner"
            )
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


def _waiver(entry: Entry, controls: Mapping[str, Control], factors: Collection[str]) -> Waiver:
    entry.only(("control", "app", "org", "reason", "owner", "ticket", "expires"))
    control = _control(entry, controls, factors)
    ticket = entry.text("ticket") if "ticket" in entry else None
    return Waiver(control, _scope(entry), entry.text("reason"), entry.text("owner"), ticket)


def _attestation(entry: Entry, controls: Mapping[str, Control], factors: Collection[str]) -> Attestation:
    entry.only(("control", "factor", "app", "org", "statement", "by", "evidence", "expires"))
    if ("control" in entry) == ("factor" in entry):
        raise entry.error("an attestation is of one 'control', or of one 'factor'")
    control = factor = None
    if "control" in entry:
        control = _control(entry, controls, factors)
    else:
        factor = entry.known("factor", "risk factor", factors)
    evidence = entry.text("evidence") if "evidence" in entry else None
    return Attestation(control, factor, _scope(entry), entry.text("statement"), entry.text("by"), evidence)


def _control(entry: Entry, controls: Mapping[str, Control], factors: Collection[str]) -> str:
    """Return the control that an entry names; one that a test of the project states is not known before it runs."""
    control = entry.text("control")
    if control in controls:
        _check_app(entry, controls[control])
    elif control in factors:
        raise entry.error(f"'{control}' is a risk factor, which an attestation names as 'factor'", "control")
    elif not is_own_id(control):
        entry.known("control", "control", controls)
    return control


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
    settings = {**org.settings, **_attested(configuration.attestations, org, None)}
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
