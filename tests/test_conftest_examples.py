"""Each folder of conftest_examples does what its README says, wherever it is copied to."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from lxml import etree, html

from .support import sample_org

EXAMPLES = Path(__file__).parents[1] / "conftest_examples"
JOBS = sorted(EXAMPLES.rglob("*.yml"))
TEST = "test_example_"


class Step(NamedTuple):
    """What a README says to type, and what it says of the last command."""

    commands: list[str]
    shown: list[str]
    """Lines that it prints, in this order; `...` stands for anything."""
    exit_code: int


def steps_of(example: str) -> list[Step]:
    """Return the steps of an example: each a block of commands, a block of output, and the exit code in words."""
    text = (EXAMPLES / example / "README.md").read_text("utf-8")
    steps = []
    for block in re.split(r"^```console\n", text, flags=re.MULTILINE)[1:]:
        told = re.match(r"(.+?)```\n\n```text\n(.+?)```\n\nExit code (\d)\b", block, re.DOTALL)
        assert told, f"{example}: output and exit code are missing after {block.partition('```')[0]}"
        steps.append(Step(told[1].splitlines(), told[2].splitlines(), int(told[3])))
    return steps


@pytest.fixture
def ran(request: pytest.FixtureRequest, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Copy the example that the test is called after into a project with tests, and do what its README says.

    It is what the last command of each step printed.
    """
    example = request.node.name.removeprefix(TEST)
    pytester.makeini("[pytest]\n")
    monkeypatch.chdir(shutil.copytree(EXAMPLES / example, pytester.path / example))
    printed = []
    for step in steps_of(example):
        for command in step.commands:
            pytest_, *arguments = shlex.split(command)
            assert pytest_ == "pytest"
            result = pytester.runpytest(*arguments)
            assert "warnings" not in result.parseoutcomes(), command
        assert result.ret == step.exit_code, step.commands
        lines = pytest.LineMatcher([line.strip(" =") for line in result.outlines])
        lines.re_match_lines([re.escape(line).replace(r"\.\.\.", ".*") + "$" for line in step.shown])
        printed.append(result.outlines)
    return printed


def test_every_example_is_tested() -> None:
    """No example is without a test, and none of them is without steps."""
    examples = {path.name for path in EXAMPLES.iterdir()}
    assert examples == {name.removeprefix(TEST) for name in globals() if name.startswith(TEST)}
    assert all(steps_of(example) for example in examples)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.relative_to(EXAMPLES).as_posix())
def test_job_runs_a_command_of_the_readme(job: Path) -> None:
    """A job stands where its CI looks for it, and runs one command, which the README has too."""
    example, *place = job.relative_to(EXAMPLES).parts
    assert place == [".gitlab-ci.yml"] or place[:-1] == [".github", "workflows"]
    said = yaml.safe_load(job.read_text("utf-8"))
    (of_job,) = said.get("jobs", said).values()
    steps = of_job.get("script") or [step.get("run", "") for step in of_job["steps"]]
    (command,) = [step for step in steps if step.startswith("pytest ")]
    assert command in [typed for step in steps_of(example) for typed in step.commands]


def results(path: str) -> list[dict[str, Any]]:
    """Return the rows of a results file."""
    rows: list[dict[str, Any]] = json.loads(Path(path).read_text("utf-8"))["results"]
    return rows


@pytest.mark.slow
def test_example_first_run(ran: list[list[str]]) -> None:
    """The second step shows one app alone, and the third what failed in it."""
    all_of_them, one_app, once_more = ([line for line in lines if line.startswith("FAILED")] for lines in ran)
    assert set(once_more) == set(one_app) < set(all_of_them)
    assert all("[Nightly_ETL-" in line for line in one_app)


def test_example_own_control_in_python(ran: list[list[str]], pytester: pytest.Pytester) -> None:
    """Its findings are in the reports beside those of the shipped controls."""
    pytester.runpytest("--sf-org=demo", "--sf-json=results.json")
    rows = results("results.json")
    assert {row["app"]: row["verdict"] for row in rows if row["control"] == "acme-callbacks"} == {
        **dict.fromkeys({row["app"] for row in rows} - {None}, "pass"),
        "Partner_Portal": "fail",
        "Contractor_Onboarding": "unverifiable",
        "docvault__Document_Vault": "manual",
    }
    assert {row["control"] for row in rows} > {"acme-callbacks", "ca-pkce"}


def test_example_own_control_in_yaml(ran: list[list[str]], pytester: pytest.Pytester) -> None:
    """It passes once the app is mended, and a mistake in it ends the run with its line."""
    app = "connectedApps/Nightly_ETL.connectedApp"
    metadata = (EXAMPLES.parent / "pytest_oauthcontrols" / "demo" / f"{app}-meta.xml").read_text("utf-8")
    for scopes, outcome in ((metadata, "failed"), (metadata.replace("<scopes>RefreshToken</scopes>", ""), "passed")):
        Path("org", app).parent.mkdir(parents=True, exist_ok=True)
        Path("org", app).write_text(scopes, "utf-8")
        assert pytester.runpytest("--sf-org=./org", "--sf-select=own").parseoutcomes() == {outcome: 1}
    control = Path("controls/acme-refresh-tokens.yaml")
    control.write_text(control.read_text("utf-8").replace("oauthConfig.scopes", "oauthConfig.scope"), "utf-8")
    result = pytester.runpytest("--sf-org=demo")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*controls/acme-refresh-tokens.yaml:11: there is no setting 'oauthConfig.scope'*"])


