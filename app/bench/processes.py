"""Starts the bench's own processes, and sees to it that none is left."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
CONSTANT, REAL, CPU = "constant", "real", "cpu"
_STOP_S = 20
_SETTLE_S = 120
# Of one core: loops that look around and find nothing, and the walk of the audit, take less.
_IDLE_CPU = 0.2


class BenchFailed(Exception):
    """A process of the bench did not do what it was started for; a figure would be a lie."""


class Listening:
    """A running served process (or stub)."""

    def __init__(self, process: subprocess.Popen[str], complaints: IO[str]) -> None:
        self._process = process
        self._complaints = complaints
        self.port = int(self._told()["port"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def answering_constantly(self) -> Iterator[None]:
        """Lets a recorder stand in that records nothing and always answers the same."""
        self._order(CONSTANT)
        try:
            yield
        finally:
            self._order(REAL)

    def cpu_s(self) -> Counter[str]:
        """Returns the seconds of CPU that what serves has used so far, by process and thread."""
        return Counter(self._ask(CPU)["cpu_s"])

    def settle(self) -> None:
        """Returns when nothing is left to be done in the background: a log just grown is new to every loop.

        Raises BenchFailed if that takes more than two minutes.
        """
        before_s = self.cpu_s().total()
        for _ in range(_SETTLE_S):
            time.sleep(1)
            now_s = self.cpu_s().total()
            if now_s - before_s < _IDLE_CPU:
                return
            before_s = now_s
        raise BenchFailed(f"the service is still busy with itself after {_SETTLE_S} s")

    def _order(self, answers: str) -> None:
        if self._ask(answers)["answers"] != answers:
            raise BenchFailed(f"the served process does not answer {answers}")

    def _ask(self, line: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._told()

    def _told(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._complaints.seek(0)
            raise BenchFailed(f"the served process has ended: {self._complaints.read()[-2000:]}")
        return json.loads(line)


@contextmanager
def serving(folder: Path) -> Iterator[Listening]:
    """Yields the service of the deployment in `folder`, in a process of its own."""
    with _started("serve", str(folder)) as listening:
        yield listening


@contextmanager
def stub() -> Iterator[Listening]:
    """Yields a server that answers everything at once."""
    with _started("stub") as listening:
        yield listening


@contextmanager
def bare_pages(folder: Path) -> Iterator[Listening]:
    """Yields a server that asks what the pages noted in `folder` ask, and answers what was ready before."""
    with _started(str(folder), module="app.bench.bare_pages") as listening:
        yield listening


def run_alone(work: str, path: Path, *arguments: object, timeout_s: float) -> Any:
    """Returns what a piece of work of `app.bench.alone` told. Raises BenchFailed."""
    return run_program("app.bench.alone", work, path, *arguments, timeout_s=timeout_s)


def run_program(module: str, *arguments: object, timeout_s: float) -> Any:
    """Returns what a program of the bench told, in JSON on its last line. Raises BenchFailed."""
    work = " ".join(map(str, (module, *arguments)))
    command = [sys.executable, "-m", module, *map(str, arguments)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=True
        )
    except subprocess.CalledProcessError as err:
        raise BenchFailed(f"{work}: {err.stderr.strip()[-2000:]}") from err
    except subprocess.TimeoutExpired as err:
        raise BenchFailed(f"{work}: not done within {timeout_s:.0f} s") from err
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def _started(*arguments: str, module: str = "app.bench.serving") -> Iterator[Listening]:
    with tempfile.TemporaryFile("w+") as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        try:
            yield Listening(process, complaints)
        finally:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()  # which ends it
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
