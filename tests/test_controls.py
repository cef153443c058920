"""What every control says of its examples, and that every control has them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import Contradiction, Control, Verdict
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.rules.risk import in_context

from .support.examples import Example, documents, examples, shown

CATALOGUE = load()
CONTROLS = {control.id: control for control in CATALOGUE.controls}
DOCUMENTS = documents()
EXAMPLES = examples()
LOW = Decimal("3.9")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_example(example: Example, tmp_path: Path) -> None:
    """The control says of the example what the example states, with that evidence, risk and contradictions."""
    finding = example.finding(CONTROLS[example.control_id], tmp_path)
    assert finding.verdict.value == example.said["verdict"], finding
    assert example.said["says"] in finding.message
    assert finding.evidence or finding.verdict not in (Verdict.PASS, Verdict.FAIL)
    evidence = shown(finding)
    expected = {name: str(value) for name, value in example.said.get("evidence", {}).items()}
    assert {name: evidence.get(name) for name in expected} == expected
    if "context" in example.said:
        assert str(in_context(finding).score) == str(example.said["context"])
    if "differs" in example.said:
        check_contradictions(finding, example.said["differs"])


def check_contradictions(finding: Finding, stated: bool | str | list[str]) -> None:
    """Check where pages differ: nowhere (false), in a contradiction with that text, or in exactly those of a list."""
    if isinstance(stated, str):
        assert any(stated in said for said in finding.contradictions)
        return
    parts = stated or []
    assert isinstance(parts, list)
    assert len(parts) == len(finding.contradictions), finding.contradictions
    for part, said in zip(parts, finding.contradictions, strict=True):
        assert part in said


@pytest.mark.parametrize("control_id", sorted(CONTROLS))
def test_every_verdict_has_an_example(control_id: str) -> None:
    """Each verdict of each control has an example, or the reason why the control never gives it."""
    document = DOCUMENTS[control_id]
    given = {example["verdict"] for example in document["examples"]}
    never = set(document.get("never", {}))
    assert not given & never
    assert given | never == {verdict.value for verdict in Verdict}


def test_every_example_is_of_a_control() -> None:
    """No file of examples is left of a control that is gone."""
    assert set(DOCUMENTS) == set(CONTROLS)


def can_fail(control: Control) -> bool:
    """Tell whether an app or org can fail a control."""
    return "fail" not in DOCUMENTS[control.id].get("never", {})


RISKY = [one for one in CATALOGUE.controls if (one.higher_risk_when or one.low_risk_when) and can_fail(one)]


@pytest.mark.parametrize("control", RISKY, ids=lambda control: str(control.id))
def test_every_risk_has_an_example(control: Control, tmp_path: Path) -> None:
    """A control that can fail has examples of a raised score, a lowered one, both, and neither, or says why not."""
    seen = set()
    for example in EXAMPLES:
        if (
            example.control_id == control.id
            and "context" in example.said
            and example.said["verdict"] in ("fail", "unverifiable")
        ):
            finding = example.finding(control, tmp_path)
            alone = finding._replace(control=replace(control, higher_risk_when=()))
            score, lowered = str(example.said["context"]), in_context(alone).score == LOW
            if score == control.cvss_range.partition("-")[2]:
                seen.add("raised")
                seen.update(["both"] if lowered else [])
            else:
                seen.add("lowered" if score == "3.9" else "neither")
    expected = {"neither"}
    expected.update(["raised"] if control.higher_risk_when else [])
    expected.update(["lowered"] if control.low_risk_when else [])
    expected.update(["both"] if control.higher_risk_when and control.low_risk_when else [])
    unreachable = set(DOCUMENTS[control.id].get("unreachable", {}))
    assert not seen & unreachable
    assert seen | unreachable == expected


DIFFERING = [(control, one) for control in CATALOGUE.controls for one in control.contradictions]


@pytest.mark.parametrize(
    ("control", "contradiction"), DIFFERING, ids=[f"{control.id}-{one.says[:40]}" for control, one in DIFFERING]
)
def test_every_contradiction_has_an_example(control: Control, contradiction: Contradiction, tmp_path: Path) -> None:
    """A contradiction has an example in which it matters and, if it does not always, one in which it does not."""
    seen = set()
    for example in EXAMPLES:
        if example.control_id == control.id and "differs" in example.said:
            stated = example.said["differs"]
            matters = contradiction.says in example.finding(control, tmp_path).contradictions
            named = stated if isinstance(stated, list) else [stated] if isinstance(stated, str) else []
            if any(part in contradiction.says for part in named) or not isinstance(stated, str):
                seen.add(matters)
    assert seen == ({True, False} if contradiction.matters else {True})
