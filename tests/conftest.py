"""What all tests share."""

import importlib
import pkgutil
from collections.abc import Iterator

# Imported here because pytester forgets what a run in process imported: half of the package would then be there twice,
# and the C parts of cryptography, lxml and PyYAML stand no second import.
import cryptography.x509  # noqa: F401
import hypothesis  # noqa: F401
import pytest

import pytest_oauthcontrols
from pytest_oauthcontrols.sources.live import metadata_api, transport

from .support.salesforce import Emulator, emulator

for module in pkgutil.walk_packages(pytest_oauthcontrols.__path__, "pytest_oauthcontrols."):
    importlib.import_module(module.name)

pytest_plugins = ["pytester"]


@pytest.hookimpl(tryfirst=True)  # marks choose tests where pytest's own hook runs
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that opens a browser."""
    for item in items:
        if isinstance(item, pytest.Function) and "browser" in item.fixturenames:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(autouse=True)
def _no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep runs within tests from adding to the summary of the job that runs the tests."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


@pytest.fixture
def salesforce(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Salesforce on this machine; whatever a test does, nothing but reading is asked for, and of nobody else.

    Runs in this process do not wait as long as those of users.
    """
    monkeypatch.setattr(metadata_api, "FIRST_POLL", 0.02)
    monkeypatch.setattr(transport, "PAUSES", (0.01, 0.02, 0.04))
    for variable in ("SF_ACCESS_TOKEN", "SF_ORG_INSTANCE_URL"):
        monkeypatch.delenv(variable, raising=False)
    with emulator() as emulated:
        emulated.set_environment(monkeypatch)
        yield emulated
        assert emulated.unexpected == []
        known = {"login.salesforce.com", "test.salesforce.com", *(org.my_domain for org in emulated.orgs)}
        assert set(emulated.proxy.hosts) <= known
