"""GET /search and /zone: words in two scripts, codes with typos, the boost within relevance."""

from __future__ import annotations

import pytest

from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import GTIN, RIVAL, told

S, Z, P = "/api/v1/search", "/api/v1/zone", "/api/v1/products"


def gtin_like(body: str) -> str:
    from app.trace.gtin import gtin_check_digit

    return (body + gtin_check_digit(body)).zfill(14)


@pytest.fixture(scope="module")
def goods(market):
    """Four more products and, of the tea, a second one that is sold with whole chains."""
    shop = market.keys[SHOP]
    plain, traced = gtin_like("692000000000"), gtin_like("692000000001")
    for gtin, name, more in (
        (plain, "鼎湖山绿茶", {"brand": "鼎湖"}),
        (traced, "鼎湖山红茶", {"brand": "鼎湖"}),
        (gtin_like("692000000002"), "苹果 Apple Fuji", {"spec": "500克"}),
        (gtin_like("692000000003"), "茶籽洗衣液", {"category": "other"}),
    ):
        body = {"gtin": gtin, "name": name, "category": "edible_agricultural", **more}
        market.ask("POST", P, body, token=shop, status=201)
        market.clock.advance(1)
    for gtin in (plain, traced):
        market.send(SHOP, f"01/{gtin}", "listing", {"platform": PLATFORM}, hours=-400)
    made = market.ask(
        "POST", "/api/v1/codes", {"gtin": traced, "count": 10}, token=shop, status=202
    )
    while market.rooms.issuing.issue_some():
        pass
    market.traced_codes = [unit.code for unit in market.codes_of(made["batch_id"])]
    for code in market.traced_codes:
        market.complete(code)
    market.work()
    market.rooms.features.refresh_all()
    return {"plain": plain, "traced": traced, "apple": gtin_like("692000000002")}


def find(market, q: str, **more) -> dict:
    return market.ask("GET", S, params={"q": q, **more})


def names(market, q: str, **more) -> list[str]:
    return [item["name"] for item in find(market, q, **more)["items"]]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("茶", {"鼎湖山绿茶", "鼎湖山红茶", "茶籽洗衣液"}),
        ("苹果", {"苹果 Apple Fuji"}),
        ("苹", {"苹果 Apple Fuji"}),
        ("APP", {"苹果 Apple Fuji"}),
        ("fuji 果", {"苹果 Apple Fuji"}),
        ("鼎湖 红茶", {"鼎湖山红茶"}),
        ("500克", {"苹果 Apple Fuji"}),
        ("果苹", set()),
        ("ｱﾌﾟ", set()),
        ("%", set()),
        ("#chain", set()),
        ("鼎湖 苹果", set()),
    ],
)  # fmt: skip
def test_words_find_what_has_them_all(market, goods, q, expected):
    assert set(names(market, q)) == expected


def test_at_equal_relevance_what_is_traceable_comes_first_by_its_boost(market, goods):
    first, second = find(market, "鼎湖")["items"]
    assert (first["gtin"], second["gtin"]) == (goods["traced"], goods["plain"])
    assert first["relevance"] == second["relevance"]
    assert first["final"] == round(first["relevance"] * (1 + first["boost"]), 6)
    assert 0 < first["boost"] <= 0.15
    assert second["boost"] == 0
    offer = first["offers"][0]
    assert (offer["seller"], offer["sold"], offer["sold_without_open_gap"]) == (SHOP, 10, 10)
    assert any(reason["factor"] == "completeness" for reason in offer["why"])


def test_the_boost_does_not_override_relevance(market, goods):
    # The plain tea is called exactly that, which no bounded boost makes up for.
    assert names(market, "鼎湖山绿茶")[0] == "鼎湖山绿茶"


def test_only_what_is_traceable_if_asked(market, goods):
    assert names(market, "茶", traceable=True) == ["鼎湖山红茶"]
    assert names(market, "茶", category="other") == ["茶籽洗衣液"]


