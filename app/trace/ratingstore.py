"""SQL of ratings: one row a rating, counted by who is rated. Flushes, never commits.

Of one parcel the newest word of a side counts; one that is proven by nothing but the code inside the
pack displaces none that is proven better, and is counted apart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, func, insert, or_, select, tuple_

from app.db.lookup import chunks
from app.db.tables import Head, Rating, RecordRow, SideIndex
from app.ledger.rebuilt import Rebuilt
from app.ledger.record import stream_key
from app.ledger.stage import EffectWriter
from app.ledger.store import as_bytes
from app.trace.identifiers import parse_code
from app.trace.ratings import KINDS, TYPES, told_rows
from app.trace.rebuildstore import retell

HEAD = Head.__table__  # type: ignore[attr-defined]
RATING = Rating.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
SIDE = SideIndex.__table__  # type: ignore[attr-defined]

_INNER = case((RATING.c.proof == "inner", 1), else_=0)


def _write_ratings(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(insert(RATING), [dict(row) for row in rows])


WRITERS: Mapping[str, EffectWriter] = {"rating": _write_ratings}


def rebuild_ratings(connection: Connection) -> Rebuilt:
    """Makes all rows again from the records. Writes `rating`."""
    return retell(
        connection, RATING, TYPES, lambda stream, records: _told(connection, stream, records)
    )


def _told(
    connection: Connection, stream: str, records: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    for row in told_rows(stream, parse_code(stream).gtin, records):
        parcel = parcel_of(connection, stream, row["of_seq"]) if row["kind"] == "carrier" else b""
        yield {**row, "parcel": parcel or row["parcel"]}


def parcel_of(connection: Connection, stream: str, seq: int) -> bytes:
    """Returns the keyed digest of a dispatch's waybill, empty where none is told. Read-only."""
    query = select(SIDE.c.digest).where(
        SIDE.c.stream == stream_key(stream), SIDE.c.seq == seq, SIDE.c.kind == "waybill"
    )
    digest = connection.execute(query).scalar()
    return b"" if digest is None else as_bytes(digest)


def _of_party(party: str, kind: str, since_ms: int, until_ms: int) -> tuple[Any, ...]:
    return (
        RATING.c.party == party,
        RATING.c.kind == kind,
        RATING.c.at >= since_ms,
        RATING.c.at < until_ms,
    )


def given_by(
    connection: Connection, merchant: str, streams: Collection[int]
) -> dict[tuple[int, int], int]:
    """Returns by (stream key, seq of the dispatch) how a merchant rated the carrier last. Read-only."""
    found: dict[tuple[int, int], int] = {}
    for chunk in chunks(sorted(streams)):
        query = (
            select(RATING.c.stream, RATING.c.of_seq, RATING.c.rating)
            .where(
                RATING.c.stream.in_(list(chunk)),
                RATING.c.kind == "carrier",
                RATING.c.side == "merchant",
                RATING.c.merchant == merchant,
            )
            .order_by(RATING.c.stream, RATING.c.seq)
        )
        found |= {(row.stream, row.of_seq): row.rating for row in connection.execute(query)}
    return found


def count_stars(
    connection: Connection, party: str, *, since_ms: int, until_ms: int
) -> list[tuple[str, str, int, bool, int]]:
    """Returns (kind, side, rating, proven by the inner code alone, how many) of a party. Read-only."""
    # A review is the one word on its own parcel: it is only counted. Of a carrier's they are put in
    # order, parcel by parcel, and the first of each counts.
    place = func.row_number().over(
        partition_by=(RATING.c.side, RATING.c.parcel),
        order_by=(_INNER, RATING.c.at.desc(), RATING.c.stream, RATING.c.seq.desc()),
    )
    span = {"since_ms": since_ms, "until_ms": until_ms}
    ordered = (
        select(RATING.c.side, RATING.c.rating, _INNER.label("inner_only"), place.label("n"))
        .where(*_of_party(party, "carrier", **span))
        .subquery()
    )
    one = ordered.c
    queries = {
        "seller": select(RATING.c.side, RATING.c.rating, _INNER, func.count())
        .where(*_of_party(party, "seller", **span))
        .group_by(RATING.c.side, RATING.c.rating, _INNER),
        "carrier": select(one.side, one.rating, one.inner_only, func.count())
        .where(one.n == 1)
        .group_by(one.side, one.rating, one.inner_only),
    }
    return [
        (kind, r[0], int(r[1]), bool(r[2]), int(r[3]))
        for kind, query in queries.items()
        for r in connection.execute(query)
    ]


