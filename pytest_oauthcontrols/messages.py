"""Findings in words, for people.

Whatever comes from an org is untrusted: characters that a terminal would act upon are spelled out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pytest_oauthcontrols.catalogue import Verdict
from pytest_oauthcontrols.evaluation import Finding, shown_value
from pytest_oauthcontrols.model import Absent, Org, Seen, Setting

_WIDTH = 78
_INDENT = " " * 13


def plain(text: str) -> str:
    """Return the text with every character spelled out that could move a cursor or reverse a line."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def origin(org: Org) -> str:
    """Return what an org was read from, in words."""
    if org.source == "demo":
        return "the sample org"
    if org.source == "snapshot" and org.snapshot is not None:
        return plain(f"snapshot {org.snapshot.file} of {org.location}")
    return plain(f"{org.source} {org.location}")


def title(finding: Finding) -> str:
    """Return the finding in one line."""
    if finding.verdict is Verdict.FAIL:
        return plain(f"{finding.control.severity.value} {finding.control.cvss_range}: {finding.message}")
    return plain(finding.message)


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
    if isinstance(setting, Seen):
        return plain(setting.source if setting.line is None else f"{setting.source}:{setting.line}")
    return plain(setting.source) if isinstance(setting, Absent) else ""


def explain(finding: Finding) -> str:
    """Return the finding as an administrator needs it: what is wrong, where, what is recommended, how to mend it."""
    control, app = finding.control, finding.app
    lines = [title(finding), ""]
    lines += _row("control", f"{control.id}: {control.name}")
    lines += _row("severity", f"{control.severity.value}, CVSS {control.cvss_range} ({control.basis})")
    if app is not None:
        lines += _row("app", f"{app.label} ({app.name}, {app.kind.replace('_', ' ')})")
    lines += _row("org", f"{finding.org.name}, {origin(finding.org)}")
    lines += _evidence(finding)
    lines += _row("recommended", control.recommended)
    if finding.verdict in (Verdict.FAIL, Verdict.UNVERIFIABLE):
        lines += _row("to mend", control.remediation)
        lines += _row("may break", control.may_break)
    if control.page:
        lines.append(f"{'page':<13}{control.page}")
    return "\n".join(lines)


def _row(name: str, text: str) -> list[str]:
    return textwrap.wrap(
        plain(text),
        _WIDTH,
        initial_indent=f"{name:<13}",
        subsequent_indent=_INDENT,
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
