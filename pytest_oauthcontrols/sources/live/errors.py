"""Answers that are none: how Salesforce refuses, what may pass in a moment, and what it means for people."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from lxml import etree
from requests import Response

TRANSIENT = frozenset(
    [
        "UNREACHABLE",
        "WEB_PAGE",
        "BAD_MESSAGE",
        "SERVER_UNAVAILABLE",
        "UNABLE_TO_LOCK_ROW",
        "HTTP_420",
        "HTTP_429",
        "HTTP_502",
        "HTTP_503",
        "HTTP_504",
    ]
)
"""Codes of what may pass in a moment."""


class Refusal(Exception):
    """An answer that is none; `code` is Salesforce's, OAuth's, or `HTTP_` with the status."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


def refusal_in(response: Response, content: bytes) -> tuple[str, str] | None:
    """Return code and text of an answer that is no success; None for one that is."""
    status = response.status_code
    start = content[:200].lstrip().lower()
    if b"<h1>bad message 400</h1>" in start:
        return "BAD_MESSAGE", "Bad Message 400"
    if 300 <= status < 400:
        return f"HTTP_{status}", f"it sends on to {urlsplit(response.headers.get('Location', '')).hostname}"
    if start.startswith((b"<!doctype html", b"<html")):
        return "WEB_PAGE", f"status {status} with a web page, as during maintenance"
    if status < 300:
        return None
    found = _fault(content) if start.startswith(b"<") else _rest_error(response)
    return found or (f"HTTP_{status}", response.reason or "no reason is given")


def _fault(content: bytes) -> tuple[str, str] | None:
    """Return code and text of a SOAP fault."""
    try:
        root = parse_answer(content)
    except Refusal:
        return None
    said = {etree.QName(element).localname: (element.text or "").strip() for element in root.iter("{*}*", "*")}
    code = said.get("exceptionCode") or said.get("faultcode", "").rpartition(":")[2]
    text = said.get("exceptionMessage") or said.get("faultstring", "")
    return (code, text.removeprefix(f"{code}: ")) if code else None


def _rest_error(response: Response) -> tuple[str, str] | None:
    """Return code and text of an error of the REST API, or of the OAuth endpoint."""
    try:
        said = response.json()
    except (ValueError, RecursionError):
        return None
    return rest_error(said)


def rest_error(said: Any) -> tuple[str, str] | None:
    """Return code and text of an error in JSON, of the REST API or the OAuth endpoint; None for anything else."""
    if isinstance(said, list) and said and isinstance(said[0], dict):
        return str(said[0].get("errorCode")), str(said[0].get("message"))
    if isinstance(said, dict) and "error" in said:
        return str(said["error"]), str(said.get("error_description", ""))
    return None


_PARSER = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
)


def parse_answer(content: bytes) -> etree._Element:
    """Return the XML of an answer; raise `Refusal` for what is none, or declares a document type."""
    try:
        root = etree.fromstring(content, _PARSER)
    except etree.XMLSyntaxError:
        raise Refusal("NOT_XML", "the answer is no XML, or was cut short") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refusal("NOT_XML", "the answer declares a document type, which Salesforce's never do")
    return root


def explain(refusal: Refusal) -> str:
    """Return what a refusal means, and what to do."""
    advice = _ADVICE.get(refusal.code, "")
    said = f"{refusal.code}: {refusal.text}" if refusal.text else refusal.code
    if refusal.code in _OWN:
        said = refusal.text
    return f"{said}; {advice}" if advice else said


_OWN = ("REDIRECT", "UNREACHABLE", "CERTIFICATE", "PROXY", "WEB_PAGE", "NOT_XML", "NOT_JSON", "NO_TOKEN", "TOO_LONG")
"""Codes that are not Salesforce's."""

_PASSWORD = "check username, password and security token; every wrong try counts towards the user's lockout"  # noqa: S105  (advice)

_ADVICE = {
    "INSUFFICIENT_ACCESS": "the user needs API Enabled, Customize Application and Modify Metadata Through Metadata API"
    " Functions",
    "REQUEST_LIMIT_EXCEEDED": "the org has used up its API requests of the last 24 hours; run again later",
    "API_DISABLED_FOR_ORG": "the org's edition has no API",
    "API_CURRENTLY_DISABLED": "the user's profile needs API Enabled",
    "UNREACHABLE": "check the address, the network and HTTPS_PROXY",
    "CERTIFICATE": "set REQUESTS_CA_BUNDLE to the file of the authority that your network uses",
    "PROXY": "check HTTPS_PROXY",
    "WEB_PAGE": "see https://status.salesforce.com and run again later",
    "SERVER_UNAVAILABLE": "see https://status.salesforce.com and run again later",
    "INVALID_LOGIN": _PASSWORD,
    "LOGIN_MUST_USE_SECURITY_TOKEN": _PASSWORD,
    "INVALID_OPERATION": "the org has SOAP login switched off; use a JWT (private_key_file)",
    "invalid_grant": "check that the app knows the certificate, that the user is pre-authorized for it, and that login"
    " is 'test' for a sandbox",
    "invalid_client": "check consumer_key and consumer_secret, and that the app is installed in the org",
    "invalid_client_id": "check consumer_key",
    "inactive_user": "the user is inactive",
}
