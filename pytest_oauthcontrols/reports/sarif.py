"""Findings as SARIF 2.1.0, which code scanning reads.

GitHub's code scanning reads less of a file than the standard has, and is stricter in what it reads: it refuses a file
of which any result has no physical location, shows a result by its first location, and of the fingerprints it goes by
`primaryLocationLineHash` alone. Suppressions and the comparison with a baseline it passes over.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Any, NamedTuple
from urllib.parse import quote

from pytest_oauthcontrols.config.credentials import is_path
from pytest_oauthcontrols.decisions.baseline import Change, org_key
from pytest_oauthcontrols.reports.results import (
    Dated,
    Document,
    OrgInfo,
    Row,
    context_of,
    coverage,
    findings_of,
    is_complete,
)
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import Control
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.rules.finding import READABLE
from pytest_oauthcontrols.sources.parser import SOURCE, is_metadata
from pytest_oauthcontrols.text import plain

MAX_RESULTS = 25_000
"""Results of the largest file that GitHub takes; it refuses one with more."""

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = "%SRCROOT%"
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_STATES = {Change.NEW.value: "new", Change.PERSISTING.value: "unchanged", Change.NOT_COMPARABLE.value: "updated"}
"""Change to the state of a result. What is fixed is no result: GitHub would show it as an open alert."""

_LONGEST_TEXT = 1000
_LONGEST_NAME = 255
_MOST_RELATED = 20

_PLACE = re.compile(r"(?::(?P<line>[0-9]+))?(?:: | describes |, and no default )")
"""What stands behind the path in a message on a file."""

Sarif = dict[str, Any]
"""An object of SARIF's format."""


class _Place(NamedTuple):
    """A file that was read, and a line in it."""

    file: str
    line: int | None


class _Root(NamedTuple):
    """What paths are relative to."""

    base: PurePath
    """The folder that the paths which were given are relative to."""
    repository: PurePath
    """The root of the repository, or `base` where that is in none."""

    def location(self, path: str) -> dict[str, Any]:
        """Return where a file is: relative to the repository where it is in there."""
        full: list[str] = []
        for part in (self.base / path).parts:
            if part == ".." and len(full) > 1:
                full.pop()
            elif part != "..":
                full.append(part)
        absolute = type(self.base)(*full)
        try:
            relative = absolute.relative_to(self.repository)
        except ValueError:
            return {"uri": _absolute(absolute.as_posix())}
        return {"uri": _uri(relative.as_posix()), "uriBaseId": _ROOT}


class _Org:
    """An org of the run, and where its findings are shown."""

    def __init__(self, said: OrgInfo, root: _Root) -> None:
        self.name: str = said["name"]
        self.key: Sequence[str] = [org_key(said["org_id"], said["name"])]
        """What its findings are known by from run to run, as a baseline knows them."""
        self._root = root
        self._source = said["source"]
        self._location: str = said["location"]
        self._snapshot = said["snapshot"]
        if self._source == "org" and not said["location"].startswith("https://") and is_path(said["location"]):
            # Files that could not be read.
            self._source = "directory"
        self._files: dict[tuple[str | None, str | None], dict[str, None]] = {}

    def add(self, row: Row) -> None:
        """Note the files of an app, or of the org, for the findings that name none."""
        for evidence in row["evidence"]:
            file = evidence["source"]
            if file is not None and _is_file(file) and _of_org(file) == (row["app"] is None):
                self._files.setdefault((row["kind"], row["app"]), {})[file] = None

    def file_of(self, row: Row) -> str | None:
        """Return the file of an app, of several the app's own one; None where no finding of it names one."""
        files = self._files.get((row["kind"], row["app"]), {}) if row["app"] is not None else {}
        return min(
            files, key=lambda file: (re.search(r"\.(connectedApp|eca)(-meta\.xml)?$", file) is None, file), default=None
        )

    def physical(self, place: _Place | None) -> dict[str, Any]:
        """Return the file in which a finding is shown, and the line.

        A line of a file that is no file of the repository, as it is inside of another, is none that can be shown.
        """
        artifact, line = self._artifact(place)
        return {"artifactLocation": artifact, "region": {"startLine": line or 1}}

    def _artifact(self, place: _Place | None) -> tuple[dict[str, Any], int | None]:
        if self._source == "snapshot" and self._snapshot is not None:
            return self._root.location(self._snapshot["file"]), None
        if self._source == "archive":
            return self._root.location(self._location), None
        if self._source == "directory":
            file, line = place or _Place(self._location, None)
            if place is None and self._location == ".":
                # The root itself is no file, and nothing stands for it as well as what it has.
                file = min((file for files in self._files.values() for file in files), default=file)
            return self._root.location(file), line
        # No file of the repository, although GitHub wants one: by its name it says of which org it is.
        if place is None:
            return {"uri": _uri(self.name)}, None
        file = place.file.removeprefix(f"{SOURCE} ").removeprefix(f"{self._location}/")
        return {"uri": f"{_uri(self.name)}/{_uri(file)}"}, place.line


