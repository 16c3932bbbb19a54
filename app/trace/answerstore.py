"""SQL of what is said to a record on its own stream: replies to it, hidings of it. Read-only.

There is no index by what a record names. So the records of these types behind the first one that is
asked about are gone through, each looked at for an id where it stands; only those that name one are read.
Of any length nothing is left out, and no more is held than what is found.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from app.db.lookup import rows_at
from app.db.tables import RecordRow
from app.ledger.record import stream_key
from app.ledger.store import as_bytes
from app.ledger.verifier import read_told_record

RECORD = RecordRow.__table__  # type: ignore[attr-defined]

Fields = Mapping[str, Any]
_FETCH = 500
# Canonical JSON: nothing but the field itself is spelled so, quotes in texts are escaped.
_NAMED = re.compile(rb'"of":"([0-9a-f-]{36})"')


def answers_to(
    connection: Connection,
    stream: str,
    ids: Collection[str],
    *,
    types: frozenset[str],
    after: int,
) -> Iterator[Fields]:
    """Yields a stream's readable records of these types that name one of the ids, in order.

    after: the seq behind which they stand.
    """
    wanted = {id_.encode() for id_ in ids}
    query = (
        select(RECORD.c.body)
        .where(
            RECORD.c.stream == stream_key(stream),
            RECORD.c.seq > after,
            RECORD.c.type.in_(sorted(types)),
        )
        .order_by(RECORD.c.seq)
        .execution_options(yield_per=_FETCH)
    )
    with connection.execute(query) as rows:
        for row in rows:
            body = as_bytes(row.body)
            if wanted.isdisjoint(_NAMED.findall(body)):
                continue
            fields = read_told_record(body)
            if fields is not None:  # altered bytes say nothing; the audit tells of them
                yield fields


def fields_at(connection: Connection, stream: int, seqs: Sequence[int]) -> dict[str, Fields]:
    """Returns the records at these places that can be read, by their ids."""
    found: dict[str, Fields] = {}
    for row in rows_at(connection, RECORD, "seq", [(stream, seq) for seq in seqs]):
        fields = read_told_record(as_bytes(row.body))
        if fields is not None:
            found[str(fields["id"])] = fields
    return found
