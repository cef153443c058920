"""Files that are generated, and what makes each of them. Run as a module, this writes them: `nox -s generate` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pytest_oauthcontrols.config.schema import schema_text

from .catalogue import CATALOGUE
from .checkout import PROJECT
from .documentation import DOCS
from .reference import PAGE_OF_KEYS, page_of_keys

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


GENERATED: dict[Path, Callable[[], str]] = {
    CONTROLS: page_of_controls,
    PAGE_OF_KEYS: page_of_keys,
    SCHEMA: schema_text,
}
"""Each file, and what returns its text."""


def main() -> None:
    """Write the files that are generated."""
    for path, text in GENERATED.items():
        path.write_text(text(), "utf-8")


if __name__ == "__main__":
    main()