def encode(document: Document, catalogue: Catalogue) -> bytes:
    """Return the content of the file."""
    return (json.dumps(_log(document, catalogue, _root()), indent=1) + "\n").encode()


def _root() -> _Root:
    base = Path.cwd()
    return _Root(base, next((folder for folder in (base, *base.parents) if (folder / ".git").exists()), base))


def _log(document: Document, catalogue: Catalogue, root: _Root) -> Sarif:
    rows = findings_of(document)
    controls = [*catalogue.controls, *([READABLE] if any(row["control"] == READABLE.id for row in rows) else [])]
    index = {control.id: number for number, control in enumerate(controls)}
    orgs = _orgs(document, root)
    for row in document["results"]:
        orgs[row["org"]].add(row)
    shown = _worst(rows)
    run = {
        "tool": {"driver": _driver(document, controls)},
        "invocations": [
            {
                "executionSuccessful": is_complete(document),
                "toolExecutionNotifications": list(_notifications(document, len(rows) - len(shown))),
            }
        ],
        "originalUriBaseIds": {
            _ROOT: {"description": {"text": "The root of the repository, or the folder in which pytest was started."}}
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(row, orgs[row["org"]], index[row["control"]]) for row in shown],
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _orgs(document: Document, root: _Root) -> dict[str, _Org]:
    """Return the orgs by name; where several have one id, each goes by its name, too."""
    orgs = {said["name"]: _Org(said, root) for said in document["orgs"]}
    known = Counter(org.key[0] for org in orgs.values())
    for org in orgs.values():
        if known[org.key[0]] > 1:
            org.key = [*org.key, org.name]
    return orgs


def _worst(rows: Sequence[Row]) -> Sequence[Row]:
    """Return as many findings as GitHub takes, in their order: the worst, those first that fail the run."""
    if len(rows) <= MAX_RESULTS:
        return rows
    ranked = sorted(
        range(len(rows)),
        key=lambda place: (not rows[place]["blocking"], Severity(rows[place]["severity"]).rank),
    )
    return [rows[place] for place in sorted(ranked[:MAX_RESULTS])]


def _driver(document: Document, controls: Iterable[Control]) -> Sarif:
    return {
        "name": document["tool"]["name"],
        "version": document["tool"]["version"],
        "rules": [_rule(control) for control in controls],
        "properties": {
            "catalogueVersion": document["catalogue"]["version"],
            "catalogueSha256": document["catalogue"]["sha256"],
            "leftOut": document["catalogue"]["left_out"],
        },
    }


def _rule(control: Control) -> Sarif:
    texts = [
        ("Recommended", control.recommended),
        ("Threat", control.threat),
        ("To mend", control.remediation),
        ("What a fix may break", control.may_break),
        *(("Where pages differ", one.says) for one in control.contradictions),
        ("Overridden", control.overridden),
    ]
    parts = [(title, says) for title, says in texts if says] or [("Control", control.name)]
    text = "\n\n".join(f"{title}: {says}" for title, says in parts)
    markdown = "\n\n".join(f"**{title}**: {_markdown(says)}" for title, says in parts)
    rule: Sarif = {
        "id": control.id,
        "name": control.name[:_LONGEST_NAME],
        "shortDescription": {"text": _short(control.name)},
        "fullDescription": {"text": _short(control.recommended or control.name)},
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"level": _LEVELS[control.severity]},
        "properties": {
            "security-severity": str(control.score),
            "precision": "high",
            "tags": ["security", "oauth", "salesforce", *control.applies_to],
            "cvss": control.cvss_range,
            "basis": control.basis,
            "assessed": control.assessed,
        },
    }
    if control.page:
        rule["helpUri"] = control.page
        rule["help"]["text"] = f"{text}\n\nPublished at {control.page}"
        rule["help"]["markdown"] = f"{markdown}\n\n[Published page]({control.page})"
    return rule


def _markdown(text: str) -> str:
    """Return text as Markdown that shows it as it is; the catalogue's own backquotes are meant."""
    return re.sub(r"([\\*_<>\[\]|#~])", r"\\\1", text)


def _notifications(document: Document, left_out: int) -> Iterator[Sarif]:
    """Yield what a reader has to know of the run before its results are trusted."""
    early = "" if document["cut_short"] is None else f"The run ended early: {document['cut_short']}. "
    yield _notification("note" if is_complete(document) else "error", f"{early}{coverage(document)}.")
    if left_out:
        yield _notification(
            "error",
            f"{left_out} findings are left out, the least severe ones: code scanning takes no file with more than"
            f" {MAX_RESULTS}. The results file (--sf-json) has all of them.",
        )
    for org in document["orgs"]:
        for problem in org["problems"]:
            yield _notification("error", f"{org['name']}: {problem}")
        for note in org["notes"]:
            yield _notification("note", f"{org['name']}: {note}")


def _notification(level: str, text: str) -> Sarif:
    return {"level": level, "message": {"text": _text(text)}}


