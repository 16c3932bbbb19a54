"""Products, lots, codes and labels through the pages, and whose they are."""

from __future__ import annotations

import re
from html import unescape

import pytest

from app.i18n import text
from app.imports.columns import known_names, spelled
from tests.imports.sheets import gtin
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import GTIN, RIVAL
from tests.web.people import open_people_market, signed_in
from tests.web.shown_forms import Shown

PATH = "/desk/products"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("products")) as running:
        yield running


def batch_of(market, browser, **fields) -> str:
    """Orders codes by the form, has them made and returns the page of the batch."""
    browser.get(f"{PATH}/{GTIN}")
    order = re.search(r'name="entry" value="([^"]+)"', browser.page)[1]
    answer = browser.post(f"{PATH}/{GTIN}/codes", entry=order, **{"count": "3", **fields})
    market.work()
    return answer.headers["Location"]


def test_from_a_new_product_to_a_printed_sheet(market):
    owner = signed_in(market)
    owner.get(f"{PATH}/new")
    fields = {"gtin": gtin(1), "name": "裹蒸粽", "category": "food", "brand": "示例"}
    for wrong, said in (
        ({"gtin": gtin(1)[:-1] + "x"}, "f-gtin-error"),
        ({"category": "x"}, "f-category-error"),
    ):
        assert said in owner.post(f"{PATH}/new", 422, **{**fields, **wrong}).text
        assert 'value="裹蒸粽"' in owner.page
    page = owner.post(f"{PATH}/new", **fields).headers["Location"].split("?")[0]
    assert "裹蒸粽" in owner.get(f"{PATH}?q=裹蒸").text
    assert "裹蒸粽" not in owner.get(f"{PATH}?q=砚台").text
    owner.get(page)
    for wrong in ({"lot": "批"}, {"lot": "A1", "expires_on": "2026-01-01", "produced_on": "2026-02-01"},
                  {"lot": "A1", "quantity": "many"}, {"lot": "A1", "produced_on": "soon"}):  # fmt: skip
        assert "field-error" in owner.post(f"{page}/lots", 422, **wrong).text
    owner.post(f"{page}/lots", lot="A1", expires_on="2027-01-01", quantity="20")
    assert "2027-01-01" in owner.get(page).text
    for wrong in ("0", "100001", "", "zwei"):
        assert "f-count-error" in owner.post(f"{page}/codes", 422, count=wrong).text
    batch = batch_of(market, owner)
    assert "Print labels" in owner.get(batch).text
    for wrong in ({"start": "4"}, {"count": "0"}, {"offset": "24"}, {"layout": "a3"}):
        told = {"layout": "a4-3x8", "symbol": "qr", "output": "pdf", **wrong}
        assert "field-error" in owner.post(f"{batch}/print", 422, **told).text
    papers = {"a4-3x8": 23, "a4-4x10": 39, "a4-5x13": 64, "roll-60x40": 0}
    hint = Shown(owner.get(batch).text).words["f-offset-hint"]
    for layout, most in papers.items():
        told = {"layout": layout, "symbol": "qr", "output": "pdf", "offset": str(most + 1)}
        page = owner.post(f"{batch}/print", 422, **told).text
        bounds = f"0 to {most}" if most else "0"
        assert f"Out of range: expected {bounds}, got {most + 1}." in page
        assert (f"0 to {most}" if most else "roll: 0") in hint
        owner.get(batch)
    # Nothing of a reason is cut off: it is in the log of prints for good.
    told = {"layout": "a4-3x8", "symbol": "qr", "output": "pdf", "reason": "再" * 201, "start": "4"}
    page = Shown(owner.post(f"{batch}/print", 422, **told).text)
    (form,) = [one for one in page.forms if one.named("reason")]
    assert "at most 200" in page.said_about(form, "reason")
    assert page.said_about(form, "start")
    assert form.values("reason") == ["再" * 201]
    assert "200" in page.words["f-reason-hint"]
    # A number that lies outside is not called none.
    told = {"layout": "a4-3x8", "symbol": "qr", "output": "pdf", "start": "4"}
    page = owner.post(f"{batch}/print", 422, **told).text
    assert "Out of range: expected 1 to 3, got 4." in page
    # Nor are more labels than there are codes printed as fewer without a word.
    told = {"layout": "a4-3x8", "symbol": "qr", "output": "pdf", "start": "2", "count": "3"}
    page = Shown(owner.post(f"{batch}/print", 422, **told).text)
    (form,) = [one for one in page.forms if one.named("reason")]
    short = text("en", "field.codes_left", start=2, left=2, got=3)
    assert page.said_about(form, "count") == short
    told = {"layout": "a4-3x8", "symbol": "qr", "do": "print"}
    owner.get(batch)
    assert owner.post(f"{batch}/print", 200, output="pdf", **told).content[:5] == b"%PDF-"
    owner.get(batch)
    page = owner.post(f"{batch}/print", 422, output="zpl203", **told).text
    assert text("en", "field.zpl_layout") in page, "it never gives another paper than was chosen"
    told["layout"] = "roll-60x40"
    assert owner.post(
        f"{batch}/print", 200, output="zpl203", start="3", reason="torn", **told
    ).text.startswith("~DG")
    owner.get(batch)
    for said in (
        "Codes 1 to 3",
        "Codes 3 to 3",
        "1 of them again",
        "torn",
        "ZPL, 203 dpi",
        "QR code",
    ):
        assert said in owner.page
    assert owner.http.get(f"{batch}/label.png?symbol=datamatrix").content[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("lang", "head"),
    [("zh", "溯源码,链接,序列号,暗码"), ("en", "Trace code,Link,Serial number,Hidden code")],
)
def test_the_list_of_codes_has_a_head_in_the_readers_language_that_imports_know(market, lang, head):
    owner = signed_in(market)
    batch = batch_of(market, owner)
    answer = owner.http.get(f"{batch}/codes.csv?lang={lang}")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    first, *rows = answer.content.decode("utf-8-sig").splitlines()
    assert (first, len(rows)) == (head, 3)
    code = spelled(head.split(",")[0])
    assert (known_names("events")[code], known_names("shipments")[code]) == ("code", "codes")


