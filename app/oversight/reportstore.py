"""SQL of reports by anyone. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, func, select, tuple_, update

from app.db.tables import Report
from app.db.upsert import upsert

REPORT = Report.__table__  # type: ignore[attr-defined]

WAITING: Final = "received"
CLOSED: Final = "closed"
ERASED: Final = "erased"


def find_report(connection: Connection, ticket: str) -> Any | None:
    """Returns a report's row, or None. Read-only."""
    return connection.execute(select(REPORT).where(REPORT.c.ticket == ticket)).first()


def erase_report(connection: Connection, ticket: str) -> bool:
    """Takes a report's content and its key away; returns whether there is one. Writes `report`."""
    gone = {"sealed": b"", "wrapped_key": b"", "status": ERASED}
    return (
        connection.execute(update(REPORT).where(REPORT.c.ticket == ticket).values(**gone)).rowcount
        > 0
    )


def insert_report(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Stores a report unless its ticket is known; returns whether it was new. Writes `report`."""
    statement = upsert(connection.dialect.name, REPORT, ("ticket",), ())
    # Not its count of rows, which SQLAlchemy does not keep for PostgreSQL's INSERT.
    told = connection.execute(statement.returning(REPORT.c.ticket), dict(row))
    return told.first() is not None


def list_reports(
    connection: Connection, *, is_open: bool, after: tuple[int, str] | None, limit: int
) -> list[Any]:
    """Returns reports that wait, oldest first, or those that are over, newest first. Read-only.

    What was erased has no words left for anybody and is over. after: (created_at, ticket).
    """
    place = (REPORT.c.created_at, REPORT.c.ticket)
    query = select(REPORT).limit(limit)
    if is_open:
        query = query.where(REPORT.c.status == WAITING).order_by(*place)
    else:
        query = query.where(REPORT.c.status != WAITING).order_by(*(c.desc() for c in place))
    if after is not None:
        here = tuple_(*place)
        query = query.where(here > after if is_open else here < after)
    return list(connection.execute(query))


def count_waiting(connection: Connection) -> int:
    """Returns how many reports nobody has closed. Read-only."""
    query = select(func.count()).where(REPORT.c.status == WAITING)
    return int(connection.execute(query.select_from(REPORT)).scalar_one())


def close_report(connection: Connection, ticket: str) -> bool:
    """Notes that a report was dealt with; returns whether it waited. Writes `report`."""
    statement = (
        update(REPORT)
        .where(REPORT.c.ticket == ticket, REPORT.c.status == WAITING)
        .values(status=CLOSED)
    )
    return connection.execute(statement).rowcount > 0
