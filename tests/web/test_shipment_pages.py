"""Shipments, entry, dispatch and cases through the pages, without script, and what a script is answered."""

from __future__ import annotations

import re

import pytest

from app.i18n import text
from app.trace import dispatching
from app.trace.gtin import gtin_check_digit
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import GTIN, PRODUCT, RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.test_carriers_api import state_of

E, D, S, K = "/desk/entry", "/desk/dispatch", "/desk/shipments", "/desk/cases"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("shipments")) as running:
        yield running


@pytest.fixture(scope="module")
def owner(market):
    return signed_in(market)


def kept(browser, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]*? value="([^"]*)"', browser.page) or re.search(
        rf'value="([^"]*)"[^>]*? name="{name}"', browser.page
    )
    return found[1]


def dispatch(browser, code: str, status: int = 303, **more):
    browser.get(D)
    told = {"carrier": "示例快递", "waybill": "SF1234567890", "sending": kept(browser, "sending")}
    return browser.post(D, status, code=code, **{**told, **more})


def case_number(n: int) -> str:
    body = f"306912399{n:08d}"
    return body + gtin_check_digit(body)


# --- shipments -------------------------------------------------------------------------------------


def test_the_page_shows_what_waits_what_travels_and_what_is_missing(market):
    party = market.newcomer()
    owner = signed_in(market, "owner", party)
    sold, sent, missing = (one.code for one in market.issue(3, by=party))
    for code in (sold, sent):
        market.send(party, code, "sale", {}, hours=-3)
    for code in (sent, missing):
        market.send(party, code, "dispatch", {"carrier": "示例快递"}, hours=-1)
    page = owner.get(S).text
    for code in (sold, sent, missing):
        assert f"<code>{code}</code>" in page
    assert f"/desk/dispatch?code={sold.replace('/', '%2F')}" in page
    assert f"/desk/entry?type=sale&amp;code={missing.replace('/', '%2F')}" in page
    assert text("en", "goods.act.sale") in page
    rival = signed_in(market, "owner", RIVAL)
    assert sent not in rival.get(S).text
    # The link of a gap leads to its form, filled in.
    owner.get(f"{E}?type=sale&code={missing}")
    assert kept(owner, "code") == missing


def test_a_parcel_of_many_units_is_one_line_and_a_long_list_goes_on(market, owner):
    units = [one.code for one in market.issue(7)]
    body = {"order": "P-1", "ordered_at": market.at(-9), "carrier": CARRIER, "waybill": "TEST7777000001",
            "shipped_at": market.at(-8), "codes": units}  # fmt: skip
    market.ask("POST", "/api/v1/shipments", body, token=market.keys[SHOP], status=201)
    page = owner.get(f"{S}?show=in_transit").text
    assert "× 7" in page
    assert page.count("示例（虚构）") >= 1  # the carrier by its name
    short = owner.get(S).text
    assert "show=in_transit" in short
    assert owner.get(f"{S}?show=in_transit&cursor=nonsense").status_code == 200


def test_who_has_no_part_in_shipping_has_no_such_page(market):
    signed_in(market, "staff", scopes=["products"]).get(S, 403)
    clerk = signed_in(market, "staff", scopes=["events"])
    for path in (S, E, D, K):
        clerk.get(path)
    assert S in clerk.page


# --- one event -------------------------------------------------------------------------------------


def test_an_event_is_recorded_once_however_often_the_form_is_sent(market, owner):
    unit = market.one().code
    owner.get(f"{E}?type=sale")
    told = {
        "type": "sale",
        "entry": kept(owner, "entry"),
        "code": unit,
        "order": "A-9",
        "region": "440100",
    }
    before = market.count_rows()["record"]
    first = owner.post(E, **told).headers["Location"]
    assert owner.post(E, **told).headers["Location"] == first
    assert market.count_rows()["record"] == before + 1
    assert unit in owner.get(first).text
    assert text("en", "goods.entry.done") in owner.page
    assert state_of(market, unit) == "sold"
    told["region"] = "440200"
    assert "409" not in owner.post(E, 409, **told).text[:20]
    assert 'value="A-9"' in owner.page  # what was typed is kept


