"""SQL of ranking: what is counted of many offers at once, and receipts. Flushes, never commits.

Each statement is written for a few widths and then sent straight to the driver (db.hot): a ranking of
a thousand offers asks the same few questions hundreds of times a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Text,
    and_,
    bindparam,
    case,
    cast,
    delete,
    func,
    select,
)

from app.credit.months import Reported
from app.credit.store import CHARGED
from app.db.given import ForEach
from app.db.hot import HotSelect
from app.db.tables import Finding, OrderMonth, Product, RankingReceipt, Recall
from app.db.upsert import upsert_rows
from app.ledger.stage import EffectWriter
from app.trace.soldstore import DAY, SOLD, begins_ms

FINDING = Finding.__table__  # type: ignore[attr-defined]
ORDERS = OrderMonth.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]
RECEIPT = RankingReceipt.__table__  # type: ignore[attr-defined]
RECALL = Recall.__table__  # type: ignore[attr-defined]

Pair = tuple[str, str]
"""Seller and GTIN."""


class Counts(NamedTuple):
    """Of one offer's units sold in the window: how many, without an open gap, their steps."""

    sold: int
    whole: int
    steps: int
    independent: int


_KNOWN_PRODUCTS = HotSelect(
    select(PRODUCT.c.gtin).where(PRODUCT.c.gtin.in_(bindparam("gtins", expanding=True)))
)
_OPEN_RECALLS = HotSelect(
    select(RECALL.c.gtin, RECALL.c.seller).where(
        RECALL.c.gtin.in_(bindparam("gtins", expanding=True)), RECALL.c.lifted_at.is_(None)
    )
)
_BROKEN = HotSelect(
    select(FINDING.c.party, FINDING.c.gtin).where(
        FINDING.c.party.in_(bindparam("sellers", expanding=True)),
        FINDING.c.status == "open",
        FINDING.c.gtin.is_not(None),
        FINDING.c.kind.startswith("integrity."),
        # One that is not the party's fault stands on the code's own page alone.
        CHARGED,
    )
)


def _sold(asked: Any) -> Any:
    """Returns `n` and four counts as one text, NULL where no day counts anything.

    By day; of units those alone whose gap counts by now are looked at, found by their own index. One
    scalar an offer, because a join that is grouped makes SQLite sort every day once more.
    """
    since = bindparam("since", type_=BigInteger)
    overdue = (
        select(func.count())
        .where(SOLD.c.seller == asked.c.seller, SOLD.c.gtin == asked.c.gtin)
        # Said twice: the index is only of open gaps, and a planner asks for those very words.
        .where(SOLD.c.gap_due_at.is_not(None))
        .where(SOLD.c.gap_due_at <= bindparam("now", type_=BigInteger))
        .where(SOLD.c.sold_at >= begins_ms(since))
        .correlate(asked)
        .scalar_subquery()
    )
    units = func.sum(DAY.c.units)
    late = case((func.sum(DAY.c.gaps) > 0, overdue), else_=0)
    told: ColumnElement[str] = cast(units, Text)
    for part in (units - late, func.sum(DAY.c.steps), func.sum(DAY.c.independent)):
        told = told + " " + cast(part, Text)
    counted = (
        select(told)
        .where(DAY.c.seller == asked.c.seller, DAY.c.gtin == asked.c.gtin, DAY.c.day >= since)
        .scalar_subquery()
    )
    return select(asked.c.n, counted.label("counted"))


def _sold_between(asked: Any) -> Any:
    is_of = and_(DAY.c.seller == asked.c.seller, DAY.c.gtin == asked.c.gtin)
    return (
        select(asked.c.n, func.sum(DAY.c.units).label("sold"))
        .select_from(asked.join(DAY, is_of))
        .where(DAY.c.day >= asked.c.since, DAY.c.day < asked.c.until)
        .group_by(asked.c.n)
    )


