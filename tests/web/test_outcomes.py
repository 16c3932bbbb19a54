"""A seller that says two things of one complaint: what stands is told wherever people look."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest

from app.i18n import format_moment, text
from app.kit.clock import parse_time
from tests.web.conftest import AUTHORITY, PLATFORM, SHOP
from tests.web.market import RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.test_complaints_api import C as API
from tests.web.test_complaints_api import answer
from tests.web.test_own_credit_pages import hidden
from tests.web.test_texts_api import (
    WORDS,
    audit_is_clean,
    bought,
    complain,
    follow,
    sealed,
    ticket,
)

C = "/desk/complaints"
LANGS = ("zh", "en")


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("outcomes")) as running:
        yield running


def stands(told: dict) -> tuple[str, str | None]:
    return told["outcome"]["stands"], told["outcome"]["refused"]


def ticket_page(market, made: dict, lang: str) -> str:
    form = {"ticket": made["ticket"], "query": made["query_code"], "lang": lang}
    found = market.call("POST", "/ticket", data=form)
    assert found.status_code == 200
    return found.text


def says(lang: str, key: str, told: dict) -> str:
    """The sentence as a page holds it, with the time at which what stands was said."""
    at = format_moment(lang, parse_time(told["outcome"]["at"]))
    return text(lang, f"page.ticket.stands.{key}", at=at).replace("'", "&#39;")


def offered(page: str) -> list[str]:
    return re.findall('name="do" value="(accepted|refused)"', page)


def test_a_refusal_after_an_acceptance_takes_nothing_back_and_every_page_says_so(market):
    it = bought(market)
    made = complain(market, it)
    assert follow(market, made)["outcome"] is None
    path, shop, late = f"{C}/{made['ticket']}", signed_in(market), signed_in(market)
    late.get(path)
    shop.get(path)
    assert offered(shop.page) == ["accepted", "refused"]
    shop.post(path, do="accepted", id=hidden(shop.page), text="给您换新")
    told = follow(market, made)
    assert stands(told) == ("accepted", None)
    for lang in LANGS:
        shop.get(f"{path}?lang={lang}")
        assert offered(shop.page) == [], "nothing that contradicts it"
        assert says(lang, "accepted", told) in shop.page
        assert says(lang, "accepted", told) not in ticket_page(market, made, lang), (
            "it is one alone"
        )
    # The log takes it all the same: from a tab of before, or by the API.
    market.clock.advance(60)
    late.post(path, do="refused", id=hidden(late.page), text="看不出破损")
    told = follow(market, made)
    assert stands(told) == ("accepted", "after")
    assert [one["outcome"] for one in told["said"]] == ["", "accepted", "refused"]
    assert told["outcome"]["at"] == told["said"][1]["at"]
    for by in (SHOP, PLATFORM, AUTHORITY):
        matter = market.ask("GET", f"{API}/{made['ticket']}", token=market.keys[by])
        assert matter["outcome"] == told["outcome"]
    for lang in LANGS:
        shop.get(f"{path}?lang={lang}")
        assert offered(shop.page) == []
        for shown in (shop.page, ticket_page(market, made, lang)):
            assert says(lang, "accepted.after", told) in shown
    audit_is_clean(market)


def test_what_is_wrong_in_a_tab_of_before_is_marked_and_kept(market):
    made = complain(market, bought(market))
    path, shop, late = f"{C}/{made['ticket']}", signed_in(market), signed_in(market)
    late.get(path)
    shop.get(path)
    shop.post(path, do="accepted", id=hidden(shop.page), text="给您换新")
    long = "看不出破损" * 101
    late.post(path, 422, do="refused", id=hidden(late.page), text=long)
    assert 'id="f-text-error"' in late.page
    assert long in late.page
    assert offered(late.page) == ["accepted", "refused"]


def test_a_refusal_may_become_an_acceptance(market):
    it = bought(market)
    made = complain(market, it)
    path, shop = f"{C}/{made['ticket']}", signed_in(market)
    answer(market, it, made, "refused")
    market.clock.advance(60)
    for lang in LANGS:
        shop.get(f"{path}?lang={lang}")
        assert offered(shop.page) == ["accepted"]
        assert says(lang, "refused", follow(market, made)) in shop.page
        assert text(lang, "complaints.resolve.after_all") in shop.page
    shop.post(path, do="accepted", id=hidden(shop.page), text="看到照片，给您换新")
    answer(market, it, made, "accepted")
    answer(market, it, made)
    told = follow(market, made)
    assert stands(told) == ("accepted", "before")
    assert told["outcome"]["at"] == told["said"][2]["at"], "since it accepted first"
    for lang in LANGS:
        shop.get(f"{path}?lang={lang}")
        assert offered(shop.page) == []
        for shown in (shop.page, ticket_page(market, made, lang)):
            assert says(lang, "accepted.before", told) in shown
    answer(market, it, made, "refused")
    assert stands(follow(market, made)) == ("accepted", "after")


def test_a_platform_answers_by_mandate_in_the_sellers_name(market):
    it = bought(market)
    made = complain(market, it)
    market.mandate(SHOP, PLATFORM, "reply")
    answer(market, it, made, "accepted", by=PLATFORM, actor=SHOP)
    assert stands(follow(market, made)) == ("accepted", None)
    platform = signed_in(market, "owner", PLATFORM)
    platform.get(f"{C}/{made['ticket']}")
    assert offered(platform.page) == []
    answer(market, it, made, "refused")
    assert stands(follow(market, made)) == ("accepted", "after")


def test_a_reply_to_a_message_decides_its_matter_and_no_other(market):
    it = bought(market)
    made, other = complain(market, it), complain(market, it)
    more = {"headers": ticket(made), "sealed": sealed("裂纹在背面", "detail")}
    said = market.send(None, it.unit.code, "message", {"of": made["id"]}, **more)
    answer(market, it, said, "accepted")
    assert stands(follow(market, made)) == ("accepted", None)
    assert follow(market, other)["outcome"] is None


def lot_of_another(market, name: str) -> str:
    """A lot of the shop's that is in the hands of another, who sells of it."""
    lot = market.lot(name)
    market.send(SHOP, lot, "transfer", {"to": RIVAL})
    market.send(RIVAL, lot, "acceptance", {"from": SHOP})
    return lot


