"""Maps of heads made beside a log that grows, dies and is tampered with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.ledger import headstore, logstore
from app.ledger.headcheck import check_heads
from app.ledger.headmaker import HeadsMaps
from app.ledger.headmap import HEADS_STREAM, Leaf, map_key, root_of_map, verify_absence, verify_head
from app.ledger.headproof import HeadProof, prove_head
from app.ledger.prover import Provers
from app.ledger.record import stream_key
from tests.ledger.ledgers import OTHER, PRODUCT, UNIT, Ledger, submission

INTERVAL_S = 60


class Mapped:
    """A ledger whose heads are mapped by hand."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.told = []
        self.open()

    def open(self) -> None:
        self.maps = HeadsMaps(
            self.ledger.database,
            self.ledger.recorder,
            log_key=self.ledger.keys.log.vkey,
            clock=self.ledger.clock,
            interval_s=INTERVAL_S,
            report=self.told.extend,
        )

    def make(self) -> None:
        """Makes the map that is due, and publishes its record."""
        self.ledger.clock.advance(INTERVAL_S)
        self.ledger.publish()
        while self.maps.work():
            pass
        self.ledger.publish()

    def records(self) -> list[dict]:
        rows = self.ledger.sql(
            "SELECT body FROM record WHERE stream = ? AND type = 'map_root' ORDER BY seq",
            stream_key(HEADS_STREAM),
        )
        return [json.loads(bytes(row.body)) for row in rows]

    def prove(self, stream: str) -> HeadProof | None:
        with self.ledger.database.read() as connection:
            return prove_head(connection, stream, Provers(connection, self.ledger.keys.logs))

    def expected(self, size: int) -> bytes:
        """The root over the heads below a size, by plain SQL and arithmetic."""
        rows = self.ledger.sql(
            "SELECT b.name, a.seq, a.hash FROM log_leaf a JOIN head b ON b.stream = a.stream"
            " WHERE a.leaf_index < ? ORDER BY a.leaf_index",
            size,
        )
        heads = {row.name: Leaf(map_key(row.name), row.seq, bytes(row.hash)) for row in rows}
        return root_of_map(heads.values())

    def check(self, records: int) -> None:
        """So many maps are recorded, and each is that of the log below its size."""
        told = self.records()
        assert len(told) == records
        for record in told:
            data = record["data"]
            assert record["actor"] == "system"
            with self.ledger.database.read() as connection:
                states = logstore.load_states(connection)
            (start,) = [one.log.start for one in states if one.origin == data["log"]]
            assert data["root"] == self.expected(start + data["size"]).hex()


@pytest.fixture
def mapped(ledger: Ledger) -> Mapped:
    return Mapped(ledger)


@pytest.fixture
def on_sqlite(sqlite_ledger: Ledger) -> Mapped:
    return Mapped(sqlite_ledger)


def test_a_map_covers_exactly_the_leaves_below_its_size(mapped):
    ledger = mapped.ledger
    assert not mapped.maps.work()  # nothing is published
    ledger.add(UNIT)
    head = ledger.add(UNIT)
    ledger.add(PRODUCT)
    ledger.publish()
    ledger.add(UNIT)
    ledger.sequence()  # in the log, under no signed checkpoint
    assert not mapped.maps.work()  # nor is it old enough
    ledger.clock.advance(INTERVAL_S)
    while mapped.maps.work():
        pass
    mapped.check(1)
    (record,) = mapped.records()
    assert (record["data"]["size"], record["data"]["streams"]) == (3, 2)
    assert mapped.prove(UNIT) is None  # no checkpoint covers the record
    ledger.publish()
    proof = mapped.prove(UNIT)
    assert proof.leaf == Leaf(map_key(UNIT), 1, head.hash)
    verify_head(proof.leaf, proof.siblings, root=bytes.fromhex(record["data"]["root"]))
    absent = mapped.prove(OTHER)
    assert absent.leaf is None
    verify_absence(map_key(OTHER), absent.other, absent.siblings, root=absent.state.root)
    mapped.make()
    mapped.check(2)
    assert mapped.prove(UNIT).leaf.seq == 2
    assert mapped.records()[1]["data"]["streams"] == 3  # with log/heads itself
    assert ledger.problems() == []


def test_no_map_is_made_too_soon_or_of_nothing_new(mapped):
    mapped.ledger.add(UNIT)
    mapped.make()
    mapped.make()  # all that is new is the record of the first
    mapped.check(1)
    mapped.ledger.add(UNIT)
    mapped.ledger.clock.advance(INTERVAL_S - 1)
    mapped.make()
    mapped.check(2)
    mapped.ledger.add(UNIT)
    mapped.ledger.publish()
    mapped.ledger.clock.advance(INTERVAL_S - 1)
    assert not mapped.maps.work()
    mapped.open()  # a new process does not begin sooner
    assert not mapped.maps.work()
    mapped.check(2)
    mapped.ledger.clock.advance(-3_600)
    assert mapped.maps.work()  # a clock set back holds nobody up
    mapped.ledger.clock.advance(3_600)
    while mapped.maps.work():
        pass
    mapped.check(3)


