"""A review or complaint on the page is refused once, for everything that is wrong with it, the proof too."""

from __future__ import annotations

import httpx
import pytest

from app.i18n import text
from tests.web.people import open_people_market
from tests.web.shown_forms import Shown
from tests.web.test_texts_api import WORDS, bought

NOT_OF_THIS_SALE = text("en", "fault.claim_token")
RATE = text("en", "field.missing", name="rating")
AGAIN = text("en", "page.proof.again")


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("refused")) as running:
        yield running


def post(phone, it, form: str, **fields: str) -> httpx.Response:
    told = {"proof_kind": "claim", "text": WORDS, **fields}
    return phone.post(f"/{it.unit.code}/{form}", data=told)


def said(answer: httpx.Response, it, form: str, field: str) -> bool:
    page = Shown(answer.text)
    (shown,) = [f for f in page.forms if f.action.split("#")[0] == f"/{it.unit.code}/{form}"]
    return page.said_about(shown, field)


@pytest.mark.parametrize(
    ("form", "field", "value"),
    [
        ("review", "rating", ""),
        ("review", "rating", "9"),
        ("complaint", "category", ""),
        ("complaint", "category", "weather"),
        ("review", "text", "a\x01b"),
        ("complaint", "contact", "x" * 101),
    ],
)
def test_a_wrong_proof_is_told_beside_every_other_fault(market, phone, form, field, value):
    it, other = bought(market), bought(market)
    good = {"rating": "5"} if form == "review" else {"category": "quality"}
    sent = {**good, field: value, "proof": other.proof["Suxin-Claim"]}
    refused = post(phone, it, form, **sent)
    assert refused.status_code == 422
    assert said(refused, it, form, field)
    assert said(refused, it, form, "proof")
    assert NOT_OF_THIS_SALE in refused.text
    if field != "text":
        assert WORDS in refused.text
    assert other.proof["Suxin-Claim"] not in refused.text


def test_a_wrong_code_of_the_pack_is_told_beside_the_missing_rating(market, phone):
    it = bought(market)
    refused = post(phone, it, "review", proof="0000000000000", proof_kind="inner")
    assert refused.status_code == 422
    assert RATE in refused.text
    assert said(refused, it, "review", "proof")


def test_a_proof_that_holds_is_asked_for_again_and_not_called_wrong(market, phone):
    it = bought(market)
    refused = post(phone, it, "review", proof=it.proof["Suxin-Claim"])
    assert refused.status_code == 422
    assert RATE in refused.text
    assert not said(refused, it, "review", "proof")
    assert AGAIN in refused.text
    assert it.proof["Suxin-Claim"] not in refused.text
    assert AGAIN not in post(phone, it, "review").text, "none was typed"


def test_nothing_is_written_while_something_is_wrong(market, phone):
    it = bought(market)
    before = market.ask("GET", f"{it.unit.path}/events")["items"]
    post(phone, it, "review", proof=it.proof["Suxin-Claim"])
    assert market.ask("GET", f"{it.unit.path}/events")["items"] == before
    assert post(phone, it, "review", proof=it.proof["Suxin-Claim"], rating="5").status_code == 201
