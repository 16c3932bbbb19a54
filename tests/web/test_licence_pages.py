"""Licences on pages, as a shop and those who verify it have them: without script."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest

from app.kit.clock import china_day
from tests.web.conftest import AUTHORITY, PLATFORM
from tests.web.people import open_people_market, signed_in

OWN, CHECKS = "/desk/licences", "/desk/licence-checks"
NUMBER = "JY14412000999001"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("licences")) as running:
        yield running


@pytest.fixture
def shop(market):
    """A shop of the test's own, in Duanzhou, with its owner at the desk."""
    party = market.newcomer("merchant", region="441202")
    browser = signed_in(market, "owner", party)
    browser.party = party
    return browser


def day(market, n: int) -> str:
    return china_day(market.clock.now() + timedelta(days=n))


def tell(shop, number: str = NUMBER, status: int = 303, **more):
    shop.get(OWN)
    return shop.post(OWN, status, kind="food_business", number=number, **more)


def fields(page: str, party: str) -> dict[str, str]:
    """Returns the hidden fields of the form that is about a party's licence."""
    (form,) = [one for one in re.findall(r"<form.*?</form>", page, re.DOTALL) if party in one]
    found = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
    return {name: found[name] for name in ("party", "licence", "told")}


def cards(page: str) -> list[str]:
    return [unescape(re.sub(r"<[^>]+>", " ", one)) for one in page.split('class="card"')[1:]]


def test_a_shop_tells_of_a_licence_and_an_authority_finds_it_true(market, shop):
    assert OWN in shop.get("/desk").text
    sent = tell(shop, valid_until=day(market, 20))
    shop.get(sent.headers["Location"])
    assert "waits for a look" in cards(shop.page)[0]
    law = signed_in(market, "owner", AUTHORITY)
    law.get(CHECKS)
    known = fields(law.page, shop.party)
    law.post(CHECKS, 422, do="verify", evidence="", **known)
    assert re.search(r'id="e-[0-9]+-error"', law.page)
    answer = law.post(CHECKS, do="verify", evidence="register looked up", **known)
    law.get(answer.headers["Location"])
    assert "it counts from now on" in law.page
    assert NUMBER in law.page.split('id="ending-title"')[1], "and it ends soon"
    assert "in force" in cards(shop.get(OWN).text)[0]
    assert NUMBER in shop.get("/desk").text.split("Licences that end soon")[1]
    shop.get(f"{OWN}?renew={known['licence']}")
    assert f'value="{NUMBER}"' in shop.page
    tell(shop, valid_until=day(market, 900))
    assert "Licences that end soon" not in shop.get("/desk").text, "it renewed in time"


def test_what_was_not_found_true_says_why_on_the_shops_page(market, shop):
    tell(shop, number="JY14412000999002")
    operator = signed_in(market, "operator", None)
    assert CHECKS in operator.get("/desk").text
    operator.get(CHECKS)
    known = fields(operator.page, shop.party)
    operator.post(CHECKS, do="reject", reason="other_holder", evidence="see the register", **known)
    shop.get(OWN)
    assert "somebody else" in cards(shop.page)[0]
    assert "see the register" not in shop.page
    operator.get(CHECKS)
    operator.post(CHECKS, 409, do="verify", evidence="x", **known)


def test_a_wrong_number_keeps_what_was_typed_and_says_why(market, shop):
    tell(shop, number="JY1", status=422, valid_until=day(market, 9))
    assert 'value="JY1"' in shop.page
    assert 'id="f-number-error"' in shop.page
    tell(shop, status=422, valid_until=day(market, -1))
    assert 'id="f-valid_until-error"' in shop.page


def test_a_licence_is_given_up_and_one_that_waits_withdrawn(market, shop):
    tell(shop, number="JY14412000999003")
    shop.get(OWN)
    licence = re.search(r'name="licence" value="([0-9a-f]+)"', shop.page)[1]
    shop.post(f"{OWN}/end", licence=licence)
    assert cards(shop.get(OWN).text) == []


def test_others_have_no_such_page(market, shop):
    staff = signed_in(market, "staff", shop.party, scopes=["products", "codes"])
    for path in (OWN, CHECKS):
        staff.get(path, 403)
    shop.get(CHECKS, 403)
    tell(shop, number="JY14412000999004")
    platform = signed_in(market, "owner", PLATFORM)
    assert "JY14412000999004" not in platform.get(CHECKS).text, (
        "of the sellers that it registered alone"
    )
    elsewhere = signed_in(market, "owner", AUTHORITY, region="4401")
    assert "JY14412000999004" not in elsewhere.get(CHECKS).text
    here = signed_in(market, "owner", AUTHORITY, region="4412")
    assert "JY14412000999004" in here.get(CHECKS).text


def test_to_withdraw_a_renewal_gives_up_nothing_that_counts(market, shop):
    paper = "JY14412000999005"
    tell(shop, number=paper, valid_until=day(market, 60))
    law = signed_in(market, "owner", AUTHORITY)
    known = fields(law.get(CHECKS).text, shop.party)
    law.post(CHECKS, do="verify", evidence="register looked up", **known)
    tell(shop, number=paper, valid_until=day(market, 4_000))
    shop.get(OWN)
    (form,) = [
        one for one in re.findall(r"<form.*?</form>", shop.page, re.DOTALL) if "Withdraw" in one
    ]
    sent = dict(re.findall(r'type="hidden" name="(licence|told)" value="([^"]*)"', form))
    shop.get(shop.post(f"{OWN}/end", **sent).headers["Location"])
    assert "Withdrawn" in shop.page
    (card,) = cards(shop.page)
    assert "in force" in card
