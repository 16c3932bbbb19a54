"""The carrier's own signature after the seller's: by key, push and spreadsheet, and the proof it brings."""

from __future__ import annotations

import itertools
from uuid import uuid4

import pytest

from app.i18n import text
from app.ledger.bundle import verify_bundle_bytes
from tests.imports.sheets import as_csv
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR
from tests.web.people import signed_in
from tests.web.test_audits_api import audit
from tests.web.test_commitments_api import DAY, seen, signed, trader
from tests.web.test_imports_api import counts, send
from tests.web.test_late_listings_api import check_sound, list_late
from tests.web.test_sold_rows_api import reindex

HTML = {"Accept": "text/html", "Accept-Language": "zh"}
KIND = {"kind": "in_person"}
_numbers = itertools.count(700)


def sent(market, *, carrier: str = CARRIER, by: str = SHOP) -> tuple[str, str]:
    """Returns a unit that its shop sold and sent, and said itself was signed for; and its waybill."""
    code, waybill = market.one().code, f"TEST{next(_numbers):010d}"
    market.send(SHOP, code, "sale", {"region": "440100", "platform": PLATFORM}, hours=-300)
    sealed = {"waybill": {"content": {"number": waybill}}}
    data = {"carrier": carrier, "from": "441200", "to": "440100"}
    market.send(SHOP, code, "dispatch", data, hours=-299, sealed=sealed)
    told = market.send(by, code, "signature", KIND, hours=-250)
    assert "claim_token" not in told
    return code, waybill


def by_key(market, code: str, _waybill: str) -> dict:
    return market.send(CARRIER, code, "signature", {"kind": "locker"}, hours=-3)


def by_aggregator(market, code: str, _waybill: str) -> dict:
    market.mandate(CARRIER, AGGREGATOR, "signature")
    data = {"kind": "locker"}
    return market.send(AGGREGATOR, code, "signature", data, hours=-3, actor=CARRIER)


def by_push(market, _code: str, waybill: str) -> dict:
    item = {"waybill": waybill, "state": "304", "occurred_at": market.at(-3)}
    body = {"feed": "kuaidi100", "items": [item]}
    answer = market.ask("POST", "/api/v1/carriers/push", body, token=market.keys[CARRIER])
    assert answer["results"][0]["status"] == "recorded"
    return answer["results"][0]["events"][0]


@pytest.mark.parametrize("by", [SHOP, PLATFORM])
@pytest.mark.parametrize("way", [by_key, by_aggregator, by_push])
def test_the_carriers_later_word_brings_the_buyers_proof(market, way, by):
    code, waybill = sent(market, by=by)
    token = way(market, code, waybill)["claim_token"]
    assert token.startswith("C")
    proof = {"Suxin-Claim": token}
    market.send(None, code, "review", {"rating": 2}, headers=proof)
    market.send(None, code, "complaint", {"category": "quality"}, headers=proof)
    assert market.refused(CARRIER, code, "signature", KIND, hours=-1)[2] == "already_signed"
    assert market.refused(SHOP, code, "signature", KIND, hours=-1)[2] == "already_signed"
    market.work()
    assert audit(market, {"code": code})["findings"] == 0


def test_said_again_it_is_a_repeat_and_a_second_is_ignored(market):
    code, waybill = sent(market)
    first = by_push(market, code, waybill)
    item = {"waybill": waybill, "state": "304", "occurred_at": market.at(-3)}
    body = {"feed": "kuaidi100", "items": [item, item | {"state": "3"}]}
    told = market.ask("POST", "/api/v1/carriers/push", body, token=market.keys[CARRIER])["results"]
    assert [one["status"] for one in told] == ["repeated", "ignored"]
    assert told[0]["events"] == [first]
    assert told[1]["problem"]["reason"] == "already_signed"


def test_a_carriers_spreadsheet_says_it_for_a_whole_parcel(market):
    code, waybill = sent(market)
    rows = [["快递单号", "事件", "时间"], [waybill, "快递柜签收", market.at(-3)]]
    for query in ("?dry_run=true", ""):
        assert counts(send(market, "events", as_csv(rows), by=CARRIER, query=query)) == (1, 0, 0, 0)
    assert counts(send(market, "events", as_csv(rows), by=CARRIER)) == (0, 1, 0, 0)
    state = market.ask("GET", f"/api/v1/code?code={code}")
    assert state["state"] == "signed"
    page = market.client.get(f"/{code}", headers=HTML).text
    assert text("zh", "page.step_outweighed") in page


