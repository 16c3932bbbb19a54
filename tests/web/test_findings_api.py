"""What detectors find in a running service: raised once, in grace, charged, cured, dismissed, attributed."""

from __future__ import annotations

import itertools
import json
import time
from datetime import timedelta

import pytest
import structlog

from app.credit.loader import Policies, load_policy
from app.kit.clock import local_day, parse_time
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR, GTIN, PRODUCT, open_market

C, F = "/api/v1/credit", "/api/v1/findings"
DAY = 86_400
_numbers = itertools.count(500)


@pytest.fixture
def shop(market):
    """A merchant without a past who lists the product."""
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "listing")
    market.send(party, PRODUCT, "listing", {"platform": PLATFORM}, hours=-500)
    return party


def found(market, *, kind: str, stream: str | None = None) -> list[dict]:
    items = market.ask("GET", f"{F}?kind={kind}&limit=500", token=market.keys[AUTHORITY])["items"]
    return [one for one in items if stream in (None, one["stream"])]


def whole(market, finding: str, *, by: str = AUTHORITY, status: int = 200) -> dict:
    return market.ask("GET", f"{F}/{finding}", token=market.keys[by], status=status)


def charged(market, party: str) -> dict[str, str]:
    path = f"{C}/{party}/entries?limit=500"
    items = market.ask("GET", path, token=market.keys[AUTHORITY])["items"]
    return {one["rule"]: one["status"] for one in items}


def sealed(**sections) -> dict:
    return {name: {"content": content} for name, content in sections.items()}


def parcel(market, shop: str, waybill: str, buyer: str, order: str | None = None, **data) -> str:
    """Sells and sends a new unit now; returns its code."""
    unit = market.one(by=shop)
    market.clock.advance(1)
    told = sealed(buyer={"name": buyer}, order={"number": order or f"o-{next(_numbers)}"})
    market.send(shop, unit.code, "sale", {}, hours=-1, sealed=told)
    sent = {"carrier": CARRIER, "from": "441200", "to": "440100", **data}
    market.send(
        shop, unit.code, "dispatch", sent, hours=-0.9, sealed=sealed(waybill={"number": waybill})
    )
    return unit.code


def waybill() -> str:
    return f"TEST9{next(_numbers):09d}"


def decide(market, finding: str, what: str, body: dict, *, status: int = 200) -> dict:
    path = f"{F}/{finding}/{what}"
    return market.ask("POST", path, body, token=market.keys[AUTHORITY], status=status)


# --- contradictions: grace, charge, cure, re-opening -----------------------------------------------


def test_one_waybill_for_two_buyers_is_found_once_and_charged_after_its_grace(market, shop):
    number = waybill()
    parcel(market, shop, number, "first")
    later = parcel(market, shop, number, "second")
    for _ in range(3):
        market.work()
        market.rooms.watch.check(later)
    (one,) = found(market, kind="continuity.waybill_reused", stream=later)
    assert (one["stream"], one["party"], one["status"]) == (later, shop, "grace")
    assert "运单" in one["text"]["zh"]
    assert one["evidence"]["other"]["seq"] == 2
    assert number not in str(one)
    assert charged(market, shop) == {}
    market.clock.advance(DAY + 1)
    market.work()
    assert charged(market, shop) == {"continuity_uncured": "notice"}
    shown = whole(market, one["id"])
    assert [(move["status"], move["why"]) for move in shown["history"]] == [
        ("grace", "found"),
        ("open", "grace over"),
    ]
    assert [held["role"] for held in shown["custody"]] == ["seller", "carrier"]
    assert whole(market, one["id"], by=shop)["id"] == one["id"]
    whole(market, one["id"], by=PLATFORM, status=404)


def test_put_right_in_grace_it_leaves_no_trace_and_a_cure_that_falls_away_opens_it_again(
    market, shop
):
    number = waybill()
    parcel(market, shop, number, "first")
    code = parcel(market, shop, number, "second")
    market.work()
    (one,) = found(market, kind="continuity.waybill_reused", stream=code)

    def correct(given: str) -> None:
        market.send(
            shop,
            code,
            "correction",
            {"of": one["evidence"]["dispatch"]["id"]},
            sealed=sealed(waybill={"number": given}),
        )
        market.work()

    correct(waybill())
    assert whole(market, one["id"])["status"] == "closed"
    market.clock.advance(2 * DAY)
    market.work()
    assert charged(market, shop) == {}
    correct(number)
    assert whole(market, one["id"])["status"] == "open"
    assert charged(market, shop) == {"continuity_uncured": "notice"}
    correct(waybill())
    assert charged(market, shop) == {"continuity_uncured": "cancelled", "late_event": "notice"}
    moves = [move["why"] for move in whole(market, one["id"])["history"]]
    assert moves == ["found", "healed", "found again", "grace over", "healed"]
    correct(number)
    path = f"{C}/{shop}/entries?limit=500"
    items = market.ask("GET", path, token=market.keys[AUTHORITY])["items"]
    again = [one["status"] for one in items if one["rule"] == "continuity_uncured"]
    assert sorted(again) == ["cancelled", "notice"], "the cure fell away, and that is a new fact"


