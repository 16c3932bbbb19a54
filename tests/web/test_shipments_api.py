"""POST /shipments: what a shop does when it packs, all units or none, and safe to repeat."""

from __future__ import annotations

import pytest

from tests.labels.reading import pages, zxing_texts
from tests.web.conftest import CARRIER, PLATFORM, SHOP
from tests.web.market import CUSTOMS, GTIN, PRODUCT, RIVAL, told

S = "/api/v1/shipments"
FIRST = "0192f3a0-0000-7000-8000-0000000000aa"


def parcel(market, **more) -> dict:
    """The body of a shipment, to be completed with `codes` or `gtin` and `quantity`."""
    return {
        "order": "B-2",
        "ordered_at": market.at(-30),
        "carrier": CARRIER,
        "waybill": "TEST0000000002",
        "shipped_at": market.at(-2),
        "to": "440300",
        **more,
    }


def ship(market, *, by: str = SHOP, **more):
    return market.call("POST", S, parcel(market, **more), token=market.keys[by])


def test_units_at_hand_are_sold_when_ordered_and_sent_when_shipped(market):
    units = market.issue(2)
    answer = ship(market, codes=[units[0].code, units[1].uri])
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body["codes"] == [unit.code for unit in units]
    assert [(e["code"], e["type"], e["seq"]) for e in body["events"]] == [
        (unit.code, type_, seq) for unit in units for type_, seq in (("sale", 1), ("dispatch", 2))
    ]
    assert all(event["receipt"] for event in body["events"])
    for unit in units:
        assert market.ask("GET", unit.path)["state"] == "in_transit"
        *_, sale, dispatch = (
            i["record"] for i in market.ask("GET", f"{unit.path}/events")["items"]
        )
        assert (sale["occurred_at"], sale["data"]) == (market.at(-30), {"region": "440300"})
        assert dispatch["occurred_at"] == market.at(-2)
        assert dispatch["data"] == {"carrier": CARRIER, "to": "440300", "waybill_tail": "0002"}
        assert (set(sale["sealed"]), set(dispatch["sealed"])) == ({"order"}, {"waybill"})
    market.sign(units[0].code)


def test_a_small_shop_needs_no_stock_of_labels(market):
    market.lot("PACKED")
    answer = ship(market, id=FIRST, gtin="6901234567892", lot="PACKED", quantity=3)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert len(body["codes"]) == 3
    assert [e["type"] for e in body["events"]] == ["sale", "dispatch"] * 3
    sheet = market.call("GET", body["links"]["labels_pdf"], token=market.keys[SHOP])
    read = [text for page in pages(sheet.content, dpi=300) for text in zxing_texts(page)]
    assert sorted(read) == sorted(f"http://127.0.0.1:8000/{code}" for code in body["codes"])
    job = market.ask("GET", body["links"]["self"], token=market.keys[SHOP])
    assert (job["status"], job["done"], job["count"]) == ("done", 3, 3)
    shown = market.ask("GET", f"/api/v1/code?code={body['codes'][0]}")
    assert (shown["state"], shown["lot"]) == ("in_transit", "PACKED")
    again = ship(market, id=FIRST, gtin=GTIN, lot="PACKED", quantity=3)
    assert (again.status_code, again.json()) == (200, body)


def test_a_shipment_sent_again_is_the_same_and_with_other_content_a_conflict(market):
    one, two, three = (unit.code for unit in market.issue(3))
    shipment = "0192f3a0-0000-7000-8000-0000000000bb"
    first = ship(market, id=shipment, codes=[one, two], platform="示例平台")
    again = ship(market, id=shipment, codes=[one, two], platform="示例平台")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    before = market.count_rows()
    for change in (
        {"waybill": "TEST0000000003"}, {"order": "B-3"}, {"carrier": "示例快递"}, {"to": "440100"},
        {"platform": None}, {"ordered_at": market.at(-31)}, {"shipped_at": market.at(-1)},
        {"codes": [three]}, {"codes": [one]}, {"codes": [one, two, three]}, {"codes": [two, one]},
        {"codes": None, "gtin": GTIN, "quantity": 2},
    ):  # fmt: skip
        given = {"id": shipment, "codes": [one, two], "platform": "示例平台"} | change
        answer = ship(market, **{name: value for name, value in given.items() if value is not None})
        assert told(answer)[:2] == (409, "id-conflict"), change
    assert market.count_rows() == before


