"""What oauthcontrols.yaml says of apps, which apps it says it of, and what is said of a file that is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_oauthcontrols.config.configuration import FILE_NAME, Configuration, apply
from pytest_oauthcontrols.config.configuration import load as load_configuration
from pytest_oauthcontrols.orgs.model import Org, Seen
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.evaluation import evaluate
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.yaml_entries import DocumentError

from .support.configurations import BAD
from .support.examples import Example

CATALOGUE = load()
CONTROLS = {control.id: control for control in CATALOGUE.controls}
CA, ECA = "ConnectedApp", "ExternalClientApplication"

APPS: dict[str, dict[str, Any]] = {
    "Stock_Sync": {CA: "<oauthConfig><scopes>Api</scopes></oauthConfig>"},
    "Stock_Sync_Test": {CA: "<oauthConfig><callbackUrl>com.example.stock:/in</callbackUrl></oauthConfig>"},
    "meter gateway": {CA: "<oauthConfig/>"},
    "docs__Vault": {ECA: "", "ExtlClntAppOauthSettings": ""},
}


def configured(folder: Path, text: str, apps: dict[str, dict[str, Any]] = APPS) -> Org:
    """Return an org of some apps with a configuration."""
    return apply(
        load_configuration(written(folder, text), FILE_NAME, CATALOGUE), Example("made", 0, {"apps": apps}).org(folder)
    )


def written(folder: Path, text: str) -> Path:
    """Write a configuration and return where it is."""
    path = folder / FILE_NAME
    path.write_text(text, "utf-8")
    return path


def said_of(org: Org, name: str) -> dict[str, Any]:
    """Return what the configuration says of an app."""
    app = next(one for one in org.apps if one.name == name)
    return {
        setting.name: setting.value
        for setting in app.settings.values()
        if isinstance(setting, Seen) and setting.name.startswith(("declared.", "inventory."))
    }


def judged(org: Org, control_id: str, name: str) -> Finding:
    """Evaluate a control on an app."""
    app = next(one for one in org.apps if one.name == name)
    return evaluate(CONTROLS[control_id], app, org)


# What it can say


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    """Client type, purpose, allowed scopes and the inventory reach the app, scopes by their one name."""
    org = configured(
        tmp_path,
        """
        apps:
        - app: Stock_Sync
          client_type: public
          purpose: server
          allowed_scopes: [api, OfflineAccess, profile]
        inventory:
        - app: Stock_Sync
          criticality: high
          documents: [SOC 2 report of 2026, Penetration test]
          gaps: >-
            No statement on
            sub-processors.
        """,
    )
    assert said_of(org, "Stock_Sync") == {
        "declared.client_type": "public",
        "declared.purpose": "server",
        "declared.allowed_scopes": ("Api", "RefreshToken", "Basic"),
        "inventory.criticality": "high",
        "inventory.documents": ("SOC 2 report of 2026", "Penetration test"),
        "inventory.gaps": "No statement on sub-processors.",
    }
    assert said_of(org, "docs__Vault") == {}
    assert not org.notes


@pytest.mark.parametrize("purpose", ["iot", "server", "cli"])
@pytest.mark.parametrize("client_type", ["public", "private"])
def test_every_client_type_and_purpose(tmp_path: Path, purpose: str, client_type: str) -> None:
    """Both client types and every purpose can be declared."""
    org = configured(tmp_path, f"apps: [{{app: Stock_Sync, purpose: {purpose}, client_type: {client_type}}}]")
    assert said_of(org, "Stock_Sync") == {"declared.client_type": client_type, "declared.purpose": purpose}


@pytest.mark.parametrize("criticality", ["low", "medium", "high", "critical"])
def test_every_criticality(tmp_path: Path, criticality: str) -> None:
    """An app can have any of the four criticalities."""
    org = configured(tmp_path, f"inventory: [{{app: Stock_Sync, criticality: {criticality}}}]")
    assert said_of(org, "Stock_Sync") == {"inventory.criticality": criticality}


@pytest.mark.parametrize(
    ("name", "client_type"), [("Stock_Sync", "public"), ("Stock_Sync_Test", "private"), ("docs__Vault", "public")]
)
def test_a_declared_client_type_goes_before_what_callback_urls_suggest(
    tmp_path: Path, name: str, client_type: str
) -> None:
    """The client type that is declared counts, whatever the app's callback URLs look like or whether they were read."""
    org = configured(tmp_path, f"apps:\n- app: {name}\n  client_type: {client_type}\n")
    app = next(one for one in org.apps if one.name == name)
    declared = app.settings["client_type"]
    assert isinstance(declared, Seen)
    assert (declared.value, declared.source, declared.line) == (client_type, FILE_NAME, 3)
    assert declared.shown == f"{client_type} (declared in the configuration)"


