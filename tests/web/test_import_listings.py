"""Where products are listed, by the spreadsheet: once each, told beforehand, and refused for a reason."""

from __future__ import annotations

import io

import openpyxl
import pytest

from tests.imports.sheets import as_csv, as_xlsx, gtin
from tests.web.conftest import SHOP
from tests.web.market import RIVAL
from tests.web.test_imports_api import counts, send

HEAD = ["商品条码", "商品名称", "类别", "上架平台", "商品链接", "上架标题", "上架时间"]


def listings(market, number: str) -> list[dict]:
    items = market.ask("GET", f"/api/v1/products/0{number}/events")["items"]
    return [one["record"] for one in items if one["record"]["type"] == "listing"]


def row(number: str, platform: str = "", url: str = "", title: str = "", at: str = "") -> list[str]:
    return [number, f"货品{number}", "日用消费品", platform, url, title, at]


@pytest.mark.parametrize("form", ["gbk", "xlsx"])
def test_products_and_their_listings_come_in_one_file_and_once(market, form):
    first = {"gbk": 51_000, "xlsx": 51_100}[form]
    numbers = [gtin(first + n) for n in range(12)]
    rows = [HEAD, *(row(number, "集市甲", title="好货") for number in numbers[:10])]
    rows += [row(numbers[10]), row(numbers[11], url="https://shop.example/11")]
    raw = as_csv(rows, encoding="gbk") if form == "gbk" else as_xlsx(rows)
    before = market.count_rows()
    planned = send(market, "products", raw, query="?dry_run=true").json()
    assert planned["listings"] == {"集市甲": 10, "https://shop.example/11": 1}
    assert market.count_rows() == before
    done = send(market, "products", raw)
    assert (counts(done), done.json()["listings"]) == ((12, 0, 0, 0), planned["listings"])
    (one,) = listings(market, numbers[3])
    assert (one["data"], one["source"]) == ({"platform": "集市甲", "title": "好货"}, "merchant")
    assert listings(market, numbers[10]) == []
    again = send(market, "products", raw)
    assert counts(again) == (0, 12, 0, 0)
    assert "listings" not in again.json()
    assert [len(listings(market, number)) for number in numbers] == [1] * 10 + [0, 1]


def test_another_place_is_a_further_listing_and_a_known_product_needs_no_second_row(market):
    number = gtin(51_200)
    assert counts(send(market, "products", as_csv([HEAD, row(number)]))) == (1, 0, 0, 0)
    both = as_csv([HEAD, row(number, "集市甲"), row(number, "集市乙", at="2026-01-05 10:30")])
    assert counts(send(market, "products", both)) == (2, 0, 0, 0)
    found = listings(market, number)
    assert [one["data"]["platform"] for one in found] == ["集市甲", "集市乙"]
    assert found[1]["occurred_at"] == "2026-01-05T02:30:00.000Z"
    # What was listed by hand is known; the title that is new there is told.
    titled = as_csv(
        [HEAD, row(number, "集市甲", title="新题"), row(number, "集市甲", title="新题")]
    )
    assert counts(send(market, "products", titled)) == (1, 1, 0, 0)
    assert counts(send(market, "products", both)) == (0, 2, 0, 0)
    assert len(listings(market, number)) == 3


def test_what_was_taken_off_is_listed_again(market):
    number = gtin(51_210)
    raw = as_csv([HEAD, row(number, "集市甲")])
    for round_ in (1, 2):
        assert counts(send(market, "products", raw)) == (1, 0, 0, 0)
        assert counts(send(market, "products", raw)) == (0, 1, 0, 0)
        market.send(SHOP, f"01/0{number}", "listing", {"platform": "集市甲", "ended": True})
        assert len(listings(market, number)) == 2 * round_


