"""A served deployment with a unit in every state that a scan may meet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.browser.counter import Counter
from tests.drills.deployment import Deployment, wait_until
from tests.drills.tampering import TAMPERINGS, tamper
from tests.drills.trade import GTIN, SHOP, Trade, event, moment

RECALLED_LOT = "R-2"
SOLD_UNITS = 40


@dataclass(frozen=True)
class Shown:
    """A served trade, and by state a code that is in it."""

    trade: Trade
    codes: dict[str, str]

    def url(self, state: str, **query: str) -> str:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{self.trade.place.url}/{self.codes[state]}" + (f"?{asked}" if asked else "")


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    place = Deployment(tmp_path_factory.mktemp("shown") / "market").init().serve(days_ago=9)
    try:
        trade = Trade(place).begin()
        # A week and a day ago, so that its dispatch is overdue by now.
        (waiting,) = trade.issue(SHOP, 1, lot="A/1")
        trade.sell(SHOP, [waiting], at=moment(days=9))
        place.wait_published()
        place.stop()
        place.serve()
        yield Shown(trade, {"incomplete": waiting, **_bring_about(trade)})
    finally:
        place.close()


@pytest.fixture(scope="session")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    """Behind a proxy of ours, so that each phone may come from an address of its own."""
    folder = tmp_path_factory.mktemp("counter") / "market"
    place = Deployment(folder, SUXIN_TRUSTED_PROXIES="127.0.0.1").init().serve()
    try:
        trade = Trade(place).begin()
        yield Counter(trade, trade.complete(SHOP, SOLD_UNITS), trade.issue(SHOP, 2))
    finally:
        place.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go; pytest keeps the last three runs' folders."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


def _bring_about(trade: Trade) -> dict[str, str]:
    """Returns a code for each state that comes about at once."""
    intact, broken, other = trade.complete(SHOP, 3)
    moving, again, late = trade.issue(SHOP, 3, lot="A/1")
    trade.sell(SHOP, [moving])
    trade.dispatch(SHOP, [moving])

    trade.sell(SHOP, [again], at=moment(days=3))
    trade.send(SHOP, [event(again, "return", {"reason": "no_reason_7_days"}, moment(days=2))])
    trade.sell(SHOP, [again])

    # A dispatch shows that it was sold; the record of the sale is still on its way.
    trade.dispatch(SHOP, [late])

    token = trade.keys[SHOP]
    lot = {"gtin": GTIN, "lot": RECALLED_LOT, "produced_on": "2026-10-05"}
    trade.place.call("POST", "/api/v1/lots", lot, token=token, expect=201)
    (recalled,) = trade.issue(SHOP, 1, lot=RECALLED_LOT)
    trade.sell(SHOP, [recalled])
    told = {"reason": "墨水瓶盖可能渗漏，请停止使用并联系商家", "level": 3}
    trade.send(SHOP, [event(f"01/{GTIN}/10/{RECALLED_LOT}", "recall", told, moment(minutes=5))])
    (unsold,) = trade.issue(SHOP, 1)

    said = {"code": intact, "type": "review", "data": {"rating": 5},
            "sealed": {"text": {"content": {"text": "石质细润，包装也用心。"}}}}  # fmt: skip
    proof = {"Suxin-Claim": trade.claims[intact]}
    trade.place.call("POST", "/api/v1/events", said, headers=proof, expect=201)
    trade.place.wait_published()
    tamper(trade.place.database_url, TAMPERINGS[0], (broken, other))
    wait_until(lambda: bool(trade.findings(status="open")), "the auditor finds the altered body")
    return {
        "intact": intact,
        "broken": broken,
        "recalled": recalled,
        "unsold": unsold,
        "sold_before": again,
        "moving": moving,
        "provisional": late,
        "unknown": f"01/{GTIN}/21/N0SUCHC0DE00",
        "product": f"01/{GTIN}",
        "lot": f"01/{GTIN}/10/{RECALLED_LOT}",
    }
