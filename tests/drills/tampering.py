"""What somebody with the disk can do to the database file, and how to undo it.

Triggers refuse to change records, so a tamperer takes them away first, and puts them back so that
nobody sees that they were gone.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.ledger.record import stream_key

OTHER_CITY = b"650100"
_CITY = b"440100"
_OF_A_STREAM = ("record", "head", "sealed_section", "log_leaf")


@dataclass(frozen=True)
class Tampering:
    """One way to tamper. do: what it does to two codes, given an open transaction.

    places: what must be found, as (number of the code, seq); on_log: found on the log instead.
    """

    name: str
    do: Callable[[sqlite3.Connection, int, int], None]
    places: tuple[tuple[int, int], ...] = ()
    on_log: bool = False


def _change_byte(database: sqlite3.Connection, stream: int, _other: int) -> None:
    body = _body(database, stream, 1)
    at = body.index(_CITY)
    _set_body(database, stream, 1, body[:at] + b"5" + body[at + 1 :])


def _change_column(database: sqlite3.Connection, stream: int, _other: int) -> None:
    where = (stream, 2)
    database.execute("UPDATE record SET actor = 'x' WHERE stream = ? AND seq = ?", where)


def _delete_middle(database: sqlite3.Connection, stream: int, _other: int) -> None:
    database.execute("DELETE FROM record WHERE stream = ? AND seq = 2", (stream,))


def _delete_last(database: sqlite3.Connection, stream: int, _other: int) -> None:
    """The head follows, so that nothing in the stream itself is amiss."""
    database.execute("DELETE FROM record WHERE stream = ? AND seq = 3", (stream,))
    database.execute(
        "UPDATE head SET seq = 2, (hash, recorded_at) = "
        "(SELECT hash, recorded_at FROM record WHERE stream = ?1 AND seq = 2) WHERE stream = ?1",
        (stream,),
    )


def _swap_bodies(database: sqlite3.Connection, stream: int, other: int) -> None:
    first, second = _body(database, stream, 1), _body(database, other, 1)
    _set_body(database, stream, 1, second)
    _set_body(database, other, 1, first)


def _rehash_stream(database: sqlite3.Connection, stream: int, _other: int) -> None:
    """Another city in the sale, and every hash and link after it made to fit, the head's too."""
    prev = b""
    rows = database.execute("SELECT seq FROM record WHERE stream = ? ORDER BY seq", (stream,))
    for (seq,) in rows.fetchall():
        record = json.loads(_body(database, stream, seq))
        if seq == 1:
            record["data"]["region"] = OTHER_CITY.decode()
        if seq > 1:
            record["prev"] = prev.hex()
        body = canonical(record)
        prev = hashlib.sha256(body).digest()
        _set_body(database, stream, seq, body)
        where = (prev, stream, seq)
        database.execute("UPDATE record SET hash = ? WHERE stream = ? AND seq = ?", where)
    database.execute("UPDATE head SET hash = ? WHERE stream = ?", (prev, stream))


def _rehash_with_leaves(database: sqlite3.Connection, stream: int, other: int) -> None:
    """The rows that say what stands in the log follow too; its tiles and what was signed do not."""
    _rehash_stream(database, stream, other)
    database.execute(
        "UPDATE log_leaf SET hash = (SELECT hash FROM record "
        "WHERE record.stream = log_leaf.stream AND record.seq = log_leaf.seq) WHERE stream = ?",
        (stream,),
    )


def _change_sealed(database: sqlite3.Connection, stream: int, _other: int) -> None:
    rowid, sealed = database.execute(
        "SELECT rowid, sealed FROM sealed_section WHERE stream = ? AND name = 'waybill'", (stream,)
    ).fetchone()
    changed = sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]
    database.execute("UPDATE sealed_section SET sealed = ? WHERE rowid = ?", (changed, rowid))


def _replace_tile(database: sqlite3.Connection, _stream: int, _other: int) -> None:
    (data,) = database.execute(
        "SELECT data FROM tile WHERE level = 0 AND tile_index = 0"
    ).fetchone()
    turned = b"".join(data[at : at + 32] for at in range(len(data) - 32, -1, -32))
    database.execute("UPDATE tile SET data = ? WHERE level = 0 AND tile_index = 0", (turned,))


