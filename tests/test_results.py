"""The results file: valid against the schema that ships with the package, which takes no other; and reproducible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pytest_oauthcontrols.config.description import SEVERITIES
from pytest_oauthcontrols.decisions.baseline import SCHEMA as FORMAT
from pytest_oauthcontrols.decisions.baseline import Change
from pytest_oauthcontrols.decisions.gate import NotBlocking
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP
from pytest_oauthcontrols.orgs.model import _ENVIRONMENTS
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.cvss import Severity

from .support import sample_org
from .support.baselines import IS, WAS
from .support.configurations import ACCEPTED, ATTESTED, configure
from .support.metadata_files import DEMO_FILES, app, zipped
from .support.orgs import ORG_ID, kept, live_org, refusing_org
from .support.runs import folder
from .support.salesforce import Emulator

SCHEMA: dict[str, Any] = json.loads(files("pytest_oauthcontrols").joinpath("results.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
LATER = "2099-12-31"
SAID: dict[str, Any] = {"problems": ("Not all was read.",), "notes": ("A secret is kept in a file.",)}


def run(pytester: pytest.Pytester, *arguments: str, orgs: tuple[str, ...] = ("./uat.json",)) -> dict[str, Any]:
    """Assess orgs, and return the results file, which is valid."""
    path = pytester.path / "out.json"
    given = [f"--sf-org={org}" for org in orgs]
    result = pytester.runpytest(*given, f"--sf-json={path}", "-p", "no:cacheprovider", "--tb=no", *arguments)
    assert int(result.ret) in (0, 1), result.stderr.str()
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)] == []
    return document


def decided(pytester: pytest.Pytester) -> dict[str, Any]:
    """Return the results of an org of which everything was decided that can be, compared with an earlier run."""
    kept(pytester, WAS, org_id=ORG_ID)
    run(pytester, "-k", "ca-pkce or readable")
    (pytester.path / "out.json").rename(pytester.path / "before.json")
    kept(pytester, {**IS, "Price_Feed": app(), "Late_Feed": app()}, org_id=ORG_ID, user="kim", **SAID)
    configure(
        pytester,
        gate="high",
        waivers=[
            {**ACCEPTED, "expires": LATER},
            {**ACCEPTED, "app": "Late_Feed", "org": "uat", "ticket": "SEC-41", "expires": "2026-11-19"},
        ],
        attestations=[
            {**ATTESTED, "expires": LATER, "evidence": "SharePoint"},
            {**ATTESTED, "control": "org-idp-mfa", "org": "u*", "expires": "2026-11-19"},
            {"factor": "attempt-lockout", "app": "Price_Feed", "by": "kim", "statement": "Rotated.", "expires": LATER},
        ],
    )
    return run(pytester, "--sf-baseline=before.json", "--sf-new-only", "--sf-snapshot=again")


def live(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, *arguments: str) -> Any:
    """Return the results of a live org with apps that cannot be read."""
    org = salesforce.add(live_org())
    monkeypatch.setenv("SF_ACCESS_TOKEN", org.token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{org.my_domain}")
    return run(pytester, *arguments, orgs=("env",))


def test_enumerations_are_those_of_the_code() -> None:
    """The schema has every verdict, severity, change and the like that can be said, and no other."""
    definitions, properties = SCHEMA["$defs"], SCHEMA["properties"]
    result = definitions["result"]["properties"]
    gone = properties["baseline"]["oneOf"][0]["properties"]["gone"]["items"]["properties"]
    assert properties["schema"]["const"] == FORMAT
    assert definitions["severity"]["enum"] == [one.value for one in Severity]
    assert set(result["verdict"]["enum"]) == {one.value for one in Verdict}
    assert set(result["not_blocking"]["enum"]) == {*(one.value for one in NotBlocking), None}
    assert set(result["change"]["enum"]) - {None} | set(gone["change"]["enum"]) == {one.value for one in Change}
    assert set(definitions["kind"]["enum"]) == {CONNECTED_APP, EXTERNAL_CLIENT_APP, None}
    assert set(definitions["org"]["properties"]["environment"]["enum"]) == {*_ENVIRONMENTS.values(), None}
    assert set(properties["gate"]["properties"]["fail_on"]["enum"]) == {*SEVERITIES, "never"}


# Documents of all kinds


@pytest.mark.slow
def test_sample_org(pytester: pytest.Pytester) -> None:
    """The results of the sample org are valid."""
    assert len(run(pytester, orgs=("demo",))["results"]) == sample_org.CASES


@pytest.mark.slow
def test_folder_archive_snapshot(pytester: pytest.Pytester) -> None:
    """So are those of a folder, an archive and snapshots of both, in one run too."""
    folder(pytester, {**DEMO_FILES, "connectedApps/Broken.connectedApp": b"<ConnectedApp"})
    zipped(pytester.path / "org.zip", DEMO_FILES)
    kept(pytester, {"Feed": app()})
    document = run(pytester, "--sf-snapshot=kept", orgs=("./org", "./org.zip", "./uat.json", "demo"))
    assert [org["source"] for org in document["orgs"]] == ["directory", "archive", "snapshot", "demo"]
    snapshots = tuple(f"./kept/{path.name}" for path in (pytester.path / "kept").iterdir())
    assert len(run(pytester, orgs=snapshots)["orgs"]) == 4


@pytest.mark.slow
def test_live_org(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator) -> None:
    """So are those of a live org, and of its snapshot."""
    org = live(pytester, monkeypatch, salesforce, "--sf-snapshot=kept", "--sf-show-identities")["orgs"][0]
    assert (org["source"], org["environment"], org["api_version"]) == ("org", "production", "68.0")
    assert run(pytester, orgs=("./kept/env.json",))["orgs"][0]["org_id"] == org["org_id"]


@pytest.mark.slow
def test_orgs_that_can_hardly_be_read(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """So are those of an org that shows little, beside one that could not be read at all."""
    org = salesforce.add(refusing_org())
    monkeypatch.setenv("SF_ACCESS_TOKEN", org.token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{org.my_domain}")
    document = run(pytester, orgs=("env", "./nowhere", "demo"))
    assert [bool(org["sha256"]) for org in document["orgs"]] == [True, False, True]
    assert [org["readable"] for org in document["orgs"]] == [True, False, True]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("-x",), ("-n2",), ("-k", "ca-pkce"), ("-k", "nothing-at-all"), ("--runxfail",)])
def test_decisions(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """So are those with waivers, attestations and a baseline, of a run in part and of one that was cut short."""
    decided(pytester)
    path = pytester.path / "out.json"
    result = pytester.runpytest(
        "--sf-org=./uat.json", "--sf-json=out.json", "--sf-baseline=before.json", "--sf-severity=context", *arguments
    )
    assert int(result.ret) in (0, 1, 5)
    document = json.loads(path.read_text("utf-8"))
    assert [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)] == []
    assert (document["cut_short"] is None) == ("-x" not in arguments)


@pytest.mark.slow
def test_what_a_baseline_lacks(pytester: pytest.Pytester) -> None:
    """It names the orgs that the baseline does not have, and tells how many cases it lacks of those that it has."""
    kept(pytester, {"Feed": app()})
    kept(pytester, {"Feed": app()}, name="prod")
    before = run(pytester, "-k", "ca-pkce")
    (pytester.path / "out.json").rename(pytester.path / "before.json")
    baseline = run(pytester, "--sf-baseline=before.json", orgs=("./uat.json", "./prod.json"))["baseline"]
    assert baseline["missing_checks"] == before["checks"]["total"] - 1 > 40
    assert baseline["missing_orgs"] == ["prod"]
    run(pytester)
    (pytester.path / "out.json").rename(pytester.path / "before.json")
    baseline = run(pytester, "--sf-baseline=before.json")["baseline"]
    assert (baseline["missing_checks"], baseline["missing_orgs"]) == (0, [])


# What the schema refuses


@pytest.fixture
def documents(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator) -> list[dict[str, Any]]:
    """Documents that between them say all that can be said, each with one result of a kind."""
    found = [
        decided(pytester),
        live(pytester, monkeypatch, salesforce, "--sf-show-identities", "-x"),
        # An org that the baseline does not have.
        run(pytester, "--sf-baseline=before.json", orgs=("demo",)),
    ]
    for document in found:
        kinds = {json.dumps(_kinds(row)): row for row in document["results"]}
        document["results"] = list(kinds.values())
    return found


def _kinds(value: Any) -> Any:
    """Return a value's form: keys, and of what type each value is."""
    if isinstance(value, dict):
        return {key: value[key] if key in ("verdict", "state") else _kinds(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return sorted({json.dumps(_kinds(one)) for one in value})
    return type(value).__name__


Path = tuple[str | int, ...]


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the place of every mapping."""
    if isinstance(value, dict):
        yield path
    if isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*path, key))


def at(document: Any, path: Path) -> Any:
    """Return what stands at a place."""
    for key in path:
        document = document[key]
    return document


def alike(path: Path) -> Path:
    """Return what all places of a kind have in common."""
    return tuple("*" if isinstance(key, int) else key for key in path)


def part_of(document: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy of a document with no more results than the one that a place is in."""
    if path[:1] != ("results",):
        return {**deepcopy({**document, "results": []})}
    results: list[Any] = [None] * len(document["results"])
    results[int(path[1])] = deepcopy(document["results"][int(path[1])])
    return {**document, "results": results}


@pytest.mark.slow
def test_no_key_can_be_called_otherwise(documents: list[dict[str, Any]]) -> None:
    """A key that is missing, called otherwise or added makes a document invalid, wherever it stands."""
    tried: set[tuple[Path, str]] = set()
    for document in documents:
        assert VALIDATOR.is_valid(document)
        for path in places(document):
            keys = [key for key in at(document, path) if (alike(path), key) not in tried]
            tried.update((alike(path), key) for key in keys)
            for key in keys:
                changed = part_of(document, path)
                results = changed["results"]
                place = path
                if path[:1] == ("results",):
                    changed["results"] = [one for one in results if one is not None]
                    place = ("results", 0, *path[2:])
                holder = at(changed, place)
                assert VALIDATOR.is_valid(changed)
                value = holder.pop(key)
                assert not VALIDATOR.is_valid(changed) or path == ("catalogue", "rules"), (path, key)
                holder[f"{key}_"] = value
                assert not VALIDATOR.is_valid(changed), (path, key)
                holder[key] = value
                assert not VALIDATOR.is_valid(changed), (path, key)
    assert {key for path, key in tried if path == ("results", "*")} == set(SCHEMA["$defs"]["result"]["properties"])


@pytest.mark.slow
def test_every_value_was_said(documents: list[dict[str, Any]]) -> None:
    """The documents leave out nothing that the schema describes: each key has a value in one of them."""
    said: dict[Path, set[str]] = {}
    for document in documents:
        for path in places(document):
            said.setdefault(alike(path), set()).update(
                key for key, value in at(document, path).items() if value not in (None, [])
            )
    definitions = SCHEMA["$defs"]
    result = definitions["result"]["properties"]
    assert said[()] == set(SCHEMA["properties"])
    assert said["orgs", "*"] == set(definitions["org"]["properties"])
    assert said["results", "*"] == set(result)
    assert said["results", "*", "evidence", "*"] == set(definitions["evidence"]["properties"])
    assert said["results", "*", "context"] == set(result["context"]["oneOf"][0]["properties"])
    assert said["waivers", "*"] == set(definitions["waiver"]["properties"])
    assert said["attestations", "*"] == set(definitions["attestation"]["properties"])
    # Those of a finding have one key more than those of the run.
    assert said["results", "*", "waiver"] == {*definitions["waiver"]["properties"], "expired"}
    assert said["results", "*", "attestation"] >= {"control", "by", "evidence", "expired"}
    baseline = SCHEMA["properties"]["baseline"]["oneOf"][0]["properties"]
    assert said[("baseline",)] == set(baseline)
    assert said["baseline", "gone", "*"] == set(baseline["gone"]["items"]["properties"])
    assert said["review", "*"] >= {"what", "by", "about", "says", "file", "line"}


WRONG = {
    ("schema",): 2,
    ("tool", "name"): "another",
    ("catalogue", "sha256"): "0" * 63,
    ("orgs", 0, "source"): "file",
    ("orgs", 0, "taken_at"): "2026-11-20",
    ("orgs", 0, "environment"): "test",
    ("gate", "fail_on"): "none",
    ("gate", "severity"): "high",
    ("waivers", 0, "expires"): "20.11.2026",
    ("waivers", 0, "line"): 0,
    ("review", 0, "what"): "gate",
    ("baseline", "gone", 0, "change"): "new",
    ("results", 0, "verdict"): "failed",
    ("results", 0, "severity"): "Critical",
    ("results", 0, "kind"): "app",
    ("results", 0, "score"): 11,
    ("results", 0, "cvss"): [9.0],
    ("results", 0, "node_id"): "test_control[a]",
    ("results", 0, "not_blocking"): "yes",
    ("results", 0, "change"): "fixed",
}


@pytest.mark.slow
def test_values_that_nothing_says(pytester: pytest.Pytester) -> None:
    """A value that is none of those that can be said makes a document invalid."""
    document = decided(pytester)
    document["results"] = [row for row in document["results"] if row["verdict"] == "fail"][:1]
    assert VALIDATOR.is_valid(document)
    for path, value in WRONG.items():
        changed = deepcopy(document)
        at(changed, path[:-1])[path[-1]] = value
        assert not VALIDATOR.is_valid(changed), path


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "pass"},
        {"context": None},
        {"since": None},
        {"kind": None},
        {"label": None},
        {"not_blocking": "waived", "waiver": None},
    ],
)
def test_values_that_contradict_each_other(pytester: pytest.Pytester, change: dict[str, Any]) -> None:
    """What is said only of findings is said of every finding and of nothing else, and what of apps, of apps."""
    kept(pytester, {"Price_Feed": app()})
    document = run(pytester, "-k", "ca-pkce")
    (row,) = document["results"]
    row.update(change)
    assert not VALIDATOR.is_valid(document)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_other_files_are_refused(value: Any) -> None:
    """What is no results file is none to the schema either."""
    assert not VALIDATOR.is_valid(value)


