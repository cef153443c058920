"""Snapshots: what was read of an org, kept in a file and assessed again, says the same and asks nobody."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.run import Run
from pytest_oauthcontrols.orgs import snapshot
from pytest_oauthcontrols.orgs.derived import derive
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG, Field, fields_of
from pytest_oauthcontrols.orgs.model import App, Org, Seen, Unreadable
from pytest_oauthcontrols.pytest_hooks import reporter
from pytest_oauthcontrols.reports import results
from pytest_oauthcontrols.reports.terminal import reading, summary
from pytest_oauthcontrols.reports.wording import explain

from .support import sample_org
from .support.catalogue import CATALOGUE
from .support.hostile_files import mutated
from .support.metadata_files import (
    BAD_PATH,
    DEMO_FILES,
    GOOD,
    GOOD_PATH,
    MIXED_FILES,
    PATH,
    connected_app,
    written,
    zipped,
)
from .support.orgs import everything, live_org, org_of, refusing_org, small_org
from .support.results import run_of
from .support.runs import Outcome, folder, outcome, run, usage_error
from .support.salesforce import Emulator, FakeOrg, page, rest_error

CONFIGURATION = """
apps:
- app: Nightly_ETL
  client_type: public
  purpose: server
  allowed_scopes: [api]
- app: Stock_Sync
  client_type: public
  purpose: cli
- app: Nobody
  client_type: private
inventory:
- app: "*"
  criticality: high
  documents: [SOC 2 report]
"""
KEPT = ("name", "location", "org_id", "api_version", "taken_at", "apps", "api_calls", "sha256", "problems", "notes")
"""What the results file says of an org, whether it was read or is assessed again."""


@pytest.fixture
def _online(monkeypatch: pytest.MonkeyPatch, salesforce: Emulator) -> None:
    """Make `env` the emulated org."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", FakeOrg().token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{FakeOrg().my_domain}")


def document(pytester: pytest.Pytester, org: str, *arguments: str) -> dict[str, Any]:
    """Assess an org and return the results file."""
    found = run(pytester, "--tb=no", *arguments, org=org)
    assert found.code in (0, 1), found.output
    loaded: dict[str, Any] = json.loads((pytester.path / "results.json").read_text("utf-8"))
    return loaded


def file_of(pytester: pytest.Pytester, name: str = "kept") -> Path:
    """Return the only file in the folder of snapshots."""
    (path,) = (pytester.path / name).iterdir()
    return path


def assert_kept(pytester: pytest.Pytester, read: dict[str, Any]) -> None:
    """Check that the only snapshot says what the reading said, and where it is from."""
    path = file_of(pytester)
    again = document(pytester, f"./kept/{path.name}")
    assert again["results"] == read["results"]
    (before,), (after,) = read["orgs"], again["orgs"]
    assert [after[key] for key in KEPT] == [before[key] for key in KEPT]
    assert (before["source"] != "snapshot", after["source"]) == (True, "snapshot")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert before["snapshot"] == {"file": f"kept/{path.name}", "sha256": digest}
    assert after["snapshot"] == {"file": f"./kept/{path.name}", "sha256": digest}


