"""What travels between the processes of one service, over a pair of sockets that only they have.

A frame is a length (4 bytes, big-endian) and a pickled list of messages. Pickle, because both ends are
one program that was forked from one process: nobody else can write into the pair.
"""

from __future__ import annotations

import contextlib
import pickle
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from app.kit.errors import Fault
from app.ledger.submission import Answer, Recorded

_LENGTH = struct.Struct("!I")
RECEIVE_BYTES = 1 << 18


def frame(messages: Sequence[Any]) -> bytes:
    """Returns the messages as one frame."""
    told = pickle.dumps(messages, protocol=5)
    return _LENGTH.pack(len(told)) + told


class Frames:
    """Takes bytes as they come, and gives the messages of each frame that is whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def take(self, received: bytes) -> Iterator[Any]:
        """Yields the messages that are whole with these bytes."""
        self._buffer += received
        at = 0
        while len(self._buffer) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, at)
            end = at + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            with memoryview(self._buffer) as whole:
                messages = pickle.loads(whole[at + _LENGTH.size : end])  # noqa: S301 - see above
            at = end
            yield from messages
        del self._buffer[:at]


class Outlet:
    """The sending side of a socket, for any thread, none of which waits for the other process.

    What does not fit into the socket at once is sent by a thread that lives as long as it takes.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        # Guarded by _lock. Not empty: a thread is sending, and what comes is put behind.
        self._rest: deque[bytes] = deque()

    def send(self, told: bytes) -> None:
        """Sends, or sees to it. Raises OSError where the other process is gone."""
        with self._lock:
            if self._rest:
                self._rest.append(told)
                return
            try:
                sent = self._connection.send(told, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            if sent < len(told):
                self._rest.append(told[sent:])
                threading.Thread(target=self._send_rest, name="outlet", daemon=True).start()

    def _send_rest(self) -> None:
        # Whoever reads at the other end has lost it, and says so there.
        with contextlib.suppress(OSError):
            while True:
                with self._lock:
                    told = self._rest[0]
                self._connection.sendall(told)
                with self._lock:
                    self._rest.popleft()
                    if not self._rest:
                        return


def pack_answer(answer: Answer) -> tuple[Any, ...]:
    """Returns an answer as plain values."""
    if isinstance(answer, Fault):
        return type(answer), answer.args, answer.__dict__
    return (
        answer.stream,
        answer.seq,
        answer.id,
        answer.type,
        answer.hash,
        answer.prev,
        answer.recorded_at,
        answer.body,
        answer.replayed,
    )


def unpack_answer(packed: tuple[Any, ...]) -> Answer:
    """Returns the answer that was packed; a fault with everything it had."""
    if len(packed) != _FAULT_PARTS:
        return Recorded(*packed)
    kind, args, fields = packed
    fault: Fault = kind.__new__(kind, *args)
    fault.__dict__.update(fields)
    return fault


_FAULT_PARTS = 3
