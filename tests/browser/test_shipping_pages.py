"""Shipments, entry, dispatch and cases: on every screen, and a parcel's way by camera and scanner."""

from __future__ import annotations

import itertools

import pytest

from app.i18n import text
from app.trace.gtin import gtin_check_digit
from app.web.pages.camera import decoder_path
from tests.browser.filming import BARS, NEITHER, NO_DETECTOR, film, seeing, symbol
from tests.browser.npm import need
from tests.browser.phone import opened
from tests.browser.screens import look
from tests.browser.test_merchant_pages import unexpected
from tests.browser.test_signed_pages import enter, sign_in
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import PRODUCT
from tests.web.people import NEW, open_people_market
from tests.web.test_carriers_api import state_of

pytestmark = pytest.mark.browser

LANGS = ["zh", "en"]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("shipping")) as running:
        yield running


@pytest.fixture(scope="module")
def shop(market) -> str:
    """A shop with something in every list: sold, sent alone and in a parcel, and three kinds of gaps."""
    party = market.newcomer()
    market.send(party, PRODUCT, "listing", {"platform": "示例平台"}, hours=-900)
    late, *units = (one.code for one in market.issue(8, by=party))
    market.send(party, late, "sale", {})
    market.clock.advance(8 * 86_400)
    market.work()
    for unit in units[:2]:
        market.send(party, unit, "sale", {}, hours=-1)
    market.send(
        party, units[2], "dispatch", {"carrier": "某某同城跑腿配送有限公司（虚构）"}, hours=-1
    )
    body = {"order": "P-1", "ordered_at": market.at(-9), "carrier": CARRIER, "waybill": "TEST7777000009",
            "shipped_at": market.at(-8), "codes": units[3:], "to": "440100"}  # fmt: skip
    market.ask("POST", "/api/v1/shipments", body, token=market.keys[party], status=201)
    push = {
        "waybill": "TEST7777000009",
        "state": "5",
        "occurred_at": market.at(-1),
        "region": "440100",
    }
    told = {"feed": "kuaidi100", "items": [push]}
    market.ask("POST", "/api/v1/carriers/push", told, token=market.keys[CARRIER])
    return party


def case_number() -> str:
    body = f"306912388{next(_numbers):08d}"
    return body + gtin_check_digit(body)


def sold(market, count: int = 1) -> list[str]:
    units = [one.code for one in market.issue(count)]
    for unit in units:
        market.sell(unit)
    return units


@pytest.mark.looks(
    "/desk/shipments", "/desk/entry", "/desk/dispatch", "/desk/cases", "/desk/cases/{sscc}",
)  # fmt: skip
@pytest.mark.parametrize("lang", LANGS)
def test_the_pages_can_be_read_on_every_screen(market, shop, chromium, pictures, lang):
    case, unit = case_number(), market.one(by=shop).code
    packed = {"codes": [one.code for one in market.issue(3, by=shop)]}
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", shop, path="/desk/shipments")
        look(page, pictures, "shipments", lang)
        for name in ("gaps", "in_transit", "latest"):
            page.goto(f"{market.url}/desk/shipments?show={name}")
            look(page, pictures, f"shipments-{name}", lang)
        page.goto(f"{market.url}/desk/entry")
        look(page, pictures, "entry", lang)
        page.goto(f"{market.url}/desk/entry?type=dispatch&code={unit}")
        page.locator("#f-waybill").fill("1")
        page.locator("#f-to").fill("99")
        page.locator("#main .form .button-first").click()
        page.locator(".refusal").wait_for()
        look(page, pictures, "entry-refused", lang)
        page.goto(f"{market.url}/desk/dispatch")
        look(page, pictures, "dispatch", lang)
        page.goto(f"{market.url}/desk/cases/{case}")
        look(page, pictures, "case-empty", lang)
        market.ask(
            "POST", f"/api/v1/cases/{case}/pack", packed, token=market.keys[shop], status=201
        )
        page.goto(f"{market.url}/desk/cases")
        look(page, pictures, "cases", lang)
        page.goto(f"{market.url}/desk/cases/{case}")
        look(page, pictures, "case", lang)
        assert unexpected(noted) == []


def test_without_script_a_scanner_goes_through_the_forms(market, chromium):
    """Enter at the label leads on to the waybill, since that must be filled in; Enter there sends."""
    first, second = sold(market, 2)
    with opened(chromium, lang="en") as (page, noted):
        enter(page, market, "owner", SHOP, path="/desk/dispatch")
        page.locator("#f-carrier").fill("Courier")
        for unit, waybill in ((first, "SF2000000001"), (second, "SF2000000002")):
            page.locator("#f-code").fill(f"{market.url}/{unit}")
            page.keyboard.press("Enter")
            page.keyboard.type(waybill)
            page.keyboard.press("Enter")
            page.locator(".told").filter(has_text=waybill[-4:]).wait_for()
            assert page.locator("#f-carrier").input_value() == "Courier"
        assert [state_of(market, unit) for unit in (first, second)] == ["in_transit"] * 2
        assert unexpected(noted) == []


