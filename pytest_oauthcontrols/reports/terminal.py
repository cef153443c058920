"""What was read and found, in words: a line before the run, and a summary after it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from importlib.metadata import version
from operator import attrgetter
from typing import TypeVar

from pytest_oauthcontrols.decisions.assessment import Assessment
from pytest_oauthcontrols.decisions.baseline import Change
from pytest_oauthcontrols.decisions.comparison import gone, known_as
from pytest_oauthcontrols.decisions.gate import NotBlocking
from pytest_oauthcontrols.decisions.run import Run
from pytest_oauthcontrols.decisions.stale import notices
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.reports.results import DISTRIBUTION
from pytest_oauthcontrols.reports.wording import origin
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.text import plain

_WORST_APPS = 5
_NOTES = 3
_REASONS = 5
_DIFFERENCES = 10
_HANGING = " " * 4
_ELSEWHERE = "all of them in the results file (--sf-json)"

_SEVERITIES = {Severity.CRITICAL: "red", Severity.HIGH: "yellow", Severity.MEDIUM: "", Severity.LOW: ""}
_VERDICTS = {Verdict.FAIL: "red", Verdict.UNVERIFIABLE: "yellow"}


class Line(str):
    """A line for people: words, of which some may have a colour that says no more than they do."""

    __slots__ = ("colours",)

    colours: tuple[tuple[int, int, str], ...]
    """Start and end of each stretch that has a colour, and pytest's name of the colour."""

    def __new__(  # noqa: PYI034  (Python has no Self before 3.11)
        cls, text: str, colours: Iterable[tuple[int, int, str]] = ()
    ) -> Line:
        """Make a line of a text and its coloured stretches."""
        line = super().__new__(cls, text)
        line.colours = tuple(colours)
        return line

    def wrapped(self, width: int) -> Iterator[Line]:
        """Yield it as lines that are no wider than a terminal; a path or a digest stays in one piece."""
        indent = " " * (len(self) - len(self.lstrip(" ")))
        place = 0
        for text in textwrap.wrap(
            self,
            width,
            subsequent_indent=f"{indent}{_HANGING}",
            break_long_words=False,
            break_on_hyphens=False,
        ):
            # What is added before a line, or left out at the end of the one before, moves what has a colour.
            added = len(indent) + len(_HANGING) if place else 0
            place = self.index(text[added:], place)
            moved = added - place
            yield Line(
                text,
                (
                    (max(start + moved, added), min(end + moved, len(text)), colour)
                    for start, end, colour in self.colours
                    if end + moved > added and start + moved < len(text)
                ),
            )
            place += len(text) - added

    def stretches(self) -> Iterator[tuple[str, str]]:
        """Yield its pieces, each with its colour; empty where it has none."""
        place = 0
        for start, end, colour in self.colours:
            yield self[place:start], ""
            yield self[start:end], colour
            place = end
        yield self[place:], ""


def _line(*parts: str | tuple[str, str]) -> Line:
    """Return a line of pieces, of which some have a colour."""
    text, colours = "", []
    for part in parts:
        said, colour = (part, "") if isinstance(part, str) else part
        if colour:
            colours.append((len(text), len(text) + len(said), colour))
        text += said
    return Line(text, tuple(colours))


def _listed(parts: Iterable[str | tuple[str, str]]) -> Iterator[str | tuple[str, str]]:
    """Yield pieces with commas between them."""
    for number, part in enumerate(parts):
        if number:
            yield ", "
        yield part


def tool(assessment: Assessment) -> str:
    """Return what assesses: versions of tool and catalogue."""
    catalogue = assessment.catalogue
    controls = f"{len(catalogue.controls)} controls, sha256 {catalogue.sha256[:12]}"
    return f"{version(DISTRIBUTION)}, catalogue {catalogue.version} ({controls})"


