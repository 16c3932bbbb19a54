"""Several products listed at once, with a thumb and with a mouse, with script and without."""

from __future__ import annotations

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_merchant_pages import unexpected
from tests.browser.test_signed_pages import enter
from tests.imports.sheets import gtin
from tests.web.conftest import SHOP
from tests.web.people import open_people_market

pytestmark = pytest.mark.browser

NAMES = ("青瓷小碟", "青瓷长颈瓶与同色托盘成套礼盒（限量，含证书与锦盒）", "青瓷灯")


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("listed")) as running:
        for n, name in enumerate(NAMES):
            body = {"gtin": gtin(53_000 + n), "name": name, "category": "consumer_goods"}
            running.ask("POST", "/api/v1/products", body, token=running.keys[SHOP], status=201)
        body = {"gtin": gtin(53_010), "name": "青瓷药罐", "category": "drug"}
        running.ask("POST", "/api/v1/products", body, token=running.keys[SHOP], status=201)
        yield running


@pytest.mark.parametrize(("lang", "script"), [("zh", False), ("en", True)])
def test_products_are_chosen_and_listed_on_every_screen(market, chromium, pictures, lang, script):
    place = f"集市{lang}"
    with opened(chromium, lang=lang, script=script) as (page, noted):
        enter(page, market, path="/desk/products")
        page.goto(market.url + "/desk/products?q=青瓷")
        look(page, pictures, "products-choose", lang)
        page.get_by_role("checkbox").first.check()
        with page.expect_navigation():
            page.locator(".link-line a", has_text={"zh": "全选", "en": "all of this"}[lang]).click()
        page.get_by_role("link", name={"zh": "全不选", "en": "Choose none"}[lang]).wait_for()
        assert page.locator('input[name="gtin"]:checked').count() == 4
        page.locator('form[action$="/listings"] button').click()
        page.locator("#f-platform").wait_for()
        look(page, pictures, "listings", lang)
        page.locator("#main .form .button-first").click()
        page.locator("#f-platform-error").wait_for()
        page.locator("#f-platform").fill(place)
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        assert place in page.locator(".told").inner_text()
        assert page.locator("#refused-title").is_visible()
        look(page, pictures, "listings-done", lang)
        assert unexpected(noted) == []


def test_after_a_listing_by_hand_the_next_step_is_a_tap_away(market, chromium, pictures):
    with opened(chromium, lang="zh") as (page, noted):
        enter(page, market, path="/desk/products")
        page.goto(f"{market.url}/desk/entry?type=listing&code=01/0{gtin(53_000)}")
        page.locator("#f-platform").fill("手工集市")
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        look(page, pictures, "listed-by-hand", "zh")
        page.locator("#main .card-acts .button-first").click()
        page.locator("#codes-title").wait_for()
        assert page.url.endswith("#codes-title")
        assert unexpected(noted) == []
