"""What the README claims holds. Run as a script, this module renews the README's table of controls."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import get_args

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pytest_oauthcontrols.catalogue import load
from pytest_oauthcontrols.configuration import FILE_NAME
from pytest_oauthcontrols.configuration import load as load_configuration
from pytest_oauthcontrols.credentials import Credentials, JwtBearerFile
from pytest_oauthcontrols.sources.refusals import Refusal, explain

from .salesforce import Emulator, FakeOrg
from .test_live import demo_files

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"


def table() -> str:
    """Return the table of controls."""
    rows = ["| control | severity | CVSS | assessed | published name |", "|---|---|---|---|---|"]
    for control in load().controls:
        name = control.name.replace("|", "\\|")
        core = "**" if control.core else ""
        cells = [f"{core}{control.id}{core}", control.severity.value, control.cvss_range, control.assessed, name]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def section(name: str) -> str:
    """Return what stands between two marks of the README."""
    return README.read_text("utf-8").partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README.read_text("utf-8"), re.DOTALL)


def test_table_is_that_of_the_catalogue() -> None:
    """The README's table lists every control as the catalogue has it."""
    assert section("controls") == table()


def test_sample_is_what_a_run_prints(pytester: pytest.Pytester) -> None:
    """Every line of the README's sample is printed by the command above it."""
    result = pytester.runpytest("--sf-org=demo", "-k", "Nightly_ETL-ca-pkce")
    lines = [line for line in section("sample").splitlines() if line and "```" not in line]
    assert len(lines) > 8
    for line in lines:
        if line.startswith("_"):
            assert any(line.strip("_") == shown.strip("_") for shown in result.outlines)
        else:
            assert line in result.outlines


def test_configuration_of_the_readme_is_understood(pytester: pytest.Pytester) -> None:
    """What the README says of apps in oauthcontrols.yaml is read without complaint and decides what it says."""
    (text,) = [block for block in blocks("yaml") if "\napps:" in block]
    assert list(yaml.safe_load(text)) == ["apps", "inventory"]
    (pytester.path / "oauthcontrols.yaml").write_text(text, "utf-8")
    pytester.makeini("[pytest]\n")
    cases = "Nightly_ETL and (sbs-oauth-003 or sbs-oauth-004) or Field_Service_Mobile-ca-code-credentials"
    result = pytester.runpytest("--sf-org=demo", "-k", cases)
    assert result.parseoutcomes()["passed"] == 2
    result.stdout.fnmatch_lines(["*client_type = public: declared in the configuration", "*at oauthcontrols.yaml:4"])
    assert not [line for line in result.outlines if "no app is called" in line]


def test_own_test_of_the_readme_runs(pytester: pytest.Pytester) -> None:
    """The README's test runs once per app of the sample org and fails for the app with a custom scheme and one more."""
    (text,) = blocks("python")
    pytester.makepyfile(text)
    result = pytester.runpytest("--sf-org=demo", "test_own_test_of_the_readme_runs.py")
    assert result.parseoutcomes() == {"passed": 11, "failed": 1}


def test_commands_of_the_readme_work(pytester: pytest.Pytester) -> None:
    """Each pytest command of the README that needs no file of the reader's is understood."""
    commands = [line.partition("#")[0].split() for block in blocks("console") for line in block.splitlines()]
    shown = [command for command in commands if command[0] == "pytest"]
    assert len(shown) >= 4
    (typed,) = [command for command in shown if "demo" in command[1]]
    result = pytester.runpytest(typed[1], typed[2].strip('"'))
    assert result.parseoutcomes() == {"failed": 1}


