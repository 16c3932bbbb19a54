"""One's account on a phone and at a desk: applying, signing in, people, keys, mandates, webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from app.i18n import text
from app.kit.clock import SHANGHAI
from app.oversight.hooks import RETRY_AFTER_S
from tests.drills.deployment import wait_until
from tests.web.conftest import PLATFORM, SHOP
from tests.web.market import PRODUCT
from tests.web.people import NEW, make_account, new_name, open_people_market
from tests.web.test_account_pages import new_code
from tests.web.test_parties_api import PUBLIC, proof
from tests.web.test_sign_in import code_at
from tests.web.test_webhooks_api import receiver

__all__ = ["receiver"]

pytestmark = pytest.mark.browser

# Around a form on a page of its own, and on a page of the desk.
DOOR, WORK = ".narrow .button-first", "#main .form .button-first"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("walk-account")
    with open_people_market(folder, webhook_private=True) as running:
        yield running


@pytest.mark.walks(
    "/apply", "/applications/{application} refuse", "/applications/{application} accept", "/sign-in",
    "/sign-out",
)  # fmt: skip
def test_a_company_applies_is_refused_applies_again_and_is_let_in(market, walk):
    applicant, operator = walk(market), walk(market)
    code, company, account = new_code(), f"果园{new_name()}（虚构）", new_name()
    applicant.open("/apply").send(
        DOOR, uscc=code, name=company, contact="19900000000", account=account, password=NEW,
        licences_0_kind="business", licences_0_number=code,
    )  # fmt: skip
    applicant.told("applied")

    operator.enter("operator", None, path="/applications")
    operator.follow(operator.page.get_by_role("link", name=company))
    operator.says(code)
    operator.send("button[value=refuse]", reason="请写明电话")
    operator.told("application_refused")

    applicant.open("/desk").says("请写明电话")
    applicant.follow('.work a.button-first[href^="/apply"]')
    assert applicant.page.locator("#f-name").input_value() == company, "nobody writes it again"
    applicant.send(DOOR, contact="张三 19900000000", region="441200")
    applicant.told("applied")

    operator.open("/applications")
    operator.follow(operator.page.get_by_role("link", name=company))
    operator.says("张三 19900000000")
    operator.send("button[value=accept]", evidence="执照原件")
    operator.told("application_accepted")
    party = market.ask("GET", f"/api/v1/parties/{code}")
    assert (party["status"], party["name"], party["region"]) == ("verified", company, "441200")

    applicant.open("/desk").says(company)
    applicant.send(".who button")
    applicant.told("signed_out")
    applicant.sign_in(account, NEW).says(company)


@pytest.mark.walks("/account/second", "/sign-in/code", "/account/second/off")
def test_a_second_step_is_turned_on_asked_for_and_turned_off(market, walk):
    name, password = make_account(market)
    person, phone = walk(market), walk(market)
    person.sign_in(name, password, path="/account").follow('a[href^="/account/second"]')
    secret = person.page.locator("[name=second_secret]").input_value()
    person.send(WORK, refused=422, second_code="000000").wrong("second_code")
    person.send(WORK, second_code=code_at(market, secret))
    codes = person.page.locator(".code-list code").all_inner_texts()
    assert len(set(codes)) == 10

    market.clock.advance(90)
    phone.sign_in(name, password)
    assert phone.path == "/sign-in/code"
    phone.send(DOOR, refused=422, second_code="000000").wrong("second_code")
    phone.send(DOOR, second_code=code_at(market, secret))
    assert phone.path == "/desk"
    phone.page.context.clear_cookies()
    phone.sign_in(name, password).send(DOOR, second_code=codes[0].lower())
    assert phone.path == "/desk"
    account = market.rooms.people.accounts.find(name)
    assert account.person.has_second

    person.open("/account").says("9")
    person.follow('a[href^="/account/second"]').send('form[action="/account/second/off"] button')
    person.told("second_off")
    assert not market.rooms.people.accounts.find(name).person.has_second
    phone.page.context.clear_cookies()
    phone.slip_in(name, password)
    assert phone.is_in()


@pytest.mark.walks("/account/password", "/confirm", "/account/sessions")
def test_a_password_is_changed_and_asked_for_again_before_what_is_grave(market, walk):
    name, once = make_account(market, owes=True)
    person, elsewhere = walk(market), walk(market)
    person.sign_in(name, once)
    assert person.path == "/account/password"
    person.send(DOOR, refused=422, old_password=once, password="short").wrong("password")
    person.send(DOOR, old_password=once, password=NEW).told("password_changed")

    changed = "一只青瓷碟 on the sill"
    elsewhere.slip_in(name, NEW)
    person.open("/account").follow('a[href^="/account/password"]')
    person.send(DOOR, old_password=NEW, password=changed).told("password_changed")
    assert not elsewhere.is_in(), "other devices are signed out"
    for button, told in (
        ('.card form[action="/account/sessions"] button', "session_ended"),
        ('form[action="/account/sessions"] .button-wide', "sessions_ended"),
    ):
        for device in (elsewhere, walk(market)):
            device.slip_in(name, changed)
        person.open("/account").send(button).told(told)
        assert person.is_in()
    assert not any(one.is_in() for one in walk.walkers[1:])

    market.clock.advance(16 * 60)
    person.open("/account/keys")
    assert person.path == "/confirm"
    person.send(DOOR, refused=401, password=NEW).wrong("password")
    person.send(DOOR, password=changed)
    assert person.path == "/account/keys"


@pytest.mark.walks(
    "/account/people", "/account/people/change move", "/account/people/change reset",
    "/account/people/change disable", "/account/people/change enable", "/account/people/uninvite",
    "/join/{token}",
)  # fmt: skip
def test_staff_is_invited_joins_and_has_what_it_was_given(market, walk):
    party, name = market.newcomer(), new_name()
    owner, staff = walk(market).enter("owner", party, path="/account/people"), walk(market)
    owner.send(WORK, label="仓库早班", role="staff", scopes=["products"])
    link = owner.read(".once code")
    staff.open("/join/" + link.rpartition("/join/")[2])
    staff.send(DOOR, refused=422, name="Ab cd", password=NEW).wrong("name")
    staff.send(DOOR, name=name, password=NEW)
    assert staff.path == "/desk"
    assert staff.page.goto(f"{market.url}/account/keys").status == 403
    staff.expected.append("status of 403")

    owner.open("/account/people")
    card = owner.page.locator(".card", has_text=name)
    owner.touch(card.locator("summary"))
    owner.send(card.locator("button[value=move]"), scopes="codes").told("moved")
    who = market.rooms.people.accounts.find(name).person
    assert (who.party, set(who.scopes)) == (party, {"products", "codes"})

    owner.send(card.locator("button[value=disable]")).told("disabled")
    assert not staff.is_in()
    owner.send(card.locator("button[value=enable]")).told("enabled")
    owner.send(card.locator("button[value=reset]"))
    staff.sign_in(name, owner.read(".once code"))
    assert staff.path == "/account/password"

    owner.open("/account/people").send(WORK, label="写错了", role="owner")
    owner.open("/account/people").send('form[action$="/uninvite"] button').told("uninvited")
    who = market.rooms.people.accounts.find(owner.account).person
    assert list(market.rooms.people.invitations.list_of(who)) == []


@pytest.mark.walks(
    "/account/keys", "/account/keys/revoke", "/account/keys/signing", "/account/keys/signing/revoke",
    "/account/mandates", "/account/mandates/end",
)  # fmt: skip
def test_keys_and_mandates_are_given_work_and_are_taken_back(market, walk):
    party = market.newcomer()
    unit = market.one(by=party)
    owner = walk(market).enter("owner", party, path="/account/keys")
    make = "form:has(#f-label) .button-first"
    owner.send(make, label="ERP", scopes=["events", "products"])
    token = owner.read(".once code")
    listing = {"code": PRODUCT, "type": "listing", "data": {"platform": "某平台"}}
    market.ask("POST", "/api/v1/events", listing, token=token, status=201)
    owner.open("/account/keys").send('.card:has-text("ERP") .plain-danger')
    owner.told("key_revoked")
    asked = ("POST", "/api/v1/events", listing)
    wait_until(lambda: market.call(*asked, token=token).status_code == 401, "the key is refused")

    sign = "form:has(#f-public_key) .button-first"
    owner.send(sign, refused=422, public_key=PUBLIC, proof=proof(PLATFORM)).wrong("proof")
    owner.send(sign, public_key=PUBLIC, proof=proof(party)).told("signing_key_added")
    (key,) = market.ask("GET", f"/api/v1/parties/{party}/signing-keys")["items"]
    assert (key["public_key"], key.get("revoked_at")) == (PUBLIC, None)
    owner.send('form[action$="/signing/revoke"] button').told("signing_key_revoked")
    (key,) = market.ask("GET", f"/api/v1/parties/{party}/signing-keys")["items"]
    assert key["revoked_at"]

    sale = {"code": unit.code, "type": "sale", "actor": party, "data": {"platform": PLATFORM}}
    asked = ("POST", "/api/v1/events", sale)
    owner.open("/account/mandates").send(WORK, agent=PLATFORM, types=["listing", "sale"])
    owner.told("mandate_given")
    market.ask(*asked, token=market.keys[PLATFORM], status=201)
    owner.send('form[action$="/mandates/end"] button').told("mandate_ended")
    answer = market.call(*asked[:2], sale | {"code": PRODUCT, "type": "listing"},
                         token=market.keys[PLATFORM])  # fmt: skip
    assert answer.json()["type"] == "/problems/no-mandate"


@pytest.mark.walks(
    "/account/push make", "/account/push show", "/account/push renew", "/account/push end"
)
def test_what_a_shop_copies_from_its_page_is_all_that_kuaidi100_needs(market, walk):
    unit, waybill = market.one(), f"TEST{market.clock.now():%H%M%S%f}"
    body = {"order": waybill, "ordered_at": market.at(-30), "carrier": "中通", "waybill": waybill,
            "shipped_at": market.at(-20), "codes": [unit.code]}  # fmt: skip
    market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
    at = (market.clock.now() - timedelta(hours=1)).astimezone(SHANGHAI)
    step = {
        "ftime": f"{at:%Y-%m-%d %H:%M:%S}",
        "time": "",
        "context": "已签收",
        "statusCode": "301",
    }
    last = {"com": "zhongtong", "nu": waybill, "state": "301", "ischeck": "1", "data": [step]}
    param = json.dumps({"status": "shutdown", "lastResult": last}, ensure_ascii=False)

    def push() -> tuple[int, dict]:
        """As the aggregator does it: over HTTP, with nothing but the two lines that stand on the page."""
        url, salt = owner.page.locator(".once code").all_inner_texts()
        sign = hashlib.md5((param + salt).encode(), usedforsecurity=False).hexdigest().upper()
        answer = httpx.post(market.url + urlsplit(url).path, data={"param": param, "sign": sign})
        return answer.status_code, answer.json()

    owner = walk(market).enter("owner", SHOP, path="/account/push")
    owner.send("button[value=make]").says(text(owner.lang, "push.paste"))
    told = {"result": True, "returnCode": "200", "message": "成功", "recorded": 1, "repeated": 0}
    assert push() == (200, told)
    assert market.ask("GET", f"/api/v1/code?code={unit.code}")["state"] == "signed"
    owner.open("/account/push").says(text(owner.lang, "push.outcome.recorded"))
    assert owner.page.locator(".once").count() == 0, "the salt is shown to who asks for it"
    owner.send("button[value=show]").says(text(owner.lang, "push.paste"))
    old = owner.page.locator(".once code").all_inner_texts()
    owner.send("button[value=renew]").says(text(owner.lang, "push.paste"))
    url, salt = owner.page.locator(".once code").all_inner_texts()
    assert (url == old[0], salt == old[1]) == (True, False)
    assert push()[1]["repeated"] == 1
    owner.send("button[value=end]").told("push_ended")
    assert owner.page.locator(".once").count() == 0


@pytest.mark.walks(
    "/account/webhooks", "/account/webhooks/act test", "/account/webhooks/act resend",
    "/account/webhooks/act end",
)  # fmt: skip
def test_a_webhook_is_tried_delivers_signed_news_and_what_failed_is_sent_again(
    market, walk, receiver
):
    party = market.newcomer()
    owner = walk(market).enter("owner", party, path="/account/webhooks")
    owner.send(WORK, refused=422, url="ftp://x", events=["recall"]).wrong("url")
    owner.send(WORK, url=receiver.url, events=["recall"])
    secret = base64.b64decode(owner.read(".once code").removeprefix("whsec_"))

    owner.send("button[value=test]").told("hook_tested")
    market.work()
    owner.open("/account/webhooks")
    assert owner.page.locator(".card .state-good").count() == 1

    receiver.status = 503
    goods = market.lot(f"L-{party}", token=market.keys[party])
    market.send(party, goods, "recall", {"reason": "loose lids"})
    market.work()
    for pause in RETRY_AFTER_S:
        market.clock.advance(pause * 1.11)
        market.rooms.hooks.send()
    owner.open("/account/webhooks")
    assert owner.path == "/sign-in", "days later"
    owner.slip_in(owner.account, NEW)
    owner.open("/account/webhooks").says("HTTP 503")
    receiver.status = 204
    owner.send("button[value=resend]").told("resent")
    market.rooms.hooks.send()
    owner.open("/account/webhooks")
    assert owner.page.locator(".card .state-good").count() == 2
    assert owner.page.locator(".card .state-bad").count() == 0

    headers, body = receiver.got[-1]
    told = json.loads(body)
    assert (told["type"], told["data"]["code"]) == ("recall", goods)
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    value = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{value}"
    assert receiver.kinds()[0] == "webhook.test"

    owner.send("button[value=end]").told("hook_ended").says(receiver.url, where="#sent-title ~ ul")
    assert market.ask("GET", "/api/v1/webhooks", token=market.keys[party])["items"] == []
