"""Labels of parcels that got their codes when they were packed: one file for all, each parcel once."""

from __future__ import annotations

import pytest

from tests.labels.reading import page_texts, pages, zxing_texts
from tests.web.market import GTIN, RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.test_shipments_api import ship

L = "/api/v1/shipments/labels.pdf"
DESK = "/desk/shipments"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("parcels")) as running:
        yield running


@pytest.fixture
def shop(market) -> str:
    party = market.newcomer()
    market.send(party, f"01/{GTIN}", "listing", {"platform": "某平台"}, hours=-40)
    return party


def packed(market, by: str, waybill: str, quantity: int = 1) -> list[str]:
    answer = ship(market, by=by, gtin=GTIN, quantity=quantity, waybill=waybill)
    assert answer.status_code == 201, answer.text
    return answer.json()["codes"]


def serials(pdf: bytes) -> list[str]:
    return [text.rsplit("/", 1)[1] for page in pages(pdf, dpi=200) for text in zxing_texts(page)]


def test_every_parcel_has_its_labels_in_one_file_and_only_once(market, shop):
    first = packed(market, shop, "TEST0000007001", 2)
    second = packed(market, shop, "TEST0000007002")
    answer = market.call("GET", L, token=market.keys[shop])
    assert answer.headers["Suxin-Parcels"] == "2"
    assert sorted(serials(answer.content)) == sorted(c.rsplit("/", 1)[1] for c in first + second)
    (page,) = page_texts(answer.content)
    assert page.count("7001") == 2
    assert page.count("7002") == 1
    assert page.index("7001") < page.index("7002"), "in the order of packing"
    again = market.call("GET", L, token=market.keys[shop])
    assert (again.status_code, again.json()["type"]) == (422, "/problems/invalid")
    third = packed(market, shop, "TEST0000007003")
    answer = market.call("GET", L, token=market.keys[shop])
    assert serials(answer.content) == [third[0].rsplit("/", 1)[1]]


def test_what_was_printed_by_its_own_batch_is_not_printed_again(market, shop):
    answer = ship(market, by=shop, gtin=GTIN, quantity=1, waybill="TEST0000007101").json()
    own = market.call("GET", answer["links"]["labels_pdf"], token=market.keys[shop])
    assert own.status_code == 200
    assert market.call("GET", L, token=market.keys[shop]).status_code == 422


def test_the_desk_says_how_many_wait_and_prints_them(market, shop):
    owner = signed_in(market, "owner", shop)
    assert "Labels to print" not in owner.get(DESK).text
    packed(market, shop, "TEST0000007201", 3)
    page = owner.get(DESK).text
    assert '<p class="tally">3 <small>labels are not printed yet' in page
    owner.post(f"{DESK}/labels", 422, layout="a3")
    owner.get(DESK)
    answer = owner.post(f"{DESK}/labels", 200, layout="a4-5x13")
    assert len(serials(answer.content)) == 3
    assert "Labels to print" not in owner.get(DESK).text
    answer = owner.post(f"{DESK}/labels", layout="a4-5x13")
    assert "There are no labels to print." in owner.get(answer.headers["Location"]).text
    staff = signed_in(market, "staff", shop, scopes=("events",))
    packed(market, shop, "TEST0000007202")
    assert "Labels to print" not in staff.get(DESK).text
    staff.post(f"{DESK}/labels", 403, layout="a4-5x13")


def test_nobody_prints_anothers(market, shop):
    packed(market, shop, "TEST0000007301")
    before = market.call("GET", L, token=market.keys[RIVAL])
    assert before.status_code == 422
    assert market.call("GET", L, token=market.keys[shop]).headers["Suxin-Parcels"] == "1"
