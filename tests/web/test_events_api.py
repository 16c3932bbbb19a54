"""POST /events as programs meet it: who sends what, what is recorded, what is refused."""

from __future__ import annotations

from hashlib import sha256

import pytest

from app.i18n import text
from app.kit.canonical import canonical_bytes
from app.kit.clock import china_day
from app.kit.errors import Fault
from app.ledger.checkpoint import open_receipt
from app.ledger.note import parse_vkey
from app.ledger.record import stream_key
from app.ledger.store import load_facts, load_stream
from app.trace.events import EVENT_TYPES
from app.trace.listings import MOST_LATE, MOST_LIVE, fold_listing, listing_fact
from app.trace.replay import told_by
from tests.ledger.ledgers import runner
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import AGGREGATOR, CUSTOMS, GTIN, PRODUCT, RIVAL, SUPPLIER, Issued, told

FIRST = "0192f3a0-0000-7000-8000-000000000001"
OTHER = "01/06901234567892/21/NEVER-ISSUED"


def record(market, code: str, record_id: str) -> dict:
    """The record as the story shows it."""
    path = f"/api/v1/code?code={code}"
    story = market.ask("GET", market.ask("GET", path)["links"]["events"])["items"]
    return next(item["record"] for item in story if item["record"]["id"] == record_id)


# --- every type from its sender -----------------------------------------------------------------


def test_every_event_type_is_taken_from_its_sender_and_says_who_that_was(market):
    market.mandate(CARRIER, AGGREGATOR, "transit", "signature", "refusal")
    unit, gone, back, spoiled = (issued.code for issued in market.issue(4, inner=True))
    lot = market.lot("TYPES")
    (raw,) = market.issue(by=SUPPLIER)
    seen: set[str] = set()

    def take(by, code, type, data, source, *, via=None, hours=0.0, headers=None, **more):
        sent = market.send(by, code, type, data, hours=hours, headers=headers, **more)
        assert (sent["type"], sent["code"]) == (type, code)
        if not code.startswith("party/"):
            found = record(market, code, sent["id"])
            assert found["source"] == source, type
            assert found.get("via") == via, type
            assert found["actor"] == more.get("actor", by or "consumer"), type
        seen.add(type)
        return sent

    take(SHOP, PRODUCT, "listing", {"url": "https://shop.example/1"}, "merchant")
    take(PLATFORM, PRODUCT, "listing", {"platform": PLATFORM}, "platform", via=PLATFORM, actor=SHOP)
    take(SHOP, lot, "listing", {"platform": "示例平台"}, "merchant")
    take(SHOP, unit, "listing", {"platform": "示例平台", "ended": True}, "merchant")
    for type_ in ("pack", "unpack"):
        take(SUPPLIER, raw.code, type_, {"case": "306912345000000018"}, "merchant")
    take(SUPPLIER, raw.code, "transfer", {"to": SHOP}, "merchant")
    take(SHOP, raw.code, "acceptance", {"from": SUPPLIER}, "merchant")
    sale = take(SHOP, unit, "sale", {"region": "440100"}, "merchant")
    platform_sale = take(
        PLATFORM, gone, "sale", {"platform": PLATFORM}, "platform", via=PLATFORM, actor=SHOP
    )
    data = {"carrier": CARRIER, "from": "441200", "to": "440100", "real_name": True}
    sent = take(SHOP, unit, "dispatch", data, "merchant")
    take(SHOP, gone, "dispatch", data, "merchant")
    take(CARRIER, unit, "transit", {"region": "440100"}, "carrier")
    take(
        AGGREGATOR, unit, "transit", {"status": "sorted"}, "aggregator", via=AGGREGATOR,
        actor=CARRIER,
    )  # fmt: skip
    take(CARRIER, unit, "signature", {"kind": "locker"}, "carrier")
    take(CARRIER, gone, "refusal", {"reason": "box wet"}, "carrier")
    market.sell_by_platform(back)
    token = {"Suxin-Claim": market.sell_by_platform(gone)["claim_token"]}
    take(None, gone, "review", {"rating": 4}, "consumer", headers=token)
    take(None, gone, "follow_up", {"rating": 2}, "consumer", headers=token)
    about = take(None, gone, "complaint", {"category": "quality"}, "consumer", headers=token)
    ticket = {"Suxin-Ticket": about["query_code"]}
    take(None, gone, "message", {"of": about["id"], "rating": 4}, "consumer", headers=ticket)
    take(SHOP, gone, "referral", {"of": about["id"], "to": "platform"}, "merchant")
    take(AUTHORITY, gone, "complaint", {"category": "price"}, "regulator")
    take(SHOP, back, "return", {"reason": "seven days"}, "merchant")
    rated = {"of": sent["id"], "carrier": CARRIER, "rating": 5}
    take(SHOP, unit, "carrier_rating", rated, "merchant")
    opinion = {"rating": {"content": {"rating": 4}}}
    take(SHOP, unit, "buyer_rating", {"of": sale["id"]}, "merchant", sealed=opinion)
    take(SHOP, unit, "reply", {"of": sale["id"]}, "merchant")
    take(SHOP, unit, "correction", {"of": sale["id"], "changes": {"region": "440300"}}, "merchant")
    take(SHOP, lot, "notice", {"text": "stored cool"}, "merchant")
    take(AUTHORITY, lot, "notice", {"text": "sampled"}, "regulator")
    take(AUTHORITY, lot, "inspection", {"result": "passed"}, "regulator")
    take(CUSTOMS, lot, "customs_hold", {"port": "广州南沙"}, "customs")
    take(CUSTOMS, lot, "customs_release", {"port": "广州南沙"}, "customs")
    take(SHOP, lot, "recall", {"reason": "glass", "level": 2}, "merchant")
    take(SHOP, lot, "recall_lifted", {"reason": "checked"}, "merchant")
    take(AUTHORITY, PRODUCT, "recall", {"reason": "glass"}, "regulator", hours=1 / 60)
    take(AUTHORITY, PRODUCT, "recall_lifted", {"reason": "checked"}, "regulator", hours=1 / 60)
    take(SHOP, spoiled, "void", {"reason": "label torn"}, "merchant")
    party = f"party/{RIVAL}"
    basis = {"kind": "warn", "basis": "art. 80"}
    warned = take(AUTHORITY, party, "measure", basis, "regulator")
    made = {"of": warned["id"], "on": china_day(market.clock.now())}
    take(AUTHORITY, party, "publication", made, "regulator")
    take(AUTHORITY, party, "measure_lifted", {"kind": "warn", "basis": "done"}, "regulator")
    assert platform_sale["claim_token"]
    assert seen == set(EVENT_TYPES) - {"registration"}


