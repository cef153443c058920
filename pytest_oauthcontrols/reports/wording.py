"""Findings in words, for people.

Whatever comes from an org is untrusted: characters that a terminal would act upon are spelled out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_oauthcontrols.decisions.gate import Judgement
from pytest_oauthcontrols.decisions.run import Result
from pytest_oauthcontrols.orgs.model import Absent, Org, Seen, Setting, Unreadable
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.finding import Finding, shown_value
from pytest_oauthcontrols.rules.risk import in_context, seen
from pytest_oauthcontrols.text import plain

_WIDTH = 78
_INDENT = " " * 13
_SETTINGS = 5


def origin(org: Org) -> str:
    """Return what an org was read from, in words."""
    if org.source == "demo":
        return "the sample org"
    if org.source == "snapshot" and org.snapshot is not None:
        return plain(f"snapshot {org.snapshot.file} of {org.location}")
    return plain(f"{org.source} {org.location}")


def title(result: Result) -> str:
    """Return a finding in one line."""
    finding, judgement = result.finding, result.judgement
    text = finding.message
    if finding.verdict is Verdict.FAIL:
        text = f"{finding.control.severity.value} {finding.control.cvss_range}: {text}"
    if judgement.waiver is not None and judgement.expired:
        text = f"{text} (The waiver by {judgement.waiver.owner} expired on {judgement.waiver.scope.expires}.)"
    return plain(text)


def describe(setting: Setting) -> str:
    """Return what was seen of a setting, in words."""
    if isinstance(setting, Seen):
        return plain(f"{setting.name} = {setting.shown or shown_value(setting.value)}")
    if isinstance(setting, Absent):
        return plain(
            f"{setting.name} is absent"
            + ("" if setting.default is None else f"; documented default: {shown_value(setting.default)}")
        )
    return plain(f"{setting.name} could not be read: {setting.reason}")


def where(setting: Setting) -> str:
    """Return the file and line, or the API, that showed a setting; empty where nothing did."""
    if isinstance(setting, Unreadable):
        return ""
    return plain(setting.source if setting.line is None else f"{setting.source}:{setting.line}")


def explain(result: Result) -> str:
    """Return a finding as an administrator needs it: what is wrong, where, what is recommended, how to fix it."""
    finding = result.finding
    control, app = finding.control, finding.app
    lines = [title(result), ""]
    lines += _row("control", f"{control.id}: {control.name}")
    lines += _row("stated at", control.origin)
    lines += _row("severity", f"{control.severity.value}, CVSS {control.cvss_range} ({control.basis})")
    lines += _row("overridden", control.overridden)
    if finding.failing:
        lines += _row("threat", control.threat_line)
        for deadline in control.deadlines:
            lines += _row("deadline", f"{deadline.date}: {deadline.what}")
    if app is not None:
        lines += _row("app", f"{app.label} ({app.name}, {app.kind.replace('_', ' ')})")
    lines += _row("org", f"{finding.org.name}, {origin(finding.org)}")
    if finding.failing:
        lines += _decided(result.judgement)
    lines += _evidence(finding)
    if finding.failing:
        lines += _risk(finding)
    for number, contradiction in enumerate(finding.contradictions):
        lines += _row("" if number else "pages differ", contradiction)
    lines += _row("recommended", control.recommended)
    if finding.failing:
        lines += _row("to mend", control.remediation)
        lines += _row("may break", control.may_break)
    lines += _row("source", control.source)
    if control.page:
        lines.append(f"{'page':<13}{control.page}")
    return "\n".join(lines)


def _risk(finding: Finding) -> Iterator[str]:
    """Yield what the finding scores in its context, and why."""
    risk = in_context(finding)
    if not (risk.raised_by or risk.lowered_by or risk.unseen):
        return
    yield from _row("in context", f"{risk.severity.value}, {risk.score}")
    for verb, conditions in (("raised", risk.raised_by), ("lowered", risk.lowered_by)):
        for condition in conditions:
            yield from _row("", f"{verb}: {condition.established}")
            settings = list(seen(finding, condition))
            for setting in settings[:_SETTINGS]:
                yield from _wrapped(describe(setting), f"{_INDENT}  ", f"{_INDENT}    ")
            if len(settings) > _SETTINGS:
                yield f"{_INDENT}  and {len(settings) - _SETTINGS} more"
    for condition in risk.unseen:
        yield from _row("", f"not seen: {condition.with_factors}")


def _decided(judgement: Judgement) -> Iterator[str]:
    """Yield what was decided of a finding, and since when it is known."""
    waiver = judgement.waiver
    if waiver is not None:
        expired = f"expired on {waiver.scope.expires}: " if judgement.expired else ""
        yield from _row("waiver", f"{expired}{waiver}")
        yield f"{_INDENT}at {plain(waiver.scope.where)}"
    if judgement.change is not None:
        yield from _row("baseline", f"{judgement.change.value}, since {judgement.since}")


def _row(name: str, text: str) -> list[str]:
    """Return the lines of a row; none where there is nothing to say."""
    return _wrapped(plain(text), f"{name:<13}", _INDENT)


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _evidence(finding: Finding) -> Iterator[str]:
    name = "seen"
    for setting in finding.evidence:
        yield from _row(name, describe(setting))
        if where(setting):
            yield f"{_INDENT}at {where(setting)}"
        name = ""
