"""Recalls: who may call back what, from when on it holds, and how it ends."""

from __future__ import annotations

import itertools

import pytest

from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import CUSTOMS, RIVAL, SUPPLIER

RECALLED = (409, "lifecycle-conflict", "recalled")
FORBIDDEN = (403, "forbidden")
GLASS = {"reason": "glass"}
CHECKED = {"reason": "checked"}
GOODS = "06936983800013"

_names = itertools.count()


def offer(market, gtin: str) -> list[dict]:
    """What a platform is told of the shop's and the rival's offers of a product: their reasons."""
    body = {"candidates": [
        {"id": seller, "gtin": gtin, "seller": seller, "base": 1.0} for seller in (SHOP, RIVAL)
    ]}  # fmt: skip
    items = market.ask("POST", "/api/v1/ranking", body, token=market.keys[PLATFORM])["items"]
    return {item["id"]: {why["factor"]: why["value"] for why in item["why"]} for item in items}


@pytest.fixture
def goods(market):
    """A lot of the shop's and of the rival's of one product, each with a unit of it."""
    body = {"gtin": GOODS, "name": "裹蒸粽", "category": "other"}
    assert market.call("POST", "/api/v1/products", body, token=market.keys[SHOP]).is_success
    found = []
    for seller in (SHOP, RIVAL):
        name = f"R{next(_names)}"
        told = {"gtin": GOODS, "lot": name}
        lot = market.ask("POST", "/api/v1/lots", told, token=market.keys[seller], status=201)
        batch = market.order(by=seller, **told)
        market.work()
        (unit,) = market.codes_of(batch, by=seller)
        found.append((lot["code"], unit.code))
    yield found
    for code in (f"01/{GOODS}", *itertools.chain(*found)):
        market.send(AUTHORITY, code, "recall_lifted", CHECKED)
    # Of the product's recalls the next test is not to know.
    market.clock.advance(86400)


def listed(market, code: str) -> list[dict]:
    path = f"/api/v1/recalls?code={code}&limit=100"
    return market.ask("GET", path, token=market.keys[AUTHORITY])["items"]


def notices(market, code: str) -> str:
    """The part of a page that stands before the chain itself."""
    return market.call("GET", f"/{code}?lang=en").text.split('class="chain"')[0]


def warned(market, code: str) -> bool:
    return "recalled" in market.ask("GET", f"/api/v1/code?code={code}")["warnings"]


# --- who ----------------------------------------------------------------------------------------


def test_a_seller_recalls_its_own_lots_and_units_and_nobody_elses(market, goods):
    (lot, unit), (rivals_lot, rivals_unit) = goods
    product = f"01/{GOODS}"
    for by, code in (
        (RIVAL, lot), (RIVAL, unit), (SHOP, rivals_lot), (SHOP, rivals_unit),
        (RIVAL, product), (SHOP, product),  # registered it, but is no confirmed brand owner
        (SUPPLIER, lot), (CARRIER, unit), (PLATFORM, product), (CUSTOMS, product),
    ):  # fmt: skip
        for type_ in ("recall", "recall_lifted"):
            assert market.refused(by, code, type_, GLASS)[:2] == FORBIDDEN, (by, code, type_)
    assert not any(warned(market, code) for code in (unit, rivals_unit))
    market.send(RIVAL, rivals_lot, "recall", GLASS)
    assert [warned(market, code) for code in (unit, rivals_unit)] == [False, True]
    market.send(SHOP, unit, "recall", GLASS)
    assert [warned(market, code) for code in (unit, rivals_unit)] == [True, True]


