"""The pages on credit, policy and zone on every screen, in both languages, light and dark, without script."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import open_market
from tests.web.operations import listing, signed
from tests.web.standing import enter, live

pytestmark = pytest.mark.browser

LONG_NAME = "Zhaoqing-Duanzhou-Inkstone-and-Brush-Manufacturing-and-Trading-Company（虚构）<b>"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_market(tmp_path_factory.mktemp("standing")) as running:
        live(running)
        party = running.newcomer(name=LONG_NAME)
        running.grave = party
        enter(running, party, "counterfeit", number="9" * 80, title="决定" * 30)
        running.rated = rated(running)
        running.rooms.credit.hold(SHOP, "a finding of this test")
        yield running


def rated(market) -> str:
    """Returns a carrier that is rated by both sides, has signed, is graded and on the black list."""
    carrier = market.newcomer("carrier", name=LONG_NAME)
    for stars in (5, 1):
        (unit,) = market.issue(inner=True)
        sold = market.sell_by_platform(unit.code)
        sent = market.send(SHOP, unit.code, "dispatch", {"carrier": carrier}, hours=-2)
        said = {"of": sent["id"], "carrier": carrier, "rating": stars}
        market.send(SHOP, unit.code, "carrier_rating", said)
        proof = {"Suxin-Claim": sold["claim_token"]} if stars > 1 else {"Suxin-Inner": unit.inner}
        market.send(None, unit.code, "carrier_rating", said, headers=proof)
    path = f"/api/v1/parties/{carrier}/commitments"
    body = signed("lawful_trade")
    market.ask("POST", path, body, token=market.keys[carrier], status=201)
    token = market.keys[AUTHORITY]
    market.ask("POST", "/api/v1/lists/black", listing(carrier), token=token, status=201)
    market.clock.advance(32 * 86_400)
    market.work()
    return carrier


def pages(market) -> dict[str, str]:
    return {
        "shop": f"/credit/{SHOP}",
        "grave": f"/credit/{market.grave}",
        "new": f"/credit/{market.newcomer()}",
        "rated": f"/credit/{market.rated}",
        "policy": "/policy",
        "policy-1": "/policy/1",
        "zone": "/zone?category=food",
        "search": "/search?q=端砚",
    }


@pytest.mark.looks("/credit/{party}", "/policy", "/policy/{version}", "/search", "/zone")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_they_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang, weighed=True) as (page, noted):
        for name, path in pages(market).items():
            assert page.goto(market.url + path).status == 200
            look(page, pictures, name, lang)
        assert noted.complaints == []
        assert noted.hosts == {urlsplit(market.url).netloc}
        assert sum(noted.sent.values()) < 8 * 60_000


def test_the_picture_fits_the_screen_and_its_signs_can_be_read(market, chromium):
    with opened(chromium) as (page, _):
        page.goto(f"{market.url}/credit/{SHOP}")
        for width, shown, hidden in ((360, "narrow", "wide"), (1280, "wide", "narrow")):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.locator(f".course-{shown}").is_visible()
            assert page.locator(f".course-{hidden}").is_hidden()
            # As drawn on the screen, after the picture was fitted to it.
            scale = page.locator(f".course-{shown}").evaluate(
                "one => one.getBoundingClientRect().width / one.viewBox.baseVal.width"
            )
            assert 11 * scale >= 10
            boxes = page.locator(f".course-{shown} text").evaluate_all(
                "all => all.map((one) => { const b = one.getBBox();"
                " return [b.x, b.y, b.x + b.width, b.y + b.height]; })"
            )
            room = page.locator(f".course-{shown}").evaluate(
                "one => [one.viewBox.baseVal.width, one.viewBox.baseVal.height]"
            )
            for left, top, right, bottom in boxes:
                assert left >= 0
                assert top >= 0
                assert right <= room[0]
                assert bottom <= room[1]
            assert page.locator(f".course-{shown} rect[fill^=url]").count() >= 1


def test_from_the_seller_of_a_product_to_its_points_and_to_the_rule(market, chromium):
    with opened(chromium) as (page, noted):
        page.goto(f"{market.url}/01/06901234567892")
        page.get_by_role("link", name="看信用档案").first.click()
        page.wait_for_url(f"**/credit/{SHOP}*")
        page.locator("#entry-1 a[href*='#rule-']").click()
        page.wait_for_url("**/policy/1*#rule-listing_mismatch")
        assert page.locator("#rule-listing_mismatch").is_visible()
        assert noted.complaints == []
