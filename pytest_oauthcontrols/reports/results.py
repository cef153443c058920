"""The results: everything that a run found as plain data, which every report is made of, and which JSON keeps.

The types mirror `results.schema.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import version
from typing import Any, TypedDict, cast

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.baseline import FAILING, SCHEMA
from pytest_oauthcontrols.decisions.comparison import gone, known_as
from pytest_oauthcontrols.decisions.gate import Decisions
from pytest_oauthcontrols.decisions.run import Result, Run
from pytest_oauthcontrols.decisions.stale import Notice, notices
from pytest_oauthcontrols.decisions.waivers import Attestation, Waiver
from pytest_oauthcontrols.orgs.model import Absent, Org, Seen, Setting
from pytest_oauthcontrols.reports import Report
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import Finding, shown_value
from pytest_oauthcontrols.rules.risk import in_context

DISTRIBUTION = "pytest-oauthcontrols"


class Tool(TypedDict):
    """What assessed."""

    name: str
    version: str


class CatalogueInfo(TypedDict):
    """The catalogue that was assessed by."""

    version: str
    sha256: str
    controls: int
    rules: dict[str, str]
    own: dict[str, str]
    overridden: dict[str, str]
    left_out: dict[str, str]


class SnapshotInfo(TypedDict):
    """The file that keeps what was read of an org."""

    file: str
    sha256: str


class OrgInfo(TypedDict):
    """What was read, when, and from where."""

    name: str
    source: str
    location: str
    org_id: str | None
    environment: str | None
    user: str | None
    api_version: str | None
    taken_at: str
    readable: bool
    apps: int
    api_calls: int
    sha256: str
    snapshot: SnapshotInfo | None
    problems: list[str]
    notes: list[str]


class Gap(TypedDict):
    """Checks without a result that have one reason."""

    why: str
    reason: str
    checks: int


class Checks(TypedDict):
    """How many checks the orgs have, how many have a result, and why the others have none."""

    total: int
    with_result: int
    without_result: list[Gap]


class Gate(TypedDict):
    """What fails the run."""

    fail_on: str
    severity: str
    waivers_ignored: bool
    all_blocking: bool


class Dated(TypedDict, total=False):
    """A waiver or an attestation: `control` and `factor` name what it is about."""

    control: str | None
    factor: str | None
    app: str | None
    org: str | None
    reason: str
    owner: str
    ticket: str | None
    statement: str
    by: str
    evidence: str | None
    expires: str
    expired: bool
    file: str
    line: int


class Review(TypedDict):
    """A waiver or attestation that its owner should look at."""

    what: str
    by: str
    about: str
    app: str | None
    org: str | None
    says: str
    file: str
    line: int


class GoneFinding(TypedDict):
    """What became of a finding of the baseline that this run does not have."""

    org: str
    kind: str | None
    app: str | None
    control: str
    change: str
    why: str
    since: str


class BaselineInfo(TypedDict):
    """The earlier run that this one is compared with."""

    file: str
    new_only: bool
    missing_checks: int
    missing_orgs: list[str]
    gone: list[GoneFinding]


class Evidence(TypedDict):
    """A setting that a verdict rests on."""

    setting: str
    state: str
    value: str | None
    source: str | None
    line: int | None
    note: str | None


class Context(TypedDict):
    """What a finding scores in its context."""

    score: float
    severity: str
    raised_by: list[str]
    lowered_by: list[str]
    not_seen: list[str]


class DeadlineInfo(TypedDict):
    """A date that Salesforce has announced, and what ends or begins on it."""

    date: str
    what: str
    source: str


class Row(TypedDict):
    """The result of one check."""

    org: str
    app: str | None
    label: str | None
    kind: str | None
    control: str
    verdict: str
    severity: str
    cvss: list[float]
    score: float
    message: str
    threat: str
    deadlines: list[DeadlineInfo]
    evidence: list[Evidence]
    context: Context | None
    contradictions: list[str]
    blocking: bool
    not_blocking: str | None
    not_blocking_says: str | None
    waiver: Dated | None
    attestation: Dated | None
    change: str | None
    since: str | None
    runs: int
    node_id: str


class Document(TypedDict):
    """What `--sf-json` writes, and what the hook for results receives."""

    schema: int
    tool: Tool
    catalogue: CatalogueInfo
    orgs: list[OrgInfo]
    checks: Checks
    cut_short: str | None
    gate: Gate
    waivers: list[Dated]
    attestations: list[Dated]
    review: list[Review]
    baseline: BaselineInfo | None
    results: list[Row]


def document(assessment: Assessment, run: Run) -> Document:
    """Return the results of a run as plain data."""
    rows = [_row(result) for result in run.results]
    decisions = assessment.decisions
    return {
        "schema": SCHEMA,
        "tool": {"name": DISTRIBUTION, "version": version(DISTRIBUTION)},
        "catalogue": _catalogue(assessment.catalogue),
        "orgs": [_org(org) for org in assessment.orgs],
        "checks": _checks(run),
        "cut_short": run.cut_short,
        "gate": {
            "fail_on": "never" if decisions.fail_on is None else decisions.fail_on.value,
            "severity": "context" if decisions.in_context else "published",
            "waivers_ignored": decisions.ignore_waivers,
            "all_blocking": decisions.all_blocking,
        },
        "waivers": [_flat(waiver) for waiver in decisions.waivers],
        "attestations": [_flat(attestation) for attestation in decisions.attestations],
        "review": [_review(notice) for notice in notices(assessment, run)],
        "baseline": _baseline(assessment, decisions, run),
        "results": sorted(
            rows, key=lambda row: (row["org"], row["kind"] or "", row["app"] or "", row["control"], row["node_id"])
        ),
    }


def _catalogue(catalogue: Catalogue) -> CatalogueInfo:
    return {
        "version": catalogue.version,
        "sha256": catalogue.sha256,
        "controls": len(catalogue.controls),
        "rules": dict(catalogue.rules),
        "own": {control.id: control.origin for control in catalogue.controls if control.origin},
        "overridden": {control.id: control.overridden for control in catalogue.controls if control.overridden},
        "left_out": dict(catalogue.left_out),
    }


def _org(org: Org) -> OrgInfo:
    return {
        "name": org.name,
        "source": org.source,
        "location": org.location,
        "org_id": org.org_id,
        "environment": org.environment,
        "user": org.user,
        "api_version": None if org.api_version is None else str(org.api_version),
        "taken_at": org.taken_at.isoformat(),
        "readable": org.readable,
        "apps": len(org.apps),
        "api_calls": org.api_calls,
        "sha256": org.sha256,
        "snapshot": None if org.snapshot is None else {"file": org.snapshot.file, "sha256": org.snapshot.sha256},
        "problems": list(org.problems),
        "notes": list(org.notes),
    }


def _checks(run: Run) -> Checks:
    reasons: dict[tuple[str, str], int] = {}
    for gap in run.without_result:
        reasons[gap.why.value, gap.reason] = reasons.get((gap.why.value, gap.reason), 0) + 1
    ranked = sorted(reasons.items(), key=lambda each: (-each[1], each[0]))
    return {
        "total": run.total,
        "with_result": len(run.results),
        "without_result": [{"why": why, "reason": reason, "checks": number} for (why, reason), number in ranked],
    }


def _row(result: Result) -> Row:
    finding, judgement = result.finding, result.judgement
    control, app = finding.control, finding.app
    not_blocking = judgement.not_blocking
    return {
        "org": finding.org.name,
        "app": None if app is None else app.name,
        "label": None if app is None else app.label,
        "kind": None if app is None else app.kind,
        "control": control.id,
        "verdict": finding.verdict.value,
        "severity": control.severity.value,
        "cvss": [float(score) for score in control.cvss],
        "score": float(control.score),
        "message": finding.message,
        "threat": control.threat_line,
        "deadlines": [
            {"date": deadline.date.isoformat(), "what": deadline.what, "source": deadline.source}
            for deadline in control.deadlines
            if finding.failing
        ],
        "evidence": [_evidence(setting) for setting in finding.evidence],
        "context": _context(finding) if finding.failing else None,
        "contradictions": list(finding.contradictions),
        "blocking": result.blocking,
        "not_blocking": None if not_blocking is None else not_blocking.value,
        "not_blocking_says": judgement.says or None,
        "waiver": None if judgement.waiver is None else _dated(judgement.waiver, finding),
        "attestation": None if judgement.attestation is None else _dated(judgement.attestation, finding),
        "change": None if judgement.change is None else judgement.change.value,
        "since": None if judgement.since is None else judgement.since.isoformat(),
        "runs": result.runs,
        "node_id": result.node_id,
    }


def _baseline(assessment: Assessment, decisions: Decisions, run: Run) -> BaselineInfo | None:
    """Return what the baseline lacks, and what has become of its findings that this run does not have."""
    baseline = decisions.baseline
    if baseline is None:
        return None
    return {
        "file": baseline.file,
        "new_only": decisions.new_only,
        "missing_checks": baseline.missing,
        "missing_orgs": [org.name for org in assessment.orgs if known_as(org, baseline) is None],
        "gone": [
            {
                "org": each.key.org,
                "kind": each.key.kind,
                "app": each.key.app,
                "control": each.key.control,
                "change": each.change.value,
                "why": each.why,
                "since": each.since.isoformat(),
            }
            for each in gone(assessment, [result.finding for result in run.results])
        ],
    }


def _review(notice: Notice) -> Review:
    scope = notice.about.scope
    return {
        "what": notice.what,
        "by": notice.by,
        "about": notice.about.about,
        "app": scope.app,
        "org": scope.org,
        "says": notice.says,
        "file": scope.file,
        "line": scope.line,
    }


def _dated(dated: Waiver | Attestation, finding: Finding) -> Dated:
    """Return a waiver or attestation, and whether it has expired for a finding."""
    return {**_flat(dated), "expired": not dated.scope.holds(finding.org.day)}


def _flat(dated: Waiver | Attestation) -> Dated:
    """Return a waiver or attestation, with its scope beside the rest."""
    rest = {name: value for name, value in vars(dated).items() if name != "scope"}
    return cast("Dated", {**rest, **vars(dated.scope), "expires": dated.scope.expires.isoformat()})


def _context(finding: Finding) -> Context:
    risk = in_context(finding)
    return {
        "score": float(risk.score),
        "severity": risk.severity.value,
        "raised_by": [condition.established for condition in risk.raised_by],
        "lowered_by": [condition.established for condition in risk.lowered_by],
        "not_seen": [condition.says for condition in risk.unseen],
    }


def _evidence(setting: Setting) -> Evidence:
    if isinstance(setting, Seen):
        return {
            "setting": setting.name,
            "state": "seen",
            "value": setting.shown or shown_value(setting.value),
            "source": setting.source,
            "line": setting.line,
            "note": None,
        }
    absent = isinstance(setting, Absent)
    note: str | None
    if isinstance(setting, Absent):
        note = None if setting.default is None else f"documented default: {shown_value(setting.default)}"
    else:
        note = setting.reason
    return {
        "setting": setting.name,
        "state": "absent" if absent else "unreadable",
        "value": None,
        "source": setting.source if isinstance(setting, Absent) else None,
        "line": setting.line if isinstance(setting, Absent) else None,
        "note": note,
    }


def findings_of(document: Document) -> list[Row]:
    """Return the results that are findings, in the document's order, also those that do not fail the run."""
    return [row for row in document["results"] if row["verdict"] in FAILING]


