"""Steps that stay missing: who answers for them, and that one gap never stands for another."""

from __future__ import annotations

import pytest

from app.kit.clock import parse_time
from app.kit.errors import Unavailable
from app.parties.identity import uscc_check_digit
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM
from tests.web.market import AGGREGATOR, GTIN, PRODUCT

C, F = "/api/v1/credit", "/api/v1/findings"
DAY = 86400
_FIRST_17 = "91440300MA4TE5T98"
STRANGER = _FIRST_17 + uscc_check_digit(_FIRST_17)
"""A valid USCC that nobody registered."""


@pytest.fixture
def trader(market):
    """Makes merchants without a past who list the product."""

    def settle() -> str:
        party = market.newcomer()
        market.mandate(party, PLATFORM, "sale", "listing")
        market.send(party, PRODUCT, "listing", {"platform": PLATFORM}, hours=-500)
        return party

    return settle


def sell(market, seller: str, **more) -> str:
    """Sells a new unit of the seller's now, and returns its code."""
    unit = market.one(by=seller, **more)
    market.send(seller, unit.code, "sale", {})
    return unit.code


def send_off(market, seller: str, carrier: str) -> tuple[str, dict]:
    """Sells and dispatches a unit now; returns its code and the dispatch."""
    code = sell(market, seller)
    return code, market.send(seller, code, "dispatch", {"carrier": carrier})


def findings_on(market, code: str) -> list[dict]:
    found = market.ask("GET", f"{F}?kind=continuity&limit=500", token=market.keys[AUTHORITY])
    return [f for f in found["items"] if f["stream"] == code]


def charged(market, party: str, finding: str | None = None) -> dict[str, str]:
    """Returns the party's entries by rule with their status, all or those on one finding."""
    path = f"{C}/{party}/entries?limit=500"
    items = market.ask("GET", path, token=market.keys[AUTHORITY])["items"]
    return {
        e["rule"]: e["status"]
        for e in items
        if finding is None or e["evidence"].get("finding") == finding
    }


# --- deadlines ----------------------------------------------------------------------------------


def test_a_deadline_that_cannot_be_charged_now_stops_no_other_and_is_met_again(
    market, trader, monkeypatch
):
    first, second = trader(), trader()
    blocked = sell(market, first)
    market.clock.advance(60)
    other = sell(market, second)
    post = market.rooms.credit.post

    def refuse(new, **more):
        if new.party == first:
            raise Unavailable("unavailable")
        return post(new, **more)

    monkeypatch.setattr(market.rooms.credit, "post", refuse)
    market.clock.advance(7 * DAY)
    market.work()
    assert len(findings_on(market, other)) == 1
    assert charged(market, second) == {"continuity_uncured": "notice"}
    monkeypatch.undo()
    market.clock.advance(60)
    market.work()
    assert len(findings_on(market, blocked)) == 1
    assert charged(market, first) == {"continuity_uncured": "notice"}


def test_more_failing_deadlines_than_a_batch_hold_up_no_later_one(market, trader, monkeypatch):
    from app.oversight import deadlines

    monkeypatch.setattr(deadlines, "_BATCH", 2)
    first, second = trader(), trader()
    for _ in range(3):
        sell(market, first)
    market.clock.advance(60)
    other = sell(market, second)
    raise_missing = market.rooms.findings.raise_missing

    def refuse(due, stream):
        if due.party == first:
            raise Unavailable("unavailable")
        return raise_missing(due, stream)

    monkeypatch.setattr(market.rooms.findings, "raise_missing", refuse)
    market.clock.advance(7 * DAY)
    market.work()
    assert len(findings_on(market, other)) == 1
    monkeypatch.undo()
    market.clock.advance(60)
    market.work()
    assert charged(market, first) == {"continuity_uncured": "notice"}


def test_a_sale_told_late_is_not_incomplete_at_once(market, trader):
    seller = trader()
    unit = market.one(by=seller)
    market.send(seller, unit.code, "sale", {}, hours=-20 * 24)
    market.work()
    assert market.ask("GET", unit.path)["verdict"] == "intact"
    assert findings_on(market, unit.code) == []
    market.clock.advance(DAY)
    market.work()
    assert market.ask("GET", unit.path)["verdict"] == "incomplete"
    assert len(findings_on(market, unit.code)) == 1


# --- who answers for the signature --------------------------------------------------------------


