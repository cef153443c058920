"""The auditor's page: everything that a run found, in one HTML file that asks nothing of any network.

The first screen, the decisions and the coverage are written here, so that they can be read without scripts. The rest is
made by `audit.js` from columns of numbers that point into tables, in which each text stands once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator
from datetime import datetime
from functools import cache
from importlib.resources import files
from itertools import chain
from typing import Any, Literal, NamedTuple

from jinja2 import Environment, StrictUndefined

from pytest_oauthcontrols.decisions.assessment import SUITE_ID
from pytest_oauthcontrols.decisions.baseline import Change, org_key
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG
from pytest_oauthcontrols.reports.results import (
    Context,
    Dated,
    Document,
    Evidence,
    OrgInfo,
    Review,
    Row,
    findings_of,
)
from pytest_oauthcontrols.reports.terminal import differing
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Clause, Control, Verdict
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import READABLE
from pytest_oauthcontrols.text import capitalised, plain

Data = dict[str, Any]
"""What the template or the scripts get."""

_VERDICTS = {
    "fail": "F",
    "unverifiable": "U",
    "manual": "M",
    "pass": "P",
    "not_applicable": "\N{EN DASH}",
}
"""Verdict to the letter that stands for it, on the page and in its data, in the order in which the page has them."""
_ACCEPTED = {"waived": "W", "in the baseline": "B", "below the gate": "G", "xfailed": "X"}
_CHANGES = {Change.NEW.value: "N", Change.PERSISTING.value: "P", Change.NOT_COMPARABLE.value: "X"}
_STATES = {"seen": "S", "absent": "A", "unreadable": "U"}
_NONE = "-"
"""Stands for what was not accepted, or has not changed."""
_KINDS = {CONNECTED_APP: "connected app", EXTERNAL_CLIENT_APP: "external client app", ORG: "org"}
_MEANINGS = {
    "fail": "The setting was seen at another value than the recommended one, or is absent and its documented default "
    "is another one. What is accepted keeps this verdict.",
    "unverifiable": "The setting should be readable and was not. It is never counted as a pass.",
    "manual": "No API shows the setting. A person has to look.",
    "pass": "The setting was seen at its recommended value, or somebody attests it where no API shows it.",
    "not_applicable": "The control does not concern this app; the reason is given.",
}
_NAMED_APPS = 20
"""How many apps that could not be read the first screen names of each reason."""
_DIFFERENCES = 50
"""How many differences between orgs the first screen lists."""
_REASONS = 10
"""How many reasons for checks without a result the first screen lists."""
_TITLED_ORGS = 5
"""How many orgs the title names."""
_EARLY = 'document.documentElement.classList.add("js");'
"""Runs before anything is painted, so that nothing is shown first and hidden later."""


def encode(document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of the file."""
    rows = _Rows(document, (*catalogue.controls, READABLE))
    style, script = _asset("audit.css"), _asset("audit.js")
    page: str = _template().render(
        document=document,
        title=f"OAuth controls: {_title(rows.org_names)}",
        style=style,
        script=script,
        early=_EARLY,
        early_hash=_csp_hash(_EARLY),
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        data=_json(_data(rows)),
        orgs=list(_orgs(document, rows)),
        counts=_counts(rows.results),
        gate=_gate(document),
        changes=Counter(row["change"] for row in rows.results),
        gone=_gone(document, rows),
        differences=list(_differences(rows)),
        unassessed=_unassessed(rows),
        left_out=Counter(document["catalogue"]["left_out"].values()),
        waivers=list(_decided(document, "waiver")),
        attestations=list(_decided(document, "attestation")),
        coverage=_coverage(rows, catalogue),
        listed=_DIFFERENCES,
        listed_reasons=_REASONS,
        kinds=_KINDS,
        assessed_kinds={app.kind for app in rows.apps},
        found_controls=[rows.controls[number].id for number in sorted(set(rows.control))],
        verdicts=_VERDICTS,
        accepted=list(_ACCEPTED),
        all_changes=list(_CHANGES),
        meanings=_MEANINGS,
        severities=[one.value for one in Severity],
    )
    return page.encode("utf-8", "backslashreplace")


