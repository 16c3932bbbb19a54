"""Reads streams that may be long, a piece at a time: a lot has records for every step of each consignment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from app.db.lookup import chunks
from app.ledger.readstore import load_first, load_holding, longer_than
from app.ledger.record import stream_key

_PIECE = 500
_BEGINNING = 32
"""Records of each of many streams that one statement reads."""


def each_of(
    connection: Connection, stream: str, types: frozenset[str], *, after_seq: int = -1
) -> Iterator[Mapping[str, Any]]:
    """Yields what a stream's records of these types say, in order of seq. Read-only.

    Of which type one is it says itself; the column beside it is an index, which a hand may have altered. So
    the database looks into the bodies, of which it passes over the others: all are read there, few come here.
    Bytes that are no record of ours say nothing, and are passed over. Whether the others are those that the
    log holds is the audit's to say, and is not asked here.
    """
    for fields in each_holding(connection, stream, _spelled(types), after_seq=after_seq):
        if fields["type"] in types:  # else it only quotes one
            yield fields


def each_of_some(
    connection: Connection, streams: Iterable[str], types: frozenset[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields what `each_of` does of many streams, each with its name. Read-only.

    Ordered within a stream alone: the beginnings of many are read by one statement, which is all of nearly
    every unit's, and of longer ones the rest by itself.
    """
    parts = _spelled(types)
    for names in chunks(list(dict.fromkeys(streams))):
        if len(names) == 1:
            yield from ((names[0], fields) for fields in each_of(connection, names[0], types))
            continue
        some = {stream_key(name): name for name in names}
        for record in load_first(connection, some, parts, first=_BEGINNING):
            try:
                fields = record.fields
            except ValueError:
                continue
            if fields["type"] in types:
                yield record.stream, fields
        for key in longer_than(connection, list(some), _BEGINNING):
            for fields in each_of(connection, some[key], types, after_seq=_BEGINNING - 1):
                yield some[key], fields


def _spelled(types: frozenset[str]) -> list[bytes]:
    """Returns how a record's bytes say that it is one of these types."""
    return [b'"type":"%s"' % one.encode() for one in sorted(types)]


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
