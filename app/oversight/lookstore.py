"""SQL of the log of looks at sealed data. Read-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, or_, select

from app.db.tables import AccessLog
from app.oversight.store import during
from app.parties.store import inside

ACCESS = AccessLog.__table__  # type: ignore[attr-defined]


def list_looks(
    connection: Connection,
    *,
    party: str | None,
    office: str | None,
    key_id: str | None,
    stream: int | None,
    purpose: str | None,
    since_ms: int | None,
    until_ms: int | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[Any]:
    """Returns looks, the newest first, behind `after` = (at, id).

    office: where those who looked are in office (GB/T 2260). purpose: a part of it.
    """
    query = select(ACCESS).order_by(ACCESS.c.at.desc(), ACCESS.c.id.desc()).limit(limit)
    if party is not None:
        query = query.where(ACCESS.c.party == party)
    if office is not None:
        query = query.where(inside(ACCESS.c.region, office))
    if key_id is not None:
        query = query.where(ACCESS.c.key_id == key_id)
    if stream is not None:
        query = query.where(ACCESS.c.stream == stream)
    if purpose:
        query = query.where(ACCESS.c.purpose.contains(purpose, autoescape=True))
    query = query.where(during(ACCESS.c.at, since_ms, until_ms))
    if after is not None:
        at, last = after
        query = query.where(or_(ACCESS.c.at < at, and_(ACCESS.c.at == at, ACCESS.c.id < last)))
    return list(connection.execute(query))
