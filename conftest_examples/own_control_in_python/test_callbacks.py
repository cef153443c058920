"""What Acme asks of callback URLs."""

import pytest

from pytest_oauthcontrols import App


@pytest.mark.control(
    "acme-callbacks",
    severity="high",
    name="Callback URLs lead to no test system",
    remediation="Take the callback URL out of the app, and register an app for tests in a sandbox.",
)
def test_callback_urls_lead_to_no_test_system(app: App) -> None:
    """Authorization codes for real data reach production systems alone."""
    leading_astray = [url for url in app.callback_urls if "staging" in url]
    assert not leading_astray, f"Authorization codes are sent to {', '.join(leading_astray)}."
