"""Whose turn it is in a queue of jobs: parties take turns in the order of their ids."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, func, select


def next_in_turn(
    connection: Connection,
    table: Table,
    *,
    by: ColumnElement[str],
    is_open: ColumnElement[bool],
    order: tuple[ColumnElement[Any], ...],
    after: str | None,
) -> Any | None:
    """Returns the oldest open job of the party that follows `after`, or None. Read-only.

    So nobody waits for all that another ordered. by: the party of a job; after: None before the first turn;
    order: what makes one of them the oldest.
    """
    first = select(func.min(by)).where(is_open)
    party = None
    if after is not None:
        party = connection.execute(first.where(by > after)).scalar()
    if party is None:
        party = connection.execute(first).scalar()
    if party is None:
        return None
    oldest = select(table).where(by == party, is_open).order_by(*order).limit(1)
    return connection.execute(oldest).first()
