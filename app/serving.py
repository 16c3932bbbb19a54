"""The served process: one port, the app, and the worker's loops beside it where they are embedded."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading

import uvicorn

from app.config import Settings
from app.db.lease import NotLeading
from app.kit.collector import spare_what_stays
from app.ledger.logstore import Fenced
from app.main import close_rooms, configure_logs, create_app, open_rooms
from app.terminal import ERR, fail
from app.worker import embedded_loops


def run_server(settings: Settings) -> None:
    """Serves until it is stopped. Raises LogFault where the database contradicts the anchor."""
    configure_logs(settings.log_level)
    listening = listen(settings.host, settings.port)
    rooms = open_rooms(settings)
    try:
        rooms.publisher.check_start(signs=settings.worker == "embedded")
        if settings.worker == "embedded":
            # So that the very first client finds a signed log; unless another process leads.
            with contextlib.suppress(NotLeading, Fenced):
                rooms.publisher.publish()
    except BaseException:
        close_rooms(rooms)
        raise
    app = create_app(settings, rooms=rooms, beside=embedded_loops(settings))
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # the gate believes SUXIN_TRUSTED_PROXIES alone
        timeout_graceful_shutdown=10,
    )
    spare_what_stays()
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    told = f"Suxin is serving at http://{shown}:{settings.port}"
    _Server(config, told=told).run([listening])


def run_worker(settings: Settings) -> None:
    """Runs the worker's loops until it is stopped. Raises LogFault as `run_server` does."""
    configure_logs(settings.log_level)
    rooms = open_rooms(settings)
    try:
        rooms.publisher.check_start()
        with embedded_loops(settings)(rooms):
            ERR.print("the worker's loops are running; stop them with Ctrl-C")
            wait_for_end()
    finally:
        close_rooms(rooms)


class _Server(uvicorn.Server):
    """Says that it serves once it does, and a signal ends it in order."""

    def __init__(self, config: uvicorn.Config, *, told: str) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            ERR.print(self._told, markup=False)


def check_port(host: str, port: int) -> None:
    """Ends with one sentence where the port cannot be had. For who has much to do before serving."""
    listen(host, port).close()


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket that has the port, or ends with what to do; first, so that nothing is begun."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as err:
        why = (err.strerror or str(err)).partition(" (while ")[0]  # the address, once more
        fail(f"cannot listen at {host}, port {port}: {why}; choose another by --port", code=2)


def wait_for_end() -> None:
    """Returns at SIGTERM or Ctrl-C, so that what runs ends in order."""
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: ended.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
