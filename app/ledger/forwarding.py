"""Hands submissions to the process that records, and its answers to whoever waits here.

One recorder for all processes of a service: what many of them are asked at a time goes into one
transaction, and reaches the disk at once. Who answers HTTP does nothing about a record but check it and
sign its receipt.

What another process cannot decide is given to this one's own recorder.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

import structlog

from app.kit.errors import Fault, Overloaded, Unavailable
from app.ledger.frames import RECEIVE_BYTES, Frames, Outlet, frame, unpack_answer
from app.ledger.recorder import MAX_QUEUE
from app.ledger.submission import Answer, Submission

log = structlog.get_logger(__name__)

Packed = tuple[Any, ...]


class TakesSubmissions(Protocol):
    """What records: a recorder, or the way to one."""

    async def submit(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        """Returns one answer a submission, in order, after their transaction is committed."""

    def submit_and_wait(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        """Like `submit`, for threads."""

    def hand_over(self, submissions: Sequence[Submission]) -> Future[list[Answer]]:
        """Like `submit`, for threads that go on meanwhile."""


class Forwarder:
    """The way to another process's recorder. `start` it inside the event loop, `close` it there.

    pack: plain values of a submission, None for what only this process can decide. heard: called with
    what the other process tells unasked.
    """

    def __init__(
        self,
        connection: socket.socket,
        own: TakesSubmissions,
        *,
        pack: Callable[[Submission], Packed | None],
        heard: Callable[[Any], None],
    ) -> None:
        self._connection = connection
        self._own = own
        self._pack = pack
        self._heard = heard
        self._outlet = Outlet(connection)
        self._frames = Frames()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        # Guarded by _lock: who waits, by number, with how many submissions; their sum; who tells why
        # no more is taken.
        self._waiting: dict[int, tuple[Callable[[list[Answer]], None], int]] = {}
        self._waited_for = 0
        self._closed: Callable[[], Fault] | None = None
        # The event loop's alone.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unsent: list[Any] = []

    def start(self) -> None:
        """Listens for answers in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._connection.fileno(), self._read)

    def close(self) -> None:
        """Ends the connection; who still waits is told that the outcome is unknown."""
        self._end(_shutting_down)
        self._connection.close()

    async def submit(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        """Like `Recorder.submit`."""
        packed = self._pack_all(submissions)
        if packed is None:
            return await self._own.submit(submissions, atomic=atomic)
        future: asyncio.Future[list[Answer]] = asyncio.get_running_loop().create_future()

        def settle(answers: list[Answer]) -> None:
            if not future.done():  # the client may have gone away
                future.set_result(answers)

        self._post((self._expect(settle, len(packed)), atomic, packed))
        return await future

    def submit_and_wait(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        """Like `Recorder.submit_and_wait`, with the usual priority."""
        packed = self._pack_all(submissions)
        if packed is None or self._loop is None:
            return self._own.submit_and_wait(submissions, atomic=atomic)
        future: Future[list[Answer]] = Future()
        # Framed here: a thousand events are much for the event loop.
        told = frame([(self._expect(future.set_result, len(packed)), atomic, packed)])
        self._send(told)
        return future.result()

    def hand_over(self, submissions: Sequence[Submission]) -> Future[list[Answer]]:
        """Like `Recorder.hand_over`."""
        packed = self._pack_all(submissions)
        if packed is None or self._loop is None:
            return self._own.hand_over(submissions)
        future: Future[list[Answer]] = Future()
        self._send(frame([(self._expect(future.set_result, len(packed)), False, packed)]))
        return future

    def tell(self, what: str) -> None:
        """Tells the other process something that has no answer. From any thread."""
        if self._closed is None:
            self._send(frame([what]))

    def _pack_all(self, submissions: Sequence[Submission]) -> list[Packed] | None:
        packed: list[Packed] = []
        for submission in submissions:
            one = self._pack(submission)
            if one is None:
                return None
            packed.append(one)
        return packed

    def _expect(self, settle: Callable[[list[Answer]], None], count: int) -> int:
        """Returns the number under which the answers come. Raises Overloaded or Unavailable."""
        with self._lock:
            if self._closed is not None:
                raise self._closed()
            # As in the recorder: nothing waiting takes work of any size.
            if self._waited_for and self._waited_for + count > MAX_QUEUE:
                raise Overloaded("queue_full", retry_after_s=1)
            number = next(self._numbers)
            self._waiting[number] = settle, count
            self._waited_for += count
            return number

    def _post(self, message: Any) -> None:
        self._unsent.append(message)
        if len(self._unsent) == 1:
            # Not at once: what else this turn of the loop brings travels along.
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        self._send(frame(unsent))

    def _send(self, told: bytes) -> None:
        try:
            self._outlet.send(told)
        except OSError as err:
            self._lose(err)

    def _read(self) -> None:
        try:
            received = self._connection.recv(RECEIVE_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError as err:
            self._lose(err)
            return
        if not received:
            self._lose(None)
            return
        for message in self._frames.take(received):
            if isinstance(message, tuple) and isinstance(message[0], int):
                self._settle(*message)
            else:
                self._heard(message)

    def _settle(self, number: int, packed: Sequence[Packed]) -> None:
        with self._lock:
            settle, count = self._waiting.pop(number)
            self._waited_for -= count
        settle([unpack_answer(one) for one in packed])

    def _lose(self, err: OSError | None) -> None:
        log.error("forwarding.lost", error=repr(err))
        self._end(_outcome_unknown)

    def _end(self, why: Callable[[], Fault]) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
            first, self._closed = self._closed is None, self._closed or why
        if first and self._loop is not None:
            # A loop that has ended listens no more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._loop.remove_reader, self._connection.fileno())
        # What was sent may be recorded by now: never "nothing was done".
        for settle, count in waiting.values():
            answers: list[Answer] = [_outcome_unknown() for _ in range(count)]
            if self._loop is None:
                settle(answers)
            else:
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(settle, answers)


def _outcome_unknown() -> Fault:
    return Unavailable("commit_failed", retry_after_s=1)


def _shutting_down() -> Fault:
    return Unavailable("shutting_down", retry_after_s=5)
