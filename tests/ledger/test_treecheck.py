"""The log itself: a tile, leaf row or state that was changed is found once, and names no stream."""

from __future__ import annotations

import tracemalloc

import pytest

from app.ledger import logstore, tilestore
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import EMPTY_ROOT, leaf_hash, root_of
from app.ledger.tiles import ENTRIES, TILE_WIDTH, encode_entries
from app.ledger.treecheck import check_tree
from tests.ledger.drills import Change, flipped, place_of
from tests.ledger.ledgers import ORIGIN, OTHER, PRODUCT, UNIT, begin_at, submission

FULL, EDGE = 0, 1  # the scene's level-0 tiles: one full, one at the right edge


def tile(c: Change, level: int, index: int) -> bytes:
    data = tilestore.load_tile(c.connection, logstore.Log(0, 0), level, index)
    assert data is not None
    return data


def set_tile(level, index, make):
    def act(c: Change) -> None:
        where = {"level": level, "tile_index": index}
        c.set("tile", where, data=make(tile(c, level, index)))

    return act


def drop_tile(level, index):
    return lambda c: c.delete("tile", level=level, tile_index=index)


def set_leaf(stream, seq, *, hash_=b"h" * 32):
    return lambda c: c.set("log_leaf", {"stream": stream, "seq": seq}, hash=hash_)


def drop_leaf(stream, seq):
    return lambda c: c.delete("log_leaf", stream=stream, seq=seq)


def agree_on(stream, seq):
    """Makes the tile say what the leaf row was made to say."""

    def act(c: Change) -> None:
        index, offset = divmod(c.leaf(stream, seq), TILE_WIDTH)
        false = leaf_hash(b"h" * 32)
        set_tile(0, index, lambda d: d[: offset * 32] + false + d[(offset + 1) * 32 :])(c)

    return act


def set_state(**values):
    return lambda c: c.set("log_state", {"log": 0}, **values)


def in_turn(*acts):
    def act(c: Change) -> None:
        for one in acts:
            one(c)

    return act


def bad_tile(shown):
    return ("log.tile_mismatch", shown)


def at(kind, stream, seq):
    """A finding on a leaf, whose index is known once the scene is there."""
    return (f"log.leaf_{kind}", stream, seq)


def other_entries(data):
    count = len(data) // 34
    return encode_entries([bytes([n % 251]) * 32 for n in range(count)])


STATE = ("log.state_mismatch",)

