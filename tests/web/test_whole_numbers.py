"""A number out of its bounds: told so, with the bounds, by all pages that take one, not called missing."""

from __future__ import annotations

import re

import pytest

from tests.web.conftest import PLATFORM, SHOP
from tests.web.market import GTIN
from tests.web.people import new_browser, open_people_market, signed_in
from tests.web.test_texts_api import bought, complain, review

HUGE = "9" * 30


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("numbers")) as running:
        yield running


def told_on(page: str) -> list[str]:
    """What a page says of fields and of the whole form."""
    return re.findall(r'class="(?:field-error|refusal)"[^>]*>([^<]+)<', page)


def said(lang: str, bounds: tuple[int, int], got: str) -> str:
    low, high = bounds
    if lang == "en":
        return f"Out of range: expected {low} to {high}, got {got}."
    return f"超出范围：应为 {low} 到 {high}，收到 {got}。"


RATED = ("9", "0", "-1", HUGE)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("form", ["review", "follow_up"])
@pytest.mark.parametrize("rating", RATED)
def test_a_buyers_rating(market, form, rating, lang):
    it = bought(market)
    if form == "follow_up":
        review(market, it)
    buyer = new_browser(market)
    sent = {"lang": lang, "rating": rating, "proof": it.proof["Suxin-Claim"], "text": "砚"}
    buyer.post(f"/{it.unit.code}/{form}", 422, **sent)
    assert said(lang, (1, 5), rating[:40]) in told_on(buyer.page)
    buyer.post(f"/{it.unit.code}/{form}", 422, **sent | {"rating": ""})
    missing = {"zh": "缺少这一项。", "en": "This field is required."}
    assert missing[lang] in told_on(buyer.page)
    buyer.post(f"/{it.unit.code}/{form}", 422, **sent | {"rating": "五星"})
    whole = {"zh": "“五星”不对：应为 1 到 5 的整数。",
             "en": "“五星” will not do: expected a whole number, 1 to 5."}  # fmt: skip
    assert whole[lang] in told_on(buyer.page)


@pytest.mark.parametrize(
    ("lang", "words"), [("zh", "应为 1 到 5，收到 9"), ("en", "expected 1 to 5, got 9")]
)
def test_a_buyers_rating_over_the_api(market, lang, words):
    it = bought(market)
    body = {"code": it.unit.code, "type": "review", "data": {"rating": 9}}
    answer = market.client.post(
        "/api/v1/events", json=body, headers=it.proof | {"Accept-Language": lang}
    )
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["kind"]) == (["data", "rating"], "range")
    assert words in error["msg"]


def test_what_an_answer_to_a_complaint_was_worth(market):
    told = complain(market, bought(market))
    buyer = new_browser(market)
    given = {"ticket": told["ticket"], "query": told["query_code"], "act": "message"}
    for rating in RATED:
        buyer.post("/ticket", 422, **given, lang="en", rating=rating)
        assert said("en", (1, 5), rating) in buyer.page


@pytest.mark.parametrize(
    ("party", "page", "path", "name", "value", "bounds"),
    [
        (SHOP, "/desk/recalls/new", "", "level", "9", (1, 3)),
        (SHOP, "/desk/recalls/new", "", "level", "99999", (1, 3)),
        (PLATFORM, "/desk/order-counts", "", "orders", "-1", (0, 10**12)),
        (SHOP, f"/desk/products/{GTIN}", "/lots", "quantity", HUGE, (1, 10**12)),
        (SHOP, f"/desk/products/{GTIN}", "/codes", "count", "0", (1, 100_000)),
    ],
)
def test_a_number_of_a_desk(market, party, page, path, name, value, bounds):
    person = signed_in(market, "owner", party)
    fields = {"seller": SHOP, "gtin": GTIN, "period": "2026-01", "lot": "A7", "type": "recall",
              "reason": "x", "codes": market.one().code, "id": ""}  # fmt: skip
    person.get(page)
    person.post(f"{page}{path}", 422, **fields | {name: value})
    assert said("en", bounds, value) in person.page
