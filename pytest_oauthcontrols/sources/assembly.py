"""Components of a source's files into apps and an org: who belongs to whom, and what is missing."""

from __future__ import annotations

import gc
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Any, NamedTuple

from pytest_oauthcontrols.orgs.derived import derive
from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    GLOBAL_OAUTH,
    METADATA_TYPES,
    OAUTH,
    OAUTH_TYPES,
    ORG,
    POLICIES,
)
from pytest_oauthcontrols.orgs.model import MANAGED, OWN_TYPES, App, Org, Seen, Unreadable
from pytest_oauthcontrols.sources.dx_project import package_directories
from pytest_oauthcontrols.sources.parser import (
    FILE_TYPES,
    Component,
    MetadataFile,
    UnreadableFile,
    expected_type,
    full_name,
    parse,
)

_FOLDERS = {"ConnectedApp": "connectedApps", "ExternalClientApplication": "externalClientApps"}

_OF_THE_PUBLISHER = (GLOBAL_OAUTH, OAUTH)
"""Types that the publisher of a packaged external client app keeps; its policies are the subscriber's."""


@dataclass
class _Found:
    """Everything that was found of one app."""

    name: str = ""
    """Full name: of its own file, else as others refer to it; Salesforce's names ignore case."""
    own_file_broken: bool = False
    managed: bool = False
    components: dict[str, list[Component]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def only_policies(self) -> bool:
        """Whether all there is are an administrator's policies of an app with a namespace, which a package brought."""
        return (
            "__" in self.name
            and not self.own_file_broken
            and all(type_name.endswith("ConfigurablePolicies") for type_name in self.components)
        )


@dataclass
class _Files:
    """Everything that was found in the files of a source."""

    apps: dict[tuple[str, str], _Found] = field(default_factory=lambda: defaultdict(_Found))
    """Kind and full name to what was found of an app."""
    org: dict[str, list[Component]] = field(default_factory=lambda: defaultdict(list))
    broken: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Metadata type to what is wrong with files of it that could not be read."""
    notes: list[str] = field(default_factory=list)
    live: bool = False
    """Whether the files were read from an org just now, so that it is known who wrote them."""
    package_directories: list[str] = field(default_factory=list)
    """Package directories of the DX projects among the files, each project's default first."""

    def add(self, file: MetadataFile, component: Component) -> None:
        """Add what a file describes."""
        known = component.type
        if known.subject == ORG:
            self.org[known.name].append(component)
        else:
            own = component.parent is None
            app = self._app(known.subject, full_name(file.relative) if own else str(component.parent), own=own)
            app.components.setdefault(known.name, []).append(component)

    def add_broken(self, file: MetadataFile, error: UnreadableFile) -> None:
        """Add what is wrong with a file that could not be read."""
        reason = str(error)
        known = expected_type(file.relative)
        if known is None or known.subject == ORG:
            self.notes.append(reason)
        else:
            app = self._app(known.subject, full_name(file.relative), own=not known.parent)
            app.problems.append(reason)
            app.own_file_broken = app.own_file_broken or not known.parent
            app.managed = app.managed or error.managed
        if known is not None:
            self.broken[known.name].append(reason)

    def _app(self, kind: str, name: str, *, own: bool) -> _Found:
        app = self.apps[kind, name.casefold()]
        app.name = name if own or not app.name else app.name
        return app

    def join_own_namespace(self) -> None:
        """Give an app the components that name it with the org's own namespace, which its own file leaves out."""
        owners: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
        for kind, name in self.apps:
            namespace, _, rest = name.partition("__")
            if namespace and (kind, rest) in self.apps and not self._has_own_file(kind, name):
                owners[kind, rest].append((kind, name))
        for key, named in owners.items():
            app, joining = self.apps[key], self.apps[named[0]]
            # Two namespaces cannot both be the org's own, and a component of its own shows another app by that name.
            apart = len(named) > 1 or app.components.keys() & joining.components.keys()
            if self._has_own_file(*key) and not apart:
                app.components |= joining.components
                app.problems += joining.problems
                del self.apps[named[0]]

    def _has_own_file(self, kind: str, name: str) -> bool:
        app = self.apps[kind, name]
        return app.own_file_broken or OWN_TYPES[kind] in app.components

    def choose(self, components: list[Component]) -> tuple[Component, list[Component]]:
        """Return the component to assess of several that describe the same, and those that say something else.

        A file in a package directory of its project goes before one elsewhere (a backup, say), then one in its type's
        own folder, then the first by its path.
        """
        known = components[0].type.name
        if known == "UserProvisioningConfig":
            # An app may have several, and one that is on is enough.
            return max(components, key=lambda one: _values(one).get("UserProvisioningConfig.enabled") is True), []
        first = min(components, key=self._rank)
        return first, [one for one in components if _values(one) != _values(first)]

    def _rank(self, component: Component) -> tuple[int, bool]:
        places = (
            place for place, folder in enumerate(self.package_directories) if component.relative.startswith(folder)
        )
        folder = f"/{_FOLDERS.get(component.type.name)}/"
        return next(places, len(self.package_directories)), folder not in f"/{component.path}"


class Origin(NamedTuple):
    """Where and when an org is read; the fields are those of `Org`."""

    name: str
    source: str
    location: str
    taken_at: datetime
    api_version: float | None = None


def now() -> datetime:
    """Return the time, in UTC and to the second."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def assemble(
    origin: Origin,
    files: Iterable[MetadataFile],
    missing: Mapping[str, str] = MappingProxyType({}),
    projects: Iterable[MetadataFile] = (),
) -> Org:
    """Return the org that the files of a source describe.

    What cannot be read is a problem of its app, never an app less. `missing` says of metadata types why components of
    them may exist and not be among the files; `projects` are the project files (`sfdx-project.json`) beside them.
    """
    found = _Files(live=origin.api_version is not None)
    for type_name, reason in missing.items():
        found.broken[type_name].append(reason)
    digest = hashlib.sha256()
    for project in sorted(projects, key=lambda one: (one.relative.count("/"), one.relative)):
        # Of nested projects the outer goes first.
        try:
            content = project.read()
            digest.update(f"{project.relative}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
            digest.update(content)
            found.package_directories += package_directories(project, content)
        except UnreadableFile as error:
            found.notes.append(f"{error}; its package directories do not count")
    with _no_garbage():
        for file in sorted(files, key=lambda one: one.relative):
            try:
                content = file.read()
                # The length keeps the end of one file apart from the start of the next.
                digest.update(f"{file.relative}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
                digest.update(content)
                component = parse(content, file.path)
            except UnreadableFile as error:
                digest.update(f"{file.relative}\0unreadable\0".encode("utf-8", "surrogatepass"))
                found.add_broken(file, error)
            else:
                if component is not None:
                    component.relative = file.relative
                    found.add(file, component)
        found.join_own_namespace()
        apps = [
            _app(kind, of_app, found, origin.location)
            for (kind, _), of_app in sorted(found.apps.items(), key=lambda one: (one[0][0], one[1].name))
        ]
    return Org(
        **origin._asdict(),
        sha256=digest.hexdigest(),
        apps=tuple(app for app in apps if app is not None),
        notes=tuple(found.notes),
        **_org_settings(found),
    )


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the collector from looking for garbage among what is read: all of it lives as long as the run."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _app(kind: str, found: _Found, files: _Files, location: str) -> App | None:
    """Return an app; None where nothing but a component that refers to it was found, and it need not exist."""
    own_type = OWN_TYPES[kind]
    name, problems = found.name, list(found.problems)
    settings: dict[str, Seen | Unreadable] = {}
    read = dict(SAID)
    for type_name, components in found.components.items():
        component = components[0]
        if len(components) > 1:
            component, others = files.choose(components)
            problems += [
                f"{other.path} describes {name} too, with other settings; {component.path} was assessed,"
                " remove one of the two"
                for other in others
            ]
        settings.update(component.settings)
        read[type_name] = component.path
    if own_type not in read and found.components and not found.own_file_broken:
        child = next(iter(found.components.values()))[0]
        where = f"{child.path}:{child.parent_line}"
        files.notes.append(f"{where}: refers to the {kind.replace('_', ' ')} {name}, of which no file was found")
        if kind == CONNECTED_APP:
            return None
    label = settings.get("label")
    source = read.get(own_type) or next((path for key, path in read.items() if key not in SAID), location)
    state = settings.get("distributionState")
    only_policies = kind != CONNECTED_APP and bool(found.components) and found.only_policies
    managed = found.managed or only_policies or (isinstance(state, Seen) and state.value in MANAGED)
    unread: Mapping[str, Unreadable] = {} if files.live else _LIVE_ONLY
    if kind != CONNECTED_APP:
        # Only the app's own policies show that it has no OAuth, and that nothing is missing then.
        plugin = settings.get(f"{POLICIES}.isOauthPluginEnabled")
        disabled = isinstance(plugin, Seen) and plugin.value is False
        if not disabled or any(type_name in read for type_name in OAUTH_TYPES):
            unread = {**unread, **_lacking_oauth(name, read, managed)}
        if only_policies:
            unread = {**unread, own_type: Unreadable(own_type, _kept_by_publisher(name, own_type), manual=True)}
            settings["label"] = Seen("label", name, source, None, f"{name}, its full name: no label was read")
    broken = _in_broken_files(kind, read, files)
    if broken:
        by_hand = {type_name: why for type_name, why in unread.items() if why.manual and type_name in OAUTH_TYPES}
        unread = {**unread, **broken, **by_hand}
    app = App(
        managed=managed,
        settings=settings,
        read=read,
        unread=unread,
        kind=kind,
        name=name,
        label=str(label.value) if isinstance(label, Seen) else name,
        source=source,
        problems=tuple(problems),
        readable=own_type in read or (kind != CONNECTED_APP and bool(found.components)),
    )
    settings["consumer_secret_committed"] = _committed_secret(found, source, broken.values())
    settings.update(derive(app))
    return app


def _committed_secret(found: _Found, source: str, broken: Iterable[Unreadable]) -> Seen | Unreadable:
    """Return whether any file of an app, deployed or not, holds a consumer secret; of the secret only where it is.

    A file that cannot be read may hold one, also a file that may belong to another app.
    """
    for components in found.components.values():
        for one in components:
            if one.secret_line is not None:
                return Seen("consumer_secret_committed", True, one.path, one.secret_line, "a consumer secret")
    for reason in (*found.problems, *(unread.reason for unread in broken)):
        return Unreadable("consumer_secret_committed", reason)
    return Seen("consumer_secret_committed", False, source, None, "no consumer secret in any file of the app")


SAID = {"declared": "the configuration", "inventory": "the configuration"}
"""What the configuration says of an app: always read, and empty until it is."""

_LIVE_ONLY: Mapping[str, Unreadable] = {
    known.name: Unreadable(known.name, f"only a live org shows {known.name}", manual=True)
    for known in METADATA_TYPES.values()
    if known.live
}


def _in_broken_files(kind: str, read: Mapping[str, str], files: _Files) -> dict[str, Unreadable]:
    """Return which components of an app may be in what could not be read."""
    reasons = {
        type_name: broken[0]
        for type_name, broken in files.broken.items()
        if FILE_TYPES[type_name].subject == kind and FILE_TYPES[type_name].parent
    }
    if kind != CONNECTED_APP and not any(type_name in read for type_name in OAUTH_TYPES):
        # Whether the app has OAuth at all depends on the broken file, so the missing ones are not to blame.
        blamed = next((reasons[type_name] for type_name in OAUTH_TYPES if type_name in reasons), None)
        reasons = reasons if blamed is None else {**dict.fromkeys(OAUTH_TYPES, blamed), **reasons}
    return {
        type_name: Unreadable(type_name, f"it may be in what could not be read: {reason}")
        for type_name, reason in reasons.items()
        if type_name not in read
    }


def _lacking_oauth(name: str, read: Mapping[str, str], managed: bool) -> dict[str, Unreadable]:
    """Return why components of an external client app that has OAuth are not there."""
    lacking = {
        type_name: Unreadable(type_name, f"no {type_name} of {name} was found")
        for type_name in OAUTH_TYPES
        if type_name not in read
    }
    if managed:
        for type_name in lacking.keys() & _OF_THE_PUBLISHER:
            lacking[type_name] = Unreadable(type_name, _kept_by_publisher(name, type_name), manual=True)
    return lacking


def _kept_by_publisher(name: str, type_name: str) -> str:
    return f"the app {name} comes from a package: its {type_name} is kept in the publisher's org"


def _values(component: Component) -> dict[str, object]:
    return {name: setting.value if isinstance(setting, Seen) else None for name, setting in component.settings.items()}


def _org_settings(files: _Files) -> dict[str, Any]:
    settings: dict[str, Seen | Unreadable] = {}
    read: dict[str, str] = {}
    unread = {} if files.live else dict(_LIVE_ONLY)
    for name, components in files.org.items():
        first, others = files.choose(components)
        settings |= _agreed([first, *others])
        read[name] = first.path
    for name, reasons in files.broken.items():
        if (ORG, name) in METADATA_TYPES and name not in read:
            unread[name] = Unreadable(name, reasons[0])
    return {"settings": settings, "read": read, "unread": unread}


def _agreed(copies: list[Component]) -> dict[str, Seen | Unreadable]:
    """Return the settings on which copies of the org's settings agree, and the others as unreadable.

    A copy that leaves a setting out does not disagree: a partial file changes only what it holds.
    """
    settings: dict[str, Seen | Unreadable] = {}
    holders: dict[str, Component] = {}
    for copy in copies:
        for name, setting in copy.settings.items():
            kept = settings.setdefault(name, setting)
            holder = holders.setdefault(name, copy)
            if isinstance(kept, Seen) and not (isinstance(setting, Seen) and setting.value == kept.value):
                why = setting.reason if isinstance(setting, Unreadable) else f"{holder.path} and {copy.path} disagree"
                settings[name] = Unreadable(name, why)
    return settings