def test_a_consignments_named_carrier_speaks_after_its_seller(market):
    lot = market.lot("WITNESS")
    for name in ("A", "B"):
        one = {"consignment": name}
        market.send(SHOP, lot, "sale", one, hours=-30)
        market.send(SHOP, lot, "dispatch", {**one, "carrier": CARRIER}, hours=-29)
        market.send(SHOP, lot, "signature", {**one, **KIND}, hours=-28)
    data = {"consignment": "A", "kind": "locker"}
    token = market.send(CARRIER, lot, "signature", data, hours=-2)["claim_token"]
    review = {"consignment": "A", "rating": 3}
    market.send(None, lot, "review", review, headers={"Suxin-Claim": token})
    strange = {"consignment": "B", "rating": 3}
    headers = {"Suxin-Claim": token}
    assert market.refused(None, lot, "review", strange, headers=headers)[1] == "proof-invalid"
    assert market.refused(CARRIER, lot, "signature", data)[2] == "already_signed"
    assert audit(market, {"code": lot})["findings"] == 0


def test_a_whole_parcel_in_a_case_is_signed_for_by_its_waybill(market):
    units = [one.code for one in market.issue(2)]
    case, waybill = "306912345000000018", f"TEST{next(_numbers):010d}"
    ask = {"token": market.keys[SHOP], "status": 201}
    market.ask("POST", f"/api/v1/cases/{case}/pack", {"codes": units}, **ask)
    path = f"/api/v1/cases/{case}/events"
    sealed = {"waybill": {"content": {"number": waybill}}}
    body = {"type": "dispatch", "data": {"carrier": CARRIER}, "sealed": sealed}
    market.ask("POST", path, body, **ask)
    market.ask("POST", path, {"type": "signature", "data": KIND}, **ask)
    item = {"waybill": waybill, "state": "3", "occurred_at": market.at()}
    body = {"feed": "kuaidi100", "items": [item]}
    told = market.ask("POST", "/api/v1/carriers/push", body, token=market.keys[CARRIER])
    events = told["results"][0]["events"]
    assert {one["code"] for one in events} == set(units)
    assert all(one["claim_token"] for one in events)


def test_one_scan_of_the_case_says_it_of_every_unit_that_a_signature_took_out_of_it(market):
    units = [one.code for one in market.issue(4)]
    alone, together, still, taken_out = units
    case = "306912345000000025"
    ask = {"token": market.keys[SHOP], "status": 201}
    market.ask("POST", f"/api/v1/cases/{case}/pack", {"codes": units}, **ask)
    path = f"/api/v1/cases/{case}/events"
    sealed = {"waybill": {"content": {"number": f"TEST{next(_numbers):010d}"}}}
    body = {"type": "dispatch", "data": {"carrier": CARRIER}, "sealed": sealed}
    market.ask("POST", path, body, **ask)
    market.ask("POST", f"/api/v1/cases/{case}/unpack", {"codes": [taken_out]}, **ask)
    for code in (alone, together, taken_out):
        assert "claim_token" not in market.send(SHOP, code, "signature", KIND)
    scan = {"type": "signature", "data": {"kind": "locker"}, "id": str(uuid4())}
    own = {"token": market.keys[CARRIER], "status": 201}
    # Whatever case it names: one that the unit did not leave by that signature is none of it.
    other = {"kind": "locker", "case": "306912345000000018"}
    assert market.refused(CARRIER, alone, "signature", other)[2] == "not_in_case"
    there = {"kind": "locker", "case": case}
    assert market.refused(CARRIER, taken_out, "signature", there)[2] == "not_in_case"
    told = market.ask("POST", path, scan, **own)
    assert sorted(told["codes"]) == sorted([alone, together, still])
    assert all(one["claim_token"] for one in told["events"])
    again = market.ask("POST", path, scan, token=market.keys[CARRIER], status=200)
    assert again["events"] == told["events"]
    market.ask("POST", path, {**scan, "id": str(uuid4())}, token=market.keys[CARRIER], status=404)
    for code in units:
        assert audit(market, {"code": code})["findings"] == 0


