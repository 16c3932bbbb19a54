"""The sequencer: every record gets one index, in an order that keeps each stream's own."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from app.ledger import logstore
from app.ledger.derivation import TreeUnsound
from app.ledger.logstore import TreeMoved
from app.ledger.merkle import root_of
from app.ledger.record import stream_key
from app.ledger.sequencer import Sequencer
from app.ledger.tiles import ENTRIES, published_tiles
from tests.ledger.ledgers import (
    ORIGIN,
    OTHER,
    PRODUCT,
    UNIT,
    Ledger,
    begin_at,
    check_log,
    submission,
)

STREAMS = (UNIT, OTHER, PRODUCT)


def tiles_of(ledger) -> dict[tuple[int, int], bytes]:
    with ledger.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT level, tile_index, data FROM tile").all()
    return {(row.level, row.tile_index): bytes(row.data) for row in rows}


def test_an_empty_queue_is_no_work(ledger):
    assert ledger.sequencer.sequence() == 0
    ledger.add()
    assert ledger.sequencer.sequence() == 1
    assert ledger.sequencer.sequence() == 0
    check_log(ledger, records=1)


@pytest.mark.parametrize("round_size", [1, 2, 5])
def test_each_streams_order_is_kept_in_rounds_of_any_size(quick_ledger, clock, round_size):
    ledger = quick_ledger
    for n in range(6):
        ledger.record(*(submission(stream) for stream in STREAMS))
        clock.advance(-0.5 if n % 2 else 0.7)
    while ledger.sequencer.sequence(round_size):
        check_log(ledger, records=18)
    assert ledger.size == 18


def test_records_join_while_others_are_sequenced(ledger):
    for n in range(4):
        ledger.record(*(submission(STREAMS[k % 3]) for k in range(n + 1)))
        ledger.sequencer.sequence(2)
    ledger.sequence()
    check_log(ledger, records=10)


def test_a_log_that_was_never_begun_is_not_begun_by_the_way(ledger):
    ledger.add()
    ledger.sql("DELETE FROM log_state")
    with pytest.raises(RuntimeError, match="suxin init"):
        ledger.sequencer.sequence()


@pytest.mark.parametrize("size", [255, 256, 257, 65_535, 65_536, 65_537])
def test_tiles_around_a_full_one_are_whole_and_no_partial_one_is_hashed_above(quick_ledger, size):
    # Beyond a few hundred the leaves need no records behind them.
    ledger = quick_ledger
    begin_at(ledger, size - 2)
    ledger.add()
    assert ledger.sequence() == 1
    ledger.record(submission(), submission())
    ledger.sequence()
    tiles = tiles_of(ledger)
    with ledger.database.read() as connection:
        entries = list(logstore.leaf_hashes(connection, 0, size + 1).values())
        state = logstore.load_state(connection)
    leaves = [logstore.leaf_hash(entry) for entry in entries]
    assert (state.size, state.root) == (size + 1, root_of(leaves))
    expected = {}
    for level in published_tiles(size + 1):
        width = 34 if level.level == ENTRIES else 32
        expected |= {(level.level, n): 256 * width for n in range(level.full)}
        if level.partial:
            expected[level.level, level.full] = level.partial * width
    assert {place: len(data) for place, data in tiles.items()} == expected
    bottom = b"".join(tiles[0, n] for n in range(-(-(size + 1) // 256)))
    assert bottom == b"".join(leaves)


# ------------------------------------------------------------------ two sequencers


def test_of_two_sequencers_at_one_size_the_second_writes_nothing(ledger):
    """The second looked at the same tree; the first was faster."""
    ledger.record(submission(), submission(OTHER))
    with ledger.database.read() as connection:
        before = logstore.load_state(connection)
    ledger.sequence()
    with pytest.raises(TreeMoved), ledger.database.write() as connection:
        logstore.move_state(connection, before, before)
    check_log(ledger, records=2)


def test_two_sequencers_at_once_give_every_record_one_index(
    postgresql_database_url, tmp_path, clock
):
    ledger = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    other = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    done, moved, failed = [], [], []

    def sequence(sequencer: Sequencer) -> None:
        while sum(done) < 120:
            try:
                done.append(sequencer.sequence(7))
            except TreeMoved as err:
                moved.append(err)
            except Exception as err:
                failed.append(err)
                return

    threads = [threading.Thread(target=sequence, args=(s.sequencer,)) for s in (ledger, other)]
    for thread in threads:
        thread.start()
    for n in range(20):
        ledger.record(*(submission(STREAMS[(n + k) % 3]) for k in range(6)))
    for thread in threads:
        thread.join(30)
    assert not failed, failed
    assert sum(done) == 120
    other.close()
    check_log(ledger, records=120)
    ledger.close()


def test_a_record_committed_while_the_queue_is_emptied_keeps_its_place(
    postgresql_database_url, tmp_path, clock
):
    """What joins the queue after the round was read must not leave it with the round."""
    ledger = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    other = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    ledger.record(submission(), submission(OTHER))
    joined = []

    def join(connection, cursor, statement, *_):
        if statement.startswith("DELETE FROM unsequenced") and not joined:
            joined.append(other.add(PRODUCT))

    event.listen(ledger.database._writer, "before_cursor_execute", join)
    assert ledger.sequencer.sequence() == 2
    assert joined
    assert ledger.sequencer.sequence() == 1
    other.close()
    check_log(ledger, records=3)
    ledger.close()


# ------------------------------------------------------------------ what is damaged


DAMAGES = {
    "missing": None,
    "empty": b"",
    "short": 31,
    "one hash less": -32,
    "altered": "altered",
    "all zeros": "zeros",
    "text": "text",
}


def damage(ledger, level: int, index: int, how: str) -> None:
    (found,) = ledger.sql("SELECT data FROM tile WHERE level = ? AND tile_index = ?", level, index)
    data = bytes(found[0])
    match DAMAGES[how]:
        case None:
            ledger.sql("DELETE FROM tile WHERE level = ? AND tile_index = ?", level, index)
            return
        case int(cut):
            data = data[:cut]
        case "altered":
            data = data[:20] + bytes([data[20] ^ 1]) + data[21:]
        case "zeros":
            data = bytes(len(data))
        case "text":
            data = "not a tile" if ledger.database.dialect == "sqlite" else b"not a tile"
        case bytes(other):
            data = other
    ledger.sql("UPDATE tile SET data = ? WHERE level = ? AND tile_index = ?", data, level, index)


@pytest.mark.parametrize("ahead", [0, 1, 7])
def test_a_leaf_row_where_none_can_be_yet_is_replaced_and_reported(ledger, ahead):
    ledger.grow(3)
    place = (3 + ahead, 99, 0, b"\x07" * 32)
    ledger.sql("INSERT INTO log_leaf (leaf_index, stream, seq, hash) VALUES (?, ?, ?, ?)", *place)
    ledger.record(*(submission() for _ in range(8)))
    assert ledger.sequence() == 8
    assert [(p.kind, p.leaf_index) for p in ledger.reported] == [("log.leaf_altered", 3)]
    ledger.publish()
    check_log(ledger, records=11)


def test_a_leaf_row_that_took_a_waiting_records_place_is_replaced(ledger):
    ledger.grow(3)
    recorded = ledger.add()
    key = stream_key(UNIT)
    place = (1_000_000, key, recorded.seq, b"\x07" * 32)
    ledger.sql("INSERT INTO log_leaf (leaf_index, stream, seq, hash) VALUES (?, ?, ?, ?)", *place)
    assert ledger.sequence() == 1
    ledger.publish()
    check_log(ledger, records=4)


def test_a_leaf_of_the_tree_that_names_a_waiting_record_holds_up_that_one_alone(ledger):
    ledger.grow(3)
    ledger.add()
    own = ledger.sql("SELECT stream, seq FROM log_leaf WHERE leaf_index = 1")[0]
    change = "UPDATE log_leaf SET stream = ?, seq = ? WHERE leaf_index = 1"
    ledger.sql(change, stream_key(UNIT), 0)
    ledger.add(OTHER)
    assert ledger.sequence() == 1
    assert {(p.kind, p.leaf_index) for p in ledger.reported} == {("log.leaf_altered", 1)}
    ledger.publisher.publish()
    ledger.sql(change, *own)
    ledger.publish()
    check_log(ledger, records=5)


def test_no_leaf_of_the_tree_can_be_deleted(ledger):
    ledger.grow(3)
    with pytest.raises(DBAPIError), ledger.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM log_leaf WHERE leaf_index = 2")
    check_log(ledger, records=3)


def test_a_damaged_right_edge_tile_is_derived_again_and_never_stops_the_log(ledger, logs):
    ledger.grow(258)
    for how in DAMAGES:
        for level in (ENTRIES, 0):
            damage(ledger, level, 1, how)
            logs.clear()
            ledger.record(submission(), submission())
            assert ledger.sequence() == 2, (how, level)
            told = [e for e in logs if e["event"] == "log.tile_damaged"]
            assert [(e["level"], e["derived_again"]) for e in told] == [(level, True)], how
            # What it made good, no audit could find any more.
            tile = f"{'entries' if level == ENTRIES else level}/1"
            assert [p.evidence for p in ledger.reported] == [{"tile": tile, "log": ORIGIN}], how
            ledger.reported.clear()
    ledger.publish()
    check_log(ledger, records=258 + 4 * len(DAMAGES))


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_tile_above_is_derived_again_when_it_grows(quick_ledger, logs, how):
    ledger = quick_ledger
    ledger.grow(511)
    damage(ledger, 1, 0, how)
    ledger.add()
    ledger.sequence()
    assert [(e["level"], e["derived_again"]) for e in logs if e["event"] == "log.tile_damaged"] == [
        (1, True)
    ]
    check_log(ledger, records=512)


def test_a_tile_whose_leaves_are_damaged_too_does_not_stop_the_log(ledger, logs):
    ledger.grow(3)
    damage(ledger, 0, 0, "altered")
    ledger.sql("UPDATE log_leaf SET hash = ? WHERE leaf_index = 1", b"\x07" * 32)
    ledger.add()
    assert ledger.sequence() == 1
    assert [e["derived_again"] for e in logs if e["event"] == "log.tile_damaged"] == [False]
    assert ledger.problems()


def test_an_edge_that_does_not_fold_to_the_root_is_derived_again(ledger, logs):
    ledger.grow(5)
    for edge in (b"", b"\x01" * 32, b"\x01" * 64, b"\x01" * 65):
        ledger.sql("UPDATE log_state SET edge = ?", edge)
        ledger.add()
        assert ledger.sequence() == 1
    assert sum(e["event"] == "log.edge_derived_again" for e in logs) == 4
    check_log(ledger, records=9)


@pytest.mark.parametrize("what", ["root", "leaf", "hole"])
def test_a_tree_that_contradicts_itself_is_not_extended(ledger, what):
    ledger.grow(5)
    edge, root = b"\x01" * 64, b"\x02" * 32
    if what == "root":
        ledger.sql("UPDATE log_state SET root = ?", root)
    elif what == "leaf":
        ledger.sql("UPDATE log_state SET edge = ?", edge)
        ledger.sql("UPDATE log_leaf SET hash = ? WHERE leaf_index = 2", root)
    else:
        ledger.sql("UPDATE log_state SET edge = ?", edge)
        ledger.sql("DELETE FROM log_leaf WHERE leaf_index = 2")
    ledger.add()
    with pytest.raises(TreeUnsound):
        ledger.sequencer.sequence()
    assert ledger.size == 5
    # Records are still taken; only the log waits for a person.
    ledger.add(OTHER)
