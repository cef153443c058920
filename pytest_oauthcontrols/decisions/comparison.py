"""What has become of the baseline's findings: fixed, or no longer comparable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date
from typing import NamedTuple

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.baseline import Baseline, Change, Key, key_of, org_key
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.finding import Finding


def check_distinct(assessment: Assessment) -> Iterator[str]:
    """Yield an error for orgs of the run that are one org to the baseline."""
    baseline = assessment.decisions.baseline
    keys = [org_key(org.org_id, org.name) for org in assessment.orgs]
    for key, number in Counter(keys).items():
        if baseline is not None and number > 1:
            yield (
                f"{baseline.file}: {number} of the orgs that were given have the id '{key}', and a baseline cannot tell"
                " them apart; assess them one by one"
            )


class Gone(NamedTuple):
    """A finding of the baseline that this run does not have."""

    key: Key
    since: date
    change: Change
    """Fixed, or not comparable."""
    why: str
    """What became of it."""


def gone(assessment: Assessment, findings: Iterable[Finding]) -> tuple[Gone, ...]:
    """Return what became of the baseline's findings that this run does not have, in the orgs and checks that ran."""
    baseline = assessment.decisions.baseline
    if baseline is None:
        return ()
    by_key = {key_of(finding): finding for finding in findings}
    checks = {key_of(check) for check in assessment.checks}
    orgs = {known_as(org, baseline): org for org in assessment.orgs}
    return tuple(
        Gone(key, earlier.since, *became)
        for key, earlier in baseline.findings.items()
        if key.org in orgs and (key in by_key or key not in checks)
        for became in _became(key, by_key.get(key), orgs[key.org], assessment)
    )


def known_as(org: Org, baseline: Baseline) -> str | None:
    """Return what the baseline knows an org by, or None; of an org that cannot be read, the name decides."""
    key = org_key(org.org_id, org.name)
    if org.readable:
        return key if key in baseline.orgs else None
    return next((known for known, name in baseline.orgs.items() if name == org.name), None)


def _became(key: Key, finding: Finding | None, org: Org, assessment: Assessment) -> Iterator[tuple[Change, str]]:
    """Yield what became of a finding of the baseline; nothing where it is still a finding."""
    baseline = assessment.decisions.baseline
    assert baseline is not None
    if finding is None:
        yield Change.NOT_COMPARABLE, _why_missing(key, org, assessment.catalogue)
    elif finding.failing:
        return
    elif baseline.decided_otherwise(key.control, finding.control.rule_sha256):
        yield Change.NOT_COMPARABLE, "its rule has changed"
    elif finding.verdict is Verdict.MANUAL or finding.attestation is not None:
        yield Change.NOT_COMPARABLE, "it can no longer be read"
    else:
        yield Change.FIXED, finding.verdict.value.replace("_", " ")


def _why_missing(key: Key, org: Org, catalogue: Catalogue) -> str:
    if key.control in catalogue.left_out:
        return f"the control was left out {catalogue.left_out[key.control]}"
    if not org.readable:
        return "the org could not be read"
    app = next((app for app in org.apps if (app.kind, app.name) == (key.kind, key.app)), None)
    if key.app is not None and app is None:
        return "the app is gone"
    if app is not None and not app.readable:
        return "the app could not be read"
    return "there is no such check any more" if key.control in catalogue.rules else "no such control was in the run"
