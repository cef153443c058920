"""The Markdown summary: what it says, that untrusted text stays text in it, and where it is written."""

from __future__ import annotations

import copy
import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from pytest_oauthcontrols.reports import markdown
from pytest_oauthcontrols.rules.catalogue import load

from .support import sample_org
from .support.configurations import ACCEPTED, ATTESTED, configure
from .support.metadata_files import PKCE, app
from .support.orgs import kept
from .support.results import complete
from .support.runs import WORKERS

CATALOGUE = load()


@pytest.fixture(autouse=True)
def _no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the summary of the job that runs these tests out of them."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def assess(pytester: pytest.Pytester, *arguments: str, orgs: tuple[str, ...] = ("demo",)) -> tuple[str, dict[str, Any]]:
    """Assess orgs; return the summary, and the results file."""
    given = (f"--sf-org={org}" for org in orgs)
    pytester.runpytest(*given, "--sf-markdown=summary.md", "--sf-json=results.json", *arguments)
    said = (pytester.path / "summary.md").read_text("utf-8")
    return said, json.loads((pytester.path / "results.json").read_bytes())


def tables(said: str) -> list[list[list[str]]]:
    """Return the cells of each table; no cell of these tests has a bar of its own."""
    blocks = (block.splitlines() for block in said.split("\n\n"))
    return [[line.strip("| ").split(" | ") for line in block] for block in blocks if block[0].startswith("|")]


def test_it_says_what_was_read_and_found(pytester: pytest.Pytester) -> None:
    """Headline, org, severities, worst apps and findings are those of the results file."""
    said, document = assess(pytester)
    rows = [row for row in document["results"] if row["verdict"] in ("fail", "unverifiable")]
    assert said.startswith(f"## OAuth controls: {len(rows)} of {len(rows)} findings fail the run\n")
    assert "Partial" not in said
    orgs, severities, apps, findings = tables(said)
    assert orgs[0] == [
        *("org", "apps", "read", "from", "by"),
        *("pass", "fail", "not applicable", "manual", "unverifiable"),
    ]
    read = document["orgs"][0]["taken_at"][:10]
    verdicts = Counter(row["verdict"] for row in document["results"])
    assert (orgs[2][:2], orgs[2][2][:10]) == (["demo", str(sample_org.APPS)], read)
    assert orgs[2][5:] == [str(verdicts[name.replace(" ", "_")]) for name in orgs[0][5:]]
    assert orgs[2][3] == f"the sample org, sha256 `{document['orgs'][0]['sha256'][:12]}`"
    names = ("critical", "high", "medium", "low")
    of_severity = Counter(row["severity"] for row in rows)
    assert severities[2:] == [[name, str(of_severity[name]), "0", "0", "0"] for name in names]
    worst = Counter(row["severity"] for row in rows if row["app"] == "Legacy_Importer")
    assert apps[2] == ["Legacy Importer", *(str(worst[name]) for name in names)]
    assert len(findings) == 2 + 20
    assert findings[2][:3] == ["10.0", "critical", "the org itself"]
    assert findings[2][3].startswith("[org-oauth-oidc](https://help.salesforce.com/s/articleView?id=xcloud.shr_oauth")
    assert f"\nAnd more findings: {len(rows) - 20}, all of them" in said


def test_a_control_without_a_page_is_no_link(pytester: pytest.Pytester) -> None:
    """A control that no page publishes is named."""
    kept(pytester, {"Feed": app()})
    _, document = assess(pytester, "-k", "ca-pkce", orgs=("./uat.json",))
    (control,) = (one for one in CATALOGUE.controls if one.id == "ca-pkce")
    results: Any = document
    said = markdown.encode(results, replace(CATALOGUE, controls=(replace(control, page=""),))).decode()
    assert tables(said)[-1][2][3] == "ca-pkce"


def test_nothing_found_is_said(pytester: pytest.Pytester) -> None:
    """Without findings there are no tables of them; that there are none is said only where every check has a result."""
    kept(pytester, {"Feed": PKCE})
    said, _ = assess(pytester, "--sf-select=ca-pkce", orgs=("./uat.json",))
    assert said.startswith("## OAuth controls: no findings\n")
    assert len(tables(said)) == 1
    said, _ = assess(pytester, "-k", "ca-pkce", orgs=("./uat.json",))
    assert said.startswith("## OAuth controls: incomplete, no findings among the checks that have a result\n")


