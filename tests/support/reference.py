"""The reference of oauthcontrols.yaml in the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pytest_oauthcontrols.config.description import KEYS, WAYS_TO_LOG_IN
from pytest_oauthcontrols.config.kinds import Key

from .documentation import DOCS

PAGE_OF_KEYS = DOCS / "4-process.md"
_BEGIN, _END = "<!-- keys -->\n", "<!-- /keys -->\n"


def page_of_keys() -> str:
    """Return the page that has the reference, with the reference as the loader's description has it."""
    before, _, rest = PAGE_OF_KEYS.read_text("utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{_reference()}\n{_END}{after}"


def _reference() -> str:
    lines = list(_table(("key", "value", "meaning"), ((f"`{name}`", *_cells(key)) for name, key in KEYS.items())))
    ways = (
        (f"`{name}`", way.description, ", ".join(f"`{other}`" for other in way.keys if other != name))
        for name, way in WAYS_TO_LOG_IN.items()
    )
    lines += ["", "Ways to log in, for each of `orgs`:", "", *_table(("key", "way to log in", "with"), ways)]
    keys_of_ways = {name: key for way in WAYS_TO_LOG_IN.values() for name, key in way.keys.items()}
    sections = {"orgs": keys_of_ways, **{name: key.kind.keys for name, key in KEYS.items() if key.kind.keys}}
    for section, keys in sections.items():
        lines += ["", f"Keys of each of `{section}`:", "", *_table_of_keys(keys)]
    return "\n".join(lines)


def _table_of_keys(keys: Mapping[str, Key]) -> Iterator[str]:
    rows = ((f"**`{name}`**" if key.required else f"`{name}`", *_cells(key)) for name, key in keys.items())
    return _table(("key", "value", "meaning"), rows)


def _cells(key: Key) -> tuple[str, str]:
    default = f" Default: `{key.default}`." if key.default else ""
    return key.kind.words, f"{key.description}{default}"


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
