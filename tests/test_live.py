"""Live orgs: what is read of them is what files of the same org say, and what only an org can tell besides."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from werkzeug import Response

from pytest_oauthcontrols.orgs.metadata_types import METADATA_TYPES
from pytest_oauthcontrols.orgs.model import Absent, Org, Unreadable
from pytest_oauthcontrols.sources import reader
from pytest_oauthcontrols.sources.live import metadata_api
from pytest_oauthcontrols.sources.parallel import Patience

from .support import sample_org
from .support.metadata_files import connected_app
from .support.orgs import assignment, demo_files
from .support.salesforce import (
    Answer,
    Call,
    Emulator,
    FakeOrg,
    Listed,
    component_id,
    mdapi_files,
    raw,
    rest_error,
)

QUERIED = {
    "ca-mobile-pin",
    "ca-mobile-pin-length",
    "ca-mobile-pin-timeout",
    "org-single-logout",
    "sbs-acs-002",
    "sbs-acs-003",
    "sbs-acs-006",
    "sbs-acs-008",
    "sbs-oauth-001",
}
"""Controls that queries decide."""
OF_FILES_ONLY = {"sbs-dep-005"}
"""Controls of what a repository holds, which is not applicable to a live org."""

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
    if of_file["control"] in OF_FILES_ONLY:
        return (of_file["verdict"], of_org["verdict"]) in {("pass", "not_applicable"), ("fail", "not_applicable")}
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
        "query:ConnectedApplication",
        "composite:PermissionSetAssignment",
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


def application(name: str, **columns: Any) -> dict[str, Any]:
    """Return the record of an installed app that any user may authorize, and whose refresh tokens never expire."""
    lax = {
        "Id": None,
        "OptionsAllowAdminApprovedUsersOnly": False,
        "OptionsHasSessionLevelPolicy": False,
        "OptionsRefreshTokenValidityMetric": False,
        "RefreshTokenValidityPeriod": None,
        "PinLength": None,
        "MobileSessionTimeout": None,
    }
    return {"Name": name, **lax, **columns}


DECIDED = {"ca-manage-profiles", "sbs-oauth-002", "sbs-dep-006", "sbs-oauth-003", "sbs-oauth-004"}
"""Controls of an installed app that its record, or what is declared of it, decides."""


def test_installed_apps_of_other_publishers_get_verdicts(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """What the record of an installed app shows is decided; what no API shows is manual, and says where to look."""
    rows = [application("Data Mover"), application("Vault", OptionsAllowAdminApprovedUsersOnly=True)]
    org = salesforce.add(
        FakeOrg(
            files=demo_files(),
            rows={"ConnectedApplication": rows, "OauthToken": [{"AppName": "Data Mover", "users": 3}]},
        )
    )
    results = found(live(pytester, monkeypatch, org))
    of_app = {control: row for (_, app, control), row in results.items() if app == "Data Mover"}
    assert of_app["ca-manage-profiles"]["verdict"] == of_app["sbs-oauth-002"]["verdict"] == "fail"
    evidence = {one["setting"]: one for one in of_app["ca-manage-profiles"]["evidence"]}
    approved = evidence["oauthConfig.isAdminApproved"]
    assert approved["source"] == "SOQL ConnectedApplication"
    assert approved["value"] == "false (ConnectedApplication.OptionsAllowAdminApprovedUsersOnly)"
    assert results["connected_app", "Vault", "sbs-oauth-002"]["verdict"] != "fail"
    others = {control: row for control, row in of_app.items() if control not in DECIDED}
    assert len(others) > 20
    passed = {control for control, row in others.items() if row["verdict"] in ("pass", "fail", "unverifiable")}
    assert passed == set()
    assert "Data Mover is an app of another publisher" in of_app["ca-pkce"]["message"]
    assert "Setup > Manage Connected Apps" in of_app["ca-pkce"]["message"]
    assert "readable" not in of_app
    assert results[None, None, "org-single-logout"]["verdict"] != "pass"


def test_an_installed_app_that_metadata_might_have_shown_is_unverifiable(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """Where connected apps are missing from the retrieve, nobody can tell whose an app is, and it fails."""
    org = FakeOrg(files=demo_files(), rows={"ConnectedApplication": [application("Data Mover")]})
    org.denied_types.add("ConnectedApp")
    results = found(live(pytester, monkeypatch, salesforce.add(org)))
    of_app = {control: row["verdict"] for (_, app, control), row in results.items() if app == "Data Mover"}
    assert of_app == {"readable": "unverifiable"}


@pytest.mark.parametrize(
    ("columns", "verdict"),
    [
        ({"RefreshTokenValidityPeriod": 30, "OptionsRefreshTokenValidityMetric": True}, "fail"),
        ({"RefreshTokenValidityPeriod": 2161}, "fail"),
        ({"RefreshTokenValidityPeriod": 2160}, "manual"),
        ({"RefreshTokenValidityPeriod": 4}, "manual"),
        ({"RefreshTokenValidityPeriod": 3}, "manual"),
        ({"RefreshTokenValidityPeriod": 0}, "manual"),
        ({"RefreshTokenValidityPeriod": None}, "manual"),
        ({"RefreshTokenValidityPeriod": "soon"}, "manual"),
    ],
)
def test_the_app_of_the_salesforce_cli_is_decided_as_far_as_its_record_goes(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    salesforce: Emulator,
    columns: dict[str, Any],
    verdict: str,
) -> None:
    """A lifetime that is too long in any unit, or that ends only without use, fails; no record shows the timeout."""
    rows = {"ConnectedApplication": [application("Salesforce CLI", **columns)]}
    org = salesforce.add(FakeOrg(files=demo_files(), rows=rows))
    row = found(live(pytester, monkeypatch, org, "-k", "sbs-dep-006"))["connected_app", "Salesforce CLI", "sbs-dep-006"]
    assert row["verdict"] == verdict
    if verdict == "fail":
        assert "do not expire within 90 days" in row["message"]
        assert "ConnectedApplication.RefreshTokenValidityPeriod" in {one["setting"] for one in row["evidence"]}


HOLDERS = {
    f"PermissionSetAssignment:{permission}": [{"Assignee": {"Username": user}} for user in users]
    for permission, users in {
        "ApiEnabled": ["Ada@acme.example", "bo@acme.example", "bo@acme.example"],
        "CanApproveUninstalledApps": ["ada@acme.example"],
        "UseAnyApiClient": [],
    }.items()
}
CONTROLS = {
    "ApiEnabled": "sbs-acs-002",
    "CanApproveUninstalledApps": "sbs-acs-003",
    "UseAnyApiClient": "sbs-acs-006",
}


def holders(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return verdict and message of the controls on who holds a permission."""
    rows = found(document)
    return {
        permission: (rows[None, None, control]["verdict"], rows[None, None, control]["message"])
        for permission, control in CONTROLS.items()
    }


