"""What every verdict rests on: in an example one setting is altered, and the verdict is another.

Alterations are made where a user would make them: in a metadata file, in the answer to a query, in the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from lxml import etree

from pytest_oauthcontrols.orgs.derived import derive
from pytest_oauthcontrols.orgs.metadata_types import GLOBAL_OAUTH, METADATA_TYPES, OAUTH, ORG, Field, fields_of
from pytest_oauthcontrols.orgs.model import App, Seen, Subject, Unreadable
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import Control, Verdict
from pytest_oauthcontrols.rules.evaluation import evaluate
from pytest_oauthcontrols.rules.finding import Finding
from pytest_oauthcontrols.yaml_entries import DocumentError

from .support.examples import Example, documents, examples

CONTROLS = {control.id: control for control in load().controls}
DOCUMENTS = documents()
EXAMPLES = examples()
TYPES = {known.name: known for known in METADATA_TYPES.values()}
OWN_FILES = ("ConnectedApp", "ExternalClientApplication")
DECLARED = {"declared": "apps", "inventory": "inventory"}
EVERYWHERE = "0.0.0.0-255.255.255.255"

State = tuple[str, ...]
"""How a setting stands in a file: its elements; in an answer or the configuration: its values. Empty: not at all."""


class Place(NamedTuple):
    """Where a setting of an example stands, or could stand."""

    holder: str | None
    """Name of another app than the example's own."""
    component: str
    path: str
    """The setting's path in the component; empty for the component as a whole."""

    @property
    def name(self) -> str:
        """The setting's name, as evidence has it."""
        known = TYPES.get(self.component)
        prefix = f"{self.component}." if known is None else known.prefix
        return f"{prefix}{self.path}" if self.path else self.component

    @property
    def spec(self) -> Field:
        """What is known of the setting."""
        if not self.path:
            return Field("component")
        known = TYPES.get(self.component)
        return fields_of("connected_app")[self.name][1] if known is None else known.fields[self.path]

    def read(self, said: dict[str, Any]) -> State:
        """Return how the setting stands in an example."""
        if self.component in DECLARED:
            value = _entry(_config(said), self.component).get(self.path, [])
            if isinstance(value, bool):
                return ("true",) if value else ("false",)
            return tuple(value) if isinstance(value, list) else (value,)
        if self.component in TYPES and TYPES[self.component].live:
            value = said.get("queried", {}).get(self.name)
            return tuple(map(str, value)) if isinstance(value, list) else () if value is None else (str(value),)
        container = _container(said, self.holder)
        if not self.path:
            return (container[self.component] or "",) if self.component in container else ()
        root = _parsed(container.get(self.component))
        return tuple(_written(element) for element in root.findall(self.path.replace(".", "/")))

    def write(self, said: dict[str, Any], state: State) -> dict[str, Any]:
        """Return the example in which the setting stands so, and nothing else is different."""
        said = deepcopy(said)
        container = _container(said, self.holder)
        if self.component in DECLARED:
            config = _config(said)
            entry = _entry(config, self.component)
            entry.pop(self.path, None)
            if state:
                values = list(state) if self.spec.type in ("list", "scopes") else state[0]
                entry[self.path] = values == "true" if self.spec.type == "boolean" else values
            said["config"] = yaml.safe_dump(config)
        elif TYPES[self.component].live:
            value = list(state) if self.spec.type == "list" else int(state[0]) if state else None
            said["queried"][self.name] = value
        elif not self.path:
            container.pop(self.component, None)
            if state:
                container[self.component] = state[0]
        else:
            root = _parsed(container[self.component])
            *parents, last = self.path.split(".")
            parent = root
            for tag in parents:
                found = parent.find(tag)
                parent = etree.SubElement(parent, tag) if found is None else found
            for element in parent.findall(last):
                parent.remove(element)
            for text in state:
                parent.append(etree.fromstring(text))
            container[self.component] = "".join(map(_written, root))
        return said

    def state(self, *values: str) -> State:
        """Return how the setting stands where it has these values."""
        if self.component in DECLARED or not self.path or TYPES[self.component].live:
            return values
        tag = self.path.rpartition(".")[2]
        if self.spec.type == "ranges":
            ends = (value.split("-") for value in values)
            return tuple(f"<{tag}><start>{first}</start><end>{last}</end></{tag}>" for first, last in ends)
        if tag.startswith("commaSeparated") and values:
            values = (",".join(values),)
        elements = []
        for value in values:
            element = etree.Element(tag)
            element.text = value
            elements.append(_written(element))
        return tuple(elements)

    def values(self, state: State) -> tuple[str, ...]:
        """Return the values that a setting has where it stands so."""
        if self.component in DECLARED or not self.path or TYPES[self.component].live:
            return state
        elements = [etree.fromstring(text) for text in state]
        if self.spec.type == "ranges":
            return tuple(f"{one.findtext('start')}-{one.findtext('end')}" for one in elements)
        texts = [(one.text or "").strip() for one in elements]
        if self.path.rpartition(".")[2].startswith("commaSeparated"):
            texts = [one.strip() for text in texts for one in text.split(",")]
        return tuple(texts)

    def alterations(self, state: State) -> Iterator[State]:
        """Yield other ways in which the setting can stand: not at all, and with the values that are worth a try."""
        type_, values = self.spec.type, self.values(state)
        if state:
            yield ()
        if type_ in ("list", "scopes"):
            for value in values:
                yield self.state(*(one for one in values if one != value))
            for value in worth_a_try(self) - set(values):
                yield self.state(*values, value)
        elif type_ not in ("object", "component"):
            for value in sorted(worth_a_try(self) - set(values)):
                yield self.state(value)
        elif not state:
            yield self.state("")


