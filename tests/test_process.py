"""Which findings fail a run: the gate, the score in context, several orgs, and that all reports agree on it."""

from __future__ import annotations

import json

import pytest
from lxml import etree, html

from .support.configurations import ACCEPTED, ATTESTED, configure
from .support.metadata_files import ENDLESS, EXPIRES, OPEN, PKCE, app
from .support.orgs import ORG_ID, kept
from .support.runs import assess, outcome, usage_error

# The gate


CRITICAL = {"Price_Feed-ca-pkce", "Price_Feed-ca-client-credentials"}
HIGH = {"Price_Feed-ca-digital-signature", "org-metadata-secrets"}
MEDIUM = {"Price_Feed-sbs-oauth-004"}
OTHERS = {"Price_Feed-ca-oauth-settings": "passed", "org-customer-sso": "skipped", "Price_Feed-ca-id-token": "skipped"}
FAILING = {"critical": CRITICAL, "high": CRITICAL | HIGH, "medium": CRITICAL | HIGH | MEDIUM, "never": set[str]()}
FAILING["low"] = FAILING["medium"]
CHOSEN = ("-k", " or ".join(name.removeprefix("Price_Feed-") for name in sorted(FAILING["low"] | OTHERS.keys())))
INVENTORY = [{"app": "Price_Feed", "criticality": "high"}]


@pytest.fixture
def _price_feed(pytester: pytest.Pytester) -> None:
    """Keep an org with one app, in which there are findings of three severities, seen and unverifiable."""
    kept(pytester, {"Price_Feed": app()})
    configure(pytester, inventory=INVENTORY, waivers=[{**ACCEPTED, "expires": "2099-12-31"}])


@pytest.mark.usefixtures("_price_feed")
@pytest.mark.parametrize(
    ("option", "configured", "gate"),
    [
        ("", None, "low"),
        *((f"--sf-fail-on={gate}", None, gate) for gate in FAILING),
        *(("", gate, gate) for gate in FAILING),
        ("--sf-fail-on=critical", "never", "critical"),
        ("--sf-fail-on=never", "critical", "never"),
    ],
)
def test_gate(pytester: pytest.Pytester, option: str, configured: str | None, gate: str) -> None:
    """What is below the gate is xfailed and says so, its verdict stays; the option wins over the configuration."""
    configure(pytester, inventory=INVENTORY, **({} if configured is None else {"gate": configured}))
    ran = assess(pytester, *CHOSEN, *([option] if option else []))
    assert ran.having("failed") == FAILING[gate]
    assert ran.having("failed", "xfailed") == FAILING["low"]
    for name in ran.having("xfailed"):
        case = ran.cases[name]
        assert case.reason.startswith("below the gate")
        assert case.row["not_blocking"] == "below the gate"
        unverifiable = name in ("Price_Feed-ca-client-credentials", "org-metadata-secrets")
        assert case.row["verdict"] == ("unverifiable" if unverifiable else "fail")
    assert {name: ran.cases[name].outcome for name in OTHERS} == OTHERS
    assert ran.document["gate"].items() >= {"fail_on": gate, "severity": "published"}.items()
    fail_the_run = f"gate: {gate}: {len(FAILING[gate])} of 5 fail the run"
    assert any(line.startswith(fail_the_run) for line in ran.lines) is (gate != "low")


@pytest.mark.usefixtures("_price_feed")
def test_stop_at_the_first_failure_passes_over_accepted_findings(pytester: pytest.Pytester) -> None:
    """-x stops at a finding that fails the run, not at one that is waived or below the gate."""
    whole = assess(pytester, "-x", *CHOSEN, "--sf-fail-on=never")
    assert len(whole.cases) == len(FAILING["low"]) + len(OTHERS)
    stopped = assess(pytester, "-x", *CHOSEN, "--sf-fail-on=high")
    assert len(stopped.having("failed")) == 1
    assert len(stopped.cases) < len(whole.cases)


@pytest.mark.usefixtures("_price_feed")
@pytest.mark.parametrize("workers", ["-n0", pytest.param("-n1", marks=pytest.mark.slow)])
def test_runxfail_takes_acceptance_away(pytester: pytest.Pytester, workers: str) -> None:
    """With --runxfail waived findings and those below the gate fail, in all reports, and the exit code is 1."""
    accepted = assess(pytester, *CHOSEN, "--sf-fail-on=high", workers)
    assert "gate: high: 3 of 5 fail the run, 1 waived, 1 below the gate" in accepted.lines
    ran = assess(pytester, *CHOSEN, "--sf-fail-on=high", "--runxfail", workers)
    assert ran.having("failed") == FAILING["low"]
    assert not [line for line in ran.lines if line.startswith("gate: ") and "5 of 5 fail the run" not in line]


# The score in context


ROTATES = f"{OPEN}<isRefreshTokenRotationEnabled>true</isRefreshTokenRotationEnabled>"
SCORES = {
    "Base": (app(OPEN, EXPIRES), 9.5, "critical"),
    "Endless": (app(OPEN, ENDLESS), 10.0, "critical"),
    "Rotating": (app(ROTATES, EXPIRES), 3.9, "low"),
    "Both": (app(ROTATES, ENDLESS), 10.0, "critical"),
}


