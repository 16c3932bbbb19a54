"""The loops that run beside the requests, or in a process of their own.

Each loop is a function that does one bounded piece of work and says whether there is more. A loop
that fails is logged, waits longer, and goes on: no loop may end another, and none may end unseen.
How much longer is bounded by how long nobody may miss its work after what was in its way has passed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Literal

import structlog

from app.config import Settings
from app.db.lease import NotLeading
from app.ledger.hindrance import PASSING
from app.ledger.logstore import Fenced
from app.web.deps import Rooms

log = structlog.get_logger(__name__)

_LONGEST_WAIT_S = 30.0
# Of the lease, the sequencer and the publisher: receipts promise a time, so they are back soon.
_LOGS_WAIT_S = 2.0
# What keeps a leader from signing and would not go better with another one in its place.
_EVERYWHERE_THE_SAME = (NotLeading, Fenced, *PASSING)


@dataclass(frozen=True, slots=True)
class Loop:
    """A piece of work to be done again and again.

    work: returns True if there may be more at once. interval_s: the pause when there is none, or what
    tells it. everywhere: whether it runs in each process, and not in the leading one alone.
    longest_wait_s: the pause is doubled with each failure in a row, up to this, or to `interval_s`
    where that is longer.
    """

    name: str
    work: Callable[[], bool]
    interval_s: float | Callable[[], float]
    everywhere: bool = False
    longest_wait_s: float = _LONGEST_WAIT_S


class Turns:
    """The turns of one loop in this process. For one thread."""

    def __init__(self, loop: Loop, *, leads: Callable[[], bool]) -> None:
        self._loop = loop
        self._leads = leads
        self._failures = 0

    def take(self) -> float:
        """Does the work once, where this process may; returns in how many seconds to do it again.

        0 if there may be more at once. What it raises is logged.
        """
        loop = self._loop
        try:
            more = (loop.everywhere or self._leads()) and loop.work()
            self._failures = 0
        except (NotLeading, Fenced) as err:
            more = False
            log.info("worker.not_leading", loop=loop.name, why=str(err))
        except Exception:
            self._failures += 1
            more = False
            log.exception("worker.loop_failed", loop=loop.name, failures=self._failures)
        if more:
            return 0.0
        pause_s = loop.interval_s() if callable(loop.interval_s) else loop.interval_s
        longer_s = pause_s * (1 << min(self._failures, 10))
        return min(longer_s, max(loop.longest_wait_s, pause_s))


class Worker:
    """Runs loops, a thread each, from `start` to `stop`. leads: whether those of the leader run now."""

    def __init__(self, loops: Sequence[Loop], *, leads: Callable[[], bool] = lambda: True) -> None:
        self._loops = loops
        self._leads = leads
        self._stopping = threading.Event()
        self._wakers = {loop.name: threading.Event() for loop in loops}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Starts every loop."""
        for loop in self._loops:
            thread = threading.Thread(
                target=self._run, args=(loop,), name=f"worker-{loop.name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def wake(self, name: str) -> None:
        """Lets a loop work now instead of at the end of its pause."""
        self._wakers[name].set()

    def stop(self) -> None:
        """Waits for each loop's present piece of work and ends them."""
        self._stopping.set()
        for waker in self._wakers.values():
            waker.set()
        for thread in self._threads:
            thread.join()

    def _run(self, loop: Loop) -> None:
        waker = self._wakers[loop.name]
        turns = Turns(loop, leads=self._leads)
        while not self._stopping.is_set():
            pause_s = turns.take()
            if pause_s:
                waker.wait(pause_s)
                waker.clear()


def log_loops(
    rooms: Rooms, *, sequence_interval_s: float, publish_interval_s: float
) -> tuple[Loop, ...]:
    """Returns the loops that keep the log, which has one sequencer and one signer."""
    return (
        Loop(
            "sequence",
            lambda: rooms.sequencer.sequence() > 0,
            sequence_interval_s,
            longest_wait_s=_LOGS_WAIT_S,
        ),
        Loop(
            "publish",
            partial(_publish, rooms),
            publish_interval_s,
            longest_wait_s=_LOGS_WAIT_S,
        ),
        Loop("move-log", partial(_move_log, rooms), 1.0),
    )


def other_loops(rooms: Rooms) -> tuple[Loop, ...]:
    """Returns the other loops that run once in a deployment.

    They keep their place in memory or in one row (whose turn it is, a cursor, what was put off): twice
    at once would be twice the work for nothing, though not wrong, since each writes by
    compare-and-swap or bears a repeat. What a process has in its own memory it writes itself
    (`own_loops`).
    """
    sender = rooms.sender
    sending = () if sender is None else (Loop("credit-store", sender.work, 0.5),)
    return (
        *sending,
        Loop("heads", rooms.heads.work, 1.0),
        Loop("issue", rooms.issuing.issue_some, 0.25),
        Loop("imports", rooms.imports.work, 0.5),
        Loop("old-imports", rooms.imports.forget_ended, 60.0),
        Loop("documents", rooms.documents.forget, 60.0),
        Loop("deadlines", rooms.deadlines.raise_due, 1.0),
        Loop("credit", rooms.credit_ledger.mature, 1.0),
        Loop("matters", rooms.matter_clock.mature, 1.0),
        Loop("snapshots", rooms.snapshots.take_due, 10.0),
        Loop("alerts", rooms.alerts.look, 30.0),
        Loop("webhook-findings", rooms.hooks.follow, 1.0),
        Loop("webhooks", rooms.hooks.send, 1.0),
        Loop("outbox", rooms.deadlines.drain, 0.25),
        Loop("watch", rooms.watch.follow, 0.5),
        Loop("badges", rooms.badges.recheck, 60.0),
        Loop("figures", rooms.figures.follow, 2.0),
        Loop("mature", rooms.discoveries.mature, 1.0),
        Loop("audit", partial(rooms.audits.walk, time.sleep), lambda: rooms.audits.pause_s),
        Loop("audit-documents", rooms.audits.documents.work, 1.0),
        Loop("features", partial(_refresh_features, rooms), 1.0),
        Loop("jobs", rooms.audits.run_job, 0.25),
    )


def own_loops(rooms: Rooms) -> tuple[Loop, ...]:
    """Returns the loops of every process that serves: what it has counted goes into the database."""
    scans = Loop("scans", rooms.scans.flush, 1.0, everywhere=True)
    keys = Loop("keys", rooms.keys.note_uses, 30.0, everywhere=True)
    erased = Loop("empty-log", rooms.database.empty_log, 5.0, everywhere=True)
    if rooms.cards is None:
        return (scans, keys, erased)
    return (scans, keys, erased, Loop("cards", rooms.cards.refresh, 1.0, everywhere=True))


def embedded_loops(
    settings: Settings, *, part: Literal["all", "log", "others"] = "all"
) -> Callable[[Rooms], AbstractContextManager[object]]:
    """Returns the worker's loops as something that runs beside rooms.

    Where SUXIN_WORKER is external: only this process's own. part: what this process has of those that
    run once; where another has the log's, the lease is with those.
    """

    @contextmanager
    def running(rooms: Rooms) -> Iterator[None]:
        lease = None if part == "others" else rooms.lease
        loops = [*own_loops(rooms)]
        if settings.worker == "embedded":
            if part != "others":
                loops += log_loops(
                    rooms,
                    sequence_interval_s=settings.sequence_interval_ms / 1000,
                    publish_interval_s=settings.publish_interval_ms / 1000,
                )
            if part != "log":
                loops += other_loops(rooms)
            if lease is not None:
                loops.append(
                    Loop(
                        "lease",
                        lease.keep,
                        lease.pause_s,
                        everywhere=True,
                        longest_wait_s=_LOGS_WAIT_S,
                    )
                )
        worker = Worker(loops, leads=lambda: rooms.leading().leads)
        if settings.worker == "embedded":
            if part != "log":
                rooms.issuing.on_order = lambda: worker.wake("issue")
            if part != "others":
                rooms.on_wait = lambda: worker.wake("sequence")
        worker.start()
        try:
            yield
        finally:
            worker.stop()

    return running


def _publish(rooms: Rooms) -> bool:
    try:
        rooms.publisher.publish()
    except _EVERYWHERE_THE_SAME:
        raise
    except Exception:
        if rooms.lease is not None:
            rooms.lease.step_down()  # a process with the log's anchor and keys may lead
        raise
    return False  # one checkpoint an interval, however fast the log grows


def _move_log(rooms: Rooms) -> bool:
    rooms.database.move_log()
    return False  # what was written meanwhile may wait for the next time


def _refresh_features(rooms: Rooms) -> bool:
    rooms.features.refresh()
    return False  # some offers a second, so that many offers cost no more than few
