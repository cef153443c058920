"""A pytest plugin that writes down what pytest takes from the start of collection to the end of the summary.

CPU seconds, or with OAUTHCONTROLS_PROBE=memory the most bytes that were held at once.
"""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

_MEMORY = os.environ.get("OAUTHCONTROLS_PROBE") == "memory"
_started = [0.0]


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """Start the clock, or to count."""
    if _MEMORY:
        tracemalloc.start()
    _started[0] = time.process_time()


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """Stop it."""
    spent = tracemalloc.get_traced_memory()[1] if _MEMORY else time.process_time() - _started[0]
    Path(os.environ["OAUTHCONTROLS_SPENT"]).write_text(json.dumps(spent), "utf-8")
