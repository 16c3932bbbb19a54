"""Spreadsheets over HTTP: dry run, apply, again, faults in the reader's language, and what is not kept."""

from __future__ import annotations

import json

import httpx
import pytest

from app.imports import importstore
from app.imports.mapping import Layout
from app.ledger.submission import Effect
from app.trace.bulk import Bulk, NewProduct
from app.trace.secret_index import SecretIndex
from tests.imports.sheets import as_csv, as_xlsx, gtin
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import AUTHORITY, GTIN, RIVAL, told

HEAD = ["商品条码", "商品名称", "类别", "品牌"]


def send(
    market, kind: str, raw: bytes, *, by: str = SHOP, query: str = "", lang: str = "en", **form
):
    return market.call(
        "POST", f"/api/v1/{kind}/import{query}", token=market.keys[by],
        files={"file": ("a.csv", raw)}, data=form, headers={"Accept-Language": lang},
    )  # fmt: skip


def counts(answer) -> tuple[int, int, int, int]:
    body = answer.json()
    return tuple(body[name] for name in ("created", "unchanged", "skipped", "refused"))


def test_a_file_is_planned_applied_and_changes_nothing_the_second_time(market):
    rows = [HEAD, *([gtin(n), f"商品{n}", "日用消费品", ""] for n in range(100, 130))]
    rows.insert(5, ["", "", "", ""])
    raw = as_csv(rows, encoding="gbk")
    before = market.count_rows()
    planned = send(market, "products", raw, query="?dry_run=true")
    assert planned.status_code == 200, planned.text
    assert planned.json()["status"] == "planned"
    assert planned.json()["file"]["encoding"] == "GB18030"
    assert counts(planned) == (30, 0, 0, 0)
    assert market.count_rows() == before
    done = send(market, "products", raw)
    assert (done.status_code, done.json()["status"], counts(done)) == (200, "done", (30, 0, 0, 0))
    again = send(market, "products", raw)
    assert counts(again) == (0, 30, 0, 0)
    shown = market.ask("GET", f"/api/v1/products/{gtin(105)}")
    assert (shown["name"], shown["category"]) == ("商品105", "consumer_goods")


def test_a_faulty_row_names_its_cell_and_spares_its_neighbours(market):
    rows = [
        HEAD,
        [gtin(200), "好的", "食品", ""],
        [gtin(201)[:-1] + str((int(gtin(201)[-1]) + 1) % 10), "校验码错", "食品", ""],
        ["6.90E+12", "科学计数", "食品", ""],
        [gtin(202), "", "食品", ""],
        [gtin(203), "类别错", "好东西", ""],
        [gtin(200), "矛盾", "食品", ""],
    ]
    raw = as_csv(rows, encoding="utf-8-sig")
    planned, done = (
        send(market, "products", raw, query="?dry_run=true"),
        send(market, "products", raw),
    )
    for answer in (planned, done):
        assert counts(answer) == (1, 0, 0, 5)
        errors = answer.json()["errors"]
        assert [(e["row"], e["field"], e["column"], e["kind"]) for e in errors] == [
            (3, "gtin", "商品条码", "check_digit"),
            (4, "gtin", "商品条码", "excel_exponent"),
            (5, "name", "商品名称", "missing"),
            (6, "category", "类别", "enum"),
            (7, "", "", "twice_differs"),
        ]
        assert all(e["msg"] for e in errors)
        assert errors[1]["value"] == "6.90E+12"
        assert errors[0]["expected"]
    zh = send(market, "products", raw, query="?dry_run=true", lang="zh").json()["errors"]
    assert "科学计数" in zh[1]["msg"]
    assert zh[3]["msg"].startswith("只能是其中之一：食用农产品、食品、药品、")
    assert "_" not in zh[3]["msg"]
    csv_ = market.call("GET", done.json()["links"]["errors_csv"], token=market.keys[SHOP])
    lines = csv_.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "row,column,value,reason,expected"
    assert len(lines) == 6
    listed = market.ask(
        "GET", done.json()["links"]["rows"] + "?outcome=refused", token=market.keys[SHOP]
    )
    assert [row["row"] for row in listed["items"]] == [3, 4, 5, 6, 7]


