"""What the terminal shows, in colour or not and how wide, and what every report says of a run that was cut short."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_oauthcontrols.reports import REPORTS
from pytest_oauthcontrols.reports.terminal import Line
from pytest_oauthcontrols.rules.evaluation import evaluate, subjects
from pytest_oauthcontrols.sources import read

from .support import sample_org
from .support.catalogue import CATALOGUE
from .support.configurations import ACCEPTED, configure
from .support.metadata_files import app
from .support.orgs import kept
from .support.results import explained

ESCAPE = re.compile(r"\x1b\[[\d;]*m")
RED, YELLOW, END = "\x1b[31m", "\x1b[33m", "\x1b[0m"

OPTIONS = [report.option for report in REPORTS]


@pytest.fixture(autouse=True)
def _neither_colour_nor_step(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what pytester and the machine of the tests say of colours, width and a step's summary out of them."""
    for variable in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "CI", "BUILD_NUMBER", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")


def summary(lines: list[str]) -> list[str]:
    """Return the lines of the plugin's summary."""
    bare = [ESCAPE.sub("", line) for line in lines]
    start = next(place for place, line in enumerate(bare) if " OAuth controls =" in line) + 1
    end = next(place for place, line in enumerate(bare) if place >= start and line.endswith(("=", "!")))
    return lines[start:end]


# Colour


def coloured(rows: list[dict[str, Any]]) -> str:
    """Return how many rows have which severity, as a terminal with colours shows it."""
    numbers = Counter(row["severity"] for row in rows)
    colours = {"critical": RED, "high": YELLOW}
    parts = [
        f"{colours[name]}{numbers[name]} {name}{END}" if name in colours else f"{numbers[name]} {name}"
        for name in ("critical", "high", "medium", "low")
        if numbers[name]
    ]
    return ", ".join(parts)


@pytest.mark.slow
def test_words_that_count_have_a_colour(pytester: pytest.Pytester) -> None:
    """Failing counts and severities are in colour, each with its word; what is none is not, and neither are names."""
    shown = ("--color=yes", "--tb=no", "-rN")
    lines = summary(pytester.runpytest("--sf-org=demo", "--sf-json=results.json", *shown).outlines)
    rows = json.loads((pytester.path / "results.json").read_bytes())["results"]
    numbers = Counter(row["verdict"] for row in rows)
    failing = [row for row in rows if row["verdict"] in ("fail", "unverifiable")]
    assert lines[1] == (
        f"  {numbers['pass']} pass, {RED}{numbers['fail']} fail{END}, {numbers['not_applicable']} not applicable,"
        f" {numbers['manual']} manual, {YELLOW}{numbers['unverifiable']} unverifiable{END}"
    )
    assert lines[2] == f"failing: {coloured(failing)}"
    assert lines[4] == f"  Legacy Importer: {coloured([row for row in failing if row['app'] == 'Legacy_Importer'])}"
    passing = pytester.runpytest("--sf-org=demo", "--color=yes", "-k", "Nightly_ETL-ca-oauth-settings").outlines
    assert [line for line in summary(passing) if "\x1b" in line] == [
        f"{YELLOW}partial{END}: 1 of {sample_org.CASES} checks have a result"
    ]


def test_the_gate_and_what_expired_have_a_colour(pytester: pytest.Pytester) -> None:
    """What fails the run, a waiver that has expired and the severities of several orgs stand out."""
    for name in ("uat", "prod"):
        kept(pytester, {"Price_Feed": app()}, name=name)
    ends = (("uat", "2026-11-19"), ("prod", "2026-11-30"))
    configure(pytester, gate="high", waivers=[{**ACCEPTED, "org": org, "expires": day} for org, day in ends])
    orgs = ("--sf-org=./uat.json", "--sf-org=./prod.json")
    lines = summary(pytester.runpytest(*orgs, "--color=yes", "-k", "ca-pkce").outlines)
    assert f"gate: high: {RED}1 of 2 fail the run{END}, 1 waived" in lines
    assert f"  uat                {RED}1{END}         0         0         0" in lines
    of = "  ca-pkce of Price_Feed: the waiver by jo@acme.example"
    assert [line for line in lines if line.startswith(of)] == [
        f"{of} {RED}expired on 2026-11-19{END}",
        f"{of} expires on 2026-11-30",
    ]