@pytest.mark.parametrize("distributed", [False, True], ids=["one process", "distributed"])
@pytest.mark.parametrize("option", ["", "--sf-show-identities"], ids=["masked", "shown"])
def test_holders_of_permissions_are_listed(
    pytester: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
    salesforce: Emulator,
    option: str,
    *,
    distributed: bool,
) -> None:
    """Users who hold a permission are listed for a person, once and masked; where nobody does it passes."""
    org = salesforce.add(FakeOrg(files=demo_files(), rows=HOLDERS))
    arguments = ["-k", "sbs-acs-00", *filter(None, [option]), *(["-n2"] if distributed else [])]
    said = holders(live(pytester, monkeypatch, org, *arguments))
    assert [verdict for verdict, _ in said.values()] == ["manual", "manual", "pass"]
    names = "Ada@acme.example, bo@acme.example" if option else "A***@acme.example, b***@acme.example"
    assert "2 users hold the permission" in said["ApiEnabled"][1]
    assert said["ApiEnabled"][1].endswith(f"{names}.")


@pytest.mark.parametrize("option", ["", "--sf-show-identities"], ids=["masked", "shown"])
def test_holders_who_are_not_on_the_list_fail(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, option: str
) -> None:
    """Where the configuration lists who may hold a permission, somebody else who holds it is a finding."""
    (pytester.path / "oauthcontrols.yaml").write_text(
        "permission_holders:\n  api_enabled: [ada@acme.example]\n"
        "  approve_uninstalled_connected_apps: [ada@acme.example]\n",
        "utf-8",
    )
    org = salesforce.add(FakeOrg(files=demo_files(), rows=HOLDERS))
    document = live(pytester, monkeypatch, org, "-k", "sbs-acs-00", *filter(None, [option]))
    said = holders(document)
    assert [verdict for verdict, _ in said.values()] == ["fail", "pass", "pass"]
    evidence = {one["setting"]: one["value"] for one in found(document)[None, None, "sbs-acs-002"]["evidence"]}
    name = "bo@acme.example" if option else "b***@acme.example"
    assert evidence["holders who are not on the list"] == name
    assert evidence["permission_holders.api_enabled"] == "1 user may hold it"


