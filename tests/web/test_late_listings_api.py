"""A listing told after the sale: it heals what was missing, and what is healed stays so."""

from __future__ import annotations

import pytest

from app.ledger.bundle import verify_bundle_bytes
from tests.web.conftest import AUTHORITY, CARRIER
from tests.web.market import PRODUCT

F = "/api/v1/findings"
DAY = 86400
PLACE = "示例平台"


@pytest.fixture
def seller(market) -> str:
    return market.newcomer()


def sold_unlisted(market, seller: str, *, hours: float = -1):
    (unit,) = market.issue(by=seller)
    market.send(seller, unit.code, "sale", {"region": "440100"}, hours=hours)
    assert look(market, unit) == ("intact", ["provisional_gap"])
    return unit


def list_late(market, seller: str, *, hours: float = -2, code: str = PRODUCT, **data) -> None:
    market.send(seller, code, "listing", {"platform": PLACE, **data}, hours=hours)
    market.work()


def end_listing(market, seller: str) -> None:
    market.clock.advance(1)
    market.send(seller, PRODUCT, "listing", {"platform": PLACE, "ended": True}, hours=0)
    market.work()


def look(market, unit) -> tuple[str, list[str]]:
    shown = market.ask("GET", unit.path)
    return shown["verdict"], shown["warnings"]


def ship(market, seller: str, unit) -> None:
    market.send(seller, unit.code, "dispatch", {"carrier": CARRIER}, hours=0)
    market.send(CARRIER, unit.code, "signature", {"kind": "in_person"}, hours=0)
    market.work()


def check_sound(market, seller: str, unit) -> None:
    """The chain is whole and charged with nothing, whoever looks, audits, or waits."""
    token = market.keys[AUTHORITY]
    assert look(market, unit) == ("intact", [])
    shown = market.ask("GET", f"{unit.path}/verification")
    assert "listing" not in {gap["step"] for gap in shown["pending"]}
    assert shown["findings"] == []
    for scope in ({"code": unit.code}, {"party": seller}):
        job = market.ask("POST", "/api/v1/audits", {"scope": scope}, token=token, status=202)
        market.work()
        assert market.ask("GET", f"/api/v1/audits/{job['id']}", token=token)["findings"] == 0
    assert market.ask("GET", f"{F}?party={seller}", token=token)["items"] == []
    # So whoever checks the evidence without us finds the listing in it.
    raw = market.call("GET", f"{unit.path}/evidence").content
    told = verify_bundle_bytes(raw, vkey=market.call("GET", "/log/key").text).as_json()
    assert (told["verdict"], told["steps"][0]["status"]) == ("matches", "there")
    assert market.ask("GET", f"/api/v1/credit/{seller}")["score"] >= 700


def wait(market, days: float) -> None:
    market.clock.advance(days * DAY)
    market.work()


LATER = {
    "nothing": lambda market, seller, unit: None,
    "dispatch and signature": ship,
    "the listing ends": lambda market, seller, unit: end_listing(market, seller),
    "the listing is renewed": lambda market, seller, unit: list_late(
        market, seller, hours=0, title="新的标题"
    ),
}


@pytest.mark.parametrize("then", LATER)
@pytest.mark.parametrize("first", LATER)
def test_a_late_listing_heals_for_good_whatever_comes_after(market, seller, first, then):
    unit = sold_unlisted(market, seller)
    list_late(market, seller)
    check_sound(market, seller, unit)
    for step in dict.fromkeys((first, then)):
        LATER[step](market, seller, unit)
        check_sound(market, seller, unit)
    if "dispatch and signature" not in (first, then):
        ship(market, seller, unit)
    wait(market, 3)
    check_sound(market, seller, unit)
    rules = market.ask("GET", f"/api/v1/credit/{seller}")["breakdown"]
    assert rules == [{"rule": "chain_completed", "points": 1, "count": 1}]


def test_a_listing_that_occurred_after_the_sale_heals_nothing(market, seller):
    unit = sold_unlisted(market, seller)
    list_late(market, seller, hours=0)
    assert look(market, unit) == ("intact", ["provisional_gap"])
    wait(market, 1)
    assert look(market, unit) == ("incomplete", [])
    (found,) = market.ask("GET", f"{F}?party={seller}", token=market.keys[AUTHORITY])["items"]
    assert (found["kind"], found["status"]) == ("continuity.missing_listing", "open")


def test_another_sellers_listing_and_one_that_was_ended_before_heal_nothing(market, seller):
    list_late(market, seller, hours=-9)
    end_listing(market, seller)
    unit = sold_unlisted(market, seller)
    other = market.newcomer()
    list_late(market, other)
    end_listing(market, seller)
    assert look(market, unit) == ("intact", ["provisional_gap"])
    wait(market, 1)
    assert look(market, unit)[0] == "incomplete"


def test_a_gap_that_counted_is_healed_by_the_listing_and_charged_as_late(market, seller):
    unit = sold_unlisted(market, seller)
    ship(market, seller, unit)
    wait(market, 1)
    assert look(market, unit) == ("incomplete", [])
    list_late(market, seller, hours=-30)
    end_listing(market, seller)
    wait(market, 1)
    assert look(market, unit) == ("intact", [])
    (found,) = market.ask("GET", f"{F}?party={seller}", token=market.keys[AUTHORITY])["items"]
    assert (found["status"], found["reason"]) == ("closed", "healed")
    shown = market.ask("GET", f"/api/v1/credit/{seller}/entries", token=market.keys[seller])
    kept = {entry["rule"]: entry["status"] for entry in shown["items"]}
    assert kept["continuity_uncured"] == "cancelled"
    assert kept["late_event"] == "notice"