TAMPERINGS = (
    Tampering("a byte of a body", _change_byte, ((0, 1),)),
    Tampering("an index column", _change_column, ((0, 2),)),
    Tampering("a middle record deleted", _delete_middle, ((0, 2),)),
    Tampering("the last record deleted", _delete_last, ((0, 3),)),
    Tampering("two bodies swapped", _swap_bodies, ((0, 1), (1, 1))),
    Tampering("a stream re-hashed", _rehash_stream, ((0, 1),)),
    Tampering("a sealed section", _change_sealed, ((0, 2),)),
    Tampering("a tile replaced", _replace_tile, on_log=True),
)
# Beyond the eight: whoever knows the schema goes further.
REHASHED_WITH_LEAVES = Tampering(
    "a stream and its leaves re-hashed", _rehash_with_leaves, ((0, 1), (0, 2), (0, 3))
)


def tamper(path: Path, how: Tampering, codes: tuple[str, str]) -> None:
    """Does it in one transaction, beside whoever else has the file open."""
    with _unguarded(path) as database:
        how.do(database, *map(stream_key, codes))


def tamper_by_shell(path: Path, code: str) -> None:
    """Changes a body by the `sqlite3` command, whose string functions make a TEXT of a BLOB."""
    triggers = _read_triggers(path)
    script = "".join([
        ".timeout 30000\nBEGIN IMMEDIATE;\n",
        *(f"DROP TRIGGER {name};\n" for name in triggers),
        f"UPDATE record SET body = replace(body, '{_CITY.decode()}', '{OTHER_CITY.decode()}') ",
        f"WHERE stream = {stream_key(code)} AND seq = 1;\n",
        *(f"{sql};\n" for sql in triggers.values()),
        "COMMIT;\n",
    ])  # fmt: skip
    subprocess.run(["sqlite3", "-bail", path], input=script, text=True, check=True, timeout=60)
    with _opened(path) as database:
        kind, body = database.execute(
            "SELECT typeof(body), body FROM record WHERE stream = ? AND seq = 1",
            (stream_key(code),),
        ).fetchone()
    assert kind == "text"
    assert OTHER_CITY.decode() in body


class Saved:
    """What tampering may touch of these codes, and the log's tiles if asked, to be put back."""

    def __init__(self, path: Path, codes: tuple[str, ...], *, tiles: bool = False) -> None:
        self._path = path
        keys = ", ".join(str(stream_key(code)) for code in codes)
        self._what = dict.fromkeys(_OF_A_STREAM, f" WHERE stream IN ({keys})")
        if tiles:
            # Not otherwise: they grow with what follows from tampering.
            self._what["tile"] = ""
        with _opened(path) as database:
            self._rows = {table: self._read(database, table) for table in self._what}

    def restore(self) -> None:
        with _unguarded(self._path) as database:
            for table, rows in self._rows.items():
                lost = sorted(set(rows) - set(self._read(database, table)))
                if lost:
                    marks = ", ".join("?" * len(lost[0]))
                    database.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", lost)

    def _read(self, database: sqlite3.Connection, table: str) -> list[Any]:
        return database.execute(f"SELECT * FROM {table}{self._what[table]}").fetchall()


def canonical(record: dict[str, Any]) -> bytes:
    told = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return told.encode()


def _body(database: sqlite3.Connection, stream: int, seq: int) -> bytes:
    where = (stream, seq)
    row = database.execute("SELECT body FROM record WHERE stream = ? AND seq = ?", where).fetchone()
    return bytes(row[0])


def _set_body(database: sqlite3.Connection, stream: int, seq: int, body: bytes) -> None:
    where = (body, stream, seq)
    database.execute("UPDATE record SET body = ? WHERE stream = ? AND seq = ?", where)


def _read_triggers(path: Path) -> dict[str, str]:
    with _opened(path) as database:
        return dict(database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def _unguarded(path: Path) -> Iterator[sqlite3.Connection]:
    triggers = _read_triggers(path)
    assert triggers
    with _opened(path) as database:
        database.execute("BEGIN IMMEDIATE")
        for name in triggers:
            database.execute(f"DROP TRIGGER {name}")
        yield database
        for sql in triggers.values():
            database.execute(sql)
        database.execute("COMMIT")
