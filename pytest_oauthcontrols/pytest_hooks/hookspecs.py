"""Hooks that plugins and conftest files can implement, beside pytest's own.

None of them is called in a run without `--sf-org`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_oauthcontrols.rules.control import Control
    from pytest_oauthcontrols.rules.finding import Finding


def pytest_oauthcontrols_controls(config: pytest.Config, controls: list[Control]) -> None:
    """Add controls, take some out, or put others in their place; called once, before the configuration is read.

    `controls` is the catalogue that ships with the package, to be changed in place. `load_control(path)` reads a
    control from a YAML file; `dataclasses.replace` makes one that differs. In a distributed run each worker calls this
    too, and has to get the same controls.
    """


@pytest.hookspec(firstresult=True)
def pytest_oauthcontrols_finding(config: pytest.Config, finding: Finding) -> Finding | None:
    """Return what is to stand in for a finding; None to leave it as it is. The first that returns one decides.

    Called once for each check, of whatever verdict, where its test ends: in a distributed run, in the worker.
    `finding.restated(verdict, reason, by=NAME)` makes the other finding, which says who stated it and why.
    """


def pytest_oauthcontrols_results(config: pytest.Config, results: dict[str, Any]) -> None:
    """Receive the results, which `results.schema.json` describes, once the reports are written.

    In a distributed run the controller alone calls it. Changes to them change no report.
    """