def test_two_shops_with_one_waybill_are_charged_by_nobody_but_a_person(market, shop):
    number, other = waybill(), market.newcomer()
    market.mandate(other, PLATFORM, "listing")
    market.send(other, PRODUCT, "listing", {"platform": PLATFORM}, hours=-500)
    parcel(market, shop, number, "first")
    code = parcel(market, other, number, "second")
    market.work()
    market.clock.advance(2 * DAY)
    market.work()
    (one,) = found(market, kind="continuity.waybill_reused", stream=code)
    assert "party" not in one
    assert charged(market, other) == charged(market, shop) == {}
    decide(market, one["id"], "attribution", {"to": "merchant", "reason": "copied"})


def test_one_order_in_one_parcel_is_found_nothing_against(market, shop):
    number = waybill()
    codes = [parcel(market, shop, number, "same", "one order") for _ in range(3)]
    market.work()
    assert not [one for code in codes for one in found(market, kind="", stream=code)]


def test_two_orders_in_one_parcel_are_an_alert_that_charges_nobody(market, shop):
    number = waybill()
    for order in ("a", "b"):
        unit = market.one(by=shop)
        market.clock.advance(1)
        market.send(shop, unit.code, "sale", {}, sealed=sealed(order={"number": order + number}))
        told = sealed(waybill={"number": number})
        market.send(shop, unit.code, "dispatch", {"carrier": CARRIER}, sealed=told)
    market.work()
    (one,) = found(market, kind="brushing.waybill_shared", stream=unit.code)
    assert (one["status"], one["evidence"]["confidence_percent"]) == ("open", 40)
    market.clock.advance(3 * DAY)
    market.work()
    assert charged(market, shop) == {}
    decide(market, one["id"], "attribution", {"to": "merchant", "reason": "made up"})
    assert charged(market, shop) == {"brushing_confirmed": "notice"}


def test_many_orders_in_one_parcel_are_a_finding_each_and_one_line_in_the_operators_log(
    market, shop
):
    number = waybill()
    market.work()
    units = market.issue(6, by=shop)
    for unit in units:
        market.clock.advance(1)
        told = sealed(order={"number": f"o-{next(_numbers)}"})
        market.send(shop, unit.code, "sale", {}, sealed=told)
        told = sealed(waybill={"number": number})
        market.send(shop, unit.code, "dispatch", {"carrier": CARRIER}, sealed=told)
    with structlog.testing.capture_logs() as logs:
        market.work()
    shared = "brushing.waybill_shared"
    streams = [unit.code for unit in units]
    raised = [one["stream"] for one in found(market, kind=shared) if one["stream"] in streams]
    assert sorted(raised) == sorted(streams[1:]), "each unit's is kept"
    lines = [one for one in logs if one["event"] == "finding.raised" and one["kind"] == shared]
    assert [(one["count"], one["log_level"]) for one in lines] == [(5, "warning")]
    assert lines[0]["stream"] in raised


def test_goods_that_cross_provinces_in_an_hour_are_the_carriers(market, shop):
    code = parcel(market, shop, waybill(), "far", to="110100")
    market.send(CARRIER, code, "signature", {"kind": "in_person"})
    market.work()
    (one,) = found(market, kind="continuity.too_fast", stream=code)
    assert (one["party"], one["evidence"]["minutes"]) == (CARRIER, 54)
    assert one["evidence"]["seller"] == shop


def test_nothing_is_raised_or_matures_on_a_stream_with_an_open_integrity_finding(market, shop):
    number = waybill()
    parcel(market, shop, number, "first")
    code = parcel(market, shop, number, "second")
    market.work()
    (one,) = found(market, kind="continuity.waybill_reused", stream=code)
    statement = "UPDATE record SET body = replace(body, ?, ?) WHERE stream = ? AND seq = 1"
    from app.ledger.record import stream_key

    market.tamper(statement, '"sale"', '"sele"', stream_key(code))
    market.ask("GET", f"/api/v1/codes/{GTIN}/{code.split('/')[-1]}/verification")
    market.clock.advance(2 * DAY)
    market.work()
    assert whole(market, one["id"])["status"] == "grace"
    market.tamper(statement, '"sele"', '"sale"', stream_key(code))
    token = market.keys[AUTHORITY]
    market.ask("POST", "/api/v1/audits", {"scope": {"code": code}}, token=token, status=202)
    market.work()
    market.work()
    assert whole(market, one["id"])["status"] == "open"


