"""C2SP tlog-tiles: paths, widths, growing, and proofs made of nothing but tiles."""

from __future__ import annotations

import base64
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger import tiles
from app.ledger.merkle import (
    ProofIndexError,
    edge_append,
    leaf_hash,
    pair_hashes,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from app.ledger.tiles import (
    ENTRIES,
    EntryBundleMalformed,
    LevelTiles,
    Tile,
    TileMissing,
    TilePathMalformed,
    append_tiles,
    consistency_proof_from_tiles,
    cut_tile,
    decode_entries,
    edge_from_tiles,
    encode_entries,
    inclusion_proof_from_tiles,
    parse_tile_path,
    published_tiles,
    root_from_tiles,
    split_hashes,
    tile_path,
    tile_root,
    tiles_after,
)


def entries(count: int, start: int = 0) -> list[bytes]:
    return [n.to_bytes(32, "big") for n in range(start, start + count)]


def nothing_stored(level: int, index: int) -> None:
    return None


def reading(stored: dict[tuple[int, int], bytes]):
    return lambda level, index: stored.get((level, index))


def grown(*steps: int) -> dict[tuple[int, int], bytes]:
    """The stored tiles of a tree that grew by these steps."""
    stored: dict[tuple[int, int], bytes] = {}
    size = 0
    for count in steps:
        stored |= append_tiles(size, entries(count, size), reading(stored))
        size += count
    return stored


# --------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),  # the example of the specification
        (Tile(0, 273, 112), "tile/0/273.p/112"),
        (Tile(1, 1000, 1), "tile/1/x001/000.p/1"),
        (Tile(ENTRIES, 5, 255), "tile/entries/005.p/255"),
        (Tile(ENTRIES, 999), "tile/entries/999"),
        (Tile(7, 2**55 - 1), "tile/7/x036/x028/x797/x018/x963/967"),
    ],
)
def test_path_and_tile_name_each_other(tile, path):
    assert tile_path(tile) == path
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/tile/0/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/001",  # leading zero group
        "tile/0/001/067",
        "tile/0/x001/x067",
        "tile/0/X001/067",
        "tile/00/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/000.p/1/",
        "tile/0/000\n",
        "tile/0/000.p/1\n",
        "tile/0/٠٠٠",  # Arabic-Indic digits are digits to int()
        "tile/0/x000/x000/x000/x000/x000/000",
        "tile/0/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 5000 + "000",
    ],
)
def test_any_other_spelling_of_a_path_is_refused(path):
    with pytest.raises(TilePathMalformed) as refused:
        parse_tile_path(path)
    assert refused.value.slug == "not-found"


@given(st.text(alphabet="tile/entrsx.p0123456789", max_size=30))
def test_what_parses_is_spelt_the_one_way(path):
    try:
        tile = parse_tile_path(path)
    except TilePathMalformed:
        return
    assert tile_path(tile) == path


# ------------------------------------------------------------------------- which tiles there are


def test_seventy_thousand_leaves_have_the_tiles_of_the_specification():
    assert published_tiles(70_000) == (
        LevelTiles(ENTRIES, 273, 112),
        LevelTiles(0, 273, 112),
        LevelTiles(1, 1, 17),
        LevelTiles(2, 0, 1),
    )


def test_a_full_tile_is_hashed_up_and_a_partial_one_is_not():
    assert published_tiles(256) == (
        LevelTiles(ENTRIES, 1, 0),
        LevelTiles(0, 1, 0),
        LevelTiles(1, 0, 1),
    )
    assert published_tiles(255) == (LevelTiles(ENTRIES, 0, 255), LevelTiles(0, 0, 255))
    assert published_tiles(0) == ()


