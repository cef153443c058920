"""Fixtures of the shop."""

import pytest
from shop import Shop


@pytest.fixture
def app() -> Shop:
    """The shop under test; it is not a Salesforce app."""
    return Shop()
