"""Which controls a run leaves out: by id, shell pattern for ids, or framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pytest_oauthcontrols.text import matches

FRAMEWORKS = {
    "core": "the four controls of the Security Health Review that this project began with",
    "shr": "Salesforce's Security Health Review",
    "sbs": "the Security Benchmark for Salesforce",
    "partner": "what Salesforce demands of apps that partners provide to several customers",
    "analogy": "what the page of the same control for the other kind of app asks for",
    "rfc9700": "the IETF's best current practice for OAuth 2.0 security (RFC 9700)",
    "own": "the project's own controls",
}


class Selection(NamedTuple):
    """What was asked for; where nothing is selected, everything is."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    selected_by: str = ""
    """Where `select` was said: the option, or the file."""
    ignored_by: str = ""

    def why_left_out(self, control: str, frameworks: Iterable[str]) -> str | None:
        """Return why a control is not assessed; None where it is."""
        names = (control, *frameworks)
        if self.select and not any(_matches(one, names) for one in self.select):
            return f"by {self.selected_by}: not among {', '.join(self.select)}"
        ignored = next((one for one in self.ignore if _matches(one, names)), None)
        return None if ignored is None else f"by {self.ignored_by}: {ignored}"

    def unmatched(self, known: Iterable[tuple[str, Iterable[str]]]) -> Iterator[tuple[str, str]]:
        """Yield what matches none of the known controls, each given with its frameworks, and where it was said."""
        names = [(control, *frameworks) for control, frameworks in known]
        for asked, by in ((self.select, self.selected_by), (self.ignore, self.ignored_by)):
            yield from ((one, by) for one in asked if not any(_matches(one, some) for some in names))


def _matches(asked: str, names: tuple[str, ...]) -> bool:
    """Tell whether what was asked for is a framework of a control, its id, or a pattern for it."""
    return asked in names or matches(asked, names[0])


EVERYTHING = Selection()
"""What is assessed where nothing was asked for."""
