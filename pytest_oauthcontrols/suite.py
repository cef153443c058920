"""The shipped tests: one case per app and control, and one per control of the org itself."""

from __future__ import annotations

import pytest

from pytest_oauthcontrols.decisions.gate import acceptance
from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.reports.wording import explain, title
from pytest_oauthcontrols.rules.control import Control, Verdict
from pytest_oauthcontrols.rules.evaluation import evaluate
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.text import plain


def test_control(app: App, control: Control) -> None:
    """The app is configured as the control recommends."""
    conclude(evaluate(control, app, app.org))


def test_org_control(org: Org, control: Control) -> None:
    """The org is configured as the control recommends."""
    conclude(evaluate(control, None, org))


def conclude(finding: Finding) -> None:
    """End the test with pytest's outcome for the finding's verdict."""
    __tracebackhide__ = True
    if finding.verdict is Verdict.PASS:
        return
    if finding.failing:
        accepted = acceptance(finding)
        if accepted is not None:
            pytest.xfail(f"{plain(accepted.says)} | {title(finding)}")
        pytest.fail(explain(finding), pytrace=False)
    attest = " (Look, and attest it in oauthcontrols.yaml.)" if finding.verdict is Verdict.MANUAL else ""
    pytest.skip(f"{finding.verdict.value.replace('_', ' ')}: {title(finding)}{attest}")
