"""The catalogue: the controls that ship with the package, as a project has tailored them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files

from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.control_file import parse_control
from pytest_oauthcontrols.rules.selection import EVERYTHING, Selection

_PACKAGE = "pytest_oauthcontrols"
VERSION = "2026.12"
"""Year and month in which the published pages were read."""


@dataclass(frozen=True)
class Catalogue:
    """All controls, in the order in which they are reported."""

    controls: tuple[Control, ...]
    version: str
    sha256: str
    """Digest over the files that ship with the package."""
    selection: Selection = EVERYTHING

    @cached_property
    def left_out(self) -> Mapping[str, str]:
        """Controls that are not assessed, each with the reason."""
        found = {control.id: self.why_left_out(control) for control in self.controls}
        return {control: why for control, why in found.items() if why is not None}

    @property
    def assessed(self) -> tuple[Control, ...]:
        """The controls that are not left out."""
        return tuple(control for control in self.controls if control.id not in self.left_out)

    @property
    def unmatched(self) -> tuple[tuple[str, str], ...]:
        """What was asked for and matches no control, and where it was said."""
        return tuple(self.selection.unmatched((control.id, control.frameworks) for control in self.controls))

    def why_left_out(self, control: Control) -> str | None:
        """Return why a control, also one that a test of the project states, is not assessed; None where it is."""
        return self.selection.why_left_out(control.id, control.frameworks)

    @property
    def rules(self) -> Mapping[str, str]:
        """By which rule each control decides, as a digest."""
        return {control.id: control.rule_sha256 for control in self.controls}

    @cached_property
    def factors(self) -> Mapping[str, tuple[str, ...]]:
        """Each risk factor that can be attested, with what that shows or rules out."""
        found: dict[str, dict[str, None]] = {}
        for control in self.controls:
            for condition in (*control.higher_risk_when, *control.low_risk_when):
                for factor, shows in condition.factors.items():
                    says = f"{'shows' if shows else 'rules out'}, for {control.id}: {condition.says}"
                    found.setdefault(factor, {})[says] = None
        return {factor: tuple(found[factor]) for factor in sorted(found)}

    def of(self, subject: str) -> tuple[Control, ...]:
        """Return the controls of a kind of app, or of the org itself."""
        return tuple(control for control in self.assessed if control.rules.get(subject))


@cache
def load() -> Catalogue:
    """Return the catalogue that ships with the package; its files are read once."""
    shipped = sorted(
        (one for one in files(_PACKAGE).joinpath("controls").iterdir() if one.name.endswith(".yaml")),
        key=lambda one: one.name,
    )
    texts = [(f"{_PACKAGE}/controls/{one.name}", one.read_text("utf-8")) for one in shipped]
    digest = hashlib.sha256("".join(text for _, text in texts).encode()).hexdigest()
    return Catalogue(in_order(parse_control(text, file) for file, text in texts), VERSION, digest)


def in_order(controls: Iterable[Control]) -> tuple[Control, ...]:
    """Sort by what a control applies to, the core first, then by severity and id; a project's own go last."""
    return tuple(
        sorted(
            controls,
            key=lambda one: (bool(one.origin), one.id.partition("-")[0], not one.core, one.severity.rank, one.id),
        )
    )
