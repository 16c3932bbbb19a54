"""A code as it stands now: state, verdict, warnings, its story and its verification."""

from __future__ import annotations

import json

import pytest

from app.ledger.bundle import verify_bundle_bytes
from tests.ledger.ledgers import runner
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import GTIN, PRODUCT, told

DAY = 86400


def look(market, unit) -> tuple[str, str, list[str]]:
    shown = market.ask("GET", unit.path)
    return shown["state"], shown["verdict"], shown["warnings"]


def test_a_life_from_label_to_complaint(market):
    unit = market.one()
    shown = market.ask("GET", unit.path)
    assert set(shown) >= {
        "code", "gtin", "serial", "lot", "issuer", "product", "state", "verdict", "warnings",
        "head", "scans", "links",
    }  # fmt: skip
    assert (shown["product"]["name"], shown["product"]["category"]) == (
        "端砚文房礼盒", "consumer_goods",
    )  # fmt: skip
    seen = [look(market, unit)[:2]]
    token = market.sell_by_platform(unit.code)["claim_token"]
    seen.append(look(market, unit)[:2])
    market.dispatch(unit.code)
    seen.append(look(market, unit)[:2])
    last = market.sign(unit.code)
    seen.append(look(market, unit)[:2])
    assert seen == [
        (state, "intact") for state in ("registered", "sold", "in_transit", "signed")
    ]  # fmt: skip
    assert market.ask("GET", unit.path)["head"] == {"seq": last["seq"], "hash": last["hash"]}
    market.send(None, unit.code, "review", {"rating": 5}, headers={"Suxin-Claim": token})
    market.send(SHOP, unit.code, "return", {"reason": "seven days"})
    assert look(market, unit) == ("returned", "intact", [])
    market.sell(unit.code, hours=0)
    assert look(market, unit) == ("sold", "intact", ["sold_before"])
    void = market.one()
    market.send(SHOP, void.code, "void", {"reason": "torn"})
    assert look(market, void)[0] == "void"
    assert market.refused(SHOP, void.code, "sale") == (409, "lifecycle-conflict", "void")
    # Its chain is whole, and that is not what its page says first.
    page = market.call("GET", f"/{void.code}").text
    assert "<h1>This code is void; it no longer counts</h1>" in page
    assert "seal-void" in page
    assert "seal-intact" not in page


def test_a_step_that_never_comes_makes_the_chain_incomplete_when_it_is_due(market):
    unsent, unsigned, late = market.issue(3)
    market.sell(unsent.code, hours=0)
    market.sell(unsigned.code, hours=0)
    market.dispatch(unsigned.code, hours=0)
    market.sign(late.code, hours=0)
    assert look(market, unsent) == ("sold", "intact", [])
    assert look(market, late) == ("signed", "intact", ["provisional_gap"])
    market.clock.advance(DAY - 0.001)
    assert look(market, late) == ("signed", "intact", ["provisional_gap"])
    market.clock.advance(0.001)
    assert look(market, late) == ("signed", "incomplete", [])
    market.clock.advance(6 * DAY - 0.001)
    assert look(market, unsent)[1] == "intact"
    market.clock.advance(0.001)
    assert look(market, unsent) == ("sold", "incomplete", [])
    market.clock.advance(8 * DAY - 0.001)
    assert look(market, unsigned)[1] == "intact"
    market.clock.advance(0.001)
    assert look(market, unsigned) == ("in_transit", "incomplete", [])
    checks = market.ask("GET", f"{unsigned.path}/verification")["checks"]
    assert {c["name"]: c["ok"] for c in checks}["continuity"] is False
    # What is told late heals the chain; credit remembers, the verdict does not.
    market.sign(unsigned.code, hours=0)
    assert look(market, unsigned) == ("signed", "intact", [])
    market.sell(late.code, hours=-16 * 24)
    market.dispatch(late.code, hours=-15.5 * 24)
    assert look(market, late) == ("signed", "intact", [])


def test_a_late_record_within_its_grace_was_never_missed(market):
    unit = market.one()
    market.dispatch(unit.code, hours=0)
    assert look(market, unit) == ("in_transit", "intact", ["provisional_gap"])
    shown = market.ask("GET", f"{unit.path}/verification")
    assert [gap["step"] for gap in shown["pending"] if gap["kind"] == "late"] == ["sale"]
    market.clock.advance(23 * 3600)
    market.sell(unit.code, hours=-24)
    assert look(market, unit) == ("in_transit", "intact", [])


