"""Recalls in a real browser: readable on every screen, and done from end to end by a regulator."""

from __future__ import annotations

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_authority_pages import LANGS, PHONE, unexpected
from tests.browser.test_signed_pages import enter
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import RIVAL, SUPPLIER
from tests.web.people import open_people_market

pytestmark = pytest.mark.browser

NUMBER = "GLASS-1"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("recall-pages")) as running:
        running.recalled = running.lot(NUMBER, token=running.keys[SUPPLIER])
        units = [one.code for one in running.issue(9, by=SUPPLIER, lot=NUMBER)]
        for code in units[:6]:
            running.send(SUPPLIER, code, "transfer", {"to": SHOP})
            running.send(SHOP, code, "acceptance", {"from": SUPPLIER})
        running.send(SUPPLIER, units[6], "transfer", {"to": RIVAL})
        running.send(RIVAL, units[6], "acceptance", {"from": SUPPLIER})
        for code in units[:4]:
            running.sell_by_platform(code)
            running.dispatch(code)
        running.sign(units[0])
        running.sell(units[4])
        running.clock.advance(60)
        told = {
            "reason": "部分罐盖内侧有玻璃碎屑，请停止食用" * 3,
            "level": 1,
            "basis": "食品安全法第六十三条",
        }
        running.send(AUTHORITY, running.recalled, "recall", told, hours=0)
        running.clock.advance(60)
        running.send(SHOP, units[0], "return", {"reason": "recall"}, hours=0)
        running.send(SHOP, units[1], "notice", {"text": "已电话告知"})
        running.fresh = running.lot("FRESH-1")
        yield running


@pytest.mark.looks("/desk/recalls", "/desk/recalls/new")
@pytest.mark.parametrize("lang", LANGS)
def test_recalls_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/recalls")
        look(page, pictures, "recalls", lang)
        page.locator("#f-code").fill(market.recalled)
        page.locator("#f-purpose").fill("x")
        page.locator("main .form .button-first").click()
        page.locator("#f-purpose-error").wait_for()
        look(page, pictures, "recalls-refused", lang)
        page.locator("#f-purpose").fill("召回 2026-11")
        page.locator("main .form .button-first").click()
        page.locator("#far-title").wait_for()
        assert page.locator(".reach-percent b").inner_text() == "40.0 %"
        look(page, pictures, "recall-reach", lang)
        page.goto(f"{market.url}/desk/recalls/new")
        look(page, pictures, "recall-new", lang)
        assert unexpected(noted) == []


def test_a_merchant_recalls_a_lot_and_a_buyer_is_warned(market, chromium):
    with opened(chromium, lang="en", viewport=PHONE) as (page, noted):
        enter(page, market, "owner", SHOP, path=f"/desk/recalls/new?code={market.fresh}")
        page.locator("#f-reason").fill("loose lids")
        page.locator("#f-level").select_option("2")
        page.locator("main .form .button-first").click()
        page.locator(".told").wait_for()
        # Whoever leaves before its modules are there is complained of.
        page.goto(f"{market.url}/{market.fresh}", wait_until="networkidle")
        assert page.locator("section.notice-recall").count() == 1
        assert page.locator("section.verdict-abnormal .seal-abnormal").count() == 1
        page.goto(f"{market.url}/desk/recalls?code={market.fresh}")
        page.locator('a[href*="recall_lifted"]').first.click()
        page.locator("#f-reason").fill("checked")
        page.locator("main .form .button-first").click()
        page.locator(".told").wait_for()
        page.goto(f"{market.url}/{market.fresh}", wait_until="networkidle")
        assert page.locator("section.notice-recall, section.verdict-abnormal").count() == 0
        market.clock.advance(60)
        assert unexpected(noted) == []
