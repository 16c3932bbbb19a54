"""A form that stands open while its session changes its cookie, gives way to another, or ends."""

from __future__ import annotations

import re
from html import unescape

import pytest

from app.i18n import text
from app.web.pages.signed.routers import SIGNED_ROUTERS
from tests.web.people import NEW, make_account, new_browser, open_people_market, signed_in

LANGS = ("zh", "en")
OTHER = {"zh": "en", "en": "zh"}


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("open-forms")) as running:
        yield running


def token_of(page: str) -> str:
    return re.search(r'name="csrf" value="([0-9a-f]+)"', page)[1]


def send(browser, path: str, lang: str, *, stood: str = "", **fields):
    """Posts a form as another window does, which knows nothing of what this one has shown since."""
    headers = {"Origin": browser.market.url, "Accept-Language": lang}
    if stood:
        headers["Referer"] = browser.market.url + stood
    return browser.http.post(path, data=fields, headers=headers)


def test_a_form_outlives_a_password_given_once_more(market):
    browser = signed_in(market)
    token, before = token_of(browser.get("/account").text), browser.cookie
    browser.get("/confirm")
    browser.post("/confirm", password=browser.password)
    assert browser.cookie != before
    answer = send(browser, "/account/sessions", "en", csrf=token)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account?told=sessions_ended")
    # The cookie that was replaced opens nothing, whatever token comes with it.
    thief = new_browser(market)
    thief.http.cookies.set("suxin_session", before)
    answer = send(thief, "/account/sessions", "en", csrf=token)
    assert (answer.status_code, answer.headers["Location"][:8]) == (303, "/sign-in")


def test_a_form_outlives_a_password_that_was_changed(market):
    browser = signed_in(market)
    token = token_of(browser.get("/account").text)
    browser.get("/account/password")
    browser.post("/account/password", old_password=browser.password, password=f"{NEW}, anew")
    assert send(browser, "/account/sessions", "en", csrf=token).status_code == 303


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("who", ["the same", "another"])
def test_a_form_of_another_sign_in_is_refused_and_told_where_to_fill_it_in(market, lang, who):
    browser = signed_in(market)
    token = token_of(browser.get("/account").text)
    name, password = browser.name, browser.password
    if who == "another":
        name, password = make_account(market)
    browser.post("/sign-in", name=name, password=password)
    answer = send(browser, "/account/sessions", lang, stood="/account?told=x&lang=en", csrf=token)
    assert answer.status_code == 403
    page = unescape(answer.text)
    for key in ("page.error.stale", "page.error.stale.next", "page.error.stale.back"):
        assert text(lang, key) in page
    assert 'href="/account?lang=en"' in page
    # A page of another site is not led back to.
    answer = send(browser, "/account/sessions", lang, stood=".evil.example/x", csrf=token)
    assert answer.status_code == 403
    assert "evil" not in answer.text


@pytest.mark.parametrize("lang", LANGS)
@pytest.mark.parametrize("ended", ["expired", "cleared"])
def test_a_form_whose_session_is_gone_tells_so_at_the_door_and_leads_back(market, lang, ended):
    browser = signed_in(market)
    stood = f"/account/people?lang={lang}&told=moved"
    browser.get("/confirm")
    browser.post("/confirm", password=browser.password)
    token = token_of(browser.get("/account/people").text)
    if ended == "expired":
        market.clock.advance(2 * 3600)
    else:
        browser.http.cookies.clear()
    answer = send(browser, "/account/people", "fr", stood=stood, csrf=token, name="new")
    assert answer.status_code == 303
    page = unescape(browser.get(answer.headers["Location"]).text)
    assert f'role="status">{text(lang, "told.session_over")}</p>' in page
    switch = unescape(re.search(r'<a href="([^"]+)" hreflang', browser.page)[1])
    assert text(OTHER[lang], "told.session_over") in unescape(browser.get(switch).text)
    onward = unescape(re.search(r'name="next" value="([^"]+)"', browser.page)[1])
    browser.page = ""
    answer = browser.post("/sign-in", name=browser.name, password=browser.password, next=onward)
    assert answer.headers["Location"] == f"/account/people?lang={lang}"


