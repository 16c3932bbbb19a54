"""SQL of waybills and orders: which goods were sold or travel under one. Read-only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from app.db.lookup import chunks, rows_at, rows_of
from app.db.tables import Head, RecordRow, SideIndex
from app.ledger.store import as_bytes
from app.ledger.verifier import read_told_record

HEAD = Head.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
SIDE = SideIndex.__table__  # type: ignore[attr-defined]


class Sealing(NamedTuple):
    """A record that seals a number. is_last: none later in its stream seals one of this kind."""

    stream: str
    seq: int
    is_last: bool
    fields: Mapping[str, Any]


def sealings(
    connection: Connection, digests: Collection[bytes], *, kind: str = "waybill"
) -> dict[bytes, list[Sealing]]:
    """Returns by digest the records that seal this number, in order, without those that are not whole.

    However many numbers there are, all is asked for together. Read-only.
    """
    under = _streams_under(connection, digests, kind=kind)
    places = sorted({place for at in under.values() for place in at})
    keys = sorted({key for key, _ in places})
    last = _last_numbers(connection, keys, kind=kind)
    names = {row.stream: row.name for row in rows_of(connection, HEAD, keys)}
    told = {
        (row.stream, row.seq): read_told_record(as_bytes(row.body))
        for row in rows_at(connection, RECORD, "seq", places)
    }
    return {
        digest: [
            Sealing(names[key], seq, seq == last.get(key), fields)
            for key, seq in at
            if key in names and (fields := told.get((key, seq))) is not None
        ]
        for digest, at in under.items()
    }


def _streams_under(
    connection: Connection, digests: Collection[bytes], *, kind: str
) -> dict[bytes, list[tuple[int, int]]]:
    """Returns by digest the (stream key, seq) of the records that seal this number."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    for chunk in chunks(sorted(digests)):
        query = (
            select(SIDE.c.digest, SIDE.c.stream, SIDE.c.seq)
            .where(SIDE.c.digest.in_(list(chunk)), SIDE.c.kind == kind)
            .order_by(SIDE.c.stream, SIDE.c.seq)
        )
        for digest, stream, seq in connection.execute(query):
            found.setdefault(bytes(digest), []).append((stream, seq))
    return found


def _last_numbers(connection: Connection, streams: Collection[int], *, kind: str) -> dict[int, int]:
    """Returns by stream key the seq of the last record that seals a number of this kind."""
    found: dict[int, int] = {}
    for chunk in chunks(sorted(streams)):
        query = (
            select(SIDE.c.stream, func.max(SIDE.c.seq))
            .where(SIDE.c.stream.in_(list(chunk)), SIDE.c.kind == kind)
            .group_by(SIDE.c.stream)
        )
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found