# The same from run to run


@pytest.mark.slow
def test_the_same_evidence_gives_the_same_file(pytester: pytest.Pytester) -> None:
    """Two runs of one snapshot write the same bytes, in one process or several, and in whatever order the orgs come."""
    kept(pytester, {"Feed": app(), "Other": app()})
    kept(pytester, {"Feed": app()}, name="prod")
    orgs = ("./uat.json", "./prod.json")
    contents = []
    for arguments in ((), (), ("-n2",)):
        run(pytester, *arguments, orgs=orgs)
        contents.append((pytester.path / "out.json").read_bytes())
    assert contents[0] == contents[1] == contents[2]
    document = json.loads(contents[0])
    assert run(pytester, orgs=orgs[::-1])["results"] == document["results"]
    order = [(row["org"], row["kind"] or "", row["app"] or "", row["control"]) for row in document["results"]]
    assert order == sorted(set(order))


def test_results_are_a_line_each(pytester: pytest.Pytester) -> None:
    """Each result is a line of its own, and the rest is apart from them: `grep` and `diff` are of use."""
    kept(pytester, {"Feed": app()})
    for arguments in ((), ("-k", "ca-pkce")):
        document = run(pytester, *arguments)
        lines = (pytester.path / "out.json").read_text("utf-8").splitlines()
        rows = [json.loads(line.removesuffix(",")) for line in lines if line.startswith('{"org": "uat"')]
        assert len(rows) > 0
        assert rows == document["results"]


@pytest.mark.slow
def test_the_same_folder_gives_the_same_file_but_for_the_time(pytester: pytest.Pytester) -> None:
    """Of a folder, nothing but the time of the reading, and the day that findings are known since, can differ."""
    folder(pytester, DEMO_FILES)
    first, second = (run(pytester, orgs=("./org",)) for _ in range(2))
    for document in (first, second):
        day = document["orgs"][0].pop("taken_at")[:10]
        assert {row.pop("since") for row in document["results"]} == {day, None}
    assert first == second
