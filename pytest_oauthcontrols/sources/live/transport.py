"""HTTPS to one org and its login host: what may be sent where, how long to wait, and what may be shown of an answer.

Whatever simple-salesforce sends goes through here too. Certificates are checked; proxies and CA bundles are those of
the environment, as requests knows them.
"""

from __future__ import annotations

import html
import json
import random
import re
from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit
from xml.sax.saxutils import escape

import requests

from pytest_oauthcontrols.sources.live.errors import TRANSIENT, Refusal, refusal_in
from pytest_oauthcontrols.sources.parallel import Patience
from pytest_oauthcontrols.sources.parser import SourceError

MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of the longest answer that is read: Salesforce's own limit is 50 MB."""

PAUSES = (1.0, 2.0, 4.0)
"""Seconds between a request and its repetition."""

_CONNECT = 10
_READ = 60
_LONGEST_QUOTE = 300
_REPEATED_ONCE = "UNKNOWN_EXCEPTION"
_HIDDEN = "***"
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_TOKEN = re.compile(r"00D\w{12,15}!\S+|eyJ[\w-]+\.[\w-]+(\.[\w-]*)?")


class Transport(requests.Session):
    """A session that sends nothing to a host that it was not told of, and repeats what failed for a moment only.

    Every answer that is no success raises `Refusal`.
    """

    def __init__(self, patience: Patience) -> None:
        super().__init__()
        self.patience = patience
        self.hosts: set[str] = set()
        self.secrets: set[str] = set()
        """What must never be shown, should an answer repeat it."""
        self.requests = 0
        """How many requests were sent."""
        # Else requests would put a password of ~/.netrc in the place of the access token.
        self.auth = lambda request: request

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        """Send a request, up to three times more where the failure may pass."""
        parts = urlsplit(str(url))
        if parts.scheme != "https" or parts.netloc.lower() not in self.hosts:
            raise SourceError(f"was to be sent on to {parts.scheme}://{parts.hostname}, which is not the org")
        for pause in (*PAUSES, None):
            try:
                return self._send(method, url, *args, **options)
            except Refusal as refusal:
                passing = refusal.code in TRANSIENT or (refusal.code == _REPEATED_ONCE and pause == PAUSES[0])
                if pause is None or not passing or self.patience.left <= 0:
                    raise
            self.patience.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311  (spreads load, protects nothing)
        raise AssertionError("the last pause ends the loop")

    def _send(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        self.requests += 1
        # A redirect would take the session id along in the body.
        options |= {"allow_redirects": False, "stream": True}
        options["timeout"] = (_CONNECT, max(1.0, min(_READ, self.patience.left)))
        try:
            response = super().request(method, url, *args, **options)
            with response:
                content = b"".join(self._chunks(response))
        except requests.exceptions.SSLError as error:
            raise Refusal("CERTIFICATE", self.clean(_cause(error))) from None
        except requests.exceptions.ProxyError as error:
            # One that is there and drops the connection has done what a network does.
            turned_down = any(sign in str(error) for sign in ("Tunnel connection failed", "NewConnectionError"))
            raise Refusal("PROXY" if turned_down else "UNREACHABLE", self.clean(_cause(error))) from None
        except requests.RequestException as error:
            raise Refusal("UNREACHABLE", self.clean(_cause(error))) from None
        except ValueError:
            # requests looks at where a redirect leads even if it does not go there.
            raise Refusal("REDIRECT", "it sends on to what is no address") from None
        except OSError as error:
            # requests itself looks for the bundle, and has no error of its own for one that is not there.
            raise Refusal("CERTIFICATE", self.clean(str(error))) from None
        response._content = content  # noqa: SLF001  (requests reads answers of any length, and has no limit to set)
        refusal = refusal_in(response, content)
        if refusal is not None:
            raise Refusal(self.clean(refusal[0]), self.clean(refusal[1]))
        return response

    def _chunks(self, response: requests.Response) -> Any:
        length = 0
        for chunk in response.iter_content(1 << 18):
            length += len(chunk)
            if length > MAX_ANSWER:
                raise Refusal("TOO_LONG", f"more than {MAX_ANSWER // 1024 // 1024} MiB")
            if self.patience.left <= 0:
                raise Refusal("UNREACHABLE", "the time was up in the middle of the answer")
            yield chunk

    def clean(self, text: str) -> str:
        """Return a text of an answer as one short line without any secret."""
        for spelled in sorted({one for secret in self.secrets for one in _spellings(secret)}, key=len, reverse=True):
            text = text.replace(spelled, _HIDDEN)
        text = _BASE64.sub(lambda match: _HIDDEN if self._is_in(match[0]) else match[0], without_tokens(text))
        return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."

    def _is_in(self, encoded: str) -> bool:
        """Tell whether a secret is in a text in base64, as that of an Authorization header is."""
        text = encoded.rstrip("=").translate(str.maketrans("-_", "+/"))
        content = b64decode(text[: len(text) // 4 * 4])
        return any(secret.encode() in content for secret in self.secrets)


def _spellings(secret: str) -> Iterator[str]:
    """Yield a secret as requests and answers spell it: plain, and in URLs, XML, HTML and JSON."""
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield from (escape(secret), html.escape(secret), json.dumps(secret)[1:-1])


def without_tokens(text: str) -> str:
    """Return a text as one line without what looks like an access token."""
    return " ".join(_TOKEN.sub(_HIDDEN, text).split())


def _cause(error: Exception) -> str:
    """Return what went wrong, without the addresses and objects that libraries put around it."""
    if isinstance(error, requests.exceptions.Timeout):
        return "no answer in time"
    text = str(error)
    for sign, meaning in _CAUSES.items():
        if sign in text:
            return meaning
    return type(error).__name__


_CAUSES = {
    "CERTIFICATE_VERIFY_FAILED": "the certificate is not trusted",
    "IncompleteRead": "the answer was cut short",
    "Failed to resolve": "the host is not known",
    "NameResolutionError": "the host is not known",
    "refused": "the connection was refused",
    "Tunnel connection failed": "the proxy does not let it through",
    "reset": "the connection was reset",
    "aborted": "the connection was closed",
    "RemoteDisconnected": "the connection was closed",
}
