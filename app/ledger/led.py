"""Ways that led from a full tile to a signed root, remembered: the upper parts of proofs that held.

A scan proves half a dozen leaves, and a thousand scans a minute prove them against the same few roots.
That a subtree with this root stands in this place of that tree is a matter of hashes, and true for ever:
what is proven anew each time is that the leaf is in the subtree.
"""

from __future__ import annotations

from typing import NamedTuple

from app.kit.recent import Recent


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


LED = Recent[Stand, tuple[bytes, ...]](8_192)
"""The hashes from a full tile's root to a tree's, of the proofs that held last: a kilobyte each."""