def _container(said: dict[str, Any], holder: str | None) -> dict[str, Any]:
    found: dict[str, Any] = said if holder is None else said["apps"][holder]
    return found


def _config(said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(said.get("config", "{}"))
    return found


def _entry(config: dict[str, Any], component: str) -> dict[str, Any]:
    """Return what a configuration says of the example's app."""
    entries: list[dict[str, Any]] = config.get(DECLARED[component], [])
    return next((one for one in entries if one["app"] == "App"), {})


def _parsed(inner: str | None) -> etree._Element:
    return etree.fromstring(f"<root>{inner or ''}</root>")


def _written(element: etree._Element) -> str:
    return etree.tostring(element, encoding="unicode", with_tail=False)


def _is_broken(said: dict[str, Any], component: str) -> bool:
    try:
        _parsed(said[component])
    except etree.XMLSyntaxError:
        return True
    return False


def stated(said: dict[str, Any]) -> Iterator[Place]:
    """Yield every setting that an example states, and every component."""
    for holder, container in chain([(None, said)], said.get("apps", {}).items()):
        for component in set(container) & set(TYPES):
            if not _is_broken(container, component):
                if holder is not None or component not in OWN_FILES:
                    yield Place(holder, component, "")
                for path in TYPES[component].fields:
                    place = Place(holder, component, path)
                    if place.read(said):
                        yield place
    for name in said.get("queried", {}):
        yield Place(None, *name.split("."))
    for component in DECLARED:
        for key in set(_entry(_config(said), component)) - {"app"}:
            if f"{component}.{key}" in fields_of("connected_app"):
                yield Place(None, component, key)


def looked_at(example: Example, finding: Finding) -> Iterator[Place]:
    """Yield every setting in the evidence that could stand in a file of the example, or in its configuration."""
    known = fields_of(ORG if finding.app is None else finding.app.kind)
    said = example.said
    for setting in finding.evidence:
        component = known[setting.name][0] if setting.name in known else setting.name
        if component in TYPES and TYPES[component].live:
            continue
        if component == "consumer_secret_committed":
            secrets = ("ConnectedApp", "oauthConfig.consumerSecret"), (GLOBAL_OAUTH, "consumerSecret")
            yield from (Place(None, *one) for one in secrets if one[0] in said)
        if component in TYPES and setting.name == component:
            yield Place(None, component, "")
        elif component in TYPES and component in said and not _is_broken(said, component):
            yield Place(None, component, setting.name.removeprefix(TYPES[component].prefix))
        elif component in DECLARED and setting.name != component and _entry(_config(said), component):
            yield Place(None, component, setting.name.partition(".")[2])


def worth_a_try(place: Place) -> set[str]:
    """Return values of a setting: documented ones, those at both ends, and those that any example has."""
    spec = place.spec
    default = [str(spec.default)] if spec.default is not None and spec.type != "boolean" else []
    ends = {"boolean": ["true", "false"], "integer": ["0", "1000000"], "ranges": [EVERYWHERE], "scopes": ["Full"]}
    return {*spec.values, *default, *ends.get(spec.type, []), *_in_examples()[place.name]}


@cache
def _in_examples() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for known in METADATA_TYPES.values():
        for path in known.fields:
            found[Place(None, known.name, path).name] = set()
    for example in EXAMPLES:
        for place in stated(example.said):
            if place.path:
                found.setdefault(place.name, set()).update(place.values(place.read(example.said)))
    return found


class Alteration(NamedTuple):
    """An example in which one setting stands otherwise."""

    example: Example
    before: Finding
    place: Place
    altered: dict[str, Any]
    after: Finding

    def __str__(self) -> str:
        was = self.place.read(self.example.said) or "absent"
        now = self.place.read(self.altered) or "absent"
        verdicts = f"{self.before.verdict.value} -> {self.after.verdict.value}"
        return f"{self.example.id}: {self.place.name}: {was} -> {now}: {verdicts}"


@pytest.fixture(scope="module", params=sorted(CONTROLS))
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Alterations:
    """Return the alterations of one setting of the examples of each control in turn."""
    folder = tmp_path_factory.mktemp("altered")
    return Alterations(CONTROLS[request.param], list(_altered(request.param, folder)), folder)


class Alterations(NamedTuple):
    """Every alteration of one setting of every example of a control."""

    control: Control
    all: list[Alteration]
    folder: Path

    @property
    def never(self) -> set[str]:
        """The verdicts of which the examples say that the control never gives them."""
        return set(DOCUMENTS[self.control.id].get("never", {}))

    @property
    def failing(self) -> list[Alteration]:
        """Those by which an example fails of which it is stated that it passes."""
        stated = (one for one in self.all if one.example.said["verdict"] == "pass")
        return [one for one in stated if one.after.verdict is Verdict.FAIL]


def _altered(control_id: str, folder: Path) -> Iterator[Alteration]:
    for example in EXAMPLES:
        if example.control_id != control_id:
            continue
        before = example.finding(CONTROLS[control_id], folder)
        for place in sorted({*stated(example.said), *looked_at(example, before)}, key=str):
            for state in place.alterations(place.read(example.said)):
                said = place.write(example.said, state)
                try:
                    after = replace(example, said=said).finding(CONTROLS[control_id], folder)
                except DocumentError:
                    continue  # the configuration must not say so
                yield Alteration(example, before, place, said, after)


def restored(one: Alteration) -> Example:
    """Return the example after the altered setting was put back as it was."""
    said, place = one.example.said, one.place
    if place.component in TYPES and not TYPES[place.component].live:
        # A parent that was added with the setting goes with it.
        tags = place.path.split(".")
        outer = (place._replace(path=".".join(tags[:depth])) for depth in range(1, len(tags)))
        place = next((parent for parent in outer if not parent.read(said)), place)
    return replace(one.example, said=place.write(one.altered, place.read(said)))


def test_one_setting_flips_the_verdict(found: Alterations) -> None:
    """One setting makes a passing example fail, and put back makes it pass; a control without either says why."""
    assert bool(found.failing) is not bool({"pass", "fail"} & found.never)
    for one in found.failing:
        assert restored(one).finding(found.control, found.folder).verdict is Verdict.PASS, str(one)
    flipped = {one.example.id for one in found.all if one.after.verdict is not one.before.verdict}
    assert {one.example.id for one in found.all if one.before.verdict is Verdict.PASS} <= flipped


def test_a_value_decides_and_not_only_that_it_is_there(found: Alterations) -> None:
    """A flag, number or enumeration whose absence makes a passing example fail does so with another value too."""
    read = [one for one in found.failing if one.place.component not in DECLARED]
    typed = [one for one in read if one.place.spec.type in ("boolean", "integer") or one.place.spec.values]
    by_value = {(one.example.id, one.place) for one in typed if one.place.read(one.altered)}
    assert {(one.example.id, one.place) for one in typed} == by_value


def test_what_is_never_said_is_never_said(found: Alterations) -> None:
    """No alteration gives a verdict of which the examples say that the control never gives it."""
    assert [str(one) for one in found.all if one.after.verdict.value in found.never] == []


def test_what_makes_it_fail_is_in_the_evidence(found: Alterations) -> None:
    """Whatever setting alone makes a passing example fail, the evidence of the pass names it."""
    assert [str(one) for one in found.failing if not names(one.before, one.place)] == []


def names(finding: Finding, place: Place) -> bool:
    """Tell whether evidence names a setting, what it is a part of, a part of it, or what follows from it."""
    known = fields_of(ORG if finding.app is None else finding.app.kind)
    for setting in finding.evidence:
        component = setting.name if setting.name not in known else known[setting.name][0]
        pair = f"{setting.name}.", f"{place.name}."
        if component == place.name or pair[0].startswith(pair[1]) or pair[1].startswith(pair[0]):
            return True
        if follows(setting.name, place) or IN_WORDS.search(setting.name):
            return True
    return False


FOLLOW = {
    "client_type": "callbackUrl|certificate|[cC]lientCredential|accessMethod|declared",
    "client_type_basis": "callbackUrl|certificate|[cC]lientCredential|accessMethod|declared",
    "consumer_secret_committed": "consumerSecret|GlobalOauth",
    "custom_attributes": "customAttributes|ExtlClntAppOauth",
    "custom_scopes": "CustomScopes|ExtlClntAppOauth",
    "refresh_tokens": "[sS]copes|refreshTokenPolicy",
    "signs_users_on": "[sS]copes|saml|Saml|idTokenConfig|ExtlClntAppOauthSettings|isOauthPluginEnabled",
}
"""Settings that follow from others, to the names of those."""


def follows(name: str, place: Place) -> bool:
    """Tell whether a setting follows from what stands in a place."""
    return name in FOLLOW and re.search(FOLLOW[name], place.name) is not None


IN_WORDS = re.compile("(single logout URL|not installed)$")
"""What evidence says in words of its own, of several settings at once."""


def test_every_setting_in_the_evidence_decides(found: Alterations) -> None:
    """A setting that findings of a control rest on decides in some example; others are only shown."""
    deciding = {one.place.name for one in found.all if decides_otherwise(one)}
    settings = {
        setting.name
        for one in found.all
        for setting in one.before.evidence
        if isinstance(setting, Seen) and not is_shown(one.before, setting.name)
    }
    known = {name for subject in found.control.applies_to for name in fields_of(subject)}
    # What follows from other settings cannot be altered itself.
    assert (settings & known) - deciding <= {"oauth", "inventory", *FOLLOW}


def decides_otherwise(one: Alteration) -> bool:
    """Tell whether after an alteration the verdict, or the step of the rule that gives it, is another."""
    return (one.after.verdict, one.after.depth) != (one.before.verdict, one.before.depth)


def is_shown(finding: Finding, name: str) -> bool:
    """Tell whether a control looks at a setting only to show it."""
    shows = finding.control.shows[ORG if finding.app is None else finding.app.kind]
    return any(one.name == name for condition in shows for one in condition.evidence(finding.app, finding.org))


def unreadable(subject: Any, place: Place) -> Any:
    """Return an app or org of which nobody can tell a setting."""
    assert isinstance(subject, Subject)
    why = Unreadable(place.name, "nobody can tell")
    if not place.path:
        settings = {name: one for name, one in subject.settings.items() if not name.startswith(f"{place.component}.")}
        read = {name: source for name, source in subject.read.items() if name != place.component}
        subject = replace(subject, settings=settings, read=read, unread={**subject.unread, place.component: why})
    else:
        subject = replace(subject, settings={**subject.settings, place.name: why})
    if isinstance(subject, App) and "declared.client_type" not in subject.settings:
        subject = replace(subject, settings={**subject.settings, **derive(subject)})
    return subject


def test_what_cannot_be_read_does_not_pass(found: Alterations) -> None:
    """Where a setting alone makes a passing example fail, nobody can tell the verdict while that cannot be told.

    And no example comes to pass by a setting that nobody can tell.
    """
    deciding = {(one.example.id, one.place) for one in found.failing}
    for key, one in {(one.example.id, one.place): one for one in found.all}.items():
        if one.place.component in DECLARED or one.place.spec.type in ("object", "secret"):
            continue  # what the configuration says, and that an element is there, can always be told
        finding = with_unreadable(one.before, one.place)
        if key in deciding:
            told = finding.verdict not in (Verdict.UNVERIFIABLE, Verdict.MANUAL)
            assert not told or has_a_stand_in(finding, one.place), (key, finding.verdict)
        elif one.before.verdict is not Verdict.PASS:
            assert finding.verdict is not Verdict.PASS or has_a_stand_in(finding, one.place), (key, finding.verdict)


def with_unreadable(before: Finding, place: Place) -> Finding:
    """Return what the control says where nobody can tell a setting."""
    org = before.org
    if (ORG, place.component) in METADATA_TYPES:
        org = unreadable(org, place)
    else:
        apps = (unreadable(app, place) if app.name == (place.holder or "App") else app for app in org.apps)
        org = replace(org, apps=tuple(apps))
    app = next((app for app in org.apps if before.app is not None and app.name == before.app.name), None)
    return evaluate(before.control, app, org)


def has_a_stand_in(finding: Finding, place: Place) -> bool:
    """Tell whether the rule itself says what decides where a component or setting was not read."""
    if finding.control.id in STAND_INS.get(place.component, ()):
        return True
    return any(
        isinstance(setting, Unreadable)
        and not setting.blocking
        and (f"{setting.name}.".startswith(f"{place.name}.") or follows(setting.name, place))
        for setting in finding.evidence
    )


STAND_INS = {OAUTH: ("eca-custom-attributes", "eca-custom-scopes")}
"""Components, to controls that go by the administrator's policies where only the developer's part was not read."""
