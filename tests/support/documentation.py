"""The pages of the documentation and their code blocks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from .checkout import PROJECT

README = PROJECT / "README.md"
DOCS = PROJECT / "docs"
PAGES = (README, *sorted(DOCS.glob("*.md")))
"""In the order in which they are read."""


class Block(NamedTuple):
    """A code block."""

    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of a page."""
    text = page.read_text("utf-8")
    found = [Block(*one) for one in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]
    assert len(found) * 2 == text.count("```"), f"{page.name}: a block is none, or has no end"
    return found


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language, of all pages."""
    return [block.text for page in PAGES for block in blocks_of(page) if block.language == language]


def command_that_tests() -> str:
    """Return the command by which the README runs the tests."""
    section = README.read_text("utf-8").partition("\n## Run the tests\n")[2].partition("\n## ")[0]
    (command,) = re.findall(r"^```console\n([^\n]+)\n```$", section, re.MULTILINE)
    return str(command)


def orgs() -> str:
    """Return the configuration that shows how to log in."""
    (text,) = [block for block in blocks("yaml") if "\norgs:" in block]
    return text
