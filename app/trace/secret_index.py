"""The keyed side index: finds what is sealed, for those entitled to ask, without revealing it.

Each digest is HMAC-SHA-256 under a key of its own over kind and value, so equal values can be found
and compared, and nobody without the key can test a guess. Erasing a section removes its rows.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256

from app.kit.canonical import canonical_bytes
from app.trace.requests import SealedInput

_NUMBERED = frozenset({"waybill", "order", "payment", "declaration"})


class SecretIndex:
    """Digests under one 32-byte key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, kind: str, value: str) -> bytes:
        """Returns the 32-byte digest of a value; case and spaces at its ends do not matter."""
        told = f"{kind}\x00{value.strip().upper()}".encode()
        return hmac.new(self._key, told, sha256).digest()

    def digests(self, sealed: Mapping[str, SealedInput]) -> tuple[tuple[str, bytes], ...]:
        """Returns (kind, digest) rows of what can be asked for among an event's sealed sections."""
        if not sealed:
            return ()
        found = []
        for name, section in sealed.items():
            number = section.content.get("number")
            if name in _NUMBERED and isinstance(number, str):
                found.append((name, self.digest(name, number)))
            elif name == "buyer":
                whole = canonical_bytes(section.content).decode("utf-8")
                found.append((name, self.digest(name, whole)))
        return tuple(found)
