"""A broken chain lowers a merchant's credit, honest repair restores it: through the API alone."""

from __future__ import annotations

from datetime import timedelta

from app.kit.clock import parse_time
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM
from tests.web.market import GTIN, Market, told
from tests.web.test_audits_api import audit
from tests.web.test_ranking_api import complete, trader

C, F = "/api/v1/credit", "/api/v1/findings"
DAY = 86_400
MONTH = timedelta(days=31)


class Shop:
    """A merchant with ten whole chains, seen as everybody sees it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.id = trader(market)
        complete(market, self.id, 10)
        market.work()

    def card(self) -> dict:
        return self.market.ask("GET", f"{C}/{self.id}")

    def entries(self, *, by: str | None = None, rule: str = "continuity_uncured") -> list[dict]:
        token = None if by is None else self.market.keys[by]
        found = self.market.ask("GET", f"{C}/{self.id}/entries?limit=500", token=token)["items"]
        return [entry for entry in found if entry["rule"] == rule]

    def entry(self, *, by: str | None = None) -> dict:
        (entry,) = self.entries(by=by)
        return entry

    def break_chain(self) -> str:
        """Sells a unit and sends nothing, until that is noticed; returns the unit's code."""
        (unit,) = self.market.issue(by=self.id)
        self.market.send(PLATFORM, unit.code, "sale", {"platform": PLATFORM}, actor=self.id)
        self.market.clock.advance(7 * DAY)
        self.market.work()
        return unit.code

    def send_late(self, code: str) -> None:
        data = {"carrier": CARRIER, "from": "441200", "to": "440100"}
        self.market.send(self.id, code, "dispatch", data)
        self.market.sign(code, hours=0)
        self.market.work()

    def say(self, entry: dict, what: str, text: str = "凭证见附件", *, status: int = 201) -> dict:
        body = {"text": text, "attachments": ["ab" * 32]}
        path = f"{C}/entries/{entry['id']}/{what}"
        return self.market.ask("POST", path, body, token=self.market.keys[self.id], status=status)

    def boost(self) -> float:
        """Returns its boost in the platform's own search."""
        body = {"candidates": [{"id": "x", "gtin": GTIN, "seller": self.id, "base": 1}]}
        token = self.market.keys[PLATFORM]
        (item,) = self.market.ask("POST", "/api/v1/ranking", body, token=token)["items"]
        return item["boost"]


def first_of(market: Market, *shops: Shop) -> str:
    """Returns who comes first at equal base; named last, a shop is first by its boost alone."""
    body = {"candidates": [{"id": s.id, "gtin": GTIN, "seller": s.id, "base": 1.0} for s in shops]}
    return market.ask("POST", "/api/v1/ranking", body, token=market.keys[PLATFORM])["items"][0][
        "id"
    ]


def decide(market: Market, entry: dict, outcome: str, *, status: int = 201) -> dict:
    body = {"outcome": outcome, "reason": "经核查"}
    path = f"{C}/entries/{entry['id']}/decision"
    return market.ask("POST", path, body, token=market.keys[AUTHORITY], status=status)


