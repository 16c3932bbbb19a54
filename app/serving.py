"""What serves: one process, or one that records and several that answer requests (app.forked).

In one process everything shares an interpreter, and so a core. In several, those that answer check
requests, make pages and sign receipts; what they are asked to record of goods they forward to the one
that records, with everybody else's (app.ledger.forwarding), and keeps the log. What may come a moment
later (detectors, the audit, issuing, what is due) has a process too, so that no event waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import biip.gs1_messages  # noqa: F401 - its tables, before a request or a fork has to read them
import uvicorn

from app.config import Settings
from app.credit.graces import graces_in_force
from app.db.lease import NotLeading
from app.forked import Family, Ready
from app.kit.collector import spare_what_stays
from app.ledger.forwarding import Forwarder
from app.ledger.intake import Intake
from app.ledger.logstore import Fenced
from app.main import Beside, configure_logs, create_app
from app.rooms import close_rooms, open_proofs, open_rooms
from app.setup import serving_alone
from app.terminal import ERR, fail
from app.trace.crossing import pack_submission, unpacking
from app.web.deps import Leading, Rooms
from app.web.lending import Ends, Lending, open_ends, sockets_of
from app.web.pages.routes import show_lent
from app.worker import embedded_loops

_MOST_BY_ITSELF = 4
_TELL_EVERY_S = 0.2
# How much the process of what may wait gives way to the others (`nice`).
_YIELDS = 10
_SEQUENCE = "sequence"


def run_service(settings: Settings) -> None:
    """Serves until it is stopped, in as many processes as the settings say."""
    count = processes_of(settings)
    if count == 1:
        with serving_alone(settings):
            run_server(settings)
        return
    configure_logs(settings.log_level)
    # PostgreSQL's lock belongs to a session, which no fork survives: there each process has it.
    alone = serving_alone(settings) if _is_sqlite(settings) else contextlib.nullcontext()
    listening = listen_apart(settings.host, settings.port, count)
    told = _address(settings.host, listening[0].getsockname()[1])
    with alone:
        family = Family()
        fork_service(family, settings, listening)
        ERR.print(told, markup=False)
        family.wait()


def run_server(settings: Settings) -> None:
    """Serves in this process until it is stopped.

    Raises LogFault where the database contradicts the anchor.
    """
    configure_logs(settings.log_level)
    listening = listen(settings.host, settings.port)
    rooms = open_rooms(settings)
    try:
        _check_log(rooms, settings)
    except BaseException:
        close_rooms(rooms)
        raise
    told = _address(settings.host, settings.port)
    config = _uvicorn_config(settings, rooms, embedded_loops(settings))
    spare_what_stays()
    _Server(config, once=lambda: ERR.print(told, markup=False)).run([listening])


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


def fork_service(
    family: Family,
    settings: Settings,
    listening: Sequence[socket.socket],
    *,
    beside: Callable[[int, Rooms], None] | None = None,
    in_ledger: Callable[[Rooms], None] | None = None,
    in_worker: Callable[[Rooms], None] | None = None,
) -> None:
    """Forks the process that records, the one for what may wait, and one for each of the sockets.

    Returns when all are ready. beside, in_ledger, in_worker: called in each of the answering processes
    (with its number, from 0), in the recording one, and in the one for what may wait, once its rooms
    are open.
    """
    spare_what_stays()
    embedded = settings.worker == "embedded"
    pairs = [socket.socketpair() for _ in range(len(listening) + embedded)]
    pages = open_ends(len(listening))
    between = {*(end for pair in pairs for end in pair), *sockets_of(pages)}
    family.lend([*between])

    def keep(kept: Collection[socket.socket]) -> None:
        # The end of a process shows at the other end of its pair only where nobody else has it.
        for one in (*listening, *between):
            if one not in kept:
                one.close()

    def record(ready: Ready) -> None:
        ends = [here for here, _ in pairs]
        keep(ends)
        with _locked(settings):
            _run_ledger(settings, ends, ready, in_ledger)

    family.fork("ledger", record, is_front=False)
    if embedded:
        outlet = pairs[-1][1]

        def work(ready: Ready) -> None:
            keep([outlet])
            with _locked(settings):
                _run_others(settings, outlet, ready, in_worker)

        family.fork("worker", work, is_front=True)
    for n, (port, (_, there)) in enumerate(zip(listening, pairs, strict=False)):

        def answer(
            ready: Ready, n: int = n, port: socket.socket = port, there: socket.socket = there
        ) -> None:
            ends = pages[n] if pages else None
            keep({port, there, *sockets_of([ends] if ends else [])})
            with _locked(settings):
                _run_front(
                    settings,
                    port,
                    there,
                    ends,
                    ready,
                    None if beside is None else partial(beside, n),
                )

        family.fork("API", answer, is_front=True)
    keep([])


def _run_ledger(
    settings: Settings,
    ends: Sequence[socket.socket],
    ready: Ready,
    in_ledger: Callable[[Rooms], None] | None,
) -> None:
    """Records what the others forward and keeps the log until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    rooms = open_rooms(settings)
    try:
        _check_log(rooms, settings)
        with embedded_loops(settings, part="log")(rooms):
            intake = Intake(
                ends,
                rooms.recorder,
                unpack=unpacking(open_proofs(rooms.keyring), graces_in_force()),
                wakes={_SEQUENCE: rooms.on_wait},
            )
            intake.start()
            if in_ledger is not None:
                in_ledger(rooms)
            spare_what_stays()
            told = rooms.leading()
            intake.tell(told)
            ready()
            while not ended.wait(_TELL_EVERY_S):
                if (now := rooms.leading()) != told:
                    told = now
                    intake.tell(told)
            intake.join()  # the others have ended before
    finally:
        close_rooms(rooms)


