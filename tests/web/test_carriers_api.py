"""POST /carriers/push: states of waybills become events of the units in the parcel."""

from __future__ import annotations

import itertools

import pytest

from tests.web.conftest import CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR, GTIN, RIVAL, told

PUSH = "/api/v1/carriers/push"
_numbers = itertools.count(9_000)


def push(market, *items, by: str = CARRIER, feed: str = "kuaidi100", status: int = 200):
    body = {"feed": feed, "items": list(items)}
    answer = market.call("POST", PUSH, body, token=market.keys[by])
    assert answer.status_code == status, answer.text
    return answer.json()


def item(market, waybill: str, state: str, hours: float = -1, **more) -> dict:
    return {"waybill": waybill, "state": state, "occurred_at": market.at(hours), **more}


@pytest.fixture
def parcel(market):
    """A waybill and the two units under it."""
    units = [unit.code for unit in market.issue(2)]
    waybill = f"TEST{next(_numbers):010d}"
    body = {"order": "B-9", "ordered_at": market.at(-30), "carrier": CARRIER, "waybill": waybill,
            "shipped_at": market.at(-20), "codes": units}  # fmt: skip
    market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
    return waybill, units


def records(market) -> dict[str, int]:
    """How many rows every table has, but for the list of the last pushes."""
    return {name: n for name, n in market.count_rows().items() if name != "push_taken"}


def statuses(body) -> list[str]:
    return [one["status"] for one in body["results"]]


def state_of(market, code: str) -> str:
    return market.ask("GET", f"/api/v1/code?code={code}")["state"]


def test_a_parcel_is_followed_to_its_signature_in_any_order_and_as_often_as_it_comes(
    market, parcel
):
    waybill, units = parcel
    items = [item(market, waybill, "3", -1), item(market, waybill, "1", -19, region="441200"),
             item(market, waybill.lower(), "5", -2)]  # fmt: skip
    first = push(market, *items)
    assert (statuses(first), first["recorded"]) == (["recorded"] * 3, 3)
    assert {event["code"] for event in first["results"][0]["events"]} == set(units)
    assert {state_of(market, code) for code in units} == {"signed"}
    again = push(market, *items)
    assert (statuses(again), again["recorded"]) == (["repeated"] * 3, 0)
    assert again["results"][0]["events"] == first["results"][0]["events"]
    records = market.ask("GET", f"/api/v1/codes/{GTIN}/{units[0].split('/')[-1]}/events")["items"]
    told_ = [
        (r["record"]["type"], r["record"]["source"], r["record"]["data"]) for r in records[-3:]
    ]
    assert sorted(told_, key=str) == sorted([
        ("signature", "carrier", {"kind": "in_person"}),
        ("transit", "carrier", {"status": "collected", "region": "441200"}),
        ("transit", "carrier", {"status": "out_for_delivery"}),
    ], key=str)  # fmt: skip
    second = push(market, item(market, waybill, "3", -0.5))
    assert statuses(second) == ["ignored"]
    assert second["results"][0]["problem"]["reason"] == "already_signed"


def test_a_pushed_signature_hands_over_the_buyers_proof(market, parcel):
    waybill, _ = parcel
    items = [item(market, waybill, "1", -19), item(market, waybill, "3", -1)]
    body = push(market, *items)
    collected, signed = (one["events"] for one in body["results"])
    assert not any("claim_token" in event for event in collected)
    assert push(market, *items)["results"][1]["events"] == signed
    for event in signed:
        review = {"code": event["code"], "type": "review", "data": {"rating": 5}}
        proof = {"Suxin-Claim": event["claim_token"]}
        answer = market.call("POST", "/api/v1/events", review, headers=proof)
        assert answer.status_code == 201, answer.text


def test_an_item_fails_alone(market, parcel):
    waybill, _ = parcel
    body = push(market, item(market, "TEST9999999999", "3"), item(market, waybill, "77"),
                item(market, "短", "3"), item(market, waybill, "3", 5),
                item(market, waybill, "0", region="990000"), item(market, waybill, "abort"),
                item(market, waybill, "0"))  # fmt: skip
    assert statuses(body) == [
        "unknown",
        "refused",
        "refused",
        "refused",
        "refused",
        "ignored",
        "recorded",
    ]
    problems = [one.get("problem", {}) for one in body["results"]]
    assert problems[0]["type"] == "/problems/not-found"
    assert [p["errors"][0]["loc"] for p in problems[1:3]] == [
        ["items", 1, "state"],
        ["items", 2, "waybill"],
    ]


def test_whose_parcel_it_is_not_learns_nothing(market, parcel):
    waybill, units = parcel
    before = records(market)
    for by in (RIVAL, PLATFORM):
        # "abort" is no news of goods at all: not even that tells that there are any.
        mine = push(market, item(market, waybill, "3"), item(market, waybill, "abort"), by=by)
        none = push(market, item(market, "TEST9999999999", "3"), by=by)
        assert statuses(mine) == ["unknown", "unknown"]
        assert statuses(none) == ["unknown"]
        assert mine["results"][0]["problem"]["detail"] == none["results"][0]["problem"]["detail"]
    assert records(market) == before
    assert state_of(market, units[0]) == "in_transit"


