"""Conditions that the vocabulary of `conditions` cannot say, because settings interact or a value has to be understood.

A control names them as `predicate: NAME`. Each returns whether it holds and the settings that it looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from pytest_oauthcontrols.orgs.certificates import parse_certificate
from pytest_oauthcontrols.orgs.derived import SCOPES_OF, has_custom_scheme, is_loopback, scheme_of
from pytest_oauthcontrols.orgs.masking import is_masked, listed, mask_identity
from pytest_oauthcontrols.orgs.metadata_types import (
    CONNECTED_APP,
    EXTERNAL_CLIENT_APP,
    GLOBAL_OAUTH,
    HELD,
    OAUTH,
    OAUTH_POLICIES,
    SAML_POLICIES,
)
from pytest_oauthcontrols.orgs.model import CALLBACK_URLS, Absent, App, Org, Seen, Setting, Unreadable
from pytest_oauthcontrols.rules.truth import FALSE, TRUE, TRUE_BY_DEFAULT, UNKNOWN, Truth, truth, untold

Ruling = tuple[Truth, Sequence[Setting]]
Predicate = Callable[["App | None", Org], Ruling]

_CERTIFICATE = {
    CONNECTED_APP: ("oauthConfig.certificate", "ConnectedApp"),
    EXTERNAL_CLIENT_APP: (f"{GLOBAL_OAUTH}.certificate", GLOBAL_OAUTH),
}
"""Kind of app to the setting of its certificate, and its component."""


def certificate_has_not_expired(app: App | None, org: Org) -> Ruling:
    """The app's certificate is valid on the day of the reading."""
    assert app is not None
    certificate = app.setting(*_CERTIFICATE[app.kind])
    if not isinstance(certificate, Seen):
        return (FALSE, [certificate]) if isinstance(certificate, Absent) else _cannot_tell(certificate)
    parsed = parse_certificate(str(certificate.value))
    if parsed is None:
        return _cannot_tell(Unreadable(certificate.name, f"{certificate.name} is not a certificate"))
    last_day = parsed.not_valid_after_utc.date()
    expired = org.day > last_day
    shown = f"{'expired on' if expired else 'valid until'} {last_day}"
    return truth(not expired), [certificate._replace(shown=shown)]


def scopes_are_allowed(app: App | None, org: Org) -> Ruling:
    """Every scope is on the allowlist that the user declared for the app; true where none was declared."""
    assert app is not None
    allowed = app.settings.get("declared.allowed_scopes")
    if not isinstance(allowed, Seen):
        return TRUE, []
    scopes = _scopes(app)
    if not isinstance(scopes, Seen):
        return _cannot_tell(scopes, allowed)
    return truth(set(_listed(scopes)) <= set(_listed(allowed))), [scopes, allowed]


def custom_attributes_are_allowed(app: App | None, org: Org) -> Ruling:
    """Every custom attribute is on the list that the user declared for the app."""
    assert app is not None
    sent, allowed = app.settings["custom_attributes"], app.settings.get("declared.allowed_attributes")
    if not isinstance(sent, Seen) or not isinstance(allowed, Seen):
        untold = Absent("declared.allowed_attributes", app.source)
        return _cannot_tell(sent, untold if allowed is None else allowed)
    beyond = tuple(key for key in _listed(sent) if key not in _listed(allowed))
    seen: list[Setting] = [sent, allowed]
    if beyond:
        seen.append(sent._replace(name="attributes that are not allowed", value=beyond))
    return truth(not beyond), seen


def callback_urls_are_exact(app: App | None, org: Org) -> Ruling:
    """Every callback URL is complete, without a wildcard, and uses plain http on the user's own machine only."""
    assert app is not None
    urls = app.setting(*CALLBACK_URLS[app.kind])
    if not isinstance(urls, Seen):
        return (TRUE, [urls]) if isinstance(urls, Absent) else _cannot_tell(urls)
    faults = tuple(f"{url} ({fault})" for url in _listed(urls) for fault in [_fault(url)] if fault)
    if faults:
        return FALSE, [urls, urls._replace(name="callback URLs to fix", value=faults)]
    variable = next((url for url in _listed(urls) if _VARIABLE.match(url)), None)
    if variable is not None:
        reason = f"the callback URL {variable} is filled in when the file is deployed"
        return UNKNOWN, [urls, Unreadable("callback URLs that are filled in", reason)]
    return TRUE, [urls]


_VARIABLE = re.compile(r"\$\{|\{\{|%\w+%|__\w+__|<\w+>")
"""How a callback URL begins that a template fills in."""