def test_process_of_the_readme_works(pytester: pytest.Pytester) -> None:
    """The README's process, step by step: each command runs, and what stands in the configuration has its effect."""
    process = README.read_text("utf-8").partition("\n## The process\n")[2].partition("\n## ")[0]
    (text,) = re.findall(r"```yaml\n(# oauthcontrols.yaml\n.*?)```", process, re.DOTALL)
    shutil.copytree(PROJECT / "pytest_oauthcontrols" / "demo", pytester.path / "org")
    orgs = "orgs:\n  uat: {source: ./org}\n  prod: {source: ./org}\n"
    (pytester.path / FILE_NAME).write_text(orgs, "utf-8")
    pytester.makeini("[pytest]\n")
    commands = [
        line.split() for block in re.findall(r"```console\n(.*?)```", process, re.DOTALL) for line in block.splitlines()
    ]
    assert {command[0] for command in commands} == {"pytest"}
    first, worst, gate, compare, new_only, audit, again = (command[1:] for command in commands)

    everything = pytester.runpytest(*first).parseoutcomes()
    assert everything["failed"] > 80
    assert pytester.runpytest(*worst).parseoutcomes()["failed"] == 7
    (pytester.path / FILE_NAME).write_text(orgs + text, "utf-8")
    gated = pytester.runpytest(*gate, "-rx")
    gated.stdout.fnmatch_lines(["*Nightly_ETL-ca-pkce* waived by Jane Doe until 2027-03-31 (SEC-1204): *"])
    assert gated.parseoutcomes()["xfailed"] == 1
    assert gated.parseoutcomes()["failed"] == everything["failed"] - 1
    assert gated.parseoutcomes()["passed"] == everything["passed"] + 1
    compared = pytester.runpytest(*compare)
    compared.stdout.fnmatch_lines(
        [f"since baseline.json: 0 new, {everything['failed']} persisting, 0 fixed, 0 not comp*"]
    )
    assert pytester.runpytest(*new_only).ret == pytest.ExitCode.OK
    audited = pytester.runpytest(*audit)
    audited.stdout.fnmatch_lines(["waivers: 1 ignored (--sf-no-waivers)"])
    assert audited.parseoutcomes()["failed"] == everything["failed"]
    assert pytester.runpytest(*again).parseoutcomes()["failed"] == everything["failed"]
    assert (pytester.path / "audit-2026" / "report.html").stat().st_size > 100_000


def test_every_way_to_log_in_is_in_the_readme(tmp_path: Path) -> None:
    """The README shows each way to log in, as the configuration understands it, and no secret in plain text."""
    (text,) = [block for block in blocks("yaml") if "\norgs:" in block]
    path = tmp_path / FILE_NAME
    path.write_text(text, "utf-8")
    logins = load_configuration(path, FILE_NAME, load()).logins
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "value")
    shown = {type(login.credentials(variables, tmp_path)) for login in logins.values()}
    assert {JwtBearerFile, *shown} == set(get_args(Credentials))
    assert "private_key_file:" in text
    assert [name for name, login in logins.items() if login.warnings] == ["legacy"]


@pytest.mark.parametrize("file", [".github/workflows/oauth-controls.yml", ".gitlab-ci.yml"])
def test_ci_jobs_of_the_readme_assess_an_org(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, salesforce: Emulator, file: str
) -> None:
    """The command of each job, with the variables that the job sets, logs in with a JWT and writes what is kept."""
    (configuration,) = [block for block in blocks("yaml") if "\norgs:" in block]
    (pytester.path / FILE_NAME).write_text(configuration, "utf-8")
    pytester.makeini("[pytest]\n")
    (job,) = [block for block in blocks("yaml") if block.startswith(f"# {file}")]
    assert yaml.safe_load(job)
    (command,) = [line.split("pytest ", 1)[1].split() for line in job.splitlines() if " pytest pytest_oauth" in line]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    org = salesforce.add(
        FakeOrg(my_domain="acme--uat.sandbox.my.salesforce.com", files=demo_files(), public_key=key.public_key())
    )
    values = {"UAT_USERNAME": org.username, "UAT_CONSUMER_KEY": org.consumer_key, "UAT_PRIVATE_KEY": pem}
    for variable, value in values.items():
        assert variable in job
        monkeypatch.setenv(variable, value)
    result = pytester.runpytest(*command)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["uat: 12 apps *"])
    assert {path.name for path in (pytester.path / "out").iterdir()} == {"junit.xml", "results.json", "uat.json"}


def test_permissions_that_errors_name_are_in_the_readme() -> None:
    """Whatever permission a message asks for, the README's table has it."""
    said = README.read_text("utf-8")
    for permission in ("API Enabled", "Customize Application", "Modify Metadata Through Metadata API Functions"):
        assert permission in explain(Refusal("INSUFFICIENT_ACCESS", ""))
        assert f"| {permission} |" in said


def main() -> None:
    """Write the table into the README."""
    text = README.read_text("utf-8")
    before, _, rest = text.partition("<!-- controls -->\n")
    _, _, after = rest.partition("<!-- /controls -->")
    README.write_text(f"{before}<!-- controls -->\n{table()}\n<!-- /controls -->{after}", "utf-8")


if __name__ == "__main__":
    main()
