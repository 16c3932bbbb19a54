"""A party's own records and their corrections through the pages, and how the story shows both."""

from __future__ import annotations

import re

import pytest

from tests.web.conftest import CARRIER, PLATFORM, SHOP
from tests.web.market import PRODUCT, RIVAL
from tests.web.people import open_people_market, signed_in

PATH = "/desk/records"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("corrections")) as running:
        yield running


def own_of(market, code: str) -> list[dict]:
    path = f"/api/v1/codes/{code.removeprefix('01/').replace('/21/', '/')}/events"
    items = market.ask("GET", path)["items"]
    return [one["record"] for one in items if one["record"]["stream"] == code]


def form_of(browser, code: str, of: str) -> dict[str, str]:
    """Opens the form of a correction; returns what it is filled in with."""
    browser.get(f"{PATH}/correct?code={code}&of={of}")
    named = re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', browser.page)
    return {name: value for name, value in named if name != "csrf"}


def test_a_wrong_region_and_a_changed_waybill_are_set_right_and_both_are_shown(market):
    unit = market.one()
    market.sell(unit.code)
    sent = market.dispatch(unit.code)
    owner = signed_in(market)
    assert unit.code in owner.get(f"{PATH}?code={unit.code}").text
    assert owner.page.count('class="card"') == 2
    fields = form_of(owner, unit.code, sent["id"])
    assert (fields["carrier"], fields["from"], fields["to"]) == (CARRIER, "441200", "440100")
    assert market.rooms.parties.get(CARRIER).name in owner.page.split('id="f-carrier-hint"')[1][:80]
    assert fields["waybill"] == ""  # sealed: never shown
    both = {**fields, "to": "999999", "waybill": "X"}
    page = owner.post(f"{PATH}/correct", 422, **both).text
    assert re.findall(r'id="f-(\w+)-error"', page) == ["waybill"], "before the shape is asked about"
    same = owner.post(f"{PATH}/correct", 422, **fields).text
    assert "Nothing differs" in same
    assert "cannot take one away" in owner.post(f"{PATH}/correct", 422, **{**fields, "to": ""}).text
    assert "f-to-error" in owner.post(f"{PATH}/correct", 422, **{**fields, "to": "999999"}).text
    assert [one["type"] for one in own_of(market, unit.code)][-1] == "dispatch"
    told = {**fields, "to": "440300", "waybill": "TEST5500004321"}
    first = owner.post(f"{PATH}/correct", **told).headers["Location"]
    again = owner.post(f"{PATH}/correct", **told)
    assert again.headers["Location"] == first
    original, correction = own_of(market, unit.code)[-2:]
    assert original["data"]["to"] == "440100"
    assert correction["type"] == "correction"
    assert correction["data"] == {
        "of": sent["id"], "changes": {"to": "440300"}, "waybill_tail": "4321",
    }  # fmt: skip
    assert set(correction["sealed"]) == {"waybill"}
    page = owner.get(first).text
    assert "The correction is recorded." in page
    assert "<s>440100</s> 440300" in page
    assert "…4321" in page
    shown = market.call("GET", f"/{unit.code}?lang=en").text
    assert "corrects: Dispatch" in shown
    assert "waybill ends in 4321" in shown
    assert "Corrected by a later record." in shown
    # The next correction starts from what stands now.
    assert form_of(owner, unit.code, sent["id"])["to"] == "440300"


def test_a_listing_is_corrected_by_its_seller_and_others_have_no_way_in(market):
    listed = market.send(RIVAL, PRODUCT, "listing", {"platform": "集市戊", "title": "旧"})
    rival = signed_in(market, "owner", RIVAL)
    fields = form_of(rival, PRODUCT, listed["id"])
    assert fields["title"] == "旧"
    rival.post(f"{PATH}/correct", **{**fields, "title": "新", "url": "https://shop.example/x"})
    rival.get(f"{PATH}?code={PRODUCT}")
    assert "<s>旧</s> 新" in rival.page
    owner = signed_in(market)
    owner.get(f"{PATH}/correct?code={PRODUCT}&of={listed['id']}", 404)
    assert "集市戊" not in owner.get(f"{PATH}?code={PRODUCT}").text
    owner.post(f"{PATH}/correct", 404, code=PRODUCT, of=listed["id"], title="他人")
    carrier = signed_in(market, "owner", CARRIER)
    unit = market.one()
    market.sell_by_platform(unit.code)
    market.dispatch(unit.code)
    signed = market.sign(unit.code)
    fields = form_of(carrier, unit.code, signed["id"])
    carrier.post(f"{PATH}/correct", **{**fields, "kind": "proxy"})
    assert own_of(market, unit.code)[-1]["data"]["changes"] == {"kind": "proxy"}
    # Of a sale that the platform told for the shop, the shop is the actor.
    sale = own_of(market, unit.code)[1]
    assert (sale["actor"], sale["via"]) == (SHOP, PLATFORM)
    assert form_of(owner, unit.code, sale["id"])["region"] == "440100"


def test_what_is_no_code_and_what_is_none_of_theirs_is_said(market):
    owner = signed_in(market)
    assert "f-code-error" in owner.get(f"{PATH}?code=nonsense", 422).text
    unit = market.one()
    assert "You recorded nothing" in owner.get(f"{PATH}?code={unit.code}").text
    assert PATH in owner.get("/desk/shipments").text
