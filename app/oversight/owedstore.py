"""SQL of what a party still has to record. Read-only."""

from __future__ import annotations

import heapq
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from app.db.tables import Due

DUE = Due.__table__  # type: ignore[attr-defined]

Place = tuple[int, int, str, str]
"""due_at, stream, subject, step: the order in which they are listed."""


def place_of(row: Any) -> Place:
    """Returns where a row of `due` stands among those listed."""
    return row.due_at, row.stream, row.subject, row.step


def missing_steps(
    connection: Connection, party: str, *, now_ms: int, after: Place | None, limit: int
) -> list[Any]:
    """Returns the rows of `due` of steps that a party lacks, the oldest date first. Read-only."""
    ways = [
        list(connection.execute(query))
        for query in _queries(party, now_ms, after=after, limit=limit)
    ]
    return list(heapq.merge(*ways, key=place_of))[:limit]


def count_missing(connection: Connection, party: str, *, now_ms: int, most: int) -> int:
    """Returns how many steps a party lacks, at most `most`. Read-only."""
    found = [
        connection.execute(select(func.count()).select_from(query.subquery())).scalar_one()
        for query in _queries(party, now_ms, after=None, limit=most)
    ]
    return min(sum(found), most)


def _queries(party: str, now_ms: int, *, after: Place | None, limit: int) -> tuple[Any, Any]:
    place = (DUE.c.due_at, DUE.c.stream, DUE.c.subject, DUE.c.step)
    own = select(DUE).where(DUE.c.party == party)
    if after is not None:
        own = own.where(tuple_(*place) > tuple_(*after))
    own = own.order_by(*place).limit(limit)
    # What is told late is known to be missing; what is to follow is so only once its term is over.
    return (
        own.where(DUE.c.kind == "late"),
        own.where(DUE.c.kind == "overdue", DUE.c.due_at <= now_ms),
    )