def _title(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _TITLED_ORGS else f"{len(names)} orgs"


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _csp_hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"


@cache
def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_printable
    )
    environment.filters["words"] = _words
    environment.filters["thousands"] = "{:,}".format
    environment.tests["url"] = _is_url
    return environment.from_string(_asset("audit.html.j2"))


def _printable(value: Any) -> Any:
    """Spell out characters that would reverse a line or hide; what is no text, or is safe markup, stays as it is."""
    return plain(value) if type(value) is str else value


def _words(value: str) -> str:
    return value.replace("_", " ")


def _is_url(text: str | None) -> bool:
    return text is not None and re.fullmatch(r"https?://[^\s\"'<>\\]+", text, re.IGNORECASE) is not None


_ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def _json(data: Any) -> str:
    """Return data as JSON that can neither end the element that it stands in nor open another one."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).translate(_ESCAPED)


class _Table(dict[Any, int]):
    """Values that are stored once, and known by their number."""

    def __init__(self, *first: Hashable) -> None:
        super().__init__((one, number) for number, one in enumerate(first))

    def __missing__(self, value: Hashable) -> int:
        number = self[value] = len(self)
        return number


class _App(NamedTuple):
    """What results are of: an app, or an org itself."""

    org: int
    kind: str
    name: str
    label: str
    case: str
    """How the ids of its tests start."""


class _Rows:
    """The results, with the app and the control of each as numbers."""

    def __init__(self, document: Document, controls: tuple[Control, ...]) -> None:
        self.results: list[Row] = document["results"]
        self.controls = controls
        self.org_names = [plain(org["name"]) for org in document["orgs"]]
        known = {control.id: number for number, control in enumerate(controls)}
        orgs = {org["name"]: number for number, org in enumerate(document["orgs"])}
        subjects = [
            (orgs[row["org"]], row["kind"] or ORG, row["app"] or "", row["label"] or "") for row in self.results
        ]
        cases = [_case(row) for row in self.results]
        # Two apps of an org can have one name; the ids of the suite's tests tell them apart.
        usual = {subject: case for subject, case in zip(subjects, cases, strict=True) if case}
        apps = _Table()
        self.app = [
            apps[_App(*subject, case or usual.get(subject, ""))] for subject, case in zip(subjects, cases, strict=True)
        ]
        self.apps: tuple[_App, ...] = tuple(apps)
        self.control = [known[row["control"]] for row in self.results]

    def __iter__(self) -> Iterator[tuple[Row, _App, Control]]:
        for row, app, control in zip(self.results, self.app, self.control, strict=True):
            yield row, self.apps[app], self.controls[control]


def _case(row: Row) -> str:
    """Return how the id of a test of the suite starts, before the control; empty for any other test."""
    return row["node_id"].removesuffix(f"{row['control']}]") if row["node_id"].startswith(SUITE_ID) else ""


class _Tally:
    """How many of some results have which verdict, are accepted, or rest on somebody's word."""

    def __init__(self, results: list[Row]) -> None:
        self.total = len(results)
        self.verdicts = Counter(row["verdict"] for row in results)
        self.accepted = sum(row["not_blocking"] is not None for row in results)
        self.attested = sum(row["verdict"] == "pass" and row["attestation"] is not None for row in results)


