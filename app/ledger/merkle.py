"""The Merkle tree of the log: roots, the right edge, inclusion and consistency proofs.

RFC 9162 section 2.1 (the hashing of RFC 6962). Hashes are 32 bytes; a leaf is hashed from an entry,
which in this log is itself a 32-byte record hash. This module keeps nothing: nodes come from the
caller, who reads them from tiles (app.ledger.tiles) or from memory.

`verify_*` recompute a root from a proof in the way of transparency-dev/merkle: the length of a
proof follows from index and size alone, so a proof that is too long or too short is refused before
anything is hashed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

from app.kit.errors import Invalid

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

LEAF_PREFIX = b"\x00"
NODE_PREFIX = b"\x01"

Edge = tuple[bytes, ...]
"""Roots of the perfect subtrees that a tree of size n falls into, largest (leftmost) first: one for
each bit set in n, so an empty tree has `()`. With the size it is all that appending needs."""

NodeReader = Callable[[int, int], bytes]
"""Returns the root of the perfect subtree (level, index): leaves index·2^level to
(index+1)·2^level − 1. Only asked for subtrees that are full in the tree at hand."""


class ProofError(Invalid):
    """A proof does not prove what it claims; `params` hold what was expected and what was got."""

    def __init__(self, key: str, *, expected: object, got: object) -> None:
        super().__init__(key, expected=expected, got=got)
        self.expected = expected
        self.got = got


class ProofIndexError(ProofError):
    """The leaf index is negative, or not below the size of the tree."""


class ProofSizesError(ProofError):
    """There is no consistency proof between these two sizes."""


class ProofLengthError(ProofError):
    """A proof for this place has another number of hashes."""


class ProofHashError(ProofError):
    """Something that stands for a hash is not 32 bytes long."""


class ProofRootError(ProofError):
    """The proof leads to another root: leaf, place, proof or root is not the true one."""


# ------------------------------------------------------------------------------ hashes and roots


def leaf_hash(entry: bytes) -> bytes:
    """Returns the hash of a leaf that holds `entry`."""
    return sha256(LEAF_PREFIX + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Returns the hash of the node above two subtrees."""
    return sha256(NODE_PREFIX + left + right).digest()


def pair_hashes(nodes: Sequence[bytes]) -> list[bytes]:
    """Returns the level above an even number of nodes (a last odd one is left out).

    The hot loop of the log: two million nodes a second, so it calls no function of ours.
    """
    pairs = iter(nodes)
    return [
        sha256(NODE_PREFIX + left + right).digest()
        for left, right in zip(pairs, pairs, strict=False)
    ]


def root_of(leaf_hashes: Sequence[bytes]) -> bytes:
    """Returns the root of the whole tree, level by level; EMPTY_ROOT for no leaves."""
    nodes = list(leaf_hashes)
    if not nodes:
        return EMPTY_ROOT
    while len(nodes) > 1:
        above = pair_hashes(nodes)
        if len(nodes) & 1:
            # A lone last node stands for its subtree one level up, as the split at the largest
            # power of two demands; hashing it with itself would let two trees share a root.
            above.append(nodes[-1])
        nodes = above
    return nodes[0]


# ------------------------------------------------------------------------------ the right edge


def edge_append(size: int, edge: Edge, leaf_hashes: Sequence[bytes]) -> Edge:
    """Returns the edge of the tree of `size` leaves with `leaf_hashes` appended.

    Raises ValueError if the edge does not belong to a tree of that size.
    """
    _check_edge(size, edge)
    waiting = list(edge)
    grown: list[bytes] = []
    nodes = list(leaf_hashes)
    while size or nodes:
        if size & 1:
            nodes.insert(0, waiting.pop())
        if len(nodes) & 1:
            grown.append(nodes.pop())
        nodes = pair_hashes(nodes)
        size >>= 1
    return tuple(reversed(grown))


def edge_append_subtree(size: int, edge: Edge, node: bytes, *, height: int) -> Edge:
    """Returns the edge of the tree of `size` leaves with one perfect subtree of 2^height appended.

    Raises ValueError if the edge does not belong to a tree of that size, or if the size is no multiple
    of the subtree's.
    """
    _check_edge(size, edge)
    if size & ((1 << height) - 1):
        raise ValueError(size)
    waiting = list(edge)
    size >>= height
    while size & 1:
        node = node_hash(waiting.pop(), node)
        size >>= 1
    return (*waiting, node)


def edge_root(size: int, edge: Edge) -> bytes:
    """Returns the root of the tree of `size` leaves.

    Raises ValueError if the edge does not belong to a tree of that size.
    """
    _check_edge(size, edge)
    return fold_edge(edge)


def fold_edge(subtrees: Sequence[bytes]) -> bytes:
    """Returns the root over adjacent perfect subtrees, largest first; EMPTY_ROOT for none."""
    if not subtrees:
        return EMPTY_ROOT
    root = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        root = node_hash(left, root)
    return root


def perfect_subtrees(start: int, end: int) -> list[tuple[int, int]]:
    """Returns (level, index) of the perfect subtrees that cover leaves `start` to `end`−1.

    Left to right. In this module `start` is always a multiple of the range's largest subtree, so
    they come largest first and `fold_edge` joins them.
    """
    found: list[tuple[int, int]] = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append((level, start >> level))
        start += 1 << level
    return found


# ------------------------------------------------------------------------------ making proofs


