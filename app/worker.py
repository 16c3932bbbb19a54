"""The loops that run beside the requests, or in a process of their own.

Each loop is a function that does one bounded piece of work and says whether there is more. A loop
that fails is logged, waits longer, and goes on: no loop may end another, and none may end unseen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from app.config import Settings
from app.web.deps import Rooms

log = structlog.get_logger(__name__)

_LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Loop:
    """A piece of work to be done again and again.

    work: returns True if there may be more at once. interval_s: the pause when there is none.
    """

    name: str
    work: Callable[[], bool]
    interval_s: float


class Worker:
    """Runs loops, a thread each, from `start` to `stop`."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self._loops = loops
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
        failures = 0
        while not self._stopping.is_set():
            try:
                more = loop.work()
                failures = 0
            except Exception:
                failures += 1
                more = False
                log.exception("worker.loop_failed", loop=loop.name, failures=failures)
            if more:
                continue
            waker.wait(min(loop.interval_s * 2 ** min(failures, 10), _LONGEST_WAIT_S))
            waker.clear()


def loops_of(
    rooms: Rooms, *, sequence_interval_s: float, publish_interval_s: float
) -> tuple[Loop, ...]:
    """Returns the loops of a deployment: the log, issuing, deadlines, outbox, audits, scans."""
    return (
        Loop("sequence", lambda: rooms.sequencer.sequence() > 0, sequence_interval_s),
        Loop("publish", partial(_publish, rooms), publish_interval_s),
        Loop("issue", rooms.issuing.issue_some, 1.0),
        Loop("deadlines", rooms.deadlines.raise_due, 1.0),
        Loop("outbox", rooms.deadlines.drain, 0.25),
        Loop("audit", rooms.audits.walk, 1.0),
        Loop("jobs", rooms.audits.run_job, 0.25),
        Loop("scans", rooms.scans.flush, 1.0),
    )


def embedded_loops(
    settings: Settings,
) -> Callable[[Rooms], AbstractContextManager[object]]:
    """Returns the worker's loops as something that runs beside rooms."""

    @contextmanager
    def running(rooms: Rooms) -> Iterator[None]:
        loops = Worker(
            loops_of(
                rooms,
                sequence_interval_s=settings.sequence_interval_ms / 1000,
                publish_interval_s=settings.publish_interval_ms / 1000,
            )
        )
        rooms.issuing.on_order = lambda: loops.wake("issue")
        rooms.on_wait = lambda: loops.wake("sequence")
        loops.start()
        try:
            yield
        finally:
            loops.stop()

    return running


def _publish(rooms: Rooms) -> bool:
    rooms.publisher.publish()
    return False  # one checkpoint an interval, however fast the log grows
