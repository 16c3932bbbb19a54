"""The lock that services share and a rotation has alone: PostgreSQL's advisory lock of the database.

It belongs to a session: any death frees it, and so does a connection that is lost, when the server is
restarted, say. So whoever has it looks after it, and takes it again; where that cannot be done, since
the other kind has it by now, it is told, and ends. Between losing and retaking it both kinds may run:
what must hold in every case holds by the lease and its epoch (app.db.lease).

SQLite: always had, its data folder has a lock of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database

log = structlog.get_logger(__name__)

# Any number that no other program uses.
_LOCK = 0x53_75_78_69_6E
_LOOK_EVERY_S = 1.0


@contextmanager
def hold_service_lock(
    database: Database,
    *,
    alone: bool,
    on_lost: Callable[[], object] = lambda: None,
    look_every_s: float = _LOOK_EVERY_S,
) -> Iterator[bool]:
    """Yields whether the lock was had that services share and one command needs `alone`.

    on_lost: called, in a thread of its own, once the lock was lost and somebody has it who shuts us
    out; called again only after it was had in between.
    """
    if database.dialect == "sqlite":
        yield True
        return
    hold = _Hold(database.writer, alone=alone)
    if not hold.take():
        yield False
        return
    ending = threading.Event()

    def watch() -> None:
        kept = True
        while not ending.wait(look_every_s):
            before, kept = kept, hold.keep()
            if before and not kept:
                log.error("service_lock.lost", alone=alone)
                on_lost()

    watching = threading.Thread(target=watch, name="service-lock", daemon=True)
    watching.start()
    try:
        yield True
    finally:
        ending.set()
        watching.join()
        hold.free()


class _Hold:
    """A session that has the lock, or none. For one thread at a time."""

    def __init__(self, engine: Engine, *, alone: bool) -> None:
        self._engine = engine
        self._kind = "" if alone else "_shared"
        self._connection: Connection | None = None

    def take(self) -> bool:
        connection = self._engine.connect()
        had = False
        try:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            taken = f"SELECT pg_try_advisory_lock{self._kind}({_LOCK})"
            had = bool(connection.exec_driver_sql(taken).scalar_one())
        finally:
            if not had:
                connection.close()
        self._connection = connection if had else None
        return had

    def keep(self) -> bool:
        """Takes the lock again where its session is gone; returns False if somebody is in the way.

        While the database does not answer nobody can have it.
        """
        connection = self._connection
        if connection is not None:
            try:
                connection.exec_driver_sql("SELECT 1")
            except DBAPIError as err:
                log.warning("service_lock.session_lost", error=repr(err.orig))
                self._connection = None
                _close(connection)
            else:
                return True
        try:
            return self.take()
        except DBAPIError as err:
            log.warning("service_lock.not_retaken", error=repr(err.orig))
            return True

    def free(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):  # a session that is gone holds nothing
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock{self._kind}({_LOCK})")
            _close(connection)


def _close(connection: Connection) -> None:
    with suppress(DBAPIError):
        connection.close()
