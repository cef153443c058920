"""Live orgs: what is read of them is what files of the same org say, and what only an org can tell besides."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pytest_oauthcontrols.orgs.model import Absent, Org, Unreadable
from pytest_oauthcontrols.sources import reader
from pytest_oauthcontrols.sources.live import metadata_api
from pytest_oauthcontrols.sources.parallel import Patience

from .support import sample_org
from .support.metadata_files import connected_app
from .support.orgs import assignment, demo_files
from .support.salesforce import Emulator, FakeOrg, Listed, component_id, mdapi_files

QUERIED = {
    "ca-mobile-pin",
    "ca-mobile-pin-length",
    "ca-mobile-pin-timeout",
    "org-single-logout",
    "sbs-acs-008",
    "sbs-oauth-001",
}
"""Controls that queries decide."""

CORPUS = os.environ.get("OAUTHCONTROLS_CORPUS", "")
"""A folder of folders of metadata of other projects, where there is one."""


def run(pytester: pytest.Pytester, org: str, *arguments: str) -> dict[str, Any]:
    """Assess an org in this process, and return the results file."""
    result = pytester.runpytest(f"--sf-org={org}", "--sf-json=results.json", "-p", "no:cacheprovider", *arguments)
    assert int(result.ret) in (0, 1), result.stderr.str()
    document: dict[str, Any] = json.loads((pytester.path / "results.json").read_text("utf-8"))
    return document


def live(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, org: FakeOrg, *arguments: str) -> dict[str, Any]:
    """Assess a live org, and return the results file."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", org.token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{org.my_domain}")
    return run(pytester, "env", *arguments)


def found(document: Mapping[str, Any]) -> dict[tuple[str | None, str | None, str], dict[str, Any]]:
    """Return the results by kind and name of the app, and control."""
    return {(row["kind"], row["app"], row["control"]): row for row in document["results"]}


def better_known(of_file: Mapping[str, Any], of_org: Mapping[str, Any]) -> bool:
    """Tell whether a live org may decide what a file could not, or not be as sure of what is not there.

    It knows documented defaults and what queries show; and that an app of which no OAuth settings arrived has none, it
    takes from the app's own policy only.
    """
    if of_file["verdict"] in ("unverifiable", "manual"):
        return (
            of_file["control"] in QUERIED
            or any(one["state"] in ("absent", "unreadable") for one in of_file["evidence"])
            or "is absent from" in of_file["message"]
        )
    unproven = any(
        sign in of_org["message"] for sign in ("ExtlClntAppGlobalOauthSettings of", "signs users on cannot be told")
    )
    return of_file["verdict"] == "not_applicable" and of_org["verdict"] == "unverifiable" and unproven


def compare(of_files: Mapping[str, Any], of_org: Mapping[str, Any]) -> int:
    """Compare verdicts; return how many differ. Of an app that files describe twice, an org can say one thing only."""
    in_files, in_org = found(of_files), found(of_org)
    twice = {key[:2] for key, row in in_files.items() if key[2] == "readable" and "describes" in row["message"]}
    compared = [key for key in in_files if key[:2] not in twice]
    assert [key for key in compared if key not in in_org] == []
    assert [key for key in in_org if key not in in_files] == []
    different = [key for key in compared if in_files[key]["verdict"] != in_org[key]["verdict"]]
    assert [key for key in different if not better_known(in_files[key], in_org[key])] == []
    return len(different)


