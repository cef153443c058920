"""Orgs that are assessed: made of files, kept as snapshots, or emulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from importlib.resources import as_file, files
from typing import Any

import pytest

from pytest_oauthcontrols.orgs import snapshot
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.sources.assembly import Origin, assemble

from .metadata_files import BAD_PATH, DEMO, DEMO_FILES, GOOD, GOOD_PATH, connected_app, metadata_file, xml
from .salesforce import FakeOrg, Listed, component_id, mdapi_files, page, rest_error

TAKEN_AT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
"""When the orgs were read."""
DAY = "2026-11-20"
"""The day on which the orgs that are kept were read."""
ORG_ID = "00D5g000000AbcdEAC"
PERMISSIONS = ("ApiEnabled", "ApiUserOnly", "AuthorApex", "CustomizeApplication", "ManageUsers", "ModifyAllData")
"""What `ViewAllData` is asked for with."""


def org_of(content: Mapping[str, bytes]) -> Org:
    """Return the org that files describe, given by their paths."""
    files = [metadata_file(*one) for one in content.items()]
    return assemble(Origin("uat", "directory", "force-app", TAKEN_AT), files)


def everything(org: Org) -> str:
    """Return all that is known of an org and its apps, as text."""
    return repr((vars(org), [vars(app) for app in org.apps]))


def small_org() -> Org:
    """Return an org with an app of each kind, and settings of its own, read and unreadable."""
    eca = xml("ExternalClientApplication", "<label>Ledger</label>")
    org = org_of(
        {
            GOOD_PATH: GOOD,
            "Ledger.eca": eca,
            "Ledger.ecaGlblOauth": b"<",
            "Security.settings": DEMO_FILES["settings/Security.settings-meta.xml"],
            BAD_PATH: connected_app(
                "<oauthConfig><scopes>Api</scopes><certificate>x</certificate><isPkceRequired>maybe</isPkceRequired>"
                "</oauthConfig><oauthPolicy><refreshTokenPolicy>zero</refreshTokenPolicy></oauthPolicy>"
                "<ipRanges><start>10.0.0.1</start><end>10.0.0.9</end></ipRanges>"
            ),
        }
    )
    return replace(org, notes=("a note",), problems=("a problem",), org_id="00D", api_version=68.0)


def kept(pytester: pytest.Pytester, files: Mapping[str, bytes], name: str = "uat", day: str = DAY, **said: Any) -> None:
    """Write the snapshot of an org as NAME.json, from files by their paths, and connected apps by their names."""
    paths = {path if "." in path else f"{path}.connectedApp": content for path, content in files.items()}
    origin = Origin(name, "directory", "force-app", datetime.fromisoformat(f"{day}T23:30:00+00:00"))
    org = replace(assemble(origin, [metadata_file(*one) for one in paths.items()]), **said)
    (pytester.path / f"{name}.json").write_bytes(snapshot.dump(org))


def demo_files() -> dict[str, bytes]:
    """Return the sample org as a retrieve delivers it."""
    with as_file(files("pytest_oauthcontrols") / "demo") as folder:
        return mdapi_files(folder)


def assignment(user: str, *permissions: str) -> dict[str, Any]:
    """Return a record that grants permissions to a user."""
    granted = {f"Permissions{name}": name in permissions for name in (*PERMISSIONS, "ViewAllData")}
    return {"Assignee": {"Username": user}, "PermissionSet": granted}


def live_org() -> FakeOrg:
    """Return an org with a bit of everything: apps of packages, installed and broken ones, users that apps run as."""
    files = mdapi_files(DEMO)
    files["connectedApps/Broken.connectedApp"] = b"<ConnectedApp"
    etl = {"Id": component_id("ConnectedApp", "Nightly_ETL"), "Name": "Nightly ETL", "PinLength": 6}
    return FakeOrg(
        files=files,
        listed=[Listed("ConnectedApp", "quotes__Feed", "quotes", "installed"), Listed("ConnectedApp", "Unseen")],
        messages=[("unpackaged/package.xml", "Something odd \N{SNOWMAN} was not retrieved")],
        rows={
            "OauthToken": [{"AppName": "Nightly ETL", "users": 3}, {"AppName": "Stray <Tool>", "users": 1}],
            "ConnectedApplication": [
                {**etl, "MobileSessionTimeout": "x"},
                {"Id": "0H41", "Name": "Inst\xe4lled \u202e"},
            ],
            "PermissionSetAssignment": [
                assignment("etl@example.com.demo", "ApiEnabled", "ViewAllData"),
                assignment("invoice-bot@example.com.demo", "ApiEnabled"),
            ],
        },
    )


def refusing_org() -> FakeOrg:
    """Return the same org for a user who may see little, and whose queries fail."""
    org = live_org()
    org.versions = ["61.0"]
    org.denied_types = {"ConnectedApplication", "OauthCustomScope", "UserProvisioningConfig"}
    org.unknown_types = {"OauthToken"}
    org.fail("query:PermissionSetAssignment", rest_error(400, "INVALID_FIELD", "No such column"), always=True)
    org.fail("listMetadata", page(400), always=True)
    return org