def test_issued_units_are_not_issued_again_under_another_count_or_lot(market):
    market.lot("L1")
    shipment = "0192f3a0-0000-7000-8000-0000000000cc"
    first = ship(market, id=shipment, gtin=GTIN, quantity=2)
    assert first.status_code == 201
    unit = market.one()
    before = market.count_rows()
    for change in ({"quantity": 3}, {"lot": "L1"}, {"waybill": "TEST0000000009"}):
        answer = ship(market, **({"id": shipment, "gtin": GTIN, "quantity": 2} | change))
        assert told(answer)[:2] == (409, "id-conflict"), change
    answer = ship(market, id=shipment, codes=[unit.code])
    assert told(answer)[:2] == (409, "id-conflict")
    assert market.count_rows() == before


def test_an_order_for_codes_is_no_shipment(market):
    shipment = "0192f3a0-0000-7000-8000-0000000000dd"
    market.ask("POST", "/api/v1/codes", {"id": shipment, "gtin": GTIN, "count": 2},
               token=market.keys[SHOP], status=202)  # fmt: skip
    market.work()
    before = market.count_rows()
    assert told(ship(market, id=shipment, gtin=GTIN, quantity=2))[:2] == (409, "id-conflict")
    assert market.count_rows() == before


def test_all_units_or_none(market):
    good, sold, theirs = market.one().code, market.one().code, market.one(by=RIVAL).code
    market.sell(sold)
    before = market.count_rows()
    for codes, refusal in (
        ([good, sold], (409, "lifecycle-conflict", "already_sold")),
        ([good, theirs], (403, "forbidden", None)),
        ([good, f"{PRODUCT}/21/NOBODY"], (404, "code-unknown", None)),
    ):
        answer = ship(market, codes=codes)
        assert told(answer) == refusal
        assert [error["loc"] for error in answer.json()["errors"]] == [["codes", 1]]
    assert told(ship(market, codes=[good], by=RIVAL)) == (403, "forbidden", None)
    assert told(ship(market, codes=[good], by=PLATFORM)) == (403, "forbidden", None)
    assert told(ship(market, codes=[good], by=RIVAL, actor=SHOP)) == (403, "no-mandate", None)
    assert told(ship(market, codes=[good], by=CUSTOMS)) == (403, "forbidden", None)
    assert market.count_rows() == before
    assert market.ask("GET", f"/api/v1/code?code={good}")["state"] == "registered"


def test_issuing_with_a_shipment_is_refused_whole(market):
    market.lot("R", token=market.keys[RIVAL])
    market.mandate(RIVAL, PLATFORM, "sale", "dispatch")
    before = market.count_rows()
    assert told(ship(market, gtin=GTIN, quantity=1, lot="R"))[:2] == (403, "forbidden")
    assert told(ship(market, gtin=GTIN, quantity=1, lot="NONE"))[:2] == (404, "code-unknown")
    assert told(ship(market, gtin="6923450656174", quantity=1))[:2] == (404, "code-unknown")
    # A mandate to sell and send is none to issue.
    assert told(ship(market, gtin=GTIN, quantity=1, by=PLATFORM, actor=RIVAL))[:2] == (
        403, "forbidden",
    )  # fmt: skip
    future = ship(market, gtin=GTIN, quantity=1, shipped_at=market.at(1))
    assert future.json()["errors"][0]["kind"] == "future_time"
    assert future.json()["errors"][0]["loc"] == ["shipped_at"]
    assert market.count_rows() == before


def test_a_platform_ships_for_its_shop(market):
    unit = market.one()
    answer = ship(market, codes=[unit.code], by=PLATFORM, actor=SHOP, platform=PLATFORM)
    assert answer.status_code == 201
    sale, dispatch = answer.json()["events"]
    assert sale["claim_token"]
    assert "claim_token" not in dispatch
    record = market.ask("GET", f"{unit.path}/events")["items"][-2]["record"]
    assert (record["actor"], record["via"], record["source"]) == (SHOP, PLATFORM, "platform")


def test_one_order_in_two_parcels_and_two_orders_in_one(market):
    one, two, three = (unit.code for unit in market.issue(3))
    assert ship(market, codes=[one], order="X-1", waybill="TEST0000000011").status_code == 201
    assert ship(market, codes=[two], order="X-1", waybill="TEST0000000012").status_code == 201
    assert ship(market, codes=[three], order="X-2", waybill="TEST0000000012").status_code == 201


