"""Reads the orgs, once per run.

In a distributed run the controller reads, and its workers, replaced ones included, get what was read: never how, so no
credential leaves it.
"""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from pytest_oauthcontrols import sources
from pytest_oauthcontrols.config import configuration
from pytest_oauthcontrols.config.configuration import Configuration
from pytest_oauthcontrols.config.tailoring import UNTAILORED, tailored
from pytest_oauthcontrols.decisions import baseline
from pytest_oauthcontrols.decisions.assessment import Assessment, slugs
from pytest_oauthcontrols.decisions.baseline import Baseline, BaselineError
from pytest_oauthcontrols.decisions.comparison import check_distinct
from pytest_oauthcontrols.decisions.gate import Decisions
from pytest_oauthcontrols.decisions.stale import unmatched
from pytest_oauthcontrols.errors import OAuthControlsError
from pytest_oauthcontrols.orgs import snapshot
from pytest_oauthcontrols.orgs.masking import mask, masked
from pytest_oauthcontrols.orgs.model import Org, Snapshot
from pytest_oauthcontrols.pytest_hooks.progress import Progress
from pytest_oauthcontrols.pytest_hooks.project import configuration_file, configured, with_plugins
from pytest_oauthcontrols.reports import writing
from pytest_oauthcontrols.rules.catalogue import Catalogue, load
from pytest_oauthcontrols.rules.cvss import Severity
from pytest_oauthcontrols.sources.assembly import now
from pytest_oauthcontrols.sources.parallel import Patience, read_together
from pytest_oauthcontrols.text import plain

assessment_key = pytest.StashKey[Assessment]()

DEFAULT_TIMEOUT = 300
"""Seconds that the reading of an org may take."""

_WORKER_INPUT = "oauthcontrols"


