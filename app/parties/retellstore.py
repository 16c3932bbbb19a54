"""Rows of a party that follow from its own records, made again: its licences, the measures on it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select

from app.ledger import store as ledger
from app.ledger.rebuilt import Rebuilt
from app.parties import licence_book, measures
from app.parties.measurestore import MEASURE, put_rows
from app.parties.rules import party_stream
from app.parties.store import LICENCE, PARTY, put_licence_rows, put_licences

_PAGE = 500
_ALL = 2**31 - 1
_TYPES = licence_book.TYPES | measures.TYPES | {"registration"}


def put_right(connection: Connection) -> Rebuilt:
    """Makes every party's licences and measures again from its records. Writes `party`, `licence`, `measure`.

    Of a party with a damaged record among them all stays as it was.
    """
    for table in (LICENCE, MEASURE):
        connection.execute(delete(table).where(table.c.party.not_in(select(PARTY.c.id))))
    after, made, damaged = "", 0, list[str]()
    while True:
        query = select(PARTY.c.id).where(PARTY.c.id > after).order_by(PARTY.c.id).limit(_PAGE)
        found = list(connection.execute(query).scalars())
        rows: dict[str, list[dict[str, Any]]] = {}
        taken: list[dict[str, Any]] = []
        for party in found:
            stream = party_stream(party)
            records = ledger.load_some(connection, stream, types=_TYPES, limit=_ALL)
            broken = [f"{stream}#{record.seq}" for record in records if not record.is_sound]
            damaged += broken
            if broken:
                continue
            fields = [record.fields for record in records]
            held, told = licence_book.replay(fields)
            put_licences(connection, party, held)
            rows[party] = licence_book.index_rows(party, held, told)
            taken += measures.told_rows(party, fields).values()
        put_licence_rows(connection, rows)
        put_rows(connection, sorted(rows), taken)
        made += sum(len(lines) for lines in rows.values()) + len(taken)
        if len(found) < _PAGE:
            return Rebuilt(made, tuple(damaged))
        after = found[-1]
