"""SQL of documents that parties hand in, and of the records that name them. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from app.credit.document_uses import TYPES, Named, Place, place_of, told_uses
from app.db.lookup import chunks
from app.db.tables import CreditEntry, Document, DocumentUse, Matter, Party
from app.db.upsert import upsert, upsert_rows
from app.ledger import store as ledger
from app.ledger.rebuilt import Rebuilt
from app.ledger.stage import EffectWriter

DOCUMENT = Document.__table__  # type: ignore[attr-defined]
USE = DocumentUse.__table__  # type: ignore[attr-defined]
ENTRY = CreditEntry.__table__  # type: ignore[attr-defined]
MATTER = Matter.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]

_KEYS = ("party", "digest")
_PAGE = 500
_ALL = 2**31 - 1
# All but the content, which is large.
_LIGHT = [column for column in DOCUMENT.c if column.name not in ("sealed", "wrapped_key")]
_IS_NAMED = exists().where(USE.c.party == DOCUMENT.c.party, USE.c.digest == DOCUMENT.c.digest)
_NAME = (
    update(DOCUMENT)
    .where(
        DOCUMENT.c.party == bindparam("k_party"),
        DOCUMENT.c.digest == bindparam("k_digest"),
        # SQLite would write the whole row again, content and all.
        DOCUMENT.c.waits_until.is_not(None),
    )
    .values(waits_until=None)
)


def _write_uses(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    upsert_rows(connection, USE, rows, keys=(*_KEYS, "about", "seq"))
    # In order, as whoever hands documents in again has them: neither waits for the other in a circle.
    places = sorted({(row["party"], row["digest"]) for row in rows})
    connection.execute(_NAME, [{"k_party": party, "k_digest": digest} for party, digest in places])


WRITERS: Mapping[str, EffectWriter] = {"document_use": _write_uses}


# --- documents -----------------------------------------------------------------------------------


def put_document(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Keeps a document; returns whether it was not there. One that waits does so anew. Writes `document`.

    row: with `waits_until`, which is not taken where a record names it already.
    """
    place = (DOCUMENT.c.party == row["party"], DOCUMENT.c.digest == row["digest"])
    # Not its count of rows, which SQLAlchemy does not keep for PostgreSQL's INSERT.
    told = upsert(connection.dialect.name, DOCUMENT, _KEYS, ()).returning(DOCUMENT.c.digest)
    made = connection.execute(told, dict(row)).first() is not None
    waits = row["waits_until"]
    connection.execute(
        update(DOCUMENT).where(*place, DOCUMENT.c.waits_until < waits).values(waits_until=waits)
    )
    named = exists().where(USE.c.party == row["party"], USE.c.digest == row["digest"])
    connection.execute(update(DOCUMENT).where(*place, named).values(waits_until=None))
    return made


def find_document(connection: Connection, party: str, digest: str) -> Any | None:
    """Returns a document's row with its content, or None. Read-only."""
    query = select(DOCUMENT).where(DOCUMENT.c.party == party, DOCUMENT.c.digest == digest)
    return connection.execute(query).first()


def find_some(connection: Connection, named: Collection[Named]) -> dict[Named, Any]:
    """Returns those of these documents that are kept, without content. Read-only."""
    parties = sorted({party for party, _ in named})
    rows = {
        (row.party, row.digest): row
        for chunk in chunks(sorted({digest for _, digest in named}))
        for row in connection.execute(
            select(*_LIGHT).where(DOCUMENT.c.party.in_(parties), DOCUMENT.c.digest.in_(list(chunk)))
        )
    }
    return {place: rows[place] for place in named if place in rows}


def bytes_of(connection: Connection, party: str) -> int:
    """Returns how many bytes of documents a party has here. Read-only."""
    query = select(func.sum(DOCUMENT.c.size)).where(DOCUMENT.c.party == party)
    return int(connection.execute(query).scalar() or 0)


def each_of(connection: Connection, party: str, *, only: Collection[str] | None) -> Iterator[Any]:
    """Yields a party's documents with their content, one in memory at a time. Read-only.

    only: those of these digests, None for all.
    """
    if only is None:
        query = select(DOCUMENT.c.digest).where(DOCUMENT.c.party == party)
        only = list(connection.execute(query).scalars())
    for digest in sorted(only):
        row = find_document(connection, party, digest)
        if row is not None:
            yield row


def kept_behind(
    connection: Connection, after: tuple[int, str, str] | None, *, limit: int
) -> list[tuple[int, str, str]]:
    """Returns (kept_at, party, digest) of documents behind a place, in this order. Read-only."""
    place = (DOCUMENT.c.kept_at, DOCUMENT.c.party, DOCUMENT.c.digest)
    query = select(*place).order_by(*place).limit(limit)
    if after is not None:
        at, *rest = after
        behind = tuple_(*place[1:]) > tuple_(*(literal(one) for one in rest))
        query = query.where(place[0] >= at, or_(place[0] > at, behind))
    return [tuple(row) for row in connection.execute(query)]


