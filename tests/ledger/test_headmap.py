"""The map of heads against a reference that is nothing but the definition."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger.headmap import (
    EMPTY,
    HeadsProofError,
    Leaf,
    RootBuilder,
    map_key,
    map_leaf,
    prove,
    root_of_map,
    verify_absence,
    verify_head,
)
from app.ledger.headpages import MAX_BUCKET, PageDamaged, grow, read_all, walk

LONG = bytes(range(32))


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


@contextmanager
def refused_as(reason):
    with pytest.raises(HeadsProofError) as refused:
        yield
    assert refused.value.reason == reason


def bit_of(key: bytes, depth: int) -> int:
    return int.from_bytes(key, "big") >> 255 - depth & 1


def naive_leaf(leaf: Leaf) -> bytes:
    return sha(b"\x00", leaf.key, leaf.seq.to_bytes(8, "big"), leaf.hash)


def naive_root(leaves: list[Leaf], depth: int = 0) -> bytes:
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return naive_leaf(leaves[0])
    halves = [[x for x in leaves if bit_of(x.key, depth) == side] for side in (0, 1)]
    return sha(b"\x01", *(naive_root(half, depth + 1) for half in halves))


def near(key: bytes, shared: int) -> bytes:
    """A key that shares exactly so many first bits."""
    return (int.from_bytes(key, "big") ^ 1 << 255 - shared).to_bytes(32, "big")


def leaf_at(key: bytes, seq: int = 0) -> Leaf:
    return Leaf(key, seq, sha(b"head", key, str(seq).encode()))


KEYS = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 255).map(lambda shared: near(LONG, shared)),
    st.just(LONG),
)
MAPS, SOME = (
    st.dictionaries(KEYS, st.integers(0, 2**53), min_size=least, max_size=40).map(
        lambda found: [leaf_at(key, seq) for key, seq in found.items()]
    )
    for least in (0, 1)
)


@dataclass
class Pages:
    """Pages in memory, and the root that they should give."""

    root: bytes = EMPTY
    rows: dict = field(default_factory=dict)
    streams: int = 0

    def load(self, depth, prefixes):
        return {p: self.rows[depth, p] for p in prefixes if (depth, p) in self.rows}

    def grow(self, leaves):
        grown = grow(sorted(leaves), load=self.load, root=self.root)
        self.rows |= grown.pages
        self.root = grown.root
        self.streams += grown.added
        return grown

    def walk(self, key):
        return walk(key, load=self.load)


# ------------------------------------------------------------------------------ the definition


def test_hashes_are_those_of_the_format():
    leaf = Leaf(map_key("01/06901234567892"), 3, b"\x07" * 32)
    assert leaf.key == sha(b"suxin-stream/1\n01/06901234567892")
    assert map_leaf(leaf) == sha(b"\x00", leaf.key, b"\0\0\0\0\0\0\0\x03", b"\x07" * 32)
    assert root_of_map([]) == bytes(32)
    assert root_of_map([leaf]) == map_leaf(leaf)
    zero, one = leaf_at(bytes(32)), leaf_at(b"\x80" + bytes(31))
    assert root_of_map([one, zero]) == sha(b"\x01", map_leaf(zero), map_leaf(one))
    # Two keys that part at the last of three bits: nothing stands beside them on the way.
    first, second = leaf_at(b"\x00" * 32), leaf_at(b"\x20" + bytes(31))
    parted = sha(b"\x01", map_leaf(first), map_leaf(second))
    expected = sha(b"\x01", sha(b"\x01", parted, bytes(32)), bytes(32))
    assert root_of_map([second, first]) == expected


@given(MAPS)
def test_root_is_that_of_the_definition_in_whatever_order(leaves):
    assert root_of_map(leaves) == root_of_map(leaves[::-1]) == naive_root(leaves)


def test_keys_that_share_all_but_the_last_bit_are_told_apart():
    leaves = [leaf_at(LONG), leaf_at(near(LONG, 255))]
    root = root_of_map(leaves)
    assert root == naive_root(leaves)
    for leaf in leaves:
        path = prove(leaves, leaf.key)
        assert len(path.siblings) == 256
        verify_head(leaf, path.siblings, root=root)
    with refused_as("length"):
        verify_head(leaves[0], [b"\x01" * 32, *path.siblings], root=root)


def test_leaves_out_of_order_are_refused_by_the_builder():
    builder = RootBuilder()
    builder.add(leaf_at(b"\x01" * 32))
    for key in (b"\x01" * 32, b"\x00" * 32):
        with pytest.raises(ValueError, match="order"):
            builder.add(leaf_at(key))


# ---------------------------------------------------------------------------------- the proofs


@given(SOME, st.data())
def test_every_head_is_proven_and_nothing_else(leaves, data):
    root = root_of_map(leaves)
    leaf = data.draw(st.sampled_from(leaves))
    path = prove(leaves, leaf.key)
    assert path.leaf == leaf
    verify_head(leaf, path.siblings, root=root)
    siblings = list(path.siblings)
    wrong = [
        (leaf._replace(seq=leaf.seq + 1), siblings),
        (leaf._replace(hash=bytes(32)), siblings),
        (leaf._replace(key=near(leaf.key, 0)), siblings),
        (leaf, [*siblings, bytes(32)]),
        (leaf, [b"\x01" * 32, *siblings]),
        (leaf, [bytes(32), *siblings]),
        *([(leaf, siblings[1:]), (leaf, siblings[:-1])] if siblings else []),
    ]
    for told, proof in wrong:
        with pytest.raises(HeadsProofError):
            verify_head(told, proof, root=root)
    with refused_as("root"):
        verify_head(leaf, siblings, root=near(root, 7))


@given(MAPS, KEYS)
def test_a_stream_that_is_not_there_is_proven_absent(leaves, key):
    root = root_of_map(leaves)
    path = prove(leaves, key)
    if path.leaf is not None and path.leaf.key == key:
        with refused_as("key"):
            verify_absence(key, path.leaf, path.siblings, root=root)
        return
    verify_absence(key, path.leaf, path.siblings, root=root)
    for leaf in leaves:
        with pytest.raises(HeadsProofError):
            verify_absence(leaf.key, path.leaf, path.siblings, root=root)


@pytest.mark.parametrize(
    ("leaf", "siblings", "reason"),
    [
        (leaf_at(LONG)._replace(seq=2**64), [], "seq"),
        (leaf_at(LONG)._replace(seq=-1), [], "seq"),
        (leaf_at(LONG), [b"\x01" * 31], "sibling"),
        (leaf_at(LONG), [bytes(32), b"\x01" * 32], "lone"),
        (leaf_at(LONG), [b"\x01" * 32] * 257, "length"),
        (leaf_at(LONG), [b"\x01" * 32], "root"),
    ],
)
def test_a_false_proof_is_refused_with_its_reason(leaf, siblings, reason):
    with refused_as(reason):
        verify_head(leaf, siblings, root=root_of_map([leaf_at(LONG)]))


# ----------------------------------------------------------------------------------- the pages


@given(st.lists(MAPS, max_size=4), KEYS)
@settings(max_examples=60)
def test_pages_give_the_same_root_and_paths_however_the_map_came_about(steps, other):
    pages = Pages()
    known: dict[bytes, Leaf] = {}
    for step in steps:
        pages.grow(step)
        for leaf in step:
            if leaf.key not in known or known[leaf.key].seq < leaf.seq:
                known[leaf.key] = leaf
    leaves = list(known.values())
    assert (pages.root, pages.streams) == (naive_root(leaves), len(leaves))
    assert list(read_all(load=pages.load, root=pages.root)) == sorted(leaves)
    for key in [*known, other]:
        assert pages.walk(key) == prove(leaves, key)


def many(count: int, start: int = 0) -> list[Leaf]:
    return [leaf_at(map_key(f"01/{n}")) for n in range(start, start + count)]


def test_buckets_overflow_into_pages_and_few_pages_change_afterwards():
    pages = Pages()
    leaves = many(5_000)
    for start in range(0, 5_000, 700):
        pages.grow(leaves[start : start + 700])
    assert pages.root == root_of_map(leaves) == naive_root(leaves)
    moved = [leaf_at(leaves[n].key, 1) for n in (3, 700, 4_999)]
    grown = pages.grow(moved)
    assert grown.added == 0
    assert len(grown.pages) <= 3 * 3 + 1
    now = {leaf.key: leaf for leaf in [*leaves, *moved]}
    assert pages.root == root_of_map(now.values())
    for leaf in now.values():
        path = pages.walk(leaf.key)
        verify_head(leaf, path.siblings, root=pages.root)
    assert pages.grow(moved).pages == {}  # a second time changes nothing


def test_a_bucket_of_keys_that_share_a_long_prefix_is_cut_where_they_part():
    pages = Pages()
    same = b"\xab" * 16
    leaves = [leaf_at(same + sha(bytes([n]))[:16]) for n in range(MAX_BUCKET + 5)]
    pages.grow(leaves)
    assert pages.root == naive_root(leaves)
    assert all(pages.walk(leaf.key) == prove(leaves, leaf.key) for leaf in leaves)
    assert list(read_all(load=pages.load, root=pages.root)) == sorted(leaves)


@given(st.data())
@settings(max_examples=60)
def test_no_page_that_was_touched_gives_another_root(data):
    pages, leaves = GROWN
    place = data.draw(st.sampled_from(sorted(pages.rows)))
    raw = bytearray(pages.rows[place])
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    damaged = Pages(pages.root, pages.rows | {place: bytes(raw)}, pages.streams)
    with pytest.raises(PageDamaged):
        list(read_all(load=damaged.load, root=damaged.root))
    moved = [leaf_at(leaf.key, 1) for leaf in data.draw(st.permutations(leaves))[:20]]
    now = {leaf.key: leaf for leaf in [*leaves, *moved]}
    try:
        damaged.grow(moved)
    except PageDamaged:
        return
    assert damaged.root == root_of_map(now.values())


GROWN = (Pages(), many(400))
GROWN[0].grow(GROWN[1])


@pytest.mark.parametrize("missing", [(0, b""), (4, b"\x30")])
def test_a_page_that_is_gone_is_named(missing):
    pages, leaves = GROWN
    damaged = Pages(pages.root, {k: v for k, v in pages.rows.items() if k != missing})
    named = f"{missing[0]}/{missing[1].hex()}"
    with pytest.raises(PageDamaged, match=named):
        list(read_all(load=damaged.load, root=damaged.root))
    with pytest.raises(PageDamaged, match=named):
        damaged.grow([leaf_at(leaf.key, 1) for leaf in leaves])