def test_the_form_for_codes_sent_twice_is_one_order(market):
    owner = signed_in(market)
    owner.get(f"{PATH}/{GTIN}")
    order = re.search(r'name="entry" value="([^"]+)"', owner.page)[1]
    first, again = (
        owner.post(f"{PATH}/{GTIN}/codes", entry=order, count="2").headers["Location"] for _ in "12"
    )
    assert first == again


def test_others_have_no_part_in_it(market):
    owner = signed_in(market)
    batch = batch_of(market, owner)
    rival = signed_in(market, "owner", RIVAL)
    rival.get(f"{PATH}/{GTIN}")
    assert batch not in rival.page
    for path in (batch, f"{batch}/label.png", f"{batch}/codes.csv"):
        rival.get(path, 404)
    rival.get(PATH)
    rival.post(f"{batch}/print", 404, layout="a4-3x8", symbol="qr", output="pdf")
    staff = signed_in(market, "staff", scopes=["products"])
    staff.get(batch, 403)
    staff.get(f"{PATH}/{GTIN}")
    assert "/codes" not in staff.page
    staff.post(f"{PATH}/{GTIN}/codes", 403, count="1")
    carrier = signed_in(market, "owner", CARRIER)
    carrier.get(PATH, 403)
    carrier.get(f"{PATH}/new", 403)
    owner.get(f"{PATH}/{gtin(77)}", 404)


def test_a_print_of_void_codes_says_why_there_is_none_and_so_does_its_look(market):
    owner = signed_in(market)
    page = batch_of(market, owner)
    codes = market.codes_of(page.rsplit("/", 1)[1])
    sheet = {"layout": "a4-3x8", "symbol": "qr", "output": "pdf", "offset": "0"}
    second = {**sheet, "start": "2", "count": "1"}

    def void(which: int) -> None:
        market.send(SHOP, codes[which].code, "void", {"reason": "标签破损"})

    void(1)
    one = text("en", "fault.all_void", count=1)
    owner.get(page)
    refused = owner.post(f"{page}/print", 422, **second, do="print").text
    assert (refused.count(one), "label-look" in refused) == (1, False)
    look = owner.post(f"{page}/print", 200, **second, do="look").text
    assert (look.count(one), "label-look" in look) == (1, False), "and not the label behind it"
    refused = owner.post(f"{page}/print", 422, **sheet, do="print", count="0000000019999").text
    assert 'value="0000000019999"' in refused, "the form again, however many zeros"
    # Of three, one is left out.
    look = owner.post(f"{page}/print", 200, **sheet, do="look", start="2").text
    (source,) = re.findall(r'class="label-look" src="([^"]+)"', look)
    assert owner.get(unescape(source)).headers["Content-Type"] == "image/png"
    owner.get(page)
    assert owner.post(f"{page}/print", 200, **sheet, do="print").content[:5] == b"%PDF-"
    void(0)
    void(2)
    three = text("en", "fault.all_void", count=3)
    shown = owner.get(page).text
    assert (shown.count(three), "label-look" in shown) == (1, False)
    for query, said in (("?start=1&count=1", one), ("", three)):
        picture = owner.http.get(f"{page}/label.png{query}", headers={"Accept": "image/*"})
        assert (picture.status_code, picture.json()["detail"]) == (422, said)


def test_a_product_that_was_registered_otherwise_is_told_by_the_words_of_the_form(market):
    shop = signed_in(market)
    sent = {"gtin": "06901234567014", "name": "端砚", "category": "other", "brand": "甲"}
    shop.get("/desk/products/new?lang=zh")
    shop.post("/desk/products/new", **sent)
    shop.get("/desk/products/new?lang=zh")
    again = sent | {"name": "歙砚", "brand": "乙", "lang": "zh"}
    page = shop.post("/desk/products/new", 409, **again).text
    assert "以下内容不同：商品名称、品牌。" in page


@pytest.mark.parametrize(("lang", "choose"), [("zh", "请选择"), ("en", "choose")])
def test_no_category_is_chosen_before_anybody_chose_one(market, lang, choose):
    shop = signed_in(market)
    shop.get(f"/desk/products/new?lang={lang}")
    options = re.findall(r'<select id="f-category".*?</select>', shop.page, re.DOTALL)[0]
    assert " required" in options.split(">")[0]
    first = re.findall(r'<option value="([^"]*)"([^>]*)>([^<]+)<', options)[0]
    assert first[0] == ""
    assert choose in first[2]
    assert re.findall(r'value="([^"]*)" selected', options) in ([], [""])
    page = shop.post("/desk/products/new", 422, gtin="", name="没选类别", category="", lang=lang)
    assert set(re.findall(r'id="f-(\w+)-error"', page.text)) == {"category"}