def test_the_running_worker_finds_it_by_itself(tmp_path):
    with open_market(tmp_path, worker=True) as market:
        number = waybill()
        body = {"gtin": GTIN, "count": 2}
        batch = market.ask("POST", "/api/v1/codes", body, token=market.keys[SHOP], status=202)
        wait_until(lambda: len(market.codes_of(batch["batch_id"])) == 2)
        for unit in market.codes_of(batch["batch_id"]):
            market.clock.advance(1)
            told = sealed(buyer={"name": unit.serial})
            market.send(SHOP, unit.code, "sale", {}, sealed=told)
            told = sealed(waybill={"number": number})
            market.send(SHOP, unit.code, "dispatch", {"carrier": CARRIER}, sealed=told)
        wait_until(lambda: found(market, kind="continuity.waybill_reused", stream=unit.code))
        market.clock.advance(DAY + 1)
        wait_until(lambda: charged(market, SHOP) == {"continuity_uncured": "notice"})


def wait_until(holds, *, timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.1)


# --- lots -----------------------------------------------------------------------------------------


def test_more_sold_than_the_lot_holds(market):
    market.lot("SMALL", quantity=2)
    for unit in market.issue(3, lot="SMALL"):
        market.sell(unit.code)
        market.work()
    (one,) = found(market, kind="continuity.oversold")
    assert one["stream"] == f"01/{GTIN}/10/SMALL"
    assert (one["evidence"]["holds"], one["evidence"]["sold"], one["party"]) == (2, 3, SHOP)
    decide(market, one["id"], "dismissal", {"reason": "the quantity was mistyped"})


# --- dismissal and attribution --------------------------------------------------------------------


def test_dismissed_it_is_annulled_recorded_and_never_raised_again(market, shop):
    number = waybill()
    parcel(market, shop, number, "first")
    code = parcel(market, shop, number, "second")
    market.work()
    market.clock.advance(2 * DAY)
    market.work()
    (one,) = found(market, kind="continuity.waybill_reused", stream=code)
    reason = "the carrier confirmed two parcels"
    shown = decide(market, one["id"], "dismissal", {"reason": reason})
    assert (shown["status"], shown["history"][-1]["by"]) == ("dismissed", AUTHORITY)
    assert shown["history"][-1]["why"] == reason
    assert charged(market, shop) == {"continuity_uncured": "cancelled"}
    market.rooms.watch.check(code)
    market.work()
    assert whole(market, one["id"])["status"] == "dismissed"
    assert decide(market, one["id"], "dismissal", {"reason": reason})["status"] == "dismissed"
    decide(market, one["id"], "attribution", {"to": "merchant", "reason": "no"}, status=409)
    card = market.ask("GET", f"{C}/{shop}")
    assert card["score"] == card["score_without_holds"] == 700


def test_a_dismissal_that_no_record_tells_is_found_by_the_audit(market, shop):
    number = waybill()
    parcel(market, shop, number, "first")
    code = parcel(market, shop, number, "second")
    market.work()
    (one,) = found(market, kind="continuity.waybill_reused", stream=code)
    market.tamper("UPDATE finding SET status = ? WHERE id = ?", "dismissed", one["id"])
    token = market.keys[AUTHORITY]
    job = market.ask("POST", "/api/v1/audits", {"scope": {"party": shop}}, token=token, status=202)
    market.work()
    assert market.ask("GET", f"/api/v1/audits/{job['id']}", token=token)["findings"] == 1
    (row,) = found(market, kind="index.row_mismatch", stream=f"party/{shop}")
    assert row["evidence"]["column"] == f"finding.{one['id']}"
    refused = decide(market, row["id"], "dismissal", {"reason": "so be it"}, status=409)
    assert refused["type"] == "/problems/not-dismissable"
    market.tamper("UPDATE finding SET status = ? WHERE id = ?", "grace", one["id"])
    market.ask("POST", "/api/v1/audits", {"scope": {"party": shop}}, token=token, status=202)
    market.work()