@pytest.mark.parametrize("level", ["unit", "lot", "product"])
def test_a_recall_anywhere_above_warns_on_the_unit(market, level):
    gtin = "06936983800013"
    if level == "unit":
        body = {"gtin": gtin, "name": "裹蒸粽", "category": "edible_agricultural"}
        market.call("POST", "/api/v1/products", body, token=market.keys[SHOP])
    market.call(
        "POST", "/api/v1/products",
        {"gtin": gtin, "name": "裹蒸粽", "category": "edible_agricultural"},
        token=market.keys[SHOP],
    )  # fmt: skip
    lot = {"gtin": gtin, "lot": f"R-{level}"}
    code = market.ask("POST", "/api/v1/lots", lot, token=market.keys[SHOP], status=201)["code"]
    job = market.ask("POST", "/api/v1/codes", {**lot, "count": 1}, token=market.keys[SHOP],
                     status=202)  # fmt: skip
    market.work()
    (unit,) = market.codes_of(job["batch_id"])
    path = f"/api/v1/codes/{gtin}/{unit.serial}"
    recalled = {"unit": unit.code, "lot": code, "product": f"01/{gtin}"}[level]
    assert market.ask("GET", path)["warnings"] == []
    market.send(AUTHORITY, recalled, "recall", {"reason": "glass"})
    assert market.ask("GET", path)["warnings"] == ["recalled"]
    # A tab says it too, and not only that the record is whole.
    english = {"Accept-Language": "en"}
    assert "under recall ·" in market.call("GET", f"/{unit.code}", headers=english).text
    types = [i["record"]["type"] for i in market.ask("GET", f"{path}/events")["items"]]
    assert "recall" in types
    market.send(AUTHORITY, recalled, "recall_lifted", {"reason": "checked"})
    assert market.ask("GET", path)["warnings"] == []


# --- the story ----------------------------------------------------------------------------------


def test_a_story_is_told_in_order_with_all_that_it_needs(market):
    lot = market.lot("STORY")
    market.clock.advance(1)
    unit = market.one(lot="STORY")
    other = market.one(lot="STORY")
    market.clock.advance(1)
    market.send(SHOP, lot, "listing", {"platform": "不相干"})
    market.send(SHOP, lot, "listing", {"platform": "不相干", "ended": True})
    market.send(AUTHORITY, lot, "inspection", {"result": "passed"})
    market.clock.advance(1)
    market.sell(unit.code)
    market.dispatch(unit.code)
    market.sell(other.code)
    market.clock.advance(1)
    market.send(SHOP, lot, "notice", {"text": "keep dry"})
    items = market.ask("GET", f"{unit.path}/events")["items"]
    told_ = [(i["record"]["stream"].removeprefix(PRODUCT), i["record"]["type"]) for i in items]
    own = f"/21/{unit.serial}"
    assert [one for one in told_ if one[0] != ""] == [
        ("/10/STORY", "registration"),
        (own, "registration"),
        ("/10/STORY", "inspection"),
        (own, "sale"),
        (own, "dispatch"),
        ("/10/STORY", "notice"),
    ]
    assert ("", "registration") in told_
    assert ("", "listing") in told_, "the listing that the sale refers to"
    assert f"/21/{other.serial}" not in {stream for stream, _ in told_}
    keys = [(i["record"]["recorded_at"], i["record"]["stream"], i["record"]["seq"]) for i in items]
    assert keys == sorted(keys)
    assert all(item["leaf_index"] is None or isinstance(item["leaf_index"], int) for item in items)
    market.publish()
    items = market.ask("GET", f"{unit.path}/events")["items"]
    assert all(isinstance(item["leaf_index"], int) for item in items)


def test_records_of_the_same_moment_keep_their_streams_own_order(market):
    unit = market.one()
    market.sell(unit.code)
    market.dispatch(unit.code)
    market.sign(unit.code)
    items = market.ask("GET", f"{unit.path}/events")["items"]
    own = [i["record"] for i in items if i["record"]["stream"] == unit.code]
    assert [r["seq"] for r in own] == [0, 1, 2, 3]
    assert len({r["recorded_at"] for r in own}) == 1


