"""The served process that load is sent to, and a stub that costs nothing to answer.

    python -m app.bench.serving serve FOLDER
    python -m app.bench.serving stub

Says one line of JSON on standard output when it listens, obeys the lines on its standard input, and
ends with it, so that nothing stays behind when the bench is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import uvicorn

from app.bench.plan import settings_in
from app.bench.processes import CONSTANT, CPU, REAL
from app.forked import Family
from app.ledger.forwarding import TakesSubmissions
from app.ledger.record import ZERO_HASH
from app.ledger.submission import Answer, Recorded, Submission
from app.main import configure_logs
from app.serving import fork_service, listen_apart, processes_of
from app.web.deps import Rooms

_CONSTANT = Recorded(
    stream="01/09521234543213/21/8F3K2M9QZ7AB5",
    seq=1,
    id="01935c5e-0000-7000-8000-000000000000",
    type="sale",
    hash=bytes(32),
    prev=ZERO_HASH,
    recorded_at=datetime(2026, 11, 23, tzinfo=UTC),
    body=b'{"data":{},"source":"merchant"}',
    replayed=False,
)
_STUB_ANSWER = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)


class _Switch:
    """The way to the recorder, or, while `constant`, one that records nothing and always answers the same."""

    def __init__(self, real: TakesSubmissions) -> None:
        self._real = real
        self.constant = False

    async def submit(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        if self.constant:
            return [_CONSTANT for _ in submissions]
        return await self._real.submit(submissions, atomic=atomic)

    def submit_and_wait(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        return self._real.submit_and_wait(submissions, atomic=atomic)

    def hand_over(self, submissions: Sequence[Submission]) -> Future[list[Answer]]:
        return self._real.hand_over(submissions)


def serve(folder: Path) -> None:
    """Serves the deployment in `folder` in several processes, as `suxin serve` does by default."""
    settings = settings_in(folder)
    configure_logs(settings.log_level)
    listening = listen_apart(settings.host, 0, processes_of(settings))
    port = listening[0].getsockname()[1]
    ends = [socket.socketpair() for _ in range(len(listening) + 2)]
    family = Family()
    fork_service(
        family,
        settings,
        listening,
        in_ledger=lambda rooms: _obey(rooms, ends[0][1]),
        in_worker=lambda rooms: _obey(rooms, ends[1][1]),
        beside=lambda n, rooms: _obey(rooms, ends[2 + n][1]),
    )
    ours = [here.makefile("rw", encoding="utf-8") for here, _ in ends]

    def order_all() -> None:
        _say(port=port)
        for line in sys.stdin:
            told = []
            for one in ours:
                one.write(line)
                one.flush()
                told.append(json.loads(one.readline()))
            # Those that answer are told together; the first process only waits for the others.
            cpu_s = defaultdict(float, parent=time.process_time())
            names = ("ledger", "worker", *("API" for _ in listening))
            for name, one in zip(names, told, strict=True):
                for part, spent in one["cpu_s"].items():
                    cpu_s[f"{name} {part}"] += spent
            _say(cpu_s=cpu_s, answers=told[-1]["answers"])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=order_all, daemon=True).start()
    family.wait()


def _obey(rooms: Rooms, end: socket.socket) -> None:
    """Lets a thread of this process do what its end of a pair is told."""
    switch = _Switch(rooms.recording._recorder)  # noqa: SLF001 - what stands behind the route is the point
    rooms.recording._recorder = switch  # noqa: SLF001

    def obey() -> None:
        with end.makefile("rw", encoding="utf-8") as orders:
            for line in orders:
                if line.strip() != CPU:
                    switch.constant = line.strip() == CONSTANT
                answers = CONSTANT if switch.constant else REAL
                orders.write(json.dumps({"cpu_s": _cpu_s(), "answers": answers}) + "\n")
                orders.flush()

    threading.Thread(target=obey, daemon=True).start()


def _cpu_s() -> dict[str, float]:
    """Returns the seconds of CPU of this process by thread, alike ones together, and of the rest."""
    spent: defaultdict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        clock = time.pthread_getcpuclockid(thread.ident or 0)
        spent[thread.name.partition("_")[0]] += time.clock_gettime(clock)
    # Threads that have ended, and those that are not Python's.
    spent["rest"] = time.process_time() - sum(spent.values())
    return dict(spent)


def stub() -> None:
    """Answers whatever comes at once with the same bytes: what is then measured is the generator."""

    class Stub(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = cast("asyncio.Transport", transport)

        def data_received(self, _: bytes) -> None:
            self._transport.write(_STUB_ANSWER)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(Stub, "127.0.0.1", 0)
        _say(port=listening.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, sys.stdin.read)

    # The same event loop as the service has, where there is a faster one than Python's own.
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(run())


def _say(**told: object) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(Path(sys.argv[2]))
    else:
        stub()
