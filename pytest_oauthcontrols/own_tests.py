"""A project's own tests: generates their cases, and makes those that state a control findings like the shipped ones.

What such a test finds is known where it runs. It travels to the reports with pytest's report of the test, so that a
distributed run has the same reports.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Generator
from decimal import Decimal
from functools import cache
from typing import Any, NoReturn

import pytest

from pytest_oauthcontrols import suite
from pytest_oauthcontrols.acceptance import acceptance
from pytest_oauthcontrols.amending import Amending, amended
from pytest_oauthcontrols.assessment import Assessment
from pytest_oauthcontrols.catalogue import NO_OWN_ID, Catalogue, Control, Verdict, is_own_id
from pytest_oauthcontrols.collection import Marks
from pytest_oauthcontrols.cvss import Severity, score_of, score_range, severity_of
from pytest_oauthcontrols.evaluation import Finding, Statement, by_default, capitalised, stated
from pytest_oauthcontrols.model import Absent, App, Org, Seen, Setting, Unreadable, Unverifiable, examined
from pytest_oauthcontrols.session import assessment_key
from pytest_oauthcontrols.settings import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG
from pytest_oauthcontrols.stating import Stated
from pytest_oauthcontrols.suite import conclude

own_control_key = pytest.StashKey[Control]()
"""The control of an item, where it is a case of one that a test of the project states."""

OWN_FINDING = "oauthcontrols"
"""Attribute of a test's report that carries the finding, where the test states a control."""

_finding_key = pytest.StashKey[Finding]()

_TEXTS = ("name", "remediation", "recommended", "threat", "may_break", "page")


