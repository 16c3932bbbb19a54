"""SQL of recalls and how far they came. Read-only.

Units are found by their serials, their lives by the keys of their streams, a piece at a time; what was
recorded since a recall is looked for only where something was.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, case, exists, func, or_, select, tuple_

from app.db.hot import HotSelect
from app.db.tables import (
    Batch,
    BatchCode,
    Fact,
    Head,
    Lot,
    Offer,
    Party,
    Product,
    Recall,
    RecordRow,
    Scan,
    SealedSection,
    SoldUnit,
)
from app.parties.identity import CONSUMER
from app.parties.store import inside

BATCH = Batch.__table__  # type: ignore[attr-defined]
CODE = BatchCode.__table__  # type: ignore[attr-defined]
FACT = Fact.__table__  # type: ignore[attr-defined]
HEAD = Head.__table__  # type: ignore[attr-defined]
LOT = Lot.__table__  # type: ignore[attr-defined]
OFFER = Offer.__table__  # type: ignore[attr-defined]
PARTY = Party.__table__  # type: ignore[attr-defined]
PRODUCT = Product.__table__  # type: ignore[attr-defined]
RECALL = Recall.__table__  # type: ignore[attr-defined]
RECORD = RecordRow.__table__  # type: ignore[attr-defined]
SCAN = Scan.__table__  # type: ignore[attr-defined]
SEALED = SealedSection.__table__  # type: ignore[attr-defined]
SOLD = SoldUnit.__table__  # type: ignore[attr-defined]

PIECE = 1_024
"""How many streams one statement asks for; a power of two, for which HotSelect writes it once."""

CONSIGNMENT = "consignment/"

_OF_PRODUCT = and_(BATCH.c.batch_id == CODE.c.batch_id, BATCH.c.gtin == bindparam("gtin"))
_OF_LOT = and_(_OF_PRODUCT, BATCH.c.lot == bindparam("lot"))
_SERIALS = HotSelect(select(CODE.c.serial).where(_OF_PRODUCT))
_SERIALS_OF_LOT = HotSelect(select(CODE.c.serial).where(_OF_LOT))
_LIVES = HotSelect(
    select(HEAD.c.stream, HEAD.c.recorded_at, HEAD.c.state).where(
        HEAD.c.stream.in_(bindparam("streams", expanding=True))
    )
)
# Which of them are there, in one number: 1 the buyer or the recipient, 2 an order's number.
_HAS = func.max(case((SEALED.c.name == "order", 0), else_=1)) + func.max(
    case((SEALED.c.name == "order", 2), else_=0)
)
_KEPT = select(SEALED.c.stream, _HAS.label("has")).where(
    SEALED.c.stream.in_(bindparam("streams", expanding=True)),
    SEALED.c.wrapped_key.is_not(None),
    SEALED.c.name.in_(("buyer", "recipient", "order")),
)
_SECTIONS = HotSelect(_KEPT.group_by(SEALED.c.stream))
_SECTIONS_BY_RECORD = HotSelect(
    _KEPT.add_columns(SEALED.c.record_id).group_by(SEALED.c.stream, SEALED.c.record_id)
)
_LATER = HotSelect(
    select(RECORD.c.stream, RECORD.c.type, RECORD.c.recorded_at).where(
        RECORD.c.stream.in_(bindparam("streams", expanding=True)),
        RECORD.c.recorded_at >= bindparam("since"),
        or_(RECORD.c.type.in_(("notice", "recall")), RECORD.c.actor == CONSUMER),
    )
)
_OPENED = HotSelect(
    select(SCAN.c.stream, func.max(SCAN.c.last_at).label("last_at"))
    .where(SCAN.c.stream.in_(bindparam("streams", expanding=True)))
    .group_by(SCAN.c.stream)
)
_SOLD_THEN = HotSelect(
    select(SOLD.c.stream)
    .where(
        SOLD.c.stream.in_(bindparam("streams", expanding=True)),
        SOLD.c.subject == "",
        SOLD.c.sold_at >= bindparam("since"),
        SOLD.c.sold_at < bindparam("until"),
    )
    .distinct()
)


def count_codes(connection: Connection, gtin: str, lots: Collection[str] | None) -> int:
    """Returns how many codes were made of a product, or of lots of it. Reads every order of codes."""
    query = select(BATCH.c.lot, func.sum(BATCH.c.done).label("made")).where(BATCH.c.gtin == gtin)
    rows = connection.execute(query.group_by(BATCH.c.lot))
    return sum(int(row.made or 0) for row in rows if lots is None or row.lot in lots)


def serials(connection: Connection, gtin: str, lot: str | None) -> list[str]:
    """Returns the serials of the codes of a product, or of a lot of it."""
    if lot is None:
        return [row.serial for row in _SERIALS.rows(connection, gtin=gtin)]
    return [row.serial for row in _SERIALS_OF_LOT.rows(connection, gtin=gtin, lot=lot)]


class Issued(NamedTuple):
    """Where a serial stands in the order of issue. n: its place in its order of codes."""

    party: str
    created_at: int
    batch_id: str
    n: int


def find_issued(
    connection: Connection, gtin: str, serial: str, *, lot: str | None, party: str | None
) -> Issued | None:
    """Returns where a serial of a product, or of a lot of it, stands; party: that issued it, None: any."""
    query = (
        select(BATCH.c.party, BATCH.c.created_at, BATCH.c.batch_id, CODE.c.n)
        .join(BATCH, BATCH.c.batch_id == CODE.c.batch_id)
        .where(CODE.c.serial == serial, BATCH.c.gtin == gtin)
    )
    if lot is not None:
        query = query.where(BATCH.c.lot == lot)
    if party is not None:
        query = query.where(BATCH.c.party == party)
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else Issued(*row)


def issued_between(
    connection: Connection, gtin: str, first: Issued, last: Issued, *, lot: str | None, most: int
) -> list[str]:
    """Returns the serials that first's issuer issued from `first` to `last`, both included.

    In the order of issue: by when the codes were ordered, in each order as they are printed. Where there
    are so many, or more, any `most` of them: that is all that is read.
    """
    place = tuple_(BATCH.c.created_at, BATCH.c.batch_id)
    query = (
        select(BATCH.c.created_at, BATCH.c.batch_id, CODE.c.n, CODE.c.serial)
        .join(CODE, CODE.c.batch_id == BATCH.c.batch_id)
        .where(
            BATCH.c.party == first.party,
            BATCH.c.gtin == gtin,
            place >= (first.created_at, first.batch_id),
            place <= (last.created_at, last.batch_id),
            or_(BATCH.c.batch_id != first.batch_id, CODE.c.n >= first.n),
            or_(BATCH.c.batch_id != last.batch_id, CODE.c.n <= last.n),
        )
    )
    if lot is not None:
        query = query.where(BATCH.c.lot == lot)
    some = query.limit(most).subquery()
    told = select(some.c.serial).order_by(some.c.created_at, some.c.batch_id, some.c.n)
    return list(connection.execute(told).scalars())


def lots_produced(connection: Connection, gtin: str, first: str, last: str) -> list[str]:
    """Returns the lots of a product that were made from one day to another (`YYYY-MM-DD`), both included.

    A lot that does not say when it was made is none of them. Reads every lot of the product.
    """
    query = select(LOT.c.lot, LOT.c.facts).where(LOT.c.gtin == gtin).order_by(LOT.c.lot)
    return [
        row.lot
        for row in connection.execute(query)
        if first <= str(json.loads(row.facts).get("produced_on", "")) <= last
    ]


def lots(connection: Connection, gtin: str) -> list[str]:
    """Returns the numbers of a product's lots."""
    query = select(LOT.c.lot).where(LOT.c.gtin == gtin).order_by(LOT.c.lot)
    return list(connection.execute(query).scalars())