def _by(results: Iterable[Row], key: Literal["org", "severity", "control"]) -> dict[str, list[Row]]:
    """Return results by what they say under a key."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in results:
        found[row[key]].append(row)
    return found


# The first screen


def _orgs(document: Document, rows: _Rows) -> Iterator[Data]:
    """Yield what the first screen says of each org."""
    results = _by(rows.results, "org")
    for number, org in enumerate(document["orgs"]):
        yield {
            **org,
            "called": rows.org_names[number],
            "read": f"{datetime.fromisoformat(org['taken_at']):%Y-%m-%d %H:%M:%S} UTC",
            "origin": _origin(org) if org["readable"] else "",
            "live": org["source"] == "org",
            "assessed": _assessed(org["apps"], Counter(app.kind for app in rows.apps if app.org == number)),
            "counts": _counts(results[org["name"]]),
        }


def _assessed(apps: int, kinds: Counter[str]) -> str:
    """Return how many apps an org has, how many of them have results where not all do, and of which kind those are."""
    connected, external = kinds[CONNECTED_APP], kinds[EXTERNAL_CLIENT_APP]
    found = connected + external
    some = f", of which {found:,} {'has' if found == 1 else 'have'} results" if found != apps else ""
    return f"{apps:,}{some} ({connected:,} connected, {external:,} external client)" if apps else "0"


def _origin(org: OrgInfo) -> str:
    """Return how an org was read, in words."""
    if org["source"] == "snapshot" and org["snapshot"] is not None:
        return f"from the snapshot {org['snapshot']['file']}, taken of {org['location']}"
    return {
        "demo": "from the sample org that comes with the tool",
        "org": f"live, through the APIs of {org['location']}",
        "directory": f"from the metadata files of the folder {org['location']}",
        "archive": f"from the metadata files of the archive {org['location']}",
    }.get(org["source"], f"{org['source']} {org['location']}")


def _counts(results: list[Row]) -> dict[str, _Tally]:
    """Return the counts of each severity, and of all together."""
    severities = _by(results, "severity")
    return {**{one.value: _Tally(severities[one.value]) for one in Severity}, "all": _Tally(results)}


def _gate(document: Document) -> Data:
    """Return what fails the run, and how many findings do not for which reason."""
    findings = findings_of(document)
    not_blocking = Counter(row["not_blocking"] for row in findings)
    return {
        **document["gate"],
        "failing": len(findings),
        "open": not_blocking[None],
        "accepted": [(how, not_blocking[how]) for how in _ACCEPTED if not_blocking[how]],
    }


class _Difference(NamedTuple):
    """A control that one app passes in some orgs and fails in others."""

    control: Control
    app: _App
    passing: list[str]
    """Names of orgs."""
    failing: list[str]


def _differences(rows: _Rows) -> Iterator[_Difference]:
    """Yield where orgs differ, the worst first."""
    found = (((app.kind, app.name, control.id), Verdict(row["verdict"]), (app, control)) for row, app, control in rows)
    differences = [
        _Difference(control, app, *([rows.org_names[one.org] for one, _ in some] for some in (passes, fails)))
        for _, passes, fails in differing(found)
        for app, control in fails[:1]
    ]
    yield from sorted(differences, key=lambda one: -one.control.score)


class _Unassessed(NamedTuple):
    """Results without a judgement that have one reason."""

    verdict: str
    severity: Severity
    """The worst of the controls'."""
    why: str
    number: int
    """How many results."""
    controls: list[str]


def _unassessed(rows: _Rows) -> list[_Unassessed]:
    """Return what has no judgement, by reason: what could not be read first, then what is worst."""
    sources: dict[_App, set[str]] = defaultdict(set)
    for row, app, _ in rows:
        sources[app].update(one["source"] for one in row["evidence"] if one["source"])
    alike: dict[tuple[str, str], list[tuple[str, _App, Control]]] = defaultdict(list)
    for row, app, control in rows:
        if row["verdict"] in ("unverifiable", "manual"):
            why = row["message"].removeprefix("cannot be verified: ")
            alike[row["verdict"], _of_any(why, app, sources[app])].append((why, app, control))
    lines = []
    for (verdict, of_any), some in alike.items():
        reasons = {why for why, _, _ in some}
        why = reasons.pop() if len(reasons) == 1 else of_any
        why = capitalised(why)
        unread = list(dict.fromkeys(app.label for _, app, control in some if control is READABLE and app.kind != ORG))
        if unread:
            more = f" and {len(unread) - _NAMED_APPS} more" if len(unread) > _NAMED_APPS else ""
            why = f"{', '.join(unread[:_NAMED_APPS])}{more}: {why}"
        severities = {control.id: control.severity for _, _, control in some}
        controls = sorted(severities, key=lambda one: severities[one].rank)
        lines.append(_Unassessed(verdict, severities[controls[0]], why, len(some), controls))
    lines.sort(
        key=lambda one: (READABLE.id not in one.controls, one.verdict == "manual", one.severity.rank, -one.number)
    )
    return lines