def test_what_differs_from_what_is_registered_is_refused_and_nothing_overwritten(market):
    one = gtin(300)
    assert counts(send(market, "products", as_csv([HEAD, [one, "原名", "食品", ""]]))) == (
        1,
        0,
        0,
        0,
    )
    changed = send(market, "products", as_csv([HEAD, [one, "新名", "食品", ""]]))
    assert counts(changed) == (0, 0, 0, 1)
    assert "other content in: Name." in changed.json()["errors"][0]["msg"]
    assert market.ask("GET", f"/api/v1/products/{one}")["name"] == "原名"
    theirs = send(market, "products", as_csv([HEAD, [one, "别名", "食品", ""]]), by=RIVAL)
    assert counts(theirs) == (0, 1, 0, 0)
    assert [w["kind"] for w in theirs.json()["warnings"]] == ["differs"]
    assert "other content in Name;" in theirs.json()["warnings"][0]["msg"]


def test_goods_without_a_gtin_are_registered_once(market):
    raw = as_csv([["名称", "分类"], ["散装陈皮", "食用农产品"], ["散装陈皮", "食用农产品"]])
    assert counts(send(market, "products", raw)) == (1, 1, 0, 0)
    assert counts(send(market, "products", raw)) == (0, 2, 0, 0)


def test_two_processes_at_one_job_register_goods_without_a_gtin_once(market):
    # Neither sees yet what the other is about to record: as one call that has the same goods twice.
    rooms = market.rooms
    recorder, catalogue = rooms.recorder, rooms.catalogue
    index = SecretIndex(rooms.keyring.subkey("test-index"))
    bulk = Bulk(rooms.database, recorder, catalogue, clock=market.clock, index=index)
    facts = {"name": "散装莲子", "category": "food"}
    mark = Effect("import_row", {"job": "none", "n": 0})
    ones = [NewProduct(None, facts, claim=False, effect=mark) for _ in range(2)]
    taken = bulk.register_products(rooms.imports.acting_for(SHOP), ones)
    assert [one.is_new for one in taken] == [True, False]


def test_lots_by_workbook_with_excels_dates(market):
    import datetime as dt

    rows = [
        ["批号", "条码", "生产日期", "有效期至", "数量"],
        ["L-1", int(GTIN), dt.date(2026, 9, 5), 46635, 500],
        ["L-2", GTIN[1:], "2026年9月5日", "2027/9/4", "1,000"],
        ["L-3", GTIN, "5/9/2026", "", ""],
        ["L-4", GTIN, "2026-09-05", "2026-09-01", ""],
        ["L-5", gtin(999), "", "", ""],
    ]
    done = send(market, "lots", as_xlsx(rows))
    assert counts(done) == (2, 0, 0, 3), done.text
    assert [(e["row"], e["field"], e["kind"]) for e in done.json()["errors"]] == [
        (4, "produced_on", "day_order"), (5, "expires_on", "range"), (6, "", "code-unknown"),
    ]  # fmt: skip
    lot = market.ask("GET", f"/api/v1/lots/{GTIN}/L-1")
    assert (lot["produced_on"], lot["expires_on"]) == ("2026-09-05", "2027-09-05")
    assert counts(send(market, "lots", as_xlsx(rows))) == (0, 2, 0, 3)
    rows[1][4] = 501  # sealed: nobody but the recorder can tell
    again = send(market, "lots", as_xlsx(rows[:2]))
    assert counts(again) == (0, 0, 0, 1)
    assert "L-1" in again.json()["errors"][0]["msg"]


PDD = [
    "商品", "订单号", "订单状态", "商品数量(件)", "收货人", "手机", "省", "市", "区", "街道", "订单成交时间",
    "发货时间", "商家编码-规格维度", "快递单号", "快递公司",
]  # fmt: skip
BUYER, PHONE, STREET = "张三丰", "19900000017", "端州路一百号"


def order(
    number: str,
    code: str,
    *,
    count: int = 1,
    waybill: str = "TEST0000000777",
    status: str = "已发货",
):
    # The market's clock: orders are told in China's time, before now.
    return ["端砚", number, status, count, BUYER, PHONE, "广东省", "肇庆市", "端州区", STREET,
            ORDERED, SHIPPED, code, waybill, "示例快递"]  # fmt: skip


