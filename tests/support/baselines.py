"""What was found before, and what has become of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from .metadata_files import PKCE, app, child, xml
from .orgs import kept
from .runs import assess

BEFORE = "2026-10-01"
"""The day on which an org was read before."""
SINCE_BEFORE = "--sf-baseline=before.json"
NEW_ONLY = (SINCE_BEFORE, "--sf-new-only")
"""Options of the later run."""

PACKAGED = {"Pack.eca": xml("ExternalClientApplication", "<distributionState>Managed</distributionState>")}
OWN = {
    "Pack.eca": xml("ExternalClientApplication"),
    "Pack.ecaGlblOauth": child("ExtlClntAppGlobalOauthSettings", "Pack", "<isPkceRequired>false</isPkceRequired>"),
}
UNSURE = app("<isPkceRequired>perhaps</isPkceRequired>")
WAS = {"Same": app(), "Mended": app(), "Worse": PKCE, "Gone": app(), "Blind": app(), "Broken": app(), **OWN}
IS = {"Same": app(), "Mended": PKCE, "Worse": app(), "Added": app(), "Blind": UNSURE, "Broken": b"<", **PACKAGED}
"""The apps of an org before and now, by what becomes of their findings."""


def found_before(pytester: pytest.Pytester, apps: Mapping[str, bytes], *arguments: str, **said: Any) -> None:
    """Assess an org as it was before and keep the results as the baseline."""
    kept(pytester, apps, **{"day": BEFORE, **said})
    assess(pytester, *arguments, orgs=[f"./{said.get('name', 'uat')}.json"])
    (pytester.path / "results.json").rename(pytester.path / "before.json")