def test_a_scanner_dispatches_parcel_after_parcel_and_what_failed_stays(market, chromium, pictures):
    units, (sent,) = sold(market, 4), sold(market)
    market.dispatch(sent)
    with opened(chromium, lang="en", script=True) as (page, noted):
        enter(page, market, "owner", SHOP, path="/desk/dispatch")
        page.locator("#f-carrier").fill("Courier")
        page.locator("#f-code").focus()
        for n, unit in enumerate([units[0], sent, *units[1:]]):
            page.keyboard.type(f"{market.url}/{unit}")
            page.keyboard.press("Enter")
            page.keyboard.type(f"SF30000000{n:02}")
            page.keyboard.press("Enter")
        page.locator("#done b").filter(has_text="4").wait_for()
        failed = page.locator("#failed li")
        failed.filter(has_text=text("en", "fault.lifecycle.already_dispatched")).wait_for()
        assert failed.count() == 1
        look(page, pictures, "dispatch-at-work", "en")
        page.reload()
        assert failed.count() == 1
        assert sent in failed.inner_text()
        failed.get_by_role("button", name=text("en", "goods.dispatch.again")).click()
        assert page.locator("#f-code").input_value() == f"{market.url}/{sent}"
        assert failed.count() == 0
        assert {state_of(market, unit) for unit in units} == {"in_transit"}
        assert [one for one in unexpected(noted) if "status of 409" not in one] == []


def test_what_was_refused_names_its_field_and_stands_once_until_it_is_sent(market, chromium):
    (unit,) = sold(market)
    with opened(chromium, lang="en", script=True) as (page, _):
        enter(page, market, "owner", SHOP, path="/desk/dispatch")
        page.locator("#f-carrier").fill("Courier")
        failed = page.locator("#failed li")
        for waybill, said in (("SF1", "got 3"), ("SF12", "got 4")):
            page.locator("#f-code").fill(unit)
            page.locator("#f-waybill").fill(waybill)
            page.locator("#dispatch .button-first").click()
            failed.filter(has_text=said).wait_for()
            assert failed.count() == 1
            assert failed.inner_text().startswith(f"{text('en', 'goods.field.waybill')}: ")
        page.locator("#f-code").fill(unit)
        page.locator("#f-waybill").fill("SF4200000001")
        page.locator("#dispatch .button-first").click()
        page.locator("#done b").filter(has_text="1").wait_for()
        assert page.locator("#failed").is_hidden()


def test_a_parcel_that_could_not_be_told_is_tried_again_and_counts_once(market, chromium):
    (unit,) = sold(market)
    with opened(chromium, lang="en", script=True) as (page, _):
        enter(page, market, "owner", SHOP, path="/desk/dispatch")
        page.locator("#f-carrier").fill("Courier")

        def lose(route):
            route.fetch()  # it arrives; its answer does not
            route.abort()

        page.route("**/desk/dispatch", lose, times=1)
        page.locator("#f-code").fill(unit)
        page.locator("#f-waybill").fill("SF4000000001")
        page.locator("#dispatch .button-first").click()
        failed = page.locator("#failed li")
        failed.filter(has_text=text("en", "goods.dispatch.offline")).wait_for()
        assert state_of(market, unit) == "in_transit"
        before = market.count_rows()["record"]
        failed.get_by_role("button", name=text("en", "goods.dispatch.again")).click()
        page.locator("#dispatch .button-first").click()
        page.locator("#done b").filter(has_text="1").wait_for()
        assert market.count_rows()["record"] == before


def test_what_failed_is_kept_for_the_account_that_sent_it(market, chromium):
    """Two who pack with one phone: the second sees nothing of the first, who finds it again."""
    (unit,) = sold(market)
    market.dispatch(unit)
    with opened(chromium, lang="en", script=True) as (page, _):
        first = enter(page, market, "owner", SHOP, path="/desk/dispatch")
        page.locator("#f-carrier").fill("Courier")
        page.locator("#f-code").fill(unit)
        page.locator("#f-waybill").fill("SF4100000001")
        page.locator("#dispatch .button-first").click()
        failed = page.locator("#failed li")
        failed.wait_for()
        for path in ("/desk/dispatch", "/account"):
            page.goto(market.url + path)
        page.get_by_role("button", name=text("en", "nav.sign_out")).first.click()
        page.wait_for_url("**/sign-in*")
        enter(page, market, "owner", SHOP, path="/desk/dispatch")
        assert page.locator("#failed").is_hidden()
        assert failed.count() == 0
        page.get_by_role("button", name=text("en", "nav.sign_out")).first.click()
        page.wait_for_url("**/sign-in*")
        sign_in(page, market, first, NEW, path="/desk/dispatch")
        failed.wait_for()
        assert unit in failed.inner_text()


