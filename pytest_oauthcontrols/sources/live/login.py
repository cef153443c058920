"""Credentials into an access token, by simple-salesforce where there is anything to exchange."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from requests import Response
from simple_salesforce.exceptions import SalesforceAuthenticationFailed
from simple_salesforce.login import SalesforceLogin

from pytest_oauthcontrols.config.credentials import (
    AccessToken,
    ClientCredentials,
    Credentials,
    JwtBearer,
    JwtBearerFile,
    Password,
    SalesforceCli,
)
from pytest_oauthcontrols.sources.live.errors import Refusal, parse_answer
from pytest_oauthcontrols.sources.live.transport import Transport
from pytest_oauthcontrols.sources.parser import SourceError

_LAST_SOAP_LOGIN = "64.0"
"""Newest API version whose SOAP API has a login."""

_SHORTEST_KEY = 2048
_DOMAIN = ".salesforce.com"
_LOGIN_HOSTS = ("login", "test")
_ORG_DOMAINS = (_DOMAIN, ".salesforce.mil", ".sfcrmproducts.cn")
"""Where orgs are: in the world, in the cloud of the US military, in China. An access token goes nowhere else."""

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")


@dataclass(frozen=True)
class Session:
    """A login."""

    access_token: str = field(repr=False)
    host: str
    """Host, and port where it is not 443, of the org's My Domain."""
    org_id: str | None
    """The org's id, where the login told it."""
    user: str | None
    """Username, or id, of the user who is logged in, where the login told it."""


def log_in(credentials: Credentials, transport: Transport) -> Session:
    """Return a session of the org, and allow the transport to send to it.

    Raises `SourceError` for credentials that cannot be used, and `Refusal` for those that Salesforce refuses.
    """
    # What their `repr` leaves out is secret.
    hidden = (getattr(credentials, one.name) for one in fields(credentials) if not one.repr)
    transport.secrets.update(secret for secret in hidden if secret)
    org_id, user = None, getattr(credentials, "username", None)
    if isinstance(credentials, SalesforceCli):
        from pytest_oauthcontrols.sources.live.salesforce_cli import ask

        target = ask(credentials.cli)
        token, org_id, user = target.access_token, target.org_id, target.username
        host = _host(target.instance_url)
    elif isinstance(credentials, AccessToken):
        token, host = credentials.access_token, _host(credentials.instance_url)
    else:
        token, host, org_id, user_id = _exchange(credentials, transport)
        user = user or user_id
    transport.secrets.add(token)
    transport.hosts.add(host)
    return Session(token, host, org_id or _org_id(token), user)


def renewable(credentials: Credentials) -> bool:
    """Tell whether another login gives another access token."""
    return not isinstance(credentials, AccessToken)


def _exchange(credentials: Credentials, transport: Transport) -> tuple[str, str, str | None, str | None]:
    """Return access token and host, and the ids of org and user, if they are said, for what Salesforce exchanges."""
    options = _options(credentials, transport)
    answers: list[Response] = []
    transport.hooks["response"] = [lambda answer, **_: answers.append(answer)]
    try:
        token, host = SalesforceLogin(session=transport, sf_version=_LAST_SOAP_LOGIN, **options)
        if isinstance(credentials, Password):
            # simple-salesforce takes '-api' out of the host's name, which would make it somebody else's.
            host = urlsplit(str(parse_answer(answers[-1].content).findtext(".//{*}serverUrl"))).netloc
    except (SalesforceAuthenticationFailed, ExpatError, ValueError, TypeError, AttributeError, RecursionError):
        # An answer of status 200 that is not what simple-salesforce expects.
        raise Refusal("NO_TOKEN", "the answer holds no access token") from None
    finally:
        transport.hooks["response"] = []
    if not (isinstance(token, str) and token and host):
        raise Refusal("NO_TOKEN", "the answer holds no access token")
    identity = re.search(r"/id/(00D[A-Za-z0-9]{15})/(?:(005[A-Za-z0-9]{15})\b)?", answers[-1].text)
    org_id, user_id = identity.groups() if identity else (None, None)
    return token, _host(f"https://{host}"), org_id, user_id


