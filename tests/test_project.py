"""How the project is put together."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from .support.checkout import PROJECT

TESTS = PROJECT / "tests"


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_nothing_is_imported_from_a_test_module(path: Path) -> None:
    """What several test modules need is in `tests/support`, so that a test module can be read and run alone."""
    imported = [
        f"{node.module or ''}.{alias.name}"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert [name for name in imported if any(part.startswith("test_") for part in name.split("."))] == []
