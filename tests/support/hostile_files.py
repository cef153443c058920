"""Content that no org would deliver: damaged, or meant to do harm."""

from __future__ import annotations

from hypothesis import strategies as st

from .metadata_files import NIL

LAUGHS = "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1};" * 10}">' for n in range(1, 10))
"""Entities that grow when they are put in: the billion laughs."""
PIECES = [
    *(
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"&lt;",
        b"&#0;",
        b"&#x1F600;",
        b"&x;",
        b"<!DOCTYPE a>",
        b"\r",
        b"\xff\xfe",
    ),
    *(
        b"</oauthConfig>",
        b"<oauthConfig>",
        b' xmlns=""',
        f' {NIL}="true"'.encode(),
        b"<?pi?>",
        b"true",
        b"9" * 5000,
        b"%",
    ),
]
"""What is put in the place of a stretch of a file."""


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """Return a file in which a few stretches are replaced."""
    content = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        piece = draw(st.sampled_from(PIECES) | st.binary(max_size=6))
        content = content[:start] + piece + content[start + draw(st.integers(0, 40)) :]
    return content
