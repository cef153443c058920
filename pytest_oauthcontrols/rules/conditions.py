"""The vocabulary in which controls say what decides them.

A condition is a mapping of settings to tests, all of which have to hold:

    oauthConfig.isPkceRequired: true                a flag is on (false: off)
    samlConfig: present                             it is there (a whole component: it was read)
    samlConfig: absent                              it is not there (a whole component: there is none)
    profileName: unseen                             it is not there, or cannot be read
    ExtlClntAppGlobalOauthSettings: unread          the component was not read, for whatever reason
    oauthPolicy.ipRelaxation: {is: ENFORCE}         the value, without regard to case
    canvasConfig.accessMethod: {one_of: [Get, Post]}
    OauthOidcSettings.isPkceRequired: {seen: true}  as `is`, but absent or unreadable is a plain no
    sessionPolicy.sessionTimeout: {between: [1, 60]}
    ConnectedApplication.PinLength: {at_least: 8}
    samlConfig.acsUrl: {starts_with: 'https://'}
    oauthConfig.scopes: {contains: OpenID}          a list has the value, or all of several
    oauthConfig.scopes: {contains_any: [Full, Api]} a list has at least one of several values
    oauthConfig.scopes: {lacks: Full}               a list has not the value, or none of several
    custom_scopes: {empty: true}                    a list has no value (false: it has one)
    ipRanges: {narrower_than: 0.0.0.0/0}            address ranges that together leave out a part of the network
    any: [CONDITION, ...]                           at least one holds
    not: CONDITION                                  the opposite holds
    factor.NAME: true                               a risk factor that no API shows was attested (false: its opposite)
    read_from: files                                the org was read from files (or: live org)
    predicate: NAME                                 a function of `predicates`, where settings interact

A condition is true, false or unknown (an unreadable setting, an absent one without a documented
default). Where a documented default stands in for an element that a file leaves out, the condition
holds, or fails, *by default* only: a file that an older API version wrote leaves the element out too.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from pytest_oauthcontrols.orgs.metadata_types import METADATA_TYPES, ORG, Field, canonical_scope, fields_of, is_scope
from pytest_oauthcontrols.orgs.model import Absent, App, Org, Seen, Setting, Unreadable, of_version, understood
from pytest_oauthcontrols.rules.predicates import OF_ONE_APP, PREDICATES, Predicate
from pytest_oauthcontrols.rules.truth import (
    BY_HAND,
    FALSE,
    FALSE_BY_DEFAULT,
    TRUE,
    TRUE_BY_DEFAULT,
    Truth,
    greatest,
    least,
    negated,
    truth,
    untold,
)
from pytest_oauthcontrols.text import suggestion
from pytest_oauthcontrols.yaml_entries import Entry

FACTOR = "factor."
"""How the setting begins that holds the attestation of a risk factor."""


class Condition(Protocol):
    """Something that holds of an app (None: of the org itself), or does not."""

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether it holds."""

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield every setting that it looks at."""


@dataclass(frozen=True, slots=True)
class Several:
    """Several conditions at once."""

    conditions: tuple[Condition, ...]
    decide: Callable[[list[Truth]], Truth]
    """`least` where all have to hold, `greatest` where one is enough."""
    settled: Truth
    """What settles the matter, whatever the others say."""

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether they hold."""
        found = []
        for condition in self.conditions:
            holds = condition.holds(app, org)
            if holds == self.settled:
                return holds
            found.append(holds)
        return self.decide(found)

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield the evidence of each."""
        for condition in self.conditions:
            yield from condition.evidence(app, org)


@dataclass(frozen=True, slots=True)
class Negation:
    """The opposite of a condition."""

    condition: Condition

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether the opposite holds."""
        return negated(self.condition.holds(app, org))

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield what the condition looks at."""
        yield from self.condition.evidence(app, org)


@dataclass(frozen=True, slots=True)
class RiskFactor:
    """A risk factor that no API shows is there, or is not: only an attestation that has not expired tells."""

    factor: str
    there: bool

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether it was attested that the factor is there, or is not."""
        return truth(self.there) if isinstance(self._attested(app, org), Seen) else BY_HAND

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield the attestation as a setting."""
        yield self._attested(app, org)

    def _attested(self, app: App | None, org: Org) -> Setting:
        name = f"{FACTOR}{self.factor}"
        attested = (org if app is None else app).settings.get(name)
        if attested is None:
            return Unreadable(name, f"no API shows it, and nobody has attested the factor {self.factor}", manual=True)
        return attested


READ_FROM = ("files", "live org")
"""What an org is read from."""


@dataclass(frozen=True, slots=True)
class ReadFrom:
    """The org was read from files, or it is a live org; so is that of a snapshot."""

    files: bool

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether the org was read from that."""
        return truth((org.api_version is None) is self.files)

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield what it was read from."""
        yield Seen("read_from", READ_FROM[org.api_version is not None], org.location)


@dataclass(frozen=True, slots=True)
class Named:
    """A predicate."""

    predicate: Predicate

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether the predicate holds."""
        return self.predicate(app, org)[0]

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield what the predicate looks at."""
        yield from self.predicate(app, org)[1]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one setting of an app, or of its org."""

    name: str
    component: str
    spec: Field
    of_org: bool

    def read(self, app: App | None, org: Org) -> Setting:
        """Return the setting; where it is absent because the API version is too old, it is unreadable."""
        setting = (org if self.of_org or app is None else app).setting(self.name, self.component)
        return of_version(setting, self.spec, org.api_version)


