"""Controls that a project's own tests state: findings like the shipped ones, and never a pass without evidence."""

from __future__ import annotations

import json
from textwrap import dedent, indent
from typing import Any

import pytest
from lxml import html

from .support.configurations import configure
from .support.metadata_files import PKCE, app
from .support.orgs import kept

ON_FILE = "<isRefreshTokenRotationEnabled>true</isRefreshTokenRotationEnabled>"
CONTROL = '"acme-rule", severity="high", name="Our rule", remediation="Do as we say."'
SUMMARY = "OAuth controls"


def write(pytester: pytest.Pytester, body: str, takes: str = "app", mark: str = CONTROL) -> None:
    """Write a test that states a control."""
    pytester.makepyfile(
        test_acme=f"import pytest\nfrom pytest_oauthcontrols import Seen, Unverifiable, state\n\n"
        f"@pytest.mark.control({mark})\ndef test_rule({takes}):\n{indent(dedent(body).strip(), '    ')}\n"
    )


def run(pytester: pytest.Pytester, *arguments: str) -> tuple[pytest.RunResult, list[dict[str, Any]]]:
    """Run the test alone, and return its results in the results file."""
    result = pytester.runpytest("--sf-org=./uat.json", "test_acme.py", "--sf-json=results.json", *arguments)
    path = pytester.path / "results.json"
    document = json.loads(path.read_text("utf-8")) if path.exists() else {"results": []}
    return result, document["results"]


def without_result(pytester: pytest.Pytester) -> list[str]:
    """Return why checks of the last run have no result, but for those of the suite, which was not asked for."""
    checks = json.loads((pytester.path / "results.json").read_text("utf-8"))["checks"]
    return [gap["reason"] for gap in checks["without_result"] if gap["why"] != "not collected"]


def verdicts(rows: list[dict[str, Any]]) -> dict[str | None, str]:
    """Return the verdict of each app, or of the org."""
    return {row["app"]: row["verdict"] for row in rows}


def test_each_app_is_a_case(pytester: pytest.Pytester) -> None:
    """A plain assertion decides; the finding has the words of the assertion, and what was looked at as evidence."""
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})
    write(pytester, 'assert app.pkce_required, "PKCE is left to the client."')
    result, rows = run(pytester)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    finding = next(row for row in rows if row["app"] == "Price_Feed")
    assert finding["message"] == "PKCE is left to the client."
    assert finding["node_id"] == "test_acme.py::test_rule[Price_Feed-acme-rule]"
    assert (finding["severity"], finding["cvss"], finding["score"]) == ("high", [7.0, 8.9], 8.0)
    (seen,) = finding["evidence"]
    assert (seen["setting"], seen["value"]) == ("oauthConfig.isPkceRequired", "false")
    assert (seen["source"], seen["line"]) == ("force-app/Price_Feed.connectedApp", 3)
    assert verdicts(rows) == {"Price_Feed": "fail", "Stock_Sync": "pass"}
    text = result.stdout.str()
    assert "high 7.0-8.9: PKCE is left to the client." in text
    assert "to mend      Do as we say." in text
    assert "Traceback" not in text
    assert "All traceback entries are hidden" not in text
    assert "1 pass, 1 fail" in text.partition(SUMMARY)[2]


