"""What the documentation claims beside its code blocks."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from pytest_oauthcontrols import plugin
from pytest_oauthcontrols.config.configuration import FILE_NAME
from pytest_oauthcontrols.config.configuration import load as load_configuration
from pytest_oauthcontrols.config.credentials import Credentials, JwtBearerFile
from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, EXTERNAL_CLIENT_APP
from pytest_oauthcontrols.orgs.model import App, Org
from pytest_oauthcontrols.pytest_hooks import hookspecs
from pytest_oauthcontrols.rules.catalogue import load
from pytest_oauthcontrols.rules.conditions import _OPERATORS, compile_condition
from pytest_oauthcontrols.rules.predicates import PREDICATES
from pytest_oauthcontrols.rules.selection import FRAMEWORKS
from pytest_oauthcontrols.sources.live.errors import Refusal, explain
from pytest_oauthcontrols.yaml_entries import parse

from .support.checkout import PROJECT
from .support.documentation import DOCS, PAGES, README, blocks, orgs

PACKAGE = PROJECT / "pytest_oauthcontrols"
CONTROLS = DOCS / "3-controls.md"
EXTENDING = DOCS / "6-extending.md"
LONGEST_LINE = 140


def test_pages_are_read_in_order() -> None:
    """The README lists every page in its order, and each page leads on to the next."""
    pages = [page.name for page in PAGES[1:]]
    assert [int(name.partition("-")[0]) for name in pages] == list(range(1, len(pages) + 1))
    assert re.findall(r"^\d\. .*\(docs/([\w-]+\.md)\)", README.read_text("utf-8"), re.MULTILINE) == pages
    for page, following in zip(PAGES[1:], pages[1:], strict=False):
        assert page.read_text("utf-8").splitlines()[-1].startswith(f"Next: [{_title(DOCS / following)}]({following})")


def _title(page: Path) -> str:
    return page.read_text("utf-8").partition("\n")[0].removeprefix("# ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """A link within the project leads to a file that is there, and to a heading of it."""
    targets = re.findall(r"\]\((?!https://)([^)\s#]*)#?([^)\s]*)\)", page.read_text("utf-8"))
    assert targets
    for file, heading in targets:
        linked = page.parent / file if file else page
        assert linked.exists(), file
        headings = re.findall(r"^#+ (.+)$", linked.read_text("utf-8"), re.MULTILINE) if heading else []
        anchors = [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings]
        assert heading in ["", *anchors], file


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_lines_are_short(page: Path) -> None:
    """Text is wrapped; a row of a table, and what a run prints, cannot be."""
    text = re.sub(r"^```text\n.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert [line for line in text.splitlines() if len(line) > LONGEST_LINE and not line.startswith("|")] == []


def test_every_option_is_explained(pytester: pytest.Pytester) -> None:
    """No option of the plugin is left out."""
    parser = pytest.Parser(_ispytest=True)
    plugin.pytest_addoption(parser)
    (group,) = (one for one in parser._groups if one.name == "oauthcontrols")  # noqa: SLF001  (nothing else lists them)
    options = [name for option in group.options for name in option.names()]
    assert "--sf-org" in options
    said = "".join(page.read_text("utf-8") for page in PAGES)
    assert [option for option in options if f"`{option}" not in said and f" {option}" not in said] == []


def _public(class_: type[Any]) -> set[str]:
    """Return what a test can use of an app or org."""
    return {name for one in class_.__mro__ for name in vars(one) if not name.startswith("_")}


def _first_cells(page: Path, header: str) -> list[str]:
    """Return what stands in the first column of the table with a header."""
    _, _, rest = page.read_text("utf-8").partition(f"\n| {header} |")
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return [cell for row in rows for cell in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def test_vocabulary_is_complete() -> None:
    """Every operator and predicate is explained, and each condition and each name of an app or org that is, is one."""
    conditions = _first_cells(EXTENDING, "condition")
    for said in conditions:
        if not re.search("CONDITION|NAME", said):
            external = said.startswith(("Extl", "custom_"))
            compile_condition(parse(said, "docs"), EXTERNAL_CLIENT_APP if external else CONNECTED_APP)
    said = "\n".join(conditions)
    assert [operator for operator in _OPERATORS if f"{{{operator}: " not in said] == []
    assert _first_cells(EXTENDING, "predicate") == list(PREDICATES)
    shown = [re.split(r"[.(]", cell)[:2] for cell in _first_cells(EXTENDING, "property")]
    assert {"app", "org"} == {of for of, _ in shown}
    known = {"app": _public(App) | set(App.__dataclass_fields__), "org": _public(Org) | set(Org.__dataclass_fields__)}
    assert [(of, name) for of, name in shown if name not in known[of]] == []


def test_hooks_and_frameworks_are_complete() -> None:
    """Every hook and every framework is explained."""
    shown = [cell.partition("(")[0] for cell in _first_cells(EXTENDING, "hook")]
    assert shown == [name for name in vars(hookspecs) if name.startswith("pytest_oauth")]
    assert _first_cells(CONTROLS, "framework") == list(FRAMEWORKS)


def test_imports_point_one_way() -> None:
    """The table has all packages; each imports from its own row and those above, and only the last imports pytest."""
    text = (DOCS / "8-how-it-works.md").read_text("utf-8")
    rows = [
        re.findall(r"`(\w+)`", row.split("|")[1])
        for row in text.partition("\n| package | what is in it |\n")[2].partition("\n\n")[0].split("\n")
    ][1:]
    row_of = {module: number for number, row in enumerate(rows) for module in row}
    found = {path.relative_to(PACKAGE).parts[0].removesuffix(".py"): path for path in PACKAGE.glob("*")}
    assert row_of.keys() == {
        name for name, path in found.items() if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"__init__"}
    for path in PACKAGE.rglob("*.py"):
        module = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        imported = _imported(path)
        above = {name for name, number in row_of.items() if number <= row_of[module]}
        assert imported - above <= ({"pytest"} if row_of[module] == len(rows) - 1 else set()), path.name


def _imported(path: Path) -> set[str]:
    """Return the modules of the package that a file imports, and pytest where it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            of_package = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == PACKAGE.name else []
            found |= set(of_package or [str(node.module)])
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    parts = [name.split(".") for name in found]
    return {part[1] for part in parts if part[0] == PACKAGE.name} | {"pytest" for part in parts if part[0] == "pytest"}