def _reported(asked: Any) -> Any:
    is_of = and_(ORDERS.c.seller == asked.c.seller, ORDERS.c.gtin == asked.c.gtin)
    return (
        select(
            asked.c.n,
            ORDERS.c.month,
            func.min(ORDERS.c.since_at).label("since"),
            func.max(ORDERS.c.until_at).label("until"),
            func.sum(ORDERS.c.orders).label("orders"),
        )
        .select_from(asked.join(ORDERS, is_of))
        .where(ORDERS.c.month >= bindparam("first", type_=Text))
        .group_by(asked.c.n, ORDERS.c.month)
        .order_by(asked.c.n, ORDERS.c.month)
    )


_OFFER: dict[str, Any] = {"seller": Text, "gtin": Text}
_SOLD_OF_EACH = ForEach(_OFFER, _sold)
_REPORTED_OF_EACH = ForEach(_OFFER, _reported)
_SOLD_BETWEEN = ForEach({**_OFFER, "since": BigInteger, "until": BigInteger}, _sold_between)


def known_products(connection: Connection, gtins: Sequence[str]) -> set[str]:
    """Returns which of these are registered."""
    return {row.gtin for row in _KNOWN_PRODUCTS.rows(connection, gtins=list(gtins))}


def open_recalls(connection: Connection, gtins: Sequence[str]) -> set[tuple[str, str | None]]:
    """Returns (gtin, seller) of what is recalled now; seller None: whoever sells it."""
    rows = _OPEN_RECALLS.rows(connection, gtins=list(gtins))
    return {(row.gtin, row.seller) for row in rows}


def broken_offers(connection: Connection, sellers: Sequence[str]) -> set[Pair]:
    """Returns (seller, gtin) of every open integrity finding that names both and is the seller's."""
    rows = _BROKEN.rows(connection, sellers=list(sellers))
    return {(row.party, row.gtin) for row in rows}


def sold_counts(
    connection: Connection, pairs: Sequence[Pair], *, since_day: int, now_ms: int
) -> dict[Pair, Counts]:
    """Returns what is counted of the units sold on `since_day` or later; who sold none is absent."""
    found: dict[Pair, Counts] = {}
    for pair, row in _SOLD_OF_EACH.rows(connection, pairs, since=since_day, now=now_ms):
        if row.counted is not None:
            counts = Counts._make(map(int, row.counted.split()))
            if counts.sold > 0:
                found[pair] = counts
    return found


def sold_between(
    connection: Connection, spans: Sequence[tuple[str, str, int, int]]
) -> dict[Pair, int]:
    """Returns by (seller, gtin) how many units were sold from the day `since` to the one before `until`."""
    rows = _SOLD_BETWEEN.rows(connection, spans)
    return {(seller, gtin): int(row.sold) for (seller, gtin, *_), row in rows}


def reported_months(
    connection: Connection, pairs: Sequence[Pair], *, first_month: str
) -> dict[Pair, list[tuple[str, Reported]]]:
    """Returns what platforms report, summed over them, by month from `first_month` on, ascending."""
    found: dict[Pair, list[tuple[str, Reported]]] = {}
    for pair, row in _REPORTED_OF_EACH.rows(connection, pairs, first=first_month):
        told = Reported(int(row.since), int(row.until), int(row.orders))
        found.setdefault(pair, []).append((row.month, told))
    return found


def add_receipt(connection: Connection, row: Mapping[str, Any]) -> None:
    """Keeps a sampled answer, once. Writes `ranking_receipt`."""
    upsert_rows(connection, RECEIPT, [row], keys=("id",))


def drop_receipts(connection: Connection, *, before_ms: int) -> None:
    """Deletes what was sampled before this time. Writes `ranking_receipt`."""
    connection.execute(delete(RECEIPT).where(RECEIPT.c.made_at < before_ms))


def find_receipt(connection: Connection, id_: str) -> Any | None:
    """Returns a sampled answer's row, or None."""
    return connection.execute(select(RECEIPT).where(RECEIPT.c.id == id_)).first()


def _write_order_month(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    upsert_rows(connection, ORDERS, rows, keys=("seller", "gtin", "month", "platform"))


WRITERS: Mapping[str, EffectWriter] = {"order_month": _write_order_month}


def order_rows(connection: Connection, platform: str) -> list[Any]:
    """Returns what is kept of a platform's reports."""
    return list(connection.execute(select(ORDERS).where(ORDERS.c.platform == platform)))
