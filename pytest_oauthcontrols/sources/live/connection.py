"""A connection to one org: its login, which is renewed once, its API version, and calls by SOAP and SOQL."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote
from xml.sax.saxutils import escape

from simple_salesforce.api import Salesforce

from pytest_oauthcontrols.config.credentials import Credentials, SalesforceCli
from pytest_oauthcontrols.sources.live.errors import Refusal, explain, rest_error
from pytest_oauthcontrols.sources.live.login import Session, log_in, renewable
from pytest_oauthcontrols.sources.live.transport import Transport
from pytest_oauthcontrols.sources.parallel import Patience
from pytest_oauthcontrols.sources.parser import SourceError

NEWEST_VERSION = 68.0
"""Newest API version whose settings are known here."""

OLDEST_VERSION = 60.0
"""Oldest API version that shows what the controls ask for."""

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="{namespace}"><soapenv:Header>'
    "<SessionHeader><sessionId>{token}</sessionId></SessionHeader></soapenv:Header>"
    "<soapenv:Body><{action}>{body}</{action}></soapenv:Body></soapenv:Envelope>"
)

_EXPIRED = ("INVALID_SESSION_ID", "INVALID_AUTH_HEADER")

_Answer = TypeVar("_Answer")


class Connection:
    """A connection to one org.

    Refused calls raise `Refusal`, except where the session has expired and cannot be renewed: that is a `SourceError`.
    """

    def __init__(self, credentials: Credentials, patience: Patience) -> None:
        self.patience = patience
        self._credentials = credentials
        self._transport = Transport(patience)
        self._session: Session
        self._uncounted = 0
        self._log_in()
        self.version = self._negotiate()

    @property
    def calls(self) -> int:
        """How many calls were sent that count against the org's limit: logins and the list of versions do not."""
        return self._transport.requests - self._uncounted

    @property
    def address(self) -> str:
        """The org's address."""
        return f"https://{self._session.host}"

    @property
    def org_id(self) -> str | None:
        """The org's id, where the login told it."""
        return self._session.org_id

    @property
    def user(self) -> str | None:
        """Username, or id, of the user who is logged in, where the login told it."""
        return self._session.user

    def clean(self, text: str) -> str:
        """Return what an answer says as one short line without any secret."""
        return self._transport.clean(text)

    def call(self, action: str, body: str) -> bytes:
        """Return the answer of the Metadata API to a call; `body` is what the call's element holds, as XML."""
        return self._renewed(lambda: self._call(action, body))

    def query(self, soql: str) -> dict[str, Any]:
        """Return one page of the records of a query."""
        return self._renewed(lambda: self._page(lambda salesforce: salesforce.query(soql)))

    def query_more(self, url: str) -> dict[str, Any]:
        """Return the next page of the records of a query."""
        return self._renewed(lambda: self._page(lambda salesforce: salesforce.query_more(url, identifier_is_url=True)))

    def query_together(self, questions: Sequence[str]) -> list[dict[str, Any] | Refusal]:
        """Return the first page of the records of up to five queries, or why one of them was refused.

        They are sent in one composite request, which counts as a single call.
        """
        return self._renewed(lambda: self._query_together(questions))

    def lower_version(self) -> None:
        """Go on with the API version before the one in use, which the org has turned down."""
        self.version -= 1.0
        if self.version < OLDEST_VERSION:
            raise SourceError(_too_old(self.version))

    def _call(self, action: str, body: str) -> bytes:
        token = self._session.access_token
        if token.startswith("eyJ") and self.version < 68.0:
            raise SourceError(
                f"the access token is a JWT, which the Metadata API takes from API version 68.0 on, and this org has"
                f" {self.version}; log in through an app that issues opaque access tokens"
            )
        envelope = _ENVELOPE.format(namespace=NAMESPACE, token=escape(token), action=action, body=body)
        return self._transport.post(
            f"{self.address}/services/Soap/m/{self.version}",
            data=envelope.encode(),
            headers={"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": action},
        ).content

    def _page(self, ask: Callable[[Salesforce], Any]) -> dict[str, Any]:
        session = self._session
        salesforce = Salesforce(
            session_id=session.access_token,
            instance_url=self.address,
            version=str(self.version),
            session=self._transport,
        )
        try:
            page = ask(salesforce)
        except (ValueError, RecursionError):
            raise Refusal("NOT_JSON", "the answer is no JSON, or was cut short") from None
        return _with_records(page)

    def _query_together(self, questions: Sequence[str]) -> list[dict[str, Any] | Refusal]:
        path = f"/services/data/v{self.version}"
        names = [f"query{number}" for number in range(len(questions))]
        asked = [
            {"method": "GET", "url": f"{path}/query/?q={quote(soql, safe='')}", "referenceId": name}
            for name, soql in zip(names, questions, strict=True)
        ]
        answer = self._transport.post(
            f"{self.address}{path}/composite",
            json={"allOrNone": False, "compositeRequest": asked},
            headers={"Authorization": f"Bearer {self._session.access_token}"},
        )
        try:
            said = {one["referenceId"]: one for one in answer.json()["compositeResponse"]}
        except (ValueError, RecursionError, TypeError, KeyError):
            raise Refusal("NOT_JSON", "the answer to several queries cannot be understood") from None
        return [self._one_of_several(said.get(name)) for name in names]

    def _one_of_several(self, said: Any) -> dict[str, Any] | Refusal:
        body = said.get("body") if isinstance(said, dict) else None
        error = rest_error(body)
        if error is not None:
            return Refusal(self.clean(error[0]), self.clean(error[1]))
        try:
            return _with_records(body)
        except Refusal as refusal:
            return refusal

    def _renewed(self, call: Callable[[], _Answer]) -> _Answer:
        """Return the answer to a call; where the session has expired, after one more login."""
        try:
            return call()
        except Refusal as refusal:
            if refusal.code not in _EXPIRED:
                raise
            if not renewable(self._credentials):
                raise SourceError(
                    f"the access token has expired, or is none of this org ({refusal.text}); get a new one with"
                    " 'sf org login web' and 'sf org auth show-access-token'"
                ) from None
        self._log_in()
        try:
            return call()
        except Refusal as refusal:
            if refusal.code not in _EXPIRED:
                raise
            again = (
                f"log in again: sf org login web --alias {self._credentials.cli}"
                if isinstance(self._credentials, SalesforceCli)
                else "the app's OAuth scopes must contain api"
            )
            raise SourceError(f"the session is refused right after logging in ({refusal.text}); {again}") from None

    def _log_in(self) -> None:
        before = self._transport.requests
        try:
            self._session = log_in(self._credentials, self._transport)
        except Refusal as refusal:
            raise SourceError(f"login failed: {explain(refusal)}") from None
        self._uncounted += self._transport.requests - before

    def _negotiate(self) -> float:
        """Return the newest API version that both sides know."""
        before = self._transport.requests
        try:
            said = self._transport.get(f"{self.address}/services/data").json()
            newest = max(float(one["version"]) for one in said)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            newest = math.nan
        if not math.isfinite(newest):
            raise Refusal("NOT_JSON", "the list of API versions cannot be read")
        self._uncounted += self._transport.requests - before
        if newest < OLDEST_VERSION:
            raise SourceError(_too_old(newest))
        return min(newest, NEWEST_VERSION)


def _with_records(page: Any) -> dict[str, Any]:
    if not isinstance(page, dict) or not isinstance(page.get("records"), list):
        raise Refusal("NOT_JSON", "the answer holds no records")
    return page


def _too_old(version: float) -> str:
    return f"the newest API version of this org is {version}; {OLDEST_VERSION} or later is needed to read it"