def test_the_brand_owner_and_a_regulator_recall_the_product_for_every_seller(market):
    gtin = "06900000000021"
    told = {"gtin": gtin, "name": "竹篮", "category": "other", "claim": True}
    market.ask("POST", "/api/v1/products", told, token=market.keys[SUPPLIER], status=201)
    product = f"01/{gtin}"
    batch = market.order(by=RIVAL, gtin=gtin, count=1)
    market.work()
    (unit,) = market.codes_of(batch, by=RIVAL)
    assert market.refused(SUPPLIER, product, "recall", GLASS)[:2] == FORBIDDEN, "claimed only"
    owner = {"party": SHOP, "evidence": "trade mark"}
    market.ask("POST", f"/api/v1/products/{gtin}/owner", owner, token=market.admin)
    market.send(SHOP, product, "recall", GLASS, hours=-1)
    assert warned(market, unit.code)
    assert market.refused(RIVAL, unit.code, "sale", hours=0) == RECALLED
    market.send(AUTHORITY, product, "recall", GLASS, hours=-0.5)
    # The owner takes back its own recall; the regulator's stays.
    market.send(SHOP, product, "recall_lifted", CHECKED, hours=-0.25)
    assert warned(market, unit.code)
    assert market.refused(RIVAL, unit.code, "sale", hours=0) == RECALLED
    market.send(AUTHORITY, product, "recall_lifted", CHECKED, hours=-0.1)
    assert not warned(market, unit.code)
    market.send(RIVAL, unit.code, "sale", {}, hours=0)


def test_one_sellers_recall_takes_no_rank_from_another(market, goods):
    (_, _), (rivals_lot, _) = goods
    before = offer(market, GOODS)
    market.send(RIVAL, rivals_lot, "recall", GLASS)
    after = offer(market, GOODS)
    assert after[SHOP] == before[SHOP]
    assert after[RIVAL] != before[RIVAL]
    market.send(RIVAL, rivals_lot, "recall_lifted", CHECKED)
    assert offer(market, GOODS) == before


# --- from when on -------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["unit", "lot", "product"])
def test_what_came_before_the_recall_is_accepted_and_what_came_after_is_not(market, goods, level):
    (lot, unit), _ = goods
    code = {"unit": unit, "lot": lot, "product": f"01/{GOODS}"}[level]
    by = AUTHORITY if level == "product" else SHOP
    market.send(by, code, "recall", GLASS, hours=-5)
    # The moment itself counts as after.
    assert market.refused(SHOP, unit, "sale", hours=-5) == RECALLED
    assert market.refused(SHOP, unit, "sale", hours=0) == RECALLED
    market.send(SHOP, unit, "sale", {}, hours=-5.001)
    data = {"carrier": CARRIER}
    assert market.refused(SHOP, unit, "dispatch", data, hours=-1) == RECALLED
    market.send(SHOP, unit, "dispatch", data, hours=-5.0005)
    market.sign(unit, hours=-1)  # what is under way arrives
    shown = market.ask("GET", f"/api/v1/code?code={unit}")
    assert (shown["state"], shown["verdict"], "recalled" in shown["warnings"]) == (
        "signed", "intact", True,
    )  # fmt: skip


@pytest.mark.parametrize("level", ["unit", "lot", "product"])
def test_a_recall_that_stands_is_not_made_again(market, goods, level):
    (lot, unit), _ = goods
    code = {"unit": unit, "lot": lot, "product": f"01/{GOODS}"}[level]
    by = AUTHORITY if level == "product" else SHOP
    first = market.send(by, code, "recall", {**GLASS, "level": 2}, hours=-5)
    for hours in (-1, -7):
        told = market.refused(by, code, "recall", {"reason": "lids"}, hours=hours)
        assert told == (409, "lifecycle-conflict", "recall_stands")
    (one,) = [r for r in listed(market, code) if r["code"] == code and r["lifted_at"] is None]
    assert (one["reason"], one["level"], one["recaller"]) == ("glass", 2, by)
    # The same again, by its id, is answered as before; somebody else recalls the same goods.
    again = market.post(by, code, "recall", {**GLASS, "level": 2}, hours=-5, id=first["id"])
    assert again.json()["seq"] == first["seq"], again.text
    if by != AUTHORITY:
        market.send(AUTHORITY, code, "recall", GLASS, hours=-2)
    assert market.refused(SHOP, unit, "sale", hours=-3) == RECALLED
    market.send(SHOP, unit, "sale", {}, hours=-6)


