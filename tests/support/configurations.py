"""Configurations, right and wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

ACCEPTED = {"control": "ca-pkce", "app": "Price_Feed", "owner": "jo@acme.example", "reason": "The client cannot do it."}
"""A waiver, but for its last day."""
ATTESTED = {"control": "org-customer-sso", "by": "kim@acme.example", "statement": "All sites use SAML."}
"""An attestation, but for its last day."""

BAD: list[tuple[str, str]] = [
    ("app: []  # here\n", "unknown key 'app'; did you mean 'apps'?"),
    ("apps: []\nwaiver: []  # here\n", "unknown key 'waiver'; did you mean 'waivers'?"),
    ("apps:\n- app: A\n  client_typ: public  # here\n", "unknown key 'client_typ'; did you mean 'client_type'?"),
    ("apps:\n- app: A\n  criticality: low  # here\n", "unknown key 'criticality'"),
    (
        "apps:\n- app: A\n  client_type: pubic  # here\n",
        "must be one of public, private, not 'pubic'; did you mean 'public'?",
    ),
    ("apps:\n- app: A\n  client_type: Public  # here\n", "not 'Public'; did you mean 'public'?"),
    ("apps:\n- app: A\n  client_type: true  # here\n", "'client_type' must be a text: put the value in quotes"),
    ("apps:\n- app: A\n  client_type:  # here\n", "'client_type' has no value"),
    (
        "apps:\n- app: A\n  purpose: sever  # here\n",
        "must be one of iot, server, cli, not 'sever'; did you mean 'server'?",
    ),
    ("apps:\n- app: A\n  allowed_scopes: Api  # here\n", "'allowed_scopes' must be a list of texts"),
    ("apps:\n- app: A\n  allowed_scopes: [1]  # here\n", "'allowed_scopes' must be a list of texts"),
    ("apps:\n- app: A\n  allowed_scopes:  # here\n", "'allowed_scopes' has no value"),
    ("apps:\n- app: A\n  allowed_scopes: [Opened]  # here\n", "there is no scope 'Opened'; did you mean 'OpenID'?"),
    ("apps:\n- app: A\n  partner: perhaps  # here\n", "'partner' must be true or false"),
    ("apps:\n- app: A\n  partners: true  # here\n", "unknown key 'partners'"),
    ("apps:\n- app: A\n  allowed_attributes: department  # here\n", "'allowed_attributes' must be a list of texts"),
    ("apps:\n- app: A\n  allowed_attributes: [7]  # here\n", "'allowed_attributes' must be a list of texts"),
    ("apps:\n- app: A  # here\n", "says nothing about the app"),
    ("apps:\n- purpose: iot  # here\n", "'app' is missing"),
    ("apps:\n- app: 7  # here\n  purpose: iot\n", "'app' must be a text: put the value in quotes"),
    ("apps:\n- app: ''  # here\n  purpose: iot\n", "'app' must be a text"),
    ("apps:\n- app: [A, B]  # here\n  purpose: iot\n", "'app' must be a text"),
    ("apps:  # here\n  app: A\n  purpose: iot\n", "'apps' must be a list of mappings"),
    ("apps:  # here\n- A\n", "'apps' must be a list of mappings"),
    ("apps: all  # here\n", "'apps' must be a list of mappings"),
    ("inventory: []\napps:  # here\n", "'apps' has no value"),
    ("inventory:  # here\n- A\n", "'inventory' must be a list of mappings"),
    ("inventory:\n- app: A\n  criticallity: low  # here\n", "unknown key 'criticallity'; did you mean 'criticality'?"),
    ("inventory:\n- app: A\n  criticality: hihg  # here\n", "must be one of low, medium, high, critical, not 'hihg'"),
    ("inventory:\n- app: A\n  documents: SOC 2  # here\n", "'documents' must be a list of texts"),
    ("inventory:\n- app: A\n  gaps: [None]  # here\n", "'gaps' must be a text"),
    ("permission_holders: [ada@acme.example]  # here\n", "'permission_holders' must be a mapping with api_enabled, "),
    ("permission_holders:  # here\n", "'permission_holders' has no value"),
    ("permission_holders:\n  api_enable: []  # here\n", "unknown key 'api_enable'; did you mean 'api_enabled'?"),
    ("permission_holders:\n  api_enabled: ada  # here\n", "'api_enabled' must be a list of texts"),
    ("permission_holders:\n  api_enabled: [7]  # here\n", "'api_enabled' must be a list of texts"),
    ("apps:\n- app: A\n  partner: 'yes'  # here\n", "'partner' must be true or false"),
    ("apps:\n- app: A\n  partner: 1  # here\n", "'partner' must be true or false"),
    ("apps:\n- app: A\n  allowed_attributes: role  # here\n", "'allowed_attributes' must be a list of texts"),
    ("inventory:\n- criticality: low  # here\n", "'app' is missing"),
    ("apps:\n- app: A\n  purpose: iot\n  purpose: cli  # here\n", "'purpose' is repeated"),
    ("apps: []\ninventory: []\napps: []  # here\n", "'apps' is repeated: it is already in line 1"),
    ("- app: A  # here\n  purpose: iot\n", "the file must be a mapping"),
    ("apps  # here\n", "the file must be a mapping"),
    ("apps: []\nnote: a: b  # here\n", "not YAML"),
    ("apps:\n\t- app: A  # here\n", "not YAML"),
    ("apps: []\n---  # here\napps: []\n", "not YAML"),
    ("apps:\n- app: *A  # here\n  purpose: iot\n", "not YAML"),
    ("apps:\n- app: !secret A  # here\n  purpose: iot\n", "not YAML"),
    ("apps:\n- app: 2026-02-30  # here\n  purpose: iot\n", "'2026-02-30' is not a valid date"),
    ("apps:\n- app: A\x1b  # here\n  purpose: iot\n", "not YAML"),
    ("apps:\n- app: " + "9" * 5000 + "  # here\n  purpose: iot\n", ""),
    ("apps: " + "[" * 3000 + "]" * 3000 + "  # here\n", ""),
]
"""What the loader refuses, in the line that says `here`, and what its message has to say."""


def configure(pytester: pytest.Pytester, **said: Any) -> None:
    """Write oauthcontrols.yaml: a line for each key, and for each entry of a list."""
    lines = []
    for key, value in said.items():
        entries = value if isinstance(value, list) else []
        lines += [f"{key}:" if entries else f"{key}: {json.dumps(value)}", *(f"- {json.dumps(one)}" for one in entries)]
    (pytester.path / "oauthcontrols.yaml").write_text("\n".join(lines), "utf-8")
