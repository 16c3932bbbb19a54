"""Ceilings: the same rows moved by the bare driver, with nothing of ours in the way."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.ledger.record import stream_key

_CACHE_KIB = 128 * 1024
_PARAMETERS = 256

# Rows that an event writes, by table: how they are found by stream. What was there before is left.
_NEW = {
    "record": "seq > 0",
    "sealed_section": "1",
    "side_index": "1",
    "due": "1",
    "sold_unit": "1",
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


def hash_all(path: Path) -> int:
    """Returns how many records there are, after reading every row and hashing its body."""
    count = 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        query = (
            "SELECT stream, seq, id, type, actor, recorded_at, hash, body FROM record"
            " ORDER BY stream, seq"
        )
        for row in connection.execute(query):
            if hashlib.sha256(row[7]).digest() == row[6]:
                count += 1
    return count


def copy_database(source: Path, target: Path) -> None:
    """Copies a database page by page, as it is."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode = WAL")


def read_written(path: Path, streams: Sequence[str]) -> Written:
    """Returns the rows that one event on each of these streams wrote. Read-only."""
    keys = [stream_key(name) for name in streams]
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        heads = _select(connection, "head", "1", keys)[1]
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


def insert_again(connection: sqlite3.Connection, written: Written) -> float:
    """Returns the seconds that the bare driver takes to write the same rows, durable and in the log.

    Two transactions, as the service has: what was recorded, then its place in the log.
    """
    keys = [head[-1] for head in written.heads]
    rows = written.rows
    waiting = _waiting(rows["record"])
    began = time.perf_counter()
    with _writing(connection):
        found = 0
        for part in _parts(keys):
            query = f"SELECT * FROM head WHERE stream IN ({_marks(part)})"  # noqa: S608 - only marks
            found += len(connection.execute(query, part).fetchall())
        assert found == len(keys), "the copy holds other units"
        connection.executemany(
            "UPDATE head SET seq = ?, hash = ?, recorded_at = ?, state = ? WHERE stream = ?",
            written.heads,
        )
        for table, (columns, values) in rows.items():
            if table not in _LOG_TABLES:
                _insert(connection, table, columns, values)
        _insert(connection, "unsequenced", ("stream", "seq", "recorded_at", "hash"), waiting)
    with _writing(connection):
        connection.execute(
            "SELECT stream, seq, hash FROM unsequenced ORDER BY recorded_at, stream, seq"
        ).fetchall()
        for table in _LOG_TABLES:
            _insert(connection, table, *rows[table])
        connection.execute("DELETE FROM unsequenced")
        connection.executemany(
            "INSERT OR REPLACE INTO tile (log, level, tile_index, data) VALUES (?, ?, ?, ?)",
            written.tiles,
        )
        connection.execute("UPDATE log_state SET size = ?, root = ?, edge = ?", written.state)
    return time.perf_counter() - began


def connect(path: Path) -> sqlite3.Connection:
    """Returns a connection with the settings that the service writes with."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("synchronous = FULL", "foreign_keys = ON", f"cache_size = -{_CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _select(connection: sqlite3.Connection, table: str, which: str, keys: Sequence[int]) -> Table:
    found: list[tuple[Any, ...]] = []
    columns: Sequence[str] = ()
    for part in _parts(keys):
        query = f"SELECT * FROM {table} WHERE stream IN ({_marks(part)}) AND {which}"  # noqa: S608 - names of ours
        cursor = connection.execute(query, part)
        columns = [column[0] for column in cursor.description]
        found += cursor.fetchall()
    return columns, found


def _insert(
    connection: sqlite3.Connection,
    table: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    if rows:
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({_marks(columns)})"  # noqa: S608 - names of ours
        connection.executemany(statement, rows)


def _waiting(records: Table) -> list[tuple[Any, ...]]:
    columns, rows = records
    places = [columns.index(name) for name in ("stream", "seq", "recorded_at", "hash")]
    return [tuple(row[place] for place in places) for row in rows]


def _parts(items: Sequence[Any]) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), _PARAMETERS):
        yield items[start : start + _PARAMETERS]


def _marks(items: Sequence[object]) -> str:
    return ", ".join("?" * len(items))
