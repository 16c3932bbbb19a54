"""Several products listed at one place through the pages, and what comes next."""

from __future__ import annotations

import re

import pytest

from tests.imports.sheets import gtin
from tests.web.conftest import CARRIER, SHOP
from tests.web.people import open_people_market, signed_in

PATH = "/desk/products"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("listings")) as running:
        yield running


def register(market, n: int, name: str, category: str = "consumer_goods") -> str:
    body = {"gtin": gtin(n), "name": name, "category": category}
    return market.ask("POST", "/api/v1/products", body, token=market.keys[SHOP], status=201)["gtin"]


def listings(market, number: str) -> list[dict]:
    items = market.ask("GET", f"/api/v1/products/{number}/events")["items"]
    return [one["record"]["data"] for one in items if one["record"]["type"] == "listing"]


def test_chosen_products_are_listed_at_one_place_and_sent_again_nothing_twice(market):
    numbers = [register(market, 52_000 + n, f"青釉杯{n}") for n in range(3)]
    drug = register(market, 52_010, "青釉丸", "drug")
    owner = signed_in(market)
    page = owner.get(f"{PATH}?q=青釉").text
    assert page.count("not listed") == 4
    assert page.count(" checked") == 0
    assert owner.get(f"{PATH}?q=青釉&chosen=1").text.count(" checked") == 4
    assert "No product is chosen" in owner.post(f"{PATH}/listings", 200).text
    chosen = [*numbers, drug]
    asked = owner.post(f"{PATH}/listings", 200, gtin=chosen).text
    assert re.findall(r'name="gtin" value="(\d+)"', asked) == sorted(chosen)
    assert "List 4 products" in asked
    told = {"do": "list", "gtin": chosen}
    long = {"platform": "x" * 65}
    for wrong, at in (({}, "platform"), ({"url": "shop.example"}, "url"), (long, "platform")):
        assert f'id="f-{at}-error"' in owner.post(f"{PATH}/listings", 422, **told, **wrong).text
    assert [listings(market, one) for one in chosen] == [[], [], [], []]
    done = owner.post(f"{PATH}/listings", 200, platform="集市丁", **told).text
    assert "3 listed at 集市丁." in done
    assert "Drug business licence" in done
    assert "青釉丸" in done
    assert [listings(market, one) for one in chosen] == [[{"platform": "集市丁"}]] * 3 + [[]]
    again = owner.post(f"{PATH}/listings", 200, platform="集市丁", **told).text
    assert "3 were listed there already." in again
    assert "List the same ones at another place" in again
    link = {"url": "https://shop.example/tea", "title": "同款"}
    owner.post(f"{PATH}/listings", 200, **told, **link)
    assert listings(market, numbers[0]) == [{"platform": "集市丁"}, link]
    assert owner.get(f"{PATH}?q=青釉").text.count("not listed") == 1


def test_who_may_not_list_is_shown_no_boxes(market):
    number = register(market, 52_020, "白釉盏")
    clerk = signed_in(market, "staff", scopes=["products"])
    page = clerk.get(f"{PATH}?q=白釉盏").text
    assert "白釉盏" in page
    assert 'type="checkbox"' not in page
    clerk.get("/account")
    clerk.post(f"{PATH}/listings", 403, do="list", gtin=[number], platform="集市丁")
    carrier = signed_in(market, "owner", CARRIER)
    carrier.get("/account")
    carrier.post(f"{PATH}/listings", 200, do="list", gtin=[number], platform="集市丁")
    assert "3 listed" not in carrier.page
    assert listings(market, number) == []


def test_a_listing_by_hand_is_followed_by_what_comes_next(market):
    number = register(market, 52_030, "黑釉盏")
    owner = signed_in(market)
    owner.get(f"/desk/entry?type=listing&code=01/{number}")
    entry = re.search(r'name="entry" value="([^"]+)"', owner.page)[1]
    done = owner.post(
        "/desk/entry", type="listing", code=f"01/{number}", platform="集市丁", entry=entry
    )
    page = owner.get(done.headers["Location"]).text
    for step in (
        f'href="{PATH}/{number}#codes-title"',
        f'href="/desk/entry?type=listing&amp;code=01/{number}"',
        f'href="{PATH}/{number}"',
    ):
        assert step in page, step
