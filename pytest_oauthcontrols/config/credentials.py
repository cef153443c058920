"""Ways to log in to an org, as `orgs:` of the configuration or the environment states them.

The fields of each way are its keys in the configuration. Whatever is secret is left out of every `repr`, so that no
traceback and no log shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path

from pytest_oauthcontrols.yaml_entries import DocumentError, Entry

ENVIRONMENT = "env"
"""Name of the org whose access token is in the environment."""

TOKEN_VARIABLE = "SF_ACCESS_TOKEN"  # noqa: S105  (the name of a variable, no token)
INSTANCE_VARIABLE = "SF_ORG_INSTANCE_URL"

_SECRET = {"secret": True}


@dataclass(frozen=True)
class SalesforceCli:
    """The Salesforce CLI has logged in, and is asked for its access token."""

    cli: str
    """Alias or username."""


@dataclass(frozen=True)
class AccessToken:
    """An access token that somebody else was given."""

    access_token: str = field(repr=False, metadata=_SECRET)
    instance_url: str


@dataclass(frozen=True)
class JwtBearer:
    """OAuth 2.0 JWT bearer flow (RFC 7523), with the private key in a variable."""

    username: str
    consumer_key: str = field(repr=False)
    private_key: str = field(repr=False, metadata=_SECRET)
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
    consumer_secret: str = field(repr=False, metadata=_SECRET)
    my_domain: str


@dataclass(frozen=True)
class Password:
    """SOAP login with username, password and security token, which Salesforce retires in June 2027."""

    username: str
    password: str = field(repr=False, metadata=_SECRET)
    security_token: str = field(default="", repr=False, metadata=_SECRET)
    login: str = "login"
    """`login`, `test` or the host of My Domain."""


@dataclass(frozen=True)
class Source:
    """No login: a folder or file of metadata, by a name of its own."""

    source: str
    """Path."""


Credentials = SalesforceCli | AccessToken | JwtBearer | JwtBearerFile | ClientCredentials | Password | Source

_METHODS: dict[str, type[Credentials]] = {
    "cli": SalesforceCli,
    "private_key_file": JwtBearerFile,
    "private_key": JwtBearer,
    "consumer_secret": ClientCredentials,
    "access_token": AccessToken,
    "password": Password,
    "source": Source,
}
"""The key that tells a way to log in from the others."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True)
class Login:
    """How the configuration says to log in to an org; its variables are looked up when it is asked for."""

    name: str
    method: type[Credentials]
    entry: Entry = field(repr=False)

    def credentials(self, environment: Mapping[str, str], folder: Path) -> Credentials:
        """Return the credentials, each `${VARIABLE}` replaced by its value; a key file is looked for in `folder`.

        Raises `DocumentError` for a variable that is not set.
        """
        said = {key: self._value(key, environment) for key in self.entry}
        if "private_key_file" in said:
            said["private_key_file"] = str(folder / said["private_key_file"])
        return self.method(**said)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a careful owner of the file would change; a line each."""
        entry = self.entry
        prefix = re.sub(r"[^A-Z0-9]", "_", self.name.upper())
        found = [
            f"{entry.file}:{entry.lines[one.name]}: '{one.name}' of {self.name} stands here in plain text; put it into"
            f" an environment variable and write '{one.name}: ${{{prefix}_{one.name.upper()}}}'"
            for one in fields(self.method)
            if "secret" in one.metadata and one.name in entry and not _VARIABLE.search(str(entry[one.name]))
        ]
        if self.method is Password:
            found.append(
                f"{entry.file}:{entry.line}: {self.name} logs in with a password, which Salesforce ends in June 2027;"
                " use a JWT (private_key_file) or the Salesforce CLI (cli)"
            )
        return tuple(found)

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


def parse_logins(entry: Entry, reserved: Collection[str]) -> dict[str, Login]:
    """Return the logins that the configuration states, by the name of the org.

    Raises `DocumentError` for a name that means something else, for keys that belong to no way to log in or to several,
    and for keys that are missing.
    """
    orgs = entry.get("orgs", Entry(entry.file, entry.line))
    if not isinstance(orgs, Entry):
        raise entry.error("'orgs' must be a mapping of names to logins", "orgs")
    logins = {}
    for name, said in orgs.items():
        if name in reserved or is_path(name) or "\\" in name:
            raise orgs.error(f"an org cannot be called '{name}', which --sf-org takes for something else", name)
        if not isinstance(said, Entry):
            raise orgs.error(f"'{name}' must be a mapping that says how to log in", name)
        logins[name] = Login(name, _method(said, name), said)
    return logins


def _method(said: Entry, name: str) -> type[Credentials]:
    said.only(sorted({one.name for method in _METHODS.values() for one in fields(method)}))
    keys = [key for key in _METHODS if key in said]
    if len(keys) != 1:
        problem = f"'{keys[0]}' and '{keys[1]}' are two of them" if keys else "none of them is there"
        raise said.error(f"how to log in to {name} is one of {', '.join(_METHODS)}; {problem}")
    method = _METHODS[keys[0]]
    known = {one.name: one for one in fields(method)}
    for key in said:
        if key not in known:
            raise said.error(f"'{key}' does not go with '{keys[0]}'", key)
        said.verbatim(key)
    for key, one in known.items():
        if key not in said and one.default is MISSING:
            raise said.error(f"'{key}' of {name} is missing")
    return method


def from_environment(environment: Mapping[str, str]) -> AccessToken:
    """Return the access token in the environment.

    Raises `DocumentError` where it, or the org's address, is not set.
    """
    said = {variable: environment.get(variable, "").strip() for variable in (TOKEN_VARIABLE, INSTANCE_VARIABLE)}
    for variable, value in said.items():
        if not value:
            raise DocumentError(
                f"--sf-org={ENVIRONMENT} needs {TOKEN_VARIABLE} and {INSTANCE_VARIABLE}; {variable} is not set"
            )
    return AccessToken(access_token=said[TOKEN_VARIABLE], instance_url=said[INSTANCE_VARIABLE])
