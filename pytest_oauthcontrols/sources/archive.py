"""A zip of metadata, as the Metadata API writes it; it is read in memory and never unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.sources.assembly import Origin, assemble
from pytest_oauthcontrols.sources.dx_project import PROJECT_FILE, is_project
from pytest_oauthcontrols.sources.parser import MAX_FILE, MetadataFile, SourceError, UnreadableFile, is_metadata

MAX_MEMBERS = 100_000
"""Members of the largest archive that is read; a retrieve has 10,000 at most."""


def read_archive(path: Path, origin: Origin) -> Org:
    """Return the org that the files in a zip describe.

    Raises `SourceError` for what is no zip, is cut short, or holds names that would leave the folder it is unpacked in.
    """
    with open_archive(path, origin.location) as archive:
        found = list(metadata_files(archive, origin.location))
        projects = [file for file in found if is_project(file)]
        files = [file for file in found if not is_project(file)]
        if not files:
            raise SourceError(
                f"{origin.location}: no connected app, external client app or settings of an org in this archive"
            )
        return assemble(origin, files, projects=projects)


def open_archive(file: Path | IO[bytes], shown: str) -> zipfile.ZipFile:
    """Return a zip; raise `SourceError` for what is none, or is cut short."""
    try:
        return zipfile.ZipFile(file)
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror or error}") from None
    except (zipfile.BadZipFile, EOFError, NotImplementedError, ValueError) as error:
        raise SourceError(f"{shown}: is no zip, or is cut short ({error}); make it again") from None


def metadata_files(archive: zipfile.ZipFile, shown: str, joint: str = "!/") -> Iterator[MetadataFile]:
    """Yield the metadata and project files in a zip; `joint` stands between what is shown for the zip and a name in it.

    Raises `SourceError` for names that would leave the folder it is unpacked in, and for a great many of them.
    """
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise SourceError(f"{shown}: holds {len(members)} files; more than {MAX_MEMBERS} are not read")
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name.partition("/")[0]:
            raise SourceError(
                f"{shown}: holds '{member.filename}', a name that leads out of the archive; it is not read"
            )
        *folders, last = name.split("/")
        hidden = any(one.startswith(".") or one in ("node_modules", "__MACOSX") for one in folders)
        if not hidden and (is_metadata(last) or last == PROJECT_FILE):
            path = f"{shown}{joint}{name}"
            yield MetadataFile(path, name, partial(_read, archive, member, path))


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, shown: str) -> bytes:
    if member.flag_bits & 0x1:
        raise UnreadableFile(f"{shown}: is encrypted; make the archive without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The others unpack whole blocks at once, however large.
        raise UnreadableFile(f"{shown}: cannot be unpacked: only stored and deflated files are")
    try:
        with archive.open(member) as stream:
            # The size that the archive states may be a lie, so no more than the limit is ever unpacked.
            content = stream.read(MAX_FILE + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError) as error:
        raise UnreadableFile(f"{shown}: cannot be unpacked: {error}") from None
    if len(content) > MAX_FILE:
        raise UnreadableFile(f"{shown}: is larger than {MAX_FILE // 1024 // 1024} MiB, which no metadata of an app is")
    return content
