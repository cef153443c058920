"""Salesforce's published OAuth controls as pytest tests: what a project's own tests and conftest files may import.

The names are looked up when they are used: pytest imports this package in every run, also where no org is assessed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_oauthcontrols.catalogue import Control, Verdict
    from pytest_oauthcontrols.cvss import Severity
    from pytest_oauthcontrols.evaluation import Finding, evaluate
    from pytest_oauthcontrols.model import Absent, App, Org, Seen, Unreadable, Unverifiable
    from pytest_oauthcontrols.stating import state
    from pytest_oauthcontrols.tailoring import load_control

__all__ = [
    "Absent",
    "App",
    "Control",
    "Finding",
    "Org",
    "Seen",
    "Severity",
    "Unreadable",
    "Unverifiable",
    "Verdict",
    "evaluate",
    "load_control",
    "state",
]

_MODULES = {
    **dict.fromkeys(("Absent", "App", "Org", "Seen", "Unreadable", "Unverifiable"), "model"),
    **dict.fromkeys(("Control", "Verdict"), "catalogue"),
    **dict.fromkeys(("Finding", "evaluate"), "evaluation"),
    "Severity": "cvss",
    "load_control": "tailoring",
    "state": "stating",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
