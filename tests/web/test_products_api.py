"""Products and lots as programs meet them: registered once, shared by all who sell them."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import CUSTOMS, GTIN, PRODUCT, RIVAL, SUPPLIER, told

P, L = "/api/v1/products", "/api/v1/lots"
ZONGZI = "06936983800013"
FACTS = {
    "name": "肇庆裹蒸粽",
    "category": "food",
    "brand": "砚坊",
    "spec": "200克×6",
    "origin": "肇庆",
}


def register(market, body: dict, *, by: str = SHOP):
    return market.call("POST", P, body, token=market.keys[by])


def kinds(answer) -> list[tuple[str, list]]:
    assert told(answer)[:2] == (422, "invalid"), answer.text
    return [(error["kind"], error["loc"]) for error in answer.json()["errors"]]


# --- products -----------------------------------------------------------------------------------

GTINS = [
    ("96385074", "00000096385074"),
    ("036000291452", "00036000291452"),
    ("6936983800013", ZONGZI),
    ("16936983800010", "16936983800010"),
    ("4 006381 333931", "04006381333931"),
]


@pytest.mark.parametrize(("given", "gtin14"), GTINS)
def test_a_product_comes_out_under_its_gtin_14(market, given, gtin14):
    made = register(market, {"gtin": given, **FACTS})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["gtin"], shown["registrant"], shown["item_code"]) == (gtin14, SHOP, False)
    assert {name: shown[name] for name in FACTS} == FACTS
    assert "differs" not in shown
    for form in (given, gtin14):
        page = market.ask("GET", f"{P}/{form}")
        assert page["gtin"] == gtin14
        assert (page["verdict"], page["warnings"], page["offers"]) == ("intact", [], [])
        assert page["head"]["seq"] == 0
    story = market.ask("GET", f"{P}/{gtin14}/events")["items"]
    assert story[0]["record"]["data"]["name"] == FACTS["name"], "public facts stand in the record"


def test_a_repeat_answers_as_before_and_other_content_is_a_conflict(market):
    body = {"gtin": "6901234567892", "name": "端砚文房礼盒", "category": "consumer_goods"}
    again = register(market, body)
    assert again.status_code == 200
    assert "differs" not in again.json(), "the very first body again"
    before = market.count_rows()
    assert told(register(market, {**body, "brand": "x"}))[:2] == (409, "id-conflict")
    assert told(register(market, {**body, "name": "x"}))[:2] == (409, "id-conflict")
    assert market.count_rows() == before


def test_another_partys_product_is_shared_as_it_is(market):
    body = {"gtin": GTIN, "name": "另一个名字", "category": "consumer_goods", "brand": "x"}
    before = market.count_rows()
    found = register(market, body, by=RIVAL)
    assert found.status_code == 200
    assert (found.json()["name"], found.json()["registrant"]) == ("端砚文房礼盒", SHOP)
    assert sorted(found.json()["differs"]) == ["brand", "name"]
    same = {"gtin": GTIN, "name": "端砚文房礼盒", "category": "consumer_goods"}
    assert register(market, same, by=RIVAL).json()["differs"] == []
    assert market.count_rows() == before
    assert market.ask("GET", f"{P}/{GTIN}")["name"] == "端砚文房礼盒"


def test_a_gtin_that_two_register_at_once_is_one_product_to_both(market, monkeypatch):
    """Neither saw the other's when it looked: the later one is answered as if it had come later."""
    catalogue = market.rooms.catalogue
    look, both, looks = catalogue._known_product, threading.Barrier(2), itertools.count()

    def look_together(*given):
        found = look(*given)
        if next(looks) < 2:
            both.wait(timeout=20)
        return found

    monkeypatch.setattr(catalogue, "_known_product", look_together)
    gtin = "06900000000038"
    bodies = {by: {"gtin": gtin, "name": f"竹篮 {by}", "category": "other"} for by in (SHOP, RIVAL)}
    with ThreadPoolExecutor(2) as pool:
        done = {by: pool.submit(register, market, body, by=by) for by, body in bodies.items()}
    answers = {by: one.result() for by, one in done.items()}
    first, later = sorted(answers, key=lambda by: -answers[by].status_code)
    assert [answers[by].status_code for by in (first, later)] == [201, 200]
    assert "differs" not in answers[first].json()
    assert answers[later].json()["differs"] == ["name"]
    shown = {by: (a.json()["registrant"], a.json()["name"]) for by, a in answers.items()}
    assert set(shown.values()) == {(first, f"竹篮 {first}")}
    assert market.ask("GET", f"{P}/{gtin}/events")["items"][0]["record"]["seq"] == 0


