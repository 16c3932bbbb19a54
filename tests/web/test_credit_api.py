"""A party's credit: the score, what it is made of, and how facts become entries, once each."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from app.credit.loader import load_policy
from app.credit.policy import Entry, Status, score
from app.kit.clock import parse_time
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import told

C = "/api/v1/credit"
DAY = 86400


def card(market, party: str = SHOP) -> dict:
    return market.ask("GET", f"{C}/{party}")


def entries(market, party: str = SHOP, *, by: str | None = None) -> list[dict]:
    token = None if by is None else market.keys[by]
    return market.ask("GET", f"{C}/{party}/entries?limit=500", token=token)["items"]


@pytest.fixture
def seller(market):
    """A merchant without a past; each test has its own."""
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    market.send(party, "01/06901234567892", "listing", {"platform": PLATFORM}, hours=-500)
    return party


def complete(market, seller: str, count: int) -> list[str]:
    """Lets so many units of the seller's live the four steps."""
    codes = [unit.code for unit in market.issue(count, by=seller)]
    data = {"carrier": CARRIER, "from": "441200", "to": "440100"}
    for code in codes:
        market.send(PLATFORM, code, "sale", {"platform": PLATFORM}, hours=-3, actor=seller)
        market.send(seller, code, "dispatch", data, hours=-2)
        market.sign(code)
    return codes


def test_who_has_no_past_starts_at_the_base(market, seller):
    shown = card(market, seller)
    assert {n: shown[n] for n in ("score", "score_without_holds", "grade", "policy")} == {
        "score": 700, "score_without_holds": 700, "grade": "B", "policy": 1,
    }  # fmt: skip
    assert (shown["breakdown"], shown["holds"], shown["data_enough"]) == ([], [], False)
    assert shown["as_of"] == market.at()
    assert entries(market, seller) == []


def test_a_completed_chain_earns_its_point_once(market, seller):
    codes = complete(market, seller, 2)
    market.work()
    market.work()
    shown = card(market, seller)
    assert shown["breakdown"] == [{"rule": "chain_completed", "points": 2, "count": 2}]
    assert (shown["score"], shown["completed_chains"], shown["data_enough"]) == (702, 2, False)
    found = entries(market, seller)
    heads = [
        market.ask("GET", f"/api/v1/code?code={quote(code, safe='')}")["head"]["hash"]
        for code in codes
    ]
    # The record is named by its hash: a dossier must not list a shop's units.
    assert sorted(e["evidence"]["record"] for e in found) == sorted(heads)
    assert not any(code in str(found) for code in codes)
    for entry in found:
        assert (entry["points"], entry["weight"], entry["status"]) == (1, 1, "effective")
        assert entry["expires_at"] > market.at(300 * 24)
    # Each entry is a record of the party's own stream.
    path = "/api/v1/audits"
    job = market.ask(
        "POST", path, {"scope": {"party": seller}}, token=market.keys[seller], status=202
    )
    market.work()
    assert market.ask("GET", f"{path}/{job['id']}", token=market.keys[seller])["findings"] == 0


def test_points_of_a_day_are_capped_and_ten_chains_are_data_enough(market, seller):
    complete(market, seller, 10)
    market.work()
    shown = card(market, seller)
    assert shown["breakdown"] == [{"rule": "chain_completed", "points": 5, "count": 5}]
    assert (shown["completed_chains"], shown["data_enough"]) == (10, True)


def test_a_missing_step_is_noticed_then_entered_and_never_twice(market, seller):
    (unit,) = market.issue(by=seller)
    market.send(seller, unit.code, "sale", {})
    market.clock.advance(7 * DAY)
    for _ in range(3):
        market.work()
    (found,) = market.ask("GET", "/api/v1/findings?status=open", token=market.keys[seller])["items"]
    assert (found["kind"], found["party"], found["stream"]) == (
        "continuity.missing_dispatch", seller, unit.code,
    )  # fmt: skip
    assert entries(market, seller) == [], "announced to the party first"
    (entry,) = entries(market, seller, by=seller)
    assert entry["evidence"]["finding"] == found["id"]
    assert (entry["rule"], entry["points"], entry["weight"], entry["why"]) == (
        "continuity_uncured", -30, 0, "not_yet",
    )  # fmt: skip
    assert entry["links"]["finding"] == f"/api/v1/findings/{found['id']}"
    assert card(market, seller)["score"] == 700
    until = parse_time(entry["effective_at"])
    market.clock.set(until - timedelta(milliseconds=1))
    assert card(market, seller)["score"] == 700
    market.clock.set(until)
    market.work()
    shown = card(market, seller)
    assert (shown["score"], shown["grade"]) == (670, "C")
    assert shown["breakdown"] == [{"rule": "continuity_uncured", "points": -30, "count": 1}]
    assert len(entries(market, seller)) == 1
    assert entries(market, seller, by=AUTHORITY)[0]["title"]


