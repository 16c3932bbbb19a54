"""What was sold by day: it follows every life, ranking reads it, and who alters it is found."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from app.kit.clock import to_ms
from app.trace.soldstore import day_named, day_of, days_apart, put_right
from tests.web.conftest import CARRIER, PLATFORM
from tests.web.market import GTIN, PRODUCT
from tests.web.test_audits_api import audit, findings

CHINA = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def shop(market) -> str:
    """A merchant without a past that lists the product."""
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    market.send(party, PRODUCT, "listing", {"platform": PLATFORM}, hours=-5_000)
    return party


def offer(market, shop: str):
    found = market.rooms.ranking.find(shop, GTIN)
    assert found is not None
    return found[0]


def apart(market, shop: str) -> dict:
    with market.rooms.database.read() as connection:
        return days_apart(connection, shop)


def test_days_follow_a_life_through_sale_return_and_second_sale(market, shop):
    unit, other = (one.code for one in market.issue(2, by=shop))
    lot = f"01/{GTIN}/10/SD-{shop[-5:-1]}"
    body = {"gtin": GTIN, "lot": lot.rpartition("/")[2]}
    market.ask("POST", "/api/v1/lots", body, token=market.keys[shop], status=201)
    told = [
        (shop, unit, "sale", {}, -50),
        (shop, other, "sale", {}, -49),
        (shop, lot, "sale", {"consignment": "a"}, -48),
        (shop, unit, "dispatch", {"carrier": CARRIER, "to": "440100"}, -40),
        (CARRIER, unit, "refusal", {"reason": "not ordered"}, -20),
        (shop, unit, "sale", {}, -10),
        (shop, unit, "return", {"reason": "cancelled"}, -2),
    ]
    for by, code, type_, data, hours in told:
        market.send(by, code, type_, data, hours=hours)
        assert apart(market, shop) == {}, type_
    assert offer(market, shop).sold == 4
    # Nobody sent the other two: their gaps count once their time has come.
    assert offer(market, shop).sold_without_open_gap == 4
    market.clock.advance(8 * 86_400)
    assert offer(market, shop).sold_without_open_gap == 2


def test_a_listing_that_heals_a_sale_closes_its_gap_on_its_day(market):
    party = market.newcomer()
    unit = market.one(by=party).code
    market.send(party, unit, "sale", {}, hours=-3)
    market.send(party, PRODUCT, "listing", {"platform": "示例平台"}, hours=-4)
    market.work()
    assert apart(market, party) == {}


def test_the_window_begins_with_the_day_that_it_reaches_back_into(market, shop):
    days = market.rooms.credit.policy.ranking.window_days
    now = market.clock.now()
    first = (now - timedelta(days=days)).astimezone(CHINA).replace(hour=0, minute=0, second=0)
    begins = (now - first).total_seconds() / 3600
    for code, hours in zip(market.issue(2, by=shop), (begins - 0.01, begins + 0.01), strict=True):
        market.send(shop, code.code, "sale", {}, hours=-hours)
    assert offer(market, shop).sold == 1


ALTERED = {
    "more": "UPDATE sold_day SET units = units + 1, steps = steps + 9 WHERE seller = ?",
    "whole": "UPDATE sold_day SET gaps = gaps - 1 WHERE seller = ?",
    "gone": "DELETE FROM sold_day WHERE seller = ?",
}


@pytest.mark.parametrize("how", ALTERED)
def test_an_altered_day_is_a_finding_and_reindex_counts_it_again(market, shop, how):
    market.send(shop, market.one(by=shop).code, "sale", {}, hours=-3)
    named = f"sold_day.{GTIN}.{day_named(day_of(to_ms(market.clock.now()) - 3 * 3_600_000))}"
    market.work()
    audit(market, "all")
    assert columns(market, shop) == []
    market.tamper(ALTERED[how], shop)
    audit(market, "all")
    assert columns(market, shop) == [named]
    with market.rooms.database.write() as connection:
        assert put_right(connection) == 1
    assert apart(market, shop) == {}


def columns(market, party: str) -> list[str]:
    return [
        found["evidence"]["column"]
        for found in findings(market, "&kind=index&status=open")
        if found["stream"] == f"party/{party}"
    ]
