"""Orgs, their apps and their settings, however they were read.

A setting is in one of three states, and no code may mistake one for another: it was seen with a value (`Seen`), what
should hold it was read and it is not there (`Absent`), or nobody can tell (`Unreadable`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    GLOBAL_OAUTH,
    METADATA_TYPES,
    OAUTH,
    ORG,
    Field,
    fields_of,
)
from pytest_oauthcontrols.text import suggestion

MANAGED = ("Managed", "AutoInstalled")
"""Distribution states of an external client app that was installed from a package."""


Value = bool | int | str | tuple[str, ...]
"""What a setting can be; of lists, a tuple."""


class Seen(NamedTuple):
    """A setting that was read."""

    name: str
    """Salesforce's name: `oauthConfig.isPkceRequired`, `ExtlClntAppGlobalOauthSettings.isPkceRequired`."""
    value: Value
    source: str
    """The file, or the API, that showed it."""
    line: int | None = None
    """Line in the file, from 1."""
    shown: str | None = None
    """What reports print instead of the value, where that says more (a certificate's expiry)."""


class Absent(NamedTuple):
    """A setting that is not in the component that would hold it."""

    name: str
    source: str
    """The file, or the API, that was read and does not have it."""
    default: bool | int | str | None = None
    """The documented default that stands in for it; None where there is none, or where it was not asked for."""
    since: int = 0
    """First API version that has it, where a default stands in."""
    line: int | None = None
    """Line of the element that it would stand in, where that is there."""

    def as_unreadable(self) -> Unreadable:
        """Return it as what nobody can tell, where absence tells nothing."""
        return Unreadable(self.name, f"{self.name} is absent from {self.source}, and no default is documented")


class Unreadable(NamedTuple):
    """A setting that nobody can tell from what was read."""

    name: str
    reason: str
    manual: bool = False
    """True where no tool could read it here, so that a person has to look."""
    blocking: bool = True
    """False where it was looked at, but nothing hangs on it."""


Setting = Seen | Absent | Unreadable


class Unverifiable(Exception):
    """A setting that a test needs cannot be told; nobody can mistake that for `False`, as there is no value at all."""

    def __init__(self, setting: Unreadable) -> None:
        super().__init__(setting.reason)
        self.setting = setting


_examined: list[list[Setting]] = []
"""Lists that are being filled with the settings whose values are asked for.

Not a context variable: what a test looks at counts in whatever task or thread it looks, and those of an event loop that
was started before the test know nothing of the test's context.
"""


@contextmanager
def examining() -> Iterator[list[Setting]]:
    """Collect every setting whose value is asked for while the block runs, in any task or thread."""
    settings: list[Setting] = []
    _examined.append(settings)
    try:
        yield settings
    finally:
        _examined.remove(settings)


def of_version(setting: Setting, known: Field, api_version: float | None) -> Setting:
    """Return a setting; one that is absent because the API version is too old for it, as unreadable."""
    if not isinstance(setting, Absent) or api_version is None or api_version >= known.since:
        return setting
    if known.manual:
        return Unreadable(setting.name, known.manual, manual=True)
    return Unreadable(
        setting.name,
        f"API version {api_version}, at which the org was read, does not have {setting.name}; {known.since}.0 does",
    )


def understood(setting: Setting, known: Field, api_version: float | None, silent: bool) -> Setting:
    """Return an absent setting with its default, or as unreadable where its absence tells nothing (`silent`)."""
    if not isinstance(setting, Absent):
        return setting
    if known.default is not None:
        return setting._replace(default=known.default, since=known.since)
    if known.manual:
        return Unreadable(setting.name, known.manual, manual=True)
    return setting.as_unreadable() if silent else setting


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """An app or an org: metadata components that were read of it, and their settings.

    Settings of a connected app (`ConnectedApp`) and of an external client app itself (`ExternalClientApplication`) go
    by their own path, those of every other type by the type's name and their path.
    """

    settings: Mapping[str, Seen | Unreadable]
    """What is there, by name; unreadable where its value is none that the setting can have."""
    read: Mapping[str, str]
    """Metadata type to the source of the component that was read."""
    unread: Mapping[str, Unreadable]
    """Metadata type to why its component is not in `read` although it exists, or may exist."""

    def setting(self, name: str, component: str) -> Setting:
        """Return the setting `name`, which belongs to the metadata type `component`, as it was read."""
        found = self.settings.get(name)
        if found is not None:
            return found
        if component in self.read:
            around = self.settings.get(name.rpartition(".")[0])
            return Absent(name, self.read[component], line=around.line if isinstance(around, Seen) else None)
        if component in self.unread:
            return self.unread[component]._replace(name=name)
        return Unreadable(name, f"no {component} was read")


