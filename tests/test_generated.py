"""What is generated is what would be generated now."""

from __future__ import annotations

from pathlib import Path

import pytest

from .support.checkout import PROJECT
from .support.generated import GENERATED


@pytest.mark.parametrize("path", GENERATED, ids=lambda path: path.name)
def test_generated_file_is_up_to_date(path: Path) -> None:
    """A generated file has what the catalogue and the loader say; where it has not, the test says what writes it."""
    up_to_date = path.read_text("utf-8") == GENERATED[path]()
    assert up_to_date, f"{path.relative_to(PROJECT)} is stale; `.venv/bin/nox -s generate` writes it"
