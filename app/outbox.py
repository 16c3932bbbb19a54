"""The outbox: what a higher room must still do about a record, written in the record's transaction.

Rows are delivered at least once, in order of time; a handler may meet a row twice and must not mind.
A row that fails is tried again, later each time; after MAX_ATTEMPTS it stays, dead, for a person.

What leaves the house goes in order: of one stream nothing is taken while an earlier row of the same
topic has failed (`take_in_order`), so that a dead row holds its stream until somebody sends it again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, Integer, bindparam, delete, func, select, update

from app.db.hot import execute_many
from app.db.tables import Outbox
from app.db.upsert import upsert

MAX_ATTEMPTS = 12
_FIRST_DELAY_MS = 500
_LONGEST_DELAY_MS = 10 * 60 * 1000

_TABLE = Outbox.__table__  # type: ignore[attr-defined]
_DONE = delete(_TABLE).where(
    _TABLE.c.stream == bindparam("k_stream"),
    _TABLE.c.seq == bindparam("k_seq"),
    _TABLE.c.topic == bindparam("k_topic"),
)


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
    ask_each(connection, streams=[stream], topic=topic, payload=payload, at_ms=at_ms)


def ask_each(
    connection: Connection,
    *,
    streams: Iterable[int],
    topic: str,
    payload: Mapping[str, Any],
    at_ms: int,
) -> None:
    """Like `ask`, for several streams. Writes `outbox`."""
    rows = [
        {
            "stream": stream,
            "seq": -at_ms,
            "topic": topic,
            "payload": orjson.dumps(payload),
            "available_at": at_ms,
            "attempts": 0,
            "last_error": None,
        }
        for stream in streams
    ]
    if rows:
        statement = upsert(connection.dialect.name, _TABLE, ("stream", "seq", "topic"), ())
        execute_many(connection, statement, rows)


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits of one topic. oldest_at_ms: since when the first of them is there; None: nothing is."""

    waiting: int
    failing: int
    dead: int
    oldest_at_ms: int | None


def take(
    connection: Connection, *, topics: Collection[str], now_ms: int, limit: int = 200
) -> list[Message]:
    """Returns messages of these topics whose time has come, oldest first. Read-only."""
    rows = connection.execute(
        select(_TABLE)
        .where(
            _TABLE.c.topic.in_(topics),
            _TABLE.c.available_at <= now_ms,
            _TABLE.c.attempts < MAX_ATTEMPTS,
        )
        .order_by(_TABLE.c.available_at, _TABLE.c.stream, _TABLE.c.seq)
        .limit(limit)
    )
    return [_message(row) for row in rows]


def take_in_order(connection: Connection, *, topic: str, now_ms: int, limit: int) -> list[Message]:
    """Returns messages of one topic whose time has come; of each stream a beginning. Read-only.

    Oldest first. Rows of a stream that never failed are in order, since their time is their record's.
    """
    earlier = _TABLE.alias("earlier")
    blocked = (
        select(earlier.c.seq)
        .where(
            earlier.c.stream == _TABLE.c.stream,
            earlier.c.seq < _TABLE.c.seq,
            earlier.c.topic == topic,
            earlier.c.attempts > 0,
        )
        .exists()
    )
    rows = connection.execute(
        select(_TABLE)
        .where(
            _TABLE.c.topic == topic,
            _TABLE.c.available_at <= now_ms,
            _TABLE.c.attempts < MAX_ATTEMPTS,
            ~blocked,
        )
        .order_by(_TABLE.c.available_at, _TABLE.c.stream, _TABLE.c.seq)
        .limit(limit)
    )
    return [_message(row) for row in rows]


def done(connection: Connection, message: Message) -> None:
    """Removes a message that was handled. Writes `outbox`."""
    connection.execute(delete(_TABLE).where(*_is(message)))


def all_done(connection: Connection, messages: Sequence[Message]) -> None:
    """Removes messages that were handled. Writes `outbox`."""
    if messages:
        places = [{"k_stream": m.stream, "k_seq": m.seq, "k_topic": m.topic} for m in messages]
        execute_many(connection, _DONE, places)


