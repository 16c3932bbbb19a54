"""A bit that flips in a body, a leaf, a tile or the tree's state is named where it is, and stops nobody."""

from __future__ import annotations

import random

import pytest

from app.ledger.derivation import TreeUnsound
from app.ledger.fsck import LogCheck
from app.ledger.publisher import LogFault
from tests.ledger.drills import flipped
from tests.ledger.ledgers import OTHER, UNIT, submission

FLIPS = 24


def flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def checked(change) -> list[str]:
    """What fsck finds in this transaction."""
    check = LogCheck(change.connection, change.ledger.signed(change.connection))
    return [problem.kind for problem in check.check()]


def bits(data: bytes) -> list[int]:
    return random.Random(20261125).sample(range(len(data) * 8), min(FLIPS, len(data) * 8))


@pytest.mark.parametrize(("stream", "seq"), [(UNIT, 0), (UNIT, 1), (OTHER, 2), (OTHER, 4)])
def test_in_a_body(scene, stream, seq, tried):
    with scene.change() as c:
        body = bytes(c.record(stream, seq).body)
    for bit in bits(body):
        with scene.change() as c:
            c.set("record", {"stream": stream, "seq": seq}, body=flip(body, bit))
            assert ("integrity.hash_mismatch", stream, seq) in c.found()
            assert checked(c) == ["log.record_mismatch"]
    tried("a bit flips in a body", scene.ledger.database.dialect, len(bits(body)))


@pytest.mark.parametrize(("stream", "seq"), [(UNIT, 0), (OTHER, 3)])
def test_in_a_leaf(scene, stream, seq, tried):
    with scene.change() as c:
        entry, index = bytes(c.record(stream, seq).hash), c.leaf(stream, seq)
    for bit in bits(entry):
        with scene.change() as c:
            c.set("log_leaf", {"stream": stream, "seq": seq}, hash=flip(entry, bit))
            assert c.found() == [("log.leaf_altered", index)]
            assert "log.record_mismatch" in checked(c)
    tried("a bit flips in a leaf", scene.ledger.database.dialect, len(bits(entry)))


@pytest.mark.parametrize(
    ("level", "index", "shown"),
    [(0, 0, "0/0"), (0, 1, "0/1"), (1, 0, "1/0"), (-1, 0, "entries/0"), (-1, 1, "entries/1")],
)
def test_in_a_tile(scene, level, index, shown, tried):
    with scene.change() as c:
        ((data,),) = c.run("SELECT data FROM tile WHERE level = ? AND tile_index = ?", level, index)
    for bit in bits(bytes(data)):
        with scene.change() as c:
            c.set("tile", {"level": level, "tile_index": index}, data=flip(bytes(data), bit))
            assert c.found() == [("log.tile_mismatch", shown)]
            assert checked(c) == ["log.tile_mismatch"]
    tried("a bit flips in a tile", scene.ledger.database.dialect, len(bits(bytes(data))))


@pytest.mark.parametrize("column", ["root", "edge", "size"])
def test_in_the_state(scene, column, tried):
    with scene.change() as c:
        ((value,),) = c.run(f"SELECT {column} FROM log_state")
    if column == "size":
        turned = [value ^ 1 << bit for bit in range(6)]
    else:
        turned = [flip(bytes(value), bit) for bit in bits(bytes(value))]
    for other in turned:
        with scene.change() as c:
            c.run(f"UPDATE log_state SET {column} = ?", other)
            assert {kind for kind, *_ in c.found()} & {
                "log.state_mismatch", "log.checkpoint_ahead", "log.leaf_altered",
            }  # fmt: skip
            assert {"log.state_mismatch", "log.leaf_missing"} & set(checked(c))
    tried("a bit flips in the tree's state", scene.ledger.database.dialect, len(turned))


@pytest.mark.parametrize("column", ["root", "edge"])
def test_a_state_that_was_altered_is_put_right_or_refused_never_signed(ledger, column):
    ledger.record(*(submission() for _ in range(5)))
    ledger.publish()
    anchored = ledger.anchor.read()
    (row,) = ledger.sql(f"SELECT {column} FROM log_state")
    ledger.sql(f"UPDATE log_state SET {column} = ?", flipped(bytes(row[0]), 3))
    ledger.add()
    try:
        ledger.sequence()
        ledger.publisher.publish()
    except (LogFault, TreeUnsound):
        assert ledger.anchor.read() == anchored
        return
    assert ledger.problems() == []
