"""What a project adds to the catalogue, and what it rates or applies otherwise than the published pages."""

from __future__ import annotations

import hashlib
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
from pytest_oauthcontrols.yaml_entries import DocumentError, parse


@dataclass(frozen=True)
class Override:
    """What a project says otherwise than the published page of a control."""

    control: str
    severity: Severity | None
    """None: as published."""
    not_applicable_when: str
    """The condition, as JSON; empty: as published."""
    reason: str
    where: str
    """File and line."""


@dataclass(frozen=True)
class Tailoring:
    """Everything that a project says of the catalogue."""

    controls: tuple[tuple[str, str], ...] = ()
    """Text and file of each of its own controls."""
    overrides: tuple[Override, ...] = ()
    selection: Selection = EVERYTHING


UNTAILORED = Tailoring()
"""The catalogue as it ships."""


def load_control(path: str | PathLike[str]) -> Control:
    """Return the control that a YAML file describes, which is called like it.

    Raises `DocumentError`, which names file and line, for a file that is none, and `OSError` where it can't be read.
    """
    return parse_control(Path(path).read_text("utf-8"), Path(path).as_posix(), own=True)


def tailored(catalogue: Catalogue, tailoring: Tailoring) -> Catalogue:
    """Return the catalogue as a project has it.

    Raises `DocumentError`, which names file and line, for a control that is none, or whose id another one has, and for
    the selection of something that cannot be there.
    """
    controls = {control.id: control for control in catalogue.controls}
    for text, file in tailoring.controls:
        control = parse_control(text, file, own=True)
        if control.id in controls:
            raise DocumentError(f"{file}:1: there is another control '{control.id}'")
        controls[control.id] = control
    for override in tailoring.overrides:
        controls[override.control] = _override(controls[override.control], override)
    found = replace(catalogue, controls=in_order(controls.values()), selection=tailoring.selection)
    for asked, by in found.unmatched:
        # What tests of the project state is not known before they are collected.
        if asked not in FRAMEWORKS and not is_own_id(asked) and not is_pattern(asked):
            known = (*FRAMEWORKS, *controls)
            raise DocumentError(f"{by}: '{asked}' is no control and no framework{suggestion(asked, known)}")
    return found


def _override(control: Control, override: Override) -> Control:
    says = []
    if override.severity is not None:
        says.append(f"rated {override.severity.value} instead of {control.severity.value}, {control.cvss_range}")
        control = replace(
            control, severity=override.severity, cvss=override.severity.band, basis=f"overridden at {override.where}"
        )
    if override.not_applicable_when:
        says.append("not applicable to some")
        control = _restricted(control, override)
    return replace(control, overridden=f"{' and '.join(says)}: {override.reason} ({override.where})")


def _restricted(control: Control, override: Override) -> Control:
    """Return a control that does not concern what a condition holds of; by another rule findings are not comparable."""
    condition = parse(override.not_applicable_when, override.where)
    rules = {}
    for subject, rule in control.rules.items():
        when = compile_condition(condition, subject)
        rules[subject] = (Clause(when, Verdict.NOT_APPLICABLE, override.reason, (), None), *rule)
    digest = hashlib.sha256(f"{control.rule_sha256} {override.not_applicable_when}".encode()).hexdigest()
    return replace(control, rules=rules, rule_sha256=digest)
