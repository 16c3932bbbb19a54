"""SQL of ratings: one row a rating, counted by who is rated. Flushes, never commits.

Of one parcel the newest word of a side counts; one that is proven by nothing but the code inside the
pack displaces none that is proven better, and is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, func, insert, or_, select, tuple_

from app.db.tables import Head, Rating, RecordRow, SideIndex
from app.ledger.record import stream_key
from app.ledger.stage import EffectWriter
from app.ledger.store import as_bytes
from app.trace.identifiers import parse_code
from app.trace.ratings import KINDS, TYPES, told_rows
from app.trace.rebuildstore import Retold, retell

HEAD = Head.__table__  # type: ignore[attr-defined]
RATING = Rating.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
SIDE = SideIndex.__table__  # type: ignore[attr-defined]

_INNER = case((RATING.c.proof == "inner", 1), else_=0)


def _write_ratings(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(insert(RATING), [dict(row) for row in rows])


WRITERS: Mapping[str, EffectWriter] = {"rating": _write_ratings}


def rebuild_ratings(connection: Connection) -> Retold:
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


def _newest(party: str, kinds: Sequence[str], since_ms: int, until_ms: int) -> Any:
    """The rows of a party, each with its place `n` among a side's words on one parcel: 1 counts."""
    place = func.row_number().over(
        partition_by=(RATING.c.kind, RATING.c.side, RATING.c.parcel),
        order_by=(_INNER, RATING.c.at.desc(), RATING.c.stream, RATING.c.seq.desc()),
    )
    return (
        select(RATING, place.label("n"))
        .where(
            RATING.c.party == party,
            RATING.c.kind.in_(kinds),
            RATING.c.at >= since_ms,
            RATING.c.at < until_ms,
        )
        .subquery()
    )


def count_stars(
    connection: Connection, party: str, *, since_ms: int, until_ms: int
) -> list[tuple[str, str, int, bool, int]]:
    """Returns (kind, side, rating, proven by the inner code alone, how many) of a party. Read-only."""
    rows = _newest(party, ("seller", "carrier"), since_ms, until_ms)
    inner = case((rows.c.proof == "inner", 1), else_=0).label("inner_only")
    query = (
        select(rows.c.kind, rows.c.side, rows.c.rating, inner, func.count())
        .where(rows.c.n == 1)
        .group_by(rows.c.kind, rows.c.side, rows.c.rating, inner)
    )
    return [(r[0], r[1], int(r[2]), bool(r[3]), int(r[4])) for r in connection.execute(query)]


def list_ratings(
    connection: Connection,
    party: str,
    *,
    since_ms: int,
    until_ms: int,
    after: tuple[int, int, int] | None,
    limit: int,
) -> list[Any]:
    """Returns a party's ratings, the newest first, with their records' hashes and codes. Read-only.

    after: (at, stream, seq) of the last one shown. `n` of a row is 1 where it counts.
    """
    rows = _newest(party, ("seller", "carrier"), since_ms, until_ms)
    place = (rows.c.at, rows.c.stream, rows.c.seq)
    query = (
        select(rows, RECORD.c.hash, HEAD.c.name)
        .select_from(rows)
        .join(HEAD, HEAD.c.stream == rows.c.stream)
        .join(RECORD, and_(RECORD.c.stream == rows.c.stream, RECORD.c.seq == rows.c.seq))
        .order_by(*(column.desc() for column in place))
        .limit(limit)
    )
    if after is not None:
        query = query.where(tuple_(*place) < after)
    return list(connection.execute(query))


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