def test_without_a_configuration_nothing_is_said() -> None:
    """Without a file the org is left as it was read."""
    org = Example("made", 0, {"apps": APPS}).org(Path())
    assert apply(Configuration("", CATALOGUE), org) is org


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "apps: []\n", "{}\n", "\ufeffapps: []\n"])
def test_a_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    """An empty file is a configuration that says nothing."""
    org = configured(tmp_path, text)
    assert [said_of(org, name) for name in APPS] == [{}, {}, {}, {}]
    assert judged(org, "sbs-oauth-003", "Stock_Sync").verdict is Verdict.NOT_APPLICABLE


def test_an_inventory_is_one_also_for_apps_that_it_does_not_name(tmp_path: Path) -> None:
    """Where there is an inventory, an app that it does not name is known to be missing from it."""
    org = configured(tmp_path, "inventory:\n- app: docs__Vault\n  criticality: high\n")
    assert judged(org, "sbs-oauth-003", "docs__Vault").verdict is Verdict.PASS
    assert judged(org, "sbs-oauth-003", "Stock_Sync").verdict is Verdict.FAIL
    assert judged(configured(tmp_path, "inventory: []"), "sbs-oauth-003", "docs__Vault").verdict is Verdict.FAIL


def test_an_app_in_the_inventory_without_a_criticality_fails(tmp_path: Path) -> None:
    """An app that the inventory only names has no criticality."""
    org = configured(tmp_path, "inventory:\n- app: Stock_Sync\n")
    assert judged(org, "sbs-oauth-003", "Stock_Sync").verdict is Verdict.FAIL
    assert not org.notes


def test_an_app_keeps_its_org(tmp_path: Path) -> None:
    """An app that something is said of belongs to the org that it is part of then."""
    org = configured(tmp_path, "apps: [{app: '*', purpose: iot}]")
    assert [app.org for app in org.apps] == [org] * 4


# Which apps it says it of


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("Stock_Sync", {"Stock_Sync"}),
        ("docs__Vault", {"docs__Vault"}),
        ("meter gateway", {"meter gateway"}),
        ("*", set(APPS)),
        ("Stock_*", {"Stock_Sync", "Stock_Sync_Test"}),
        ("*_Test", {"Stock_Sync_Test"}),
        ("*__*", {"docs__Vault"}),
        ("Stock?Sync", {"Stock_Sync"}),
        ("[Ss]tock_Sync", {"Stock_Sync"}),
        ("[!S]*", {"meter gateway", "docs__Vault"}),
        # Not with another case
        ("stock_sync", set()),
        ("STOCK_*", set()),
        ("Docs__Vault", set()),
        # Not as a part of a name
        ("Stock", set()),
        ("Sync", set()),
        ("tock_Syn", set()),
        ("Vault", set()),
        ("Stock_Sync_", set()),
        # Not as anything but a shell pattern
        ("Stock.Sync", set()),
        ("Stock_.*", set()),
        ("^Stock_Sync$", set()),
        ("Stock_Sync|docs__Vault", set()),
    ],
)
@pytest.mark.parametrize("section", ["apps", "inventory"])
def test_patterns(tmp_path: Path, section: str, pattern: str, names: set[str]) -> None:
    """A pattern matches whole names with regard to case, and is noted where it matches none."""
    said = {"apps": "purpose: iot", "inventory": "criticality: low"}[section]
    org = configured(tmp_path, f"{section}:\n- app: '{pattern}'\n  {said}\n")
    assert {name for name in APPS if said_of(org, name)} == names
    assert list(org.notes) == ([] if names else [f"{FILE_NAME}:2: no app is called '{pattern}'"])


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("'*'", "Stock_Sync", "private"), ("Stock_Sync", "'*'", "private"), ("Stock_*", "'*_Sync'", "private")],
)
def test_the_later_of_two_matching_patterns_wins(tmp_path: Path, first: str, second: str, expected: str) -> None:
    """What is said last counts, however exact a pattern is, with its own line."""
    org = configured(
        tmp_path, f"apps:\n- app: {first}\n  client_type: public\n- app: {second}\n  client_type: private\n"
    )
    app = next(one for one in org.apps if one.name == "Stock_Sync")
    for setting in (app.settings["client_type"], app.settings["declared.client_type"]):
        assert isinstance(setting, Seen)
        assert (setting.value, setting.line) == (expected, 5)
    assert not org.notes