@pytest.mark.slow
def test_example_declared_apps(ran: list[list[str]], pytester: pytest.Pytester) -> None:
    """What is declared decides controls that files alone leave open, or decide otherwise."""
    verdicts = []
    for argument in ("--sf-config=oauthcontrols.yaml", "--sf-config=empty.yaml"):
        Path("empty.yaml").write_text("apps: []", "utf-8")
        pytester.runpytest("--sf-org=demo", "--sf-json=results.json", argument)
        verdicts.append({(row["app"], row["control"]): row["verdict"] for row in results("results.json")})
    declared, read = verdicts
    changed = {case: (read[case], verdict) for case, verdict in declared.items() if verdict != read[case]}
    recorded = {app for app, control in changed if control == "sbs-oauth-003"}
    assert recorded == {app for app, _ in declared} - {None, "Expense_Reports", "Travel_Desk"}
    assert {case: verdict for case, verdict in changed.items() if case[1] != "sbs-oauth-003"} == {
        ("Partner_Portal", "ca-secret-refresh-token"): ("pass", "not_applicable"),
        ("Partner_Portal", "ca-secret-web-server"): ("fail", "not_applicable"),
        ("Partner_Portal", "ca-token-exchange"): ("fail", "pass"),
        ("Analytics_Hub", "eca-jwt-bearer"): ("not_applicable", "fail"),
        ("Legacy_Importer", "ca-scopes"): ("pass", "fail"),
        ("Nightly_ETL", "sbs-oauth-004"): ("not_applicable", "pass"),
    }


def test_example_ci_gate(ran: list[list[str]]) -> None:
    """Both reports know what was accepted; without waivers those findings alone fail."""
    waived = {
        "Legacy_Importer-ca-secret-web-server",
        "Nightly_ETL-ca-secret-refresh-token",
        "Partner_Portal-ca-secret-web-server",
    }
    sarif = json.loads(Path("results.sarif").read_text("utf-8"))["runs"][0]["results"]
    assert len([result for result in sarif if result.get("suppressions")]) == len(waived)
    cases = etree.parse("junit.xml").xpath("//testcase[properties/property/@name='waiver']/@name")
    assert {re.findall(r"\[(.+)\]", name)[0] for name in cases} == waived
    failed = re.findall(r"^FAILED .+\[(.+)\]", "\n".join(ran[1]), re.MULTILINE)
    assert set(failed) == waived


def test_example_several_orgs(ran: list[list[str]]) -> None:
    """What differs is what the configured folder has mended."""
    (lines,) = ran
    assert [line for line in lines if "passes in" in line and "passes in release" not in line] == []


@pytest.mark.slow
def test_example_monthly_drift(ran: list[list[str]]) -> None:
    """What is new is that of the app that was added; the results are the next baseline."""
    assert {row["app"] for row in results("results.json") if row["change"] == "new"} == {"Invoice_Bot"}
    failed = [line for line in ran[-1] if line.startswith("FAILED")]
    assert failed
    assert [line for line in failed if "[Invoice_Bot-" not in line] == []


@pytest.mark.slow
def test_example_nightly_summary(ran: list[list[str]]) -> None:
    """Subject and text say the same."""
    subject = re.fullmatch(
        r"OAuth controls: (\d+) of (\d+) findings in demo are critical", Path("subject.txt").read_text("utf-8")
    )
    assert subject
    critical, findings = subject.groups()
    assert 0 < int(critical) < int(findings)
    summary = Path("summary.md").read_text("utf-8")
    assert summary.startswith(f"## OAuth controls: 0 of {findings} findings fail the run\n")
    assert f"| critical | 0 | 0 | 0 | {critical} |" in summary


@pytest.mark.slow
def test_example_html_for_auditors(ran: list[list[str]]) -> None:
    """The report has the name of the audit and a row for each case, and loads nothing."""
    page = html.fromstring(Path("report.html").read_bytes())
    assert page.get_element_by_id("title").text == "OAuth controls of Acme, audit of 2026"
    assert (
        len(json.loads(page.get_element_by_id("data-container").attrib["data-jsonblob"])["tests"]) == sample_org.CASES
    )
    assert page.xpath("//script[@src] | //link[@href]") == []
    first, again = ([line for line in lines if line.startswith("FAILED")] for lines in ran)
    assert first == again


@pytest.mark.slow
def test_example_beside_your_tests(ran: list[list[str]]) -> None:
    """The project's own `app` is what it was in every run."""
    assert [any("tests/test_shop.py" in line for line in lines) for lines in ran] == [True, True, True]
