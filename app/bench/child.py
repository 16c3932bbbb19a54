"""A process of its own for what must not share one: serving, and whatever memory is counted of.

    python -m app.bench.child WORK ARGUMENTS

Says one line of JSON on standard output for each thing done, and ends when its standard input does,
so that nothing stays behind when the bench is killed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn

from app.bench import bare
from app.bench.figures import peak_memory_mb
from app.bench.market import Market, opened, settings_in
from app.kit.clock import SystemClock
from app.labels.fonts import find_font
from app.labels.sheet import SheetLabel, write_a4_3x8
from app.ledger import logstore
from app.ledger.audit import LedgerAudit
from app.ledger.checkpoint import open_checkpoint
from app.ledger.record import ZERO_HASH
from app.ledger.recorder import Recorder
from app.ledger.submission import Answer, Recorded, Submission
from app.ledger.treecheck import check_tree
from app.main import create_app, open_rooms
from app.trace.code import Code, digital_link, new_serial
from app.trace.story import keeps_state
from app.worker import Worker, loops_of

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


class _Switch(Recorder):
    """The recorder, or, while `constant`, one that records nothing and always answers the same."""

    def __init__(self, real: Recorder) -> None:
        self._real = real  # which has the writer's thread; this one has none
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
    """Serves the deployment in `folder` as `suxin serve` does, but behind the switch."""
    settings = settings_in(folder)
    rooms = open_rooms(settings)
    rooms.publisher.check_start()
    rooms.publisher.publish()
    switch = _Switch(rooms.recorder)
    rooms.recording._recorder = switch  # noqa: SLF001 - what stands behind the route is the point
    loops = Worker(
        loops_of(
            rooms,
            sequence_interval_s=settings.sequence_interval_ms / 1000,
            publish_interval_s=settings.publish_interval_ms / 1000,
        )
    )
    config = uvicorn.Config(
        create_app(settings, rooms=rooms),
        host=settings.host,
        port=0,
        access_log=False,
        log_level="warning",
        server_header=False,
    )
    server = uvicorn.Server(config)

    def obey() -> None:
        while not server.started:
            time.sleep(0.01)
        _say(port=server.servers[0].sockets[0].getsockname()[1])
        for line in sys.stdin:
            switch.constant = line.strip() == "constant"
            _say(constant=switch.constant)
        server.should_exit = True

    threading.Thread(target=obey, daemon=True).start()
    loops.start()
    server.run()
    loops.stop()


def stub() -> None:
    """Answers every request at once with the same bytes: as fast as a generator can be answered."""
    answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n{}"

    class Stub(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = transport

        def data_received(self, _: bytes) -> None:
            assert isinstance(self._transport, asyncio.Transport)
            self._transport.write(answer)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(Stub, "127.0.0.1", 0)
        _say(port=listening.sockets[0].getsockname()[1])
        await loop.run_in_executor(None, sys.stdin.read)

    uvicorn.Config("", loop="auto").get_loop_factory()
    asyncio.run(run())


def audit(folder: Path) -> None:
    """Re-verifies everything as `suxin audit` does, and then reads and hashes in a bare loop."""
    with opened(folder) as rooms, rooms.database.read() as connection:
        began = time.perf_counter()
        published = logstore.load_checkpoint(connection)
        if published is None:
            raise RuntimeError("nothing is published")
        checker = LedgerAudit(
            connection,
            vault=rooms.vault,
            check_state=rooms.stories.state_checker(connection),
            keeps_state=keeps_state,
        )
        problems = list(checker.check_all())
        signed = [open_checkpoint(published.note, [rooms.keyring.log.vkey])]
        problems += check_tree(connection, signed)
        taken_s = time.perf_counter() - began
        memory_mb = peak_memory_mb()
    began = time.perf_counter()
    hashed = bare.hash_all(folder / "data" / "suxin.db")
    _say(
        seconds=taken_s,
        bare_seconds=time.perf_counter() - began,
        records=checker.records,
        hashed=hashed,
        problems=len(problems),
        memory_mb=memory_mb,
    )


def sheet(path: Path, count: int) -> None:
    """Prints `count` made-up labels into `path`."""
    font = find_font(settings_in(path.parent).font)
    began = time.perf_counter()
    with path.open("wb") as file:
        write_a4_3x8(
            (_label() for _ in range(count)), file, symbol="qr", font_path=font, document_title="示例"
        )
    _say(seconds=time.perf_counter() - began, memory_mb=peak_memory_mb())


def issue(folder: Path, count: int) -> None:
    """Orders and issues codes on a new database."""
    with opened(folder) as rooms:
        market = Market(rooms, shops=1, goods=1)
        shop = market.shops[0].principal
        began = time.perf_counter()
        batch, _ = rooms.issuing.order(
            shop, order_id=None, gtin=market.gtins[0], count=count, lot=None, inner=False
        )
        while rooms.issuing.batch(batch.batch_id).done < count:
            rooms.issuing.issue_some()
        _say(seconds=time.perf_counter() - began, memory_mb=peak_memory_mb())


def _label() -> SheetLabel:
    code = Code("09521234543213", serial=new_serial(_random))
    return SheetLabel(
        content=digital_link("https://bench.example", code),
        title="端砚文房礼盒（示例）",
        fields=(("商品条码", f"(01){code.gtin}"), ("序列号", f"(21){code.serial}")),
    )
