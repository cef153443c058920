"""What a project changes in the catalogue: its own controls, overrides of published ones, and which are assessed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from pytest_oauthcontrols.rules.catalogue import Catalogue, in_order
from pytest_oauthcontrols.rules.conditions import compile_condition
from pytest_oauthcontrols.rules.control import Clause, Control, Verdict, is_own_id
from pytest_oauthcontrols.rules.control_file import parse_control
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.selection import EVERYTHING, FRAMEWORKS, Selection
from pytest_oauthcontrols.text import is_pattern, suggestion
from pytest_oauthcontrols.yaml_entries import DocumentError, Entry, read_text


@dataclass(frozen=True)
class Override:
    """How a project rates or applies a published control."""

    control: str
    severity: Severity | None
    """None: as published."""
    not_applicable_when: Entry | None
    """The condition; None: as published."""
    reason: str
    where: str
    """File and line."""


@dataclass(frozen=True)
class Tailoring:
    """Everything that a project changes in the catalogue: plain data, which a worker can be given."""

    controls: tuple[tuple[str, str], ...] = ()
    """Text and file of each of its own controls."""
    overrides: tuple[Override, ...] = ()
    selection: Selection = EVERYTHING


UNTAILORED = Tailoring()
"""The catalogue as it ships."""


def load_control(path: str | PathLike[str]) -> Control:
    """Read a control from a YAML file, for the hook `pytest_oauthcontrols_controls`.

    Args:
        path: The file. Its name is the id of the control and `.yaml`.

    Returns:
        The control.

    Raises:
        DocumentError: The file cannot be read, or does not describe a control. The message names file and line.
    """
    file = Path(path).as_posix()
    return parse_control(read_text(Path(path), file), file, own=True)


def tailored(catalogue: Catalogue, tailoring: Tailoring) -> Catalogue:
    """Return the catalogue as a project has it.

    Parses and compiles what the project adds, so call it once per process.

    Raises:
        DocumentError: A file does not describe a control, an id is taken, an override cannot be applied, or what is
            selected cannot exist. The message names file and line.
    """
    controls = {control.id: control for control in catalogue.controls}
    for text, file in tailoring.controls:
        control = parse_control(text, file, own=True)
        if control.id in controls:
            raise DocumentError(f"{file}:1: there is another control '{control.id}'")
        controls[control.id] = control
    for override in tailoring.overrides:
        controls[override.control] = _overridden(controls[override.control], override)
    return select(replace(catalogue, controls=in_order(controls.values())), tailoring.selection)


def select(catalogue: Catalogue, selection: Selection) -> Catalogue:
    """Return the catalogue with another selection.

    Raises:
        DocumentError: What is selected cannot exist. The message names where it is selected.
    """
    catalogue = replace(catalogue, selection=selection)
    for name, where in catalogue.unmatched:
        # The controls that tests of the project state are not known before these are collected.
        if name not in FRAMEWORKS and not is_own_id(name) and not is_pattern(name):
            known = (*FRAMEWORKS, *(control.id for control in catalogue.controls))
            raise DocumentError(f"{where}: '{name}' is neither a control nor a framework{suggestion(name, known)}")
    return catalogue


def _overridden(control: Control, override: Override) -> Control:
    changes = []
    if override.severity is not None:
        changes.append(f"rated {override.severity.value} instead of {control.severity.value}, {control.cvss_range}")
        control = replace(
            control, severity=override.severity, cvss=override.severity.band, basis=f"overridden at {override.where}"
        )
    if override.not_applicable_when is not None:
        changes.append("not applicable to some")
        control = _restricted(control, override.not_applicable_when, override.reason)
    return replace(control, overridden=f"{' and '.join(changes)}: {override.reason} ({override.where})")


def _restricted(control: Control, condition: Entry, reason: str) -> Control:
    """Return a control that does not apply where a condition holds; findings by another rule are not comparable."""
    rules = {}
    for subject, rule in control.rules.items():
        when = compile_condition(condition, subject)
        rules[subject] = (Clause(when, Verdict.NOT_APPLICABLE, reason, (), None), *rule)
    digest = hashlib.sha256(f"{control.rule_sha256} {json.dumps(condition)}".encode()).hexdigest()
    return replace(control, rules=rules, rule_sha256=digest)
