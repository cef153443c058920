"""Controls that tests of a project state with a mark: `@pytest.mark.control("acme-callbacks", severity="high")`."""

from __future__ import annotations

import ast
import hashlib
import inspect
from decimal import Decimal
from textwrap import dedent
from typing import Any, NoReturn

import pytest

from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG
from pytest_oauthcontrols.rules.control import NO_OWN_ID, Control, is_own_id
from pytest_oauthcontrols.rules.cvss import Severity, score_of, score_range, severity_of

_TEXTS = ("name", "remediation", "recommended", "threat", "may_break", "page")
_KEYS = ("applies_to", "severity", "cvss", *_TEXTS)


def stated_control(definition: pytest.Function, fixtures: tuple[str, ...]) -> Control | None:
    """Return the control that a test states, by the plugin's fixtures that it takes; None where it states none.

    A mark that states none is an error of the collection, which names file and line.
    """
    mark = definition.get_closest_marker("control")
    if mark is None or not (mark.args or mark.kwargs):
        return None
    if not fixtures or "sf_control" in fixtures:
        refuse(definition, "the test of a control takes 'app', or 'org' for a control of the org itself")
    if definition.get_closest_marker("parametrize") is not None:
        refuse(definition, "a control has one case per app or org, so its test cannot have parameters of its own")
    if definition.get_closest_marker("xfail") is not None:
        refuse(definition, "what a control finds is accepted by a waiver in oauthcontrols.yaml, not by xfail")
    if len(mark.args) != 1 or not isinstance(mark.args[0], str) or not is_own_id(mark.args[0]):
        refuse(definition, f"{', '.join(map(repr, mark.args)) or 'nothing'} {NO_OWN_ID}")
    unknown = mark.kwargs.keys() - set(_KEYS)
    if unknown:
        refuse(definition, f"a control has no '{min(unknown)}': it has {', '.join(_KEYS)}")
    applies_to = _applies_to(definition, mark, fixtures)
    severity, cvss = _rated(definition, mark.kwargs.get("severity"), mark.kwargs.get("cvss"))
    texts: dict[str, Any] = {name: _text(definition, mark, name) for name in _TEXTS}
    return Control(
        id=mark.args[0],
        **texts,
        severity=severity,
        cvss=cvss,
        basis="assigned",
        assessed="by a test of your own",
        rules=dict.fromkeys(applies_to, ()),
        origin=_place(definition),
        rule_sha256=hashlib.sha256(f"{applies_to} {_rule(definition.obj)}".encode()).hexdigest(),
    )


def _text(definition: pytest.Function, mark: pytest.Mark, name: str) -> str:
    text = mark.kwargs.get(name, "")
    if not isinstance(text, str) or (not text.strip() and name in ("name", "remediation")):
        refuse(definition, f"'{name}' of the control must be a text")
    return " ".join(text.split())


def _applies_to(definition: pytest.Function, mark: pytest.Mark, fixtures: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a control applies to: kinds of app, all of them by default, or the org."""
    known = (CONNECTED_APP, EXTERNAL_CLIENT_APP) if "sf_app" in fixtures else (ORG,)
    said = mark.kwargs.get("applies_to", known)
    applies_to = (said,) if isinstance(said, str) else tuple(said)
    if not applies_to or not set(applies_to) <= set(known):
        refuse(definition, f"'applies_to' is {' or '.join(known)}, not {said!r}")
    return applies_to


def _rated(definition: pytest.Function, severity: Any, cvss: Any) -> tuple[Severity, tuple[Decimal, Decimal]]:
    """Return severity and range of scores from what a mark says: either, or both."""
    severities = [one.value for one in Severity]
    if severity is not None and severity not in severities:
        refuse(definition, f"'severity' is one of {', '.join(severities)}, not {severity!r}")
    if cvss is None:
        if severity is None:
            refuse(definition, "give the control a 'severity', or 'cvss': a range of scores, or a vector")
        return Severity(severity), Severity(severity).band
    try:
        low, high = (score_of(cvss),) * 2 if isinstance(cvss, str) else score_range(tuple(cvss))
    except (TypeError, ValueError) as error:
        refuse(definition, f"'cvss' {error}")
    if severity is not None and severity_of(high) is not Severity(severity):
        refuse(definition, f"a score of {high} is {severity_of(high).value}, not {severity}")
    return severity_of(high), (low, high)


def _rule(function: Any) -> str:
    """Return what a test does, without its marks and comments: by another rule findings cannot be compared."""
    try:
        (stated,) = ast.parse(dedent(inspect.getsource(function))).body
    except (OSError, SyntaxError):
        return str(function.__qualname__)
    assert isinstance(stated, (ast.FunctionDef, ast.AsyncFunctionDef))
    return ast.unparse(ast.Module(stated.body, []))


def _place(definition: pytest.Function) -> str:
    return f"{definition.nodeid.partition('::')[0]}:{inspect.unwrap(definition.function).__code__.co_firstlineno}"


def refuse(definition: pytest.Function, problem: str) -> NoReturn:
    """End the collection of a test module with an error that names file and line."""
    pytest.fail(f"{_place(definition)}: {problem}", pytrace=False)
