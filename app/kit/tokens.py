"""Random text that people read aloud and type: one alphabet, and randomness passed in.

`secrets.token_bytes` in service, `random.Random(seed).randbytes` in the demo and in tests.
"""

from __future__ import annotations

from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
"""Returns that many random bytes."""

# 32 symbols, so a random byte gives exactly five bits and no symbol is likelier than another.
# Without 0, 1, I and O nothing on a label can be mistaken for a sign that is also in the alphabet.
SYMBOLS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

_FROM_BYTE = (SYMBOLS * 8).encode("ascii")


def random_symbols(random: RandomBytes, count: int) -> str:
    """Returns `count` symbols of SYMBOLS, five bits of `random` each."""
    return random(count).translate(_FROM_BYTE).decode("ascii")
