"""SQL of what came of pushes, and of those that nobody known signed. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from app.db.tables import PushForged, PushTaken
from app.db.upsert import count_rows

TAKEN = PushTaken.__table__  # type: ignore[attr-defined]
FORGED = PushForged.__table__  # type: ignore[attr-defined]
_KINDS = ("missing", "wrong", "unformed")


def add_taken(connection: Connection, row: Mapping[str, Any], *, most: int) -> None:
    """Keeps a push, and of its party the newest `most`. Writes `push_taken`."""
    connection.execute(insert(TAKEN).values(**row))
    of_party = TAKEN.c.party == row["party"]
    query = select(TAKEN.c.id).where(of_party).order_by(TAKEN.c.id.desc()).offset(most).limit(1)
    oldest = connection.execute(query).scalar()
    if oldest is not None:
        connection.execute(delete(TAKEN).where(of_party, TAKEN.c.id <= oldest))


def taken_of(connection: Connection, party: str, *, most: int) -> Sequence[Any]:
    """Returns a party's last pushes, the newest first. Read-only."""
    query = select(TAKEN).where(TAKEN.c.party == party).order_by(TAKEN.c.id.desc()).limit(most)
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
