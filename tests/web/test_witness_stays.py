"""Who has spoken as the carrier or platform of a sale stays named: no correction takes a proof away."""

from __future__ import annotations

import pytest

from app.i18n import text
from app.trace.life_table import LifecycleConflict
from app.trace.requests import EventRequest
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR
from tests.web.people import signed_in
from tests.web.test_account_pages import principal_of
from tests.web.test_audits_api import audit
from tests.web.test_commitments_api import DAY, seen, signed, trader
from tests.web.test_correction_pages import form_of
from tests.web.test_witness_word import by_push, sent

KIND = {"kind": "in_person"}
SPOKEN = (409, "lifecycle-conflict", "has_spoken")


def named(code_of: dict, **changes: str) -> dict:
    return {"of": code_of["id"], "changes": changes}


def on_the_way(market, *, platform: str = PLATFORM) -> tuple[str, dict, dict]:
    """Returns a unit that its shop sold and sent, with the sale and the dispatch."""
    code = market.one().code
    sale = market.send(SHOP, code, "sale", {"platform": platform, "region": "440100"}, hours=-9)
    return code, sale, market.send(SHOP, code, "dispatch", {"carrier": CARRIER}, hours=-8)


def test_a_carrier_that_signed_stays_named_and_its_proof_holds(market):
    own = market.newcomer("carrier")
    code, sale, dispatch = on_the_way(market)
    proof = {"Suxin-Claim": market.send(CARRIER, code, "signature", KIND, hours=-7)["claim_token"]}
    assert market.refused(SHOP, code, "correction", named(dispatch, carrier=own)) == SPOKEN
    assert market.refused(SHOP, code, "correction", named(dispatch, carrier="中通")) == SPOKEN
    market.send(SHOP, code, "correction", named(sale, platform=CARRIER))
    assert market.refused(own, code, "signature", KIND)[0] == 403
    assert market.refused(CARRIER, code, "signature", KIND)[2] == "already_signed"
    market.send(None, code, "review", {"rating": 1}, headers=proof)
    # The same carrier again, and anything else of the dispatch, is no change of it.
    market.send(SHOP, code, "correction", named(dispatch, carrier=CARRIER, to="440300"))
    assert audit(market, {"code": code})["findings"] == 0


@pytest.mark.parametrize("said", ["transit", "refusal", "return"])
def test_so_does_one_that_said_anything_else_of_the_parcel(market, said):
    own = market.newcomer("carrier")
    code, _, dispatch = on_the_way(market)
    data = {"transit": {"region": "440100"}}.get(said, {"reason": "broken"})
    market.send(CARRIER, code, said, data, hours=-7)
    assert market.refused(SHOP, code, "correction", named(dispatch, carrier=own)) == SPOKEN


def test_a_scan_that_an_aggregator_tells_for_whoever_is_named_keeps_no_wrong_name(market):
    own = market.newcomer("carrier")
    code, _, dispatch = on_the_way(market)
    market.mandate(CARRIER, AGGREGATOR, "transit", "signature")
    scan = {"region": "440100"}
    market.send(AGGREGATOR, code, "transit", scan, hours=-7, actor=CARRIER)
    market.send(SHOP, code, "correction", named(dispatch, carrier=own))
    assert market.send(own, code, "signature", KIND, hours=-6)["claim_token"]
    code, _, dispatch = on_the_way(market)
    market.send(AGGREGATOR, code, "signature", KIND, hours=-7, actor=CARRIER)
    assert market.refused(SHOP, code, "correction", named(dispatch, carrier=own)) == SPOKEN


def test_one_that_has_not_spoken_is_corrected_and_the_repeat_says_so_ever_after(market):
    own = market.newcomer("carrier")
    code, _, dispatch = on_the_way(market)
    once = {"id": "0192f3a0-0000-7000-8000-00000000c0c0"}
    data = named(dispatch, carrier=own)
    market.send(SHOP, code, "correction", data, **once)
    market.send(own, code, "transit", {"region": "440100"}, hours=-6)
    market.send(SHOP, code, "correction", data, status=200, **once)
    market.send(SHOP, code, "correction", named(dispatch, carrier=own, to="440300"))
    assert market.refused(SHOP, code, "correction", named(dispatch, carrier=CARRIER)) == SPOKEN
    assert market.send(own, code, "signature", KIND)["claim_token"]


