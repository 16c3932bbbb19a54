"""Lives, looks and conduct made up from a seed, honest and dishonest, with what a detector says of each.

Synthetic throughout: how often the honest do what looks wrong (a shop that tries its labels, couriers
across a provincial border, a household with four telephones) and how the dishonest go about it are our
assumptions, written beside each number. They show where a detector errs, not how often it will.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

from app.credit.loader import load_policy
from app.kit.clock import to_ms
from app.trace.detectors import (
    Listed,
    LotSale,
    Parcel,
    Place,
    Scan,
    Sold,
    find_changed_listings,
    find_clone_suspicion,
    find_early_scan,
    find_expired_licences,
    find_impossible_order,
    find_missing_steps,
    find_oversold,
    find_scattered_scans,
    find_shared_waybill,
    find_too_fast,
    find_unsent_scan,
)
from app.trace.gaps import Graces
from app.trace.life_table import Happening
from app.trace.lifecycle import begin, fold

AT = load_policy(1).detectors.thresholds
SHOP, CARRIER = "91441200MA4TE5T00Q", "92441202MA4TE5T01M"
START = datetime(2026, 1, 5, 2, tzinfo=UTC)
GRACES = Graces(late=timedelta(hours=24), dispatch=timedelta(days=7), signature=timedelta(days=15))
CITIES = ("440100", "440300", "441200", "110100", "310100", "330100", "420100", "510100", "610100")
Case = tuple[bool, bool]
"""Whether something was planted, and whether the detector spoke."""

_COUNT = 4_000


def minutes(n: float) -> timedelta:
    """Returns so many minutes, to the second."""
    return timedelta(seconds=round(60 * n))


def event(type_: str, at: datetime, seq: int, **data: object) -> Happening:
    """Returns a record of a life, told when it occurred."""
    actor = CARRIER if type_ in ("transit", "signature") else SHOP
    source = "carrier" if actor == CARRIER else "merchant"
    ms = to_ms(at)
    return Happening(seq, f"r{seq}", type_, actor, actor, source, ms, ms, data, listed=True)


def life(*events: Happening) -> dict[str, object]:
    """Returns the state after these records."""
    state = begin(SHOP, lot="L")
    for one in events:
        state = fold(state, one, GRACES)
    return state


def place(n: int, seq: int = 1) -> Place:
    """Returns a record's place on the n-th unit."""
    return Place(f"01/06901234567892/21/{n:09d}", seq, f"{n}-{seq}")


def missing_steps(random: Random) -> Iterator[Case]:
    """Yields lives for `missing_steps`, as its assumption says."""
    for _ in range(_COUNT):
        left_out = random.random() < 0.03
        skipped = random.choice(("dispatch", "signature")) if left_out else None
        records = [event("sale", START, 1)]
        late = minutes(60 * random.uniform(2, 23)) if random.random() < 0.05 else minutes(0)
        if skipped != "dispatch":
            sent = START + minutes(60 * random.uniform(2, 120))
            told = event("dispatch", sent, 2, carrier=CARRIER)
            records.append(told._replace(recorded_ms=to_ms(sent + late)))
            if skipped != "signature":
                records.append(event("signature", sent + minutes(60 * random.uniform(6, 300)), 3))
        yield left_out, bool(find_missing_steps(life(*records), START + timedelta(days=40)))


def impossible_order(random: Random) -> Iterator[Case]:
    """Yields lives for `impossible_order`, as its assumption says."""
    for _ in range(_COUNT):
        planted, at_once = random.random() < 0.02, random.random() < 0.02
        sent = START + timedelta(days=1)
        if planted:
            signed = sent - minutes(random.uniform(1, 300))
        elif at_once:
            signed = sent + minutes(random.uniform(0, 10) + random.gauss(0, 3))
        else:
            signed = sent + minutes(60 * random.lognormvariate(3.6, 0.5))
        state = life(
            event("sale", START, 1),
            event("dispatch", sent, 2, carrier=CARRIER),
            event("signature", signed, 3),
        )
        yield planted, bool(find_impossible_order(state))


def too_fast(random: Random) -> Iterator[Case]:
    """Yields lives for `too_fast`, as its assumption says."""
    for _ in range(_COUNT):
        planted = random.random() < 0.02
        start, end = random.sample(CITIES, 2)
        sent = START + timedelta(days=1)
        if planted:
            signed = sent + minutes(random.uniform(5, 360))
        elif random.random() < 0.003:
            start, end = random.choice((("110100", "131000"), ("310100", "320500")))
            signed = sent + minutes(random.uniform(60, 150))
        else:
            signed = sent + minutes(60 * max(4.0, random.lognormvariate(3.6, 0.5)))
        known = random.random() < 0.9  # one in ten shops does not tell where it sends from
        told = {"from": start, "to": end} if known else {"to": end}
        records = [
            event("sale", START, 1),
            event("dispatch", sent, 2, carrier=CARRIER, **told),
            event("signature", signed, 3),
        ]
        yield (
            planted,
            {"continuity.too_fast"}
            == {one.kind for one in find_too_fast(records, at_least=AT.fastest)},
        )


