"""Certificates as metadata holds them: PEM, or base64 without a frame."""

from __future__ import annotations

import base64
import binascii
import re
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_SEQUENCE = b"\x30"
"""The first byte of every certificate in DER."""


def parse_certificate(text: str) -> Certificate | None:
    """Return the certificate in a text, expired or not; None for any other text, such as a name or a placeholder.

    Of several certificates in PEM it is the first.
    """
    framed = _PEM.search(text)
    content = _decoded(text if framed is None else framed[1])
    if content is None or not content.startswith(_SEQUENCE):
        return None
    # Few orgs have certificates, and cryptography takes longer to import than all of this package.
    from cryptography import x509

    try:
        with warnings.catch_warnings():
            # Certificates in use break rules that have nothing to do with their expiry, as that on serial numbers.
            warnings.simplefilter("ignore")
            certificate = x509.load_der_x509_certificate(content)
            certificate.not_valid_after_utc  # noqa: B018  (a date that is not valid is found only when it is asked for)
    except (ValueError, x509.InvalidVersion):
        return None
    return certificate


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
