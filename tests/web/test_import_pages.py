"""Spreadsheets through the pages: dry run, applying, faults, mappings, and whose they are."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from app.imports import sending
from app.kit.turn import OneAtATime
from tests.imports.sheets import as_csv, as_xlsx, gtin
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import AUTHORITY, GTIN, RIVAL
from tests.web.people import open_people_market, signed_in

PATH = "/desk/imports"
HEAD = ["商品条码", "商品名称", "类别", "品牌"]
ORDERS = ["单号", "货号", "件数", "下单", "发货", "快递", "运单", "收件人"]


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("imports")) as running:
        yield running


def planned(browser, kind: str, raw: bytes, **fields) -> str:
    """Sends a file and returns the page of its dry run, which is then open."""
    browser.get(PATH)
    answer = browser.post(PATH, kind=kind, file=("a.csv", raw), **fields)
    page = answer.headers["Location"]
    browser.get(page)
    return page


def figures(browser) -> dict[str, int]:
    found = re.findall(
        r"<dt>(New|Known, unchanged|Skipped|Refused)</dt><dd>(\d+)</dd>", browser.page
    )
    return {name: int(count) for name, count in found}


def products(first: int, count: int) -> list[list[str]]:
    return [HEAD, *([gtin(n), f"商品{n}", "日用消费品", ""] for n in range(first, first + count))]


def test_a_file_is_looked_at_and_what_was_looked_at_is_applied(market):
    owner = signed_in(market)
    before = market.count_rows()
    page = planned(owner, "products", as_csv(products(300, 3), encoding="gbk"))
    assert figures(owner)["New"] == 3
    assert "waits for you" in owner.page
    written = {name for name, n in market.count_rows().items() if n != before.get(name, 0)}
    # Where other files wait, the oldest of them goes: then as many rows stand there as before.
    assert written <= {"import_job", "import_row"}
    assert market.count_rows()["import_job"]
    owner.post(page, do="apply")
    owner.get(page)
    assert figures(owner)["New"] == 3
    assert ">done<" in owner.page
    assert market.ask("GET", f"/api/v1/products/{gtin(301)}")["name"] == "商品301"
    assert page in owner.get(PATH).text
    planned(owner, "products", as_xlsx(products(300, 3)))
    assert figures(owner)["Known, unchanged"] == 3
    owner.get(page)
    owner.post(page, do="apply")  # twice does no harm
    owner.get(page)
    assert figures(owner)["New"] == 3


def test_a_file_that_would_write_nothing_is_not_offered_for_writing(market):
    owner = signed_in(market)
    page = planned(owner, "products", as_csv(products(330, 2)))
    assert 'value="apply"' in owner.page
    owner.post(page, do="apply")
    planned(owner, "products", as_csv(products(330, 2)))
    assert figures(owner)["Known, unchanged"] == 2
    assert 'value="apply"' not in owner.page
    assert "No row is to be written" in owner.page


def test_a_claim_to_a_known_products_brand_is_something_to_write(market):
    owner, rival = signed_in(market), signed_in(market, "owner", RIVAL)
    rows = [[*HEAD, "是否品牌方"], [gtin(340), "商品340", "日用消费品", "", "否"]]
    page = planned(owner, "products", as_csv(rows))
    owner.post(page, do="apply")
    rows[1][4] = "是"
    page = planned(rival, "products", as_csv(rows))
    assert figures(rival)["New"] == 1
    rival.post(page, do="apply")
    rival.get(page)
    assert figures(rival)["New"] == 1
    planned(rival, "products", as_csv(rows))
    assert 'value="apply"' not in rival.page


def test_a_job_is_forgotten_a_month_after_its_end_though_nobody_imports_any_more(market):
    pages = []
    for n in (400, 410):
        owner = signed_in(market)
        page = planned(owner, "products", as_csv(products(n, 2)))
        owner.post(page, do="apply")
        pages.append(page)
        market.clock.advance(2 * 86_400)
    market.rooms.imports.forget_ended()
    market.clock.advance(27 * 86_400)
    while market.rooms.imports.forget_ended():
        pass
    owner = signed_in(market)
    owner.get(pages[0], 404)
    owner.get(pages[1])
    market.clock.advance(2 * 86_400)
    while market.rooms.imports.forget_ended():
        pass
    signed_in(market).get(pages[1], 404)
    with market.rooms.database.read() as connection:
        ids = tuple(page.rpartition("/")[2] for page in pages)
        kept = connection.exec_driver_sql("SELECT job FROM import_row").scalars()
        assert not set(ids) & set(kept)


def test_a_faulty_row_says_cell_and_reason_and_spares_its_neighbours(market):
    owner = signed_in(market)
    rows = products(310, 2)
    rows[2][0] = "6.90E+12"
    page = planned(owner, "products", as_csv(rows))
    assert (figures(owner)["New"], figures(owner)["Refused"]) == (1, 1)
    for said in (
        '<th scope="row" data-name="row">3</th>',
        "商品条码",
        "6.90E+12",
        "digits are lost",
    ):
        assert said in owner.page
    owner.post(page, do="apply")
    lines = owner.http.get(f"{page}/errors.csv").content.decode("utf-8-sig").splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("3,商品条码,6.90E+12,")
    assert market.call("GET", f"/api/v1/products/{gtin(310)}").status_code == 200


@pytest.mark.parametrize(("lang", "column"), [("zh", "发货时间"), ("en", "shipped at")])
def test_a_fixed_value_is_told_by_the_name_of_its_column(market, lang, column):
    owner = signed_in(market)
    mapping = {"defaults": {"shipped_at": "2020-01-01 08:00"}}
    path = "/api/v1/import-mappings/shipments/fixed"
    market.ask("PUT", path, mapping, token=market.keys[SHOP])
    head = ["订单号", "商品条码", "数量", "下单时间", "快递公司", "快递单号"]
    row = ["F-1", gtin(311), "1", "2026-11-20 09:00", "某某速运", "SF0001112223"]
    page = planned(owner, "shipments", as_csv([head, row]), mapping="shipments/fixed")
    shown = owner.get(f"{page}?lang={lang}").text
    assert f">{column}</td>" in shown
    assert "shipped_at" not in shown
    lines = owner.http.get(f"{page}/errors.csv?lang={lang}").content.decode("utf-8-sig")
    assert f",{column}," in lines
    market.ask("DELETE", path, token=market.keys[SHOP], status=204)


def test_a_dry_run_is_dropped_by_hand_after_an_hour_and_beyond_three(market):
    owner = signed_in(market)
    first = planned(owner, "products", as_csv(products(320, 1)))
    owner.post(first, do="drop")
    owner.get(first, 404)
    pages = [planned(owner, "products", as_csv(products(320, 1))) for _ in range(4)]
    owner.get(pages[0], 404)
    owner.get(pages[1])
    listed = market.call("GET", "/api/v1/imports", token=market.keys[SHOP]).json()["items"]
    assert not {one["id"] for one in listed} & {page.rpartition("/")[2] for page in pages}
    market.clock.advance(3_601)
    market.rooms.imports.work()
    owner = signed_in(market)
    owner.get(pages[3], 404)
    assert market.call("GET", f"/api/v1/products/{gtin(320)}").status_code == 404


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "products", "file": ("a.csv", b"")}, "required"),
        ({"kind": "products"}, "required"),
        ({"kind": "people", "file": ("a.csv", as_csv(products(330, 1)))}, "Must be one of"),
        ({"kind": "products", "file": ("a.csv", as_csv([["x", "y"], ["1", "2"]]))}, "Columns are missing"),
        ({"kind": "products", "file": ("a.xls", bytes.fromhex("d0cf11e0a1b11ae1") + b"x" * 600)}, "xls"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(market, fields, said):
    owner = signed_in(market)
    owner.get(PATH)
    answer = owner.post(PATH, 422, **fields)
    assert said in answer.text
    assert (fields["kind"] == "people") != ('value="products" checked' in answer.text)


def test_who_finds_others_order_files_before_theirs_is_told_when_to_come_again(market, monkeypatch):
    monkeypatch.setattr(sending, "_turn", OneAtATime("imports_busy", most=0, retry_after_s=8))
    monkeypatch.setattr(sending, "FEW_ASKED", 0)
    owner = signed_in(market, scopes=("events", "codes"))
    sold_at, sent_at = ((market.clock.now() - timedelta(hours=n)).isoformat() for n in (3, 2))
    head = ["order", "gtin", "quantity", "ordered_at", "shipped_at", "carrier", "waybill"]
    row = ["BUSY-1", GTIN, "1", sold_at, sent_at, CARRIER, "TEST66001234"]
    file = ("a.csv", as_csv([head, row]))
    owner.get(PATH)
    with sending._turn:
        answer = owner.post(PATH, 503, kind="shipments", file=file)
    assert answer.headers["retry-after"] == "8"
    assert "Too many order files" in answer.text
    owner.post(PATH, 303, kind="shipments", file=file)


def test_others_see_and_touch_nothing_of_it(market):
    owner = signed_in(market)
    page = planned(owner, "products", as_csv(products(340, 1)))
    rival = signed_in(market, "owner", RIVAL)
    for path in (page, f"{page}/errors.csv"):
        rival.get(path, 404)
    rival.get(PATH)
    assert page not in rival.page
    for do in ("apply", "drop"):
        rival.get(PATH)
        rival.post(page, 404, do=do)
    owner.get(page)
    assert "waits for you" in owner.page
    staff = signed_in(market, "staff", scopes=["events"])
    staff.get(page, 403)
    assert "import-templates/shipments" in staff.get(PATH).text
    assert "import-templates/products" not in staff.page
    staff.post(PATH, 403, kind="products", file=("a.csv", as_csv(products(340, 1))))
    carrier = signed_in(market, "owner", CARRIER)
    assert "import-templates/events" in carrier.get(PATH).text
    assert "import-templates/shipments" not in carrier.page
    carrier.post(PATH, 403, kind="products", file=("a.csv", as_csv(products(340, 1))))
    for who in (("owner", AUTHORITY), ("operator", None)):
        other = signed_in(market, *who)
        assert PATH not in other.get("/desk").text
        other.get(PATH, 403)
    assert market.call("GET", PATH, headers={"Accept": "text/html"}).status_code == 303
    owner.get(PATH)
    owner.post(page, 403, csrf="0" * 64, do="apply")


def test_orders_are_read_by_a_mapping_that_was_remembered(market):
    owner = signed_in(market)
    at = [market.at(-5).replace("T", " ")[:16], market.at(-4).replace("T", " ")[:16]]
    raw = as_csv([ORDERS, ["MP-1", "DY-01", "2", *at, "示例快递", "TEST7700000001", "张三"]])
    owner.get(PATH)
    owner.post(PATH, 422, kind="shipments", file=("o.csv", raw))
    names = zip(
        ("order", "goods", "quantity", "ordered_at", "shipped_at", "carrier", "waybill"),
        ORDERS[:-1],
        strict=True,
    )
    columns = {f"mapping_columns_{field}": header for field, header in names}
    fields = {
        "name": "小店一号",
        "goods": f"DY-01 = {GTIN}",
        "carriers": f"示例快递 = {CARRIER}",
        **columns,
    }
    owner.get(f"{PATH}/mapping")
    for wrong, said in (({"goods": "DY-01"}, "“DY-01”: it has no"), ({"name": ""}, "required")):
        answer = owner.post(f"{PATH}/mapping", 422, **{**fields, **wrong})
        assert said in answer.text
        assert 'value="件数"' in answer.text
    owner.post(f"{PATH}/mapping", **fields)
    assert "DY-01 = " in owner.get(f"{PATH}/mapping?name=小店一号").text
    page = planned(owner, "shipments", raw, mapping="shipments/小店一号")
    assert figures(owner)["New"] == 1
    assert "张三".encode() not in market.stored_bytes()
    owner.post(page, do="apply")
    owner.get(page)
    assert (figures(owner)["New"], figures(owner)["Refused"]) == (1, 0)
    rival = signed_in(market, "owner", RIVAL)
    assert "小店一号" not in rival.get(f"{PATH}/mapping").text
    rival.get(f"{PATH}/mapping?name=小店一号", 404)
    owner.get(f"{PATH}/mapping")
    owner.post(f"{PATH}/mapping", name="小店一号", do="forget")
    owner.get(f"{PATH}/mapping?name=小店一号", 404)


@pytest.mark.parametrize(
    ("lang", "title"), [("zh", "文件怎么读"), ("en", "How your files are read")]
)
def test_orders_of_unknown_goods_and_carriers_lead_to_the_page_that_says_what_they_are(
    market, lang, title
):
    owner = signed_in(market)
    head = ["订单号", "商品条码", "数量", "下单时间", "发货时间", "快递公司", "快递单号"]
    at = [market.at(-5).replace("T", " ")[:16], market.at(-4).replace("T", " ")[:16]]
    rows = [
        ["MW-1", "端砚礼盒", "1", *at, "顺路快运", "TEST7800000001"],
        ["MW-2", GTIN, "1", *at, "顺路快运", "TEST7800000002"],
    ]
    planned(owner, "shipments", as_csv([head, *rows]), lang=lang)
    faults = re.findall(r"<tr><th scope=.row..*?</tr>", owner.page)
    told = [re.sub("<.*?>", "", one) for one in faults]
    assert len(told) == 2
    assert ("端砚礼盒" in told[0], "顺路快运" in told[1]) == (True, True)
    for fault, words in zip(faults, told, strict=True):
        # The page is named by its title, and neither the API's words nor a path are.
        assert re.search(rf'<a href="/desk/imports/mapping[^"]*">{title}</a>', fault)
        assert not [word for word in ("mapping", "goods", "POST", "/desk") if word in words]
    to = re.search(r'href="(/desk/imports/mapping[^"]*)"', faults[1])
    assert to is not None
    assert 'name="carriers"' in owner.get(to[1]).text


def test_a_large_file_shows_how_far_it_is_without_a_script(market):
    owner = signed_in(market)
    page = planned(owner, "products", as_csv(products(10_000, 1_900)))
    owner.post(page, do="apply")
    job = page.rpartition("/")[2]
    owner.get(page)
    if ">running<" in owner.page:  # a fast machine has it done by now
        assert '<noscript><meta http-equiv="refresh"' in owner.page
        assert "of 1900 done" in owner.page
    while market.rooms.imports.work_on(job):
        pass
    owner.get(page)
    assert figures(owner)["New"] == 1_900
    assert "http-equiv" not in owner.page
