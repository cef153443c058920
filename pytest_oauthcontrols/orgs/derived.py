"""Settings that follow from others: whether an app has OAuth settings, and what kind of client it is."""

from __future__ import annotations

from urllib.parse import urlsplit

from pytest_oauthcontrols.orgs.metadata_types import CONNECTED_APP, GLOBAL_OAUTH, OAUTH, OAUTH_POLICIES, OAUTH_TYPES
from pytest_oauthcontrols.orgs.model import CALLBACK_URLS, Absent, App, Seen, Unreadable


def derive(app: App) -> dict[str, Seen | Unreadable]:
    """Return the settings that follow from others: `oauth` and `client_type`.

    The client type is that of an app on a person's device where a callback URL has a custom scheme or a loopback host
    (RFC 8252, 7), unless the app holds a certificate.
    """
    return {"oauth": _oauth(app), "client_type": _client_type(app)}


def _oauth(app: App) -> Seen | Unreadable:
    if app.kind == CONNECTED_APP:
        own_type, nothing = "ConnectedApp", "no oauthConfig"
        config = app.settings.get("oauthConfig")
        if isinstance(config, Seen):
            return Seen("oauth", True, config.source, config.line, "oauthConfig")
    else:
        own_type, nothing = "ExternalClientApplication", f"no {GLOBAL_OAUTH}, {OAUTH} or {OAUTH_POLICIES}"
        for component in OAUTH_TYPES:
            if component in app.read:
                return Seen("oauth", True, app.read[component], None, component)
        for component in OAUTH_TYPES:
            if component in app.unread:
                return app.unread[component]._replace(name="oauth")
    if own_type not in app.read:
        return Unreadable("oauth", f"no {own_type} was read")
    return Seen("oauth", False, app.source, None, nothing)


def _client_type(app: App) -> Seen | Unreadable:
    callback_urls, component, certificate = CALLBACK_URLS[app.kind]
    urls = app.setting(callback_urls, component)
    if isinstance(urls, Unreadable):
        return urls._replace(name="client_type")
    if isinstance(urls, Absent):
        return Seen("client_type", "private", urls.source, None, "private: there is no callback URL")
    assert isinstance(urls.value, tuple)
    for url in urls.value:
        why = _on_device(url)
        if why is not None:
            held = app.settings.get(certificate)
            if isinstance(held, Seen):
                return Seen(
                    "client_type",
                    "private",
                    held.source,
                    held.line,
                    f"private: {url} {why}, but the app has a certificate",
                )
            return Seen("client_type", "public", urls.source, urls.line, f"public: {url} {why}")
    return Seen(
        "client_type",
        "private",
        urls.source,
        urls.line,
        "private: no callback URL has a custom scheme or a loopback host",
    )


def _on_device(url: str) -> str | None:
    """Say what makes a callback URL end on a person's device; None if nothing does."""
    scheme, colon, _ = url.partition(":")
    if not colon:
        return None
    if scheme.lower() not in ("http", "https"):
        return "has a custom scheme"
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return None
    return "has a loopback host" if host in ("localhost", "127.0.0.1", "::1") else None