def test_an_order_cancelled_before_dispatch_leaves_the_unit_for_sale(market):
    unit = market.one()
    market.sell(unit.code, hours=-5)
    market.send(SHOP, unit.code, "return", {"reason": "cancelled"}, hours=-4)
    assert market.ask("GET", unit.path)["state"] == "returned"
    assert ship(market, codes=[unit.code], ordered_at=market.at(-3)).status_code == 201
    assert market.ask("GET", unit.path)["warnings"] == ["sold_before"]


MISTYPED = CARRIER[:-1] + ("0" if CARRIER[-1] != "0" else "1")
WRONG = [
    ({}, "one_of", ["codes"]),
    ({"codes": ["UNIT"], "gtin": GTIN, "quantity": 1}, "one_of", ["codes"]),
    ({"codes": ["UNIT"], "quantity": 1}, "one_of", ["codes"]),
    ({"codes": ["UNIT"], "lot": "A"}, "one_of", ["codes"]),
    ({"gtin": GTIN}, "one_of", ["codes"]),
    ({"codes": []}, "length", ["codes"]),
    ({"codes": ["UNIT"] * 501}, "length", ["codes"]),
    ({"codes": ["UNIT", "UNIT"]}, "duplicate", ["codes", 1]),
    ({"codes": ["UNIT", "https://x.example/UNIT"]}, "duplicate", ["codes", 1]),
    ({"codes": [PRODUCT]}, "level", ["codes", 0]),
    ({"codes": ["UNIT", "nonsense"]}, "code_form", ["codes", 1]),
    ({"codes": [5]}, "type", ["codes", 0]),
    ({"gtin": GTIN, "quantity": 0}, "range", ["quantity"]),
    ({"gtin": GTIN, "quantity": 501}, "range", ["quantity"]),
    ({"gtin": "06901234567893", "quantity": 1}, "check_digit", ["gtin"]),
    ({"gtin": GTIN, "quantity": 1, "lot": "批"}, "charset", ["lot"]),
    ({"codes": ["UNIT"], "waybill": "单号1234567"}, "charset", ["waybill"]),
    ({"codes": ["UNIT"], "waybill": "123"}, "length", ["waybill"]),
    ({"codes": ["UNIT"], "to": "990000"}, "region", ["to"]),
    ({"codes": ["UNIT"], "carrier": "e\u0301"}, "nfc", ["carrier"]),
    ({"codes": ["UNIT"], "carrier": MISTYPED}, "check_digit", ["carrier"]),
    ({"codes": ["UNIT"], "platform": "e\u0301"}, "nfc", ["platform"]),
    ({"codes": ["UNIT"], "platform": MISTYPED}, "check_digit", ["platform"]),
    ({"codes": ["UNIT"], "order": "e\u0301"}, "nfc", ["order"]),
    ({"codes": ["UNIT"], "order": ""}, "length", ["order"]),
    ({"codes": ["UNIT"], "id": "nonsense"}, "record_id", ["id"]),
    ({"codes": ["UNIT"], "ordered_at": "2026-11-23"}, "time", ["ordered_at"]),
    ({"codes": ["UNIT"], "ordered_at": "1999-01-01T00:00:00Z"}, "range", ["ordered_at"]),
    ({"codes": ["UNIT"], "actor": "示例"}, "unknown_party", ["actor"]),
    ({"codes": ["UNIT"], "colour": 1}, "unknown_field", ["colour"]),
]


@pytest.fixture(scope="module")
def unit(market) -> str:
    return market.one().code


@pytest.mark.parametrize(("change", "kind", "loc"), WRONG)
def test_a_wrong_shipment_names_its_place_and_writes_nothing(market, unit, change, kind, loc):
    given = dict(change)
    if "codes" in given:
        given["codes"] = [
            code.replace("UNIT", unit) if isinstance(code, str) else code for code in given["codes"]
        ]
    before = market.count_rows()
    answer = ship(market, **given)
    assert told(answer)[:2] == (422, "invalid"), answer.text
    assert [(e["kind"], e["loc"]) for e in answer.json()["errors"]] == [(kind, loc)]
    assert market.count_rows() == before