@pytest.mark.parametrize(
    ("body", "verdict", "says"),
    [
        (
            "assert app.pkce_required",
            "fail",
            "assert False + where False = <App connected_app App of uat>.pkce_required",
        ),
        ('pytest.fail("It is off.")', "fail", "It is off."),
        ('pytest.skip("It is no client.")', "not_applicable", "It is no client."),
        ('state("manual", "Ask the vendor.")', "manual", "Ask the vendor."),
        ('state("fail", "It is off.", app.examine("oauthConfig.isPkceRequired"))', "fail", "It is off."),
        ('assert app.callback_urls\nstate("pass", "It has one.")', "pass", "It has one."),
        ('state("pass", "It is ours.", Seen("fullName", app.name, app.source))', "pass", "It is ours."),
        ("assert app.callback_urls", "pass", "The test passes."),
        ("pass", "unverifiable", "The test has looked at no setting, so nothing shows that it passes."),
        ('state("pass", "I say so.")', "unverifiable", "The test has looked at no setting, so nothing shows"),
        (
            "assert app.scopes",
            "unverifiable",
            "oauthConfig.scopes is absent from force-app/App.connectedApp, and no default",
        ),
        ("assert not app.scopes", "unverifiable", "oauthConfig.scopes is absent from"),
        ('assert "Full" not in app.scopes', "unverifiable", "oauthConfig.scopes is absent from"),
        ("if not app.scopes:\n    return", "unverifiable", "oauthConfig.scopes is absent from"),
        (
            "try:\n    app.scopes\nexcept Unverifiable:\n    pass\nassert app.callback_urls",
            "unverifiable",
            "oauthConfig.scopes is absent from",
        ),
        (
            'assert not app.value("oauthConfig.isClientCredentialEnabled")',
            "unverifiable",
            "its documented default, false, would do, but a file",
        ),
        (
            'assert app.value("oauthConfig.isClientCredentialEnabled"), "It is off."',
            "fail",
            "It is off.",
        ),
        ('assert app.value("oauthConfig.singleLogoutUrl") is None', "pass", "The test passes."),
    ],
)
def test_how_a_test_ends_is_the_verdict(pytester: pytest.Pytester, body: str, verdict: str, says: str) -> None:
    """Assertions, skips and stated verdicts decide; what cannot be told is unverifiable, however it is asked for."""
    kept(pytester, {"App": app()})
    write(pytester, body)
    result, (row,) = run(pytester)
    assert row["verdict"] == verdict
    assert says in row["message"]
    outcome = {"pass": "passed", "fail": "failed", "unverifiable": "failed"}.get(verdict, "skipped")
    assert result.parseoutcomes() == {outcome: 1}
    assert (result.ret == 0) is (outcome != "failed")
    if verdict == "pass":
        assert row["evidence"]


def test_a_mistake_in_a_test_is_no_verdict(pytester: pytest.Pytester) -> None:
    """An error of the test itself shows its traceback; in the reports the check has no result, and the error is why."""
    kept(pytester, {"App": app()})
    write(pytester, 'app.value("oauthConfig.isPkceRequierd")')
    result, rows = run(pytester)
    assert rows == []
    (reason,) = without_result(pytester)
    assert reason.startswith("error: LookupError: ")
    assert reason.endswith("did you mean 'oauthConfig.isPkceRequired'?")
    result.stdout.fnmatch_lines(['>*app.value("oauthConfig.isPkceRequierd")'])
    assert result.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            'state("passed", "It is.")',
            "ValueError: the verdict is one of pass, fail, not_applicable, manual, unverifiable",
        ),
        (
            'state("fail", "It is.", "here")',
            "TypeError: evidence is Seen, Absent or Unreadable, as `examine` returns it",
        ),
        ('app.value("ExtlClntAppOauthSettings.singleLogoutUrl")', "LookupError: there is no setting"),
    ],
)
def test_what_cannot_be_stated_or_asked_for(pytester: pytest.Pytester, body: str, says: str) -> None:
    """The traceback ends in the test, with a message that says what would be right."""
    kept(pytester, {"App": app()})
    write(pytester, body)
    result, rows = run(pytester)
    assert rows == []
    text = result.stdout.str()
    assert f"E       {says}" in text
    assert "model.py" not in text
    if "LookupError" in says:
        assert "of connected apps; external client apps have it" in text


def test_what_cannot_be_told_in_a_plain_test(pytester: pytest.Pytester) -> None:
    """Also without a mark nothing is taken for off, and the traceback ends in the test; the summary counts no case."""
    kept(pytester, {"App": app()})
    pytester.makepyfile("def test_scopes(app):\n    assert not app.scopes\n")
    result = pytester.runpytest("--sf-org=./uat.json", "test_what_cannot_be_told_in_a_plain_test.py")
    assert result.parseoutcomes() == {"failed": 1}
    text = result.stdout.str()
    assert "Unverifiable: oauthConfig.scopes is absent from" in text
    assert "model.py" not in text
    assert "uat: 1 app (1 connected, 0 external client), 0 of " in text
    assert "0 pass" not in text


