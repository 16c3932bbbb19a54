"""Pages of people who sign in: on a phone and a desk, both languages, light and dark, without script."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from tests.browser.phone import opened
from tests.browser.screens import look
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import CUSTOMS
from tests.web.people import NEW, make_account, new_name, open_people_market
from tests.web.test_account_pages import FIELDS, new_code
from tests.web.test_sign_in import code_at

pytestmark = pytest.mark.browser

LONG = "Zhaoqing-Duanzhou-Inkstone-and-Brush-Manufacturing-and-Trading-Company（虚构）<b>"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("signed")) as running:
        unit = running.one()
        running.sell(unit.code, hours=-24 * 9)
        running.work()
        running.clock.advance(2 * 86_400)
        running.work()
        yield running


def enter(page, market, *given, path: str = "/desk", **more) -> str:
    """Signs somebody new in by the form, and opens a page."""
    name, password = make_account(market, *given, **more)
    sign_in(page, market, name, password, path=path)
    return name


def sign_in(
    page, market, name: str, password: str, *, path: str = "/desk", onward: str = ""
) -> None:
    """Signs somebody in by the form, and opens a page; onward: where the page on the way leads on to."""
    page.goto(f"{market.url}/sign-in?next={onward or path}")
    page.locator("#f-name").fill(name)
    page.locator("#f-password").fill(password)
    page.locator(".narrow .button-first").click()
    # From the address on: the present one ends with where it leads to.
    page.wait_for_url(f"{market.url}{path}*" if onward else f"{market.url}{path}")


@pytest.mark.looks("/sign-in", "/apply", "/join/{token}")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_doors_can_be_read_on_every_screen(market, chromium, pictures, lang):
    link = _invitation(market)
    with opened(chromium, lang=lang) as (page, noted):
        for name, path in {"sign-in": "/sign-in", "apply": "/apply", "join": link}.items():
            assert page.goto(market.url + path).status == 200
            look(page, pictures, name, lang)
        _refuse(page, market)
        look(page, pictures, "apply-refused", lang)
        assert _unexpected(noted) == []
        assert noted.hosts == {urlsplit(market.url).netloc}


@pytest.mark.looks(
    "/desk", "/account", "/account/people", "/account/keys", "/account/webhooks", "/account/second",
    "/account/password", "/confirm",
)  # fmt: skip
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_owners_pages_can_be_read_on_every_screen(market, chromium, pictures, lang):
    make_account(market, "staff", SHOP, scopes=["products", "codes"])
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market)
        for name, path in {
            "desk": "/desk", "account": "/account", "people": "/account/people",
            "keys": "/account/keys", "webhooks": "/account/webhooks", "second": "/account/second",
            "password": "/account/password", "confirm": "/confirm",
        }.items():  # fmt: skip
            assert page.goto(market.url + path).status == 200
            look(page, pictures, f"owner-{name}", lang)
        page.goto(market.url + "/account/keys")
        page.locator("#f-label").fill("ERP")
        page.locator('input[name="scopes"]').first.check()
        page.locator("form:has(#f-label) .button-first").click()
        page.locator(".once code").wait_for()
        look(page, pictures, "owner-key-made", lang)
        assert _unexpected(noted) == []
        assert noted.hosts == {urlsplit(market.url).netloc}


@pytest.mark.looks("/applications", "/applications/{application}")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_operators_and_an_authoritys_pages_can_be_read_on_every_screen(
    market, chromium, pictures, lang
):
    with opened(chromium, lang=lang) as (page, noted):
        _apply(page, market)
        look(page, pictures, "applicant-desk", lang)
        page.context.clear_cookies()
        enter(page, market, "operator", None)
        look(page, pictures, "operator-desk", lang)
        page.goto(market.url + "/applications")
        look(page, pictures, "operator-applications", lang)
        page.locator(".card h2 a").first.click()
        page.locator("#f-evidence").wait_for()
        look(page, pictures, "operator-application", lang)
        page.goto(market.url + f"/account/people?party={SHOP}")
        look(page, pictures, "operator-people", lang)
        page.context.clear_cookies()
        enter(page, market, "owner", AUTHORITY)
        look(page, pictures, "authority-desk", lang)
        assert _unexpected(noted) == []


@pytest.mark.looks("/sign-in/code")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_second_step_can_be_read_on_every_screen(market, chromium, pictures, lang):
    with opened(chromium, lang=lang) as (page, noted):
        name = enter(page, market, path="/account/second")
        secret = page.locator('[name="second_secret"]').input_value()
        page.locator("#f-second_code").fill("000000")
        page.locator("#main .form .button-first").click()
        page.locator("#f-second_code-error").wait_for()
        look(page, pictures, "second-refused", lang)
        page.locator("#f-second_code").fill(code_at(market, secret))
        page.locator("#main .form .button-first").click()
        page.locator(".code-list code").first.wait_for()
        look(page, pictures, "second-codes", lang)
        page.goto(market.url + "/account/second")
        look(page, pictures, "second-on", lang)
        page.context.clear_cookies()
        sign_in(page, market, name, NEW, path="/sign-in/code", onward="/desk")
        look(page, pictures, "sign-in-code", lang)
        page.locator("#f-second_code").fill("000000")
        page.locator(".narrow .button-first").click()
        page.locator("#f-second_code-error").wait_for()
        look(page, pictures, "sign-in-code-refused", lang)
        assert _unexpected(noted) == []


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("party", [PLATFORM, CARRIER, CUSTOMS])
def test_everybodys_desk_can_be_read_on_every_screen(market, chromium, pictures, lang, party):
    with opened(chromium, lang=lang) as (page, noted):
        enter(page, market, "owner", party)
        look(page, pictures, f"desk-{party}", lang)
        assert _unexpected(noted) == []


@pytest.mark.looks("/docs")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_errors_and_the_description_of_the_api_can_be_read_on_every_screen(
    market, chromium, pictures, lang
):
    with opened(chromium, lang=lang) as (page, _):
        assert page.goto(market.url + "/nothing-here").status == 404
        look(page, pictures, "error-404", lang)
        enter(page, market)
        assert page.goto(market.url + "/applications").status == 403
        look(page, pictures, "error-403", lang)
        assert page.goto(f"{market.url}/docs?lang={lang}").status == 200
        look(page, pictures, "docs", lang)


def _apply(page, market) -> str:
    company = f"果园{new_name()}{LONG[:20]}"
    page.goto(market.url + "/apply")
    fields = {"uscc": new_code(), "name": company, "contact": FIELDS["contact"],
              "account": new_name(), "password": NEW}  # fmt: skip
    for name, value in fields.items():
        page.locator(f"#f-{name}").fill(value)
    page.locator(".narrow .button-first").click()
    page.wait_for_url("**/desk?told=applied")
    return company


def _refuse(page, market) -> None:
    page.goto(market.url + "/apply")
    page.locator("#f-uscc").fill("91441200MA4TE5T00R")
    for name in ("name", "contact"):
        page.locator(f"#f-{name}").fill(LONG)
    page.locator("#f-account").fill("!!!")
    page.locator("#f-password").fill("short")
    page.locator(".narrow .button-first").click()
    page.locator("#f-uscc-error").wait_for()


def _invitation(market) -> str:
    from app.parties.accounts import NOWHERE, Place

    made = market.rooms.people.invitations.invite(
        Place("staff", SHOP, ("codes",), None), label="x", by=None, client=NOWHERE
    )
    return f"/join/{made.token}"


def _unexpected(noted) -> list[str]:
    """What was complained of, but for a form refused on purpose."""
    return [one for one in noted.complaints if "status of 422" not in one]
