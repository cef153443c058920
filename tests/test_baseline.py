"""What has changed since an earlier results file: new, persisting, fixed, not comparable; and files that are none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.baseline import Baseline, BaselineError, load
from pytest_oauthcontrols.reports import results

from .support import sample_org
from .support.baselines import BEFORE, IS, NEW_ONLY, OWN, SINCE_BEFORE, WAS, found_before
from .support.catalogue import CATALOGUE
from .support.configurations import ACCEPTED, ATTESTED, configure
from .support.metadata_files import PKCE, app
from .support.orgs import ORG_ID, kept, org_of
from .support.results import run_of
from .support.runs import Ran, assess, outcome, usage_error


def changes(ran: Ran) -> dict[str, str | None]:
    """Return what each failing case is, which JUnit has to say too."""
    found = {name: case.row["change"] for name, case in ran.cases.items() if case.outcome in ("failed", "xfailed")}
    assert found == {name: ran.cases[name].properties.get("change") for name in found}
    return found


def gone(ran: Ran) -> set[tuple[str | None, str, str]]:
    """Return app, control and change of what the run does not find any more, which the terminal has to say too."""
    rows = ran.document["baseline"]["gone"]
    for row in rows:
        of = f" of {row['app']}" if row["app"] else ""
        what = "fixed" if row["change"] == "fixed" else f"{row['change']}, {row['why']}"
        assert f"  {row['control']}{of}: {what} (found {row['since']})" in ran.lines
    return {(row["app"], row["control"], row["change"]) for row in rows}


@pytest.mark.parametrize("new_only", [True, False])
@pytest.mark.parametrize("attested", [True, False])
def test_what_has_become_of_findings(pytester: pytest.Pytester, new_only: bool, attested: bool) -> None:
    """Findings are new, persisting, fixed or not comparable; with --sf-new-only persisting ones alone are accepted."""
    found_before(pytester, WAS, "-k", "ca-pkce", org_id=ORG_ID)
    kept(pytester, IS, org_id=ORG_ID)
    vouched = {**ATTESTED, "control": "eca-pkce", "app": "Pack", "expires": "2027-12-31"}
    configure(pytester, attestations=[vouched] if attested else [])
    ran = assess(pytester, "-k", "ca-pkce or readable", *(NEW_ONLY if new_only else NEW_ONLY[:1]))
    assert changes(ran) == {
        "Same-ca-pkce": "persisting",
        "Worse-ca-pkce": "new",
        "Added-ca-pkce": "new",
        "Blind-ca-pkce": "not comparable",
        "Broken-readable": "new",
    }
    assert gone(ran) == {
        ("Mended", "ca-pkce", "fixed"),
        ("Gone", "ca-pkce", "not comparable"),
        ("Broken", "ca-pkce", "not comparable"),
        ("Pack", "eca-pkce", "not comparable"),
    }
    assert ran.cases["Pack-eca-pkce"].outcome == ("passed" if attested else "skipped")
    assert ran.having("xfailed") == ({"Same-ca-pkce"} if new_only else set())
    same = ran.cases["Same-ca-pkce"]
    assert same.row["since"] == BEFORE
    assert same.reason.startswith(f"in the baseline since {BEFORE} | ") is new_only
    assert "since before.json: 3 new, 1 persisting, 1 fixed, 4 not comparable" in ran.lines


@pytest.mark.parametrize(
    "change", [lambda rules: rules.update({"ca-pkce": "0" * 64}), lambda rules: rules.pop("ca-pkce")]
)
def test_rule_that_has_changed(pytester: pytest.Pytester, change: Callable[[Any], object]) -> None:
    """What a control says by another rule than before is not comparable: neither persisting, nor new, nor fixed."""
    found_before(pytester, {"Same": app(), "Mended": app()}, "-k", "ca-pkce or ca-session")
    said = json.loads((pytester.path / "before.json").read_text("utf-8"))
    change(said["catalogue"]["rules"])
    (pytester.path / "before.json").write_text(json.dumps(said), "utf-8")
    kept(pytester, {"Same": app(), "Mended": PKCE})
    ran = assess(pytester, "-k", "ca-pkce or ca-session", *NEW_ONLY)
    assert ran.having("failed") == {"Same-ca-pkce"}
    assert changes(ran)["Same-ca-pkce"] == "not comparable"
    assert ran.having("xfailed") == {"Same-ca-session-timeout", "Mended-ca-session-timeout"}
    assert gone(ran) == {("Mended", "ca-pkce", "not comparable")}


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ({"name": "uat", "org_id": ORG_ID}, {"name": "renamed", "org_id": ORG_ID}, True),
        ({"name": "uat", "org_id": ORG_ID}, {"name": "uat", "org_id": ORG_ID[:15]}, True),
        ({"name": "uat", "org_id": ORG_ID}, {"name": "uat", "org_id": "00D5g000000Zzzz"}, False),
        ({"name": "uat", "org_id": ORG_ID}, {"name": "uat", "org_id": ORG_ID.replace("Abcd", "aBCD")}, False),
        ({"name": "uat", "org_id": ORG_ID}, {"name": "uat"}, False),
        ({"name": "uat"}, {"name": "uat"}, True),
        ({"name": "uat"}, {"name": "prod"}, False),
    ],
)
def test_org_is_known_by_its_id(pytester: pytest.Pytester, before: Any, now: Any, same: bool) -> None:
    """An org is the same by its id, without one by its name; of one that the baseline has not, everything is new."""
    found_before(pytester, {"Price_Feed": app()}, "-k", "ca-pkce", **before)
    kept(pytester, {"Price_Feed": app()}, **now)
    ran = assess(pytester, "-k", "ca-pkce", *NEW_ONLY, orgs=[f"./{now['name']}.json"])
    assert changes(ran) == {"Price_Feed-ca-pkce": "persisting" if same else "new"}
    assert ran.code == (0 if same else 1)
    unknown = f"  {now['name']} is not in it, so that everything that fails there is new"
    assert (unknown in ran.lines) is not same


def test_case_is_known_by_kind_and_name(pytester: pytest.Pytester) -> None:
    """An external client app is not the connected app of its name, and the ids of tests do not matter."""
    configure(pytester, inventory=[])
    found_before(pytester, {"Pack": app()}, "-k", "sbs-oauth-003")
    kept(pytester, {"Pack": app(), **OWN})
    kept(pytester, {"Pack": app()}, name="prod")
    ran = assess(pytester, "-k", "sbs-oauth-003", *NEW_ONLY, orgs=["./uat.json", "./prod.json"])
    assert [(case.row["org"], case.row["kind"], case.row["change"]) for case in ran.cases.values()] == [
        ("prod", "connected_app", "new"),
        ("uat", "connected_app", "persisting"),
        ("uat", "external_client_app", "new"),
    ]


def test_day_is_carried_from_file_to_file(pytester: pytest.Pytester) -> None:
    """Where each run's file is the next one's baseline, a finding keeps the day on which it was first found."""
    days = {BEFORE: {"Old": app(), "Back": app()}, "2026-11-01": {"Old": app(), "Back": PKCE, "New": app()}}
    for number, (day, apps) in enumerate({**days, "2026-11-20": dict.fromkeys(("Old", "Back", "New"), app())}.items()):
        kept(pytester, apps, day=day)
        ran = assess(pytester, "-k", "ca-pkce", *(["--sf-baseline=results.json", "--sf-new-only"] if number else []))
    assert ran.cases["Old-ca-pkce"].reason.startswith(f"in the baseline since {BEFORE} | ")
    assert ran.cases["New-ca-pkce"].reason.startswith("in the baseline since 2026-11-01 | ")
    assert {name: case.row["since"] for name, case in ran.cases.items()} == {
        "Old-ca-pkce": BEFORE,
        "New-ca-pkce": "2026-11-01",
        "Back-ca-pkce": "2026-11-20",
    }
    assert ran.having("failed") == {"Back-ca-pkce"}


def test_case_that_did_not_run_is_nothing(pytester: pytest.Pytester) -> None:
    """A finding of the baseline whose case is deselected is neither fixed nor not comparable."""
    found_before(pytester, {"Price_Feed": app(), "Gone": app()}, "-k", "ca-pkce or ca-session-timeout")
    kept(pytester, {"Price_Feed": app()})
    ran = assess(pytester, "-k", "ca-pkce and Price_Feed", SINCE_BEFORE)
    assert changes(ran) == {"Price_Feed-ca-pkce": "persisting"}
    assert gone(ran) == {("Gone", control, "not comparable") for control in ("ca-pkce", "ca-session-timeout")}


def test_baseline_is_no_excuse_for_an_expired_waiver(pytester: pytest.Pytester) -> None:
    """What was waived stands in the baseline; when the waiver has expired it fails all the same."""
    configure(pytester, waivers=[{**ACCEPTED, "expires": "2026-10-31"}])
    found_before(pytester, {"Price_Feed": app(), "Other": app()}, "-k", "ca-pkce")
    kept(pytester, {"Price_Feed": app(), "Other": app()})
    ran = assess(pytester, "-k", "ca-pkce", *NEW_ONLY)
    assert (ran.having("xfailed"), ran.having("failed")) == ({"Other-ca-pkce"}, {"Price_Feed-ca-pkce"})


def test_baseline_is_no_excuse_for_what_cannot_be_read(pytester: pytest.Pytester) -> None:
    """An app that could not be read in the run before either fails this run."""
    found_before(pytester, {"Broken": b"<", "Same": app()}, "-k", "readable or ca-pkce")
    kept(pytester, {"Broken": b"<", "Same": app()})
    ran = assess(pytester, "-k", "readable or ca-pkce", *NEW_ONLY)
    assert (ran.having("xfailed"), ran.having("failed")) == ({"Same-ca-pkce"}, {"Broken-readable"})


def test_baseline_of_a_part_of_a_run_says_so(pytester: pytest.Pytester) -> None:
    """A baseline that lacks cases says how many: what they find is new."""
    found_before(pytester, {"Price_Feed": app()}, "-k", "ca-pkce")
    missing = sample_org.cases_of(1, 0) - 1
    lacking = f"  it is incomplete: {missing} checks did not run then, so their findings count as new"
    kept(pytester, {"Price_Feed": app()})
    ran = assess(pytester, "-k", "ca-pkce or ca-session-timeout", SINCE_BEFORE)
    assert changes(ran) == {"Price_Feed-ca-pkce": "persisting", "Price_Feed-ca-session-timeout": "new"}
    assert lacking in ran.lines
    (pytester.path / "results.json").unlink()
    assess(pytester)
    (pytester.path / "results.json").rename(pytester.path / "before.json")
    assert not [line for line in assess(pytester, SINCE_BEFORE).lines if "it lacks" in line]


def test_org_that_cannot_be_read_is_known_all_the_same(pytester: pytest.Pytester) -> None:
    """Findings of an org that cannot be read this time are not comparable; it is not called new."""
    orgs = ("uat", "prod")
    kept(pytester, {"Price_Feed": app()}, name="first", org_id=ORG_ID)
    kept(pytester, {"Price_Feed": app()}, name="second", org_id="00D5g000000Zzzz")
    configure(pytester, orgs={"uat": {"source": "./first.json"}, "prod": {"source": "./second.json"}})
    assess(pytester, "-k", "ca-pkce", orgs=orgs)
    (pytester.path / "results.json").rename(pytester.path / "before.json")
    (pytester.path / "second.json").unlink()
    ran = assess(pytester, "-k", "ca-pkce or readable", *NEW_ONLY, orgs=orgs)
    assert (ran.having("xfailed"), ran.having("failed")) == ({"uat-Price_Feed-ca-pkce"}, {"prod-readable"})
    assert not [line for line in ran.lines if "prod is not in it" in line]
    assert gone(ran) == {("Price_Feed", "ca-pkce", "not comparable")}


# Files that cannot be compared with


NOT_OURS = "1: is no results file that this tool has written"


def spoil(*keys: str | int, value: Any) -> Callable[[Any], bytes]:
    """Return what puts another value into the results."""

    def change(said: Any) -> bytes:
        for key in keys[:-1]:
            said = said[key]
        said[keys[-1]] = value
        return b""

    return change


SPOILT: list[tuple[Callable[[Any], bytes], str]] = [
    (lambda said: b" ", "1: is no JSON"),
    (lambda said: b'{\n "schema": 1,\n "results": [', "3: is no JSON"),
    (lambda said: b"\xff\xfe\x00{", "1: is no JSON"),
    (lambda said: b"[" * 100_000, "1: is no JSON"),
    (lambda said: b"[]", "1: is no results file; write one with --sf-json"),
    (lambda said: b'{"format": "x"}', "1: is no results file; write one with --sf-json"),
    (spoil("schema", value=2), "1: is a results file of another format"),
    (spoil("schema", value=None), "1: is a results file of another format"),
    (lambda said: said["orgs"].append(said["orgs"][0]) or b"", "1: has several orgs of one name"),
    (spoil("catalogue", value=None), NOT_OURS),
    (spoil("catalogue", "rules", value=[]), NOT_OURS),
    (spoil("results", value=7), NOT_OURS),
    (spoil("results", value=[7]), NOT_OURS),
    (spoil("results", 0, "org", value="prod"), NOT_OURS),
    (spoil("results", 0, "org", value=["uat"]), NOT_OURS),
    (spoil("results", 0, "app", value=7), NOT_OURS),
    (spoil("results", 0, "kind", value=["connected_app"]), NOT_OURS),
    (spoil("results", 0, "since", value="soon"), NOT_OURS),
    (spoil("results", 0, "since", value=20261001), NOT_OURS),
    (spoil("orgs", value={"uat": {}}), NOT_OURS),
    (spoil("orgs", 0, "name", value=["uat"]), NOT_OURS),
    (spoil("orgs", 0, "org_id", value=7), NOT_OURS),
    (spoil("orgs", 0, "taken_at", value=None), NOT_OURS),
]


@pytest.mark.parametrize(("change", "words"), SPOILT)
def test_file_that_is_no_baseline(pytester: pytest.Pytester, change: Callable[[Any], bytes], words: str) -> None:
    """A file that cannot be compared with is an error of one line that names it, before anything is read."""
    said = deepcopy(written())
    (pytester.path / "before.json").write_bytes(change(said) or json.dumps(said).encode())
    message = usage_error(outcome(pytester, pytester.runpytest("--sf-org=./nowhere", SINCE_BEFORE)))
    assert message.startswith(f"before.json:{words}")


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (("uat", None), ("uat", None), None),
        (("uat", ORG_ID), ("uat-again", ORG_ID[:15]), f"'{ORG_ID[:15]}'"),
        (("uat", None), ("uat", ORG_ID), None),
        (("uat", None), ("prod", None), None),
    ],
)
def test_orgs_that_cannot_be_told_apart(pytester: pytest.Pytester, first: Any, second: Any, shown: str | None) -> None:
    """Two orgs of one id are an error with a baseline, and none without; those of one name get names of their own."""
    (pytester.path / "before.json").write_text(json.dumps(written()), "utf-8")
    kept(pytester, {"Price_Feed": app()}, name=second[0], org_id=second[1])
    (pytester.path / f"{second[0]}.json").rename(pytester.path / "other.json")
    kept(pytester, {"Price_Feed": PKCE}, name=first[0], org_id=first[1])
    orgs = (f"./{first[0]}.json", "./other.json")
    assert len(assess(pytester, "-k", "ca-pkce", orgs=orgs).cases) == 2
    (pytester.path / "results.json").unlink()
    found = outcome(pytester, pytester.runpytest(*(f"--sf-org={org}" for org in orgs), "-k", "ca-pkce", SINCE_BEFORE))
    assert found.code == (pytest.ExitCode.TESTS_FAILED if shown is None else pytest.ExitCode.USAGE_ERROR)
    assert shown is None or re.match(rf"before\.json: .*{shown}", usage_error(found))


@cache
def written() -> dict[str, Any]:
    """Return results as a run writes them, cut down to a few rows, of which the first are findings."""
    assessment = Assessment((org_of({"Price_Feed.connectedApp": app()}),), CATALOGUE)
    said = results.document(assessment, run_of(assessment, 6))
    loaded: dict[str, Any] = json.loads(results.encode(said, CATALOGUE))
    loaded["results"].sort(key=lambda row: str(row["verdict"]))
    return loaded


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just("2026-10-01"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_other_file_is_understood_or_refused(data: st.DataObject) -> None:
    """Results in which keys are missing or have other values, at any depth, are loaded or refused with one message."""
    said: Any = deepcopy(written())
    for _ in range(data.draw(st.integers(0, 3))):
        place = said
        while place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
                if data.draw(st.booleans()):
                    del place[key]
                else:
                    place[key] = data.draw(VALUES)
                break
            place = place[key]
    rows = [] if (found := loaded(said)) is None else said["results"]
    failing = {(row["app"], str(row["control"])) for row in rows if row["verdict"] in ("fail", "unverifiable")}
    assert found is None or {(key.app, key.control) for key in found.findings} == failing
    assert said != written() or failing


def loaded(said: Any) -> Baseline | None:
    """Return the baseline in results; None where they are refused, with a message that names the file."""
    try:
        return load(json.dumps(said).encode(), "before.json")
    except BaselineError as error:
        message = str(error)
    assert message.startswith("before.json:1: ")
    return None