def test_a_test_that_cannot_be_set_up_verifies_nothing(pytester: pytest.Pytester) -> None:
    """After an error of a fixture, and with a mark that skips, the check has no result, and the reports say why."""
    kept(pytester, {"App": app()})
    pytester.makeconftest("import pytest\n\n@pytest.fixture\ndef register():\n    raise OSError('no register')\n")
    write(pytester, "pass", takes="app, register")
    result, rows = run(pytester)
    assert result.parseoutcomes() == {"errors": 1}
    assert (rows, without_result(pytester)) == ([], ["error: in setup: OSError: no register"])
    write(pytester, "pass", mark=f'{CONTROL})\n@pytest.mark.skip(reason="not yet"')
    result, rows = run(pytester)
    assert result.parseoutcomes() == {"skipped": 1}
    assert (rows, without_result(pytester)) == ([], ["skipped by the project: not yet"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_control_of_the_org(pytester: pytest.Pytester) -> None:
    """A test that takes `org` states a control of the org itself; a CVSS vector gives severity and score."""
    kept(
        pytester,
        {
            "App": app(),
            "OauthOidc.settings": b"<OauthOidcSettings><isPkceRequired>false</isPkceRequired></OauthOidcSettings>",
        },
    )
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    mark = f'"acme-org", cvss="{vector}", name="Org", remediation="Turn it on.", page="https://wiki.acme.example/org"'
    write(pytester, 'assert org.value("OauthOidcSettings.isPkceRequired"), "It is off."', takes="org", mark=mark)
    result, (row,) = run(pytester)
    assert (row["app"], row["verdict"], row["severity"], row["score"]) == (None, "fail", "critical", 9.8)
    assert row["node_id"] == "test_acme.py::test_rule[acme-org]"
    result.stdout.fnmatch_lines(["critical 9.8: It is off.", "page *https://wiki.acme.example/org"])


def test_of_one_kind_of_app(pytester: pytest.Pytester) -> None:
    """`applies_to` keeps a control to one kind of app; it may take the org beside the app."""
    parent = b"<externalClientApplication>Portal</externalClientApplication>"
    kept(
        pytester,
        {
            "App": app(),
            "Portal.eca": b"<ExternalClientApplication><label>Portal</label></ExternalClientApplication>",
            "Portal.ecaOauth": b"<ExtlClntAppOauthSettings>" + parent + b"</ExtlClntAppOauthSettings>",
        },
    )
    mark = f'{CONTROL}, applies_to="external_client_app"'
    write(pytester, "assert app.org is org\nassert app.oauth_enabled", takes="org, app", mark=mark)
    _, rows = run(pytester)
    assert verdicts(rows) == {"Portal": "pass"}


def test_selected_like_the_shipped_ones(pytester: pytest.Pytester) -> None:
    """By id with -k, by severity with -m, and failed ones again with --lf."""
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})
    write(pytester, "assert app.pkce_required")
    for arguments in (("-k", "acme-rule"), ("-m", "cvss_high"), ("-m", "control")):
        assert len(run(pytester, *arguments)[1]) == 2
    assert pytester.runpytest("--sf-org=./uat.json", "test_acme.py", "-m", "cvss_low").parseoutcomes() == {
        "deselected": 2
    }
    assert pytester.runpytest("--sf-org=./uat.json", "test_acme.py", "--lf").parseoutcomes()["failed"] == 1


def test_without_an_org_it_is_skipped(pytester: pytest.Pytester) -> None:
    """A run without --sf-org assesses nothing."""
    write(pytester, "assert app.pkce_required")
    assert pytester.runpytest("--strict-markers").parseoutcomes() == {"skipped": 1}


