"""SQL of the trace room: index rows beside the records, jobs, scans. Flushes, never commits.

WRITERS are called by the recorder inside a record's own transaction, with the rows of one kind of
Effect in the order in which they were decided.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    exists,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.db.hot import HotSelect, execute_many
from app.db.lookup import chunks
from app.db.tables import (
    Due,
    Finding,
    InnerCode,
    Lot,
    Offer,
    Product,
    Recall,
)
from app.db.upsert import delete_rows, upsert_rows
from app.ledger.record import stream_key
from app.ledger.stage import EffectWriter
from app.ledger.store import load_facts, load_heads
from app.trace import casestore, soldstore, wordstore

FINDING = Finding.__table__  # type: ignore[attr-defined]
DUE = Due.__table__  # type: ignore[attr-defined]
RECALL = Recall.__table__  # type: ignore[attr-defined]
OFFER = Offer.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]
LOT = Lot.__table__  # type: ignore[attr-defined]
INNER = InnerCode.__table__  # type: ignore[attr-defined]

_PRODUCT_BY_GTIN = HotSelect(select(PRODUCT).where(PRODUCT.c.gtin == bindparam("gtin")))

Rows = Sequence[Mapping[str, Any]]


def _write_due(connection: Connection, rows: Rows) -> None:
    """A step already known to be due at this very moment stays raised if it was, and whose it was.

    A row without more than its key is a step that was met. Rows stand in the order of their records,
    of many streams at once: the last word on a step counts.
    """
    last = {(row["stream"], row["subject"], row["step"]): row for row in rows}
    missing = [row for row in last.values() if "kind" in row]
    met = [row for row in last.values() if "kind" not in row]
    if missing:
        execute_many(connection, _due_upsert(connection.dialect.name), missing)
    if met:
        delete_rows(connection, DUE, met, keys=("stream", "subject", "step"))


@cache
def _due_upsert(dialect: str) -> Any:
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(DUE)
    keys = ("stream", "subject", "step")
    values = {c.name: statement.excluded[c.name] for c in DUE.c if c.name not in keys}
    raised = and_(DUE.c.raised, DUE.c.due_at == statement.excluded.due_at)
    values["raised"] = raised
    values["party"] = case((raised, DUE.c.party), else_=statement.excluded.party)
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


def _write_recall(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, RECALL, rows, keys=("stream", "recaller"))


def _write_offer(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, OFFER, rows, keys=("gtin", "seller", "place"))


def _write_product(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, PRODUCT, rows, keys=("gtin",))
    wordstore.write_products(connection, rows)


def _write_brand_owner(connection: Connection, rows: Rows) -> None:
    connection.execute(
        update(PRODUCT)
        .where(PRODUCT.c.gtin == bindparam("k_gtin"))
        .values(brand_owner=bindparam("v_owner"), owner_claim=bindparam("v_claim")),
        [
            {"k_gtin": r["gtin"], "v_owner": r["brand_owner"], "v_claim": r["owner_claim"]}
            for r in rows
        ],
    )


def _write_lot(connection: Connection, rows: Rows) -> None:
    upsert_rows(connection, LOT, rows, keys=("stream",))
    wordstore.write_lots(connection, rows)


def _write_inner(connection: Connection, rows: Rows) -> None:
    connection.execute(insert(INNER), rows)


WRITERS: Mapping[str, EffectWriter] = {
    "due": _write_due,
    "sold_unit": soldstore.write_sold,
    "recall": _write_recall,
    "offer": _write_offer,
    "product": _write_product,
    "brand_owner": _write_brand_owner,
    "lot": _write_lot,
    "inner_code": _write_inner,
    **casestore.WRITERS,
}


def find_inner(connection: Connection, stream: str) -> bytes | None:
    """Returns the SHA-256 of a unit's hidden code, or None where it has none. Read-only."""
    digest = connection.execute(
        select(INNER.c.digest).where(INNER.c.stream == stream_key(stream))
    ).scalar()
    return None if digest is None else bytes(digest)


def take_due(
    connection: Connection,
    *,
    now_ms: int,
    limit: int,
    after: tuple[int, int, str, str] | None = None,
) -> list[Any]:
    """Returns steps whose absence counts and was not raised yet, the oldest first. Read-only.

    after: only what stands behind this (due_at, stream, subject, step).
    """
    place = (DUE.c.due_at, DUE.c.stream, DUE.c.subject, DUE.c.step)
    behind = () if after is None else (tuple_(*place) > tuple_(*after),)
    return list(
        connection.execute(
            select(DUE)
            .where(
                DUE.c.due_at <= now_ms,
                DUE.c.raised.is_(False),
                *behind,
                # What is missing on a stream with an open integrity finding may have been taken.
                ~exists().where(
                    FINDING.c.stream == DUE.c.stream,
                    FINDING.c.status == "open",
                    FINDING.c.kind.startswith("integrity."),
                ),
            )
            .order_by(*place)
            .limit(limit)
        )
    )


