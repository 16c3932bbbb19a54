"""The served process that load is sent to, and a stub that costs nothing to answer.

    python -m app.bench.serving serve FOLDER
    python -m app.bench.serving stub

Says one line of JSON on standard output when it listens, obeys the lines on its standard input, and
ends with it, so that nothing stays behind when the bench is killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import uvicorn

from app.bench.market import settings_in
from app.bench.processes import CONSTANT, CPU, REAL
from app.kit.collector import spare_what_stays
from app.ledger.record import ZERO_HASH
from app.ledger.recorder import Recorder
from app.ledger.submission import Answer, Recorded, Submission
from app.main import create_app, open_rooms
from app.worker import embedded_loops

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


class _Switch(Recorder):
    """The recorder, or, while `constant`, one that records nothing and always answers the same."""

    def __init__(self, real: Recorder) -> None:
        self._real = real  # which has the writer's thread; this one needs none
        self.constant = False

    async def submit(
        self, submissions: Sequence[Submission], *, atomic: bool = False
    ) -> list[Answer]:
        if self.constant:
            return [_CONSTANT for _ in submissions]
        return await self._real.submit(submissions, atomic=atomic)

    def submit_and_wait(
        self,
        submissions: Sequence[Submission],
        *,
        atomic: bool = False,
        low_priority: bool = False,
    ) -> list[Answer]:
        return self._real.submit_and_wait(submissions, atomic=atomic, low_priority=low_priority)


def serve(folder: Path) -> None:
    """Serves the deployment in `folder` with the worker's loops, as `suxin serve` does by default."""
    settings = settings_in(folder)
    rooms = open_rooms(settings)
    rooms.publisher.check_start()
    rooms.publisher.publish()
    switch = _Switch(rooms.recorder)
    rooms.recording._recorder = switch  # noqa: SLF001 - what stands behind the route is the point
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings, rooms=rooms),
            host=settings.host,
            port=0,
            access_log=False,
            log_level="warning",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=5,
        )
    )

    def obey() -> None:
        while not server.started:
            time.sleep(0.01)
        _say(port=server.servers[0].sockets[0].getsockname()[1])
        for line in sys.stdin:
            if line.strip() == CPU:
                _say(cpu_s=time.process_time())
                continue
            switch.constant = line.strip() == CONSTANT
            _say(answers=CONSTANT if switch.constant else REAL)
        server.should_exit = True

    threading.Thread(target=obey, daemon=True).start()
    with embedded_loops(settings)(rooms):
        spare_what_stays()
        server.run()


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
