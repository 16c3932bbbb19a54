"""Whom a finding is put to: told by the log, held once, and ended by a regulator's word."""

from __future__ import annotations

import pytest

from app.ledger.record import record_hash, stream_key
from app.ledger.store import load_stream
from app.ledger.verifier import Problem
from app.oversight import store
from tests.drills.tampering import REHASHED_WITH_LEAVES, Saved, tamper
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import PRODUCT, RIVAL, Issued, Market, told

A, F, C = "/api/v1/audits", "/api/v1/findings", "/api/v1/credit"
DAY = 86400


def audit(market, code: str) -> int:
    """Has a code audited and returns how much was found."""
    token = market.keys[AUTHORITY]
    job = market.ask("POST", A, {"scope": {"code": code}}, token=token, status=202)
    while market.rooms.audits.run_job():
        pass
    return market.ask("GET", f"{A}/{job['id']}", token=token)["findings"]


def findings(market, party: str, query: str = "") -> list[dict]:
    path = f"{F}?limit=500&party={party}{query}"
    return market.ask("GET", path, token=market.keys[AUTHORITY])["items"]


def card(market, party: str) -> dict:
    return market.ask("GET", f"{C}/{party}")


def entries(market, party: str) -> list[dict]:
    return market.ask("GET", f"{C}/{party}/entries", token=market.keys[party])["items"]


def attribute(market, finding: str, to: str):
    body = {"to": to, "reason": "as the inspection showed"}
    return market.call("POST", f"{F}/{finding}/attribution", body, token=market.keys[AUTHORITY])


@pytest.fixture
def sellers(market) -> tuple[str, str]:
    """Two merchants without a past: one whose goods are altered, one who could be framed for it."""
    return market.newcomer(), market.newcomer()


def sold(market: Market, seller: str) -> Issued:
    """Returns a unit that the seller has sold and sent, all of it in the log."""
    (unit,) = market.issue(by=seller)
    market.send(seller, unit.code, "sale", {"region": "440100"}, hours=-3)
    market.send(seller, unit.code, "dispatch", {"carrier": CARRIER}, hours=-2)
    market.publish()
    return unit


# --- who is named -------------------------------------------------------------------------------


def test_an_altered_state_puts_the_hold_on_nobody_else(market, sellers):
    owner, framed = sellers
    unit = sold(market, owner)
    market.tamper(
        "UPDATE head SET state = replace(state, ?, ?) WHERE stream = ?",
        owner, framed, stream_key(unit.code),
    )  # fmt: skip
    assert audit(market, unit.code) == 1
    (found,) = findings(market, owner, "&status=open")
    assert (found["kind"], found["stream"]) == ("integrity.index_mismatch", unit.code)
    assert found["evidence"] == {"column": "head.state"}
    assert [hold["finding"] for hold in card(market, owner)["holds"]] == [found["id"]]
    assert findings(market, framed) == []
    assert card(market, framed)["holds"] == []


def test_a_sale_altered_to_name_another_seller_frames_nobody(market, sellers):
    """Body, column, hash and state all say the other: what the log holds says otherwise."""
    owner, framed = sellers
    unit = sold(market, owner)
    key = stream_key(unit.code)
    for statement, *values in (
        ("UPDATE record SET body = replace(body, ?, ?), actor = ? WHERE stream = ? AND seq = 1",
         owner, framed, framed, key),
        ("UPDATE head SET state = replace(state, ?, ?) WHERE stream = ?", owner, framed, key),
    ):  # fmt: skip
        market.tamper(statement, *values)
    with market.rooms.database.read() as connection:
        altered = load_stream(connection, unit.code)[1]
    market.tamper(
        "UPDATE record SET hash = ? WHERE stream = ? AND seq = 1", record_hash(altered.body), key
    )
    assert audit(market, unit.code) > 0
    assert {f["stream"] for f in findings(market, owner, "&status=open")} == {unit.code}
    assert card(market, owner)["holds"] != []
    assert findings(market, framed) == []
    assert card(market, framed)["holds"] == []


def test_a_lots_altered_state_frames_nobody_either(market, sellers):
    owner, framed = sellers
    lot = market.lot("FRAMED", token=market.keys[owner])
    market.send(owner, lot, "recall", {"reason": "glass"}, hours=-1)
    market.publish()
    market.tamper(
        "UPDATE head SET state = replace(replace(state, ?, ?), 'since', 'until') WHERE stream = ?",
        owner, framed, stream_key(lot),
    )  # fmt: skip
    assert audit(market, lot) == 1
    assert [f["stream"] for f in findings(market, owner, "&status=open")] == [lot]
    assert (findings(market, framed), card(market, framed)["holds"]) == ([], [])


