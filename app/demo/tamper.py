"""Alters a record in the database behind the service's back, as somebody with the disk would.

The database refuses UPDATE on records by a trigger; whoever owns it can take that away, change the
row and put the trigger back, and no application notices. The log does.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection

from app.db.engine import Database
from app.ledger.record import stream_key

_TRIGGER = "record_no_update"


def change_city(database: Database, stream: str, *, record_type: str, to: str) -> int:
    """Writes `to` as destination into the stream's first record of this type; returns its seq.

    Everything else stays: hash, index columns, length. Raises LookupError if there is none.
    """
    key, mark = stream_key(stream), "?" if database.dialect == "sqlite" else "%s"
    with database.write() as connection:
        found = connection.exec_driver_sql(
            f"SELECT seq, body FROM record WHERE stream = {mark} AND type = {mark} "  # noqa: S608
            "ORDER BY seq LIMIT 1",
            (key, record_type),
        ).first()
        if found is None:
            raise LookupError(stream)
        seq, body = found
        altered = re.sub(rb'"to":"\d{6}"', f'"to":"{to}"'.encode(), bytes(body))
        guard = _take_guard_away(connection)
        connection.exec_driver_sql(
            f"UPDATE record SET body = {mark} WHERE stream = {mark} AND seq = {mark}",  # noqa: S608
            (altered, key, seq),
        )
        connection.exec_driver_sql(guard)
    return int(seq)


def _take_guard_away(connection: Connection) -> str:
    """Lets records be changed; returns the statement that forbids it again."""
    if connection.dialect.name == "sqlite":
        guard: str = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name = ?", (_TRIGGER,)
        ).scalar_one()
        connection.exec_driver_sql(f"DROP TRIGGER {_TRIGGER}")
        return guard
    connection.exec_driver_sql("ALTER TABLE record DISABLE TRIGGER USER")
    return "ALTER TABLE record ENABLE TRIGGER USER"
