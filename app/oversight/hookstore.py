"""SQL of webhooks and what is sent to them. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, or_, select, update

from app.db.hot import execute_many
from app.db.tables import Finding, Webhook, WebhookDelivery
from app.db.upsert import upsert

HOOK = Webhook.__table__  # type: ignore[attr-defined]
DELIVERY = WebhookDelivery.__table__  # type: ignore[attr-defined]
FINDING = Finding.__table__  # type: ignore[attr-defined]

WAITING, DELIVERED, DEAD = "waiting", "delivered", "dead"


def insert_hook(connection: Connection, row: Mapping[str, Any]) -> None:
    """Stores a webhook. Writes `webhook`."""
    connection.execute(insert(HOOK).values(**row))


def hooks_of(connection: Connection, parties: Sequence[str]) -> list[Any]:
    """Returns the webhooks of these parties that are not ended, oldest first. Read-only."""
    query = select(HOOK).where(HOOK.c.party.in_(parties), HOOK.c.ended_at.is_(None))
    return list(connection.execute(query.order_by(HOOK.c.created_at, HOOK.c.id)))


def find_hook(connection: Connection, hook: str) -> Any | None:
    """Returns a webhook, ended or not, or None. Read-only."""
    return connection.execute(select(HOOK).where(HOOK.c.id == hook)).first()


def any_hook(connection: Connection) -> bool:
    """Whether anybody wants to be told anything. Read-only."""
    query = select(HOOK.c.id).where(HOOK.c.ended_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def end_hook(connection: Connection, hook: str, *, at_ms: int) -> None:
    """Ends a webhook; what waits for it is given up. Writes `webhook`, `webhook_delivery`."""
    connection.execute(update(HOOK).where(HOOK.c.id == hook).values(ended_at=at_ms))
    connection.execute(
        update(DELIVERY)
        .where(DELIVERY.c.webhook == hook, DELIVERY.c.status == WAITING)
        .values(status=DEAD, last_error="ended")
    )


def insert_deliveries(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Stores messages; one that is there already stays as it is. Writes `webhook_delivery`."""
    if rows:
        statement = upsert(connection.dialect.name, DELIVERY, ("id",), ())
        execute_many(connection, statement, list(rows))


def due_deliveries(connection: Connection, *, now_ms: int, limit: int) -> list[Any]:
    """Returns messages whose time has come, oldest first, with their webhooks. Read-only."""
    query = (
        select(DELIVERY, HOOK.c.url, HOOK.c.sealed, HOOK.c.wrapped_key)
        .join(HOOK, HOOK.c.id == DELIVERY.c.webhook)
        .where(
            DELIVERY.c.status == WAITING,
            DELIVERY.c.available_at <= now_ms,
            HOOK.c.ended_at.is_(None),
        )
    )
    return list(connection.execute(query.order_by(DELIVERY.c.available_at).limit(limit)))


def move_delivery(connection: Connection, delivery: str, **values: Any) -> None:
    """Changes one message. Writes `webhook_delivery`."""
    connection.execute(update(DELIVERY).where(DELIVERY.c.id == delivery).values(**values))


def find_delivery(connection: Connection, delivery: str) -> Any | None:
    """Returns one message, or None. Read-only."""
    return connection.execute(select(DELIVERY).where(DELIVERY.c.id == delivery)).first()


def deliveries_of(
    connection: Connection,
    party: str,
    *,
    status: str | None,
    after: tuple[int, str] | None,
    limit: int,
) -> list[Any]:
    """Returns a party's messages, oldest first, behind `after` = (created_at, id). Read-only."""
    query = select(DELIVERY).where(DELIVERY.c.party == party)
    if status is not None:
        query = query.where(DELIVERY.c.status == status)
    if after is not None:
        behind = (DELIVERY.c.created_at == after[0]) & (DELIVERY.c.id > after[1])
        query = query.where((DELIVERY.c.created_at > after[0]) | behind)
    return list(
        connection.execute(query.order_by(DELIVERY.c.created_at, DELIVERY.c.id).limit(limit))
    )


def recent_deliveries(connection: Connection, party: str, *, limit: int) -> list[Any]:
    """Returns the last of a party's messages, newest first, with their webhooks. Read-only."""
    query = (
        select(DELIVERY, HOOK.c.url, HOOK.c.ended_at)
        .join(HOOK, HOOK.c.id == DELIVERY.c.webhook)
        .where(DELIVERY.c.party == party)
    )
    return list(
        connection.execute(
            query.order_by(DELIVERY.c.created_at.desc(), DELIVERY.c.id.desc()).limit(limit)
        )
    )


def forget_delivered(connection: Connection, *, before_ms: int) -> None:
    """Removes what was delivered long ago. Writes `webhook_delivery`."""
    connection.execute(
        delete(DELIVERY).where(
            or_(DELIVERY.c.status == DELIVERED, DELIVERY.c.status == DEAD),
            DELIVERY.c.available_at < before_ms,
        )
    )


def findings_since(connection: Connection, since_ms: int, *, limit: int) -> list[Any]:
    """Returns findings that name a party, opened at this time or later, oldest first. Read-only."""
    query = select(FINDING).where(FINDING.c.opened_at >= since_ms, FINDING.c.party.is_not(None))
    return list(connection.execute(query.order_by(FINDING.c.opened_at, FINDING.c.id).limit(limit)))
