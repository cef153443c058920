"""What the tests of own controls find: a verdict by how a test ends, with what it looked at as the evidence.

That is known where the test runs. It travels to the reports with pytest's report of the test, so that a distributed run
has the same reports.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.gate import acceptance
from pytest_oauthcontrols.orgs.model import Absent, App, Org, Seen, Setting, Unreadable, Unverifiable, examined
from pytest_oauthcontrols.pytest_hooks import user_controls
from pytest_oauthcontrols.pytest_hooks.amending import amended
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.pytest_hooks.stating import Stated
from pytest_oauthcontrols.rules.control import Control, Verdict
from pytest_oauthcontrols.rules.evaluation import stated
from pytest_oauthcontrols.rules.finding import Finding, Statement, by_default
from pytest_oauthcontrols.suite import conclude
from pytest_oauthcontrols.text import capitalised

own_control_key = pytest.StashKey[Control]()
"""The control of an item, where it is a case of one that a test of the project states."""

OWN_FINDING = "oauthcontrols"
"""Attribute of a test's report that carries the finding, where the test states a control."""

_finding_key = pytest.StashKey[Finding]()


class OwnFindings:
    """Hooks of tests that state controls."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Make what the test of a control says a finding, with what it looked at as the evidence."""
        control = pyfuncitem.stash.get(own_control_key, None)
        if control is None:
            return (yield)
        looked_at: list[Setting] = []
        token = examined.set(looked_at)
        error: BaseException | None = None
        result: object = None
        try:
            result = yield
        except (Exception, pytest.fail.Exception, pytest.skip.Exception) as raised:  # noqa: BLE001  (a finding)
            error = raised
        finally:
            examined.reset(token)
        app, org = _subject(pyfuncitem)
        verdict, reason = _said(error, looked_at, org)
        given = error.evidence if isinstance(error, Stated) else ()
        statement = Statement((reason,), given or tuple(dict.fromkeys(looked_at)))
        finding = amended(self._config, stated(control, app, org, verdict, statement))
        pyfuncitem.stash[_finding_key] = finding
        if isinstance(error, Exception) and not isinstance(error, _VERDICTS) and acceptance(finding) is None:
            # The test itself is wrong: whoever wrote it needs to see where.
            raise error
        conclude(finding)
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Put the finding on the report; until its test has ended, that it has not."""
        report = yield
        control = item.stash.get(own_control_key, None)
        if control is not None and call.when in ("setup", "call"):
            assert isinstance(item, pytest.Function)
            finding = item.stash.get(_finding_key, None) or _unfinished(item, control, call)
            report.__dict__[OWN_FINDING] = encode(finding, self._config.stash[assessment_key])
        return report


_VERDICTS = (Stated, Unverifiable, AssertionError)
"""Exceptions by which a test says what it finds; any other is a mistake in the test."""


def _subject(item: pytest.Function) -> tuple[App | None, Org]:
    params: dict[str, Any] = item.callspec.params
    app: App | None = params.get("_oauth_app")
    org: Org = params["_oauth_org"] if app is None else app.org
    return app, org


def _said(error: BaseException | None, looked_at: list[Setting], org: Org) -> tuple[Verdict, str]:
    """Return the verdict of a test by how it ended, and why."""
    if error is None or (isinstance(error, Stated) and error.verdict is Verdict.PASS and not error.evidence):
        return _passes(looked_at, org, str(error or "The test passes."))
    if isinstance(error, Stated):
        return error.verdict, str(error)
    if isinstance(error, Unverifiable):
        return _untold(error.setting)
    if isinstance(error, pytest.skip.Exception):
        return Verdict.NOT_APPLICABLE, str(error)
    text = str(error)
    if isinstance(error, (AssertionError, pytest.fail.Exception)):
        # Without words of its own an assertion is told by what pytest makes of it.
        first = text.partition("\n")[0]
        return Verdict.FAIL, " ".join(text.split()) if first.startswith("assert ") else first or "The assertion fails."
    return Verdict.UNVERIFIABLE, f"The test has ended with {type(error).__name__}: {' '.join(text.split())}"


def _passes(looked_at: list[Setting], org: Org, reason: str) -> tuple[Verdict, str]:
    """Return pass where what the test has looked at shows it: never without evidence."""
    for one in looked_at:
        if isinstance(one, Unreadable):
            return _untold(one)
        if isinstance(one, Absent) and one.default is not None and one.since and org.api_version is None:
            return Verdict.UNVERIFIABLE, by_default(one)
    if not looked_at:
        return Verdict.UNVERIFIABLE, "The test has looked at no setting, so nothing shows that it passes."
    return Verdict.PASS, reason


def _untold(setting: Unreadable) -> tuple[Verdict, str]:
    """Return the verdict where a setting cannot be told, and why."""
    return Verdict.MANUAL if setting.manual else Verdict.UNVERIFIABLE, f"{capitalised(setting.reason)}."


def _unfinished(item: pytest.Function, control: Control, call: pytest.CallInfo[None]) -> Finding:
    """Return the finding of a test that has not come to one: it could not be set up, or has yet to run."""
    error = None if call.excinfo is None else call.excinfo.value
    if isinstance(error, pytest.skip.Exception):
        verdict, reason = Verdict.NOT_APPLICABLE, str(error)
    elif error is not None:
        verdict, reason = Verdict.UNVERIFIABLE, f"The test could not be set up: {' '.join(str(error).split())}"
    else:
        verdict, reason = Verdict.UNVERIFIABLE, "The test has not ended."
    return stated(control, *_subject(item), verdict, Statement((reason,), ()))


_STATES: dict[str, Any] = {"seen": Seen, "absent": Absent, "unreadable": Unreadable}


def encode(finding: Finding, assessment: Assessment) -> str:
    """Return a finding as text, which pytest's report of a test carries to where reports are written."""
    control, app, org = finding.control, finding.app, finding.org
    assert finding.stated is not None
    return json.dumps(
        {
            "control": user_controls.encode(control),
            "org": assessment.orgs.index(org),
            "app": None if app is None else org.apps.index(app),
            "verdict": finding.verdict.value,
            "decided": finding.decided,
            "reasons": finding.stated.reasons,
            "evidence": [[type(one).__name__.lower(), *one] for one in finding.stated.evidence],
        }
    )


def decode(text: str, assessment: Assessment) -> Finding:
    """Return the finding that `encode` was given, of the orgs and apps of this process."""
    said = json.loads(text)
    org = assessment.orgs[said["org"]]
    evidence = (
        _STATES[state](*(tuple(one) if isinstance(one, list) else one for one in fields))
        for state, *fields in said["evidence"]
    )
    return Finding(
        user_controls.decode(said["control"]),
        None if said["app"] is None else org.apps[said["app"]],
        org,
        Verdict(said["verdict"]),
        0,
        said["decided"],
        Statement(tuple(said["reasons"]), tuple(evidence)),
    )
