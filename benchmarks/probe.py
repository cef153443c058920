"""A pytest plugin that writes down the CPU seconds from the start of collection to the end of the summary."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

_started = [0.0]


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Start the clock."""
    _started[0] = time.process_time()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop it."""
    Path(os.environ["OAUTHCONTROLS_SPENT"]).write_text(json.dumps(time.process_time() - _started[0]), "utf-8")
