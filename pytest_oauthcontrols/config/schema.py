"""The JSON schema of `oauthcontrols.yaml`, by which editors complete and check it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pytest_oauthcontrols.config.description import FILE_NAME, KEYS, SUMMARY
from pytest_oauthcontrols.config.kinds import mapping_schema
from pytest_oauthcontrols.orgs.metadata_types import ORG
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.control import OWN_ID, Control


def schema() -> dict[str, Any]:
    """Return the schema, with the controls and risk factors that ship with the package.

    It is of the newest draft that all editors know.
    """
    catalogue = load()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": FILE_NAME,
        "description": SUMMARY,
        **mapping_schema(KEYS),
        "type": ["object", "null"],
        "definitions": {
            "control_of_apps": _ids(control for control in catalogue.controls if ORG not in control.applies_to),
            "control_of_the_org": _ids(control for control in catalogue.controls if control.applies_to == (ORG,)),
            "own_control": {
                "description": "A control of your own: lower-case words joined by hyphens.",
                "type": "string",
                "pattern": f"^{OWN_ID}$",
                "not": {"$ref": "#/definitions/factor"},
            },
            "factor": {"enum": list(catalogue.factors)},
        },
    }


def schema_text() -> str:
    """Return the schema as the file that ships with the package."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _ids(controls: Iterable[Control]) -> dict[str, Any]:
    names = {control.id: control.name for control in controls}
    return {"enum": sorted(names), "enumDescriptions": [names[control] for control in sorted(names)]}
