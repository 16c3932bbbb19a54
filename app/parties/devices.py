"""Devices on which somebody has signed in: known again, they do not wait for what strangers guessed.

Who guesses at a name makes it wait, and must not keep its owner out by that. A browser that signed in as
this name before shows a token in a cookie; its tries are counted for itself alone. The token is a nonce, the
day it was made and an HMAC over both and the name, so nothing is stored, and it is worth nothing but this.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from datetime import timedelta

from app.kit.clock import Clock, to_ms
from app.kit.tokens import RandomBytes

KNOWN_FOR = timedelta(days=180)
"""After the last time that somebody signed in there."""

_DAY_MS = 86_400_000
_NONCE_BYTES = 16
_TOKEN = re.compile(r"([0-9a-f]{32})\.(\d{1,6})\.([A-Za-z0-9_-]{43})", re.ASCII)


class Devices:
    """key: 32 bytes that tokens are made under."""

    def __init__(self, *, clock: Clock, key: bytes, random: RandomBytes) -> None:
        self._clock = clock
        self._key = key
        self._random = random

    def token(self, name: str, *, before: str | None = None) -> str:
        """Returns the token of a device on which `name` has just signed in; of a known one the same nonce."""
        known = None if before is None else self.known(before, name)
        nonce = known or self._random(_NONCE_BYTES).hex()
        day = to_ms(self._clock.now()) // _DAY_MS
        return f"{nonce}.{day}.{self._seal(name, nonce, day)}"

    def known(self, token: str | None, name: str) -> str | None:
        """Returns which device shows a token of this name, None for none, or one too old."""
        found = _TOKEN.fullmatch(token or "")
        if found is None:
            return None
        nonce, day, seal = found[1], int(found[2]), found[3]
        age = to_ms(self._clock.now()) // _DAY_MS - day
        if not hmac.compare_digest(seal, self._seal(name, nonce, day)):
            return None
        return nonce if age <= KNOWN_FOR // timedelta(days=1) else None

    def _seal(self, name: str, nonce: str, day: int) -> str:
        told = hmac.digest(self._key, f"{name}\x00{nonce}\x00{day}".encode(), "sha256")
        return urlsafe_b64encode(told).rstrip(b"=").decode()