def test_waivers_gate_and_baseline(pytester: pytest.Pytester) -> None:
    """What is found can be waived, is gated by its severity, and is new or persists like any finding."""
    kept(pytester, {"Price_Feed": app(), "Old_Feed": app()})
    write(pytester, 'assert app.pkce_required, "It is off."')
    waiver = {"control": "acme-rule", "app": "Price_Feed", "owner": "jo", "reason": "Old.", "expires": "2027-01-31"}
    configure(pytester, waivers=[waiver])
    result, rows = run(pytester)
    assert result.parseoutcomes() == {"failed": 1, "xfailed": 1}
    assert {row["app"]: row["not_blocking"] for row in rows} == {"Price_Feed": "waived", "Old_Feed": None}
    (pytester.path / "results.json").rename(pytester.path / "baseline.json")
    result, rows = run(pytester, "--sf-baseline=baseline.json", "--sf-new-only")
    assert result.parseoutcomes() == {"xfailed": 2}
    assert {row["change"] for row in rows} == {"persisting"}
    result, rows = run(pytester, "--sf-fail-on=critical")
    assert result.ret == 0
    assert {row["not_blocking"] for row in rows} == {"waived", "below the gate"}
    mark = CONTROL.replace("Do as we say.", "Call Jo.")
    write(pytester, '# Said otherwise, it is the same.\nassert app.pkce_required, "It is off."', mark=mark)
    assert {row["change"] for row in run(pytester, "--sf-baseline=baseline.json")[1]} == {"persisting"}
    write(pytester, 'assert app.pkce_required, "It is still off."')
    assert {row["change"] for row in run(pytester, "--sf-baseline=baseline.json")[1]} == {"not comparable"}
    pytester.makepyfile(test_acme="")
    result = pytester.runpytest("--sf-org=./uat.json", "-k", "ca-pkce", "--sf-baseline=baseline.json")
    result.stdout.fnmatch_lines(["*acme-rule of Price_Feed: not comparable, no such control was in the run*"])


def test_attested(pytester: pytest.Pytester) -> None:
    """Where a test says that a person has to look, an attestation makes it a pass."""
    kept(pytester, {"App": app()})
    write(pytester, 'state("manual", "Ask the vendor.")')
    said = {"control": "acme-rule", "app": "App", "by": "kim", "statement": "They rotate it.", "expires": "2027-01-31"}
    configure(pytester, attestations=[said])
    result, (row,) = run(pytester)
    assert result.parseoutcomes() == {"passed": 1}
    assert (row["verdict"], row["attestation"]["by"]) == ("pass", "kim")
    assert "They rotate it." in row["message"]


def test_a_waiver_of_a_control_that_is_not_there(pytester: pytest.Pytester) -> None:
    """An id that can be a project's own is not refused, as its test may not be in the run; the summary says so."""
    kept(pytester, {"App": app()})
    write(pytester, "assert app.callback_urls")
    configure(
        pytester,
        waivers=[{"control": "acme-rulez", "app": "App", "owner": "jo", "reason": "Old.", "expires": "2027-01-31"}],
    )
    result, _ = run(pytester)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*acme-rulez of App: the waiver by jo matches nothing"])


@pytest.mark.slow
def test_every_report_has_it(pytester: pytest.Pytester) -> None:
    """Own findings are in all reports, with a distributed run's the same."""
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})
    write(pytester, 'assert app.pkce_required, "PKCE is left to the client."')
    reports = ["--sf-report=page.html", "--sf-sarif=out.sarif", "--sf-csv=plan.csv", "--sf-markdown=out.md"]
    written = [*reports, "--html=table.html", "--self-contained-html", "--junitxml=junit.xml"]
    _, rows = run(pytester, *written)
    for one in written:
        name = one.partition("=")[2]
        if name:
            assert "PKCE is left to the client." in (pytester.path / name).read_text("utf-8"), name
            assert "acme-rule" in (pytester.path / name).read_text("utf-8"), name
    result, distributed = run(pytester, "-n2", *written)
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    assert distributed == rows
    document = json.loads((pytester.path / "results.json").read_text("utf-8"))
    own = document["catalogue"]["own"]
    assert own == {"acme-rule": "test_acme.py:4"}
    assert "acme-rule" in document["catalogue"]["rules"]


