"""A scan page without the page: what PostgreSQL, its driver and the socket take of it on this machine.

    python -m app.bench.bare_pages FOLDER

The statements of real pages are noted once and then asked again, in the same messages and snapshots, by as
many processes as answer, at the same pace, beside the same writes of looks and the same worker. Nothing is
made of the rows, and what is answered is ready before. Ends with its standard input.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest import mock

import uvicorn

from app.bench.market import opened
from app.bench.plan import settings_in
from app.db.engine import Database
from app.db.hot import ask_ahead
from app.db.planned import PLANS, Plans
from app.forked import Family, Ready
from app.kit.clock import SystemClock
from app.kit.collector import spare_what_stays
from app.serving import listen_apart, processes_of
from app.trace.code import Code
from app.trace.scans import Scans, ask_beside
from app.web.pages.fill import Filler
from app.web.pages.views import Frame

_ASKED = "asked.json"
_FLUSH_S = 1.0
_DEVICE = bytes(16)
# About as long as a page on the line, and with the word by which one is known.
_BODY = gzip.compress(b"seal" + secrets.token_bytes(8_000))
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    % len(_BODY)
) + _BODY

Page = list[tuple[str, dict[str, Any], bool]]
"""What a page asks, in order: statement, values, whether it is asked ahead."""


def note_pages(folder: Path, codes: Sequence[Code]) -> None:
    """Notes in the folder what the pages of these units ask. Read-only, but for that."""
    asked: Page = []
    fetch = Plans.fetch

    def note(plans: Plans, sql: str, bound: dict[str, Any]) -> list[Any] | None:
        asked.append((sql, bound, plans.is_ahead))
        return fetch(plans, sql, bound)

    pages: dict[str, Page] = {}
    with opened(folder) as rooms, mock.patch.object(Plans, "fetch", note):
        for code in codes:
            asked.clear()
            with rooms.database.one_snapshot():
                with rooms.database.read() as connection:
                    ask_ahead(connection, partial(ask_beside, connection, code))
                seen = rooms.looks.glance(code)
                Filler(rooms, Frame(lang="zh", path=f"/{code.stream}")).scan_view(seen)
            pages[code.stream] = [*asked]
    (folder / _ASKED).write_text(json.dumps(pages), "utf-8")


def serve(folder: Path) -> None:
    """Answers the noted pages of the deployment in `folder` until standard input ends."""
    settings = settings_in(folder)
    pages = json.loads((folder / _ASKED).read_text("utf-8"))
    listening = listen_apart(settings.host, 0, processes_of(settings))
    family = Family()
    for one in listening:
        family.fork("bare", partial(_answer, settings.database_url, pages, one), is_front=True)
    sys.stdout.write(json.dumps({"port": listening[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()

    def end_with_input() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_input, daemon=True).start()
    for one in listening:
        one.close()
    family.wait()


def _answer(url: str, pages: dict[str, Page], port: socket.socket, ready: Ready) -> None:
    """Answers until SIGTERM: one page at a time, as a process of the service does."""
    database = Database(url)
    scans = Scans(database, clock=SystemClock(), key=bytes(32))
    turn = ThreadPoolExecutor(1, "page")
    ended = threading.Event()

    def ask(stream: str) -> None:
        with database.read() as connection:
            plans = connection.info[PLANS]
            for sql, bound, is_ahead in pages[stream]:
                if is_ahead:
                    plans.ask_ahead(partial(plans.fetch, sql, bound))
                else:
                    plans.fetch(sql, bound)
        scans.note(stream, _DEVICE)

    def write_looks() -> None:
        while not ended.wait(_FLUSH_S):
            scans.flush()

    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            stream = data.split(b" ", 2)[1][1:].decode("ascii")
            made = asyncio.get_running_loop().run_in_executor(turn, ask, stream)
            made.add_done_callback(self._send)

        def _send(self, made: asyncio.Future[None]) -> None:
            made.result()
            self._transport.write(_ANSWER)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        stopped = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
        server = await loop.create_server(Answering, sock=port)
        spare_what_stays()
        ready()
        await stopped.wait()
        server.close()

    writing = threading.Thread(target=write_looks)
    writing.start()
    # The same event loop as the service has, where there is a faster one than Python's own.
    with asyncio.Runner(loop_factory=uvicorn.Config("").get_loop_factory()) as runner:
        runner.run(run())
    ended.set()
    writing.join()
    database.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
