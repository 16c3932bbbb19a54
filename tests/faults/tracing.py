"""Faults at the n-th system call of a process, by strace's injection."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TIMEOUT_S = 60


class CannotTrace(Exception):
    """strace is missing, or this machine forbids it."""


class Trace:
    """What strace wrote down."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def hit(self) -> bool:
        """Whether a call was made to fail; of a process that was killed this is not known."""
        return "INJECTED" in self.path.read_text()


@contextmanager
def traced(pids: Sequence[int], calls: str, inject: str, path: Path) -> Iterator[Trace]:
    """Injects (`inject` in strace's words) into calls of running processes until the block ends.

    Raises CannotTrace.
    """
    if shutil.which("strace") is None:
        raise CannotTrace("no strace on this machine (apt-get install strace)")
    attach = [part for pid in pids for part in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", *attach, "-o", path, "-e", f"trace={calls}",
         "-e", f"inject={calls}:{inject}"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for pid in pids:
            wait(lambda pid=pid: _is_traced(pid, tracer), "strace has attached")
        yield Trace(path)
    finally:
        tracer.terminate()  # it lets go of whoever lives
        tracer.communicate()


def status(pid: int | None, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    raise AssertionError(name)


def wait(true: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < until, f"{what}: not within {TIMEOUT_S} s"
        time.sleep(0.005)


def _is_traced(pid: int, tracer: subprocess.Popen[str]) -> bool:
    if tracer.poll() is not None:
        assert tracer.stderr is not None
        raise CannotTrace(f"strace cannot trace here: {tracer.stderr.read().strip()}")
    return status(pid, "TracerPid") != "0"