def test_a_carrier_that_nobody_registered_cannot_answer_so_the_seller_does(market, trader):
    seller = trader()
    code, _ = send_off(market, seller, STRANGER)
    market.clock.advance(60)
    other = sell(market, trader())
    shown = market.ask("GET", f"/api/v1/codes/{GTIN}/{code.split('/')[-1]}/verification")
    assert [gap["party"] for gap in shown["pending"]] == [seller]
    market.clock.advance(15 * DAY)
    market.work()
    (finding,) = findings_on(market, code)
    assert (finding["kind"], finding["party"]) == ("continuity.missing_signature", seller)
    assert charged(market, seller, finding["id"]) == {"continuity_uncured": "notice"}
    assert len(findings_on(market, other)) == 1, "the deadlines after it are raised too"


def test_who_is_named_carrier_and_is_none_is_not_charged(market, trader):
    seller, bystander = trader(), trader()
    code, _ = send_off(market, seller, bystander)
    market.clock.advance(15 * DAY)
    market.work()
    (finding,) = findings_on(market, code)
    assert finding["party"] == seller
    assert charged(market, bystander) == {}
    assert charged(market, seller) == {"continuity_uncured": "notice"}


@pytest.mark.parametrize("carrier", [CARRIER, AGGREGATOR])
def test_a_registered_carrier_answers_for_the_signature(market, trader, carrier):
    seller = trader()
    code, _ = send_off(market, seller, carrier)
    market.clock.advance(15 * DAY)
    market.work()
    (finding,) = findings_on(market, code)
    assert finding["party"] == carrier
    assert charged(market, carrier, finding["id"]) == {"continuity_uncured": "notice"}
    assert charged(market, seller) == {}


@pytest.mark.parametrize("first", ["示例快递", AGGREGATOR])
@pytest.mark.parametrize("days", [1, 16])
def test_a_correction_moves_the_blame_to_nobody(market, trader, first, days):
    seller = trader()
    code, sent = send_off(market, seller, first)
    market.clock.advance(days * DAY)
    correction = {"of": sent["id"], "changes": {"carrier": CARRIER}}
    market.send(seller, code, "correction", correction)
    market.clock.advance((20 - days) * DAY)
    market.work()
    (finding,) = findings_on(market, code)
    assert finding["party"] == seller
    assert charged(market, CARRIER, finding["id"]) == {}
    assert charged(market, seller) == {"continuity_uncured": "notice"}


# --- whose fault it is --------------------------------------------------------------------------


def attribute(market, finding: str, to: str, *, status: int = 200) -> dict:
    body = {"to": to, "reason": "heard both sides"}
    path = f"{F}/{finding}/attribution"
    return market.ask("POST", path, body, token=market.keys[AUTHORITY], status=status)


def unsigned(market, seller: str) -> tuple[str, str]:
    """Lets a signature of the carrier's become overdue; returns the code and the finding's id."""
    code, _ = send_off(market, seller, CARRIER)
    market.clock.advance(15 * DAY)
    market.work()
    (finding,) = findings_on(market, code)
    assert finding["party"] == CARRIER
    return code, finding["id"]


def test_a_carriers_gap_that_is_the_merchants_moves_to_the_merchant_with_notice(market, trader):
    seller = trader()
    code, finding = unsigned(market, seller)
    attribute(market, finding, "merchant")
    assert charged(market, CARRIER, finding) == {"continuity_uncured": "cancelled"}
    assert charged(market, seller, finding) == {"continuity_uncured": "notice"}
    assert market.ask("GET", f"{C}/{seller}")["score"] == 700
    for reader in (seller, CARRIER):
        shown = market.ask("GET", f"{F}/{finding}", token=market.keys[reader])
        assert (shown["party"], shown["attributed_to"]) == (seller, "merchant")
    attribute(market, finding, "merchant")
    assert charged(market, CARRIER, finding) == {"continuity_uncured": "cancelled"}
    attribute(market, finding, "carrier", status=409)
    # Cured within its notice it costs the merchant less, and the carrier nothing.
    market.send(CARRIER, code, "signature", {"kind": "in_person"})
    market.work()
    assert charged(market, seller, finding) == {
        "continuity_uncured": "cancelled", "late_event": "notice",
    }  # fmt: skip
    assert charged(market, CARRIER, finding) == {"continuity_uncured": "cancelled"}


def test_a_carriers_gap_that_is_the_carriers_stays_with_it(market, trader):
    seller = trader()
    _, finding = unsigned(market, seller)
    assert attribute(market, finding, "carrier")["party"] == CARRIER
    assert charged(market, CARRIER, finding) == {"continuity_uncured": "notice"}
    assert charged(market, seller) == {}


@pytest.mark.parametrize("to", ["operator", "none"])
def test_a_gap_that_is_neithers_charges_nobody(market, trader, to):
    seller = trader()
    code, finding = unsigned(market, seller)
    attribute(market, finding, to)
    market.send(CARRIER, code, "signature", {"kind": "in_person"})
    market.work()
    assert charged(market, CARRIER, finding) == {"continuity_uncured": "cancelled"}
    assert charged(market, seller, finding) == {}


