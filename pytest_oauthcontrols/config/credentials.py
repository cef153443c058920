"""Credentials of the ways to log in to an org, as `orgs:` of the configuration or the environment states them.

The fields of each class are its keys in the configuration. No `repr` shows a secret, so that no traceback and no log
does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_oauthcontrols.yaml_entries import DocumentError, Entry

DEMO = "demo"
"""Name of the sample org that ships with the package."""

ENVIRONMENT = "env"
"""Name of the org whose access token is in the environment."""

TOKEN_VARIABLE = "SF_ACCESS_TOKEN"  # noqa: S105  (the name of a variable, no token)
INSTANCE_VARIABLE = "SF_ORG_INSTANCE_URL"


@dataclass(frozen=True)
class SalesforceCli:
    """The Salesforce CLI has logged in, and is asked for its access token."""

    cli: str
    """Alias or username."""


@dataclass(frozen=True)
class AccessToken:
    """An access token that somebody else was given."""

    access_token: str = field(repr=False)
    instance_url: str


@dataclass(frozen=True)
class JwtBearer:
    """OAuth 2.0 JWT bearer flow (RFC 7523), with the private key in a variable."""

    username: str
    consumer_key: str = field(repr=False)
    private_key: str = field(repr=False)
    """The key that signs the assertion; PEM."""
    login: str = "login"
    """`login`, `test` or the host of My Domain."""


@dataclass(frozen=True)
class JwtBearerFile:
    """OAuth 2.0 JWT bearer flow (RFC 7523), with the private key in a file."""

    username: str
    consumer_key: str = field(repr=False)
    private_key_file: str
    """Path of the key that signs the assertion; PEM."""
    login: str = "login"
    """`login`, `test` or the host of My Domain."""


@dataclass(frozen=True)
class ClientCredentials:
    """OAuth 2.0 client credentials flow (RFC 6749, 4.4)."""

    consumer_key: str = field(repr=False)
    consumer_secret: str = field(repr=False)
    my_domain: str


@dataclass(frozen=True)
class Password:
    """SOAP login with username, password and security token, which Salesforce retires in June 2027."""

    username: str
    password: str = field(repr=False)
    security_token: str = field(default="", repr=False)
    login: str = "login"
    """`login`, `test` or the host of My Domain."""


@dataclass(frozen=True)
class Source:
    """No login: a folder or file of metadata, by a name of its own."""

    source: str
    """Path."""


Credentials = SalesforceCli | AccessToken | JwtBearer | JwtBearerFile | ClientCredentials | Password | Source

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Login:
    """How the configuration says to log in to an org. Its variables are looked up when the org is asked for."""

    name: str
    method: type[Credentials]
    entry: Entry = field(repr=False)
    secrets: frozenset[str]
    """The keys whose values nobody should see."""

    def credentials(self, environment: Mapping[str, str], folder: Path) -> Credentials:
        """Return the credentials, each `${VARIABLE}` replaced by its value.

        Args:
            environment: The environment variables.
            folder: The folder that the path of a key file is relative to.

        Raises:
            DocumentError: A variable is not set.
        """
        values = {key: self._value(key, environment) for key in self.entry}
        if "private_key_file" in values:
            values["private_key_file"] = str(folder / values["private_key_file"])
        return self.method(**values)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the owner of the file should change, a line each."""
        entry = self.entry
        prefix = re.sub(r"[^A-Z0-9]", "_", self.name.upper())
        warnings = [
            f"{entry.file}:{entry.lines[key]}: '{key}' of {self.name} is in plain text: move it to an environment"
            f" variable and write '{key}: ${{{prefix}_{key.upper()}}}'"
            for key in entry
            if key in self.secrets and not _VARIABLE.search(str(entry[key]))
        ]
        if self.method is Password:
            warnings.append(
                f"{entry.file}:{entry.line}: {self.name} logs in with a password, which Salesforce retires in June"
                " 2027: use a JWT (private_key_file) or the Salesforce CLI (cli)"
            )
        return tuple(warnings)

    def _value(self, key: str, environment: Mapping[str, str]) -> str:
        def look_up(match: re.Match[str]) -> str:
            value = environment.get(match[1], "").strip()
            if not value:
                raise self.entry.error(f"the environment variable {match[1]} is not set", key)
            return value

        return _VARIABLE.sub(look_up, self.entry.verbatim(key)).strip()


def is_path(value: str) -> bool:
    """Tell whether a value of `--sf-org` is a path; any other is a name."""
    return "/" in value or os.sep in value or value in (".", "..") or value.lower().endswith((".zip", ".json"))


def from_environment(environment: Mapping[str, str]) -> AccessToken:
    """Return the access token in the environment.

    Raises:
        DocumentError: It, or the org's address, is not set.
    """
    values = {variable: environment.get(variable, "").strip() for variable in (TOKEN_VARIABLE, INSTANCE_VARIABLE)}
    for variable, value in values.items():
        if not value:
            raise DocumentError(
                f"--sf-org={ENVIRONMENT} needs {TOKEN_VARIABLE} and {INSTANCE_VARIABLE}; {variable} is not set"
            )
    return AccessToken(access_token=values[TOKEN_VARIABLE], instance_url=values[INSTANCE_VARIABLE])
