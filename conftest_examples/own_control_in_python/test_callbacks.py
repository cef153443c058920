"""Acme's control for callback URLs."""

import pytest

from pytest_oauthcontrols import App


@pytest.mark.control(
    "acme-callbacks",
    severity="high",
    name="Callback URLs do not lead to test systems",
    remediation="Remove the callback URL from the app, and create a separate app for tests in a sandbox.",
)
def test_callback_urls_do_not_lead_to_test_systems(app: App) -> None:
    """Authorization codes for real data reach only production systems."""
    test_systems = [url for url in app.callback_urls if "staging" in url]
    assert not test_systems, f"Authorization codes are sent to {', '.join(test_systems)}."
