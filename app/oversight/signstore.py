"""SQL of what detectors read across streams: the log's newest records, lots, waybills, reviews, scans.

`lot_sale` and `review_sign` are indexes over records, written again from them whenever goods are looked
at. Flushes, never commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.tables import (
    LogLeaf,
    LotSale,
    RecordRow,
    ReviewSign,
    Scan,
    SideIndex,
    SoldUnit,
)
from app.db.upsert import upsert_rows
from app.ledger.record import stream_key
from app.ledger.store import as_bytes

LEAF = LogLeaf.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
LOT_SALE = LotSale.__table__  # type: ignore[attr-defined]
REVIEW = ReviewSign.__table__  # type: ignore[attr-defined]
SCAN = Scan.__table__  # type: ignore[attr-defined]
SIDE = SideIndex.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]

_MOST_SHARING = 50
_MOST_SCANS = 1_000
_MOST_REVIEWS = 1_000
_MOST_OTHERS = 500

# One by one: a statement that is built once takes no lists.
_COMPARED = or_(SIDE.c.kind == "waybill", SIDE.c.kind == "order", SIDE.c.kind == "buyer")
# Asked of every parcel that moves, so they are built once.
_DIGESTS = HotSelect(
    select(SIDE.c.seq, SIDE.c.kind, SIDE.c.digest)
    .where(
        SIDE.c.stream == bindparam("stream"),
        _COMPARED,
    )
    .order_by(SIDE.c.seq)
)
_LEAVES = (
    select(LEAF.c.leaf_index, LEAF.c.stream, LEAF.c.seq)
    .where(LEAF.c.leaf_index > bindparam("after"))
    .order_by(LEAF.c.leaf_index)
    .limit(bindparam("most"))
    .subquery()
)
_NEW = HotSelect(
    select(_LEAVES, RECORD.c.type)
    .select_from(
        _LEAVES.outerjoin(
            RECORD, and_(RECORD.c.stream == _LEAVES.c.stream, RECORD.c.seq == _LEAVES.c.seq)
        )
    )
    .order_by(_LEAVES.c.leaf_index)
)
_PLACED = select(
    SCAN.c.stream,
    SCAN.c.device,
    SCAN.c.first_at,
    SCAN.c.region,
    func.row_number()
    .over(partition_by=SCAN.c.stream, order_by=(SCAN.c.first_at, SCAN.c.device))
    .label("place"),
).where(SCAN.c.stream.in_(bindparam("streams", expanding=True)))
_PLACED_SCANS = _PLACED.subquery("placed")
_SCANS = HotSelect(
    select(_PLACED_SCANS)
    .where(_PLACED_SCANS.c.place <= bindparam("most"))
    .order_by(_PLACED_SCANS.c.stream, _PLACED_SCANS.c.place)
)
_TOLD = SIDE.alias("told")
_OTHERS = HotSelect(
    select(SIDE.c.stream)
    .join(_TOLD, _TOLD.c.stream == SIDE.c.stream)
    .where(
        SIDE.c.digest == bindparam("digest"),
        SIDE.c.kind == "waybill",
        SIDE.c.stream != bindparam("stream"),
        or_(_TOLD.c.kind == "buyer", _TOLD.c.kind == "order"),
        _TOLD.c.digest.not_in(bindparam("unlike", expanding=True)),
    )
    .distinct()
    .order_by(SIDE.c.stream)
    .limit(_MOST_SHARING)
)


def new_records(connection: Connection, after: int, limit: int) -> list[Any]:
    """Returns (leaf_index, stream, seq, type) of the log's records behind a position. Read-only.

    type: None where the record was taken away behind our back.
    """
    return _NEW.rows(connection, after=after, most=limit)


def scans_of_each(connection: Connection, streams: Iterable[int]) -> dict[int, list[Any]]:
    """Returns (device, first_at, region) of each code's devices, the earliest first. Read-only.

    By stream key; those that nobody opened are absent, and of one that very many did the first are told.
    """
    found: dict[int, list[Any]] = {}
    for part in chunks(list(streams)):
        for row in _SCANS.rows(connection, streams=list(part), most=_MOST_SCANS):
            found.setdefault(row.stream, []).append(row)
    return found


def side_digests(connection: Connection, stream: str) -> list[tuple[int, str, bytes]]:
    """Returns (seq, kind, digest) of what a stream's records sealed and can be compared. Read-only."""
    rows = _DIGESTS.rows(connection, stream=stream_key(stream))
    return [(row.seq, row.kind, as_bytes(row.digest)) for row in rows]


def other_parcels(
    connection: Connection, digest: bytes, *, stream: str, unlike: Sequence[bytes]
) -> list[int]:
    """Returns keys of other streams under this waybill whose buyer or order is another. Read-only.

    unlike: digests of buyer and order of the parcel itself. One order's many units are not told.
    """
    rows = _OTHERS.rows(connection, digest=digest, stream=stream_key(stream), unlike=list(unlike))
    return [int(row.stream) for row in rows]