WRONG_SENDERS = [
    ("listing", CARRIER, {"platform": "x"}),
    ("registration", SHOP, {"issuer": SHOP}),
    ("sale", SUPPLIER, {}),
    ("sale", AUTHORITY, {}),
    ("dispatch", CUSTOMS, {"carrier": "x"}),
    ("transit", SHOP, {"region": "440100"}),
    ("signature", AUTHORITY, {"kind": "proxy"}),
    ("review", SHOP, {"rating": 5}),
    ("complaint", SHOP, {"category": "quality"}),
    ("recall", PLATFORM, {"reason": "glass"}),
    ("void", CARRIER, {"reason": "x"}),
    ("inspection", SHOP, {"result": "passed"}),
    ("customs_release", AUTHORITY, {"port": "x"}),
    ("notice", CARRIER, {"text": "x"}),
    ("inspection", CUSTOMS, {"result": "passed"}),
]


def test_a_type_from_a_role_that_may_not_send_it_is_forbidden(market):
    unit = market.one()
    before = market.count_rows()
    for type_, by, data in WRONG_SENDERS:
        assert market.refused(by, unit.code, type_, data)[:2] == (403, "forbidden"), (type_, by)
    measure = {"kind": "suspend", "basis": "none"}
    assert market.refused(SHOP, f"party/{RIVAL}", "measure", measure)[:2] == (403, "forbidden")
    assert market.count_rows() == before