DRILLS = {
    # tiles
    "a byte of a full tile": (set_tile(0, FULL, flipped), [bad_tile("0/0")]),
    "a full tile": (set_tile(0, FULL, lambda d: bytes(len(d))), [bad_tile("0/0")]),
    "a full tile, cut": (set_tile(0, FULL, lambda d: d[:-32]), [bad_tile("0/0")]),
    "a full tile, gone": (drop_tile(0, FULL), [bad_tile("0/0")]),
    "a byte of the tile at the edge": (set_tile(0, EDGE, flipped), [bad_tile("0/1")]),
    "the tile at the edge": (set_tile(0, EDGE, lambda d: bytes(len(d))), [bad_tile("0/1")]),
    "the tile at the edge, longer": (
        set_tile(0, EDGE, lambda d: d + b"h" * 32), [bad_tile("0/1")],
    ),
    "the tile at the edge, gone": (drop_tile(0, EDGE), [bad_tile("0/1")]),
    "a tile above": (set_tile(1, 0, flipped), [bad_tile("1/0")]),
    "a tile above, gone": (drop_tile(1, 0), [bad_tile("1/0")]),
    "a byte of the entries": (
        set_tile(ENTRIES, FULL, lambda d: flipped(d, 40)), [bad_tile("entries/0")],
    ),
    "a length among the entries": (set_tile(ENTRIES, FULL, flipped), [bad_tile("entries/0")]),
    "the entries": (set_tile(ENTRIES, FULL, other_entries), [bad_tile("entries/0")]),
    "the entries at the edge": (set_tile(ENTRIES, EDGE, other_entries), [bad_tile("entries/1")]),
    "the entries, gone": (drop_tile(ENTRIES, EDGE), [bad_tile("entries/1")]),
    "every tile": (
        lambda c: c.run("DELETE FROM tile"),
        [bad_tile(s) for s in ("0/0", "0/1", "1/0", "entries/0", "entries/1")],
    ),
    # leaf rows
    "a leaf": (set_leaf(UNIT, 1), [at("altered", UNIT, 1)]),
    "a leaf that others refer to": (set_leaf(PRODUCT, 1), [at("altered", PRODUCT, 1)]),
    "a leaf at the edge": (set_leaf(UNIT, 4), [at("altered", UNIT, 4)]),
    "two leaves": (
        in_turn(set_leaf(UNIT, 1), set_leaf(OTHER, 4)),
        [at("altered", UNIT, 1), at("altered", OTHER, 4)],
    ),
    "a leaf row": (drop_leaf(UNIT, 1), [at("missing", UNIT, 1)]),
    "a leaf row that others refer to": (drop_leaf(PRODUCT, 1), [at("missing", PRODUCT, 1)]),
    "the last leaf row": (drop_leaf(OTHER, 4), [at("missing", OTHER, 4)]),
    "two leaf rows": (
        in_turn(drop_leaf(UNIT, 1), drop_leaf(UNIT, 2)),
        [at("missing", UNIT, 1), at("missing", UNIT, 2)],
    ),
    # the state
    "the root": (set_state(root=b"r" * 32), [STATE]),
    "the edge": (set_state(edge=b"e" * 96), [STATE]),
    "the edge, cut": (set_state(edge=b"e" * 7), [STATE]),
    "a size larger": (set_state(size=10**12), [STATE]),
    "a size smaller": (set_state(size=3), [STATE]),
    "the state, gone": (lambda c: c.run("DELETE FROM log_state"), [STATE]),
    # more than one thing at once: each is still told by itself
    "a leaf, and its tile elsewhere": (
        in_turn(set_leaf(UNIT, 1), set_tile(0, FULL, lambda d: flipped(d, 32 * 200))),
        [at("altered", UNIT, 1), bad_tile("0/0")],
    ),
    "a leaf, and another tile": (
        in_turn(set_leaf(UNIT, 1), set_tile(0, EDGE, lambda d: bytes(len(d)))),
        [at("altered", UNIT, 1), bad_tile("0/1")],
    ),
    "a leaf, and all of its own tile": (
        in_turn(set_leaf(UNIT, 4), set_tile(0, EDGE, lambda d: bytes(len(d)))),
        [at("altered", UNIT, 4), bad_tile("0/1")],
    ),
    "a leaf, and its place in its tile": (
        in_turn(set_leaf(UNIT, 4), agree_on(UNIT, 4)),
        [at("altered", UNIT, 4), bad_tile("0/1")],
    ),
    "a leaf, and the tile above it": (
        in_turn(set_leaf(UNIT, 1), set_tile(1, 0, flipped)),
        [at("altered", UNIT, 1), bad_tile("1/0")],
    ),
    "a tile, and the one above it": (
        in_turn(set_tile(0, FULL, flipped), set_tile(1, 0, flipped)),
        [bad_tile("0/0"), bad_tile("1/0")],
    ),
    "a leaf at the edge, and the state's edge": (
        in_turn(set_leaf(UNIT, 4), set_state(edge=b"e" * 96)),
        [at("altered", UNIT, 4), STATE],
    ),
    "a leaf, and the root": (
        in_turn(set_leaf(UNIT, 1), set_state(root=b"r" * 32)), [at("altered", UNIT, 1), STATE],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRILLS)
def test_an_alteration_of_the_log_is_found_once_and_names_no_stream(scene, name):
    act, expected = DRILLS[name]
    with scene.change() as change:
        places = [
            (p[0], change.leaf(*p[1:])) if p[0].startswith("log.leaf") else p for p in expected
        ]
        act(change)
        assert change.found() == sorted(places, key=repr)


def test_a_record_and_its_tile_are_two_findings(scene):
    with scene.change() as change:
        body = bytes(change.record(UNIT, 2).body)
        change.set("record", {"stream": UNIT, "seq": 2}, body=flipped(body))
        set_tile(0, FULL, lambda d: bytes(len(d)))(change)
        assert change.found() == [("integrity.hash_mismatch", UNIT, 2), bad_tile("0/0")]


def test_a_leaf_row_that_was_added_is_found(scene):
    with scene.change() as change:
        change.run("INSERT INTO log_leaf VALUES (?, 1, 0, ?)", scene.ledger.size, b"h" * 32)
        found = change.found()
        assert ("log.leaf_altered", scene.ledger.size) in found


def test_a_size_of_text_is_a_finding_and_no_crash(scene):
    if scene.ledger.database.dialect != "sqlite":
        pytest.skip("PostgreSQL keeps the types of its columns")
    with scene.change() as change:
        set_state(size="many")(change)
        assert STATE in change.found()


# ------------------------------------------------------------------ what was signed


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 513])
def test_every_checkpoint_of_a_sound_log_agrees(quick_ledger, size):
    ledger = quick_ledger
    begin_at(ledger, size)
    with ledger.database.read() as connection:
        entries = logstore.leaf_hashes(connection, 0, size).values()
        hashes = [leaf_hash(entry) for entry in entries]
        sizes = {0, 1, size // 2, max(size - 1, 0), size} & set(range(size + 1))
        signed = [Checkpoint(ORIGIN, n, root_of(hashes[:n])) for n in sizes]
        told = []
        assert list(check_tree(connection, signed, progress=told.append)) == []
        assert (told or [0])[-1] == size
        # Several within one tile, and any of them may be the false one.
        for n in sizes - {0}:
            false = Checkpoint(ORIGIN, n, b"f" * 32)
            (problem,) = check_tree(connection, [*signed, false])
            assert (problem.kind, problem.evidence["size"]) == ("log.checkpoint_mismatch", str(n))
        ahead = Checkpoint(ORIGIN, size + 1, b"f" * 32)
        (problem,) = check_tree(connection, [*signed, ahead])
        assert problem.kind == "log.checkpoint_ahead"


def test_a_checkpoint_met_twice_is_one_finding(quick_ledger):
    begin_at(quick_ledger, 3)
    with quick_ledger.database.read() as connection:
        false = Checkpoint(ORIGIN, 2, b"f" * 32)
        assert len(list(check_tree(connection, [false, false]))) == 1


def test_a_log_rewritten_as_a_whole_contradicts_what_was_signed(scene):
    """Records, leaves, tiles and state fit each other again; only the signature remembers."""
    with scene.change() as change:
        change.hash_again(OTHER, logged=True)
        rows = change.run("SELECT hash FROM log_leaf ORDER BY leaf_index")
        entries = [bytes(row.hash) for row in rows]
        change.run("DELETE FROM tile")
        from app.ledger.merkle import edge_append, edge_root
        from app.ledger.tiles import append_tiles

        tiles = append_tiles(0, entries, lambda *_: None)
        tilestore.save_tiles(change.connection, logstore.Log(0, 0), tiles)
        edge = edge_append(0, (), [leaf_hash(entry) for entry in entries])
        set_state(root=edge_root(len(entries), edge), edge=b"".join(edge))(change)
        assert change.found() == [("log.checkpoint_mismatch",)]


def test_a_log_that_was_never_begun_is_clean(ledger):
    ledger.sql("DELETE FROM log_state")
    with ledger.database.read() as connection:
        assert list(check_tree(connection, [])) == []
        (problem,) = check_tree(connection, [Checkpoint(ORIGIN, 1, EMPTY_ROOT)])
        assert problem.kind == "log.checkpoint_ahead"


# ------------------------------------------------------------------ large


@pytest.mark.parametrize("size", [65_535, 65_537])
def test_tiles_of_the_second_level_are_checked(quick_ledger, size):
    begin_at(quick_ledger, size)

    def found() -> list:
        with quick_ledger.database.read() as connection:
            return [place_of(problem) for problem in check_tree(connection, [])]

    assert found() == []
    levels = [(1, 0, "1/0"), *([(2, 0, "2/0")] if size > 65_536 else [])]
    for level, index, shown in levels:
        where = f"level = {level} AND tile_index = {index}"
        ((data,),) = quick_ledger.sql(f"SELECT data FROM tile WHERE {where}")
        quick_ledger.sql(f"UPDATE tile SET data = ? WHERE {where}", flipped(data))
        assert found() == [bad_tile(shown)]
        quick_ledger.sql(f"UPDATE tile SET data = ? WHERE {where}", data)


def test_memory_does_not_grow_with_the_log(quick_ledger):
    peaks = []
    for size in (10 * TILE_WIDTH, 40 * TILE_WIDTH):
        quick_ledger.sql("DELETE FROM log_leaf")
        begin_at(quick_ledger, size)
        with quick_ledger.database.read() as connection:
            list(check_tree(connection, []))  # statements are compiled once
            tracemalloc.start()
            assert list(check_tree(connection, [])) == []
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2


def test_a_ledger_of_each_kind_is_clean_at_every_step(ledger):
    for _ in range(3):
        ledger.record(submission(), submission(OTHER))
        assert ledger.problems() == []
        ledger.sequence()
        assert ledger.problems() == []
        ledger.publish()
        assert ledger.problems() == []