# As long as theirs are: three letters stand somewhere in so many random bytes.
NUMBER = "261120-160455102330001"
ORDERED, SHIPPED = "2026-11-20 10:30:00", "2026-11-20 16:00:00"


@pytest.fixture(autouse=True)
def _times(market):
    global ORDERED, SHIPPED
    ORDERED, SHIPPED = (
        market.at(-30)[:19].replace("T", " ") + "Z",
        market.at(-2)[:19].replace("T", " ") + "Z",
    )


def test_goods_that_are_not_on_record_are_told_beside_a_rows_other_faults(market):
    """Told one after the other, a file of thousands would be mended and sent again for each kind."""
    head = ["订单号", "商家编码", "批号", "数量", "下单时间", "发货时间", "快递公司", "快递单号"]
    row = ["P-1", gtin(777), "", "0", ORDERED, SHIPPED, "示例快递", "TEST0000000001"]
    for wrong, kinds in [
        (row, ["range", "code-unknown"]),
        (["P-1", GTIN, "NONE-1", *row[3:]], ["range", "code-unknown"]),
    ]:
        for query in ("?dry_run=true", ""):
            told = send(market, "shipments", as_csv([head, wrong]), query=query).json()["errors"]
            assert [(one["row"], one["kind"]) for one in told] == [(2, kind) for kind in kinds]


def test_a_lot_of_goods_that_are_not_on_record_is_told_so_beside_its_other_faults(market):
    rows = [["商品条码", "批号", "生产日期"], [gtin(778), "L-1", "昨天"]]
    told = send(market, "lots", as_csv(rows), query="?dry_run=true").json()["errors"]
    assert [one["kind"] for one in told] == ["day_form", "code-unknown"]


def test_an_order_export_ships_and_nothing_of_the_buyer_is_kept(market):
    rows = [PDD, order(NUMBER, "DY-01", count=2), order(NUMBER, GTIN), order("P-2", GTIN, waybill=""),
            order("P-3", GTIN, status="已取消"), order("P-4", "NOBODY")]  # fmt: skip
    raw = as_csv(rows, encoding="gb18030")
    mapping = json.dumps({"goods": {"DY-01": GTIN}, "carriers": {"示例快递": CARRIER}})
    planned = send(market, "shipments", raw, query="?dry_run=true", mapping=mapping)
    assert planned.status_code == 200, planned.text
    assert planned.json()["file"]["preset"] == "pinduoduo"
    assert counts(planned) == (2, 0, 2, 1)
    done = send(market, "shipments", raw, mapping=mapping, mapping_name="shop")
    assert counts(done) == (2, 0, 2, 1), done.text
    assert [(e["row"], e["field"], e["kind"]) for e in done.json()["errors"]] == [
        (6, "goods", "unknown_goods")
    ]
    kept = market.stored_bytes()
    for private in (BUYER, PHONE, STREET):
        assert private.encode() not in kept
    assert NUMBER.encode() not in kept
    again = send(market, "shipments", raw, mapping_name="shop")
    assert counts(again) == (0, 2, 2, 1)
    found = market.ask("GET", f"/api/v1/products/{GTIN}")
    assert found
    changed = [PDD, order(NUMBER, "DY-01", count=3)]
    for query in ("?dry_run=true", ""):
        refused = send(market, "shipments", as_csv(changed), query=query, mapping_name="shop")
        assert counts(refused) == (0, 0, 0, 1)
        assert NUMBER in refused.json()["errors"][0]["msg"]


