"""Order exports: which shop's it is, lines of an order, ids that come out the same, nothing of the buyer."""

from __future__ import annotations

import random

import pytest

from app.imports.mapping import Layout, presets, read_mapping
from app.imports.orders import plan_orders
from app.imports.reading import read_grid
from app.imports.sheet import find_sheet
from app.kit.errors import Invalid
from tests.imports.sheets import as_csv, gtin
from tests.web.conftest import CARRIER, SHOP

A, B = gtin(1), gtin(2)
HEAD = ["订单号", "商家编码", "数量", "下单时间", "发货时间", "快递公司", "快递单号"]
AT = ["2026-11-20 10:30", "2026-11-20 16:00", "示例快递", "TEST0000000001"]


def plans(rows, layout: Layout | None = None, *, party: str = SHOP):
    layout = layout or Layout()
    sheet = find_sheet(read_grid(as_csv(rows)), "shipments", layout)
    return list(plan_orders(sheet, layout, party)), sheet


def outcomes(rows, layout: Layout | None = None):
    """What comes of rows of which nothing is on record."""
    found, _ = plans(rows, layout)
    new = [p.refused() if p.late else p for p in found]
    return [(p.outcome, [(e.field, e.kind) for e in p.problems]) for p in new]


def test_what_stands_once_an_order_holds_for_its_further_rows():
    rows = [HEAD, ["O-1", A, 1, *AT], ["O-1", B, 2, "", "", "", ""], ["O-2", A, 1, "", "", "", ""]]
    one, two, three = plans(rows)[0]
    assert two.payload["waybill"] == one.payload["waybill"] == "TEST0000000001"
    assert two.payload["ordered_at"] == "2026-11-20T02:30:00.000Z"
    assert (two.payload["gtin"], two.payload["quantity"]) == (f"0{B}", 2)
    assert three.outcome == "skipped"


def test_ids_follow_from_party_order_and_line_in_whatever_order_rows_come():
    rows = [["O-1", A, 1, *AT], ["O-1", B, 1, *AT], ["O-1", A, 1, *AT], ["O-2", A, 1, *AT]]
    first = [plan.payload["id"] for plan in plans([HEAD, *rows])[0]]
    assert len(set(first)) == 4
    mixed = rows[:]
    random.Random(7).shuffle(mixed)
    assert {plan.payload["id"] for plan in plans([HEAD, *mixed])[0]} == set(first)
    assert not {plan.payload["id"] for plan in plans([HEAD, *rows], party=CARRIER)[0]} & set(first)
    # A changed waybill is the same line, never a second shipment.
    changed = [["O-1", A, 1, *AT[:3], "TEST0000000002"]]
    assert plans([HEAD, *changed])[0][0].payload["id"] == first[0]
    numbered = [[*HEAD, "子订单编号"], ["O-1", A, 1, *AT, "7"], ["O-1", A, 1, *AT, "8"]]
    assert len({plan.payload["id"] for plan in plans(numbered)[0]}) == 2


def test_goods_carriers_and_defaults_come_from_the_layout():
    told = {
        "goods": {"砚": f"{A}/L1", "盒": B}, "carriers": {"示例快递": CARRIER},
        "defaults": {"platform": "示例商城", "shipped_at": "2026-11-21 09:00"},
    }  # fmt: skip
    rows = [
        [n for n in HEAD if n != "发货时间"],
        ["O-1", "砚", 1, AT[0], *AT[2:]],
        ["O-1", "盒", 1, AT[0], *AT[2:]],
    ]
    one, two = plans(rows, read_mapping("shipments", told))[0]
    assert (one.payload["gtin"], one.payload["lot"]) == (f"0{A}", "L1")
    assert "lot" not in two.payload
    assert {p.payload["carrier"] for p in (one, two)} == {CARRIER}
    assert one.payload["shipped_at"] == "2026-11-21T01:00:00.000Z"
    assert one.payload["platform"] == "示例商城"


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({1: "端砚"}, [("goods", "unknown_goods")]),
        ({1: A[:-1] + "x"}, [("goods", "not_gtin")]),
        ({2: "0"}, [("quantity", "range")]),
        ({2: "501"}, [("quantity", "range")]),
        ({3: "昨天"}, [("ordered_at", "moment_form")]),
        ({4: "2026-11-19"}, [("shipped_at", "range")]),
        ({5: ""}, [("carrier", "missing")]),
        ({5: CARRIER[:-1] + "0"}, [("carrier", "check_digit")]),
        ({6: "7.31E+14"}, [("waybill", "excel_exponent")]),
        ({6: "单号12345678"}, [("waybill", "charset")]),
        ({0: ""}, [("order", "missing")]),
    ],
)
def test_a_wrong_cell_is_named(change, problems):
    row = ["O-1", A, "1", *AT]
    for place, value in change.items():
        row[place] = value
    assert outcomes([HEAD, row]) == [("refused", problems)]