def waybill_reused(random: Random) -> Iterator[Case]:
    """Yields lives for `waybill_reused`, as its assumption says."""
    for n in range(_COUNT):
        planted = random.random() < 0.05
        combined = not planted and random.random() < 0.1
        if not planted and not combined:
            yield False, False
            continue
        same = combined and random.random() >= 0.02
        first, second = b"a", b"a" if same else b"b"
        named = combined or random.random() >= 0.1
        one = Parcel(place(n), SHOP, START, START, first if named else None, b"o1")
        two = START + timedelta(days=random.uniform(0, 30))
        other = Parcel(place(n + 1), SHOP, two, two, second if named else None, b"o2")
        kinds = {found.kind for found in find_shared_waybill(other, [one])}
        yield planted, "continuity.waybill_reused" in kinds


def oversold(random: Random) -> Iterator[Case]:
    """Yields lives for `oversold`, as its assumption says."""
    for n in range(1_000):
        planted = random.random() < 0.05
        holds = random.randint(20, 60)
        sold = holds + random.randint(1, 20) if planted else random.randint(1, holds)
        told: int | None = holds // 10 if random.random() < 0.003 else holds
        if random.random() < 0.2:
            told = None
        sales = [LotSale(place(1000 * n + k), "", START + minutes(k)) for k in range(sold)]
        random.shuffle(sales)
        yield planted, bool(find_oversold(sales, holds=told, party=SHOP))


def _scans(random: Random, count: int, start: datetime, days: float, cities: int = 1) -> list[Scan]:
    places = random.sample(CITIES, min(cities, len(CITIES)))
    return [
        Scan(
            random.randbytes(8),
            start + timedelta(days=random.uniform(0, days)),
            random.choice(places) if random.random() < 0.7 else None,
        )
        for _ in range(count)
    ]


def _few(random: Random, mean: float) -> int:
    """Returns a number as chance spreads single looks: many times nothing, seldom many."""
    return sum(random.random() < mean / 20 for _ in range(20))


def clone_suspected(random: Random) -> Iterator[Case]:
    """Yields lives for `clone_suspected`, as its assumption says."""
    for _ in range(_COUNT):
        planted = random.random() < 0.02
        scans = _scans(random, _few(random, 0.7), START, 60)
        if planted:
            scans += _scans(random, random.randint(2, 20), START, random.uniform(1, 60), 6)
        elif random.random() < 0.02:
            scans += _scans(random, random.randint(2, 4), START + timedelta(days=3), 1)
        yield planted, bool(find_clone_suspicion(scans, thresholds=AT.clone))


def scanned_before_sale(random: Random) -> Iterator[Case]:
    """Yields lives for `scanned_before_sale`, as its assumption says."""
    for _ in range(_COUNT):
        planted = random.random() < 0.02
        chance = random.random()
        tried = 2 if chance < 0.005 else 1 if chance < 0.1 else 0
        scans = _scans(random, tried, START - timedelta(days=5), 4)
        if planted:
            scans += _scans(random, random.randint(1, 6), START - timedelta(days=20), 19)
        state = life(event("sale", START, 1))
        yield planted, bool(find_early_scan(state, scans, min_devices=AT.early_devices))


def scanned_before_dispatch(random: Random) -> Iterator[Case]:
    """Yields lives for `scanned_before_dispatch`, as its assumption says."""
    for _ in range(_COUNT):
        planted = random.random() < 0.01
        chance = random.random()
        tried = 2 if chance < 0.004 else 1 if chance < 0.08 else 0
        sent = START + timedelta(days=2)
        scans = _scans(random, tried, sent - timedelta(hours=3), 0.1)
        if planted:
            scans += _scans(random, random.randint(1, 6), START, 2)
        state = life(event("sale", START, 1), event("dispatch", sent, 2, carrier=CARRIER))
        yield planted, bool(find_unsent_scan(state, scans, min_devices=AT.early_devices))


def scanned_across_cities(random: Random) -> Iterator[Case]:
    """Yields lives for `scanned_across_cities`, as its assumption says."""
    for _ in range(_COUNT):
        planted = random.random() < 0.02
        sent, signed = START + timedelta(days=1), START + timedelta(days=4)
        scans = _scans(random, _few(random, 0.6), signed, 40)
        if planted:
            scans += _scans(
                random, random.randint(2, 12), signed, random.uniform(1, 14), random.randint(2, 6)
            )
        elif random.random() < 0.002:
            scans += _scans(random, random.randint(2, 4), signed, 6, random.randint(2, 3))
        state = life(
            event("sale", START, 1),
            event("dispatch", sent, 2, carrier=CARRIER),
            event("signature", signed, 3),
        )
        found = find_scattered_scans(
            state, scans, cities=AT.scattered_cities, within=AT.scattered_within
        )
        yield planted, bool(found)


