"""Where orgs are read from: each source returns an `Org`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

from pytest_oauthcontrols.config.credentials import (
    DEMO,
    ENVIRONMENT,
    Credentials,
    Login,
    SalesforceCli,
    Source,
    from_environment,
    is_path,
)
from pytest_oauthcontrols.orgs import snapshot
from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.sources.assembly import Origin, now
from pytest_oauthcontrols.sources.parallel import Patience, Reader, Say
from pytest_oauthcontrols.sources.parser import SourceError

__all__ = ["DEMO", "SourceError", "is_live", "is_path", "read", "reader"]


def is_live(value: str, logins: Mapping[str, Login]) -> bool:
    """Tell whether a value of `--sf-org` means an org that has to be asked."""
    return value != DEMO and not is_path(value) and (value not in logins or logins[value].method is not Source)


def reader(value: str, logins: Mapping[str, Login], base: Path, folder: Path, patience: Patience) -> Reader:
    """Return what reads the org that a value of `--sf-org` means.

    A path is relative to `base`, one that the configuration names to its `folder`, and shown relative to `base` all the
    same. A name is one of the configuration, else one that the Salesforce CLI knows. Raises `DocumentError` for
    credentials that the environment leaves out.
    """
    if value == DEMO or is_path(value):
        return partial(_read, value, base)
    if value in logins:
        said = logins[value].credentials(os.environ, folder)
        if isinstance(said, Source):
            return partial(_read_named, value, _relative(said.source, folder, base), base)
    else:
        said = from_environment(os.environ) if value == ENVIRONMENT else SalesforceCli(value)
    return partial(_read_live, value, said, patience)


def _relative(path: str, folder: Path, base: Path) -> str:
    """Return a path that is relative to a folder as one that is relative to `base`; an absolute one as it is."""
    if Path(path).is_absolute():
        return path
    try:
        return os.path.relpath(folder / path, base)
    except ValueError:
        return str(folder / path)  # on another drive of Windows


def _read(value: str, base: Path, say: Say) -> Org:
    say("reading")
    return read(value, base)


def _read_named(name: str, value: str, base: Path, say: Say) -> Org:
    say("reading")
    return replace(_read_path(value, base), name=name)


def _read_live(value: str, said: Credentials, patience: Patience, say: Say) -> Org:
    # Heavy, and of no use where files are read.
    from pytest_oauthcontrols.sources.live.read import read_org

    return read_org(value, said, patience, say)


def read(value: str, base: Path) -> Org:
    """Return the org at a path, or the sample org; a path is relative to `base`.

    Raises `SourceError` where it cannot be read.
    """
    if value == DEMO:
        from pytest_oauthcontrols.sources.directory import read_directory

        with as_file(files("pytest_oauthcontrols") / DEMO) as folder:
            return read_directory(folder, Origin(DEMO, DEMO, DEMO, now()))
    return _read_path(value, base)


def _read_path(value: str, base: Path) -> Org:
    path = base / value
    if not _exists(path):
        raise SourceError(f"{value}: there is no such file or folder")
    if path.is_dir():
        from pytest_oauthcontrols.sources.directory import read_directory

        return read_directory(path, Origin(_name(path), "directory", _shown(value), now()))
    if path.suffix.lower() == ".json":
        return _read_snapshot(path, value)
    if path.suffix.lower() != ".zip" or not path.is_file():
        raise SourceError(f"{value}: is neither a folder, a .zip of metadata nor a snapshot (.json)")
    from pytest_oauthcontrols.sources.archive import read_archive

    return read_archive(path, Origin(_name(path), "archive", _shown(value), now()))


def _read_snapshot(path: Path, shown: str) -> Org:
    try:
        return snapshot.load(path.read_bytes(), shown)
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}") from None
    except snapshot.SnapshotError as error:
        raise SourceError(str(error)) from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a name that is too long, say


def _name(path: Path) -> str:
    resolved = path.resolve()
    return (resolved.stem if resolved.is_file() else resolved.name) or str(path)


def _shown(value: str) -> str:
    return Path(value).as_posix()
