"""`suxin import`: what it says, how it ends, and that it is the service's own import."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.deployment import Deployment
from tests.drills.trade import SHOP, Trade
from tests.imports.sheets import as_csv, gtin

SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    place = Deployment(tmp_path_factory.mktemp("cli") / "market").init().serve()
    try:
        Trade(place).begin()
        yield place
    finally:
        place.close()


def test_samples_are_planned_imported_and_unchanged_beside_a_running_service(place, tmp_path):
    file = str(SAMPLES / "products-gbk.csv")
    planned = place.suxin("import", "products", file, "--party", SHOP, "--dry-run", "--json")
    told = json.loads(planned.out)
    assert (planned.code, told["dry_run"], told["created"]) == (0, True, 8)
    assert told["file"]["encoding"] == "GB18030"
    done = place.suxin("import", "products", file, "--party", SHOP)
    assert done.code == 0, done.err
    assert "created    8" in done.out
    # As the contract names it: the file alone is products.
    again = place.suxin("import", str(SAMPLES / "products.xlsx"), "--party", SHOP, "--json")
    assert (again.code, json.loads(again.out)["unchanged"]) == (0, 8)
    mapping = tmp_path / "mapping.json"
    mapping.write_text(json.dumps({"carriers": {"示例快递": "91440000MA4TE5T04E"}}), "utf-8")
    orders = (
        "import",
        "shipments",
        str(SAMPLES / "orders.csv"),
        "--party",
        SHOP,
        "--mapping",
        str(mapping),
    )
    shipped = place.suxin(*orders, "--json")
    assert shipped.code == 0, shipped.out + shipped.err
    assert [json.loads(shipped.out)[name] for name in ("created", "skipped", "refused")] == [
        10,
        2,
        0,
    ]
    assert json.loads(place.suxin(*orders, "--json").out)["unchanged"] == 10
    check_unmapped(place, orders[:-2], tmp_path)
    events = ("import", "events", str(SAMPLES / "events-gbk.csv"), "--party", SHOP, "--json")
    signed = place.suxin(*events)
    told = json.loads(signed.out)
    assert [told[name] for name in ("created", "unchanged", "refused")] == [5, 0, 0], signed.out
    assert json.loads(place.suxin(*events).out)["unchanged"] == 5


def check_unmapped(place: Deployment, orders: tuple[str, ...], tmp_path: Path) -> None:
    """Asserts that a carrier whose name nothing explains is warned of, and that every row is taken."""
    file = tmp_path / "unmapped.csv"
    raw = (SAMPLES / "orders.csv").read_text("utf-8-sig")
    file.write_text(raw.replace("261120-", "261121-"), "utf-8")
    order = tuple(str(file) if one.endswith("orders.csv") else one for one in orders)
    for more in (("--dry-run",), ()):
        told = json.loads(place.suxin(*order, *more, "--json").out)
        (one,) = (warned for warned in told["warnings"] if warned["value"] == "示例快递")
        assert (one["column"], one["value"], told["errors"]) == ("快递公司", "示例快递", [])
        assert "no carrier can sign" in one["reason"]
        assert "/desk/imports/mapping" in one["expected"]
    file.write_text(raw.replace("261120-", "261122-"), "utf-8")
    done = place.suxin(*order, "--dry-run", "--lang", "zh")
    assert done.code == 0
    warned = done.out.partition("提醒：")[2]
    assert "示例快递" in warned, done.out


def test_products_are_listed_where_the_file_says(place, tmp_path):
    rows = [
        ["条码", "名称", "类别", "平台", "链接"],
        [gtin(77_702), "竹篮（示例）", "其他", "示例平台", ""],
        [gtin(77_719), "竹席（示例）", "其他", "", "https://shop.example/19"],
    ]
    file = tmp_path / "listed.csv"
    file.write_bytes(as_csv(rows, encoding="gbk"))
    order = ("import", "products", str(file), "--party", SHOP)
    planned = place.suxin(*order, "--dry-run")
    assert "listed at 示例平台: 1" in planned.out, planned.out + planned.err
    done = json.loads(place.suxin(*order, "--json").out)
    assert (done["created"], done["listings"]) == (
        2,
        {"示例平台": 1, "https://shop.example/19": 1},
    )
    again = json.loads(place.suxin(*order, "--json").out)
    assert (again["unchanged"], "listings" in again) == (2, False)


def test_an_order_that_contradicts_its_codes_and_a_mapping_of_nonsense_are_refused(place, tmp_path):
    head = ["订单号", "商品条码", "数量", "溯源码", "下单时间", "发货时间", "快递公司", "快递单号"]
    at = ["2026-11-20 10:30", "2026-11-20 16:00", "示例快递", "TEST8800000001"]
    file, mapping = tmp_path / "odd.csv", tmp_path / "odd.json"
    codes = f"01/0{gtin(77_702)}/21/S1 01/0{gtin(77_719)}/21/S2"
    file.write_bytes(as_csv([head, ["CO-1", gtin(77_702), "3", codes, *at]]))
    order = ("import", "shipments", str(file), "--party", SHOP, "--json")
    for more in (("--dry-run",), ()):
        told = json.loads(place.suxin(*order, *more).out)
        assert (told["created"], told["refused"], told["warnings"]) == (0, 1, [])
        assert [one["column"] for one in told["errors"]] == ["溯源码", "数量"]
    mapping.write_text(
        json.dumps({"carriers": {"示例快递": SHOP[:-1] + "0"}, "goods": {"砚": "6901"}}), "utf-8"
    )
    done = place.suxin(*order, "--dry-run", "--mapping", str(mapping))
    assert done.code != 0
    assert all(word in done.err for word in ("示例快递", "砚")), done.err


def test_faults_are_a_table_and_a_file_and_the_exit_code_tells(place, tmp_path):
    bad, out = tmp_path / "bad.csv", tmp_path / "faults.csv"
    bad.write_bytes(
        as_csv([["条码", "名称", "类别"], ["6.90E+12", "=1+1", "其他"], ["", "好", "其他"]])
    )
    done = place.suxin(
        "import", "products", str(bad), "--party", SHOP, "--errors", str(out), "--lang", "zh"
    )
    assert (done.code, done.err) == (1, "")
    assert "科学计数" in done.out.replace("\n", "")
    first, *counts = done.out.splitlines()[:5]
    assert first == "2 行（csv UTF-8）"
    assert [one.split() for one in counts] == [
        ["新写入", "1"],
        ["已有，不变", "0"],
        ["跳过", "0"],
        ["未通过", "1"],
    ]
    lines = out.read_bytes().decode("utf-8-sig").splitlines()
    assert lines[0] == "行,列,值,原因,应为"
    assert lines[1].startswith("2,条码,6.90E+12,")
    assert lines[2].startswith("2,名称,'=1+1,")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("products", "nowhere.csv"), "No such file"),
        (("nonsense", "x.csv"), "products, lots, shipments"),
        (("lots",), "name the file"),
    ],
)
def test_what_cannot_be_imported_ends_with_a_sentence(place, arguments, words):
    done = place.suxin("import", *arguments, "--party", SHOP)
    assert done.code == 2
    assert words in done.err.replace("\n", " ")
    assert "Traceback" not in done.err


def test_a_file_that_is_none_and_a_party_that_is_none(place, tmp_path):
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n")
    done = place.suxin("import", "products", str(picture), "--party", SHOP)
    assert (done.code, "no table" in done.err) == (2, True)
    nobody = place.suxin("import", "products", str(picture), "--party", "91441200MA4W000020")
    assert nobody.code == 2
    several = place.suxin("import", "products", str(picture))
    assert (several.code, "--party" in several.err) == (2, True)