def _options(credentials: Credentials, transport: Transport) -> dict[str, Any]:
    """Return what simple-salesforce is told, and tell the transport which host it is sent to."""
    if isinstance(credentials, JwtBearer | JwtBearerFile):
        label = _label(credentials.login)
        transport.hosts.add(label + _DOMAIN)
        key = _private_key(credentials)
        transport.secrets.add(key)
        sandbox = label == "test" or ".sandbox" in label or "--" in label
        return {
            "username": credentials.username,
            "consumer_key": credentials.consumer_key,
            "privatekey": key,
            # The audience is Salesforce's own host, whichever host the assertion is sent to.
            "domain": "test" if sandbox else "login",
            "instance_url": label,
        }
    if isinstance(credentials, ClientCredentials):
        label = _label(credentials.my_domain)
        if label in _LOGIN_HOSTS:
            raise SourceError(
                f"my_domain is {_quoted(credentials.my_domain)}; client credentials need the org's own host"
            )
        transport.hosts.add(label + _DOMAIN)
        return {
            "consumer_key": credentials.consumer_key,
            "consumer_secret": credentials.consumer_secret,
            "domain": label,
        }
    assert isinstance(credentials, Password)
    label = _label(credentials.login)
    transport.hosts.add(label + _DOMAIN)
    return {
        "username": credentials.username,
        "password": credentials.password,
        "security_token": credentials.security_token,
        "domain": label,
    }


def _label(login: str) -> str:
    """Return what stands before `.salesforce.com` in the host to log in to."""
    host = _hostname(login) if "//" in login else login.partition("/")[0].lower()
    label = host.removesuffix(_DOMAIN)
    if label not in _LOGIN_HOSTS and (label == host or re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)*", label) is None):
        raise SourceError(
            f"{_quoted(login)} is no host to log in to: give login, test, or My Domain (acme.my.salesforce.com)"
        )
    return label


def _hostname(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _host(address: str) -> str:
    """Return host and port of an org's address."""
    try:
        parts = urlsplit(address if "//" in address else f"https://{address}")
        host, port = parts.hostname or "", parts.port
        valid = parts.scheme == "https" and parts.username is None and _HOST.fullmatch(host) is not None
        valid = valid and host.endswith(_ORG_DOMAINS)
    except ValueError:
        valid = False
    if not valid:
        raise SourceError(f"{_quoted(address)} is no address of an org: give https:// and the host of its My Domain")
    if host in (f"login{_DOMAIN}", f"test{_DOMAIN}"):
        raise SourceError(f"{_quoted(address)} is where people log in, not the org: give the address of its My Domain")
    return host if port in (None, 443) else f"{host}:{port}"


def _quoted(address: str) -> str:
    """Return what was given as an address in quotes, but for what holds a password or is a token in its place."""
    return f"'{address}'" if re.fullmatch(r"[\w.:/?#\[\]-]*", address) else "what is given"


def _private_key(credentials: JwtBearer | JwtBearerFile) -> str:
    """Return the key that signs the assertion; PEM."""
    if isinstance(credentials, JwtBearer):
        shown = "private_key"
        # Variables of CI systems often hold the key in one line.
        text = credentials.private_key.replace("\\n", "\n")
    elif "-----BEGIN" in credentials.private_key_file:
        raise SourceError("private_key_file holds the key itself, and not the path of its file; write private_key")
    else:
        shown = f"private_key_file {credentials.private_key_file}"
        try:
            text = Path(credentials.private_key_file).read_text("ascii")
        except OSError as error:
            raise SourceError(f"{shown}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise SourceError(f"{shown}: is no private key in PEM format") from None
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise SourceError(f"{shown}: is encrypted; give it without a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SourceError(f"{shown}: is no private key in PEM format") from None
    if not isinstance(key, RSAPrivateKey):
        raise SourceError(f"{shown}: is no RSA key, which Salesforce needs (RS256)")
    if key.key_size < _SHORTEST_KEY:
        raise SourceError(
            f"{shown}: has {key.key_size} bits; an RSA key for RS256 needs {_SHORTEST_KEY} or more (RFC 7518, 3.3)"
        )
    return text


def _org_id(token: str) -> str | None:
    """Return the org's id, 18 characters, which an opaque access token begins with."""
    found = re.match(r"(00D[A-Za-z0-9]{12})(?:[A-Za-z0-9]{3})?!", token)
    if found is None:
        return None
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    parts = (found[1][start : start + 5] for start in (0, 5, 10))
    # The last three characters say which of the others are capitals, so that ids differ without regard to case too.
    return found[1] + "".join(
        letters[sum(char.isupper() << place for place, char in enumerate(part))] for part in parts
    )