def overdue(connection: Connection, *, now_ms: int, limit: int = 20) -> list[Any]:
    """Returns (party, digest) of documents that waited in vain for a record to name them. Read-only."""
    query = select(DOCUMENT.c.party, DOCUMENT.c.digest).where(*_waited(now_ms)).limit(limit)
    return list(connection.execute(query))


def done_with(connection: Connection, *, before_ms: int, limit: int = 20) -> list[Any]:
    """Returns (party, digest) of documents all of whose matters ended before then. Read-only."""
    query = select(DOCUMENT.c.party, DOCUMENT.c.digest).where(*_ended(before_ms)).limit(limit)
    return list(connection.execute(query))


def drop(connection: Connection, documents: Sequence[Any], *, now_ms: int, before_ms: int) -> None:
    """Deletes those of these that are `overdue` or `done_with` still. Writes `document`.

    Asked again in the statement itself: a record may have named one meanwhile.
    """
    still = or_(and_(*_waited(now_ms)), and_(*_ended(before_ms)))
    for party, digest in documents:
        connection.execute(
            delete(DOCUMENT).where(DOCUMENT.c.party == party, DOCUMENT.c.digest == digest, still)
        )


def _waited(now_ms: int) -> tuple[Any, ...]:
    # The row itself says so as well as the index: who named it at this moment has changed the row.
    return DOCUMENT.c.waits_until < now_ms, ~_IS_NAMED


def _ended(before_ms: int) -> tuple[Any, ...]:
    over = [
        exists().where(table.c.id == USE.c.matter, table.c.ended_at < before_ms)
        for table in (ENTRY, MATTER)
    ]
    in_use = exists().where(
        USE.c.party == DOCUMENT.c.party, USE.c.digest == DOCUMENT.c.digest, ~or_(*over)
    )
    return DOCUMENT.c.kept_at < before_ms, DOCUMENT.c.waits_until.is_(None), _IS_NAMED, ~in_use


# --- the records that name them ------------------------------------------------------------------


def uses_of(
    connection: Connection, digest: str, party: str, *, own: bool, after: Any | None, limit: int
) -> list[Any]:
    """Returns the uses of kept documents with this digest, by who handed them in. Read-only.

    own: by this party, else by all others. after: the last one of the page before.
    """
    kept = and_(DOCUMENT.c.party == USE.c.party, DOCUMENT.c.digest == USE.c.digest)
    place = (USE.c.party, USE.c.about, USE.c.seq)
    query = select(USE).join(DOCUMENT, kept).where(USE.c.digest == digest)
    query = query.where(USE.c.party == party if own else USE.c.party != party)
    if after is not None:
        behind = (literal(one) for one in (after.party, after.about, after.seq))
        query = query.where(tuple_(*place) > tuple_(*behind))
    return list(connection.execute(query.order_by(*place).limit(limit)))


def uses_about(connection: Connection, about: str) -> dict[Place, Any]:
    """Returns the rows that stand for records of a party's stream, by place. Read-only."""
    rows = connection.execute(select(USE).where(USE.c.about == about))
    return {place_of(row._mapping): row for row in rows}


def put_right(connection: Connection) -> Rebuilt:
    """Makes the rows of all uses again from the records. Writes `document_use`, `document`.

    Of a party with a damaged record among them all stays as it was.
    """
    after, made, damaged = "", 0, list[str]()
    connection.execute(delete(USE).where(USE.c.about.not_in(select(PARTY.c.id))))
    while True:
        query = select(PARTY.c.id).where(PARTY.c.id > after).order_by(PARTY.c.id).limit(_PAGE)
        found = list(connection.execute(query).scalars())
        for party in found:
            records = ledger.load_some(connection, f"party/{party}", types=TYPES, limit=_ALL)
            broken = [f"party/{party}#{record.seq}" for record in records if not record.is_sound]
            damaged += broken
            if broken:
                continue
            rows = list(told_uses(party, [record.fields for record in records]).values())
            connection.execute(delete(USE).where(USE.c.about == party))
            if rows:
                connection.execute(insert(USE), rows)
            made += len(rows)
        if len(found) < _PAGE:
            break
        after = found[-1]
    waits = DOCUMENT.c.waits_until.is_not(None)
    connection.execute(update(DOCUMENT).where(_IS_NAMED, waits).values(waits_until=None))
    return Rebuilt(made, tuple(damaged))
