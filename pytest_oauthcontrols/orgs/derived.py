"""Settings that follow from others: what kind of client an app is, how that is known, and what the app is used for."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    GLOBAL_OAUTH,
    OAUTH,
    OAUTH_POLICIES,
    OAUTH_TYPES,
    SAML_POLICIES,
)
from pytest_oauthcontrols.orgs.model import CALLBACK_URLS, Absent, App, Seen, Unreadable


def derive(app: App) -> dict[str, Seen | Unreadable]:
    """Return the settings that follow from others; what each of them is stands in `metadata_types`."""
    derived = {"oauth": _oauth(app), **_client_type(app), "refresh_tokens": _refresh_tokens(app)}
    committed = "consumer_secret_committed"
    # Only whoever reads the files can tell; a snapshot of an earlier release says nothing of it.
    derived[committed] = app.settings.get(committed) or Unreadable(
        committed, "files were not searched for consumer secrets"
    )
    derived["signs_users_on"] = _signs_users_on(app, derived["oauth"])
    if app.kind == EXTERNAL_CLIENT_APP:
        derived["custom_attributes"] = _together(app, "customAttributes.key", "custom_attributes")
        derived["custom_scopes"] = _together(app, "commaSeparatedCustomScopes", "custom_scopes")
    return derived


def declared_client_type(declared: Seen) -> dict[str, Seen]:
    """Return what kind of client an app is where the user declares it, and that it is declared."""
    return _known_by("declared", str(declared.value), declared, "in the configuration")


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
        # Of an app that its publisher alone can read, a query has told, as a snapshot keeps it.
        told = app.settings.get("oauth")
        return told if app.out_of_reach and isinstance(told, Seen) else Unreadable("oauth", f"no {own_type} was read")
    return Seen("oauth", False, app.source, None, nothing)


_SHOWN_PRIVATE: dict[str, tuple[tuple[str, Callable[[object], bool], str], ...]] = {
    CONNECTED_APP: (
        ("oauthConfig.isClientCredentialEnabled", lambda value: value is True, "by the client credentials flow"),
        ("oauthConfig.certificate", lambda _: True, "by its certificate"),
        ("canvasConfig.accessMethod", lambda value: str(value).lower() == "post", "by its signed canvas requests"),
    ),
    EXTERNAL_CLIENT_APP: (
        *(
            (
                f"{component}.isClientCredentialsFlowEnabled",
                lambda value: value is True,
                "by the client credentials flow",
            )
            for component in (GLOBAL_OAUTH, OAUTH_POLICIES)
        ),
        (f"{GLOBAL_OAUTH}.certificate", lambda _: True, "by its certificate"),
    ),
}
"""Kind of app to settings that only a private client has: the name, which value shows it, and by what, in words."""


def _client_type(app: App) -> dict[str, Seen | Unreadable]:
    """Return what kind of client an app is (RFC 6749, 2.1) and how that is known; the first evidence decides."""
    for name, shows, words in _SHOWN_PRIVATE[app.kind]:
        found = app.settings.get(name)
        if isinstance(found, Seen) and shows(found.value):
            return {**_known_by("shown", "private", found, words)}
    urls = app.setting(*CALLBACK_URLS[app.kind])
    if isinstance(urls, Unreadable):
        return {name: urls._replace(name=name) for name in ("client_type", "client_type_basis")}
    if isinstance(urls, Seen):
        assert isinstance(urls.value, tuple)
        if urls.value and all(is_loopback(url) or has_custom_scheme(url) for url in urls.value):
            words = f"every callback URL is a loopback URL or has a custom scheme, such as {urls.value[0]}"
            return {**_known_by("inferred", "public", urls, words)}
    declare = f"apps: [{{app: {app.name}, client_type: private}}]"
    words = f"nothing shows what kind of client it is; declare it in oauthcontrols.yaml, as in {declare}"
    return {**_known_by("assumed", "private", urls, words)}


def _known_by(basis: str, client_type: str, evidence: Seen | Absent, words: str) -> dict[str, Seen]:
    colon = ":" if basis in ("inferred", "assumed") else ""
    shown = f"{client_type} ({basis}{colon} {words})"
    return {
        "client_type": Seen("client_type", client_type, evidence.source, evidence.line, shown),
        "client_type_basis": Seen("client_type_basis", basis, evidence.source, evidence.line),
    }


def is_loopback(url: str) -> bool:
    """Tell whether a callback URL ends on the user's own machine, its scheme missing or not."""
    if scheme_of(url) not in ("", "http", "https"):
        return False
    try:
        host = urlsplit(url if scheme_of(url) else f"//{url}").hostname
    except ValueError:
        return False
    return host in ("localhost", "127.0.0.1", "::1")