def test_who_has_several_roles_speaks_in_the_one_that_has_the_say(market):
    mover = market.newcomer("platform", "carrier")
    office = market.newcomer("merchant", "regulator")
    kept, sent_back, refused = (issued.code for issued in market.issue(3))
    taken = []
    for unit in (kept, sent_back, refused):
        market.sell(unit)
        market.send(SHOP, unit, "dispatch", {"carrier": mover}, hours=-2)
    taken.append((kept, market.send(mover, kept, "signature", {"kind": "locker"}, hours=-1)))
    assert taken[0][1]["claim_token"], "the dispatch's carrier is a witness, whatever else it is"
    back = {"reason": "undeliverable"}
    taken.append((sent_back, market.send(mover, sent_back, "return", back, hours=-1)))
    taken.append((refused, market.send(mover, refused, "refusal", {"reason": "wet"}, hours=-1)))
    assert [record(market, code, sent["id"])["source"] for code, sent in taken] == ["carrier"] * 3
    lot = market.lot("OFFICE")
    for type_, data in (
        ("notice", {"text": "sampled"}), ("recall", back), ("recall_lifted", back),
    ):  # fmt: skip
        sent = market.send(office, lot, type_, data)
        assert record(market, lot, sent["id"])["source"] == "regulator"
    own = market.lot("OWN", token=market.keys[office])
    sent = market.send(office, own, "notice", {"text": "stored cool"})
    assert record(market, own, sent["id"])["source"] == "merchant", "of its own goods, the weakest"
    (sold,) = market.issue()
    sale = {"platform": mover, "region": "440100"}
    market.mandate(SHOP, mover, "sale", "dispatch")
    market.send(mover, sold.code, "sale", sale, hours=-3, actor=SHOP)
    market.send(mover, sold.code, "dispatch", {"carrier": mover}, hours=-2, actor=SHOP)
    sent = market.send(mover, sold.code, "signature", {"kind": "locker"}, hours=-1)
    assert record(market, sold.code, sent["id"])["source"] == "platform"


def test_a_correction_speaks_in_the_role_of_what_it_corrects(market):
    mover = market.newcomer("platform", "carrier")
    office = market.newcomer("merchant", "regulator")
    unit = market.one().code
    market.sell(unit)
    market.send(SHOP, unit, "dispatch", {"carrier": mover}, hours=-2)
    moved = market.send(mover, unit, "transit", {"region": "440100"}, hours=-1)
    data = {"of": moved["id"], "changes": {"region": "440300"}}
    assert record(market, unit, market.send(mover, unit, "correction", data)["id"])["source"] == (
        "carrier"
    )
    party = f"party/{market.newcomer()}"
    warned = market.send(office, party, "measure", {"kind": "warn", "basis": "art. 80"})
    data = {"of": warned["id"], "changes": {"basis": "art. 81"}}
    market.send(office, party, "correction", data)
    with market.rooms.database.read() as connection:
        last = load_stream(connection, party)[-1].fields
    assert (last["type"], last["source"]) == ("correction", "regulator")


def test_who_gave_a_unit_away_may_not_void_it(market):
    (raw,) = market.issue(by=SUPPLIER)
    market.send(SUPPLIER, raw.code, "transfer", {"to": SHOP}, hours=-3)
    market.send(SHOP, raw.code, "acceptance", {"from": SUPPLIER}, hours=-2)
    before = market.count_rows()
    refused = market.refused(SUPPLIER, raw.code, "void", {"reason": "torn"})
    assert refused == (403, "forbidden", None)
    assert market.count_rows() == before
    market.send(SHOP, raw.code, "void", {"reason": "torn"})
    (own,) = market.issue(by=SUPPLIER)
    market.send(SUPPLIER, own.code, "transfer", {"to": SHOP}, hours=-1)
    market.send(SUPPLIER, own.code, "void", {"reason": "never taken"})


def test_the_operator_never_speaks_in_a_chain(market):
    unit = market.one()
    body = {"code": unit.code, "type": "sale", "data": {}}
    answer = market.call("POST", "/api/v1/events", body, token=market.admin)
    assert told(answer)[:2] == (403, "forbidden")


def test_only_the_holder_sells_and_is_asked_before_the_life_table(market):
    unit = market.one()
    data = {"carrier": CARRIER}
    assert market.refused(RIVAL, unit.code, "sale")[:2] == (403, "forbidden")
    market.sell(unit.code)
    # Sold already: still 403, for the rival learns nothing about the life of other people's goods.
    assert market.refused(RIVAL, unit.code, "sale") == (403, "forbidden", None)
    assert market.refused(RIVAL, unit.code, "dispatch", data) == (403, "forbidden", None)
    assert market.refused(SHOP, unit.code, "sale") == (409, "lifecycle-conflict", "already_sold")


def test_an_acceptance_moves_the_unit_to_its_new_holder(market):
    unit = market.one(by=SUPPLIER)
    market.send(SUPPLIER, unit.code, "transfer", {"to": SHOP})
    assert market.refused(RIVAL, unit.code, "acceptance", {"from": SUPPLIER}) == (
        409, "lifecycle-conflict", "no_transfer",
    )  # fmt: skip
    assert market.refused(SHOP, unit.code, "sale")[:2] == (403, "forbidden")
    market.send(SHOP, unit.code, "acceptance", {"from": SUPPLIER})
    assert market.refused(SUPPLIER, unit.code, "transfer", {"to": RIVAL})[:2] == (403, "forbidden")
    market.sell(unit.code)
    assert market.ask("GET", unit.path)["state"] == "sold"


