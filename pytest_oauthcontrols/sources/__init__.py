"""Where orgs are read from: each source returns an `Org`."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from importlib.resources import as_file, files
from pathlib import Path

from pytest_oauthcontrols.model import Org
from pytest_oauthcontrols.sources.metadata import SourceError

__all__ = ["DEMO", "SourceError", "is_path", "read"]

DEMO = "demo"
"""Name of the sample org that ships with the package."""


def is_path(value: str) -> bool:
    """Tell whether a value of `--sf-org` is a path; any other is a name."""
    return "/" in value or os.sep in value or value in (".", "..") or value.lower().endswith((".zip", ".json"))


def read(value: str, base: Path) -> Org:
    """Return the org that a value of `--sf-org` means; a path is relative to `base`.

    Raises `SourceError` where it cannot be read.
    """
    taken_at = datetime.now(timezone.utc).replace(microsecond=0)
    if value == DEMO:
        from pytest_oauthcontrols.sources.directory import read_directory

        with as_file(files("pytest_oauthcontrols") / DEMO) as folder:
            return read_directory(DEMO, folder, taken_at, source=DEMO, location=DEMO)
    if not is_path(value):
        raise SourceError(
            f"there is no org called '{value}'; give '{DEMO}', or the path of a folder or .zip of metadata"
            f" (./{value} for a folder)"
        )
    path = base / value
    if not _exists(path):
        raise SourceError(f"{value}: there is no such file or folder")
    if path.is_dir():
        from pytest_oauthcontrols.sources.directory import read_directory

        return read_directory(_name(path), path, taken_at, location=_shown(value))
    if path.suffix.lower() != ".zip" or not path.is_file():
        raise SourceError(f"{value}: is neither a folder nor a .zip of metadata")
    from pytest_oauthcontrols.sources.archive import read_archive

    return read_archive(_name(path), path, taken_at, location=_shown(value))


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