def _fault(url: str) -> str | None:
    """Return what keeps a callback URL from being exact and secure (RFC 9700, 2.1 and 4.1.3); None if nothing does."""
    if "*" in url or _VARIABLE.match(url):
        return "wildcard" if "*" in url else None
    scheme = scheme_of(url)
    if scheme not in ("http", "https"):
        return None if scheme else "no scheme"
    try:
        host = urlsplit(url).hostname
    except ValueError:
        return "cannot be parsed"
    if not host:
        return "no host"
    return "plain http" if scheme == "http" and not is_loopback(url) else None


def callback_urls_have_custom_schemes(app: App | None, org: Org) -> Ruling:
    """There is a callback URL, and every one has a custom scheme; false where none can be read."""
    assert app is not None
    urls = app.setting(*CALLBACK_URLS[app.kind])
    if not isinstance(urls, Seen):
        return FALSE, [urls._replace(blocking=False) if isinstance(urls, Unreadable) else urls]
    return truth(all(has_custom_scheme(url) for url in _listed(urls))), [urls]


def _scopes(app: App) -> Setting:
    return app.setting(*SCOPES_OF[app.kind])


def _cannot_tell(*settings: Setting) -> Ruling:
    """Return that a condition cannot be told for want of settings; one that is absent tells nothing."""
    seen = [one.as_unreadable() if isinstance(one, Absent) else one for one in settings]
    return untold(all(one.manual for one in seen if isinstance(one, Unreadable))), seen


def _listed(setting: Seen) -> tuple[str, ...]:
    """Return the values of a setting that is a list."""
    assert isinstance(setting.value, tuple)
    return setting.value


_LOGOUT_URLS = {
    CONNECTED_APP: {
        "oauthConfig.singleLogoutUrl": "ConnectedApp",
        "oauthPolicy.singleLogoutUrl": "ConnectedApp",
        "samlConfig.samlSloUrl": "ConnectedApp",
    },
    EXTERNAL_CLIENT_APP: {
        f"{OAUTH}.singleLogoutUrl": OAUTH,
        f"{OAUTH_POLICIES}.singleLogoutUrl": OAUTH_POLICIES,
        f"{SAML_POLICIES}.singleLogoutUrl": SAML_POLICIES,
    },
}
"""Kind of app to the settings that can hold its single logout URL, each with its component."""


def _logout_url(app: App) -> Setting:
    """Return the app's single logout URL, or why it is not known to have one."""
    urls = [
        app.setting(name, component)
        for name, component in _LOGOUT_URLS[app.kind].items()
        if component in app.read or component in app.unread
    ]
    # One that was seen goes first, one that cannot be told second.
    return min(urls, key=lambda url: (Seen, Unreadable, Absent).index(type(url)))


def single_logout_urls_use_https(app: App | None, org: Org) -> Ruling:
    """The app has a single logout URL, and every one that it has starts with https://."""
    assert app is not None
    urls = [app.setting(name, component) for name, component in _LOGOUT_URLS[app.kind].items()]
    # Without its SAML policies an app has no URL in them.
    urls = [
        url for url in urls if url.name.partition(".")[0] != SAML_POLICIES or SAML_POLICIES in {*app.read, *app.unread}
    ]
    seen: list[Setting] = [url for url in urls if isinstance(url, Seen)]
    unreadable = [url for url in urls if isinstance(url, Unreadable)]
    if not all(str(url.value).lower().startswith("https://") for url in urls if isinstance(url, Seen)):
        return FALSE, seen
    # A component that is missing may hold no URL; one that is there and cannot be understood is not known to be secure.
    if unreadable and (not seen or any(url.name in app.settings for url in unreadable)):
        by_hand = len(unreadable) == len(urls) and all(url.manual for url in unreadable)
        return untold(by_hand), seen + unreadable
    passed_over: list[Setting] = [url._replace(blocking=False) for url in unreadable]
    return (TRUE, seen + passed_over) if seen else (FALSE, urls)


def _signs_on(app: App) -> bool | None:
    """Tell whether people sign on through the app; None if that cannot be told."""
    found = app.settings.get("signs_users_on")
    return bool(found.value) if app.readable and isinstance(found, Seen) else None


def _sign_on_untold(app: App) -> Unreadable:
    return Unreadable(app.name, f"nothing shows whether {app.name} signs users on", app.out_of_reach)