def test_a_lot_with_a_slash_has_its_story_too(market):
    lot = market.lot("A/1")
    path = f"/api/v1/lots/{GTIN}/A%2F1"
    assert market.ask("GET", path)["code"] == lot == f"{PRODUCT}/10/A%2F1"
    for spelling in ("A%2F1", "A%2f1", "%41%2F%31"):
        shown = market.ask("GET", f"/api/v1/lots/{GTIN}/{spelling}/events")
        assert shown["items"][-1]["record"]["stream"] == lot
    # A slash that is not escaped is another path.
    assert market.call("GET", f"/api/v1/lots/{GTIN}/A/1").status_code == 404
    twice = market.call("GET", f"/api/v1/lots/{GTIN}/A%252F1")
    assert told(twice)[:2] == (404, "code-unknown")


@pytest.mark.parametrize("below", ["", "/events", "/verification", "/evidence"])
def test_what_nobody_issued_is_unknown_at_every_level(market, below):
    for path in (
        f"/api/v1/codes/{GTIN}/NOBODY", f"/api/v1/lots/{GTIN}/NONE",
        "/api/v1/products/06923450656174", "/api/v1/codes/06923450656174/NOBODY",
    ):  # fmt: skip
        assert told(market.call("GET", path + below))[:2] == (404, "code-unknown")


# --- verification -------------------------------------------------------------------------------


def test_a_verification_names_what_it_checked_in_both_languages(market):
    unit = market.one()
    market.complete(unit.code)
    market.publish()
    shown = market.ask("GET", f"{unit.path}/verification")
    assert (shown["verdict"], shown["warnings"], shown["findings"]) == ("intact", [], [])
    names = [check["name"] for check in shown["checks"]]
    assert set(names) == {
        "hash", "link", "index", "references", "signatures", "sealed", "log", "continuity",
    }  # fmt: skip
    assert all(check["ok"] for check in shown["checks"])
    chinese = market.ask("GET", f"{unit.path}/verification", headers={"Accept-Language": "zh"})
    for one, other in zip(shown["checks"], chinese["checks"], strict=True):
        assert one["detail"] != other["detail"]


