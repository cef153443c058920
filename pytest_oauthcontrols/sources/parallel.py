"""Several orgs at once, each in a thread of its own.

One that cannot be read leaves the others alone, and none is waited for when the run ends.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pytest_oauthcontrols.orgs.model import Org
from pytest_oauthcontrols.sources.parser import SourceError

Say: TypeAlias = Callable[[str], None]
Reader: TypeAlias = Callable[[Say], Org]

_TICK = 0.2
"""Seconds between two looks at what the threads do."""

_GRACE = 2.0
"""Seconds after the end in which a reader may say itself what it has waited for."""


class Doing:
    """What is being done for one org, and for how long."""

    def __init__(self) -> None:
        self.what = "starting"
        self._started = time.monotonic()

    def say(self, what: str) -> None:
        """Note what is being done."""
        self.what = what

    @property
    def seconds(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self._started)


class Stopped(Exception):
    """The run ended while an org was being read."""


class Patience:
    """How long the reading of orgs may take, from now; it ends at once when the run does."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds
        self._stop = threading.Event()

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds that have passed."""
        return self.seconds - self.left

    def stop(self) -> None:
        """Tell whoever waits to give up."""
        self._stop.set()

    def wait(self, seconds: float) -> None:
        """Wait, but no longer than is left; raise `Stopped` if the run ends."""
        if self._stop.wait(max(0.0, min(seconds, self.left))):
            raise Stopped


def read_together(
    readers: Mapping[str, Reader], patience: Patience, show: Callable[[Mapping[str, Doing]], None]
) -> dict[str, Org | SourceError]:
    """Return what each reader returned, or why it could not; `show` is told of those at work, a few times a second.

    Raises `RuntimeError` where one ends with any other error.
    """
    doing = {name: Doing() for name in readers}
    done: dict[str, Org | SourceError | RuntimeError] = {}

    def read(name: str) -> None:
        try:
            done[name] = readers[name](doing[name].say)
        except SourceError as error:
            # Without the frames in which it was raised, whose variables hold what nobody is to see.
            done[name] = SourceError(str(error))
        except BaseException as error:  # noqa: BLE001  (raised in the main thread)
            frames = "".join(traceback.format_tb(error.__traceback__))
            done[name] = RuntimeError(f"reading {name} ended with {type(error).__name__}:\n{frames}")

    # Daemons, because a thread that waits for an answer must not keep an interrupted run from ending.
    threads = [threading.Thread(target=read, args=(name,), daemon=True) for name in readers]
    try:
        for thread in threads:
            thread.start()
        for name, thread in zip(readers, threads, strict=True):
            # An answer that trickles in, or a name that is not resolved, knows no limit of its own.
            while thread.is_alive() and patience.left > -_GRACE:
                # A join without a limit cannot be interrupted on Windows.
                thread.join(_TICK)
                show({name: one for name, one in doing.items() if name not in done})
            late = f"had not ended after {patience.spent:.0f} s, {doing[name].what}; allow more time with --sf-timeout"
            done.setdefault(name, SourceError(late))
    finally:
        patience.stop()
    found: dict[str, Org | SourceError] = {}
    for name in readers:
        result = done[name]
        if isinstance(result, RuntimeError):
            raise result
        found[name] = result
    return found
