"""Reads streams that may be long, a piece at a time: a lot has records for every step of each consignment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from app.ledger.readstore import load_holding

_PIECE = 500


def each_of(
    connection: Connection, stream: str, types: frozenset[str], *, after_seq: int = -1
) -> Iterator[Mapping[str, Any]]:
    """Yields what a stream's records of these types say, in order of seq. Read-only.

    Of which type one is it says itself; the column beside it is an index, which a hand may have altered. So
    the database looks into the bodies, of which it passes over the others: all are read there, few come here.
    Bytes that are no record of ours say nothing, and are passed over. Whether the others are those that the
    log holds is the audit's to say, and is not asked here.
    """
    parts = [b'"type":"%s"' % one.encode() for one in sorted(types)]
    for fields in each_holding(connection, stream, parts, after_seq=after_seq):
        if fields["type"] in types:  # else it only quotes one
            yield fields


def each_holding(
    connection: Connection, stream: str, parts: Sequence[bytes], *, after_seq: int = -1
) -> Iterator[Mapping[str, Any]]:
    """Yields what those of a stream's records say whose bytes hold one of these, in order of seq. Read-only.

    parts: canonical JSON, of which a record may only quote one; none: of all records. after_seq: of
    records behind this one alone.
    """
    while True:
        records = load_holding(connection, stream, parts, after_seq=after_seq, limit=_PIECE)
        for record in records:
            try:
                yield record.fields
            except ValueError:
                continue
        if len(records) < _PIECE:
            return
        after_seq = records[-1].seq