@pytest.mark.parametrize(
    ("gate", "arguments", "accepted"),
    [
        ("low", ["--sf-severity=context", "--sf-fail-on=medium"], {"Rotating"}),
        ("low", ["--sf-severity=context", "--sf-fail-on=low"], set()),
        ("low", ["--sf-severity=context", "--sf-fail-on=never"], set(SCORES)),
        ("low", ["--sf-severity=published", "--sf-fail-on=critical"], set()),
        ("low", ["--sf-fail-on=critical"], set()),
        ("medium in context", [], {"Rotating"}),
        ("medium in context", ["--sf-severity=published"], set()),
        ("medium in context", ["--sf-fail-on=low"], set()),
        ("low in context", ["--sf-fail-on=medium"], {"Rotating"}),
        ("medium", ["--sf-severity=context"], {"Rotating"}),
    ],
)
def test_gate_by_the_score_in_context(
    pytester: pytest.Pytester, gate: str, arguments: list[str], accepted: set[str]
) -> None:
    """What is seen of an app raises and lowers its score, and decides where the gate or --sf-severity says so."""
    configure(pytester, gate=gate)
    kept(pytester, {name: content for name, (content, _, _) in SCORES.items()})
    ran = assess(pytester, "-k", "ca-secret-refresh-token", *arguments)
    for name, (_, score, severity) in SCORES.items():
        case = ran.cases[f"{name}-ca-secret-refresh-token"]
        context = case.row["context"]
        assert (context["score"], context["severity"]) == (score, severity)
        assert (bool(context["raised_by"]), bool(context["lowered_by"])) == (score == 10, score == 3.9)
        assert case.properties.items() >= {"severity_in_context": severity, "score_in_context": str(score)}.items()
        assert (case.row["severity"], case.row["score"]) == ("critical", 9.5)
    assert ran.having("xfailed") == {f"{name}-ca-secret-refresh-token" for name in accepted}
    if not arguments:
        assert f"gate: {gate}: {4 - len(accepted)} of 4 fail the run, {len(accepted)} below the gate" in ran.lines


def test_unverifiable_case_gates_by_its_control(pytester: pytest.Pytester) -> None:
    """What lowers the score in context does not let a case pass the gate that could not be verified."""
    kept(pytester, {"Unsure": app(ROTATES.replace("false", "perhaps"), EXPIRES)})
    ran = assess(pytester, "-k", "ca-secret-refresh-token", "--sf-severity=context", "--sf-fail-on=critical")
    assert ran.cases["Unsure-ca-secret-refresh-token"].row["verdict"] == "unverifiable"
    assert ran.having("failed") == {"Unsure-ca-secret-refresh-token"}


# Several orgs, several processes


def test_decisions_of_one_org(pytester: pytest.Pytester) -> None:
    """What is decided for an org holds for nothing in another, and nobody is asked to review it there."""
    for name in ("uat", "prod"):
        kept(pytester, {"Price_Feed": app()}, name=name)
    of_prod = {"org": "prod", "expires": "2099-12-31"}
    configure(pytester, waivers=[{**ACCEPTED, **of_prod}], attestations=[{**ATTESTED, **of_prod}])
    chosen = ("-k", "ca-pkce or org-customer-sso")
    both = assess(pytester, *chosen, orgs=["./uat.json", "./prod.json"])
    assert (both.having("failed"), both.having("xfailed")) == ({"uat-Price_Feed-ca-pkce"}, {"prod-Price_Feed-ca-pkce"})
    assert (both.having("skipped"), both.having("passed")) == ({"uat-org-customer-sso"}, {"prod-org-customer-sso"})
    alone = assess(pytester, *chosen)
    assert (alone.having("failed"), alone.having("skipped")) == ({"Price_Feed-ca-pkce"}, {"org-customer-sso"})
    assert alone.document["review"] == []


