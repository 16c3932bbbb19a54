"""The one write path: claims queue, one writer drains the queue into one transaction, then answers.

Group commit: while one transaction reaches the disk the next batch gathers. Within a batch each
claim is decided against an overlay of what earlier claims of the batch already did, so claims on one
stream may follow each other without waiting for the disk. One refused claim never fails its
neighbours, and one that brings the whole batch down (a bug, a constraint) is found and fails alone.
A claim is answered as done only after the commit has returned.

The recorder sees streams and bytes. What a claim means is decided by the pure function that comes
with it (`Submission.decide`): it gets a view of everything it asked for, read inside the transaction,
and returns a Draft or raises a Fault.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.engine import Database
from app.kit.clock import Clock
from app.kit.errors import Fault, Overloaded, Unavailable
from app.ledger import store
from app.ledger.stage import EffectWriter, Stage
from app.ledger.submission import Answer, Recorded, Submission
from app.ledger.vault import Vault

log = structlog.get_logger(__name__)

MAX_QUEUE = 20_000
_MAX_BATCH = 1_000
_LOW_PRIORITY_BATCH = 500
_CAS_ATTEMPTS = 20

# serialization_failure, deadlock_detected: PostgreSQL asks to try again.
_TRY_AGAIN = frozenset({"40001", "40P01"})

_Answers = list[Answer]


@dataclass(frozen=True, slots=True)
class _Work:
    """Claims in the order given; atomic: all of them or none."""

    submissions: Sequence[Submission]
    atomic: bool

    def halves(self) -> tuple[_Work, _Work] | None:
        """Returns the work in two, or None where it stands or falls as one."""
        middle = len(self.submissions) // 2
        if self.atomic or middle == 0:
            return None
        first, second = self.submissions[:middle], self.submissions[middle:]
        return _Work(first, atomic=False), _Work(second, atomic=False)


@dataclass(frozen=True, slots=True)
class _Group:
    """A request that waits. loop: where `settle` is to be called; None: right here."""

    work: _Work
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
        # Called by the writer's thread after the answers of each transaction were handed over.
        self.on_answered: Callable[[], None] = lambda: None
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

        atomic: all or none; where one is refused the others are answered with Abandoned. Where the
        commit failed every answer is Unavailable. Raises Overloaded when the queue is full,
        Unavailable when the recorder is closing.
        """
        if not submissions:
            return []
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Answers] = loop.create_future()

        def settle(answers: _Answers) -> None:
            if not future.done():  # the client may have gone away
                future.set_result(answers)

        if self._enqueue(_Group(_Work(submissions, atomic), settle, loop), low_priority=False):
            # Not at once: what else came in with this turn of the loop goes into the same batch.
            loop.call_soon(self._wake)
        return await future

    def preview(
        self, requests: Sequence[Sequence[Submission]], *, apart: bool = False
    ) -> list[list[Answer]]:
        """Returns what would be answered now, each request all or none and seeing those before it.

        For a dry run: decided like any other, on a snapshot, and never written. apart: each as if the
        others were not. Read-only.
        """
        with self._database.read() as connection:
            now = self._clock.now()
            stage = Stage(connection, self._vault, now)
            stage.load([one for request in requests for one in request])
            answers = []
            for request in requests:
                seen = Stage(connection, self._vault, now, below=stage) if apart else stage
                answers.append(seen.decide_together(request))
            return answers

    def submit_and_wait(
        self,
        submissions: Sequence[Submission],
        *,
        atomic: bool = False,
        low_priority: bool = False,
    ) -> list[Answer]:
        """Like `submit`, for threads. low_priority lets everything else go first."""
        if not submissions:
            return []
        future: Future[_Answers] = Future()
        self._enqueue(
            _Group(_Work(submissions, atomic), future.set_result, None), low_priority=low_priority
        )
        self._wake()
        return future.result()

    def hand_over(self, submissions: Sequence[Submission]) -> Future[list[Answer]]:
        """Like `submit`, for threads that go on meanwhile."""
        future: Future[_Answers] = Future()
        self.submit_and_tell(submissions, future.set_result)
        return future

    def submit_and_tell(
        self,
        submissions: Sequence[Submission],
        settle: Callable[[list[Answer]], None],
        *,
        atomic: bool = False,
    ) -> None:
        """Like `submit`, for who does not wait: `settle` is called by the writer's thread."""
        if self._enqueue(_Group(_Work(submissions, atomic), settle, None), low_priority=False):
            self._wake()

    def close(self) -> None:
        """Answers everything queued, then ends the writer's thread."""
        with self._waiting:
            self._closing = True
        self._wake()
        self._thread.join()

    def _wake(self) -> None:
        with self._waiting:
            self._waiting.notify()

    def _enqueue(self, group: _Group, *, low_priority: bool) -> bool:
        """Returns whether nothing else was queued, so that the writer may be asleep."""
        count = len(group.work.submissions)
        with self._waiting:
            if self._closing:
                raise Unavailable("shutting_down", retry_after_s=5)
            # An empty queue takes a group of any size, so that none is refused for ever.
            if self._queued and self._queued + count > MAX_QUEUE:
                raise Overloaded("queue_full", retry_after_s=1)
            is_first = not self._queued
            self._queued += count
            (self._low if low_priority else self._high).append(group)
            return is_first

    def _take(self) -> list[_Group]:
        with self._waiting:
            while not (self._high or self._low or self._closing):
                self._waiting.wait()
            taken: list[_Group] = []
            size = 0
            while self._high and size < _MAX_BATCH:
                taken.append(self._high.popleft())
                size += len(taken[-1].work.submissions)
            # Low priority goes along only where there is room beside what waits for an answer.
            while self._low and size < _LOW_PRIORITY_BATCH:
                taken.append(self._low.popleft())
                size += len(taken[-1].work.submissions)
            self._queued -= size
            return taken

    def _run(self) -> None:
        while groups := self._take():
            try:
                answers = self._record([group.work for group in groups])
            except Exception:
                # A bug of ours; whoever waits must still be answered, and the thread go on.
                log.exception("recorder.failed")
                answers = [_refuse(group.work, _internal) for group in groups]
            _settle(groups, answers)
            try:
                self.on_answered()
                self._on_commit()
            except Exception:
                log.exception("recorder.on_commit_failed")

    def _record(self, works: Sequence[_Work]) -> list[_Answers]:
        """Returns the answers of each piece of work, all in one transaction where that goes."""
        for _ in range(_CAS_ATTEMPTS):
            try:
                return self._commit(works)
            except store.HeadMoved as moved:
                # Another process was first at these heads, so nothing stands. Who wanted none of
                # them goes ahead, and only the others are decided again on what is there now.
                lost = [_wants(work, moved.streams) for work in works]
                if any(lost) and not all(lost):
                    return self._record_apart(works, lost)
            except DBAPIError as err:
                if getattr(err.orig, "sqlstate", None) in _TRY_AGAIN:
                    continue
                if isinstance(err, OperationalError) or err.connection_invalidated:
                    return self._refuse_all(works, err)
                return self._isolate(works, err)
            except PoolTimeout as err:
                return self._refuse_all(works, err)
            except Exception as err:  # noqa: BLE001 - a bug in a room's writer: whose, is found out
                return self._isolate(works, err)
        log.error("recorder.contended", works=len(works))
        return [_refuse(work, _contended) for work in works]

    def _commit(self, works: Sequence[_Work]) -> list[_Answers]:
        """Returns the answers after one committed transaction for all of the work."""
        decided: list[_Answers] | None = None
        try:
            with self._database.write() as connection:
                stage = Stage(connection, self._vault, self._clock.now())
                stage.load([s for work in works for s in work.submissions])
                answers = [
                    stage.decide_together(work.submissions)
                    if work.atomic
                    else [stage.decide(s) for s in work.submissions]
                    for work in works
                ]
                stage.flush(self._writers)
                for work in works:
                    for submission in work.submissions:
                        if submission.guard is not None:
                            submission.guard(connection)
                decided = answers
        except Exception as err:
            if decided is None:
                raise  # before the commit: nothing stands
            log.error("recorder.commit_failed", error=repr(err))
            return self._look_up(works, decided)
        return answers

    def _look_up(self, works: Sequence[_Work], decided: list[_Answers]) -> list[_Answers]:
        """Answers after a commit that failed, whose outcome may be unknown: what is there stands.

        Known gap: where the connection broke in the middle of the commit, PostgreSQL may finish it
        after we have looked. Unavailable then means: ask again with the same id.
        """
        new = {
            (answer.stream, answer.id): answer.hash
            for answers in decided
            for answer in answers
            if isinstance(answer, Recorded) and not answer.replayed
        }
        try:
            with self._database.read() as connection:
                found = store.find_by_id(connection, new)
        except SQLAlchemyError as err:
            log.error("recorder.lookup_failed", error=repr(err))
            found = {}
        # By hash, which holds place and time: an earlier record with this id is not this one.
        if all(place in found and found[place][1] == hash_ for place, hash_ in new.items()):
            return decided
        return [_refuse(work, _commit_failed) for work in works]

    def _record_apart(self, works: Sequence[_Work], second: Sequence[bool]) -> list[_Answers]:
        """Records in two transactions, those marked `second` in the later one."""
        parts: list[list[_Answers]] = []
        for which in (False, True):
            part = [work for work, later in zip(works, second, strict=True) if later is which]
            parts.append(self._record(part))
        answers = [iter(part) for part in parts]
        return [next(answers[later]) for later in second]

    def _isolate(self, works: Sequence[_Work], err: Exception) -> list[_Answers]:
        """Answers work that cannot be recorded together: halved until what fails stands alone."""
        if len(works) > 1:
            middle = len(works) // 2
            return self._record(works[:middle]) + self._record(works[middle:])
        (work,) = works
        halves = work.halves()
        if halves is not None:
            first, second = (self._record([half])[0] for half in halves)
            return [first + second]
        if isinstance(err, Fault):  # its guard's
            return [[err for _ in work.submissions]]
        log.error("recorder.work_failed", type=work.submissions[0].claim.type, exc_info=err)
        return [_refuse(work, _internal)]

    def _refuse_all(self, works: Sequence[_Work], err: Exception) -> list[_Answers]:
        """Answers when the database does not: nothing was written."""
        log.error("recorder.database_failed", error=repr(err))
        return [_refuse(work, _commit_failed) for work in works]


def _wants(work: _Work, streams: frozenset[str]) -> bool:
    return any(submission.claim.stream in streams for submission in work.submissions)


def _refuse(work: _Work, fault: Callable[[], Fault]) -> _Answers:
    # One each: every request raises its own.
    return [fault() for _ in work.submissions]


def _internal() -> Fault:
    return Fault("internal")


def _contended() -> Fault:
    return Unavailable("contended", retry_after_s=1)


def _commit_failed() -> Fault:
    return Unavailable("commit_failed", retry_after_s=1)


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

        # A loop that has closed has nobody left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle_all)
