"""Says that live orgs are being read: on a terminal what is done and for how long, elsewhere the start and the end."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence

import pytest

from pytest_oauthcontrols.orgs.masking import mask
from pytest_oauthcontrols.sources.parallel import Doing
from pytest_oauthcontrols.text import plain


class Progress:
    """A line that is there while the block runs; nothing is said where no live org is read, or with `-q`."""

    def __init__(self, config: pytest.Config, live: Sequence[str]) -> None:
        reporter: pytest.TerminalReporter | None = config.pluginmanager.getplugin("terminalreporter")
        self._reporter = reporter if live and config.option.verbose >= 0 else None
        self._moving = self._reporter is not None and self._reporter.isatty
        self._shown: Callable[[str], str] = str if config.option.sf_show_identities else mask
        self._live = self._shown(", ".join(live))
        self._started = time.monotonic()

    def __enter__(self) -> Progress:  # noqa: PYI034  (`Self` is younger than Python 3.10)
        if self._reporter is not None and not self._moving:
            self._reporter.write_line(plain(f"oauthcontrols: reading {self._live} ..."))
        return self

    def show(self, doing: Mapping[str, Doing]) -> None:
        """Show what is being done, on a terminal."""
        if self._reporter is not None and self._moving:
            orgs = self._shown(", ".join(f"{name}: {one.what} ({one.seconds} s)" for name, one in doing.items()))
            # A line that wraps could not be taken back.
            columns = shutil.get_terminal_size().columns - 1
            self._reporter.rewrite(plain(f"reading {orgs}")[:columns], erase=True)

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if self._reporter is None:
            return
        if self._moving:
            self._reporter.rewrite("", erase=True)
            self._reporter.write("\r")
        elif type_ is None:
            self._reporter.write_line(f"oauthcontrols: read in {time.monotonic() - self._started:.0f} s")