# --- mandates -----------------------------------------------------------------------------------


def test_a_mandate_covers_its_types_until_it_ends(market):
    units = market.issue(3)
    forbidden = (403, "no-mandate", None)
    give = {"data": {}, "actor": RIVAL}
    (own,) = market.issue(by=RIVAL)
    assert market.refused(PLATFORM, own.code, "sale", **give) == forbidden
    mandate = market.mandate(RIVAL, PLATFORM, "dispatch", until=market.at(hours=1))
    assert market.refused(PLATFORM, own.code, "sale", **give) == forbidden
    data = {"carrier": "示例快递"}
    market.send(PLATFORM, own.code, "dispatch", data, actor=RIVAL)
    (second, third) = market.issue(2, by=RIVAL)
    market.clock.advance(3599.999)
    market.send(PLATFORM, second.code, "dispatch", data, actor=RIVAL)
    market.clock.advance(0.001)
    assert market.refused(PLATFORM, third.code, "dispatch", data, actor=RIVAL) == forbidden
    path = f"/api/v1/parties/{RIVAL}/mandates"
    market.ask("DELETE", f"{path}/{mandate}", token=market.keys[RIVAL], status=204)
    again = market.mandate(RIVAL, PLATFORM, "dispatch")
    market.send(PLATFORM, third.code, "dispatch", data, actor=RIVAL)
    market.ask("DELETE", f"{path}/{again}", token=market.keys[RIVAL], status=204)
    (fourth,) = market.issue(by=RIVAL)
    assert market.refused(PLATFORM, fourth.code, "dispatch", data, actor=RIVAL) == forbidden
    # A mandate of one shop says nothing about another's goods.
    assert market.refused(PLATFORM, units[0].code, "sale", actor=RIVAL) == forbidden


def test_nobody_speaks_for_a_stranger_or_a_name(market):
    unit = market.one()
    assert market.refused(RIVAL, unit.code, "sale", actor=SHOP) == (403, "no-mandate", None)
    for actor in ("示例快递", "system", "consumer", "91441200MA4TE5T00R", "a/b"):
        answer = market.post(SHOP, unit.code, "sale", actor=actor)
        assert told(answer)[:2] == (422, "invalid"), actor
        assert answer.json()["errors"][0]["kind"] == "unknown_party"


def test_a_party_that_is_not_verified_sends_nothing(market):
    uscc = "91441284MA4TE5T10F"
    market.register(uscc, "merchant")
    market.keys[uscc] = market.key_of(uscc)
    assert market.refused(uscc, PRODUCT, "listing", {"platform": "x"}) == (
        403, "party-unverified", None,
    )  # fmt: skip


def test_a_key_without_the_scope_is_forbidden(market):
    market.keys["narrow"] = market.key_of(SHOP, "codes", "products")
    assert market.refused("narrow", PRODUCT, "listing", {"platform": "x"})[:2] == (403, "forbidden")


# --- what is recorded ---------------------------------------------------------------------------


def test_a_record_is_canonical_linked_and_receipted(market):
    unit = market.one()
    sent = [market.sell(unit.code, id=FIRST), market.dispatch(unit.code), market.sign(unit.code)]
    assert [one["seq"] for one in sent] == [1, 2, 3]
    assert sent[0]["id"] == FIRST
    assert sent[1]["prev"] == sent[0]["hash"]
    assert sent[2]["prev"] == sent[1]["hash"]
    story = market.ask("GET", f"{unit.path}/events")["items"]
    own = [item for item in story if item["record"]["stream"] == unit.code]
    assert own[0]["record"]["prev"] == "0" * 64
    assert own[0]["hash"] == sent[0]["prev"]
    for item in own:
        assert sha256(canonical_bytes(item["record"])).hexdigest() == item["hash"]
    key = parse_vkey(market.call("GET", "/log/receipt-key").text.strip())
    receipt = open_receipt(sent[2]["receipt"], key)
    assert (receipt.stream, receipt.seq, receipt.hash.hex()) == (unit.code, 3, sent[2]["hash"])
    lines = sent[2]["receipt"].splitlines()
    assert lines[:5] == ["suxin-receipt/1", unit.code, "3", sent[2]["hash"], sent[2]["recorded_at"]]
    assert lines[5] > lines[4]
    forged = sent[2]["receipt"].replace(sent[2]["hash"], sent[1]["hash"])
    with pytest.raises(Fault):
        open_receipt(forged, key)


