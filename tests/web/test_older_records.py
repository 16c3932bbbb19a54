"""What was recorded before a rule came is repeated like everything else, and nothing new passes the rule."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.imports import goods, orders
from app.trace import fields
from tests.imports.sheets import as_csv, gtin
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import GTIN, PLATFORM, PRODUCT
from tests.web.test_import_events import counted
from tests.web.test_import_listings import HEAD, listings, row
from tests.web.test_imports_api import counts, send
from tests.web.test_shipments_api import ship

MISTYPED = PLATFORM[:-1] + "0"
S, BATCH = "/api/v1/events", "/api/v1/events/batch"


@pytest.fixture
def before_the_rule(monkeypatch):
    """Lets what follows be recorded as an earlier release did; ended by `undo`."""
    for judge in (fields, goods, orders):
        monkeypatch.setattr(judge, "check_named", lambda _text, *, loc: None)
    return monkeypatch


def sale(market, code: str, **more) -> dict:
    data = {"platform": MISTYPED, "region": "440100", **more.pop("data", {})}
    sealed = {"order": {"content": {"number": "A-1"}}}
    told = {"id": str(uuid4()), "code": code, "type": "sale", "occurred_at": market.at(-3)}
    return {**told, "data": data, "sealed": sealed, **more}


def take(market, event: dict, status: int) -> dict:
    return market.ask("POST", S, event, token=market.keys[SHOP], status=status)


@pytest.mark.parametrize("type_", ["sale", "listing"])
def test_a_repeat_is_answered_as_one_though_it_would_be_refused_today(
    market, before_the_rule, type_
):
    event = sale(market, market.one().code)
    if type_ == "listing":
        event = {**event, "type": type_, "code": PRODUCT, "data": {"platform": MISTYPED}}
        del event["sealed"]
    first = take(market, event, 201)
    before_the_rule.undo()
    assert take(market, event, 200) == first
    assert take(market, {**event, "id": event["id"].upper()}, 200) == first
    (told,) = market.ask("POST", BATCH, {"events": [event]}, token=market.keys[SHOP])["results"]
    assert (told["status"], told["event"]["hash"]) == (200, first["hash"])
    atomic = market.ask(
        "POST", f"{BATCH}?atomic=true", {"events": [event]}, token=market.keys[SHOP]
    )
    assert atomic["results"][0]["event"]["hash"] == first["hash"]


def test_under_its_id_nothing_else_passes(market, before_the_rule):
    event = sale(market, market.one().code)
    take(market, event, 201)
    before_the_rule.undo()
    conflict = take(market, {**event, "data": {"platform": MISTYPED, "region": "440300"}}, 409)
    assert conflict["type"] == "/problems/id-conflict"
    take(market, {**event, "data": {"platform": MISTYPED}}, 409)
    take(market, {**event, "data": {**event["data"], "platform": PLATFORM}}, 409)
    for changed in (
        {"data": {**event["data"], "platform": CARRIER[:-1] + "0"}},
        {"data": {**event["data"], "colour": "red"}},
        {"id": str(uuid4())},
        {"id": None},
        {"code": market.one().code},
        {"type": "dispatch"},
    ):
        refused = take(market, {**event, **changed}, 422)
        assert refused["type"] == "/problems/invalid"


@pytest.mark.parametrize("atomic", ["", "?atomic=true"])
def test_many_wrong_events_are_looked_up_at_once(market, atomic):
    """As one alone is: nobody pays for each of a thousand with a look of its own."""
    asked = []
    for count in (1, 20):
        wrong = [sale(market, unit.code) for unit in market.issue(count)]
        with counted(market.rooms.database) as statements:
            market.call("POST", f"{BATCH}{atomic}", {"events": wrong}, token=market.keys[SHOP])
        asked.append(sum("FROM record" in one for one in statements))
    assert asked == [1, 1]


def test_a_shipment_and_a_correction_are_repeated_too(market, before_the_rule):
    unit, shipment = market.one(), str(uuid4())
    answer = ship(market, id=shipment, codes=[unit.code], platform=MISTYPED)
    assert answer.status_code == 201, answer.text
    of = answer.json()["events"][0]["id"]
    changes = {"of": of, "changes": {"platform": CARRIER[:-1] + "0"}}
    corrected = {"id": str(uuid4()), "code": unit.code, "type": "correction", "data": changes}
    first = take(market, corrected, 201)
    before_the_rule.undo()
    again = ship(market, id=shipment, codes=[unit.code], platform=MISTYPED)
    assert (again.status_code, again.json()) == (200, answer.json())
    assert take(market, corrected, 200) == first
    take(market, {**corrected, "id": str(uuid4())}, 422)


def told(answer) -> list[tuple[int, str, str, str]]:
    """Returns the faults: row, field, kind, and the cell as it stands."""
    return [(e["row"], e["field"], e["kind"], e["value"]) for e in answer.json()["errors"]]


def test_a_file_of_orders_is_known_already_with_its_mistyped_names(market, before_the_rule):
    head = [
        "订单号",
        "行号",
        "商品条码",
        "数量",
        "下单时间",
        "发货时间",
        "快递公司",
        "快递单号",
        "平台",
    ]
    at = [market.at(-30), market.at(-2)]

    def order(number: str, carrier: str = CARRIER, platform: str = MISTYPED, count: int = 1):
        return [number, "1", GTIN, str(count), *at, carrier, f"TEST00000{number[-4:]}", platform]

    wrong = CARRIER[:-1] + "0"
    old = [order("OLD-1001"), order("OLD-1002", carrier=wrong)]
    assert counts(send(market, "shipments", as_csv([head, *old]))) == (2, 0, 0, 0)
    before_the_rule.undo()
    again = [head, *old, order("NEW-1003"), order("NEW-1004", carrier=wrong, platform="集市")]
    refused = [
        (4, "platform", "check_digit", MISTYPED),
        (5, "carrier", "check_digit", wrong),
    ]
    for query in ("?dry_run=true", ""):
        answer = send(market, "shipments", as_csv(again), query=query)
        assert (counts(answer), told(answer)) == ((0, 2, 0, 2), refused)
        # What is refused is not also said to be sent all the same.
        assert answer.json()["warnings"] == []
    # Under its number nothing else passes, and what is wrong besides is told at once.
    other = send(market, "shipments", as_csv([head, order("OLD-1001", count=2)]))
    assert counts(other) == (0, 0, 0, 1)
    answer = send(market, "shipments", as_csv([head, order("OLD-1001", count=0)]))
    assert [one[1] for one in told(answer)] == ["quantity", "platform"]


def test_a_file_of_products_is_known_already_with_its_mistyped_places(market, before_the_rule):
    number, item = gtin(58_100), ["", "手工皂", "日用消费品", MISTYPED, "", "", ""]
    old = [HEAD, row(number, MISTYPED, title="好货"), item]
    assert counts(send(market, "products", as_csv(old))) == (2, 0, 0, 0)
    before_the_rule.undo()
    again = [*old, row(gtin(58_101), MISTYPED), row(number, CARRIER[:-1] + "0")]
    refused = [
        (4, "platform", "check_digit", MISTYPED),
        (5, "platform", "check_digit", CARRIER[:-1] + "0"),
    ]
    for query in ("?dry_run=true", ""):
        answer = send(market, "products", as_csv(again), query=query)
        assert (counts(answer), told(answer)) == ((0, 2, 0, 2), refused)
    assert len(listings(market, number)) == 1
    market.ask("GET", f"/api/v1/products/0{gtin(58_101)}", status=404)
    wrong = ["", "", "日用消费品", MISTYPED, "", "", ""]
    answer = send(market, "products", as_csv([HEAD, wrong]))
    assert [one[1] for one in told(answer)] == ["name", "platform"]