def test_holders_who_are_the_user_alone_prove_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """A user who may not see the assignments of others sees own ones only, or none, and nothing passes by that."""
    rows = {"PermissionSetAssignment:ApiEnabled": [{"Assignee": {"Username": "auditor@acme.example"}}]}
    org = salesforce.add(FakeOrg(files=demo_files(), rows=rows))
    said = holders(live(pytester, monkeypatch, org, "-k", "sbs-acs-00"))
    assert {verdict for verdict, _ in said.values()} == {"unverifiable"}
    assert all("View Setup and Configuration" in message for _, message in said.values())


def test_a_permission_that_the_org_does_not_have_does_not_apply(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """Without API Access Control an org has no Use Any API Client; the other permissions are read all the same."""
    org = salesforce.add(FakeOrg(files=demo_files(), rows=HOLDERS, unknown_columns={"PermissionsUseAnyApiClient"}))
    said = holders(live(pytester, monkeypatch, org, "-k", "sbs-acs-00"))
    assert [verdict for verdict, _ in said.values()] == ["manual", "manual", "not_applicable"]


@pytest.mark.parametrize(
    "records",
    [[None], [{}], [{"Assignee": None}], [{"Assignee": {"Username": 5}}], [{"Assignee": {"Username": ""}}]],
)
def test_records_without_a_user_prove_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, records: list[Any]
) -> None:
    """A record that names no user may stand for anybody, so nothing passes by the others."""
    (pytester.path / "oauthcontrols.yaml").write_text(
        "permission_holders: {approve_uninstalled_connected_apps: [ada@acme.example]}\n", "utf-8"
    )
    rows = {name: [*of_permission, *records] for name, of_permission in HOLDERS.items()}
    org = salesforce.add(FakeOrg(files=demo_files()))
    org.fail("query:PermissionSetAssignment", lambda call: answer_with(rows, call), always=True)
    said = holders(live(pytester, monkeypatch, org, "-k", "sbs-acs-00"))
    assert {verdict for verdict, _ in said.values()} == {"unverifiable"}


def answer_with(rows: Mapping[str, list[Any]], call: Call) -> Response:
    """Answer a query for holders with records that are as they are."""
    permission = next((one for one in CONTROLS if f"Permissions{one} = true AND" in call.request.args["q"]), None)
    records = rows.get(f"PermissionSetAssignment:{permission}", [])
    body = {"totalSize": len(records), "done": True, "records": records}
    return Response(json.dumps(body), content_type="application/json")


@pytest.mark.parametrize("several", [False, True], ids=["one", "several"])
def test_a_refused_column_takes_only_its_own_setting(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, *, several: bool
) -> None:
    """A column that an org does not have is unreadable, with the reason, and everything else is read."""
    org = FakeOrg(files=demo_files(), rows={"ConnectedApplication": [application("Data Mover")], **HOLDERS})
    org.unknown_columns = {"OptionsHasSessionLevelPolicy", *(["RefreshTokenValidityPeriod"] if several else [])}
    read_org = read(monkeypatch, salesforce.add(org))
    app = next(one for one in read_org.apps if one.name == "Data Mover")
    refused = app.settings["ConnectedApplication.OptionsHasSessionLevelPolicy"]
    assert isinstance(refused, Unreadable)
    assert "INVALID_FIELD: No such column 'OptionsHasSessionLevelPolicy'" in refused.reason
    assert isinstance(app.settings.get("ConnectedApplication.RefreshTokenValidityPeriod"), Unreadable) is several
    assert app.value("oauthConfig.isAdminApproved") is False
    assert read_org.value("InstalledApps.Label")
    assert read_org.value("PermissionHolders.CanApproveUninstalledApps") == ("ada@acme.example",)
    # The first of them is asked for again together with other queries, at no further call.
    assert read_org.api_calls == 6 + several