def test_a_sale_refers_to_the_sellers_listing_and_to_the_lots_head(market):
    lot = market.lot("REFS")
    unit = market.one(lot="REFS")
    market.send(AUTHORITY, lot, "inspection", {"result": "passed"})
    found = record(market, unit.code, market.sell(unit.code)["id"])["refs"]
    streams = {ref["stream"]: ref for ref in found}
    assert set(streams) == {PRODUCT, lot}
    assert streams[lot]["seq"] == 1
    listing = market.ask("GET", f"/api/v1/products/{GTIN}/events")["items"]
    named = listing[streams[PRODUCT]["seq"]]
    assert (named["record"]["type"], named["record"]["actor"]) == ("listing", SHOP)
    assert named["hash"] == streams[PRODUCT]["hash"]


def test_a_seller_with_many_listings_keeps_a_small_fact_that_follows_from_its_records(market):
    seller = market.newcomer()
    early, later = market.issue(2, by=seller)
    market.send(seller, early.code, "sale", {"region": "440100"}, hours=-3)
    warnings = f"{early.path}/verification"
    assert "provisional_gap" in market.ask("GET", warnings)["warnings"]
    backdated = {"occurred_at": market.at(-100), "data": {"url": "https://shop.example/first"}}
    events = [backdated, *({"data": {"platform": f"place {n}"}} for n in range(120))]
    ended = {"data": {**backdated["data"], "ended": True}}
    for event in (*events, ended):
        event |= {"code": PRODUCT, "type": "listing"}
    body = {"events": [*events, ended]}
    answer = market.ask("POST", "/api/v1/events/batch", body, token=market.keys[seller])
    assert answer["accepted"] == 122
    market.work()

    def owed(unit) -> list[str]:
        query = "SELECT step FROM due WHERE stream = ?"
        with market.rooms.database.read() as connection:
            return [row.step for row in runner(connection)(query, stream_key(unit.code))]

    assert owed(early) == ["dispatch"]
    market.send(seller, early.code, "dispatch", {"carrier": CARRIER}, hours=-2)
    assert owed(early) == ["signature"], "the gap was closed, and stays closed"
    assert market.ask("GET", warnings)["warnings"] == []
    sent = market.send(seller, later.code, "sale", {"region": "440100"})
    assert owed(later) == ["dispatch"]
    (ref,) = record(market, later.code, sent["id"])["refs"]
    assert record(market, PRODUCT, answer["results"][120]["event"]["id"])["seq"] == ref["seq"]
    place = (PRODUCT, listing_fact(seller))
    with market.rooms.database.read() as connection:
        kept = load_facts(connection, [place])[place]
        records = [one.fields for one in load_stream(connection, PRODUCT)]
    assert (len(kept["live"]), len(kept["late"])) == (MOST_LIVE, MOST_LATE)
    told: dict = {}
    for fields in records:
        if (fields["type"], fields["actor"]) == ("listing", seller):
            told = fold_listing(told, told_by(fields))
    assert told == kept


def test_a_sale_without_a_live_listing_opens_a_gap_that_a_late_listing_heals(market):
    unit = market.one(by=RIVAL)
    market.send(RIVAL, unit.code, "sale", {}, hours=-1)
    shown = market.ask("GET", unit.path)
    assert shown["warnings"] == ["provisional_gap"]
    assert shown["verdict"] == "intact"
    market.send(RIVAL, PRODUCT, "listing", {"platform": "示例平台"}, hours=-2)
    market.work()
    assert market.ask("GET", unit.path)["warnings"] == []
    ended = {"platform": "示例平台", "ended": True}
    market.send(RIVAL, PRODUCT, "listing", ended)
    market.clock.advance(1)
    second = market.one(by=RIVAL)
    market.send(RIVAL, second.code, "sale", {})
    assert market.ask("GET", second.path)["warnings"] == ["provisional_gap"]


def test_the_waybill_is_sealed_and_only_its_tail_is_shown(market):
    unit = market.one()
    market.sell(unit.code, sealed={"order": {"content": {"number": "ORDER-77", "price": "12.50"}}})
    sealed = {
        "waybill": {"content": {"number": "SF-TEST-0000004711"}},
        "recipient": {"content": {"name": "李小明"}},
    }
    sent = market.dispatch(unit.code, sealed=sealed)
    found = record(market, unit.code, sent["id"])
    assert found["data"]["waybill_tail"] == "4711"
    assert set(found["sealed"]) == {"waybill", "recipient"}
    assert all(len(value) == 64 for value in found["sealed"].values())
    market.publish()
    shown = "".join(
        market.call("GET", f"{unit.path}{below}").text
        for below in ("", "/events", "/verification", "/evidence")
    )
    for secret in ("ORDER-77", "12.50", "0000004711", "李小明", "SF-TEST"):
        assert secret not in shown
    kept = market.stored_bytes()
    assert b"ORDER-77" not in kept
    assert "李小明".encode() not in kept


