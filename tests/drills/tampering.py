"""What somebody with the disk can do to the database file, and how to undo it.

Triggers refuse to change records, so a tamperer takes them away first, and puts them back so that
nobody sees that they were gone.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel import SQLModel

import app.db.tables  # noqa: F401 - fills the metadata
from app.db.engine import sqlite_url
from app.ledger.record import stream_key
from tests.databases import Run, opened

OTHER_CITY = b"650100"
_CITY = b"440100"
_OF_A_STREAM = ("record", "head", "sealed_section", "log_leaf")


@dataclass(frozen=True)
class Tampering:
    """One way to tamper. do: what it does to two codes, given an open transaction.

    places: what must be found, as (number of the code, seq); on_log: found on the log instead.
    """

    name: str
    do: Callable[[Run, int, int], None]
    places: tuple[tuple[int, int], ...] = ()
    on_log: bool = False


def _change_byte(run: Run, stream: int, _other: int) -> None:
    body = _body(run, stream, 1)
    at = body.index(_CITY)
    _set_body(run, stream, 1, body[:at] + b"5" + body[at + 1 :])


def _change_column(run: Run, stream: int, _other: int) -> None:
    run("UPDATE record SET actor = 'x' WHERE stream = ? AND seq = 2", stream)


def _delete_middle(run: Run, stream: int, _other: int) -> None:
    run("DELETE FROM record WHERE stream = ? AND seq = 2", stream)


def _delete_last(run: Run, stream: int, _other: int) -> None:
    """The head follows, so that nothing in the stream itself is amiss."""
    run("DELETE FROM record WHERE stream = ? AND seq = 3", stream)
    run(
        "UPDATE head SET seq = 2, (hash, recorded_at) = (SELECT hash, recorded_at FROM record "
        "WHERE record.stream = head.stream AND seq = 2) WHERE stream = ?",
        stream,
    )


def _swap_bodies(run: Run, stream: int, other: int) -> None:
    first, second = _body(run, stream, 1), _body(run, other, 1)
    _set_body(run, stream, 1, second)
    _set_body(run, other, 1, first)


def _rehash_stream(run: Run, stream: int, _other: int) -> None:
    """Another city in the sale, and every hash and link after it made to fit, the head's too."""
    prev = b""
    for (seq,) in run("SELECT seq FROM record WHERE stream = ? ORDER BY seq", stream):
        record = json.loads(_body(run, stream, seq))
        if seq == 1:
            record["data"]["region"] = OTHER_CITY.decode()
        if seq > 1:
            record["prev"] = prev.hex()
        body = canonical(record)
        prev = hashlib.sha256(body).digest()
        _set_body(run, stream, seq, body)
        run("UPDATE record SET hash = ? WHERE stream = ? AND seq = ?", prev, stream, seq)
    run("UPDATE head SET hash = ? WHERE stream = ?", prev, stream)


def _rehash_with_leaves(run: Run, stream: int, other: int) -> None:
    """The rows that say what stands in the log follow too; its tiles and what was signed do not."""
    _rehash_stream(run, stream, other)
    run(
        "UPDATE log_leaf SET hash = (SELECT hash FROM record "
        "WHERE record.stream = log_leaf.stream AND record.seq = log_leaf.seq) WHERE stream = ?",
        stream,
    )


def _change_sealed(run: Run, stream: int, _other: int) -> None:
    where = "WHERE stream = ? AND name = 'waybill'"
    ((sealed,),) = run(f"SELECT sealed FROM sealed_section {where}", stream)
    changed = sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]
    run(f"UPDATE sealed_section SET sealed = ? {where}", changed, stream)


def _replace_tile(run: Run, _stream: int, _other: int) -> None:
    ((data,),) = run("SELECT data FROM tile WHERE level = 0 AND tile_index = 0")
    turned = b"".join(data[at : at + 32] for at in range(len(data) - 32, -1, -32))
    run("UPDATE tile SET data = ? WHERE level = 0 AND tile_index = 0", turned)


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


def tamper(url: str, how: Tampering, codes: tuple[str, str]) -> None:
    """Does it in one transaction, beside whoever else has the database open."""
    with opened(url, guarded=False) as run:
        how.do(run, *map(stream_key, codes))


def tamper_by_shell(path: Path, code: str) -> None:
    """Changes a body by the `sqlite3` command, whose string functions make a TEXT of a BLOB."""
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    with opened(sqlite_url(path)) as run:
        triggers = dict(run(query))
    script = "".join([
        ".timeout 30000\nBEGIN IMMEDIATE;\n",
        *(f"DROP TRIGGER {name};\n" for name in triggers),
        f"UPDATE record SET body = replace(body, '{_CITY.decode()}', '{OTHER_CITY.decode()}') ",
        f"WHERE stream = {stream_key(code)} AND seq = 1;\n",
        *(f"{sql};\n" for sql in triggers.values()),
        "COMMIT;\n",
    ])  # fmt: skip
    subprocess.run(["sqlite3", "-bail", path], input=script, text=True, check=True, timeout=60)
    with opened(sqlite_url(path)) as run:
        query = "SELECT typeof(body), body FROM record WHERE stream = ? AND seq = 1"
        ((kind, body),) = run(query, stream_key(code))
    assert kind == "text"
    assert OTHER_CITY.decode() in body


class Saved:
    """What tampering may touch of these codes, and the log's tiles if asked, to be put back."""

    def __init__(self, url: str, codes: tuple[str, ...], *, tiles: bool = False) -> None:
        self._url = url
        keys = ", ".join(str(stream_key(code)) for code in codes)
        self._what = dict.fromkeys(_OF_A_STREAM, f" WHERE stream IN ({keys})")
        if tiles:
            # Not otherwise: they grow with what follows from tampering.
            self._what["tile"] = ""
        with opened(url) as run:
            self._rows = {table: self._read(run, table) for table in self._what}

    def restore(self) -> None:
        with opened(self._url, guarded=False) as run:
            for table, rows in self._rows.items():
                here = SQLModel.metadata.tables[table]
                at = [here.columns.keys().index(column.name) for column in here.primary_key]
                where = " AND ".join(f"{column.name} = ?" for column in here.primary_key)
                for row in sorted(set(rows) - set(self._read(run, table))):
                    run(f"DELETE FROM {table} WHERE {where}", *(row[n] for n in at))
                    values = ", ".join("?" * len(row))
                    run(f"INSERT INTO {table} ({_names(table)}) VALUES ({values})", *row)

    def _read(self, run: Run, table: str) -> list[Any]:
        return run(f"SELECT {_names(table)} FROM {table}{self._what[table]}")


def _names(table: str) -> str:
    """By name: a migrated table's columns stand in another order."""
    return ", ".join(SQLModel.metadata.tables[table].columns.keys())


def canonical(record: dict[str, Any]) -> bytes:
    told = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return told.encode()


def _body(run: Run, stream: int, seq: int) -> bytes:
    ((body,),) = run("SELECT body FROM record WHERE stream = ? AND seq = ?", stream, seq)
    return bytes(body)


def _set_body(run: Run, stream: int, seq: int, body: bytes) -> None:
    run("UPDATE record SET body = ? WHERE stream = ? AND seq = ?", body, stream, seq)
