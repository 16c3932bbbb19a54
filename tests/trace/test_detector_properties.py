"""Detectors are pure: the same facts give the same finding, in whatever order they arrived."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credit.loader import load_policy
from app.kit.canonical import check_canonical
from app.trace import detectors
from app.trace.custody import silent_feed, tell_custody
from app.trace.detectors import (
    Listed,
    LotSale,
    Parcel,
    Place,
    Reviewed,
    Scan,
    Sold,
    Usual,
    correct,
    find_changed_listings,
    find_expired_licences,
    find_oversold,
    find_shared_waybill,
)
from app.trace.detectors.continuity import NEIGHBOURS
from tests.trace.lives import CARRIER, DAY, HOUR, NOON, SHOP, event, live

MINUTE = timedelta(minutes=1)
AT = load_policy(1).detectors.thresholds
find_brushing = partial(detectors.find_brushing, terms=AT.brushing)
find_clone_suspicion = partial(detectors.find_clone_suspicion, thresholds=AT.clone)
find_unsent_scan = partial(detectors.find_unsent_scan, min_devices=AT.early_devices)
find_scattered_scans = partial(
    detectors.find_scattered_scans, cities=AT.scattered_cities, within=AT.scattered_within
)
find_too_fast = partial(detectors.find_too_fast, at_least=AT.fastest)
AGGREGATOR = "91440100MA4TE5T093"
UNIT = "01/06901234567892/21/A"
regions = st.sampled_from(["440100", "440300", "110100", "310100", None])
moments = st.integers(0, 20_000).map(lambda n: NOON + n * MINUTE)


def place(n: int, stream: str = UNIT) -> Place:
    return Place(f"{stream}{n}", 1, f"r{n}")


def shuffled(values: list, seed: int) -> list:
    values = [*values]
    Random(seed).shuffle(values)
    return values


# --- order of arrival ------------------------------------------------------------------------------

texts = st.sampled_from(
    ["", "好用好用好用好用好用好用!", "好用好用好用好用好用好用", "另一件商品写的另一段话很长很长"]
)


@st.composite
def reviews(draw):
    found = []
    for n in range(draw(st.integers(0, 40))):
        sold = draw(moments)
        signed = draw(st.none() | st.integers(0, 300).map(lambda m, s=sold: s + m * MINUTE))
        found.append(
            Reviewed(
                place(n), draw(st.sampled_from("12")), sold,
                (signed or sold) + draw(st.integers(-30, 200)) * MINUTE,
                draw(st.integers(1, 5)), signed, draw(st.none() | st.sampled_from([b"a", b"b"])),
                draw(texts), draw(st.integers(0, 1)),
            )
        )  # fmt: skip
    return found


@given(reviews(), st.integers())
def test_signs_of_brushing_do_not_depend_on_the_order_of_reviews(told, seed):
    usual = Usual(500, 60, 60)
    found = find_brushing(SHOP, "2026-11", told, usual)
    assert found == find_brushing(SHOP, "2026-11", shuffled(told, seed), usual)
    assert len({(one.kind, one.key) for one in found}) == len(found)
    for one in found:
        check_canonical(one.as_data())
        assert 0 < one.confidence < 100


@given(st.lists(st.tuples(st.integers(0, 8), moments, regions), max_size=30), st.integers())
def test_looks_are_judged_the_same_in_any_order(told, seed):
    scans = [Scan(bytes([device]), at, region) for device, at, region in told]
    state = live(
        event("sale"),
        event("dispatch", NOON + DAY, seq=2),
        event("signature", NOON + 2 * DAY, seq=3),
    )
    for detect in (
        lambda s: find_unsent_scan(state, s),
        lambda s: find_scattered_scans(state, s),
    ):
        assert detect(scans) == detect(shuffled(scans, seed))


@given(
    st.lists(st.tuples(st.integers(0, 5), moments), max_size=12), st.integers(0, 6), st.integers()
)
def test_what_is_sold_twice_is_counted_once(told, holds, seed):
    sales = [LotSale(place(n), "", at) for n, at in told]
    found = find_oversold(sales, holds=holds, party=SHOP)
    assert found == find_oversold(shuffled(sales + sales, seed), holds=holds, party=SHOP)
    assert bool(found) == (len({n for n, _ in told}) > holds)


@given(
    st.lists(st.tuples(moments, st.sampled_from([None, b"a", b"b"])), min_size=2, max_size=8),
    st.integers(),
)
def test_of_parcels_under_one_waybill_only_later_ones_are_told(told, seed):
    parcels = [Parcel(place(n), SHOP, at, at, buyer, b"o") for n, (at, buyer) in enumerate(told)]
    found = []
    for one in parcels:
        others = [other for other in parcels if other is not one]
        mine = find_shared_waybill(one, others)
        assert mine == find_shared_waybill(one, shuffled(others, seed))
        found += mine
    first = min(parcels, key=lambda one: (one.recorded_at, one.place))
    assert all(one.evidence.dispatch != first.place for one in found)
    buyers = {buyer for _, buyer in told if buyer is not None}
    near = max(at for at, _ in told) - min(at for at, _ in told) <= timedelta(days=180)
    if near:
        assert bool(found) == (len(buyers) > 1)


@given(
    st.lists(st.tuples(moments, st.sampled_from("abc")), max_size=8, unique_by=lambda t: t[0]),
    st.integers(),
)
def test_listings_and_licences_are_judged_the_same_in_any_order(told, seed):
    listings = [Listed(place(n), SHOP, "p", at, digest) for n, (at, digest) in enumerate(told)]
    sold = [at + MINUTE / 2 for at, _ in told]
    found = find_changed_listings(listings, sold)
    assert found == find_changed_listings(shuffled(listings, seed), shuffled(sold, seed))
    changes = [b for (_, a), (_, b) in zip(sorted(told), sorted(told)[1:], strict=False) if a != b]
    assert len(found) == len(changes)
    sales = [Sold(place(n), at, "food") for n, (at, _) in enumerate(told)]
    licences = [{"kind": "food_business", "valid_until": "2026-11-03"}]
    assert find_expired_licences(SHOP, licences, sales) == find_expired_licences(
        SHOP, licences, shuffled(sales, seed)
    )


# --- speed, and who held it ---------------------------------------------------------------------------


def trip(to: str, hours: float, **dispatch):
    data = {"carrier": CARRIER, "from": "441200", "to": to, **dispatch}
    return [
        event("sale"),
        event("dispatch", NOON, seq=2, data=data),
        event("signature", NOON + hours * HOUR, seq=3),
    ]


@pytest.mark.parametrize(
    ("to", "hours", "kind"),
    [
        ("110100", 1.9, "continuity.too_fast"),
        ("110100", 2, None),
        ("440100", 0.1, None),
        ("450100", 1, "brushing.too_fast"),
        (None, 0.1, None),
    ],
)
def test_only_another_province_and_less_than_two_hours_are_too_fast(to, hours, kind):
    found = find_too_fast(trip(to, hours))
    assert [one.kind for one in found] == ([] if kind is None else [kind])


def test_a_place_that_its_own_sender_corrected_is_judged_as_corrected():
    told = trip("110100", 1)
    fix = event(
        "correction", NOON + 2 * HOUR, seq=4, data={"of": told[1].id, "changes": {"to": "440300"}}
    )
    assert find_too_fast(told)
    assert find_too_fast(correct([*told, fix])) == ()
    assert find_too_fast(correct([*told, fix._replace(actor=CARRIER)]))


def test_transit_counts_and_a_former_cycle_does_not():
    told = [*trip("110100", 50), event("transit", NOON + HOUR, seq=4, data={"region": "510100"})]
    (found,) = find_too_fast(told)
    assert (found.party, found.evidence.then_seq) == (CARRIER, 4)
    assert find_too_fast([*told, event("return", NOON + 60 * HOUR, seq=5)]) == ()


def test_neighbours_are_mutual_and_of_the_mainland_all_but_none():
    provinces = {one for pair in NEIGHBOURS for one in pair}
    assert len(provinces) == 33
    assert all(len(pair) == 2 for pair in NEIGHBOURS)


def test_who_held_it_is_told_from_the_records():
    registered = event("registration", NOON - DAY, seq=0, data={"issuer": SHOP})
    told = [registered, *trip("110100", 50)]
    holdings = tell_custody(told)
    assert [(one.role, one.holder) for one in holdings] == [
        ("seller", SHOP), ("carrier", CARRIER), ("buyer", "buyer"),
    ]  # fmt: skip
    assert tell_custody(reversed(told)) == holdings


def test_a_feed_that_fell_silent_owes_the_signature_and_a_shops_word_excuses_nobody():
    told = [event("sale"), event("dispatch", NOON, seq=2)]
    abort = event(
        "transit",
        NOON + HOUR,
        seq=3,
        data={"status": "abort"},
        sender=AGGREGATOR,
        source="aggregator",
    )
    assert silent_feed([*told, abort]) == AGGREGATOR
    moved = event("transit", NOON + 2 * HOUR, seq=4)
    assert silent_feed([*told, abort, moved]) is None
    assert silent_feed([*told, abort, event("signature", NOON + DAY, seq=5)]) is None
    assert silent_feed([*told, abort._replace(source="merchant")]) is None
