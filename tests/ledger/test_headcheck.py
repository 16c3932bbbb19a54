"""The recorded map against the log: a chain's hidden end is named, a touched page too."""

from __future__ import annotations

import tracemalloc

import pytest

from app.ledger import headcheck, logstore
from app.ledger.headcheck import check_heads
from app.ledger.headmap import HEADS_STREAM, map_key
from app.ledger.merkle import edge_append, edge_root, leaf_hash
from app.ledger.record import stream_key
from tests.ledger.ledgers import OTHER, PRODUCT, UNIT, Ledger, submission
from tests.ledger.test_heads import Mapped


@pytest.fixture
def mapped(ledger: Ledger) -> Mapped:
    made = Mapped(ledger)
    ledger.add(PRODUCT)
    for _ in range(3):
        ledger.add(UNIT)
        ledger.add(OTHER)
    ledger.record(*(submission(f"01/06901234567892/21/{n}") for n in range(120)))
    made.make()
    ledger.add(UNIT)  # and on it goes
    ledger.add("01/06901234567892/21/new")
    ledger.publish()
    return made


def found(mapped: Mapped, known: tuple[str, ...] = ()) -> list[dict[str, str]]:
    with mapped.ledger.database.read() as connection:
        problems = list(check_heads(connection, is_known=known.__contains__))
    for problem in problems:
        assert (problem.kind, problem.stream) == ("log.heads_mismatch", None)
    return [dict(problem.evidence) for problem in problems]


def head_of(mapped: Mapped, stream: str, seq: int) -> str:
    ((hash_,),) = mapped.ledger.sql(
        "SELECT hash FROM record WHERE stream = ? AND seq = ?", stream_key(stream), seq
    )
    return f"{seq} {bytes(hash_).hex()}"


def hide_tail(mapped: Mapped, stream: str, first: int) -> None:
    """Takes records out of record, leaf and head alike, as whoever owns the database would."""
    ledger, key = mapped.ledger, stream_key(stream)
    ledger.sql("DELETE FROM record WHERE stream = ? AND seq >= ?", key, first)
    ledger.sql("DELETE FROM log_leaf WHERE stream = ? AND seq >= ?", key, first)
    ledger.sql(
        "UPDATE head SET seq = ?, hash = (SELECT hash FROM record WHERE stream = ? AND seq = ?)"
        " WHERE stream = ?",
        first - 1, key, first - 1, key,
    )  # fmt: skip


def test_what_was_not_touched_is_what_was_recorded(mapped):
    assert found(mapped) == []
    mapped.make()
    assert found(mapped) == []
    assert mapped.ledger.problems() == []


def test_before_the_first_map_there_is_nothing_to_say(ledger):
    ledger.add(UNIT)
    ledger.publish()
    assert found(Mapped(ledger)) == []


def test_a_chain_whose_end_was_taken_out_everywhere_is_named(mapped):
    expected, left = head_of(mapped, OTHER, 2), head_of(mapped, OTHER, 0)
    hide_tail(mapped, OTHER, 1)
    told = {"stream": OTHER, "expected": expected, "got": left}
    assert found(mapped) == [told]
    assert found(mapped, known=(OTHER,)) == []  # told once, where it stands


def test_a_hidden_end_is_found_even_in_a_log_that_was_built_anew(mapped):
    """Leaves renumbered, tiles and state made to fit: only the map still tells."""
    ledger = mapped.ledger
    hide_tail(mapped, OTHER, 2)
    rows = ledger.sql("SELECT leaf_index, hash FROM log_leaf ORDER BY leaf_index")
    for at, row in enumerate(rows):
        if row.leaf_index != at:
            ledger.sql(
                "UPDATE log_leaf SET leaf_index = ? WHERE leaf_index = ?", at, row.leaf_index
            )
    edge = edge_append(0, (), [leaf_hash(bytes(row.hash)) for row in rows])
    ledger.sql(
        "UPDATE log_state SET size = ?, root = ?, edge = ?",
        len(rows), edge_root(len(rows), edge), b"".join(edge),
    )  # fmt: skip
    with ledger.database.read() as connection:
        assert logstore.is_sound(logstore.load_state(connection))
    # The map's size reaches one leaf further now, so that a stream beside it shows as well.
    assert OTHER in {one.get("stream") for one in found(mapped)}


