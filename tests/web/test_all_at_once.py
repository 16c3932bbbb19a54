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


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def office(market):
    return signed_in(market, role="owner", party=AUTHORITY, scopes=("audit",))


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


def test_that_a_purpose_is_missing_is_told_beside_a_wrong_day(market, office):
    wrong = {"region": "99", "since": "2026-02-01", "until": "2026-01-01", "purpose": ""}
    office.get(SEARCH)
    page = office.post(SEARCH, 422, q="SF1234567890", **wrong).text
    assert told_of(page, SEARCH, "q", *wrong).keys() == {"region", "until", "purpose"}
    page = office.post(SEARCH, 422, q=GTIN, **wrong).text
    assert told_of(page, SEARCH, "q", *wrong).keys() == {"region", "until"}, "a GTIN is open"
