"""A folder of metadata: a DX project, or a Metadata API folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

from pytest_oauthcontrols.model import Org
from pytest_oauthcontrols.sources.metadata import (
    MAX_FILE,
    MetadataFile,
    SourceError,
    UnreadableFile,
    assemble,
    is_metadata,
)


def read_directory(name: str, folder: Path, taken_at: datetime, location: str, source: str = "directory") -> Org:
    """Return the org that the files below `folder` describe, at any depth; `location` is the folder as people know it.

    Hidden folders and `node_modules` are left out, and links to folders are not followed. Raises `SourceError` where
    nothing is found.
    """
    root = "" if location == "." else f"{location.rstrip('/')}/"
    files = [
        MetadataFile(root + relative, relative, partial(_read, path, root + relative))
        for path, relative in _walk(str(folder), "", root)
    ]
    if not files:
        raise SourceError(
            f"{location}: no connected app, external client app or settings of an org in this folder;"
            " give the folder that holds them"
        )
    return assemble(name, source, location, files, taken_at)


def _walk(folder: str, below: str, location: str) -> Iterator[tuple[str, str]]:
    """Yield path and path below the root of every file that can be metadata."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise SourceError(f"{location}{below}: cannot be read: {error.strerror}") from None
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if not entry.name.startswith(".") and entry.name != "node_modules":
                yield from _walk(entry.path, f"{below}{entry.name}/", location)
        elif is_metadata(entry.name):
            yield entry.path, below + entry.name


def _read(path: str, shown: str) -> bytes:
    try:
        # A pipe or a device would be waited for.
        if not os.path.isfile(path):
            raise UnreadableFile(f"{shown}: is not a file")
        with open(path, "rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size > MAX_FILE:
                raise UnreadableFile(
                    f"{shown}: is larger than {MAX_FILE // 1024 // 1024} MiB, which no metadata of an app is"
                )
            return stream.read()
    except OSError as error:
        raise UnreadableFile(f"{shown}: cannot be read: {error.strerror}") from None
