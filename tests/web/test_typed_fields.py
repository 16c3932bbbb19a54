"""Numbers typed into forms with a Chinese keyboard: full width, and what is said where they are wrong."""

from __future__ import annotations

import re

import pyotp
import pytest

from app.trace.gtin import gtin_check_digit
from tests.web.conftest import AUTHORITY, CARRIER, SHOP
from tests.web.market import CUSTOMS, GTIN
from tests.web.people import NEW, new_browser, new_name, open_people_market, signed_in
from tests.web.test_account_pages import new_code
from tests.web.test_correction_pages import form_of, own_of
from tests.web.test_typed_codes import WIDE

WHY = "inspection 2026-9"
DECLARATION = "516620261000000031"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("fields")) as running:
        yield running


def wide(text: str) -> str:
    typed = text.translate(WIDE)
    assert typed != text
    return typed


def errors(page: str) -> dict[str, str]:
    return dict(re.findall(r'id="f-(\w+)-error">([^<]+)<', page))


def units_under(market, number: str) -> str:
    """What the authority's programs find under a waybill."""
    body = {"q": number, "purpose": WHY}
    found = market.ask("POST", "/api/v1/desk/search", body, token=market.keys[AUTHORITY])
    return str(found["groups"]["units"]["items"])


def apply(market, status: int, **fields):
    told = {"name": "果园（全角）", "contact": "陈女士", "account": new_name(), "password": NEW}
    browser = new_browser(market)
    browser.get("/apply")
    return browser.post("/apply", status, **{**told, **fields})


def test_a_products_gtin(market):
    shop = signed_in(market)
    body = "690123456781"
    gtin = body + gtin_check_digit(body)
    shop.get("/desk/products/new")
    sent = {"gtin": wide(gtin), "name": "宽茶Ａ", "category": "consumer_goods"}
    answer = shop.post("/desk/products/new", **sent)
    assert f"/desk/products/0{gtin}" in answer.headers["Location"]
    assert "宽茶Ａ" in shop.get(f"/desk/products/0{gtin}").text, "a name is kept as it was typed"


def test_the_scope_of_an_audit(market):
    office = signed_in(market, "owner", AUTHORITY)
    for kind, typed, read in (
        ("gtin", wide(GTIN), GTIN),
        ("party", wide(SHOP), SHOP),
        ("party", wide(SHOP.lower()), SHOP),
        ("party", SHOP.lower(), SHOP),
    ):
        office.get("/desk/audits")
        path = office.post("/desk/audits", scope=kind, about=typed).headers["Location"]
        assert read in office.get(path).text


def test_code_and_region_of_an_applicant(market):
    code = new_code()
    apply(market, 303, uscc=wide(code.lower()), region=wide("441202"))
    operator = signed_in(market, "operator", None)
    operator.get("/applications")
    (path,) = re.findall(r'href="(/applications/[^"?]+)[^"]*">果园（全角）', operator.page)
    assert code in operator.get(path).text


def test_a_declaration_at_customs(market):
    told = {"declaration": DECLARATION, "mode": "9610", "port": "广州南沙", "origin": "IT"}
    market.lot("WIDE-1", **{"import": told})
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"])
    browser.get("/desk/customs")
    sent = {"number": wide(DECLARATION), "purpose": WHY, "waybill": wide("cust00000009")}
    assert "WIDE-1" in browser.post("/desk/customs", 200, do="look", **sent).text


def test_a_waybill_and_a_region_at_the_packing_table(market):
    shop = signed_in(market, scopes=("events", "codes"))
    code = market.one().code
    market.sell(code)
    shop.get("/desk/dispatch")
    sent = {"carrier": CARRIER, "waybill": wide("sf 0007 001 234"), "to": wide("441200")}
    assert "tail=1234" in shop.post("/desk/dispatch", code=code, **sent).headers["Location"]


def test_the_code_of_the_second_step(market):
    shop = signed_in(market)
    shop.get("/account/second")
    secret = re.search(r'name="second_secret" value="([A-Z2-7]{32})"', shop.page)[1]

    def code() -> str:
        return wide(pyotp.TOTP(secret).at(int(market.clock.now().timestamp())))

    shop.post("/account/second", 200, second_secret=secret, second_code=code())
    market.clock.advance(90)
    again = new_browser(market)
    again.sign_in(shop.name, shop.password)
    again.get("/sign-in/code")
    again.post("/sign-in/code", second_code=code())