def an_app_signs_users_on(app: App | None, org: Org) -> Ruling:
    """People sign on through at least one app of the org (SAML or OpenID Connect)."""
    verdicts = {one: _signs_on(one) for one in org.apps}
    seen: list[Setting] = [
        Seen("apps that sign users on", tuple(one.name for one in org.apps if verdicts[one]), org.location)
    ]
    seen += [_sign_on_untold(one) for one in org.apps if verdicts[one] is None]
    if True in verdicts.values():
        return TRUE, seen
    untellable = [one for one in org.apps if verdicts[one] is None]
    return untold(all(one.out_of_reach for one in untellable)) if untellable else FALSE, seen


def every_such_app_has_single_logout(app: App | None, org: Org) -> Ruling:
    """Every app that signs users on has a single logout URL."""
    found: Truth = TRUE
    seen: list[Setting] = []
    without: list[str] = []
    for one in org.apps:
        signs_on = _signs_on(one)
        if signs_on is None:
            found = min(found, untold(one.out_of_reach))
            seen.append(_sign_on_untold(one))
        elif signs_on:
            url = _logout_url(one)
            name = f"{one.name}: single logout URL"
            if isinstance(url, Unreadable):
                found = min(found, UNKNOWN)
                seen.append(url._replace(name=name))
            else:
                found = min(found, truth(isinstance(url, Seen)))
                seen.append(Seen(name, str(url.value) if isinstance(url, Seen) else "none", one.source))
                without += [] if isinstance(url, Seen) else [one.name]
    if without:
        seen.append(Seen("apps without a single logout URL", tuple(without), org.location))
    return found, seen


_POLICY = re.compile(
    r"(infinite|zero)|(specific_(?:lifetime|inactivity)):([0-9]{1,9}):(hours|days|months)", re.IGNORECASE
)
_HOURS = {"hours": 1, "days": 24, "months": 24 * 30}
_NINETY_DAYS = 24 * 90
_POLICY_PARTS = ("refreshTokenPolicyType", "refreshTokenValidityPeriod", "refreshTokenValidityUnit")


def refresh_tokens_expire_within_90_days(app: App | None, org: Org) -> Ruling:
    """A refresh token of the app lives for 90 days at most, however much it is used."""
    assert app is not None
    return _refresh_tokens_expire_within(_NINETY_DAYS, app)


def unused_refresh_tokens_expire_within_30_days(app: App | None, org: Org) -> Ruling:
    """By its policy a refresh token of the app ends after 30 days without use, at the latest."""
    assert app is not None
    settings, policy = _refresh_token_policy(app)
    if policy is None:
        # Nothing else is lost by a policy that is not there: it is another way to meet the limit.
        return FALSE, [one._replace(blocking=False) if isinstance(one, Unreadable) else one for one in settings]
    kind, period, unit = policy
    return _within(30 * 24, kind in ("specific_inactivity", "specificinactivity"), period, unit), settings


def refresh_tokens_expire_within_24_hours(app: App | None, org: Org) -> Ruling:
    """A refresh token of the app lives for 24 hours at most, however much it is used."""
    assert app is not None
    return _refresh_tokens_expire_within(24, app)


def _refresh_tokens_expire_within(hours: int, app: App) -> Ruling:
    settings, policy = _refresh_token_policy(app)
    if policy is None:
        if app.kind == CONNECTED_APP and isinstance(settings[0], Absent):
            return FALSE, [settings[0]._replace(default="infinite", since=_SINCE)]
        of_publisher = _by_period(hours, app) if app.kind == CONNECTED_APP else None
        return of_publisher or _cannot_tell(*settings)
    kind, period, unit = policy
    if kind == "zero":
        return TRUE, settings
    return _within(hours, kind in ("specific_lifetime", "specificlifetime"), period, unit), settings


def _refresh_token_policy(app: App) -> tuple[list[Setting], tuple[str, str | None, str | None] | None]:
    """Return the settings that say how long refresh tokens live, and kind, period and unit; None where they do not."""
    if app.kind == CONNECTED_APP:
        policy = app.setting("oauthPolicy.refreshTokenPolicy", "ConnectedApp")
        if not isinstance(policy, Seen):
            return [policy], None
        match = _POLICY.fullmatch(str(policy.value).strip())
        return [policy], ((match[1] or match[2]).lower(), match[3], match[4]) if match else ("", None, None)
    parts = [app.setting(f"{OAUTH_POLICIES}.{name}", OAUTH_POLICIES) for name in _POLICY_PARTS]
    if isinstance(parts[0], Absent):
        return parts[:1], None
    if any(isinstance(part, Unreadable) for part in parts):
        return parts, None
    kind, period, unit = (str(part.value) if isinstance(part, Seen) else None for part in parts)
    return parts, ((kind or "").lower(), period, unit)


