"""Examples of controls, written down as YAML beside the tests and built through the parser that reads real files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pytest_oauthcontrols.config import configuration
from pytest_oauthcontrols.orgs.metadata_types import METADATA_TYPES, ORG
from pytest_oauthcontrols.orgs.model import Absent, Org, Seen, Subject, Unreadable
from pytest_oauthcontrols.rules.evaluation import evaluate
from pytest_oauthcontrols.rules.finding import Finding, shown_value
from pytest_oauthcontrols.sources.assembly import Origin, assemble
from pytest_oauthcontrols.sources.parser import MetadataFile

from .catalogue import CATALOGUE
from .orgs import TAKEN_AT

FOLDER = Path(__file__).parents[1] / "controls"
_TYPES = {known.name: known for known in METADATA_TYPES.values()}
_KEYS = {"verdict", "says", "evidence", "context", "differs", "subject", "config", "live"}
_KEYS |= {"queried", "refused", "unread", "apps"}


@dataclass(frozen=True)
class Example:
    """One example of a control."""

    control_id: str
    line: int
    said: dict[str, Any]

    @property
    def id(self) -> str:
        """Say which example it is."""
        return f"{self.control_id}-{self.line}-{self.said['verdict']}"

    def finding(self, control: Any, tmp_path: Path) -> Finding:
        """Evaluate the control on the example's app, or on its org."""
        org = self.org(tmp_path)
        subject = self.said.get("subject", control.applies_to[0])
        app = None if subject == ORG else next(one for one in org.apps if one.kind == subject and one.name == "App")
        return evaluate(control, app, org)

    def org(self, tmp_path: Path) -> Org:
        """Build the org that the example describes."""
        unknown = set(self.said) - _KEYS - set(_TYPES)
        assert not unknown, f"{self.id}: {unknown} is neither a metadata type nor a key of an example"
        files = list(_files("App", self.said))
        for name, said in self.said.get("apps", {}).items():
            files += _files(name, said)
        org = assemble(Origin("example", "directory", "example", TAKEN_AT), files)
        if "live" in self.said:
            org = replace(org, api_version=float(self.said["live"]))
        org = replace(_with(org, self.said, ORG), apps=tuple(_with(app, self.said, app.kind) for app in org.apps))
        if "config" in self.said:
            path = tmp_path / configuration.FILE_NAME
            path.write_text(self.said["config"], "utf-8")
            configured = configuration.load(path, configuration.FILE_NAME, CATALOGUE)
            org = configuration.apply(configured, org)
        return org


def _files(name: str, said: dict[str, Any]) -> Iterator[MetadataFile]:
    """Yield a file for each metadata type; its text stands between the tags of the root element."""
    for type_name, inner in said.items():
        known = _TYPES.get(type_name)
        if known is None:
            continue
        stem = type_name.removesuffix("Settings") if known.suffix == "settings" else name
        parent = f"<{known.parent}>{name}</{known.parent}>" if known.parent else ""
        text = (
            f'<{type_name} xmlns="http://soap.sforce.com/2006/04/metadata">\n{parent}\n{inner or ""}\n</{type_name}>\n'
        )
        path = f"{type_name}/{stem}.{known.suffix}"
        yield MetadataFile(path, path, lambda text=text: text.encode())  # type: ignore[misc]  # the default binds the loop's text


def _with(subject: Any, said: dict[str, Any], kind: str) -> Any:
    """Return an app or org with what queries to a live org would have shown, or been refused."""
    assert isinstance(subject, Subject)
    settings, read, unread = dict(subject.settings), dict(subject.read), dict(subject.unread)
    for name, value in said.get("queried", {}).items():
        type_name = name.partition(".")[0]
        if (kind, type_name) in METADATA_TYPES:
            read[type_name] = type_name
            if value is not None:
                settings[name] = Seen(name, tuple(value) if isinstance(value, list) else value, type_name)
    for name, reason in said.get("refused", {}).items():
        if (kind, name.partition(".")[0]) in METADATA_TYPES:
            settings[name] = Unreadable(name, reason)
            read[name.partition(".")[0]] = name.partition(".")[0]
    for type_name, reason in said.get("unread", {}).items():
        if (kind, type_name) in METADATA_TYPES:
            unread[type_name] = Unreadable(type_name, reason)
    return replace(subject, settings=settings, read=read, unread=unread)


def documents() -> dict[str, dict[str, Any]]:
    """Return every file of examples by the id of its control."""
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def published() -> dict[str, dict[str, Any]]:
    """Return what was published of every control, written down beside its examples, by its id."""
    found = {}
    for control_id, document in documents().items():
        assert "published" in document, f"tests/controls/{control_id}.yaml: 'published' is missing"
        found[control_id] = document["published"]
    return found


def examples() -> list[Example]:
    """Return every example of every control."""
    return [
        Example(control_id, number, said)
        for control_id, document in documents().items()
        for number, said in enumerate(document["examples"], 1)
    ]


def shown(finding: Finding) -> dict[str, str]:
    """Return a finding's evidence as an example states it."""
    return {
        setting.name: (setting.shown or shown_value(setting.value))
        if isinstance(setting, Seen)
        else "absent"
        if isinstance(setting, Absent)
        else "unreadable"
        for setting in finding.evidence
    }