@dataclass(frozen=True, slots=True)
class Presence(Reader):
    """A setting is there (`present`), is not there (`absent`), or is not seen for whatever reason (`unseen`)."""

    state: str

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether the setting is in that state."""
        subject = org if self.of_org or app is None else app
        if self.name not in subject.settings and org.api_version is None and self.component in subject.read:
            return truth(self.state != "present")
        setting = self.read(app, org)
        if isinstance(setting, Unreadable):
            return TRUE if self.state == "unseen" else untold(setting.manual)
        return truth(isinstance(setting, Seen) is (self.state == "present"))

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield the setting."""
        setting = self.read(app, org)
        passed_over = self.state == "unseen" and isinstance(setting, Unreadable)
        yield setting._replace(blocking=False) if passed_over else setting  # type: ignore[call-arg]


@dataclass(frozen=True, slots=True)
class ComponentState:
    """A whole metadata component was read (`present`), is known not to exist (`absent`), or was not read (`unread`)."""

    name: str
    state: str
    of_org: bool

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether the component is in that state."""
        subject = org if self.of_org or app is None else app
        if self.name in subject.read:
            return truth(self.state == "present")
        if self.state == "unread":
            return TRUE
        unread = subject.unread.get(self.name)
        return truth(self.state == "absent") if unread is None else untold(unread.manual)

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield the component as a setting."""
        subject = org if self.of_org or app is None else app
        source = org.location if self.of_org or app is None else app.source
        if self.name in subject.read:
            yield Seen(self.name, "present", subject.read[self.name])
        elif self.name in subject.unread:
            yield subject.unread[self.name]._replace(blocking=self.state != "unread")
        else:
            yield Absent(self.name, source)


@dataclass(frozen=True, slots=True)
class Comparison(Reader):
    """A setting has a value that passes a test."""

    test: Callable[[Any], bool]
    only_seen: bool
    """Whether absent or unreadable is a plain no."""
    silent: bool
    """Whether absence tells nothing: the setting is always written, or it is a list that should lack something."""
    absent_from_file: Truth = field(init=False)
    """What the absence of the element from a file comes to."""

    def __post_init__(self) -> None:
        # Worked out once: elements that are not there are as common in files as those that are.
        absent = self._understood(Absent(self.name, ""), None)
        object.__setattr__(self, "absent_from_file", self._truth(absent, None))

    def holds(self, app: App | None, org: Org) -> Truth:
        """Tell whether the value passes; a documented default of a file's absent element does so by default only."""
        subject = org if self.of_org or app is None else app
        setting: Setting | None = subject.settings.get(self.name)
        if type(setting) is Seen:
            return TRUE if self.test(setting.value) else FALSE
        if setting is None and org.api_version is None and self.component in subject.read:
            return self.absent_from_file
        return self._truth(self._understood(self.read(app, org), org.api_version), org.api_version)

    def _truth(self, setting: Setting, api_version: float | None) -> Truth:
        if isinstance(setting, Seen):
            return truth(self.test(setting.value))
        if self.only_seen:
            return FALSE
        if isinstance(setting, Unreadable):
            return untold(setting.manual)
        if setting.default is None:
            return FALSE
        if api_version is None and setting.since:
            return TRUE_BY_DEFAULT if self.test(setting.default) else FALSE_BY_DEFAULT
        return truth(self.test(setting.default))

    def evidence(self, app: App | None, org: Org) -> Iterator[Setting]:
        """Yield the setting."""
        yield self._understood(self.read(app, org), org.api_version)

    def _understood(self, setting: Setting, api_version: float | None) -> Setting:
        """Return an absent setting with its default, or as unreadable where its absence tells nothing."""
        if self.only_seen:
            return setting._replace(blocking=False) if isinstance(setting, Unreadable) else setting
        return understood(setting, self.spec, api_version, self.silent)