def test_a_listing_that_cannot_be_refuses_its_row_wholly_and_says_why(market):
    drug, bad, alone, twice = (gtin(51_220 + n) for n in range(4))
    rows = [
        HEAD,
        [drug, "某药", "药品", "集市甲", "", "", ""],
        row(bad, url="shop.example"),
        row(alone, title="只有标题"),
        row(twice, "集市甲", title="一"),
        row(twice, "集市甲", title="二"),
    ]
    for query in ("?dry_run=true", ""):
        answer = send(market, "products", as_csv(rows), query=query, lang="zh")
        assert counts(answer) == (1, 0, 0, 4), answer.text
        errors = answer.json()["errors"]
        assert [(one["row"], one["field"], one["kind"]) for one in errors] == [
            (2, "platform", "licence-missing"),
            (3, "url", "url"),
            (4, "platform", "missing"),
            (6, "", "twice_differs"),
        ]
        assert "“药品”类" in errors[0]["msg"]
        assert errors[0]["column"] == "上架平台"
        assert "药品经营许可证" in errors[0]["msg"]
        assert "平台或链接" in errors[2]["msg"]
    assert market.call("GET", f"/api/v1/products/0{drug}").status_code == 404
    # Left out, the product itself is registered.
    named = as_csv([HEAD, [drug, "某药", "药品", "", "", "", ""]])
    assert counts(send(market, "products", named)) == (1, 0, 0, 0)


def test_a_listing_of_the_future_is_blamed_on_its_time_and_said_in_chinas(market):
    number = gtin(51_260)
    rows = [HEAD, row(number, "集市甲", at="2030-01-05 10:30")]
    for query in ("?dry_run=true", ""):
        answer = send(market, "products", as_csv(rows), query=query, lang="zh")
        (error,) = answer.json()["errors"]
        assert (error["field"], error["kind"], error["column"]) == (
            "listed_at", "future_time", "上架时间",
        )  # fmt: skip
        assert "2030-01-05 10:30" in error["msg"]
        assert "Z" not in error["msg"]


def test_goods_without_a_gtin_and_others_products_are_listed_too(market):
    item = as_csv([["名称", "分类", "平台"], ["散装糕点", "食品", "集市丙"]])
    assert send(market, "products", item, by=RIVAL).json()["refused"] == 1  # no licence for food
    item = as_csv([["名称", "分类", "平台"], ["手编竹匾", "其他", "集市丙"]])
    made = send(market, "products", item, by=RIVAL)
    assert counts(made) == (1, 0, 0, 0), made.text
    assert counts(send(market, "products", item, by=RIVAL)) == (0, 1, 0, 0)
    found = market.ask("GET", f"/api/v1/products?seller={RIVAL}&q=手编竹匾")["items"]
    shown = market.ask("GET", f"/api/v1/products/{found[0]['gtin']}/events")["items"]
    assert [one["record"]["type"] for one in shown] == ["registration", "listing"]
    number = gtin(51_230)
    assert counts(send(market, "products", as_csv([HEAD, row(number)]))) == (1, 0, 0, 0)
    theirs = as_csv([HEAD, row(number, "集市丙")])
    assert counts(send(market, "products", theirs, by=RIVAL)) == (1, 0, 0, 0)
    assert [one["actor"] for one in listings(market, number)] == [RIVAL]


def test_a_key_without_events_lists_nothing_and_registers_all_the_same(market):
    token = market.key_of(SHOP, "products")
    number = gtin(51_240)

    def answer(raw: bytes):
        return market.call(
            "POST", "/api/v1/products/import", token=token, files={"file": ("a.csv", raw)}
        )

    assert answer(as_csv([HEAD, row(number, "集市甲")])).status_code == 403
    assert counts(answer(as_csv([HEAD, row(number)]))) == (1, 0, 0, 0)


def test_the_template_has_the_columns_and_its_example_is_skipped(market):
    for lang, name in (("zh", "上架平台"), ("en", "listed on")):
        answer = market.call(
            "GET",
            "/api/v1/import-templates/products?format=xlsx",
            headers={"Accept-Language": lang},
        )
        sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
        assert name in [cell.value for cell in sheet[1]]
        assert counts(send(market, "products", answer.content)) == (0, 0, 1, 0)


def test_a_lots_listing_at_the_place_is_none_of_the_product(market):
    number = gtin(51_290)
    assert counts(send(market, "products", as_csv([HEAD, row(number)]))) == (1, 0, 0, 0)
    # Of the rival's record of the product and of the shop's of its lot the numbers are the same.
    market.send(RIVAL, f"01/0{number}", "listing", {"platform": "集市丁"})
    lot = market.lot("L-DING", gtin=f"0{number}")
    market.send(SHOP, lot, "listing", {"platform": "集市丁"})
    raw = as_csv([HEAD, row(number, "集市丁")])
    assert counts(send(market, "products", raw)) == (1, 0, 0, 0)
    assert [one["actor"] for one in listings(market, number)] == [RIVAL, SHOP]
    assert counts(send(market, "products", raw)) == (0, 1, 0, 0)
