"""A project's own controls in YAML, what it overrides, what it selects, and what plugins change."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from pytest_oauthcontrols.config import tailoring

from .support import sample_org
from .support.catalogue import CATALOGUE
from .support.configurations import configure
from .support.metadata_files import PKCE, app
from .support.orgs import kept
from .support.runs import WORKERS, assess, run, usage_error

OWN = """
id: acme-no-client-credentials
name: No app logs in with a secret alone
applies_to: [connected_app]
recommended: The client credentials flow is off.
cvss: {vector: 'CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N'}
decided_by:
- when: {oauth: false}
  not_applicable: The app has no OAuth settings.
- require:
  - oauthConfig.isClientCredentialEnabled: false
    finding: The client credentials flow is on.
remediation: Turn it off.
"""
ID = "acme-no-client-credentials"


def refused(pytester: pytest.Pytester, *arguments: str) -> str:
    """Return the message of a run that assesses nothing."""
    return usage_error(run(pytester, *arguments, org="./uat.json"))


def write(pytester: pytest.Pytester, text: str = OWN, name: str = f"controls/{ID}.yaml") -> None:
    """Write a control of the project's own, and name it in the configuration."""
    path = pytester.path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")
    configure(pytester, controls=[name])


@pytest.fixture
def _orgs(pytester: pytest.Pytester) -> None:
    on = "<isClientCredentialEnabled>true</isClientCredentialEnabled>"
    kept(
        pytester,
        {
            "Price_Feed": app(on),
            "Stock_Sync": PKCE.replace(b"</oauthConfig>", on.replace("true", "false").encode() + b"</oauthConfig>"),
        },
    )


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize("workers", WORKERS)
def test_own_control(pytester: pytest.Pytester, workers: str) -> None:
    """It is assessed like a shipped one, also in workers; its vector gives severity and score."""
    write(pytester)
    ran = assess(pytester, "-k", ID, workers)
    assert {name: case.row["verdict"] for name, case in ran.cases.items()} == {
        f"Price_Feed-{ID}": "fail",
        f"Stock_Sync-{ID}": "pass",
    }
    row = ran.cases[f"Price_Feed-{ID}"].row
    assert (row["severity"], row["score"], row["message"]) == ("critical", 9.3, "The client credentials flow is on.")
    assert row["evidence"][0]["line"] == 3
    assert ran.document["catalogue"]["own"] == {ID: f"controls/{ID}.yaml:2"}
    assert ran.document["catalogue"]["controls"] == len(sample_org.CONTROLS) + 1