# --- once, and no flapping ----------------------------------------------------------------------


def test_a_stream_re_hashed_with_its_leaves_is_found_once_and_stays_found(market, sellers):
    owner, _ = sellers
    unit = sold(market, owner)
    url = market.rooms.database.url
    codes = (unit.code, unit.code)
    saved = Saved(url, codes)
    tamper(url, REHASHED_WITH_LEAVES, codes)
    # The state follows, so that nothing in the stream contradicts itself: only the tree knows.
    state = "UPDATE head SET state = replace(state, ?, ?) WHERE stream = ?"
    market.tamper(state, "440100", "650100", stream_key(unit.code))

    def rounds() -> None:
        for _ in range(3):
            walk_once(market)
            audit(market, unit.code)
            market.rooms.audits.check_log()
            market.ask("GET", unit.path)

    def told_() -> list[tuple]:
        return sorted(
            (f["seq"], f["id"], f["status"], f["opened_at"], f.get("closed_at"))
            for f in findings(market, owner)
        )

    market.rooms.audits.check_log()
    first = told_()
    assert [(seq, status) for seq, _, status, _, _ in first] == [(1, "open"), (2, "open")]
    market.clock.advance(60)
    rounds()
    assert told_() == first
    holds = [r.fields["type"] for r in party_records(market, owner) if "hold" in r.fields["type"]]
    assert holds == ["credit_hold"] * 2, "held once each, never lifted"
    saved.restore()
    rounds()
    assert findings(market, owner, "&status=open") == []
    assert len(findings(market, owner)) == 2
    assert card(market, owner)["holds"] == []
    holds = [r.fields["type"] for r in party_records(market, owner) if "hold" in r.fields["type"]]
    assert sorted(holds) == ["credit_hold"] * 2 + ["credit_hold_lifted"] * 2


def test_what_was_found_while_the_tree_was_being_read_is_not_over(market, sellers, monkeypatch):
    """The check read before: of what was altered since then it knows nothing."""
    owner, _ = sellers
    unit = sold(market, owner)
    report, places = market.rooms.audits._findings.report, []

    def late(problems):
        ids = report(problems)
        if not places:
            leaf = Problem("integrity.leaf_mismatch", unit.code, seq=1, leaf_index=1)
            places.extend(report([leaf]))
        return ids

    monkeypatch.setattr(market.rooms.audits._findings, "report", late)
    market.rooms.audits.check_log()
    assert [f["id"] for f in findings(market, owner, "&status=open")] == places
    monkeypatch.undo()
    market.rooms.audits.check_log()
    assert findings(market, owner, "&status=open") == []


def party_records(market, party: str) -> list:
    with market.rooms.database.read() as connection:
        return load_stream(connection, f"party/{party}")


def walk_once(market) -> None:
    """Lets the walk go round all streams, however far it had come."""
    rounds = 0
    while rounds < 2:
        market.rooms.audits.walk()
        with market.rooms.database.read() as connection:
            rounds += store.load_cursor(connection, "audit.walk") == -1


# --- attribution --------------------------------------------------------------------------------


@pytest.fixture
def altered(market, sellers):
    """A sold unit whose sale was altered, with its seller and the finding."""
    owner, _ = sellers
    unit = sold(market, owner)
    market.tamper(
        "UPDATE record SET body = replace(body, '440100', '440300') WHERE stream = ? AND seq = 1",
        stream_key(unit.code),
    )
    assert audit(market, unit.code) == 1
    (found,) = findings(market, owner, "&status=open")
    assert card(market, owner)["score"] == 650
    return unit, owner, found["id"]


def after_notice(market, party: str) -> dict:
    """Returns the card as it is once notice and holds are over."""
    now = market.clock.now()
    market.clock.advance(30 * DAY)
    shown = card(market, party)
    market.clock.set(now)
    return shown


