"""Ways that led from a full tile to a signed root, remembered: the upper parts of proofs that held.

A scan proves half a dozen leaves, and a thousand scans a minute prove them against the same few roots.
That a subtree with this root stands in this place of that tree is a matter of hashes, and true for ever:
what is proven anew each time is that the leaf is in the subtree.
"""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple

# About a kilobyte each.
_MOST = 8_192


class Stand(NamedTuple):
    """A subtree in a tree. tile: index of the full tile; top: root over its hashes.

    beside: digest of the other tiles that the proof was read from. Where one of them is another now, it
    may be damaged, and a proof is made from it again to see.
    """

    root: bytes
    size: int
    tile: int
    top: bytes
    beside: bytes


class Led:
    """The hashes from a full tile's root to a tree's, of the proofs that held last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ways: dict[Stand, tuple[bytes, ...]] = {}  # guarded by _lock

    def find(self, stand: Stand) -> tuple[bytes, ...] | None:
        """Returns the way up from there, None where none is known."""
        with self._lock:
            way = self._ways.pop(stand, None)
            if way is not None:
                self._ways[stand] = way  # last again
            return way

    def keep(self, stand: Stand, way: tuple[bytes, ...]) -> None:
        """Remembers a way that was verified."""
        with self._lock:
            self._ways[stand] = way
            if len(self._ways) > _MOST:
                del self._ways[next(iter(self._ways))]


LED = Led()
