"""What an earlier run found, and what has changed since: an earlier results file is the baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any, NamedTuple

from pytest_oauthcontrols.errors import OAuthControlsError
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.evaluation import Check
from pytest_oauthcontrols.rules.finding import Finding

SCHEMA = 1
"""Version of the results file's format."""

FAILING = ("fail", "unverifiable")
"""Verdicts of results that are findings."""


class BaselineError(OAuthControlsError):
    """A file that is no results file, or none that this run can be compared with; the message says why."""


class Change(str, Enum):
    """What has become of a finding since the baseline."""

    NEW = "new"
    PERSISTING = "persisting"
    FIXED = "fixed"
    NOT_COMPARABLE = "not comparable"


class Key(NamedTuple):
    """What a finding is known by from run to run."""

    org: str
    """The org's id, or its name where it has none."""
    kind: str | None
    app: str | None
    """Full name; None for the org's own controls."""
    control: str


class Earlier(NamedTuple):
    """A finding of the baseline."""

    verdict: str
    since: date
    """The day of the reading that first had it."""


@dataclass(frozen=True)
class Baseline:
    """The findings of an earlier run."""

    file: str
    orgs: Mapping[str, str]
    """Name of each org by what it is known by."""
    rules: Mapping[str, str]
    """By which rule each control decided, as a digest."""
    findings: Mapping[Key, Earlier]
    missing: int = 0
    """How many checks of that run have no result; whatever they find now counts as new."""

    def decided_otherwise(self, control: str, rule: str) -> bool:
        """Tell whether a control decides by another rule now; one that has no rule, by none."""
        return self.rules.get(control, "") != rule

    def compare(self, finding: Finding) -> tuple[Change, date]:
        """Return what a finding of this run is, compared with the baseline, and the day that first had it."""
        key = key_of(finding)
        change = self.change(key, finding.control.rule_sha256, finding.verdict.value)
        return change, self.findings[key].since if change is Change.PERSISTING else finding.org.day

    def change(self, key: Key, rule: str, verdict: str) -> Change:
        """Return what a finding, by the rule that its control has now, is compared with the baseline."""
        earlier = self.findings.get(key)
        if key.org in self.orgs and self.decided_otherwise(key.control, rule):
            return Change.NOT_COMPARABLE
        if earlier is None:
            return Change.NEW
        if earlier.verdict == verdict:
            return Change.PERSISTING
        return Change.NOT_COMPARABLE if verdict == Verdict.UNVERIFIABLE.value else Change.NEW


def key_of(checked: Finding | Check) -> Key:
    """Return what a finding, or the check that may have one, is known by from run to run."""
    app, org = checked.app, checked.org
    kind, name = (None, None) if app is None else (app.kind, app.name)
    return Key(org_key(org.org_id, org.name), kind, name, checked.control.id)


def org_key(org_id: str | None, name: str) -> str:
    """Return what an org is known by: the case-sensitive part of its id, or its name."""
    return org_id[:15] if org_id else name


def load(content: bytes, file: str) -> Baseline:
    """Return the baseline in a results file.

    One of another version of the catalogue is compared control by control: it has the digest of each rule. Raises
    `BaselineError` for a file that is no results file.
    """
    try:
        said = json.loads(content)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else 1
        raise BaselineError(f"{file}:{line}: is no JSON, so no results file; write one with --sf-json") from None
    if not isinstance(said, dict) or "results" not in said:
        raise BaselineError(f"{file}:1: is no results file; write one with --sf-json")
    if said.get("schema") != SCHEMA:
        raise BaselineError(f"{file}:1: is a results file of another format; write a new one with --sf-json")
    try:
        return _baseline(said, file)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise BaselineError(f"{file}:1: is no results file that this tool has written; write one anew") from None


def _baseline(said: Any, file: str) -> Baseline:
    catalogue = said["catalogue"]
    read = {org["name"]: (_org(org), _day(org["taken_at"])) for org in said["orgs"]}
    if len(read) < len(said["orgs"]):
        raise BaselineError(f"{file}:1: has several orgs of one name, so its findings cannot be told apart")
    findings = {}
    for row in said["results"]:
        if row["verdict"] in FAILING:
            org, day = read[row["org"]]
            key = Key(org, _name(row["kind"]), _name(row["app"]), str(row["control"]))
            findings[key] = Earlier(row["verdict"], _day(row["since"]) if "since" in row else day)
    rules = {str(control): str(rule) for control, rule in catalogue["rules"].items()}
    # Files of catalogue 2026.11 count what was to be checked under another name.
    total = said["checks"]["total"] if "checks" in said else said.get("cases", len(said["results"]))
    missing = int(total) - len(said["results"])
    return Baseline(file, {key: str(name) for name, (key, _) in read.items()}, rules, findings, missing)


def _org(org: Any) -> str:
    return org_key(_name(org["org_id"]), str(org["name"]))


def _name(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError


def _day(text: Any) -> date:
    return datetime.fromisoformat(text).date()
