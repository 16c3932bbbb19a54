"""Signing in as a browser does: cookies, forms, lock-out, the second factor; nothing told to who guesses."""

from __future__ import annotations

import re
from functools import partial

import pyotp
import pytest

from app.parties.accounts import NOWHERE
from app.parties.accountstore import find_by_name
from app.parties.sessions import SessionOver
from app.parties.signing_in import SignInRefused
from tests.asking import plain_client
from tests.web.conftest import AUTHORITY
from tests.web.people import (
    COOKIE,
    NEW,
    Browser,
    make_account,
    new_browser,
    new_name,
    open_people_market,
)


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("people")) as running:
        yield running


@pytest.fixture
def made(market):
    return partial(make_account, market)


@pytest.fixture
def browser(market):
    return new_browser(market)


def test_who_is_nobody_is_led_to_the_door_and_back(market, made, browser):
    name, password = made()
    answer = browser.get("/account?lang=en", 303)
    assert answer.headers["Location"] == "/sign-in?next=%2Faccount%3Flang%3Den&lang=en"
    browser.get(answer.headers["Location"])
    onward = re.search(r'name="next" value="([^"]+)"', browser.page)[1]
    answer = browser.post("/sign-in", name=name, password=password, next=onward)
    assert answer.headers["Location"] == "/account?lang=en"
    assert name in browser.get("/account").text


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "x"]
)
def test_nobody_is_led_elsewhere(market, made, browser, elsewhere):
    name, password = made()
    answer = browser.sign_in(name, password, next=elsewhere)
    assert answer.headers["Location"] == "/desk"


def test_the_cookie_is_closed_to_scripts_and_other_sites(market, made, browser):
    name, password = made()
    told = browser.sign_in(name, password).headers["Set-Cookie"].lower()
    assert told.startswith(f"{COOKIE}=")
    for word in ("httponly", "samesite=lax", "path=/"):
        assert word in told
    assert "secure" not in told  # a demo on http
    assert "domain" not in told


def test_over_https_the_cookie_is_bound_to_the_host(market, made, browser, monkeypatch):
    name, password = made()
    monkeypatch.setattr(market.rooms, "base_url", "https://trace.example")
    session, device = browser.sign_in(name, password).headers.get_list("Set-Cookie")
    assert session.startswith(f"__Host-{COOKIE}=")
    assert device.startswith("__Host-suxin_device=")
    for told in (session, device):
        assert "Secure" in told
        assert "HttpOnly" in told


def test_a_session_is_new_after_each_sign_in_and_the_old_one_is_worth_nothing(
    market, made, browser
):
    name, password = made()
    browser.sign_in(name, password)
    first = browser.cookie
    browser.get("/account")
    # Signing in again in the same browser: by the form, as after a stolen glance at the cookie.
    browser.post("/sign-in", name=name, password=password)
    browser.get("/account")
    assert browser.cookie != first
    other = Browser(market)
    other.http.cookies.set(COOKIE, first)
    other.get("/account", 303)


