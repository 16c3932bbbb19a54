"""Processes that belong together: forked from one, which only watches over them.

The first forks before it has a thread or a database connection, for neither survives a fork whole. It
hands on what was opened before (sockets, the folder's lock), and from then on waits: a signal ends the
others in order, the front ones first; one that ends unasked ends them all, since a service that is half
there is worse than one that its supervisor starts again. Where the first is killed the others end at
once.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import uuid_utils

from app.config import PREFIX
from app.terminal import UNEXPECTED, fail, refusal_of

Ready = Callable[[], object]
Work = Callable[[Ready], None]

_ENDINGS = (signal.SIGTERM, signal.SIGINT)
# Whoever has not ended in order by then is killed. Longer than requests are waited for.
_PATIENCE_S = 30
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


@dataclass(frozen=True, slots=True)
class _Child:
    """name: for people. is_front: ended before those that are not."""

    name: str
    is_front: bool


class Family:
    """The processes of one service. Everything here is called by the first one's main thread."""

    def __init__(self) -> None:
        self._children: dict[int, _Child] = {}
        self._asked: int | None = None  # the signal that ends us
        self._ending = False
        self._before = {number: signal.signal(number, self._hear) for number in _ENDINGS}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._lose_patience)
        self._lent: list[socket.socket] = []
        # Nobody ever writes into it; its end tells the children that we are gone.
        self._lifeline, self._held = os.pipe()

    def lend(self, sockets: Sequence[socket.socket]) -> None:
        """Keeps sockets for children to come, and closes them once all are to end.

        Else whoever waits for the other end of one to go would wait for us, and we for it.
        """
        self._lent += sockets

    def fork(self, name: str, work: Work, *, is_front: bool) -> None:
        """Returns when the new process has said that it is ready.

        Ends this one as it ended, with the same sentence and exit code, where it never is.
        """
        reading, writing = os.pipe()
        with _deaf():
            pid = os.fork()
            if pid == 0:
                os.close(reading)
                self._live(name, work, _Voice(writing))
            self._children[pid] = _Child(name, is_front)
        os.close(writing)
        if self._asked is not None:  # it came while we were deaf, and before there was a child
            self._end()
        with os.fdopen(reading, "rb") as told:
            line = told.readline()
        if line == b"ready\n":
            return
        self._end()
        self.wait()
        sentence, code = json.loads(line) if line else (f"the {name} process ended", UNEXPECTED)
        fail(sentence, code=code)

    def wait(self) -> None:
        """Returns when all have ended as they were asked to, by the signal that asked for it.

        Ends this process with a sentence where one had ended by itself.
        """
        died: tuple[str, int] | None = None
        while self._children:
            pid, status = os.waitpid(-1, 0)
            child = self._children.pop(pid, None)
            if child is None:
                continue
            if not self._ending:
                died = child.name, os.waitstatus_to_exitcode(status)
                self._end()
            elif not any(one.is_front for one in self._children.values()):
                self._signal(signal.SIGTERM)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if died is not None:
            name, code = died
            how = f"was killed by signal {-code}" if code < 0 else f"ended by itself, code {code}"
            fail(
                f"the {name} process {how}; everything was stopped. Start it again", code=UNEXPECTED
            )
        if self._asked is not None:
            signal.raise_signal(self._asked)

    def _hear(self, number: int, _frame: object) -> None:
        if self._asked is not None and number == signal.SIGINT:
            self._lose_patience(number, _frame)
            return
        self._asked = number
        self._end()

    def _end(self) -> None:
        if self._ending and not self._children:
            return
        self._ending = True
        for one in self._lent:
            one.close()
        signal.setitimer(signal.ITIMER_REAL, _PATIENCE_S, _PATIENCE_S)
        self._signal(signal.SIGTERM)

    def _lose_patience(self, _number: int, _frame: object) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        """Signals the front ones; where there are none left, the others."""
        fronts = [pid for pid, child in self._children.items() if child.is_front]
        for pid in fronts or list(self._children):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _live(self, name: str, work: Work, voice: _Voice) -> None:
        """What a child does, from the fork to its end."""
        code = 0
        try:
            # Ctrl-C reaches all of us; the first one says who ends when.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
            os.close(self._held)
            _end_with(self._lifeline)
            _show_as(f"suxin-{name.lower()}")
            uuid_utils.reseed_rng()  # or all of us would make the same ids
            work(partial(voice.say, b"ready\n"))
        except BaseException as err:  # noqa: BLE001 - nothing may run on in what was the first one's stack
            sentence, code = refusal_of(err)
            if code == UNEXPECTED and os.environ.get(f"{PREFIX}LOG_LEVEL", "").lower() == "debug":
                traceback.print_exc()
            if not voice.say(json.dumps([sentence, code]).encode() + b"\n"):
                sys.stderr.write(f"suxin: {sentence}\n")
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


class _Voice:
    """What a child has to say to the first process: one line, then nothing."""

    def __init__(self, writing: int) -> None:
        self._writing: int | None = writing

    def say(self, line: bytes) -> bool:
        """Returns whether it was the first line, and so was said."""
        # Forgotten before it is closed: its number may soon be that of the database.
        writing, self._writing = self._writing, None
        if writing is None:
            return False
        with contextlib.suppress(OSError):
            os.write(writing, line)
        os.close(writing)
        return True


@contextmanager
def _deaf() -> Iterator[None]:
    """Keeps the signals that end us waiting, so that no child hears them with our ears."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)


def _end_with(lifeline: int) -> None:
    """Ends this process when the first one is gone, whatever it is doing.

    By the kernel, where it can (Linux), and by a thread that sees the pipe's end everywhere else.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        with contextlib.suppress(OSError):
            os.read(lifeline, 1)
        os._exit(UNEXPECTED)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _show_as(name: str) -> None:
    """Lets `ps -o comm` and `top` tell the processes apart: at most 15 letters."""
    _prctl(_PR_SET_NAME, name.encode("ascii"))


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
