"""What every control says of its examples, and that every control has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_oauthcontrols.catalogue import Verdict, load

from .examples import Example, documents, examples, shown

CATALOGUE = load()
CONTROLS = {control.id: control for control in CATALOGUE.controls}
DOCUMENTS = documents()


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.id)
def test_example(example: Example, tmp_path: Path) -> None:
    """The control says of the example what the example states, with that evidence."""
    finding = example.finding(CONTROLS[example.control_id], tmp_path)
    assert finding.verdict.value == example.said["verdict"], finding
    assert example.said["says"] in finding.message
    assert finding.evidence or finding.verdict not in (Verdict.PASS, Verdict.FAIL)
    evidence = shown(finding)
    expected = {name: str(value) for name, value in example.said.get("evidence", {}).items()}
    assert {name: evidence.get(name) for name in expected} == expected


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