def consignments(connection: Connection, lot: int) -> list[Any]:
    """Returns (key, value) of the lives of a lot's consignments."""
    # Not by a range: PostgreSQL's order of texts is that of a language.
    starts = func.substr(FACT.c.key, 1, len(CONSIGNMENT)) == CONSIGNMENT
    query = select(FACT.c.key, FACT.c.value).where(FACT.c.stream == lot, starts)
    return list(connection.execute(query.order_by(FACT.c.key)))


def lives(connection: Connection, keys: list[int]) -> list[Any]:
    """Returns (stream, recorded_at, state) of those that exist."""
    return _LIVES.rows(connection, streams=keys)


def kept_sections(connection: Connection, keys: list[int]) -> list[Any]:
    """Returns (stream, has) of what is sealed about buyers and was not erased: 1 who, 2 an order, 3 both."""
    return _SECTIONS.rows(connection, streams=keys)


def kept_by_record(connection: Connection, keys: list[int]) -> list[Any]:
    """Returns the same of each record by itself: (stream, has, record_id)."""
    return _SECTIONS_BY_RECORD.rows(connection, streams=keys)


def later_words(connection: Connection, keys: list[int], since_ms: int) -> list[Any]:
    """Returns (stream, type, recorded_at) of notices, recalls, and what consumers sent, since a moment."""
    return _LATER.rows(connection, streams=keys, since=since_ms)


