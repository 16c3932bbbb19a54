"""Order counts, the feed of features, advice, the 广告 mark, and receipts that can be replayed."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from hashlib import sha256
from pathlib import Path
from types import ModuleType

import pytest

from app.ledger.note import open_note, parse_vkey
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import GTIN, RIVAL, told
from tests.web.test_ranking_api import ask, boost_of, complete, expected, offer, rank, trader, why

COUNTS, FEED, ADVICE = "/api/v1/orders/counts", "/api/v1/ranking/features", "/api/v1/ranking/advice"
SCRIPT = Path(__file__).parents[2] / "scripts" / "replay_ranking.py"
ID = "0192f3a0-0000-7000-8000-00000000c0de"


def report(market, *counts: dict, by: str = PLATFORM, id: str | None = None):
    body = {"counts": list(counts), **({} if id is None else {"id": id})}
    return market.call("POST", COUNTS, body, token=market.keys[by])


def count(seller: str, orders: int, *, period: str | None = None, gtin: str = GTIN) -> dict:
    return {"seller": seller, "gtin": gtin, "period": period, "orders": orders}


@pytest.fixture
def today(market) -> str:
    from app.kit.clock import local_day

    return local_day(market.clock.now()).isoformat()


# --- order counts -------------------------------------------------------------------------------


def test_reported_orders_are_what_coverage_divides_by(market, today):
    seller = trader(market)
    complete(market, seller, 10)
    assert boost_of(market, seller) == expected(coverage="0.5")
    assert report(market, count(seller, 40, period=today)).status_code == 201
    (item,) = rank(market, offer(seller))
    assert item["boost"] == expected(coverage="0.25")
    text = next(one["text"] for one in item["why"] if one["factor"] == "coverage")
    assert "40" in text
    assert "10" in text
    # Said again it is corrected, said for the whole month it stands in place of the days.
    assert report(market, count(seller, 20, period=today)).status_code == 201
    assert boost_of(market, seller) == expected(coverage="0.5")
    assert report(market, count(seller, 10, period=today[:7])).status_code == 201
    assert boost_of(market, seller) == expected(coverage="1")
    # Another platform's orders come on top.
    other = market.newcomer("platform")
    assert report(market, count(seller, 10, period=today[:7]), by=other).status_code == 201
    assert boost_of(market, seller) == expected(coverage="0.5")
    # Taken back by both: nobody reports.
    for platform in (PLATFORM, other):
        report(market, count(seller, 0, period=today[:7]), by=platform)
    assert why(rank(market, offer(seller))[0])["coverage"] == 0.5


def test_one_report_counts_once_and_is_a_record(market, today):
    seller = trader(market)
    first = report(market, count(seller, 7, period=today), id=ID)
    again = report(market, count(seller, 7, period=today), id=ID)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert told(report(market, count(seller, 8, period=today), id=ID))[:2] == (409, "id-conflict")
    row = next(
        one for one in market.ask("GET", f"/api/v1/parties/{PLATFORM}", token=market.admin)["roles"]
    )
    assert (row, first.json()["stream"]) == ("platform", f"party/{PLATFORM}")


def test_who_may_report_what(market, today):
    good = count(SHOP, 1, period=today)
    for by in (SHOP, AUTHORITY):
        assert told(report(market, good, by=by))[:2] == (403, "forbidden")
    both = market.newcomer("platform", "merchant")
    for bad in (
        [count(both, 1, period=today)],
        [good, good],
        [count(SHOP, 1, period="2026-13")],
        [count(SHOP, 1, period="2999-01")],
        [count(SHOP, -1, period=today)],
        [count("91441200MA4W000020", 1, period=today)],
        [count(SHOP, 1, period=today, gtin="06923450656174")],
    ):
        assert told(report(market, *bad, by=both))[:2] == (422, "invalid"), bad


def test_a_forged_month_is_a_finding_of_the_audit(market, today):
    seller = trader(market)
    report(market, count(seller, 500, period=today))
    market.tamper("UPDATE order_month SET orders = 1 WHERE seller = ?", seller)
    market.ask("POST", "/api/v1/audits", {"scope": "all"}, token=market.keys[AUTHORITY], status=202)
    market.work()
    findings = market.ask(
        "GET", "/api/v1/findings", token=market.keys[AUTHORITY], params={"limit": 500}
    )
    assert f"order_month.orders/{seller}/{GTIN}/{today[:7]}" in str(findings)
    market.tamper("UPDATE order_month SET orders = 500 WHERE seller = ?", seller)


# --- features -----------------------------------------------------------------------------------


def test_the_feed_tells_what_changed_signed_and_in_pages(market, today):
    seller = trader(market)
    complete(market, seller, 10)
    market.rooms.features.refresh_all()
    key = parse_vkey(market.call("GET", "/log/receipt-key").text.strip())
    seen, since = {}, 0
    while True:
        page = market.ask(
            "GET", FEED, params={"since": since, "limit": 2}, token=market.keys[PLATFORM]
        )
        lines = open_note(page["note"], [key]).text.split("\n")
        packed = json.dumps(
            page["items"], sort_keys=True, ensure_ascii=False, separators=(",", ":")
        )
        digest = sha256(packed.encode()).hexdigest()
        assert lines[:4] == ["suxin-ranking-features/1", str(since), str(page["next"]), digest]
        seen |= {(one["seller"], one["gtin"]): one for one in page["items"]}
        since = page["next"]
        if not page["more"]:
            break
    mine = seen[seller, GTIN]
    assert float(mine["boost"]) == boost_of(market, seller)
    assert mine["facts"]["sold"] == 10
    again = market.ask("GET", FEED, params={"since": since}, token=market.keys[PLATFORM])
    assert (again["items"], again["next"]) == ([], since)
    report(market, count(seller, 10, period=today[:7]))
    market.rooms.features.refresh_all()
    (changed,) = market.ask("GET", FEED, params={"since": since}, token=market.keys[PLATFORM])[
        "items"
    ]
    assert (changed["seller"], changed["facts"]["orders_reported"]) == (seller, 10)
    assert changed["version"] > since
    assert told(market.call("GET", FEED, token=market.keys[SHOP]))[:2] == (403, "forbidden")


# --- advice -------------------------------------------------------------------------------------


def test_advice_says_what_would_raise_the_offer_and_by_how_much(market, today):
    seller = trader(market)
    complete(market, seller, 9)
    token = market.keys[seller]
    told_ = market.ask("GET", ADVICE, params={"gtin": GTIN}, token=token)
    assert told_["waits"]
    assert told_["boost"] == 0
    assert any(
        step["factor"] == "data_enough" and "1 more" in step["text"] for step in told_["steps"]
    )
    complete(market, seller, 1)
    told_ = market.ask("GET", ADVICE, params={"gtin": GTIN}, token=token)
    gains = {step["factor"]: step["gain"] for step in told_["steps"]}
    assert not told_["waits"]
    now = expected()
    assert told_["boost"] == now
    assert gains["coverage"] == pytest.approx(expected(coverage="1") - now, abs=1e-9)
    assert gains["independence"] == pytest.approx(expected(independence="1") - now, abs=1e-9)
    assert gains["grade"] == pytest.approx(expected(grade="1") - now, abs=1e-9)
    # And it is true: done, it brings just that.
    report(market, count(seller, 10, period=today[:7]))
    assert boost_of(market, seller) == pytest.approx(now + gains["coverage"], abs=1e-9)


def test_advice_is_for_the_offers_own_seller(market):
    path = {"params": {"gtin": GTIN, "seller": SHOP}}
    assert market.call("GET", ADVICE, token=market.keys[SHOP], **path).status_code == 200
    assert market.call("GET", ADVICE, token=market.keys[AUTHORITY], **path).status_code == 200
    assert told(market.call("GET", ADVICE, token=market.keys[RIVAL], **path))[:2] == (
        403,
        "forbidden",
    )
    nobody = {"params": {"gtin": "06923450656174"}}
    assert told(market.call("GET", ADVICE, token=market.keys[SHOP], **nobody))[0] == 404


# --- 广告 and receipts ----------------------------------------------------------------------------


def test_the_platforms_ad_mark_is_carried_through_and_moves_nothing(market):
    plain = [offer(SHOP, id="a"), offer(RIVAL, id="b"), offer(SHOP, id="c", base=2)]
    marked = copy.deepcopy(plain)
    marked[1]["ad"] = True
    before, after = rank(market, *plain), rank(market, *marked)
    assert [one.pop("ad", False) for one in after] == [one["id"] == "b" for one in before]
    assert after == before


def test_ids_may_repeat_and_each_candidate_is_answered(market):
    items = rank(market, offer(SHOP, id="x", base=1), offer(SHOP, id="x", base=2))
    assert [(one["id"], one["base"]) for one in items] == [("x", 2), ("x", 1)]


@pytest.fixture
def sampled(market):
    """Every answer is sampled while a test runs."""
    samples = market.rooms.samples
    samples.every = 1
    yield
    samples.every = 256


@pytest.fixture(scope="module")
def replayer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("replay_ranking", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["replay_ranking"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("mode", ["boost", "tie_break"])
def test_a_sampled_answer_is_replayed_by_anyone(market, sampled, replayer, tmp_path, mode):
    seller = trader(market)
    complete(market, seller, 10)
    asked = [offer(s, id=f"{s}{n}", base=b) for n, b in enumerate((1, 1.004, 0.1 + 0.2, 1e300))
             for s in (SHOP, seller, "nobody")]  # fmt: skip
    answer = ask(market, asked, mode=mode, band=0.01).json()
    path = answer["receipt"]
    receipt = market.ask("GET", path)
    assert receipt["inputs_hash"] == answer["inputs_hash"]
    assert [asked[place]["id"] for place, _, _ in receipt["result"]] == [
        one["id"] for one in answer["items"]
    ]
    assert "nobody0" not in json.dumps(receipt), "the platform's ids stay its own"
    key = market.call("GET", "/log/receipt-key").text.strip()
    file = tmp_path / "receipt.json"

    def verdict(changed: dict, *more: str) -> int:
        file.write_text(json.dumps(changed))
        return replayer.main([str(file), *more])

    assert verdict(receipt, "--key", key) == 0
    assert verdict(receipt) == 3
    moved = copy.deepcopy(receipt)
    moved["result"][0], moved["result"][1] = moved["result"][1], moved["result"][0]
    assert verdict(moved, "--key", key) == 1
    # Whoever changes the note along with it has no signature, and whoever signs, no formula.
    hashed = sha256(replayer.canonical(moved["result"])).hexdigest()
    moved["note"] = moved["note"].replace(receipt["result_hash"], hashed)
    assert verdict(moved, "--key", key) == 1
    assert verdict(moved) == 1
    better = copy.deepcopy(receipt)
    better["inputs"]["offers"][0][9] += 1
    assert verdict(better) == 1
    assert verdict({"inputs": {}}) == 2


def test_only_the_rule_decides_what_is_sampled(market):
    samples = market.rooms.samples
    samples.every = 2
    try:
        kept = []
        for n in range(24):
            market.clock.advance(0.001)
            answer = ask(market, [offer(SHOP, base=n)]).json()
            assert answer["sample_every"] == 2
            assert ("receipt" in answer) == (int(answer["inputs_hash"], 16) % 2 == 0)
            kept.append("receipt" in answer)
        assert {True, False} == set(kept)
    finally:
        samples.every = 256
    assert told(market.call("GET", "/api/v1/ranking/receipts/nonsense"))[:2] == (404, "not-found")
