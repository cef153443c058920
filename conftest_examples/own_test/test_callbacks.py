"""Callback URLs lead to hosts of this company, or into its mobile apps."""

from pytest_oauthcontrols import App


def test_callback_urls_are_ours(app: App) -> None:
    """Authorization codes are sent nowhere else."""
    foreign = [url for url in app.callback_urls if ".example.com/" not in url and not url.startswith("com.example.")]
    assert not foreign, f"{app.label} sends authorization codes to {', '.join(foreign)}"
