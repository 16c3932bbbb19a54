"""Continuity: steps that are missing, or in an order or at a speed that cannot be; false numbers.

Each has a party whose step it was. Pure; thresholds are parameters.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from app.kit.clock import from_ms
from app.parties.identity import is_party_id
from app.trace.detectors.evidence import Discovery, Place, some_places
from app.trace.gaps import GapKind, pending, responsible_for
from app.trace.life_table import Happening, State, Step
from app.trace.sides import seller_of

# Clocks of a shop and of a carrier differ by as much as we let a sender's clock run ahead.
CLOCK_TOLERANCE = timedelta(minutes=5)
_BORDERS = (
    "11:12,13 12:13 13:14,15,21,37,41 14:15,41,61 15:21,22,23,61,62,64 21:22 22:23 31:32,33 "
    "32:33,34,37 33:34,35,36 34:36,37,41,42 35:36,44 36:42,43,44 37:41 41:42,61 42:43,50,61 "
    "43:44,45,50,52 44:45,46,81,82 45:52,53 50:51,52,61 51:52,53,54,61,62,63 52:53 53:54 54:63,65 "
    "61:62,64 62:63,64,65 63:65 81:82"
)
NEIGHBOURS = frozenset(
    frozenset((one, other))
    for one, others in (told.split(":") for told in _BORDERS.split())
    for other in others.split(",")
)
"""Provinces (GB/T 2260, two digits) with a common border, or a bridge or ferry across: there a courier
may well be quick."""
# Carriers give numbers again after a year or so; within half of one they do not.
WAYBILL_LIFE = timedelta(days=180)
_MS = timedelta(milliseconds=1)
_BACK = frozenset({"return", "refusal"})


@dataclass(frozen=True, slots=True)
class MissingStep:
    """Evidence: the step, the record (seq in the stream) that makes it due, and since when."""

    step: Step
    kind: GapKind
    seq: int
    since: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class ImpossibleOrder:
    """Evidence: a step that occurred before one that must come first; the seqs of both records."""

    first: Step
    first_seq: int
    first_at: datetime
    then: Step
    then_seq: int
    then_at: datetime


@dataclass(frozen=True, slots=True)
class TooFast:
    """Evidence: two records that put the goods into two provinces, `minutes` apart."""

    first_seq: int
    first_at: datetime
    first_region: str
    then_seq: int
    then_at: datetime
    then_region: str
    minutes: int
    at_least_minutes: int


@dataclass(frozen=True, slots=True)
class Oversold:
    """Evidence: how many of a lot were sold, how many it holds; the sales beyond, some of them."""

    holds: int
    sold: int
    beyond: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class SharedWaybill:
    """Evidence: two dispatches under one waybill. other_tail: its last four, where told."""

    dispatch: Place
    at: datetime
    other: Place
    other_at: datetime


@dataclass(frozen=True, slots=True)
class Parcel:
    """A dispatch under a waybill. buyer, order: digests by the keyed side index; None: not told."""

    place: Place
    sender: str
    at: datetime
    recorded_at: datetime
    buyer: bytes | None = None
    order: bytes | None = None


@dataclass(frozen=True, slots=True)
class LotSale:
    """The first sale of one unit or consignment of a lot. subject: "" or the consignment."""

    place: Place
    subject: str
    at: datetime


def find_missing_steps(state: State, now: datetime) -> tuple[Discovery, ...]:
    """Returns `continuity.missing_<step>` of every gap that counts by `now`, oldest due first."""
    return tuple(
        Discovery(
            f"continuity.missing_{gap.step}",
            gap.party,
            MissingStep(gap.step, gap.kind, gap.seq, gap.since, gap.due_at),
        )
        for gap in pending(state)
        if gap.due_at <= now
    )


def find_impossible_order(
    state: State, *, tolerance: timedelta = CLOCK_TOLERANCE
) -> tuple[Discovery, ...]:
    """Returns `continuity.impossible_order` if the goods were signed for before they were sent.

    Judged by what the senders say (`occurred_at`), apart by more than `tolerance`. A sale after the
    dispatch is none: paying on delivery and late binding of an order to a parcel are ordinary.
    """
    sent, signed = state.get("dispatch"), state.get("signature")
    if sent is None or signed is None:
        return ()
    sent_at, signed_at = from_ms(sent["at"]), from_ms(signed["at"])
    if signed_at >= sent_at - tolerance:
        return ()
    evidence = ImpossibleOrder(
        first="dispatch",
        first_seq=sent["seq"],
        first_at=sent_at,
        then="signature",
        then_seq=signed["seq"],
        then_at=signed_at,
    )
    key = f"{sent['seq']} {signed['seq']}"
    # What the seller itself said is not the carrier's to put right.
    seller = seller_of(state)
    party = seller if signed["actor"] == seller else responsible_for(state, "signature")
    return (Discovery("continuity.impossible_order", party, evidence, key),)


def find_too_fast(records: Iterable[Happening], *, at_least: timedelta) -> tuple[Discovery, ...]:
    """Returns `continuity.too_fast` if goods crossed provinces in less than `at_least`.

    Between neighbours it is `brushing.too_fast`, for a person: a courier may cross a border in an hour.
    records: of one life, corrected. Places are what dispatch (`from`), transit (`region`) and
    signature (the dispatch's `to`) tell, to the province; signed for before it was sent is another
    finding, and a place nobody told is none. The first such pair by time, once a cycle.
    """
    path, dispatch = _path_of(present_cycle(records))
    for (first, left), (then, reached) in pairwise(path):
        took = (then.occurred_ms - first.occurred_ms) * _MS
        if left[:2] == reached[:2] or took >= at_least:
            continue
        evidence = TooFast(
            first_seq=first.seq,
            first_at=first.occurred_at,
            first_region=left,
            then_seq=then.seq,
            then_at=then.occurred_at,
            then_region=reached,
            minutes=took // timedelta(minutes=1),
            at_least_minutes=at_least // timedelta(minutes=1),
        )
        teller = then.actor if is_party_id(then.actor) else dispatch.actor if dispatch else None
        key = f"{first.seq} {then.seq}"
        if frozenset((left[:2], reached[:2])) in NEIGHBOURS:
            return (Discovery("brushing.too_fast", teller, evidence, key, 30),)
        return (Discovery("continuity.too_fast", teller, evidence, key),)
    return ()


def find_oversold(
    sales: Iterable[LotSale], *, holds: int | None, party: str
) -> tuple[Discovery, ...]:
    """Returns `continuity.oversold` if more units and consignments of a lot were sold than it holds.

    holds: as registered; None: not told, so nothing is found. A unit sold again after it came back is
    one. A consignment counts as one at least, for how much it holds is not told.
    """
    if holds is None:
        return ()
    first: dict[tuple[str, str], LotSale] = {}
    for sale in sorted(sales, key=lambda one: (one.at, one.place)):
        first.setdefault((sale.place.stream, sale.subject), sale)
    if len(first) <= holds:
        return ()
    beyond = [sale.place for sale in [*first.values()][holds:]]
    evidence = Oversold(holds, len(first), some_places(beyond))
    return (Discovery("continuity.oversold", party, evidence),)


def find_shared_waybill(
    parcel: Parcel, others: Iterable[Parcel], *, within: timedelta = WAYBILL_LIFE
) -> tuple[Discovery, ...]:
    """Returns what is wrong with a parcel whose waybill stands on `others` that came before it.

    `continuity.waybill_reused` if the buyers are told and differ: the sender answers, or nobody by
    itself where the other parcel is another shop's, since one may have copied the other's number.
    `brushing.waybill_shared`, for a person, if only the orders differ: two orders of one buyer may
    well go in one parcel. Judged on the later record, so that either alone tells the same.
    """
    mine = (parcel.recorded_at, parcel.place)
    earlier = sorted(
        (one for one in others if (one.recorded_at, one.place) < mine),
        key=lambda one: (one.recorded_at, one.place),
    )
    found: list[Discovery] = []
    for other in earlier:
        if abs(parcel.at - other.at) > within:
            continue
        evidence = SharedWaybill(parcel.place, parcel.at, other.place, other.at)
        key = f"{parcel.place.seq} {other.place.stream} {other.place.seq}"
        if None not in (parcel.buyer, other.buyer):
            if parcel.buyer != other.buyer:
                party = parcel.sender if parcel.sender == other.sender else None
                return (Discovery("continuity.waybill_reused", party, evidence, key),)
        elif None not in (parcel.order, other.order) and parcel.order != other.order and not found:
            found.append(Discovery("brushing.waybill_shared", parcel.sender, evidence, key, 40))
    return tuple(found)


def present_cycle(records: Iterable[Happening]) -> Sequence[Happening]:
    """Returns the records of a life after it last came back, in order of seq."""
    ordered = sorted(records, key=lambda one: one.seq)
    ended = max((n for n, one in enumerate(ordered) if one.type in _BACK), default=-1)
    return ordered[ended + 1 :]


def correct(records: Iterable[Happening]) -> list[Happening]:
    """Returns the records with what their own actors corrected, in order of seq.

    Only what a correction may change in a life: words and places, never times or kinds.
    """
    told: dict[str, Happening] = {}
    for one in sorted(records, key=lambda one: one.seq):
        told[one.id] = one
        of = told.get(str(one.data.get("of"))) if one.type == "correction" else None
        changes = one.data.get("changes")
        if of is not None and of.actor == one.actor and isinstance(changes, dict):
            told[of.id] = of._replace(data={**of.data, **changes})
    return sorted(told.values(), key=lambda one: one.seq)


def _path_of(
    records: Sequence[Happening],
) -> tuple[list[tuple[Happening, str]], Happening | None]:
    """Returns where the goods were by what was told, in order of time; and the dispatch."""
    dispatch = next((one for one in reversed(records) if one.type == "dispatch"), None)
    # The carrier's own came after the seller's, and is the one that stands.
    signature = next((one for one in reversed(records) if one.type == "signature"), None)
    sent: dict[str, Any] = dict(dispatch.data) if dispatch else {}
    start = -1 if dispatch is None else dispatch.occurred_ms
    path = []
    for one in records:
        match one.type:
            case "dispatch":
                place = one.data.get("from") if one is dispatch else None
            case "transit":
                place = one.data.get("region")
            case "signature":
                place = sent.get("to") if one is signature else None
            case _:
                place = None
        if isinstance(place, str) and len(place) == 6 and one.occurred_ms >= start:
            path.append((one, place))
    return sorted(path, key=lambda at: (at[0].occurred_ms, at[0].seq)), dispatch
