"""The project file of a DX project, `sfdx-project.json`: which of its folders hold what is deployed."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator

from pytest_oauthcontrols.sources.parser import MetadataFile, UnreadableFile

PROJECT_FILE = "sfdx-project.json"


def is_project(file: MetadataFile) -> bool:
    """Tell whether a file is the project file of a DX project."""
    return file.relative.rpartition("/")[2] == PROJECT_FILE


def package_directories(project: MetadataFile, content: bytes) -> tuple[str, ...]:
    """Return the package directories of a project, the default first, as paths below the source's root.

    Each ends with a slash; that of the root itself is empty. `content` is what the project file holds. Raises
    `UnreadableFile` where that cannot be understood.
    """
    try:
        said = json.loads(content)
        listed = said.get("packageDirectories", ())
        found = [(one.get("default") is not True, one["path"]) for one in listed]
        base = project.relative.rpartition("/")[0]
        return tuple(_below(base, [path for _, path in sorted(found, key=lambda one: one[0])]))
    except (ValueError, RecursionError, TypeError, AttributeError, KeyError):
        raise UnreadableFile(f"{project.path}: is not a valid project file of Salesforce DX") from None


def _below(base: str, paths: list[str]) -> Iterator[str]:
    for path in paths:
        normal = posixpath.normpath(posixpath.join(base, path.replace("\\", "/")))
        if normal == ".":
            yield ""
        # A folder above the root is not read.
        elif not normal.startswith(("/", "..")):
            yield f"{normal}/"
