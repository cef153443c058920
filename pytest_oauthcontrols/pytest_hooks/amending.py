"""Lets plugins change what the shipped controls find, through the hook `pytest_oauthcontrols_finding`."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_oauthcontrols.pytest_hooks.suite_items import ControlCase
from pytest_oauthcontrols.rules.evaluation import evaluate
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.suite import conclude


def amended(config: pytest.Config, finding: Finding) -> Finding:
    """Return what plugins put in a finding's place, or the finding."""
    hook = config.hook.pytest_oauthcontrols_finding
    if not hook.get_hookimpls():
        return finding
    other: Finding | None = hook(config=config, finding=finding)
    return other or finding


class Amending:
    """Hooks of a run in which a plugin changes findings."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> bool | None:
        """End a case of the suite with the outcome of what plugins make of it."""
        if not isinstance(pyfuncitem, ControlCase):
            return None
        __tracebackhide__ = True
        params: dict[str, Any] = pyfuncitem.callspec.params
        app = params.get("app")
        org = params["org"] if app is None else app.org
        conclude(amended(pyfuncitem.config, evaluate(params["control"], app, org)))
        return True
