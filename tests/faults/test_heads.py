"""The map of heads under faults: whatever fails or dies, the map that is recorded in the end is true."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from app.ledger import headstore
from app.ledger.headcheck import check_heads
from tests.faults.steps import failing
from tests.ledger.ledgers import Ledger, submission
from tests.ledger.test_heads import INTERVAL_S, Mapped

_PIECE = 16
_TIMEOUT_S = 60
_context = multiprocessing.get_context("forkserver")


def trade(ledger: Ledger, count: int = 20) -> None:
    """Lets streams move on, publishes that, and lets the interval pass."""
    ledger.record(*(submission(f"01/06901234567892/21/{n}") for n in range(count)))
    ledger.publish()
    ledger.clock.advance(INTERVAL_S)


def check(mapped: Mapped) -> None:
    """Finishes what is due; every map ever recorded is that of the log, and one audit agrees."""
    while mapped.maps.work():
        pass
    mapped.ledger.publish()
    mapped.check(len(mapped.records()))
    with mapped.ledger.database.read() as connection:
        assert list(check_heads(connection)) == []
        newest = headstore.load_maps(connection)[0]
    assert (newest.position, newest.seq) == (newest.target, len(mapped.records()) - 1)
    assert mapped.prove("01/06901234567892/21/7").record.seq == newest.seq
    assert mapped.told == []


@pytest.mark.parametrize("how", ["not persisted", "persisted"])
def test_whatever_write_step_of_a_map_fails_the_next_round_makes_it_good(
    ledger, how, tried, monkeypatch
):
    monkeypatch.setattr("app.ledger.headmaker._PIECE", _PIECE)
    mapped = Mapped(ledger)
    hit = []
    for number in itertools.count(1):
        trade(ledger)
        with failing(ledger.database, number, how) as fault:
            try:
                while mapped.maps.work():
                    pass
            except Exception:  # the worker's loop tries again
                pass
        ledger.reopen()
        mapped.open()
        check(mapped)
        if fault.hit is None:
            break
        hit.append(fault.hit)
    assert hit.count("do_commit") >= 5, hit
    assert {"UPDATE heads_map SET"} <= set(hit), hit
    assert sum(name.startswith("INSERT INTO") for name in hit) >= 4, hit
    tried(f"a write step of a map of heads fails, {how}", ledger.database.dialect, len(hit))


def _die_at(url: str, keys_dir: str, now: object, step: str, at: int, after: bool) -> None:
    """Makes a map, and is killed at the at-th call of a step."""
    from app.ledger import headmaker
    from tests.fakes import FakeClock

    headmaker._PIECE = _PIECE
    real, calls = getattr(headstore, step), itertools.count(1)

    def act(*args: object) -> None:
        dying = next(calls) == at
        if dying and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*args)
        if dying:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(headstore, step, act)
    ledger = Ledger(url, Path(keys_dir), clock=FakeClock(now))
    mapped = Mapped(ledger)
    while mapped.maps.work():
        pass
    os._exit(0)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["move_map", "save_pages"])
def test_a_process_killed_in_the_middle_of_a_map_leaves_no_wrong_one(
    ledger, step, after, tried, monkeypatch
):
    monkeypatch.setattr("app.ledger.headmaker._PIECE", _PIECE)
    mapped = Mapped(ledger)
    trade(ledger)
    check(mapped)
    trade(ledger)
    given = (ledger.url, str(ledger.keys_dir), ledger.clock.now(), step, 2, after)
    process = _context.Process(target=_die_at, args=given, daemon=True)
    process.start()
    process.join(_TIMEOUT_S)
    assert process.exitcode == -signal.SIGKILL
    check(mapped)
    tried(f"killed in the middle of a map, {step}", ledger.database.dialect, 1)
