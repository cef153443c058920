"""What an org did not deliver although it exists: what its messages mean, and which apps are missing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NoReturn

from pytest_oauthcontrols.sources.live.metadata_api import LISTED, Listed
from pytest_oauthcontrols.sources.parser import APP_TYPES, FILE_TYPES, SOURCE, MetadataFile, UnreadableFile, full_name


class Gaps:
    """What the org says that it did not deliver."""

    def __init__(self, messages: Iterable[str], version: float) -> None:
        self.missing: dict[str, str] = {}
        """Metadata type to why components of it may exist that did not arrive."""
        self.unavailable: set[str] = set()
        """Types that the org does not have."""
        self.components: dict[tuple[str, str], str] = {}
        """Type and full name to why a component did not arrive."""
        self.problems: list[str] = []
        self.notes: list[str] = []
        for known in FILE_TYPES.values():
            if known.since > version:
                since = f"{known.since:.1f}"
                self.missing[known.name] = (
                    f"API version {version}, at which the org was read, does not have {known.name}; {since} does"
                )
        for message in messages:
            self._understand(message)

    def _understand(self, message: str) -> None:
        reason = f"{SOURCE}: {message}"
        component = _NAMED.search(message) or _LOADED.search(message)
        type_ = _DENIED.search(message) or _UNAVAILABLE.search(message)
        if component is not None:
            type_name, full = component[1], component[2]
            type_name = f"{full}Settings" if type_name == "Settings" else type_name
            if type_name in APP_TYPES:
                self.components[type_name, full] = reason
            elif type_name in FILE_TYPES:
                self.missing[type_name] = reason
            self.notes.append(reason)
        elif type_ is not None and _UNAVAILABLE.search(message) and type_[1] != "ConnectedApp":
            # An org whose edition has no external client apps.
            self.unavailable.add(type_[1])
            self.notes.append(reason)
        elif type_ is not None and type_[1] == "Settings":
            self.missing |= {name: reason for name, known in FILE_TYPES.items() if known.suffix == "settings"}
            self.notes.append(reason)
        elif type_ is not None and type_[1] in FILE_TYPES and type_[1] not in APP_TYPES:
            self.missing[type_[1]] = reason
            self.notes.append(reason)
        else:
            # What it is about, nobody can tell, or it may be an app that nobody can name.
            self.missing |= {type_[1]: reason} if type_ and type_[1] in APP_TYPES else {}
            self.problems.append(reason)


_NAMED = re.compile(r"Entity of type '(\w+)' named '(.+)' cannot be found")
_LOADED = re.compile(r"for metadata of type:\s*(\w+) and file name:\s*(.+?)\.?$")
_DENIED = re.compile(r"proper permissions to access (\w+)")
_UNAVAILABLE = re.compile(r"Entity type:? '(\w+)' is (?:unknown|not available)")


def not_arrived(files: Iterable[MetadataFile], listed: Iterable[Listed], gaps: Gaps) -> Iterator[MetadataFile]:
    """Yield a file that cannot be read for each app that exists and is not among the files."""
    suffixes = {FILE_TYPES[name].suffix: name for name in LISTED}
    arrived = {
        (suffixes[suffix], full_name(file.relative).casefold())
        for file in files
        if (suffix := file.relative.removesuffix("-meta.xml").rpartition(".")[2]) in suffixes
    }
    lacking = {(one.type, one.full_name): one.installed for one in listed}
    for (type_name, full), installed in lacking.items():
        if (type_name, full.casefold()) not in arrived and type_name not in APP_TYPES:
            gaps.missing.setdefault(type_name, f"{type_name} {full} exists, and the Metadata API did not deliver it")
        elif (type_name, full.casefold()) not in arrived:
            gaps.components.setdefault(
                (type_name, full), f"{full} exists, and the Metadata API did not deliver it{_WHY[installed]}"
            )
    for (type_name, full), reason in gaps.components.items():
        if (type_name, full.casefold()) not in arrived:
            relative = f"{type_name}/{full}.{FILE_TYPES[type_name].suffix}"
            fail = partial(_fail, reason, managed=lacking.get((type_name, full), False))
            yield MetadataFile(f"{SOURCE} {relative}", relative, fail)


_WHY = {
    True: ": it comes from a package; look at its policies in Setup > Manage Connected Apps",
    False: "; the user needs Manage Connected Apps, or View all External Client Apps",
}


def _fail(reason: str, managed: bool) -> NoReturn:
    """Stand in for the reading of a file that did not arrive."""
    error = UnreadableFile(reason)
    error.managed = managed
    raise error