def test_what_was_decided_is_said(pytester: pytest.Pytester) -> None:
    """Accepted findings are counted apart and come last; what expired and what was attested is said."""
    kept(pytester, {"Price_Feed": app(), "Late_Feed": app(), "Other": app()})
    ends = (("Price_Feed", "2099-12-31"), ("Late_Feed", "2026-11-19"))
    configure(
        pytester,
        waivers=[{**ACCEPTED, "app": name, "expires": day} for name, day in ends],
        attestations=[{**ATTESTED, "expires": "2099-12-31"}],
    )
    said, _ = assess(pytester, "-k", "ca-pkce or org-customer-sso", orgs=("./uat.json",))
    assert said.startswith("## OAuth controls: 2 of 3 findings fail the run\n")
    assert "1 of those that pass do so on somebody's word." in said
    _, severities, _, findings = tables(said)
    assert severities[0] == ["severity", "fail the run", "waived", "in the baseline", "below the gate"]
    assert severities[2] == ["critical", "2", "1", "0", "0"]
    assert findings[-1][2] == "Feed"
    assert findings[-1][4].endswith("(waived)")
    assert said.endswith(
        "### To review\n\n- the waiver by jo@\u200bacme.example for ca-pkce of Late\\_Feed expired on 2026-11-19"
        " (oauthcontrols.yaml:3)\n"
    )


def test_what_changed_is_said(pytester: pytest.Pytester) -> None:
    """With a baseline it counts what is new, persists, is fixed or is not comparable, and names what is not old."""
    kept(pytester, {"Stays": app(), "Mended": app(), "Gone": app()})
    assess(pytester, "-k", "ca-pkce", orgs=("./uat.json",))
    (pytester.path / "results.json").rename(pytester.path / "before.json")
    kept(pytester, {"Stays": app(), "Mended": app("<isPkceRequired>true</isPkceRequired>"), "Added": app()})
    said, _ = assess(pytester, "-k", "ca-pkce", "--sf-baseline=before.json", orgs=("./uat.json",))
    assert said.partition("### Since ")[2] == (
        "before.json\n\n1 new, 1 persisting, 1 fixed, 1 not comparable\n\n- new: ca-pkce of Added\n\n"
        "- fixed: ca-pkce of Mended (pass)\n\n- not comparable: ca-pkce of Gone (the app is gone)\n"
    )


def test_what_differs_between_orgs_is_said(pytester: pytest.Pytester) -> None:
    """Of several orgs each has its row, findings say which, and what passes in one and fails in another is named."""
    kept(pytester, {"Feed": app()}, name="uat")
    kept(pytester, {"Feed": app("<isPkceRequired>true</isPkceRequired>")}, name="prod")
    said, _ = assess(pytester, "-k", "ca-pkce", orgs=("./uat.json", "./prod.json"))
    orgs, _, apps, findings = tables(said)
    assert [row[0] for row in orgs[2:]] == ["uat", "prod"]
    assert apps[2] == ["Feed", "uat", "1", "0", "0", "0"]
    assert findings[2][2:4] == ["Feed", "uat"]
    assert "### Orgs differ\n\n- ca-pkce of Feed: passes in prod, fails in uat\n" in said


def test_what_could_not_be_read_is_said(pytester: pytest.Pytester) -> None:
    """An org that cannot be read among others is in the table, with why."""
    said, _ = assess(pytester, "-k", "readable", orgs=("./nowhere", "demo"))
    assert "| ./nowhere | 0 |" in said
    assert re.search(r"\nNot read:\n\n- org \./nowhere: \./nowhere: ", said)


