"""Large prints, made in a process of their own (`app.labels.press`), for whoever has the labels.

Why apart: 10,000 labels are ten seconds of Python, in which a service that printed them itself would
hardly answer anybody else, and fonts and pages that it would not give back. Not by `multiprocessing`:
its fork copies locks that other threads hold, and its spawn imports the caller's main module, which is
all of Suxin, into the child.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from app.kit.errors import Overloaded, Unavailable
from app.labels.placing import SheetLabel
from app.labels.press import PrintJob, fault_of, job_line, labels_line, report_of
from app.labels.sheet import SheetReport

_ROOT: Final = Path(__file__).resolve().parents[2]
_PROGRAM: Final = "app.labels.press"
# Fewer are drawn sooner than a process has started and read its font.
FEW: Final = 240
_PART: Final = 100  # labels a message
# A press says something every few pages, at most some seconds after it was handed labels; the last
# thing it does in silence is to put the file together, two seconds for 10,000. So this is a press that
# hangs, or a machine that no longer gets anywhere.
_SILENCE_S: Final = 60.0
_ENDING_S: Final = 10.0
# Two cores' worth, and 2 × 140 MB at most; who comes third waits for a turn, but not for ever.
_AT_ONCE: Final = 2
_PATIENCE_S: Final = 60.0

_turns = threading.BoundedSemaphore(_AT_ONCE)


class PressFailed(Unavailable):
    """The press ended or fell silent before the print was made; nothing was written."""


@dataclass(frozen=True, slots=True)
class Pressed:
    """What came of it. peak_mb: the most memory that the press had, in 10^6 bytes."""

    report: SheetReport
    peak_mb: float


def write_apart(
    job: PrintJob,
    labels: Iterable[SheetLabel],
    out: BinaryIO,
    *,
    progress: Callable[[int], None] | None = None,
    silence_s: float = _SILENCE_S,
) -> Pressed:
    """Writes the labels into `out` at the very end, in one go; whatever is raised leaves it untouched.

    labels: taken here, some hundreds ahead of the print. progress: as `press.write_here`; what it
    raises, or `labels`, ends the press. silence_s: how long it may say nothing.
    Raises as `press.write_here`, PressFailed (`press_failed`), Overloaded (`press_busy`), and
    RuntimeError where the press ended by a mistake of ours, which it has written to standard error.
    """
    if not _turns.acquire(timeout=_PATIENCE_S):
        raise Overloaded("press_busy", retry_after_s=10)
    try:
        with tempfile.TemporaryFile() as file:
            with _started(file, silence_s) as press:
                pressed = press.make(job, labels, progress)
            file.seek(0)
            shutil.copyfileobj(file, out)
    finally:
        _turns.release()
    return pressed


class _Press:
    """A press that runs, seen from outside."""

    def __init__(
        self, process: subprocess.Popen[bytes], channel: socket.socket, heard: BinaryIO
    ) -> None:
        self._process = process
        self._channel = channel
        self._heard = heard

    def make(
        self,
        job: PrintJob,
        labels: Iterable[SheetLabel],
        progress: Callable[[int], None] | None,
    ) -> Pressed:
        self._say(job_line(job))
        waiting = iter(labels)
        part = list(islice(waiting, _PART))
        while True:
            match self._hear():
                case ["want"]:
                    self._say(labels_line(part))
                    # Made while these are drawn.
                    part = list(islice(waiting, _PART))
                case ["done", int(done)]:
                    if progress is not None:
                        progress(done)
                case ["made", report, float(peak_mb)]:
                    return Pressed(report_of(report), peak_mb)
                case ["refused", fault]:
                    raise fault_of(fault)
                case other:
                    raise RuntimeError(f"the press said {other!r}"[:200])

    def _say(self, line: bytes) -> None:
        try:
            self._channel.sendall(line)
        except (ConnectionError, TimeoutError) as err:
            raise self._failure(err) from err

    def _hear(self) -> Any:
        try:
            line = self._heard.readline()
        except (ConnectionError, TimeoutError) as err:
            raise self._failure(err) from err
        if not line.endswith(b"\n"):
            raise self._failure(None)
        return json.loads(line)

    def _failure(self, err: OSError | None) -> Exception:
        """Returns what to raise; where the socket has ended, the process has too, or is about to."""
        if not isinstance(err, TimeoutError):
            with suppress(subprocess.TimeoutExpired):
                if (code := self._process.wait(_ENDING_S)) > 0:
                    return RuntimeError(f"the press ended with code {code}")
        return _failed()


@contextmanager
def _started(file: BinaryIO, silence_s: float) -> Iterator[_Press]:
    """Yields a press that writes into `file`; it has ended, one way or another, when this ends."""
    ours, theirs = socket.socketpair()
    with ours, ours.makefile("rb") as heard:
        with theirs:
            process = _process(theirs.fileno(), file.fileno())
        ours.settimeout(silence_s)
        try:
            yield _Press(process, ours, heard)
        finally:
            process.kill()
            process.wait()


def _process(*numbers: int) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", _PROGRAM, *map(str, numbers)],
            cwd=_ROOT,
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            # Ctrl-C in a terminal is for whoever prints, who ends the press.
            start_new_session=True,
        )
    except OSError as err:  # no memory, or no more processes
        raise _failed() from err


def _failed() -> PressFailed:
    return PressFailed("press_failed", retry_after_s=10)
