from __future__ import annotations

import threading

import pytest

from app.ledger.record import stream_key
from app.trace import scanstore
from app.trace.scans import LIFE_S, Scans
from tests.fakes import FakeClock

CODE, OTHER = "01/06901234567892/21/AAAAAAAAAAAA", "01/06901234567892/21/BBBBBBBBBBBB"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def scans(database, clock) -> Scans:
    return Scans(database, clock=clock, key=b"\x07" * 32)


def test_looks_are_told_before_and_after_they_are_written(scans):
    one, two = scans.device("10.0.0.1", "phone"), scans.device("10.0.0.1", "other phone")
    for device in (one, one, two):
        scans.note(CODE, device)
    before = scans.count(CODE)
    assert (before.loads, before.devices) == (2, 2)
    scans.flush()
    assert scans.count(CODE) == before
    assert scans.count(OTHER).first_at is None


def test_a_page_loaded_again_is_no_other_look_while_the_devices_token_lives(scans, clock):
    """Who reloads, or comes back to the page in the afternoon, would make a label look copied."""
    device, told = scans.device("10.0.0.1", "phone"), []
    for wait_s in (0, 1, LIFE_S - 1, LIFE_S - 1, LIFE_S, 5, LIFE_S + 1):
        clock.advance(wait_s)
        scans.note(CODE, device)
        told.append(scans.count(CODE).loads)
        scans.flush()
        assert scans.count(CODE).loads == told[-1], "the same before it is written and after"
    # Each look makes the token new, so twice a day less a second is one life still.
    assert told == [1, 1, 1, 1, 2, 2, 3]
    assert scans.count(CODE).devices == 1
    looks = scans.of_device(device)
    assert (looks.loads, looks.last_at) == (3, clock.now())


def test_looks_that_could_not_be_written_are_written_later(scans, monkeypatch):
    one, two = scans.device("10.0.0.1"), scans.device("10.0.0.2")
    scans.note(CODE, one)

    def fail(*_: object) -> None:
        scans.note(CODE, one)
        scans.note(CODE, two)
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(scanstore, "add", fail)
        with pytest.raises(OSError):
            scans.flush()
    assert (scans.count(CODE).loads, scans.count(CODE).devices) == (2, 2)
    scans.flush()
    assert (scans.count(CODE).loads, scans.count(CODE).devices) == (2, 2)


def test_no_look_is_counted_twice_or_never_while_it_is_written(scans):
    """A page counted zero looks, its own included, while the buffer was on its way to the table."""
    ending = threading.Event()

    def write_all_the_time() -> None:
        while not ending.is_set():
            scans.flush()

    writer = threading.Thread(target=write_all_the_time)
    writer.start()
    try:
        told = []
        for n in range(150):
            scans.note(CODE, scans.device(f"10.0.0.{n}"))
            told.append(scans.count(CODE).loads)
    finally:
        ending.set()
        writer.join()
    assert told == list(range(1, 151))


def test_two_processes_that_count_the_same_device_add_up(database, clock):
    """Each wrote the number that it had read, and the later one took the other's looks away."""
    one, other = (Scans(database, clock=clock, key=b"\x07" * 32) for _ in range(2))
    device = one.device("10.0.0.1", "phone")
    for _ in range(2):
        for scans in (one, other, other):
            scans.note(CODE, device)
        for scans in (one, other):
            scans.flush()
        clock.advance(LIFE_S)
    assert (one.count(CODE).loads, one.count(CODE).devices) == (2, 1)


def test_a_code_is_told_of_once_a_device_is_new_to_it_however_many_are_looked_at(scans, database):
    """One device on many codes, many devices on one; who looks again, and at another code, is known."""
    codes = [f"01/06901234567892/21/CODE{n:08}" for n in range(600)]
    one, two = scans.device("10.0.0.1", "phone"), scans.device("10.0.0.2", "phone")

    def asked() -> set[int]:
        scans.flush()
        with database.write() as connection:
            told = connection.exec_driver_sql("SELECT stream FROM outbox").scalars().all()
            connection.exec_driver_sql("DELETE FROM outbox")
        assert len(told) == len({*told})
        return {*told}

    for code in codes:
        scans.note(code, one)
    assert asked() == {*map(stream_key, codes)}
    for code in codes[:300]:
        scans.note(code, one)
    scans.note(OTHER, two)
    for code in codes[299:301]:
        scans.note(code, two)
    assert asked() == {stream_key(code) for code in (OTHER, *codes[299:301])}
    for code in (OTHER, codes[300]):
        scans.note(code, two)
        scans.note(code, one)
    assert asked() == {stream_key(OTHER)}
