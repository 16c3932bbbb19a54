"""The way of the goods as places."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.web.pages.journey import Stop, days_between, stops_of
from app.web.pages.views import Step

START = datetime(2026, 11, 20, 8, tzinfo=UTC)


def step(type_: str, *regions: str, days: float = 0, **more) -> Step:
    return Step(type=type_, regions=regions, occurred_at=START + timedelta(days=days), **more)


SALE = step("sale", "440100", days=-1)
SENT = step("dispatch", "441200", "440100")
SIGNED = step("signature", days=2.5)


def places(*steps: Step) -> list[tuple[str, str]]:
    return [(stop.place, stop.state) for stop in stops_of(steps)]


def test_a_journey_leads_from_where_it_left_to_where_it_came():
    passed = step("transit", "440600", days=1)
    assert places(SALE, SENT, passed, SIGNED) == [
        ("441200", "left"), ("440600", "passed"), ("440100", "arrived"),
    ]  # fmt: skip
    assert days_between(stops_of((SALE, SENT, passed, SIGNED))) == 2


def test_of_two_signatures_the_one_that_stands_is_drawn():
    early = step("signature", days=1, outweighed=True)
    assert days_between(stops_of((SALE, SENT, early, SIGNED))) == 2
    assert stops_of((SALE, SENT, early, SIGNED)) == stops_of((SALE, SENT, SIGNED))


def test_what_is_on_its_way_is_awaited():
    stops = stops_of((SALE, SENT))
    assert stops == (Stop("441200", "left", START), Stop("440100", "awaited", None))
    assert days_between(stops) is None


def test_records_that_came_late_stand_where_they_belong():
    passed = step("transit", "440600", days=1)
    assert places(SIGNED, passed, SENT, SALE) == places(SALE, SENT, passed, SIGNED)


def test_a_place_seen_twice_in_a_row_is_one():
    hub = [step("transit", "440100", days=1), step("transit", "440103", days=2)]
    assert places(SENT, *hub, SIGNED) == [("441200", "left"), ("440100", "arrived")]


def test_what_no_record_names_is_not_drawn():
    assert stops_of((SALE, step("dispatch"), step("signature", days=1))) == ()
    assert stops_of((SALE,)) == ()
    assert stops_of(()) == ()


def test_neither_an_earlier_life_nor_a_broken_record_is_part_of_it():
    before = step("transit", "310100", days=0.5, earlier=True)
    forged = step("transit", "110100", days=0.7, status="broken")
    assert places(SALE, SENT, before, forged, SIGNED) == [
        ("441200", "left"), ("440100", "arrived"),
    ]  # fmt: skip


def test_of_many_places_the_first_and_the_last_are_drawn():
    many = [step("transit", f"{n}0100", days=n / 10) for n in range(31, 40)]
    drawn = places(SENT, *many, step("signature", days=9))
    assert len(drawn) == 6
    assert (drawn[0], drawn[-1]) == (("441200", "left"), ("440100", "arrived"))
