"""The outbox: what a higher room must still do about a record, written in the record's transaction.

Rows are delivered at least once, in order of time; a handler may meet a row twice and must not mind.
A row that fails is tried again, later each time; after MAX_ATTEMPTS it stays, dead, for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, select, update

from app.db.hot import execute_many
from app.db.tables import Outbox
from app.db.upsert import upsert

MAX_ATTEMPTS = 12
_FIRST_DELAY_MS = 500
_LONGEST_DELAY_MS = 10 * 60 * 1000

_TABLE = Outbox.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Message:
    """One row: what happened (`topic`) at which record, and what the handler needs to know."""

    stream: int
    seq: int
    topic: str
    payload: Mapping[str, Any]
    attempts: int


def ask(
    connection: Connection, *, stream: int, topic: str, payload: Mapping[str, Any], at_ms: int
) -> None:
    """Asks for work that no record brought about; once a stream, topic and moment. Writes `outbox`.

    at_ms: from when on it is to be done. It stands where a seq does, as a negative number, so that what
    is asked while an earlier one is being done is no part of that.
    """
    row = {
        "stream": stream,
        "seq": -at_ms,
        "topic": topic,
        "payload": orjson.dumps(payload),
        "available_at": at_ms,
        "attempts": 0,
        "last_error": None,
    }
    statement = upsert(connection.dialect.name, _TABLE, ("stream", "seq", "topic"), ())
    execute_many(connection, statement, [row])


def take(connection: Connection, *, now_ms: int, limit: int = 200) -> list[Message]:
    """Returns messages whose time has come, oldest first. Read-only."""
    rows = connection.execute(
        select(_TABLE)
        .where(_TABLE.c.available_at <= now_ms, _TABLE.c.attempts < MAX_ATTEMPTS)
        .order_by(_TABLE.c.available_at, _TABLE.c.stream, _TABLE.c.seq)
        .limit(limit)
    )
    return [
        Message(row.stream, row.seq, row.topic, orjson.loads(row.payload), row.attempts)
        for row in rows
    ]


def done(connection: Connection, message: Message) -> None:
    """Removes a message that was handled. Writes `outbox`."""
    connection.execute(delete(_TABLE).where(*_is(message)))


def failed(connection: Connection, message: Message, *, error: str, now_ms: int) -> None:
    """Puts a message off, twice as long each time. Writes `outbox`."""
    delay = min(_FIRST_DELAY_MS << message.attempts, _LONGEST_DELAY_MS)
    connection.execute(
        update(_TABLE)
        .where(*_is(message))
        .values(attempts=message.attempts + 1, available_at=now_ms + delay, last_error=error[:500])
    )


def count_dead(connection: Connection) -> int:
    """Returns how many messages were given up. Read-only."""
    return connection.execute(
        select(func.count()).select_from(_TABLE).where(_TABLE.c.attempts >= MAX_ATTEMPTS)
    ).scalar_one()


def _is(message: Message) -> tuple[Any, ...]:
    return (
        _TABLE.c.stream == message.stream,
        _TABLE.c.seq == message.seq,
        _TABLE.c.topic == message.topic,
    )