def test_what_another_party_of_the_lot_says_is_not_the_sellers_word(market):
    lot = lot_of_another(market, "OUTCOME-1")
    market.mandate(RIVAL, PLATFORM, "sale")
    data = {"platform": PLATFORM, "consignment": "7"}
    token = market.send(PLATFORM, lot, "sale", data, actor=RIVAL)["claim_token"]
    made = market.send(None, lot, "complaint", {"category": "quality", "consignment": "7"},
                       headers={"Suxin-Claim": token}, sealed=sealed(WORDS, "detail"))  # fmt: skip
    about = {"of": made["id"], "outcome": "accepted"}
    market.send(SHOP, lot, "reply", about, sealed=sealed("好"))
    assert follow(market, made)["outcome"] is None
    rival = signed_in(market, "owner", RIVAL)
    for lang in LANGS:
        rival.get(f"{C}/{made['ticket']}?lang={lang}")
        assert offered(rival.page) == ["accepted", "refused"]
        for shown in (rival.page, ticket_page(market, made, lang)):
            other = text(lang, "page.ticket.outcome.accepted.other").replace("'", "&#39;")
            assert other in shown
    market.send(RIVAL, lot, "reply", about | {"outcome": "refused"}, sealed=sealed("不行"))
    told = follow(market, made)
    assert stands(told) == ("refused", None)
    for lang in LANGS:
        assert text(lang, "page.ticket.outcome.refused") in ticket_page(market, made, lang)


@pytest.mark.parametrize("lang", LANGS)
def test_a_correction_changes_no_outcome(market, lang):
    it = bought(market)
    made = complain(market, it)
    said = answer(market, it, made, "accepted")
    data = {"of": said["id"], "changes": {"outcome": "refused"}}
    refused = market.post(SHOP, it.unit.code, "correction", data, headers={"Accept-Language": lang})
    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["loc"] == ["data", "changes", "outcome"]
    assert error["msg"] == text(lang, "field.outcome_said")
    assert stands(follow(market, made)) == ("accepted", None)
    # In one batch with the reply, too; what else a reply says is corrected as before.
    id_ = str(uuid4())
    reply = {"code": it.unit.code, "type": "reply", "id": id_,
             "data": {"of": made["id"], "outcome": "refused", "exception": "perishable"}}  # fmt: skip
    for changes, status in (({"outcome": "accepted"}, 422), ({"exception": "periodical"}, 200)):
        correction = {"code": it.unit.code, "type": "correction",
                      "data": {"of": id_, "changes": changes}}  # fmt: skip
        body = {"events": [reply, correction]}
        path = "/api/v1/events/batch?atomic=true"
        market.ask("POST", path, body, token=market.keys[SHOP], status=status)
