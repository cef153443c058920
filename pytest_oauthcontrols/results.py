"""The results file: every finding of a run as JSON, the same from run to run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from pytest_oauthcontrols.assessment import Assessment
from pytest_oauthcontrols.evaluation import Finding, shown_value
from pytest_oauthcontrols.model import Absent, Org, Seen, Setting

SCHEMA = 1
DISTRIBUTION = "pytest-oauthcontrols"


def document(assessment: Assessment, findings: Iterable[tuple[str, Finding]]) -> dict[str, Any]:
    """Return the results as plain data: what was assessed, by what, and each finding with the node id of its test."""
    catalogue = assessment.catalogue
    rows = [_result(finding, node_id) for node_id, finding in findings]
    return {
        "schema": SCHEMA,
        "tool": {"name": DISTRIBUTION, "version": version(DISTRIBUTION)},
        "catalogue": {"version": catalogue.version, "sha256": catalogue.sha256, "controls": len(catalogue.controls)},
        "orgs": [_org(org) for org in assessment.orgs],
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
        "api_version": None if org.api_version is None else str(org.api_version),
        "taken_at": org.taken_at.isoformat(),
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
        "waiver": None,
        "node_id": node_id,
    }


def _evidence(setting: Setting) -> dict[str, Any]:
    if isinstance(setting, Seen):
        value = setting.shown or shown_value(setting.value)
        return {
            "setting": setting.name,
            "state": "seen",
            "value": value,
            "source": setting.source,
            "line": setting.line,
        }
    if isinstance(setting, Absent):
        return {"setting": setting.name, "state": "absent", "value": None, "source": setting.source, "line": None}
    return {"setting": setting.name, "state": "unreadable", "value": None, "source": None, "line": None}


def encode(results: dict[str, Any]) -> bytes:
    """Return the content of the results file."""
    return (json.dumps(results, indent=1) + "\n").encode()
