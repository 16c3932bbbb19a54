"""How a new shop is led to its first parcel, and what its desk says afterwards."""

from __future__ import annotations

import pytest

from tests.imports.sheets import gtin
from tests.web.conftest import CARRIER
from tests.web.people import open_people_market, signed_in
from tests.web.test_texts_api import bought, complain

GTIN = "0" + gtin(71)
STEPS = "/api/v1/first-steps"
DESK = "/desk"
TITLE = "Start here"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("first-steps")) as running:
        yield running


def next_of(market, party: str) -> str | None:
    told = market.ask("GET", STEPS, token=market.keys[party])
    done = [one["step"] for one in told["steps"] if one["done"]]
    assert told["next"] not in done
    return told["next"]


def test_a_new_shop_is_led_from_step_to_step_by_the_pages_alone(market):
    party = market.newcomer()
    owner = signed_in(market, "owner", party)

    def go_on(link: str) -> None:
        """The one thing to be done stands on the desk; goes there."""
        page = owner.get(DESK).text
        assert TITLE in page
        assert page.count('class="begin-next"') == 1
        assert f'class="button button-first" href="{link}"' in page
        owner.get(link.replace("&amp;", "&"))

    assert next_of(market, party) == "licence"
    go_on(f"{DESK}/licences")
    owner.post(f"{DESK}/licences", kind="business", number=party)

    assert next_of(market, party) == "product"
    go_on(f"{DESK}/products/new")
    owner.post(f"{DESK}/products/new", gtin=GTIN, name="竹编果盘", category="consumer_goods")

    assert next_of(market, party) == "listing"
    product = f"{DESK}/products/{GTIN}"
    assert "No listing is recorded" in owner.get(product).text
    go_on(f"{DESK}/entry?type=listing&amp;code=01/{GTIN}")
    assert f'value="01/{GTIN}"' in owner.page
    owner.post(f"{DESK}/entry", type="listing", code=f"01/{GTIN}", platform="某平台")
    assert "某平台" in owner.get(product).text

    assert next_of(market, party) == "codes"
    go_on(product)
    batch = owner.post(f"{product}/codes", count="100").headers["Location"]
    market.work()

    assert next_of(market, party) == "print"
    go_on(batch)
    told = {"layout": "a4-3x8", "symbol": "qr", "output": "pdf", "do": "print"}
    assert owner.post(f"{batch}/print", 200, **told).content[:5] == b"%PDF-"

    assert next_of(market, party) == "dispatch"
    go_on(f"{DESK}/dispatch")
    unit = market.codes_of(batch.rsplit("/", 1)[1], by=party)[0].code
    sending = {"carrier": "示例快递", "code": unit, "waybill": "TEST7100000001", "order": "A-1"}
    owner.get(f"{DESK}/dispatch")
    owner.post(f"{DESK}/dispatch", **sending)

    assert next_of(market, party) is None
    page = owner.get(DESK).text
    assert TITLE not in page
    assert f'href="{DESK}/shipments?show=in_transit"><b>1</b>' in page
    assert f'href="{DESK}/shipments?show=sold"><b>0</b>' in page


def test_a_colleague_who_may_not_do_the_next_step_is_told_so(market):
    party = market.newcomer()
    body = {"gtin": gtin(72), "name": "果盘", "category": "consumer_goods"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[party], status=201)
    page = signed_in(market, "staff", party, scopes=("products",)).get(DESK).text
    assert "A colleague with the permission" in page
    assert f"{DESK}/entry?type=listing" not in page


def test_who_went_on_without_a_licence_is_not_led_back(market):
    party = market.newcomer()
    assert next_of(market, party) == "licence"
    body = {"gtin": gtin(75), "name": "果盘", "category": "consumer_goods"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[party], status=201)
    assert next_of(market, party) == "listing"


def test_a_licence_that_ended_is_to_be_renewed_first(market):
    over = {"kind": "business", "number": "91441200MA4TE5T00Q", "valid_until": "2020-01-01"}
    party = market.newcomer(licences=[over])
    owner = signed_in(market, "owner", party)
    assert next_of(market, party) == "licence"
    line = owner.get(f"{DESK}?lang=zh").text.split("登记证照")[1].split("</li>")[0]
    assert "已完成" not in line
    body = {"gtin": gtin(76), "name": "果干", "category": "food"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[party], status=201)
    assert next_of(market, party) == "licence", "nothing is listed on one that ended"
    owner.get(f"{DESK}/licences")
    owner.post(f"{DESK}/licences", kind="business", number=party)
    assert next_of(market, party) == "listing"


def test_a_listing_that_ended_is_to_be_made_again(market):
    party = market.newcomer()
    body = {"gtin": gtin(73), "name": "果盘", "category": "consumer_goods"}
    market.ask("POST", "/api/v1/products", body, token=market.keys[party], status=201)
    market.send(party, f"01/0{gtin(73)}", "listing", {"platform": "某平台"})
    assert next_of(market, party) == "codes"
    market.send(party, f"01/0{gtin(73)}", "listing", {"platform": "某平台", "ended": True})
    assert next_of(market, party) == "listing"


def test_what_a_category_asks_for_is_said_in_words_before_anybody_tries(market):
    party = market.newcomer()
    owner = signed_in(market, "owner", party)
    owner.get(f"{DESK}/products/new")
    owner.post(f"{DESK}/products/new", gtin=gtin(74), name="果干", category="food")
    page = owner.get(f"{DESK}/products/0{gtin(74)}?lang=zh").text
    assert "食品生产许可证" in page
    body = {"code": f"01/0{gtin(74)}", "type": "listing", "data": {"platform": "某平台"}}
    refused = market.ask("POST", "/api/v1/events", body, token=market.keys[party], status=403)
    assert "Food production licence" in refused["detail"]
    assert "food_production" not in refused["detail"]


def test_only_sellers_are_led(market):
    assert market.call("GET", STEPS, token=market.keys[CARRIER]).status_code == 403
    assert TITLE not in signed_in(market, "owner", CARRIER).get(DESK).text


def test_who_sells_already_sees_complaints_with_their_date(market):
    made = complain(market, bought(market))
    page = signed_in(market).get(DESK).text
    line = page.split(f"{DESK}/complaints/{made['ticket']}")[1].split("</li>")[0]
    assert "First answer" in line
    assert "state-wait" in line or "state-bad" in line
    assert made["ticket"] not in signed_in(market, "owner", market.newcomer()).get(DESK).text