def reading(org: Org) -> str:
    """Return what was read, when, by whom and from what."""
    if not org.readable:
        return plain(f"{org.name}: could not be read")
    when = f"{org.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    by = "" if org.user is None else plain(f" by {org.user}")
    api = None if org.api_version is None else f"API {org.api_version}"
    known = ", ".join(filter(None, (org.environment, api, f"sha256 {org.sha256[:12]}")))
    return f"{plain(org.name)}: {_apps(org)}, read {when}{by} from {origin(org)} ({known})"


def _apps(org: Org) -> str:
    """Return how many apps of which kind an org has."""
    if not org.apps:
        return "0 apps"
    connected = sum(app.kind == CONNECTED_APP for app in org.apps)
    return f"{_count(len(org.apps), 'app')} ({connected} connected, {len(org.apps) - connected} external client)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def summary(assessment: Assessment, run: Run) -> Iterator[Line]:
    """Yield what a reader needs to know in ten seconds."""
    yield from coverage(run)
    yield from tailored(assessment)
    for org in assessment.orgs:
        yield from _org(org, run)
    failing = [result.finding for result in run.findings]
    if failing:
        yield _line("failing: ", *_severities(Counter(finding.control.severity for finding in failing)))
        yield from gate(assessment, run)
        if len(assessment.orgs) > 1:
            yield from _table(assessment, failing)
        yield from _worst(assessment, failing)
        yield from _deadlines(run)
    yield from _differences(run)
    yield from _drift(assessment, run)
    yield from reviewed(assessment, run)


def _deadlines(run: Run) -> Iterator[Line]:
    """Yield how many findings each date concerns that Salesforce has announced, the next date first."""
    dates = Counter(
        (deadline.date, deadline.what) for result in run.findings for deadline in result.check.control.deadlines
    )
    if dates:
        yield Line("deadlines:")
    for (day, what), number in sorted(dates.items()):
        yield Line(plain(f"  {day}: {_count(number, 'finding')}: {what}"))


def coverage(run: Run) -> Iterator[Line]:
    """Yield how many checks have a result and why the others have none, and which of them were made more than once."""
    if not run.complete:
        colour = "yellow" if run.results else "red"
        why = f" (the run ended early: {run.cut_short})" if run.cut_short is not None else ""
        yield _line(
            ("partial", colour), plain(f": {len(run.results)} of {_count(run.total, 'check')} have a result{why}")
        )
        for reason, number in run.reasons[:_REASONS]:
            yield Line(plain(f"  {number} {reason}"))
        if len(run.reasons) > _REASONS:
            yield Line(f"  and {_count(len(run.reasons) - _REASONS, 'reason')} more, {_ELSEWHERE}")
    repeated = sum(result.runs > 1 for result in run.results)
    if repeated:
        yield Line(f"repeated: {_count(repeated, 'check')} ran more than once; the worst run of each counts")


def tailored(assessment: Assessment) -> Iterator[Line]:
    """Yield what the run leaves out of the catalogue, and what it says otherwise than the published pages."""
    catalogue = assessment.catalogue
    if catalogue.left_out:
        yield Line(f"left out: {len(catalogue.left_out)} of {_count(len(catalogue.controls), 'control')}")
    for why, number in Counter(catalogue.left_out.values()).items():
        yield Line(plain(f"  {number} {why}"))
    for asked, by in catalogue.unmatched:
        yield Line(plain(f"{by}: '{asked}' matches no control of this run"))
    for control in catalogue.controls:
        if control.overridden:
            yield Line(plain(f"overridden: {control.id}: {control.overridden}"))