def context_of(finding: Row) -> Context:
    """Return what a result that is a finding scores in its context; other results have none."""
    context = finding["context"]
    assert context is not None
    return context


def by_score(row: Row) -> tuple[object, ...]:
    """Return what findings are sorted by: the highest score in context first, then the worst severity."""
    severity = Severity(row["severity"]).rank
    return (-context_of(row)["score"], severity, row["org"], row["app"] or "", row["control"], row["node_id"])


def is_complete(document: Document) -> bool:
    """Tell whether every check has a result: only then can a report say that there are no findings."""
    return not document["checks"]["without_result"] and document["cut_short"] is None


def coverage(document: Document) -> str:
    """Return how many checks have a result, and why the others have none, in one sentence without its full stop."""
    checks = document["checks"]
    counts = f"{checks['with_result']:,} of {checks['total']:,} checks have a result"
    reasons = [f"{gap['checks']:,} {gap['reason']}" for gap in checks["without_result"]]
    return f"{counts} ({listed(reasons)})" if reasons else counts


_LISTED = 5


def listed(reasons: Iterable[str]) -> str:
    """Return the first reasons, and how many more there are."""
    several = list(reasons)
    more = f" and {len(several) - _LISTED} more reasons" if len(several) > _LISTED else ""
    return f"{'; '.join(several[:_LISTED])}{more}"


def encoded(report: Report, document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of a report's file."""
    encode: Callable[[Document, Catalogue], bytes] = import_module(f"{__package__}.{report.module}").encode
    return encode(document, catalogue)


def encode(document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of the results file: a line for each result, so that two files can be compared by lines."""
    head: dict[str, Any] = {**document, "results": []}
    text = json.dumps(head, indent=1).removesuffix("]\n}")
    rows = ",\n".join(map(json.dumps, document["results"]))
    return f"{text}\n{rows}\n]\n}}\n".encode()
