"""SQL of the exchange with other credit stores, either way. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import Connection, and_, bindparam, or_, select, update

from app.credit.records import CHANGES, TOPIC
from app.db.lookup import rows_at
from app.db.tables import CreditCard, CreditLink, CreditReceived, CreditSender
from app.db.upsert import upsert_rows
from app.ledger.rows import dump
from app.ledger.stage import EffectWriter
from app.ledger.store import OUTBOX, RECORD, as_bytes

LINK = CreditLink.__table__  # type: ignore[attr-defined]
CARD = CreditCard.__table__  # type: ignore[attr-defined]
SENDER = CreditSender.__table__  # type: ignore[attr-defined]
RECEIVED = CreditReceived.__table__  # type: ignore[attr-defined]

_NAME = "out"

Place = tuple[int, int]
"""A record's (stream key, seq)."""


@dataclass(frozen=True, slots=True)
class Link:
    """How the sending goes. next_at_ms: nothing is sent before. last_ok_at_ms: of the last answer."""

    failures: int = 0
    next_at_ms: int = 0
    last_error: str | None = None
    last_ok_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class SenderRow:
    """Who may keep its credit here. vkey: as text. ended_at_ms: since when no more; None: still."""

    name: str
    vkey: str
    since_at_ms: int
    ended_at_ms: int | None


def _write_received(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    upsert_rows(connection, RECEIVED, rows, keys=("sender", "source", "seq"))


def _write_sender(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    upsert_rows(connection, SENDER, rows, keys=("name",))


def _end_sender(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(
        update(SENDER)
        .where(SENDER.c.name == bindparam("k_name"))
        .values(ended_at=bindparam("v_ended_at")),
        [{"k_name": row["name"], "v_ended_at": row["ended_at"]} for row in rows],
    )


WRITERS: Mapping[str, EffectWriter] = {
    "credit_received": _write_received,
    "credit_sender": _write_sender,
    "credit_sender_ended": _end_sender,
}

# --- sending -----------------------------------------------------------------------------------


def load_bodies(
    connection: Connection, places: Sequence[Place]
) -> dict[Place, tuple[bytes, bytes]]:
    """Returns (hash, body) of the records that exist among these places. Read-only."""
    if not places:
        return {}
    return {
        (row.stream, row.seq): (as_bytes(row.hash), as_bytes(row.body))
        for row in rows_at(connection, RECORD, "seq", places)
    }


def load_link(connection: Connection) -> Link:
    """Returns how the sending goes. Read-only."""
    row = connection.execute(select(LINK).where(LINK.c.name == _NAME)).first()
    if row is None:
        return Link()
    return Link(row.failures, row.next_at, row.last_error, row.last_ok_at)


def keep_link(connection: Connection, link: Link, *, now_ms: int) -> None:
    """Keeps how the sending goes. Writes `credit_link`."""
    row = {
        "name": _NAME,
        "failures": link.failures,
        "next_at": link.next_at_ms,
        "last_error": link.last_error,
        "last_ok_at": link.last_ok_at_ms,
        "updated_at": now_ms,
    }
    upsert_rows(connection, LINK, [row], keys=("name",))


def list_changes(
    connection: Connection, *, after: Place | None, limit: int
) -> list[tuple[Place, bytes, int]]:
    """Returns (place, hash, recorded_at) of our credit records by stream key and seq. Read-only.

    Reads the whole table of records in the end: for commands, not for answers.
    """
    found = select(RECORD.c.stream, RECORD.c.seq, RECORD.c.hash, RECORD.c.recorded_at)
    found = found.where(RECORD.c.type.in_(CHANGES))
    if after is not None:
        stream, seq = after
        found = found.where(
            or_(RECORD.c.stream > stream, and_(RECORD.c.stream == stream, RECORD.c.seq > seq))
        )
    rows = connection.execute(found.order_by(RECORD.c.stream, RECORD.c.seq).limit(limit))
    return [((row.stream, row.seq), as_bytes(row.hash), row.recorded_at) for row in rows]


def queue_again(connection: Connection, changes: Sequence[tuple[Place, int]]) -> None:
    """Puts changes (place, recorded_at) into the outbox that are not in it. Writes `outbox`."""
    rows = [
        {"stream": stream, "seq": seq, "topic": TOPIC, "payload": dump({}), "available_at": at_ms,
         "attempts": 0, "last_error": None}
        for (stream, seq), at_ms in changes
    ]  # fmt: skip
    kept = (
        {
            (row.stream, row.seq)
            for row in rows_at(connection, OUTBOX, "seq", [place for place, _ in changes])
            if row.topic == TOPIC
        }
        if changes
        else set()
    )
    fresh = [row for row in rows if (row["stream"], row["seq"]) not in kept]
    if fresh:
        connection.execute(OUTBOX.insert(), fresh)


# --- cards -------------------------------------------------------------------------------------


def load_card(connection: Connection, party: str) -> tuple[dict[str, Any], int] | None:
    """Returns what the other store last said of a party, and when it was asked (ms). Read-only."""
    row = connection.execute(select(CARD).where(CARD.c.party == party)).first()
    return None if row is None else (orjson.loads(row.card), row.fetched_at)


def keep_card(
    connection: Connection, party: str, card: Mapping[str, Any], *, fetched_at_ms: int
) -> None:
    """Keeps what the other store says of a party. Writes `credit_card`."""
    row = {"party": party, "card": orjson.dumps(card).decode(), "fetched_at": fetched_at_ms}
    upsert_rows(connection, CARD, [row], keys=("party",))


# --- receiving ---------------------------------------------------------------------------------


def list_senders(connection: Connection) -> list[SenderRow]:
    """Returns everybody who ever kept its credit here. Read-only."""
    rows = connection.execute(select(SENDER).order_by(SENDER.c.name))
    return [SenderRow(row.name, row.vkey, row.since_at, row.ended_at) for row in rows]


def find_received(connection: Connection, sender: str, places: Sequence[Place]) -> dict[Place, Any]:
    """Returns the rows that exist among these (source, seq) of a sender. Read-only."""
    found: dict[Place, Any] = {}
    for start in range(0, len(places), 100):
        some = [
            and_(RECEIVED.c.source == source, RECEIVED.c.seq == seq)
            for source, seq in places[start : start + 100]
        ]
        rows = connection.execute(select(RECEIVED).where(RECEIVED.c.sender == sender, or_(*some)))
        found |= {(row.source, row.seq): row for row in rows}
    return found


def list_received(
    connection: Connection, sender: str, *, after: Place | None, limit: int
) -> Sequence[Any]:
    """Returns what was taken from a sender, by source and seq. Read-only."""
    found = select(RECEIVED).where(RECEIVED.c.sender == sender)
    if after is not None:
        source, seq = after
        found = found.where(
            or_(RECEIVED.c.source > source, and_(RECEIVED.c.source == source, RECEIVED.c.seq > seq))
        )
    return connection.execute(found.order_by(RECEIVED.c.source, RECEIVED.c.seq).limit(limit)).all()


def senders_of(connection: Connection, party: str) -> list[str]:
    """Returns whose changes of a party we hold. Read-only."""
    rows = connection.execute(select(RECEIVED.c.sender).where(RECEIVED.c.party == party).distinct())
    return sorted(rows.scalars())


def received_rows(connection: Connection, sender: str, party: str) -> Iterator[Any]:
    """Yields what was taken from a sender about a party, by seq. Read-only."""
    yield from connection.execute(
        select(RECEIVED)
        .where(RECEIVED.c.sender == sender, RECEIVED.c.party == party)
        .order_by(RECEIVED.c.seq)
    )
