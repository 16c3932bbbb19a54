"""SQL of the features of offers. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, tuple_

from app.credit.rankstore import Pair
from app.db.tables import Offer, OfferFeature
from app.db.upsert import upsert_rows

FEATURE = OfferFeature.__table__  # type: ignore[attr-defined]
OFFER = Offer.__table__  # type: ignore[attr-defined]


def next_offers(connection: Connection, *, after: Pair, limit: int) -> list[Pair]:
    """Returns (seller, gtin) of offers behind `after`, by GTIN and seller. Read-only."""
    seller, gtin = after
    rows = connection.execute(
        select(OFFER.c.seller, OFFER.c.gtin)
        .where(tuple_(OFFER.c.gtin, OFFER.c.seller) > tuple_(gtin, seller))
        .distinct()
        .order_by(OFFER.c.gtin, OFFER.c.seller)
        .limit(limit)
    )
    return [(row.seller, row.gtin) for row in rows]


def kept_facts(connection: Connection, pairs: Sequence[Pair]) -> dict[Pair, str]:
    """Returns what was noted of these neighbouring offers, by (seller, gtin). Read-only."""
    if not pairs:
        return {}
    first, last = pairs[0], pairs[-1]
    place = tuple_(FEATURE.c.gtin, FEATURE.c.seller)
    rows = connection.execute(
        select(FEATURE.c.gtin, FEATURE.c.seller, FEATURE.c.facts).where(
            place >= tuple_(first[1], first[0]), place <= tuple_(last[1], last[0])
        )
    )
    return {(row.seller, row.gtin): row.facts for row in rows}


def newest_version(connection: Connection) -> int:
    """Returns the largest version, 0 where there is none. Read-only."""
    return int(connection.execute(select(func.max(FEATURE.c.version))).scalar() or 0)


def write_features(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Notes what changed. Writes `offer_feature`."""
    upsert_rows(connection, FEATURE, rows, keys=("gtin", "seller"))


def changed_since(connection: Connection, version: int, *, limit: int) -> list[Any]:
    """Returns rows of a later version, in its order. Read-only."""
    return list(
        connection.execute(
            select(FEATURE)
            .where(FEATURE.c.version > version)
            .order_by(FEATURE.c.version)
            .limit(limit)
        )
    )