def recall_times(connection: Connection, keys: Sequence[int]) -> list[int]:
    """Returns when the recalls of these streams (a product's, a lot's) were recorded, ms."""
    query = select(RECORD.c.recorded_at).where(RECORD.c.stream.in_(keys), RECORD.c.type == "recall")
    return sorted(connection.execute(query).scalars())


def opened(connection: Connection, keys: list[int]) -> list[Any]:
    """Returns (stream, last_at) of those whose page was ever opened."""
    return _OPENED.rows(connection, streams=keys)


def sold_then(connection: Connection, keys: list[int], since_ms: int, until_ms: int) -> set[int]:
    """Returns which of these units were sold in a period, until exclusive, by any of their sales."""
    return {
        row.stream
        for row in _SOLD_THEN.rows(connection, streams=keys, since=since_ms, until=until_ms)
    }


def registered_parties(connection: Connection, names: Iterable[str]) -> dict[str, str | None]:
    """Returns those of these names that are parties, each with its region; None: it has told none."""
    wanted = sorted(set(names))
    found: dict[str, str | None] = {}
    for start in range(0, len(wanted), PIECE):
        piece = wanted[start : start + PIECE]
        query = select(PARTY.c.id, PARTY.c.region).where(PARTY.c.id.in_(piece))
        found |= {row.id: row.region for row in connection.execute(query)}
    return found


def count_notices(connection: Connection, keys: Sequence[int], since_ms: int) -> int:
    """Returns how many notices stand on these streams (a product's, a lot's) since a moment."""
    query = select(func.count()).where(
        RECORD.c.stream.in_(keys), RECORD.c.type == "notice", RECORD.c.recorded_at >= since_ms
    )
    return int(connection.execute(query).scalar_one())


def recalls(
    connection: Connection,
    *,
    party: str | None,
    office: str | None,
    gtin: str | None,
    is_open: bool | None,
    after: tuple[Any, ...] | None,
    limit: int,
) -> list[Any]:
    """Returns recalls with the names of their streams, the newest first, behind `after` = (since, key, by).

    party: those that are its own, or touch its goods. office: of goods whose seller is there, of products
    whose registrant is, or by a recaller who is (GB/T 2260). Reads every recall there is.
    """
    # The page is cut before heads are read: their states are long, and there is one for every recall.
    query = select(RECALL).where(exists().where(HEAD.c.stream == RECALL.c.stream))
    if gtin is not None:
        query = query.where(RECALL.c.gtin == gtin)
    if is_open is not None:
        query = query.where(
            RECALL.c.lifted_at.is_(None) if is_open else RECALL.c.lifted_at.is_not(None)
        )
    if party is not None:
        query = query.where(_touches(party))
    if office is not None:
        query = query.where(_lies_in(office))
    if after is not None:
        query = query.where(_behind(after))
    order = (RECALL.c.since_at.desc(), RECALL.c.stream, RECALL.c.recaller)
    some = query.order_by(*order).limit(limit).subquery()
    named = select(some, HEAD.c.name).join(HEAD, HEAD.c.stream == some.c.stream)
    return list(
        connection.execute(named.order_by(some.c.since_at.desc(), some.c.stream, some.c.recaller))
    )


def _touches(party: str) -> Any:
    offered = select(OFFER.c.gtin).where(OFFER.c.seller == party)
    made = select(PRODUCT.c.gtin).where(
        or_(PRODUCT.c.registrant == party, PRODUCT.c.brand_owner == party)
    )
    of_a_product = and_(
        RECALL.c.seller.is_(None), or_(RECALL.c.gtin.in_(offered), RECALL.c.gtin.in_(made))
    )
    return or_(RECALL.c.recaller == party, RECALL.c.seller == party, of_a_product)


def _lies_in(office: str) -> Any:
    there = select(PARTY.c.id).where(inside(PARTY.c.region, office))
    made = select(PRODUCT.c.gtin).where(PRODUCT.c.registrant.in_(there))
    of_a_product = and_(RECALL.c.seller.is_(None), RECALL.c.gtin.in_(made))
    return or_(RECALL.c.seller.in_(there), RECALL.c.recaller.in_(there), of_a_product)


def _behind(after: tuple[Any, ...]) -> Any:
    since, stream, recaller = after
    later = or_(
        RECALL.c.stream > stream, and_(RECALL.c.stream == stream, RECALL.c.recaller > recaller)
    )
    # The bound first, by which an index begins there.
    return and_(RECALL.c.since_at <= since, or_(RECALL.c.since_at < since, later))
