"""Goods without serials: the same steps on a lot, one life a consignment, and they may repeat."""

from __future__ import annotations

import pytest

from tests.web.conftest import CARRIER, PLATFORM, SHOP
from tests.web.market import RIVAL

INVALID = (403, "proof-invalid", None)


@pytest.fixture(scope="module")
def lot(market) -> str:
    return market.lot("LOOSE", produced_on="2026-10-01", quantity=500)


def sale(market, lot: str, consignment: str, *, hours: float = -3) -> dict:
    data = {"consignment": consignment, "platform": PLATFORM}
    return market.send(PLATFORM, lot, "sale", data, hours=hours, actor=SHOP)


def dispatch(market, lot: str, consignment: str) -> dict:
    data = {"consignment": consignment, "carrier": CARRIER, "to": "440100"}
    return market.send(SHOP, lot, "dispatch", data, hours=-2)


def test_each_consignment_lives_for_itself(market, lot):
    sale(market, lot, "A")
    sale(market, lot, "B")
    dispatch(market, lot, "A")
    market.send(CARRIER, lot, "transit", {"consignment": "A", "region": "440300"}, hours=-1.5)
    signature = {"consignment": "A", "kind": "in_person"}
    market.send(CARRIER, lot, "signature", signature, hours=-1)
    sold = {"consignment": "A"}
    assert market.refused(SHOP, lot, "sale", sold)[2] == "already_sold"
    assert market.refused(CARRIER, lot, "signature", signature)[2] == "already_signed"
    assert market.refused(SHOP, lot, "return", {"consignment": "C", "reason": "x"})[2] == "not_sold"
    market.send(SHOP, lot, "return", {"consignment": "B", "reason": "cancelled"}, hours=-1)
    # B may be sold again; the lot itself is sold as often as there are consignments.
    sale(market, lot, "B", hours=-0.5)
    sale(market, lot, "C")


def test_a_consignment_must_be_named_on_a_lot_and_nowhere_else(market, lot):
    answer = market.post(SHOP, lot, "sale", {})
    assert answer.json()["errors"] == [
        {**answer.json()["errors"][0], "loc": ["data", "consignment"], "kind": "missing"}
    ]
    unit = market.one(lot="LOOSE")
    answer = market.post(SHOP, unit.code, "sale", {"consignment": "A"})
    assert answer.json()["errors"][0]["kind"] == "unknown_field"


def test_a_token_of_one_consignment_says_nothing_about_another(market, lot):
    tokens = {name: sale(market, lot, name)["claim_token"] for name in ("T1", "T2")}
    assert len(set(tokens.values())) == 2
    proof = {"Suxin-Claim": tokens["T1"]}
    review = {"consignment": "T2", "rating": 1}
    assert market.refused(None, lot, "review", review, headers=proof) == INVALID
    market.send(None, lot, "review", {"consignment": "T1", "rating": 5}, headers=proof)
    again = market.refused(None, lot, "review", {"consignment": "T1", "rating": 5}, headers=proof)
    assert again == (409, "lifecycle-conflict", "already_reviewed")


def test_only_the_lots_holder_sells_from_it_until_an_acceptance_moves_it(market):
    lot = market.lot("MOVED")
    assert market.refused(RIVAL, lot, "sale", {"consignment": "A"})[:2] == (403, "forbidden")
    market.send(SHOP, lot, "transfer", {"to": RIVAL})
    assert market.refused(PLATFORM, lot, "acceptance", {"from": SHOP})[0] == 403
    market.send(RIVAL, lot, "acceptance", {"from": SHOP})
    market.send(RIVAL, lot, "sale", {"consignment": "A"})
    assert market.refused(SHOP, lot, "sale", {"consignment": "B"})[:2] == (403, "forbidden")


def test_a_consignments_sale_refers_to_the_sellers_listing(market, lot):
    sent = sale(market, lot, "REF")
    story = market.ask("GET", "/api/v1/lots/06901234567892/LOOSE/events")["items"]
    found = next(i["record"] for i in story if i["record"]["id"] == sent["id"])
    assert [ref["stream"] for ref in found["refs"]] == ["01/06901234567892"]
    assert any(i["record"]["type"] == "listing" for i in story), "a story holds what it refers to"


def test_a_consignment_that_is_overdue_is_a_finding_on_its_lot(market):
    lot = market.lot("OVERDUE")
    market.send(SHOP, lot, "sale", {"consignment": "LATE"})
    market.clock.advance(7 * 86400 + 1)
    market.work()
    found = market.ask("GET", "/api/v1/findings?status=open", token=market.keys[SHOP])["items"]
    (finding,) = [f for f in found if f["stream"] == lot]
    assert finding["kind"] == "continuity.missing_dispatch"
    market.send(SHOP, lot, "dispatch", {"consignment": "LATE", "carrier": "示例快递"})
    market.work()
    path = f"/api/v1/findings/{finding['id']}"
    assert market.ask("GET", path, token=market.keys[SHOP])["status"] == "closed"