def test_what_is_cured_within_its_notice_costs_less(market, seller):
    (unit,) = market.issue(by=seller)
    market.send(seller, unit.code, "sale", {})
    market.clock.advance(7 * DAY)
    market.work()
    market.clock.advance(DAY)
    data = {"carrier": CARRIER, "from": "441200", "to": "440100"}
    market.send(seller, unit.code, "dispatch", data, hours=-30)
    market.work()
    assert (
        market.ask("GET", "/api/v1/findings?status=open", token=market.keys[seller])["items"] == []
    )
    market.clock.advance(20 * DAY)
    shown = card(market, seller)
    assert shown["breakdown"] == [
        {"rule": "late_event", "points": shown["score"] - 700, "count": 1}
    ]
    assert -5 <= shown["score"] - 700 < 0
    kept = {e["rule"]: e["status"] for e in entries(market, seller, by=seller)}
    assert kept == {"continuity_uncured": "cancelled", "late_event": "effective"}
    assert [e["rule"] for e in entries(market, seller)] == ["late_event"]


def test_a_carriers_missing_signature_is_the_carriers(market):
    unit = market.one()
    market.sell(unit.code, hours=0)
    market.dispatch(unit.code, hours=0)
    market.clock.advance(15 * DAY)
    market.work()
    found = market.ask(
        "GET", "/api/v1/findings?kind=continuity&limit=500", token=market.keys[AUTHORITY]
    )["items"]
    (finding,) = [one for one in found if one["stream"] == unit.code]
    (mine,) = [
        e
        for e in entries(market, CARRIER, by=CARRIER)
        if e["evidence"].get("finding") == finding["id"]
    ]
    assert (mine["rule"], mine["evidence"]["step"]) == ("continuity_uncured", "signature")
    assert all(
        e["evidence"].get("finding") != finding["id"] for e in entries(market, SHOP, by=SHOP)
    )


def test_anybody_can_recompute_the_score_from_what_is_public(market):
    complete(market, SHOP, 3)
    market.work()
    shown, policy = card(market), market.ask("GET", f"{C}/policy")
    rules = {rule["id"]: rule for rule in policy["rules"]}
    again = score(
        [
            Entry(
                id=e["id"], party=SHOP, rule=e["rule"], points=e["points"],
                effective_at=parse_time(e["effective_at"]),
                earliest_repair_at=(
                    parse_time(e["earliest_repair_at"]) if "earliest_repair_at" in e else None
                ),
                expires_at=parse_time(e["expires_at"]),
                status=Status(e["status"]),
            )
            for e in entries(market)
        ],
        [], parse_time(shown["as_of"]), load_policy(1),
    )  # fmt: skip
    assert again.score_without_holds == shown["score_without_holds"]
    for entry in entries(market):
        assert entry["points"] == rules[entry["rule"]]["points"]
        assert entry["policy"] == policy["version"]


def test_entries_come_page_by_page(market, seller):
    complete(market, seller, 3)
    market.work()
    seen, cursor = [], ""
    while cursor is not None:
        page = market.ask(
            "GET", f"{C}/{seller}/entries?limit=2" + (f"&cursor={cursor}" if cursor else "")
        )
        seen += [entry["id"] for entry in page["items"]]
        cursor = page["next"]
    assert seen == [entry["id"] for entry in entries(market, seller)]
    assert len(seen) == 3


def test_the_policy_is_public_data_with_a_version(market):
    newest = market.ask("GET", f"{C}/policy")
    assert newest == market.ask("GET", f"{C}/policy/1")
    assert (newest["version"], newest["score"]["base"]) == (1, 700)
    assert [g["grade"] for g in newest["grades"]] == ["A", "B", "C", "D"]
    assert all(rule["title"]["zh"] and rule["title"]["en"] for rule in newest["rules"])
    for version, status in (("2", 404), ("0", 422), ("x", 422), ("-1", 422)):
        assert told(market.call("GET", f"{C}/policy/{version}"))[0] == status


@pytest.mark.parametrize("below", ["", "/entries"])
def test_a_party_that_is_not_registered_has_no_credit(market, below):
    for party in ("91441200MA4TE5T99X", "nobody", "%E5%95%86%E5%BA%97", "a%2Fb"):
        assert told(market.call("GET", f"{C}/{party}{below}"))[:2] == (404, "not-found")
