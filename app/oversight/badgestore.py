"""SQL of the domains on which badges may stand. Never commits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from app.db.tables import BadgeDomain
from app.db.upsert import upsert

DOMAIN = BadgeDomain.__table__  # type: ignore[attr-defined]


def domains_of(connection: Connection, party: str) -> list[Any]:
    """Returns a party's domains by name. Read-only."""
    query = select(DOMAIN).where(DOMAIN.c.party == party).order_by(DOMAIN.c.domain)
    return list(connection.execute(query))


def find_domain(connection: Connection, party: str, domain: str) -> Any | None:
    """Returns a domain of a party's, or None. Read-only."""
    query = select(DOMAIN).where(DOMAIN.c.party == party, DOMAIN.c.domain == domain)
    return connection.execute(query).first()


def count_domains(connection: Connection, party: str) -> int:
    """Returns how many domains a party has. Read-only."""
    query = select(func.count()).where(DOMAIN.c.party == party)
    return int(connection.execute(query).scalar_one())


def insert_domain(connection: Connection, row: Mapping[str, Any]) -> None:
    """Adds a domain; one that is there stays as it is. Writes `badge_domain`."""
    connection.execute(upsert(connection.dialect.name, DOMAIN, ("party", "domain"), ()), dict(row))


def note_check(connection: Connection, party: str, domain: str, **values: Any) -> None:
    """Notes what was found there. Writes `badge_domain`."""
    place = (DOMAIN.c.party == party) & (DOMAIN.c.domain == domain)
    connection.execute(update(DOMAIN).where(place).values(**values))


def begin_check(
    connection: Connection, party: str, domain: str, *, at_ms: int, before_ms: int
) -> bool:
    """Notes that somebody looks now; returns False where another did since. Writes `badge_domain`."""
    query = update(DOMAIN).where(
        DOMAIN.c.party == party, DOMAIN.c.domain == domain, DOMAIN.c.checked_at <= before_ms
    )
    return connection.execute(query.values(checked_at=at_ms)).rowcount > 0


def drop_domain(connection: Connection, party: str, domain: str) -> bool:
    """Takes a domain away; returns whether it was there. Writes `badge_domain`."""
    place = (DOMAIN.c.party == party) & (DOMAIN.c.domain == domain)
    return connection.execute(delete(DOMAIN).where(place)).rowcount > 0


def next_to_check(connection: Connection, *, before_ms: int) -> Any | None:
    """Returns the domain that was looked at longest ago, before a moment; None for none. Read-only.

    One that was never looked at waits for its party.
    """
    query = (
        select(DOMAIN)
        .where(DOMAIN.c.checked_at > 0, DOMAIN.c.checked_at < before_ms)
        .order_by(DOMAIN.c.checked_at)
        .limit(1)
    )
    return connection.execute(query).first()