def test_every_way_to_log_in_is_shown(tmp_path: Path) -> None:
    """Each way to log in is shown as the configuration understands it, and no secret in plain text."""
    text = orgs()
    path = tmp_path / FILE_NAME
    path.write_text(text, "utf-8")
    logins = load_configuration(path, FILE_NAME, load()).logins
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "value")
    shown = {type(login.credentials(variables, tmp_path)) for login in logins.values()}
    assert {JwtBearerFile, *shown} == set(get_args(Credentials))
    assert "private_key_file:" in text
    assert [name for name, login in logins.items() if login.warnings] == ["legacy"]


def test_schema_for_editors_is_there() -> None:
    """The path of the schema, which editors are told, is that within an installed package."""
    (schema,) = re.findall(r"\$schema=\S+/site-packages/(\S+)", "".join(blocks("yaml")))
    assert (PROJECT / schema).is_file()


def test_permissions_that_errors_name_are_listed() -> None:
    """Whatever permission a message asks for, the table of permissions has it."""
    said = (DOCS / "2-connecting.md").read_text("utf-8")
    for permission in ("API Enabled", "Customize Application", "Modify Metadata Through Metadata API Functions"):
        assert permission in explain(Refusal("INSUFFICIENT_ACCESS", ""))
        assert f"| {permission} |" in said