def expired_selling(random: Random) -> Iterator[Case]:
    """Yields lives for `expired_selling`, as its assumption says."""
    for n in range(_COUNT):
        planted = random.random() < 0.03
        until = START.date() + timedelta(days=random.randint(1, 300))
        sold = START + timedelta(days=random.randint(0, 300))
        if planted:
            sold = START + timedelta(days=(until - START.date()).days + random.randint(1, 90))
        elif sold.date() >= until and random.random() < 0.97:
            until = sold.date() + timedelta(days=365)
        licences = [{"kind": "food_business", "valid_until": until.isoformat()}]
        found = find_expired_licences(SHOP, licences, [Sold(place(n), sold, "food")])
        yield planted, bool(found)


def content_changed(random: Random) -> Iterator[Case]:
    """Yields lives for `content_changed`, as its assumption says."""
    for n in range(_COUNT):
        planted = random.random() < 0.02
        chance = random.random()
        first = Listed(place(n, 1), SHOP, "p", START, "a" * 64)
        then = Listed(place(n, 2), SHOP, "p", START + timedelta(days=9), "b" * 64)
        changed = planted or chance < 0.3
        sold = [START + timedelta(days=3)] if planted or chance < 0.15 else []
        listings = [first, then] if changed else [first]
        yield planted, bool(find_changed_listings(listings, sold))


@dataclass(frozen=True, slots=True)
class Made:
    """make: yields the cases. assumed: what is planted and what the honest do, for the docs."""

    make: Callable[[Random], Iterator[Case]]
    assumed: str


LIVES: Mapping[str, Made] = {
    "continuity.missing_…": Made(
        missing_steps,
        "3 in 100 shops or carriers leave a step out; 5 in 100 tell one late, but within "
        "its grace.",
    ),
    "continuity.impossible_order": Made(
        impossible_order,
        "2 in 100 forge a signature up to five hours before the dispatch; 2 in 100 are "
        "fetched at once, with clocks three minutes apart (standard deviation).",
    ),
    "continuity.too_fast": Made(
        too_fast,
        "2 in 100 forge a signature within six hours of the dispatch, anywhere; 3 in 1000 "
        "honest parcels cross into a neighbouring province by a courier in one to two and "
        "a half hours.",
    ),
    "continuity.waybill_reused": Made(
        waybill_reused,
        "5 in 100 pairs of parcels share a number by fraud, of which one in ten names no "
        "buyer; of 10 in 100 honest pairs, two orders in one parcel, 2 in 100 spell the "
        "one buyer differently.",
    ),
    "continuity.oversold": Made(
        oversold,
        "5 in 100 lots are sold beyond what they hold, by up to 20; one in five shops "
        "tells no quantity, and 3 in 1000 honest ones mistype it to a tenth.",
    ),
    "identity.clone_suspected": Made(
        clone_suspected,
        "2 in 100 labels are copied and looked up by 2 to 20 devices over up to 60 days; "
        "of the honest ones a device looks on average at two in three within 60 days, and "
        "2 in 100 households show theirs around to two to four on one day.",
    ),
    "identity.scanned_before_sale": Made(
        scanned_before_sale,
        "2 in 100 labels are copied before the sale and looked up by 1 to 6 devices; of "
        "honest shops 10 in 100 try a label with one device and 5 in 1000 with two.",
    ),
    "identity.scanned_before_dispatch": Made(
        scanned_before_dispatch,
        "1 in 100 labels are copied and looked up by 1 to 6 devices before the goods are "
        "sent; 8 in 100 shops try the label while packing, 4 in 1000 with two devices.",
    ),
    "identity.scanned_across_cities": Made(
        scanned_across_cities,
        "2 in 100 labels are copied and looked up by 2 to 12 devices in 2 to 6 cities "
        "over up to 14 days; 2 in 1000 honest goods travel through two or three. Of three "
        "looks in ten the city is not known.",
    ),
    "licence.expired_selling": Made(
        expired_selling,
        "3 in 100 sellers go on after their licence ran out; of 40 in 100 whose licence "
        "is renewed, 3 in 100 tell the service of it too late.",
    ),
    "listing.content_changed": Made(
        content_changed,
        "2 in 100 listings are changed to other goods after sales; 15 in 100 are improved "
        "after sales, and 15 in 100 before the first.",
    ),
}
"""What is made for each detector of lives, looks and conduct."""