def overdue(market, shop: str, carrier: str) -> tuple[str, dict]:
    """Sends a unit that is never signed for; returns its code and the finding."""
    unit = market.one(by=shop)
    market.send(shop, unit.code, "sale", {})
    market.send(shop, unit.code, "dispatch", {"carrier": carrier})
    market.clock.advance(16 * DAY)
    market.work()
    (one,) = found(market, kind="continuity.missing_signature", stream=unit.code)
    return unit.code, one


def test_a_gap_is_never_moved_to_a_carrier_whom_nobody_knows(market, shop):
    _, one = overdue(market, shop, "a man with a van")
    assert one["party"] == shop
    his = {"to": "carrier", "reason": "his"}
    refused = decide(market, one["id"], "attribution", his, status=409)
    assert refused["type"] == "/problems/nobody-named"
    assert charged(market, shop) == {"continuity_uncured": "notice"}
    wrong = {"to": "carrier", "reason": "his", "party": shop}
    decide(market, one["id"], "attribution", wrong, status=422)
    carrier = market.newcomer("carrier")
    right = {"to": "carrier", "reason": "his", "party": carrier}
    assert decide(market, one["id"], "attribution", right)["party"] == carrier
    assert charged(market, shop) == {"continuity_uncured": "cancelled"}
    assert charged(market, carrier) == {"continuity_uncured": "notice"}


def test_the_operators_fault_leaves_the_merchant_unharmed(market, shop):
    _, one = overdue(market, shop, "a man with a van")
    market.clock.advance(20 * DAY)  # five working days, whatever holidays lie between
    assert market.ask("GET", f"{C}/{shop}")["score"] == 670
    decide(market, one["id"], "attribution", {"to": "operator", "reason": "our import failed"})
    assert market.ask("GET", f"{C}/{shop}")["score"] == 700
    assert charged(market, shop) == {"continuity_uncured": "cancelled"}


def test_a_feed_that_fell_silent_answers_for_the_signature(market, shop):
    carrier = market.newcomer("carrier")
    market.mandate(carrier, AGGREGATOR, "transit", "signature")
    unit = market.one(by=shop)
    market.send(shop, unit.code, "sale", {})
    market.send(shop, unit.code, "dispatch", {"carrier": carrier})
    told = {"region": "440100", "status": "abort"}
    market.send(AGGREGATOR, unit.code, "transit", told, actor=carrier)
    market.clock.advance(16 * DAY)
    market.work()
    (one,) = found(market, kind="continuity.missing_signature", stream=unit.code)
    assert one["party"] == one["evidence"]["feed"] == AGGREGATOR
    assert charged(market, shop) == charged(market, carrier) == {}


# --- looks ----------------------------------------------------------------------------------------


def look(market, code: str, *devices: str, region: str | None = None) -> None:
    scans = market.rooms.scans
    for device in devices:
        scans.note(code, scans.device(device, code), region=region)
    market.work()


def page_warnings(market, code: str) -> list[str]:
    path = f"/api/v1/codes/{GTIN}/{code.rsplit('/', maxsplit=1)[-1]}/verification"
    return market.ask("GET", path)["warnings"]


def test_a_copied_label_warns_on_the_page_and_charges_nobody(market):
    unit = market.one()
    market.complete(unit.code)
    market.work()
    look(market, unit.code, "a", "b")
    assert "clone_suspected" not in page_warnings(market, unit.code)
    look(market, unit.code, "c")
    (one,) = found(market, kind="identity.clone_suspected", stream=unit.code)
    assert "party" not in one
    assert "clone_suspected" in page_warnings(market, unit.code)
    decide(market, one["id"], "dismissal", {"reason": "a school class"})
    assert "clone_suspected" not in page_warnings(market, unit.code)
    look(market, unit.code, "a", "b", "c")
    assert "clone_suspected" not in page_warnings(market, unit.code)
    market.clock.advance(60)
    look(market, unit.code, "d", "e", "f")
    assert "clone_suspected" in page_warnings(market, unit.code)


def test_another_version_of_the_policy_notices_earlier(market, tmp_path, monkeypatch):
    first = json.loads(json.dumps(dict(load_policy(1).data)))
    day = local_day(market.clock.now())
    second = first | {"version": 2, "announced_on": (day - timedelta(days=20)).isoformat()}
    second |= {"effective_on": (day - timedelta(days=3)).isoformat()}
    second["detectors"] = first["detectors"] | {"clone": [{"devices": 2, "hours": 24}]}
    for policy in (first, second):
        (tmp_path / f"{policy['version']}.json").write_text(json.dumps(policy), "utf-8")
    monkeypatch.setattr(market.rooms.credit, "policies", Policies(tmp_path))
    unit = market.one()
    market.complete(unit.code)
    market.work()
    look(market, unit.code, "a")
    assert "clone_suspected" not in page_warnings(market, unit.code)
    look(market, unit.code, "b")
    assert "clone_suspected" in page_warnings(market, unit.code)


