"""The samples of the docs are what their script writes, and what the docs say comes of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from app.imports.goods import plan_product
from app.imports.happenings import plan_events
from app.imports.mapping import Layout
from app.imports.orders import plan_orders
from app.imports.reading import read_grid
from app.imports.sheet import find_sheet
from tests.web.conftest import SHOP

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "samples"


def script():
    spec = importlib.util.spec_from_file_location("samples", ROOT / "scripts" / "samples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_they_are_as_the_script_writes_them(tmp_path):
    script().main(tmp_path)
    for name in ("products-gbk.csv", "orders.csv", "events-gbk.csv"):
        assert (FOLDER / name).read_bytes() == (tmp_path / name).read_bytes()
    # A workbook holds the time of its writing: its cells are compared.
    old, new = (read_grid((folder / "products.xlsx").read_bytes()) for folder in (FOLDER, tmp_path))
    assert old == new


def test_products_are_the_same_from_either_file():
    plans = []
    for name, encoding in (("products-gbk.csv", "GB18030"), ("products.xlsx", None)):
        grid = read_grid((FOLDER / name).read_bytes())
        assert grid.encoding == encoding
        sheet = find_sheet(grid, "products", Layout())
        plans.append([plan_product(row, sheet, SHOP) for row in sheet.rows])
    assert plans[0] == plans[1]
    assert [plan.outcome for plan in plans[0]] == ["created"] * 8
    assert not any(plan.warnings for plan in plans[0])


def test_a_carriers_list_is_read_and_stands_in_the_order_of_its_times():
    grid = read_grid((FOLDER / "events-gbk.csv").read_bytes())
    assert grid.encoding == "GB18030"
    plans = plan_events(find_sheet(grid, "events", Layout()))
    assert [plan.outcome for plan in plans] == ["created"] * 5
    times = [plan.payload["occurred_at"] for plan in plans]
    assert times == sorted(times)
    told = {plan.payload["waybill"]: (plan.payload["type"], plan.payload["data"]) for plan in plans}
    assert told["TEST0026112001"] == ("signature", {"kind": "locker"})
    assert told["TEST0026112004"] == ("refusal", {"reason": "外箱破损"})


def test_the_order_export_is_recognised_and_buyers_are_dropped():
    sheet = find_sheet(read_grid((FOLDER / "orders.csv").read_bytes()), "shipments", Layout())
    assert sheet.preset is not None
    assert sheet.preset.id == "pinduoduo"
    plans = list(plan_orders(sheet, Layout(), SHOP))
    assert [plan.outcome for plan in plans] == ["created"] * 10 + ["skipped"] * 2
    assert {plan.payload["to"] for plan in plans[:10]} == {"440100"}
    assert len({plan.key for plan in plans[:10]}) == 10
    told = repr(plans) + repr(sheet.columns)
    for private in ("示例买家", "19900000000", "天河", "手机", "收货人"):
        assert private not in told
