"""What happens to each unit of the demo, planned from a seed before anything is recorded.

Time goes in slots, two a day; whatever happened since the last slot is recorded at the next, as
shops and carriers send it. A unit has at most one step a slot, so its order is that of its slots.
Pure: the same seed and slots give the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Literal
from uuid import UUID

from app.demo.cast import (
    ALTERED,
    BASKETS,
    CARELESS,
    CITIES,
    FAST,
    FINE_GIFTS,
    FRESH,
    GIFTS,
    GRUMBLES,
    HONEST,
    LOOSE_GIFTS,
    NAMELESS_CARRIER,
    OIL,
    OWN_SHOP,
    PLATFORM,
    PRAISE,
    PRICE_MINOR,
    RECALLED,
    STEADY,
    STOCKS,
    Stock,
)
from app.kit.clock import SHANGHAI, truncate_ms
from app.parties.identity import CONSUMER

Fate = Literal["whole", "told", "unsigned", "late", "resold", "refused", "complained", "waiting"]
"""waiting: complained of lately, and nobody has answered."""

SHIPMENT = "shipment"
"""Not an event type: the seller packs, and the service issues the code, sells and dispatches."""

DAYS = 60
_FIRST_SALE = 3
_LATE_BY_SLOTS = 2 * 16 + 2
_RATES_CARRIER = 5
"""Of those who write no review every fifth rates the carrier."""

# What is to be seen in every demo: (lot, n) -> fate, and at which share of the days it is sold.
# A signature is due 15 days after dispatch and charged five working days later, so the early ones
# have taken effect and the late ones are only announced.
_FATES: Mapping[tuple[str, int], tuple[Fate, float]] = {
    (GIFTS.lot, 3): ("resold", 0.2),
    (GIFTS.lot, 6): ("told", 0.15),
    (GIFTS.lot, 31): ("complained", 0.4),
    (GIFTS.lot, 70): ("waiting", 0.9),
    (GIFTS.lot, 71): ("waiting", 0.92),
    (GIFTS.lot, GIFTS.sold - 2): ("whole", 0.99),
    (GIFTS.lot, GIFTS.sold - 1): ("whole", 1.0),
    (FRESH.lot, 5): ("resold", 0.15),
    (FRESH.lot, 11): ("told", 0.3),
    (RECALLED.lot, 2): ("told", 0.1),
    (LOOSE_GIFTS.lot, 2): ("unsigned", 0.1),
    (LOOSE_GIFTS.lot, 5): ("unsigned", 0.22),
    (LOOSE_GIFTS.lot, 8): ("complained", 0.3),
    (LOOSE_GIFTS.lot, 11): ("unsigned", 0.4),
    (LOOSE_GIFTS.lot, 13): ("complained", 0.5),
    (LOOSE_GIFTS.lot, 15): ("told", 0.25),
    (LOOSE_GIFTS.lot, 21): ("unsigned", 0.68),
    (BASKETS.lot, 6): ("unsigned", 0.3),
    (BASKETS.lot, 9): ("late", 0.35),
    (BASKETS.lot, 24): ("unsigned", 0.7),
    (FINE_GIFTS.lot, 4): ("told", 0.25),
    (FINE_GIFTS.lot, 9): ("refused", 0.6),
    (OIL.lot, 7): ("told", 0.4),
}
_ORDINARY: tuple[Fate, float | None] = ("whole", None)
_CARRIER = {HONEST: FAST.party, ALTERED: STEADY.party, CARELESS: NAMELESS_CARRIER}
_REVIEWED = {HONEST: 0.3, CARELESS: 0.12, ALTERED: 0.15}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. sender: a party id or CONSUMER. at: when; slot: when it is recorded.

    data, for a SHIPMENT: what app.trace.shipments asks for.
    """

    slot: int
    at: datetime
    sender: str
    type: str
    id: str
    data: Mapping[str, Any]
    sealed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    actor: str | None = None


@dataclass(slots=True)
class Life:
    """A unit. code and token are filled in while the plan is carried out; n counts in its stock."""

    stock: Stock
    n: int
    steps: list[Step]
    code: str = ""
    token: str | None = None


