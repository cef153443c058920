"""Which checks the tests of a run make, known where tests are collected: in a distributed run, by its workers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from pytest_oauthcontrols.pytest_hooks.handover import handover
from pytest_oauthcontrols.pytest_hooks.reading import assessment_key
from pytest_oauthcontrols.rules.evaluation import Check

check_key = pytest.StashKey[Check]()
"""The check that an item makes; on no other item."""

_WORKER_OUTPUT = "oauthcontrols"


class Collected:
    """Hooks that note what is collected and deselected, and hand it to the controller of a distributed run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.checks: dict[Check, None] = {}
        """Every check that tests of the project make; those of the suite are known without them."""
        self.tests: dict[str, Check | None] = {}
        """Node id of every test that was to run to its check; None for a test that makes none."""
        self.deselected: dict[Check, None] = {}
        """Checks that options or hooks took out of the run."""

    def add(self, checks: Iterable[Check]) -> None:
        """Note checks that tests of the project make, whether they will run or not."""
        self.checks.update(dict.fromkeys(checks))

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        """Note what does not run because of -k, -m, --deselect, --lf or a hook."""
        self.deselected.update((item.stash[check_key], None) for item in items if check_key in item.stash)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note what is to run."""
        self.tests.update((item.nodeid, item.stash.get(check_key, None)) for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Note what is to run in a distributed run: the controller collects nothing, and learns more at the end."""
        self.tests.update((node_id, self.tests.get(node_id)) for node_id in ids)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Hand what this worker knows to the controller."""
        output: dict[str, Any] | None = getattr(self._config, "workeroutput", None)
        if output is not None and assessment_key in self._config.stash:
            known = (
                list(self.checks),
                [(at, check) for at, check in self.tests.items() if check],
                list(self.deselected),
            )
            output[_WORKER_OUTPUT] = handover(self._config).dumps(known)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Take what a worker knows; one that crashed says nothing, and the others know the same."""
        content = getattr(node, "workeroutput", {}).get(_WORKER_OUTPUT)
        if content is not None:
            checks, tests, deselected = handover(self._config).loads(content)
            self.add(checks)
            self.tests.update(tests)
            self.deselected.update(dict.fromkeys(deselected))
