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
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from pytest_oauthcontrols.baseline import Change, org_key
from pytest_oauthcontrols.catalogue import Catalogue, Clause, Control, RiskCondition
from pytest_oauthcontrols.cvss import Severity
from pytest_oauthcontrols.evaluation import READABLE
from pytest_oauthcontrols.messages import plain
from pytest_oauthcontrols.model import CONNECTED_APP, EXTERNAL_CLIENT_APP, ORG
from pytest_oauthcontrols.reports import Document, failing

Row = dict[str, Any]

_VERDICTS = {
    "fail": "F",
    "unverifiable": "U",
    "manual": "M",
    "pass": "P",
    "not_applicable": "N",
}
"""Verdict to the letter that stands for it in the data, in the order in which the page counts them."""
_ACCEPTED = {None: "-", "waived": "W", "in the baseline": "B", "below the gate": "G"}
_CHANGES = {None: "-", Change.NEW.value: "N", Change.PERSISTING.value: "P", Change.NOT_COMPARABLE.value: "X"}
_STATES = {"seen": "S", "absent": "A", "unreadable": "U"}
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
_EARLY = 'document.documentElement.classList.add("js");'
"""Runs before anything is painted, so that nothing is shown first and hidden later."""


def encode(document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of the file."""
    controls = (*catalogue.controls, READABLE)
    rows = _Rows(document, controls)
    style, script = _asset("audit.css"), _asset("audit.js")
    page: str = _template().render(
        document=document,
        title="OAuth controls: " + ", ".join(rows.org_names),
        style=style,
        script=script,
        early=_EARLY,
        early_hash=_csp_hash(_EARLY),
        style_hash=_csp_hash(style),
        script_hash=_csp_hash(script),
        data=_json(_data(document, rows)),
        ran=len(document["results"]),
        orgs=list(_orgs(document, rows)),
        counts=_counts(rows, None),
        gate=_gate(document),
        unassessed=_unassessed(rows),
        waivers=list(_decided(document, rows, "waiver")),
        attestations=list(_decided(document, rows, "attestation")),
        gone=_gone(document, rows),
        changes=rows.changes,
        coverage=_coverage(rows, catalogue),
        kinds=_KINDS,
        verdicts=list(_VERDICTS),
        meanings=_MEANINGS,
        severities=[one.value for one in Severity],
        letters={verdict: "\N{EN DASH}" if letter == "N" else letter for verdict, letter in _VERDICTS.items()},
    )
    return page.encode("utf-8", "backslashreplace")


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


class _Table:
    """Values that are stored once, and known by their number."""

    def __init__(self, *first: Hashable) -> None:
        self.numbers: dict[Hashable, int] = {one: number for number, one in enumerate(first)}

    def __call__(self, value: Hashable) -> int:
        number = self.numbers.get(value)
        if number is None:
            number = self.numbers[value] = len(self.numbers)
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

    def __init__(self, document: Document, controls: Iterable[Control]) -> None:
        self.results: list[Row] = document["results"]
        self.controls = tuple(controls)
        self.org_names = [plain(org["name"]) for org in document["orgs"]]
        known = {control.id: number for number, control in enumerate(self.controls)}
        orgs = {org["name"]: number for number, org in enumerate(document["orgs"])}
        table = _Table()
        self.app: list[int] = []
        self.control = [known[row["control"]] for row in self.results]
        for row in self.results:
            case = row["node_id"].removesuffix(f"{row['control']}]")
            # Two apps of an org can have one name; the ids of their tests tell them apart.
            self.app.append(
                table(_App(orgs[row["org"]], row["kind"] or ORG, row["app"] or "", row["label"] or "", case))
            )
        self.apps: tuple[_App, ...] = tuple(table.numbers)  # type: ignore[arg-type]

    @property
    def changes(self) -> Counter[str]:
        """How many findings are new since the baseline, persist, or cannot be compared."""
        return Counter(row["change"] for row in self.results if row["change"])

    def __iter__(self) -> Iterator[tuple[Row, _App, Control]]:
        for row, app, control in zip(self.results, self.app, self.control, strict=True):
            yield row, self.apps[app], self.controls[control]


def _time(org: Row) -> str:
    return f"{datetime.fromisoformat(org['taken_at']):%Y-%m-%d %H:%M:%S} UTC"


# The first screen


def _orgs(document: Document, rows: _Rows) -> Iterator[Row]:
    """Yield what the first screen says of each org."""
    for number, org in enumerate(document["orgs"]):
        of_org = Counter(app.kind for app in rows.apps if app.org == number)
        unread = bool(org["problems"]) and all(
            control is READABLE for _, app, control in rows if app.org == number and app.kind == ORG
        )
        kinds = ", ".join(
            f"{of_org[kind]:,} {_KINDS[kind]}{'' if of_org[kind] == 1 else 's'}"
            for kind in (CONNECTED_APP, EXTERNAL_CLIENT_APP)
            if of_org[kind]
        )
        yield {
            **org,
            "called": rows.org_names[number],
            "read": _time(org),
            "origin": _origin(org),
            "live": org["source"] == "org",
            "kinds": kinds,
            "unread": unread and not of_org[CONNECTED_APP] and not of_org[EXTERNAL_CLIENT_APP],
            "counts": _counts(rows, number),
        }


def _origin(org: Row) -> str:
    """Return how an org was read, in words."""
    if org["source"] == "snapshot" and org["snapshot"] is not None:
        return f"from the snapshot {org['snapshot']['file']}, taken of {org['location']}"
    return {
        "demo": "from the sample org that comes with the tool",
        "org": f"live, through the APIs of {org['location']}",
        "directory": f"from the metadata files of the folder {org['location']}",
        "archive": f"from the metadata files of the archive {org['location']}",
    }.get(org["source"], f"{org['source']} {org['location']}")


class _Line(NamedTuple):
    """A line of the counts: of one severity, or of all."""

    name: str
    verdicts: Counter[str]
    accepted: int
    attested: int

    @property
    def total(self) -> int:
        """All results."""
        return self.verdicts.total()


def _counts(rows: _Rows, org: int | None) -> list[_Line]:
    """Return how many results have which severity and verdict, of one org or of all; the sums go last."""
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    accepted: Counter[str] = Counter()
    attested: Counter[str] = Counter()
    for row, app, _ in rows:
        if org is None or app.org == org:
            severity = row["severity"]
            verdicts[severity][row["verdict"]] += 1
            accepted[severity] += row["accepted"] is not None
            attested[severity] += row["verdict"] == "pass" and row["attestation"] is not None
    lines = [_Line(one.value, verdicts[one.value], accepted[one.value], attested[one.value]) for one in Severity]
    return [*lines, _Line("all", sum(verdicts.values(), Counter()), accepted.total(), attested.total())]


def _gate(document: Document) -> Row:
    """Return what fails the run, and how many findings do not for which reason."""
    findings = failing(document)
    accepted = Counter(row["accepted"] for row in findings if row["accepted"])
    return {
        **document["gate"],
        "failing": len(findings),
        "open": len(findings) - accepted.total(),
        "accepted": [(how, accepted[how]) for how in _ACCEPTED if how is not None and accepted[how]],
    }


class _Unassessed(NamedTuple):
    """Results without a judgement that have one reason."""

    verdict: str
    severity: str
    """The worst of the controls'."""
    why: str
    number: int
    """How many results."""
    controls: list[str]


def _unassessed(rows: _Rows) -> list[_Unassessed]:
    """Return what has no judgement, by reason: what could not be read first, then what is worst."""
    found: dict[tuple[str, str], list[tuple[str, Control]]] = defaultdict(list)
    unread: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    files: dict[_App, set[str]] = defaultdict(set)
    for row, app, _ in rows:
        files[app].update(one["source"] for one in row["evidence"] if one["source"])
    for row, app, control in rows:
        if row["verdict"] in ("unverifiable", "manual"):
            why = row["message"].removeprefix("cannot be verified: ")
            key = row["verdict"], _of_any(why, app, files[app])
            found[key].append((why, control))
            if control is READABLE and app.kind != ORG:
                unread[key][app.label] = None
    lines = []
    for key, some in found.items():
        verdict, of_any = key
        reasons = {why for why, _ in some}
        controls = list(
            {control.id: control for _, control in sorted(some, key=lambda one: one[1].severity.rank)}.values()
        )
        why = some[0][0] if len(reasons) == 1 else of_any
        why = why if "." in why.partition(" ")[0] else why[:1].upper() + why[1:]
        names = list(unread[key])
        if names:
            more = f" and {len(names) - _NAMED_APPS} more" if len(names) > _NAMED_APPS else ""
            why = f"{', '.join(names[:_NAMED_APPS])}{more}: {why}"
        severity = controls[0].severity.value
        lines.append(_Unassessed(verdict, severity, why, len(some), [control.id for control in controls]))
    ranks = {one.value: one.rank for one in Severity}
    lines.sort(
        key=lambda one: (READABLE.id not in one.controls, one.verdict == "manual", ranks[one.severity], -one.number)
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


def _decided(document: Document, rows: _Rows, what: str) -> Iterator[Row]:
    """Yield the waivers or attestations, each with what became of it and how many results it is about."""
    uses: Counter[str] = Counter(
        _identity({**row[what], "expired": None}) for row in rows.results if row[what] is not None
    )
    says = defaultdict(list)
    for one in document["review"]:
        says[one["what"], one["file"], one["line"], one["about"], one["by"]].append(one["says"])
    for said in document[f"{what}s"]:
        about = said["control"] or f"factor {said['factor']}"
        by = said["owner"] if what == "waiver" else said["by"]
        yield {
            **said,
            "uses": uses[_identity({**said, "expired": None})],
            "says": [_soon(one) for one in says.get((what, said["file"], said["line"], about, by), [])],
        }


def _soon(says: str) -> str:
    """Return what is to be reviewed without the day, which stands beside it."""
    return re.sub(r"^(expire[ds]) on [-\d]+$", lambda found: {"expired": "expired"}.get(found[1], "expires soon"), says)


def _identity(said: Row) -> str:
    return json.dumps(said, sort_keys=True)


def _gone(document: Document, rows: _Rows) -> list[Row]:
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
    line: _Line
    why_none: str
    """Why it has no result, where it has none."""


def _coverage(rows: _Rows, catalogue: Catalogue) -> list[_Covered]:
    """Return every control of the catalogue with how it was assessed."""
    verdicts: dict[str, Counter[str]] = defaultdict(Counter)
    accepted: Counter[str] = Counter()
    attested: Counter[str] = Counter()
    for row, _, control in rows:
        verdicts[control.id][row["verdict"]] += 1
        accepted[control.id] += row["accepted"] is not None
        attested[control.id] += row["verdict"] == "pass" and row["attestation"] is not None
    kinds = {app.kind for app in rows.apps}
    covered = []
    for control in catalogue.controls:
        line = _Line(control.id, verdicts[control.id], accepted[control.id], attested[control.id])
        missing = [_KINDS[kind] for kind in control.applies_to if kind != ORG and kind not in kinds]
        none = f"no {' or '.join(missing)} was assessed" if len(missing) == len(control.applies_to) else "not run"
        applies = ", ".join(_KINDS[kind] for kind in control.applies_to)
        covered.append(_Covered(control, applies, line, none))
    return covered


# The data


def _data(document: Document, rows: _Rows) -> Row:
    """Return everything that the scripts show, as tables and columns of numbers that point into them."""
    text = _Table("")
    entry = _Table()
    evidence = _Table(())
    context = _Table(None)
    said = _Table(None)
    lists = _Table(())
    sources = [_Table("") for _ in rows.apps]
    columns: dict[str, list[int]] = {
        name: [] for name in ("message", "evidence", "context", "contradictions", "waiver", "attestation", "since")
    }
    odd = {}
    for number, (row, app) in enumerate(zip(rows.results, rows.app, strict=True)):
        source = sources[app]
        columns["message"].append(text(row["message"]))
        columns["evidence"].append(
            evidence(
                tuple(
                    (
                        entry((one["setting"], one["state"], one["value"], one["line"], one.get("note"))),
                        source(one["source"] or ""),
                    )
                    for one in row["evidence"]
                )
            )
        )
        columns["context"].append(context(_context(row["context"])))
        columns["contradictions"].append(lists(tuple(row["contradictions"])))
        columns["since"].append(text(row["since"] or ""))
        for what in ("waiver", "attestation"):
            columns[what].append(said(None if row[what] is None else tuple(row[what].items())))
        if rows.apps[app].case == row["node_id"]:
            odd[number] = text(row["node_id"])
    entries: list[Any] = list(entry.numbers)
    return {
        "orgs": rows.org_names,
        "apps": {
            "org": [app.org for app in rows.apps],
            "kind": [app.kind for app in rows.apps],
            "name": [text(app.name) for app in rows.apps],
            "label": [text(app.label) for app in rows.apps],
            "case": [text(app.case) for app in rows.apps],
            "sources": [[text(one) for one in source.numbers] for source in sources],
        },
        "controls": [_control(control) for control in rows.controls],
        "entries": {
            "setting": [text(one[0]) for one in entries],
            "state": "".join(_STATES[one[1]] for one in entries),
            "value": [text(one[2] or "") for one in entries],
            "line": [one[3] or 0 for one in entries],
            "note": [text(one[4] or "") for one in entries],
        },
        "evidence": [list(chain.from_iterable(one)) for one in evidence.numbers],  # type: ignore[arg-type]
        "contexts": [_context_data(one, text) for one in context.numbers],
        "lists": [[text(one) for one in some] for some in lists.numbers],  # type: ignore[attr-defined]
        "said": [None if one is None else _said(dict(one)) for one in said.numbers],  # type: ignore[call-overload]
        "results": {
            "app": rows.app,
            "control": rows.control,
            "verdict": "".join(_VERDICTS[row["verdict"]] for row in rows.results),
            "accepted": "".join(_ACCEPTED[row["accepted"]] for row in rows.results),
            "change": "".join(_CHANGES[row["change"]] for row in rows.results),
            **columns,
            "odd": odd,
        },
        "baseline": document["baseline"] is not None,
        # Last, as everything before adds to it.
        "texts": [plain(one) for one in text.numbers],  # type: ignore[arg-type]
    }


def _context(context: Row | None) -> Hashable:
    if context is None:
        return None
    lists = (tuple(context[name]) for name in ("raised_by", "lowered_by", "not_seen"))
    return (context["score"], context["severity"], *lists)


def _context_data(context: Any, text: _Table) -> Any:
    if context is None:
        return None
    score, severity, *lists = context
    return [score, severity, *([text(one) for one in some] for some in lists)]


def _said(said: Row) -> Row:
    """Return a waiver or an attestation as the page shows it."""
    return {key: plain(value) if isinstance(value, str) else value for key, value in said.items()}


def _control(control: Control) -> Row:
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
        "remediation": control.remediation,
        "may_break": control.may_break,
        "higher": [_risk(one) for one in control.higher_risk_when],
        "lower": [_risk(one) for one in control.low_risk_when],
        "needs": control.low_risk_needs,
        "contradictions": [one.says for one in control.contradictions],
        "notes": list(control.notes),
        "steps": {kind: [_step(one) for one in clauses] for kind, clauses in control.rules.items()},
        "rule": _rule(control),
        "digest": control.rule_sha256,
    }


def _risk(condition: RiskCondition) -> str:
    factors = "".join(
        f" (Somebody has to attest it: the factor {factor} {'shows it' if shows else 'rules it out'}.)"
        for factor, shows in condition.factors.items()
    )
    return f"{condition.says}{factors}"


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
