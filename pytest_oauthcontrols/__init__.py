"""Salesforce's published OAuth controls as pytest tests: what a project's own tests and conftest files may import.

The names are looked up when they are used: pytest imports this package in every run, also where no org is assessed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_oauthcontrols.config.tailoring import load_control
    from pytest_oauthcontrols.errors import OAuthControlsError
    from pytest_oauthcontrols.orgs.model import Absent, App, Org, Seen, Setting, Unreadable, Unverifiable
    from pytest_oauthcontrols.rules.concluding import state
    from pytest_oauthcontrols.rules.control import Control, Verdict
    from pytest_oauthcontrols.rules.cvss import Severity
    from pytest_oauthcontrols.rules.evaluation import evaluate
    from pytest_oauthcontrols.rules.finding import Finding
    from pytest_oauthcontrols.yaml_entries import DocumentError

__all__ = [
    "Absent",
    "App",
    "Control",
    "DocumentError",
    "Finding",
    "OAuthControlsError",
    "Org",
    "Seen",
    "Setting",
    "Severity",
    "Unreadable",
    "Unverifiable",
    "Verdict",
    "evaluate",
    "load_control",
    "state",
]

_MODULES = {
    **dict.fromkeys(("Absent", "App", "Org", "Seen", "Setting", "Unreadable", "Unverifiable"), "orgs.model"),
    **dict.fromkeys(("Control", "Verdict"), "rules.control"),
    "Finding": "rules.finding",
    "evaluate": "rules.evaluation",
    "DocumentError": "yaml_entries",
    "OAuthControlsError": "errors",
    "Severity": "rules.cvss",
    "load_control": "config.tailoring",
    "state": "rules.concluding",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