def test_a_broken_chain_lowers_a_merchants_credit_and_honest_repair_restores_it(market):
    rival, shop = Shop(market), Shop(market)
    whole = shop.card()
    assert (whole["score"], whole["grade"], whole["data_enough"]) == (705, "B", True)
    assert shop.boost() == rival.boost() > 0

    # Break, then notice: told to the party, seen by nobody else, and nothing is deducted.
    code = shop.break_chain()
    entry = shop.entry(by=shop.id)
    assert (entry["status"], entry["weight"], entry["why"]) == ("notice", 0, "not_yet")
    assert shop.entries() == []
    assert shop.card()["score"] == 705

    # Objection, refused: it was heard, dated, decided, and changes nothing.
    objected = shop.say(entry, "objection", "买家要求延后发货")
    assert (objected["status"], objected["steps"][-1]["step"]) == ("objected", "object")
    assert objected["steps"][-1]["decide_by"] > market.at()
    assert shop.entry(by=AUTHORITY)["steps"][-1]["closed"], "an authority says why it reads on"
    path = f"{C}/{shop.id}/entries?limit=500&purpose=decide+on+the+objection"
    seen = market.ask("GET", path, token=market.keys[AUTHORITY])["items"]
    (heard,) = [one["steps"][-1] for one in seen if one["id"] == entry["id"]]
    assert (heard["text"], heard["attachments"]) == ("买家要求延后发货", ["ab" * 32])
    refused = decide(market, entry, "dismissed")
    assert (refused["status"], refused["steps"][-1]["by"]) == ("notice", AUTHORITY)

    # Effective at the end of the fifth working day: the score falls, the rank with it.
    until = parse_time(entry["effective_at"])
    market.clock.set(until - timedelta(milliseconds=1))
    assert shop.card()["score"] == 705
    market.clock.set(until)
    market.work()
    fallen = shop.card()
    assert (fallen["score"], fallen["grade"]) == (675, "C")
    shown = shop.entry()
    assert (shown["weight"], shown["why"], shown["status"]) == (-30, "full", "effective")
    assert "text" not in shown["steps"][0], "what was said is between the party and the authority"
    assert shop.boost() == 0
    assert first_of(market, shop, rival) == rival.id

    # Repair: put right at once, asked for too early, then in time, then granted.
    shop.send_late(code)
    assert shop.card()["score"] == 676, "a whole chain again: a point; what was late was late"
    early = market.call(
        "POST", f"{C}/entries/{entry['id']}/repair", {"text": "已补发"}, token=market.keys[shop.id]
    )
    assert told(early) == (409, "lifecycle-conflict", "too_early")
    market.clock.set(parse_time(entry["earliest_repair_at"]))
    asked = shop.say(entry, "repair", "已补发并签收")
    assert (asked["status"], asked["weight"]) == ("repair_asked", -30)
    assert decide(market, entry, "granted")["status"] == "repaired"

    # Recovery: at once, in score, rank and public view; on file for those whom it concerns.
    restored = shop.card()
    assert (restored["score"], restored["grade"]) == (706, "B")
    assert shop.entries() == []
    assert {e["status"] for by in (shop.id, AUTHORITY) for e in shop.entries(by=by)} == {"repaired"}
    assert shop.boost() == rival.boost() > 0
    assert first_of(market, shop, rival) == shop.id

    # Expiry: a second break that nobody repairs fades from its earliest repair on, and ends.
    shop.break_chain()
    (second,) = [e for e in shop.entries(by=shop.id) if e["status"] == "notice"]
    market.clock.set(parse_time(second["earliest_repair_at"]))
    assert shop.entry()["weight"] == -30
    points = []
    for _ in range(8):
        market.clock.set(market.clock.now() + MONTH)
        points.append(shop.entry()["weight"])
    assert points == sorted(points), "it only gets lighter"
    assert -30 < points[0] < points[-1] < 0
    market.clock.set(parse_time(second["expires_at"]))
    assert shop.entries() == []
    market.work()
    (lapsed,) = [e for e in shop.entries(by=AUTHORITY) if e["id"] == second["id"]]
    assert (lapsed["status"], lapsed["weight"]) == ("lapsed", 0)
    assert lapsed["steps"][-1]["by"] == "system"
    assert audit(market, {"party": shop.id})["findings"] == 0


def test_what_the_operator_altered_leaves_the_merchant_unharmed(market):
    shop = Shop(market)
    (unit,) = market.issue(by=shop.id)
    sale = market.send(shop.id, unit.code, "sale", {"region": "440100"}, hours=-1)
    shop.send_late(unit.code)
    before, boost = shop.card(), shop.boost()
    statement = "UPDATE record SET body = replace(body, ?, ?) WHERE hash = ?"
    market.tamper(statement, "440100", "440300", bytes.fromhex(sale["hash"]))
    audit(market, {"code": unit.code})
    held = shop.card()
    assert held["score"] == before["score"] - 50
    assert held["score_without_holds"] == before["score"]
    assert (held["completed_chains"], shop.boost()) == (10, 0)
    (hold,) = held["holds"]
    body = {"to": "operator", "reason": "磁盘恢复出错"}
    path = f"{F}/{hold['finding']}/attribution"
    market.ask("POST", path, body, token=market.keys[AUTHORITY])
    after = shop.card()
    assert {**after, "as_of": ""} == {**before, "as_of": ""}
    assert shop.boost() == boost > 0
    rules = {e["rule"] for e in market.ask(
        "GET", f"{C}/{shop.id}/entries", token=market.keys[AUTHORITY])["items"]}  # fmt: skip
    assert rules == {"chain_completed"}


def test_where_the_carrier_is_at_fault_the_carrier_pays(market):
    shop = Shop(market)
    carrier = market.newcomer("carrier")
    (unit,) = market.issue(by=shop.id)
    market.send(shop.id, unit.code, "sale", {})
    market.send(shop.id, unit.code, "dispatch", {"carrier": carrier})
    before = shop.card()
    market.clock.advance(15 * DAY)
    market.work()
    (entry,) = market.ask("GET", f"{C}/{carrier}/entries", token=market.keys[carrier])["items"]
    market.clock.set(parse_time(entry["effective_at"]))
    assert market.ask("GET", f"{C}/{carrier}")["score"] == 670
    after = shop.card()
    assert after["score"] == before["score"]
    assert after["breakdown"] == before["breakdown"]
    assert shop.entries(by=shop.id) == []


def test_a_false_alarm_leaves_no_trace_in_the_score(market):
    shop = Shop(market)
    before, public = shop.card(), shop.entries(rule="chain_completed")
    shop.break_chain()
    entry = shop.entry(by=shop.id)
    market.clock.set(parse_time(entry["effective_at"]))
    assert shop.card()["score"] == before["score"] - 30
    shop.say(entry, "objection", "该订单已取消")
    assert shop.card()["score"] == before["score"] - 30, "an objection alone suspends nothing"
    decide(market, entry, "upheld")
    after = shop.card()
    assert {**after, "as_of": ""} == {**before, "as_of": ""}
    assert shop.entries() == []
    assert shop.entries(rule="chain_completed") == public
    market.clock.advance(400 * DAY)
    market.work()
    assert shop.card()["score"] == 700