def test_beside_the_suite(pytester: pytest.Pytester) -> None:
    """In the auditor's page results of own tests belong to the same apps as those of the suite."""
    kept(pytester, {"Price_Feed": app(), "Stock_Sync": PKCE})
    write(pytester, 'assert app.pkce_required, "PKCE is left to the client."')
    pytester.runpytest("--sf-org=./uat.json", "--sf-report=page.html")
    page = html.fromstring((pytester.path / "page.html").read_text("utf-8"))
    (apps,) = page.xpath("//dt[.='Apps']/following-sibling::dd")
    assert apps.text_content().strip() == "2 (2 connected, 0 external client)"
    data = json.loads(page.get_element_by_id("data").text or "")
    assert len(data["apps"]["kind"]) == 3, "two apps and the org"


def test_a_crash_leaves_it_without_a_result(pytester: pytest.Pytester) -> None:
    """Where a worker dies in a test, the reports say that its check has no result."""
    kept(pytester, {"App": app()})
    write(pytester, "import os\nos._exit(3)")
    result, rows = run(pytester, "-n1", "--max-worker-restart=0")
    assert result.ret != 0
    assert rows == []
    (reason,) = without_result(pytester)
    assert reason.startswith("error: worker 'gw0' crashed while running ")


@pytest.mark.parametrize(
    ("mark", "takes", "says"),
    [
        (CONTROL, "", "takes 'app', or 'org' for a control of the org itself"),
        (CONTROL, "app, control", "takes 'app', or 'org' for a control of the org itself"),
        ('"acme", severity="high", name="n", remediation="r"', "app", "'acme' is no id for a control of your own"),
        (
            '"ca-rule", severity="high", name="n", remediation="r"',
            "app",
            "'ca-rule' is no id for a control of your own",
        ),
        ('"acme-rule", name="n", remediation="r"', "app", "give the control a 'severity', or 'cvss'"),
        ('"acme-rule", severity="High", name="n", remediation="r"', "app", "'severity' is one of critical, high"),
        ('"acme-rule", severity="high", name="n"', "app", "'remediation' of the control must be a text"),
        ('"acme-rule", severity="high", remediation="r"', "app", "'name' of the control must be a text"),
        (f"{CONTROL}, cvss=(4.0, 6.9)", "app", "a score of 6.9 is medium, not high"),
        (f"{CONTROL}, cvss=(8.9, 7.0)", "app", "'cvss' must ascend"),
        (f"{CONTROL}, cvss=7", "app", "'cvss' "),
        (f'{CONTROL}, cvss="CVSS:2.0/AV:N"', "app", "a vector begins with CVSS:3.1/ or CVSS:4.0/"),
        (f'{CONTROL}, cvss="CVSS:3.1/AV:N"', "app", "Missing mandatory metrics"),
        (f'{CONTROL}, cvss="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"', "app", "the vector scores 0.0"),
        (f'{CONTROL}, threats="t"', "app", "a control has no 'threats'"),
        (f'{CONTROL}, applies_to="org"', "app", "'applies_to' is connected_app or external_client_app"),
        (f'{CONTROL})\n@pytest.mark.parametrize("x", [1, 2]', "app, x", "cannot have parameters of its own"),
        (f"{CONTROL})\n@pytest.mark.xfail(", "app", "is accepted by a waiver in oauthcontrols.yaml"),
    ],
)
def test_what_is_no_control(pytester: pytest.Pytester, mark: str, takes: str, says: str) -> None:
    """A mark that states none is an error of the collection, which names file and line."""
    kept(pytester, {"App": app()})
    write(pytester, "pass", takes=takes, mark=mark)
    result, _ = run(pytester)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    text = result.stdout.str()
    assert "test_acme.py:4: " in text
    assert says in text
    assert "Traceback" not in text


def test_two_controls_of_one_id(pytester: pytest.Pytester) -> None:
    """Findings of two controls with one id could not be told apart."""
    kept(pytester, {"App": app()})
    write(pytester, "assert app.callback_urls")
    (pytester.path / "test_again.py").write_text((pytester.path / "test_acme.py").read_text("utf-8"), "utf-8")
    result = pytester.runpytest("--sf-org=./uat.json", "test_acme.py", "test_again.py")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "there is another control 'acme-rule', at test_acme.py:4" in result.stdout.str()
