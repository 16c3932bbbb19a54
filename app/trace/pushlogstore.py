"""SQL of what came of pushes, and of those that nobody known signed. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select

from app.db.tables import PushForged, PushTaken
from app.db.upsert import count_rows

TAKEN = PushTaken.__table__  # type: ignore[attr-defined]
FORGED = PushForged.__table__  # type: ignore[attr-defined]
_KINDS = ("missing", "wrong", "unformed")


def add_taken(
    connection: Connection, row: Mapping[str, Any], *, most: int, most_refused: int
) -> None:
    """Keeps a push; of its party the newest `most`, and the newest `most_refused` of which some was refused.

    Writes `push_taken`.
    """
    connection.execute(insert(TAKEN).values(**row))
    of_party, is_refused = TAKEN.c.party == row["party"], TAKEN.c.refused > 0

    def last_too_many(bound: int, *which: ColumnElement[bool]) -> str:
        query = select(TAKEN.c.id).where(of_party, *which).order_by(TAKEN.c.id.desc())
        return connection.execute(query.offset(bound).limit(1)).scalar() or ""

    old, old_refused = last_too_many(most), last_too_many(most_refused, is_refused)
    if old:
        gone = or_(TAKEN.c.refused == 0, TAKEN.c.id <= old_refused)
        connection.execute(delete(TAKEN).where(of_party, TAKEN.c.id <= old, gone))


def taken_of(connection: Connection, party: str) -> Sequence[Any]:
    """Returns what is kept of a party's pushes, the newest first. Read-only."""
    query = select(TAKEN).where(TAKEN.c.party == party).order_by(TAKEN.c.id.desc())
    return connection.execute(query).all()


def count_forged(connection: Connection, party: str, *, day: str, kind: str, oldest: str) -> None:
    """Counts one more, and forgets the days before `oldest`. Writes `push_forged`."""
    row = {"party": party, "day": day, **dict.fromkeys(_KINDS, 0), kind: 1}
    count_rows(connection, FORGED, [row], keys=("party", "day"), kept=(), sums=_KINDS)
    connection.execute(delete(FORGED).where(FORGED.c.party == party, FORGED.c.day < oldest))


def forged_of(connection: Connection, party: str, *, since: str) -> Sequence[Any]:
    """Returns the counts of a party's days from `since` on, the newest first. Read-only."""
    query = select(FORGED).where(FORGED.c.party == party, FORGED.c.day >= since)
    return connection.execute(query.order_by(FORGED.c.day.desc())).all()