def test_a_changed_waybill_is_a_correction_of_the_dispatch(market):
    unit = market.one()
    market.sell(unit.code)
    sent = market.dispatch(unit.code)
    sealed = {"waybill": {"content": {"number": "TEST9999008888"}}}
    market.send(SHOP, unit.code, "correction", {"of": sent["id"]}, sealed=sealed)
    found = market.ask("GET", f"{unit.path}/events")["items"][-1]["record"]
    assert found["data"]["waybill_tail"] == "8888"
    assert market.refused(CARRIER, unit.code, "correction", {"of": sent["id"]})[:2] == (
        403, "forbidden",
    )  # fmt: skip
    nothing = {"of": "0192f3a0-0000-7000-8000-00000000dead"}
    assert market.refused(SHOP, unit.code, "correction", nothing)[:2] == (404, "not-found")
    wrong = {"of": sent["id"], "changes": {"rating": 5}}
    assert market.refused(SHOP, unit.code, "correction", wrong)[:2] == (422, "invalid")


FORMS = [
    "{code}",
    "/{code}",
    "https://id.example.cn/{code}",
    "http://trace.example.cn/some/prefix/{code}?linkType=gs1:pip",
    "(01)06901234567892(21){serial}",
    "0106901234567892" + "21{serial}",
    "]d20106901234567892" + "21{serial}",
    "]Q1https://id.example.cn/{code}",
]


@pytest.mark.parametrize("form", FORMS)
def test_an_event_names_its_goods_in_any_form_of_a_code(market, form):
    unit = market.one()
    code = form.format(code=unit.code, serial=unit.serial)
    assert market.sell(code)["code"] == unit.code


# --- idempotency --------------------------------------------------------------------------------


def test_a_repeat_gets_the_first_answer_and_other_content_a_conflict(market):
    units = market.issue(2)
    more = {
        "id": FIRST,
        "hours": -3,
        "sealed": {"order": {"content": {"number": "A-1"}}},
    }
    first = market.post(SHOP, units[0].code, "sale", {"region": "440100"}, **more)
    again = market.post(SHOP, units[0].code, "sale", {"region": "440100"}, **more)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    before = market.count_rows()
    conflict = (409, "id-conflict", None)
    code = units[0].code
    assert market.refused(SHOP, code, "sale", {"region": "440300"}, **more) == conflict
    other = {**more, "sealed": {}}
    assert market.refused(SHOP, code, "dispatch", {"carrier": CARRIER}, **other) == conflict
    changed = {"order": {"content": {"number": "A-2"}}}
    assert market.refused(
        SHOP, code, "sale", {"region": "440100"}, **{**more, "sealed": changed}
    ) == (conflict)
    assert market.refused(SHOP, code, "sale", {"region": "440100"}, **{**more, "sealed": {}}) == (
        conflict
    )
    assert market.refused(SHOP, code, "sale", {"region": "440100"}, **{**more, "hours": -2}) == (
        conflict
    )
    assert market.count_rows() == before
    # An id is unique in its stream: another unit may use it.
    assert market.sell(units[1].code, id=FIRST)["id"] == FIRST


def test_a_repeat_in_another_spelling_of_code_id_and_time_is_a_repeat(market):
    unit = market.one()
    sent = market.sell(unit.code, id=FIRST)
    body = {
        "code": unit.uri,
        "type": "sale",
        "id": FIRST.upper(),
        "occurred_at": market.at(5).replace("Z", "+08:00"),
        "data": {"region": "440100"},
    }
    answer = market.call("POST", "/api/v1/events", body, token=market.keys[SHOP])
    assert (answer.status_code, answer.json()) == (200, sent)


def test_a_repeat_without_a_time_is_a_repeat_whenever_it_comes(market):
    unit = market.one()
    first = market.post(SHOP, unit.code, "sale", id=FIRST)
    market.clock.advance(60)
    again = market.post(SHOP, unit.code, "sale", id=FIRST)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


# --- recall and suspension ----------------------------------------------------------------------