@pytest.mark.parametrize(
    ("change", "problems"),
    [
        ({1: "端砚", 2: "0"}, [("quantity", "range"), ("goods", "unknown_goods")]),
        ({1: "端砚", 2: ""}, [("quantity", "missing"), ("goods", "unknown_goods")]),
        ({1: "", 2: "0"}, [("goods", "missing"), ("quantity", "range")]),
        (
            {1: "端砚", 3: "昨天", 6: "单号12345678"},
            [("waybill", "charset"), ("ordered_at", "moment_form"), ("goods", "unknown_goods")],
        ),
        (
            {5: CARRIER[:-1] + "0", 6: "单号12345678"},
            [("waybill", "charset"), ("carrier", "check_digit")],
        ),
    ],
)
def test_all_wrong_cells_of_a_row_are_named_at_once(change, problems):
    row = ["O-1", A, "1", *AT]
    for place, value in change.items():
        row[place] = value
    assert outcomes([HEAD, row]) == [("refused", problems)]


def test_a_wrong_lot_is_named_beside_goods_that_nothing_says_which_they_are():
    rows = [[*HEAD, "批号"], ["O-1", "端砚", "1", *AT, "L" * 21]]
    assert outcomes(rows) == [("refused", [("goods", "unknown_goods"), ("lot", "length")])]


def test_of_a_wrong_code_on_the_unit_nobody_asks_for_goods_beside_it():
    rows = [[*HEAD, "追溯码"], ["O-1", "", "", *AT, "no code"]]
    ((outcome, problems),) = outcomes(rows)
    assert (outcome, {field for field, _ in problems}) == ("refused", {"codes"})


def preset_rows(name: str, **cells: str) -> list[list[str]]:
    preset = next(one for one in presets() if one.id == name)
    head = list(dict.fromkeys([*preset.needs, *cells, "收货人姓名", "联系手机"]))
    return [head, [cells.get(header, "王小二 19900000001") for header in head]]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("taobao", {"订单编号": "T-1", "宝贝标题": "砚", "宝贝总数量": "1", "物流单号": "TEST0000000001",
                    "物流公司": "示例快递", "订单付款时间": AT[0], "发货时间": AT[1],
                    "订单状态": "卖家已发货",
                    "收货地址": "广东省 肇庆市 端州区 某路 1 号"}),
        ("pinduoduo", {"订单号": "T-1", "商品数量(件)": "1", "快递单号": "TEST0000000001",
                       "快递公司": "示例快递", "订单成交时间": AT[0], "发货时间": AT[1],
                       "商家编码-规格维度": "砚", "省": "广东省", "市": "肇庆市"}),
        ("douyin", {"主订单编号": "T-1", "子订单编号": "T-1", "商品数量": "1", "订单提交时间": AT[0],
                    "商家编码": "砚", "发货时间": AT[1], "快递信息": "TEST0000000001-示例快递", "省": "广东",
                    "市": "肇庆"}),
        ("shopify", {"Name": "T-1", "Lineitem quantity": "1", "Lineitem sku": "砚", "Created at": AT[0],
                     "Fulfilled at": AT[1], "Tracking Number": "TEST0000000001",
                     "Tracking Company": "示例快递", "Financial Status": "paid"}),
    ],
)  # fmt: skip
def test_a_shops_export_is_recognised_and_its_buyers_are_not(name, cells):
    found, sheet = plans(preset_rows(name, **cells), Layout(goods={"砚": A}))
    assert sheet.preset is not None
    assert sheet.preset.id == name
    (plan,) = found
    assert plan.outcome == "created", plan
    kept = {n: plan.payload[n] for n in ("order", "waybill", "carrier", "gtin", "quantity")}
    assert kept == {"order": "T-1", "waybill": "TEST0000000001", "carrier": "示例快递",
                    "gtin": f"0{A}", "quantity": 1}  # fmt: skip
    assert plan.payload.get("to") == (None if name == "shopify" else "441200")
    for private in ("王小二", "19900000001", "某路", "端州"):
        assert private not in repr(plan)


