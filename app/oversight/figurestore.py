"""SQL of the figures by month and place. `month_figure` follows from the log alone. Never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, select

from app.db.hot import HotSelect
from app.db.lookup import rows_of
from app.db.tables import Cursor, Finding, LogLeaf, MonthFigure, Party, RecordRow, SoldUnit
from app.db.upsert import count_rows
from app.oversight import store

FIGURE = MonthFigure.__table__  # type: ignore[attr-defined]
FINDING = Finding.__table__  # type: ignore[attr-defined]
LEAF = LogLeaf.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]
CURSOR = Cursor.__table__  # type: ignore[attr-defined]

_NEW = HotSelect(
    select(LEAF.c.leaf_index, LEAF.c.stream, RECORD.c.type, RECORD.c.actor, RECORD.c.recorded_at)
    .select_from(
        LEAF.outerjoin(RECORD, and_(RECORD.c.stream == LEAF.c.stream, RECORD.c.seq == LEAF.c.seq))
    )
    .where(LEAF.c.leaf_index > bindparam("after"))
    .order_by(LEAF.c.leaf_index)
    .limit(bindparam("most"))
)


def new_records(connection: Connection, after: int, limit: int) -> list[Any]:
    """Returns (leaf_index, stream, type, actor, recorded_at) behind a position of the log. Read-only.

    Of a record that was taken away behind our back everything but the first two is None.
    """
    return _NEW.rows(connection, after=after, most=limit)


def sellers_of(connection: Connection, streams: Sequence[int]) -> Mapping[int, str]:
    """Returns who sold these goods last, of those that were sold. Read-only."""
    latest: dict[int, tuple[int, str]] = {}
    for row in rows_of(connection, SOLD, streams):
        known = latest.get(row.stream)
        if known is None or known[0] <= row.sold_at:
            latest[row.stream] = (row.sold_at, row.seller)
    return {stream: seller for stream, (_, seller) in latest.items()}


def add(connection: Connection, counts: Mapping[tuple[str, str, str], int]) -> None:
    """Adds to (month, party, what). Writes `month_figure`."""
    keys = ("month", "party", "what")
    rows = [dict(zip(keys, place, strict=True)) | {"count": n} for place, n in counts.items()]
    count_rows(connection, FIGURE, rows, keys=keys, kept=(), sums=("count",))


def by_region(connection: Connection, *, since: str) -> list[Any]:
    """Returns (month, region, what, count) from a month on; region None: of no party with a place.

    Read-only.
    """
    return list(
        connection.execute(
            select(FIGURE.c.month, PARTY.c.region, FIGURE.c.what, func.sum(FIGURE.c.count))
            .select_from(FIGURE.outerjoin(PARTY, PARTY.c.id == FIGURE.c.party))
            .where(FIGURE.c.month >= since)
            .group_by(FIGURE.c.month, PARTY.c.region, FIGURE.c.what)
        )
    )


def findings_by_region(connection: Connection, *, since_ms: int, until_ms: int) -> list[Any]:
    """Returns (region, count) of the findings that were opened in a span. Read-only.

    Of one that was attributed to somebody other than its party, or to nobody, the region is None.
    """
    return list(
        connection.execute(
            select(PARTY.c.region, func.count())
            .select_from(
                FINDING.outerjoin(PARTY, and_(PARTY.c.id == FINDING.c.party, store.ANSWERED))
            )
            .where(FINDING.c.opened_at >= since_ms, FINDING.c.opened_at < until_ms)
            .group_by(PARTY.c.region)
        )
    )


def forget(connection: Connection, cursor: str) -> None:
    """Takes every figure away, so that they are counted again. Writes `month_figure`, `cursor`."""
    # The cursor first: who counts at this moment is waited for, and what he adds goes too.
    connection.execute(delete(CURSOR).where(CURSOR.c.name == cursor))
    connection.execute(delete(FIGURE))