def test_units_are_in_transit_with_carrier_and_city(market):
    (unit,) = market.issue(1)
    raw = as_csv([
        ["订单号", "溯源码", "下单时间", "发货时间", "快递公司", "快递单号", "省份", "城市"],
        ["C-1", unit.code, ORDERED, SHIPPED, CARRIER, "TEST0000000778", "内蒙古自治区", "呼和浩特市"],
    ])  # fmt: skip
    assert counts(send(market, "shipments", raw)) == (1, 0, 0, 0)
    assert market.ask("GET", unit.path)["state"] == "in_transit"
    dispatch = market.ask("GET", f"{unit.path}/events")["items"][-1]["record"]
    assert dispatch["data"] == {"carrier": CARRIER, "to": "150100", "waybill_tail": "0778"}


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("kind", ["products", "lots", "shipments"])
def test_a_template_is_read_back_and_its_example_is_never_imported(market, kind, lang, form):
    got = market.call(
        "GET", f"/api/v1/import-templates/{kind}?format={form}", headers={"Accept-Language": lang}
    )
    assert got.status_code == 200
    before = market.count_rows()
    planned = send(market, kind, got.content, query="?dry_run=true")
    assert planned.status_code == 200, planned.text
    assert counts(planned) == (0, 0, 1, 0)
    assert planned.json()["file"]["ignored_columns"] == 0
    assert market.count_rows() == before


def test_mappings_are_remembered_and_forgotten(market):
    key = market.keys[SHOP]
    path = "/api/v1/import-mappings/products/mine"
    body = {"columns": {"name": "叫什么", "category": "哪一类"}, "defaults": {"origin": "广东"}}
    assert market.ask("PUT", path, body, token=key)["mapping"]["columns"] == body["columns"]
    raw = as_csv([["叫什么", "哪一类"], ["竹扇", "其他"]])
    assert told(send(market, "products", raw))[:2] == (422, "invalid")
    assert counts(send(market, "products", raw, mapping_name="mine")) == (1, 0, 0, 0)
    names = [
        (m["kind"], m["name"])
        for m in market.ask("GET", "/api/v1/import-mappings", token=key)["items"]
    ]
    assert ("products", "mine") in names
    assert not market.ask("GET", "/api/v1/import-mappings", token=market.keys[RIVAL])["items"]
    market.ask("DELETE", path, token=key, status=204)
    assert told(send(market, "products", raw, mapping_name="mine"))[:2] == (404, "not-found")


def test_an_import_is_its_partys_own(market):
    done = send(market, "products", as_csv([HEAD, [gtin(400), "甲", "食品", ""]])).json()
    for by in (RIVAL, AUTHORITY):
        for link in done["links"].values():
            assert told(market.call("GET", link, token=market.keys[by]))[:2] == (404, "not-found")
    assert told(send(market, "products", b"x", by=AUTHORITY))[:2] == (403, "forbidden")
    mine = market.ask("GET", "/api/v1/imports?limit=1", token=market.keys[SHOP])
    assert mine["items"][0]["id"] == done["id"]


def test_a_file_that_is_none_is_refused_with_its_reason(market):
    before = market.count_rows()
    for raw, words in (
        (b"", "empty"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "no table"),
        (as_csv([HEAD]), "no row below"), (as_csv([["甲", "乙"], ["1", "2"]]), "missing"),
        (as_xlsx([HEAD, ["1", "2", "3"]], merge="A2:A3"), "A2:A3"),
        (as_csv([HEAD, *[["", "n", "食品", ""]] * 10_001]), "10000"),
        (as_csv([["名称", "类别", "名称"], ["a", "食品", "b"]]), "Two columns"),
    ):  # fmt: skip
        answer = send(market, "products", raw)
        assert answer.status_code in (413, 422), answer.text
        assert words in answer.json()["detail"], answer.json()["detail"]
    assert market.count_rows() == before


@pytest.mark.parametrize("kind", ["products", "lots", "shipments"])
def test_a_stop_between_record_and_answer_tells_no_row_twice(market, monkeypatch, kind):
    rows = {
        "products": [HEAD, *([gtin(n), "甲", "食品", ""] for n in range(500, 510))],
        "lots": [["条码", "批号"], *([GTIN, f"STOP{n}"] for n in range(10))],
        "shipments": [
            ["订单号", "条码", "数量", "下单时间", "发货时间", "快递公司", "快递单号"],
            *(
                [f"S-{n}", GTIN, "1", ORDERED, SHIPPED, CARRIER, "TEST0000000779"]
                for n in range(10)
            ),
        ],
    }[kind]
    imports = market.rooms.imports
    shop = imports.acting_for(SHOP)
    job = imports.start(shop, kind, as_csv(rows), Layout())

    def lost(*_):
        raise RuntimeError("the machine stopped here")

    with monkeypatch.context() as patched:
        patched.setattr(importstore, "finish_rows", lost)
        with pytest.raises(RuntimeError):
            imports.work_on(job)
    while imports.work_on(job):
        pass
    row, outcomes = imports.job(shop, job)
    assert (row.status, outcomes) == ("done", {"created": 10})


