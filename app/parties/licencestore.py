"""SQL of the licences of parties: what waits, what ends, and all of it again from the records."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, delete, or_, select

from app.ledger import store as ledger
from app.parties import licence_book
from app.parties.rules import party_stream
from app.parties.store import LICENCE, PARTY, inside, put_licence_rows, put_licences

_OF_PARTY = select(LICENCE).where(LICENCE.c.party == bindparam("party"))
_WITH_PARTY = select(LICENCE, PARTY.c.name, PARTY.c.region, PARTY.c.exempt).select_from(
    LICENCE.join(PARTY, PARTY.c.id == LICENCE.c.party)
)
_PAGE = 500
_ALL = 2**31 - 1
_TYPES = licence_book.TYPES | {"registration"}

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

    Read-only. region: of the party; None: any. created_by: the platform that registered it; None: whoever did.
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


class Retold(NamedTuple):
    """made: rows. damaged: `stream#seq` of records that are not what was recorded."""

    made: int
    damaged: tuple[str, ...]


def put_right(connection: Connection) -> Retold:
    """Makes every party's licences again from its records. Writes `party`, `licence`.

    Of a party with a damaged record among them all stays as it was.
    """
    connection.execute(delete(LICENCE).where(LICENCE.c.party.not_in(select(PARTY.c.id))))
    after, made, damaged = "", 0, list[str]()
    while True:
        query = select(PARTY.c.id).where(PARTY.c.id > after).order_by(PARTY.c.id).limit(_PAGE)
        found = list(connection.execute(query).scalars())
        rows: dict[str, list[dict[str, Any]]] = {}
        for party in found:
            stream = party_stream(party)
            records = ledger.load_some(connection, stream, types=_TYPES, limit=_ALL)
            broken = [f"{stream}#{record.seq}" for record in records if not record.is_sound]
            damaged += broken
            if broken:
                continue
            held, told = licence_book.replay([record.fields for record in records])
            put_licences(connection, party, held)
            rows[party] = licence_book.index_rows(party, held, told)
        put_licence_rows(connection, rows)
        made += sum(len(lines) for lines in rows.values())
        if len(found) < _PAGE:
            return Retold(made, tuple(damaged))
        after = found[-1]
