"""The two calls of the Metadata API that read an org: everything in one `retrieve`, and `listMetadata` to count it."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lxml import etree

from pytest_oauthcontrols.sources.live.connection import Connection
from pytest_oauthcontrols.sources.live.errors import TRANSIENT, Refusal, parse_answer
from pytest_oauthcontrols.sources.parser import FILE_TYPES, SourceError

FIRST_POLL = 2.0
"""Seconds until the first look at whether a retrieve has ended."""

MOST_POLLS = 5
"""Looks at whether a retrieve has ended; each wait is longer than the one before."""

LAST_POLL = 0.9
"""Part of the time after which the last look is due: the rest is for what it brings."""

LISTED = ("ConnectedApp", "ExternalClientApplication", "ExtlClntAppGlobalOauthSettings")
"""Types whose components are counted; one call lists three."""

# Read out before the XML is parsed: a text of 50 MB is beyond what a careful parser takes.
_ZIP = re.compile(rb"<((?:\w+:)?zipFile)>([A-Za-z0-9+/=\s]*)</\1>")
_INSTALLED = ("installed", "installedEditable")
"""States of what came with a package; anything else may be the org's own."""


class Retrieved(NamedTuple):
    """What a retrieve delivered."""

    archive: bytes
    """A zip."""
    messages: tuple[str, ...]
    """What the org says could not be retrieved, in its own words."""


class Listed(NamedTuple):
    """A component that exists."""

    type: str
    full_name: str
    id: str
    installed: bool
    """Whether it came with a package."""


class _Incomplete(Exception):
    """The archive did not arrive whole; the org keeps none after it was fetched."""


def retrieve(connection: Connection, meanwhile: Callable[[], None]) -> Retrieved:
    """Return everything that the controls ask for; do something useful between asking for it and the first look.

    Raises `SourceError` where it fails, does not end in time, or arrives incomplete twice.
    """
    lowered, incomplete = False, 0
    while incomplete < 2:
        try:
            return _retrieve(connection, meanwhile)
        except _Incomplete:
            incomplete += 1
        except Refusal as refusal:
            if refusal.code != "UNSUPPORTED_API_VERSION" or lowered:
                raise
            connection.lower_version()
            lowered = True
    raise SourceError("the archive of the retrieve arrived incomplete, twice; check the network and run again")


def _retrieve(connection: Connection, meanwhile: Callable[[], None]) -> Retrieved:
    patience = connection.patience
    begun = patience.spent
    started = parse_answer(connection.call("retrieve", _request(connection.version)))
    process = started.findtext(".//{*}id") or ""
    if not re.fullmatch(r"\w{15,18}", process):
        raise Refusal("NOT_XML", "the answer to the retrieve names no process")
    meanwhile()
    growth = max(1.0, LAST_POLL * patience.left / FIRST_POLL) ** (1 / (MOST_POLLS - 1))
    due, status = FIRST_POLL, "Pending"
    for _ in range(MOST_POLLS):
        patience.wait(begun + due - patience.spent)
        due *= growth
        answer = _look(connection, process)
        archive = _ZIP.search(answer)
        said = parse_answer(answer if archive is None else answer[: archive.start()] + answer[archive.end() :])
        status = said.findtext(".//{*}status") or status
        if said.findtext(".//{*}done") == "true":
            if said.findtext(".//{*}success") != "true":
                code, text = (said.findtext(f".//{{*}}{name}") or "" for name in ("errorStatusCode", "errorMessage"))
                raise SourceError(
                    f"the retrieve ended as {connection.clean(status)}: {connection.clean(f'{code} {text}')}"
                )
            return Retrieved(_unpacked(archive), tuple(_messages(connection, said)))
    raise SourceError(
        f"the retrieve had not ended after {patience.spent:.0f} s (it is {connection.clean(status)}); run again, or"
        " allow more time with --sf-timeout"
    )


def _look(connection: Connection, process: str) -> bytes:
    calls = connection.calls
    try:
        return connection.call(
            "checkRetrieveStatus", f"<asyncProcessId>{process}</asyncProcessId><includeZip>true</includeZip>"
        )
    except Refusal as refusal:
        if connection.calls - calls > 1 and refusal.code not in TRANSIENT:
            # An answer was lost on its way: if it held the archive, the org has deleted it.
            raise _Incomplete from None
        raise


def _request(version: float) -> str:
    types: dict[str, list[str]] = {}
    for known in FILE_TYPES.values():
        if known.since > version:
            continue
        members = types.setdefault("Settings" if known.suffix == "settings" else known.name, [])
        members.append(known.name.removesuffix("Settings") if known.suffix == "settings" else "*")
    package = "".join(
        f"<types>{''.join(f'<members>{member}</members>' for member in members)}<name>{name}</name></types>"
        for name, members in types.items()
    )
    return (
        f"<retrieveRequest><apiVersion>{version}</apiVersion><singlePackage>true</singlePackage>"
        f"<unpackaged>{package}<version>{version}</version></unpackaged></retrieveRequest>"
    )


def _unpacked(archive: re.Match[bytes] | None) -> bytes:
    try:
        content = b64decode(archive[2]) if archive else b""
    except binascii.Error:
        content = b""
    # An end of central directory, without which a zip has been cut short.
    if b"PK\x05\x06" not in content[-65_557:]:
        raise _Incomplete
    return content


def _messages(connection: Connection, said: etree._Element) -> Iterable[str]:
    for message in _find_all(said, "result/messages"):
        yield connection.clean(message.findtext("{*}problem") or "")


def list_components(connection: Connection, types: Iterable[str]) -> list[Listed]:
    """Return the components of up to three types that exist, whether or not they can be retrieved."""
    queries = "".join(f"<queries><type>{name}</type></queries>" for name in types)
    answer = parse_answer(connection.call("listMetadata", f"{queries}<asOfVersion>{connection.version}</asOfVersion>"))
    if not _find_all(answer, "listMetadataResponse"):
        raise Refusal("NOT_XML", "the answer is no list of components")
    found = []
    for one in _find_all(answer, "listMetadataResponse/result"):
        said = {name: one.findtext(f"{{*}}{name}") or "" for name in ("type", "fullName", "id")}
        installed = one.findtext("{*}manageableState") in _INSTALLED
        if said["type"] in FILE_TYPES and said["fullName"]:
            found.append(Listed(said["type"], said["fullName"], said["id"], installed))
    return found


def _find_all(answer: etree._Element, path: str) -> list[etree._Element]:
    """Return the elements at a path of local names below an answer."""
    return answer.findall(".//" + "/".join(f"{{*}}{name}" for name in path.split("/")))
