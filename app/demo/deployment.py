"""A throw-away deployment with a realistic data set, made by the real services from a seed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.config import Settings, load_settings
from app.demo.cast import (
    FINE_GIFTS,
    FRESH,
    GIFTS,
    HONEST,
    INKSTONE,
    LOOSE_GIFTS,
    OIL,
    RECALLED,
    Stock,
)
from app.demo.crowd import admit_people
from app.demo.guide import write_guide
from app.demo.lives import Life, numbers_of, plan_lives, slots_until
from app.demo.tamper import change_city
from app.demo.walk import DemoClock, Walk, declaration_of
from app.kit.clock import Clock, SystemClock
from app.rooms import close_rooms, open_rooms
from app.setup import set_up
from app.trace.code import Code, new_serial

# Of each kind the guide names one unit: (stock, number in it).
_SHOWN = {
    "intact": (GIFTS, 6),
    "incomplete": (LOOSE_GIFTS, 2),
    "broken": (FINE_GIFTS, 4),
    "recalled": (RECALLED, 2),
    "not yet sold": (GIFTS, GIFTS.count - 1),
    "sold again after a return": (FRESH, 5),
    "cross-border": (OIL, 7),
}
_ALTERED_CITY = "650100"
_MEMORY = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own in it, mode 0700
_ROOM_BYTES = 48 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Built:
    """What was made. shown: kind -> stream of the unit that shows it. keys: party -> token.

    people: what somebody is -> user name and password. numbers: what customs would type of the import.
    bought: a unit that was signed for and has no review yet, and its buyer's proof of purchase.
    """

    admin_key: str
    keys: dict[str, str]
    shown: dict[str, str]
    codes: tuple[str, ...]
    people: dict[str, tuple[str, str]]
    numbers: dict[str, str]
    bought: tuple[str, str]


@contextmanager
def demo_deployment(
    *, port: int, seed: int, console: Console, clock: Clock | None = None
) -> Iterator[tuple[Settings, str]]:
    """Yields the settings of a deployment that was just made, and what to open in it.

    Removed at the end, however it comes. port 0: a free one. clock: tells when the demo ends.
    """
    folder = Path(tempfile.mkdtemp(prefix="suxin-demo-", dir=fast_folder()))
    with _ending_on_terminate():
        try:
            settings = demo_settings(folder, port=port or _free_port())
            now = (clock or SystemClock()).now()
            with _progress(console) as advance:
                built = build(settings, seed=seed, now=now, progress=advance)
            yield (
                settings,
                write_guide(
                    settings,
                    built.admin_key,
                    built.keys,
                    built.shown,
                    built.people,
                    built.numbers,
                    built.bought,
                ),
            )
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def demo_settings(folder: Path, *, port: int, database_url: str | None = None) -> Settings:
    """Returns settings whose data is all below `folder`; the environment may still set the host.

    database_url: of an empty database elsewhere, which then holds what is in the database.
    """
    own = {
        "data_dir": folder / "data",
        "keys_dir": folder / "keys",
        "anchor_dir": folder / "keys",
        "database_url": database_url or f"sqlite:///{folder / 'data' / 'suxin.db'}",
        "worker": "embedded",
        "credit_store": "local",
        "witness_policy": None,  # nobody watches what is thrown away
        "port": port,
    }
    settings = load_settings(**own)
    if "base_url" in settings.model_fields_set:
        return settings
    return load_settings(**own, base_url=f"http://127.0.0.1:{port}")


def build(
    settings: Settings,
    *,
    seed: int,
    now: datetime,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Built:
    """Makes the data set, and alters one record of it at the end.

    now: its last moment, truncated to the hour. The same seed and hour give the same codes and
    lives; keys and hashes are new each time, since no deployment may share another's keys.
    """
    slots = slots_until(now.replace(minute=0, second=0, microsecond=0))
    lives = plan_lives(seed, slots)
    admin_key = set_up(settings).admin_key
    if admin_key is None:
        raise FileExistsError(settings.data_dir)
    serials = Random(f"{seed} serials")
    clock = DemoClock(slots[0])
    rooms = open_rooms(settings, clock=clock, random=serials.randbytes)
    try:
        walk = Walk(rooms, clock, lives, slots)
        walk.run(lambda done: progress(done, len(slots)))
        walk.map_heads()
        people = admit_people(rooms)
        rooms.database.truncate_log()
        shown = {kind: _life(lives, *place).code for kind, place in _SHOWN.items()}
        change_city(rooms.database, shown["broken"], record_type="dispatch", to=_ALTERED_CITY)
    finally:
        close_rooms(rooms)
    shown["unknown"] = Code(INKSTONE, serial=new_serial(serials.randbytes)).stream
    numbers = {"declaration": declaration_of(slots[0])} | numbers_of(
        _life(lives, *_SHOWN["cross-border"])
    )
    codes = tuple(life.code for life in lives if life.code)
    return Built(admin_key, walk.keys, shown, codes, people, numbers, _bought(lives))


def _bought(lives: Sequence[Life]) -> tuple[str, str]:
    """Returns a unit of the honest seller with which its buyer has yet to speak, and the proof for it."""
    return next(
        (life.code, life.token)
        for life in reversed(lives)
        if life.stock.seller is HONEST and life.token and life.steps[-1].type == "signature"
    )


def _life(lives: list[Life], stock: Stock, n: int) -> Life:
    return next(life for life in lives if life.stock is stock and life.n == n)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    columns = (
        TextColumn("Making sixty days of made-up trade"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    if not console.is_terminal:
        console.print("Making sixty days of made-up trade …")
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


@contextmanager
def _ending_on_terminate() -> Iterator[None]:
    """Lets SIGTERM unwind the stack, so that the folder is removed; by default it would not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def fast_folder() -> Path | None:
    """Returns a folder in memory; None for the usual one, also where TMPDIR asks for it.

    A thousand commits that wait for a disk take four times as long as all the rest, and this data
    is thrown away.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return None
    return _MEMORY if shutil.disk_usage(_MEMORY).free > _ROOM_BYTES else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
