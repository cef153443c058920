"""Callback URLs lead to hosts of this company, or into its mobile apps."""

from pytest_oauthcontrols import App

ALLOWED = ("https://", "com.example.")


def test_callback_urls_are_ours(app: App) -> None:
    foreign = [url for url in app.callback_urls if not url.startswith(ALLOWED) or ("https" in url and "example.com/" not in url)]
    assert not foreign, f"{app.label} sends authorization codes to {', '.join(foreign)}"