def numbers_of(life: Life) -> dict[str, str]:
    """Returns the numbers that a unit's parcel was sealed with: order, payment, waybill."""
    return {
        name: str(content["number"])
        for step in life.steps
        for name, content in step.sealed.items()
        if name in ("order", "payment", "waybill")
    }


def slots_until(end: datetime) -> list[datetime]:
    """Returns the moments at which things are recorded: 12:30 and 21:30 in China, then `end`."""
    first = (end - timedelta(days=DAYS)).astimezone(SHANGHAI).replace(minute=30)
    found = []
    for day in range(DAYS + 1):
        for hour in (12, 21):
            moment = first.replace(hour=hour) + timedelta(days=day)
            # Five hours before the next one, so that what happened in between has its order.
            if moment <= end - timedelta(hours=5):
                found.append(moment)
    return [truncate_ms(moment) for moment in (*found, end)]


def plan_lives(seed: int, slots: Sequence[datetime]) -> list[Life]:
    """Returns every unit with what happens to it, in the order of the stocks."""
    planner = _Planner(seed, slots)
    return [life for stock in STOCKS for life in planner.plan(stock)]


class _Planner:
    def __init__(self, seed: int, slots: Sequence[datetime]) -> None:
        self._draw = Random(f"{seed} lives")
        self._slots = slots
        self._numbers = count(1)

    def plan(self, stock: Stock) -> list[Life]:
        last = len(self._slots) - 1
        sales = [self._draw.randint(_FIRST_SALE, int(last * stock.ends)) for _ in range(stock.sold)]
        lives = []
        for n in range(stock.count):
            life = Life(stock, n, [])
            if n < stock.sold:
                fate, share = _FATES.get((stock.lot, n), _ORDINARY)
                self._live(life, sales[n] if share is None else int(last * share), fate)
            lives.append(life)
        return lives

    def _live(self, life: Life, slot: int, fate: Fate) -> None:
        slot = self._sell_and_send(life, slot)
        if fate == "unsigned":
            return
        if fate == "refused":
            self._add(life, slot + 2, self._carrier(life), "refusal", {"reason": "外包装破损"})
            return
        if fate == "late":
            slot += _LATE_BY_SLOTS
        slot = self._sign(life, slot)
        if fate == "resold":
            slot += 4
            self._add(life, slot, life.stock.seller.party, "return", {"reason": "七日无理由退货"})
            self._sign(life, self._sell_and_send(life, slot + 3))
        elif fate == "waiting":
            # Of the last hours, so that the clocks of the complaint run when somebody looks.
            self._complain(life, max(slot + 1, len(self._slots) - 1), is_answered=False)
        elif fate == "complained":
            self._complain(life, slot + 2, is_answered=True)
        elif fate == "told" or self._draw.random() < _REVIEWED[life.stock.seller]:
            self._review(life, slot + 1 + self._draw.randint(0, 5), further=fate == "told")
        elif life.n % _RATES_CARRIER == 0:
            self._rate_carrier(life, slot + 1)

    def _sell_and_send(self, life: Life, slot: int) -> int:
        """Plans sale, dispatch and what the carrier sees; returns the last slot used."""
        stock, seller = life.stock, life.stock.seller
        number, to = next(self._numbers), self._draw.choice(CITIES)
        order, waybill = f"DEMO-{number:05d}", f"TEST{number:010d}"
        sent = slot + self._draw.choice((1, 1, 2))
        if not stock.issued_at_once:
            shipment = {
                "order": order,
                "waybill": waybill,
                "to": to,
                "ordered_at": self._moment(slot),
            }
            self._add(life, sent, seller.party, SHIPMENT, shipment)
            return sent
        by_platform = seller is not CARELESS
        self._add(
            life,
            slot,
            PLATFORM.party if by_platform else seller.party,
            "sale",
            {"platform": PLATFORM.party if by_platform else OWN_SHOP, "region": to},
            {
                "order": {"number": order},
                "buyer": {"account": f"demo-buyer-{self._draw.randrange(10_000):04d}"},
                "terms": {"amount_minor": PRICE_MINOR[stock.gtin], "currency": "CNY"},
                # Of what crosses a border, customs compare the payment too.
                **({"payment": {"number": f"PAY{number:08d}"}} if stock.imported else {}),
            },
            actor=seller.party if by_platform else None,
        )
        self._add(
            life,
            sent,
            seller.party,
            "dispatch",
            {"carrier": _CARRIER[seller], "from": seller.region, "to": to, "real_name": True},
            {"waybill": {"number": waybill}},
        )
        if seller is CARELESS:
            return sent
        seen = sent + 1
        self._add(
            life, seen, self._carrier(life), "transit", {"region": "440100", "status": "运输中"}
        )
        return seen

    def _sign(self, life: Life, slot: int) -> int:
        slot += self._draw.choice((1, 2, 2, 3, 4))
        sender = self._carrier(life)
        kind = self._draw.choice(("in_person", "in_person", "proxy", "locker"))
        if life.stock.seller is CARELESS:
            asked = life.stock.inner and self._draw.random() < 0.3
            sender, kind = (CONSUMER, "in_person") if asked else (life.stock.seller.party, "proxy")
        self._add(life, slot, sender, "signature", {"kind": kind})
        return slot

    def _review(self, life: Life, slot: int, *, further: bool) -> None:
        if life.stock.seller is CARELESS and not life.stock.inner:
            return  # no token and no inner code: these buyers cannot prove their purchase
        pleased = life.stock.seller is not CARELESS
        rating = self._draw.choice((5, 5, 4) if pleased else (4, 3, 2))
        words = self._draw.choice(PRAISE if pleased else GRUMBLES)
        review = self._add(
            life, slot, CONSUMER, "review", {"rating": rating}, {"text": {"text": words}}
        )
        if not further or review is None:
            return
        seller = life.stock.seller.party
        thanks = {"text": {"text": "谢谢您的评价，有问题请随时联系我们。"}}
        self._add(life, slot + 1, seller, "reply", {"of": review.id}, thanks)
        again = {"text": {"text": "用了半个月，依然满意。"}}
        self._add(life, slot + 30, CONSUMER, "follow_up", {"rating": 5}, again)

    def _rate_carrier(self, life: Life, slot: int) -> None:
        """Plans what a buyer says of who brought the parcel, where that is somebody known here."""
        sent = next((step for step in reversed(life.steps) if step.type == "dispatch"), None)
        if sent is None or sent.data["carrier"] == NAMELESS_CARRIER:
            return
        rating = self._draw.choice((5, 5, 5, 4, 4, 3))
        told = {"carrier": sent.data["carrier"], "of": sent.id, "rating": rating}
        self._add(life, slot, CONSUMER, "carrier_rating", told)

    def _complain(self, life: Life, slot: int, *, is_answered: bool) -> None:
        told = {"detail": {"text": "收到时边角破损，联系后没有回音。"}}
        category = self._draw.choice(("quality", "after_sales"))
        complaint = self._add(life, slot, CONSUMER, "complaint", {"category": category}, told)
        if complaint is not None and is_answered and life.stock.seller is not CARELESS:
            sorry = {"text": {"text": "抱歉，已为您补发，运费由我们承担。"}}
            seller = life.stock.seller.party
            self._add(life, slot + 1, seller, "reply", {"of": complaint.id}, sorry)

    def _add(
        self,
        life: Life,
        slot: int,
        sender: str,
        type_: str,
        data: Mapping[str, Any],
        sealed: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        actor: str | None = None,
    ) -> Step | None:
        """Adds a step and returns it; None where it would only happen after the demo's end."""
        # Drawn in any case, so that one step more or less moves no other.
        record_id = str(UUID(bytes=self._draw.randbytes(16), version=4))
        at = self._moment(slot)
        if slot >= len(self._slots):
            return None
        step = Step(slot, at, sender, type_, record_id, data, sealed or {}, actor)
        life.steps.append(step)
        return step

    def _moment(self, slot: int) -> datetime:
        before = timedelta(minutes=self._draw.randint(5, 230))
        return self._slots[min(slot, len(self._slots) - 1)] - before

    @staticmethod
    def _carrier(life: Life) -> str:
        return _CARRIER[life.stock.seller]
