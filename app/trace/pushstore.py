"""SQL of waybills and orders: which goods were sold or travel under one. Read-only."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, func, select

from app.db.lookup import chunks
from app.db.tables import SideIndex

SIDE = SideIndex.__table__  # type: ignore[attr-defined]


def streams_under(
    connection: Connection, digests: Collection[bytes], *, kind: str = "waybill"
) -> dict[bytes, list[tuple[int, int]]]:
    """Returns by digest the (stream key, seq) of the records that seal this number. Read-only."""
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


def last_numbers(
    connection: Connection, streams: Collection[int], *, kind: str = "waybill"
) -> dict[int, int]:
    """Returns by stream key the seq of the last record that seals a number of this kind. Read-only."""
    found: dict[int, int] = {}
    for chunk in chunks(sorted(streams)):
        query = (
            select(SIDE.c.stream, func.max(SIDE.c.seq))
            .where(SIDE.c.stream.in_(list(chunk)), SIDE.c.kind == kind)
            .group_by(SIDE.c.stream)
        )
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found
