"""A seller's listings as one fact: bounded whatever is sent, and nothing but what the records say."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from app.trace.listings import (
    MOST_LATE,
    MOST_LIVE,
    Told,
    fold_listing,
    listings_since,
    live_listing,
)


def told(seq: int, place: str = "x", **more) -> Told:
    given = {"at": seq * 10, "recorded": seq * 10, "ended": False, "independent": False} | more
    return Told(place, seq, **given)


def fold(*records: Told) -> dict:
    fact: dict = {}
    for record in records:
        fact = orjson.loads(orjson.dumps(fold_listing(fact, record), option=orjson.OPT_SORT_KEYS))
    return fact


def test_the_oldest_live_listing_gives_way_to_one_more():
    fact = fold(*(told(seq, f"p{seq}") for seq in range(MOST_LIVE + 2)))
    assert sorted(one["seq"] for one in fact["live"].values()) == [*range(2, MOST_LIVE + 2)]
    # Said again it is the newest, and takes nobody's place.
    again = fold_listing(fact, told(99, "p2"))
    assert again["live"].keys() == fact["live"].keys()
    assert fold_listing(again, told(100, "new"))["live"].keys() >= {"p2", "new"}


def test_what_ended_is_kept_no_longer_and_ends_what_is_not_there_without_harm():
    fact = fold(told(0, "a"), told(1, "b"), told(2, "a", ended=True), told(3, "c", ended=True))
    assert fact["live"].keys() == {"b"}
    assert live_listing(fold(told(0), told(1, ended=True))) is None
    assert live_listing({}) is None


def test_a_sale_refers_to_the_newest_listing_that_another_vouches_for():
    assert live_listing(fold(told(0, "a"), told(1, "b")))["seq"] == 1
    assert live_listing(fold(told(0, "a", independent=True), told(1, "b")))["seq"] == 0


def test_a_late_listing_closes_gaps_after_it_ended_too():
    fact = fold(told(0, at=-500, recorded=0), told(1, ended=True))
    assert [one["at"] for one in listings_since(fact, 0)] == [-500]
    assert list(listings_since(fact, 1)) == []


def test_a_late_listing_outlasts_all_that_close_no_gap():
    fact = fold(told(0, at=-500, recorded=0), *(told(n, f"p{n}") for n in range(1, 200)))
    assert [one["seq"] for one in fact["late"]][:1] == [0]


@given(
    st.lists(
        st.tuples(
            st.text(max_size=3) | st.integers(0, 90).map(lambda n: "https://a.example/" + "x" * n),
            st.integers(-1000, 1000),
            st.booleans(),
        ),
        max_size=200,
    )
)
def test_the_fact_stays_small_and_in_order(listings):
    records = [
        told(seq, place, at=at, ended=ended) for seq, (place, at, ended) in enumerate(listings)
    ]
    fact = fold(*records)
    live, late = fact.get("live", {}), fact.get("late", [])
    assert len(live) <= MOST_LIVE
    assert len(late) <= MOST_LATE
    seqs = [one["seq"] for one in late]
    assert seqs == sorted(seqs)
    assert len(orjson.dumps(fact)) < 16 * 1024
    offered = {record.place: record for record in records}
    standing = {record.seq for record in offered.values() if not record.ended}
    assert {one["seq"] for one in live.values()} <= standing
    assert len(live) == min(len(standing), MOST_LIVE) or len(listings) > MOST_LIVE