@pytest.mark.parametrize("without", ["--color=no", "NO_COLOR", "no terminal"])
def test_no_colour_where_none_is_wanted(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    """Without colour the summary says the same in the same lines."""
    arguments = ("--sf-org=demo", "--tb=no", "-rN", "-k", "ca-pkce")
    coloured = summary(pytester.runpytest(*arguments, "--color=yes").outlines)
    if without == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    plain = pytester.runpytest(*arguments, *([without] if without.startswith("--") else [])).outlines
    assert "\x1b" not in "".join(plain)
    assert [ESCAPE.sub("", line) for line in coloured] == summary(plain)
    assert summary(plain) != coloured


# Width


def on_terminal(folder: Path, *arguments: str, **environment: str) -> list[str]:
    """Run pytest on a terminal; return the lines that it shows."""
    pty = pytest.importorskip("pty", reason="terminals are emulated where there are pseudoterminals")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    with subprocess.Popen(
        command, cwd=folder, stdout=theirs, stderr=theirs, env={**os.environ, **environment}
    ) as process:
        os.close(theirs)
        said = b""
        with suppress(OSError):  # the end of the other side
            while more := os.read(ours, 1 << 16):
                said += more
        process.wait(180)
    os.close(ours)
    return said.decode().replace("\r\n", "\n").split("\n")


@pytest.mark.slow
def test_terminal_of_80_columns_shows_every_line_whole(pytester: pytest.Pytester) -> None:
    """On a terminal no line of header and summary is wider, of the sample org, its waivers, its baseline and reports.

    What is continued is indented. There is colour, as it is a terminal.
    """
    pytester.runpytest("--sf-org=demo", "--sf-json=before.json", "-k", "not Portal and not Nightly")
    configure(
        pytester,
        waivers=[
            {"control": "ca-pkce", "app": "Nightly_ETL", "reason": "-", "owner": "J" * 40, "expires": "2020-01-01"}
        ],
    )
    arguments = ("--sf-org=demo", "--sf-baseline=before.json", "--sf-snapshot=kept", "--tb=no", "-rN", "-x")
    coloured = on_terminal(pytester.path, *arguments)
    lines = [ESCAPE.sub("", line) for line in coloured]
    (header,) = [place for place, line in enumerate(lines) if line.startswith("org demo: ")]
    assert lines[header + 1].startswith("    ")
    assert "sha256" in lines[header + 1]
    said = [*lines[:header], *lines[header : header + 2], *summary(lines)]
    assert [line for line in said if len(line) > 80 and "plugins:" not in line] == []
    (place,) = [place for place, line in enumerate(summary(lines)) if f"the waiver by {'J' * 40}" in line]
    assert summary(lines)[place : place + 2] == [
        f"  ca-pkce of Nightly_ETL: the waiver by {'J' * 40}",
        "      expired on 2020-01-01",
    ]
    assert [line for line in coloured if "expired on 2020" in line] == [f"      {RED}expired on 2020-01-01{END}"]


@pytest.mark.slow
def test_wide_terminal_breaks_nothing_and_has_no_colour_where_none_is_wanted(pytester: pytest.Pytester) -> None:
    """A terminal that is wide enough shows each line in one; NO_COLOR holds on a terminal too."""
    lines = on_terminal(pytester.path, "--sf-org=demo", "-k", "Hub-eca-pkce", COLUMNS="200", NO_COLOR="1")
    assert "\x1b" not in "".join(lines)
    (header,) = [line for line in lines if line.startswith("org demo: ")]
    assert re.search(r"read \d.* UTC from the sample org \(sha256 \w{12}\)$", header)


def test_files_have_whole_lines(pytester: pytest.Pytester) -> None:
    """Where no terminal is, a line is not broken: it is searched for."""
    lines = pytester.runpytest("--sf-org=demo", "-k", "Hub-eca-pkce").outlines
    assert [line for line in lines if line.startswith("org demo: ") and line.endswith(")") and len(line) > 80]


def test_a_control_that_says_little_has_no_empty_rows() -> None:
    """What a control does not say has no row, so that nothing looks as if it was cut off."""
    org = read("demo", Path())
    finding = next(finding for app, one in subjects(org, CATALOGUE) if (finding := evaluate(one, app, org)).failing)
    said: dict[str, Any] = dict.fromkeys(("page", "recommended", "threat", "remediation", "may_break"), "")
    lines = explained(finding._replace(control=replace(finding.control, contradictions=(), **said))).splitlines()
    assert {"recommended", "to mend", "may break"} <= {line[:13].rstrip() for line in explained(finding).splitlines()}
    assert {line[:13].rstrip() for line in lines[2:]} <= {"control", "severity", "app", "org", "seen", "in context", ""}
    assert "" not in lines[2:]


def test_a_finding_in_its_context_is_indented_by_what_belongs_together(pytester: pytest.Pytester) -> None:
    """What raised a score stands below the condition, also in several lines; a factor says how to use it."""
    lines = pytester.runpytest("--sf-org=demo", "-k", "org-oauth-oidc").outlines
    start = lines.index("               Invoice_Bot:")
    assert lines[start + 1 : start + 3] == [
        "                 ExtlClntAppOauthConfigurablePolicies.ipRelaxationPolicyType =",
        "                 Bypass",
    ]
    said = " ".join(" ".join(lines).split())
    assert "not seen: Session controls are not enforced. To rule it out, attest the factor session-controls." in said


@pytest.mark.parametrize("width", [20, 30, 40])
def test_a_broken_line_keeps_its_words_and_colours(width: int) -> None:
    """A line that is broken has the words that it had, and the same of them in colour."""
    text = "  some app: the waiver by somebody expired on 2026-11-19, sha256-" + "a" * 50
    start = text.index("by somebody")
    end = text.index(", sha")
    broken = list(Line(text, [(start, end, "red")]).wrapped(width))
    assert len(broken) > 2
    assert " ".join(line.strip() for line in broken) == text.strip()
    assert [line for line in broken if len(line) > width and "sha256" not in line] == []
    assert [len(line) - len(line.lstrip()) for line in broken] == [2, *[6] * (len(broken) - 1)]
    pieces = [piece for line in broken for piece in line.stretches()]
    assert " ".join(said for said, colour in pieces if colour == "red") == "by somebody expired on 2026-11-19"
    assert ["".join(said for said, _ in line.stretches()) for line in broken] == broken


# Runs that are cut short


EXIT = "import pytest\n\ndef test_last(control):\n    pytest.exit({})\n"
CUTS: dict[str, tuple[Callable[[pytest.Pytester], object], tuple[str, ...], str]] = {
    "-x": (lambda at: None, ("-x",), "stopping after 1 failures"),
    "--maxfail": (lambda at: None, ("--maxfail=3",), "stopping after 3 failures"),
    "--stepwise": (lambda at: None, ("--stepwise",), "Test failed, continuing from this test next run."),
    "-n2 -x": (lambda at: None, ("-n2", "-x"), "stopping after 1 failures"),
    "-n2 --maxfail": (lambda at: None, ("-n2", "--maxfail=3"), "stopping after 3 failures"),
    "Ctrl-C": (
        lambda at: at.makepyfile("def test_own():\n    raise KeyboardInterrupt\n"),
        ("-p", "no:randomly"),
        "interrupted",
    ),
    "exit": (lambda at: at.makepyfile(EXIT.format("'enough'")), (), "enough"),
    "exit with a code": (lambda at: at.makepyfile(EXIT.format("'enough', returncode=7")), (), "enough"),
    "exit with success": (lambda at: at.makepyfile(EXIT.format("'enough', returncode=0")), (), "enough"),
    "-n2 exit": (lambda at: at.makepyfile(EXIT.format("'enough'")), ("-n2",), "keyboard-interrupt"),
    "own tests do not load": (lambda at: at.makepyfile("import nowhere_to_be_found"), (), "1 error during collection"),
    "internal error": (
        lambda at: at.makeconftest(
            "calls = []\n\ndef pytest_runtest_logfinish():\n    calls.append(1)\n"
            "    if len(calls) > 40:\n        raise ValueError('broken plugin')\n"
        ),
        (),
        "internal error",
    ),
    "-n1 a worker crashes": (
        lambda at: at.makepyfile("import os\n\ndef test_own():\n    os._exit(3)\n"),
        ("-n1", "--max-worker-restart=0"),
        "that were to run did not",
    ),
}
NO_SUMMARY = ("exit with a code", "internal error")
"""Where pytest itself shows none."""


@pytest.mark.slow
@pytest.mark.parametrize("cut", CUTS)
def test_run_that_is_cut_short_says_so_everywhere(pytester: pytest.Pytester, cut: str) -> None:
    """However a run ends before its last case, every report is written and says that it is partial, and why."""
    arrange, arguments, why = CUTS[cut]
    arrange(pytester)
    files = [f"{option}=out{option.replace('--sf-', '.')}" for option in OPTIONS]
    result = pytester.runpytest_subprocess("--sf-org=demo", *files, *arguments, "--tb=no", "-rN", timeout=180)
    document = json.loads((pytester.path / "out.json").read_bytes())
    assert why in document["cut_short"]
    assert len(document["results"]) < sample_org.CASES
    for option in OPTIONS:
        said = (pytester.path / f"out{option.replace('--sf-', '.')}").read_text("utf-8-sig")
        assert why in said, option
        assert "artial" in said or option in ("--sf-json", "--sf-sarif"), option
    lines = [line for line in result.outlines if line.startswith("partial: ")]
    assert len(lines) == (0 if cut in NO_SUMMARY else 1)
    for line in lines:
        assert re.fullmatch(r"partial: \d+ of \d+ checks have a result \(the run ended early: .*", line)
        assert why in line


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("-n2",), ("-k", "ca-pkce"), ("--continue-on-collection-errors",)])
def test_run_that_ends_as_it_should_did_not_end_early(pytester: pytest.Pytester, arguments: tuple[str, ...]) -> None:
    """A run with failures, deselected checks or broken tests beside it came to its end; it says what it lacks."""
    if arguments == ("--continue-on-collection-errors",):
        pytester.makepyfile("import nowhere_to_be_found")
    pytester.makeconftest(
        "import pytest\n\ndef pytest_collection_modifyitems(items):\n"
        "    for item in items:\n        if 'Nightly_ETL-ca-pkce' in item.nodeid:\n"
        "            item.add_marker(pytest.mark.skip)\n"
    )
    files = ("--sf-json=results.json", "--sf-markdown=summary.md", "--sf-csv=plan.csv")
    result = pytester.runpytest("--sf-org=demo", *files, "--tb=no", "-rN", *arguments)
    document = json.loads((pytester.path / "results.json").read_bytes())
    assert document["cut_short"] is None
    assert document["results"]
    (line,) = [line for line in result.outlines if line.startswith("partial: ")]
    assert line.endswith(" checks have a result")
    assert "  1 skipped by the project: unconditional skip" in result.outlines
    for name in ("summary.md", "plan.csv"):
        assert "ended early" not in (pytester.path / name).read_text("utf-8-sig")