def test_what_is_recalled_is_neither_listed_nor_sold_nor_sent_from_then_on(market):
    lot = market.lot("RECALLED")
    early, late, sent = market.issue(3, lot="RECALLED")
    market.sell(sent.code, hours=-9)
    market.send(SHOP, lot, "recall", {"reason": "glass"}, hours=-5)
    recalled = (409, "lifecycle-conflict", "recalled")
    assert market.refused(SHOP, late.code, "sale", hours=-5) == recalled
    assert market.refused(SHOP, sent.code, "dispatch", {"carrier": CARRIER}, hours=-4) == recalled
    assert market.refused(SHOP, lot, "listing", {"platform": "x"}, hours=-4) == recalled
    # It occurred before the recall and arrives late: true all the same.
    market.sell(early.code, hours=-6)
    assert "recalled" in market.ask("GET", early.path)["warnings"]
    market.send(SHOP, lot, "recall_lifted", {"reason": "checked"}, hours=-1)
    market.send(SHOP, late.code, "sale", {}, hours=-0.5)


def test_a_warned_seller_sells_on_and_its_buyers_are_told(market):
    seller = market.newcomer()
    (unit,) = market.issue(by=seller)
    law = {"kind": "warn", "basis": "art. 80"}
    market.send(AUTHORITY, f"party/{seller}", "measure", law)
    market.send(seller, unit.code, "sale", {}, hours=-2)
    assert "seller_warned" in market.ask("GET", unit.path)["warnings"]
    page = market.call("GET", f"/{unit.code}?lang=en").text
    assert text("en", "page.warning.seller_warned") in page
    assert "verdict-abnormal" not in page
    market.send(AUTHORITY, f"party/{seller}", "measure_lifted", law)
    assert "seller_warned" not in market.ask("GET", unit.path)["warnings"]


def test_a_suspended_seller_lists_sells_and_sends_nothing_until_it_is_lifted(market):
    unit, second = market.issue(2, by=RIVAL)
    party = f"party/{RIVAL}"
    measure = market.send(AUTHORITY, party, "measure", {"kind": "suspend", "basis": "art. 76"})
    assert measure["code"] == party
    suspended = (409, "lifecycle-conflict", "suspended")
    assert market.refused(RIVAL, unit.code, "sale") == suspended
    assert market.refused(RIVAL, PRODUCT, "listing", {"platform": "x"}) == suspended
    assert market.refused(RIVAL, unit.code, "dispatch", {"carrier": "x"}) == suspended
    market.send(RIVAL, second.code, "sale", {}, hours=-2)
    assert "under_measure" in market.ask("GET", second.path)["warnings"]
    assert 'class="verdict verdict-abnormal"' in market.call("GET", f"/{second.code}").text
    market.send(AUTHORITY, party, "measure_lifted", {"kind": "suspend", "basis": "repaired"})
    market.clock.advance(1)
    market.send(RIVAL, unit.code, "sale", {})


# --- shape --------------------------------------------------------------------------------------

SHAPES = [
    ({"type": "teleport"}, "unknown_type", ["type"]),
    ({"data": {"region": "440100", "colour": "red"}}, "unknown_field", ["data", "colour"]),
    ({"data": {"region": 440100}}, "type", ["data", "region"]),
    ({"data": {"region": "990000"}}, "region", ["data", "region"]),
    ({"data": {"region": None}}, "type", ["data", "region"]),
    ({"data": {"waybill_tail": "0001"}}, "reserved", ["data", "waybill_tail"]),
    ({"data": {"proof": "inner"}}, "reserved", ["data", "proof"]),
    ({"sealed": {"diary": {"content": {}}}}, "unknown_field", ["sealed", "diary"]),
    ({"sealed": {"order": {"content": {"n": 1.5}}}}, "float", ["sealed", "order", "content", "n"]),
    ({"sealed": {"order": {"content": {"n": None}}}}, "null", ["sealed", "order", "content", "n"]),
    ({"sealed": {"order": {"content": {"n": 2**53}}}}, "range", ["sealed", "order", "content", "n"]),
    ({"sealed": {"order": {"content": {}, "salt": "A" * 43 + "="}}}, "reserved",
     ["sealed", "order", "salt"]),
    ({"id": "not-a-uuid"}, "record_id", ["id"]),
    ({"occurred_at": "2026-11-23T07:05:00.001Z"}, "future_time", ["occurred_at"]),
    ({"occurred_at": "1999-12-31T23:59:59Z"}, "range", ["occurred_at"]),
    ({"occurred_at": "yesterday"}, "time", ["occurred_at"]),
    ({"code": "01/06901234567893/21/A"}, "check_digit", ["code"]),
    ({"code": "01/06901234567892/21/肇庆"}, "charset", ["code"]),
    ({"code": "hello"}, "code_form", ["code"]),
    ({"colour": "red"}, "unknown_field", ["colour"]),
]  # fmt: skip