def streams_under(connection: Connection, digest: bytes) -> list[int]:
    """Returns keys of streams that name this waybill, some of them. Read-only."""
    query = select(SIDE.c.stream).where(SIDE.c.digest == digest, SIDE.c.kind == "waybill")
    return [int(key) for key in connection.execute(query.distinct().limit(_MOST_SHARING)).scalars()]


def save_lot_sales(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Indexes the first sales of goods of lots. Writes `lot_sale`."""
    upsert_rows(connection, LOT_SALE, rows, keys=("stream", "subject"))


def count_lot_sales(connection: Connection, lot: str) -> int:
    """Returns how many units and consignments of a lot were sold. Read-only."""
    query = select(func.count()).where(LOT_SALE.c.lot == stream_key(lot))
    return int(connection.execute(query).scalar_one())


def lot_sales(connection: Connection, lot: str, *, limit: int) -> list[Any]:
    """Returns the sales of a lot's units and consignments, the earliest first. Read-only."""
    query = (
        select(LOT_SALE)
        .where(LOT_SALE.c.lot == stream_key(lot))
        .order_by(LOT_SALE.c.sold_at, LOT_SALE.c.stream, LOT_SALE.c.subject)
        .limit(limit)
    )
    return list(connection.execute(query))


def save_reviews(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Indexes reviews. Writes `review_sign`."""
    upsert_rows(connection, REVIEW, rows, keys=("stream", "seq"))


def reviews_of(connection: Connection, seller: str, month: str) -> list[Any]:
    """Returns a seller's reviews of a month, the earliest first. Read-only."""
    query = (
        select(REVIEW)
        .where(REVIEW.c.seller == seller, REVIEW.c.month == month)
        .order_by(REVIEW.c.at, REVIEW.c.stream, REVIEW.c.seq)
        .limit(_MOST_REVIEWS)
    )
    return list(connection.execute(query))


def looks_at(connection: Connection, streams: Iterable[int]) -> dict[int, int]:
    """Returns how many devices opened each code; those that nobody opened are absent. Read-only."""
    found: dict[int, int] = {}
    keys = list(streams)
    for start in range(0, len(keys), 200):
        rows = connection.execute(
            select(SCAN.c.stream, func.count())
            .where(SCAN.c.stream.in_(keys[start : start + 200]))
            .group_by(SCAN.c.stream)
        )
        found |= {int(stream): int(count) for stream, count in rows}
    return found


def buyers_of(connection: Connection, sales: Iterable[tuple[int, int]]) -> dict[int, bytes]:
    """Returns the buyer's pseudonym by stream key for sales (stream key, seq). Read-only."""
    found: dict[int, bytes] = {}
    places = list(sales)
    for start in range(0, len(places), 200):
        part = places[start : start + 200]
        rows = connection.execute(
            select(SIDE.c.stream, SIDE.c.digest).where(
                SIDE.c.kind == "buyer",
                or_(*(and_(SIDE.c.stream == key, SIDE.c.seq == seq) for key, seq in part)),
            )
        )
        found |= {int(row.stream): as_bytes(row.digest) for row in rows}
    return found


def usual_in(
    connection: Connection, category: str, *, but: str, before_ms: int
) -> tuple[int, int, int]:
    """Returns of the category's newest reviews of other sellers: how many, of five stars, opened codes.

    Read-only.
    """
    newest = (
        select(REVIEW.c.stream, REVIEW.c.rating)
        .where(REVIEW.c.category == category, REVIEW.c.seller != but, REVIEW.c.at < before_ms)
        .order_by(REVIEW.c.at.desc())
        .limit(_MOST_OTHERS)
        .subquery()
    )
    seen = select(SCAN.c.stream).where(SCAN.c.stream == newest.c.stream).exists()
    row = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(case((newest.c.rating == 5, 1), else_=0)), 0),
            func.coalesce(func.sum(case((seen, 1), else_=0)), 0),
        ).select_from(newest)
    ).one()
    return int(row[0]), int(row[1]), int(row[2])


def sold_moments(
    connection: Connection, seller: str, gtin: str, *, since_ms: int, until_ms: int
) -> list[int]:
    """Returns when the seller sold units of a product between two moments (ms). Read-only."""
    query = (
        select(SOLD.c.sold_at)
        .where(
            SOLD.c.seller == seller,
            SOLD.c.gtin == gtin,
            SOLD.c.sold_at >= since_ms,
            SOLD.c.sold_at < until_ms,
        )
        .order_by(SOLD.c.sold_at)
        .limit(_MOST_REVIEWS)
    )
    return [int(at) for at in connection.execute(query).scalars()]
