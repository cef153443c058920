"""Each code block of the documentation does what it says, as somebody finds out who follows a page from its beginning.

Every page is followed in a folder of its own. YAML and Python are written to the file that their first line names,
commands are run, and what is shown as output has to be in that of the command before it; `...` stands for anything.
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pytest_oauthcontrols import sources
from pytest_oauthcontrols.config.configuration import FILE_NAME
from pytest_oauthcontrols.pytest_hooks import reading
from pytest_oauthcontrols.sources.live import read as live

from .support import sample_org
from .support.checkout import NOT_COPIED, PROJECT, run
from .support.documentation import PAGES, Block, blocks, blocks_of, command_that_tests, orgs
from .support.editors import schema_accepts
from .support.orgs import TAKEN_AT, demo_files
from .support.salesforce import Emulator, FakeOrg

# Each page is followed from its beginning.
pytestmark = pytest.mark.slow

JOBS = (".github/", ".gitlab-ci.yml")
"""Where CI jobs stand."""
REPORTS = re.compile(r"--(?:sf-(?:json|report|sarif|csv|markdown)|html|junitxml)=(.+)")
"""Options that name a file which the run writes."""
RULE = re.compile(r"[_=]{4,}")
"""What pytest draws beside a heading, as wide as the terminal."""


@pytest.fixture
def _orgs(monkeypatch: pytest.MonkeyPatch, salesforce: Emulator) -> None:
    """Two orgs, which are configured like the sample org, and the credentials that the documentation names."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    sandbox = "acme--uat.sandbox.my.salesforce.com"
    uat = salesforce.add(FakeOrg(my_domain=sandbox, files=demo_files(), public_key=key.public_key()))
    prod = salesforce.add(
        FakeOrg(org_id="00D5g000004AbcdEAC", token="00D5g000004Abcd!Another.Planted_Token", files=demo_files())  # noqa: S106  (planted)
    )
    for name, value in {
        "UAT_USERNAME": uat.username,
        "UAT_CONSUMER_KEY": uat.consumer_key,
        "UAT_PRIVATE_KEY": pem,
        "PROD_CONSUMER_KEY": prod.consumer_key,
        "PROD_CONSUMER_SECRET": prod.consumer_secret,
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def reader(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, _orgs: None) -> Reader:
    """Somebody who has metadata of an org, and a configuration that says how to log in."""
    for module in (sources, live, reading):
        monkeypatch.setattr(module, "now", lambda: TAKEN_AT)
    monkeypatch.setenv("COLUMNS", "80")
    demo = PROJECT / "pytest_oauthcontrols" / "demo"
    shutil.copytree(demo, pytester.path / "force-app")
    shutil.make_archive(str(pytester.path / "retrieved"), "zip", demo)
    pytester.makeini("[pytest]\n")
    return Reader(pytester)


class Reader:
    """Somebody who does what a page says."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self._configured: dict[str, str] = {}
        self._output: list[str] = []
        self.untried: set[str] = set()
        """Files that no command has used yet."""
        self._configure(orgs())
        self.untried.clear()

    def follow(self, block: Block) -> None:
        """Do what a block says."""
        kinds: dict[str, Callable[[str], None]] = {
            "console": self._type,
            "yaml": self._write_yaml,
            "python": self._write,
            "text": self._compare,
        }
        kinds[block.language](block.text)

    def _type(self, text: str) -> None:
        for line in text.splitlines():
            program, *arguments = shlex.split(line, comments=True)
            if program == "pytest":
                self._run(arguments)

    def _run(self, arguments: list[str]) -> None:
        result = self._pytester.runpytest(*arguments)
        assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), arguments
        for report in filter(None, map(REPORTS.fullmatch, arguments)):
            assert (self._pytester.path / report[1]).stat().st_size > 0
        named = {one for one in arguments if (not one.startswith("-") and "/" in one) or one.endswith(".py")}
        self.untried = {file for file in self.untried if file.startswith("test_") and named and file not in named}
        self._output = result.outlines

    def _write_yaml(self, text: str) -> None:
        name = _file(text)
        if name == FILE_NAME:
            self._configure(text)
        else:
            self._write(text)
        if name.startswith(JOBS):
            commands = list(_commands(yaml.safe_load(text)))
            assert commands
            assert all(variable in text for variable in ("UAT_USERNAME", "UAT_CONSUMER_KEY", "UAT_PRIVATE_KEY"))
            for command in commands:
                self._run(command.split()[1:])

    def _write(self, text: str) -> None:
        name = _file(text)
        path = self._pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        self.untried.add(name)

    def _configure(self, text: str) -> None:
        """Add keys to the configuration; one that it has is replaced."""
        _, *keys = re.split(r"^(?=\w+:)", text, flags=re.MULTILINE)
        self._configured |= {key.partition(":")[0]: key for key in keys}
        assert schema_accepts(text)
        self._write(f"# {FILE_NAME}\n{''.join(self._configured.values())}")

    def _compare(self, text: str) -> None:
        lines = [re.escape(RULE.sub("", line).strip()).replace(r"\.\.\.", ".*") for line in text.splitlines()]
        shown = pytest.LineMatcher([RULE.sub("", line).strip() for line in self._output])
        shown.re_match_lines([f"{line}$" for line in lines if line])


def _file(text: str) -> str:
    """Return the name of the file that a block belongs into."""
    named = re.match(r"# (?:in )?([\w./-]+\.\w+)", text)
    assert named, f"the first line names no file: {text.partition(chr(10))[0]}"
    return named[1]


def _commands(said: Any) -> Iterator[str]:
    """Yield the pytest commands of a CI job."""
    if isinstance(said, str) and said.startswith("pytest "):
        yield said
    elif isinstance(said, (dict, list)):
        for one in said.values() if isinstance(said, dict) else said:
            yield from _commands(one)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks_of(page)], ids=lambda page: page.stem)
def test_page_can_be_followed(reader: Reader, page: Path) -> None:
    """Every command runs, every file is used by one, and all output that is shown is what is printed."""
    for block in blocks_of(page):
        reader.follow(block)
    assert not reader.untried


@pytest.mark.network
@pytest.mark.skipif(sys.platform == "win32", reason="the lines are for other shells")
@pytest.mark.parametrize(
    "line",
    [
        line
        for text in blocks("console")
        for line in text.splitlines()
        if not line.startswith("pytest ") and line != command_that_tests()
    ],
)
def test_line_for_a_shell(tmp_path: Path, line: str) -> None:
    """Every other line, but for the one that runs these tests, runs in a checkout; it ends with a run with findings."""
    shutil.copytree(PROJECT, tmp_path / "checkout", ignore=NOT_COPIED)
    done = run("bash", "-c", line, folder=tmp_path / "checkout")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert f"demo: {sample_org.SUMMARY}" in done.stdout