def _org(org: Org, run: Run) -> Iterator[Line]:
    """Yield what was read of an org, and how many of its checks have which verdict."""
    if not org.readable:
        yield _line(plain(f"{org.name}: "), ("could not be read", "red"), ", so nothing of it was assessed")
        return
    verdicts = Counter(result.finding.verdict for result in run.results if result.check.org is org)
    checked = verdicts.total()
    total = checked + sum(gap.check.org is org for gap in run.without_result)
    of = f"{checked} of {_count(total, 'check')}" if checked < total else _count(total, "check")
    yield Line(plain(f"{org.name}: {_apps(org)}, {of}"))
    if not org.apps:
        yield Line("  0 apps were found: nothing but the org's own settings was assessed")
    counts = (
        _counted(verdicts[verdict], verdict.value.replace("_", " "), _VERDICTS.get(verdict, "")) for verdict in Verdict
    )
    if checked:
        yield _line("  ", *_listed(counts))
    if org.api_calls:
        yield Line(f"  read with {_count(org.api_calls, 'API call')}")
    if org.snapshot is not None:
        yield Line(plain(f"  snapshot: {org.snapshot.file}"))
        yield Line(f"    sha256 {org.snapshot.sha256}")
    for problem in org.problems:
        yield _line("  ", ("not read", "red"), plain(f": {problem}"))
    for note in org.notes[:_NOTES]:
        yield Line(plain(f"  note: {note}"))
    if len(org.notes) > _NOTES:
        yield Line(f"  and {_count(len(org.notes) - _NOTES, 'note')} more, {_ELSEWHERE}")


def _severities(counts: Counter[Severity]) -> Iterator[str | tuple[str, str]]:
    """Yield how many there are of each severity, where there are any."""
    yield from _listed(
        _counted(counts[severity], severity.value, _SEVERITIES[severity]) for severity in Severity if counts[severity]
    )


def _counted(number: int, word: str, colour: str) -> tuple[str, str]:
    """Return a count with its word, in colour where there is anything to count."""
    return f"{number} {word}", colour if number else ""


def gate(assessment: Assessment, run: Run) -> Iterator[Line]:
    """Yield how many findings fail the run and why the others do not, where there is anything to say of it."""
    decisions = assessment.decisions
    reasons = Counter(result.judgement.not_blocking for result in run.findings)
    blocking = reasons.pop(None, 0)
    if run.findings and (reasons or decisions.fail_on is not Severity.LOW or decisions.in_context):
        yield _line(
            f"gate: {decisions.gate}: ",
            _counted(blocking, f"of {len(run.findings)} fail the run", "red"),
            *(f", {reasons[why]} {why.value}" for why in NotBlocking if reasons[why]),
        )


def _drift(assessment: Assessment, run: Run) -> Iterator[Line]:
    """Yield what has changed since the baseline."""
    baseline = assessment.decisions.baseline
    if baseline is None:
        return
    changes = Counter(result.judgement.change for result in run.findings)
    became = gone(assessment, [result.finding for result in run.results])
    changes.update(one.change for one in became)
    counts = (_counted(changes[change], change.value, "red" if change is Change.NEW else "") for change in Change)
    yield _line(plain(f"since {baseline.file}: "), *_listed(counts))
    for org in assessment.orgs:
        if known_as(org, baseline) is None:
            yield Line(plain(f"  {org.name} is not in it, so that everything that fails there is new"))
    if baseline.missing:
        yield Line(
            f"  it is incomplete: {_count(baseline.missing, 'check')} did not run then, so their findings count as new"
        )
    lines = []
    for one in became:
        of = f" of {one.key.app}" if one.key.app is not None else ""
        what = "fixed" if one.change is Change.FIXED else f"{one.change.value}, {one.why}"
        lines.append(Line(plain(f"  {one.key.control}{of}: {what} (found {one.since})")))
    yield from _first(lines)


def _first(lines: list[Line]) -> Iterator[Line]:
    """Yield the first of many lines, a control each, and how many more there are."""
    yield from lines[:_DIFFERENCES]
    if len(lines) > _DIFFERENCES:
        yield Line(f"  and {_count(len(lines) - _DIFFERENCES, 'control')} more, {_ELSEWHERE}")


