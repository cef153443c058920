"""What an editor makes of oauthcontrols.yaml, by the schema that is told to it."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import yaml
from jsonschema import Draft7Validator

NAME = "oauthcontrols.schema.json"
SCHEMA = files("pytest_oauthcontrols").joinpath(NAME)
"""Where it is installed."""
SAID: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
"""What it says."""
VALIDATOR = Draft7Validator(SAID, format_checker=Draft7Validator.FORMAT_CHECKER)


class Editor(yaml.SafeLoader):
    """Reads YAML as editors do, by YAML 1.2: dates are texts, and so are `yes` and `1:30`."""


Editor.yaml_implicit_resolvers = {}

for tag, first, pattern in (
    ("null", ("", "~", "n", "N"), "|~|null|Null|NULL"),
    ("bool", "tTfF", "true|True|TRUE|false|False|FALSE"),
    ("int", "-+0123456789", "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"),
    ("float", "-+.0123456789", r"[-+]?([.][0-9]+|[0-9]+([.][0-9]*)?)([eE][-+]?[0-9]+)?"),
    ("merge", "<", "<<"),
):
    Editor.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"({pattern})$"), list(first))


def schema_accepts(text: str) -> bool:
    """Tell whether an editor finds nothing wrong with a text."""
    try:
        seen = yaml.load(text, Editor)  # noqa: S506  (a subclass of the safe loader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return False
    # Keys that look like numbers are texts.
    return VALIDATOR.is_valid(json.loads(json.dumps(seen)))
