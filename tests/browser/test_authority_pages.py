"""The authority's pages: on a phone and a desk, both languages, and a case worked as a person would."""

from __future__ import annotations

import pytest

from app.ledger.record import stream_key
from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_signed_pages import enter
from tests.web.authority import neglected, open_two_provinces, sold
from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import CUSTOMS, GTIN, PRODUCT

pytestmark = pytest.mark.browser

LANGS = ["zh", "en"]
DECLARATION = "516620261000000012"
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_two_provinces(tmp_path_factory.mktemp("authority")) as running:
        told = {"declaration": DECLARATION, "mode": "9610", "port": "广州南沙", "origin": "意大利",
                "hs_code": "1509900000", "certificate": "示例 CIQ 2026"}  # fmt: skip
        body = {"gtin": GTIN, "lot": "IMP-1", "import": told}
        running.ask("POST", "/api/v1/lots", body, token=running.keys[SHOP], status=201)
        running.broken, _, running.waybill = sold(
            running, running.near, payment={"number": "PAY-1"}
        )
        for _ in range(3):
            neglected(running, running.near)
        neglected(running, running.far)
        running.clock.advance(60 * 86_400)
        running.work()
        key = stream_key(running.broken.code)
        with running.rooms.database.read() as connection:
            stored = connection.exec_driver_sql(
                f"SELECT body FROM record WHERE stream = {key} AND seq = 2"
            ).scalar()
        running.tamper(
            "UPDATE record SET body = ? WHERE stream = ? AND seq = 2",
            bytes(stored).replace(b"440100", b"440300"), key,
        )  # fmt: skip
        running.call("GET", running.broken.path)
        yield running


def unexpected(noted) -> list[str]:
    """What was complained of, but for a form refused on purpose."""
    expected = ("status of 422", "status of 404")
    return [one for one in noted.complaints if not any(word in one for word in expected)]


def search(page, market, text: str, *, purpose: str = "") -> None:
    page.goto(f"{market.url}/desk/search")
    page.locator("#f-q").fill(text)
    page.locator("#f-purpose").fill(purpose)
    page.keyboard.press("Enter")
    page.locator("#read-title").wait_for()


@pytest.mark.looks("/desk/reports", "/desk/reports/{ticket}")
@pytest.mark.parametrize("lang", LANGS)
def test_reports_can_be_read_on_every_screen(market, chromium, pictures, lang):
    body = {"code": market.broken.code, "text": "标签像是复印的，" * 20, "contact": "x" * 90}
    ticket = market.ask("POST", "/api/v1/reports", body, status=201)["ticket"]
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/reports")
        look(page, pictures, "reports", lang)
        page.locator(f"a[href*='{ticket}']").click()
        page.locator("#f-purpose").fill("x")
        page.locator("button[value=open]").click()
        page.locator("#f-purpose-error").wait_for()
        look(page, pictures, "report-refused", lang)
        page.locator("#f-purpose").fill("look into it")
        page.locator("button[value=open]").click()
        page.locator("blockquote").wait_for()
        look(page, pictures, "report-open", lang)
        assert unexpected(noted) == []


@pytest.mark.looks(
    "/desk/search", "/desk/chains/01/{gtin}", "/desk/chains/01/{gtin}/10/{lot}",
    "/desk/chains/01/{gtin}/21/{serial}", "/desk/findings", "/desk/findings/{finding}",
    "/desk/looks",
)  # fmt: skip
@pytest.mark.parametrize("lang", LANGS)
def test_search_chain_and_findings_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/search")
        look(page, pictures, "search", lang)
        page.set_viewport_size(PHONE)
        page.locator("#f-region").fill("99")
        page.locator("#f-q").fill("端砚")
        page.keyboard.press("Enter")
        page.locator("#f-region-error").wait_for()
        look(page, pictures, "search-refused", lang)
        search(page, market, market.near)
        look(page, pictures, "search-found", lang)
        page.goto(f"{market.url}/desk/chains/{market.broken.code}")
        look(page, pictures, "chain", lang)
        page.locator("#f-purpose").fill("投诉 2026-17")
        page.locator("main .form .button").click()
        page.locator(".told").wait_for()
        look(page, pictures, "chain-opened", lang)
        for name, code in (("product", PRODUCT), ("lot", f"{PRODUCT}/10/IMP-1")):
            assert page.goto(f"{market.url}/desk/chains/{code}").status == 200
            look(page, pictures, f"chain-{name}", lang)
        page.goto(f"{market.url}/desk/findings")
        look(page, pictures, "findings", lang)
        for n, name in ((0, "finding-missing"), (-1, "finding-altered")):
            page.goto(f"{market.url}/desk/findings")
            page.locator(".waits a").nth(n).click()
            page.locator("#work-title").wait_for()
            look(page, pictures, name, lang)
        page.goto(f"{market.url}/desk/looks")
        look(page, pictures, "looks", lang)
        assert unexpected(noted) == []


@pytest.mark.looks("/desk/customs")
@pytest.mark.parametrize("lang", LANGS)
def test_customs_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", CUSTOMS, path="/desk/customs")
        look(page, pictures, "customs", lang)
        page.locator("#f-number").fill("51")
        page.locator("#f-purpose").fill("?")
        page.locator('button[value="look"]').click()
        page.locator("#f-number-error").wait_for()
        look(page, pictures, "customs-refused", lang)
        page.locator("#f-number").fill(DECLARATION)
        page.locator("#f-waybill").fill(market.waybill)
        page.locator("#f-purpose").fill("查验 2026-9")
        page.locator('button[value="look"]').click()
        page.locator("#three-title").wait_for()
        look(page, pictures, "customs-declared", lang)
        assert unexpected(noted) == []


def test_a_case_from_a_waybill_to_its_decision(market, chromium):
    """Without script: found, read, opened for a purpose, given to oneself, noted, decided."""
    with opened(chromium, lang="en", viewport=PHONE) as (page, noted):
        name = enter(page, market, "owner", AUTHORITY, path="/desk/search")
        search(page, market, market.waybill, purpose="complaint 17")
        assert market.waybill not in page.url
        page.locator(f'a[href*="{market.broken.serial}"]').click()
        page.locator("#verdict-title").wait_for()
        assert "does not agree" in page.locator(".card-broken").inner_text()
        page.locator(".alarm a").first.click()
        page.locator(".card-broken").wait_for()
        page.goto(f"{market.url}/desk/findings?severity=ordinary&party={market.near}")
        page.locator(".waits a").first.click()
        page.locator("#f-assignee").select_option(name)
        page.locator('button[value="assign"]').click()
        page.get_by_text("It is with the person you chose.").wait_for()
        page.locator("#f-text").fill("asked the carrier")
        page.locator('button[value="note"]').click()
        page.get_by_text("asked the carrier").wait_for()
        page.goto(f"{market.url}/desk/findings?assignee=%40me")
        page.locator(".waits a").first.click()
        page.locator("summary", has_text="Dismiss").click()
        page.locator("#f-reason").fill("the parcel was found")
        page.locator('button[value="dismiss"]').click()
        page.get_by_text("On record: this is no fault.").wait_for()
        assert unexpected(noted) == []


def test_a_chain_prints_without_its_forms_and_with_its_proofs(market, chromium):
    with opened(chromium, lang="en", viewport=DESK) as (page, _):
        enter(page, market, "owner", AUTHORITY, path="/desk/search")
        page.goto(f"{market.url}/desk/chains/{market.broken.code}")
        page.emulate_media(media="print")
        assert not page.locator("#f-purpose").is_visible()
        assert not page.locator(".rail").is_visible()
        assert page.locator(".verified").first.is_visible()