def load_life(connection: Connection, stream: str, subject: str) -> Mapping[str, Any]:
    """Returns the state of a unit (subject ""), or of a consignment of a lot. Read-only."""
    return load_lives(connection, [(stream, subject)])[stream, subject]


def load_lives(
    connection: Connection, places: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Returns the states of several units and consignments; {} where there is none. Read-only."""
    heads = load_heads(connection, {stream for stream, subject in places if not subject})
    facts = load_facts(connection, [place for place in places if place[1]])
    return {place: facts.get(place, {}) if place[1] else heads[place[0]].state for place in places}


def mark_raised(connection: Connection, rows: Rows) -> None:
    """Notes that a missing step was raised. Writes `due`."""
    if rows:
        connection.execute(
            update(DUE)
            .where(
                DUE.c.stream == bindparam("k_stream"),
                DUE.c.subject == bindparam("k_subject"),
                DUE.c.step == bindparam("k_step"),
            )
            .values(raised=True),
            [{f"k_{name}": row[name] for name in ("stream", "subject", "step")} for row in rows],
        )


def find_product(connection: Connection, gtin: str) -> Any | None:
    """Returns a product's index row, or None. Read-only."""
    return _PRODUCT_BY_GTIN.first(connection, gtin=gtin)


def find_lot(connection: Connection, stream: str) -> Any | None:
    """Returns a lot's index row, or None. Read-only."""
    return connection.execute(select(LOT).where(LOT.c.stream == stream_key(stream))).first()


def lots_of(connection: Connection, party: str, gtin: str, *, limit: int) -> list[Any]:
    """Returns a party's lots of a product, the newest first. Read-only."""
    query = select(LOT).where(LOT.c.gtin == gtin, LOT.c.party == party)
    return list(connection.execute(query.order_by(LOT.c.created_at.desc(), LOT.c.lot).limit(limit)))


def list_products(
    connection: Connection,
    *,
    text: str | None,
    seller: str | None,
    category: str | None,
    after: str | None,
    limit: int,
) -> list[Any]:
    """Returns products in order of GTIN behind `after`. Read-only.

    text: part of a name, or the digits of a GTIN. seller: who offers it now, or registered it.
    """
    query = select(PRODUCT).order_by(PRODUCT.c.gtin).limit(limit)
    if after is not None:
        query = query.where(PRODUCT.c.gtin > after)
    if category is not None:
        query = query.where(PRODUCT.c.category == category)
    if text:
        like = f"%{_escape_like(text)}%"
        query = query.where(
            or_(PRODUCT.c.name.ilike(like, escape="\\"), PRODUCT.c.gtin.like(like, escape="\\"))
        )
    if seller is not None:
        offered = select(OFFER.c.gtin).where(OFFER.c.seller == seller, OFFER.c.ended.is_(False))
        query = query.where(or_(PRODUCT.c.registrant == seller, PRODUCT.c.gtin.in_(offered)))
    return list(connection.execute(query))


def offers_of(
    connection: Connection, gtin: str, *, seller: str | None = None, limit: int = 100
) -> list[Any]:
    """Returns a product's live offers, of one seller or of all. Read-only."""
    query = select(OFFER).where(OFFER.c.gtin == gtin, OFFER.c.ended.is_(False))
    if seller is not None:
        query = query.where(OFFER.c.seller == seller)
    return list(connection.execute(query.order_by(OFFER.c.listed_at).limit(limit)))


def products_of(connection: Connection, gtins: Collection[str]) -> list[Any]:
    """Returns the rows of those of these products that are registered, by GTIN. Read-only."""
    found: list[Any] = []
    for chunk in chunks(sorted(gtins)):
        found += connection.execute(select(PRODUCT).where(PRODUCT.c.gtin.in_(list(chunk))))
    return sorted(found, key=lambda row: str(row.gtin))


def offers_at(
    connection: Connection, seller: str, gtins: Collection[str]
) -> dict[tuple[str, str], Any]:
    """Returns by (gtin, place) where a seller offers these products, or did. Read-only."""
    found: dict[tuple[str, str], Any] = {}
    for chunk in chunks(sorted(gtins)):
        query = select(OFFER).where(OFFER.c.seller == seller, OFFER.c.gtin.in_(list(chunk)))
        found |= {(row.gtin, row.place): row for row in connection.execute(query)}
    return found


def _escape_like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def find_item(connection: Connection, registrant: str, name: str, facts: str) -> Any | None:
    """Returns a party's own item without a GTIN that has these very facts, or None. Read-only."""
    return connection.execute(
        select(PRODUCT).where(
            PRODUCT.c.registrant == registrant,
            PRODUCT.c.item_code.is_(True),
            PRODUCT.c.name == name,
            PRODUCT.c.facts == facts,
        )
    ).first()
