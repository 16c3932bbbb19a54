"""The loops' turns: how long a record waits for its checkpoint, and how soon a loop that failed is back."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from types import SimpleNamespace
from unittest import mock

import pytest
import structlog

from app.config import Settings
from app.db.lease import NotLeading
from app.worker import Loop, Turns, Worker, log_loops, other_loops
from tests.ledger.ledgers import Ledger, submission

# What a loop's turn may take of the second that is promised; on an idle machine it takes a tenth of this.
WORK_S = 0.07
ENDS_S = 100


def loops_of_the_log(rooms) -> list[Loop]:
    """The loops as `suxin serve` runs them unless it is told otherwise."""
    default = Settings.model_fields
    return [
        loop
        for loop in log_loops(
            rooms,
            sequence_interval_s=default["sequence_interval_ms"].default / 1000,
            publish_interval_s=default["publish_interval_ms"].default / 1000,
        )
        if loop.name in ("sequence", "publish")
    ]


@pytest.fixture(autouse=True)
def logs():
    """Everything logged during the test. (Shown, a traceback with the variables of mocks takes minutes.)"""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def ledger(sqlite_database_url, tmp_path, clock):
    opened = Ledger(sqlite_database_url, tmp_path / "keys", clock=clock)
    yield opened
    opened.close()


def test_a_record_is_in_a_signed_checkpoint_within_a_second(ledger, clock):
    """By the schedule alone, on a clock of its own: at whatever moment of the two loops' rounds it came."""
    began = clock.now()
    rooms = SimpleNamespace(sequencer=ledger.sequencer, publisher=ledger.publisher, lease=None)
    published = []
    publish = ledger.publisher.publish

    def note_publishing():
        done = publish()
        if done is not None:
            published.append((moment + WORK_S, done.size))

    rooms.publisher = SimpleNamespace(publish=note_publishing)
    turns = [Turns(loop, leads=lambda: True) for loop in loops_of_the_log(rooms)]
    # When each of the three is next. Records come so seldom that each meets loops that had nothing to do.
    due = [(0.0, 0), (0.0, 1), (0.013, 2)]
    recorded = []
    while due[0][0] < ENDS_S:
        moment, who = heapq.heappop(due)
        clock.set(began)
        clock.advance(moment)
        if who == 2:
            recorded.append(moment)
            ledger.record(submission())
            heapq.heappush(due, (moment + 0.8371, who))
        else:
            heapq.heappush(due, (moment + WORK_S + turns[who].take(), who))
    delays = [
        next((at for at, size in published if size > index), 2 * ENDS_S) - moment
        for index, moment in enumerate(recorded)
        if moment < ENDS_S - 2
    ]
    assert len(delays) > 100
    assert max(delays) <= 1.0
    assert max(delays) > 0.7, "it met no moment at which both had just been"


@pytest.mark.parametrize("name", ["sequence", "publish"])
def test_a_loop_of_the_log_is_back_two_seconds_after_what_was_in_its_way(name):
    """However long it lasted: receipts promise a time, and nobody else does this."""
    rooms = mock.MagicMock(lease=None)
    rooms.sequencer.sequence.side_effect = rooms.publisher.publish.side_effect = OSError(
        "disk full"
    )
    (loop,) = [loop for loop in loops_of_the_log(rooms) if loop.name == name]
    turns = Turns(loop, leads=lambda: True)
    waits = [turns.take() for _ in range(30)]
    assert waits == sorted(waits)
    assert loop.interval_s < waits[0] < waits[-1] <= 2
    rooms.sequencer.sequence.side_effect = rooms.publisher.publish.side_effect = None
    rooms.sequencer.sequence.return_value = 0
    assert turns.take() == loop.interval_s


def test_other_loops_wait_up_to_half_a_minute():
    turns = Turns(Loop("x", mock.Mock(side_effect=OSError), 0.25), leads=lambda: True)
    assert [turns.take() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_pause_that_is_longer_than_any_wait_is_kept():
    turns = Turns(Loop("x", mock.Mock(side_effect=[False, OSError]), 60.0), leads=lambda: True)
    assert [turns.take(), turns.take()] == [60, 60]


def test_who_may_not_work_has_not_failed():
    work = mock.Mock(side_effect=[NotLeading, NotLeading, True, False])
    leads = iter([False, True, True, True, True])
    turns = Turns(Loop("x", work, 0.25), leads=lambda: next(leads))
    assert [turns.take() for _ in range(5)] == [0.25, 0.25, 0.25, 0, 0.25]
    everywhere = Turns(Loop("x", lambda: True, 0.25, everywhere=True), leads=lambda: False)
    assert everywhere.take() == 0


def test_a_loop_that_is_woken_does_not_wait_for_the_end_of_its_pause():
    turns, woken = itertools.count(), threading.Event()

    def work() -> bool:
        if next(turns):
            woken.set()
        return False

    worker = Worker([Loop("x", work, 600.0)])
    worker.start()
    until = time.monotonic() + 20
    while not woken.is_set() and time.monotonic() < until:
        worker.wake("x")
        time.sleep(0.01)
    worker.stop()
    assert woken.is_set()


def test_the_audit_rests_as_long_as_its_walk_says():
    rooms = mock.MagicMock()
    (audit,) = (loop for loop in other_loops(rooms) if loop.name == "audit")
    for pause in (0.25, 1.0):
        rooms.audits.pause_s = pause
        assert audit.interval_s() == pause
    audit.work()
    rooms.audits.walk.assert_called_once_with(time.sleep)
