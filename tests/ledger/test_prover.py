"""Proofs from tiles: true ones for what is in the log, also past damage; none for what is not."""

from __future__ import annotations

import pytest

from app.kit.recent import Recent
from app.ledger import logstore, prover, tilestore
from app.ledger.led import Stand
from app.ledger.merkle import leaf_hash, root_of, verify_inclusion
from app.ledger.prover import InLog, Prover
from app.ledger.served import load_checkpoint, load_logs
from app.ledger.tiles import ENTRIES
from tests.ledger.drills import flipped
from tests.ledger.ledgers import begin_at, submission


def published(size: int, root: bytes) -> logstore.Published:
    return logstore.Published(logstore.Log(0, 0), size, root, "", 0)


class Proving:
    """A log of `size` leaves, and provers of any of its checkpoints."""

    def __init__(self, ledger, size: int) -> None:
        begin_at(ledger, size)
        self.ledger = ledger
        self.size = size
        with ledger.database.read() as connection:
            self.entries = list(logstore.leaf_hashes(connection, 0, size).values())
        self.hashes = [leaf_hash(entry) for entry in self.entries]

    def prove(self, *indices: int, size: int | None = None) -> list[InLog]:
        size = size or self.size
        checkpoint = published(size, root_of(self.hashes[:size]))
        found = []
        with self.ledger.database.read() as connection:
            proving = Prover(connection, checkpoint)
            for index in indices:
                in_log = proving.prove(index, self.entries[index])
                if in_log.proof:
                    verify_inclusion(
                        index=index,
                        size=size,
                        leaf_hash=self.hashes[index],
                        proof=in_log.proof,
                        root=checkpoint.root,
                    )
                found.append(in_log)
        return found

    def standings(self, *indices: int, size: int | None = None) -> list[str]:
        return [in_log.standing for in_log in self.prove(*indices, size=size)]

    def damage(self, level: int, index: int, make=flipped) -> None:
        where = f"level = {level} AND tile_index = {index}"
        ((data,),) = self.ledger.sql(f"SELECT data FROM tile WHERE {where}")
        self.ledger.sql(f"UPDATE tile SET data = ? WHERE {where}", make(bytes(data)))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_every_leaf_of_a_log_is_proven(quick_ledger, size):
    proving = Proving(quick_ledger, size)
    indices = {0, 1, size // 2, size - 2, size - 1, 255, 256} & set(range(size))
    assert set(proving.standings(*indices)) == {"proven"}


def test_a_checkpoint_older_than_the_log_proves_its_own_and_no_more(quick_ledger):
    proving = Proving(quick_ledger, 600)
    for size in (1, 255, 256, 257, 599):
        assert proving.standings(0, size - 1, size=size) == ["proven"] * 2
        assert proving.standings(size, size=size) == ["pending"]


def test_another_entry_or_place_is_not_proven(quick_ledger):
    proving = Proving(quick_ledger, 300)
    checkpoint = published(300, root_of(proving.hashes))
    with quick_ledger.database.read() as connection:
        one = Prover(connection, checkpoint)
        for index, entry in [(5, proving.entries[6]), (299, proving.entries[5]), (-1, b"")]:
            assert one.prove(index, entry) == InLog("unproven")
        false = Prover(connection, published(300, b"f" * 32))
        assert false.prove(5, proving.entries[5]) == InLog("unproven")


@pytest.mark.parametrize("size", [256, 512, 600, 1_024, 1_025])
def test_a_way_that_is_known_proves_what_one_made_anew_proves(quick_ledger, size, monkeypatch):
    proving = Proving(quick_ledger, size)
    indices = sorted({0, 1, 15, 16, 100, 254, 255, size // 2, size - 1})
    monkeypatch.setattr(prover, "LED", Recent(8))
    anew = proving.prove(*indices)
    monkeypatch.setattr(Prover, "_try", None)
    whole = [place for place, index in enumerate(indices) if index < size // 256 * 256]
    assert len(whole) >= 8
    again = proving.prove(*(indices[place] for place in whole))
    assert again == [anew[place] for place in whole]


def test_a_way_that_is_known_proves_nothing_else(quick_ledger):
    proving = Proving(quick_ledger, 600)
    checkpoint = published(600, root_of(proving.hashes))
    assert proving.standings(5, 6, 300) == ["proven"] * 3
    with quick_ledger.database.read() as connection:
        known = Prover(connection, checkpoint)
        for index, entry in [(5, proving.entries[6]), (6, b"another"), (300, proving.entries[5])]:
            assert known.prove(index, entry) == InLog("unproven")
        for other in (published(600, b"f" * 32), published(599, checkpoint.root)):
            assert Prover(connection, other).prove(5, proving.entries[5]) == InLog("unproven")


def test_damage_beside_a_way_that_is_known_is_still_seen(quick_ledger):
    proving = Proving(quick_ledger, 600)
    assert proving.standings(0, 300) == ["proven"] * 2
    proving.damage(1, 0)
    assert proving.standings(0, 300) == [
        "proven",
        "tile_damaged",
    ]  # it is what stands beside 300 alone
    proving.damage(1, 0)
    assert proving.standings(0, 300) == ["proven"] * 2


def test_no_more_ways_are_kept_than_there_is_room_for():
    known = Recent(2)
    stands = [Stand(b"r" * 32, 256 * n, 0, b"t" * 32, b"") for n in (1, 2, 3)]
    known.keep(stands[0], (b"0",))
    known.keep(stands[1], (b"1",))
    assert known.find(stands[0]) == (b"0",)  # the last one now
    known.keep(stands[2], (b"2",))
    assert [known.find(one) for one in stands] == [(b"0",), None, (b"2",)]


DAMAGES = {
    "altered": flipped,
    "cut": lambda data: data[:-32],
    "emptied": lambda _: b"",
    "all zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("place", [(0, 0), (0, 2), (1, 0)])
def test_a_damaged_tile_makes_no_record_look_altered(quick_ledger, place, how):
    proving = Proving(quick_ledger, 600)
    proving.damage(*place, DAMAGES[how])
    standings = proving.standings(0, 1, 300, 598, 599)
    assert set(standings) <= {"proven", "tile_damaged"}
    assert "tile_damaged" in standings


def test_several_damaged_tiles_are_gone_around(quick_ledger):
    proving = Proving(quick_ledger, 600)
    for place in ((0, 0), (0, 1), (0, 2), (1, 0)):
        proving.damage(*place)
    # (A proof does not hold its own leaf's hash, which is what was altered of each.)
    assert set(proving.standings(1, 300, 599)) == {"tile_damaged"}


def test_damage_elsewhere_does_not_spoil_what_is_derived(quick_ledger):
    # The own tile is damaged, and below the same tile above, somewhere else, a leaf row.
    proving = Proving(quick_ledger, 600)
    proving.damage(0, 0)
    quick_ledger.sql("UPDATE log_leaf SET hash = ? WHERE leaf_index = 300", b"h" * 32)
    assert proving.standings(1, 200) == ["tile_damaged"] * 2


def test_a_missing_leaf_row_below_a_damaged_tile_proves_nothing_and_is_no_crash(quick_ledger):
    proving = Proving(quick_ledger, 300)
    proving.damage(0, 0)
    quick_ledger.sql("DELETE FROM log_leaf WHERE leaf_index = 3")
    assert proving.standings(1, 299) == ["unproven", "proven"]


def test_damaged_entries_matter_to_no_proof(quick_ledger):
    proving = Proving(quick_ledger, 300)
    proving.damage(ENTRIES, 0)
    assert proving.standings(0, 299) == ["proven"] * 2


@pytest.mark.parametrize("size", [65_535, 65_537])
def test_a_damaged_tile_of_a_large_log_is_gone_around(quick_ledger, size):
    proving = Proving(quick_ledger, size)
    assert proving.standings(0, size - 1) == ["proven"] * 2
    proving.damage(1, 0)
    assert "tile_damaged" in proving.standings(0, 40_000)
    if size > 65_536:
        proving.damage(1, 0)  # flipped back
        proving.damage(2, 0, lambda _: b"")
        assert proving.standings(size - 1) == ["tile_damaged"]


def test_a_running_ledgers_records_are_proven_on_each_kind_of_database(ledger):
    recorded = ledger.record(*(submission() for _ in range(5)))
    ledger.publish()
    later = ledger.add()
    ledger.sequence()
    with ledger.database.read() as connection:
        one = Prover(connection, load_checkpoint(connection, ledger.keys.log.vkey))
        for told in recorded:
            leaf = logstore.find_leaf(connection, told.stream, told.seq)
            assert leaf[1] == told.hash
            assert one.prove(*leaf).standing == "proven"
        leaf = logstore.find_leaf(connection, later.stream, later.seq)
        assert one.prove(*leaf) == InLog("pending")


def test_a_proof_asks_for_its_tiles_at_once(quick_ledger, monkeypatch):
    proving = Proving(quick_ledger, 65_537)
    asked = []
    load = tilestore.load_tiles_at

    def counted(connection, log, places):
        asked.append(sorted(places))
        return load(connection, log, asked[-1])

    monkeypatch.setattr(tilestore, "load_tiles_at", counted)
    assert proving.standings(40_000) == ["proven"]
    assert asked == [[(0, 156), (0, 256), (1, 0), (1, 1), (2, 0)]]


def test_tiles_of_several_levels_are_those_of_each(quick_ledger):
    """One that is nowhere is not there; more of them than one statement asks for are all found."""
    Proving(quick_ledger, 65_537)
    log = logstore.Log(0, 0)
    places = [
        *((0, n) for n in range(300)), *((ENTRIES, n) for n in (0, 256, 257)),
        (1, 0), (1, 1), (1, 2), (2, 0), (3, 0),
    ]  # fmt: skip
    with quick_ledger.database.read() as connection:
        each = {
            (level, index): data
            for level in (ENTRIES, 0, 1, 2, 3)
            for index, data in tilestore.load_tiles(connection, log, level, 0, 300).items()
        }
        found = tilestore.load_tiles_at(connection, log, reversed(places))
        assert found == {place: each[place] for place in places if place in each}
        assert len(found) == 257 + 2 + 1 + 1
        assert tilestore.load_tiles_at(connection, logstore.Log(1, 0), places) == {}


def test_logs_are_read_with_the_checkpoint_that_is_served(ledger):
    """Before the first, of a tree that has grown since, behind rows that a hand put before it."""

    def read():
        with ledger.database.read() as connection:
            states, newest = load_logs(connection, ledger.keys.logs)
            assert states == logstore.load_states(connection)
            assert newest == load_checkpoint(connection, ledger.keys.log.vkey)
        return newest

    assert read() is None
    ledger.add()
    ledger.publish()
    first = read()
    assert first.size == ledger.size
    ledger.add()
    ledger.add()
    ledger.sequence()
    assert read() == first
    foreign = "INSERT INTO checkpoint (log, size, root, note, published_at) VALUES (?, ?, ?, ?, ?)"
    ledger.sql(foreign, first.log.number, first.size + 1, first.root, first.note, 0)
    ledger.sql(foreign, first.log.number, first.size + 9, first.root, first.note, 0)
    assert read() == first
    ledger.publish()
    assert read().size == ledger.size
    ledger.rotate()
    assert read().log.number == 1
    ledger.sql("DELETE FROM checkpoint WHERE log = 1")
    assert read() is None
    ledger.sql("DELETE FROM log_state")
    assert read() is None