# --- the camera ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reads", ["its own decoder", "the service"])
def test_the_camera_reads_a_label_and_its_waybill_and_the_parcel_goes_off(
    market, chromium, tmp_path, reads
):
    if reads == "its own decoder":
        need(decoder_path(), "the camera's decoder")
    first, second = sold(market, 2)
    path = film(
        symbol(f"{market.url}/{first}"), symbol("SF5000000001", kind=BARS),
        symbol(f"{market.url}/{second}"), symbol("SF5000000002", kind=BARS),
        path=tmp_path / "parcels.y4m",
    )  # fmt: skip
    with (
        seeing(chromium, path) as browser,
        opened(browser, lang="en", script=True) as (page, noted),
    ):
        page.add_init_script(NO_DETECTOR if reads == "its own decoder" else NEITHER)
        enter(page, market, "owner", SHOP, path="/desk/dispatch")
        page.locator("#f-carrier").fill("Courier")
        page.locator("#camera button").click()
        # The film begins anew when it is over: what was sent then is not sent again.
        page.locator("#done b").filter(has_text="2").wait_for(timeout=60_000)
        assert [state_of(market, unit) for unit in (first, second)] == ["in_transit"] * 2
        assert page.locator("#failed").is_hidden()
        assert unexpected(noted) == []


def test_units_are_scanned_into_a_case_and_it_is_sent_by_its_label(market, chromium, tmp_path):
    need(decoder_path(), "the camera's decoder")
    case, units = case_number(), sold(market, 2)
    path = film(*(symbol(f"{market.url}/{unit}") for unit in units), path=tmp_path / "units.y4m")
    with (
        seeing(chromium, path) as browser,
        opened(browser, lang="en", script=True) as (page, noted),
    ):
        page.add_init_script(NO_DETECTOR)
        enter(page, market, "owner", SHOP, path=f"/desk/cases/{case}")
        page.locator("#camera button").click()
        page.locator("#done b").filter(has_text="2").wait_for(timeout=60_000)
        page.goto(f"{market.url}/desk/cases/{case}")
        for unit in units:
            page.get_by_text(unit).first.wait_for()
        page.goto(f"{market.url}/desk/dispatch")
        page.locator("#f-carrier").fill("Courier")
        page.locator("#f-code").fill(f"(00){case}")
        page.keyboard.press("Enter")
        page.keyboard.type("SF6000000001")
        page.keyboard.press("Enter")
        told = text("en", "goods.dispatch.done_case", count=2, tail="0001")
        page.locator("#dispatch-told").filter(has_text=told).wait_for()
        assert {state_of(market, unit) for unit in units} == {"in_transit"}
        assert unexpected(noted) == []


def test_a_case_says_what_it_holds_after_each_unit_that_is_scanned_in(market, chromium):
    case, units = case_number(), sold(market, 2)
    on = market.issue(1)[0].code
    way_on = text("en", "goods.case.dispatch")
    with opened(chromium, lang="en", script=True) as (page, noted):
        enter(page, market, "owner", SHOP, path=f"/desk/cases/{case}")
        inside, count = page.locator("#case-inside"), page.locator("#case-count")
        assert text("en", "goods.case.empty") in inside.inner_text()
        assert page.get_by_role("link", name=way_on).count() == 0
        page.locator("#f-code").focus()
        for n, unit in enumerate([on, *units], 1):
            page.keyboard.type(f"{market.url}/{unit}")
            page.keyboard.press("Enter")
            count.filter(has_text=text("en", "goods.case.count", count=n)).wait_for()
            count.filter(has_text=str(n)).wait_for()
            inside.get_by_text(unit).wait_for()
            if n == 1:
                page.locator("#f-order").fill("P-77")
                page.locator("#f-code").focus()
        assert inside.locator("li").count() == 3
        assert text("en", "goods.case.empty") not in inside.inner_text()
        # The sale is of so many as are there, and what was typed for it is kept.
        assert page.locator("#case-sale [name=count]").input_value() == "3"
        assert page.locator("#f-order").input_value() == "P-77"
        assert unexpected(noted) == []
        # What cannot be asked for anew is not left standing as if it were so.
        page.route(
            f"**/desk/cases/{case}",
            lambda route: route.abort() if route.request.method == "GET" else route.continue_(),
            times=2,
        )
        (last,) = sold(market)
        page.locator("#f-code").fill(last)
        page.keyboard.press("Enter")
        page.locator("#done b").filter(has_text="4").wait_for()
        count.wait_for(state="hidden")
        page.unroute_all()
        page.reload()
        count.filter(has_text="4").wait_for()
        page.get_by_role("link", name=way_on).click()
        page.wait_for_url("**/desk/dispatch?code=*")


def test_other_pages_of_the_desk_may_not_use_the_camera(market, chromium):
    with opened(chromium, lang="en") as (page, _):
        enter(page, market, "owner", SHOP, path="/desk/shipments")
        for path, allowed in (
            ("/desk/shipments", False),
            ("/desk/entry", False),
            ("/desk/dispatch", True),
        ):
            answer = page.goto(market.url + path)
            assert ("camera=(self)" in answer.headers["permissions-policy"]) == allowed
            assert ("wasm-unsafe-eval" in answer.headers["content-security-policy"]) == allowed
