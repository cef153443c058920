"""Fixtures of the shop."""

import pytest
from shop import Shop


@pytest.fixture
def app() -> Shop:
    """The shop under test, which is no app of Salesforce."""
    return Shop()
