"""Connections: SQLite embedded, PostgreSQL as a service; one shape for both.

PostgreSQL: a writer that stands still inside its transaction is cut off by the server, or, where that
cannot tell, by whoever may lead (app.db.stalled), so that its row locks cannot outlive its lease; one
whose machine is gone is noticed within seconds.

SQLite: WAL, `synchronous=FULL`, foreign keys on. Writers begin with BEGIN IMMEDIATE, because a
transaction that reads a head and only then asks for the write lock can lose the race silently.
One process has exactly one writing connection, so its writers queue in memory and never poll; those of
several processes queue at a lock beside the file (app.db.turnstile), for SQLite itself would let them
poll, and whoever polls seldom would starve. Readers cannot write on either: the database refuses it.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, Transaction, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError, OperationalError

from app.db.planned import PLANS, Plans
from app.db.turnstile import Turnstile

# One writer keeps the hot index pages; readers share the system's page cache.
_WRITER_CACHE_KIB = 128 * 1024
_READER_CACHE_KIB = 2 * 1024
# As many readers as handlers run at once: to open a connection costs more than most that it reads.
_READERS = 40
_BUSY_TIMEOUT_MS = 15_000
# Whoever empties the log holds up all writers while a reader is in the way.
_EMPTYING_MS = 500
# Pages of 4 KiB in the write-ahead log at which a commit moves them into the database itself. Far above
# what stands there a second after the last `move_log`, so that nobody who waits for a commit does it.
_LOG_PAGES = 16_000
_STALLED_AFTER_S = 5.0
# PostgreSQL's, of readers and of writers each: (kept open, at most).
_CONNECTIONS = (10, 20)
_CONNECTIONS_APART = (2, 5)
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# How the names of all sessions of ours begin that must not stand still with locks.
SESSION_PREFIX = "suxin-"
# libpq's own names; what the URL says comes first.
_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class Database:
    """One database: `read()` gives a snapshot, `write()` a transaction that commits at its end."""

    def __init__(
        self,
        url: str,
        *,
        stalled_after_s: float = _STALLED_AFTER_S,
        command: str | None = None,
        apart_from: Database | None = None,
    ) -> None:
        """stalled_after_s: how long a write transaction may wait for its program. PostgreSQL only.

        command: the name of one that writes all in one transaction and computes between its statements for
        as long as it takes. Nobody ends it for that: whoever began it sees it, and ends it where it hangs.
        apart_from: see `apart`.
        """
        self.url = url
        # PostgreSQL knows our sessions by it (`application_name`).
        self.session_name: str = f"{SESSION_PREFIX}{secrets.token_hex(4)}"
        if apart_from is not None:
            self.session_name = apart_from.session_name
        if command is not None:
            self.session_name, stalled_after_s = f"suxin {command}", 0
        self.stalled_after_s = stalled_after_s
        self._snapshot = threading.local()
        # Whoever erased something last may have been killed before the log was emptied.
        self._log_is_owed = True
        self.dialect = make_url(url).get_backend_name()
        self._turnstile: Turnstile | None = None
        if self.dialect == "sqlite":
            self._writer = _sqlite_engine(url, writer=True)
            self._reader = _sqlite_engine(url, writer=False)
            self._turnstile = Turnstile(Path(make_url(url).database or ""))
        else:
            most = _CONNECTIONS if apart_from is None else _CONNECTIONS_APART
            self._writer = _postgresql_writer(
                url, self.session_name, most=most, stalled_after_s=stalled_after_s
            )
            self._reader = _postgresql_reader(url, self.session_name, most=most)
        # The same database by a few connections of its own, for whoever keeps the log or the lease. Requests
        # may have all others, and wait in them for one another; the log's next checkpoint waits for none of
        # them. Closed with this one. On SQLite it is this one: there is one writer in any case, and there are
        # more readers than requests at once.
        self.apart: Database = (
            self
            if self.dialect == "sqlite" or apart_from is not None
            else Database(url, stalled_after_s=stalled_after_s, apart_from=self)
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yields a connection inside one read snapshot (PostgreSQL: REPEATABLE READ). Read-only.

        Inside `one_snapshot`: that one's.
        """
        outer: Connection | None = getattr(self._snapshot, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._reader.connect() as connection:
            snapshot = connection.begin()
            try:
                yield connection
            finally:
                self._end(connection, snapshot)

    def _end(self, connection: Connection, snapshot: Transaction) -> None:
        """Ends a snapshot, in which nothing was written."""
        if self.dialect == "sqlite" or connection.invalidated:
            # To SQLite a read that was left in the middle outlives a commit, and its snapshot with it.
            snapshot.rollback()
            return
        driver: Any = connection.connection.dbapi_connection
        plans = connection.info[PLANS]
        plans.end()
        if driver.info.transaction_status.name == "INTRANS":
            # After a rollback psycopg forgets every statement that the server has planned for it.
            snapshot.commit()
        else:
            # After an error it is to do so: a plan may be what failed.
            snapshot.rollback()
            plans.forget()

    @contextmanager
    def one_snapshot(self) -> Iterator[None]:
        """Lets every `read()` of this thread share one snapshot until it ends.

        For a page that asks many services: it shows one moment, and pays for one transaction. Inside
        another it is that one, which goes on after it. Not around a `yield`, which another thread
        may resume.
        """
        outer: Connection | None = getattr(self._snapshot, "connection", None)
        with self.read() as connection:
            self._snapshot.connection = connection
            try:
                yield
            finally:
                self._snapshot.connection = outer

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yields a connection in a write transaction; commits when the block ends, else rolls back."""
        with self._writer.connect() as connection, self._turn(), connection.begin():
            yield connection

    def _turn(self) -> AbstractContextManager[None]:
        """The turn to write among processes. Taken after the one connection, so by one thread at a time."""
        return nullcontext() if self._turnstile is None else self._turnstile.turn()

    def move_log(self) -> None:
        """Moves SQLite's write-ahead log into the database, while others write and read.

        Else a commit had to, every thousand pages, and one that is changed by many commits each time.
        """
        if self.dialect == "sqlite":
            with self._reader.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").all()

    def truncate_log(self) -> bool:
        """Moves SQLite's write-ahead log into the database and empties it; erased bytes leave it too.

        Returns whether it is empty now; a reader whose snapshot needs it may be in the way. Then
        `empty_log` does it later.
        """
        if self.dialect != "sqlite":
            return True
        self._log_is_owed = True  # until it is known that it is empty: the disk may fail
        with self._reader.connect() as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout = {_EMPTYING_MS}")
            try:
                busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        self._log_is_owed = bool(busy)
        return not busy

    def empty_log(self) -> bool:
        """Empties the log at the start, and where it could not be when something was erased; False."""
        if self._log_is_owed:
            self.truncate_log()
        return False

    def close(self) -> None:
        """Closes every pooled connection."""
        if self.apart is not self:
            self.apart.close()
        self._reader.dispose()
        self._writer.dispose()
        if self._turnstile is not None:
            self._turnstile.close()

    @property
    def writer(self) -> Engine:
        """The engine of writers, for migrations (app.db.schema) and locks (app.db.service_lock)."""
        return self._writer


class TextDamaged(Exception):
    """Text in the database is no UTF-8."""


def fetch_plainly(result: CursorResult[Any], count: int) -> list[tuple[Any, ...]]:
    """Returns the next rows as the driver gives them, `[]` after the last; for reading millions.

    Past the result, which would make a Row of each, and, on SQLite, past `_read_text`, which costs as
    much as the rest of a row. Raises TextDamaged where that one would have helped.
    """
    cursor: Any = result.cursor
    if cursor is None:  # the last row was fetched
        return []
    # By the strategy, which may hold the first rows of a cursor on the server already.
    fetch = result.cursor_strategy.fetchmany
    if result.connection.dialect.name != "sqlite":
        return list(fetch(result, cursor, count))
    driver: Any = result.connection.connection.driver_connection
    driver.text_factory = str
    try:
        return list(fetch(result, cursor, count))
    except OperationalError as err:
        if "decode to UTF-8" in str(err):
            raise TextDamaged from err
        raise
    finally:
        driver.text_factory = _read_text


def sqlite_url(path: Path) -> str:
    """Returns the database URL of a SQLite file."""
    return f"sqlite:///{path}"


def _with_psycopg(url: str) -> str:
    scheme, rest = url.split("://", 1)
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url


def _postgresql_writer(
    url: str, session_name: str, *, most: tuple[int, int], stalled_after_s: float
) -> Engine:
    engine = _postgresql_engine(url, session_name, most=most, pool_pre_ping=True)
    stalled_ms = int(stalled_after_s * 1000)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: object) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = {stalled_ms}")
        connection.commit()

    return engine


def _postgresql_reader(url: str, session_name: str, *, most: tuple[int, int]) -> Engine:
    # Not that anything commits by itself: psycopg is to begin nothing, since `_begin` does.
    engine = _postgresql_engine(url, session_name, most=most, isolation_level="AUTOCOMMIT")

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, record: Any) -> None:
        # What is asked twice is asked for good, and the server itself plans it five times more.
        connection.prepare_threshold = 1
        record.info[PLANS] = Plans(connection)

    @event.listens_for(engine, "checkout")
    def _begin(connection: Any, *_: object) -> None:
        """Begins the snapshot that a reader is taken for; tells, too, whether the server still answers."""
        try:
            connection.execute(_SNAPSHOT)
        except engine.dialect.loaded_dbapi.Error as err:
            if engine.dialect.is_disconnect(err, connection, None):
                raise InvalidatePoolError from err  # the pool connects anew
            raise

    return engine


def _postgresql_engine(
    url: str, session_name: str, *, most: tuple[int, int], **more: Any
) -> Engine:
    """most: how many connections are kept open, and how many there are at most."""
    given = make_url(url).query
    kept, at_most = most
    return create_engine(
        _with_psycopg(url),
        pool_size=kept,
        max_overflow=at_most - kept,
        # The one used last has the most in its caches.
        pool_use_lifo=True,
        connect_args={
            **{name: value for name, value in _PATIENCE.items() if name not in given},
            "application_name": session_name,
        },
        **more,
    )


def _sqlite_engine(url: str, *, writer: bool) -> Engine:
    pool: dict[str, Any] = (
        {"pool_size": 1, "max_overflow": 0, "pool_timeout": 120}
        if writer
        else {"pool_size": _READERS, "max_overflow": 24}
    )
    engine = create_engine(url, connect_args={"check_same_thread": False}, **pool)
    cache_kib = _WRITER_CACHE_KIB if writer else _READER_CACHE_KIB

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _: object) -> None:
        connection.text_factory = _read_text
        connection.isolation_level = None  # transactions begin where `_begin` says, nowhere else
        for pragma in (
            f"busy_timeout = {_BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            # Otherwise INSERT OR REPLACE deletes a row without asking the trigger that forbids it.
            "recursive_triggers = ON",
            # What was erased is overwritten, also where SQLite was not built to do so by itself.
            "secure_delete = ON",
            f"cache_size = -{cache_kib}",
            f"wal_autocheckpoint = {_LOG_PAGES}",
            "temp_store = MEMORY",
            f"query_only = {'OFF' if writer else 'ON'}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if writer:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # Waits for nothing and takes no lock yet: it needs no more than the driver.
            driver: Any = connection.connection.dbapi_connection
            driver.execute("BEGIN")

    return engine


def _read_text(raw: bytes) -> str:
    """Returns text that may have been damaged; what is no UTF-8 survives as surrogates."""
    return raw.decode("utf-8", "surrogateescape")