def _result(row: Row, org: _Org, rule: int) -> Sarif:
    places = list(dict.fromkeys(_places(row, org)))
    place = places[0] if places else None
    subject = "" if row["app"] is None else f" App: {_short(row['label'] or '')} ({_short(row['app'])})."
    fingerprint = hashlib.sha256(json.dumps([*org.key, row["kind"], row["app"], row["control"]]).encode()).hexdigest()
    result: Sarif = {
        "ruleId": row["control"],
        "ruleIndex": rule,
        "level": _LEVELS[Severity(row["severity"])],
        "message": {"text": f"{_short(row['message'])}{subject} Org: {_short(org.name)}."},
        "locations": [{"physicalLocation": org.physical(place), "logicalLocations": [_logical(row, org)]}],
        "partialFingerprints": {"primaryLocationLineHash": fingerprint, "oauthControl/v1": fingerprint},
        # Of a run in which one result has them, every result has to.
        "suppressions": [_suppression(row["waiver"])] if row["waiver"] and row["not_blocking"] == "waived" else [],
        "properties": _properties(row, place),
    }
    related = [org.physical(other) for other in places[1:] if other.line is not None]
    distinct = {json.dumps(one): one for one in related if one != result["locations"][0]["physicalLocation"]}
    if distinct:
        result["relatedLocations"] = [
            {"id": number, "physicalLocation": one} for number, one in enumerate(distinct.values(), 1)
        ][:_MOST_RELATED]
    if row["change"] is not None:
        result["baselineState"] = _STATES[row["change"]]
    return result


def _places(row: Row, org: _Org) -> Iterator[_Place]:
    """Yield where a finding is shown, best first, as evidence is: what cannot be told is of the app as a whole."""
    own = org.file_of(row)
    for one in row["evidence"]:
        if one["source"] is not None:
            if _is_file(one["source"]):
                yield _Place(one["source"], one["line"])
        elif one["state"] == "unreadable":
            yield from _named(one["note"] or "")
            if own is not None:
                yield _Place(own, None)
    yield from _named(row["message"].removeprefix("cannot be verified: "))
    if own is not None:
        yield _Place(own, None)


def _named(text: str) -> Iterator[_Place]:
    """Yield the file that a message on a file begins with, or ends with the message on."""
    text = re.split(r"could not be read: | is absent from ", text)[-1]
    for match in _PLACE.finditer(text):
        if _is_file(text[: match.start()]):
            yield _Place(text[: match.start()], int(match["line"]) if match["line"] else None)
            return


@cache
def _is_file(source: str) -> bool:
    """Tell whether the source of a setting is a file, and not a query, say."""
    return is_metadata(source.rpartition("/")[2])


def _of_org(file: str) -> bool:
    """Tell whether a file has settings of the org."""
    return re.search(r"\.settings(-meta\.xml)?$", file, re.IGNORECASE) is not None


def _logical(row: Row, org: _Org) -> Sarif:
    names = [org.name] if row["app"] is None else [org.name, row["kind"] or "", row["app"]]
    shown = [_short(name) for name in names]
    return {"name": shown[-1], "fullyQualifiedName": "/".join(shown), "kind": "resource"}


def _suppression(waiver: Dated) -> Sarif:
    ticket = f" ({waiver['ticket']})" if waiver["ticket"] else ""
    justification = f"waived by {waiver['owner']} until {waiver['expires']}{ticket}: {waiver['reason']}"
    return {"kind": "external", "status": "accepted", "justification": _text(justification)}


def _properties(row: Row, place: _Place | None) -> Sarif:
    context = context_of(row)
    return {
        "org": _text(row["org"]),
        "app": None if row["app"] is None else _text(row["app"]),
        "kind": row["kind"],
        "verdict": row["verdict"],
        "severity": row["severity"],
        "score": row["score"],
        "scoreInContext": context["score"],
        "severityInContext": context["severity"],
        "notBlocking": row["not_blocking"],
        "change": row["change"],
        "since": row["since"],
        "file": None if place is None else _text(place.file),
        "line": None if place is None else place.line,
    }


def _short(text: str) -> str:
    shown = _text(text)
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[:_LONGEST_TEXT]}..."


def _text(text: str) -> str:
    """Return what may come from an org so that nobody makes a link of it: plain messages can have links, too."""
    return plain(text).replace("](", "] (")


def _absolute(path: str) -> str:
    """Return an absolute path as a URI: one with a share of Windows names its host, one with a drive has a slash."""
    drive, colon, rest = path.partition(":/")
    if colon and len(drive) == 1:
        return f"file:///{drive}:/{_uri(rest)}"
    return f"file:{_uri(path)}" if path.startswith("//") else f"file://{_uri(path)}"


def _uri(path: str) -> str:
    """Return a path as the path of a URI: everything but unreserved characters is percent-encoded (RFC 3986, 2.3)."""
    try:
        # Names of files that are no UTF-8 are kept as they are on disk.
        raw = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = path.encode("utf-8", "surrogatepass")
    return quote(raw, safe="/")
