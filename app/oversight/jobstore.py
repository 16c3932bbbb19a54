"""SQL of the queue of audits that were asked for: whose turn it is, how many wait. Read-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select

from app.db import turns
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
    order = (JOB.c.created_at, JOB.c.id)
    return turns.next_in_turn(
        connection, JOB, by=_asked_by, is_open=_IS_OPEN, order=order, after=after
    )