def test_a_recall_is_set_right_by_a_correction_and_made_again_once_lifted(market, goods):
    (lot, _), _ = goods
    first = market.send(SHOP, lot, "recall", {**GLASS, "level": 3}, hours=-5)
    changes = {"changes": {"level": 1, "reason": "glass splinters"}, "of": first["id"]}
    market.send(SHOP, lot, "correction", changes, hours=-4)
    (one,) = [r for r in listed(market, lot) if r["code"] == lot]
    assert (one["reason"], one["level"]) == ("glass splinters", 1)
    assert "glass splinters" in market.call("GET", f"/{lot}?lang=en").text
    market.send(SHOP, lot, "recall_lifted", CHECKED, hours=-3)
    assert "glass splinters" not in notices(market, lot)
    market.send(SHOP, lot, "recall", {"reason": "lids"}, hours=-2)
    (one,) = [r for r in listed(market, lot) if r["code"] == lot]
    assert (one["reason"], one["level"], one["lifted_at"]) == ("lids", None, None)
    assert "lids" in notices(market, lot)
    # A regulator lifts everybody's recall, and nobody's notice says otherwise.
    market.send(AUTHORITY, lot, "recall_lifted", CHECKED, hours=-1)
    assert "lids" not in notices(market, lot)


def test_a_recall_that_says_it_began_long_ago_undoes_nothing_recorded(market, goods):
    (lot, unit), _ = goods
    market.send(SHOP, unit, "sale", {}, hours=-4)
    market.send(SHOP, unit, "dispatch", {"carrier": CARRIER}, hours=-3)
    path = market.ask("GET", f"/api/v1/code?code={unit}")["links"]["verification"]
    before = market.ask("GET", path)
    market.send(SHOP, lot, "recall", GLASS, hours=-2000)
    after = market.ask("GET", path)
    assert (after["verdict"], after["findings"]) == (before["verdict"], []) == ("intact", [])
    assert after["warnings"] == [*before["warnings"], "recalled"]
    assert {c["name"]: c["ok"] for c in after["checks"]}["continuity"]


def test_a_recall_is_not_announced_for_later(market, goods):
    (lot, _), _ = goods
    answer = market.post(SHOP, lot, "recall", GLASS, hours=1)
    assert (answer.status_code, answer.json()["errors"][0]["kind"]) == (422, "future_time")


# --- how it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["unit", "lot", "product"])
def test_a_lifted_recall_bars_nothing_from_then_on(market, goods, level):
    (lot, unit), _ = goods
    code = {"unit": unit, "lot": lot, "product": f"01/{GOODS}"}[level]
    by = AUTHORITY if level == "product" else SHOP
    market.send(by, code, "recall", GLASS, hours=-5)
    market.send(by, code, "recall_lifted", CHECKED, hours=-2)
    assert not warned(market, unit)
    assert market.refused(SHOP, unit, "sale", hours=-3) == RECALLED, "it was recalled then"
    market.send(SHOP, unit, "sale", {}, hours=-2)


def test_a_merchant_lifts_no_recall_of_a_regulators(market, goods):
    (lot, unit), _ = goods
    market.send(AUTHORITY, lot, "recall", GLASS, hours=-5)
    market.send(SHOP, lot, "recall", GLASS, hours=-4)
    market.send(SHOP, lot, "recall_lifted", CHECKED, hours=-3)
    assert warned(market, unit)
    assert market.refused(SHOP, unit, "sale", hours=-1) == RECALLED
    market.send(AUTHORITY, lot, "recall_lifted", CHECKED, hours=-2)
    assert not warned(market, unit)
    market.send(SHOP, unit, "sale", {}, hours=-1)


def test_what_is_recalled_is_not_listed_and_may_be_de_listed(market, goods):
    (lot, _), _ = goods
    market.send(SHOP, lot, "listing", {"platform": "甲"}, hours=-9)
    market.send(AUTHORITY, lot, "recall", GLASS, hours=-5)
    assert market.refused(SHOP, lot, "listing", {"platform": "乙"}, hours=-1) == RECALLED
    market.send(SHOP, lot, "listing", {"platform": "甲", "ended": True}, hours=-1)