FORMS = {
    "listing": ({"platform": "示例平台", "title": "端砚"}, PRODUCT),
    "dispatch": ({"carrier": "示例快递", "waybill": "SF0000000001", "to": "440100"}, None),
    "signature": ({"kind": "pickup"}, None),
    "return": ({"reason": "cancelled"}, None),
    "notice": ({"text": "请冷藏"}, None),
}


@pytest.mark.parametrize("type_", FORMS)
def test_each_type_has_its_own_form(market, owner, type_):
    fields, code = FORMS[type_]
    if code is None:
        code = market.one().code
        market.sell(code)
    owner.get(f"{E}?type={type_}")
    for name in fields:
        assert f'name="{name}"' in owner.page
    at = market.clock.now().astimezone().strftime("%Y-%m-%dT00:01") if type_ == "listing" else ""
    owner.post(E, type=type_, code=code, entry=kept(owner, "entry"), occurred_at=at, **fields)


WRONG = {
    "no code": ({"code": ""}, "f-code-error"),
    "no such code": ({"code": f"01/{GTIN}/21/NOBODY"}, "f-code-error"),
    "no code at all": ({"code": "hello"}, "f-code-error"),
    "no carrier": ({"carrier": ""}, "f-carrier-error"),
    "a carrier's code that was mistyped": ({"carrier": CARRIER[:-1] + "0"}, "f-carrier-error"),
    "a waybill too short": ({"waybill": "1"}, "f-waybill-error"),
    "a region that is none": ({"to": "990000"}, "f-to-error"),
    "a time that is none": ({"occurred_at": "soon"}, "f-occurred_at-error"),
    "the future": ({"occurred_at": "2099-01-01T00:00"}, "f-occurred_at-error"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(market, owner, name):
    changed, error = WRONG[name]
    unit = market.one().code
    told = {
        "code": unit,
        "carrier": "示例快递",
        "waybill": "SF0000000002",
        "from": "441200",
        "to": "440100",
    }
    owner.get(f"{E}?type=dispatch")
    before = market.count_rows()["record"]
    status = 404 if name == "no such code" else 422
    page = owner.post(
        E, status, type="dispatch", entry=kept(owner, "entry"), **{**told, **changed}
    ).text
    assert error in page
    assert (kept(owner, "from"), kept(owner, "code")) == (
        "441200",
        {"code": unit, **changed}["code"],
    )
    assert market.count_rows()["record"] == before


def test_a_life_that_cannot_be_is_refused_with_its_reason(market, owner):
    unit = market.one().code
    market.sell(unit)
    owner.get(f"{E}?type=sale")
    page = owner.post(E, 409, type="sale", code=unit, entry=kept(owner, "entry")).text
    assert text("en", "fault.lifecycle.already_sold") in page
    owner.post(E, 422, type="recall", code=unit, reason="x")
    owner.post(E, 422, type="nothing", code=unit)


# --- dispatch --------------------------------------------------------------------------------------


def test_parcels_are_dispatched_one_after_the_other_and_the_carrier_is_remembered(market, owner):
    market.clock.advance(60)  # the last that is taken is later than all before
    first, second = (one.code for one in market.issue(2))
    market.sell(first)
    market.sell(second)
    link = f"{market.url}/{second}"
    owner.get(dispatch(owner, first, carrier="某某速运", to="440100").headers["Location"])
    assert text("en", "goods.dispatch.done", code=first, tail="7890") in owner.page
    assert kept(owner, "carrier") == "某某速运"
    owner.post(
        D, carrier="某某速运", code=link, waybill="SF1234567891", sending=kept(owner, "sending")
    )
    assert state_of(market, second) == "in_transit"
    again = signed_in(market)  # another device, another day
    again.get(D)
    assert kept(again, "carrier") == "某某速运"
    dispatch(again, second, 409, carrier="某某速晕")
    fresh = signed_in(market)
    fresh.get(D)
    assert kept(fresh, "carrier") == "某某速运", "nothing went with the other"
    market.clock.advance(60)
    dispatch(again, market.one().code, carrier=CARRIER)
    again.get(D)
    assert kept(again, "carrier") == CARRIER
    assert "<b>示例（虚构）</b>" in again.page


def test_the_carrier_is_remembered_once_its_parcels_have_arrived_too(market, monkeypatch):
    monkeypatch.setattr(dispatching, "_REMEMBERED", 3)
    party = market.newcomer()
    owner = signed_in(market, "owner", party)
    market.send(party, PRODUCT, "listing", {"platform": "某平台"})
    sent = [one.code for one in market.issue(3, by=party)]
    for code, carrier, hours in zip(
        sent, ("甲速运", "乙速运", "丙速运"), (-9, -7, -8), strict=True
    ):
        market.send(party, code, "sale", {}, hours=-10)
        market.send(party, code, "dispatch", {"carrier": carrier}, hours=hours)
    market.send(party, sent[1], "signature", {"kind": "in_person"}, hours=-2)
    owner.get(D)
    assert kept(owner, "carrier") == "乙速运", "taken last, and signed for by now"
    for code in (sent[0], sent[2]):
        market.send(party, code, "signature", {"kind": "in_person"}, hours=-1)
    for one in market.issue(2, by=party):
        market.send(party, one.code, "sale", {})  # the orders of a new day
    owner.get(D)
    assert kept(owner, "carrier") == "乙速运"
    assert re.findall(r'<option value="(.速运)"', owner.page) == ["乙速运", "丙速运", "甲速运"]


def test_without_a_script_nothing_is_counted_that_only_a_script_counts(market, owner):
    unit = market.one().code
    market.sell(unit)
    shown = [owner.get(dispatch(owner, unit).headers["Location"]).text]
    shown.append(owner.get(f"{K}/{case_number(72)}").text)
    for page in shown:
        words = re.sub(r"<[^>]*>", " ", page)
        for name in ("dispatch.sent", "dispatch.failed", "case.failed", "case.inside_now"):
            assert text("en", f"goods.{name}") not in words
    assert text("en", "goods.dispatch.done", code=unit, tail="7890") in shown[0]


def test_sale_and_dispatch_go_together_where_the_order_is_told(market, owner):
    unit, other = (one.code for one in market.issue(2))
    dispatch(owner, unit, order="A-77")
    told = market.ask("GET", f"/api/v1/codes/{GTIN}/{unit.split('/')[-1]}/events")["items"]
    types = [one["record"]["type"] for one in told if one["record"]["stream"] == unit]
    assert types == ["registration", "sale", "dispatch"]
    before = market.count_rows()["record"]
    dispatch(owner, other, 422, order="A-78", to="990000")
    assert market.count_rows()["record"] == before
    owner.get(dispatch(owner, other).headers["Location"])
    assert text("en", "goods.dispatch.unsold", code=other, tail="7890") in owner.page


@pytest.mark.parametrize("order", ["", "A-79"])
def test_a_parcel_sent_twice_is_one(market, owner, order):
    unit = market.one().code
    owner.get(D)
    told = {
        "carrier": "c",
        "waybill": "SF1234567892",
        "code": unit,
        "order": order,
        "sending": kept(owner, "sending"),
    }
    first = owner.post(D, **told)
    market.clock.advance(5)
    assert owner.post(D, **told).headers["Location"] == first.headers["Location"]
    assert owner.post(D, 409, **{**told, "sending": ""}).status_code == 409


def test_what_was_refused_says_why_and_keeps_what_was_typed(market, owner):
    unit = market.one().code
    market.sell(unit)
    market.dispatch(unit)
    page = dispatch(owner, unit, 409).text
    assert text("en", "fault.lifecycle.already_dispatched") in page
    assert "f-code-error" in page
    assert (kept(owner, "waybill"), kept(owner, "code")) == ("SF1234567890", unit)
    assert "f-waybill-error" in dispatch(owner, unit, 422, waybill="?").text
    assert "f-carrier-error" in dispatch(owner, unit, 422, carrier="").text
    mistyped = dispatch(owner, unit, 422, carrier=CARRIER[:-1] + "0").text
    assert text("en", "field.check_digit", expected=CARRIER[-1], got="0") in mistyped
    assert "f-code-error" in dispatch(owner, PRODUCT, 422).text


def test_a_script_is_answered_with_what_it_should_say(market, owner):
    unit = market.one().code
    market.sell(unit)
    owner.get(D)
    told = {"csrf": kept(owner, "csrf"), "carrier": "c", "code": unit, "waybill": "SF1234567893"}
    headers = {"Accept": "application/json", "Origin": market.url}
    answer = owner.http.post(D, data=told, headers=headers)
    assert (answer.status_code, answer.json()["ok"], answer.json()["page"]) == (
        200,
        True,
        f"/{unit}",
    )
    assert "7893" in answer.json()["message"]
    refused = owner.http.post(D, data=told, headers=headers)
    assert (refused.status_code, refused.json()["ok"]) == (409, False)
    assert refused.json()["message"] == text("en", "fault.lifecycle.already_dispatched")


# --- cases -----------------------------------------------------------------------------------------


def test_what_went_in_and_came_out_is_said_in_a_whole_sentence(market, owner):
    case, units = case_number(71), [one.code for one in market.issue(3)]
    owner.get(f"{K}/{case}")
    led = owner.post(f"{K}/{case}", code=units[0], do="add", sending=kept(owner, "sending"))
    assert f"In the case: {units[0]}<" in owner.get(led.headers["Location"]).text
    told = {"csrf": kept(owner, "csrf"), "do": "add", "code": units[1]}
    headers = {"Accept": "application/json", "Origin": market.url}
    answer = owner.http.post(f"{K}/{case}", data=told, headers=headers).json()
    assert (answer["message"], answer["code"]) == ("In the case.", units[1])
    owner.get(f"{K}/{case}")
    led = owner.post(f"{K}/{case}", do="take_all", sending=kept(owner, "sending"))
    assert "Taken out: all 2.<" in owner.get(led.headers["Location"]).text


def test_a_case_is_packed_sold_and_sent_by_its_label(market, owner):
    case, units = case_number(1), [one.code for one in market.issue(3)]
    assert owner.get(f"{K}?case=(00){case}", 303).headers["Location"] == f"{K}/{case}"
    owner.get(f"{K}/{case}")
    assert text("en", "goods.case.empty") in owner.page
    for unit in units:
        owner.post(f"{K}/{case}", code=unit, do="add", sending=kept(owner, "sending"))
        owner.get(f"{K}/{case}")
    for unit in units:
        assert unit in owner.page
    page = owner.post(f"{K}/{case}", 409, code=units[0], do="add", sending="").text
    assert text("en", "goods.case.here_already") in page
    assert "f-code-error" in page
    other = f"{K}/{case_number(72)}"
    owner.get(other)
    page = owner.post(other, 409, code=units[0], do="add", sending="").text
    assert text("en", "fault.lifecycle.already_packed") in page
    owner.get(f"{K}/{case}")
    assert "f-order-error" in owner.post(f"{K}/{case}", 422, do="sale", order="").text
    owner.get(f"{K}/{case}")
    owner.post(
        f"{K}/{case}", do="sale", order="B-1", region="440100", sending=kept(owner, "sending")
    )
    owner.get(f"{K}/{case}")
    owner.post(f"{K}/{case}", do="take", code=units[2], sending=kept(owner, "sending"))
    sent = dispatch(owner, f"00{case}").headers["Location"]
    owner.get(sent)
    assert text("en", "goods.dispatch.done_case", count=2, tail="7890") in owner.page
    assert [state_of(market, unit) for unit in units] == ["in_transit", "in_transit", "sold"]
    assert case in owner.get(K).text
    owner.get(f"{K}/{case}")
    assert 'name="order"' not in owner.page


def test_taking_everything_out_and_making_a_number(market, owner):
    case, units = case_number(2), [one.code for one in market.issue(2)]
    owner.get(f"{K}/{case}")
    for unit in units:
        owner.post(f"{K}/{case}", code=unit, do="add")
    owner.post(f"{K}/{case}", do="take_all")
    owner.get(f"{K}/{case}")
    assert text("en", "goods.case.empty") in owner.page
    made = owner.post(K, company_prefix="06912345").headers["Location"]
    assert re.fullmatch(rf"{K}/[0-9]{{18}}", made)
    owner.get(K)
    assert "f-company_prefix-error" in owner.post(K, 422, company_prefix="12").text
    assert "f-case-error" in owner.get(f"{K}?case=123", 422).text
    owner.get(f"{K}/123", 422)
    owner.get(f"{K}/{case}")
    assert "f-code-error" in owner.post(f"{K}/{case}", 422, code=case_number(3), do="add").text


def test_an_order_is_refused_for_a_case_at_its_field(market, owner):
    case, unit = case_number(4), market.one().code
    owner.get(f"{K}/{case}")
    owner.post(f"{K}/{case}", code=unit, do="add")
    assert "f-order-error" in dispatch(owner, case, 422, order="C-1").text