def test_the_platform_that_signed_stays_named_and_the_carrier_may_still_speak(market):
    code, sale, _ = on_the_way(market)
    assert "claim_token" not in market.send(PLATFORM, code, "signature", KIND, hours=-7)
    assert market.refused(SHOP, code, "correction", named(sale, platform="示例平台")) == SPOKEN
    mistyped = named(sale, platform=PLATFORM.lower())
    assert market.refused(SHOP, code, "correction", mistyped) == (422, "invalid", None)
    market.send(SHOP, code, "correction", named(sale, platform=PLATFORM, region="440300"))
    token = market.send(CARRIER, code, "signature", KIND, hours=-6)["claim_token"]
    assert market.refused(SHOP, code, "correction", named(sale, platform="示例平台")) == SPOKEN
    market.send(None, code, "review", {"rating": 1}, headers={"Suxin-Claim": token})


def test_a_platform_that_has_not_spoken_is_corrected(market):
    code, sale, _ = on_the_way(market)
    market.send(SHOP, code, "signature", KIND, hours=-7)
    market.send(SHOP, code, "correction", named(sale, platform="示例平台"))
    assert market.send(CARRIER, code, "signature", KIND, hours=-6)["claim_token"]


def test_of_a_consignment_too_and_with_no_other_beside_it(market):
    own, lot = market.newcomer("carrier"), market.lot("STAYS")
    told = {}
    for name in ("A", "B"):
        one = {"consignment": name}
        market.send(SHOP, lot, "sale", one, hours=-30)
        told[name] = market.send(SHOP, lot, "dispatch", {**one, "carrier": CARRIER}, hours=-29)
    market.send(CARRIER, lot, "transit", {"consignment": "A", "region": "440100"}, hours=-28)
    anew = named(told["A"], carrier=own)
    for where in ({"consignment": "A"}, {"consignment": "B"}, {}):
        assert market.refused(SHOP, lot, "correction", {**anew, **where}) == SPOKEN, where
    market.send(SHOP, lot, "correction", {**named(told["B"], carrier=own), "consignment": "B"})
    signature = {"consignment": "B", **KIND}
    assert market.send(own, lot, "signature", signature, hours=-2)["claim_token"]


def test_a_sale_begun_anew_is_another(market):
    own = market.newcomer("carrier")
    code, _, first = on_the_way(market)
    market.send(CARRIER, code, "signature", KIND, hours=-7)
    market.send(SHOP, code, "return", {"reason": "seven days"}, hours=-6)
    market.send(SHOP, code, "sale", {"platform": PLATFORM}, hours=-5)
    second = market.send(SHOP, code, "dispatch", {"carrier": CARRIER}, hours=-4)
    assert market.refused(SHOP, code, "correction", named(first, carrier=own)) == SPOKEN
    market.send(SHOP, code, "correction", named(second, carrier=own))


def test_nor_is_a_later_sales_carrier_one_of_an_earlier_sale(market):
    own = market.newcomer("carrier")
    code, _, first = on_the_way(market)
    market.send(SHOP, code, "return", {"reason": "cancelled"}, hours=-6)
    market.send(SHOP, code, "sale", {"platform": PLATFORM}, hours=-5)
    second = market.send(SHOP, code, "dispatch", {"carrier": CARRIER}, hours=-4)
    market.send(CARRIER, code, "transit", {"region": "440100"}, hours=-3)
    market.send(SHOP, code, "correction", named(first, carrier=own))
    assert market.refused(SHOP, code, "correction", named(second, carrier=own)) == SPOKEN


def test_a_signature_that_comes_between_is_seen_when_it_is_recorded(market):
    own = market.newcomer("carrier")
    code, _, dispatch = on_the_way(market)
    owner = principal_of(market, signed_in(market))
    request = EventRequest(code=code, type="correction", data=named(dispatch, carrier=own))
    ready = market.rooms.recording.prepare(owner, request, None)
    assert market.send(CARRIER, code, "signature", KIND, hours=-7)["claim_token"]
    (answer,) = market.rooms.recorder.submit_and_wait([ready])
    assert isinstance(answer, LifecycleConflict)
    assert answer.reason == "has_spoken"