@pytest.mark.parametrize(
    ("lang", "made_of"),
    [("zh", "这个号码由数字或字母组成"), ("en", "this number is made of digits or letters")],
)
def test_a_wrong_character_is_told_by_what_the_number_is_made_of(market, lang, made_of):
    code = "9144120中" + "0" * 10
    page = apply(market, 422, uscc=code, lang=lang).text
    assert made_of in errors(page)["uscc"]
    browser = signed_in(market, "staff", CUSTOMS, scopes=["audit", "events"])
    browser.get("/desk/customs")
    sent = {"number": "5166 2026 1 中", "purpose": WHY, "lang": lang}
    page = browser.post("/desk/customs", 422, do="look", **sent).text
    assert made_of in errors(page)["number"]
    shop = signed_in(market, scopes=("events", "codes"))
    shop.get("/desk/dispatch")
    sent = {"carrier": CARRIER, "waybill": "SF运单号1234567", "code": market.one().code}
    page = shop.post("/desk/dispatch", 422, lang=lang, **sent).text
    assert made_of in errors(page)["waybill"]


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("jdv012345678901-1-1-", "JDV012345678901"),
        ("JDV012345678902-2-3-", "JDV012345678902"),
        ("jdv012345678903", "JDV012345678903"),
        # No face sheet for sure: it stays as it is.
        ("JD-ABC-1-1-", "JD-ABC-1-1-"),
        ("SF1234567890-1-1-", "SF1234567890-1-1-"),
    ],
)
def test_the_barcode_of_a_face_sheet_is_read_as_its_waybill(market, told, number):
    shop = signed_in(market, scopes=("events", "codes"))
    code = market.one().code
    market.sell(code)
    shop.get("/desk/dispatch")
    shop.post("/desk/dispatch", carrier=CARRIER, waybill=told, code=code)
    assert code in units_under(market, number), "found by the number as the carrier has it"


def test_a_waybill_is_read_in_the_form_of_one_event_and_of_its_correction_as_at_the_table(market):
    shop = signed_in(market, scopes=("events", "codes"))
    code = market.one().code
    market.sell(code)
    entry = {"type": "dispatch", "code": code, "carrier": CARRIER}
    shop.get("/desk/entry?type=dispatch")
    label = {**entry, "waybill": f"{market.url}/{code}", "lang": "zh"}
    assert (
        "这是商品码，不是运单号" in errors(shop.post("/desk/entry", 422, **label).text)["waybill"]
    )
    shop.post("/desk/entry", **entry, waybill=wide("jdv 012345 678904-1-1-"))
    assert code in units_under(market, "JDV012345678904")
    told = form_of(shop, code, own_of(market, code)[-1]["id"])
    told |= {"waybill": wide("jdv012345678905-2-3-")}
    shop.post("/desk/records/correct", **told)
    assert code in units_under(market, "JDV012345678905")


def test_the_desk_finds_a_scanned_face_sheet_by_its_number_else_as_a_program_sent_it(market):
    ours, theirs = (one.code for one in market.issue(2))
    for code, number in ((ours, "JDV012345678906"), (theirs, "JDV012345678907-1-1-")):
        market.sell(code)
        sealed = {"waybill": {"content": {"number": number}}}
        market.send(SHOP, code, "dispatch", {"carrier": CARRIER}, sealed=sealed)
    office = signed_in(market, "staff", AUTHORITY, scopes=["audit", "events"])
    office.get("/desk/search")
    for typed, code in (
        (wide("jdv012345678906-1-1-"), ours), ("JDV012345678906-2-2-", ours),
        ("jdv012345678907-1-1-", theirs),
    ):  # fmt: skip
        page = office.post("/desk/search", 200, q=typed, purpose=WHY).text
        assert f"/desk/chains/{code}" in page, typed
        assert f'value="{typed}"' in page, "what was typed stays"
    # A program's question is read as it stands.
    assert units_under(market, "JDV012345678906-1-1-") == "[]"


@pytest.mark.parametrize(
    ("lang", "why"), [("zh", "这是商品码，不是运单号"), ("en", "code of goods")]
)
def test_a_label_of_goods_in_place_of_the_waybill_is_told_as_that(market, lang, why):
    shop = signed_in(market, scopes=("events", "codes"))
    code = market.one().code
    serial = code.rpartition("/")[2]
    shop.get("/desk/dispatch")
    for label in (
        f"{market.url}/{code}", f"(01){GTIN}(21){serial}", f"01{GTIN}21{serial}", f"(01){GTIN}",
        f"]d201{GTIN}21{serial}",
    ):  # fmt: skip
        sent = {"carrier": CARRIER, "waybill": label, "code": code, "lang": lang}
        page = shop.post("/desk/dispatch", 422, **sent).text
        assert why in errors(page)["waybill"], label