_PERIOD = "ConnectedApplication.RefreshTokenValidityPeriod"
_BY_USE = "ConnectedApplication.OptionsRefreshTokenValidityMetric"
_LONGEST_UNIT = max(_HOURS.values())


def _by_period(hours: int, app: App) -> Ruling | None:
    """Return what the record of an app of another publisher shows of its refresh tokens; None if that is not enough.

    The record has no unit, so a period decides only where it does so in hours, in days and in months.
    """
    period, by_use = app.settings.get(_PERIOD), app.settings.get(_BY_USE)
    if not isinstance(period, Seen) or not isinstance(by_use, Seen):
        return None
    number = int(period.value) if isinstance(period.value, int) else 0
    if number <= 0:
        return None  # they never expire, or at once
    if by_use.value is True or number > hours:
        return FALSE, [by_use, period]
    return (TRUE, [by_use, period]) if number * _LONGEST_UNIT <= hours else None


def _within(hours: int, kind_counts: bool, period: str | None, unit: str | None) -> Truth:
    if not kind_counts or period is None or unit is None or unit.lower() not in _HOURS:
        return FALSE
    return truth(0 <= int(period) * _HOURS[unit.lower()] <= hours)


def every_authorised_app_is_installed(app: App | None, org: Org) -> Ruling:
    """Every app that users hold tokens of is installed in the org; tokens name apps by their labels."""
    authorised, installed = (
        org.setting("OauthToken.AppName", "OauthToken"),
        org.setting("InstalledApps.Label", "InstalledApps"),
    )
    if not isinstance(authorised, Seen) or not isinstance(installed, Seen):
        return _cannot_tell(authorised, installed)
    missing = tuple(name for name in _listed(authorised) if name not in _listed(installed))
    ambiguous = tuple(name for name in _listed(authorised) if _listed(installed).count(name) > 1)
    seen: list[Setting] = [authorised._replace(name="authorized, not installed", value=missing)]
    if ambiguous:
        seen.append(installed._replace(name="labels of several apps", value=ambiguous))
    return truth(not missing), seen


def holders_of_api_enabled_are_allowed(app: App | None, org: Org) -> Ruling:
    """Every user who holds API Enabled is on the list of allowed holders; without a list a person has to look."""
    return _holders_are_allowed("ApiEnabled", org)


def holders_of_approve_uninstalled_are_allowed(app: App | None, org: Org) -> Ruling:
    """The same of Approve Uninstalled Connected Apps."""
    return _holders_are_allowed("CanApproveUninstalledApps", org)


def holders_of_use_any_api_client_are_allowed(app: App | None, org: Org) -> Ruling:
    """The same of Use Any API Client."""
    return _holders_are_allowed("UseAnyApiClient", org)


def _holders_are_allowed(permission: str, org: Org) -> Ruling:
    holders = org.setting(f"PermissionHolders.{permission}", "PermissionHolders")
    if not isinstance(holders, Seen):
        return _cannot_tell(holders)
    names = _listed(holders)
    if not names:
        return TRUE, [holders]
    list_name = f"permission_holders.{HELD[permission]}"
    allowed = org.settings.get(list_name)
    if not isinstance(allowed, Seen):
        held_by = "1 user holds" if len(names) == 1 else f"{len(names)} users hold"
        reason = (
            f"{held_by} the permission, and no list of allowed holders is configured ({list_name}); check that each of"
            f" them needs it: {holders.shown or listed(names)}"
        )
        return untold(True), [holders, Unreadable(list_name, reason, manual=True)]
    known = {name.casefold() for name in _listed(allowed)}
    others = tuple(name for name in names if name.casefold() not in known)
    if not others:
        return TRUE, [holders, allowed]
    shown = listed([mask_identity(name) for name in others] if is_masked(holders) else others)
    return FALSE, [Seen("holders who are not on the list", others, holders.source, None, shown), allowed]


def no_app_has_full_access(app: App | None, org: Org) -> Ruling:
    """No app of the org has the scope for full access; where no app has OAuth, that cannot be told."""
    return _holds_of_every_app(org, _lacks_full_access)


def _lacks_full_access(app: App | None, org: Org) -> Ruling:
    assert app is not None
    scopes = _scopes(app)
    if isinstance(scopes, Seen):
        return truth("Full" not in _listed(scopes)), [scopes]
    if isinstance(scopes, Absent) and app.kind == CONNECTED_APP:
        return TRUE, [scopes]
    return _cannot_tell(scopes)


