"""Writes the sample spreadsheets of docs/samples: products in GBK and as a workbook, orders, what arrived.

Everything in them is made up: GTINs of the textbook's prefix, nobody's name, waybills that no carrier has.
`tests/imports/test_samples.py` reads them and compares them with what this writes.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

from app.imports.export import write_xlsx
from app.trace.gtin import gtin_check_digit

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "samples"
_HEAD = ["商品条码", "商品名称（必填）", "类别（必填）", "品牌", "规格", "产地", "执行标准"]
_GOODS = [
    ("肇庆裹蒸粽（示例）", "食品", "示例", "6 只装", "广东肇庆", "SB/T 10377"),
    ("鼎湖山泉水（示例）", "食品", "示例", "550 mL", "广东肇庆", ""),
    ("端砚文房礼盒（示例）", "日用消费品", "示例", "1 盒", "广东肇庆", ""),
    ("封开油栗（示例）", "食用农产品", "示例", "500 g", "广东封开", ""),
    ("德庆贡柑（示例）", "食用农产品", "示例", "2.5 kg", "广东德庆", ""),
    ("怀集竹编果篮（示例）", "日用消费品", "示例", "1 个", "广东怀集", ""),
    ("广宁竹香皂（示例）", "日用消费品", "示例", "3 块", "广东广宁", ""),
    ("四会砂糖桔（示例）", "食用农产品", "示例", "2.5 kg", "广东四会", ""),
]
# The headers of an order export as a shop downloads it, with columns that are never read.
_ORDER_HEAD = [
    "商品", "订单号", "订单状态", "商品总价(元)", "商品数量(件)", "收货人", "手机", "省", "市", "区",
    "订单成交时间", "发货时间", "商品id", "商家编码-规格维度", "快递单号", "快递公司",
]  # fmt: skip
_EVENT_HEAD = ["运单号", "物流状态", "操作时间", "签收方式", "原因"]


def gtin(n: int) -> str:
    """Returns a GTIN-13 that a sample product has."""
    body = f"6901234999{n:02}"
    return body + gtin_check_digit(body)


def products() -> list[list[str]]:
    """Returns the rows of the sample spreadsheet of products."""
    return [_HEAD, *([gtin(n), *goods] for n, goods in enumerate(_GOODS))]


def orders() -> list[list[str]]:
    """Returns the rows of the sample order export."""
    rows = []
    for n in range(12):
        sent = n != 10
        status = "已取消" if n == 11 else "已发货，待收货" if sent else "待发货"
        name = _GOODS[n % len(_GOODS)][0]
        rows.append([
            name, f"261120-{n // 2:04}", status, "59.00", str(1 + n % 3), "（示例买家）", "19900000000",
            "广东省", "广州市", "天河区", f"2026-11-20 1{n % 10}:05:00",
            "2026-11-21 09:30:00" if sent else "", f"70000{n}", gtin(n % len(_GOODS)),
            f"TEST{26112000 + n // 2:010}" if sent else "", "示例快递" if sent else "",
        ])  # fmt: skip
    return [_ORDER_HEAD, *rows]


def events() -> list[list[str]]:
    """Returns the rows of a carrier's list: what became of the sample's parcels, the newest first."""
    rows = [
        [f"TEST{26112000 + n:010}", "已签收", f"2026-11-2{3 + n % 2} 1{n}:30:00", kind]
        for n, kind in enumerate(("本人", "快递柜", "驿站", "代收"))
    ]
    rows.append(["TEST0026112004", "拒收", "2026-11-24 15:00:00", ""])
    return [_EVENT_HEAD, *([*row, "外箱破损" if row[1] == "拒收" else ""] for row in rows[::-1])]


def as_csv(rows: list[list[str]], *, encoding: str) -> bytes:
    """Returns CSV as Excel writes it."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode(encoding)


def main(folder: Path = FOLDER) -> None:
    """Writes the files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "products-gbk.csv").write_bytes(as_csv(products(), encoding="gbk"))
    (folder / "products.xlsx").write_bytes(write_xlsx(products(), title="商品"))
    (folder / "events-gbk.csv").write_bytes(as_csv(events(), encoding="gbk"))
    (folder / "orders.csv").write_bytes(as_csv(orders(), encoding="utf-8-sig"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
