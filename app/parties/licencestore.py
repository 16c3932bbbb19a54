"""SQL of the licences of parties: what waits, what ends."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, and_, bindparam, or_, select

from app.parties.store import LICENCE, PARTY, inside

_OF_PARTY = select(LICENCE).where(LICENCE.c.party == bindparam("party"))
_WITH_PARTY = select(LICENCE, PARTY.c.name, PARTY.c.region, PARTY.c.exempt).select_from(
    LICENCE.join(PARTY, PARTY.c.id == LICENCE.c.party)
)

Place = tuple[int, str, str] | tuple[str, str, str]
"""Since when it waits (ms), or its last day; party; licence."""


def rows_of(connection: Connection, party: str) -> list[Any]:
    """Returns the rows of a party's licences. Read-only."""
    return list(connection.execute(_OF_PARTY, {"party": party}))


def page(
    connection: Connection,
    *,
    by: str,
    region: str | None,
    created_by: str | None,
    but: str | None,
    between: tuple[str, str] | None,
    after: Place | None,
    limit: int,
) -> list[Any]:
    """Returns licences, the longest waiting (`told_at`) or the soonest to end (`ends_on`) first.

    Read-only. region: of the party; None: any. created_by: the platform that registered it; None: any.
    but: a party that is left out. between: first and last day of `ends_on`.
    """
    place = LICENCE.c[by]
    query = _WITH_PARTY.where(place.is_not(None))
    if region is not None:
        query = query.where(inside(PARTY.c.region, region))
    if created_by is not None:
        query = query.where(PARTY.c.created_by == created_by)
    if but is not None:
        query = query.where(LICENCE.c.party != but)
    if between is not None:
        query = query.where(place >= between[0], place <= between[1])
    if after is not None:
        at, party, licence = after
        behind = and_(LICENCE.c.party == party, LICENCE.c.licence > licence)
        query = query.where(
            or_(place > at, and_(place == at, or_(LICENCE.c.party > party, behind)))
        )
    query = query.order_by(place, LICENCE.c.party, LICENCE.c.licence).limit(limit)
    return list(connection.execute(query))