@pytest.mark.parametrize("to", ["operator", "none", "carrier"])
def test_what_is_not_the_merchants_lifts_its_hold_and_charges_nobody(market, altered, to):
    unit, owner, finding = altered
    others = {party: entries(market, party) for party in (CARRIER, PLATFORM, SHOP, RIVAL)}
    assert attribute(market, finding, to).json()["attributed_to"] == to
    for _ in range(2):
        audit(market, unit.code)
        walk_once(market)
    shown = card(market, owner)
    assert (shown["holds"], shown["score"], shown["breakdown"]) == ([], 700, [])
    assert entries(market, owner) == []
    assert (after_notice(market, owner)["score"], after_notice(market, owner)["grade"]) == (
        700,
        "B",
    )
    assert {party: entries(market, party) for party in others} == others
    assert card(market, CARRIER)["holds"] == []
    # Still altered, and still said to be.
    assert market.ask("GET", unit.path)["verdict"] == "broken"
    assert [f["id"] for f in findings(market, owner, "&status=open")] == [finding]


def test_what_is_the_merchants_is_announced_and_counts_after_its_notice(market, altered):
    _, owner, finding = altered
    assert attribute(market, finding, "merchant").status_code == 200
    assert [hold["finding"] for hold in card(market, owner)["holds"]] == [finding]
    (entry,) = entries(market, owner)
    assert (entry["rule"], entry["weight"], entry["status"]) == (
        "integrity_attributed_merchant", 0, "notice",
    )  # fmt: skip
    assert card(market, owner)["score_without_holds"] == 700
    assert after_notice(market, owner)["score"] == 400


@pytest.mark.parametrize(("first", "second"), [
    ("operator", "merchant"), ("merchant", "operator"), ("none", "carrier"), ("carrier", "none"),
])  # fmt: skip
def test_a_finding_is_attributed_once(market, altered, first, second):
    _, owner, finding = altered
    once = attribute(market, finding, first).json()
    before = (entries(market, owner), card(market, owner), market.count_rows())
    answer = attribute(market, finding, second)
    assert told(answer)[:2] == (409, "already-exists")
    assert attribute(market, finding, first).json() == once, "said again, it is the same"
    assert (entries(market, owner), card(market, owner), market.count_rows()) == before


def test_a_gap_that_was_not_the_sellers_is_as_if_it_had_never_been_charged(market, sellers):
    owner, _ = sellers
    (unit,) = market.issue(by=owner)
    market.send(owner, PRODUCT, "listing", {"platform": "x"}, hours=-500)
    market.send(owner, unit.code, "sale", {}, hours=0)
    market.clock.advance(7 * DAY)
    market.work()
    (found,) = findings(market, owner, "&status=open")
    assert found["kind"] == "continuity.missing_dispatch"
    assert [e["status"] for e in entries(market, owner)] == ["notice"]
    others = {party: entries(market, party) for party in (CARRIER, PLATFORM, SHOP, RIVAL)}
    # No carrier has ever seen the goods: nobody but the seller could hear of it.
    assert attribute(market, found["id"], "carrier").status_code == 409
    assert [e["status"] for e in entries(market, owner)] == ["notice"]
    assert attribute(market, found["id"], "operator").status_code == 200
    assert [e["status"] for e in entries(market, owner)] == ["cancelled"]
    assert after_notice(market, owner)["score"] == 700
    assert {party: entries(market, party) for party in others} == others


@pytest.fixture
def silent(market, sellers):
    """A carrier that never told of the signature, and the finding on it; the seller did its part."""
    owner, _ = sellers
    carrier = market.newcomer("carrier")
    (unit,) = market.issue(by=owner)
    market.send(owner, PRODUCT, "listing", {"platform": "x"}, hours=-500)
    market.send(owner, unit.code, "sale", {}, hours=0)
    market.send(owner, unit.code, "dispatch", {"carrier": carrier}, hours=0)
    market.clock.advance(15 * DAY)
    market.work()
    (found,) = findings(market, carrier, "&status=open")
    assert found["kind"] == "continuity.missing_signature"
    return owner, carrier, found["id"]


def test_a_carriers_gap_attributed_to_the_carrier_stays_the_carriers_alone(market, silent):
    owner, carrier, finding = silent
    assert attribute(market, finding, "carrier").status_code == 200
    assert [e["status"] for e in entries(market, carrier)] == ["notice"]
    assert after_notice(market, carrier)["score"] == 670
    assert entries(market, owner) == []
    assert after_notice(market, owner)["score"] == 700


@pytest.mark.parametrize("to", ["merchant", "operator", "none"])
def test_a_carriers_gap_that_was_anothers_charges_no_carrier(market, silent, to):
    _, carrier, finding = silent
    assert attribute(market, finding, to).status_code == 200
    assert [e["status"] for e in entries(market, carrier)] == ["cancelled"]
    assert after_notice(market, carrier)["score"] == 700