def test_the_sample_org_has_the_verdicts_of_its_files(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """A live org has the verdicts of its files, but where absence is no proof in a file, and is one in an answer."""
    of_files = run(pytester, "demo")
    org = salesforce.add(FakeOrg(files=demo_files()))
    assert compare(of_files, live(pytester, monkeypatch, org)) > 0


def projects() -> Iterator[Path]:
    """Yield the folders of other projects."""
    if CORPUS:
        yield from sorted(path for path in Path(CORPUS).iterdir() if (path / "force-app").is_dir())


@pytest.mark.parametrize("project", [pytest.param(path, id=path.name) for path in projects()])
def test_other_projects_have_the_verdicts_of_their_files(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, project: Path
) -> None:
    """Real metadata has the same verdicts when an org delivers it."""
    of_files = run(pytester, str(project))
    org = salesforce.add(FakeOrg(files=mdapi_files(project)))
    compare(of_files, live(pytester, monkeypatch, org))


def read(monkeypatch: pytest.MonkeyPatch, fake: FakeOrg) -> Org:
    """Read a live org without assessing it."""
    monkeypatch.setenv("SF_ACCESS_TOKEN", fake.token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{fake.my_domain}")
    patience = Patience(20)
    return reader("env", {}, Path(), Path(), patience)(lambda doing: None)


@pytest.mark.parametrize("number", [10, 1000])
def test_the_number_of_calls_does_not_grow_with_the_apps(
    monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, number: int
) -> None:
    """A thousand apps are read with the calls that ten are read with."""
    fake = salesforce.add(many_apps(number))
    org = read(monkeypatch, fake)
    assert len(org.apps) == number
    assert org.api_calls == 6
    assert [asked.action for asked in fake.requests] == [
        "versions",
        "retrieve",
        "query:OauthToken",
        "listMetadata",
        "checkRetrieveStatus",
        "query:PermissionSetAssignment",
        "query:ConnectedApplication",
    ]


@pytest.mark.slow
def test_ten_thousand_apps_take_ten_calls(monkeypatch: pytest.MonkeyPatch, salesforce: Emulator) -> None:
    """As many apps as a retrieve can hold are read with ten calls; what did not fit into them is not called read."""
    fake = salesforce.add(many_apps(9_990))
    fake.polls = 4
    monkeypatch.setattr(metadata_api, "LAST_POLL", 0.1)
    org = read(monkeypatch, fake)
    assert len(org.apps) == 9_990
    assert org.api_calls == len(fake.requests) - len(["versions"]) == 10
    installed = org.setting("InstalledApps.Label", "InstalledApps")
    assert isinstance(installed, Unreadable)
    assert "2000 of 9990 records were read" in installed.reason
    assert isinstance(org.apps[0].setting(PIN_LENGTH, "ConnectedApplication"), Absent)
    beyond = org.apps[-1].setting(PIN_LENGTH, "ConnectedApplication")
    assert isinstance(beyond, Unreadable)
    assert "2000 of 9990 records were read" in beyond.reason


PIN_LENGTH = "ConnectedApplication.PinLength"


def many_apps(number: int) -> FakeOrg:
    """Return an org of many connected apps, with a user that they run as."""
    app = connected_app(
        "<label>App</label><oauthConfig><callbackUrl>https://acme.example/callback</callbackUrl>"
        "<oauthClientCredentialUser>runner@acme.example</oauthClientCredentialUser>"
        "<isPkceRequired>true</isPkceRequired></oauthConfig>"
    )
    names = [f"App_{place:05}" for place in range(number)]
    return FakeOrg(
        files={f"connectedApps/{name}.connectedApp": app for name in names},
        rows={
            "ConnectedApplication": [{"Id": component_id("ConnectedApp", name), "Name": "App"} for name in names],
            "PermissionSetAssignment": [assignment("runner@acme.example", "ApiEnabled")],
        },
    )


MOBILE = connected_app(
    "<label>Field Crew</label>"
    "<mobileAppConfig><devicePlatform>ios</devicePlatform><version>1</version></mobileAppConfig>"
    "<oauthConfig><callbackUrl>crew://callback</callbackUrl><scopes>Api</scopes></oauthConfig>"
)
"""A mobile app."""


@pytest.mark.parametrize(
    ("record", "verdicts"),
    [
        ({"PinLength": "8", "MobileSessionTimeout": "5"}, ("pass", "pass", "pass")),
        ({"PinLength": 4, "MobileSessionTimeout": 10}, ("pass", "fail", "fail")),
        ({"PinLength": None, "MobileSessionTimeout": None}, ("fail", "fail", "fail")),
        ({"PinLength": "long", "MobileSessionTimeout": "never"}, ("unverifiable", "unverifiable", "unverifiable")),
        (None, ("unverifiable", "unverifiable", "unverifiable")),
    ],
    ids=["strict", "lax", "none", "unknown values", "no record"],
)
def test_mobile_policies_are_those_of_the_record(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    salesforce: Emulator,
    record: dict[str, Any] | None,
    verdicts: tuple[str, ...],
) -> None:
    """The mobile controls are decided by what a query shows; an app without a record passes none of them."""
    rows = (
        [] if record is None else [{"Id": component_id("ConnectedApp", "Field_Crew"), "Name": "Field Crew", **record}]
    )
    org = FakeOrg(files={"connectedApps/Field_Crew.connectedApp": MOBILE}, rows={"ConnectedApplication": rows})
    results = found(live(pytester, monkeypatch, salesforce.add(org)))
    controls = ("ca-mobile-pin", "ca-mobile-pin-length", "ca-mobile-pin-timeout")
    assert tuple(results["connected_app", "Field_Crew", control]["verdict"] for control in controls) == verdicts


@pytest.mark.slow
def test_records_belong_to_apps_by_their_ids(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """Of two apps with one label each gets its own record; without ids nobody can tell them apart, and none passes."""
    content = {f"connectedApps/{name}.connectedApp": MOBILE for name in ("Crew_East", "Crew_West")}
    lengths = {"Crew_East": "8", "Crew_West": "4"}
    rows: list[dict[str, Any]] = [
        {"Id": component_id("ConnectedApp", name), "Name": "Field Crew", "PinLength": length}
        for name, length in lengths.items()
    ]
    org = salesforce.add(FakeOrg(files=content, rows={"ConnectedApplication": rows}))
    results = found(live(pytester, monkeypatch, org))
    verdicts = [results["connected_app", name, "ca-mobile-pin-length"]["verdict"] for name in lengths]
    assert verdicts == ["pass", "fail"]
    for row in rows:
        row["Id"] = None
    results = found(live(pytester, monkeypatch, org))
    for name in lengths:
        row = results["connected_app", name, "ca-mobile-pin-length"]
        assert row["verdict"] == "unverifiable"
        assert "are called Field Crew" in row["message"]


@pytest.mark.slow
def test_installed_apps_that_no_metadata_shows_are_left_to_a_person(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """An app of another publisher is there, as one manual case that says where to look, and it passes nothing."""
    org = salesforce.add(
        FakeOrg(files=demo_files(), rows={"ConnectedApplication": [{"Id": None, "Name": "Data Mover"}]})
    )
    results = found(live(pytester, monkeypatch, org))
    of_app = {control: row for (_, app, control), row in results.items() if app == "Data Mover"}
    assert {control: row["verdict"] for control, row in of_app.items()} == {"readable": "manual"}
    assert "Setup > Manage Connected Apps" in of_app["readable"]["message"]
    assert results[None, None, "org-single-logout"]["verdict"] != "pass"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tokens", "verdict", "says"),
    [
        ([("Nightly ETL", 2), ("Analytics Hub", 1)], "pass", ""),
        ([("Nightly ETL", 2), ("Stray Tool", 1)], "fail", "authorized apps that are not installed"),
        ([], "pass", ""),
    ],
    ids=["all installed", "one is not", "no tokens"],
)
def test_authorized_apps_are_held_against_the_installed_ones(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    salesforce: Emulator,
    tokens: list[tuple[str, int]],
    verdict: str,
    says: str,
) -> None:
    """Users' tokens are all of installed apps, connected or external client apps, or it is a finding."""
    org = FakeOrg(
        files=demo_files(),
        rows={
            "OauthToken": [{"AppName": name, "users": users} for name, users in tokens],
            "ConnectedApplication": [{"Id": component_id("ConnectedApp", "Nightly_ETL"), "Name": "Nightly ETL"}],
        },
    )
    row = found(live(pytester, monkeypatch, salesforce.add(org)))[None, None, "sbs-oauth-001"]
    assert row["verdict"] == verdict
    assert says in row["message"]


def test_tokens_of_a_user_who_may_see_no_others_prove_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """Without Customize Application a user sees own tokens only, which look like an org without any others."""
    settings = {name: content for name, content in demo_files().items() if name.startswith("settings/")}
    org = FakeOrg(files=settings, rows={"OauthToken": [{"AppName": "Stray Tool", "users": 1}]})
    row = found(live(pytester, monkeypatch, salesforce.add(org)))[None, None, "sbs-oauth-001"]
    assert row["verdict"] == "unverifiable"
    assert "Customize Application" in row["message"]


RUNNER = connected_app(
    "<label>Ledger</label><oauthConfig><callbackUrl>https://ledger.example/callback</callbackUrl>"
    "<isClientCredentialEnabled>true</isClientCredentialEnabled>"
    "<oauthClientCredentialUser>Ledger.Bot@acme.example</oauthClientCredentialUser></oauthConfig>"
)
"""An app that runs as a user."""


@pytest.mark.parametrize(
    ("rows", "verdict", "evidence"),
    [
        ([assignment("ledger.bot@acme.example", "ApiEnabled")], "pass", "ApiEnabled"),
        (
            [assignment("ledger.bot@acme.example", "ApiEnabled"), assignment("ledger.bot@acme.example", "ViewAllData")],
            "fail",
            "ApiEnabled, ViewAllData",
        ),
        ([assignment("somebody.else@acme.example", "ApiEnabled")], "unverifiable", None),
        ([], "unverifiable", None),
        ([{"Assignee": {"Username": "ledger.bot@acme.example"}, "PermissionSet": None}], "unverifiable", None),
        (
            [
                assignment("ledger.bot@acme.example"),
                {"Assignee": {"Username": "ledger.bot@acme.example"}, "PermissionSet": {"PermissionsApiEnabled": True}},
            ],
            "unverifiable",
            None,
        ),
    ],
    ids=["narrow", "a permission set widens", "another user", "no record", "hidden", "hidden in part"],
)
def test_privileges_of_the_run_as_user(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    salesforce: Emulator,
    rows: list[dict[str, Any]],
    verdict: str,
    evidence: str | None,
) -> None:
    """The user that an app runs as was seen to have no broad permission, from its profile or a permission set."""
    org = FakeOrg(files={"connectedApps/Ledger.connectedApp": RUNNER}, rows={"PermissionSetAssignment": rows})
    row = found(live(pytester, monkeypatch, salesforce.add(org)))["connected_app", "Ledger", "sbs-acs-008"]
    assert row["verdict"] == verdict
    assert {one["setting"]: one["value"] for one in row["evidence"]}["RunAsUser.Permissions"] == evidence


@pytest.mark.slow
def test_a_great_many_run_as_users_are_asked_for_in_part(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """A query has a longest length; users beyond it are unverifiable, and names with quotes do not end it early."""
    users = [f"o'brien.{place:03}.{'x' * 60}@acme.example" for place in range(300)]
    org = FakeOrg(
        files={
            f"connectedApps/App_{place:03}.connectedApp": RUNNER.replace(b"Ledger.Bot@acme.example", user.encode())
            for place, user in enumerate(users)
        },
        rows={"PermissionSetAssignment": [assignment(user, "ApiEnabled") for user in users[:20]]},
    )
    results = found(live(pytester, monkeypatch, salesforce.add(org), "-k", "sbs-acs-008"))
    assert results["connected_app", "App_000", "sbs-acs-008"]["verdict"] == "pass"
    assert results["connected_app", "App_299", "sbs-acs-008"]["verdict"] == "unverifiable"
    query = next(sent for sent in org.sent if "FROM PermissionSetAssignment" in sent)
    assert "'o\\'brien.000." in query
    assert "brien.299" not in query


@pytest.mark.slow
def test_an_external_client_app_without_its_oauth_settings_is_not_called_one_without_oauth(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """An answer may leave out what the user may not see: only the app's own policy tells that it has no OAuth."""
    eca = demo_files()["externalClientApps/Analytics_Hub.eca"]
    org = FakeOrg(files={"externalClientApps/Analytics_Hub.eca": eca})
    results = found(live(pytester, monkeypatch, salesforce.add(org)))
    assert results["external_client_app", "Analytics_Hub", "eca-pkce"]["verdict"] == "unverifiable"
    org.files["extlClntAppPolicies/Analytics_Hub.ecaPlcy"] = (
        b'<ExtlClntAppConfigurablePolicies xmlns="http://soap.sforce.com/2006/04/metadata">'
        b"<externalClientApplication>Analytics_Hub</externalClientApplication><isEnabled>true</isEnabled>"
        b"<isOauthPluginEnabled>false</isOauthPluginEnabled></ExtlClntAppConfigurablePolicies>"
    )
    results = found(live(pytester, monkeypatch, org))
    assert results["external_client_app", "Analytics_Hub", "eca-pkce"]["verdict"] == "not_applicable"


@pytest.mark.slow
def test_packages_of_installed_apps_are_listed_as_manual(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """An app of a package that the retrieve does not deliver is one manual case."""
    org = FakeOrg(files=demo_files(), listed=[Listed("ConnectedApp", "quotes__Feed", "quotes", "installed")])
    document = live(pytester, monkeypatch, salesforce.add(org))
    of_app = {control: row for (_, app, control), row in found(document).items() if app == "quotes__Feed"}
    assert {control: row["verdict"] for control, row in of_app.items()} == {"readable": "manual"}


@pytest.mark.slow
def test_an_org_says_where_it_was_read(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """Results, header and summary say which org it was, at which API version, and what reading it cost."""
    org = salesforce.add(FakeOrg(files=demo_files(), versions=["66.0", "67.0"]))
    monkeypatch.setenv("SF_ACCESS_TOKEN", org.token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{org.my_domain}")
    result = pytester.runpytest("--sf-org=env", "--sf-json=results.json")
    said = json.loads((pytester.path / "results.json").read_text("utf-8"))["orgs"][0]
    assert said["source"] == "org"
    assert said["location"] == "https://acme.my.salesforce.com"
    assert said["org_id"] == org.org_id
    assert said["api_version"] == "67.0"
    assert said["api_calls"] == 6
    result.stdout.fnmatch_lines(
        [f"org env: {sample_org.APPS} apps *, read 20* UTC from org https://acme.my.salesforce.com (*"]
    )
    result.stdout.fnmatch_lines([f"*env: {sample_org.APPS} apps *", "  read with 6 API calls"])
