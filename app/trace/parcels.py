"""What a seller sold and has not sent, what of it is under way, and what was last said of its goods.

Found by `sold_unit` (seller, where it is, since when); what is told of each comes from its own life, so
a changed row could misplace goods here and say nothing false of them; the audit compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from app.db.engine import Database
from app.kit.clock import Clock, from_ms, parse_time, to_ms
from app.ledger.store import as_bytes
from app.parties.principal import Principal
from app.trace import parcelstore
from app.trace.gaps import underway_since
from app.trace.parcelstore import Place

Underway = Literal["sold", "in_transit"]
MOST_COUNTED = 10_000
_DUE = {"sold": "dispatch", "in_transit": "signature"}
_CONSIGNMENT = "consignment/"


@dataclass(frozen=True, slots=True)
class News:
    """The last that was told of a parcel. status: in our words or the carrier's; "" where none."""

    at: datetime
    status: str
    region: str


@dataclass(frozen=True, slots=True)
class Goods:
    """A unit, or a consignment of a lot, that was sold and has not arrived.

    since: of the sale, or of the dispatch. due_at: when its next step begins to be missed; None where
    nothing is waited for. tail: the last four of the waybill.
    """

    stream: str
    consignment: str | None
    gtin: str
    product: str
    state: Underway
    since: datetime
    due_at: datetime | None
    overdue: bool
    carrier: str
    tail: str
    to: str
    news: News | None
    place: Place


@dataclass(frozen=True, slots=True)
class Latest:
    """The last record of a unit."""

    stream: str
    seq: int
    type: str
    source: str
    occurred_at: datetime
    recorded_at: datetime
    data: Mapping[str, Any]


class Parcels:
    """Lists goods on their way. Read-only."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def underway(
        self, principal: Principal, state: Underway, *, after: Place | None, limit: int
    ) -> list[Goods]:
        """Returns the party's goods in this state, the longest there first, behind `after`."""
        principal.check_may("event.send")
        now_ms = to_ms(self._clock.now())
        with self._database.read() as connection:
            found = parcelstore.goods_underway(
                connection,
                seller=principal.own_party(),
                underway=state,
                after=after,
                limit=limit,
            )
            names = parcelstore.product_names(connection, {row.gtin for row, _ in found})
            # A lot's own records are of all its consignments: of these only what their life says.
            sent = [row.stream for row, _ in found if not row.subject] if state != "sold" else []
            news = parcelstore.news_of(connection, sent)
        return [
            _told(row, life, state, names.get(row.gtin, ""), news.get(row.stream, ()), now_ms)
            for row, life in found
        ]

    def count(self, principal: Principal, state: Underway) -> int:
        """Returns how many goods of the party are in this state, at most MOST_COUNTED."""
        principal.check_may("event.send")
        with self._database.read() as connection:
            return parcelstore.count_underway(
                connection, seller=principal.own_party(), underway=state, most=MOST_COUNTED
            )

    def latest(self, principal: Principal, *, limit: int) -> list[Latest]:
        """Returns the last record of each of the units that moved last, newest first."""
        principal.check_may("event.send")
        with self._database.read() as connection:
            rows = parcelstore.newest_of(connection, principal.own_party(), limit=limit)
        return [told for row in rows[:limit] if (told := _latest(row)) is not None]


def _told(
    row: Any,
    life: Mapping[str, Any],
    state: Underway,
    product: str,
    news: Sequence[Any],
    now_ms: int,
) -> Goods:
    """Returns what a life tells; of one that a hand has damaged what the row does, and the audit says why."""
    try:
        return _goods(row, life, state, product, news, now_ms)
    except (KeyError, TypeError, ValueError, AttributeError):
        return _goods(row, {}, state, product, (), now_ms)


def _goods(
    row: Any,
    life: Mapping[str, Any],
    state: Underway,
    product: str,
    news: Sequence[Any],
    now_ms: int,
) -> Goods:
    # Moved on since the row was read, or altered: what is told of it is what its life says.
    moved = underway_since(life)[0] == state
    sent = life.get("dispatch", {}) if moved and state == "in_transit" else {}
    gap = life.get("gaps", {}).get(_DUE[state]) if moved else None
    consignment = row.subject.removeprefix(_CONSIGNMENT) or None
    return Goods(
        stream=row.name,
        consignment=consignment,
        gtin=row.gtin,
        product=product,
        state=state,
        since=from_ms(row.moved_at),
        due_at=None if gap is None else from_ms(gap["due"]),
        overdue=gap is not None and gap["due"] <= now_ms,
        carrier=str(sent.get("carrier", "")),
        tail=str(sent.get("tail", "")),
        to=str(sent.get("to", "")),
        news=_news(news, int(sent.get("seq", -1))) if sent else None,
        place=(row.moved_at, row.stream, row.subject),
    )


def _news(rows: Sequence[Any], dispatched: int) -> News | None:
    for row in reversed(rows):
        if row.seq > dispatched:
            told = _fields(row)
            if told is None:
                continue
            data = told["data"]
            return News(
                told["occurred_at"], str(data.get("status", "")), str(data.get("region", ""))
            )
    return None


def _latest(row: Any) -> Latest | None:
    told = _fields(row)
    if told is None:
        return None
    return Latest(
        row.name,
        row.seq,
        row.type,
        str(told.get("source", "")),
        told["occurred_at"],
        from_ms(row.recorded_at),
        told["data"],
    )


def _fields(row: Any) -> dict[str, Any] | None:
    """Returns a record's fields, its time read; None for bytes that a hand has damaged."""
    try:
        told: dict[str, Any] = orjson.loads(as_bytes(row.body))
        return {**told, "occurred_at": parse_time(told["occurred_at"])}
    except (ValueError, TypeError, KeyError):
        return None
