"""A ledger's process that is killed, or whose disk fails, at a chosen system call.

It waits to be traced, works through a few turns of a `Life`, and writes down the receipts that it gave and
the notes that it saw, each line by one write, so that the line is there or not.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from app.kit.errors import Fault
from tests.drills.processes import PRELOADED
from tests.faults.life import Life
from tests.faults.matters import Matter, with_writers
from tests.faults.tracing import TIMEOUT_S, status, traced, wait
from tests.ledger.ledgers import Ledger

_context = multiprocessing.get_context("forkserver")
# One server a test process: also what the drills want of it.
_context.set_forkserver_preload(["tests.faults.victim", *PRELOADED])
TURNS = 2
NOT_STARTED = 3


@dataclass(frozen=True)
class Ended:
    """How the process ended (-9: killed), what it told, and whether the fault was injected."""

    code: int
    told: list[dict[str, Any]]
    hit: bool


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
    out = folder / "told"
    out.write_bytes(b"")
    process = _context.Process(
        target=_live, args=(url, str(keys_dir), str(out), erases), daemon=True
    )
    process.start()
    assert process.pid is not None
    wait(lambda: status(process.pid, "State").startswith("T"), "the victim has stopped")
    try:
        with traced([process.pid], call, inject, folder / "trace") as trace:
            os.kill(process.pid, signal.SIGCONT)
            process.join(TIMEOUT_S)
        assert process.exitcode is not None, "the victim did not end"
    finally:
        process.kill()
    assert process.exitcode in (0, NOT_STARTED, -signal.SIGKILL), trace.path.read_text()
    told = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    return Ended(process.exitcode, told, process.exitcode != 0 or trace.hit)


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
