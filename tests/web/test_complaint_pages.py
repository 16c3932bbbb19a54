"""Reviews and complaints through the pages of who must answer them."""

from __future__ import annotations

import re

import pytest

from app.i18n import text
from tests.web.conftest import AUTHORITY, CARRIER, PLATFORM, SHOP
from tests.web.market import RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.test_complaints_api import looks
from tests.web.test_own_credit_pages import hidden
from tests.web.test_texts_api import WORDS, bought, complain, erase, follow, page, review, ticket

C, R = "/desk/complaints", "/desk/reviews"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("voices")) as running:
        yield running


def card_of(page: str, part: str) -> str:
    return next(one for one in page.split('<li class="card">') if part in one)


def test_a_review_is_answered_and_its_reply_shows_on_the_page_of_the_goods(market):
    it = bought(market)
    made = review(market, it)
    later = market.send(None, it.unit.code, "follow_up", {"rating": 5}, headers=it.proof)
    shop = signed_in(market)
    card = card_of(shop.get(R).text, it.unit.code)
    assert WORDS in card
    assert "added later" in card
    form = {"code": it.unit.code, "of": made["id"], "id": hidden(card), "unanswered": "1"}
    shop.post(R, 422, **form, text=" ")
    assert f"t-{made['id']}-error" in shop.page
    shop.get(R)
    answer = shop.post(R, **form, text="谢谢\n您")
    assert "unanswered=1" in answer.headers["Location"]
    assert "谢谢 您" in page(market, it)
    card = card_of(shop.get(f"{R}?unanswered=1").text, it.unit.code)
    assert "谢谢 您" in card
    assert made["id"] not in card, "answered once, the form is gone"
    assert later["id"] in card
    assert it.unit.code not in shop.get(f"{R}?rating=4").text
    rival = signed_in(market, "owner", RIVAL)
    assert it.unit.code not in rival.get(R).text
    rival.post(R, 403, **form | {"id": ""}, text="x")


def test_hidden_and_erased_reviews_say_so(market):
    it, other = bought(market), bought(market)
    made, gone = review(market, it), review(market, other)
    body = {"code": it.unit.code, "of": made["id"], "reason": "insult"}
    market.ask("POST", "/api/v1/hidings", body, token=market.keys[AUTHORITY], status=201)
    erase(market, other, gone["id"], other.proof)
    shop = signed_in(market)
    shown = shop.get(R).text
    for unit, said in ((it.unit, "insult"), (other.unit, "erased")):
        card = card_of(shown, unit.code)
        assert WORDS not in card
        assert said in card


def test_from_the_list_to_an_outcome(market):
    it = bought(market)
    made = complain(market, it)
    shop = signed_in(market)
    assert "First answer" in card_of(shop.get(C).text, made["ticket"])
    path = f"{C}/{made['ticket']}"
    assert WORDS not in shop.get(path).text
    before = len(looks(market))
    shop.post(path, 422, do="open", purpose="x")
    assert "f-purpose-error" in shop.page
    assert len(looks(market)) == before
    shop.get(path)
    assert WORDS in shop.post(path, 200, do="open", purpose="answer the ticket").text
    (look,) = looks(market)[before:]
    person = market.rooms.people.accounts.find(shop.name).person
    assert (look.key_id, look.party) == (f"account/{person.id}", SHOP)
    assert WORDS not in shop.get(path).text, "the next look asks again"
    shop.post(path, do="message", id=hidden(shop.page), message="请寄回照片")
    assert follow(market, made)["said"][-1]["text"] == "请寄回照片"
    assert "请寄回照片" in shop.get(path).text
    shop.post(path, 422, do="accepted", id=hidden(shop.page), text="")
    assert "f-text-error" in shop.page
    shop.get(path)
    shop.post(path, do="accepted", id=hidden(shop.page), text="退款")
    assert "The seller accepts" in shop.get(path).text
    assert made["ticket"] not in shop.get(C).text
    assert made["ticket"] in shop.get(f"{C}?state=over").text


def test_the_platform_and_the_authority_meet_it_once_it_is_theirs(market):
    it = bought(market)
    made = complain(market, it)
    path = f"{C}/{made['ticket']}"
    shop = signed_in(market)
    platform, office = signed_in(market, "owner", PLATFORM), signed_in(market, "owner", AUTHORITY)
    far = signed_in(market, "owner", AUTHORITY, region="441202")
    assert made["ticket"] not in office.get(C).text
    shop.get(path)
    shop.post(path, do="platform", id=hidden(shop.page), why="买家要求平台介入")
    shop.get(path)
    assert 'value="platform"' not in shop.page, "it is with them"
    assert 'value="regulator"' in shop.page
    assert "with the platform" in card_of(platform.get(C).text, made["ticket"])
    assert "买家要求平台介入" in platform.get(path).text
    assert "no mandate" in platform.page
    assert 'value="accepted"' not in platform.page
    platform.post(path, do="regulator", id=hidden(platform.page), why="")
    assert 'value="regulator"' not in platform.get(path).text
    assert made["ticket"] in office.get(C).text
    assert made["ticket"] not in far.get(C).text
    far.get(path, 404)
    office.get(path)
    assert 'value="message"' not in office.page
    assert WORDS in office.post(path, 200, do="open", purpose="审理转交的投诉").text
    market.mandate(SHOP, PLATFORM, "reply")
    platform.get(path)
    platform.post(path, do="refused", id=hidden(platform.page), text="已过期限")
    assert follow(market, made)["said"][-1]["outcome"] == "refused"


def test_whoever_has_no_part_in_it_finds_nothing(market):
    it = bought(market)
    made = complain(market, it)
    path = f"{C}/{made['ticket']}"
    signed_in(market, "owner", RIVAL).get(path, 404)
    for given, more in ((("owner", CARRIER), {}), (("staff", SHOP), {"scopes": ["products"]}),
                        (("operator", None), {})):  # fmt: skip
        person = signed_in(market, *given, **more)
        assert C not in person.get("/desk").text
        for where in (C, path, R):
            person.get(where, 403)
        person.get("/desk")
        person.post(path, 403, do="open", purpose="answer the ticket",
                    csrf=re.search(r'name="csrf" value="([0-9a-f]+)"', person.page)[1])  # fmt: skip
    shop = signed_in(market)
    assert text("en", "complaints.erased") not in shop.get(path).text
    erase(market, it, made["id"], ticket(made))
    assert "erased" in shop.get(path).text
    assert text("en", "complaints.erased") in shop.page
    assert "Open the words" not in shop.page