class OwnTests:
    """Hooks of tests that take the plugin's fixtures."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._controls: dict[str, Control] = {}
        """Node id of a test function to the control that it states."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Generate a case for each org, app or control that a test takes."""
        if metafunc.module is suite:
            return
        names = tuple(name for name in ("_oauth_org", "_oauth_app", "_oauth_control") if name in metafunc.fixturenames)
        mark = metafunc.definition.get_closest_marker("control")
        if mark is not None and mark.args:
            control = _control(metafunc, mark, names)
            self._check_alone(metafunc, control)
            self._controls[metafunc.definition.nodeid] = control
            _generate_control(metafunc, self._config.stash[assessment_key], control, names)
        elif names:
            _generate(metafunc, self._config.stash[assessment_key], names)

    def _check_alone(self, metafunc: pytest.Metafunc, control: Control) -> None:
        nodeid = metafunc.definition.nodeid
        others = {one.id: one.origin for one in self._config.stash[assessment_key].catalogue.controls}
        others |= {one.id: one.origin for at, one in self._controls.items() if at != nodeid}
        if control.id in others:
            _refuse(metafunc, f"there is another control '{control.id}', at {others[control.id]}")
        if metafunc.definition.get_closest_marker("parametrize") is not None:
            _refuse(metafunc, "a control has one case per app or org, so its test cannot have parameters of its own")
        if metafunc.definition.get_closest_marker("xfail") is not None:
            _refuse(metafunc, "what a control finds is accepted by a waiver in oauthcontrols.yaml, not by xfail")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note which items are cases of a control, and take out those of controls that the run leaves out."""
        if not self._controls:
            return
        catalogue = self._config.stash[assessment_key].catalogue
        left_out = []
        for item in items:
            control = self._controls.get(item.nodeid.partition("[")[0])
            if control is not None:
                item.stash[own_control_key] = control
                if catalogue.why_left_out(control) is not None:
                    left_out.append(item)
        if left_out:
            items[:] = [item for item in items if item not in left_out]
            self._config.hook.pytest_deselected(items=left_out)
        # Only now, as each of its hooks is asked for every test of the run.
        self._config.pluginmanager.register(OwnControls(self._config), "oauthcontrols-own-controls")

    def pytest_collection_finish(self) -> None:
        """Let plugins change findings, where one wants to."""
        if self._config.hook.pytest_oauthcontrols_finding.get_hookimpls():
            self._config.pluginmanager.register(Amending(), "oauthcontrols-amending")


class OwnControls:
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
        return Verdict.MANUAL if error.setting.manual else Verdict.UNVERIFIABLE, f"{capitalised(str(error))}."
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
            return Verdict.MANUAL if one.manual else Verdict.UNVERIFIABLE, f"{capitalised(one.reason)}."
        if isinstance(one, Absent) and one.default is not None and one.since and org.api_version is None:
            return Verdict.UNVERIFIABLE, by_default(one)
    if not looked_at:
        return Verdict.UNVERIFIABLE, "The test has looked at no setting, so nothing shows that it passes."
    return Verdict.PASS, reason


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
            "control": _encode_control(control),
            "org": assessment.orgs.index(org),
            "app": None if app is None else org.apps.index(app),
            "verdict": finding.verdict.value,
            "decided": finding.decided,
            "reasons": finding.stated.reasons,
            "evidence": [[type(one).__name__.lower(), *one] for one in finding.stated.evidence],
        }
    )


@cache
def _encode_control(control: Control) -> str:
    said = {name: getattr(control, name) for name in ("id", *_TEXTS, "severity", "origin", "rule_sha256")}
    return json.dumps({**said, "cvss": [str(score) for score in control.cvss], "applies_to": control.applies_to})


@cache
def _decode_control(text: str) -> Control:
    said = json.loads(text)
    low, high = (Decimal(score) for score in said["cvss"])
    return Control(
        **{name: said[name] for name in ("id", *_TEXTS, "origin", "rule_sha256")},
        severity=Severity(said["severity"]),
        cvss=(low, high),
        basis="assigned",
        assessed="by a test of your own",
        rules=dict.fromkeys(said["applies_to"], ()),
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
        _decode_control(said["control"]),
        None if said["app"] is None else org.apps[said["app"]],
        org,
        Verdict(said["verdict"]),
        0,
        said["decided"],
        Statement(tuple(said["reasons"]), tuple(evidence)),
    )


def _generate_control(
    metafunc: pytest.Metafunc, assessment: Assessment, control: Control, names: tuple[str, ...]
) -> None:
    """Generate a case of a control for each app, or org, that it applies to; its id ends like those of the suite."""
    mark = getattr(pytest.mark, f"cvss_{control.severity.value}")
    params = []
    for org in assessment.orgs:
        prefix = f"{assessment.slugs[org]}-" if len(assessment.orgs) > 1 else ""
        subjects: list[App | None] = [app for app in org.apps if app.readable and app.kind in control.applies_to]
        if ORG in control.applies_to:
            subjects = [None] if org.readable else []
        for app in subjects:
            subject = "" if app is None else f"{assessment.slugs[app]}-"
            values = {"_oauth_org": org, "_oauth_app": app}
            id_ = f"{prefix}{subject}{control.id}"
            params.append(pytest.param(*(values[name] for name in names), id=id_, marks=mark))
    metafunc.parametrize(names, params, indirect=True)


def _generate(metafunc: pytest.Metafunc, assessment: Assessment, names: tuple[str, ...]) -> None:
    """Generate the cases of a test that states no control, one for each org, app or control that it takes."""
    marks = Marks()
    params = []
    for org in assessment.orgs:
        apps = [app for app in org.apps if app.readable] if "_oauth_app" in names else [None]
        for app in apps:
            for control in _controls(assessment.catalogue, app, names):
                parts = [assessment.slugs[org]] if len(assessment.orgs) > 1 or names == ("_oauth_org",) else []
                parts += [] if app is None else [assessment.slugs[app]]
                parts += [] if control is None else [control.id]
                values = {"_oauth_org": org, "_oauth_app": app, "_oauth_control": control}
                chosen = () if control is None else marks[control]
                params.append(pytest.param(*(values[name] for name in names), id="-".join(parts), marks=chosen))
    metafunc.parametrize(names, params, indirect=True)


def _controls(catalogue: Catalogue, app: App | None, names: tuple[str, ...]) -> tuple[Control | None, ...]:
    """Return the controls that a test is run with; None where it takes none."""
    if "_oauth_control" not in names:
        return (None,)
    return catalogue.assessed if names == ("_oauth_control",) else catalogue.of(ORG if app is None else app.kind)


def _refuse(metafunc: pytest.Metafunc, problem: str) -> NoReturn:
    """End the collection of a test module with an error that names file and line."""
    code = metafunc.function.__code__
    pytest.fail(f"{code.co_filename}:{code.co_firstlineno}: {problem}", pytrace=False)


def _control(metafunc: pytest.Metafunc, mark: pytest.Mark, names: tuple[str, ...]) -> Control:
    """Return the control that a test states with its mark."""
    if not names or "_oauth_control" in names:
        _refuse(metafunc, "the test of a control takes 'app', or 'org' for a control of the org itself")
    of = (CONNECTED_APP, EXTERNAL_CLIENT_APP) if "_oauth_app" in names else (ORG,)
    said = dict(mark.kwargs)
    applies_to = said.pop("applies_to", of)
    applies_to = (applies_to,) if isinstance(applies_to, str) else tuple(applies_to)
    if not applies_to or not set(applies_to) <= set(of):
        _refuse(metafunc, f"'applies_to' is {' or '.join(of)}, not {applies_to}")
    if len(mark.args) != 1 or not isinstance(mark.args[0], str) or not is_own_id(mark.args[0]):
        _refuse(metafunc, f"{', '.join(map(repr, mark.args))} {NO_OWN_ID}")
    unknown = said.keys() - {*_TEXTS, "severity", "cvss"}
    if unknown:
        _refuse(metafunc, f"a control has no '{min(unknown)}': it has {', '.join((*_TEXTS, 'severity', 'cvss'))}")
    texts = {name: said.get(name, "") for name in _TEXTS}
    for name, text in texts.items():
        if not isinstance(text, str) or (not text.strip() and name in _TEXTS[:2]):
            _refuse(metafunc, f"'{name}' of the control must be a text")
    severity, cvss = _rated(metafunc, said.get("severity"), said.get("cvss"))
    code = metafunc.function.__code__
    source = _source(metafunc.function)
    return _decode_control(
        json.dumps(
            {
                "id": mark.args[0],
                **{name: " ".join(text.split()) for name, text in texts.items()},
                "severity": severity.value,
                "cvss": [str(score) for score in cvss],
                "applies_to": applies_to,
                "origin": f"{metafunc.definition.nodeid.partition('::')[0]}:{code.co_firstlineno}",
                "rule_sha256": hashlib.sha256(source.encode()).hexdigest(),
            }
        )
    )


def _rated(metafunc: pytest.Metafunc, severity: Any, cvss: Any) -> tuple[Severity, tuple[Decimal, Decimal]]:
    """Return severity and range of scores from what a mark says: either or both."""
    severities = [one.value for one in Severity]
    if severity is not None and severity not in severities:
        _refuse(metafunc, f"'severity' is one of {', '.join(severities)}, not {severity!r}")
    if cvss is None:
        if severity is None:
            _refuse(metafunc, "give the control a 'severity', or 'cvss': a range of scores, or a vector")
        return Severity(severity), Severity(severity).band
    try:
        low, high = (score_of(cvss),) * 2 if isinstance(cvss, str) else score_range(tuple(cvss))
    except (TypeError, ValueError) as error:
        _refuse(metafunc, f"'cvss' {error}")
    if severity is not None and severity_of(high) is not Severity(severity):
        _refuse(metafunc, f"a score of {high} is {severity_of(high).value}, not {severity}")
    return severity_of(high), (low, high)


def _source(function: Any) -> str:
    """Return the text of a test: with another text its findings cannot be compared with earlier ones."""
    try:
        return inspect.getsource(function)
    except OSError:
        return str(function.__qualname__)