def test_proofs_go_on_while_the_next_map_is_made(mapped, monkeypatch):
    ledger = mapped.ledger
    streams = [f"01/06901234567892/21/{n}" for n in range(150)]
    ledger.record(*(submission(stream) for stream in streams))
    mapped.make()
    monkeypatch.setattr("app.ledger.headmaker._PIECE", 64)
    ledger.record(*(submission(stream) for stream in streams))
    ledger.clock.advance(INTERVAL_S)
    ledger.publish()
    pieces = 0
    while mapped.maps.work():
        pieces += 1
        for stream in (streams[0], streams[77], streams[149]):
            proof = mapped.prove(stream)
            assert (proof.record.seq, proof.leaf.seq) == (0, 0)
    assert pieces > 3
    assert mapped.prove(streams[0]).record.seq == 0  # recorded, not yet published
    ledger.publish()
    for stream in streams:
        proof = mapped.prove(stream)
        assert (proof.record.seq, proof.leaf.seq) == (1, 1)
    mapped.check(2)


@pytest.mark.parametrize("pieces", [0, 3, 99], ids=["before", "in the middle", "after"])
def test_maps_go_on_across_a_rotation(mapped, monkeypatch, pieces):
    """A map of the old log that is half made is finished in the new one, and the next covers both."""
    ledger = mapped.ledger
    monkeypatch.setattr("app.ledger.headmaker._PIECE", 64)
    streams = [f"01/06901234567892/21/{n}" for n in range(300)]
    ledger.record(*map(submission, streams))
    ledger.clock.advance(INTERVAL_S)
    ledger.publish()
    for _ in range(pieces):
        mapped.maps.work()
    ledger.rotate("suxin.test/log/2")
    mapped.open()
    mapped.make()
    mapped.check(1)
    ledger.record(*map(submission, streams[100:200]))
    ledger.add(UNIT)
    mapped.make()
    mapped.check(2)
    data = mapped.records()[-1]["data"]
    assert (data["log"], data["streams"]) == ("suxin.test/log/2", 302)
    assert data["size"] < 150
    for stream, seq in ((streams[0], 0), (streams[150], 1), (UNIT, 0)):
        proof = mapped.prove(stream)
        assert (proof.leaf.seq, proof.in_log.origin) == (seq, "suxin.test/log/2")
    with ledger.database.read() as connection:
        assert list(check_heads(connection)) == []
    assert ledger.problems() == []


class Died(BaseException):
    """The process ends here."""


@contextmanager
def dying(monkeypatch, target: str, *, after: bool) -> Iterator[None]:
    """Lets the process die at a step, before or after it was done."""
    module, name = target.rsplit(".", 1)
    import importlib

    owner = importlib.import_module(module)
    real = getattr(owner, name)

    def die(*args, **more):
        if after:
            real(*args, **more)
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(Died):
            yield


STEPS = ("begin_map", "move_map", "save_pages")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_dying_in_the_middle_loses_nothing(mapped, monkeypatch, step, after):
    ledger = mapped.ledger
    monkeypatch.setattr("app.ledger.headmaker._PIECE", 64)
    for round_ in range(2):
        ledger.record(*(submission(f"01/06901234567892/21/{n}") for n in range(100)))
        ledger.clock.advance(INTERVAL_S)
        ledger.publish()
        for _ in range(4):
            with dying(monkeypatch, f"app.ledger.headstore.{step}", after=after):
                while mapped.maps.work():
                    pass
                raise Died  # over before it could die
            ledger.reopen()
            mapped.open()
            if step != "begin_map":
                mapped.maps.work()
        while mapped.maps.work():
            pass
        ledger.publish()
        mapped.check(round_ + 1)
    assert mapped.told == []
    assert ledger.problems() == []


def test_dying_between_the_record_and_its_note_records_no_second_one(mapped, monkeypatch):
    ledger = mapped.ledger
    ledger.add(UNIT)
    ledger.publish()
    ledger.clock.advance(INTERVAL_S)
    real = headstore.move_map

    def die(connection, before, after):
        if after.seq is not None:
            raise Died
        real(connection, before, after)

    with monkeypatch.context() as patch:
        patch.setattr(headstore, "move_map", die)
        with pytest.raises(Died):
            while mapped.maps.work():
                pass
    mapped.check(1)
    ledger.reopen()
    mapped.open()
    ledger.clock.advance(7)
    mapped.make()
    mapped.check(1)
    assert mapped.prove(UNIT).leaf.seq == 0


