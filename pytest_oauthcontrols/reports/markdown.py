"""A summary as Markdown, for the pages of CI systems and for chats.

Whatever comes from an org is untrusted. It stays text: it makes no link, image, element, code or row of a table, and
nobody is mentioned by it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from pytest_oauthcontrols.decisions.baseline import Change
from pytest_oauthcontrols.decisions.gate import NotBlocking
from pytest_oauthcontrols.reports.results import (
    Document,
    OrgInfo,
    by_score,
    context_of,
    findings_of,
    is_complete,
)
from pytest_oauthcontrols.reports.terminal import differing, worst_first
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Verdict
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.text import plain

_FINDINGS = 20
_APPS = 10
_ORGS = 50
_LISTED = 20
_LONGEST = 400
"""Characters of a text that are shown."""
_LIMIT = 1_000_000
"""GitHub takes a summary of 1 MiB, and refuses a longer one as a whole."""

_BREAK = "\N{ZERO WIDTH SPACE}"
_ESCAPES = str.maketrans(
    {
        # As character references these are never markup, whatever stands before them.
        **{char: f"&#{ord(char)};" for char in "\\|`[]"},
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        **{char: f"\\{char}" for char in "*_~#$!"},
    }
)
_LINKED = re.compile(r"(?<=@)|(?<=:)(?=//|[\w+-]+:)|(?<=#)(?=\d)|(?i:(?<=www)(?=\.)|(?<=(?<![a-z])gh-)(?=\d))")
"""Where a text is taken for an address, a mention, an emoji or an issue, which no escape keeps GitHub from."""


def text(said: object) -> str:
    """Return a text from anywhere as Markdown that shows it, and does nothing else."""
    shown = plain(str(said))
    if len(shown) > _LONGEST:
        shown = f"{shown[:_LONGEST]}..."
    # Last, as a character reference ends like what is looked for.
    return _LINKED.sub(_BREAK, shown).translate(_ESCAPES)


def encode(document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of the file."""
    blocks = [
        *_headline(document),
        *_run(document),
        *_orgs(document),
        *_counts(document),
        *_worst(document),
        *_top(document, catalogue),
        *_deadlines(document),
        *_differences(document),
        *_changes(document),
        *_review(document),
    ]
    content = b""
    for block in blocks:
        more = f"{block}\n\n".encode()
        if len(content) + len(more) > _LIMIT:
            return content + b"The rest is too long for a summary; all of it is in the results file (--sf-json).\n"
        content += more
    return content[:-1]


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table; of cells that are not text the caller has seen to the markup."""
    names = list(header)
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _list(items: list[str], shown: int = _LISTED) -> str:
    """Return the first of many items, and how many more there are."""
    lines = [f"- {item}" for item in items[:shown]]
    if len(items) > shown:
        lines.append(f"- and {len(items) - shown} more, all of them in the results file (--sf-json)")
    return "\n".join(lines)


def _headline(document: Document) -> Iterator[str]:
    findings = findings_of(document)
    blocking = sum(row["blocking"] for row in findings)
    if findings:
        said = f"{blocking} of {len(findings)} findings fail the run"
    else:
        said = "no findings" if is_complete(document) else "incomplete, no findings among the checks that have a result"
    yield f"## OAuth controls: {said}"
    checks = document["checks"]
    counts = f"{checks['with_result']} of {checks['total']} checks have a result."
    if is_complete(document):
        yield counts
        return
    early = "" if document["cut_short"] is None else f" The run ended early: {text(document['cut_short'])}."
    yield f"**Partial: {counts}**{early}"
    if checks["without_result"]:
        yield "The others have none:"
        yield _list([f"{gap['checks']} {text(gap['reason'])}" for gap in checks["without_result"]])


def _run(document: Document) -> Iterator[str]:
    """Yield by what was assessed, and what fails the run."""
    gate, catalogue = document["gate"], document["catalogue"]
    context = " in context" if gate["severity"] == "context" else ""
    ignored = f", {len(document['waivers'])} waivers ignored (--sf-no-waivers)" if gate["waivers_ignored"] else ""
    tool = f"{document['tool']['name']} {text(document['tool']['version'])}"
    version = f"catalogue {text(catalogue['version'])} ({catalogue['controls']} controls)"
    yield f"Gate: {gate['fail_on']}{context}{ignored}. Assessed by {tool}, {version}."
    if catalogue["left_out"]:
        counts = Counter(catalogue["left_out"].values())
        yield f"{len(catalogue['left_out'])} controls are left out:"
        yield _list([f"{number} {text(why)}" for why, number in counts.items()])
    if catalogue["overridden"]:
        yield "Overridden:"
        yield _list([f"control {text(control)}: {text(says)}" for control, says in catalogue["overridden"].items()])


def _orgs(document: Document) -> Iterator[str]:
    """Yield what was read, when, from where and by whom, and the verdicts."""
    counts: dict[str, Counter[str]] = {}
    for row in document["results"]:
        counts.setdefault(row["org"], Counter())[row["verdict"]] += 1
    orgs = document["orgs"]
    yield _table(
        ("org", "apps", "read", "from", "by", *(verdict.value.replace("_", " ") for verdict in Verdict)),
        (
            (
                text(org["name"]),
                org["apps"],
                f"{org['taken_at'][:19].replace('T', ' ')} UTC",
                _origin(org),
                text(org["user"] or ""),
                *(counts.get(org["name"], Counter())[verdict.value] for verdict in Verdict),
            )
            for org in orgs[:_ORGS]
        ),
    )
    if len(orgs) > _ORGS:
        yield f"And more orgs: {len(orgs) - _ORGS}, all of them in the results file (--sf-json)."
    # Its own word first, as a name could begin like a list or a heading.
    problems = [f"org {text(org['name'])}: {text(problem)}" for org in orgs for problem in org["problems"]]
    if problems:
        yield "Not read:"
        yield _list(problems)
    attested = sum(row["verdict"] == "pass" and row["attestation"] is not None for row in document["results"])
    if attested:
        yield f"{attested} of those that pass do so on somebody's word."


def _origin(org: OrgInfo) -> str:
    """Return where an org was read, what kind of org it is, and the digest of what was read."""
    place = f"{org['source']} {text(org['location'])}"
    if org["source"] == "demo":
        place = "the sample org"
    elif org["snapshot"] is not None and org["source"] == "snapshot":
        place = f"snapshot {text(org['snapshot']['file'])} of {text(org['location'])}"
    digest = f"sha256 `{org['sha256'][:12]}`" if org["readable"] else "could not be read"
    return ", ".join(filter(None, (place, org["environment"], digest)))


def _counts(document: Document) -> Iterator[str]:
    """Yield how many findings of each severity fail the run, and how many are accepted."""
    findings = findings_of(document)
    if not findings:
        return
    counts = Counter((row["severity"], row["not_blocking"]) for row in findings)
    reasons = [why.value for why in NotBlocking if why is not NotBlocking.XFAILED]
    if any(row["not_blocking"] == NotBlocking.XFAILED.value for row in findings):
        reasons.append(NotBlocking.XFAILED.value)
    yield "### Findings"
    yield _table(
        ("severity", "fail the run", *reasons),
        ((severity.value, *(counts[severity.value, why] for why in (None, *reasons))) for severity in Severity),
    )


def _worst(document: Document) -> Iterator[str]:
    """Yield the apps that are configured worst."""
    findings = [row for row in findings_of(document) if row["app"] is not None]
    rows = {(row["org"], row["kind"], row["app"]): row for row in findings}
    of_apps = (((row["org"], row["kind"], row["app"]), Severity(row["severity"])) for row in findings)
    worst = worst_first(of_apps, lambda app: str(app[2]))
    if not worst:
        return
    yield "### Worst apps"
    several = len(document["orgs"]) > 1
    yield _table(
        ("app", *(("org",) if several else ()), *(severity.value for severity in Severity)),
        (
            (
                text(rows[app]["label"]),
                *((text(app[0]),) if several else ()),
                *(counts[severity] for severity in Severity),
            )
            for app, counts in worst[:_APPS]
        ),
    )
    if len(worst) > _APPS:
        yield f"And more apps: {len(worst) - _APPS}."


def _top(document: Document, catalogue: Catalogue) -> Iterator[str]:
    """Yield the findings with the highest scores, those that fail the run first."""
    findings = findings_of(document)
    if not findings:
        return
    pages = {control.id: control.page for control in catalogue.controls}
    findings.sort(key=lambda row: (not row["blocking"], *by_score(row)))
    several = len(document["orgs"]) > 1
    yield "### Top findings"
    yield _table(
        ("score in context", "published severity", "app", *(("org",) if several else ()), "control", "finding"),
        (
            (
                context_of(row)["score"],
                row["severity"],
                "the org itself" if row["app"] is None else text(row["label"]),
                *((text(row["org"]),) if several else ()),
                _linked(row["control"], pages.get(row["control"], "")),
                text(row["message"]) + ("" if row["not_blocking"] is None else f" ({row['not_blocking']})"),
            )
            for row in findings[:_FINDINGS]
        ),
    )
    if len(findings) > _FINDINGS:
        yield f"And more findings: {len(findings) - _FINDINGS}, all of them in the results file (--sf-json)."


def _deadlines(document: Document) -> Iterator[str]:
    """Yield how many findings each date concerns that Salesforce has announced, the next date first."""
    dates = Counter((each["date"], each["what"]) for row in findings_of(document) for each in row["deadlines"])
    if dates:
        yield "### Deadlines"
        yield _list([f"{day}: findings: {number}. {text(what)}" for (day, what), number in sorted(dates.items())])


def _linked(name: str, page: str) -> str:
    return f"[{text(name)}]({quote(page, safe=':/?=&;.-_~%')})" if page else text(name)


def _differences(document: Document) -> Iterator[str]:
    """Yield which controls one app passes in one org and fails in another."""
    rows = document["results"]
    found = (
        ((row["kind"] or "", row["app"] or "", row["control"]), Verdict(row["verdict"]), row["org"]) for row in rows
    )
    items = [
        f"{text(control)}{f' of {text(app)}' if app else ''}:"
        f" passes in {text(', '.join(passing))}, fails in {text(', '.join(failing))}"
        for (_, app, control), passing, failing in differing(found)
    ]
    if items:
        yield "### Orgs differ"
        yield _list(items)


def _changes(document: Document) -> Iterator[str]:
    """Yield what has changed since the baseline."""
    baseline = document["baseline"]
    if baseline is None:
        return
    changed = [
        *((row["change"], row["control"], row["app"], None) for row in findings_of(document)),
        *((gone["change"], gone["control"], gone["app"], gone["why"]) for gone in baseline["gone"]),
    ]
    counts = Counter(change for change, *_ in changed)
    yield f"### Since {text(baseline['file'])}"
    yield ", ".join(f"{counts[change.value]} {change.value}" for change in Change)
    for change in Change:
        items = [
            f"{change.value}: {text(control)}{f' of {text(app)}' if app else ''}"
            + (f" ({text(why)})" if why is not None else "")
            for one, control, app, why in changed
            if one == change.value and change is not Change.PERSISTING
        ]
        if items:
            yield _list(items)


def _review(document: Document) -> Iterator[str]:
    """Yield the waivers and attestations that their owners should look at."""
    items = [
        f"the {one['what']} by {text(one['by'])} for {text(one['about'])}"
        + ("" if one["app"] is None else f" of {text(one['app'])}")
        + f" {text(one['says'])} ({text(one['file'])}:{one['line']})"
        for one in document["review"]
    ]
    if items:
        yield "### To review"
        yield _list(items)