# Untrusted text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("a | b", "a &#124; b"),
        ("`code`", "&#96;code&#96;"),
        ("a\nb\r\n| c |", "a&#92;nb&#92;r&#92;n&#124; c &#124;"),
        ("](http://evil.example)", "&#93;(http:\u200b//evil.example)"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("&lt;img&gt; &#60;", "&amp;lt;img&amp;gt; &amp;\\#\u200b60;"),
        ("www.evil.example", "www\u200b.evil.example"),
        ("_WWW.evil.example_", "\\_WWW\u200b.evil.example\\_"),
        ("@octocat", "@\u200boctocat"),
        ("jo@acme.example", "jo@\u200bacme.example"),
        ("\\| \\<b> \\@x", "&#92;&#124; &#92;&lt;b&gt; &#92;@\u200bx"),
        ("**b** _i_ ~~s~~", "\\*\\*b\\*\\* \\_i\\_ \\~\\~s\\~\\~"),
        ("$x$", "\\$x\\$"),
        ("![a][b]", "\\!&#91;a&#93;&#91;b&#93;"),
        ("#12 gh-12 a:smile:", "\\#\u200b12 gh-\u200b12 a:\u200bsmile:"),
        ("\u202e\x1b[31m", "&#92;u202e&#92;x1b&#91;31m"),
        ("a: b, 50% of c=d (e) - f", "a: b, 50% of c=d (e) - f"),
    ],
)
def test_text_is_escaped(said: str, shown: str) -> None:
    """What Markdown or GitHub would take for more than text is escaped, or has an invisible space in it."""
    assert markdown.text(said) == shown


HOSTILE = [
    "a | b | c",
    "\\| x | \\\\| y",
    "`x` ``y",
    "a\n\n# b\n\n| c |\n|---|\n\n```\nd",
    "](http://evil.example) [a](http://evil.example)",
    "![a](http://evil.example/x.png) [b]: http://evil.example",
    "<img src=x onerror=alert(1)><script>alert(1)</script><!-- x",
    "\\<img src=x> &lt;img src=x&gt; &#60;img src=x&#62;",
    "http://evil.example https://evil.example www.evil.example ftp://evil.example <http://evil.example>",
    "mailto:a@evil.example xmpp:a@evil.example a@evil.example @octocat",
    "# a",
    "1. a",
    "> a",
    "- [ ] a",
    "===",
    "    a",
    "**a** _b_ ~~c~~ ***",
    "[^1] [!NOTE]",
    "\x00\x1b[31m\u202e",
]


def planted(said: str) -> Any:
    """Return a results file in which a text stands wherever somebody else chose it."""
    org: dict[str, Any] = {
        "name": said,
        "source": "snapshot",
        "location": said,
        "user": said,
        "environment": None,
        "readable": True,
        "apps": 1,
    }
    org |= {"snapshot": {"file": said}, "taken_at": "2026-11-20T12:00:00+00:00", "sha256": "0" * 64, "problems": [said]}
    finding: dict[str, Any] = {"org": said, "kind": "connected_app", "app": said, "label": said, "control": "ca-pkce"}
    finding |= {"verdict": "fail", "severity": "critical", "message": said, "context": {"score": 9.5}}
    finding |= {
        "threat": "",
        "deadlines": [],
        "blocking": True,
        "not_blocking": None,
        "attestation": None,
        "change": "new",
        "node_id": "x",
    }
    other = copy.deepcopy(org) | {"name": f"{said}2"}
    notice = {"what": "waiver", "by": said, "about": "ca-pkce", "app": said, "says": "expired", "file": said, "line": 1}
    gone = {"change": "fixed", "control": "ca-pkce", "app": said, "why": said}
    return {
        "tool": {"name": "pytest-oauthcontrols", "version": "0"},
        "catalogue": {"version": "1", "controls": 2, "left_out": {said: said}, "overridden": {said: said}},
        "orgs": [org, other],
        "checks": complete(2),
        "cut_short": said,
        "gate": {"fail_on": "low", "severity": "published", "waivers_ignored": False},
        "waivers": [],
        "attestations": [],
        "review": [notice],
        "baseline": {"file": said, "new_only": False, "gone": [gone]},
        "results": [finding, {**finding, "org": other["name"], "verdict": "pass"}],
    }


