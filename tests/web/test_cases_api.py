"""/cases: what is packed moves with its case, on every unit's own chain, and nobody else's goods do."""

from __future__ import annotations

import itertools
from io import BytesIO

import pytest
import zxingcpp
from PIL import Image

from app.trace.gtin import gtin_check_digit
from app.trace.sscc import parse_sscc
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import GTIN, PLATFORM, PRODUCT, RIVAL, SUPPLIER, told
from tests.web.test_audits_api import audit, findings

C = "/api/v1/cases"
_numbers = itertools.count(1)


def number() -> str:
    body = f"306912345{next(_numbers):08d}"
    return body + gtin_check_digit(body)


def units(market, count: int, by: str = SHOP) -> list[str]:
    return [one.code for one in market.issue(count, by=by)]


def ask(market, path: str, body=None, by: str = SHOP, status: int = 201, method: str = "POST"):
    return market.ask(method, f"{C}/{path}", body, token=market.keys[by], status=status)


def refused(market, path: str, body, by: str = SHOP):
    return told(market.call("POST", f"{C}/{path}", body, token=market.keys[by]))


def inside(market, case: str, by: str = SHOP) -> list[str]:
    seen = ask(market, case, by=by, status=200, method="GET")
    assert seen["count"] == len(seen["units"])
    return [one["code"] for one in seen["units"]]


def state_of(market, code: str) -> dict:
    return market.ask("GET", f"/api/v1/code?code={code}")


def records(market, code: str) -> list[dict]:
    path = f"/api/v1/codes/{GTIN}/{code.rsplit('/', maxsplit=1)[-1]}/events"
    items = market.ask("GET", path)["items"]
    return [one["record"] for one in items if one["record"]["stream"] == code]


def packed(market, count: int = 3, by: str = SHOP) -> tuple[str, list[str]]:
    case, made = number(), units(market, count, by)
    ask(market, f"{case}/pack", {"codes": made}, by)
    return case, made


def sending(market, **more) -> dict:
    waybill = f"CASE{next(_numbers):010d}"
    return {
        "type": "dispatch", "data": {"carrier": CARRIER, "to": "440100"},
        "sealed": {"waybill": {"content": {"number": waybill}}}, "occurred_at": market.at(-2), **more,
    }  # fmt: skip


def test_one_dispatch_and_one_signature_move_all_48_that_are_in_the_case(market):
    case, made = packed(market, 48)
    sale = {"type": "sale", "data": {"region": "440100"}, "occurred_at": market.at(-3)}
    ask(market, f"{case}/events", sale)
    sent = ask(market, f"{case}/events", sending(market, count=48))
    assert sorted(sent["codes"]) == sorted(made)
    assert len(made) == 48
    assert {event["type"] for event in sent["events"]} == {"dispatch"}
    assert {state_of(market, code)["state"] for code in made} == {"in_transit"}
    signature = {"type": "signature", "data": {"kind": "in_person"}, "occurred_at": market.at(-1)}
    ask(market, f"{case}/events", signature, by=CARRIER)
    for code in made:
        seen = state_of(market, code)
        assert (seen["state"], seen["verdict"], seen["warnings"]) == ("signed", "intact", [])
        assert [r["type"] for r in records(market, code)] == [
            "registration", "pack", "sale", "dispatch", "signature",
        ]  # fmt: skip
        assert {r["data"].get("case") for r in records(market, code)[1:]} == {case}
    # The page of a unit tells it too, and lacks nothing.
    page = market.call("GET", f"/{made[0]}").text
    assert "Packed" in page
    assert inside(market, case) == []


def test_no_deadline_is_missed_by_what_was_sent_in_its_case(market):
    case, made = packed(market, 2)
    alone = units(market, 1)[0]
    for code in (*made, alone):
        market.send(SHOP, code, "sale", {}, hours=-1)
    ask(market, f"{case}/events", sending(market, occurred_at=market.at(-0.5)))
    market.clock.advance(8 * 86400)
    market.work()
    found = market.ask(
        "GET", "/api/v1/findings?kind=continuity&limit=500", token=market.keys[AUTHORITY]
    )
    missing = {f["stream"] for f in found["items"] if f["kind"] == "continuity.missing_dispatch"}
    assert alone in missing
    assert missing.isdisjoint(made)


def test_what_was_taken_out_does_not_move_with_the_case(market):
    case, made = packed(market)
    ask(market, f"{case}/unpack", {"codes": made[:1]})
    assert sorted(inside(market, case)) == sorted(made[1:])
    sent = ask(market, f"{case}/events", sending(market))
    assert sorted(sent["codes"]) == sorted(made[1:])
    assert state_of(market, made[0])["state"] == "registered"
    answer = refused(market, f"{case}/events", sending(market))
    assert answer == (409, "lifecycle-conflict", "already_dispatched")
    other = number()
    ask(market, f"{other}/pack", {"codes": made[:1]})
    assert inside(market, other) == made[:1]


