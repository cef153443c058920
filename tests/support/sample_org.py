"""What the sample org and the catalogue come to, counted in their files."""

from __future__ import annotations

import yaml

from .checkout import PROJECT
from .metadata_files import DEMO

CONNECTED = len(list(DEMO.rglob("*.connectedApp-meta.xml")))
EXTERNAL = len(list(DEMO.rglob("*.eca-meta.xml")))
APPS = CONNECTED + EXTERNAL
CONTROLS = [
    yaml.safe_load(path.read_text("utf-8")) for path in (PROJECT / "pytest_oauthcontrols/controls").glob("*.yaml")
]
"""What the files of controls say, without the package's own reading of them."""
SUMMARY = f"{APPS} apps ({CONNECTED} connected, {EXTERNAL} external client)"
"""How the terminal and the reports put it."""


def cases_of(connected: int, external: int) -> int:
    """Return how many cases there are of an org with so many apps, where every control is assessed."""
    numbers = {"connected_app": connected, "external_client_app": external, "org": 1}
    return sum(numbers[subject] for control in CONTROLS for subject in control["applies_to"])


CASES = cases_of(CONNECTED, EXTERNAL)
"""How many cases there are of the sample org."""