def test_the_form_says_why(market):
    own = market.newcomer("carrier")
    code, _, dispatch = on_the_way(market)
    market.send(CARRIER, code, "signature", KIND, hours=-7)
    owner = signed_in(market)
    fields = form_of(owner, code, dispatch["id"])
    page = owner.post("/desk/records/correct", 409, **{**fields, "carrier": own}).text
    assert text("en", "fault.lifecycle.has_spoken") in page


# What the seller's side says in the carrier's name is no word of the carrier's


def test_software_that_signs_for_a_wrong_carrier_gives_way_to_the_true_one(market):
    true, software = market.newcomer("carrier"), market.newcomer("aggregator")
    market.mandate(SHOP, software, "sale", "dispatch")
    market.mandate(CARRIER, software, "signature")
    code = market.one().code
    market.send(software, code, "sale", {}, hours=-9, actor=SHOP)
    dispatch = market.send(SHOP, code, "dispatch", {"carrier": CARRIER}, hours=-8)
    market.send(software, code, "signature", KIND, hours=-7, actor=CARRIER)
    market.send(SHOP, code, "correction", named(dispatch, carrier=true))
    assert market.send(true, code, "signature", KIND, hours=-6)["claim_token"]


def test_software_that_signed_for_the_carrier_tells_no_late_sale_for_the_seller(market):
    market.mandate(SHOP, AGGREGATOR, "sale")
    market.mandate(CARRIER, AGGREGATOR, "signature")
    code = market.one().code
    market.send(SHOP, code, "dispatch", {"carrier": CARRIER}, hours=-8)
    told = market.send(AGGREGATOR, code, "signature", KIND, hours=-7, actor=CARRIER)
    assert told["claim_token"]
    late = {"hours": -9}
    assert market.refused(AGGREGATOR, code, "sale", {}, actor=SHOP, **late) == SPOKEN
    market.send(SHOP, code, "sale", {}, **late)
    assert market.refused(CARRIER, code, "signature", KIND)[2] == "already_signed"


# A refused parcel


def test_the_carriers_refusal_comes_after_the_sellers_signature_and_ends_the_sale(market):
    code, _ = sent(market)
    assert market.refused(SHOP, code, "refusal", {"reason": "broken"})[2] == "already_signed"
    market.send(CARRIER, code, "refusal", {"reason": "broken"}, hours=-3)
    assert market.ask("GET", f"/api/v1/code?code={code}")["state"] == "returned"
    assert market.refused(CARRIER, code, "signature", KIND)[2] == "not_moving"
    page = market.client.get(f"/{code}", headers={"Accept": "text/html", "Accept-Language": "zh"})
    assert page.text.count(text("zh", "page.step_outweighed")) == 1
    market.work()
    assert audit(market, {"code": code})["findings"] == 0


def test_a_carrier_that_signed_says_no_more(market):
    code, waybill = sent(market)
    by_push(market, code, waybill)
    refused = market.refused(CARRIER, code, "refusal", {"reason": "broken"})
    assert refused[2] == "already_signed"


# The seven days


@pytest.mark.parametrize("way", ["unanswered", "refused"])
@pytest.mark.parametrize("first", ["told after it", "by the carrier, earlier"])
def test_no_signature_told_after_a_request_makes_it_late(market, way, first):
    shop = trader(market)
    made = signed(market, shop, "seven_day_return")
    code = market.one(by=shop).code
    market.mandate(shop, PLATFORM, "sale")
    sale = market.send(
        PLATFORM, code, "sale", {"platform": PLATFORM, "region": "440100"}, hours=-400, actor=shop
    )
    market.send(shop, code, "dispatch", {"carrier": CARRIER}, hours=-399)
    if first != "told after it":
        market.send(shop, code, "signature", KIND, hours=-30)
    asked = market.send(
        None, code, "complaint", {"category": "quality", "wish": "return"},
        headers={"Suxin-Claim": sale["claim_token"]},
    )  # fmt: skip
    market.work()
    by = shop if first == "told after it" else CARRIER
    market.send(by, code, "signature", KIND, hours=-398)
    if way == "refused":
        market.send(shop, code, "reply", {"of": asked["id"], "outcome": "refused"})
    market.work()
    market.clock.advance(9 * DAY)
    market.work()
    market.work()
    assert seen(market, made["party"], by=AUTHORITY)[-1]["status"] == "questioned"