def test_newest_is_by_registration_and_pages_hang_together(market, goods):
    whole = names(market, "茶", sort="newest")
    assert whole == ["茶籽洗衣液", "鼎湖山红茶", "鼎湖山绿茶"]
    for sort in ("newest", "relevance", "credit"):
        paged, cursor = [], {}
        while True:
            page = find(market, "茶", sort=sort, limit=1, **cursor)
            paged += [item["name"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert paged == names(market, "茶", sort=sort), sort


def test_a_gtin_with_a_wrong_or_swapped_digit_finds_what_was_meant(market, goods):
    right = GTIN[1:]
    wrong = right[:5] + str((int(right[5]) + 1) % 10) + right[6:]
    swapped = right[:3] + right[4] + right[3] + right[5:]
    for typed in (right, GTIN, right[:3] + " " + right[3:], wrong, swapped):
        found = find(market, typed)
        assert GTIN in [item["gtin"] for item in found["items"]], typed
    assert len(find(market, right)["items"]) == 1


def test_lots_and_serials_with_letters_for_digits(market, goods):
    market.lot("LO1-7B")
    for typed in ("LO1-7B", "l0i7b", "L017B"):
        assert GTIN in [item["gtin"] for item in find(market, typed)["items"]], typed
    found = find(market, f"(01){GTIN}(10)L0I-7B")
    assert found["codes"] == [f"01/{GTIN}/10/LO1-7B"]
    code = market.traced_codes[0]
    typo = code.rsplit("/", 1)[0] + "/" + code.rsplit("/", 1)[1].lower()
    assert find(market, f"https://example.com/{typo}")["codes"] == [code]
    assert find(market, code[:-3])["codes"] == [], "serials are not listed by their beginning"


def test_nobody_is_known_and_nobody_needs_a_key(market, goods):
    for token in (None, market.keys[RIVAL], market.keys[PLATFORM]):
        assert find(market, "茶") == market.ask("GET", S, params={"q": "茶"}, token=token)


def test_a_lost_word_is_found_by_the_audit_and_made_again(market, goods):
    market.tamper("DELETE FROM search_word WHERE word = ?", "苹果")
    assert names(market, "苹果") == []
    market.ask("POST", "/api/v1/audits", {"scope": "all"}, token=market.keys[AUTHORITY], status=202)
    market.work()
    findings = market.ask("GET", "/api/v1/findings", token=market.keys[AUTHORITY])["items"]
    assert any("search_word.苹果" in str(one) for one in findings), findings
    from app.trace.wordstore import rebuild_words

    before = market.count_rows()["search_word"]
    with market.rooms.database.write() as connection:
        assert rebuild_words(connection) == before + 1
    assert names(market, "苹果") == ["苹果 Apple Fuji"]
    assert names(market, "茶", traceable=True) == ["鼎湖山红茶"]


def test_the_zone_holds_whole_chains_and_loses_what_is_recalled(market, goods):
    (item,) = market.ask("GET", Z)["items"]
    assert item["gtin"] == goods["traced"]
    assert item["offers"][0]["sold"] == 10
    assert market.ask("GET", Z, params={"category": "food"})["items"] == []
    answer = market.call("GET", Z, params={"category": "consumer_goods"})
    assert told(answer)[:2] == (422, "invalid")
    stream = f"01/{goods['traced']}"
    market.send(AUTHORITY, stream, "recall", {"reason": "test"}, hours=-0.1)
    assert market.ask("GET", Z)["items"] == []
    assert names(market, "茶", traceable=True) == []
    market.send(AUTHORITY, stream, "recall_lifted", {"reason": "test"})
    assert len(market.ask("GET", Z)["items"]) == 1


def test_a_product_is_found_as_soon_as_it_is_acknowledged(market, goods):
    gtin = gtin_like("692000000009")
    body = {"gtin": gtin, "name": "刚刚登记的罗氏沼虾", "category": "food"}
    market.ask("POST", P, body, token=market.keys[SHOP], status=201)
    assert names(market, "沼虾") == ["刚刚登记的罗氏沼虾"]


def test_bad_queries_are_refused(market, goods):
    for params in ({"q": ""}, {"q": "x" * 101}, {"q": "茶", "sort": "price"},
                   {"q": "茶", "category": "nonsense"}, {"q": "茶", "cursor": "x"}):  # fmt: skip
        assert told(market.call("GET", S, params=params))[:2] == (422, "invalid"), params