def compile_condition(entry: Entry, subject: str, reserved: Iterable[str] = ()) -> Condition:
    """Return the condition that an entry states of a kind of app, or of the org.

    Raises `DocumentError` for a setting that the subject does not have, and for a test that the
    setting cannot be put to.
    """
    parts = [_compile_part(entry, key, subject) for key in entry if key not in reserved]
    if not parts:
        raise entry.error("a condition is missing")
    return all_of(tuple(parts))


def factors_of(stated: Any, wanted: bool = True) -> Iterator[tuple[str, bool]]:
    """Yield the risk factors that a condition, as it is stated, looks at, and whether they have to be there."""
    if isinstance(stated, list):
        for one in stated:
            yield from factors_of(one, wanted)
    elif isinstance(stated, dict):
        for key, value in stated.items():
            if key.startswith(FACTOR):
                yield key.removeprefix(FACTOR), value is wanted
            else:
                yield from factors_of(value, wanted is not (key == "not"))


def all_of(conditions: tuple[Condition, ...]) -> Condition:
    """Return the condition that every one of several holds."""
    return conditions[0] if len(conditions) == 1 else Several(conditions, least, FALSE)


def _compile_part(entry: Entry, key: str, subject: str) -> Condition:
    if key in ("any", "not"):
        return _compile_logic(entry, key, subject)
    if key.startswith(FACTOR) or key in ("read_from", "predicate"):
        return _compile_named(entry, key, subject)
    of_org = (ORG, key.partition(".")[0]) in METADATA_TYPES
    if (subject, key) in METADATA_TYPES or (ORG, key) in METADATA_TYPES:
        return ComponentState(key, entry.choice(key, ("present", "absent", "unread")), of_org)
    known = fields_of(subject)
    if key not in known:
        raise entry.error(f"there is no setting '{key}' of {subject.replace('_', ' ')}s{suggestion(key, known)}", key)
    component, spec = known[key]
    if entry[key] in ("present", "absent", "unseen"):
        return Presence(key, component, spec, of_org, entry[key])
    verb, compare = _compile_test(entry, key, spec)
    silent = spec.untold or verb == "lacks"
    return Comparison(key, component, spec, of_org, compare, verb == "seen", silent)


def _compile_named(entry: Entry, key: str, subject: str) -> Condition:
    """Return the condition on what is not a setting: a risk factor, where the org was read, a predicate."""
    if key == "read_from":
        return ReadFrom(entry.choice(key, READ_FROM) == "files")
    if key == "predicate":
        name = entry.choice(key, PREDICATES)
        if subject not in OF_ONE_APP.get(name, (subject,)):
            raise entry.error(f"'{name}' cannot be asked of {subject.replace('_', ' ')}s", key)
        return Named(PREDICATES[name])
    if not isinstance(entry[key], bool):
        raise entry.error(f"'{key}' must be true or false", key)
    return RiskFactor(key.removeprefix(FACTOR), entry[key])


def _compile_logic(entry: Entry, key: str, subject: str) -> Condition:
    if key == "not":
        if not isinstance(entry[key], Entry):
            raise entry.error("'not' must be a condition", key)
        return Negation(compile_condition(entry[key], subject))
    conditions = tuple(compile_condition(one, subject) for one in entry.entries(key))
    if not conditions:
        raise entry.error("'any' must not be empty", key)
    return Several(conditions, greatest, TRUE)


def _compile_test(entry: Entry, key: str, spec: Field) -> tuple[str, Test]:
    test = entry[key]
    if isinstance(test, bool):
        verb, operand = "is", test
    elif isinstance(test, Entry) and len(test) == 1:
        verb, operand = next(iter(test.items()))
    else:
        raise entry.error(f"'{key}' must be true, false, present, absent, unseen or one operator with its operand", key)
    if verb not in _OPERATORS:
        raise entry.error(f"unknown operator '{verb}'{suggestion(verb, _OPERATORS)}", key)
    types, build = _OPERATORS[verb]
    if spec.type not in types:
        raise entry.error(f"'{verb}' does not go with '{key}', which is of type {spec.type}", key)
    try:
        compare = build(operand, spec)
    except ValueError as error:
        raise entry.error(f"'{verb}' of '{key}': {error}", key) from None
    return verb, compare


