"""Reads the orgs, once per run.

In a distributed run the controller reads, and its workers, replaced ones included, get what was read: never how, so no
credential leaves it.
"""

from __future__ import annotations

from typing import Any

import pytest

from pytest_oauthcontrols import configuration, snapshot, sources
from pytest_oauthcontrols.assessment import Assessment
from pytest_oauthcontrols.catalogue import load
from pytest_oauthcontrols.document import DocumentError
from pytest_oauthcontrols.messages import plain
from pytest_oauthcontrols.model import Org

assessment_key = pytest.StashKey[Assessment]()

_WORKER_INPUT = "oauthcontrols"


class Reading:
    """Hooks that read orgs and hand them on."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Read the orgs, before anything is collected or said; whatever cannot be read is a usage error."""
        option = self._config.option
        if option.showfixtures or option.show_fixtures_per_test:
            self._config.stash[assessment_key] = Assessment((), load())
            return
        try:
            self._config.stash[assessment_key] = Assessment(self._orgs(), load())
        except (DocumentError, sources.SourceError) as error:
            raise pytest.UsageError(plain(str(error))) from None

    def _orgs(self) -> tuple[Org, ...]:
        handed = getattr(self._config, "workerinput", {}).get(_WORKER_INPUT)
        if handed is not None:
            return snapshot.decode(handed)
        configured = self._configuration()
        base = self._config.invocation_params.dir
        return tuple(
            configuration.apply(configured, sources.read(value, base))
            for value in dict.fromkeys(self._config.option.sf_org)
        )

    def _configuration(self) -> configuration.Configuration:
        given = self._config.option.sf_config
        if given is not None:
            return configuration.load(self._config.invocation_params.dir / given, given)
        path = self._config.rootpath / configuration.FILE_NAME
        return configuration.load(path, configuration.FILE_NAME) if path.exists() else configuration.Configuration("")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand a worker what was read."""
        node.workerinput[_WORKER_INPUT] = self._encoded

    @property
    def _encoded(self) -> bytes:
        return snapshot.encode(self._config.stash[assessment_key].orgs)