def test_all_or_none_the_carriers_word_follows_the_signature_out_of_the_case(market):
    """As one after the other; what the signature takes out of is known before it is recorded."""
    agent = market.newcomer("platform", "aggregator")
    for party in (SHOP, CARRIER):
        market.mandate(party, agent, "signature")
    case, other = "306912345000000032", "306912345000000049"
    ask = {"token": market.keys[SHOP], "status": 201}

    def sent(count: int) -> list[str]:
        codes = [one.code for one in market.issue(count)]
        market.ask("POST", f"/api/v1/cases/{case}/pack", {"codes": codes}, **ask)
        for code in codes:
            market.dispatch(code)
        return codes

    def event(code: str, type_: str, actor: str, **data) -> dict:
        return {"id": str(uuid4()), "code": code, "type": type_, "actor": actor, "data": data}

    def post(events: list[dict], status: int) -> dict:
        path = "/api/v1/events/batch?atomic=true"
        return market.ask("POST", path, {"events": events}, token=market.keys[agent], status=status)

    one, two = sent(2)
    first, word = event(one, "signature", SHOP, **KIND), {**KIND, "case": case}
    told = [first, event(two, "signature", SHOP, **KIND)]
    told += [event(code, "signature", CARRIER, **word) for code in (one, two)]
    answer = post(told, 200)
    assert [r["status"] for r in answer["results"]] == [201] * 4
    assert all(r["event"]["claim_token"] for r in answer["results"][2:])
    again = post(told, 200)
    assert [r["event"]["hash"] for r in again["results"]] == [
        r["event"]["hash"] for r in answer["results"]
    ]
    # The signature of before, repeated, is still the one that took it out.
    (three,) = sent(1)
    before = event(three, "signature", SHOP, **KIND)
    market.ask("POST", "/api/v1/events", before, token=market.keys[agent], status=201)
    post([before, event(three, "signature", CARRIER, **word)], 200)
    # And it left no other case than the one that it was in.
    (four,) = sent(1)
    wrong = [event(four, "signature", SHOP, **KIND),
             event(four, "signature", CARRIER, **KIND, case=other)]  # fmt: skip
    assert post(wrong, 409)["reason"] == "not_in_case"
    assert market.ask("GET", f"/api/v1/code?code={four}")["state"] == "in_transit"
    for code in (one, two, three, four):
        assert audit(market, {"code": code})["findings"] == 0


# No token for the seller


def test_a_seller_that_names_itself_as_the_carrier_gets_no_token(market):
    both = market.newcomer("merchant", "carrier")
    unit = market.one(by=both).code
    market.send(both, unit, "sale", {}, hours=-9)
    market.send(both, unit, "dispatch", {"carrier": both}, hours=-8)
    assert 'value="claim"' not in market.client.get(f"/{unit}", headers=HTML).text
    assert "claim_token" not in market.send(both, unit, "signature", KIND, hours=-7)


def test_nor_does_its_software_in_its_name_as_the_carrier(market):
    both = market.newcomer("merchant", "carrier")
    for roles in (("aggregator",), ("carrier",), ("merchant",)):
        software = market.newcomer(*roles)
        market.mandate(both, software, "signature")
        unit = market.one(by=both).code
        market.send(both, unit, "sale", {}, hours=-9)
        market.send(both, unit, "dispatch", {"carrier": both}, hours=-8)
        told = market.send(software, unit, "signature", KIND, hours=-7, actor=both)
        assert "claim_token" not in told, roles


def test_nor_a_supplier_that_carries_what_it_holds(market):
    both = market.newcomer("supplier", "carrier")
    unit = market.one(by=both).code
    market.send(both, unit, "dispatch", {"carrier": both}, hours=-8)
    assert "claim_token" not in market.send(both, unit, "signature", KIND, hours=-7)


def test_nor_a_seller_that_speaks_for_the_carrier(market):
    both = market.newcomer("merchant", "aggregator")
    market.mandate(CARRIER, both, "signature")
    unit = market.one(by=both).code
    market.send(both, unit, "sale", {}, hours=-9)
    market.send(both, unit, "dispatch", {"carrier": CARRIER}, hours=-8)
    told = market.send(both, unit, "signature", KIND, hours=-7, actor=CARRIER)
    assert "claim_token" not in told
    assert market.send(CARRIER, unit, "signature", KIND, hours=-6)["claim_token"]


