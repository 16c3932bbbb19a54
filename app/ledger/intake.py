"""The recorder's end of what other processes forward (app.ledger.forwarding): takes it in, answers.

One thread reads for all connections. The recorder's own thread sends the answers, a frame a connection
for a whole transaction.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from app.kit.errors import Fault
from app.ledger.frames import RECEIVE_BYTES, Frames, Outlet, frame, pack_answer
from app.ledger.recorder import Recorder
from app.ledger.submission import Answer, Submission

log = structlog.get_logger(__name__)

Packed = tuple[Any, ...]


class Intake:
    """Takes in what comes from `connections`, from `start` on until they are closed at the other end.

    unpack: makes a submission of plain values. wakes: what is to be done when a process tells a word.
    """

    def __init__(
        self,
        connections: Sequence[socket.socket],
        recorder: Recorder,
        *,
        unpack: Callable[[Packed], Submission],
        wakes: Mapping[str, Callable[[], None]],
    ) -> None:
        self._recorder = recorder
        self._unpack = unpack
        self._wakes = wakes
        self._lines = [_Line(connection) for connection in connections]
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)
        recorder.on_answered = self._answer

    def start(self) -> None:
        """Begins to take in."""
        self._thread.start()

    def tell(self, told: Any) -> None:
        """Tells every process something unasked."""
        for line in self._lines:
            line.send(frame([told]))

    def join(self) -> None:
        """Returns when every other end is closed, and everything from there has gone on its way."""
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for line in self._lines:
                selector.register(line.connection, selectors.EVENT_READ, line)
            while selector.get_map():
                for key, _ in selector.select():
                    if not self._read(key.data):
                        selector.unregister(key.fileobj)

    def _read(self, line: _Line) -> bool:
        """Returns whether more may come."""
        try:
            received = line.connection.recv(RECEIVE_BYTES)
        except OSError:
            return False
        for message in line.frames.take(received):
            if isinstance(message, str):
                self._wakes.get(message, _nothing)()
            else:
                self._take(line, *message)
        return bool(received)

    def _take(self, line: _Line, number: int, atomic: bool, packed: Sequence[Packed]) -> None:  # noqa: FBT001
        try:
            submissions = [self._unpack(one) for one in packed]
            self._recorder.submit_and_tell(submissions, partial(line.answer, number), atomic=atomic)
        except Fault as fault:
            line.send(_answers(number, [fault for _ in packed]))
        except Exception:
            # A bug of ours; whoever waits must still be answered.
            log.exception("intake.failed")
            line.send(_answers(number, [Fault("internal") for _ in packed]))

    def _answer(self) -> None:
        for line in self._lines:
            line.flush()


class _Line:
    """One process: its connection, and the answers that are to go there."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.frames = Frames()
        self._outlet = Outlet(connection)
        # The recorder's thread alone.
        self._answered: list[tuple[int, list[Answer]]] = []

    def answer(self, number: int, answers: list[Answer]) -> None:
        self._answered.append((number, answers))

    def flush(self) -> None:
        answered, self._answered = self._answered, []
        if not answered:
            return
        try:
            told = frame([(number, [pack_answer(a) for a in one]) for number, one in answered])
        except Exception:
            log.exception("intake.failed")
            told = b"".join(
                _answers(number, [Fault("internal") for _ in one]) for number, one in answered
            )
        self.send(told)

    def send(self, told: bytes) -> None:
        # A process that is gone has nobody left who waits.
        with contextlib.suppress(OSError):
            self._outlet.send(told)


def _answers(number: int, answers: Sequence[Answer]) -> bytes:
    return frame([(number, [pack_answer(answer) for answer in answers])])


def _nothing() -> None:
    """A word that nobody here acts on, such as an alarm for loops that run elsewhere."""
