"""The results file: everything that a run found as plain data, which every other report is made of, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.baseline import SCHEMA
from pytest_oauthcontrols.decisions.comparison import change_of, gone, known_as, since
from pytest_oauthcontrols.decisions.gate import acceptance, waiver_of
from pytest_oauthcontrols.decisions.stale import Notice, notices
from pytest_oauthcontrols.decisions.waivers import Attestation, Waiver
from pytest_oauthcontrols.orgs.model import Absent, Org, Seen, Setting
from pytest_oauthcontrols.reports import Document
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.finding import Finding, shown_value
from pytest_oauthcontrols.rules.risk import in_context

DISTRIBUTION = "pytest-oauthcontrols"


def document(assessment: Assessment, findings: Iterable[tuple[str, Finding]], cut_short: str | None = None) -> Document:
    """Return the results as plain data: what was assessed, by what, and each finding with the node id of its test.

    `cut_short` says why the run ended before its last case; None where it did not.
    """
    catalogue = assessment.catalogue
    found = dict(findings)
    rows = [_result(finding, node_id) for node_id, finding in found.items()]
    return {
        "schema": SCHEMA,
        "tool": {"name": DISTRIBUTION, "version": version(DISTRIBUTION)},
        "catalogue": {
            "version": catalogue.version,
            "sha256": catalogue.sha256,
            "controls": len(catalogue.controls),
            "rules": catalogue.rules,
            "own": {control.id: control.origin for control in catalogue.controls if control.origin},
            "overridden": {control.id: control.overridden for control in catalogue.controls if control.overridden},
            "left_out": catalogue.left_out,
        },
        "orgs": [_org(org) for org in assessment.orgs],
        "cases": assessment.number_of_cases,
        "cut_short": cut_short,
        **_decisions(assessment, found.values()),
        "results": sorted(
            rows, key=lambda row: (row["org"], row["kind"] or "", row["app"] or "", row["control"], row["node_id"])
        ),
    }


def _org(org: Org) -> dict[str, Any]:
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
        "snapshot": None if org.snapshot is None else org.snapshot._asdict(),
        "problems": list(org.problems),
        "notes": list(org.notes),
    }


def _result(finding: Finding, node_id: str) -> dict[str, Any]:
    control, app = finding.control, finding.app
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
        "evidence": [_evidence(setting) for setting in finding.evidence],
        **_judged(finding),
        "node_id": node_id,
    }


def _decisions(assessment: Assessment, findings: Iterable[Finding]) -> dict[str, Any]:
    """Return what was decided for the run, and what has become of the baseline's findings that are none any more."""
    decisions = assessment.decisions
    said: dict[str, Any] = {
        "gate": {
            "fail_on": "never" if decisions.fail_on is None else decisions.fail_on.value,
            "severity": "context" if decisions.in_context else "published",
            "waivers_ignored": decisions.ignore_waivers,
            "accepts_nothing": decisions.accept_nothing,
        },
        "waivers": [_flat(waiver) for waiver in decisions.waivers],
        "attestations": [_flat(attestation) for attestation in decisions.attestations],
        "review": [_notice(notice) for notice in notices(assessment, findings)],
        "baseline": None,
    }
    baseline = decisions.baseline
    if baseline is not None:
        said["baseline"] = {
            "file": baseline.file,
            "new_only": decisions.new_only,
            "missing_cases": baseline.missing,
            "missing_orgs": [org.name for org in assessment.orgs if known_as(org, baseline) is None],
            "gone": [
                {**one.key._asdict(), "change": one.change.value, "why": one.why, "since": one.since.isoformat()}
                for one in gone(assessment, findings)
            ],
        }
    return said


def _notice(notice: Notice) -> dict[str, Any]:
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


def _judged(finding: Finding) -> dict[str, Any]:
    """Return what was decided of a finding, and what it scores in context; all null where it is none."""
    failing = finding.failing
    waiver = waiver_of(finding) if failing else None
    change = change_of(finding) if failing else None
    accepted = acceptance(finding) if failing else None
    attestation = finding.attestation
    return {
        "context": _risk(finding) if failing else None,
        "contradictions": list(finding.contradictions),
        "accepted": None if accepted is None else accepted.how.value,
        "waiver": None if waiver is None else _dated(waiver, finding),
        "attestation": None if attestation is None else _dated(attestation, finding),
        "change": None if change is None else change.value,
        "since": since(finding).isoformat() if failing else None,
    }


def _dated(said: Waiver | Attestation, finding: Finding) -> dict[str, Any]:
    """Return a waiver or attestation, and whether it has expired for a finding."""
    return {**_flat(said), "expired": not said.scope.holds(finding.org.day)}


def _flat(said: Waiver | Attestation) -> dict[str, Any]:
    """Return a waiver or attestation, with what its scope says beside the rest."""
    rest = {name: value for name, value in vars(said).items() if name != "scope"}
    return {**rest, **vars(said.scope), "expires": said.scope.expires.isoformat()}


def _risk(finding: Finding) -> dict[str, Any]:
    risk = in_context(finding)
    return {
        "score": float(risk.score),
        "severity": risk.severity.value,
        "raised_by": [one.established for one in risk.raised_by],
        "lowered_by": [one.established for one in risk.lowered_by],
        "not_seen": [one.says for one in risk.unseen],
    }


def _evidence(setting: Setting) -> dict[str, Any]:
    said: dict[str, Any] = {"setting": setting.name, "state": "unreadable", "value": None, "source": None, "line": None}
    if isinstance(setting, Seen):
        value = setting.shown or shown_value(setting.value)
        return {**said, "state": "seen", "value": value, "source": setting.source, "line": setting.line, "note": None}
    if isinstance(setting, Absent):
        default = None if setting.default is None else f"documented default: {shown_value(setting.default)}"
        return {**said, "state": "absent", "source": setting.source, "line": setting.line, "note": default}
    return {**said, "note": setting.reason}


def encode(document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of the results file: a line for each result, so that two files can be compared by lines."""
    head = json.dumps({**document, "results": []}, indent=1).removesuffix("]\n}")
    rows = ",\n".join(map(json.dumps, document["results"]))
    return f"{head}\n{rows}\n]\n}}\n".encode()