def test_of_two_leaders_only_one_goes_on(mapped, monkeypatch):
    ledger = mapped.ledger
    ledger.record(*(submission(f"01/06901234567892/21/{n}") for n in range(200)))
    ledger.publish()
    ledger.clock.advance(INTERVAL_S)
    monkeypatch.setattr("app.ledger.headmaker._PIECE", 64)
    first = mapped.maps
    mapped.open()
    second = mapped.maps
    while first.work() | second.work():
        pass
    real = headstore.move_map
    ledger.publish()
    ledger.record(*(submission(f"01/06901234567892/21/{n}") for n in range(200)))
    ledger.clock.advance(INTERVAL_S)
    ledger.publish()
    first.work()
    overtaken = []

    def overtake(connection, before, after):
        if not overtaken and connection.dialect.name == "postgresql":
            overtaken.append(True)
            for _ in range(2):  # in between our reading and our writing
                second.work()
        real(connection, before, after)

    monkeypatch.setattr(headstore, "move_map", overtake)
    while first.work() | second.work():
        pass
    ledger.publish()
    mapped.check(2)
    assert mapped.told == []


def test_a_damaged_page_is_reported_and_the_map_made_anew(mapped):
    ledger = mapped.ledger
    ledger.record(*(submission(f"01/06901234567892/21/{n}") for n in range(300)))
    mapped.make()
    stream = "01/06901234567892/21/7"
    prefix = map_key(stream)[:1]
    (row,) = ledger.sql(
        "SELECT prefix, data FROM heads_page WHERE depth = 4 AND prefix = ?",
        bytes([prefix[0] & 0xF0]),
    )
    data = bytearray(row.data)
    data[20] ^= 1
    ledger.sql(
        "UPDATE heads_page SET data = ? WHERE depth = 4 AND prefix = ?", bytes(data), row.prefix
    )
    assert mapped.prove(stream) is None
    ledger.add(stream)
    mapped.make()
    assert [(p.kind, p.evidence) for p in mapped.told] == [
        ("log.heads_mismatch", {"page": f"4/{row.prefix.hex()}"})
    ]
    mapped.make()
    mapped.check(2)
    assert mapped.prove(stream).leaf.seq == 1


def test_a_state_that_is_not_what_was_recorded_is_not_gone_on_from(on_sqlite):
    mapped = on_sqlite
    mapped.ledger.add(UNIT)
    mapped.make()
    mapped.ledger.sql("UPDATE heads_map SET root = ?, streams = 0", bytes(32))
    mapped.ledger.sql("DELETE FROM heads_page")
    mapped.ledger.add(OTHER)
    mapped.make()
    mapped.check(2)
    assert [p.kind for p in mapped.told] == ["log.heads_mismatch"]


def test_what_the_rows_say_wrongly_of_a_record_does_not_enter_the_map(on_sqlite):
    mapped = on_sqlite
    ledger = mapped.ledger
    ledger.add(PRODUCT)
    for _ in range(3):
        ledger.add(UNIT)
    ledger.publish()
    ledger.clock.advance(INTERVAL_S)
    expected = mapped.expected(4)
    key = stream_key(UNIT)
    ledger.sql("UPDATE head SET name = ? WHERE stream = ?", OTHER, key)
    ledger.sql("UPDATE log_leaf SET seq = 9 WHERE stream = ? AND seq = 1", key)
    ledger.sql("UPDATE record SET body = ? WHERE stream = ? AND seq = 1", b"{}", key)
    while mapped.maps.work():
        pass
    assert mapped.records()[0]["data"]["root"] == expected.hex()


def test_a_leaf_that_cannot_be_had_leaves_its_stream_behind_and_nothing_else(on_sqlite, logs):
    mapped = on_sqlite
    ledger = mapped.ledger
    ledger.add(PRODUCT)
    for _ in range(3):
        ledger.add(UNIT)
    ledger.publish()
    ledger.clock.advance(INTERVAL_S)
    key = stream_key(UNIT)
    ((at,),) = ledger.sql("SELECT leaf_index FROM log_leaf WHERE stream = ? AND seq = 2", key)
    ledger.sql("UPDATE record SET body = ? WHERE stream = ? AND seq = 2", b"{}", key)
    ledger.sql("UPDATE log_leaf SET hash = ? WHERE stream = ? AND seq = 2", bytes(32), key)
    while mapped.maps.work():
        pass
    ledger.publish()
    assert mapped.prove(UNIT).leaf.seq == 1
    assert [one["leaf_index"] for one in logs if one["event"] == "heads.leaf_passed_over"] == [at]
