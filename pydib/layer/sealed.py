"""Records begin with their own digest, so that a damaged one is known as such."""

from __future__ import annotations

import hashlib


def sealed(text: str) -> bytes:
    """A record as it is written: its digest, then itself."""
    data = text.encode("ascii")
    return hashlib.sha256(data).hexdigest().encode() + b"\n" + data + b"\n"


def unsealed(data: bytes) -> bytes:
    """The record without its digest.

    Raises:
        ValueError: the record is not what was written.
    """
    name, _, text = data.partition(b"\n")
    if hashlib.sha256(text[:-1]).hexdigest().encode() != name:
        raise ValueError("damaged record")
    return text