@pytest.mark.slow
def test_distributed_run_decides_alike(pytester: pytest.Pytester) -> None:
    """With -n 2 waivers, attestations, gate, context and baseline lead to the same outcomes and the same results."""
    apps = dict.fromkeys(("Price_Feed", "Late_Feed", "Stock_Sync"), app())
    kept(pytester, {**apps, "Gone": app(), "Mended": app()}, org_id=ORG_ID, day="2026-10-01")
    assess(pytester)
    before = json.loads((pytester.path / "results.json").read_text("utf-8"))
    del before["catalogue"]["rules"]["ca-session-timeout"]
    (pytester.path / "before.json").write_text(json.dumps(before), "utf-8")
    kept(pytester, {**apps, "Mended": PKCE, "Added": app(OPEN, ENDLESS)}, org_id=ORG_ID)
    kept(pytester, {"Price_Feed": app()}, name="prod")
    ends = (("Price_Feed", "2026-11-30"), ("Late_Feed", "2026-11-19"), ("Nobody", "2099-12-31"))
    configure(
        pytester,
        gate="high",
        inventory=[{"app": "*", "criticality": "high"}],
        waivers=[{**ACCEPTED, "app": name, "expires": day} for name, day in ends],
        attestations=[
            {**ATTESTED, "org": "uat", "evidence": "scan.pdf", "expires": "2027-12-31"},
            {**ATTESTED, "control": "ca-device-flow", "app": "*_Feed", "expires": "2026-01-31"},
        ],
    )
    arguments = ("--sf-baseline=before.json", "--sf-new-only", "--sf-severity=context", "-rxs")
    serial, spread = (assess(pytester, *arguments, *n, orgs=["./uat.json", "./prod.json"]) for n in ([], ["-n2"]))
    every = {"waived", "in the baseline", "below the gate", None}
    assert {case.row["not_blocking"] for case in serial.cases.values()} == every
    changes = {"new", "persisting", "fixed", "not comparable"}
    assert {case.properties.get("change", "fixed") for case in serial.cases.values()} == changes
    assert serial.document == spread.document
    assert serial.cases == spread.cases
    said = [
        lines[lines.index(next(one for one in lines if " OAuth controls " in one)) : -1]
        for lines in (serial.lines, spread.lines)
    ]
    assert said[0] == said[1]


# Untrusted texts, and options


def test_hostile_texts_stay_texts(pytester: pytest.Pytester) -> None:
    """Labels, waivers, attestations and names in a baseline act on no terminal and are no markup in any report."""
    hostile = "<img src=x onerror=alert(1)>\x1b[31m\x9b\u202e"
    feed = app(label="&lt;img src=x onerror=alert(1)&gt;\x9b\u202e")
    kept(pytester, {"Price_Feed": feed, f"{hostile}.connectedApp": feed})
    assess(pytester, "-k", "ca-pkce")
    (pytester.path / "results.json").rename(pytester.path / "before.json")
    kept(pytester, {"Price_Feed": feed, "Late_Feed": feed})
    waiver = {**ACCEPTED, "reason": hostile, "owner": hostile, "ticket": hostile}
    ends = (("Price_Feed", "2026-11-30"), ("Late_Feed", "2026-11-19"), (hostile.replace("[", ""), "2099-12-31"))
    attestation = {**ATTESTED, "statement": hostile, "by": hostile, "evidence": hostile, "expires": "2027-12-31"}
    configure(
        pytester,
        waivers=[{**waiver, "app": name, "expires": day} for name, day in ends],
        attestations=[attestation],
    )
    arguments = ("--sf-baseline=before.json", "--html=report.html", "--self-contained-html", "-rA")
    ran = assess(pytester, "-k", "ca-pkce or org-customer-sso", *arguments)
    assert (ran.having("xfailed"), ran.having("failed")) == ({"Price_Feed-ca-pkce"}, {"Late_Feed-ca-pkce"})
    assert [line for line in ran.lines if "not comparable, the app is gone" in line and "<img" in line]
    texts = [one for case in ran.cases.values() for one in (case.reason, *case.properties.values())]
    assert [text for text in texts if "<img src=x" in text]
    assert [text for text in texts if not text.replace("\n", "").isprintable()] == []
    assert list(etree.parse(pytester.path / "report.xml").iter("img")) == []
    page = (pytester.path / "report.html").read_text("utf-8")
    assert "<img src=x" not in page
    blob = html.fromstring(page).get_element_by_id("data-container").attrib["data-jsonblob"]
    tests = [test for tests in json.loads(blob)["tests"].values() for test in tests]
    assert sorted(test["result"] for test in tests) == ["Failed", "Passed", "XFailed"]
    for shown in ("".join([test["log"], *test["resultsTableRow"]]) for test in tests):
        assert "&lt;img src=x" in shown
        assert "<img" not in shown
        assert shown.replace("\n", "").isprintable()


@pytest.mark.usefixtures("_price_feed")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sf-org=./uat.json", "--sf-new-only"], "--sf-new-only needs --sf-baseline"),
        (["--sf-baseline=results.json"], "--sf-baseline needs --sf-org"),
        (["--sf-no-waivers"], "--sf-no-waivers needs --sf-org"),
        (
            ["--sf-org=./uat.json", "--sf-fail-on=severe"],
            "argument --sf-fail-on: invalid choice: 'severe' (choose from",
        ),
        (["--sf-org=./uat.json", "--sf-severity=real"], "argument --sf-severity: invalid choice: 'real' (choose from"),
    ],
)
def test_options_that_mean_nothing(pytester: pytest.Pytester, arguments: list[str], words: str) -> None:
    """An option without another that it needs, or with a choice that is none, is a usage error that says which."""
    found = outcome(pytester, pytester.runpytest(*arguments))
    assert "invalid choice" in words or usage_error(found).startswith(words)
    assert (found.code, found.verdicts) == (pytest.ExitCode.USAGE_ERROR, {})
    assert words in found.output
