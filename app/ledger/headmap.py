"""The map of heads: one hash over where every stream stood, and proofs of single streams against it.

A chain shows that nothing between its first and its last record was taken out; it cannot show that
its last record was the last. The map can: its root is recorded in the log (`log/heads`), and a proof
against the root says which record was a stream's head when the map was made. Whoever hands over a
shorter chain contradicts it.

A binary trie over 256-bit keys, bits from the most significant, 0 is left. A subtree that holds one
leaf alone is that leaf's hash, so a path is about log2 n long; an empty one is 32 zero bytes. Each key
stands in its own leaf, and leaf and node hash under different first bytes: on the path of a key there
is one leaf at most, so a root cannot name two heads for one stream. Where a name's path ends in
nothing or in another's leaf, the stream is not in the map.

What it does not do: say that the root is true. That is what whoever has the records derives again.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from app.kit.errors import Fault

HEADS_STREAM = "log/heads"
MAP_ROOT = "map_root"
"""Type of the record of `log/heads` that holds a map's root."""

EMPTY = bytes(32)
KEY_BITS = 256
MAX_SEQ = 2**64 - 1

_KEY_PREFIX = b"suxin-stream/1\n"
_LEAF = b"\x00"
_NODE = b"\x01"


class Leaf(NamedTuple):
    """A stream in the map: key (32 bytes), seq and hash (32 bytes) of its last record."""

    key: bytes
    seq: int
    hash: bytes


class Subtree(NamedTuple):
    """What is known of a subtree: 0 leaves, 1, or 2 for any more; and its hash."""

    leaves: int
    hash: bytes


class Path(NamedTuple):
    """The way down to a key. siblings: 32 bytes each, from the one beside the end up to the root's child.

    leaf: what stands at the end; None where nothing does. Of another key: the asked one is absent.
    """

    siblings: tuple[bytes, ...]
    leaf: Leaf | None


NOTHING = Subtree(0, EMPTY)


class HeadsProofError(Fault):
    """A proof against a map's root is false. `reason`: seq, length, sibling, lone, key or root."""

    def __init__(self, reason: str) -> None:
        super().__init__("heads_proof", reason=reason)
        self.reason = reason


def map_key(stream: str) -> bytes:
    """Returns the 32-byte key under which the map holds a stream."""
    return hashlib.sha256(_KEY_PREFIX + stream.encode("ascii")).digest()


def map_leaf(leaf: Leaf) -> bytes:
    """Returns the hash of a leaf. seq: at most 2^64−1."""
    return hashlib.sha256(_LEAF + leaf.key + leaf.seq.to_bytes(8, "big") + leaf.hash).digest()


def map_node(left: bytes, right: bytes) -> bytes:
    """Returns the hash of a node from those of its two subtrees."""
    return hashlib.sha256(_NODE + left + right).digest()


def join(left: Subtree, right: Subtree) -> Subtree:
    """Returns the subtree above two neighbours."""
    if left.leaves + right.leaves <= 1:
        return right if right.leaves else left
    return Subtree(2, map_node(left.hash, right.hash))


def subtree_of(leaves: Sequence[Leaf], depth: int) -> Subtree:
    """Returns the subtree of leaves that share their first `depth` bits, in order of key.

    From left to right, since every page that is read or written passes through here.
    """
    if len(leaves) < 2:
        return Subtree(1, map_leaf(leaves[0])) if leaves else NOTHING
    waiting: list[tuple[int, bytes]] = []  # what is left of where two leaves part
    node, top, key = map_leaf(leaves[0]), KEY_BITS, int.from_bytes(leaves[0].key, "big")
    for leaf in leaves[1:]:
        following = int.from_bytes(leaf.key, "big")
        parting = KEY_BITS - (key ^ following).bit_length()
        while waiting and waiting[-1][0] > parting:
            at, left = waiting.pop()
            node, top = map_node(left, _raise(node, top, at + 1, key)), at
        waiting.append((parting, _raise(node, top, parting + 1, key)))
        node, top, key = map_leaf(leaf), KEY_BITS, following
    while waiting:
        at, left = waiting.pop()
        node, top = map_node(left, _raise(node, top, at + 1, key)), at
    return Subtree(2, _raise(node, top, depth, key))


def _raise(node: bytes, top: int, depth: int, key: int) -> bytes:
    """Returns a subtree that parts at `top` as it stands at `depth`: beside nothing in between."""
    if top == KEY_BITS:
        return node  # one leaf is its own hash wherever it stands
    for at in range(top - 1, depth - 1, -1):
        right = key >> (KEY_BITS - 1 - at) & 1
        node = map_node(EMPTY, node) if right else map_node(node, EMPTY)
    return node


def find_path(leaves: Sequence[Leaf], depth: int, key: bytes) -> Path:
    """Returns the path to a key inside the subtree of `leaves`, which share `depth` bits with it."""
    siblings: list[bytes] = []
    while len(leaves) > 1:
        at = _split(leaves, depth)
        own, other = leaves[:at], leaves[at:]
        if bit(key, depth):
            own, other = other, own
        depth += 1
        siblings.append(subtree_of(other, depth).hash)
        leaves = own
    return Path(tuple(reversed(siblings)), leaves[0] if leaves else None)


