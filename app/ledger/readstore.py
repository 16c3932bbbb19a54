"""SQL of records that are asked for by what they say of themselves. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

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


@cache
def _holding(count: int) -> HotSelect:
    """Returns the statement for records whose bytes hold one of so many parts."""
    held = [
        HoldsBytes(RECORD.c.body, bindparam(f"part{n}", type_=LargeBinary)) for n in range(count)
    ]
    return HotSelect(
        select(RECORD.c.seq, RECORD.c.hash, RECORD.c.body)
        .where(
            RECORD.c.stream == bindparam("stream"),
            RECORD.c.seq > bindparam("after"),
            *([or_(*held)] if held else []),
        )
        .order_by(RECORD.c.seq)
        .limit(bindparam("most"))
    )
