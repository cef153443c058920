"""The shipped tests: one per app and control, and one per control of the org itself."""

from __future__ import annotations

from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.rules.concluding import conclude
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.evaluation import evaluate


def test_control(sf_app: App, sf_control: Control) -> None:
    """The app is configured as the control recommends."""
    conclude(evaluate(sf_control, sf_app, sf_app.org))


def test_org_control(sf_org: Org, sf_control: Control) -> None:
    """The org is configured as the control recommends."""
    conclude(evaluate(sf_control, None, sf_org))
