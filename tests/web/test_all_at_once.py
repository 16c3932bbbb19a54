"""A form of the desk is refused once, for everything that is wrong with it, and keeps what was typed."""

from __future__ import annotations

import pytest

from app.i18n import text
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import GTIN
from tests.web.people import open_people_market, signed_in
from tests.web.shown_forms import Shown, ShownForm
from tests.web.test_shipment_pages import case_number

DISPATCH = "/desk/dispatch"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("at_once")) as running:
        yield running


@pytest.fixture
def owner(market):
    return signed_in(market, party=SHOP, scopes=("events", "codes"))


def form_of(page: str, action: str, field: str) -> tuple[Shown, ShownForm]:
    shown = Shown(page)
    (form,) = [one for one in shown.forms if one.action == action and one.named(field)]
    return shown, form


def told_of(page: str, action: str, *fields: str) -> dict[str, str]:
    """Returns what a page says at these fields, those at which it says something."""
    shown, form = form_of(page, action, fields[0])
    return {name: said for name in fields if (said := shown.said_about(form, name))}


def values_of(page: str, action: str, *fields: str) -> dict[str, str]:
    _, form = form_of(page, action, fields[0])
    return {name: "".join(form.values(name)) for name in fields}


@pytest.mark.parametrize("code", ["no code", "00" + case_number(77)])
def test_a_parcel_is_told_all_its_wrong_fields(market, owner, code):
    sent = {
        "code": code,
        "waybill": "?",
        "carrier": CARRIER[:-1] + "0",
        "to": "99",
        "order": "A\x01B" if code == "no code" else "A-1",
    }
    owner.get(DISPATCH)
    page = owner.post(DISPATCH, 422, **sent).text
    wrong = sent.keys() - ({"code"} if code != "no code" else set())
    assert told_of(page, DISPATCH, *sent).keys() == wrong
    kept = values_of(page, DISPATCH, "code", "waybill", "carrier", "to")
    assert kept == {name: sent[name] for name in kept}


def test_what_is_left_empty_of_a_parcel_is_told_beside_what_is_wrong(market, owner):
    owner.get(DISPATCH)
    page = owner.post(DISPATCH, 422, code="", waybill="?", carrier="", to="99").text
    told = told_of(page, DISPATCH, "code", "waybill", "carrier", "to", "order")
    assert told.keys() == {"code", "waybill", "carrier", "to"}
    assert told["code"] == text("en", "field.missing", name="code")


SEARCH = "/desk/search"


@pytest.fixture
def office(market):
    return signed_in(market, role="owner", party=AUTHORITY, scopes=("audit", "events"))


def test_a_search_is_told_all_its_wrong_fields(market, office):
    sent = {"q": "SF1234567890", "region": "99", "since": "soon", "until": "later", "purpose": "?"}
    office.get(SEARCH)
    page = office.post(SEARCH, 422, **sent).text
    assert told_of(page, SEARCH, *sent).keys() == sent.keys() - {"q"}
    assert values_of(page, SEARCH, "q", "region", "purpose") == {
        "q": sent["q"],
        "region": "99",
        "purpose": "?",
    }


def test_a_search_by_the_api_is_told_its_shape_and_its_rules_at_once(market):
    key = market.keys[AUTHORITY]
    wrong = {"region": "99", "since": "x", "until": "y", "purpose": "p"}
    shape = {"q": "1" * 3_000, "group": "things", "limit": 0}
    for sent in (wrong, shape, wrong | shape, wrong | {"limit": 0, "since": 7}):
        asked = {"q": GTIN} | sent
        answer = market.ask("POST", "/api/v1/desk/search", asked, token=key, status=422)
        places = [one["loc"] for one in answer["errors"]]
        assert sorted(places) == sorted([name] for name in sent)


def test_an_entry_is_told_an_unknown_rule_beside_thin_evidence(market):
    path, key = f"/api/v1/credit/{SHOP}/entries", market.keys[AUTHORITY]
    bare = {"title": "抽检报告", "issuer": "市监局"}
    sent = {"rule": "nonsense", "evidence": bare, "occurred_on": "2999-01-01"}
    answer = market.ask("POST", path, sent, token=key, status=422)
    told = {tuple(one["loc"]): (one["kind"], one["msg"]) for one in answer["errors"]}
    assert told.keys() == {("rule",), ("evidence",), ("occurred_on",)}
    assert told["evidence",] == ("missing", text("en", "field.nothing_to_look_up"))
    listing = {"party": SHOP, "criterion": "nonsense", "evidence": bare}
    answer = market.ask("POST", "/api/v1/lists/black", listing, token=key, status=422)
    assert [one["loc"] for one in answer["errors"]] == [["criterion"], ["evidence"]]


def test_that_a_search_is_too_long_is_told_alone_and_beside_what_else_is_wrong(market, office):
    office.get(SEARCH)
    for wrong in ({}, {"region": "99", "since": "soon"}):
        page = office.post(SEARCH, 422, q="砚" * 2049, **wrong).text
        told = told_of(page, SEARCH, "q", "region", "since")
        assert told.keys() == {"q", *wrong}
        assert "at most 2048, got 2049" in told["q"]