def has_custom_scheme(url: str) -> bool:
    """Tell whether a callback URL has a scheme that an app claims for itself (RFC 8252, 7.1)."""
    return scheme_of(url) not in ("", "http", "https")


def scheme_of(url: str) -> str:
    """Return the scheme of a callback URL, in lower case; empty where it has none (`localhost:8080` has a port)."""
    match = re.match(r"([a-z][a-z0-9+.-]*):(?![0-9])", url, re.IGNORECASE)
    return match[1].lower() if match else ""


SCOPES_OF = {
    CONNECTED_APP: ("oauthConfig.scopes", "ConnectedApp"),
    EXTERNAL_CLIENT_APP: (f"{OAUTH}.commaSeparatedOauthScopes", OAUTH),
}
"""Kind of app to the setting of its scopes, and the component that holds it."""

_REFRESH_TOKEN_POLICY = {
    CONNECTED_APP: "oauthPolicy.refreshTokenPolicy",
    EXTERNAL_CLIENT_APP: f"{OAUTH_POLICIES}.refreshTokenPolicyType",
}


def _refresh_tokens(app: App) -> Seen:
    """Return whether a refresh token can be issued to an app; it can unless that is seen to be ruled out."""
    policy = app.settings.get(_REFRESH_TOKEN_POLICY[app.kind])
    if isinstance(policy, Seen) and str(policy.value).strip().lower() == "zero":
        return Seen("refresh_tokens", False, policy.source, policy.line, "none (they expire at once)")
    scopes = app.settings.get(SCOPES_OF[app.kind][0])
    if isinstance(scopes, Seen) and scopes.value:
        assert isinstance(scopes.value, tuple)
        possible = "RefreshToken" in scopes.value
        shown = f"{'possible' if possible else 'none'} (scopes: {', '.join(scopes.value)})"
        return Seen("refresh_tokens", possible, scopes.source, scopes.line, shown)
    return Seen("refresh_tokens", True, app.source, None, "possible (no scope is listed that rules them out)")


def _signs_users_on(app: App, oauth: Seen | Unreadable) -> Seen | Unreadable:
    """Return whether users sign on to another service through an app, with SAML or OpenID Connect."""
    name = "signs_users_on"
    if app.kind == CONNECTED_APP:
        saml, id_token = app.settings.get("samlConfig"), app.settings.get("oauthConfig.idTokenConfig")
    else:
        source = app.read.get(SAML_POLICIES)
        saml = None if source is None else Seen(SAML_POLICIES, "present", source)
        id_token = app.settings.get(f"{GLOBAL_OAUTH}.idTokenConfig")
    scopes = app.settings.get(SCOPES_OF[app.kind][0])
    listed = scopes.value if isinstance(scopes, Seen) and isinstance(scopes.value, tuple) else ()
    if isinstance(saml, Seen):
        return Seen(name, True, saml.source, saml.line, "with SAML")
    if isinstance(scopes, Seen) and "OpenID" in listed:
        return Seen(name, True, scopes.source, scopes.line, "with OpenID Connect (scope OpenID)")
    if isinstance(id_token, Seen):
        return Seen(name, True, id_token.source, id_token.line, "with OpenID Connect (ID token settings)")
    untold = app.unread.get("ConnectedApp" if app.kind == CONNECTED_APP else SAML_POLICIES)
    if app.readable and untold is None:
        if isinstance(oauth, Seen) and not oauth.value:
            return Seen(name, False, oauth.source, oauth.line, "no (neither SAML nor OAuth)")
        if isinstance(scopes, Seen) and listed:
            return Seen(name, False, scopes.source, scopes.line, f"no (no SAML; scopes: {', '.join(listed)})")
    reason = f"nothing shows whether {app.name} signs users on: it lists no scopes that can be read"
    return untold._replace(name=name) if untold else Unreadable(name, reason, app.out_of_reach)


def _together(app: App, path: str, name: str) -> Seen | Unreadable:
    """Return the values of a list that both the policies and the developer's settings of an app can add to."""
    policies = app.setting(f"{OAUTH_POLICIES}.{path}", OAUTH_POLICIES)
    if isinstance(policies, Unreadable):
        return policies._replace(name=name)
    found = [one for one in (policies, app.settings.get(f"{OAUTH}.{path}")) if isinstance(one, Seen)]
    values = dict.fromkeys(value for one in found if isinstance(one.value, tuple) for value in one.value)
    where = found[0] if found else policies
    return Seen(name, tuple(values), where.source, where.line, None if values else "none")