def test_no_preset_is_seen_where_its_headers_are_not_all_there():
    assert plans([HEAD, ["O-1", A, 1, *AT]])[1].preset is None


def test_orders_that_ended_or_are_not_sent_are_skipped():
    head = [*HEAD, "订单状态"]
    rows = [head, ["O-1", A, 1, *AT, "交易关闭"], ["O-2", A, 1, *AT[:3], "", "待发货"],
            ["O-3", A, 1, *AT, "退款成功"], ["O-4", A, 1, *AT, "已发货"]]  # fmt: skip
    assert [outcome for outcome, _ in outcomes(rows)] == ["skipped"] * 3 + ["created"]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ([], "type"), ({"x": {}}, "unknown_field"), ({"columns": []}, "type"),
        ({"columns": {"buyer": "收货人"}}, "unknown_field"), ({"goods": {"a": 5}}, "type"),
        ({"goods": {"a": ""}}, "length"), ({"goods": {"a": "b\x00"}}, "control"),
    ],
)  # fmt: skip
def test_a_layout_that_is_none_is_refused_at_its_place(told, kind):
    with pytest.raises(Invalid) as caught:
        read_mapping("shipments", told)
    assert [error.kind for error in caught.value.errors] == [kind]


@pytest.mark.parametrize(
    ("beside", "problems"),
    [
        ({}, None),
        ({"商家编码": A, "数量": 2, "批号": "L1"}, None),
        ({"商家编码": "砚", "数量": ""}, None),  # nothing explains the shop's own word
        ({"商家编码": B}, [("codes", "codes_goods")]),
        ({"商家编码": "盒"}, [("codes", "codes_goods")]),
        ({"商家编码": A, "数量": 3}, [("quantity", "codes_count")]),
        ({"数量": 1}, [("quantity", "codes_count")]),
        ({"数量": "两"}, [("quantity", "whole_number")]),
        ({"批号": "L2"}, [("codes", "codes_lot")]),
        ({"商家编码": "砚二"}, [("codes", "codes_lot")]),
        ({"商家编码": A[:-1] + str((int(A[-1]) + 1) % 10)}, [("goods", "check_digit")]),
        ({"商家编码": "2023041500"}, None),  # a shop's own number, of which many are as long
        ({"商家编码": "96385074"}, None),  # and some of those by chance a GTIN-8
        ({"数量": '=""'}, None),  # an empty cell, as Excel writes one
        (
            {"商家编码": B, "数量": 1, "批号": "L2"},
            [("codes", "codes_goods"), ("codes", "codes_lot"), ("quantity", "codes_count")],
        ),
    ],
)
def test_what_a_row_says_beside_codes_is_what_they_say(beside, problems):
    layout = Layout(goods={"盒": B, "砚二": f"{A}/L2"}, defaults={"quantity": "1"})
    codes = f"https://id.example/01/0{A}/10/L1/21/S1 01/0{A}/21/S2"
    head = [*HEAD, "批号", "追溯码"]
    cells = dict.fromkeys(head, "") | dict(zip(HEAD[3:], AT, strict=True)) | {"订单号": "O-1"}
    row = [(cells | {"追溯码": codes} | beside)[name] for name in head]
    (found,) = outcomes([head, row], layout)
    assert found == (("created", []) if problems is None else ("refused", problems))
    # What stands beside codes makes no other line of the order.
    bare = plans([head, [(cells | {"追溯码": codes})[name] for name in head]])[0][0]
    if problems is None:
        assert plans([head, row], layout)[0][0].payload == bare.payload


def test_codes_of_two_products_stand_beside_neither():
    head = [*HEAD, "追溯码"]
    codes = f"01/0{A}/21/S1 01/0{B}/21/S2"
    rows = [["O-1", told, "", *AT, codes] for told in (A, B, "")]
    refused = ("refused", [("codes", "codes_goods")])
    assert outcomes([head, *rows]) == [refused, refused, ("created", [])]
