"""The checkout that is tested, and commands that are run beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[2]
"""The checkout: its folder."""

NOT_COPIED = shutil.ignore_patterns(
    ".*_cache", ".git", ".hypothesis", ".nox", ".venv", "__pycache__", "build", "*.egg-info"
)
"""What a copy of it leaves out: what tools put there."""


def run(*command: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with more variables, and uncovered: what it imports is not the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE_", "PYTHON"))}
    environment |= variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