def list_ratings(
    connection: Connection,
    party: str,
    *,
    since_ms: int,
    until_ms: int,
    after: tuple[int, int, int] | None,
    limit: int,
) -> list[tuple[Any, bool]]:
    """Returns a party's ratings, the newest first, with their records' hashes and codes. Read-only.

    after: (at, stream, seq) of the last one shown. With each whether it is the word of its side on its
    parcel that counts: asked of the parcels of this page, so that no page reads all of a party's.
    """
    place = (RATING.c.at, RATING.c.stream, RATING.c.seq)
    query = (
        select(RATING, RECORD.c.hash, HEAD.c.name)
        .select_from(RATING)
        .join(HEAD, HEAD.c.stream == RATING.c.stream)
        .join(RECORD, and_(RECORD.c.stream == RATING.c.stream, RECORD.c.seq == RATING.c.seq))
        .where(
            RATING.c.party == party,
            RATING.c.kind.in_(("seller", "carrier")),
            RATING.c.at >= since_ms,
            RATING.c.at < until_ms,
        )
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    if after is not None:
        query = query.where(RATING.c.at <= after[0], tuple_(*place) < after)
    rows = list(connection.execute(query))
    said = [row for row in rows if row.kind == "carrier"]
    counting = _counting(connection, said, party, since_ms=since_ms, until_ms=until_ms)
    return [(row, row.kind != "carrier" or (row.stream, row.seq) in counting) for row in rows]


def _counting(
    connection: Connection, said: Sequence[Any], party: str, *, since_ms: int, until_ms: int
) -> set[tuple[int, int]]:
    """Returns the places of the ratings that count on the parcels of these ones. Read-only.

    A parcel of many units has its waybill's digest beside the dispatch of each: there the other words on
    it are found, by that index.
    """
    parcels = sorted({as_bytes(row.parcel) for row in said})
    streams = {row.stream for row in said}
    for part in chunks(parcels):
        told = select(SIDE.c.stream).where(SIDE.c.digest.in_(part), SIDE.c.kind == "waybill")
        streams.update(connection.execute(told).scalars())
    best: dict[tuple[str, bytes], tuple[int, int, int, int]] = {}
    for some in chunks(sorted(streams)):
        # By stream alone, or SQLite takes the index of all that this party was given.
        query = select(RATING).where(RATING.c.stream.in_(some), RATING.c.kind == "carrier")
        for part in chunks(parcels):
            for row in connection.execute(query.where(RATING.c.parcel.in_(part))):
                if row.party == party and since_ms <= row.at < until_ms:
                    place = row.side, as_bytes(row.parcel)
                    word = (int(row.proof == "inner"), -row.at, row.stream, -row.seq)
                    best[place] = min(word, best.get(place, word))
    return {(stream, -seq) for _, _, stream, seq in best.values()}


def list_of_buyers(
    connection: Connection, merchant: str, *, after: tuple[int, int, int] | None, limit: int
) -> list[Any]:
    """Returns ratings of a merchant's buyers, the newest first, each with its record's body. Read-only.

    `buyer`: the keyed digest of the sale's buyer, None where it names none.
    """
    place = (RATING.c.at, RATING.c.stream, RATING.c.seq)
    query = (
        select(RATING, RECORD.c.body, RECORD.c.hash, SIDE.c.digest.label("buyer"))
        .select_from(RATING)
        .join(RECORD, and_(RECORD.c.stream == RATING.c.stream, RECORD.c.seq == RATING.c.seq))
        .outerjoin(
            SIDE,
            and_(
                SIDE.c.stream == RATING.c.stream,
                SIDE.c.seq == RATING.c.sale_seq,
                SIDE.c.kind == "buyer",
            ),
        )
        .where(RATING.c.merchant == merchant, RATING.c.kind == "buyer")
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(*place) < after)
    return list(connection.execute(query))


def rows_of(connection: Connection, stream: str) -> list[Any]:
    """Returns the rows of a stream's ratings. Read-only."""
    query = select(RATING).where(RATING.c.stream == stream_key(stream))
    return list(connection.execute(query))


def unfounded(connection: Connection, party: str, *, limit: int) -> list[tuple[int, int]]:
    """Returns (stream key, seq) of ratings of or for a party that no such record gives. Read-only."""
    fits = or_(
        *(and_(RATING.c.kind == kind, RECORD.c.type == type_) for type_, kind in KINDS.items())
    )
    query = (
        select(RATING.c.stream, RATING.c.seq)
        .select_from(
            RATING.outerjoin(
                RECORD, and_(RECORD.c.stream == RATING.c.stream, RECORD.c.seq == RATING.c.seq, fits)
            )
        )
        .where(or_(RATING.c.party == party, RATING.c.merchant == party), RECORD.c.stream.is_(None))
        .limit(limit)
    )
    return [(int(row.stream), int(row.seq)) for row in connection.execute(query)]