@pytest.mark.usefixtures("_orgs")
def test_controls_are_parsed_once(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run parses each control of the project, and compiles each override, once; an option selects among them."""
    write(pytester)
    when = {"oauthConfig.isClientCredentialEnabled": True}
    override = {"control": "ca-pkce", "not_applicable_when": when, "reason": "Servers send no code."}
    configure(pytester, controls=[f"controls/{ID}.yaml"], overrides=[override])
    calls: list[str] = []

    def count(name: str) -> None:
        function = getattr(tailoring, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            return function(*arguments, **options)

        monkeypatch.setattr(tailoring, name, counted)

    count("parse_control")
    count("compile_condition")
    assess(pytester, "--sf-select=own,ca-pkce")
    assert calls == ["parse_control", "compile_condition"]


@pytest.mark.usefixtures("_orgs")
def test_own_control_is_selected_waived_and_shown(pytester: pytest.Pytester) -> None:
    """Selection, waivers and reports know it."""
    write(pytester)
    waiver = {"control": ID, "app": "*", "owner": "jo", "reason": "Old.", "expires": "2027-01-31"}
    configure(pytester, controls=[f"controls/{ID}.yaml"], waivers=[waiver])
    ran = assess(pytester, "--sf-select=own", "--sf-report=page.html", "--sf-sarif=out.sarif", "--sf-csv=plan.csv")
    assert ran.having("xfailed") == {f"Price_Feed-{ID}"}
    assert len(ran.cases) == 2
    for name in ("page.html", "out.sarif", "plan.csv"):
        assert "The client credentials flow is on." in (pytester.path / name).read_text("utf-8")


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OWN.replace("id: acme", "id: bcme"), ":2: the control's id is 'bcme-no-client-credentials', the file has"),
        (OWN.replace("isClientCredentialEnabled: f", "isClientCredentialsEnabled: f"), ":11: there is no setting"),
        (OWN.replace("CVSS:4.0", "CVSS:2.0"), ":6: 'vector': a vector begins with CVSS:3.1/ or CVSS:4.0/"),
        (OWN.replace("AV:N", "AV:X"), ":6: 'vector': "),
        (OWN.replace("name: N", "title: N"), ":3: unknown key 'title'"),
        (OWN + "core: true\n", ":14: unknown key 'core'"),
        (OWN + "page: shr_something\n", ":14: 'page' must be a URL that begins with https://"),
        (OWN.replace("remediation: Turn it off.\n", ""), ":2: 'remediation' is missing"),
        (OWN.replace("{vector", "{severity: low, vector"), ":6: unknown key 'severity'"),
        ("[", ":2: not YAML"),
        (
            OWN.replace("oauthConfig.isClientCredentialEnabled: false", "predicate: certificate_has_not_expired")
            .replace("[connected_app]", "[org]")
            .replace("- when: {oauth: false}\n  not_applicable: The app has no OAuth settings.\n", ""),
            ":9: 'certificate_has_not_expired' cannot be asked of orgs",
        ),
    ],
)
def test_what_is_no_control(pytester: pytest.Pytester, text: str, says: str) -> None:
    """A mistake is a usage error that names file and line, before anything is read."""
    write(pytester, text)
    error = refused(pytester)
    assert f"controls/{ID}.yaml{says}" in error


@pytest.mark.usefixtures("_orgs")
def test_ids_that_are_taken(pytester: pytest.Pytester) -> None:
    """Neither a shipped control nor another of the project's can be replaced by accident."""
    write(pytester, OWN.replace(ID, "ca-pkce"), "ca-pkce.yaml")
    assert "ca-pkce.yaml:2: 'ca-pkce' is no id for a control of your own" in refused(pytester)
    for folder in ("a", "b"):
        write(pytester, name=f"{folder}/{ID}.yaml")
    configure(pytester, controls=[f"a/{ID}.yaml", f"b/{ID}.yaml"])
    assert f"b/{ID}.yaml:1: there is another control '{ID}'" in refused(pytester)
    configure(pytester, controls=["c/acme-none.yaml"])
    assert "c/acme-none.yaml: cannot be read: No such file" in refused(pytester)


OVERRIDE = {"control": "ca-pkce", "severity": "medium", "reason": "All of our clients are private."}


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize("workers", WORKERS)
def test_severity_is_overridden(pytester: pytest.Pytester, workers: str) -> None:
    """The gate, the marks and the score go by it; every report says by how much, why, and where."""
    configure(pytester, overrides=[OVERRIDE])
    reports = ["--sf-report=page.html", "--sf-markdown=out.md", "--sf-sarif=out.sarif"]
    ran = assess(pytester, "-k", "ca-pkce", "-m", "cvss_medium", "--sf-fail-on=high", workers, *reports)
    row = ran.cases["Price_Feed-ca-pkce"].row
    assert (row["severity"], row["cvss"], row["score"], row["not_blocking"]) == (
        "medium",
        [4.0, 6.9],
        5.5,
        "below the gate",
    )
    says = f"rated medium instead of critical, 9.0-10.0: {OVERRIDE['reason']} (oauthcontrols.yaml:2)"
    assert ran.document["catalogue"]["overridden"] == {"ca-pkce": says}
    assert f"overridden: ca-pkce: {says}" in ran.lines
    for report in reports:
        text = (pytester.path / report.partition("=")[2]).read_text("utf-8")
        assert "All of our clients are private" in text, report


@pytest.mark.usefixtures("_orgs")
def test_applicability_is_overridden(pytester: pytest.Pytester) -> None:
    """What the condition holds of is not applicable, for the reason given; with it the rule is another one."""
    configure(pytester)
    assess(pytester, "-k", "ca-pkce")
    (pytester.path / "results.json").rename(pytester.path / "baseline.json")
    when = {"oauthConfig.isClientCredentialEnabled": True}
    override = {"control": "ca-pkce", "not_applicable_when": when, "reason": "Servers send no code."}
    configure(pytester, overrides=[override])
    ran = assess(pytester, "-k", "ca-pkce", "--sf-baseline=baseline.json")
    verdicts = {name: (case.row["verdict"], case.row["message"]) for name, case in ran.cases.items()}
    assert verdicts["Price_Feed-ca-pkce"] == ("not_applicable", "Servers send no code.")
    assert verdicts["Stock_Sync-ca-pkce"][0] == "pass"
    (gone,) = ran.document["baseline"]["gone"]
    assert (gone["app"], gone["change"], gone["why"]) == ("Price_Feed", "not comparable", "its rule has changed")


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize(
    ("override", "says"),
    [
        ({**OVERRIDE, "control": "ca-pkcee"}, "there is no control 'ca-pkcee'; did you mean 'ca-pkce'?"),
        ({"control": "ca-pkce", "severity": "low"}, "'reason' is missing"),
        ({"control": "ca-pkce", "reason": "r"}, "overrides nothing: add severity or not_applicable_when"),
        ({**OVERRIDE, "not_applicable_when": {"oauthConfig.nope": True}}, "there is no setting 'oauthConfig.nope'"),
    ],
)
def test_what_is_no_override(pytester: pytest.Pytester, override: dict[str, Any], says: str) -> None:
    """A mistake is a usage error with file and line."""
    configure(pytester, overrides=[override])
    assert f"oauthcontrols.yaml:2: {says}" in refused(pytester)
    configure(pytester, overrides=[OVERRIDE, OVERRIDE])
    assert "ca-pkce is already overridden in line 2" in refused(pytester)


# Selection


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize(
    ("arguments", "configured", "controls"),
    [
        (["--sf-select=ca-pkce"], {}, {"ca-pkce"}),
        (["--sf-select=ca-pkce,ca-id-token"], {}, {"ca-pkce", "ca-id-token"}),
        (["--sf-select=ca-pkce", "--sf-select=ca-id-token"], {}, {"ca-pkce", "ca-id-token"}),
        (["--sf-select=core"], {}, {"ca-code-credentials", "ca-secret-refresh-token"}),
        (["--sf-select=ca-mobile-*"], {}, {"ca-mobile-pin", "ca-mobile-pin-length", "ca-mobile-pin-timeout"}),
        (["--sf-select=ca-mobile-*", "--sf-ignore=*-length"], {}, {"ca-mobile-pin", "ca-mobile-pin-timeout"}),
        (
            ["--sf-select=sbs", "--sf-ignore=sbs-acs-*,sbs-oauth-00[12]"],
            {},
            {"sbs-dep-005", "sbs-dep-006", "sbs-oauth-003", "sbs-oauth-004"},
        ),
        ([], {"select": ["core"]}, {"ca-code-credentials", "ca-secret-refresh-token"}),
        (["--sf-select=ca-pkce"], {"select": ["core"]}, {"ca-pkce"}),
        (["--sf-select=core"], {"ignore": ["ca-code-*"]}, {"ca-secret-refresh-token"}),
    ],
)
def test_selection(
    pytester: pytest.Pytester, arguments: list[str], configured: dict[str, Any], controls: set[str]
) -> None:
    """By id, pattern or framework; an option goes before the configuration; the summary says the rest."""
    configure(pytester)
    lines = [f"{key}: {json.dumps(value)}" for key, value in configured.items()]
    (pytester.path / "oauthcontrols.yaml").write_text("\n".join(lines), "utf-8")
    ran = assess(pytester, *arguments, "--sf-report=page.html", "--sf-markdown=out.md")
    assert {case.row["control"] for case in ran.cases.values()} == controls
    left_out = ran.document["catalogue"]["left_out"]
    assert not left_out.keys() & controls
    assert {"eca-pkce", "org-idp-mfa"} <= left_out.keys()
    assert f"left out: {len(left_out)} of {len(sample_org.CONTROLS)} controls" in ran.lines
    for name in ("page.html", "out.md"):
        assert "left out" in (pytester.path / name).read_text("utf-8")


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize("asked", ["cor", "readable", "ca-pkcee", "CORE", "Acme-Rule"])
def test_what_cannot_be_selected(pytester: pytest.Pytester, asked: str) -> None:
    """Anything but a control or a framework is a usage error, and so is the check that something could be read."""
    for option in ("--sf-select", "--sf-ignore"):
        error = refused(pytester, f"{option}={asked}")
        assert f"{option}: '{asked}' is neither a control nor a framework" in error


@pytest.mark.usefixtures("_orgs")
def test_a_selection_that_matches_nothing(pytester: pytest.Pytester) -> None:
    """What may be a project's own, and is not in the run, is named at the end."""
    configure(pytester)
    ran = assess(pytester, "--sf-select=core,acme-*", "--sf-ignore=acme-rule")
    assert "--sf-select: 'acme-*' matches no control of this run" in ran.lines
    assert "--sf-ignore: 'acme-rule' matches no control of this run" in ran.lines


@pytest.mark.usefixtures("_orgs")
def test_what_is_left_out_is_not_fixed(pytester: pytest.Pytester) -> None:
    """A finding of the baseline whose control is left out is not comparable, and the reason is given."""
    configure(pytester)
    assess(pytester, "-k", "ca-pkce")
    (pytester.path / "results.json").rename(pytester.path / "baseline.json")
    ran = assess(pytester, "--sf-ignore=ca-pkce", "--sf-baseline=baseline.json")
    (gone,) = ran.document["baseline"]["gone"]
    assert (gone["app"], gone["change"]) == ("Price_Feed", "not comparable")
    assert gone["why"] == "the control was left out by --sf-ignore: ca-pkce"


@pytest.mark.usefixtures("_orgs")
def test_own_tests_are_left_out(pytester: pytest.Pytester) -> None:
    """A control that a test states is selected like the others; what is left out is deselected."""
    configure(pytester)
    pytester.makepyfile(
        test_acme=dedent(
            """
            import pytest

            @pytest.mark.control("acme-rule", severity="low", name="n", remediation="r")
            def test_rule(app):
                assert app.callback_urls

            def test_plain(app):
                assert app.name
            """
        )
    )
    for arguments, passed, deselected in (
        (["--sf-ignore=acme-*"], 2, 2),
        (["--sf-ignore=own"], 2, 2),
        (["--sf-select=core"], 2, 2),
        (["--sf-select=own"], 4, 0),
    ):
        result = pytester.runpytest("--sf-org=./uat.json", "test_acme.py", *arguments)
        outcomes = result.parseoutcomes()
        assert (outcomes["passed"], outcomes.get("deselected", 0)) == (passed, deselected), arguments


# Hooks


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize("workers", WORKERS)
def test_plugins_change_controls(pytester: pytest.Pytester, workers: str) -> None:
    """A plugin adds a control, takes one out and changes one; the reports say what it was that changed it."""
    (pytester.path / f"{ID}.yaml").write_text(OWN, "utf-8")
    pytester.makeconftest(
        f"""
        from dataclasses import replace
        from pathlib import Path
        from pytest_oauthcontrols import load_control

        def pytest_oauthcontrols_controls(controls):
            controls[:] = [one for one in controls if one.id != "ca-id-token"]
            controls.append(load_control(Path(__file__).parent / "{ID}.yaml"))
            for number, control in enumerate(controls):
                if control.id == "ca-pkce":
                    controls[number] = replace(control, remediation="Call Jo.")
        """
    )
    ran = assess(pytester, workers)
    controls = {case.row["control"] for case in ran.cases.values()}
    assert ID in controls
    assert "ca-id-token" not in controls
    assert ran.document["catalogue"]["controls"] == len(sample_org.CONTROLS)
    assert ran.document["catalogue"]["overridden"] == {"ca-pkce": "changed by a plugin"}


@pytest.mark.usefixtures("_orgs")
def test_plugins_read_no_control(pytester: pytest.Pytester) -> None:
    """A file that a plugin cannot read a control from is one line, as it is where the configuration names it."""
    pytester.makeconftest(
        """
        from pytest_oauthcontrols import load_control

        def pytest_oauthcontrols_controls(controls):
            controls.append(load_control("acme-none.yaml"))
        """
    )
    assert refused(pytester) == "acme-none.yaml: cannot be read: No such file or directory"


@pytest.mark.usefixtures("_orgs")
def test_plugins_cannot_give_one_id_twice(pytester: pytest.Pytester) -> None:
    """The findings of two controls with one id could not be told apart."""
    pytester.makeconftest("def pytest_oauthcontrols_controls(controls):\n    controls.append(controls[0])\n")
    assert "2 controls with the id 'ca-code-credentials'" in refused(pytester)


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize("workers", WORKERS)
def test_plugins_change_findings(pytester: pytest.Pytester, workers: str) -> None:
    """What a plugin states instead decides the test and stands in the reports, which tell who it was."""
    pytester.makeconftest(
        """
        from pytest_oauthcontrols import Verdict

        def pytest_oauthcontrols_finding(finding):
            if finding.control.id == "ca-pkce":
                verdict = Verdict.PASS if finding.failing else Verdict.FAIL
                return finding.restated(verdict, "The gateway sees to it.", by="acme-gateway")
        """
    )
    pytester.makepyfile("def test_ca_pkce():\n    pass\n")
    assert pytester.runpytest("--sf-org=./uat.json", "-k", "test_ca_pkce").parseoutcomes()["passed"] == 1
    ran = assess(pytester, "-k", "ca-pkce", workers)
    assert {name: case.outcome for name, case in ran.cases.items()} == {
        "Price_Feed-ca-pkce": "passed",
        "Stock_Sync-ca-pkce": "failed",
    }
    row = ran.cases["Stock_Sync-ca-pkce"].row
    assert row["message"] == "The gateway sees to it. (Pass by the control itself; changed by acme-gateway.)"
    assert row["evidence"][0]["setting"] == "oauthConfig.isPkceRequired"


@pytest.mark.usefixtures("_orgs")
@pytest.mark.parametrize("workers", WORKERS)
def test_plugins_receive_results(pytester: pytest.Pytester, workers: str) -> None:
    """Once, in the controller, and the same as in the results file."""
    pytester.makeconftest(
        """
        import json
        from pathlib import Path

        def pytest_oauthcontrols_results(results):
            with Path("received.jsonl").open("a") as file:
                print(json.dumps(results), file=file)
        """
    )
    ran = assess(pytester, "-k", "ca-pkce", workers)
    (received,) = (pytester.path / "received.jsonl").read_text("utf-8").splitlines()
    assert json.loads(received) == ran.document
    Path(pytester.path / "received.jsonl").unlink()
    pytester.runpytest("-k", "ca-pkce")
    assert not (pytester.path / "received.jsonl").exists(), "a run without an org calls no hook"


@pytest.mark.usefixtures("_orgs")
def test_a_plugin_that_cannot_do_with_results(pytester: pytest.Pytester) -> None:
    """The run ends with its reports and its summary; what went wrong is one line, and no finding."""
    pytester.makeconftest("def pytest_oauthcontrols_results():\n    raise OSError('the disk is full')\n")
    found = run(pytester, "-k", "ca-id-token", org="./uat.json")
    assert found.code == pytest.ExitCode.USAGE_ERROR
    assert found.verdicts
    assert "pytest_oauthcontrols_results ended with OSError: the disk is full" in found.output
    assert "uat: 2 apps" in found.output.partition("OAuth controls")[2]


# The listing


@pytest.mark.usefixtures("_orgs")
def test_controls_are_listed_as_the_project_has_them(pytester: pytest.Pytester) -> None:
    """--sf-controls shows own controls, overrides and what is left out, and needs no org."""
    write(pytester)
    configure(pytester, controls=[f"controls/{ID}.yaml"], overrides=[OVERRIDE])
    lines = pytester.runpytest("--sf-controls", "--sf-ignore=sbs").outlines
    assert f"catalogue {CATALOGUE.version}: {len(sample_org.CONTROLS) + 1} controls" in lines
    assert f"  stated at controls/{ID}.yaml:2" in lines
    assert any(line.startswith("  rated medium instead of critical") for line in lines)
    assert lines.count("  left out by --sf-ignore: sbs") == len(
        [one for one in sample_org.CONTROLS if one["id"].startswith("sbs-")]
    )
    refusal = pytester.runpytest("--sf-controls", "--sf-select=cor")
    assert refusal.ret == pytest.ExitCode.USAGE_ERROR
    refusal.stderr.fnmatch_lines(["ERROR: --sf-select: 'cor' is neither a control nor a framework*"])


@pytest.mark.usefixtures("_orgs")
def test_pytest_html_says_what_is_left_out(pytester: pytest.Pytester) -> None:
    """At the top, as it says what was read."""
    configure(pytester, overrides=[OVERRIDE])
    arguments = ("--sf-select=core,ca-pkce", "--html=report.html", "--self-contained-html")
    pytester.runpytest("--sf-org=./uat.json", *arguments)
    text = (pytester.path / "report.html").read_text("utf-8")
    chosen = [one for one in sample_org.CONTROLS if one.get("core") or one["id"] == "ca-pkce"]
    controls = len(sample_org.CONTROLS)
    assert f"left out: {controls - len(chosen)} of {controls} controls" in text
    assert "overridden: ca-pkce: rated medium instead of critical" in text