@pytest.mark.parametrize("power", [1, 2])
def test_one_leaf_past_a_power_widens_only_the_lowest_tiles(power):
    # Tessera #1178: a one-node tile was published under the path of a full one.
    size = 256**power
    assert list(tiles_after(size, size + 1)) == [
        Tile(ENTRIES, size // 256, 1),
        Tile(0, size // 256, 1),
    ]
    full = published_tiles(size + 1)
    assert full[1] == LevelTiles(0, size // 256, 1)
    assert full[-1] == LevelTiles(power, 0, 1)


@given(size=st.integers(0, 140_000), added=st.integers(0, 140_000))
@settings(max_examples=30)
def test_tiles_after_leads_from_one_published_set_to_the_next(size, added):
    widths: dict[tuple[int, int], int] = {}
    for level in published_tiles(size):
        widths |= {(level.level, n): 256 for n in range(level.full)}
        if level.partial:
            widths[level.level, level.full] = level.partial
    for tile in tiles_after(size, size + added):
        assert widths.get((tile.level, tile.index), 0) < tile.width
        widths[tile.level, tile.index] = tile.width
    expected: dict[tuple[int, int], int] = {}
    for level in published_tiles(size + added):
        expected |= {(level.level, n): 256 for n in range(level.full)}
        if level.partial:
            expected[level.level, level.full] = level.partial
    assert widths == expected


# --------------------------------------------------------------------------------------- bundles


def test_entry_bundle_of_the_specification():
    bundle = bytes.fromhex("0003 6f6e65 0003 74776f 0005 7468726565")
    assert encode_entries([b"one", b"two", b"three"]) == bundle
    assert decode_entries(bundle) == [b"one", b"two", b"three"]


def test_first_tile_of_the_golden_log():
    # example.com/log/testdata: leaf("one") as base64 opens tile/0/000.p/3.
    tiles = append_tiles(0, [b"one", b"two", b"three"], nothing_stored)
    assert base64.b64encode(tiles[0, 0][:32]) == b"0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek="
    assert tiles[ENTRIES, 0] == bytes.fromhex("00036f6e65000374776f00057468726565")


@pytest.mark.parametrize("damaged", [b"\x00", b"\x00\x05abcd", b"\x00\x01a\x00"])
def test_a_bundle_that_ends_too_early_is_refused(damaged):
    with pytest.raises(EntryBundleMalformed):
        decode_entries(damaged)


def test_a_bundle_of_more_than_256_entries_is_refused():
    with pytest.raises(EntryBundleMalformed):
        decode_entries(encode_entries([b""] * 257))


# --------------------------------------------------------------------------------------- growing


@pytest.mark.parametrize(
    "steps", [(1,), (255, 1), (256,), (257,), (100, 100, 100), (65_535, 2), (70_000,)]
)
def test_a_tree_grown_in_steps_has_the_tiles_of_a_tree_grown_at_once(steps):
    stored = grown(*steps)
    size = sum(steps)
    assert stored == grown(size)
    hashes = [leaf_hash(entry) for entry in entries(size)]
    assert b"".join(stored[0, n] for n in range(-(-size // 256))) == b"".join(hashes)
    assert {place: len(data) // 32 for place, data in stored.items() if place[0] >= 0} == {
        (tile.level, tile.index): tile.width for tile in tiles_after(0, size) if tile.level >= 0
    }
    assert edge_from_tiles(size, reading(stored)) == edge_append(0, (), hashes)
    assert root_from_tiles(size, reading(stored)) == root_of(hashes)


def test_only_changed_tiles_are_returned():
    stored = grown(600)
    changed = append_tiles(600, entries(10, 600), reading(stored))
    assert set(changed) == {(ENTRIES, 2), (0, 2)}
    assert append_tiles(600, [], reading(stored)) == {}


def test_what_a_crash_left_behind_the_committed_size_is_overwritten():
    stored = grown(300)
    ahead = append_tiles(300, entries(50, 9_000), reading(stored))
    again = append_tiles(300, entries(50, 300), reading(stored | ahead))
    assert stored | again == grown(350)


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\xff" * 7, b"\x00" * 9000])
@pytest.mark.parametrize("level", [ENTRIES, 0, 1])
def test_a_damaged_tile_never_stops_the_log_and_stays_wrong(level, damage):
    size = 300
    stored = grown(size)
    place = (level, 0 if level == 1 else 1)
    stored[place] = damage
    after = stored | append_tiles(size, entries(212, size), reading(stored))
    whole = grown(512)
    assert set(after) == set(whole)
    assert after[place] != whole[place]
    wrong = {at for at in whole if after[at] != whole[at]}
    # A wrong level-0 tile has a wrong hash above it, once it is full.
    assert wrong == ({place, (1, 0)} if level == 0 else {place})


def test_cut_tile_serves_every_width_that_was_ever_published():
    stored = grown(300)
    for width in (1, 17, 44):
        early = grown(256 + width)
        for level in (ENTRIES, 0):
            assert cut_tile(stored[level, 1], Tile(level, 1, width)) == early[level, 1]
    assert cut_tile(stored[0, 0], Tile(0, 0, 3)) == grown(3)[0, 0]
    with pytest.raises(TileMissing) as missing:
        cut_tile(stored[0, 1], Tile(0, 1, 45))
    assert missing.value.params == {"level": 0, "index": 1, "expected": 45, "got": 44}
    with pytest.raises(TileMissing):
        cut_tile(stored[ENTRIES, 1], Tile(ENTRIES, 1, 45))
    with pytest.raises(TileMissing):
        cut_tile(None, Tile(0, 2, 1))


def test_hash_above_a_full_tile_is_the_root_of_its_leaves():
    stored = grown(256)
    hashes = [leaf_hash(entry) for entry in entries(256)]
    assert tile_root(stored[0, 0]) == root_of(hashes) == stored[1, 0]
    assert split_hashes(stored[0, 0]) == hashes


# --------------------------------------------------------------------------------------- proofs

BIG = 70_000


@cache
def big_tiles() -> dict[tuple[int, int], bytes]:
    return grown(BIG)


@cache
def big_hashes() -> list[bytes]:
    return [leaf_hash(entry) for entry in entries(BIG)]


SIZES = st.one_of(
    st.integers(1, BIG),
    st.sampled_from([1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, BIG]),
)


@given(size=SIZES, data=st.data())
@settings(max_examples=40)
def test_inclusion_proofs_of_tiles_verify_for_every_published_size(size, data):
    index = data.draw(st.one_of(st.integers(0, size - 1), st.just(size - 1)))
    read: list[tuple[int, int]] = []

    def counting(level: int, tile_index: int) -> bytes | None:
        read.append((level, tile_index))
        return big_tiles().get((level, tile_index))

    proof = inclusion_proof_from_tiles(index, size, counting)
    verify_inclusion(
        index=index,
        size=size,
        leaf_hash=big_hashes()[index],
        proof=proof,
        root=root_of(big_hashes()[:size]),
    )
    assert len(set(read)) == len(read) <= 6


@given(sizes=st.tuples(SIZES, SIZES).map(sorted))
@settings(max_examples=40)
def test_consistency_proofs_of_tiles_verify(sizes):
    size1, size2 = sizes
    verify_consistency(
        size1=size1,
        size2=size2,
        root1=root_of(big_hashes()[:size1]),
        root2=root_of(big_hashes()[:size2]),
        proof=consistency_proof_from_tiles(size1, size2, reading(big_tiles())),
    )


def test_a_proof_needs_nothing_beyond_its_own_size():
    stored = grown(300)
    later = grown(70_000)
    for index in (0, 255, 256, 299):
        assert inclusion_proof_from_tiles(
            index, 300, reading(stored)
        ) == inclusion_proof_from_tiles(index, 300, reading(later))


def test_a_missing_or_short_tile_is_named():
    stored = grown(600)
    without = {place: data for place, data in stored.items() if place != (0, 1)}
    with pytest.raises(TileMissing) as missing:
        inclusion_proof_from_tiles(300, 600, reading(without))
    assert missing.value.tile == Tile(0, 1)
    short = stored | {(0, 2): stored[0, 2][:-32]}
    with pytest.raises(TileMissing):
        inclusion_proof_from_tiles(0, 600, reading(short))
    with pytest.raises(ProofIndexError):
        inclusion_proof_from_tiles(600, 600, reading(stored))


def test_golden_inclusion_proof_of_the_log_with_fifteen_leaves():
    words = "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten"
    stored = append_tiles(0, [w.encode() for w in words.split()], nothing_stored)
    proof = inclusion_proof_from_tiles(4, 15, reading(stored))
    assert [base64.b64encode(part).decode() for part in proof] == [
        "yiM+eia4w1wsk/Ukx7kF56IQVkDW3MWUaUz/VtJu+yU=",
        "nk9gCR+floFqznAPtqjjcnnV64dge2jQB95D5t164Hg=",
        "zY1lN35vrXYAPixXSd59LsU29xUJtuW4o2dNNg5Y2Co=",
        "5jLpqTgjsBDSEX6SgZiRnbTMdTuRd8bQ5tSsAOxe0Ks=",
    ]


def test_a_tile_that_has_become_full_is_not_hashed_again_for_its_first_proof(monkeypatch):
    leaves = entries(260, start=7_000_000)
    stored = append_tiles(0, leaves, lambda _level, _index: None)
    widths: list[int] = []

    def pair(nodes):
        widths.append(len(nodes))
        return pair_hashes(nodes)

    monkeypatch.setattr(tiles, "pair_hashes", pair)
    proof = inclusion_proof_from_tiles(5, 260, lambda level, index: stored.get((level, index)))
    assert max(widths) <= 32, "the full tile has 256"
    root = root_of([leaf_hash(entry) for entry in leaves])
    verify_inclusion(index=5, size=260, leaf_hash=leaf_hash(leaves[5]), proof=proof, root=root)
