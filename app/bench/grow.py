"""Databases of an age that real trade would take hours to give them.

Units that the services made are repeated under new serials: every record with its own name, link and
hash, and every row that goes with it, so that all of it verifies. The sequencer and the publisher are
the real ones.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from app.db.engine import Database
from app.ledger.record import ZERO_HASH, record_hash, stream_key
from app.trace import soldstore
from app.trace.code import Code, new_serial
from app.web.deps import Rooms

_BLOCK = 25_000  # units in one transaction
_TEMPLATES = 500
_INDEX = ("due", "sold_unit")  # rows of a unit that say nothing of its name but the key


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table's columns, and rows of one unit."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


_Life = dict[str, _Rows]
"""All that one unit wrote, by table."""


def multiply(
    rooms: Rooms, units: Sequence[Code], records: int, progress: Callable[[int], None]
) -> list[Code]:
    """Returns new units, so many that the log has about `records`; all sequenced and signed."""
    sample = units[:: max(1, len(units) // _TEMPLATES)]
    with rooms.database.read() as connection:
        lives = [(code, _read_life(connection, code)) for code in sample]
        size = connection.exec_driver_sql("SELECT count(*) FROM log_leaf").scalar_one()
    each = sum(len(life["record"].rows) for _, life in lives) / len(lives)
    copies = _copies(lives, round((records - size) / each))
    made: list[Code] = []
    while block := list(islice(copies, _BLOCK)):
        _write(rooms.database, [life for _, life in block])
        while rooms.sequencer.sequence(limit=_BLOCK):
            pass
        rooms.publisher.publish()
        rooms.database.truncate_log()
        made += [code for code, _ in block]
        progress(round(size + len(made) * each))
    with rooms.database.write() as connection:
        soldstore.put_right(connection)
    return made


def _copies(lives: Sequence[tuple[Code, _Life]], count: int) -> Iterator[tuple[Code, _Life]]:
    for n in range(count):
        code, life = lives[n % len(lives)]
        copy = Code(code.gtin, serial=new_serial(secrets.token_bytes))
        yield copy, _renamed(life, old=code.stream, new=copy.stream)


def _read_life(connection: Connection, code: Code) -> _Life:
    life = {}
    for table in ("head", "record", *_INDEX):
        order = " ORDER BY seq" if table == "record" else ""
        query = f"SELECT * FROM {table} WHERE stream = {stream_key(code.stream)}{order}"  # noqa: S608 - names and a number of ours
        found = connection.exec_driver_sql(query)
        life[table] = _Rows(tuple(found.keys()), [tuple(row) for row in found])
    return life


def _renamed(life: _Life, *, old: str, new: str) -> _Life:
    """Returns a life under another name, linked and hashed again."""
    key = stream_key(new)
    records, prev, link = [], ZERO_HASH, ZERO_HASH
    columns = life["record"].columns
    for row in life["record"].rows:
        told = dict(zip(columns, row, strict=True))
        body = told["body"].replace(f'"stream":"{old}"'.encode(), f'"stream":"{new}"'.encode())
        body = body.replace(f'"prev":"{link.hex()}"'.encode(), f'"prev":"{prev.hex()}"'.encode())
        link, prev = told["hash"], record_hash(body)
        records.append(tuple((told | {"stream": key, "hash": prev, "body": body}).values()))
    waiting = [
        (key, told["seq"], told["recorded_at"], told["hash"])
        for told in (dict(zip(columns, row, strict=True)) for row in records)
    ]
    head = life["head"]
    heads = [
        tuple(
            (dict(zip(head.columns, row, strict=True)) | {"stream": key, "name": new, "hash": prev})
            .values()
        )
        for row in head.rows
    ]  # fmt: skip
    return {
        "head": _Rows(head.columns, heads),
        "record": _Rows(columns, records),
        "unsequenced": _Rows(("stream", "seq", "recorded_at", "hash"), waiting),
        **{
            table: _Rows(
                life[table].columns,
                [
                    tuple(key if n == "stream" else v for n, v in zip(life[table].columns, row, strict=True))
                    for row in life[table].rows
                ],
            )
            for table in _INDEX
        },
    }  # fmt: skip


def _write(database: Database, lives: Sequence[_Life]) -> None:
    """Writes what copies of units bring, in one transaction."""
    with database.write() as connection:
        mark = "?" if database.dialect == "sqlite" else "%s"
        for table, first in lives[0].items():
            marks = ", ".join([mark] * len(first.columns))
            statement = f"INSERT INTO {table} ({', '.join(first.columns)}) VALUES ({marks})"  # noqa: S608 - names of ours
            connection.exec_driver_sql(
                statement, [row for life in lives for row in life[table].rows]
            )
