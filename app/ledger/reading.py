"""Reads streams that may be long, a piece at a time: a lot has records for every step of each consignment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, or_, select

from app.db.holding import HoldsBytes
from app.db.hot import HotSelect
from app.ledger.record import stream_key
from app.ledger.store import RECORD, StoredRecord

_PIECE = 500


def each_of(
    connection: Connection, stream: str, types: frozenset[str], *, after_seq: int = -1
) -> Iterator[Mapping[str, Any]]:
    """Yields what a stream's records of these types say, in order of seq. Read-only.

    Of which type one is it says itself; the column beside it is an index, which a hand may have altered. So
    the database looks into the bodies, of which it passes over the others: all are read there, few come here.
    What a hand has altered says nothing, and is passed over: the audit tells of it.
    """
    while True:
        rows = _naming(types).rows(
            connection, stream=stream_key(stream), after=after_seq, most=_PIECE
        )
        for row in rows:
            try:
                fields = StoredRecord(stream, row.seq, row.hash, row.body, None).fields
            except ValueError:
                continue
            if fields["type"] in types:  # else it only quotes one
                yield fields
        if len(rows) < _PIECE:
            return
        after_seq = rows[-1].seq


@cache
def _naming(types: frozenset[str]) -> HotSelect:
    """Returns the statement for records whose bytes, canonical JSON, say one of these types."""
    named = [HoldsBytes(RECORD.c.body, b'"type":"%s"' % one.encode()) for one in sorted(types)]
    return HotSelect(
        select(RECORD.c.seq, RECORD.c.hash, RECORD.c.body)
        .where(
            RECORD.c.stream == bindparam("stream"), RECORD.c.seq > bindparam("after"), or_(*named)
        )
        .order_by(RECORD.c.seq)
        .limit(bindparam("most"))
    )