def test_a_period_that_ends_before_it_begins_is_told_by_two_days_of_one_form(market, office):
    office.get(SEARCH)
    page = office.post(SEARCH, 422, q=GTIN, since="2026-11-30", until="2026-11-01").text
    said = told_of(page, SEARCH, "until")["until"]
    assert said == "Out of range: expected not before 30 Nov 2026, got 1 Nov 2026."


def test_that_a_purpose_is_missing_is_told_beside_a_wrong_day(market, office):
    wrong = {"region": "99", "since": "2026-02-01", "until": "2026-01-01", "purpose": ""}
    office.get(SEARCH)
    page = office.post(SEARCH, 422, q="SF1234567890", **wrong).text
    assert told_of(page, SEARCH, "q", *wrong).keys() == {"region", "until", "purpose"}
    page = office.post(SEARCH, 422, q=GTIN, **wrong).text
    assert told_of(page, SEARCH, "q", *wrong).keys() == {"region", "until"}, "a GTIN is open"


def test_who_answers_for_a_finding_is_told_all_its_wrong_fields(market):
    shop = market.newcomer()
    unit = market.one(by=shop)
    market.send(shop, unit.code, "sale", {})
    market.send(shop, unit.code, "dispatch", {"carrier": "a man with a van"})
    market.clock.advance(16 * 86_400)
    market.work()
    asked = f"/api/v1/findings?kind=continuity.missing_signature&party={shop}"
    (finding,) = market.ask("GET", asked, token=market.keys[AUTHORITY])["items"]
    path = f"/desk/findings/{finding['id']}"
    decider = signed_in(market, role="owner", party=AUTHORITY)
    table = [
        ({"to": "carrier", "party": shop, "reason": ""}, {"party", "reason"}),
        ({"to": "me", "party": shop, "reason": "x" * 501}, {"to", "party", "reason"}),
        ({"to": "operator", "party": shop, "reason": ""}, {"party", "reason"}),
        ({"to": "carrier", "party": "", "reason": ""}, {"party", "reason"}),
    ]
    for sent, wrong in table:
        decider.get(path)
        page = decider.post(path, 422, do="attribute", **sent).text
        assert told_of(page, path, "to", "party", "reason").keys() == wrong
        assert values_of(page, path, "to", "party", "reason")["party"] == sent["party"]
    page = decider.post(path, 409, do="attribute", to="carrier", reason="his", party="").text
    assert told_of(page, path, "to", "party", "reason").keys() == {"party"}
    assert decider.post(path, do="attribute", to="operator", reason="ours", party="")


RECALL = "/desk/recalls/new"


@pytest.mark.parametrize("type_", ["recall", "recall_lifted"])
def test_a_recall_by_range_is_told_all_its_wrong_fields(market, owner, type_):
    sent = {
        "codes": "x", "code": "no code", "reason": "", "level": "9",
        "serial_from": "A", "serial_to": "", "produced_since": "soon", "produced_until": "later",
        "sold_since": "2026-02-01", "sold_until": "2026-01-01",
    }  # fmt: skip
    owner.get(RECALL)
    page = owner.post(RECALL, 422, type=type_, **sent).text
    # Who lifts a recall is not asked for its level.
    wrong = sent.keys() - {"serial_from", "sold_since", *(["level"] if type_ != "recall" else [])}
    assert told_of(page, RECALL, *sent).keys() == wrong
    assert values_of(page, RECALL, "serial_from", "sold_until") == {
        "serial_from": "A",
        "sold_until": "2026-01-01",
    }


def test_both_ends_of_a_range_that_nobody_issued_are_told(market, owner):
    owner.get(RECALL)
    sent = {"code": GTIN, "serial_from": "AAAA2222", "serial_to": "BBBB3333", "reason": "污染"}
    page = owner.post(RECALL, 422, type="recall", **sent).text
    assert told_of(page, RECALL, *sent).keys() == {"serial_from", "serial_to"}


def test_a_recall_by_lines_is_told_what_is_wrong_beside_them(market, office):
    sent = {"codes": "no code", "reason": "x" * 600, "level": "9", "basis": "y" * 600}
    office.get(RECALL)
    page = office.post(RECALL, 422, type="recall", **sent).text
    assert told_of(page, RECALL, *sent).keys() == sent.keys()


def test_a_sale_of_a_case_is_told_all_its_wrong_fields_and_nothing_is_cut_off(market, owner):
    case = case_number(78)
    path = f"/desk/cases/{case}"
    sent = {"order": "9" * 65, "region": "99", "count": "0"}
    packed = market.one().code
    owner.get(path)
    owner.post(path, do="add", code=packed)
    owner.get(path)
    page = owner.post(path, 422, do="sale", **sent).text
    assert told_of(page, path, *sent).keys() == {"order", "region"}
    assert values_of(page, path, "order", "region") == {"order": "9" * 65, "region": "99"}
