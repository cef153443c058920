"""Files that are generated, and what makes each of them. Run as a module, this writes them: `nox -s generate` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_oauthcontrols.config.configuration import CLIENT_TYPES, CRITICALITIES, GATES, PURPOSES
from pytest_oauthcontrols.orgs.metadata_types import _SCOPE_BY_ALIAS, ORG, SCOPES
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.selection import FRAMEWORKS

from .catalogue import CATALOGUE
from .checkout import PROJECT
from .documentation import DOCS

CONTROLS = DOCS / "3-controls.md"
SCHEMA = PROJECT / "pytest_oauthcontrols" / "oauthcontrols.schema.json"


def page_of_controls() -> str:
    """Return the page that has the table of controls, with the table as the catalogue has it."""
    before, _, rest = CONTROLS.read_text("utf-8").partition("<!-- controls -->\n")
    _, _, after = rest.partition("<!-- /controls -->")
    return f"{before}<!-- controls -->\n{_table()}\n<!-- /controls -->{after}"


def _table() -> str:
    rows = ["| control | severity | CVSS | assessed | published name |", "|---|---|---|---|---|"]
    for control in CATALOGUE.controls:
        name = control.name.replace("|", "\\|")
        core = "**" if control.core else ""
        cells = [f"{core}{control.id}{core}", control.severity.value, control.cvss_range, control.assessed, name]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def schema() -> str:
    """Return the schema of oauthcontrols.yaml, with its lists as the loader knows them."""
    said: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    definitions = said["definitions"]
    names = {one.id: one.name for one in CATALOGUE.controls}
    lists = {
        "client_type": CLIENT_TYPES,
        "control_of_apps": sorted(one.id for one in CATALOGUE.controls if ORG not in one.applies_to),
        "control_of_the_org": sorted(one.id for one in CATALOGUE.controls if one.applies_to == (ORG,)),
        "criticality": CRITICALITIES,
        "factor": CATALOGUE.factors,
        "framework": FRAMEWORKS,
        "gate": GATES,
        "purpose": PURPOSES,
        "scope": SCOPES,
        "severity": [one.value for one in Severity],
    }
    for name, values in lists.items():
        definitions[name]["enum"] = list(values)
    for name in ("control_of_apps", "control_of_the_org"):
        definitions[name]["enumDescriptions"] = [names[one] for one in definitions[name]["enum"]]
    spellings = "|".join(_any_case(word) for word in _SCOPE_BY_ALIAS)
    definitions["other_spelling_of_a_scope"]["pattern"] = f"^({spellings})$"
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def _any_case(word: str) -> str:
    """Return a pattern for a word in any case; a pattern of a schema has no flags."""
    return "".join(f"[{char.upper()}{char.lower()}]" if char.isalpha() else char for char in word)


GENERATED: dict[Path, Callable[[], str]] = {CONTROLS: page_of_controls, SCHEMA: schema}
"""Each file, and what returns its text."""


def main() -> None:
    """Write the files that are generated."""
    for path, text in GENERATED.items():
        path.write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
