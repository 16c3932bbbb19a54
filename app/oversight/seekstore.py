"""SQL of the authority's search: at most MOST rows behind an index, or one table of parties. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    false,
    func,
    literal_column,
    or_,
    select,
    union_all,
)

from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.tables import (
    Batch,
    BatchCode,
    LicenceRow,
    Lot,
    Offer,
    Party,
    Product,
    SoldUnit,
)
from app.oversight.store import during
from app.parties.store import inside

PARTY = Party.__table__  # type: ignore[attr-defined]
LICENCE = LicenceRow.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]
LOT = Lot.__table__  # type: ignore[attr-defined]
OFFER = Offer.__table__  # type: ignore[attr-defined]
BATCH = Batch.__table__  # type: ignore[attr-defined]
CODE = BatchCode.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]

_AT_ONCE = 32
"""Sellers whose sales one statement reads."""
_LATE = 2**62
MOST = 1_000
"""Of each group no more is found: who has so many looks for something narrower."""


_CODES = select(
    BATCH.c.batch_id, BATCH.c.gtin, CODE.c.n, CODE.c.serial, BATCH.c.party, BATCH.c.created_at
).join(BATCH, BATCH.c.batch_id == CODE.c.batch_id)


@dataclass(frozen=True, slots=True)
class Bounds:
    """regions: a hit lies in all of them (what was asked for, the caller's office).

    since_ms, until_ms: of the hit's own time, until exclusive.
    """

    regions: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    def holds(self, at_ms: int) -> bool:
        """Whether a time is within."""
        return (self.since_ms is None or at_ms >= self.since_ms) and (
            self.until_ms is None or at_ms < self.until_ms
        )


def parties(
    connection: Connection,
    *,
    ids: Sequence[str],
    licences: Sequence[str],
    names: Sequence[str],
    bounds: Bounds,
) -> list[Any]:
    """Returns parties by id, number of a licence or part of a name; of none of these, all. Newest first."""
    query = select(PARTY)
    wanted: list[Any] = [PARTY.c.id.in_(ids)] if ids else []
    if licences:
        bearers = select(LICENCE.c.party).where(LICENCE.c.number.in_(licences))
        wanted.append(PARTY.c.id.in_(bearers))
    wanted += [func.lower(PARTY.c.name).contains(one.lower(), autoescape=True) for one in names]
    if wanted:
        query = query.where(or_(*wanted))
    query = _in_regions(query, bounds)
    query = _within(query, PARTY.c.created_at, bounds)
    query = query.order_by(PARTY.c.created_at.desc(), PARTY.c.id).limit(MOST + 1)
    return list(connection.execute(query))


def products_of(
    connection: Connection,
    *,
    gtins: Sequence[str] = (),
    registrants: Sequence[str] | None = None,
    bounds: Bounds,
) -> list[Any]:
    """Returns products by GTIN or by who registered them; None: by where that one is. Newest first."""
    query = select(PRODUCT)
    if gtins or registrants:
        by_gtin = PRODUCT.c.gtin.in_(gtins) if gtins else false()
        by_party = PRODUCT.c.registrant.in_(registrants) if registrants else false()
        query = query.where(or_(by_gtin, by_party))
    elif registrants is not None:
        return []
    if bounds.regions:
        query = _in_regions(query.join(PARTY, PARTY.c.id == PRODUCT.c.registrant), bounds)
    query = _within(query, PRODUCT.c.created_at, bounds)
    query = query.order_by(PRODUCT.c.created_at.desc(), PRODUCT.c.gtin).limit(MOST + 1)
    return list(connection.execute(query))


def lots(
    connection: Connection,
    *,
    numbers: Sequence[str] = (),
    gtins: Sequence[str] = (),
    parties: Sequence[str] = (),
    bounds: Bounds,
) -> list[Any]:
    """Returns lots by number, product or party; of none of these, by where the party is."""
    query = select(LOT)
    wanted = [
        column.in_(values)
        for column, values in (
            (LOT.c.lot, numbers),
            (LOT.c.gtin, gtins),
            (LOT.c.party, parties),
        )
        if values
    ]
    if wanted:
        query = query.where(or_(*wanted))
    if bounds.regions:
        query = _in_regions(query.join(PARTY, PARTY.c.id == LOT.c.party), bounds)
    query = _within(query, LOT.c.created_at, bounds)
    query = query.order_by(LOT.c.created_at.desc(), LOT.c.stream).limit(MOST + 1)
    return list(connection.execute(query))


def issued(connection: Connection, serial: str) -> list[Any]:
    """Returns (gtin, serial, party, created_at) of the codes with this serial."""
    query = (
        select(BATCH.c.gtin, CODE.c.serial, BATCH.c.party, BATCH.c.created_at)
        .join(BATCH, BATCH.c.batch_id == CODE.c.batch_id)
        .where(CODE.c.serial == serial)
        .limit(MOST + 1)
    )
    return list(connection.execute(query))


def is_issued(connection: Connection, number: str) -> bool:
    """Returns whether any code has this serial, or any lot this number."""
    units = select(CODE.c.n).where(CODE.c.serial == number).limit(1)
    lots = select(LOT.c.stream).where(LOT.c.lot == number).limit(1)
    return any(connection.execute(one).first() is not None for one in (units, lots))


def sellers_of(connection: Connection, gtin: str, bounds: Bounds) -> list[str]:
    """Returns who has listed a product."""
    query = select(OFFER.c.seller).distinct().where(OFFER.c.gtin == gtin)
    if bounds.regions:
        query = _in_regions(query.join(PARTY, PARTY.c.id == OFFER.c.seller), bounds)
    return list(connection.execute(query.limit(MOST)).scalars())


def sold(
    connection: Connection, *, sellers: Sequence[str], gtin: str | None, bounds: Bounds
) -> list[Any]:
    """Returns (stream, seller, sold_at) of units these sellers sold, the newest first.

    Of each seller by its index no more than are wanted: together they would all be read before they are
    sorted. Once there are enough, of the next ones only what is newer than the oldest of them is read.
    """
    found: list[Any] = []
    since_ms, until_ms = bounds.since_ms or 0, _LATE if bounds.until_ms is None else bounds.until_ms
    asked = {} if gtin is None else {"gtin": gtin}
    for start in range(0, len(sellers), _AT_ONCE):
        some = [*sellers[start : start + _AT_ONCE], *[""] * _AT_ONCE][:_AT_ONCE]
        named = {f"seller_{n}": seller for n, seller in enumerate(some)}
        if len(found) > MOST:
            since_ms = max(since_ms, found[-1].sold_at + 1)
        rows = _newest_sales(of_product=gtin is not None, most=MOST + 1).rows(
            connection, **named, **asked, since=since_ms, until=until_ms
        )
        if rows:
            found = sorted([*found, *rows], key=lambda row: -row.sold_at)[: MOST + 1]
    return found


@cache
def _newest_sales(*, of_product: bool, most: int) -> HotSelect:
    """Returns the statement that reads of so many sellers the newest sales of each."""
    parts = []
    for n in range(_AT_ONCE):
        query = select(SOLD.c.stream, SOLD.c.seller, SOLD.c.sold_at).where(
            SOLD.c.seller == bindparam(f"seller_{n}"),
            SOLD.c.sold_at >= bindparam("since"),
            SOLD.c.sold_at < bindparam("until"),
        )
        if of_product:
            query = query.where(SOLD.c.gtin == bindparam("gtin"))
        newest = query.order_by(SOLD.c.sold_at.desc()).limit(literal_column(str(most))).subquery()
        parts.append(select(newest.c.stream, newest.c.seller, newest.c.sold_at))
    return HotSelect(union_all(*parts))


def sold_anywhere(connection: Connection, bounds: Bounds) -> list[Any]:
    """Returns what `sold` does of all sellers in the regions, whoever they are.

    The newest so many sales are those of the so many sellers who sold last: of all others no sale is read.
    """
    last = _within(
        select(func.max(SOLD.c.sold_at)).where(SOLD.c.seller == PARTY.c.id), SOLD.c.sold_at, bounds
    )
    sellers = _in_regions(select(PARTY.c.id, last.scalar_subquery().label("last")), bounds)
    found = sellers.subquery()
    latest = (
        select(found.c.id)
        .where(found.c.last.is_not(None))
        .order_by(found.c.last.desc(), found.c.id)
        .limit(MOST + 1)
    )
    return sold(
        connection, sellers=list(connection.execute(latest).scalars()), gtin=None, bounds=bounds
    )


def issued_anywhere(connection: Connection, bounds: Bounds) -> list[Any]:
    """Returns (gtin, serial, party, created_at) of codes issued by parties in the regions, newest first.

    Reads every order of codes of that time, and the codes of as many of them as are needed.
    """
    query = select(BATCH).where(BATCH.c.done > 0)
    if bounds.regions:
        query = _in_regions(query.join(PARTY, PARTY.c.id == BATCH.c.party), bounds)
    query = _within(query, BATCH.c.created_at, bounds)
    query = query.order_by(BATCH.c.created_at.desc(), BATCH.c.batch_id).limit(MOST + 1)
    count, whole = 0, {}
    last: tuple[str, int] | None = None
    for place, order in enumerate(connection.execute(query)):
        if count + order.done > MOST:
            last = (order.batch_id, MOST + 1 - count)
            break
        count += order.done
        whole[order.batch_id] = place
    found: list[Any] = []
    for some in chunks(list(whole)):
        found += connection.execute(_CODES.where(BATCH.c.batch_id.in_(some)))
    found.sort(key=lambda row: (whole[row.batch_id], row.n))
    if last is not None:
        codes = _CODES.where(BATCH.c.batch_id == last[0]).order_by(CODE.c.n).limit(last[1])
        found += connection.execute(codes)
    return found


def regions_of(connection: Connection, parties: Iterable[str]) -> dict[str, str | None]:
    """Returns where parties are registered."""
    found: dict[str, str | None] = {}
    for part in chunks(list(parties)):
        query = select(PARTY.c.id, PARTY.c.region).where(PARTY.c.id.in_(part))
        found |= {row.id: row.region for row in connection.execute(query)}
    return found


def _in_regions(query: Any, bounds: Bounds) -> Any:
    for region in bounds.regions:
        query = query.where(inside(PARTY.c.region, region))
    return query


def _within(query: Any, column: Any, bounds: Bounds) -> Any:
    return query.where(during(column, bounds.since_ms, bounds.until_ms))
