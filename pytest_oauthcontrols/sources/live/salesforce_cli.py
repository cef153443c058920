"""What the Salesforce CLI (`sf`) knows of an org: its address, and an access token that it keeps fresh."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Any

from pytest_oauthcontrols.sources.live.transport import without_tokens
from pytest_oauthcontrols.sources.parser import SourceError

TIMEOUT = 90
"""Seconds that one command may take; a cold start with a refresh of the token takes ten at times."""

_QUIET = {"SF_DISABLE_TELEMETRY": "true", "SF_SKIP_NEW_VERSION_CHECK": "true", "FORCE_COLOR": "0"}
_NAME = re.compile(r"[\w][\w .@+'-]*")
_REDACTED = "[REDACTED]"
_UNKNOWN = ("NamedOrgNotFoundError", "NamedOrgNotFound", "NoAuthInfoFound")


class Failure(Exception):
    """The CLI's own error; `name` is that of its error class."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message


@dataclass(frozen=True)
class Target:
    """An org that the CLI is logged in to."""

    access_token: str = field(repr=False)
    instance_url: str
    org_id: str | None
    username: str | None


def ask(target: str) -> Target:
    """Return what the CLI knows of an org, by alias or username.

    Raises `SourceError` where the CLI is missing, too slow, not logged in to such an org, or not understood.
    """
    if _NAME.fullmatch(target) is None:
        raise SourceError(f"'{without_tokens(target)}' is no alias or username of the Salesforce CLI")
    program = shutil.which("sf")
    otherwise = f"or say in oauthcontrols.yaml how to log in, or give a path (./{target} for a folder)"
    if program is None:
        raise SourceError(
            f"the Salesforce CLI (sf), which is asked for '{target}', is not installed; install it, {otherwise}"
        )
    try:
        shown = _run(program, "display", target)
    except Failure as failure:
        again = f"log in with 'sf org login web --alias {target}'"
        if failure.name in _UNKNOWN:
            raise SourceError(f"the Salesforce CLI knows no org called '{target}'; {again}, {otherwise}") from None
        raise SourceError(
            f"the Salesforce CLI cannot reach '{target}': {failure.message} ({failure.name}); {again}"
        ) from None
    try:
        token = _run(program, "auth show-access-token", target).get("accessToken")
    except Failure:
        # The command is younger than the token that `display` used to show.
        token = shown.get("accessToken")
    address, org_id = shown.get("instanceUrl"), shown.get("id")
    if not isinstance(token, str) or not token or token.startswith(_REDACTED) or not isinstance(address, str):
        raise SourceError(
            f"the Salesforce CLI shows no access token of '{target}'; update it (sf update), or log in again:"
            f" sf org login web --alias {target}"
        )
    username = shown.get("username")
    return Target(
        token,
        address,
        org_id if isinstance(org_id, str) else None,
        username if isinstance(username, str) else None,
    )


def _run(program: str, command: str, target: str) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603  (no shell, and the name is checked)
            [program, "org", *command.split(), "--target-org", target, "--json"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            env={**os.environ, **_QUIET},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(
            f"the Salesforce CLI said nothing about '{target}' for {TIMEOUT} s; try 'sf org {command} --target-org"
            f" {target}' by hand"
        ) from None
    except OSError as error:
        raise SourceError(f"the Salesforce CLI ({program}) cannot be run: {error.strerror}") from None
    said = _answer(done.stdout.decode("utf-8", "replace"))
    if said is None:
        raise Failure("NotUnderstood", f"it ended with status {done.returncode} and no JSON")
    result = said.get("result")
    if said["status"] != 0 or not isinstance(result, dict):
        raise Failure(without_tokens(str(said.get("name"))), without_tokens(str(said.get("message"))))
    return result


def _answer(text: str) -> dict[str, Any] | None:
    """Return the answer in what the CLI printed: plugins print warnings around it."""
    for start in re.finditer(r"\{", text):
        try:
            said, _ = json.JSONDecoder().raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        if isinstance(said, dict) and "status" in said:
            return said
    return None
