"""Ceilings: the same rows moved by the bare driver, with nothing of ours in the way."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psycopg

from app.ledger.record import stream_key

_SQLITE = "sqlite:///"
_CACHE_KIB = 128 * 1024
_PARAMETERS = 256
_AT_ONCE = 10_000

# Rows that an event writes, by table: how they are found by stream. What was there before is left.
_NEW = {
    "record": "seq > 0",
    "sealed_section": "TRUE",
    "side_index": "TRUE",
    "due": "TRUE",
    "sold_unit": "TRUE",
    "log_leaf": "seq > 0",
}
_LOG_TABLES = ("log_leaf",)

Table = tuple[Sequence[str], list[tuple[Any, ...]]]
"""Names of columns, and rows."""


@dataclass(frozen=True, slots=True)
class Written:
    """What one batch of events wrote, as read back. heads: as moved."""

    heads: list[tuple[int, int, bytes, int, bytes]]
    rows: Mapping[str, Table]
    tiles: list[tuple[int, int, int, bytes]]
    state: tuple[int, bytes, bytes]


class Driver:
    """A connection of the driver itself: sqlite3 or psycopg. Statements mark their values by `?`."""

    def __init__(self, url: str) -> None:
        self._sqlite = url.startswith(_SQLITE)
        self._connection: Any
        if self._sqlite:
            self._connection = sqlite3.connect(url.removeprefix(_SQLITE), isolation_level=None)
            # What the service writes with.
            for told in ("synchronous = FULL", "foreign_keys = ON", f"cache_size = -{_CACHE_KIB}"):
                self._connection.execute(f"PRAGMA {told}")
        else:
            self._connection = psycopg.connect(url, autocommit=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Commits what is written inside; rolls back what is left by an exception."""
        self._connection.execute("BEGIN IMMEDIATE" if self._sqlite else "BEGIN")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Returns the driver's cursor."""
        return self._connection.execute(self._marked(statement), values)

    def execute_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Executes a statement once for each row."""
        self._connection.cursor().executemany(self._marked(statement), rows)

    def stream(self, query: str) -> Iterator[Any]:
        """Yields rows as they come, and holds only some of them."""
        if self._sqlite:
            yield from self._connection.execute(query)
            return
        with self._connection.transaction(), self._connection.cursor("all") as cursor:
            cursor.itersize = _AT_ONCE
            yield from cursor.execute(query)

    def _marked(self, statement: str) -> str:
        return statement if self._sqlite else statement.replace("?", "%s")


def hash_all(url: str) -> int:
    """Returns how many records there are, after reading every row and hashing its body."""
    count = 0
    with Driver(url) as driver:
        query = (
            "SELECT stream, seq, id, type, actor, recorded_at, hash, body FROM record"
            " ORDER BY stream, seq"
        )
        for row in driver.stream(query):
            if hashlib.sha256(row[7]).digest() == row[6]:
                count += 1
    return count


def read_written(url: str, streams: Sequence[str]) -> Written:
    """Returns the rows that one event on each of these streams wrote. Read-only."""
    keys = [stream_key(name) for name in streams]
    with Driver(url) as connection:
        heads = _select(connection, "head", "TRUE", keys)[1]
        rows = {table: _select(connection, table, which, keys) for table, which in _NEW.items()}
        indices = [row[rows["log_leaf"][0].index("leaf_index")] for row in rows["log_leaf"][1]]
        tiles = connection.execute(
            "SELECT log, level, tile_index, data FROM tile"
            " WHERE level < 1 AND tile_index BETWEEN ? AND ? OR level = 1",
            (min(indices) // 256, max(indices) // 256),
        ).fetchall()
        (state,) = connection.execute("SELECT size, root, edge FROM log_state")
    moved = [(seq, hash_, at, folded, key) for key, _, seq, hash_, at, folded in heads]
    return Written(moved, rows, tiles, state)


def insert_again(connection: Driver, written: Written) -> float:
    """Returns the seconds that the bare driver takes to write the same rows, durable and in the log.

    Two transactions, as the service has: what was recorded, then its place in the log.
    """
    keys = [head[-1] for head in written.heads]
    rows = written.rows
    waiting = _waiting(rows["record"])
    began = time.perf_counter()
    with connection.writing():
        found = 0
        for part in _parts(keys):
            query = f"SELECT * FROM head WHERE stream IN ({_marks(part)})"  # noqa: S608 - only marks
            found += len(connection.execute(query, part).fetchall())
        assert found == len(keys), "the copy holds other units"
        connection.execute_many(
            "UPDATE head SET seq = ?, hash = ?, recorded_at = ?, state = ? WHERE stream = ?",
            written.heads,
        )
        for table, (columns, values) in rows.items():
            if table not in _LOG_TABLES:
                _insert(connection, table, columns, values)
        _insert(connection, "unsequenced", ("stream", "seq", "recorded_at", "hash"), waiting)
    with connection.writing():
        connection.execute(
            "SELECT stream, seq, hash FROM unsequenced ORDER BY recorded_at, stream, seq"
        ).fetchall()
        for table in _LOG_TABLES:
            _insert(connection, table, *rows[table])
        connection.execute("DELETE FROM unsequenced")
        connection.execute_many(
            "INSERT INTO tile (log, level, tile_index, data) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (log, level, tile_index) DO UPDATE SET data = excluded.data",
            written.tiles,
        )
        connection.execute("UPDATE log_state SET size = ?, root = ?, edge = ?", written.state)
    return time.perf_counter() - began


def size_mb(url: str) -> float:
    """Returns what a database takes on its disk, in 2^20 bytes. Of SQLite the write-ahead log with it."""
    if url.startswith(_SQLITE):
        path = Path(url.removeprefix(_SQLITE))
        return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*")) / 2**20
    with Driver(url) as driver:
        (size,) = driver.execute("SELECT pg_database_size(current_database())").fetchone()
    return float(size / 2**20)


def version(url: str) -> str:
    """Returns the database's name and version."""
    if url.startswith(_SQLITE):
        return f"SQLite {sqlite3.sqlite_version}"
    with Driver(url) as driver:
        (told,) = driver.execute("SHOW server_version").fetchone()
    return f"PostgreSQL {told}"


def _select(connection: Driver, table: str, which: str, keys: Sequence[int]) -> Table:
    found: list[tuple[Any, ...]] = []
    columns: Sequence[str] = ()
    for part in _parts(keys):
        query = f"SELECT * FROM {table} WHERE stream IN ({_marks(part)}) AND {which}"  # noqa: S608 - names of ours
        cursor = connection.execute(query, part)
        columns = [column[0] for column in cursor.description]
        found += cursor.fetchall()
    return columns, found


def _insert(
    connection: Driver,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    if rows:
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({_marks(columns)})"  # noqa: S608 - names of ours
        connection.execute_many(statement, rows)


def _waiting(records: Table) -> list[tuple[Any, ...]]:
    columns, rows = records
    places = [columns.index(name) for name in ("stream", "seq", "recorded_at", "hash")]
    return [tuple(row[place] for place in places) for row in rows]


def _parts(items: Sequence[Any]) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), _PARAMETERS):
        yield items[start : start + _PARAMETERS]


def _marks(items: Sequence[object]) -> str:
    return ", ".join("?" * len(items))