@pytest.fixture(params=["", CONFIGURATION], ids=["alone", "configured"])
def _configured(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> None:
    """Write a configuration, or none."""
    if request.param:
        (pytester.path / "oauthcontrols.yaml").write_text(request.param, "utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("_configured")
@pytest.mark.parametrize("source", ["demo", "./org", "./org.zip"])
def test_snapshot_of_files_says_the_same(pytester: pytest.Pytester, source: str) -> None:
    """Verdicts, messages, evidence, ids, scores and provenance are those of the files, broken ones included."""
    files = {**MIXED_FILES, GOOD_PATH: GOOD, BAD_PATH: b"<ConnectedApp", "settings/Security.settings": b"<"}
    folder(pytester, {**files, os.fsdecode(b"connectedApps/%1B%5Bm \xff\xc3\xa4.connectedApp"): connected_app()})
    zipped(pytester.path / "org.zip", files)
    read = document(pytester, source, "--sf-snapshot=kept")
    verdicts = {row["verdict"] for row in read["results"]}
    assert verdicts >= {"pass", "fail", "manual", "not_applicable"}
    assert (source == "demo") != ("readable" in {row["control"] for row in read["results"]})
    assert_kept(pytester, read)


@pytest.mark.slow
@pytest.mark.usefixtures("_configured", "_online")
@pytest.mark.parametrize("make", [live_org, refusing_org])
def test_snapshot_of_a_live_org_says_the_same_and_asks_nobody(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, make: Callable[[], FakeOrg]
) -> None:
    """What queries told, or were refused, is kept; to assess it takes no credential, and nothing is sent."""
    fake = salesforce.add(make())
    read = document(pytester, "env", "--sf-snapshot=kept")
    said = read["orgs"][0]
    assert (said["org_id"], said["location"]) == (fake.org_id, "https://acme.my.salesforce.com")
    assert said["api_version"] == ("68.0" if make is live_org else "61.0")
    assert said["api_calls"] > 0
    assert said["problems"]
    assert {"Broken", *(["quotes__Feed", "Unseen"] if make is live_org else [])} <= {
        row["app"] for row in read["results"]
    }
    monkeypatch.delenv("SF_ACCESS_TOKEN")
    monkeypatch.delenv("SF_ORG_INSTANCE_URL")
    monkeypatch.setenv("PATH", str(pytester.path))
    asked, hosts = len(fake.requests), list(salesforce.proxy.hosts)
    assert hosts
    assert_kept(pytester, read)
    assert (len(fake.requests), salesforce.proxy.hosts) == (asked, hosts)


@pytest.mark.slow
def test_declarations_apply_to_a_snapshot_as_to_what_was_read(pytester: pytest.Pytester) -> None:
    """A snapshot keeps what was read, not what was declared then: it is judged by the configuration of now."""
    path = pytester.path / "oauthcontrols.yaml"
    path.write_text("apps:\n- app: Nightly_ETL\n  client_type: public\n", "utf-8")
    declared = document(pytester, "demo", "--sf-snapshot=kept")
    assert "declared.client_type" not in file_of(pytester).read_text("utf-8")
    path.unlink()
    plain, again = document(pytester, "demo"), document(pytester, "./kept/demo.json")
    assert again["results"] == plain["results"] != declared["results"]


def test_summary_and_header_name_the_snapshot(pytester: pytest.Pytester) -> None:
    """The summary gives file and digest, when it is written and when it is assessed; the header says what it is of."""
    wrote = run(pytester, "-k", "ca-pkce", "--sf-snapshot=./kept", org="demo")
    digest = hashlib.sha256(file_of(pytester).read_bytes()).hexdigest()
    assert f"  snapshot: kept/demo.json\n    sha256 {digest}\n" in wrote.output
    again = run(pytester, "-k", "ca-pkce", org="kept/demo.json")
    assert f"  snapshot: kept/demo.json\n    sha256 {digest}\n" in again.output
    assert re.search(
        rf"^org demo: {sample_org.APPS} apps .*, read .* UTC from snapshot kept/demo.json of demo \(",
        again.output,
        re.MULTILINE,
    )


@pytest.mark.slow
def test_snapshot_of_a_snapshot_says_the_same(pytester: pytest.Pytester) -> None:
    """A snapshot can be kept again, in its own place even."""
    read = document(pytester, "demo", "--sf-snapshot=kept")
    again = document(pytester, "./kept/demo.json", "--sf-snapshot=kept")
    assert again["results"] == read["results"]
    digest = hashlib.sha256(file_of(pytester).read_bytes()).hexdigest()
    assert again["orgs"][0]["snapshot"] == {"file": "kept/demo.json", "sha256": digest}
    assert document(pytester, "./kept/demo.json")["results"] == read["results"]


# The file


def stated(org: Any, **more: Any) -> bytes:
    """Return a snapshot whose digest is that of its content, whatever that is."""
    said = {"format": snapshot.FORMAT, "version": snapshot.VERSION, "sha256": snapshot._digest(org), "org": org}  # noqa: SLF001
    return json.dumps({**said, **more}).encode()


def demo_org() -> Org:
    """Return the sample org, and a broken app besides."""
    return org_of({**DEMO_FILES, "Broken.connectedApp": b"<"})


def test_file_is_sorted_and_always_the_same() -> None:
    """One org gives the same bytes twice; keys are sorted, and format, version and digest stand there."""
    org = demo_org()
    content = snapshot.dump(org)
    assert content == snapshot.dump(org) == snapshot.dump(demo_org())
    said = json.loads(content)
    assert content == (json.dumps(said, indent=1, sort_keys=True) + "\n").encode("ascii")
    assert sorted(said) == ["format", "org", "sha256", "version"]
    assert (said["format"], said["version"]) == ("pytest-oauthcontrols snapshot", 1)
    one = json.dumps(said["org"], indent=1, sort_keys=True) + "\n"
    assert said["sha256"] == hashlib.sha256(one.encode()).hexdigest()
    assert "snapshot" not in said["org"]


def certificate(start: datetime, end: datetime) -> str:
    """Return a certificate that is valid from one day to another; PEM."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stock.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), start, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_dates_are_judged_against_when_it_was_taken(pytester: pytest.Pytester) -> None:
    """A certificate that has expired since was valid when the snapshot was taken, and still is in it."""
    start = datetime(2020, 1, 1, tzinfo=timezone.utc)
    pem = certificate(start, start + timedelta(days=365))
    org = org_of({PATH: connected_app(f"<oauthConfig><certificate>{pem}</certificate></oauthConfig>")})
    verdicts = {}
    for days in (364, 366):
        taken = replace(org, taken_at=start + timedelta(days=days))
        (pytester.path / "then.json").write_bytes(snapshot.dump(taken))
        found = document(pytester, "./then.json", "-k", "ca-digital-signature")
        verdicts[found["orgs"][0]["taken_at"]] = [row["verdict"] for row in found["results"]]
    assert verdicts == {"2020-12-30T00:00:00+00:00": ["pass"], "2021-01-01T00:00:00+00:00": ["fail"]}


# What is refused


def changed(change: Callable[[dict[str, Any]], Any], content: bytes = b"") -> bytes:
    """Return a snapshot that was changed, with a digest that goes with it."""
    said = json.loads(content or snapshot.dump(small_org()))["org"]
    change(said)
    return stated(said)


def setting(said: dict[str, Any], name: str, value: Any) -> None:
    """Give a setting of the app that is fine another value."""
    (app,) = [one for one in said["apps"] if one["name"] == "Stock_Sync"]
    app["settings"][name] = {"value": value, "source": "a file", "line": 3}


def of_app(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """Return what changes an app."""
    return lambda said: said["apps"][-1].update({key: value})


def of_org(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    """Return what changes the org."""
    return lambda said: said.update({key: value})


CRAFTED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown-setting": lambda said: setting(said, "oauthConfig.isSafe", True),
    "setting-of-the-other-kind": lambda said: setting(said, "ExtlClntAppGlobalOauthSettings.isPkceRequired", True),
    "boolean-as-text": lambda said: setting(said, "oauthConfig.isPkceRequired", "true"),
    "boolean-as-number": lambda said: setting(said, "oauthConfig.isPkceRequired", 1),
    "text-as-number": lambda said: setting(said, "label", 7),
    "text-as-boolean": lambda said: setting(said, "label", True),
    "list-as-text": lambda said: setting(said, "oauthConfig.callbackUrl", "https://stock.example"),
    "list-as-mapping": lambda said: setting(said, "oauthConfig.callbackUrl", {"0": "https://stock.example"}),
    "value-is-null": lambda said: setting(said, "label", None),
    "nothing": lambda said: said.clear(),
    "no-apps": lambda said: said.pop("apps"),
    "apps-are-numbers": of_org("apps", [1]),
    "time-is-no-time": of_org("taken_at", "yesterday"),
    "time-is-a-number": of_org("taken_at", 5),
    "settings-are-a-list": of_org("settings", []),
    "settings-of-app-are-null": of_app("settings", None),
    "setting-is-a-text": of_app("settings", {"label": "Stock Sync"}),
    "read-is-a-number": of_app("read", 3),
    "notes-are-a-number": of_org("notes", 3),
    "unknown-kind": of_app("kind", "mobile_app"),
    "kind-is-the-org": of_app("kind", ORG),
    "apps-are-a-mapping": of_org("apps", {}),
    "list-of-numbers": lambda said: setting(said, "oauthConfig.callbackUrl", [1, 2]),
    "time-without-zone": of_org("taken_at", "2026-11-20T12:00:00"),
    "app-without-oauth": of_app("settings", {}),
    "name-is-null": of_app("name", None),
    "label-is-a-number": of_app("label", 7),
    "problems-are-numbers": of_app("problems", [7]),
    "notes-are-numbers": of_org("notes", [7]),
    "notes-are-a-text": of_org("notes", "abc"),
    "read-is-no-text": of_app("read", {"ConnectedApp": 7}),
    "reason-is-a-number": of_app("unread", {"ConnectedApp": {"unreadable": 7}}),
    "range-is-none": lambda said: said["apps"][0]["settings"]["ipRanges"].update(value=["x"]),
    "unreadable-for-no-reason": lambda said: said["apps"][1].update(readable=False, problems=[]),
    "unread-is-seen": of_app("unread", {"ConnectedApp": {"value": "x", "source": "y"}}),
    "readable-is-a-text": of_app("readable", "no"),
    "org-is-not-readable": of_org("readable", False),
    "digest-is-null": of_org("sha256", None),
    "calls-are-a-text": of_org("api_calls", "many"),
    "version-is-a-list": of_org("api_version", [68]),
    "location-is-a-list": of_org("location", ["x"]),
    "line-is-a-text": lambda said: said["apps"][1]["settings"]["label"].update(line="x"),
    "source-is-a-number": lambda said: said["apps"][0]["settings"]["oauth"].update(source=3),
    "shown-is-a-list": lambda said: said["apps"][0]["settings"]["oauth"].update(shown=["x"]),
}
BROKEN: dict[str, Callable[[], bytes]] = {
    "changed-value": lambda: snapshot.dump(small_org()).replace(b'"Stock Sync"', b'"Stock Sunk"'),
    "changed-verdict": lambda: snapshot.dump(small_org()).replace(b'"value": true', b'"value": false', 1),
    "changed-time": lambda: snapshot.dump(small_org()).replace(b"2026-11-20T", b"2027-11-20T"),
    "changed-digest": lambda: re.sub(rb'"sha256": "..', b'"sha256": "zz', snapshot.dump(small_org())),
    "no-digest": lambda: re.sub(rb'\n "sha256": "[^"]*",', b"", snapshot.dump(small_org())),
    "cut-short": lambda: snapshot.dump(small_org())[:-40],
    "twice": lambda: snapshot.dump(small_org()) * 2,
    "foreign-mapping": lambda: b'{"results": [], "schema": 1}',
    "results-file": lambda: results.encode(
        results.document(Assessment((small_org(),), CATALOGUE), Run((), ())), CATALOGUE
    ),
    "array": lambda: b"[]",
    "array-of-snapshots": lambda: b"[" + snapshot.dump(small_org()) + b"]",
    "text": lambda: b'"pytest-oauthcontrols snapshot"',
    "null": lambda: b"null",
    "no-json": lambda: b"orgs:\n- uat\n",
    "empty": lambda: b"",
    "garbage": lambda: bytes(range(256)) * 50,
    "zip": lambda: b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18),
    "half-utf-16": lambda: b'\xff\xfe{\x00"\x00\xd8',
    "nul": lambda: b"\x00" * 1000,
    "version-2": lambda: stated({}, version=2),
    "version-text": lambda: stated({}, version="1\n\x1b[31m"),
    "version-long": lambda: stated({}, version="9" * 100_000),
    "no-version": lambda: stated({}, version=None),
    "org-is-null": lambda: stated(None),
    "org-is-a-list": lambda: stated([]),
    "org-is-a-text": lambda: stated("x"),
    "deep": lambda: b"[" * 100_000,
    "deep-org": lambda: b'{"format": "pytest-oauthcontrols snapshot", "version": 1, "org": ' + b'{"a":' * 100_000,
    "long-number": lambda: b'{"format": ' + b"9" * 5000 + b"}",
    **{name: lambda change=change: changed(change) for name, change in CRAFTED.items()},  # type: ignore[misc]
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in BROKEN.items()])
def test_what_is_no_snapshot_is_refused(pytester: pytest.Pytester, content: Callable[[], bytes]) -> None:
    """Whatever this tool has not written just so is refused with one line that names the file."""
    (pytester.path / "org.json").write_bytes(content())
    message = usage_error(run(pytester, "--tb=no", org="./org.json"))
    assert message.startswith("./org.json: ")
    assert len(message) < 400


def test_what_the_refused_were_made_of_is_a_snapshot(pytester: pytest.Pytester) -> None:
    """The same file without a change is assessed, and so is one with another digest that is right."""
    for content in (snapshot.dump(small_org()), changed(lambda said: None)):
        (pytester.path / "org.json").write_bytes(content)
        assert document(pytester, "./org.json")["orgs"][0]["apps"] == 3


@pytest.mark.parametrize("files", [{}, {"README.md": b"none"}], ids=["empty", "other"])
def test_folder_that_is_called_like_a_file(pytester: pytest.Pytester, files: dict[str, bytes]) -> None:
    """A folder is read as one, whatever its name ends with."""
    (pytester.path / "x.json").mkdir()
    written(pytester.path / "x.json", files)
    assert usage_error(run(pytester, org="./x.json")).startswith("x.json: no connected app")
    written(pytester.path / "x.json", {GOOD_PATH: GOOD})
    assert run(pytester, org="./x.json").verdicts["Stock_Sync", "ca-pkce"] == "pass"


@pytest.mark.parametrize(("start", "end"), [('{"a":', "}"), ("[", "]")])
def test_no_depth_is_too_deep(start: str, end: str) -> None:
    """However deep the content is nested, it is refused, also where it can be parsed and not be written again."""
    for depth in (100, *range(700, 1000, 6), 5_000, 20_000):
        org = start * depth + "0" + end * depth
        content = f'{{"format": "{snapshot.FORMAT}", "version": 1, "sha256": "", "org": {org}}}'
        with pytest.raises(snapshot.SnapshotError, match=r"^deep\.json: "):
            snapshot.load(content.encode(), "deep.json")


def assess(content: bytes) -> str:
    """Return everything that is said of a snapshot's org, or why it is none."""
    try:
        org = snapshot.load(content, "x.json")
    except snapshot.SnapshotError as error:
        return "" if str(error).startswith("x.json: ") else str(error)
    assessment = Assessment((org,), CATALOGUE)
    run = run_of(assessment)
    said = [reading(org), *summary(assessment, run)]
    said += [explain(result) for result in run.results]
    said += [str(one) for result in run.results for one in reporter.properties(result)]
    return "\n".join(said) + results.encode(results.document(assessment, run), CATALOGUE).decode()


SMALL = snapshot.dump(small_org())


@given(mutated([SMALL]))
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_mutated_snapshot_is_refused_unless_it_says_the_same(content: bytes) -> None:
    """A damaged snapshot is refused; one that is not only says what the whole one said."""
    said = assess(content)
    assert not said or json.loads(content)["org"] == json.loads(SMALL)["org"]


def places(said: Any) -> Iterator[tuple[Any, Any]]:
    """Yield container and key of everything in a JSON document."""
    found = said.items() if isinstance(said, dict) else enumerate(said) if isinstance(said, list) else ()
    for key, value in found:
        yield said, key
        yield from places(value)


PLACES = len(list(places(json.loads(SMALL)["org"])))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 10**20)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["2026-11-20", "org", CONNECTED_APP, "present", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.slow
@given(place=st.integers(0, PLACES - 1), value=JSON, removed=st.booleans())
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_snapshot_with_any_value_in_any_place_is_refused_or_assessed(place: int, value: Any, removed: bool) -> None:
    """Whatever stands wherever, with a digest that goes with it: it is refused, or everything can be said of it."""
    said = deepcopy(json.loads(SMALL)["org"])
    container, key = list(places(said))[place]
    if removed:
        del container[key]
    else:
        container[key] = value
    assess(stated(said))


# Where snapshots are written


def nothing_else(pytester: pytest.Pytester, *names: str) -> None:
    """Check which files the folder of snapshots holds, hidden ones included."""
    assert sorted(os.listdir(pytester.path / "kept")) == sorted(names)  # noqa: PTH208  (names are what is wanted)


@pytest.mark.parametrize("given_", ["kept", "./kept/", "deep/er/kept", "{path}/kept"])
def test_folder_is_made(pytester: pytest.Pytester, given_: str) -> None:
    """The folder is made where it is not there, and again not where it is."""
    given_ = given_.format(path=pytester.path)
    for _ in range(2):
        document(pytester, "demo", "-k", "ca-pkce", f"--sf-snapshot={given_}")
        assert os.listdir(pytester.path / given_) == ["demo.json"]  # noqa: PTH208


@pytest.mark.usefixtures("_online")
@pytest.mark.parametrize("given_", ["file", "file/below"])
def test_folder_that_cannot_be_is_refused_before_anything_is_read(
    pytester: pytest.Pytester, salesforce: Emulator, given_: str
) -> None:
    """A file in the place of the folder is a usage error, and no org is asked for anything."""
    fake = salesforce.add(FakeOrg(files={GOOD_PATH: GOOD}))
    (pytester.path / "file").write_text("mine", "utf-8")
    message = usage_error(run(pytester, f"--sf-snapshot={given_}", org="env"))
    assert message.startswith("--sf-snapshot=")
    assert "cannot be written" in message
    assert (fake.requests, salesforce.proxy.hosts) == ([], [])
    assert (pytester.path / "file").read_text("utf-8") == "mine"


def test_snapshot_without_an_org_is_refused(pytester: pytest.Pytester) -> None:
    """Without an org there is nothing to keep."""
    found = outcome(pytester, pytester.runpytest("--sf-snapshot=kept"))
    assert "needs --sf-org" in usage_error(found)
    assert not (pytester.path / "kept").exists()


def test_folder_in_the_place_of_a_snapshot(pytester: pytest.Pytester) -> None:
    """What cannot be replaced is named, and nothing partial is left beside it."""
    (pytester.path / "kept/demo.json").mkdir(parents=True)
    assert "kept/demo.json: cannot be written: " in usage_error(run(pytester, "--sf-snapshot=kept", org="demo"))
    nothing_else(pytester, "demo.json")


def test_name_that_is_too_long_for_a_file(pytester: pytest.Pytester) -> None:
    """An org whose name is as long as a name can be, so that no file can have it with a suffix, is named."""
    name = "n" * 252
    written(pytester.path / name, {GOOD_PATH: GOOD})
    message = usage_error(run(pytester, "--sf-snapshot=kept", org=f"./{name}"))
    assert message.startswith(f"kept/{name}.json: cannot be written: ")
    nothing_else(pytester)


def test_write_that_is_cut_short_leaves_what_was_there(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is named; the snapshot that was there stays whole, and nothing partial is left."""
    document(pytester, "demo", "-k", "ca-pkce", "--sf-snapshot=kept")
    before = file_of(pytester).read_bytes()
    whole = Path.write_bytes

    def write_bytes(path: Path, content: bytes) -> int:
        if path.parent.name != "kept":
            return whole(path, content)
        whole(path, content[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    (pytester.path / "results.json").unlink()
    message = usage_error(run(pytester, "--sf-snapshot=kept", "-p", "no:cacheprovider", org="demo"))
    assert message == "kept/demo.json: cannot be written: No space left on device"
    assert (pytester.path / "kept/demo.json").read_bytes() == before
    nothing_else(pytester, "demo.json")


def two(pytester: pytest.Pytester, first: str, second: str, *arguments: str) -> Outcome:
    """Assess two orgs."""
    return run(pytester, f"--sf-org={second}", "--tb=no", *arguments, org=first)


@pytest.mark.slow
def test_orgs_of_one_name_have_files_of_their_own(pytester: pytest.Pytester) -> None:
    """Two folders of one name are two snapshots, the same two each time, with the node ids of the folders."""
    written(pytester.path / "a/my org", {GOOD_PATH: GOOD})
    written(pytester.path / "b/my org", {BAD_PATH: connected_app("<oauthConfig/>")})
    files: list[list[str]] = []
    for _ in range(2):
        found = two(pytester, "a/my org", "b/my org", "--sf-snapshot=kept")
        assert found.code == 1
        files.append(sorted(os.listdir(pytester.path / "kept")))  # noqa: PTH208
    assert files[0] == files[1]
    assert len(files[0]) == 2
    assert all(re.fullmatch(r"my_org-[0-9a-f]{8}\.json", name) for name in files[0])
    read = json.loads((pytester.path / "results.json").read_text("utf-8"))
    paths = [org["snapshot"]["file"] for org in read["orgs"]]
    for org in read["orgs"]:
        content = (pytester.path / org["snapshot"]["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == org["snapshot"]["sha256"]
    assert len(set(paths)) == 2
    two(pytester, *paths)
    again = json.loads((pytester.path / "results.json").read_text("utf-8"))
    assert again["results"] == read["results"]


@pytest.mark.parametrize("fault", [page(400), rest_error(401, "INVALID_SESSION_ID", "Session expired or invalid")])
def test_org_that_cannot_be_read_has_no_snapshot(
    pytester: pytest.Pytester, salesforce: Emulator, monkeypatch: pytest.MonkeyPatch, fault: Any
) -> None:
    """Of several orgs those are kept that could be read; the others are a finding, and no file."""
    for name in ("uat", "prod"):
        fake = salesforce.add(FakeOrg(f"{name}.my.salesforce.com", token=f"00D{name}!x", files={GOOD_PATH: GOOD}))
        monkeypatch.setenv(f"{name.upper()}_TOKEN", fake.token)
    fake.fail("retrieve", fault, always=True)
    (pytester.path / "oauthcontrols.yaml").write_text(
        "orgs:\n"
        "  uat: {access_token: '${UAT_TOKEN}', instance_url: https://uat.my.salesforce.com}\n"
        "  prod: {access_token: '${PROD_TOKEN}', instance_url: https://prod.my.salesforce.com}\n",
        "utf-8",
    )
    found = two(pytester, "uat", "prod", "--sf-snapshot=kept")
    assert found.code == 1
    nothing_else(pytester, "uat.json")
    read = json.loads((pytester.path / "results.json").read_text("utf-8"))
    assert [org["snapshot"] is None for org in read["orgs"]] == [False, True]
    (pytester.path / "results.json").unlink()
    usage_error(run(pytester, "--sf-snapshot=none", org="prod"))
    assert os.listdir(pytester.path / "none") == []  # noqa: PTH208


@pytest.mark.slow
@pytest.mark.usefixtures("_online")
def test_distributed_run_writes_once(pytester: pytest.Pytester, salesforce: Emulator) -> None:
    """The controller alone reads and writes, whatever number of workers there is."""
    fake = salesforce.add(live_org())
    pytester.makeconftest(
        """
        import os
        from pytest_oauthcontrols.reports import writing

        whole = writing.write

        def write(path, content):
            with open("writes.txt", "a") as log:
                log.write(f"{path.name}\\n")
            whole(path, content)

        writing.write = write
        """
    )
    arguments = ("--sf-org=env", "--sf-json=results.json", "--sf-snapshot=kept", "--tb=no", "-n2")
    found = outcome(pytester, pytester.runpytest_subprocess(*arguments, timeout=30))
    assert found.code == 1
    assert sorted((pytester.path / "writes.txt").read_text("utf-8").split()) == ["env.json", "results.json"]
    assert [asked.action for asked in fake.requests].count("retrieve") == 1
    nothing_else(pytester, "env.json")
    read = json.loads((pytester.path / "results.json").read_text("utf-8"))
    (pytester.path / "conftest.py").unlink()
    assert_kept(pytester, read)


# Round trips


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAMED = {kind: fields_of(kind) for kind in (CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG)}
TYPES = {kind: sorted({component for component, _ in known.values()}) for kind, known in NAMED.items()}


def values(known: Field) -> st.SearchStrategy[Any]:
    """Return the values that a setting can have."""
    ranges = st.lists(st.sampled_from(["10.0.0.1-10.0.0.9", "::1-::ffff"]), max_size=2).map(tuple)
    special: dict[str, st.SearchStrategy[Any]] = {"boolean": st.booleans(), "integer": st.integers(), "ranges": ranges}
    lists = ("list", "scopes")
    return special.get(known.type, st.lists(TEXT, max_size=3).map(tuple) if known.type in lists else TEXT)


@st.composite
def subjects(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Return settings of an app or org, some of them unreadable, with sources of any name."""
    found: dict[str, Seen | Unreadable] = {}
    for name in draw(st.lists(st.sampled_from(sorted(NAMED[kind])), max_size=6)):
        if draw(st.booleans()):
            line, shown = draw(st.none() | st.integers(1, 9**9)), draw(st.none() | TEXT)
            found[name] = Seen(name, draw(values(NAMED[kind][name][1])), draw(TEXT), line, shown)
        else:
            found[name] = Unreadable(name, draw(TEXT), draw(st.booleans()))
    names = st.sampled_from(TYPES[kind])
    unread = {name: Unreadable(name, draw(TEXT), draw(st.booleans())) for name in draw(st.sets(names, max_size=3))}
    read = draw(st.dictionaries(names, TEXT, max_size=3))
    return {"settings": ordered(found), "read": ordered(read), "unread": ordered(unread)}


def ordered(said: dict[str, Any]) -> dict[str, Any]:
    """Return a mapping in the order of its keys, which is that of a snapshot."""
    return dict(sorted(said.items()))


@st.composite
def apps(draw: st.DrawFn) -> App:
    """Return an app of any name."""
    kind = draw(st.sampled_from([CONNECTED_APP, EXTERNAL_CLIENT_APP]))
    problems = tuple(draw(st.lists(TEXT, max_size=2)))
    app = App(
        **draw(subjects(kind)),
        kind=kind,
        name=draw(TEXT),
        label=draw(TEXT),
        source=draw(TEXT),
        problems=problems,
        readable=not problems or draw(st.booleans()),
        managed=draw(st.booleans()),
    )
    with suppress(AssertionError):
        app = replace(app, settings=ordered({**app.settings, **derive(app)}))
    return app


@st.composite
def orgs(draw: st.DrawFn) -> Org:
    """Return an org of any name."""
    return Org(
        **draw(subjects(ORG)),
        name=draw(TEXT),
        source=draw(st.sampled_from(["org", "directory", "archive", "demo"])),
        location=draw(TEXT),
        taken_at=draw(st.datetimes(timezones=st.just(timezone.utc)).map(lambda time: time.replace(fold=0))),
        sha256=draw(TEXT),
        apps=tuple(draw(st.lists(apps(), max_size=3))),
        notes=tuple(draw(st.lists(TEXT, max_size=2))),
        org_id=draw(st.none() | TEXT),
        api_version=draw(st.none() | st.sampled_from([60.0, 68.0])),
        api_calls=draw(st.integers(0, 99)),
        problems=tuple(draw(st.lists(TEXT, max_size=2))),
    )


@pytest.mark.slow
@given(st.lists(orgs(), max_size=2))
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_reaches_workers_is_what_was_read(read: list[Org]) -> None:
    """Orgs of any names, labels and values come back as they were."""
    assert [everything(org) for org in pickle.loads(pickle.dumps(read))] == [everything(org) for org in read]


@pytest.mark.slow
@given(orgs())
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_kept_is_what_was_read(org: Org) -> None:
    """An org of any names, labels and values comes back as it was, but that it says that it is a snapshot."""
    content = snapshot.dump(org)
    loaded = snapshot.load(content, "x.json")
    assert loaded.source == "snapshot"
    assert loaded.snapshot == ("x.json", hashlib.sha256(content).hexdigest())
    assert all(app.org is loaded for app in loaded.apps)
    restored = replace(loaded, source=org.source, snapshot=None)
    assert everything(restored) == everything(org)
    assert snapshot.dump(restored) == content
