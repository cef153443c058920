"""Files that a run writes: checked before anything is read, and never left half written."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def check_writable(path: Path) -> None:
    """Make the folder of a file that is to be written; raise `OSError` where the file cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    partial = _partial(path)
    partial.touch()
    partial.unlink()


def write(path: Path, content: bytes) -> None:
    """Write a file; a write that is cut short leaves the file that was there. Raises `OSError`."""
    partial = _partial(path)
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
