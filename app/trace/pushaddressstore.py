"""SQL of the addresses to which aggregators push. Flushes, never commits."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, update

from app.db.hot import execute_many
from app.db.tables import PushAddress
from app.db.upsert import upsert

ADDRESS = PushAddress.__table__  # type: ignore[attr-defined]


def find_of(connection: Connection, party: str) -> Any | None:
    """Returns a party's address, ended or not, or None. Read-only."""
    return connection.execute(select(ADDRESS).where(ADDRESS.c.party == party)).first()


def find_address(connection: Connection, address: str) -> Any | None:
    """Returns an address that was not ended, or None. Read-only."""
    query = select(ADDRESS).where(ADDRESS.c.address == address, ADDRESS.c.ended_at.is_(None))
    return connection.execute(query).first()


def make(connection: Connection, party: str, *, address: str, at_ms: int) -> None:
    """Gives a party an address unless it has one; in place of one that ended. Writes `push_address`."""
    again = update(ADDRESS).where(ADDRESS.c.party == party, ADDRESS.c.ended_at.is_not(None))
    connection.execute(
        again.values(
            address=address, generation=ADDRESS.c.generation + 1, made_at=at_ms,
            renewed_at=None, ended_at=None, pushed_at=None, outcome=None,
        )
    )  # fmt: skip
    # Two that are asked for at once are one.
    first = {"party": party, "address": address, "generation": 1, "made_at": at_ms}
    execute_many(connection, upsert(connection.dialect.name, ADDRESS, ("party",), ()), [first])


def renew(connection: Connection, party: str, *, at_ms: int) -> None:
    """Gives an address its next salt. Writes `push_address`."""
    connection.execute(
        update(ADDRESS)
        .where(ADDRESS.c.party == party, ADDRESS.c.ended_at.is_(None))
        .values(generation=ADDRESS.c.generation + 1, renewed_at=at_ms)
    )


def end(connection: Connection, party: str, *, at_ms: int) -> None:
    """Ends a party's address. Writes `push_address`."""
    connection.execute(
        update(ADDRESS)
        .where(ADDRESS.c.party == party, ADDRESS.c.ended_at.is_(None))
        .values(ended_at=at_ms)
    )


def note(connection: Connection, address: str, *, outcome: str, at_ms: int) -> None:
    """Keeps when the last push came and what came of it. Writes `push_address`."""
    connection.execute(
        update(ADDRESS).where(ADDRESS.c.address == address).values(pushed_at=at_ms, outcome=outcome)
    )