def _of_any(why: str, app: _App, sources: set[str]) -> str:
    """Return a reason without what makes it that of one app, so that apps with the same one stand together."""
    for source in sorted(sources, key=len, reverse=True):
        why = why.replace(source, "its file")
    if len(app.name) > 2:
        # A sentence that starts with a name has made its first letter a capital.
        why = re.sub(rf"(?<![\w.]){re.escape(app.name)}(?!\w)", "an app", why, flags=re.IGNORECASE)
    return why


# Decisions, and what became of the baseline


_WITHOUT_DAY = {"expired": "expired", "expires": "expires soon"}
"""What is to be reviewed, without the day, which stands beside it."""


def _decided(document: Document, what: Literal["waiver", "attestation"]) -> Iterator[Data]:
    """Yield the waivers or attestations, each with what became of it and how many results it is about."""
    uses = Counter(_identity(row[what]) for row in document["results"] if row[what] is not None)
    says = defaultdict(list)
    for notice in document["review"]:
        says[_known_by(notice), notice["about"]].append(notice["says"])
    for dated in document["waivers"] if what == "waiver" else document["attestations"]:
        about = dated["control"] or f"factor {dated['factor']}"
        review = [_WITHOUT_DAY.get(each.split()[0], each) for each in says[_known_by(dated), about]]
        yield {**dated, "uses": uses[_identity(dated)], "says": review}


def _known_by(dated: Dated | Review) -> Hashable:
    """Return what tells a waiver or an attestation of one control or factor from the others."""
    return dated["file"], dated["line"], dated["app"], dated["org"]


def _identity(dated: Dated | None) -> Hashable:
    """Return what a waiver or an attestation says, whether it has expired or not."""
    return frozenset((key, value) for key, value in (dated or {}).items() if key != "expired")


def _gone(document: Document, rows: _Rows) -> list[Data]:
    """Return what became of the baseline's findings that are none any more."""
    if document["baseline"] is None:
        return []
    orgs = zip(document["orgs"], rows.org_names, strict=True)
    names = {org_key(org["org_id"], org["name"]): name for org, name in orgs}
    return [{**one, "called": names.get(one["org"], one["org"])} for one in document["baseline"]["gone"]]


# Coverage


class _Covered(NamedTuple):
    """A control of the catalogue, and what it said."""

    control: Control
    applies_to: str
    tally: _Tally
    why_none: str
    """Why it has no result, where it has none."""


def _coverage(rows: _Rows, catalogue: Catalogue) -> list[_Covered]:
    """Return every control of the catalogue with how it was assessed."""
    results = _by(rows.results, "control")
    kinds = {app.kind for app in rows.apps} | {ORG}
    covered = []
    for control in catalogue.controls:
        of = [_KINDS[kind] for kind in control.applies_to]
        ran = "not run" if kinds.intersection(control.applies_to) else f"no {' or '.join(of)} was assessed"
        left_out = catalogue.left_out.get(control.id)
        none = ran if left_out is None else f"left out {left_out}"
        covered.append(_Covered(control, ", ".join(of), _Tally(results[control.id]), none))
    return covered


# The data