def test_a_unit_in_two_cases_and_a_case_in_a_case_are_refused_and_nothing_is_written(market):
    case, made = packed(market)
    more, before = units(market, 2), market.count_rows()["record"]
    answer = market.call(
        "POST", f"{C}/{number()}/pack", {"codes": [*more, made[0]]}, token=market.keys[SHOP]
    )
    assert told(answer) == (409, "lifecycle-conflict", "already_packed")
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["kind"]) == (["codes", 2], "refused")
    assert made[0] in error["msg"]
    for wrong, kind in ((case, "nested_case"), (f"(00){case}", "nested_case"), (PRODUCT, "level")):
        answer = market.call(
            "POST", f"{C}/{number()}/pack", {"codes": [more[0], wrong]}, token=market.keys[SHOP]
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["kind"] == kind
    assert market.count_rows()["record"] == before


def test_a_count_that_is_not_what_the_case_holds_sends_nothing(market):
    case, made = packed(market)
    answer = refused(market, f"{case}/events", sending(market, count=4))
    assert answer == (409, "lifecycle-conflict", "case_changed")
    assert {state_of(market, code)["state"] for code in made} == {"registered"}


def test_all_or_none_even_where_one_unit_was_sent_alone(market):
    case, made = packed(market)
    market.dispatch(made[1])
    answer = market.call("POST", f"{C}/{case}/events", sending(market), token=market.keys[SHOP])
    assert told(answer) == (409, "lifecycle-conflict", "already_dispatched")
    assert made[1] in answer.json()["errors"][0]["msg"]
    assert state_of(market, made[0])["state"] == "registered"
    ask(market, f"{case}/unpack", {"codes": [made[1]]})
    ask(market, f"{case}/events", sending(market))


@pytest.mark.parametrize("call", ["pack", "unpack", "dispatch", "signature"])
def test_every_call_is_safe_to_repeat(market, call):
    case, made = number(), units(market, 2)
    ids = {
        name: f"0192f3a0-0000-7000-8000-{next(_numbers):012d}"
        for name in ("pack", "unpack", "dispatch", "signature")
    }
    ways = {
        "pack": (f"{case}/pack", {"codes": made, "id": ids["pack"]}),
        "unpack": (f"{case}/unpack", {"id": ids["unpack"]}),
        "dispatch": (f"{case}/events", sending(market, id=ids["dispatch"])),
        "signature": (
            f"{case}/events",
            {"type": "signature", "data": {"kind": "proxy"}, "id": ids["signature"]},
        ),
    }
    before = {
        "pack": (),
        "unpack": ("pack",),
        "dispatch": ("pack",),
        "signature": ("pack", "dispatch"),
    }
    for name in before[call]:
        ask(market, *ways[name])
    first = ask(market, *ways[call])
    again = ask(market, *ways[call], status=200)
    assert again == first
    if call == "dispatch":
        path, body = ways[call]
        changed = {**body, "data": {"carrier": "another"}}
        assert refused(market, path, changed)[1] == "id-conflict"


def test_only_the_holder_packs_and_a_mandate_is_needed_to_move(market):
    case, made = packed(market)
    mine = units(market, 1, by=RIVAL)
    assert refused(market, f"{number()}/pack", {"codes": made[:1]}, by=RIVAL)[:2] == (
        403,
        "forbidden",
    )
    assert refused(market, f"{case}/events", sending(market), by=RIVAL)[:2] == (404, "not-found")
    spoken = market.call(
        "POST", f"{C}/{case}/events", sending(market, actor=SHOP), token=market.keys[RIVAL]
    )
    assert told(spoken)[:2] == (403, "no-mandate")
    # Nobody learns anybody's serials by asking for a case.
    assert not any(code.split("/")[-1] in spoken.text for code in made)
    assert ask(market, case, by=RIVAL, status=404, method="GET")["type"] == "/problems/not-found"
    ask(market, f"{case}/pack", {"codes": mine}, by=RIVAL)  # the same number, another's goods
    assert inside(market, case, by=RIVAL) == mine
    sent = ask(market, f"{case}/events", sending(market, actor=SHOP), by=PLATFORM)
    assert sorted(sent["codes"]) == sorted(made)
    assert state_of(market, mine[0])["state"] == "registered"
    # The carrier of one of the two speaks of that one.
    signed = ask(
        market, f"{case}/events", {"type": "signature", "data": {"kind": "in_person"}}, by=CARRIER
    )
    assert sorted(signed["codes"]) == sorted(made)


def test_a_case_is_handed_on_to_another_business_and_sent_by_it(market):
    case, made = packed(market, 2, by=SUPPLIER)
    ask(market, f"{case}/events", {"type": "transfer", "data": {"to": SHOP}}, by=SUPPLIER)
    took = ask(
        market, f"{case}/events", {"type": "acceptance", "data": {"from": SUPPLIER}}, by=SHOP
    )
    assert sorted(took["codes"]) == sorted(made)
    assert sorted(inside(market, case)) == sorted(made)
    assert ask(market, case, by=SUPPLIER, status=404, method="GET")
    ask(market, f"{case}/events", sending(market))
    assert {state_of(market, code)["state"] for code in made} == {"in_transit"}


def test_cases_are_listed_with_what_is_in_them(market):
    party = market.newcomer()
    cases = sorted(packed(market, n, by=party)[0] for n in (1, 2, 3))
    page = market.ask("GET", f"{C}?limit=2", token=market.keys[party])
    assert [one["case"] for one in page["items"]] == cases[:2]
    rest = market.ask("GET", f"{C}?limit=2&cursor={page['next']}", token=market.keys[party])
    assert [one["case"] for one in rest["items"]] == cases[2:]
    assert sorted(one["units"] for one in page["items"] + rest["items"]) == [1, 2, 3]
    ask(market, f"{cases[0]}/unpack", {}, by=party)
    assert len(market.ask("GET", C, token=market.keys[party])["items"]) == 2
    assert inside(market, cases[0], by=party) == []


def test_a_case_holds_no_more_than_its_bound(market, monkeypatch):
    monkeypatch.setattr("app.trace.packing.MAX_UNITS", 3)
    case, _ = packed(market, 2)
    answer = market.call(
        "POST", f"{C}/{case}/pack", {"codes": units(market, 2)}, token=market.keys[SHOP]
    )
    assert (answer.status_code, answer.json()["errors"][0]["kind"]) == (422, "range")


def test_a_number_is_made_under_the_company_prefix_and_its_label_scans_back(market):
    body = {"company_prefix": "06912345"}
    made = [market.ask("POST", C, body, token=market.keys[SHOP], status=201) for _ in range(2)]
    assert made[0]["case"] != made[1]["case"]
    case = parse_sscc(made[0]["case"])
    assert case[1:9] == "06912345"
    picture = market.call("GET", f"{C}/{case}/label.png")
    (seen,) = zxingcpp.read_barcodes(Image.open(BytesIO(picture.content)))
    assert parse_sscc(seen.text) == case
    assert case in market.call("GET", f"{C}/{case}/label.svg").text


# --- the index -------------------------------------------------------------------------------------


TAMPERED = {
    "taken out": ("UPDATE case_unit SET inside = ? WHERE sscc = ?", False),
    "another holder": ("UPDATE case_unit SET party = ? WHERE sscc = ?", RIVAL),
    "another time": ("UPDATE case_unit SET packed_at = ? WHERE sscc = ?", 5),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_changed_row_is_a_finding(market, how):
    case, (code, *_) = packed(market, 1)
    market.work()
    audit(market, "all")
    assert not wrong(market, code)
    statement, value = TAMPERED[how]
    market.tamper(statement, value, case)
    audit(market, "all")
    assert wrong(market, code)
    # Whatever the row says, only what is in the case by its own chain moves with it.
    market.send(SHOP, code, "unpack", {"case": case})
    market.tamper("UPDATE case_unit SET inside = ?, party = ? WHERE sscc = ?", True, SHOP, case)
    assert refused(market, f"{case}/events", sending(market)) == (
        409,
        "lifecycle-conflict",
        "not_in_case",
    )
    audit(market, "all")
    shown = [
        f for f in findings(market, "&kind=index&status=open") if f["stream"] == f"party/{SHOP}"
    ]
    assert any(f"case_unit.{case}.{code}" in f["evidence"]["column"] for f in shown)
    market.tamper("UPDATE case_unit SET inside = ? WHERE sscc = ?", False, case)
    audit(market, "all")


def wrong(market, code: str) -> bool:
    return any(
        "case_unit" in found["evidence"]["column"]
        for found in findings(market, "&kind=index&status=open")
        if found["stream"] == code
    )


def test_who_may_not_speak_for_a_party_learns_nothing_of_its_cases(market):
    """Neither how many units a case holds, nor whether there is such a case."""
    case, made = packed(market)
    before = market.count_rows()["record"]
    for counted in (len(made), 9, None):
        event = sending(market, actor=SHOP)
        event |= {} if counted is None else {"count": counted}
        for there in (case, number()):
            answer = refused(market, f"{there}/events", event, by=RIVAL)
            assert answer[:2] == (403, "no-mandate"), (counted, there == case)
    # Nor does a role that cannot send the type at all.
    sale = {"type": "sale", "data": {}, "count": 9, "holder": SHOP}
    assert refused(market, f"{case}/events", sale, by=CARRIER)[0] == 403
    assert market.count_rows()["record"] == before
    # Who may is told, and what is judged with the goods is judged as before.
    assert refused(market, f"{case}/events", sending(market, count=9))[2] == "case_changed"
    assert refused(market, f"{number()}/events", sending(market))[0] == 404