def test_a_party_that_registers_the_same_twice_at_once_made_it_once(market, monkeypatch):
    catalogue = market.rooms.catalogue
    body = {"gtin": "06900000000045", "name": "竹篮", "category": "other"}
    with monkeypatch.context() as patched:
        patched.setattr(catalogue, "_known_product", lambda *_: None)
        answers = [register(market, body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json() == answers[1].json()
    assert told(register(market, {**body, "name": "x"}))[:2] == (409, "id-conflict")


def test_one_brand_owner_is_confirmed_and_no_second(market):
    body = {"gtin": "6900000000014", "name": "竹篮", "category": "other", "claim": True}
    path = f"{P}/06900000000014"
    made = register(market, body)
    assert made.status_code == 201
    assert "brand_owner" not in made.json(), "asked for, not confirmed"
    assert register(market, body, by=RIVAL).status_code == 200, "a rival may claim too"
    owner = {"party": SHOP, "evidence": "trade mark certificate"}
    for by in (SHOP, RIVAL, PLATFORM):
        answer = market.call("POST", f"{path}/owner", owner, token=market.keys[by])
        assert told(answer)[:2] == (403, "forbidden")
    shown = market.ask("POST", f"{path}/owner", owner, token=market.keys[AUTHORITY])
    assert shown["brand_owner"] == SHOP
    assert market.ask("POST", f"{path}/owner", owner, token=market.admin)["brand_owner"] == SHOP
    assert told(register(market, body, by=RIVAL))[:2] == (409, "already-exists")
    other = {**owner, "party": RIVAL}
    answer = market.call("POST", f"{path}/owner", other, token=market.admin)
    assert told(answer)[:2] == (409, "already-exists")
    # Recall and notice are now the owner's, and nobody else's but a regulator's.
    code = "01/06900000000014"
    market.send(SHOP, code, "notice", {"text": "keep dry"})
    assert market.refused(RIVAL, code, "recall", {"reason": "x"})[:2] == (403, "forbidden")
    market.send(SHOP, code, "recall", {"reason": "splinters"})
    assert market.ask("GET", path)["warnings"] == ["recalled"]
    market.send(SHOP, code, "recall_lifted", {"reason": "smoothed"})
    issued = market.ask("POST", "/api/v1/codes", {"gtin": "6900000000014", "count": 1},
                        token=market.keys[SHOP], status=202)  # fmt: skip
    market.work()
    (unit,) = market.codes_of(issued["batch_id"])
    story = market.ask("GET", f"/api/v1/codes/06900000000014/{unit.serial}/events")["items"]
    registered = next(i["record"] for i in story if i["record"]["stream"] == unit.code)
    assert registered["data"] == {"issuer": SHOP, "brand_owner": True}


def test_goods_without_a_gtin_get_an_item_code_of_their_own(market):
    body = {"name": "散装粉葛", "category": "edible_agricultural"}
    made = register(market, body)
    assert made.status_code == 201
    shown = made.json()
    assert (shown["gtin"][:3], shown["item_code"]) == ("029", True)
    again = register(market, body)
    assert (again.status_code, again.json()) == (200, shown)
    theirs = register(market, body, by=RIVAL)
    assert theirs.status_code == 201
    assert theirs.json()["gtin"] != shown["gtin"], "an item code is one party's own"
    before = market.count_rows()
    item = {"gtin": shown["gtin"], "name": "x", "category": "other"}
    assert told(register(market, item, by=RIVAL))[:2] == (403, "forbidden")
    for path, body in ((L, {"lot": "A"}), ("/api/v1/codes", {"count": 1})):
        body["gtin"] = shown["gtin"]
        answer = market.call("POST", path, body, token=market.keys[RIVAL])
        assert told(answer)[:2] == (403, "forbidden")
    unissued = {"gtin": "02900000000018", "name": "x", "category": "other"}
    assert kinds(register(market, unissued)) == [("gtin_restricted", ["gtin"])]
    assert market.count_rows() == before
    market.send(SHOP, f"01/{shown['gtin']}", "listing", {"platform": "集市"})


LICENCES = [
    (None, (403, "licence-missing", None)),
    ({"kind": "business", "number": "91441284MA4TE5T10F"}, (403, "licence-missing", None)),
    (
        {"kind": "food_production", "number": "SC10144120000008", "valid_until": "2026-11-22"},
        (403, "licence-missing", None),
    ),
    ({"kind": "food_production", "number": "SC10144120000008", "valid_until": "2026-11-23"}, None),
]


@pytest.mark.parametrize(("licence", "refusal"), LICENCES)
def test_a_category_asks_for_its_licence_before_listing(market, licence, refusal):
    licences = [] if licence is None else [licence]
    seller = market.newcomer(licences=licences)
    code = f"01/{register(market, {'gtin': '6936983800020', **FACTS}).json()['gtin']}"
    gtin = code.removeprefix("01/")
    lot = market.lot(f"L{seller}", token=market.keys[seller], gtin=gtin)
    (unit,) = market.issue(by=seller, gtin=gtin)
    for place in (code, lot, unit.code):
        answer = market.post(seller, place, "listing", {"platform": "x"})
        if refusal is None:
            assert answer.status_code == 201, answer.text
        else:
            assert told(answer) == refusal, place
        # What may not be offered may always be taken off.
        market.send(seller, place, "listing", {"platform": "x", "ended": True})


WRONG_GTINS = [
    ("6901234567893", "check_digit"),
    ("６９０１２３４５６７８９２", "not_gtin"),
    ("00000000000000", "gtin_zero"),
    ("690123456789", "check_digit"),
    ("69012345", "check_digit"),
    ("690123456789X", "not_gtin"),
    ("2012345678903", "gtin_restricted"),
    ("9787111128069", "gtin_publication"),
    ("9812345678902", "gtin_coupon"),
    ("", "not_gtin"),
    ("1" * 30, "not_gtin"),
]


def test_what_is_no_gtin_is_refused_with_its_rule_and_nothing_is_written(market):
    before = market.count_rows()
    for given, kind in WRONG_GTINS:
        assert kinds(register(market, {"gtin": given, **FACTS})) == [(kind, ["gtin"])], given
        answer = market.call("GET", f"{P}/{given or ' '}")
        if given:
            assert kinds(answer) == [(kind, ["gtin"])], given
    assert market.count_rows() == before


WRONG_FACTS = [
    ({"name": "x", "category": "food", "price": 1}, "unknown_field", ["price"]),
    ({"category": "food"}, "missing", ["name"]),
    ({"name": "x"}, "missing", ["category"]),
    ({"name": "x", "category": "toys"}, "enum", ["category"]),
    ({"name": 7, "category": "food"}, "type", ["name"]),
    ({"name": "", "category": "food"}, "length", ["name"]),
    ({"name": "x" * 201, "category": "food"}, "length", ["name"]),
    ({"name": "e\u0301", "category": "food"}, "nfc", ["name"]),
    ({"name": "x", "category": "food", "brand": "e\u0301"}, "nfc", ["brand"]),
    ({"name": "x", "category": "food", "claim": "yes"}, "type", ["claim"]),
    ({"name": "x", "category": "food", "brand": ""}, "length", ["brand"]),
]


def test_wrong_facts_name_their_place_and_write_nothing(market):
    before = market.count_rows()
    for body, kind, loc in WRONG_FACTS:
        assert kinds(register(market, body)) == [(kind, loc)], body
    assert market.count_rows() == before


def test_only_verified_sellers_register(market):
    before = market.count_rows()
    body = {"gtin": "6923450657713", **FACTS}
    for by in (PLATFORM, AUTHORITY, CUSTOMS):
        assert told(register(market, body, by=by))[:2] == (403, "forbidden")
    assert told(market.call("POST", P, body, token=market.admin))[:2] == (403, "forbidden")
    assert told(market.call("POST", P, body))[:2] == (401, "unauthenticated")
    assert market.count_rows() == before
    market.register("91440300MA4TE5T051", "merchant")
    market.keys["pending"] = market.key_of("91440300MA4TE5T051")
    before = market.count_rows()
    assert told(register(market, body, by="pending"))[:2] == (403, "party-unverified")
    assert market.count_rows() == before
    assert register(market, body, by=SUPPLIER).status_code == 201


def test_products_are_found_by_name_gtin_seller_and_category_page_by_page(market):
    for number, name in enumerate(("荔枝干 100%", "荔枝蜜", "荔枝_酒"), start=1):
        register(market, {"gtin": f"690000000{number}00{check(number)}", "name": name,
                          "category": "food"})  # fmt: skip
    names = [item["name"] for item in market.ask("GET", f"{P}?q=荔")["items"]]
    assert sorted(names) == sorted(["荔枝干 100%", "荔枝蜜", "荔枝_酒"])
    assert [i["name"] for i in market.ask("GET", f"{P}?q=100%25")["items"]] == ["荔枝干 100%"]
    assert [i["name"] for i in market.ask("GET", f"{P}?q=枝_")["items"]] == ["荔枝_酒"]
    assert market.ask("GET", f"{P}?q=nothing")["items"] == []
    assert [i["gtin"] for i in market.ask("GET", f"{P}?q=690123456789")["items"]] == [GTIN]
    assert all(
        item["category"] == "food" for item in market.ask("GET", f"{P}?category=food")["items"]
    )
    market.send(RIVAL, PRODUCT, "listing", {"platform": "集市"})
    assert GTIN in [i["gtin"] for i in market.ask("GET", f"{P}?seller={RIVAL}")["items"]]
    market.send(RIVAL, PRODUCT, "listing", {"platform": "集市", "ended": True})
    assert GTIN not in [i["gtin"] for i in market.ask("GET", f"{P}?seller={RIVAL}")["items"]]
    seen, cursor = [], ""
    while cursor is not None:
        page = market.ask(
            "GET", f"{P}?q=荔&limit=2&cursor={cursor}" if cursor else f"{P}?q=荔&limit=2"
        )
        seen += [item["name"] for item in page["items"]]
        assert len(page["items"]) <= 2
        cursor = page["next"]
    assert seen == names


def check(number: int) -> str:
    from app.trace.gtin import gtin_check_digit

    return gtin_check_digit(f"690000000{number}00")


def test_offers_show_who_lists_the_product_now(market):
    offers = {
        (one["seller"], one["place"]): one["title"]
        for one in market.ask("GET", f"{P}/{GTIN}")["offers"]
    }
    assert offers[(SHOP, PLATFORM)] == "端砚礼盒"


def test_a_product_that_nobody_registered_is_unknown(market):
    for path in (f"{P}/06923450656174", f"{P}/06923450656174/events", f"{L}/06923450656174/A"):
        assert told(market.call("GET", path))[:2] == (404, "code-unknown")


# --- lots ---------------------------------------------------------------------------------------


def lot(market, body: dict, *, by: str = SHOP):
    return market.call("POST", L, {"gtin": GTIN, **body}, token=market.keys[by])


@pytest.mark.parametrize(
    "name", ["A/1", "a%b", "100%", "(10)X", "events", "..a", "A+B?c=d&e", "'\"<>"]
)
def test_a_lot_is_found_under_its_name_whatever_signs_it_holds(market, name):
    from urllib.parse import quote

    made = lot(market, {"lot": name, "produced_on": "2026-10-01"})
    assert made.status_code == 201, made.text
    assert made.json()["lot"] == name
    assert made.json()["code"] == f"{PRODUCT}/10/{quote(name, safe='')}"
    path = made.json()["links"]["self"]
    assert path == f"{L}/{GTIN}/{quote(name, safe='')}"
    shown = market.ask("GET", path)
    assert (shown["lot"], shown["verdict"], shown["produced_on"]) == (name, "intact", "2026-10-01")
    assert (
        market.ask("GET", f"{path}/events")["items"][-1]["record"]["stream"] == made.json()["code"]
    )
    for below in ("verification", "evidence"):
        assert market.call("GET", f"{path}/{below}").status_code == 200
    assert (
        market.ask("GET", f"/api/v1/code?code={quote(made.json()['code'], safe='')}")["lot"] == name
    )


def test_a_lot_with_signs_that_no_label_can_hold_is_refused_with_the_rule(market):
    before = market.count_rows()
    for name, kind in (
        ("批次一", "charset"), ("A B", "charset"), ("Ａ１", "charset"), ("A#1", "charset"),
        ("A\u0000", "control"), ("", "length"), ("A" * 21, "length"), (".", "dot_segment"),
        ("..", "dot_segment"),
    ):  # fmt: skip
        answer = lot(market, {"lot": name})
        assert kinds(answer) == [(kind, ["lot"])], name
    chinese = lot(market, {"lot": "批次一"}).json()
    assert "GS1" in chinese["detail"]
    assert "批" in chinese["errors"][0]["msg"]
    assert market.count_rows() == before


def test_a_lot_repeats_and_conflicts(market):
    body = {"lot": "TWICE", "produced_on": "2026-10-01", "expires_on": "2027-10-01", "quantity": 5}
    first, again = lot(market, body), lot(market, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    before = market.count_rows()
    for change in ({"quantity": 6}, {"quantity": None}, {"produced_on": "2026-10-02"}):
        given = {name: value for name, value in (body | change).items() if value is not None}
        assert told(lot(market, given))[:2] == (409, "id-conflict"), change
    assert told(lot(market, body, by=RIVAL))[:2] == (409, "id-conflict")
    assert market.count_rows() == before


def test_quantity_and_declaration_are_sealed(market):
    section = {
        "declaration": "516620251000000012",
        "mode": "1210",
        "port": "广州南沙",
        "hs_code": "1509200000",
        "origin": "西班牙",
        "recall_agent": SUPPLIER,
    }
    made = lot(market, {"lot": "IMPORTED", "quantity": 706_050_402, "import": section})
    assert made.status_code == 201, made.text
    public = {name: value for name, value in section.items() if name != "declaration"}
    assert made.json()["import"] == public
    shown = "".join(
        market.call("GET", f"{L}/{GTIN}/IMPORTED{below}").text
        for below in ("", "/events", "/verification", "/evidence")
    )
    assert "516620251000000012" not in shown
    assert "706050402" not in shown  # a number so long stands in no hash by chance
    record = market.ask("GET", f"{L}/{GTIN}/IMPORTED/events")["items"][-1]["record"]
    assert set(record["sealed"]) == {"quantity", "declaration"}
    # The importer's agent in China may recall what it answers for.
    code = f"{PRODUCT}/10/IMPORTED"
    market.keys[SUPPLIER] = market.key_of(SUPPLIER)
    assert market.refused(RIVAL, code, "recall", {"reason": "x"})[:2] == (403, "forbidden")


WRONG_LOTS = [
    ({"lot": "X", "produced_on": "2026-13-01"}, "date", ["produced_on"]),
    ({"lot": "X", "produced_on": 20261001}, "type", ["produced_on"]),
    ({"lot": "X", "produced_on": "2026-10-02", "expires_on": "2026-10-01"}, "range", ["expires_on"]),
    ({"lot": "X", "quantity": 0}, "range", ["quantity"]),
    ({"lot": "X", "quantity": 1.5}, "type", ["quantity"]),
    ({"lot": "X", "quantity": "5"}, "type", ["quantity"]),
    ({"lot": "X", "quantity": True}, "type", ["quantity"]),
    ({"lot": "X", "import": {"mode": "1210", "port": "x"}}, "missing", ["import", "origin"]),
    ({"lot": "X", "import": {"mode": "1210", "port": "e\u0301", "origin": "y"}}, "nfc",
     ["import", "port"]),
    ({"lot": "X", "import": {"mode": "9999", "port": "x", "origin": "y"}}, "enum",
     ["import", "mode"]),
    ({"lot": "X", "import": {"mode": "1210", "port": "x", "origin": "y", "declaration": "5"}},
     "length", ["import", "declaration"]),
    ({"lot": "X", "imported": {"mode": "1210", "port": "x", "origin": "y"}}, "unknown_field",
     ["imported"]),
    ({"lot": "X", "gtin": "06901234567893"}, "check_digit", ["gtin"]),
]  # fmt: skip


def test_wrong_lots_name_their_place_and_write_nothing(market):
    before = market.count_rows()
    for body, kind, loc in WRONG_LOTS:
        assert kinds(lot(market, body)) == [(kind, loc)], body
    assert told(lot(market, {"lot": "X", "gtin": "6923450656174"}))[:2] == (404, "code-unknown")
    assert told(lot(market, {"lot": "X"}, by=PLATFORM))[:2] == (403, "forbidden")
    assert market.count_rows() == before


def test_what_is_past_its_date_is_shown_as_expired(market):
    body = {"lot": "OLD", "produced_on": "2026-01-01", "expires_on": "2026-11-22"}
    made = lot(market, body)
    assert market.ask("GET", made.json()["links"]["self"])["warnings"] == ["expired"]
    unit = market.one(lot="OLD")
    assert market.ask("GET", unit.path)["warnings"] == ["expired"]
    today = lot(market, {"lot": "TODAY", "expires_on": "2026-11-23"})
    assert market.ask("GET", today.json()["links"]["self"])["warnings"] == []