def every_app_enforces_ip_restrictions(app: App | None, org: Org) -> Ruling:
    """Every app of the org enforces IP restrictions; where no app has OAuth, that cannot be told."""
    return _holds_of_every_app(org, _enforces_ip_restrictions)


def _enforces_ip_restrictions(app: App | None, org: Org) -> Ruling:
    assert app is not None
    if app.kind == CONNECTED_APP:
        relaxation = app.setting("oauthPolicy.ipRelaxation", "ConnectedApp")
        if isinstance(relaxation, Absent):
            if org.api_version is not None and org.api_version < _SINCE:
                return _cannot_tell(relaxation)
            # A file of an older API version leaves out any value, not only the documented default.
            found = TRUE_BY_DEFAULT if org.api_version is None else TRUE
            return found, [relaxation._replace(default="ENFORCE", since=_SINCE)]
    else:
        relaxation = app.setting(f"{OAUTH_POLICIES}.ipRelaxationPolicyType", OAUTH_POLICIES)
    if not isinstance(relaxation, Seen):
        return _cannot_tell(relaxation)
    return truth(str(relaxation.value).lower() == "enforce"), [relaxation]


_SINCE = 49
"""First API version that has the OAuth policies of connected apps."""


def refresh_tokens_of_every_app_expire_within_90_days(app: App | None, org: Org) -> Ruling:
    """Refresh tokens of every app live for 90 days at most; where no app has OAuth, that cannot be told."""
    return _holds_of_every_app(org, refresh_tokens_expire_within_90_days)


def _holds_of_every_app(org: Org, predicate: Predicate) -> Ruling:
    """Return whether a predicate holds of every app with OAuth, with what was seen of those apps that decide it.

    It cannot be told while any app is unread, nor where there is no app to tell it of.
    """
    rulings = [_of_one_app(one, org, predicate) for one in org.apps if not _is_without_oauth(one)]
    if org.problems or not rulings:
        reason = org.problems[0] if org.problems else "no app of the org is seen to have OAuth settings"
        rulings.append(_cannot_tell(Unreadable("apps with OAuth settings", reason)))
    least = min(found for found, _ in rulings)
    return least, [setting for found, seen in rulings if found == least for setting in seen]


def _is_without_oauth(app: App) -> bool:
    oauth = app.settings.get("oauth")
    return app.readable and isinstance(oauth, Seen) and not oauth.value


def _of_one_app(app: App, org: Org, predicate: Predicate) -> Ruling:
    """Return what a predicate says of an app, with settings that name the app."""
    if not app.readable:
        return _cannot_tell(Unreadable(app.name, f"the app {app.name} could not be read", app.out_of_reach))
    oauth = app.settings["oauth"]
    found, seen = predicate(app, org) if isinstance(oauth, Seen) else _cannot_tell(oauth)
    return found, [setting._replace(name=f"{app.name}: {setting.name}") for setting in seen]


PREDICATES: dict[str, Predicate] = {
    predicate.__name__: predicate
    for predicate in (
        certificate_has_not_expired,
        scopes_are_allowed,
        custom_attributes_are_allowed,
        callback_urls_are_exact,
        callback_urls_have_custom_schemes,
        single_logout_urls_use_https,
        an_app_signs_users_on,
        every_such_app_has_single_logout,
        refresh_tokens_expire_within_90_days,
        refresh_tokens_expire_within_24_hours,
        unused_refresh_tokens_expire_within_30_days,
        every_authorised_app_is_installed,
        holders_of_api_enabled_are_allowed,
        holders_of_approve_uninstalled_are_allowed,
        holders_of_use_any_api_client_are_allowed,
        no_app_has_full_access,
        every_app_enforces_ip_restrictions,
        refresh_tokens_of_every_app_expire_within_90_days,
    )
}
"""What a control can name."""

_BOTH = (CONNECTED_APP, EXTERNAL_CLIENT_APP)

OF_ONE_APP = {
    custom_attributes_are_allowed.__name__: (EXTERNAL_CLIENT_APP,),
    **{
        predicate.__name__: _BOTH
        for predicate in (
            certificate_has_not_expired,
            scopes_are_allowed,
            callback_urls_are_exact,
            callback_urls_have_custom_schemes,
            single_logout_urls_use_https,
            refresh_tokens_expire_within_90_days,
            refresh_tokens_expire_within_24_hours,
            unused_refresh_tokens_expire_within_30_days,
        )
    },
}
"""Predicates that look at the app, to the kinds of app that they know; the others look at the whole org."""
