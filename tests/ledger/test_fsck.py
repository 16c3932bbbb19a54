"""The log derived once more from records alone: clean where it is, named where it is not."""

from __future__ import annotations

import pytest

from app.ledger.fsck import LogCheck
from app.ledger.tiles import ENTRIES
from tests.ledger.drills import flipped
from tests.ledger.ledgers import ORIGIN, OTHER, PRODUCT, UNIT, submission
from tests.ledger.test_treecheck import drop_tile, set_leaf, set_state, set_tile


def found(ledger, connection) -> list[tuple]:
    check = LogCheck(connection, ledger.signed(connection))
    return [
        (p.kind, p.leaf_index if p.leaf_index is not None else p.evidence.get("tile"))
        for p in check.check()
    ]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 513])
def test_a_log_of_any_size_comes_out_as_it_was_signed(quick_ledger, size):
    ledger = quick_ledger
    if size:
        ledger.record(*(submission() for _ in range(size)))
    ledger.publish()
    with ledger.database.read() as connection:
        (signed, *_) = ledger.signed(connection)
        check = LogCheck(connection, [signed])
        assert list(check.check()) == []
    (log,) = check.logs
    assert (log.size, log.root, check.leaves) == (size, signed.root, size)
    full, rest = divmod(size, 256)
    assert check.tiles == 2 * (full + (rest > 0)) + (full > 0)


DAMAGES = {
    "a body": (
        lambda c: c.set("record", {"stream": UNIT, "seq": 1}, body=b"{}"),
        lambda c: [("log.record_mismatch", c.leaf(UNIT, 1))],
    ),
    "a record gone": (
        lambda c: c.delete("record", stream=OTHER, seq=4),
        lambda c: [("log.record_mismatch", c.leaf(OTHER, 4))],
    ),
    "a full tile": (
        set_tile(0, 0, flipped), lambda _: [("log.tile_mismatch", "0/0")],
    ),
    "the last tile": (
        set_tile(0, 1, flipped), lambda _: [("log.tile_mismatch", "0/1")],
    ),
    "a bundle": (
        set_tile(ENTRIES, 0, lambda d: flipped(d, 9)),
        lambda _: [("log.tile_mismatch", "entries/0")],
    ),
    "a tile above": (
        set_tile(1, 0, flipped), lambda _: [("log.tile_mismatch", "1/0")],
    ),
    "a tile gone": (
        drop_tile(0, 1), lambda _: [("log.tile_mismatch", "0/1"), ("log.tile_foreign", None)],
    ),
    "the root": (
        set_state(root=b"r" * 32), lambda _: [("log.state_mismatch", None)],
    ),
    "the edge": (
        set_state(edge=b"e" * 64), lambda _: [("log.state_mismatch", None)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_named_at_its_place(scene, name):
    act, expected = DAMAGES[name]
    with scene.change() as change:
        told = expected(change)
        act(change)
        assert found(scene.ledger, change.connection) == told


def test_a_leaf_row_that_was_changed_shows_in_all_that_follows_from_it(scene):
    with scene.change() as change:
        place = change.leaf(PRODUCT, 1)
        set_leaf(PRODUCT, 1)(change)
        told = found(scene.ledger, change.connection)
    assert ("log.record_mismatch", place) in told
    assert {kind for kind, _ in told} == {
        "log.record_mismatch", "log.tile_mismatch", "log.state_mismatch", "log.checkpoint_mismatch",
    }  # fmt: skip


def test_behind_a_hole_nothing_is_derived(scene):
    with scene.change() as change:
        place = change.leaf(PRODUCT, 1)
        change.delete("log_leaf", stream=PRODUCT, seq=1)
        assert found(scene.ledger, change.connection) == [("log.leaf_missing", place)]


def test_what_was_signed_and_never_logged_is_ahead(quick_ledger):
    from dataclasses import replace

    ledger = quick_ledger
    ledger.grow(3)
    ledger.publish()
    with ledger.database.read() as connection:
        (signed, *_) = ledger.signed(connection)
        later = replace(signed, size=9)
        (problem,) = LogCheck(connection, [later]).check()
    assert problem.kind == "log.checkpoint_ahead"
    assert problem.evidence == {"size": "9", "got": "3", "log": ORIGIN}
