"""What stands beside trace codes in an order list: goods, lot and number that are the codes', or no sale."""

from __future__ import annotations

from tests.imports.sheets import as_csv, gtin
from tests.web.conftest import CARRIER
from tests.web.market import GTIN
from tests.web.test_imports_api import ORDERED, SHIPPED, counts, send

HEAD = [
    "订单号", "商品条码", "批号", "数量", "溯源码", "下单时间", "发货时间", "快递公司", "快递单号",
]  # fmt: skip


def rows(*beside: tuple[str, str, str, str], n: int = 0) -> bytes:
    return as_csv([
        HEAD,
        *([f"B-{n + at}", *told, ORDERED, SHIPPED, CARRIER, f"TEST77100000{n + at:02}"]
          for at, told in enumerate(beside)),
    ])  # fmt: skip


def test_a_row_that_contradicts_its_codes_sells_nothing(market):
    units = market.issue(2)
    one, two = (unit.code for unit in units)
    wrong = rows(
        (gtin(901), "", "", one),
        (GTIN, "", "2", one),
        ("", "L-9", "", one),
        ("", "", "1", f"{one} {two}"),
    )
    expected = [
        (2, "codes", "溯源码", "codes_goods"),
        (3, "quantity", "数量", "codes_count"),
        (4, "codes", "溯源码", "codes_lotless"),
        (5, "quantity", "数量", "codes_count"),
    ]
    for query in ("?dry_run=true", ""):
        answer = send(market, "shipments", wrong, query=query)
        assert counts(answer) == (0, 0, 0, 4), answer.text
        errors = answer.json()["errors"]
        assert [(e["row"], e["field"], e["column"], e["kind"]) for e in errors] == expected
    for lang, both in (("zh", ("写的是 2，", "却有 1 个")), ("en", ("says 2,", "are 1."))):
        told = send(market, "shipments", wrong, query="?dry_run=true", lang=lang).json()["errors"]
        assert all(words in told[1]["msg"] for words in both)
        assert all(number.lstrip("0") in told[0]["msg"] for number in (gtin(901), GTIN))
    for unit in units:
        assert market.ask("GET", unit.path)["state"] == "registered"
    right = rows((GTIN, "", "2", f"{one} {two}"), n=20)
    assert counts(send(market, "shipments", right)) == (1, 0, 0, 0)
    # The same units again, now said to be three: no repeat of what was sold.
    more = rows((GTIN, "", "3", f"{one} {two}"), n=20)
    assert counts(send(market, "shipments", more)) == (0, 0, 0, 1)


def test_the_lot_beside_codes_is_that_in_which_they_are_on_record(market):
    for lot in ("CB-1", "CB-2"):
        market.lot(lot)
    one, two = market.issue(lot="CB-1")[0].code, market.issue(lot="CB-2")[0].code
    wrong = rows(("", "CB-1", "", f"{one} {two}"), (GTIN, "CB-2", "1", one), n=40)
    for query in ("?dry_run=true", ""):
        answer = send(market, "shipments", wrong, query=query)
        assert counts(answer) == (0, 0, 0, 2), answer.text
        (first, second) = answer.json()["errors"]
        assert {first["kind"], second["kind"]} == {"codes_lot"}
        assert all(lot in first["msg"] and lot in second["msg"] for lot in ("CB-1", "CB-2"))
    right = rows(("", "CB-1", "", one), (GTIN, "CB-2", "1", two), n=60)
    assert counts(send(market, "shipments", right)) == (2, 0, 0, 0)