def test_looks_before_the_sale_wait_for_a_sale_that_is_told_late(market, shop):
    early, late = market.issue(2, by=shop)
    for unit in (early, late):
        look(market, unit.code, "a", "b")
    assert not found(market, kind="identity", stream=early.code)
    market.send(shop, late.code, "sale", {}, hours=-1)
    market.clock.advance(DAY + 60)
    market.work()
    assert [f["kind"] for f in found(market, kind="identity", stream=early.code)] == [
        "identity.scanned_before_sale"
    ]
    assert not found(market, kind="identity", stream=late.code)


def test_looks_in_many_cities_after_the_signature(market):
    unit = market.one()
    market.complete(unit.code)
    market.work()
    for hours, region in enumerate(("440100", "110105", "310101")):
        market.clock.advance(30 * 3600 * (hours > 0))
        look(market, unit.code, region, region=region)
    (one,) = found(market, kind="identity.scanned_across_cities", stream=unit.code)
    assert one["evidence"]["cities"] == ["1101", "3101", "4401"]


# --- conduct --------------------------------------------------------------------------------------


def test_reviews_that_say_the_same_within_minutes_are_alerts_for_people(market, shop):
    market.work()
    at = market.clock.now()
    for n in range(6):
        unit = market.one(by=shop)
        data = {"platform": PLATFORM, "region": "440100"}
        sold = market.send(PLATFORM, unit.code, "sale", data, actor=shop, hours=-0.5)
        market.send(shop, unit.code, "dispatch", {"carrier": CARRIER}, hours=-0.4)
        market.send(CARRIER, unit.code, "signature", {"kind": "in_person"}, hours=-0.2)
        words = sealed(text={"text": f"非常好用的端砚,包装精美,物流很快,值得购买!{n % 2 * '!'}"})
        market.send(
            None, unit.code, "review", {"rating": 5}, sealed=words,
            headers={"Suxin-Claim": sold["claim_token"]},
        )  # fmt: skip
    market.work()
    kinds = {one["kind"]: one for one in found(market, kind="brushing", stream=f"party/{shop}")}
    assert set(kinds) == {"brushing.burst", "brushing.fast_reviews", "brushing.similar_reviews"}
    assert kinds["brushing.similar_reviews"]["evidence"]["count"] == 6
    market.clock.advance(3 * DAY)
    market.work()
    assert set(charged(market, shop)) <= {"chain_completed"}
    assert parse_time(kinds["brushing.burst"]["opened_at"]) >= at


def test_selling_on_an_expired_licence_is_found_once(market):
    until = market.at(24)[:10]
    licence = {"kind": "food_business", "number": "JY14401030012345", "valid_until": until}
    seller = market.newcomer("merchant", licences=[licence])
    product = {"gtin": "6900000000021", "name": "腊肉", "category": "food"}
    market.ask("POST", "/api/v1/products", product, token=market.keys[seller], status=201)
    stream = "01/06900000000021"
    market.send(seller, stream, "listing", {"platform": PLATFORM})
    for days in (0, 5, 6):
        market.clock.advance(days * DAY)
        (unit,) = market.issue(1, by=seller, gtin="6900000000021")
        market.send(seller, unit.code, "sale", {})
        market.work()
    (one,) = found(market, kind="licence.expired_selling")
    assert (one["party"], one["evidence"]["valid_until"]) == (seller, until)
    assert "licence_expired_selling" not in charged(market, seller)
    decide(market, one["id"], "attribution", {"to": "merchant", "reason": "not renewed"})
    assert charged(market, seller)["licence_expired_selling"] == "notice"


def test_a_listing_that_changed_after_a_sale_is_an_alert(market, shop):
    def listing(digest: str) -> None:
        told = {"platform": PLATFORM, "content_digest": digest * 64}
        market.send(shop, PRODUCT, "listing", told)
        market.clock.advance(60)
        market.work()

    listing("a")
    listing("b")
    assert not found(market, kind="listing", stream=PRODUCT)
    market.send(shop, market.one(by=shop).code, "sale", {})
    listing("b")
    assert not found(market, kind="listing", stream=PRODUCT)
    listing("c")
    (one,) = found(market, kind="listing.content_changed", stream=PRODUCT)
    assert (one["party"], one["evidence"]["sold_between"], one["status"]) == (shop, 1, "open")
    assert charged(market, shop) == {}