@dataclass(frozen=True, eq=False, kw_only=True)
class App(Subject):
    """A connected app or an external client app.

    Two apps are equal only if they are the same object: pytest groups parameters by their hash.
    """

    kind: str
    """`connected_app` or `external_client_app`."""
    name: str
    """Full name, as Salesforce has it."""
    label: str
    """Name that people see; the full name where no label was read."""
    source: str
    """File, or API, that the app itself was read from."""
    problems: tuple[str, ...] = ()
    """What kept the app, or a part of it, from being read; one clear line each."""
    readable: bool = True
    """False if nothing of the app could be read: then there is nothing to assess."""
    managed: bool = False
    """Whether the app was installed from a package, so that a part of it is kept in the publisher's org."""
    org: Org = field(init=False, repr=False)
    """The org that the app belongs to; set by the org."""

    @property
    def out_of_reach(self) -> bool:
        """Whether the app itself cannot be read, because its publisher alone can read it; policies of it may be."""
        own = self.unread.get(OWN_TYPES[self.kind])
        return self.managed and (not self.readable or (own is not None and own.manual))

    def examine(self, name: str) -> Setting:
        """Return a setting of the app, or of its org, in the state that it is in.

        Raises `LookupError` for a name that no setting has.
        """
        __tracebackhide__ = True
        return _examine(self, self.org, self.kind, name)

    def value(self, name: str) -> Any:
        """Return the value of a setting of the app, or of its org: `app.value("oauthConfig.isPkceRequired")`.

        Of a text, number or component that is absent it is the documented default, or None. Raises `Unverifiable` where
        nobody can tell, as of an absent list or flag without a default, and `LookupError` for a name that no setting
        has.
        """
        __tracebackhide__ = True
        return _value(self.examine(name))

    @property
    def oauth_enabled(self) -> bool:
        """Whether the app has OAuth settings. Raises `Unverifiable`, as all that follow do."""
        __tracebackhide__ = True
        return bool(self.value("oauth"))

    @property
    def client_type(self) -> str:
        """`public` or `private` (RFC 6749, 2.1, calls it confidential)."""
        __tracebackhide__ = True
        return str(self.value("client_type"))

    @property
    def callback_urls(self) -> tuple[str, ...]:
        """Callback URLs, in their order; none where the app was read and has none."""
        __tracebackhide__ = True
        found = self.setting(*CALLBACK_URLS[self.kind])
        return () if isinstance(_noted(found), Absent) else _value(found)

    @property
    def scopes(self) -> tuple[str, ...]:
        """OAuth scopes, by the names that the Metadata API gives back (`Api`, `RefreshToken`)."""
        __tracebackhide__ = True
        return tuple(self.value(_SCOPES[self.kind]))

    @property
    def pkce_required(self) -> bool:
        """Whether the app itself requires PKCE (RFC 7636); its org can require it for all apps besides."""
        __tracebackhide__ = True
        return bool(self.value(_PKCE_REQUIRED[self.kind]))

    def __repr__(self) -> str:
        # With the org, as tools that keep a history of tests know parameters by this text.
        return f"<App {self.kind} {self.name} of {self.org.name}>"