Test = Callable[[Any], bool]


def _is(operand: Any, field: Field) -> Test:
    if field.type == "boolean" and not isinstance(operand, bool):
        raise ValueError("must be true or false")
    if field.type == "integer" and type(operand) is not int:
        raise ValueError("must be a whole number")
    if field.type in ("boolean", "integer"):
        return partial(operator.eq, operand)
    if not isinstance(operand, str):
        raise ValueError("must be a text")
    if field.values and operand.lower() not in [known.lower() for known in field.values]:
        raise ValueError(
            f"must be one of {', '.join(field.values)}, not '{operand}'{suggestion(operand, field.values)}"
        )
    wanted = operand.lower()
    return lambda value: bool(value.lower() == wanted)


def _one_of(operand: Any, field: Field) -> Test:
    if not isinstance(operand, list) or not operand:
        raise ValueError("must be a list")
    tests = [_is(one, field) for one in operand]
    return lambda value: any(test(value) for test in tests)


def _between(operand: Any, _field: Field) -> Test:
    if not isinstance(operand, list) or [type(one) for one in operand] != [int, int]:
        raise ValueError("must be a list of the lowest and the highest number")
    low, high = operand
    return lambda value: bool(low <= value <= high)


def _at_least(operand: Any, _field: Field) -> Test:
    if type(operand) is not int:
        raise ValueError("must be a whole number")
    return lambda value: bool(value >= operand)


def _starts_with(operand: Any, _field: Field) -> Test:
    if not isinstance(operand, str):
        raise ValueError("must be a text")
    return lambda value: bool(value.lower().startswith(operand.lower()))


def _members(operand: Any, field: Field) -> frozenset[str]:
    members = operand if isinstance(operand, list) else [operand]
    if not members or not all(isinstance(one, str) for one in members):
        raise ValueError("must be a text or a list of texts")
    if field.type == "scopes":
        for one in members:
            if not is_scope(one):
                raise ValueError(f"there is no scope '{one}'")
        return frozenset(canonical_scope(one) for one in members)
    for one in members:
        if field.values and one not in field.values:
            raise ValueError(f"there is no '{one}'{suggestion(one, field.values)}")
    return frozenset(members)


def _contains(operand: Any, field: Field) -> Test:
    return _members(operand, field).issubset


def _contains_any(operand: Any, field: Field) -> Test:
    members = _members(operand, field)
    return lambda value: not members.isdisjoint(value)


def _lacks(operand: Any, field: Field) -> Test:
    return _members(operand, field).isdisjoint


def _empty(operand: Any, _field: Field) -> Test:
    if not isinstance(operand, bool):
        raise ValueError("must be true or false")
    return lambda value: (not value) is operand


def _narrower_than(operand: Any, _field: Field) -> Test:
    if operand == []:
        raise ValueError("must be a network or a list of networks")
    networks = [ipaddress.ip_network(one) for one in (operand if isinstance(operand, list) else [operand])]

    def test(ranges: tuple[str, ...]) -> bool:
        blocks = [block for one in ranges for block in _blocks(one)]
        return not any(
            network in ipaddress.collapse_addresses([block for block in blocks if block.version == network.version])
            for network in networks
        )

    return test


def _blocks(addresses: str) -> Iterable[Any]:
    """Return the networks that make up a range, `first-last`, as the parser has checked it."""
    first, last = (ipaddress.ip_address(part) for part in addresses.split("-"))
    return ipaddress.summarize_address_range(first, last)


_OPERATORS: dict[str, tuple[tuple[str, ...], Callable[[Any, Field], Test]]] = {
    "is": (("boolean", "integer", "string"), _is),
    "seen": (("boolean", "integer", "string"), _is),
    "one_of": (("integer", "string"), _one_of),
    "between": (("integer",), _between),
    "at_least": (("integer",), _at_least),
    "starts_with": (("string",), _starts_with),
    "contains": (("list", "scopes"), _contains),
    "contains_any": (("list", "scopes"), _contains_any),
    "lacks": (("list", "scopes"), _lacks),
    "empty": (("list", "scopes"), _empty),
    "narrower_than": (("ranges",), _narrower_than),
}
"""Operator to the types of settings that it goes with, and to what builds its test."""