def test_a_stream_that_is_gone_altogether_is_told_by_its_key(mapped):
    stream = "01/06901234567892/21/7"
    for table in ("record", "log_leaf", "head"):
        mapped.ledger.sql(f"DELETE FROM {table} WHERE stream = ?", stream_key(stream))
    (told,) = found(mapped)
    assert told["key"] == map_key(stream).hex()
    assert told["got"] == "none"


def test_a_record_that_was_altered_with_its_leaf_is_named(mapped):
    mapped.ledger.sql(
        "UPDATE log_leaf SET hash = ? WHERE stream = ? AND seq = 2", bytes(32), stream_key(OTHER)
    )
    assert [one["stream"] for one in found(mapped)] == [OTHER]


def test_a_lost_or_altered_name_changes_nothing(mapped):
    mapped.ledger.sql("UPDATE head SET name = ? WHERE stream = ?", "x", stream_key(OTHER))
    mapped.ledger.sql("DELETE FROM head WHERE stream = ?", stream_key(PRODUCT))
    assert found(mapped) == []


@pytest.mark.parametrize("column", ["data", "before"])
def test_a_page_that_was_touched_is_named(mapped, column):
    if column == "before":
        mapped.ledger.add("01/06901234567892/21/7")
        mapped.ledger.clock.advance(60)
        mapped.ledger.publish()
        while True:  # up to the moment before the next map is recorded
            mapped.maps.work()
            newest, last = mapped.ledger.sql("SELECT * FROM heads_map ORDER BY version DESC")[:2]
            if newest.position == newest.target:
                break
        assert newest.version > last.version
        assert newest.seq is None
    rows = mapped.ledger.sql(
        f"SELECT depth, prefix, {column} AS page FROM heads_page WHERE {column} IS NOT NULL"
    )
    for row in rows:
        raw = bytearray(row.page)
        raw[-1] ^= 1
        where = (row.depth, row.prefix)
        change = f"UPDATE heads_page SET {column} = ? WHERE depth = ? AND prefix = ?"
        mapped.ledger.sql(change, bytes(raw), *where)
        assert found(mapped) == [{"page": f"{row.depth}/{bytes(row.prefix).hex()}"}]
        mapped.ledger.sql(change, bytes(row.page), *where)
    assert found(mapped) == []


def test_without_the_pages_the_roots_alone_are_told(mapped):
    mapped.ledger.sql("DELETE FROM heads_map")
    mapped.ledger.sql("DELETE FROM heads_page")
    assert found(mapped) == []
    hide_tail(mapped, OTHER, 1)
    (told,) = found(mapped)
    assert told["expected"] == mapped.records()[-1]["data"]["root"]
    assert told["got"] != told["expected"]


def test_an_altered_record_of_the_map_is_found_where_it_stands(mapped):
    key = stream_key(HEADS_STREAM)
    mapped.ledger.sql("UPDATE record SET body = ? WHERE stream = ? AND seq = 0", b"{}", key)
    assert found(mapped) == []
    assert [(p.kind, p.stream) for p in mapped.ledger.problems()] == [
        ("integrity.hash_mismatch", HEADS_STREAM)
    ]


def test_of_very_many_streams_the_first_are_told(mapped, monkeypatch):
    monkeypatch.setattr(headcheck, "MOST_STREAMS", 5)
    mapped.ledger.sql("UPDATE log_leaf SET hash = ?", bytes(32))
    key = stream_key(HEADS_STREAM)
    mapped.ledger.sql(
        "UPDATE log_leaf SET hash = (SELECT hash FROM record WHERE stream = ? AND seq = 0)"
        " WHERE stream = ?",
        key, key,
    )  # fmt: skip
    assert len(found(mapped)) == 5


def test_memory_does_not_grow_with_the_log(sqlite_ledger, monkeypatch):
    monkeypatch.setattr(headcheck, "_BATCH", 200)
    big = Mapped(sqlite_ledger)
    peaks = []
    for start in range(0, 6_000, 3_000):
        streams = (f"01/06901234567892/21/{n}" for n in range(start, start + 3_000))
        sqlite_ledger.record(*map(submission, streams))
        big.make()
        tracemalloc.start()
        try:
            assert found(big) == []
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2, peaks
