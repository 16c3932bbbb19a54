"""The first hour of a shop that has read nothing: from the desk's own buttons to a first parcel."""

from __future__ import annotations

import re

import pytest

from app.i18n import text
from tests.browser.phone import opened
from tests.browser.test_signed_pages import enter
from tests.imports.sheets import gtin
from tests.web.people import open_people_market

pytestmark = pytest.mark.browser

STEPS = ["licence", "product", "listing", "codes", "print", "dispatch"]


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("first-hour")) as running:
        yield running


def begin_next(page, step: str, lang: str) -> None:
    """Goes by what is always in reach to the desk, and touches the one thing that is to be done."""
    page.locator('.rail a[href^="/desk"]:visible').first.click()
    page.locator(".begin").wait_for()
    next_step = page.locator(".begin-next")
    assert next_step.locator("h3").inner_text() == text(lang, f"begin.{step}")
    next_step.locator(".button-first").click()


def fill(page, **values: str) -> None:
    """Fills the form of the page by its fields, and sends it by its first button."""
    form = page.locator(f"#main form:has(#f-{next(iter(values))})")
    for name, value in values.items():
        field = form.locator(f"#f-{name}")
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    form.locator("button").first.click()


def test_a_shop_that_read_nothing_sends_its_first_parcel(market, chromium, pictures, screen):
    """Without script, as tests/browser/walks.py has it with."""
    party, number, lang = market.newcomer(), gtin(81 if screen.touched else 82), screen.lang
    shots = iter(range(1, 20))

    def shoot(page) -> None:
        pictures(page, f"hour-{lang}-{screen.name}-{next(shots)}.png")

    device = {"lang": lang, "accept_downloads": True, **screen.device}
    with opened(chromium, **device) as (page, noted):
        enter(page, market, "owner", party)
        shoot(page)
        assert page.locator(".begin > li").count() == len(STEPS) + 1, "and that it was verified"

        begin_next(page, "licence", lang)
        fill(page, kind="business", number=party)
        page.locator(".told").wait_for()

        begin_next(page, "product", lang)
        fill(page, gtin=number, name="竹编果盘", category="consumer_goods")
        page.locator("#codes-title").wait_for()
        shoot(page)

        begin_next(page, "listing", lang)
        fill(page, platform="某平台")
        page.locator(".told").wait_for()

        begin_next(page, "codes", lang)
        fill(page, count="100")
        page.wait_for_url("**/desk/batches/*")
        market.work()

        begin_next(page, "print", lang)
        page.locator(".label-look").wait_for()
        shoot(page)
        with page.expect_download() as sheet:
            page.locator("button[value=print]").first.click()
        assert sheet.value.path().read_bytes()[:5] == b"%PDF-"

        begin_next(page, "dispatch", lang)
        batch = market.rooms.beginnings.of(_owner_of(market, party)).batch_id
        unit = market.codes_of(batch, by=party)[0].code
        shoot(page)
        fill(page, carrier="示例快递", code=unit, waybill="TEST7200000001", order="A-1")
        page.locator(".told, [role=status]").first.wait_for()

        page.locator('.rail a[href^="/desk"]:visible').first.click()
        page.locator(".works").wait_for()
        assert page.locator(".begin").count() == 0
        shoot(page)
        # A page that becomes a file is given up by the browser as a page.
        assert [one for one in noted.complaints if not one.endswith("/print")] == []
    told = market.ask("GET", "/api/v1/first-steps", token=market.keys[party])
    assert told["over"]
    sent = market.ask("GET", f"/api/v1/code?code={unit}")
    assert (sent["state"], sent["verdict"]) == ("in_transit", "intact")
    assert re.fullmatch(r"01/\d{14}/21/\w+", unit)


def _owner_of(market, party: str):
    return market.rooms.imports.acting_for(party)
