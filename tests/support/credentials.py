"""Credentials that are planted to be looked for, and a Salesforce CLI that shows them."""

from __future__ import annotations

import json
import shlex
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

HOST = "acme.my.salesforce.com"
TOKEN = "00D5g000004XyzA!Tk7qPlantedAccess.Token_v3Zr9"  # noqa: S105  (invented)
PASSWORD = "Pw5x&Planted<Pass>\"word'+1 %9"  # noqa: S105  (invented)
SECURITY_TOKEN = "St8kGrownSecurityTok"  # noqa: S105  (invented)
CONSUMER_KEY = "3MVG9.Ck2wPlantedConsumerKey_6Hd"
CONSUMER_SECRET = "Cs4mPlanted+Consumer/Secret=Q8"  # noqa: S105  (invented)


@cache
def key() -> RSAPrivateKey:
    """Return the key that signs assertions."""
    return generate_private_key(public_exponent=65537, key_size=2048)


@cache
def pem() -> str:
    """Return the key that signs assertions; PEM."""
    return key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def cli(pytester: pytest.Pytester, *shown: Any, status: int = 0, display: Any = None) -> None:
    """Write a Salesforce CLI that answers the question for the token with what is given."""
    said = (
        shown[-1]
        if isinstance(shown[-1], str)
        else json.dumps({"status": status, "result": shown[-1], **fields(shown)})
    )
    known = {"instanceUrl": f"https://{HOST}", "accessToken": "[REDACTED]"} if display is None else display
    described = known if isinstance(known, str) else json.dumps({"status": 0, "result": known})
    folder = pytester.path / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "sf"
    program.write_text(
        "#!/bin/sh\n"
        f'case "$2" in display) printf "%s" {shlex.quote(described)};; *) printf "%s" {shlex.quote(said)};; esac\n'
        f"echo {shlex.quote('Warning: ' + TOKEN)} >&2\n",
        "utf-8",
    )
    program.chmod(0o755)


def fields(shown: tuple[Any, ...]) -> dict[str, Any]:
    """Return what a failing command says of itself."""
    return shown[0] if isinstance(shown[0], dict) and len(shown) > 1 else {}