def failed(connection: Connection, message: Message, *, error: str, now_ms: int) -> None:
    """Puts a message off, twice as long each time. Writes `outbox`."""
    _put_off(connection, message, error=error, now_ms=now_ms, attempts=message.attempts + 1)


def put_off(connection: Connection, message: Message, *, error: str, now_ms: int) -> None:
    """Like `failed`, but never gives a message up: whose fault it was is not known. Writes `outbox`."""
    attempts = min(message.attempts + 1, MAX_ATTEMPTS - 1)
    _put_off(connection, message, error=error, now_ms=now_ms, attempts=attempts)


def give_up(connection: Connection, message: Message, *, error: str, now_ms: int) -> None:
    """Makes a message dead at once. Writes `outbox`."""
    _put_off(connection, message, error=error, now_ms=now_ms, attempts=MAX_ATTEMPTS)


def _put_off(
    connection: Connection, message: Message, *, error: str, now_ms: int, attempts: int
) -> None:
    delay = min(_FIRST_DELAY_MS << message.attempts, _LONGEST_DELAY_MS)
    connection.execute(
        update(_TABLE)
        .where(*_is(message))
        .values(attempts=attempts, available_at=now_ms + delay, last_error=error[:500])
    )


def revive(
    connection: Connection, *, topic: str, now_ms: int, places: Sequence[tuple[int, int]] | None
) -> int:
    """Lets dead messages be taken again, and returns how many. Writes `outbox`.

    places: (stream, seq) of those that are meant; None: all of the topic. They still count as having
    failed, so that what follows in their streams waits for them.
    """
    dead = (_TABLE.c.topic == topic, _TABLE.c.attempts >= MAX_ATTEMPTS)
    again = update(_TABLE).values(attempts=1, available_at=now_ms)
    if places is None:
        return connection.execute(again.where(*dead)).rowcount
    return sum(
        connection.execute(
            again.where(*dead, _TABLE.c.stream == stream, _TABLE.c.seq == seq)
        ).rowcount
        for stream, seq in places
    )


def list_dead(
    connection: Connection, *, topic: str, after: tuple[int, int] | None, limit: int
) -> list[tuple[Message, str]]:
    """Returns dead messages of a topic with their last error, by stream and seq. Read-only."""
    dead = select(_TABLE).where(_TABLE.c.topic == topic, _TABLE.c.attempts >= MAX_ATTEMPTS)
    if after is not None:
        stream, seq = after
        dead = dead.where(
            (_TABLE.c.stream > stream) | ((_TABLE.c.stream == stream) & (_TABLE.c.seq > seq))
        )
    rows = connection.execute(dead.order_by(_TABLE.c.stream, _TABLE.c.seq).limit(limit))
    return [(_message(row), row.last_error or "") for row in rows]


def backlog(connection: Connection, topic: str) -> Backlog:
    """Returns how much of a topic waits. Read-only."""
    dead = _TABLE.c.attempts >= MAX_ATTEMPTS
    failing = (_TABLE.c.attempts > 0) & (_TABLE.c.attempts < MAX_ATTEMPTS)
    row = connection.execute(
        select(
            func.count(),
            func.coalesce(func.sum(failing.cast(Integer)), 0),
            func.coalesce(func.sum(dead.cast(Integer)), 0),
            func.min(_TABLE.c.available_at),
        ).where(_TABLE.c.topic == topic)
    ).one()
    return Backlog(int(row[0]), int(row[1]), int(row[2]), row[3])


def _message(row: Any) -> Message:
    return Message(row.stream, row.seq, row.topic, orjson.loads(row.payload), row.attempts)


def _is(message: Message) -> tuple[Any, ...]:
    return (
        _TABLE.c.stream == message.stream,
        _TABLE.c.seq == message.seq,
        _TABLE.c.topic == message.topic,
    )
