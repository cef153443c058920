"""What is published is whole: each distribution, installed where there is nothing else, assesses the sample org."""

from __future__ import annotations

import shutil
import sys
import tarfile
import venv
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

from .support import sample_org
from .support.checkout import NOT_COPIED, run

pytestmark = [pytest.mark.network, pytest.mark.slow]

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "pytest_oauthcontrols"

DROPPINGS = (
    "build/lib/pytest_oauthcontrols/controls/gone.yaml",
    "build/lib/pytest_oauthcontrols/gone.py",
    "dist/pytest_oauthcontrols-0.0.1-py3-none-any.whl",
    "pytest_oauthcontrols.egg-info/SOURCES.txt",
    "pytest_oauthcontrols/__pycache__/gone.cpython-310.pyc",
    "results.json",
    "tests/__pycache__/gone.cpython-310.pyc",
)
"""What earlier builds and runs may have left in a checkout."""


def succeed(*command: str | Path, folder: Path) -> str:
    """Run a command that has to succeed; return what it printed."""
    done = run(*command, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files(folder: Path) -> set[str]:
    """Return the files below a folder of the checkout, as seen from the checkout."""
    found = (path.relative_to(PROJECT) for path in folder.rglob("*") if path.is_file())
    return {path.as_posix() for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both distributions, built in a checkout that was built and run in before."""
    checkout = tmp_path_factory.mktemp("checkout") / "project"
    shutil.copytree(PROJECT, checkout, ignore=NOT_COPIED)
    for name in DROPPINGS:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("left here", "utf-8")
    built = tmp_path_factory.mktemp("built")
    succeed(sys.executable, "-m", "build", "--sdist", "--wheel", "--outdir", built, folder=checkout)
    return built


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    """The wheel."""
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(distributions: Path) -> Path:
    """The source distribution."""
    (path,) = distributions.glob("*.tar.gz")
    return path


def test_wheel_holds_the_package_and_its_licence(wheel: Path) -> None:
    """The wheel has each file of the package, code or not, and beside them nothing but what describes it."""
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    described = {name for name in names if PurePosixPath(name).parts[0].endswith(".dist-info")}
    assert names - described == files(PACKAGE)
    assert {f"pytest_oauthcontrols/{name}" for name in ("py.typed", "reports/audit.js", "results.schema.json")} < names
    assert "licenses/LICENSE" in {name.partition("/")[2] for name in described}


def test_source_distribution_holds_what_a_change_needs(sdist: Path) -> None:
    """The source distribution has the package, its tests and examples and what they read, and no more."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert {"benchmarks", "conftest_examples", "pytest_oauthcontrols", "tests"} <= folders
    for folder in folders:
        assert {name for name in names if name.startswith(f"{folder}/")} == files(PROJECT / folder)
    assert {name for name in names if "/" not in name} == {
        *(".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "PKG-INFO", "README.md"),
        *("noxfile.py", "pyproject.toml"),
    }


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_installed_alone_it_assesses_the_sample_org(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """In an empty environment and folder a run has the results that it has in the checkout, and writes every report."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    empty = tmp_path / "empty"
    empty.mkdir()
    succeed(python, "-m", "pip", "install", "--quiet", request.getfixturevalue(kind), folder=empty)
    imported = succeed(python, "-c", "import pytest_oauthcontrols as it; print(it.__file__)", folder=empty)
    assert Path(imported).is_relative_to(tmp_path / "venv")

    reports = {
        *("--sf-report=audit.html", "--sf-json=results.json", "--sf-sarif=results.sarif", "--sf-csv=plan.csv"),
        *("--sf-markdown=summary.md", "--html=report.html", "--junitxml=report.xml"),
    }
    found = run(python, "-W", "error", "-m", "pytest", "--sf-org=demo", "--tb=no", *reports, folder=empty)
    assert found.returncode == pytest.ExitCode.TESTS_FAILED, found.stdout + found.stderr
    assert f"demo: {sample_org.SUMMARY}" in found.stdout
    here = pytester.runpytest("--sf-org=demo").parseoutcomes()
    assert here["failed"] > sample_org.APPS
    assert pytest.RunResult.parse_summary_nouns(found.stdout.splitlines()) == here
    assert {report.partition("=")[2] for report in reports} <= {path.name for path in empty.iterdir()}


def test_source_distribution_is_enough_to_test(sdist: Path, tmp_path: Path) -> None:
    """All tests are found in an unpacked source distribution, and those that read the project's files pass."""
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    python = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    succeed(*python, "--collect-only", "-q", folder=folder)
    succeed(*python, "tests/test_controls.py", "tests/test_conftest_examples.py", "-q", folder=folder)