def test_an_order_list_says_once_which_product_is_listed_nowhere(market):
    party = market.newcomer()
    head = ["订单号", "下单时间", "商品条码", "数量", "快递公司", "快递单号", "发货时间"]
    rows = [
        [
            f"N-{n}",
            "2026-11-20 10:00",
            GTIN,
            "1",
            CARRIER,
            f"TEST660000000{n}",
            "2026-11-20 12:00",
        ]
        for n in range(2)
    ]

    def warned() -> list[tuple[int, str, str]]:
        told = send(market, "shipments", as_csv([head, *rows]), by=party, query="?dry_run=true")
        assert counts(told) == (2, 0, 0, 0), told.text
        return [(one["row"], one["kind"], one["column"]) for one in told.json()["warnings"]]

    assert warned() == [(2, "not_listed", "商品条码")]
    for lang, said in (("zh", "先给这个商品登记上架"), ("en", "that the product be listed first")):
        planned = send(market, "shipments", as_csv([head, *rows]), by=party,
                       query="?dry_run=true", lang=lang)  # fmt: skip
        (one,) = planned.json()["warnings"]
        assert said in one["expected"]
        assert "/desk/products" in one["expected"]
    market.send(party, f"01/{GTIN}", "listing", {"platform": "某平台"})
    assert warned() == []


def test_an_order_list_says_once_which_carrier_cannot_sign_and_how_many_rows_it_has(market):
    head = ["订单号", "下单时间", "商品条码", "数量", "快递公司", "快递单号", "发货时间"]
    named = [(CARRIER, GTIN), ("顺路快运", "NOBODY"), ("顺路快运", GTIN), (SHOP, GTIN),
             (market.newcomer(), GTIN), ("示例快递", GTIN), ("顺路快运", GTIN)]  # fmt: skip
    rows = [
        [f"K-{n}", "2026-11-20 10:00", goods, "1", one, f"TEST661000000{n}", "2026-11-20 12:00"]
        for n, (one, goods) in enumerate(named)
    ]
    mapping = json.dumps({"carriers": {"示例快递": CARRIER}})

    def warned(answer: httpx.Response) -> list[tuple[int, str, str, str]]:
        told = answer.json()["warnings"]
        return [(o["row"], o["kind"], o["column"], o["value"]) for o in told]

    nobodies = [
        # Row 3 is refused: nothing is taken there, with a warning or without.
        (4, "no_carrier", "快递公司", "顺路快运"),
        (6, "no_carrier", "快递公司", named[4][0]),
    ]
    raw = as_csv([head, *rows])
    for lang, said, asked in (
        (
            "zh",
            ("只认承运方的统一社会信用代码", "“顺路快运”不是这里经核实的承运方的代码（共 2 行）"),
            "“快递公司”里写明",
        ),
        (
            "en",
            ("by credit code, not by name", "“顺路快运” is not the code", "(2 rows)"),
            "under “Carriers”",
        ),
    ):
        planned = send(market, "shipments", raw, query="?dry_run=true", mapping=mapping, lang=lang)
        assert warned(planned) == nobodies
        first, second = planned.json()["warnings"]
        assert all(words in first["msg"] for words in said)
        assert asked in first["expected"]
        assert "/desk/imports/mapping" in first["expected"]
        assert "2 " not in second["msg"]
    done = send(market, "shipments", raw, mapping=mapping)
    assert (warned(done), counts(done)) == (nobodies, (6, 0, 0, 1))
    # What is sent already is not to be mended by a mapping.
    again = send(market, "shipments", raw, query="?dry_run=true", mapping=mapping)
    assert (warned(again), counts(again)) == ([], (0, 6, 0, 1))
    mapped = json.dumps({"carriers": {"示例快递": CARRIER, "顺路快运": CARRIER}})
    told = send(market, "shipments", raw, query="?dry_run=true", mapping=mapped)
    assert warned(told) == []
