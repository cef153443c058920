"""Files of metadata: what they hold, and what writes them."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from pytest_oauthcontrols.orgs.metadata_types import OAUTH
from pytest_oauthcontrols.sources.parser import MetadataFile

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
NIL = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil'
"""The attribute by which an element says that it holds nothing; its value is to be added."""

DEMO = Path(str(files("pytest_oauthcontrols") / "demo"))
"""The sample org: its folder."""
DEMO_FILES = {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in sorted(DEMO.rglob("*-meta.xml"))}
"""The files of the sample org by their paths."""

PATH = "connectedApps/Stock_Sync.connectedApp"
GOOD_PATH = PATH
BAD_PATH = "connectedApps/Price_Feed.connectedApp"
OPEN = "<isSecretRequiredForRefreshToken>false</isSecretRequiredForRefreshToken>"
EXPIRES, ENDLESS = (
    f"<oauthPolicy><refreshTokenPolicy>{policy}</refreshTokenPolicy></oauthPolicy>"
    for policy in ("specific_lifetime:30:DAYS", "infinite")
)
"""What an app can say of its refresh tokens."""

CERTIFICATE = (
    "MIIBDzCBtqADAgECAgISZzAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZzYW1wbGUwHhcNMjYwOTAxMDAwMDAwWhcNMzYw"
    "ODMxMDAwMDAwWjARMQ8wDQYDVQQDDAZzYW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARQSk7nzcN10brYP0dg"
    "oIRWB/9ytIrvzz3BnI2/nZEmHZ6vURr8b8D1MvYNzVyjFS8CWSKNVD32gW4bGu8CYA01MAoGCCqGSM49BAMCA0gAMEUC"
    "IBgEsgY+bRgKz2Yp2TrEP7nb3b1nCYl45c+kukEVGyTpAiEArVf1LaZVYCT4VvK+iuTM5B7yTgEzuMIdtl0/7Ct7JwM="
)
"""A certificate that is valid until 2036, as the Metadata API writes it."""


def xml(type_name: str, inner: str = "") -> bytes:
    """Return a file of a type, its content on a line of its own."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<{type_name} xmlns="{NAMESPACE}">\n{inner}\n</{type_name}>\n'.encode()
    )


def connected_app(inner: str = "") -> bytes:
    """Return the file of a connected app."""
    return xml("ConnectedApp", inner)


def child(type_name: str, parent: str, inner: str = "") -> bytes:
    """Return the file of a component of an external client app."""
    return xml(type_name, f"<externalClientApplication>{parent}</externalClientApplication>{inner}")


def written(folder: Path, content: Mapping[str, bytes]) -> Path:
    """Write files below a folder."""
    for path, data in content.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return folder


def zipped(path: Path, content: Mapping[str, bytes]) -> Path:
    """Write files into a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def app(config: str = "", more: str = "", label: str = "Feed") -> bytes:
    """Return an app that does not require PKCE unless its configuration says so."""
    pkce = "" if "isPkceRequired" in config else "<isPkceRequired>false</isPkceRequired>"
    callback = "<callbackUrl>https://stock.example/callback</callbackUrl>"
    return connected_app(f"<label>{label}</label><oauthConfig>{callback}{pkce}{config}</oauthConfig>{more}")


GOOD = connected_app(
    "<label>Stock Sync</label>\n<oauthConfig>\n<callbackUrl>https://stock.example/callback</callbackUrl>\n"
    "<isPkceRequired>true</isPkceRequired>\n</oauthConfig>"
)
"""An app that is fine."""
PKCE = app("<isPkceRequired>true</isPkceRequired>")
"""An app that requires PKCE."""
MIXED_FILES = {
    **DEMO_FILES,
    "copy/Nightly_ETL.connectedApp": connected_app(),
    "Gone.ecaOauth": child(OAUTH, "Gone"),
    "Broken.ecaOauthPlcy": b"<",
    "Worse.ecaOauthPlcy": b"",
}
"""The sample org, with files that are there twice, belong to nothing or cannot be read."""


def metadata_file(path: str, content: bytes) -> MetadataFile:
    """Return a file as a source finds it."""
    return MetadataFile(f"force-app/{path}", path, lambda: content)
