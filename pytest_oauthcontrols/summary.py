"""What was read and found, in words: a line before the run, and a summary after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.metadata import version

from pytest_oauthcontrols.acceptance import Accepted, acceptance
from pytest_oauthcontrols.assessment import Assessment
from pytest_oauthcontrols.baseline import Change
from pytest_oauthcontrols.catalogue import Verdict
from pytest_oauthcontrols.cvss import Severity
from pytest_oauthcontrols.drift import change_of, gone, known_as
from pytest_oauthcontrols.evaluation import Finding
from pytest_oauthcontrols.messages import origin, plain
from pytest_oauthcontrols.model import CONNECTED_APP, App, Org
from pytest_oauthcontrols.reports.results import DISTRIBUTION
from pytest_oauthcontrols.review import notices

_WORST_APPS = 5
_NOTES = 3
_DIFFERENCES = 10


def tool(assessment: Assessment) -> str:
    """Return what assesses: versions of tool and catalogue."""
    catalogue = assessment.catalogue
    controls = f"{len(catalogue.controls)} controls, sha256 {catalogue.sha256[:12]}"
    return f"{version(DISTRIBUTION)}, catalogue {catalogue.version} ({controls})"


def reading(org: Org) -> str:
    """Return what was read, when and from what."""
    if not org.readable:
        return plain(f"{org.name}: could not be read")
    when = f"{org.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    api = "" if org.api_version is None else f"API {org.api_version}, "
    digest = f"{api}sha256 {org.sha256[:12]}"
    return f"{plain(org.name)}: {apps_in_words(org)}, read {when} from {origin(org)} ({digest})"


def apps_in_words(org: Org) -> str:
    """Return how many apps of which kind an org has."""
    connected = sum(app.kind == CONNECTED_APP for app in org.apps)
    external = len(org.apps) - connected
    return (
        f"{_count(len(org.apps), 'app')} ({connected} connected, {external} external client)" if org.apps else "0 apps"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def summary(assessment: Assessment, findings: Iterable[Finding]) -> Iterable[str]:
    """Return what a reader needs to know in ten seconds; a line each."""
    found = list(findings)
    for org in assessment.orgs:
        verdicts = Counter(finding.verdict for finding in found if finding.org is org)
        if not org.readable:
            yield plain(f"{org.name}: could not be read, so nothing of it was assessed")
            continue
        yield plain(f"{org.name}: {apps_in_words(org)}, {_count(sum(verdicts.values()), 'case')}")
        if not org.apps:
            yield "  0 apps were found: nothing but the org's own settings was assessed"
        yield "  " + ", ".join(f"{verdicts[verdict]} {verdict.value.replace('_', ' ')}" for verdict in Verdict)
        if org.api_calls:
            yield f"  read with {_count(org.api_calls, 'API call')}"
        if org.snapshot is not None:
            yield plain(f"  snapshot: {org.snapshot.file}")
            yield f"    sha256 {org.snapshot.sha256}"
        for problem in org.problems:
            yield plain(f"  not read: {problem}")
        for note in org.notes[:_NOTES]:
            yield plain(f"  note: {note}")
        if len(org.notes) > _NOTES:
            yield f"  and {_count(len(org.notes) - _NOTES, 'note')} more, all of them in the results file (--sf-json)"
    failing = [finding for finding in found if finding.failing]
    by_severity = Counter(finding.control.severity for finding in failing)
    if failing:
        yield "failing: " + ", ".join(
            f"{by_severity[severity]} {severity.value}" for severity in Severity if by_severity[severity]
        )
        yield from _gate(assessment, failing)
        if len(assessment.orgs) > 1:
            yield from _table(assessment, failing)
        yield from _worst(assessment, failing)
    yield from _differences(assessment, found)
    yield from _drift(assessment, found)
    yield from _reviewed(assessment, found)


def _gate(assessment: Assessment, failing: list[Finding]) -> Iterator[str]:
    """Yield how many findings fail the run, and why the others do not."""
    decisions = assessment.decisions
    accepted = Counter(one.how for one in map(acceptance, failing) if one is not None)
    if accepted or decisions.fail_on is not Severity.LOW or decisions.in_context:
        yield f"gate: {decisions.gate}: " + ", ".join(
            [
                f"{len(failing) - accepted.total()} of {len(failing)} fail the run",
                *(f"{accepted[how]} {how.value}" for how in Accepted if accepted[how]),
            ]
        )


def _drift(assessment: Assessment, findings: list[Finding]) -> Iterator[str]:
    """Yield what has changed since the baseline."""
    baseline = assessment.decisions.baseline
    if baseline is None:
        return
    changes = Counter(change_of(finding) for finding in findings if finding.failing)
    became = gone(assessment, findings)
    changes.update(one.change for one in became)
    yield plain(f"since {baseline.file}: ") + ", ".join(f"{changes[change]} {change.value}" for change in Change)
    for org in assessment.orgs:
        if known_as(org, baseline) is None:
            yield plain(f"  {org.name} is not in it, so that everything that fails there is new")
    if baseline.missing:
        yield f"  it lacks {_count(baseline.missing, 'case')} that did not run: what they find counts as new"
    lines = []
    for one in became:
        of = f" of {one.key.app}" if one.key.app is not None else ""
        what = "fixed" if one.change is Change.FIXED else f"{one.change.value}, {one.why}"
        lines.append(plain(f"  {one.key.control}{of}: {what} (found {one.since})"))
    yield from lines[:_DIFFERENCES]
    if len(lines) > _DIFFERENCES:
        yield f"  and {_count(len(lines) - _DIFFERENCES, 'control')} more, all of them in the results file (--sf-json)"


def _reviewed(assessment: Assessment, findings: list[Finding]) -> Iterator[str]:
    """Yield who vouched for what, and the waivers and attestations that their owners should look at."""
    attested = sum(finding.verdict is Verdict.PASS and finding.attestation is not None for finding in findings)
    if attested:
        yield f"attested: {attested} of those that pass do so on somebody's word"
    if assessment.decisions.ignore_waivers:
        yield f"waivers: {len(assessment.decisions.waivers)} ignored (--sf-no-waivers)"
    noticed = list(notices(assessment, findings))
    if noticed:
        yield "to review:"
    for notice in noticed:
        about = notice.about
        of = "" if about.scope.app is None else f" of {about.scope.app}"
        yield plain(f"  {about.about}{of}: the {notice.what} by {notice.by} {notice.says}")
        yield plain(f"    {about.scope.where}")


def _called(org: Org, assessment: Assessment) -> str:
    """Return the name of an org, with where it was read if another is called the same."""
    alone = sum(other.name == org.name for other in assessment.orgs) == 1
    return org.name if alone else f"{org.name} ({org.location})"


def _table(assessment: Assessment, failing: list[Finding]) -> Iterator[str]:
    """Yield how many cases of each severity fail in each org."""
    rows = [("failing in", *(severity.value for severity in Severity))]
    for org in assessment.orgs:
        counts = Counter(finding.control.severity for finding in failing if finding.org is org)
        rows.append((plain(_called(org, assessment)), *(str(counts[severity]) for severity in Severity)))
    width = max(len(row[0]) for row in rows)
    for name, *numbers in rows:
        yield f"  {name:<{width}}" + "".join(f"{number:>10}" for number in numbers)


def _differences(assessment: Assessment, findings: list[Finding]) -> Iterator[str]:
    """Yield which controls one app passes in one org and fails in another; apps are the same by kind and full name."""
    same: dict[tuple[str, str, str], dict[Verdict, list[Finding]]] = {}
    for finding in findings:
        kind, name = ("", "") if finding.app is None else (finding.app.kind, finding.app.name)
        same.setdefault((kind, name, finding.control.id), {}).setdefault(finding.verdict, []).append(finding)
    lines = []
    for (_, _, control), verdicts in same.items():
        passing, failing = verdicts.get(Verdict.PASS), verdicts.get(Verdict.FAIL)
        if passing and failing:
            orgs = (", ".join(_called(finding.org, assessment) for finding in some) for some in (passing, failing))
            app = failing[0].app
            lines.append(f"  {control}{f' of {app.label}' if app else ''}: passes in {', fails in '.join(orgs)}")
    if lines:
        yield "orgs differ:"
    yield from (plain(line) for line in lines[:_DIFFERENCES])
    if len(lines) > _DIFFERENCES:
        yield f"  and {_count(len(lines) - _DIFFERENCES, 'control')} more, all of them in the results file (--sf-json)"


def _worst(assessment: Assessment, failing: list[Finding]) -> Iterable[str]:
    counts: dict[App, Counter[Severity]] = {}
    for finding in failing:
        if finding.app is not None:
            counts.setdefault(finding.app, Counter())[finding.control.severity] += 1
    worst = sorted(counts, key=lambda app: ([-counts[app][severity] for severity in Severity], app.name))[:_WORST_APPS]
    if worst:
        yield "worst apps:"
    for app in worst:
        numbers = ", ".join(
            f"{counts[app][severity]} {severity.value}" for severity in Severity if counts[app][severity]
        )
        name = f"{app.label} ({_called(app.org, assessment)})" if len(assessment.orgs) > 1 else app.label
        yield plain(f"  {name}: {numbers}")