# Files that cannot be written


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize(("given", "why"), [("folder", "Is a directory"), ("file/report", "")])
def test_unwritable_report_is_a_usage_error_before_anything_is_read(
    pytester: pytest.Pytester, option: str, given: str, why: str
) -> None:
    """A path that cannot be written ends the run before an org is read, and names the option."""
    (pytester.path / "folder").mkdir()
    (pytester.path / "file").touch()
    result = pytester.runpytest("--sf-org=./nowhere", f"{option}={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert line.startswith(f"ERROR: {option}={given}: cannot be written: {why}")


@pytest.mark.parametrize("option", OPTIONS)
def test_report_that_cannot_be_written_in_the_end_keeps_no_other_from_it(
    pytester: pytest.Pytester, option: str
) -> None:
    """One that can no longer be written is named, ends the run with exit code 4, and all others are there."""
    pytester.makepyfile("from pathlib import Path\n\ndef test_own():\n    Path('out/report/x').mkdir(parents=True)\n")
    files = [f"{one}={'out/report' if one == option else one.strip('-')}" for one in OPTIONS]
    others = ("--junitxml=junit.xml", "--html=page.html", "--self-contained-html")
    result = pytester.runpytest("--sf-org=demo", "-k", "test_own or ca-pkce", *files, *others)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"{option}=out/report: cannot be written: *"])
    result.stderr.fnmatch_lines([f"*{option}=out/report: cannot be written: *"])
    for name in (*(one.strip("-") for one in OPTIONS if one != option), "junit.xml", "page.html"):
        assert (pytester.path / name).stat().st_size
    assert [path.name for path in (pytester.path / "out").iterdir()] == ["report"]


@pytest.mark.parametrize("option", OPTIONS)
def test_report_is_written_whole_or_not_at_all(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """What was there stays there if the disk is full, and nothing half written is left beside it."""
    (pytester.path / "out").mkdir()
    (pytester.path / "out/report").write_text("before", "utf-8")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.parent.name != "out":
            return write(path, content)
        write(path, content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    result = pytester.runpytest("--sf-org=demo", "-k", "ca-pkce", f"{option}=out/report")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [path.name for path in (pytester.path / "out").iterdir()] == ["report"]
    assert (pytester.path / "out/report").read_text("utf-8") == "before"