def test_a_later_pattern_leaves_alone_what_it_does_not_say(tmp_path: Path) -> None:
    """Of an app that two patterns match everything counts that only one of them says."""
    org = configured(
        tmp_path,
        """
        apps:
        - {app: '*', purpose: iot, client_type: public}
        - {app: Stock_Sync, client_type: private, allowed_scopes: [Api]}
        inventory:
        - {app: '*', criticality: low, gaps: None known.}
        - {app: Stock_Sync, criticality: high}
        """,
    )
    assert said_of(org, "Stock_Sync") == {
        "declared.purpose": "iot",
        "declared.client_type": "private",
        "declared.allowed_scopes": ("Api",),
        "inventory.criticality": "high",
        "inventory.gaps": "None known.",
    }
    assert said_of(org, "docs__Vault")["declared.client_type"] == "public"


def test_a_pattern_that_matches_nothing_is_noted(tmp_path: Path) -> None:
    """Each pattern without an app is noted with file and line, after what the reading noted; others are not."""
    apps: dict[str, dict[str, Any]] = {**APPS, "Old": {"UserProvisioningConfig": ""}}
    org = configured(
        tmp_path,
        """apps:
- app: Stock_Sync
  purpose: server
- app: Nightly_*
  purpose: server
inventory:
- app: '*'
  criticality: low
-
  criticality: high
  app: Vault
""",
        apps,
    )
    reading, *notes = org.notes
    assert "of which no file was found" in reading
    assert notes == [f"{FILE_NAME}:4: no app is called 'Nightly_*'", f"{FILE_NAME}:10: no app is called 'Vault'"]


def test_every_pattern_is_noted_for_an_org_without_apps(tmp_path: Path) -> None:
    """Of an org without apps no pattern matches."""
    org = configured(tmp_path, "apps:\n- app: '*'\n  purpose: iot\n", {})
    assert org.notes == (f"{FILE_NAME}:2: no app is called '*'",)


def test_a_name_that_looks_like_a_pattern(tmp_path: Path) -> None:
    """An app whose name has brackets is found by its name, declared and waived alike; as a pattern it still counts."""
    apps = {"Price[1]": {CA: "<oauthConfig/>"}, "Price1": {CA: "<oauthConfig/>"}}
    text = "{section}: [{{app: 'Price[1]', {said}}}]"
    for section, said in (("apps", "purpose: iot"), ("inventory", "criticality: low")):
        org = configured(tmp_path, text.format(section=section, said=said), apps)
        assert all(said_of(org, name) for name in apps)
        assert not org.notes
    waiver = "control: ca-pkce, reason: Old., owner: Jane Doe, expires: 2099-01-01"
    path = written(tmp_path, text.format(section="waivers", said=waiver))
    (waiver_of_both,) = load_configuration(path, FILE_NAME, CATALOGUE).waivers
    assert all(waiver_of_both.covers("uat", name) for name in apps)


# What evidence shows


