"""A proof of purchase that a platform's page brings along: used once typed nowhere, shown nowhere."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx
import pytest

from tests.web.people import open_people_market
from tests.web.test_texts_api import WORDS, bought

CARRIED = "has brought your proof of purchase along"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("carried")) as running:
        yield running


def token_of(it) -> str:
    return it.proof["Suxin-Claim"]


def bring(phone, it, token: str | None = None) -> httpx.Response:
    """As the platform's page does, which is on another site."""
    fields = {"proof_kind": "claim", "proof": token_of(it) if token is None else token}
    headers = {"Origin": "https://shop.example", "Sec-Fetch-Site": "cross-site"}
    return phone.post(f"/{it.unit.code}", data=fields, headers=headers)


def complain(phone, market, it, *, site: str = "same-origin", **more) -> httpx.Response:
    fields = {"category": "quality", "text": WORDS, "proof": "", "proof_kind": "claim", **more}
    origin = market.url if site == "same-origin" else "https://shop.example"
    headers = {"Origin": origin, "Sec-Fetch-Site": site}
    return phone.post(f"/{it.unit.code}/complaint", data=fields, headers=headers)


def test_what_was_brought_along_proves_a_complaint_and_stands_nowhere(market, phone):
    it = bought(market)
    assert CARRIED not in phone.get(f"/{it.unit.code}").text
    led = bring(phone, it)
    assert led.status_code == 303
    assert urlsplit(led.headers["Location"])[2:] == (f"/{it.unit.code}", "", "act")
    cookie = led.headers["Set-Cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Max-Age=1800", f"Path=/{it.unit.code}"):
        assert part in cookie
    page = phone.get(f"/{it.unit.code}").text
    assert CARRIED in page
    assert token_of(it) not in page
    answer = complain(phone, market, it)
    assert answer.status_code == 201, answer.text
    assert token_of(it) not in answer.text
    record = market.ask("GET", f"{it.unit.path}/events")["items"][-1]["record"]
    assert (record["type"], record["data"]["proof"]) == ("complaint", "platform")


def test_it_goes_to_its_own_goods_alone(market, phone):
    it, other = bought(market), bought(market)
    bring(phone, it)
    assert CARRIED not in phone.get(f"/{other.unit.code}").text
    assert complain(phone, market, other).status_code == 422


def test_one_that_proves_nothing_is_asked_for_again_and_the_words_are_kept(market, phone):
    it, other = bought(market), bought(market)
    bring(phone, it, token_of(other))
    refused = complain(phone, market, it)
    assert refused.status_code == 403
    assert WORDS in refused.text
    assert CARRIED not in refused.text
    assert 'name="proof" required' in refused.text
    assert complain(phone, market, it).status_code == 422, "the browser has forgotten it"
    # What is typed goes before what was brought along.
    bring(phone, it, token_of(other))
    assert complain(phone, market, it, proof=token_of(it)).status_code == 201


def test_a_mistake_beside_it_keeps_it(market, phone):
    it = bought(market)
    bring(phone, it)
    refused = complain(phone, market, it, category="")
    assert refused.status_code == 422
    assert CARRIED in refused.text
    assert complain(phone, market, it).status_code == 201


def test_another_sites_form_is_not_said_with_it(market, phone):
    it = bought(market)
    bring(phone, it)
    assert complain(phone, market, it, site="cross-site").status_code == 403
    assert market.ask("GET", f"{it.unit.path}/events")["items"][-1]["record"]["type"] != "complaint"


def test_what_is_no_token_is_not_kept(market, phone):
    it = bought(market)
    for token in ("", "a b", "x" * 257, "暗码"):
        assert "Set-Cookie" not in bring(phone, it, token).headers
