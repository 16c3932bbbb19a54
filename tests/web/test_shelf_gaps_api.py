"""A listing that comes late: which units it heals, and that index, credit and verdict agree on it."""

from __future__ import annotations

import pytest

from app.kit.clock import parse_time, to_ms
from tests.ledger.ledgers import runner
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM
from tests.web.market import GTIN, PRODUCT

C, F = "/api/v1/credit", "/api/v1/findings"
DAY = 86400


@pytest.fixture
def seller(market) -> str:
    """A merchant who has listed nothing; each test has its own."""
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    return party


def listing(market, seller: str, code: str, *, hours: float = -300, **more) -> dict:
    return market.send(seller, code, "listing", {"platform": PLATFORM}, hours=hours, **more)


def lot_of(market, seller: str, name: str) -> str:
    return market.lot(name, token=market.keys[seller])


def sell(market, seller: str, *, hours: float = -3, **more) -> str:
    unit = market.one(by=seller, **more)
    market.send(seller, unit.code, "sale", {}, hours=hours)
    return unit.code


def finish(market, seller: str, code: str, **data) -> dict:
    """Dispatches what was sold and has it signed for; returns the signature."""
    market.send(seller, code, "dispatch", {"carrier": CARRIER, **data}, hours=-2)
    return market.send(CARRIER, code, "signature", {"kind": "in_person", **data}, hours=-1)


def owed(market, code: str) -> set[str]:
    """Returns the steps that the verification says are missing or to come."""
    path = f"/api/v1/codes/{GTIN}/{code.rsplit('/', maxsplit=1)[-1]}/verification"
    return {gap["step"] for gap in market.ask("GET", path)["pending"]}


def indexed(market, code: str, subject: str = "") -> set[str]:
    """Returns the steps that the index of deadlines holds."""
    from app.ledger.record import stream_key

    with market.rooms.database.read() as connection:
        query = "SELECT step FROM due WHERE stream = ? AND subject = ?"
        return {row.step for row in runner(connection)(query, stream_key(code), subject)}


def cycles(market, code: str, subject: str = "") -> list:
    """Returns the sale cycles as they are counted, in order."""
    from app.ledger.record import stream_key

    with market.rooms.database.read() as connection:
        query = "SELECT * FROM sold_unit WHERE stream = ? AND subject = ? ORDER BY cycle"
        return runner(connection)(query, stream_key(code), subject)


def missing(market, code: str) -> list[tuple[str, str]]:
    """Returns (step, status) of the findings on a code."""
    found = market.ask("GET", f"{F}?kind=continuity&limit=500", token=market.keys[AUTHORITY])
    return [(f["evidence"]["step"], f["status"]) for f in found["items"] if f["stream"] == code]


def test_a_listing_on_a_lot_heals_the_units_of_that_lot_and_no_others(market, seller):
    mine, other = lot_of(market, seller, "MINE"), lot_of(market, seller, "OTHER")
    inside = sell(market, seller, lot="MINE")
    outside, elsewhere = sell(market, seller), sell(market, seller, lot="OTHER")
    for lot in (mine, other):
        market.send(seller, lot, "sale", {"consignment": "K"}, hours=-3)
    market.clock.advance(DAY)
    market.work()
    for code in (inside, outside, elsewhere, mine, other):
        assert missing(market, code) == [("listing", "open")]
    listing(market, seller, mine)
    market.work()
    for code in (inside, mine):
        assert missing(market, code) == [("listing", "closed")]
    for code in (outside, elsewhere, other):
        assert missing(market, code) == [("listing", "open")]
    for code, gaps in ((inside, {"dispatch"}), (outside, {"listing", "dispatch"})):
        assert owed(market, code) == indexed(market, code) == gaps
    assert indexed(market, mine, "consignment/K") == {"dispatch"}
    assert indexed(market, other, "consignment/K") == {"listing", "dispatch"}
    listing(market, seller, PRODUCT)
    market.work()
    for code in (outside, elsewhere, other):
        assert missing(market, code) == [("listing", "closed")]


def test_a_listing_after_the_sale_heals_nothing(market, seller):
    code = sell(market, seller, hours=-3)
    market.work()
    listing(market, seller, PRODUCT, hours=-2)
    market.work()
    assert owed(market, code) == indexed(market, code) == {"listing", "dispatch"}


def test_a_healed_listing_touches_the_present_sale_alone(market, seller):
    unit = market.one(by=seller)
    market.send(seller, unit.code, "sale", {}, hours=-30)
    market.send(seller, unit.code, "return", {"reason": "cancelled"}, hours=-20)
    market.send(seller, unit.code, "sale", {}, hours=-10)
    first, second = cycles(market, unit.code)
    assert (first.gap_due_at, second.steps) == (None, 1)
    listing(market, seller, PRODUCT)
    market.work()
    again, healed = cycles(market, unit.code)
    assert again == first, "what is over owes nothing again"
    assert healed.steps == 2
    assert healed.gap_due_at > second.gap_due_at


@pytest.mark.parametrize("consignment", [None, "K"])
def test_a_chain_that_a_listing_makes_whole_is_complete_in_index_and_credit(
    market, seller, consignment
):
    if consignment is None:
        code, data, subject = market.one(by=seller).code, {}, ""
    else:
        code, subject = lot_of(market, seller, f"LAST{seller[-4:]}"), "consignment/K"
        data = {"consignment": consignment}
    sealed = {"buyer": {"content": {"id": "B1"}}}
    market.send(seller, code, "sale", data, hours=-3, sealed=sealed)
    signed = finish(market, seller, code, **data)
    assert indexed(market, code, subject) == {"listing"}
    market.clock.advance(60)
    told = listing(market, PLATFORM, PRODUCT, actor=seller)
    market.clock.advance(5)
    market.work()
    assert indexed(market, code, subject) == set()
    (sold,) = cycles(market, code, subject)
    assert (sold.steps, sold.independent, sold.gap_due_at) == (4, 2, None)
    assert sold.completed_at == to_ms(parse_time(told["recorded_at"]))
    assert market.ask("GET", f"{C}/{seller}")["completed_chains"] == 1
    market.work()
    (entry,) = market.ask("GET", f"{C}/{seller}/entries")["items"]
    assert (entry["rule"], entry["evidence"]) == ("chain_completed", {"record": signed["hash"]})
    assert entry["effective_at"] == told["recorded_at"]


def test_a_consignments_healed_listing_stays_healed_whoever_speaks_next(market, seller):
    code = lot_of(market, seller, f"NEXT{seller[-4:]}")
    data = {"consignment": "K"}
    market.send(seller, code, "sale", data, hours=-3)
    listing(market, seller, code)
    market.work()
    finish(market, seller, code, **data)
    assert indexed(market, code, "consignment/K") == set()
    assert cycles(market, code, "consignment/K")[0].steps == 4


def test_a_signature_that_overtakes_the_news_of_a_listing_is_what_made_the_chain_whole(
    market, seller
):
    code = sell(market, seller)
    listing(market, seller, PRODUCT)
    market.clock.advance(1)
    signed = finish(market, seller, code)
    market.work()
    (entry,) = market.ask("GET", f"{C}/{seller}/entries")["items"]
    assert entry["evidence"] == {"record": signed["hash"]}
    assert indexed(market, code) == owed(market, code) == set()