def test_what_is_stored_of_a_session_is_no_cookie(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    stored = market.stored_bytes()
    assert browser.cookie.encode() not in stored
    assert bytes.fromhex(browser.cookie) not in stored
    assert password.encode() not in stored


def test_the_same_is_told_of_a_wrong_password_a_disabled_account_and_nobody(market, made):
    name, _ = made()
    gone, theirs = made()
    accounts = market.rooms.people.accounts
    accounts.disable(accounts.find(gone).person.id)
    told = set()
    for who, what in ((name, "wrong" * 4), (gone, theirs), ("nobody-here", "wrong" * 4)):
        browser = new_browser(market)
        browser.sign_in(who, what, 401)
        assert what not in browser.page
        assert f'value="{who}"' in browser.page
        told.add(browser.page.replace(who, "…"))
        assert browser.cookie is None
    assert len(told) == 1


@pytest.mark.parametrize("known", [True, False])
def test_a_name_that_failed_often_waits_longer_and_longer(market, made, known):
    name, password = made() if known else (new_name(), "x" * 20)
    for _ in range(5):
        new_browser(market).sign_in(name, "wrong" * 4, 401)
    waits = []
    for _ in range(2):
        browser = new_browser(market)
        answer = browser.sign_in(name, password, 429)  # not even the right one
        wait = int(answer.headers["Retry-After"])
        assert f"Try again in {wait} seconds" in answer.text
        waits.append(wait)
        market.clock.advance(wait)
        new_browser(market).sign_in(name, "wrong" * 4, 401)
    assert waits == [15, 30]
    market.clock.advance(61)
    new_browser(market).sign_in(name, password, 303 if known else 401)


def test_who_guesses_at_a_name_does_not_keep_its_owner_out(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    browser.get("/account")
    for _ in range(5):
        new_browser(market).sign_in(name, "wrong" * 4, 401)
    new_browser(market).sign_in(name, password, 429)
    # On what somebody signed in with before, signing in and the password once more go on.
    market.clock.advance(16 * 60)
    new_browser(market).sign_in(name, "wrong" * 4, 401)
    browser.get("/confirm")
    browser.post("/confirm", password=password)
    browser.get("/account")
    browser.post("/sign-out")
    browser.sign_in(name, password)
    browser.get("/account")


def test_a_known_device_waits_for_its_own_failures_and_serves_one_name(market, made, browser):
    name, password = made()
    other, theirs = made()
    browser.sign_in(name, password)
    told = browser.http.cookies.get("suxin_device")
    browser.get("/account")
    browser.post("/sign-out")
    for _ in range(5):
        browser.sign_in(name, "wrong" * 4, 401)
    browser.sign_in(name, password, 429)
    new_browser(market).sign_in(name, password)  # nobody else waits for that
    for _ in range(5):
        new_browser(market).sign_in(other, "wrong" * 4, 401)
    browser.sign_in(other, theirs, 429)
    for shown in (told[:-1] + ("A" if told[-1] != "A" else "B"), "x", "", f"{told}.1"):
        stranger = new_browser(market)
        stranger.http.cookies.set("suxin_device", shown)
        stranger.sign_in(other, theirs, 429)
    market.clock.advance(15 * 60)
    browser.sign_in(name, password)
    # It is known for half a year, as long as somebody signs in on it.
    market.clock.advance(181 * 86_400)
    for _ in range(5):
        new_browser(market).sign_in(name, "wrong" * 4, 401)
    late = new_browser(market)
    late.http.cookies.set("suxin_device", browser.http.cookies.get("suxin_device"))
    late.sign_in(name, password, 429)


def test_an_address_that_failed_often_waits_for_every_name(market, made):
    name, password = made()
    browser = new_browser(market)
    for n in range(20):
        browser.sign_in(f"guess{n}-{name}", "wrong" * 4, 401)
    answer = browser.sign_in(name, password, 429)
    assert int(answer.headers["Retry-After"]) == 15
    new_browser(market).sign_in(name, password)


def test_many_at_once_from_one_address_who_succeed_are_let_in(market, made):
    name, password = made()
    browser = new_browser(market)
    for _ in range(25):
        browser.http.cookies.clear()
        browser.page = ""
        browser.sign_in(name, password)


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
     {"Sec-Fetch-Site": "same-site"}],
)  # fmt: skip
def test_a_form_of_another_site_is_refused(market, made, browser, headers):
    name, password = made()
    answer = browser.http.post(
        "/sign-in", data={"name": name, "password": password}, headers=headers
    )
    assert answer.status_code == 403
    assert "Set-Cookie" not in answer.headers
    browser.sign_in(name, password)
    browser.get("/account")
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', browser.page)[1]
    answer = browser.http.post("/account/sessions", data={"csrf": csrf}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("token", [None, "", "0" * 64, "another's"])
def test_a_form_without_its_sessions_token_is_refused(market, made, browser, token):
    name, password = made()
    browser.sign_in(name, password)
    before = browser.cookie
    if token == "another's":
        other = new_browser(market)
        other.sign_in(name, password)
        other.get("/account")
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', other.page)[1]
    data = {} if token is None else {"csrf": token}
    for path in ("/account/sessions", "/sign-out"):
        answer = browser.http.post(path, data=data, headers={"Origin": market.url})
        assert answer.status_code == 403, path
        assert "fill it in again" in answer.text
    browser.get("/account")
    assert browser.cookie == before


def test_signing_out_ends_the_session_everywhere_at_once(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    kept = browser.cookie
    browser.get("/account")
    browser.post("/sign-out")
    assert browser.cookie is None
    thief = new_browser(market)
    thief.http.cookies.set(COOKIE, kept)
    thief.get("/account", 303)


def test_other_devices_can_be_signed_out_one_or_all(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    others = [new_browser(market) for _ in range(3)]
    for other in others:
        other.sign_in(name, password)
    browser.get("/account")
    sessions = re.findall(r'name="session" value="([^"]+)"', browser.page)
    assert len(sessions) == 3  # all but this one
    browser.post("/account/sessions", session=sessions[0])
    assert len([other for other in others if other.http.get("/account").status_code == 200]) == 2
    browser.get("/account")
    left = re.findall(r'name="session" value="([^"]+)"', browser.page)
    assert sorted(left) == sorted(sessions[1:])
    browser.post("/account/sessions")
    assert not [other for other in others if other.http.get("/account").status_code == 200]
    browser.get("/account")


def test_a_session_ends_when_nothing_is_heard_and_after_a_day_at_the_latest(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    for _ in range(3):
        market.clock.advance(50 * 60)
        browser.get("/account")
    market.clock.advance(61 * 60)
    browser.get("/account", 303)
    browser.http.cookies.clear()
    browser.page = ""
    browser.sign_in(name, password)
    for _ in range(28):
        market.clock.advance(50 * 60)
        browser.get("/account")
    market.clock.advance(50 * 60)
    browser.get("/account", 303)


@pytest.mark.parametrize(
    ("stood", "led"), [("{url}/account", "%2Faccount"), ("https://evil.example/x", "%2Fdesk")]
)
def test_a_form_sent_too_late_leads_back_to_the_page_on_which_it_stood(
    market, made, browser, stood, led
):
    name, password = made()
    browser.sign_in(name, password)
    market.clock.advance(2 * 3600)
    headers = {"Origin": market.url, "Referer": stood.format(url=market.url)}
    answer = browser.http.post("/account/sessions", data={"csrf": "x"}, headers=headers)
    led = f"/sign-in?next={led}&told=session_over"
    assert (answer.status_code, answer.headers["Location"]) == (303, led)


def test_a_disabled_account_is_out_at_once(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    accounts = market.rooms.people.accounts
    accounts.disable(accounts.find(name).person.id)
    browser.get("/account", 303)
    accounts.enable(accounts.find(name).person.id)
    browser.get("/account", 303)  # the old session is gone for good
    browser.sign_in(name, password)


def test_another_process_knows_the_session_and_the_failures(market, made, browser):
    """Both stand in the database: nothing is in a process's memory."""
    from app.main import create_app
    from app.rooms import open_rooms
    from tests.web.conftest import _serve

    name, password = made()
    browser.sign_in(name, password)
    settings = market.settings.model_copy(update={"trusted_proxies": ("127.0.0.1",)})
    rooms = open_rooms(settings, clock=market.clock)
    app = create_app(settings, rooms=rooms)
    with _serve(app) as url:
        there = plain_client(base_url=url, timeout=60, headers={"Accept": "text/html"})
        there.cookies.set(COOKIE, browser.cookie)
        assert there.get("/account").status_code == 200
        for n in range(5):
            answer = (market.client if n % 2 else there).post(
                "/sign-in", data={"name": name, "password": "wrong" * 4},
                headers={"X-Forwarded-For": f"203.0.113.{n + 1}"},
            )  # fmt: skip
            assert answer.status_code == 401
        answer = there.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 429
        browser.get("/account")
        browser.post("/sign-out")
        assert there.get("/account").status_code == 303
        there.close()


# --- passwords -----------------------------------------------------------------------------------


def test_a_deployment_hashes_at_full_strength_and_makes_a_weaker_hash_anew(market, made):
    """These tests' own market hashes at the least that there is, to be quick."""
    from app.rooms import close_rooms, open_rooms

    name, password = made()
    rooms = open_rooms(market.settings, clock=market.clock)
    stored = []
    try:
        for _ in range(2):
            with rooms.database.read() as connection:
                stored.append(find_by_name(connection, name).password)
            rooms.people.sign_in.enter(name, password, client=NOWHERE)
    finally:
        close_rooms(rooms)
    assert [one.split("$")[3] for one in stored] == ["m=8,t=1,p=1", "m=19456,t=2,p=1"]


def test_a_one_time_password_must_be_changed_first(market, made, browser):
    name, once = made(owes=True)
    answer = browser.sign_in(name, once)
    assert answer.headers["Location"] == "/account/password?next=%2Fdesk"
    assert "/account/password" in browser.get("/desk", 303).headers["Location"]
    browser.get("/account/password")
    before = browser.cookie
    browser.post("/account/password", 422, old_password=once, password="short")
    assert "15 to 128" in browser.page
    browser.post("/account/password", 422, old_password=once, password=f"{name}2026password")
    browser.post("/account/password", 422, old_password=once, password=once)
    browser.post("/account/password", 401, old_password="wrong" * 4, password=NEW)
    answer = browser.post("/account/password", old_password=once, password=NEW, next="/desk")
    assert browser.cookie != before
    assert answer.headers["Location"].startswith("/desk")
    browser.get("/desk")
    new_browser(market).sign_in(name, once, 401)
    new_browser(market).sign_in(name, NEW)


def test_a_new_password_signs_the_others_out(market, made, browser):
    name, password = made()
    other = new_browser(market)
    other.sign_in(name, password)
    browser.sign_in(name, password)
    browser.get("/account/password")
    browser.post("/account/password", old_password=password, password="another sentence of mine")
    browser.get("/account")
    other.get("/account", 303)


def test_a_reset_ends_all_sessions_and_asks_for_a_new_password(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    accounts = market.rooms.people.accounts
    once = accounts.reset(accounts.find(name).person.id)
    browser.get("/account", 303)
    new_browser(market).sign_in(name, password, 401)
    assert "/account/password" in browser.sign_in(name, once).headers["Location"]


def test_a_reset_while_a_password_is_looked_at_lets_nobody_in(market, made, monkeypatch):
    name, password = made()
    people = market.rooms.people
    person = people.accounts.find(name).person
    passwords = people.sign_in._passwords
    is_right = passwords.is_right

    def slowly(stored, given):
        found = is_right(stored, given)
        people.accounts.reset(person.id)
        return found

    signed = people.sessions.resume(people.sign_in.open_for(person.id, client=NOWHERE))
    with monkeypatch.context() as slow:
        slow.setattr(passwords, "is_right", slowly)
        with pytest.raises(SignInRefused):
            people.sign_in.enter(name, password, client=NOWHERE)
    assert people.sessions.list_of(person.id) == []
    # The one-time password stands: a session that the reset has ended changes nothing any more.
    once = people.accounts.reset(person.id)
    with pytest.raises(SessionOver):
        people.sign_in.change_password(
            signed, old=once, new="another sentence of mine", client=NOWHERE
        )
    assert people.sign_in.enter(name, once, client=NOWHERE).stage == "password"


# --- the second factor ---------------------------------------------------------------------------


def turn_on(market, browser) -> tuple[str, list[str]]:
    """Turns the second step on; returns its secret and the recovery codes."""
    browser.get("/account/second")
    secret = re.search(r'name="second_secret" value="([A-Z2-7]{32})"', browser.page)[1]
    browser.post("/account/second", 422, second_secret=secret, second_code="000000")
    assert f'value="{secret}"' in browser.page
    browser.post("/account/second", 200, second_secret=secret, second_code=code_at(market, secret))
    return secret, re.findall(r"<code>([2-9A-Z-]{14})</code>", browser.page)


def code_at(market, secret: str, *, seconds: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(market.clock.now().timestamp()) + seconds)


def test_the_second_step_is_asked_for_and_each_code_is_good_once(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    before = browser.cookie
    secret, codes = turn_on(market, browser)
    assert len(set(codes)) == 10
    assert browser.cookie != before
    assert secret.encode() not in market.stored_bytes()
    market.clock.advance(90)

    other = new_browser(market)
    assert "/sign-in/code" in other.sign_in(name, password).headers["Location"]
    half = other.cookie
    assert "/sign-in/code" in other.get("/desk", 303).headers["Location"]
    other.get("/account/password", 303)
    other.get("/sign-in/code")
    other.post("/sign-in/code", 422, second_code=code_at(market, secret, seconds=-90))
    other.post("/sign-in/code", second_code=code_at(market, secret))
    assert other.cookie != half
    other.get("/desk")

    third = new_browser(market)
    third.sign_in(name, password)
    third.get("/sign-in/code")
    third.post("/sign-in/code", 422, second_code=code_at(market, secret))  # taken before
    third.post("/sign-in/code", second_code=codes[0].lower())
    third.get("/desk")
    fourth = new_browser(market)
    fourth.sign_in(name, password)
    fourth.get("/sign-in/code")
    fourth.post("/sign-in/code", 422, second_code=codes[0])
    assert "9 recovery codes" in third.get("/account").text


def test_a_secret_that_was_altered_in_the_database_opens_nothing_and_fails_nothing(
    market, made, browser
):
    name, password = made()
    browser.sign_in(name, password)
    secret, _ = turn_on(market, browser)
    market.clock.advance(90)
    market.tamper("UPDATE account SET totp_sealed = ? WHERE name = ?", bytes(80), name)
    other = new_browser(market)
    other.sign_in(name, password)
    other.get("/sign-in/code")
    other.post("/sign-in/code", 422, second_code=code_at(market, secret))


def test_guesses_of_codes_wait_as_guesses_of_passwords_do(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    secret, _ = turn_on(market, browser)
    other = new_browser(market)
    other.sign_in(name, password)
    other.get("/sign-in/code")
    for _ in range(5):
        other.post("/sign-in/code", 422, second_code="123456")
    answer = other.post("/sign-in/code", 429, second_code=code_at(market, secret, seconds=30))
    assert int(answer.headers["Retry-After"]) == 15


def test_what_touches_safety_asks_for_the_password_again(market, made, browser):
    name, password = made()
    browser.sign_in(name, password)
    browser.get("/account/second")
    market.clock.advance(16 * 60)
    answer = browser.get("/account/second", 303)
    assert answer.headers["Location"] == "/confirm?next=%2Faccount%2Fsecond"
    before = browser.cookie
    browser.get(answer.headers["Location"])
    browser.post("/confirm", 401, password="wrong" * 4)
    answer = browser.post("/confirm", password=password, next="/account/second")
    assert browser.cookie != before
    browser.get("/account/second")


def test_a_session_asks_services_as_a_key_of_the_party_does(market, made):
    name, _ = made("owner", AUTHORITY)
    person = market.rooms.people.accounts.find(name).person
    principal = person.principal()
    assert (principal.party, principal.account) == (AUTHORITY, person.id)
    assert principal.key_id == f"account/{person.id}"
    assert principal.roles == {"regulator"}
    assert principal.region == "441200"
