"""The catalogue of the package, read once."""

from __future__ import annotations

from pytest_oauthcontrols.rules.catalogue import load

CATALOGUE = load()