def test_a_late_step_of_the_carriers_that_is_the_merchants_moves_as_late(market, trader):
    seller = trader()
    code, finding = unsigned(market, seller)
    market.send(CARRIER, code, "signature", {"kind": "in_person"})
    market.work()
    assert charged(market, CARRIER, finding)["late_event"] == "notice"
    attribute(market, finding, "merchant")
    assert set(charged(market, CARRIER, finding).values()) == {"cancelled"}
    assert charged(market, seller, finding) == {"late_event": "notice"}


@pytest.mark.parametrize(
    ("to", "kept"), [("merchant", "notice"), ("operator", "cancelled"), ("none", "cancelled")]
)
def test_a_merchants_gap_stays_only_if_it_is_the_merchants(market, trader, to, kept):
    seller = trader()
    code = sell(market, seller)
    market.clock.advance(7 * DAY)
    market.work()
    (finding,) = findings_on(market, code)
    attribute(market, finding["id"], to)
    assert charged(market, seller, finding["id"]) == {"continuity_uncured": kept}


def test_a_merchants_gap_that_is_the_carriers_moves_to_the_carrier_that_is_named(market, trader):
    seller = trader()
    code, sent = send_off(market, seller, "示例快递")
    correction = {"of": sent["id"], "changes": {"carrier": CARRIER}}
    market.send(seller, code, "correction", correction)
    market.clock.advance(15 * DAY)
    market.work()
    (finding,) = findings_on(market, code)
    assert charged(market, seller, finding["id"]) == {"continuity_uncured": "notice"}
    attribute(market, finding["id"], "carrier")
    assert charged(market, seller, finding["id"]) == {"continuity_uncured": "cancelled"}
    assert charged(market, CARRIER, finding["id"]) == {"continuity_uncured": "notice"}


# --- what a whole chain earns -------------------------------------------------------------------


def buyer(name: str) -> dict:
    return {"buyer": {"content": {"id": name}}}


def earned(market, seller: str) -> list:
    """Returns the seller's entries for whole chains, as they are kept, oldest first."""
    from app.credit import store

    with market.rooms.database.read() as connection:
        entries = store.load_entries(connection, seller)
    return [entry for entry in entries if entry.rule == "chain_completed"]


def test_each_consignment_earns_by_its_own_record_and_its_own_buyer(market, trader):
    seller = trader()
    lot = market.lot(f"THREE{seller[-4:]}", token=market.keys[seller])
    names = ("A", "B", "C")
    for name in names:
        data = {"consignment": name}
        market.send(seller, lot, "sale", data, hours=-3, sealed=buyer(name))
        market.send(seller, lot, "dispatch", {**data, "carrier": CARRIER}, hours=-2)
    signed = []
    for name in names:
        data = {"consignment": name, "kind": "in_person"}
        signed.append(market.send(CARRIER, lot, "signature", data, hours=-1)["hash"])
    # A later sale on the same lot is of another consignment.
    market.send(seller, lot, "sale", {"consignment": "D"}, sealed=buyer("D"))
    market.work()
    found = earned(market, seller)
    assert sorted(e.evidence["record"] for e in found) == sorted(signed)
    assert len({e.facts.buyer for e in found} - {None}) == 3
    market.work()
    assert len(earned(market, seller)) == 3


def test_what_follows_before_the_outbox_drains_is_no_evidence_of_a_whole_chain(market, trader):
    seller = trader()
    unit = market.one(by=seller)
    sent = market.send(
        PLATFORM, unit.code, "sale", {"platform": PLATFORM}, hours=-3, actor=seller,
        sealed=buyer("A"),
    )  # fmt: skip
    market.send(seller, unit.code, "dispatch", {"carrier": CARRIER}, hours=-2)
    signed = market.sign(unit.code)
    proof = {"Suxin-Claim": sent["claim_token"]}
    market.clock.advance(DAY)
    market.send(None, unit.code, "review", {"rating": 5}, headers=proof)
    market.send(seller, unit.code, "return", {"reason": "seven days"})
    market.send(seller, unit.code, "sale", {}, sealed=buyer("B"))
    market.work()
    (entry,) = earned(market, seller)
    assert entry.evidence == {"record": signed["hash"]}
    assert entry.effective_at == parse_time(signed["recorded_at"])
    other = market.one(by=seller)
    market.send(seller, other.code, "sale", {}, hours=-3, sealed=buyer("A"))
    market.send(seller, other.code, "dispatch", {"carrier": CARRIER}, hours=-2)
    market.sign(other.code)
    market.work()
    first, second = earned(market, seller)
    assert first.facts.buyer == second.facts.buyer, "both were sold to A"
