"""Setting up a deployment: folders, keys, tables, the empty log, the operator's key.

Creates only what is not there; running it twice changes nothing. `serve` never creates anything: a
folder that is missing because of a typing error must not become a new, empty log.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from app.config import Settings
from app.db.engine import Database
from app.db.schema import check_current, is_served, migrate
from app.db.service_lock import hold_service_lock
from app.kit.clock import SystemClock
from app.kit.errors import Fault
from app.ledger import logstore
from app.ledger.anchor import Anchor
from app.ledger.keyring import KeysLost, create_keys, has_keys, load_keys
from app.parties.access import APIKeys

_LOCK = "suxin.lock"
# Processes whose service was killed end at once; a busy machine may take its time over it.
_ENDING_S = 10.0


class NotSetUp(Fault):
    """The data folder or the keys folder is missing."""


class DatabaseLost(Fault):
    """The keys folder tells of a signed log, and its database is not there."""


class AlreadyServing(Fault):
    """Another service has this data folder."""


@dataclass(frozen=True, slots=True)
class SetUp:
    """What `init` made. admin_key: only where it was created now; it is not kept anywhere."""

    admin_key: str | None
    log_key: str
    data_dir: Path
    keys_dir: Path


def set_up(settings: Settings) -> SetUp:
    """Returns the deployment's keys, after creating what was not there yet.

    Keys only for a database without records, tables only for keys that never signed. Raises KeyLost,
    KeysLost, DatabaseLost.
    """
    whole = has_keys(settings.keys_dir)
    path = _sqlite_file(settings)
    if path is not None and not path.exists() and Anchor(settings.anchor_dir).read() is not None:
        raise DatabaseLost("database_lost", path=str(path), keys=str(settings.keys_dir))
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    if settings.anchor_dir != settings.keys_dir:
        settings.anchor_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        if not is_served(database):  # one that a later release made is let alone
            migrate(database)
        if not whole:
            with database.read() as connection:
                if logstore.has_records(connection):
                    raise KeysLost("keys_lost", path=str(settings.keys_dir))
        create_keys(settings.keys_dir, origin=settings.log_origin)
        keys = load_keys(settings.keys_dir)
        with database.write() as connection:
            logstore.create_state(connection, keys.log.vkey.name)
        access = APIKeys(database, clock=SystemClock())
        admin = None if access.has_admin() else access.create_admin().token
    finally:
        database.close()
    return SetUp(admin, str(keys.log.vkey), settings.data_dir, settings.keys_dir)


def check_set_up(settings: Settings) -> None:
    """Raises NotSetUp, naming what is missing, unless `init` was run here; DatabaseBehind."""
    for folder in (settings.keys_dir, settings.anchor_dir):
        if not folder.is_dir():
            raise NotSetUp("not_set_up", path=str(folder))
    check_there(settings)
    load_keys(settings.keys_dir)
    database = Database(settings.database_url)
    try:
        check_current(database)
    finally:
        database.close()


def check_there(settings: Settings) -> None:
    """Raises NotSetUp where there is no database file, which opening it would make."""
    path = _sqlite_file(settings)
    if path is not None and not path.is_file():
        raise NotSetUp("not_set_up", path=str(path))


def _sqlite_file(settings: Settings) -> Path | None:
    if not settings.database_url.startswith("sqlite:///"):
        return None
    return Path(settings.database_url.removeprefix("sqlite:///").split("?")[0])


@contextmanager
def serving_alone(
    settings: Settings,
    *,
    exclusive: bool = False,
    end: Callable[[], object] = lambda: os.kill(os.getpid(), signal.SIGTERM),
) -> Iterator[None]:
    """Holds the lock of what serves, which any death frees. Raises AlreadyServing.

    SQLite: the data folder's, which one service has; processes that it forks have it with it.
    PostgreSQL: the database's, which several that serve share, and none of them with one that asks for
    it `exclusive`. One that serves and finds that it lost the lock to such a one calls `end`, by itself
    as SIGTERM does: its key may be the old one by then.
    """
    if not settings.database_url.startswith("sqlite:"):
        database = Database(settings.database_url)
        try:
            on_lost = _stay if exclusive else end
            with hold_service_lock(database, alone=exclusive, on_lost=on_lost) as had:
                if not had:
                    key = "still_serving" if exclusive else "being_rotated"
                    raise AlreadyServing(key)
                yield
        finally:
            database.close()
        return
    with (settings.data_dir / _LOCK).open("a+") as lock:
        _lock_folder(lock, settings.data_dir)
        yield


def _lock_folder(lock: TextIO, folder: Path) -> None:
    """Takes the lock and writes down who has it. Raises AlreadyServing.

    The processes of one service share the lock. Where the first of them was killed the others end by
    themselves: they are waited for, while one that lives is not.
    """
    until = time.monotonic() + _ENDING_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError as err:
            lock.seek(0)
            if _lives(lock.read().strip()) or time.monotonic() > until:
                raise AlreadyServing("already_serving", path=str(folder)) from err
        time.sleep(0.02)
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


def _lives(pid: str) -> bool:
    """Whether there is such a process, as far as can be told; one that nobody has buried yet is dead."""
    if not pid.isdecimal():
        return True
    try:
        os.kill(int(pid), 0)
        # The state stands behind the name, which may hold anything.
        state = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2]
    except ProcessLookupError:
        return False
    except OSError:  # another user's, or no such file system
        return True
    return state.split()[0] not in ("Z", "X")


def _stay() -> None:
    """A rotation goes on beside a service: that cannot lead, since we have the lease."""
