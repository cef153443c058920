"""How the project is put together."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from .support.checkout import PROJECT
from .support.documentation import README, command_that_tests

TESTS = PROJECT / "tests"


def test_what_ci_runs_is_what_the_readme_says() -> None:
    """CI takes the command from the README, so whoever follows the README runs what a change has to pass."""
    ci = (PROJECT / ".ci" / "run").read_text("utf-8")
    pattern, page = re.findall(
        r'^command=\$\(grep -m 1 "(.+)" (\S+)\)$.*^bash [\w -]+ "\$command"$', ci, re.DOTALL | re.MULTILINE
    )[0]
    lines = (PROJECT / page).read_text("utf-8").splitlines()
    assert next(line for line in lines if pattern in line) == command_that_tests()
    assert PROJECT / page == README


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
