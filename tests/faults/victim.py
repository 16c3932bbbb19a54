"""A ledger's process that is killed, or whose disk fails, at a chosen system call.

It waits to be traced, works through a few turns of a `Life`, and writes down the receipts that it gave and
the notes that it saw, each line by one write, so that the line is there or not.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from app.kit.errors import Fault
from tests.faults.life import Life
from tests.faults.matters import Matter, with_writers
from tests.ledger.ledgers import Ledger

_context = multiprocessing.get_context("forkserver")
# One server a test process: also what the drills want of it.
_context.set_forkserver_preload(["tests.drills.processes", "app.cli", "tests.faults.victim"])
_TIMEOUT_S = 60
TURNS = 2
NOT_STARTED = 3


@dataclass(frozen=True)
class Ended:
    """How the process ended (-9: killed), what it told, and whether the fault was injected."""

    code: int
    told: list[dict[str, Any]]
    hit: bool


class CannotTrace(Exception):
    """strace is missing, or this machine forbids it."""


def run_under(
    url: str,
    keys_dir: Path,
    folder: Path,
    call: str,
    inject: str,
    *,
    erases: Matter | None = None,
) -> Ended:
    """Returns how the victim ended with `inject` (strace's words) at its system call `call`.

    erases: what it erases, instead of a few turns.
    """
    out, trace = folder / "told", folder / "trace"
    out.write_bytes(b"")
    process = _context.Process(
        target=_live, args=(url, str(keys_dir), str(out), erases), daemon=True
    )
    process.start()
    assert process.pid is not None
    _wait(lambda: _status(process.pid, "State").startswith("T"), "the victim has stopped")
    tracer = subprocess.Popen(
        ["strace", "-f", "-qq", "-p", str(process.pid), "-o", trace, "-e", f"trace={call}",
         "-e", f"inject={call}:{inject}"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        _wait(lambda: _traced(process.pid, tracer), "strace has attached")
        os.kill(process.pid, signal.SIGCONT)
        process.join(_TIMEOUT_S)
        assert process.exitcode is not None, "the victim did not end"
        tracer.wait(_TIMEOUT_S)
    finally:
        process.kill()
        tracer.kill()
        tracer.communicate()
    assert process.exitcode in (0, NOT_STARTED, -signal.SIGKILL), trace.read_text()
    told = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    hit = process.exitcode != 0 or "INJECTED" in trace.read_text()
    return Ended(process.exitcode, told, hit)


def _live(url: str, keys_dir: str, out: str, erases: Matter | None) -> None:
    file = os.open(out, os.O_WRONLY | os.O_APPEND)
    os.kill(os.getpid(), signal.SIGSTOP)

    def tell(line: dict[str, Any]) -> None:
        os.pwritev(file, [json.dumps(line).encode() + b"\n"], os.lseek(file, 0, os.SEEK_END))

    try:
        ledger = Ledger(url, Path(keys_dir))
        if erases is not None:
            with_writers(ledger)
    except (OSError, DBAPIError):
        os._exit(NOT_STARTED)
    if erases is None:
        _turn(Life(ledger), tell)
    else:
        with suppress(Fault, DBAPIError):
            for answer in erases.erase(ledger):
                tell({"erasure": answer.hash.hex()})
    os._exit(0)


def _turn(life: Life, tell: Callable[[dict[str, Any]], None]) -> None:
    written: set[Any] = set()
    for _ in range(TURNS):
        life.turn()
        life.attempt(life.look)
        for place, receipt in life.receipts.items():
            if place not in written:
                tell({"receipt": receipt})
        for note in life.notes - written:
            tell({"note": note})
        written |= life.receipts.keys() | life.notes


def _traced(pid: int | None, tracer: subprocess.Popen[str]) -> bool:
    if tracer.poll() is not None:
        assert tracer.stderr is not None
        raise CannotTrace(tracer.stderr.read().strip())
    return _status(pid, "TracerPid") != "0"


def _status(pid: int | None, name: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.partition(":")[2].strip()
    raise AssertionError(name)


def _wait(true: Any, what: str) -> None:
    until = time.monotonic() + _TIMEOUT_S
    while not true():
        assert time.monotonic() < until, f"{what}: not within {_TIMEOUT_S} s"
        time.sleep(0.005)
