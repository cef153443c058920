"""Shows the catalogue of controls on a terminal: all of them in a list, or one in full."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Control, RiskCondition
from pytest_oauthcontrols.rules.predicates import PREDICATES

_WIDTH = 100


def show(catalogue: Catalogue) -> None:
    """Print each control: id, severity, range, how it is assessed, and its published name; then the risk factors."""
    width = max(len(control.id) for control in catalogue.controls)
    print(f"catalogue {catalogue.version}: {len(catalogue.controls)} controls")
    for control in catalogue.controls:
        print(f"{control.id:<{width}}  {control.severity.value:<8}  {control.cvss_range:<8}  {control.assessed}")
        print(f"  {control.name}")
        for what, said in _of_the_project(catalogue, control):
            print(f"  {what}{said}")
    print()
    print(f"{len(catalogue.factors)} risk factors that no API shows, and that can be attested")
    for factor, says in catalogue.factors.items():
        print(factor)
        for one in says:
            print(f"  {one}")


def show_one(catalogue: Catalogue, control: Control) -> None:
    """Print a control in full: what it asks for and why, what decides it, and where it comes from."""
    print(f"{control.id}: {control.name}")
    for what, said in _of_the_project(catalogue, control):
        print(f"{what}{said}")
    print()
    rating = f"{control.severity.value}, CVSS {control.cvss_range} ({control.basis})"
    for name, value in (
        ("severity", rating),
        ("applies to", ", ".join(one.replace("_", " ") for one in control.applies_to)),
        ("frameworks", ", ".join(control.frameworks)),
        ("assessed", control.assessed),
        ("page", control.page),
        ("follows", control.source),
    ):
        if value:
            print(f"{name:<12}{value}")
    for heading, paragraphs in _sections(control):
        if paragraphs:
            print(f"\n{heading}")
            for one in paragraphs:
                print(one)


def _of_the_project(catalogue: Catalogue, control: Control) -> Iterator[tuple[str, str]]:
    """Yield what the project says of a control: where it is stated, how it is overridden, why it is left out."""
    notes = {
        "stated at ": control.origin,
        "": control.overridden,
        "left out ": catalogue.left_out.get(control.id, ""),
    }
    yield from ((what, said) for what, said in notes.items() if said)


def _sections(control: Control) -> Iterator[tuple[str, list[str]]]:
    """Yield each section's heading and its paragraphs, wrapped."""
    yield "Recommended", _wrapped(control.recommended)
    yield "Overview", _wrapped(control.overview)
    yield "Threat", _wrapped(control.threat)
    yield "Impact", _wrapped(control.impact)
    yield "Higher risk when", _risks(control.higher_risk_when)
    needs = f" ({control.low_risk_needs} of)" if control.low_risk_needs else ""
    yield f"Low risk when{needs}", _risks(control.low_risk_when)
    yield "Review guidance", _wrapped(control.guidance)
    yield "What decides it (the first step that holds)", control.stated_rule.splitlines()
    yield "Evidence", [line for name in control.evidence for line in _listed(_described(name))]
    yield "Remediation", _wrapped(control.remediation)
    yield "What a fix may break", _wrapped(control.may_break)
    yield "Conflicting guidance", [line for one in control.contradictions for line in _listed(one.says)]
    dates = [f"{one.date}: {one.what} ({one.source})" for one in control.deadlines]
    yield "Dates", [line for one in dates for line in _listed(one)]
    yield "Notes", [line for one in control.notes for line in _listed(one)]


def _risks(conditions: tuple[RiskCondition, ...]) -> list[str]:
    return [line for one in conditions for line in _listed(one.with_factors)]


def _described(name: str) -> str:
    """Return the name of a setting; of a predicate, what it tells."""
    predicate = PREDICATES.get(name)
    if predicate is None or predicate.__doc__ is None:
        return name
    return f"{name}: {predicate.__doc__.strip().splitlines()[0]}"


def _wrapped(text: str, first: str = "  ", others: str = "  ") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False, break_on_hyphens=False
    )


def _listed(text: str) -> list[str]:
    return _wrapped(text, "  - ", "    ")
