"""What a key of `oauthcontrols.yaml` is made of, and the kinds of values that keys have.

A kind says the same thing three times: `read` checks a value for the loader, `schema` describes the values to editors,
and `words` names them in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pytest_oauthcontrols.orgs.metadata_types import ORG, SCOPES, canonical_scope, is_scope, scope_spellings
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.rules.control import is_own_id
from pytest_oauthcontrols.rules.selection import FRAMEWORKS
from pytest_oauthcontrols.text import suggestion
from pytest_oauthcontrols.yaml_entries import Entry

Schema = dict[str, Any]
"""A JSON schema, or a part of one."""


@dataclass(frozen=True)
class Kind:
    """The values that a key can have."""

    words: str
    """In words, as Markdown."""
    schema: Schema
    read: Callable[[Entry, str, Catalogue], Any]
    """Returns the checked value of a key that an entry has; raises `DocumentError` where it is not of this kind."""
    keys: Mapping[str, Key] = field(default_factory=dict)
    """The keys of each mapping in a list of mappings."""


@dataclass(frozen=True)
class Key:
    """What a key means, and what it can hold."""

    kind: Kind
    description: str
    required: bool = False
    default: str = ""
    """What counts without the key."""
    examples: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """The values, with what editors show beside them."""
        shown: Schema = {"description": self.description}
        if self.default:
            shown["default"] = self.default
        if self.examples:
            shown["examples"] = list(self.examples)
        return shown | self.kind.schema


def read_keys(entry: Entry, keys: Mapping[str, Key], catalogue: Catalogue, owner: str = "") -> Entry:
    """Return the entry with the checked values of some keys.

    Args:
        entry: The mapping.
        keys: The keys that are read. Others are left out.
        catalogue: The controls, for values that name one.
        owner: What the errors about missing keys say the keys belong to.

    Raises:
        DocumentError: A value is not of its kind, or a required key is missing.
    """
    checked = Entry(entry.file, entry.line)
    checked.lines = entry.lines
    for name, key in keys.items():
        example = f", for example {name}: {key.examples[0]}" if key.examples else ""
        if name not in entry:
            if key.required:
                raise entry.error(f"'{name}'{owner} is missing: add it{example}")
        elif entry[name] is None:
            raise entry.error(f"'{name}'{owner} has no value: add one{example}", name)
        else:
            checked[name] = key.kind.read(entry, name, catalogue)
    return checked


def mapping_schema(keys: Mapping[str, Key]) -> Schema:
    """Return the schema of a mapping with these keys."""
    required = [name for name, key in keys.items() if key.required]
    return {
        "type": "object",
        **({"required": required} if required else {}),
        "additionalProperties": False,
        "properties": {name: key.schema for name, key in keys.items()},
    }


def alternatives(names: Iterable[str]) -> str:
    """Return names as `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


# Single values

NOT_EMPTY: Schema = {"type": "string", "pattern": r"\S"}

TEXT = Kind("text", NOT_EMPTY, lambda entry, key, _: entry.text(key))

FLAG = Kind("`true`, `false`", {"type": "boolean"}, lambda entry, key, _: entry.flag(key))

DAY = Kind(
    "day, such as `2027-03-31`",
    # Some editors do not check formats, but all check patterns.
    {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    lambda entry, key, _: entry.day(key),
)


def choice(*choices: str) -> Kind:
    """Return the kind of one of a few words."""
    words = ", ".join(f"`{word}`" for word in choices)
    return Kind(words, {"enum": list(choices)}, lambda entry, key, _: entry.choice(key, choices))


def control_id(*, own: bool, also: tuple[str, ...] = ()) -> Kind:
    """Return the kind of a control's id.

    Args:
        own: Whether it can be a control of the project's own.
        also: Ids that are not in the catalogue.
    """
    definitions = ("control_of_apps", "control_of_the_org", "own_control")
    references = [{"$ref": f"#/definitions/{name}"} for name in (definitions if own else definitions[:2])]
    schema = {"anyOf": [*references, *({"const": control} for control in also)]}
    return Kind("id of a control", schema, partial(_read_control_id, own, also))


def _read_control_id(own: bool, also: tuple[str, ...], entry: Entry, key: str, catalogue: Catalogue) -> str:
    control_id = entry.text(key)
    known = (*(control.id for control in catalogue.controls if own or not control.origin), *also)
    if own and control_id not in known:
        if control_id in catalogue.factors:
            raise entry.error(f"'{control_id}' is a risk factor, not a control: attest it as 'factor'", key)
        if is_own_id(control_id):
            return control_id  # A test may state this control. Tests are collected later.
    return entry.known(key, "control", known)


RISK_FACTOR = Kind(
    "risk factor",
    {"anyOf": [{"$ref": "#/definitions/factor"}]},
    lambda entry, key, catalogue: entry.known(key, "risk factor", catalogue.factors),
)


def _read_condition(entry: Entry, key: str, catalogue: Catalogue) -> Any:
    """Return the condition; it is compiled together with the control that it belongs to."""
    if not isinstance(entry[key], Entry):
        raise entry.error(f"'{key}' must be a condition", key)
    return entry[key]


CONDITION = Kind("[condition](6-extending.md#conditions)", {"type": "object", "minProperties": 1}, _read_condition)


# Lists of texts


def _list_of(plural: str, item: Schema, read_item: Callable[[Entry, str, str], str] | None = None) -> Kind:
    """Return the kind of a list of texts, each of which `read_item` checks."""

    def read(entry: Entry, key: str, catalogue: Catalogue) -> tuple[str, ...]:
        texts = entry.texts(key)
        return texts if read_item is None else tuple(read_item(entry, key, text) for text in texts)

    return Kind(f"list of {plural}", {"type": "array", "items": item}, read)


def _read_scope(entry: Entry, key: str, scope: str) -> str:
    if not is_scope(scope):
        raise entry.error(f"there is no scope '{scope}'{suggestion(scope, SCOPES)}", key)
    return canonical_scope(scope)


def _read_control_file(entry: Entry, key: str, file: str) -> str:
    if not file.endswith(".yaml"):
        raise entry.error(f"'{file}' is not the file of a control: call it by the control's id and .yaml", key)
    return file


def _in_any_case(word: str) -> str:
    """Return a pattern for a word in any case: a pattern of a JSON schema has no flags."""
    return "".join(f"[{char.upper()}{char.lower()}]" if char.isalpha() else char for char in word)


TEXTS = _list_of("texts", NOT_EMPTY)

USERNAMES = _list_of("usernames", NOT_EMPTY)

OAUTH_SCOPES = _list_of(
    "OAuth scopes",
    {
        "description": "An OAuth scope, by its name in the Metadata API. Synonyms and any case are understood too.",
        "type": "string",
        # Editors offer the names; the pattern lets other spellings pass.
        "anyOf": [{"enum": list(SCOPES)}, {"pattern": f"^({'|'.join(map(_in_any_case, scope_spellings()))})$"}],
    },
    _read_scope,
)

CONTROL_FILES = _list_of("paths", {"type": "string", "pattern": r"\S\.yaml\s*$"}, _read_control_file)

# What matches no control is found out once all controls are known.
CONTROLS = _list_of(
    "ids, shell patterns for ids, and frameworks",
    {
        "anyOf": [
            {"description": "A framework: all of its controls.", "enum": list(FRAMEWORKS)},
            {"$ref": "#/definitions/control_of_apps"},
            {"$ref": "#/definitions/control_of_the_org"},
            {"$ref": "#/definitions/own_control"},
            {"description": "A shell pattern for ids.", "type": "string", "pattern": r"[*?\[]"},
        ]
    },
)


# Mappings


def mapping(keys: Mapping[str, Key]) -> Kind:
    """Return the kind of one mapping."""

    def read(entry: Entry, key: str, catalogue: Catalogue) -> Entry:
        inner = entry[key]
        if not isinstance(inner, Entry):
            raise entry.error(f"'{key}' must be a mapping with {alternatives(keys)}", key)
        inner.only(keys)
        return read_keys(inner, keys, catalogue)

    return Kind("mapping", mapping_schema(keys), read, keys)


def entries(
    keys: Mapping[str, Key], *, says_nothing: str = "", one_of: tuple[str, ...] = (), app_fits_control: bool = False
) -> Kind:
    """Return the kind of a list of mappings.

    Args:
        keys: The keys of each mapping.
        says_nothing: What is wrong with a mapping that has required keys only; empty if nothing is.
        one_of: Keys of which a mapping has exactly one.
        app_fits_control: Whether `app` must be given for a control of apps, and must not for a control of the org.
    """
    item = mapping_schema(keys)
    optional = [name for name, key in keys.items() if not key.required]
    if says_nothing:
        item["anyOf"] = [{"required": [name]} for name in optional]
    if one_of:
        item["oneOf"] = [
            {"required": [name], "properties": {other: False for other in one_of if other != name}} for name in one_of
        ]
    if app_fits_control:
        item["allOf"] = [
            _if_control("control_of_apps", {"required": ["app"]}),
            _if_control("control_of_the_org", {"properties": {"app": False}}),
        ]

    def read_item(entry: Entry, catalogue: Catalogue) -> Entry:
        entry.only(keys)
        if says_nothing and not entry.keys() & set(optional):
            raise entry.error(f"{says_nothing}: add {alternatives(optional)}")
        if one_of and len(entry.keys() & set(one_of)) != 1:
            raise entry.error(f"give exactly one of {alternatives(one_of)}")
        checked = read_keys(entry, keys, catalogue)
        if app_fits_control:
            _check_app(checked, catalogue)
        return checked

    def read(entry: Entry, key: str, catalogue: Catalogue) -> tuple[Entry, ...]:
        return tuple(read_item(item, catalogue) for item in entry.entries(key))

    return Kind("list", {"type": "array", "items": item}, read, keys)


def _if_control(definition: str, then: Schema) -> Schema:
    control = {"$ref": f"#/definitions/{definition}"}
    return {"if": {"properties": {"control": control}, "required": ["control"]}, "then": then}


def _check_app(entry: Entry, catalogue: Catalogue) -> None:
    control = next((control for control in catalogue.controls if control.id == entry.get("control")), None)
    if control is None:
        return
    if "app" in entry and control.applies_to == (ORG,):
        raise entry.error(f"{control.id} is a control of the org itself: remove 'app'", "app")
    if "app" not in entry and ORG not in control.applies_to:
        raise entry.error(f"'app' is missing: {control.id} is a control of apps, so add a full name or a pattern")
