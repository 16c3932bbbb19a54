"""Corrections, ratings and a list of signatures, on a phone and a desk, in both languages."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_merchant_pages import pick_file, unexpected
from tests.browser.test_signed_pages import enter
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import GTIN
from tests.web.people import open_people_market

pytestmark = pytest.mark.browser

LOOKS = [("zh", False), ("en", True)]


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("records")) as running:
        yield running


def ship(market, number: int) -> str:
    body = {
        "order": f"BR-{number}", "ordered_at": market.at(-60), "gtin": GTIN, "quantity": 1,
        "carrier": CARRIER, "waybill": f"TEST77{number:08}", "shipped_at": market.at(-50), "to": "440100",
    }  # fmt: skip
    made = market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
    return made["codes"][0]


@pytest.mark.looks("/desk/records", "/desk/records/correct")
@pytest.mark.parametrize(("lang", "script"), LOOKS)
def test_a_record_is_corrected_on_every_screen(market, chromium, pictures, lang, script):
    code = ship(market, 1_000 + LOOKS.index((lang, script)))
    with opened(chromium, lang=lang, script=script) as (page, noted):
        enter(page, market, path="/desk/shipments")
        page.goto(f"{market.url}/desk/records?code={code}")
        look(page, pictures, "records", lang)
        page.locator(".card .quiet").first.click()
        page.locator("#f-to").wait_for()
        assert page.locator("#f-to").input_value() == "440100"
        assert page.locator("#f-waybill").input_value() == ""
        page.locator("#main .form .button-first").click()
        page.locator(".refusal").wait_for()
        look(page, pictures, "correct", lang)
        page.locator("#f-to").fill("440300")
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        assert page.locator("s").first.inner_text() == "440100"
        look(page, pictures, "records-corrected", lang)
        assert unexpected(noted) == []


@pytest.mark.looks("/desk/ratings")
@pytest.mark.parametrize(("lang", "script"), LOOKS)
def test_a_carrier_is_rated_on_every_screen(market, chromium, pictures, lang, script):
    ship(market, 2_000 + LOOKS.index((lang, script)))
    with opened(chromium, lang=lang, script=script) as (page, noted):
        enter(page, market, path="/desk/shipments")
        page.goto(f"{market.url}/desk/ratings")
        look(page, pictures, "ratings", lang)
        page.locator(".card").first.locator("label.choice").nth(3).click()
        page.locator(".card").first.locator(".button-first").click()
        page.locator(".told").wait_for()
        assert page.locator(".card .state-good").first.is_visible()
        look(page, pictures, "ratings-given", lang)
        assert unexpected(noted) == []


@pytest.mark.parametrize(("lang", "script"), LOOKS)
def test_a_carriers_list_is_sent_on_every_screen(market, chromium, pictures, lang, script):
    number = 3_000 + LOOKS.index((lang, script))
    ship(market, number)
    at = (market.clock.now() - timedelta(hours=1)).astimezone(timezone(timedelta(hours=8)))
    rows = [
        ["运单号", "物流状态", "操作时间", "签收方式"],
        [f"TEST77{number:08}", "已签收", f"{at:%Y-%m-%d %H:%M}", "快递柜"],
        ["TEST0000000000", "已签收", f"{at:%Y-%m-%d %H:%M}", ""],
    ]
    with opened(chromium, lang=lang, script=script) as (page, noted):
        enter(page, market, "owner", CARRIER, path="/desk/imports")
        look(page, pictures, "imports-carrier", lang)
        page.locator('input[name="kind"][value="events"]').check(force=True)
        pick_file(page, rows)
        page.locator("#faults-title").wait_for()
        look(page, pictures, "events-planned", lang)
        page.locator(".card-acts .button-first").click()
        page.get_by_role("heading", name={"zh": "结果", "en": "What came of it"}[lang]).wait_for()
        page.goto(market.url + "/desk/imports/mapping?kind=events")
        page.locator("#f-name").fill(f"网点{lang}")
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        look(page, pictures, "mapping-events", lang)
        assert unexpected(noted) == []
