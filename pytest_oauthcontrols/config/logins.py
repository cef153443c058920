"""The kinds of values that say how to log in. No error quotes one, as it may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_oauthcontrols.config.credentials import DEMO, Credentials, Login, is_path
from pytest_oauthcontrols.config.kinds import Key, Kind, Schema, alternatives, mapping_schema, read_keys
from pytest_oauthcontrols.rules.catalogue import Catalogue
from pytest_oauthcontrols.yaml_entries import Entry

_LIKE_A_VARIABLE = r"\s*\$([A-Za-z_]\w*|\{(?!\w+\})[^}]*\})\s*$"
_SCHEMA: Schema = {"type": "string", "pattern": rf"^(?!{_LIKE_A_VARIABLE})[\s\S]*\S"}


def _read_literal(entry: Entry, key: str, catalogue: Catalogue) -> str:
    value = entry.verbatim(key)
    if re.match(_LIKE_A_VARIABLE, value):
        raise entry.error(f"'{key}' looks like a shell variable: write ${{NAME}} for an environment variable", key)
    return value


LITERAL = Kind("text", _SCHEMA, _read_literal)
"""A text as it is written, but for each `${NAME}`, which stands for an environment variable."""

SECRET = Kind("secret", _SCHEMA, _read_literal)
"""The same; nobody should see it."""


@dataclass(frozen=True)
class Way:
    """A way to log in."""

    description: str
    credentials: type[Credentials]
    """The keys are its fields."""
    keys: Mapping[str, Key]


def logins(ways: Mapping[str, Way]) -> Kind:
    """Return the kind of a mapping of the names of orgs to how to log in to them.

    Args:
        ways: Each way to log in, by the key that tells it from the others.
    """
    names = {
        "description": "Any name but 'demo'. Not a path.",
        "pattern": rf"^(?!({DEMO}|[.]|[.][.])$)(?!.*[.]([Zz][Ii][Pp]|[Jj][Ss][Oo][Nn])$)[^/\\]*$",
        "errorMessage": "An org cannot have this name: --sf-org takes it for the sample org or a path.",
    }
    values = {"oneOf": [{"description": way.description, **mapping_schema(way.keys)} for way in ways.values()]}

    def read(entry: Entry, key: str, catalogue: Catalogue) -> dict[str, Login]:
        orgs = entry[key]
        if not isinstance(orgs, Entry):
            raise entry.error(f"'{key}' must be a mapping of names to logins", key)
        return {name: _read_login(ways, orgs, name, catalogue) for name in orgs}

    schema = {"type": "object", "propertyNames": names, "additionalProperties": values}
    return Kind("mapping of names to logins", schema, read)


def _read_login(ways: Mapping[str, Way], orgs: Entry, name: str, catalogue: Catalogue) -> Login:
    if name == DEMO or is_path(name) or "\\" in name:
        raise orgs.error(f"an org cannot be called '{name}': --sf-org takes it for the sample org or a path", name)
    entry = orgs[name]
    if not isinstance(entry, Entry):
        raise orgs.error(f"'{name}' must be a mapping that says how to log in", name)
    entry.only(sorted({key for way in ways.values() for key in way.keys}))
    found = [key for key in ways if key in entry]
    if not found:
        raise entry.error(f"a way to log in to {name} is missing: add {alternatives(ways)}")
    if len(found) > 1:
        raise entry.error(f"'{found[0]}' and '{found[1]}' are two ways to log in to {name}: keep one")
    way = ways[found[0]]
    for key in entry:
        if key not in way.keys:
            raise entry.error(f"'{key}' does not go with '{found[0]}'", key)
    read_keys(entry, way.keys, catalogue, f" of {name}")
    secrets = frozenset(key for key in entry if way.keys[key].kind is SECRET)
    return Login(name, way.credentials, entry, secrets)