def test_refused_columns_do_not_take_more_calls_than_there_are(
    monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """However long the retrieve took, an org that refuses every column is read with ten calls."""
    fake = salesforce.add(many_apps(20))
    fake.polls = 4
    fake.unknown_columns = set(METADATA_TYPES["connected_app", "ConnectedApplication"].fields)
    monkeypatch.setattr(metadata_api, "LAST_POLL", 0.1)
    org = read(monkeypatch, fake)
    assert org.api_calls == 10
    assert len(org.apps) == 20
    pin = org.apps[0].setting(PIN_LENGTH, "ConnectedApplication")
    assert isinstance(pin, Unreadable)
    assert "No such column" in pin.reason


def test_an_org_that_refuses_several_queries_in_one_is_asked_one_by_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator
) -> None:
    """Where the composite request itself is refused nothing is lost as long as there are calls left."""
    files_ = {"connectedApps/Ledger.connectedApp": RUNNER}
    rows = {"PermissionSetAssignment": [assignment("ledger.bot@acme.example", "ApiEnabled")], **HOLDERS}
    org = salesforce.add(FakeOrg(files=files_, rows=rows))
    org.fail("composite", rest_error(404, "NOT_FOUND", "The requested resource does not exist"), always=True)
    document = live(pytester, monkeypatch, org, "-k", "sbs-acs-00")
    assert found(document)["connected_app", "Ledger", "sbs-acs-008"]["verdict"] == "pass"
    assert [verdict for verdict, _ in holders(document).values()] == ["manual", "manual", "pass"]
    assert document["orgs"][0]["api_calls"] == 10


@pytest.mark.parametrize(
    "answer",
    [
        raw(200, "application/json", "{"),
        raw(200, "application/json", "[]"),
        raw(200, "application/json", '{"compositeResponse": []}'),
        raw(200, "application/json", '{"compositeResponse": [{"referenceId": "query0", "body": null}, 5]}'),
        rest_error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
    ],
    ids=["cut", "list", "empty", "no records", "limit"],
)
def test_answers_to_several_queries_that_are_not_understood_pass_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, answer: Answer
) -> None:
    """Whatever is missing from the answer is unverifiable, and the run goes on."""
    files_ = {"connectedApps/Ledger.connectedApp": RUNNER}
    org = salesforce.add(FakeOrg(files=files_))
    org.fail("composite", answer, always=True)
    document = live(pytester, monkeypatch, org, "-k", "sbs-acs-00")
    assert found(document)["connected_app", "Ledger", "sbs-acs-008"]["verdict"] == "unverifiable"
    assert {verdict for verdict, _ in holders(document).values()} == {"unverifiable"}


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
    query = next(unquote(sent) for sent in org.sent if "compositeRequest" in sent)
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
    """An app of a package that the retrieve does not deliver is one manual case, or has what its record shows."""
    org = FakeOrg(files=demo_files(), listed=[Listed("ConnectedApp", "quotes__Feed", "quotes", "installed")])
    document = live(pytester, monkeypatch, salesforce.add(org))
    of_app = {control: row for (_, app, control), row in found(document).items() if app == "quotes__Feed"}
    assert {control: row["verdict"] for control, row in of_app.items()} == {"readable": "manual"}
    org.rows["ConnectedApplication"] = [application("Quotes", Id=component_id("ConnectedApp", "quotes__Feed"))]
    results = found(live(pytester, monkeypatch, org))
    row = results["connected_app", "quotes__Feed", "sbs-oauth-002"]
    assert (row["verdict"], row["label"]) == ("fail", "Quotes")
    assert ("connected_app", "quotes__Feed", "readable") not in results
    assert "Quotes" not in {app for _, app, _ in results}


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
