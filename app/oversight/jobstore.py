"""SQL of the queue of audits that were asked for: whose turn it is, how many wait. Read-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from app.db.tables import AuditJob

JOB = AuditJob.__table__  # type: ignore[attr-defined]

_IS_OPEN = JOB.c.status.in_(("waiting", "running"))
# The operator has no id; as a party it comes first.
_asked_by = func.coalesce(JOB.c.asked_by, "")


def count_open(connection: Connection, party: str | None) -> int:
    """Returns how many audits that a party (None: the operator) asked for are not done yet."""
    query = select(func.count()).where(_asked_by == (party or ""), _IS_OPEN)
    return int(connection.execute(query).scalar_one())


def next_in_turn(connection: Connection, after: str | None) -> Any | None:
    """Returns the oldest open audit of the party that follows `after`, or None.

    after: None before the first turn, "" for the operator. One that a stop interrupted is open too.
    """
    first = select(func.min(_asked_by)).where(_IS_OPEN)
    party = None
    if after is not None:
        party = connection.execute(first.where(_asked_by > after)).scalar()
    if party is None:
        party = connection.execute(first).scalar()
    if party is None:
        return None
    return connection.execute(
        select(JOB)
        .where(_asked_by == party, _IS_OPEN)
        .order_by(JOB.c.created_at, JOB.c.id)
        .limit(1)
    ).first()