CHANGES = {
    "hash": (
        "UPDATE record SET body = replace(body, '440100', '440300') WHERE hash = ?", "hash",
    ),
    "index": ("UPDATE record SET actor = 'someone' WHERE hash = ?", "index"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_record_breaks_its_unit_and_no_other(market, name):
    statement, check = CHANGES[name]
    unit, other = market.issue(2)
    sent = market.sell(unit.code)
    market.sell(other.code)
    market.publish()
    whole = market.rooms.database.read()
    with whole as connection:
        query = "SELECT body, actor FROM record WHERE hash = ?"
        (row,) = runner(connection)(query, bytes.fromhex(sent["hash"]))
    market.tamper(statement, bytes.fromhex(sent["hash"]))
    assert market.ask("GET", unit.path)["verdict"] == "broken"
    shown = market.ask("GET", f"{unit.path}/verification")
    assert {c["name"]: c["ok"] for c in shown["checks"]}[check] is False
    assert [f["seq"] for f in shown["findings"]] == [1]
    assert shown["findings"][0]["kind"].startswith("integrity.")
    assert market.ask("GET", other.path)["verdict"] == "intact"
    story = market.ask("GET", f"{unit.path}/events")["items"]
    assert len([i for i in story if i["record"].get("stream") == unit.code]) == 2
    bundle = market.call("GET", f"{unit.path}/evidence").content
    key = market.call("GET", "/log/key").text.strip()
    assert verify_bundle_bytes(bundle, vkey=key).exit_code == (1 if name == "hash" else 0)
    market.tamper(
        "UPDATE record SET body = ?, actor = ? WHERE hash = ?", bytes(row.body), row.actor,
        bytes.fromhex(sent["hash"]),
    )  # fmt: skip
    assert market.ask("GET", unit.path)["verdict"] == "intact"


def test_what_a_unit_refers_to_breaks_it_too(market):
    lot = market.lot("BROKEN")
    unit = market.one(lot="BROKEN")
    inspection = market.send(AUTHORITY, lot, "inspection", {"result": "passed"})
    market.sell(unit.code)
    market.publish()
    before = bytes.fromhex(inspection["hash"])
    market.tamper(
        "UPDATE record SET body = replace(body, 'passed', 'failed') WHERE hash = ?", before
    )
    assert market.ask("GET", unit.path)["verdict"] == "broken"
    assert market.ask("GET", f"/api/v1/lots/{GTIN}/BROKEN")["verdict"] == "broken"
    market.tamper(
        "UPDATE record SET body = replace(body, 'failed', 'passed') WHERE hash = ?", before
    )
    assert market.ask("GET", unit.path)["verdict"] == "intact"


def test_a_body_that_is_no_json_any_more_is_shown_as_broken_and_never_an_error(market):
    unit = market.one()
    sent = market.sell(unit.code)
    market.publish()
    market.tamper("UPDATE record SET body = x'ff00' WHERE hash = ?", bytes.fromhex(sent["hash"]))
    for below in ("", "/events", "/verification", "/evidence"):
        assert market.call("GET", unit.path + below).status_code == 200, below
    assert market.ask("GET", unit.path)["verdict"] == "broken"
    page = market.call("GET", f"/{unit.code}", headers={"Accept": "text/html"})
    assert page.status_code == 200


# --- evidence -----------------------------------------------------------------------------------


def test_evidence_holds_offline_before_and_after_publishing(market):
    lot = market.lot("PROOF", produced_on="2026-10-01")
    unit = market.one(lot="PROOF")
    market.complete(unit.code)
    bundle = market.ask("GET", f"{unit.path}/evidence")
    assert (bundle["format"], bundle["subject"]) == ("suxin-evidence/1", unit.code)
    assert bundle["pending"]
    market.publish()
    raw = market.call("GET", f"{unit.path}/evidence").content
    bundle = json.loads(raw)
    assert bundle["pending"] == []
    streams = {stream["stream"] for stream in bundle["streams"]}
    assert {unit.code, lot, PRODUCT} <= streams
    key = market.call("GET", "/log/key").text.strip()
    assert verify_bundle_bytes(raw, vkey=key).exit_code == 0
    assert verify_bundle_bytes(raw, vkey=None).exit_code == 3
    for old, new in (
        (CARRIER.encode(), AUTHORITY.encode()),
        (b'"leaf_index":%d,' % bundle["streams"][0]["records"][1]["leaf_index"],
         b'"leaf_index":0,'),
    ):  # fmt: skip
        assert old in raw
        assert verify_bundle_bytes(raw.replace(old, new), vkey=key).exit_code == 1
    assert verify_bundle_bytes(raw[:-20], vkey=key).exit_code == 2
    for path in (f"/api/v1/lots/{GTIN}/PROOF/evidence", f"/api/v1/products/{GTIN}/evidence"):
        assert verify_bundle_bytes(market.call("GET", path).content, vkey=key).exit_code == 0


def test_looks_at_the_page_are_counted_by_device(market):
    unit = market.one()
    page = f"/{unit.code}"
    for agent, times in (("phone one", 3), ("phone two", 1)):
        market.client.cookies.clear()
        for _ in range(times):
            market.call("GET", page, headers={"User-Agent": agent, "Accept": "text/html"})
    market.client.cookies.clear()
    market.call("HEAD", page, headers={"User-Agent": "phone three"})
    market.call("GET", page, headers={"User-Agent": "phone four", "Sec-Purpose": "prefetch"})
    market.call("GET", unit.path)
    scans = market.ask("GET", unit.path)["scans"]
    # A page that is loaded again by the same device is no other look: its token is alive.
    assert (scans["count"], scans["devices"], scans["first_at"]) == (2, 2, market.at())
    market.rooms.scans.flush()
    assert market.ask("GET", unit.path)["scans"] == scans


def test_a_search_engine_is_led_from_a_unit_or_a_lot_to_the_page_of_its_product(market):
    unit, lot = market.one(), market.lot("FOUND")
    asked = {"Accept": "text/html"}
    for code in (unit.code, lot):
        page = market.call("GET", f"/{code}", headers=asked)
        address = f"{market.rooms.base_url}/{code[:17]}"
        assert page.headers["Link"] == f'<{address}>; rel="canonical"'
        assert '<meta name="robots" content="nosnippet">' in page.text
    page = market.call("GET", f"/{unit.code[:17]}", headers=asked)
    assert "Link" not in page.headers
    assert 'name="robots"' not in page.text
    page = market.call("GET", f"/{unit.code}X", headers=asked)
    assert (page.status_code, "noindex" in page.text) == (404, True)
