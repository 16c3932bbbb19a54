"""SQL of records that are asked for by what they say of themselves. Read-only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, LargeBinary, bindparam, or_, select

from app.db.holding import HoldsBytes
from app.db.hot import HotSelect
from app.ledger.record import stream_key
from app.ledger.store import RECORD, StoredRecord


def load_holding(
    connection: Connection, stream: str, parts: Sequence[bytes], *, after_seq: int, limit: int
) -> list[StoredRecord]:
    """Returns a stream's records whose bytes hold one of these parts, in order, without their leaf.

    Of no parts all records. Read-only.
    """
    named = {f"part{n}": part for n, part in enumerate(parts)}
    place = {"stream": stream_key(stream), "after": after_seq, "most": limit}
    rows = _holding(len(parts)).rows(connection, **place, **named)
    return [StoredRecord(stream, row.seq, row.hash, row.body, None) for row in rows]


def load_first(
    connection: Connection, streams: Mapping[int, str], parts: Sequence[bytes], *, first: int
) -> list[StoredRecord]:
    """Returns what `load_holding` does of several streams, of the first so many records of each. Read-only.

    streams: their names by key.
    """
    named = {f"part{n}": part for n, part in enumerate(parts)}
    rows = _first(len(parts)).rows(connection, streams=list(streams), first=first, **named)
    return [StoredRecord(streams[row.stream], row.seq, row.hash, row.body, None) for row in rows]


def longer_than(connection: Connection, streams: Sequence[int], first: int) -> list[int]:
    """Returns those of these streams that have more than so many records. Read-only."""
    rows = _LONGER.rows(connection, streams=list(streams), first=first)
    return [row.stream for row in rows]


_LONGER = HotSelect(
    select(RECORD.c.stream).where(
        RECORD.c.stream.in_(bindparam("streams", expanding=True)),
        RECORD.c.seq == bindparam("first"),
    )
)


@cache
def _holding(count: int) -> HotSelect:
    """Returns the statement for records whose bytes hold one of so many parts."""
    return HotSelect(
        select(RECORD.c.seq, RECORD.c.hash, RECORD.c.body)
        .where(
            RECORD.c.stream == bindparam("stream"),
            RECORD.c.seq > bindparam("after"),
            *_held(count),
        )
        .order_by(RECORD.c.seq)
        .limit(bindparam("most"))
    )


@cache
def _first(count: int) -> HotSelect:
    """Returns the same of several streams, of the first records of each."""
    return HotSelect(
        select(RECORD.c.stream, RECORD.c.seq, RECORD.c.hash, RECORD.c.body)
        .where(
            RECORD.c.stream.in_(bindparam("streams", expanding=True)),
            RECORD.c.seq < bindparam("first"),
            *_held(count),
        )
        .order_by(RECORD.c.stream, RECORD.c.seq)
    )


def _held(count: int) -> list[Any]:
    held = [
        HoldsBytes(RECORD.c.body, bindparam(f"part{n}", type_=LargeBinary)) for n in range(count)
    ]
    return [or_(*held)] if held else []