def test_a_wrong_shape_names_its_place_and_writes_nothing(start_of_time):
    market, unit = start_of_time
    before = market.count_rows()
    for change, kind, loc in SHAPES:
        body = {"code": unit.code, "type": "sale", "data": {}, **change}
        answer = market.call("POST", "/api/v1/events", body, token=market.keys[SHOP])
        assert told(answer)[:2] == (422, "invalid"), (change, answer.text)
        (error,) = answer.json()["errors"]
        assert (error["kind"], error["loc"]) == (kind, loc), change
    assert market.count_rows() == before


@pytest.fixture
def start_of_time(market) -> tuple[object, Issued]:
    from tests.fakes import START

    unit = market.one()
    now = market.clock.now()
    market.clock.set(START)
    yield market, unit
    market.clock.set(now)


def test_five_minutes_ahead_is_a_clock_and_one_millisecond_more_is_the_future(market):
    first, second = market.issue(2)
    market.send(SHOP, first.code, "sale", {}, hours=5 / 60)
    answer = market.post(SHOP, second.code, "sale", {}, hours=(5 * 60_000 + 1) / 3_600_000)
    assert answer.json()["errors"][0]["kind"] == "future_time"


def test_an_event_is_at_most_64_kib(market):
    unit = market.one()
    big = {"terms": {"content": {"text": "长" * 22_000}}}
    assert market.refused(SHOP, unit.code, "sale", sealed=big)[:2] == (413, "too-large")
    fits = {"terms": {"content": {"text": "长" * 21_000}}}
    market.sell(unit.code, sealed=fits)


def test_what_was_never_issued_is_unknown(market):
    assert market.refused(SHOP, OTHER, "sale")[:2] == (404, "code-unknown")
    assert market.refused(SHOP, f"{PRODUCT}/10/NEVER", "notice", {"text": "x"})[:2] == (
        404, "code-unknown",
    )  # fmt: skip
    unknown = "party/92441202MA4TE5T99X"
    assert market.refused(AUTHORITY, unknown, "measure", {"kind": "warn", "basis": "x"})[:2] == (
        404, "code-unknown",
    )  # fmt: skip
    level = market.post(SHOP, PRODUCT, "sale", {})
    assert (level.status_code, level.json()["errors"][0]["kind"]) == (422, "level")


def test_a_batch_in_several_parts_answers_each_event_in_its_place(market, monkeypatch):
    monkeypatch.setattr("app.trace.underway._PART", 2)
    units = [issued.code for issued in market.issue(3)]
    sale = {"type": "sale", "data": {"region": "440100"}, "occurred_at": market.at(-5)}
    sales = [{"code": code, **sale} for code in units]
    sales[0]["id"] = FIRST
    sent = {"type": "dispatch", "data": {"carrier": CARRIER}, "occurred_at": market.at(-4)}
    changes = {"of": FIRST, "changes": {"region": "440300"}}
    fixed = {"code": units[0], "type": "correction", "data": changes}
    unknown, shapeless = {"code": OTHER, **sale}, {"code": units[0]}
    events = [
        sales[0], unknown, {"code": units[0], **sent}, shapeless, sales[1], sales[1],
        fixed, sales[2], {"code": units[2], **sent},
    ]  # fmt: skip
    body = {"events": events}
    answer = market.ask("POST", "/api/v1/events/batch", body, token=market.keys[SHOP])
    results = answer["results"]
    assert [one["index"] for one in results] == [*range(9)]
    assert [one["status"] for one in results] == [201, 404, 201, 422, 201, 409, 201, 201, 201]
    assert (answer["accepted"], answer["rejected"]) == (6, 3)
    told = {one["index"]: one["event"] for one in results if "event" in one}
    assert [told[n]["code"] for n in sorted(told)] == [units[n] for n in (0, 0, 1, 0, 2, 2)]
    assert [told[n]["seq"] for n in sorted(told)] == [1, 2, 1, 3, 1, 2]
    key = parse_vkey(market.call("GET", "/log/receipt-key").text.strip())
    receipt = open_receipt(told[8]["receipt"], key)
    assert (receipt.stream, receipt.seq) == (units[2], 2)
