"""SQL of what was sold: a row a sale cycle (`sold_unit`), and counts by offer and day (`sold_day`).

The days are what ranking reads, so that it costs no more for a shop that sells more. They follow from the
rows: each batch reads the rows that it is about to change and adds the difference, in the same transaction
and while it holds the heads of their streams. Flushes, never commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from app.db.hot import HotSelect
from app.db.lookup import rows_at
from app.db.tables import SoldDay, SoldUnit
from app.db.upsert import count_rows, upsert_rows
from app.trace.soldrows import OVER

SOLD = SoldUnit.__table__  # type: ignore[attr-defined]
DAY = SoldDay.__table__  # type: ignore[attr-defined]

Rows = Sequence[Mapping[str, Any]]
Offered = tuple[str, str, int]
"""Seller, GTIN and day."""

_KEYS = ("seller", "gtin", "day")
_SUMS = ("units", "steps", "independent", "gaps")
_DAY_MS = 86_400_000
# China keeps one time zone and has had no summer time since 1991.
_EAST_MS = 8 * 3_600_000
# SQLite binds 32,766 values a statement.
_CHUNK = 1_024

_COLUMNS = (
    "stream", "subject", "cycle", "gtin", "seller", "sold_at", "gap_due_at", "steps", "independent",
)  # fmt: skip
_READ = attrgetter(*_COLUMNS)
_OF_UNITS = HotSelect(
    select(*(SOLD.c[name] for name in _COLUMNS)).where(
        SOLD.c.stream.in_(bindparam("streams", expanding=True)), SOLD.c.subject == ""
    )
)


def day_of(at_ms: int) -> int:
    """Returns the day of Asia/Shanghai that a moment is in, in days since 1970-01-01."""
    return (at_ms + _EAST_MS) // _DAY_MS


def day_named(day: int) -> str:
    """Returns a day as `2026-11-26`, or as it is where a row holds what is no day."""
    try:
        return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
    except OverflowError:
        return str(day)


def begins_ms(day: Any) -> Any:
    """Returns the moment at which a day begins, in ms since 1970 UTC; of a number or a column."""
    return day * _DAY_MS - _EAST_MS


def write_sold(connection: Connection, rows: Rows) -> None:
    """Writes sale cycles and counts their days. Writes `sold_unit` and `sold_day`.

    A row without more than its key is a cycle that is over: it owes nothing more, and nothing of it is on
    its way. Rows stand in the order of their records.
    """
    last: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        place = (row["stream"], row["subject"], row["cycle"])
        told = "seller" in row or place not in last
        last[place] = row if told else {**last[place], **OVER}
    counted = [row for row in last.values() if "seller" in row]
    over = [row for row in last.values() if "seller" not in row]
    _count(connection, last)
    if counted:
        upsert_rows(connection, SOLD, counted, keys=("stream", "subject", "cycle"))
    if over:
        _end_cycles(connection, over)


def _end_cycles(connection: Connection, rows: Rows) -> None:
    connection.execute(
        update(SOLD)
        .where(
            SOLD.c.stream == bindparam("k_stream"),
            SOLD.c.subject == bindparam("k_subject"),
            SOLD.c.cycle == bindparam("k_cycle"),
        )
        .values(**OVER),
        [{f"k_{name}": row[name] for name in ("stream", "subject", "cycle")} for row in rows],
    )


def _count(connection: Connection, rows: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> None:
    """Adds to the days what these rows will change, by (stream, subject, cycle)."""
    added: dict[Offered, list[int]] = {}
    for stream, subject, cycle, gtin, seller, sold_at, gap, steps, independent in _kept(
        connection, rows
    ):
        row = rows.get((stream, subject, cycle))
        if row is not None:  # no other cycle of the same goods
            sums = _sums(added, seller, gtin, sold_at)
            sums[3] -= gap is not None
            if "seller" in row:
                sums[0] -= 1
                sums[1] -= steps
                sums[2] -= independent
    for row in rows.values():
        if "seller" in row:
            sums = _sums(added, row["seller"], row["gtin"], row["sold_at"])
            sums[0] += 1
            sums[1] += row["steps"]
            sums[2] += row["independent"]
            sums[3] += row["gap_due_at"] is not None
    add_days(connection, added)


def _sums(added: dict[Offered, list[int]], seller: str, gtin: str, sold_at: int) -> list[int]:
    place = (seller, gtin, day_of(sold_at))
    sums = added.get(place)
    if sums is None:
        sums = added[place] = [0, 0, 0, 0]
    return sums


def add_days(connection: Connection, sums: Mapping[Offered, Sequence[int]]) -> None:
    """Adds to the counts of days, `_SUMS` in order; less than 0 takes away. Writes `sold_day`.

    A day of which nothing is left stays as zeros. In the order of keys, so that two processes never wait
    for each other in a circle.
    """
    rows = [
        dict(zip((*_KEYS, *_SUMS), (*day, *more), strict=True))
        for day, more in sorted(sums.items())
        if any(more)
    ]
    count_rows(connection, DAY, rows, keys=_KEYS, kept=(), sums=_SUMS)


def _kept(connection: Connection, places: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Returns what `_COLUMNS` says of the units and consignments at these places, of all their cycles."""
    units = list(dict.fromkeys(stream for stream, subject, _ in places if not subject))
    lots = list(dict.fromkeys((stream, subject) for stream, subject, _ in places if subject))
    found = []
    for start in range(0, len(units), _CHUNK):
        found += _OF_UNITS.rows(connection, streams=units[start : start + _CHUNK])
    if lots:
        found += map(_READ, rows_at(connection, SOLD, "subject", lots))
    return found


def days_apart(
    connection: Connection, seller: str | None = None, *, limit: int | None = None
) -> dict[Offered, tuple[int, ...]]:
    """Returns days whose counts are not those of their rows, and what is missing of `_SUMS`. Read-only.

    Of one seller, or of all. In one statement, since two could see two moments.
    """
    day: ColumnElement[int] = (SOLD.c.sold_at + literal(_EAST_MS)) // literal(_DAY_MS)
    units = select(
        SOLD.c.seller,
        SOLD.c.gtin,
        day.label("day"),
        literal(1).label("units"),
        SOLD.c.steps,
        SOLD.c.independent,
        case((SOLD.c.gap_due_at.is_not(None), 1), else_=0).label("gaps"),
    )
    days = select(
        DAY.c.seller, DAY.c.gtin, DAY.c.day, *((-DAY.c[name]).label(name) for name in _SUMS)
    )
    if seller is not None:
        units = units.where(SOLD.c.seller == seller)
        days = days.where(DAY.c.seller == seller)
    both = union_all(units, days).subquery()
    sums = [func.sum(both.c[name]) for name in _SUMS]
    keys = [both.c[name] for name in _KEYS]
    query = (
        select(*keys, *sums)
        .group_by(*keys)
        .having(or_(*(one != 0 for one in sums)))
        .order_by(*keys)
        .limit(limit)
    )
    return {
        (row[0], row[1], int(row[2])): tuple(int(n) for n in row[3:])
        for row in connection.execute(query)
    }


def put_right(connection: Connection) -> int:
    """Counts the days again by their rows; returns of how many. Writes `sold_day`.

    What is missing is added, so whoever sells meanwhile is counted too.
    """
    apart = days_apart(connection)
    add_days(connection, apart)
    return len(apart)
