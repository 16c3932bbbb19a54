"""Reads streams that may be long, a piece at a time: a lot has records for every step of each consignment."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import Connection

from app.ledger.store import load_stream

_PIECE = 500


def each_of(
    connection: Connection, stream: str, types: Collection[str], *, after_seq: int = -1
) -> Iterator[Mapping[str, Any]]:
    """Yields what a stream's records of these types say, in order of seq. Read-only.

    Of which type one is it says itself; the column beside it is an index, which a hand may have altered.
    What a hand has altered says nothing, and is passed over: the audit tells of it.
    """
    while True:
        piece = load_stream(connection, stream, after_seq=after_seq, limit=_PIECE)
        for record in piece:
            try:
                fields = record.fields
            except ValueError:
                continue
            if fields["type"] in types:
                yield fields
        if len(piece) < _PIECE:
            return
        after_seq = piece[-1].seq