def inclusion_proof(index: int, size: int, read_node: NodeReader) -> list[bytes]:
    """Returns the proof that leaf `index` is in the tree of `size` leaves, leaf's sibling first.

    Raises ProofIndexError.
    """
    if not 0 <= index < size:
        raise ProofIndexError("proof_index", expected=f"0..{size - 1}", got=index)
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        split = start + _split(end - start)
        if index < split:
            proof.append(_range_root(split, end, read_node))
            end = split
        else:
            proof.append(_range_root(start, split, read_node))
            start = split
    proof.reverse()
    return proof


def consistency_proof(size1: int, size2: int, read_node: NodeReader) -> list[bytes]:
    """Returns the proof that the tree of `size1` leaves is the beginning of that of `size2`.

    RFC 9162 section 2.1.4.1. Raises ProofSizesError unless 0 < size1 <= size2.
    """
    if not 0 < size1 <= size2:
        raise ProofSizesError("proof_sizes", expected=f"1..{size2}", got=size1)
    proof: list[bytes] = []
    start, end = 0, size2
    while size1 < end:
        split = start + _split(end - start)
        if size1 <= split:
            proof.append(_range_root(split, end, read_node))
            end = split
        else:
            proof.append(_range_root(start, split, read_node))
            start = split
    if start > 0:
        # Only then is the old tree's last subtree no longer the whole old tree, whose root the
        # verifier has.
        proof.append(_range_root(start, end, read_node))
    proof.reverse()
    return proof


def _range_root(start: int, end: int, read_node: NodeReader) -> bytes:
    count = end - start
    if count & (count - 1) == 0:  # a perfect subtree, as nearly all on a proof's path are
        level = count.bit_length() - 1
        return read_node(level, start >> level)
    return fold_edge([read_node(level, index) for level, index in perfect_subtrees(start, end)])


def _split(count: int) -> int:
    """Returns the largest power of two below `count` (count >= 2)."""
    return 1 << ((count - 1).bit_length() - 1)


# ------------------------------------------------------------------------------ verifying proofs


def verify_inclusion(
    *, index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Returns if `proof` proves the leaf at `index` in the tree of `size` with `root`.

    Raises ProofIndexError, ProofHashError, ProofLengthError or ProofRootError.
    """
    if not 0 <= index < size:
        raise ProofIndexError("proof_index", expected=f"0..{size - 1}", got=index)
    _check_hashes(leaf_hash, root, *proof)
    inner, border = _shape(index, size)
    if len(proof) != inner + border:
        raise ProofLengthError("proof_length", expected=inner + border, got=len(proof))
    found = climb(leaf_hash, proof[:inner], index)
    _check_root(expected=root, got=_chain_left(found, proof[inner:]))


def verify_consistency(
    *, size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]
) -> None:
    """Returns if `proof` proves that the first tree is the beginning of the second.

    The empty tree is the beginning of every tree and so proves nothing: size 0 is refused.
    Raises ProofSizesError, ProofHashError, ProofLengthError or ProofRootError.
    """
    if not 0 < size1 <= size2:
        raise ProofSizesError("proof_sizes", expected=f"1..{size2}", got=size1)
    if size1 == size2:
        if proof:
            raise ProofLengthError("proof_length", expected=0, got=len(proof))
        _check_root(expected=root2, got=root1)
        return
    _check_hashes(root1, root2, *proof)
    inner, border = _shape(size1 - 1, size2)
    shift = (size1 & -size1).bit_length() - 1  # levels over which the old tree's last node is full
    inner -= shift
    seeded = size1 != 1 << shift  # a perfect old tree is its own seed
    if len(proof) != seeded + inner + border:
        raise ProofLengthError("proof_length", expected=seeded + inner + border, got=len(proof))
    seed = proof[0] if seeded else root1
    middle, last = proof[seeded : seeded + inner], proof[seeded + inner :]
    place = (size1 - 1) >> shift
    old = seed
    for level, sibling in enumerate(middle):
        if place >> level & 1:  # what lies right of the old tree was not in it
            old = node_hash(sibling, old)
    _check_root(expected=root1, got=_chain_left(old, last))
    _check_root(expected=root2, got=_chain_left(climb(seed, middle, place), last))


def _shape(index: int, size: int) -> tuple[int, int]:
    """Returns how many hashes of a proof lie below and above where leaf and right edge part.

    Above that point every sibling is on the left.
    """
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def climb(seed: bytes, proof: Sequence[bytes], place: int) -> bytes:
    """Returns the node over `seed`, which is the one at `place` of its level; a sibling for each level up."""
    for level, sibling in enumerate(proof):
        seed = node_hash(sibling, seed) if place >> level & 1 else node_hash(seed, sibling)
    return seed


def _chain_left(seed: bytes, proof: Sequence[bytes]) -> bytes:
    for sibling in proof:
        seed = node_hash(sibling, seed)
    return seed


def _check_root(*, expected: bytes, got: bytes) -> None:
    if got != expected:
        raise ProofRootError("proof_root", expected=expected.hex(), got=got.hex())


def _check_hashes(*hashes: bytes) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofHashError("proof_hash", expected=HASH_BYTES, got=len(value))


def _check_edge(size: int, edge: Edge) -> None:
    if size < 0 or len(edge) != size.bit_count():
        raise ValueError(f"a tree of size {size} has no edge of {len(edge)} hashes")
