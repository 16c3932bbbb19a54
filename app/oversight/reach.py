"""How far a recall has come: one line for each of the goods, and what their lines add up to. Pure.

Everything is read off records: the life of the goods, notices and words of buyers since the recall,
returns and voids. Nobody's promise counts, and nothing is estimated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from app.trace.life_shape import is_recalls
from app.trace.life_table import STATES
from app.trace.sides import seller_of

Way = Literal["contact", "platform", "order", "complaint"]
WAYS: Final[tuple[Way, ...]] = ("contact", "platform", "order", "complaint")
"""How a buyer can be reached, as the records have it: a sealed section about the buyer or the recipient;
the platform of the sale, where it is a party; a sealed order number, by which the seller finds its buyer;
a complaint, whose ticket the buyer reads."""

OUT: Final = frozenset({"sold", "in_transit", "signed"})
"""States of goods that are with a buyer, or on their way to one."""
UNREADABLE: Final = "unreadable"
"""In place of a state: what stands there is no life; the audit says why."""

Mark = tuple[int, int | None]
"""Since when goods are recalled and, where that is over, until when, in ms."""


class Seen(NamedTuple):
    """What is known of the buyer of goods that are out.

    told: a notice stands in their own chain since the recall. heard: the buyer has sent a record since.
    opened: somebody has opened their page since, who need not be the buyer.
    """

    ways: tuple[Way, ...] = ()
    told: bool = False
    heard: bool = False
    opened: bool = False


UNSEEN: Final = Seen()


class Goods(NamedTuple):
    """A unit, or a consignment of a lot (`01/…/10/…#consignment/…`). returned, voided: since the recall."""

    name: str
    state: str
    lot: str | None = None
    holder: str | None = None
    seller: str | None = None
    platform: str | None = None
    sold_at: int | None = None
    mark: Mark | None = None
    seen: Seen = UNSEEN
    returned: bool = False
    voided: bool = False

    @property
    def is_out(self) -> bool:
        """Whether it is with a buyer, or on its way to one."""
        return self.state in OUT

    @property
    def is_reached(self) -> bool:
        """Whether records show that the recall has come to who had it."""
        return self.returned or (self.is_out and (self.seen.told or self.seen.heard))


class Channel(NamedTuple):
    """Who sold, and on which platform (a party, a text, or None: none was told)."""

    seller: str
    platform: str | None


@dataclass(slots=True)
class Tally:
    """Sums over goods.

    since: of the earliest recall that holds, or did; until: of the last that was lifted. ways: of goods
    that are out, each counted for every way it has. silent: those that have none.
    """

    count: int = 0
    consignments: int = 0
    states: Counter[str] = field(default_factory=Counter)
    holders: dict[str, Counter[str]] = field(default_factory=dict)
    channels: Counter[Channel] = field(default_factory=Counter)
    ways: Counter[Way] = field(default_factory=Counter)
    silent: int = 0
    recalled: int = 0
    since: int | None = None
    until: int | None = None
    returned: int = 0
    voided: int = 0
    told: int = 0
    heard: int = 0
    opened: int = 0
    concerned: int = 0
    """How many the recall has, or had, to fetch from buyers: recalled and out, or returned since."""
    reached: int = 0

    def add(self, one: Goods, count: int = 1) -> None:
        """Counts goods, and so many that are like them."""
        self.count += count
        self.consignments += count if "#" in one.name else 0
        self.states[one.state] += count
        if one.holder is not None:
            held = self.holders.get(one.holder)
            if held is None:
                held = self.holders[one.holder] = Counter()
            held[one.state] += count
        if one.mark is not None:
            since, until = one.mark
            self.since = since if self.since is None else min(self.since, since)
            if until is None:
                self.recalled += count
            else:
                self.until = max(until, self.until or until)
        self.returned += one.returned * count
        self.voided += one.voided * count
        self.concerned += (one.returned or (one.is_out and one.mark is not None)) * count
        self.reached += one.is_reached * count
        if one.is_out:
            self._add_buyer(one, count)

    def _add_buyer(self, one: Goods, count: int) -> None:
        self.channels[Channel(one.seller or "", one.platform)] += count
        for way in one.seen.ways:
            self.ways[way] += count
        self.silent += 0 if one.seen.ways else count
        self.told += one.seen.told * count
        self.heard += one.seen.heard * count
        self.opened += one.seen.opened * count

    @property
    def out(self) -> int:
        """How many are with buyers, or on their way to them."""
        return sum(self.states[state] for state in OUT)

    @property
    def contactable(self) -> int:
        """How many of those that are out have a buyer who can be reached in some way."""
        return self.out - self.silent

    @property
    def confirmed(self) -> int:
        """How many are back, or ended, since the recall."""
        return self.returned + self.voided

    @property
    def percent(self) -> float | None:
        """The reach: of a hundred concerned so many were reached; None: nothing is recalled, or out."""
        if not self.concerned:
            return None
        # Rounded down: a hundred is said only where nobody is left.
        return self.reached * 1000 // self.concerned / 10

    def by_holder(self) -> list[tuple[str, Counter[str]]]:
        """Returns who holds or sold how many in which state, the most first."""
        return sorted(self.holders.items(), key=lambda one: (-one[1].total(), one[0]))

    def by_channel(self) -> list[tuple[Channel, int]]:
        """Returns by whom, and where, how many of those that are out were sold, the most first."""
        return sorted(
            self.channels.items(), key=lambda one: (-one[1], one[0].seller, one[0].platform or "")
        )


def mark_of(*states: Mapping[str, Any]) -> Mark | None:
    """Returns what the recalls in these states come to, of unit, lot and product.

    The earliest that holds; of none that holds, the one that was lifted last.
    """
    entries = [entry for state in states for entry in _recalls(state)]
    held = [entry["since"] for entry in entries if "until" not in entry]
    if held:
        return min(held), None
    lifted = max(entries, key=lambda entry: entry["until"], default=None)
    return None if lifted is None else (lifted["since"], lifted["until"])


def _recalls(state: Mapping[str, Any]) -> list[Mapping[str, int]]:
    told = state.get("recalls", {})
    # What a hand has put there instead recalls nothing; the audit says so.
    return [*told.values()] if is_recalls(told) else []


def read_goods(
    name: str, life: Mapping[str, Any], mark: Mark | None, seen: Seen, *, recorded_at: int
) -> Goods:
    """Returns what a life tells of goods. recorded_at: of their last record, ms.

    Raises KeyError, TypeError, ValueError or AttributeError for what is no life.
    """
    state = life["state"]
    if state not in STATES:
        raise ValueError(state)
    since = None if mark is None else mark[0]
    closed, sale = life.get("closed"), life.get("sale")
    returned = since is not None and closed is not None and closed["at"] >= since
    # Nothing follows `void`: the last record is it.
    ended = since is not None and state == "void" and recorded_at >= since
    return Goods(
        name,
        state,
        life.get("lot"),
        life["holder"],
        seller_of(life) if closed or state in OUT else None,
        sale.get("platform") if sale else None,
        sale["at"] if sale else None,
        mark,
        seen,
        returned,
        ended and not returned,
    )


def ways_of(life: Mapping[str, Any], kept: int, *, by_party: bool) -> tuple[Way, ...]:
    """Returns how the buyer of goods that are out can be reached.

    kept: what the records of this sale still keep sealed: 1 a section about the buyer or the recipient,
    2 an order number, 3 both. by_party: the platform is one.
    """
    # Of goods that were sold before, a complaint may be the former buyer's.
    complained = bool(life.get("complaints")) and life.get("cycle") == 1
    return _ways(bool(kept & 1), by_party, bool(kept & 2), complained)


@lru_cache(maxsize=16)
def _ways(*has: bool) -> tuple[Way, ...]:
    return tuple(way for way, there in zip(WAYS, has, strict=True) if there)