def _run_others(
    settings: Settings,
    there: socket.socket,
    ready: Ready,
    in_worker: Callable[[Rooms], None] | None,
) -> None:
    """Runs the worker's loops but the log's until SIGTERM, behind everybody who is waited for."""
    os.nice(_YIELDS)
    rooms, forwarder = _open_before(settings, there)

    async def live() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        forwarder.start()
        with contextlib.ExitStack() as running:
            running.enter_context(embedded_loops(settings, part="others")(rooms))
            spare_what_stays()
            ready()
            await ended.wait()
            # In a thread: what a loop has under way may wait for an answer that comes by this one.
            await asyncio.to_thread(running.close)
        forwarder.close()

    try:
        if in_worker is not None:
            in_worker(rooms)
        asyncio.run(live())
    finally:
        close_rooms(rooms)


def _open_before(settings: Settings, there: socket.socket) -> tuple[Rooms, Forwarder]:
    """Returns rooms whose events go to the process that records, and what takes them there."""
    forwarders: list[Forwarder] = []

    def heard(told: Leading) -> None:
        rooms.told = told

    def events_to(own: Any) -> Forwarder:
        forwarders.append(Forwarder(there, own, pack=pack_submission, heard=heard))
        return forwarders[0]

    rooms = open_rooms(settings, events_to=events_to)
    rooms.told = Leading(None, leads=False, fault=None)
    (forwarder,) = forwarders
    rooms.on_wait = lambda: forwarder.tell(_SEQUENCE)
    return rooms, forwarder


def _run_front(
    settings: Settings,
    port: socket.socket,
    there: socket.socket,
    ends: Ends | None,
    ready: Ready,
    beside: Callable[[Rooms], None] | None,
) -> None:
    """Answers requests until SIGTERM."""
    # The loops that only one process runs are the others'.
    settings = settings.model_copy(update={"worker": "external"})
    rooms, forwarder = _open_before(settings, there)
    if ends is not None:
        rooms.lending = Lending(ends, rooms.page_turns, show=partial(show_lent, rooms))
    if beside is not None:
        beside(rooms)

    @contextmanager
    def forwarding(rooms: Rooms) -> Iterator[None]:
        with embedded_loops(settings)(rooms):
            forwarder.start()
            try:
                yield
            finally:
                forwarder.close()

    config = _uvicorn_config(settings, rooms, forwarding)
    spare_what_stays()
    _Child(config, once=ready).run([port])


def _check_log(rooms: Rooms, settings: Settings) -> None:
    rooms.publisher.check_start(signs=settings.worker == "embedded")
    if settings.worker == "embedded":
        # So that the very first client finds a signed log; unless another process leads.
        with contextlib.suppress(NotLeading, Fenced):
            rooms.publisher.publish()


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Has PostgreSQL's lock of what serves; who loses it to a rotation ends the whole service."""
    if _is_sqlite(settings):
        yield  # the first process has it
        return
    parent = os.getppid()
    with serving_alone(settings, end=lambda: os.kill(parent, signal.SIGTERM)):
        yield


def _uvicorn_config(settings: Settings, rooms: Rooms, beside: Beside) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(settings, rooms=rooms, beside=beside),
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # the gate believes SUXIN_TRUSTED_PROXIES alone
        timeout_graceful_shutdown=10,
        # Longer than proxies keep theirs (a minute): a request must not meet a connection just closed.
        timeout_keep_alive=75,
    )


class _Server(uvicorn.Server):
    """Says that it serves `once` it does, and a signal ends it in order."""

    def __init__(self, config: uvicorn.Config, *, once: Callable[[], object]) -> None:
        super().__init__(config)
        self._once = once

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._once()


class _Child(_Server):
    """One of several: hears only what the first process tells it, and ends as a process that is done."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        signal.signal(signal.SIGTERM, self.handle_exit)
        yield


def processes_of(settings: Settings) -> int:
    """Returns how many processes answer requests."""
    return settings.processes or min(usable_cores(), _MOST_BY_ITSELF)


def usable_cores() -> int:
    """Returns how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_port(host: str, port: int) -> None:
    """Ends with one sentence where the port cannot be had. For who has much to do before serving."""
    listen(host, port).close()


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Returns a socket that has the port, or ends with what to do; first, so that nothing is begun."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048, reuse_port=shared)
    except OSError as err:
        why = (err.strerror or str(err)).partition(" (while ")[0]  # the address, once more
        other = port + 1 if 1024 <= port < 65535 else 8001
        sentence = f"cannot listen at {host}, port {port}: {why}"
        fail(f"{sentence}; choose another, as in --port {other}", code=2)


def listen_apart(host: str, port: int, count: int) -> list[socket.socket]:
    """Returns sockets that share the port: the kernel gives each new connection to one of them.

    At one socket whoever is awake takes all that come together, and the others have nothing to do.
    """
    # Alone first: sockets that share a port would also share it with another service of ours.
    with listen(host, port) as first:
        port = first.getsockname()[1]
    return [listen(host, port, shared=True) for _ in range(count)]


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


def _address(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"Suxin is serving at http://{shown}:{port}"


def _is_sqlite(settings: Settings) -> bool:
    return settings.database_url.startswith("sqlite:")