def test_github_shows_hostile_text_as_text() -> None:
    """GitHub's own renderer makes of no text a link, an image, an element, code, a heading, a list or a row."""
    cmarkgfm = pytest.importorskip("cmarkgfm")

    def shape(said: str) -> list[tuple[object, str | None]]:
        unsafe = cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE
        page = html.fragment_fromstring(
            cmarkgfm.github_flavored_markdown_to_html(
                markdown.encode(planted(said), CATALOGUE).decode(), options=unsafe
            ),
            create_parent="div",
        )
        shown = {element.text_content().replace("\u200b", "") for element in page.iter("td")}
        assert said.strip() in shown or not said.isprintable()
        return [(element.tag, element.get("href")) for element in page.iter()]

    expected = shape("harmless")
    assert ("a", next(control.page for control in CATALOGUE.controls if control.id == "ca-pkce")) in expected
    for said in HOSTILE:
        assert shape(said) == expected


@pytest.mark.parametrize("said", HOSTILE)
def test_hostile_text_changes_no_line(said: str) -> None:
    """A text begins no line, and no line has more cells for it."""
    lines, harmless = (markdown.encode(planted(one), CATALOGUE).decode().splitlines() for one in (said, "harmless"))
    assert len(lines) == len(harmless)
    assert [line.count("|") for line in lines] == [line.count("|") for line in harmless]
    assert [line[:2] for line in lines] == [line[:2] for line in harmless]
    for line in lines:
        assert re.search(r"<|@(?!\u200b)|(?<!\()https?://|www\.", line) is None


def test_it_is_no_longer_than_github_takes() -> None:
    """However much there is to say, GitHub does not refuse it for its length; it says what is left out."""
    document = planted("|" * 5000)
    document["results"] *= 500
    document["review"] *= 500
    document["orgs"] *= 500
    document["baseline"]["gone"] *= 500
    said = markdown.encode(document, CATALOGUE)
    assert len(said) < 1024 * 1024
    assert b"all of it is in the results file (--sf-json).\n" in said[-200:]


# The summary of a step


@pytest.mark.parametrize("workers", WORKERS)
def test_summary_is_added_to_that_of_the_step(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    """What other programs wrote to the summary of a GitHub step stays there, and the run's is added once."""
    step = pytester.path / "step.md"
    step.write_text("Built.\n", "utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    said, _ = assess(pytester, "-k", "ca-pkce", workers)
    assert step.read_text("utf-8") == f"Built.\n\n{said}"


def test_summary_of_the_step_needs_no_option(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable alone is enough; a file that is not there yet is made."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "step.md"))
    pytester.runpytest("--sf-org=demo", "-k", "ca-pkce")
    assert (pytester.path / "step.md").read_text("utf-8").startswith("## OAuth controls: ")


def test_summary_of_the_step_is_written_once(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """If --sf-markdown names the same file, the summary is in it once."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    said, _ = assess(pytester, "-k", "ca-pkce")
    assert said.count("## OAuth controls") == 1


@pytest.mark.parametrize("arguments", [(), ("--sf-org=demo", "--collect-only"), ("--sf-org=demo", "--fixtures")])
def test_other_runs_add_nothing(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """A run that assesses nothing leaves the summary of the step alone."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "step.md"))
    pytester.makepyfile("def test_own():\n    pass\n")
    pytester.runpytest(*arguments)
    assert not (pytester.path / "step.md").exists()


@pytest.mark.parametrize("value", ["", "folder", "missing/step.md"])
def test_summary_that_cannot_be_written_is_a_warning(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """No outcome hangs on the summary of a step: a line says that it could not be written, and why."""
    (pytester.path / "folder").mkdir()
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", value)
    result = pytester.runpytest("--sf-org=demo", "-k", "Nightly_ETL-ca-oauth-settings")
    assert result.ret == pytest.ExitCode.OK
    said = [line for line in result.outlines if line.startswith("GITHUB_STEP_SUMMARY: cannot be written: ")]
    assert len(said) == (1 if value else 0)
    assert not (pytester.path / "missing").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to this user")
def test_summary_that_is_forbidden_is_a_warning(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be written leaves the outcome as it is."""
    step = Path(pytester.path / "step.md")
    step.touch(mode=0o400)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(step))
    result = pytester.runpytest("--sf-org=demo", "-k", "Nightly_ETL-ca-oauth-settings")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["GITHUB_STEP_SUMMARY: cannot be written: Permission denied"])
