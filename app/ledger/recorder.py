"""The one write path: claims queue, one writer drains the queue into one transaction, then answers.

Group commit: while one transaction reaches the disk the next batch gathers. Within a batch each
claim is decided against an overlay of what earlier claims of the batch already did, so claims on one
stream may follow each other without waiting for the disk. One refused claim never fails its
neighbours. A claim is answered as done only after the commit has returned.

The recorder sees streams and bytes. What a claim means is decided by the pure function that comes
with it (`Submission.decide`): it gets a view of everything it asked for, read inside the transaction,
and returns a Draft or raises a Fault.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db.engine import Database
from app.kit.clock import Clock
from app.kit.errors import Overloaded, Unavailable
from app.ledger import store
from app.ledger.stage import EffectWriter, Stage
from app.ledger.submission import Answer, Submission
from app.ledger.vault import Vault

log = structlog.get_logger(__name__)

MAX_QUEUE = 20_000
_MAX_BATCH = 1_000
_LOW_PRIORITY_BATCH = 500
_CAS_ATTEMPTS = 20


_Answers = list[Answer]


@dataclass(slots=True)
class _Group:
    submissions: Sequence[Submission]
    atomic: bool
    settle: Callable[[_Answers], None]
    loop: asyncio.AbstractEventLoop | None


class Recorder:
    """Owns its transactions. Start it once a process; `close` answers what is queued, then stops."""

    def __init__(
        self,
        database: Database,
        *,
        vault: Vault,
        clock: Clock,
        writers: Mapping[str, EffectWriter],
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._writers = writers
        self._on_commit = on_commit
        self._waiting = threading.Condition()
        # Guarded by _waiting: both queues, _queued and _closing.
        self._high: deque[_Group] = deque()
        self._low: deque[_Group] = deque()
        self._queued = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    async def submit(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        """Returns one answer a submission, in order, after their transaction is committed.

        atomic: all or none; where one is refused the others are answered with that fault too.
        Raises Overloaded when the queue is full, Unavailable when the commit failed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Answers] = loop.create_future()

        def settle(answers: _Answers) -> None:
            if not future.done():  # the client may have gone away
                future.set_result(answers)

        self._enqueue(_Group(submissions, atomic, settle, loop), low_priority=False)
        return await future

    def submit_and_wait(
        self,
        submissions: Sequence[Submission],
        *,
        atomic: bool = False,
        low_priority: bool = False,
    ) -> list[Answer]:
        """Like `submit`, for threads. low_priority lets everything else go first."""
        future: Future[_Answers] = Future()
        self._enqueue(
            _Group(submissions, atomic, future.set_result, None), low_priority=low_priority
        )
        return future.result()

    def close(self) -> None:
        """Answers everything queued, then ends the writer's thread."""
        with self._waiting:
            self._closing = True
            self._waiting.notify()
        self._thread.join()

    def _enqueue(self, group: _Group, *, low_priority: bool) -> None:
        with self._waiting:
            if self._closing:
                raise Unavailable("shutting_down", retry_after_s=5)
            # An empty queue takes a group of any size, so that none is refused for ever.
            if self._queued and self._queued + len(group.submissions) > MAX_QUEUE:
                raise Overloaded("queue_full", retry_after_s=1)
            self._queued += len(group.submissions)
            (self._low if low_priority else self._high).append(group)
            self._waiting.notify()

    def _take(self) -> list[_Group]:
        with self._waiting:
            while not (self._high or self._low or self._closing):
                self._waiting.wait()
            taken: list[_Group] = []
            size = 0
            while self._high and size < _MAX_BATCH:
                taken.append(self._high.popleft())
                size += len(taken[-1].submissions)
            # Low priority goes along only where there is room beside what waits for an answer.
            while self._low and size < _LOW_PRIORITY_BATCH:
                taken.append(self._low.popleft())
                size += len(taken[-1].submissions)
            self._queued -= size
            return taken

    def _run(self) -> None:
        while groups := self._take():
            try:
                answers = self._record(groups)
            except Exception as err:  # noqa: BLE001 - nobody else can answer the waiting clients
                log.error("recorder.commit_failed", error=repr(err))
                answers = self._answer_unknown(groups)
            _settle(groups, answers)
            self._on_commit()

    def _record(self, groups: Sequence[_Group]) -> list[_Answers]:
        """Returns the answers of each group after one committed transaction for all of them."""
        for _ in range(_CAS_ATTEMPTS):
            try:
                with self._database.write() as connection:
                    stage = Stage(connection, self._vault, self._clock.now())
                    stage.load([s for group in groups for s in group.submissions])
                    answers = [
                        stage.decide_together(group.submissions)
                        if group.atomic
                        else [stage.decide(s) for s in group.submissions]
                        for group in groups
                    ]
                    stage.flush(self._writers)
            except store.HeadMoved:
                # Another process was first at one of these heads: nothing of this batch stands,
                # and all of it is decided again on what is there now.
                continue
            return answers
        raise Unavailable("contended", retry_after_s=1)

    def _answer_unknown(self, groups: Sequence[_Group]) -> list[_Answers]:
        """Answers after a failed commit, whose outcome may be unknown: what is there was recorded."""
        wanted = [(s.claim.stream, s.claim.id) for g in groups for s in g.submissions]
        try:
            with self._database.read() as connection:
                found = store.find_by_id(connection, wanted)
        except SQLAlchemyError as err:
            log.error("recorder.lookup_failed", error=repr(err))
            found = {}

        def answer(submission: Submission) -> Answer:
            claim = submission.claim
            row = found.get((claim.stream, claim.id))
            if row is None:
                return Unavailable("commit_failed", retry_after_s=1)
            return store.recorded_from(claim.stream, *row, replayed=False)

        return [[answer(s) for s in group.submissions] for group in groups]


def _settle(groups: Sequence[_Group], answers: Sequence[_Answers]) -> None:
    """Hands the answers over: one wake-up a loop for the whole batch, not one a request."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Group, _Answers]]] = {}
    for group, answer in zip(groups, answers, strict=True):
        if group.loop is None:
            group.settle(answer)
        else:
            by_loop.setdefault(group.loop, []).append((group, answer))
    for loop, settled in by_loop.items():

        def settle_all(pairs: list[tuple[_Group, _Answers]] = settled) -> None:
            for group, answer in pairs:
                group.settle(answer)

        if not loop.is_closed():
            loop.call_soon_threadsafe(settle_all)