@pytest.mark.parametrize("lang", LANGS)
def test_a_form_that_comes_too_long_after_the_password_is_told_that_nothing_was_saved(market, lang):
    browser = signed_in(market)
    browser.get("/account/people", 200)
    token = token_of(browser.page)
    market.clock.advance(31 * 60)
    stood = f"/account/people?lang={lang}"
    answer = send(browser, "/account/people", "fr", stood=stood, csrf=token, name="new")
    assert answer.headers["Location"].startswith("/confirm?next=")
    page = unescape(browser.get(answer.headers["Location"]).text)
    assert f'role="status">{text(lang, "told.unsaved")}</p>' in page


def test_what_was_asked_for_by_a_link_was_not_lost(market):
    answer = new_browser(market).get("/account", 303)
    assert answer.headers["Location"] == "/sign-in?next=%2Faccount"


# --- the way back ---------------------------------------------------------------------------------


def way_back(browser, referer: str, *, host: str = "", origin: str = "") -> str:
    """Sends a form of another sign-in from this page; returns where the refusal leads back to."""
    headers = {"Origin": origin or browser.market.url, "Referer": referer}
    if host:
        headers["Host"] = host
    answer = browser.http.post("/account/sessions", data={"csrf": "another's"}, headers=headers)
    assert answer.status_code == 403, answer.text
    found = re.search(r'<a class="button button-first" href="([^"]+)"', answer.text)
    return unescape(found[1]) if found else ""


def page_templates(method: str) -> list[str]:
    return [one.path for router in SIGNED_ROUTERS for one in router.routes if method in one.methods]


def above(template: str) -> str:
    """The template of the nearest page, this one first, that can be asked for."""
    while template and template not in SHOWN:
        template = template.rpartition("/")[0]
    return template


SHOWN = frozenset(page_templates("GET"))


@pytest.fixture
def signed(market):
    return signed_in(market)


def test_a_form_drawn_where_it_was_sent_leads_back_to_a_page_that_can_be_asked_for(market, signed):
    """A refused form stands at the address of its POST, which answers a link with 405, or with 404."""
    wrong = {}
    for template in page_templates("POST"):
        path, expected = (re.sub(r"{\w+}", "0690", one) for one in (template, above(template)))
        back = way_back(signed, market.url + path)
        status = signed.http.get(back).status_code if "{" not in template else 200
        if back != expected or status in (404, 405):
            wrong[template] = back, expected, status
    assert wrong == {}


def test_some_forms_stand_where_nothing_can_be_asked_for():
    """Else the test above shows nothing."""
    led = {one: above(one) for one in page_templates("POST") if one not in SHOWN}
    assert led["/desk/products/{gtin}/lots"] == "/desk/products/{gtin}"
    assert led["/desk/products/listings"] == "/desk/products"  # not the product `listings`
    assert led["/account/keys/signing/revoke"] == "/account/keys"


def test_the_page_above_is_asked_for_in_the_language_and_nothing_else(market, signed):
    stood = market.url + "/account/sessions?lang=en&session=x"
    assert way_back(signed, stood) == "/account?lang=en"
    assert way_back(signed, market.url + "/no/such/page?lang=en") == "/desk?lang=en"
    assert way_back(signed, market.url + "//evil.example/account/sessions") == "/desk"
    assert way_back(signed, market.url + "/x" * 4000) == "/desk"


def test_an_address_that_can_be_none_is_taken_for_no_page_and_no_origin(market, signed):
    broken = "http://[::1"
    assert way_back(signed, broken) == ""
    assert way_back(signed, market.url + "/account", origin=broken) == "/account"
    headers = {"Origin": market.url, "Referer": broken}
    answer = new_browser(market).http.post("/account/sessions", data={}, headers=headers)
    assert (answer.status_code, answer.headers["Location"]) == (
        303,
        "/sign-in?next=%2Fdesk&told=session_over",
    )


def test_the_way_back_is_known_behind_a_proxy_that_gives_another_host(market, signed):
    public = market.rooms.base_url
    assert public != market.url
    for host in ("inner:8000", ""):
        assert way_back(signed, public + "/account", host=host, origin=public) == "/account"
    assert way_back(signed, "http://inner:8000/account", origin=public) == ""
    headers = {"Origin": public, "Referer": public + "/account", "Host": "inner:8000"}
    answer = new_browser(market).http.post("/account/sessions", data={}, headers=headers)
    assert answer.headers["Location"] == "/sign-in?next=%2Faccount&told=session_over"