def test_nor_software_of_the_seller_that_the_carrier_trusts_too(market):
    software = market.newcomer("aggregator")
    market.mandate(SHOP, software, "sale", "dispatch")
    market.mandate(CARRIER, software, "signature")
    unit = market.one().code
    market.send(software, unit, "sale", {}, hours=-9, actor=SHOP)
    market.send(SHOP, unit, "dispatch", {"carrier": CARRIER}, hours=-8)
    told = market.send(software, unit, "signature", KIND, hours=-7, actor=CARRIER)
    assert "claim_token" not in told
    assert market.send(CARRIER, unit, "signature", KIND, hours=-6)["claim_token"]


def test_nor_the_holder_of_a_consignment_that_carries_it_itself(market):
    both = market.newcomer("supplier", "carrier")
    lot = market.lot("OWN", token=market.keys[both])
    one = {"consignment": "A"}
    market.send(both, lot, "dispatch", {**one, "carrier": both}, hours=-8)
    more = {"id": "0192f3a0-0000-7000-8000-00000000bbbb", "occurred_at": market.at(-7)}
    assert "claim_token" not in market.send(both, lot, "signature", one | KIND, **more)
    again = market.post(both, lot, "signature", one | KIND, **more)
    assert again.status_code == 200
    assert "claim_token" not in again.json()


# What the pages say


def test_the_pages_say_which_signature_counts(market):
    code, waybill = sent(market)
    before = market.client.get(f"/{code}", headers=HTML).text
    assert 'name="proof_kind" value="claim"' in before, "the carrier's word may still come"
    assert text("zh", "page.step_outweighed") not in before
    by_push(market, code, waybill)
    page = market.client.get(f"/{code}", headers=HTML).text
    assert page.count(text("zh", "page.step_outweighed")) == 1
    assert page.index("商家自报") < page.index(text("zh", "page.step_outweighed"))
    officer = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"])
    desk = officer.get(f"/desk/chains/{code}?lang=zh").text
    assert desk.count(text("zh", "page.step_outweighed")) == 1


def test_a_return_asked_between_the_two_is_in_time_by_the_carriers(market):
    shop = trader(market)
    made = signed(market, shop, "seven_day_return")
    code = market.one(by=shop).code
    market.mandate(shop, PLATFORM, "sale")
    data = {"platform": PLATFORM, "region": "440100"}
    sale = market.send(PLATFORM, code, "sale", data, hours=-400, actor=shop)
    market.send(shop, code, "dispatch", {"carrier": CARRIER}, hours=-399)
    market.send(shop, code, "signature", KIND, hours=-398)
    headers = {"Suxin-Claim": sale["claim_token"]}
    asked = {"category": "quality", "wish": "return"}
    market.send(None, code, "complaint", asked, headers=headers)
    market.work()
    market.send(CARRIER, code, "signature", KIND, hours=-30)
    market.work()
    market.clock.advance(9 * DAY)
    market.work()
    market.work()
    assert seen(market, made["party"], by=AUTHORITY)[-1]["status"] == "questioned"


# What follows from the records


@pytest.mark.parametrize("listed", ["before", "between", "after"])
def test_what_is_counted_of_both_is_counted_once_and_told_again_the_same(market, listed):
    seller = market.newcomer()
    unit = market.one(by=seller)
    if listed == "before":
        list_late(market, seller, hours=-9)
    market.send(seller, unit.code, "sale", {"region": "440100"}, hours=-8)
    market.send(seller, unit.code, "dispatch", {"carrier": CARRIER}, hours=-7)
    market.send(seller, unit.code, "signature", KIND, hours=-6)
    market.work()
    if listed == "between":
        list_late(market, seller, hours=-9)
    market.clock.advance(60)
    market.send(CARRIER, unit.code, "signature", KIND, hours=-1)
    market.work()
    if listed == "after":
        list_late(market, seller, hours=-9)
    check_sound(market, seller, unit)
    assert reindex(market) == 0
    entries = market.ask("GET", f"/api/v1/credit/{seller}/entries")["items"]
    assert [one["rule"] for one in entries].count("chain_completed") == 1
    bundle = market.call("GET", f"{unit.path}/evidence").content
    key = market.call("GET", "/log/key").text.strip()
    assert verify_bundle_bytes(bundle, vkey=key).exit_code == 0