def _data(rows: _Rows) -> Data:
    """Return everything that the scripts show, as tables and columns of numbers that point into them.

    A setting in evidence is two numbers, that of an entry and that of a source of its app: apps that are configured
    alike share their entries, and differ in their files.
    """
    text = _Table("")
    entries, evidence, contexts, said, lists = _Table(), _Table(()), _Table(None), _Table(None), _Table(())
    sources = [_Table("") for _ in rows.apps]
    columns: dict[str, list[int]] = defaultdict(list)
    for row, app in zip(rows.results, rows.app, strict=True):
        columns["message"].append(text[row["message"]])
        columns["since"].append(text[row["since"] or ""])
        seen = ((_entry(one, text), one["source"] or "") for one in row["evidence"])
        pairs = ((entries[entry], sources[app][source]) for entry, source in seen)
        columns["evidence"].append(evidence[tuple(chain.from_iterable(pairs))])
        columns["context"].append(contexts[_context(row["context"], text)])
        columns["contradictions"].append(lists[tuple(text[one] for one in row["contradictions"])])
        for what, dated in (("waiver", row["waiver"]), ("attestation", row["attestation"])):
            columns[what].append(said[None if dated is None else tuple(dated.items())])
    return {
        "words": {
            "verdict": {letter: verdict for verdict, letter in _VERDICTS.items()},
            "accepted": {letter: how for how, letter in _ACCEPTED.items()},
            "change": {letter: change for change, letter in _CHANGES.items()},
            "kind": _KINDS,
            "severities": [one.value for one in Severity],
        },
        "orgs": rows.org_names,
        "apps": {
            "org": [app.org for app in rows.apps],
            "kind": [app.kind for app in rows.apps],
            "name": [text[app.name] for app in rows.apps],
            "label": [text[app.label] for app in rows.apps],
            "case": [text[app.case] for app in rows.apps],
            "sources": [[text[one] for one in source] for source in sources],
        },
        "controls": [_control(control) for control in rows.controls],
        "entries": {name: [one[at] for one in entries] for at, name in enumerate(_ENTRY)},
        "evidence": list(evidence),
        "contexts": list(contexts),
        "lists": list(lists),
        "said": [None if one is None else {key: _printable(value) for key, value in one} for one in said],
        "results": {
            "app": rows.app,
            "control": rows.control,
            "verdict": "".join(_VERDICTS[row["verdict"]] for row in rows.results),
            "accepted": "".join(_ACCEPTED.get(row["not_blocking"] or "", _NONE) for row in rows.results),
            "change": "".join(_CHANGES.get(row["change"] or "", _NONE) for row in rows.results),
            **columns,
            # Of other tests than the suite's, whose ids are not made of app and control.
            "test": {number: text[row["node_id"]] for number, row in enumerate(rows.results) if not _case(row)},
        },
        # Last, as everything before adds to it.
        "texts": [plain(one) for one in text],
    }


_ENTRY = ("setting", "state", "value", "line", "note")


def _entry(one: Evidence, text: _Table) -> tuple[int | str, ...]:
    """Return a setting in evidence, but for its source."""
    return (
        text[one["setting"]],
        _STATES[one["state"]],
        text[one["value"] or ""],
        one["line"] or 0,
        text[one["note"] or ""],
    )


def _context(context: Context | None, text: _Table) -> Hashable:
    if context is None:
        return None
    lists = (tuple(text[one] for one in context[name]) for name in ("raised_by", "lowered_by", "not_seen"))
    return (context["score"], context["severity"], *lists)


def _control(control: Control) -> Data:
    """Return what the page says of a control."""
    return {
        "id": control.id,
        "name": control.name,
        "page": control.page,
        "severity": control.severity.value,
        "cvss": [float(score) for score in control.cvss],
        "score": float(control.score),
        "basis": control.basis,
        "core": control.core,
        "assessed": control.assessed,
        "kinds": list(control.applies_to),
        "recommended": control.recommended,
        "threat": control.threat,
        "deadlines": [f"{deadline.date}: {deadline.what}" for deadline in control.deadlines],
        "source": control.source,
        "remediation": control.remediation,
        "origin": control.origin,
        "overridden": control.overridden,
        "may_break": control.may_break,
        "higher": [one.with_factors for one in control.higher_risk_when],
        "lower": [one.with_factors for one in control.low_risk_when],
        "needs": control.low_risk_needs,
        "contradictions": [one.says for one in control.contradictions],
        "notes": list(control.notes),
        "steps": {kind: [_step(one) for one in clauses] for kind, clauses in control.rules.items()},
        "rule": _rule(control),
        "digest": control.rule_sha256,
    }


def _step(clause: Clause) -> list[Any]:
    """Return one step of a rule in words: what it says, and why or what is required."""
    if clause.required is None:
        return [_words(clause.verdict.value), [clause.because]]
    return ["require", [one.finding for one in clause.requirements]]


def _rule(control: Control) -> str:
    """Return the rule as the catalogue's file states it; empty for what has no file."""
    file = files("pytest_oauthcontrols").joinpath("controls").joinpath(f"{control.id}.yaml")
    if not file.is_file():
        return ""
    found = re.search(r"^decided_by:.*\n(?:[ -].*\n)*", file.read_text("utf-8"), re.MULTILINE)
    return found[0].rstrip() if found else ""