def prove(leaves: Iterable[Leaf], key: bytes) -> Path:
    """Returns the path to a key in the map of all these streams."""
    return find_path(sorted(leaves), 0, key)


def verify_head(leaf: Leaf, siblings: Sequence[bytes], *, root: bytes) -> None:
    """Returns if the map with this root holds this leaf. Raises HeadsProofError."""
    if not 0 <= leaf.seq <= MAX_SEQ:
        raise HeadsProofError("seq")
    _fold(leaf.key, map_leaf(leaf), siblings, root)


def verify_absence(
    key: bytes, other: Leaf | None, siblings: Sequence[bytes], *, root: bytes
) -> None:
    """Returns if the map with this root holds no stream of this key. Raises HeadsProofError.

    other: the leaf at the end of the key's path; None where nothing is there.
    """
    if other is None:
        _fold(key, EMPTY, siblings, root)
        return
    depth = len(siblings)
    if other.key == key or depth > KEY_BITS or _common_bits(key, other.key) < depth:
        raise HeadsProofError("key")
    verify_head(other, siblings, root=root)


def bit(key: bytes, depth: int) -> int:
    """Returns the bit of a key that decides at `depth`, 0 (left) or 1."""
    return key[depth >> 3] >> (7 - (depth & 7)) & 1


def _fold(key: bytes, node: bytes, siblings: Sequence[bytes], root: bytes) -> None:
    if len(siblings) > KEY_BITS:
        raise HeadsProofError("length")
    if any(len(sibling) != len(EMPTY) for sibling in siblings):
        raise HeadsProofError("sibling")
    if siblings and siblings[0] == EMPTY:
        # A leaf beside nothing stands higher up: no map is built like that.
        raise HeadsProofError("lone")
    for depth, sibling in zip(range(len(siblings) - 1, -1, -1), siblings, strict=True):
        node = map_node(sibling, node) if bit(key, depth) else map_node(node, sibling)
    if node != root:
        raise HeadsProofError("root")


class RootBuilder:
    """The root of a whole map from its leaves in order of key, however many: it holds one path.

    Shares nothing with the pages in which the map is kept but the two hashes.
    """

    def __init__(self) -> None:
        # Left neighbours that wait for what is right of them: the depth at which the two part.
        self._waiting: list[tuple[int, bytes]] = []
        self._node = EMPTY
        self._depth = KEY_BITS  # at which the last subtree parts; KEY_BITS where it is one leaf
        self._key: bytes | None = None
        self.leaves = 0

    def add(self, leaf: Leaf) -> None:
        """Adds the next leaf. Raises ValueError where its key is not above the last one's."""
        if self._key is not None:
            if leaf.key <= self._key:
                raise ValueError("leaves come in order of key, each once")
            parting = _common_bits(self._key, leaf.key)
            self._close(parting)
            self._waiting.append((parting, self._raised(parting + 1)))
        self._key, self._node, self._depth = leaf.key, map_leaf(leaf), KEY_BITS
        self.leaves += 1

    def root(self) -> bytes:
        """Returns the root over all that was added; nothing may be added afterwards."""
        self._close(-1)
        return self._raised(0)

    def _close(self, above: int) -> None:
        """Joins the neighbours that part below the depth `above`."""
        while self._waiting and self._waiting[-1][0] > above:
            depth, left = self._waiting.pop()
            self._node = map_node(left, self._raised(depth + 1))
            self._depth = depth

    def _raised(self, depth: int) -> bytes:
        """Returns the last subtree as it stands at `depth`: beside nothing on each level between."""
        node = self._node
        if self._depth == KEY_BITS or self._key is None:
            return node
        for at in range(self._depth - 1, depth - 1, -1):
            node = map_node(EMPTY, node) if bit(self._key, at) else map_node(node, EMPTY)
        return node


def root_of_map(leaves: Iterable[Leaf]) -> bytes:
    """Returns the root of the map of these streams, in any order; 32 zero bytes where there are none."""
    builder = RootBuilder()
    for leaf in sorted(leaves):
        builder.add(leaf)
    return builder.root()


def _split(leaves: Sequence[Leaf], depth: int) -> int:
    """Returns where the bit at `depth` becomes 1 among leaves that share the bits before it."""
    if not bit(leaves[-1].key, depth):
        return len(leaves)
    if bit(leaves[0].key, depth):
        return 0
    first = int.from_bytes(leaves[-1].key, "big")
    middle = first >> (KEY_BITS - 1 - depth) << (KEY_BITS - 1 - depth)
    return bisect_left(leaves, (middle.to_bytes(32, "big"),))


def _common_bits(one: bytes, other: bytes) -> int:
    """Returns how many first bits two keys share."""
    return KEY_BITS - (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_length()