class Snapshot(NamedTuple):
    """A file that keeps what was read of an org."""

    file: str
    """Its path, as the user gave it."""
    sha256: str
    """Digest of the file's bytes, as `sha256sum` prints it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Org(Subject):
    """What was read of one org, and when, and from where."""

    name: str
    """The name that the user gave it; in reports one that is a username is masked."""
    source: str
    """`org`, `directory`, `archive`, `demo` or `snapshot`: the kind of source."""
    location: str
    """Where it was read: a path, or the address of a live org; of a snapshot, where that was read."""
    taken_at: datetime
    """When it was read, in UTC; dates are judged against it."""
    sha256: str
    """Digest over everything that was read."""
    apps: tuple[App, ...]
    """Every app that is known to exist, connected apps first, each kind by name."""
    notes: tuple[str, ...] = ()
    """What a reader should know of the reading; one clear line each."""
    org_id: str | None = None
    user: str | None = None
    """Username, or id, of the user who read a live org, where the login told it."""
    api_version: float | None = None
    """API version of a live reading; None for files, which do not tell the version that wrote them."""
    api_calls: int = 0
    """Calls that the reading took which count against the org's limit."""
    problems: tuple[str, ...] = ()
    """What kept the org, or apps of it that nobody can name, from being read; one clear line each."""
    readable: bool = True
    """False if nothing of the org could be read: then there is nothing to assess."""
    snapshot: Snapshot | None = None
    """The file that keeps what was read, where there is one."""
    unmasked: str | None = None
    """The name that the user gave it, where `name` is masked."""

    def examine(self, name: str) -> Setting:
        """Return a setting of the org in the state that it is in.

        Raises `LookupError` for a name that no setting has.
        """
        __tracebackhide__ = True
        return _examine(self, self, ORG, name)

    def value(self, name: str) -> Any:
        """Return the value of a setting: `org.value("OauthOidcSettings.isPkceRequired")`; see `App.value`."""
        __tracebackhide__ = True
        return _value(self.examine(name))

    @property
    def environment(self) -> str | None:
        """What kind of org it is, by the host of a live org's My Domain; None where that does not tell."""
        match = re.fullmatch(r"https://([^./@]+)(\.\w+)?\.my\.salesforce\.com(:\d+)?", self.location)
        if match is None:
            return None
        # Without enhanced domains the name alone tells; no production org has it like that.
        if match[2] is None and "--" in match[1]:
            return _ENVIRONMENTS[".sandbox"]
        if match[2] is None and match[1].endswith("-dev-ed"):
            return _ENVIRONMENTS[".develop"]
        return _ENVIRONMENTS.get(match[2])

    @property
    def given(self) -> str:
        """The name that the user gave it, unmasked: waivers and attestations go by it."""
        return self.unmasked or self.name

    @property
    def day(self) -> date:
        """The day against which dates are judged: that of the reading."""
        return self.taken_at.date()

    def __post_init__(self) -> None:
        for app in self.apps:
            object.__setattr__(app, "org", self)

    def __repr__(self) -> str:
        return f"<Org {self.name}>"


_ENVIRONMENTS = {
    None: "production",
    ".sandbox": "sandbox",
    ".scratch": "scratch org",
    ".develop": "developer edition",
    ".trailblaze": "playground",
    ".demo": "demo",
    ".patch": "patch org",
}
"""What stands between the name of My Domain and `.my.salesforce.com` (enhanced domains) to what the org is."""

CALLBACK_URLS = {
    CONNECTED_APP: ("oauthConfig.callbackUrl", "ConnectedApp"),
    EXTERNAL_CLIENT_APP: (f"{GLOBAL_OAUTH}.callbackUrl", GLOBAL_OAUTH),
}
"""Kind of app to the setting of the callback URLs, and its component."""

OWN_TYPES = {CONNECTED_APP: "ConnectedApp", EXTERNAL_CLIENT_APP: "ExternalClientApplication"}
"""Kind of app to the type of the app itself."""

_SCOPES = {CONNECTED_APP: "oauthConfig.scopes", EXTERNAL_CLIENT_APP: f"{OAUTH}.commaSeparatedOauthScopes"}
_PKCE_REQUIRED = {CONNECTED_APP: "oauthConfig.isPkceRequired", EXTERNAL_CLIENT_APP: f"{GLOBAL_OAUTH}.isPkceRequired"}


def _examine(subject: Subject, org: Org, kind: str, name: str) -> Setting:
    """Return a setting, and note that it was asked for; that a list is absent tells nothing of what it lacks."""
    __tracebackhide__ = True
    known = fields_of(kind)
    if name not in known:
        others = [one for one in (CONNECTED_APP, EXTERNAL_CLIENT_APP) if name in fields_of(one)]
        hint = f"; {others[0].replace('_', ' ')}s have it" if others else suggestion(name, known)
        raise LookupError(f"there is no setting '{name}' of {kind.replace('_', ' ')}s{hint}")
    component, spec = known[name]
    found = (org if (ORG, component) in METADATA_TYPES else subject).setting(name, component)
    silent = spec.untold or spec.type in ("list", "scopes", "ranges")
    return _noted(understood(of_version(found, spec, org.api_version), spec, org.api_version, silent))


def _noted(setting: Setting) -> Setting:
    for settings in _examined:
        settings.append(setting)
    return setting


def _value(setting: Setting) -> Any:
    __tracebackhide__ = True
    if isinstance(setting, Unreadable):
        raise Unverifiable(setting)
    return setting.value if isinstance(setting, Seen) else setting.default
