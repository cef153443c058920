"""A folder of metadata: a DX project, or a Metadata API folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.sources.assembly import Origin, assemble
from pytest_oauthcontrols.sources.dx_project import PROJECT_FILE, is_project
from pytest_oauthcontrols.sources.parser import MAX_FILE, MetadataFile, SourceError, UnreadableFile, is_metadata


def read_directory(folder: Path, origin: Origin) -> Org:
    """Return the org that the files below `folder` describe, at any depth.

    Hidden folders and `node_modules` are left out, and links to folders are not followed. Raises `SourceError` where
    nothing is found.
    """
    location = origin.location
    root = "" if location == "." else f"{location.rstrip('/')}/"
    found = [
        MetadataFile(root + relative, relative, partial(_read, entry, root + relative))
        for entry, relative in _walk(str(folder), root)
    ]
    projects = [file for file in found if is_project(file)]
    files = [file for file in found if not is_project(file)]
    if not files:
        raise SourceError(
            f"{location}: no connected app, external client app or settings of an org in this folder;"
            " give the folder that holds them"
        )
    return assemble(origin, files, projects=projects)


def _walk(folder: str, root: str) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield entry and path below the folder of everything whose name is that of metadata, or of a project file."""
    waiting = [(folder, "")]
    while waiting:
        path, below = waiting.pop()
        try:
            with os.scandir(path) as found:
                entries = list(found)
        except OSError as error:
            raise SourceError(f"{root}{below}: cannot be read: {error.strerror}") from None
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name != "node_modules":
                    waiting.append((entry.path, f"{below}{entry.name}/"))
            elif is_metadata(entry.name) or entry.name == PROJECT_FILE:
                yield entry, below + entry.name


def _read(entry: os.DirEntry[str], shown: str) -> bytes:
    try:
        # A pipe or a device would be waited for.
        if not entry.is_file():
            raise UnreadableFile(f"{shown}: is not a file")
        with open(entry.path, "rb", buffering=0) as stream:
            if os.fstat(stream.fileno()).st_size > MAX_FILE:
                raise UnreadableFile(
                    f"{shown}: is larger than {MAX_FILE // 1024 // 1024} MiB, which no metadata of an app is"
                )
            return stream.read()
    except OSError as error:
        raise UnreadableFile(f"{shown}: cannot be read: {error.strerror}") from None