def test_an_aggregator_speaks_under_the_carriers_mandate(market, parcel):
    waybill, units = parcel
    before = push(market, item(market, waybill, "202", -3), by=AGGREGATOR, feed="kdniao")
    assert statuses(before) == ["unknown"]
    market.mandate(CARRIER, AGGREGATOR, "transit", "signature", "refusal", "return")
    body = push(market, item(market, waybill, "202", -3), item(market, waybill, "311", -1),
                by=AGGREGATOR, feed="kdniao")  # fmt: skip
    assert statuses(body) == ["recorded", "recorded"]
    records = market.ask("GET", f"/api/v1/codes/{GTIN}/{units[0].split('/')[-1]}/events")["items"]
    last = records[-1]["record"]
    assert (last["actor"], last["via"], last["source"]) == (CARRIER, AGGREGATOR, "aggregator")
    assert last["data"] == {"kind": "locker"}


def test_what_is_refused_comes_back(market, parcel):
    waybill, units = parcel
    body = push(
        market, item(market, waybill, "14", -2, reason="包装破损"), item(market, waybill, "4", -1)
    )
    assert statuses(body) == ["recorded", "ignored"]
    assert {state_of(market, code) for code in units} == {"returned"}
    first = item(market, waybill, "14", -2, reason="包装破损")
    assert statuses(push(market, first)) == ["repeated"]
    assert statuses(push(market, item(market, waybill, "3", -0.5))) == ["unknown"]


def test_an_old_waybill_says_nothing_of_goods_that_travel_under_another(market, parcel):
    waybill, units = parcel
    push(market, item(market, waybill, "4", -10))
    body = {"order": "B-10", "ordered_at": market.at(-5), "carrier": CARRIER,
            "waybill": f"TEST{next(_numbers):010d}", "shipped_at": market.at(-4), "codes": units}  # fmt: skip
    market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
    assert statuses(push(market, item(market, waybill, "3"))) == ["unknown"]
    assert {state_of(market, code) for code in units} == {"in_transit"}


def test_a_consignment_of_a_lot_travels_too(market):
    lot = market.lot(f"PUSH{next(_numbers)}")
    waybill = f"TEST{next(_numbers):010d}"
    market.send(SHOP, lot, "sale", {"consignment": "c1"}, hours=-9)
    market.send(SHOP, lot, "dispatch", {"consignment": "c1", "carrier": CARRIER}, hours=-8,
                sealed={"waybill": {"content": {"number": waybill}}})  # fmt: skip
    body = push(market, item(market, waybill, "signed_by_proxy"), feed="suxin")
    assert statuses(body) == ["recorded"]
    assert body["results"][0]["events"][0]["type"] == "signature"


def test_a_wrong_call_is_refused_whole(market):
    before = market.count_rows()
    assert told(market.call("POST", PUSH, {"items": []}, token=market.keys[CARRIER]))[:2] == (
        422,
        "invalid",
    )
    bad = market.call("POST", PUSH, {"feed": "x", "items": [item(market, "TEST0000000001", "3")]},
                      token=market.keys[CARRIER])  # fmt: skip
    assert (told(bad)[:2], bad.json()["errors"][0]["loc"]) == ((422, "invalid"), ["feed"])
    assert market.count_rows() == before


def test_an_item_of_any_wrong_shape_fails_alone_and_says_what_was_expected(market, parcel):
    waybill, _ = parcel
    good = item(market, waybill, "1", -19)
    wrong = [7, None, [], {}, {**good, "state": 3}, {**good, "occurred_at": "gestern"},
             {**good, "waybill": ""}, {**good, "more": 1}, {**good, "reason": "a\u0007b"},
             {**good, "state": "999"}, {k: v for k, v in good.items() if k != "state"}]  # fmt: skip
    body = push(market, *wrong, good)
    assert statuses(body) == ["refused"] * len(wrong) + ["recorded"]
    assert [one["index"] for one in body["results"]] == list(range(len(wrong) + 1))
    found = [one["problem"]["errors"] for one in body["results"][:-1]]
    assert all(one["problem"]["type"] == "/problems/invalid" for one in body["results"][:-1])
    assert all(error["loc"][:2] == ["items", n] and error["msg"]
               for n, errors in enumerate(found) for error in errors)  # fmt: skip
    places = [{(".".join(map(str, e["loc"][2:])), e["kind"]) for e in errors} for errors in found]
    assert places == [
        {("", "type")}, {("", "type")}, {("", "type")},
        {(name, "missing") for name in ("waybill", "state", "occurred_at")},
        {("state", "type")}, {("occurred_at", "time")}, {("waybill", "length")},
        {("more", "unknown_field")}, {("reason", "control")}, {("state", "enum")},
        {("state", "missing")},
    ]  # fmt: skip


def test_an_item_is_told_everything_that_is_wrong_with_it_at_once(market):
    wrong = {"waybill": "短", "state": "999", "occurred_at": 5, "region": "990000", "more": 1}
    (one,) = push(market, wrong)["results"]
    assert {e["loc"][-1] for e in one["problem"]["errors"]} == set(wrong)
    readable = {**item(market, "短", "999", region="990000")}
    (one,) = push(market, readable)["results"]
    assert {e["loc"][-1] for e in one["problem"]["errors"]} == {"waybill", "state", "region"}


@pytest.mark.parametrize("items", [{}, "x", None, [{}] * 201])
def test_what_is_no_list_of_items_within_the_bound_is_refused_whole(market, items):
    answer = market.call("POST", PUSH, {"items": items}, token=market.keys[CARRIER])
    assert told(answer)[:2] == (422, "invalid")
    assert answer.json()["errors"][0]["loc"] == ["items"]