def reviewed(assessment: Assessment, run: Run) -> Iterator[Line]:
    """Yield who vouched for what, and the waivers and attestations that their owners should look at."""
    attested = sum(
        result.finding.verdict is Verdict.PASS and result.judgement.attestation is not None for result in run.results
    )
    if attested:
        yield Line(f"attested: {attested} of those that pass do so on somebody's word")
    if assessment.decisions.ignore_waivers:
        yield Line(f"waivers: {len(assessment.decisions.waivers)} ignored (--sf-no-waivers)")
    noticed = list(notices(assessment, run))
    if noticed:
        yield Line("to review:")
    for notice in noticed:
        about = notice.about
        of = "" if about.scope.app is None else f" of {about.scope.app}"
        expired = notice.says.startswith("expired")
        yield _line(
            plain(f"  {about.about}{of}: the {notice.what} by {notice.by} "),
            (plain(notice.says), "red" if expired else ""),
        )
        yield Line(plain(f"    {about.scope.where}"))


def _table(assessment: Assessment, failing: list[Finding]) -> Iterator[Line]:
    """Yield how many cases of each severity fail in each org."""
    names = [plain(org.name) for org in assessment.orgs]
    width = max(len(name) for name in ("failing in", *names))
    yield Line(f"  {'failing in':<{width}}" + "".join(f"{severity.value:>10}" for severity in Severity))
    for org, name in zip(assessment.orgs, names, strict=True):
        counts = Counter(finding.control.severity for finding in failing if finding.org is org)
        numbers = (
            part
            for severity in Severity
            for number in [str(counts[severity])]
            for part in (" " * (10 - len(number)), (number, _SEVERITIES[severity] if counts[severity] else ""))
        )
        yield _line(f"  {name:<{width}}", *numbers)


_Subject = TypeVar("_Subject", bound=Hashable)
_Place = TypeVar("_Place")


def worst_first(
    failing: Iterable[tuple[_Subject, Severity]], name: Callable[[_Subject], str]
) -> list[tuple[_Subject, Counter[Severity]]]:
    """Return apps, each with how many of its findings have which severity: the most of the worst first."""
    counts: dict[_Subject, Counter[Severity]] = {}
    for app, severity in failing:
        counts.setdefault(app, Counter())[severity] += 1
    return sorted(counts.items(), key=lambda one: ([-one[1][severity] for severity in Severity], name(one[0])))


def differing(
    found: Iterable[tuple[tuple[str, str, str], Verdict, _Place]],
) -> Iterator[tuple[tuple[str, str, str], list[_Place], list[_Place]]]:
    """Yield where one app passes a control in one org and fails it in another: in which it passes, in which it fails.

    An app is the same by kind and full name; both are empty for the org itself.
    """
    same: dict[tuple[str, str, str], dict[Verdict, list[_Place]]] = {}
    for key, verdict, place in found:
        same.setdefault(key, {}).setdefault(verdict, []).append(place)
    for key, verdicts in same.items():
        if Verdict.PASS in verdicts and Verdict.FAIL in verdicts:
            yield key, verdicts[Verdict.PASS], verdicts[Verdict.FAIL]


def _differences(run: Run) -> Iterator[Line]:
    """Yield which controls one app passes in one org and fails in another."""
    lines = []
    findings = [result.finding for result in run.results]
    for (_, _, control), passing, failing in differing(
        (_same(finding), finding.verdict, finding) for finding in findings
    ):
        orgs = (", ".join(finding.org.name for finding in some) for some in (passing, failing))
        app = failing[0].app
        lines.append(
            Line(plain(f"  {control}{f' of {app.label}' if app else ''}: passes in {', fails in '.join(orgs)}"))
        )
    if lines:
        yield Line("orgs differ:")
    yield from _first(lines)


def _same(finding: Finding) -> tuple[str, str, str]:
    kind, name = ("", "") if finding.app is None else (finding.app.kind, finding.app.name)
    return kind, name, finding.control.id


def _worst(assessment: Assessment, failing: list[Finding]) -> Iterator[Line]:
    """Yield the apps that are configured worst."""
    of_apps = ((finding.app, finding.control.severity) for finding in failing if finding.app is not None)
    worst = worst_first(of_apps, attrgetter("name"))[:_WORST_APPS]
    if worst:
        yield Line("worst apps:")
    for app, counts in worst:
        called = f"{app.label} ({app.org.name})" if len(assessment.orgs) > 1 else app.label
        yield _line(plain(f"  {called}: "), *_severities(counts))