class Reading:
    """Hooks that read orgs and hand them on."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._base = config.invocation_params.dir
        self._tailoring = UNTAILORED
        """What the project says of the catalogue, for the workers of a distributed run."""
        kept = config.option.sf_snapshot
        if kept is not None and not hasattr(config, "workerinput"):
            check_writable(self._base / kept / "org.json", f"--sf-snapshot={kept}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Read the orgs, before anything is collected or said; a run in which none can be read is a usage error."""
        option = self._config.option
        if option.showfixtures or option.show_fixtures_per_test:
            self._config.stash[assessment_key] = Assessment((), load())
            return
        try:
            catalogue = with_plugins(self._config, load())
            assessment = self._handed(catalogue) or self._assessment(catalogue)
        except OAuthControlsError as error:
            raise pytest.UsageError(plain(str(error) if option.sf_show_identities else mask(str(error)))) from None
        for problem in (*unmatched(assessment), *check_distinct(assessment)):
            raise pytest.UsageError(plain(problem))
        self._config.stash[assessment_key] = assessment

    def _handed(self, catalogue: Catalogue) -> Assessment | None:
        """Return what the controller of a distributed run has read."""
        handed = getattr(self._config, "workerinput", {}).get(_WORKER_INPUT)
        if handed is None:
            return None
        orgs, tailoring, decisions = pickle.loads(handed)  # noqa: S301  (the controller's, see handover)
        return Assessment(orgs, tailored(catalogue, tailoring), decisions)

    def _assessment(self, catalogue: Catalogue) -> Assessment:
        said = configured(self._config, catalogue)
        self._tailoring = said.tailoring
        decided = self._decisions(said, said.catalogue)
        orgs = _told_apart(self._kept(self._read(said)))
        if not self._config.option.sf_show_identities:
            orgs = _told_apart([masked(org) for org in orgs])
        return Assessment(tuple(configuration.apply(said, org) for org in orgs), said.catalogue, decided)

    def _decisions(self, configured: Configuration, catalogue: Catalogue) -> Decisions:
        option = self._config.option
        fail_on = option.sf_fail_on or configured.gate
        return Decisions(
            fail_on=None if fail_on == "never" else Severity(fail_on),
            in_context=configured.in_context if option.sf_severity is None else option.sf_severity == "context",
            waivers=configured.waivers,
            ignore_waivers=option.sf_no_waivers,
            attestations=configured.attestations,
            baseline=None if option.sf_baseline is None else self._baseline(option.sf_baseline),
            new_only=option.sf_new_only,
            # Without its plugin for skipping pytest knows no xfail: what does not block could not be shown as such.
            all_blocking=getattr(option, "runxfail", True),
        )

    def _baseline(self, given: str) -> Baseline:
        try:
            content = (self._base / given).read_bytes()
        except OSError as error:
            raise BaselineError(f"--sf-baseline={given}: cannot be read: {error.strerror}") from None
        return baseline.load(content, given)

    @property
    def _folder(self) -> Path:
        """Folder of the configuration."""
        return configuration_file(self._config)[0].parent

    def _read(self, configured: Configuration) -> list[Org]:
        """Return the orgs; one that cannot be read among others is an org with a problem."""
        option = self._config.option
        patience = Patience(option.sf_timeout or DEFAULT_TIMEOUT)
        readers = {
            value: sources.reader(value, configured.logins, self._base, self._folder, patience)
            for value in dict.fromkeys(option.sf_org)
        }
        live = [value for value in readers if sources.is_live(value, configured.logins)]
        with Progress(self._config, live) as progress:
            found = read_together(readers, patience, progress.show)
            failed = [_named(value, one) for value, one in found.items() if isinstance(one, sources.SourceError)]
            if len(failed) == len(found):
                raise sources.SourceError("; ".join(failed))
        orgs = {
            value: result if isinstance(result, Org) else _unread(value, _named(value, result))
            for value, result in found.items()
        }
        return [
            replace(org, notes=(*configured.logins[value].warnings, *org.notes)) if value in configured.logins else org
            for value, org in orgs.items()
        ]

    def _kept(self, orgs: list[Org]) -> list[Org]:
        """Return the orgs, each with its snapshot where snapshots are to be written."""
        shown = self._config.option.sf_snapshot
        if shown is None:
            return orgs
        # Reports name the files.
        names = slugs((org, mask(org.name), f"{org.name} {org.location}") for org in orgs)
        return [self._keep(org, Path(shown) / f"{names[org]}.json") if org.readable else org for org in orgs]

    def _keep(self, org: Org, path: Path) -> Org:
        content = snapshot.dump(org)
        try:
            writing.write(self._base / path, content)
        except OSError as error:
            raise sources.SourceError(f"{path}: cannot be written: {error.strerror}") from None
        return replace(org, snapshot=Snapshot(path.as_posix(), sha256(content).hexdigest()))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Hand a worker what was read."""
        node.workerinput[_WORKER_INPUT] = self._handed_on

    @cached_property
    def _handed_on(self) -> bytes:
        assessment = self._config.stash[assessment_key]
        return pickle.dumps((assessment.orgs, self._tailoring, assessment.decisions), pickle.HIGHEST_PROTOCOL)


def check_writable(path: Path, given: str) -> None:
    """Raise a usage error, which names the option as it was given, where a file cannot be written."""
    try:
        writing.check_writable(path)
    except OSError as error:
        raise pytest.UsageError(f"{given}: cannot be written: {error.strerror}") from None


def _told_apart(orgs: list[Org]) -> list[Org]:
    """Return the orgs; beside the names of those that are called alike stands where each was read, or its number."""
    names = Counter(org.name for org in orgs)
    places = Counter((org.name, org.location) for org in orgs)
    return [
        replace(org, name=f"{org.name} ({org.location if places[org.name, org.location] == 1 else number})")
        if names[org.name] > 1
        else org
        for number, org in enumerate(orgs, 1)
    ]


def _named(value: str, error: sources.SourceError) -> str:
    """Return what is wrong, with the org that it is about."""
    text = str(error)
    return text if sources.is_path(value) or f"'{value}'" in text else f"{value}: {text}"


def _unread(value: str, problem: str) -> Org:
    """Return the org of which nothing could be read."""
    return Org(
        name=value,
        source="org",
        location=value,
        taken_at=now(),
        sha256="",
        apps=(),
        settings={},
        read={},
        unread={},
        problems=(problem,),
        readable=False,
    )


def only_org(request: pytest.FixtureRequest) -> Org:
    """Return the org for a test that asks for a fixture while it runs, when it can no longer be parametrized.

    Args:
        request: The request of the fixture, which names it and knows the configuration.

    Raises:
        Failed: There are several orgs, or the fixture has a value per app or control.
    """
    orgs = request.config.stash[assessment_key].orgs
    name = str(request.fixturename).removeprefix("sf_")
    if name == "org" and len(orgs) == 1:
        return orgs[0]
    several = f"there are {len(orgs)} orgs" if name == "org" else f"there is one for each {name}"
    pytest.fail(
        f"'{name}' has no single value here: {several}. Take '{name}' as an argument of the test function, which then"
        " runs once for each.",
        pytrace=False,
    )
