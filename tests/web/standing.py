"""A shop with a past, for the pages on credit: chains, merits, faults of every age, one in dispute."""

from __future__ import annotations

from typing import Any

from app.kit.clock import parse_time
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import Market

DAY = 86_400
REPORT = {
    "title": "抽检报告",
    "number": "2026-1123",
    "issuer": "肇庆市市场监督管理局",
    "url": "https://reports.example/2026-1123",
    "attachments": ["ab" * 32],
}
CHAINS = 12


def enter(market: Market, party: str, rule: str, *, by: str = AUTHORITY, **evidence: Any) -> Any:
    """Enters a fact and returns the entry; what is announced is waited for until it takes effect."""
    body = {"rule": rule, "evidence": {**REPORT, **evidence}}
    token = market.admin if by == "admin" else market.keys[by]
    path = f"/api/v1/credit/{party}/entries"
    entry = market.ask("POST", path, body, token=token, status=201)
    market.clock.set(max(market.clock.now(), parse_time(entry["effective_at"])))
    market.work()
    return entry


def step(market: Market, entry: str, what: str, *, by: str, **more: Any) -> Any:
    body = {"reason": "经核查"} | more if what == "decision" else {"text": "情况说明"}
    path = f"/api/v1/credit/entries/{entry}/{what}"
    return market.ask("POST", path, body, token=market.keys[by], status=201)


def live(market: Market, party: str = SHOP) -> dict[str, Any]:
    """Lets half a year pass over a shop; returns its entries by what became of them."""
    for unit in market.issue(CHAINS):
        market.complete(unit.code)
    market.work()
    enter(market, party, "licence_verified", by="admin", title="证照核验")
    market.clock.advance(20 * DAY)
    repaired = enter(market, party, "complaint_upheld", title="投诉处理决定", number="T-1")
    old = enter(market, party, "spot_check_failed")
    market.clock.advance(110 * DAY)
    step(market, repaired["id"], "repair", by=party)
    step(market, repaired["id"], "decision", by=AUTHORITY, outcome="granted")
    enter(market, party, "spot_check_clean", number="2027-0402")
    market.clock.advance(10 * DAY)
    disputed = enter(market, party, "listing_mismatch", title="处理决定", number="T-2")
    step(market, disputed["id"], "objection", by=party)
    return {"repaired": repaired, "old": old, "disputed": disputed}