@pytest.mark.parametrize(
    ("control_id", "declared", "verdict", "shown"),
    [
        ("ca-code-credentials", "apps:\n- app: App\n  client_type: public\n", Verdict.FAIL, ("client_type", 3)),
        (
            "ca-secret-web-server",
            "apps:\n- client_type: public\n  app: App\n",
            Verdict.NOT_APPLICABLE,
            ("client_type", 2),
        ),
        ("ca-asset-token", "apps:\n- app: App\n\n  purpose: iot\n", Verdict.FAIL, ("declared.purpose", 4)),
        ("ca-scopes", "apps:\n- app: App\n  allowed_scopes:\n  - Web\n", Verdict.FAIL, ("declared.allowed_scopes", 3)),
        ("sbs-oauth-003", "inventory:\n- app: App\n  criticality: low\n", Verdict.PASS, ("inventory.criticality", 3)),
        (
            "sbs-oauth-004",
            "inventory:\n- app: App\n  criticality: high\n  documents: [SOC 2 report]\n",
            Verdict.PASS,
            ("inventory.documents", 4),
        ),
        (
            "sbs-oauth-004",
            "inventory:\n- app: App\n  criticality: high\n  gaps: No report.\n",
            Verdict.PASS,
            ("inventory.gaps", 4),
        ),
    ],
)
def test_evidence_names_the_line_of_the_declaration(
    tmp_path: Path, control_id: str, declared: str, verdict: Verdict, shown: tuple[str, int]
) -> None:
    """A verdict that rests on the configuration shows file and line of what it says."""
    app = {CA: "<oauthConfig><isCodeCredentialEnabled>true</isCodeCredentialEnabled><scopes>Api</scopes></oauthConfig>"}
    finding = judged(configured(tmp_path, declared, {"App": app}), control_id, "App")
    assert finding.verdict is verdict
    seen = [one for one in finding.evidence if isinstance(one, Seen) and one.source == FILE_NAME]
    assert (shown[0], shown[1]) in [(one.name, one.line) for one in seen]


# What is no configuration


@pytest.mark.parametrize(
    ("text", "reason"), BAD, ids=[f"{number}-{reason[:40]}" for number, (_, reason) in enumerate(BAD)]
)
def test_an_error_names_file_and_line(tmp_path: Path, text: str, reason: str) -> None:
    """A file that is not understood is an error: one line that names the file, the line and the reason."""
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "# here" in line)
    with pytest.raises(DocumentError) as caught:
        load_configuration(written(tmp_path, text), "config/oauthcontrols.yaml", CATALOGUE)
    message = str(caught.value)
    assert message.startswith(f"config/oauthcontrols.yaml:{line}: ")
    assert reason in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"apps: []\n# caf\xe9\n", "apps: []\n".encode("utf-16"), b"\xff\xfe\x00"])
def test_a_file_in_another_encoding(tmp_path: Path, content: bytes) -> None:
    """A file that is not UTF-8 is an error that says so."""
    path = tmp_path / FILE_NAME
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=f"^{FILE_NAME}:1: is not UTF-8$"):
        load_configuration(path, FILE_NAME, CATALOGUE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be opened is an error that names it as it was given, and says why."""
    with pytest.raises(DocumentError, match=r"^my\.yaml: cannot be read: No such file or directory$"):
        load_configuration(tmp_path / "my.yaml", "my.yaml", CATALOGUE)
    with pytest.raises(DocumentError, match=r"^\./: cannot be read: Is a directory$"):
        load_configuration(tmp_path, "./", CATALOGUE)


@pytest.mark.parametrize("bad", ["apps:\n- app: A\n  purpose: sever\n", "apps:\n- app: A\n  purpose: 2026-02-30\n"])
def test_an_error_ends_the_run_as_a_wrong_use(pytester: pytest.Pytester, bad: str) -> None:
    """A bad configuration is a usage error with one clear line, and nothing is assessed."""
    written(pytester.path, bad)
    result = pytester.runpytest("--sf-org=demo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {FILE_NAME}:3: *"])
    assert not [line for line in result.outlines + result.errlines if "Traceback" in line or "INTERNALERROR" in line]


def test_another_file_can_be_named(pytester: pytest.Pytester) -> None:
    """--sf-config names the file, and what it says is in the results."""
    (pytester.path / "of-demo.yaml").write_text("inventory: [{app: '*', criticality: low}]\n", "utf-8")
    result = pytester.runpytest("--sf-org=demo", "--sf-config=of-demo.yaml", "-k", "sbs-oauth-003 and Warehouse_Sync")
    assert result.ret == pytest.ExitCode.OK
    assert result.parseoutcomes()["passed"] == 1


def test_a_file_with_another_suffix(pytester: pytest.Pytester) -> None:
    """A file that somebody believes to be the configuration, and is not, ends the run instead of doing nothing."""
    (pytester.path / "oauthcontrols.yml").write_text("gate: never\n", "utf-8")
    result = pytester.runpytest("--sf-org=demo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: oauthcontrols.yml: is not read: rename it to {FILE_NAME}"])
    assert pytester.runpytest("--sf-org=demo", "--sf-config=oauthcontrols.yml").ret == pytest.ExitCode.OK
