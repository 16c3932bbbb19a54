"""Carriers rated by the shops that sent, through a page; and what both sides see of it."""

from __future__ import annotations

import re

import pytest

from tests.web.conftest import PLATFORM, SHOP
from tests.web.market import GTIN
from tests.web.people import open_people_market, signed_in

PATH = "/desk/ratings"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("ratings")) as running:
        yield running


@pytest.fixture
def fleet(market):
    """A carrier of its own, whom nobody has rated yet."""
    return market.newcomer("carrier")


def ship(market, carrier: str, number: int, quantity: int = 1) -> list[str]:
    body = {
        "order": f"RATE-{number}", "ordered_at": market.at(-9), "gtin": GTIN, "quantity": quantity,
        "carrier": carrier, "waybill": f"TEST66{number:08}", "shipped_at": market.at(-8), "to": "440300",
    }  # fmt: skip
    made = market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
    return made["codes"]


def form_of(page: str, tail: str) -> dict[str, str]:
    """What the form of the parcel with this waybill's tail brings along."""
    (card,) = [one for one in page.split('<li class="card">') if f"…<code>{tail}" in one]
    named = re.findall(r'name="(entry|code|of|carrier)" value="([^"]*)"', card)
    return dict(named)


def rated(market, carrier: str) -> tuple[int, float | None]:
    (line,) = [
        one
        for one in market.ask("GET", f"/api/v1/credit/{carrier}/ratings")["ratings"]
        if (one["rated_as"], one["by"]) == ("carrier", "merchant")
    ]
    return line["count"], line["mean"]


def test_a_parcel_is_rated_once_and_its_newest_word_counts(market, fleet):
    codes = ship(market, fleet, 1001, quantity=2)
    owner = signed_in(market)
    page = owner.get(PATH).text
    assert page.count("…<code>1001") == 1  # two units, one parcel
    told = form_of(page, "1001")
    assert (told["code"], told["carrier"]) == (min(codes), fleet)
    for wrong in ({}, {"rating": "6"}, {"rating": "five"}):
        answer = owner.post(PATH, 422, **told, **wrong).text
        assert f'id="r-{told["of"]}-error"' in answer
    assert rated(market, fleet) == (0, None)
    given = {**told, "rating": "2", "text": "外箱有凹痕"}
    assert owner.post(PATH, **given).headers["Location"] == f"{PATH}?told=rated"
    owner.post(PATH, **given)  # sent twice
    page = owner.get(f"{PATH}?told=rated").text
    assert "The rating is recorded." in page
    assert "2 of 5 given" in page
    assert rated(market, fleet) == (1, 2.0)
    owner.post(PATH, **{**form_of(page, "1001"), "rating": "4"})
    assert "4 of 5 given" in owner.get(PATH).text
    assert rated(market, fleet) == (1, 4.0)
    assert "外箱有凹痕" in market.call("GET", f"/{min(codes)}?lang=zh").text


def test_the_carrier_sees_the_mean_and_gets_no_form(market, fleet):
    ship(market, fleet, 2001)
    owner = signed_in(market)
    owner.post(PATH, **form_of(owner.get(PATH).text, "2001"), rating="5")
    carrier = signed_in(market, "owner", fleet)
    page = carrier.get(PATH).text
    assert "As a carrier, by the shops that sent goods" in page
    assert 'name="rating"' not in page
    carrier.get("/account")
    told = form_of(owner.get(PATH).text, "2001")
    assert carrier.post(PATH, 403, **{**told, "entry": ""}, rating="5").status_code == 403
    public = market.call("GET", f"/credit/{fleet}?lang=en").text
    count, mean = rated(market, fleet)
    assert re.search(rf"(Mean )?{mean} of 5, at least [0-9.]+; {count} rating", public)
    platform = signed_in(market, "owner", PLATFORM)
    assert 'name="rating"' not in platform.get(PATH).text


def test_another_shop_rates_no_parcel_that_it_did_not_send(market, fleet):
    ship(market, fleet, 3001)
    told = form_of(signed_in(market).get(PATH).text, "3001")
    other = market.newcomer()
    rival = signed_in(market, "owner", other)
    assert "…<code>" not in rival.get(PATH).text
    before = rated(market, fleet)
    rival.get("/account")
    rival.post(PATH, 403, **told, rating="1")
    assert rated(market, fleet) == before
