"""SQL of a seller's beginnings: whether it has done a thing at all, and where. Read-only."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, or_, select

from app.db.tables import Batch, LabelPrint, Offer, Product, SoldUnit
from app.parties.store import LICENCE

PRODUCT = Product.__table__  # type: ignore[attr-defined]
OFFER = Offer.__table__  # type: ignore[attr-defined]
BATCH = Batch.__table__  # type: ignore[attr-defined]
PRINT = LabelPrint.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]


def has_sent(connection: Connection, seller: str) -> bool:
    """Returns whether goods of a seller have left it at any time."""
    gone = or_(SOLD.c.underway.is_(None), SOLD.c.underway != "sold")
    return _any(connection, select(SOLD.c.stream).where(SOLD.c.seller == seller, gone))


def newest_product(connection: Connection, registrant: str) -> str | None:
    """Returns the GTIN of the product that a party registered last, or None."""
    query = select(PRODUCT.c.gtin).where(PRODUCT.c.registrant == registrant)
    return _first(connection, query.order_by(PRODUCT.c.created_at.desc(), PRODUCT.c.gtin))


def offered_product(connection: Connection, seller: str) -> str | None:
    """Returns the GTIN of a product that a seller offers now, or None."""
    return _first(
        connection, select(OFFER.c.gtin).where(OFFER.c.seller == seller, OFFER.c.ended.is_(False))
    )


def newest_batch(connection: Connection, party: str) -> Any | None:
    """Returns (batch_id, gtin) of the party's last order for codes, or None."""
    query = select(BATCH.c.batch_id, BATCH.c.gtin).where(BATCH.c.party == party)
    return connection.execute(query.order_by(BATCH.c.created_at.desc()).limit(1)).first()


def has_printed(connection: Connection, party: str) -> bool:
    """Returns whether labels of a party's codes were printed at any time."""
    own = BATCH.join(PRINT, PRINT.c.batch_id == BATCH.c.batch_id)
    return _any(connection, select(PRINT.c.print_id).select_from(own).where(BATCH.c.party == party))


def licence_waits(connection: Connection, party: str) -> bool:
    """Returns whether a party told of a licence that waits for a look."""
    waits = (LICENCE.c.party == party, LICENCE.c.told_at.is_not(None))
    return _any(connection, select(LICENCE.c.licence).where(*waits))


def _first(connection: Connection, query: Any) -> str | None:
    found: str | None = connection.execute(query.limit(1)).scalar()
    return found


def _any(connection: Connection, query: Any) -> bool:
    return connection.execute(query.limit(1)).first() is not None
