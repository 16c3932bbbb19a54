"""What an authority does about a party and about texts, and a party's powers: seen on every screen."""

from __future__ import annotations

import pytest

from tests.browser.phone import opened
from tests.browser.test_signed_pages import enter, look
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.people import open_people_market
from tests.web.test_kuaidi100_push import step
from tests.web.test_pushes_at_a_glance import push, sent
from tests.web.test_texts_api import bought, review

pytestmark = pytest.mark.browser

LANGS = ["zh", "en"]


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("dealing")) as running:
        yield running


def unexpected(noted) -> list[str]:
    """What was complained of, but for a form refused on purpose."""
    return [one for one in noted.complaints if "status of 422" not in one]


@pytest.mark.looks(
    "/desk/parties/{party}", "/desk/parties/{party}/entry", "/desk/parties/{party}/lift",
    "/desk/parties/{party}/lists/{name}", "/desk/parties/{party}/measure",
)  # fmt: skip
@pytest.mark.parametrize("lang", LANGS)
def test_a_party_is_dealt_with_from_the_search_to_the_record(market, chromium, pictures, lang):
    party = market.newcomer(region="441200")
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path="/desk/search")
        page.locator("#f-q").fill(party)
        page.locator(".lookup .button-first").click()
        page.locator(f'a[href="/desk/parties/{party}"]').click()
        page.locator("#measures-title").wait_for()

        page.locator('a[href$="/measure"]').click()
        page.locator("#f-kind").select_option("delist")
        page.locator("#f-basis").fill("《电子商务法》第八十条")
        look(page, pictures, "dealing-measure", lang)
        page.locator("label:has([name=sure])").click()
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()

        page.locator('a[href$="/entry"]').click()
        page.locator("label:has([value=spot_check_failed])").click()
        page.locator("#f-title").fill("抽检报告")
        page.locator("label:has([name=sure])").click()
        page.locator("#main .form .button-first").click()
        page.locator("#f-number-error").wait_for()
        assert page.locator("[value=spot_check_failed]").is_checked()
        look(page, pictures, "dealing-entry-refused", lang)
        page.locator("#f-number").fill("2026-1123")
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()

        with page.expect_navigation():
            page.locator('a[href$="/lists/black"]').click()
        look(page, pictures, "dealing-list", lang)
        page.locator("label:has([value=decision_evaded])").click()
        page.locator("#f-title").fill("行政处罚决定书")
        page.locator("#f-number").fill("肇市监罚〔2026〕1号")
        page.locator("label:has([name=sure])").click()
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        look(page, pictures, "dealing-party", lang)

        page.locator('a[href*="/lift?kind=delist"]').click()
        page.locator("#f-basis").fill("已整改")
        page.locator("label:has([name=sure])").click()
        look(page, pictures, "dealing-lift", lang)
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        assert page.locator('a[href*="/lift"]').count() == 0
        assert unexpected(noted) == []


@pytest.mark.looks("/desk/texts")
@pytest.mark.parametrize("lang", LANGS)
def test_texts_and_inspections_can_be_dealt_with_on_every_screen(market, chromium, pictures, lang):
    it = bought(market)
    review(market, it)
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", AUTHORITY, path=f"/desk/chains/{it.unit.code}")
        page.locator('a[href*="/desk/texts"][href*="code="]').click()
        page.locator("blockquote").wait_for()
        look(page, pictures, "texts", lang)
        page.locator("label:has([value=insult])").click()
        page.locator("button[value=hide]").click()
        page.locator("button[value=show]").wait_for()
        look(page, pictures, "texts-hidden", lang)
        page.goto(f"{market.url}/desk/chains/{it.unit.code}")
        page.locator('a[href*="type=inspection"]').click()
        page.locator("#f-result").fill("合格")
        look(page, pictures, "inspection", lang)
        page.locator("#main .form .button-first").click()
        page.locator(".told").wait_for()
        assert unexpected(noted) == []


@pytest.mark.looks("/account/mandates", "/account/push", "/desk/order-counts")
@pytest.mark.parametrize("lang", LANGS)
def test_powers_and_order_counts_can_be_read_on_every_screen(market, chromium, pictures, lang):
    party = market.newcomer()
    market.mandate(party, PLATFORM, "sale", "dispatch")
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", party, path="/account/mandates")
        look(page, pictures, "mandates", lang)
        page.goto(f"{market.url}/account/keys")
        look(page, pictures, "signing-keys", lang)
        page.context.clear_cookies()
        enter(page, market, "owner", PLATFORM, path="/desk/order-counts")
        page.locator("#main .form .button-first").click()
        look(page, pictures, "order-counts", lang)
        page.context.clear_cookies()
        enter(page, market, "owner", CARRIER, path="/account/push")
        look(page, pictures, "push", lang)
        page.context.clear_cookies()
        waybill = sent(market)
        push(market, waybill, text="[]")
        odd = step(market, -3) | {"ftime": "昨天", "time": ""}
        push(market, waybill, step(market, -1, "3"), step(market, -2, "778"), odd, state="3")
        enter(page, market, "owner", SHOP, path="/account/push")
        look(page, pictures, "push-lines", lang)
        page.locator("#lines a").click()
        look(page, pictures, "push-refused", lang)
        assert unexpected(noted) == []
