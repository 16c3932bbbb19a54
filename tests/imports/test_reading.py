"""Files as they come: encodings, separators, Excel's habits, and files that are none."""

from __future__ import annotations

import contextlib
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.i18n import LANGUAGES, text
from app.imports.columns import choice, has_word
from app.imports.csvfile import find_separator, read_csv
from app.imports.grid import MAX_BYTES, MAX_COLUMNS, MAX_ROWS, FileTooLarge, FileUnusable
from app.imports.mapping import Layout
from app.imports.reading import read_grid
from app.imports.sheet import find_sheet
from app.trace.events import IMPORT_MODES, PRODUCT_CATEGORIES, SIGNATURE_KINDS
from app.trace.rowevents import TYPES
from tests.imports.sheets import as_csv, as_xlsx

# What GBK knows: no encoder of it may fail on the drawn text.
_HAN = st.text(
    alphabet="商品条码名称端砚肇庆示例甲乙丙丁0123456789AZaz -./", min_size=1, max_size=12
)
_CELL = _HAN.map(str.strip).filter(bool)


def cells(grid) -> list[tuple[str, ...]]:
    return [line.cells for line in grid.lines]


@given(
    rows=st.lists(st.lists(_CELL, min_size=2, max_size=6), min_size=1, max_size=20),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"]),
    separator=st.sampled_from([",", ";", "\t"]),
)
def test_text_survives_every_encoding_and_separator(rows, encoding, separator):
    grid = read_grid(as_csv(rows, encoding=encoding, separator=separator))
    assert cells(grid) == [tuple(row) for row in rows]
    assert grid.separator == separator
    named = {"utf-8-sig": {"UTF-8 BOM"}, "utf-16": {"UTF-16"}}.get(encoding, {"UTF-8", "GB18030"})
    assert grid.encoding in named


@pytest.mark.parametrize(("text", "encoding"), [("朱镕喆", "gbk"), ("㐀𠮷", "gb18030")])
def test_names_outside_the_old_character_set_survive(text, encoding):
    grid = read_grid(as_csv([["名称", "类别"], [text, "其他"]], encoding=encoding))
    assert (grid.lines[1].cells[0], grid.encoding) == (text, "GB18030")


@pytest.mark.parametrize(
    ("cells_of_it", "encoding", "read_as"),
    [
        (("示", "0"), "gbk", "GB18030"),  # CA BE, U+02BE to UTF-8
        (("品", "示"), "gbk", "GB18030"),
        (("示", "0"), "utf-8", "UTF-8"),
        (("Café", "Öl", "Чай", "Ελιά", "±0.5×3"), "utf-8", "UTF-8"),
        (("ʾ", "示"), "utf-8", "UTF-8"),  # a character of three bytes is with it
        (
            ("Hǎi tiān jiàng", "Cafe\u0301"),
            "utf-8",
            "UTF-8",
        ),  # tones of pinyin; accents as a Mac has them
        (("קפה", "قهوة"), "utf-8", "UTF-8"),
    ],
)
def test_a_few_bytes_that_are_both_encodings_are_read_as_people_write(
    cells_of_it, encoding, read_as
):
    grid = read_grid(as_csv([cells_of_it], encoding=encoding))
    assert (cells(grid), grid.encoding) == ([cells_of_it], read_as)


@settings(max_examples=20)
@given(st.lists(st.lists(_CELL, min_size=1, max_size=6), min_size=1, max_size=10))
def test_a_workbook_reads_as_the_same_table(rows):
    grid = read_grid(as_xlsx(rows))
    assert cells(grid) == [tuple(row) for row in rows]
    assert (grid.form, grid.sheet) == ("xlsx", "表")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw):
    for name in (raw, b"PK\x03\x04" + raw):
        try:
            grid = read_grid(name)
        except (FileUnusable, FileTooLarge):
            continue
        assert grid.lines


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=60), st.integers(0, 10_000))
def test_a_damaged_workbook_is_read_or_refused(junk, at):
    raw = as_xlsx([["商品名称", "类别"], ["甲", "食品"]])
    at %= len(raw)
    with contextlib.suppress(FileUnusable, FileTooLarge):
        read_grid(raw[:at] + junk + raw[at + len(junk) :])


def test_rows_are_numbered_as_a_spreadsheet_numbers_them():
    raw = '名称,类别\r\n\r\n"两\r\n行",食品\r\n,,,\r\n甲,其他\r\n'.encode()
    assert [(line.number, line.cells) for line in read_csv(raw).lines] == [
        (1, ("名称", "类别")), (3, ("两\r\n行", "食品")), (5, ("甲", "其他")),
    ]  # fmt: skip


def test_excels_own_note_of_the_separator_is_obeyed():
    assert cells(read_grid(b"sep=;\r\na;b,c\r\n")) == [("a", "b,c")]
    assert find_separator('"a,b,c,d";"e"\n1;2\n') == ";"


def test_numbers_of_a_workbook_are_told_as_they_are():
    import datetime as dt

    rows = [
        [6901234567892, 12.5, True, dt.date(2026, 9, 5), dt.datetime(2026, 9, 5, 10, 30), 1e17],
        ["=1+1", None, "#N/A", "x", "_x000D_", 1.0],
    ]
    first, second = cells(read_grid(as_xlsx(rows)))
    assert first[:5] == ("6901234567892", "12.5", "TRUE", "2026-09-05", "2026-09-05 10:30:00")
    assert "E" in first[5]  # beyond 15 digits Excel keeps nothing: it must not look exact
    assert second[0] == "=1+1"  # never computed


def test_hidden_and_further_sheets_are_not_read():
    book = openpyxl.Workbook()
    book.active.title = "暗"
    book.active.append(["x"])
    book.active.sheet_state = "hidden"
    for name in ("空", "甲", "乙"):
        sheet = book.create_sheet(name)
        if name != "空":
            sheet.append([name])
    out = io.BytesIO()
    book.save(out)
    grid = read_grid(out.getvalue())
    assert (grid.sheet, cells(grid), grid.others) == ("甲", [("甲",)], 1)


def refusal(raw: bytes) -> str:
    with pytest.raises((FileUnusable, FileTooLarge)) as caught:
        read_grid(raw)
    return caught.value.key


def repacked(raw: bytes, change) -> bytes:
    """The workbook with `change(name, bytes)` in place of each part."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(raw)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            new.writestr(part.filename, change(part.filename, old.read(part)))
    return out.getvalue()


OLE = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504)


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b"", "import_empty"),
        (b" \r\n\r\n", "import_empty"),
        (b",,\r\n,,\r\n", "import_empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(99), "import_not_table"),
        (b"%PDF-1.7", "import_not_table"),
        (b"<html><table><tr>", "import_not_table"),
        (b"a,b\n\x00\x01", "import_not_table"),
        (OLE, "import_xls"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "import_encrypted"),
        (b"PK\x03\x04nonsense", "import_broken"),
        ("甲,乙\n".encode("gbk") + b"\xff\xff\n", "import_encoding"),
        (b'a,b\n"x,y\n', "import_csv"),
        (b'a,b\n"x"y,z\n', "import_csv"),
        (("x," * (MAX_COLUMNS + 1) + "x\n").encode(), "import_too_wide"),
        (b"x" * 40_000, "import_cell_too_long"),
        (b"a" * (MAX_BYTES + 1), "import_too_large"),
    ],
)
def test_what_is_no_table_is_refused_with_its_reason(raw, key):
    assert refusal(raw) == key


def test_a_zip_that_is_no_workbook_is_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "<x/>")
    assert refusal(out.getvalue()) == "import_not_table"


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch):
    monkeypatch.setattr("app.imports.xlsx.MAX_UNPACKED", 2 * 2**20)

    def swollen(name: str, raw: bytes) -> bytes:
        return raw + b" " * (2 * 2**20) if name.endswith("sheet1.xml") else raw

    raw = repacked(as_xlsx([["a"], ["b"]]), swollen)
    assert len(raw) < 20_000
    assert refusal(raw) == "import_bomb"


def test_a_bomb_by_another_name_is_refused_too(monkeypatch):
    monkeypatch.setattr("app.imports.xlsx.MAX_UNPACKED", 2 * 2**20)
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(as_xlsx([["a"], ["b"]]))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.infolist():
            raw = old.read(part).replace(b"worksheets/sheet1.xml", b"worksheets/sheet1.dat")
            name = part.filename.replace("sheet1.xml", "sheet1.dat")
            new.writestr(name, raw + b" " * (2 * 2**20) if name.endswith(".dat") else raw)
    assert refusal(out.getvalue()) == "import_bomb"


def test_lines_that_a_file_skips_are_not_counted_for_ever(monkeypatch):
    monkeypatch.setattr("app.imports.xlsx.MAX_LINE", 1_000)

    def skipping_to(last: int) -> bytes:
        def skips(name: str, raw: bytes) -> bytes:
            return raw.replace(b'<row r="2"', f'<row r="{last}"'.encode()).replace(
                b'r="A2"', f'r="A{last}"'.encode()
            )

        return repacked(as_xlsx([["a"], ["b"]]), skips)

    assert [line.number for line in read_grid(skipping_to(1_000)).lines] == [1, 1_000]
    for last in (1_001, 10**18):
        assert refusal(skipping_to(last)) == "import_broken"


def test_a_drawing_with_a_doctype_is_no_attack():
    out = io.BytesIO(as_xlsx([["a"], ["b"]]))
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("xl/media/image1.svg", "<!DOCTYPE svg><svg/>")
    assert cells(read_grid(out.getvalue())) == [("a",), ("b",)]


def test_entities_are_refused():
    def evil(name: str, raw: bytes) -> bytes:
        lol = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>'
        return lol + raw if name.endswith("sheet1.xml") else raw

    assert refusal(repacked(as_xlsx([["a"]]), evil)) == "import_broken"


def test_a_sheet_that_claims_to_be_huge_costs_nothing():
    def claims(name: str, raw: bytes) -> bytes:
        return raw.replace(b'<dimension ref="A1:B2"', b'<dimension ref="A1:XFD1048576"')

    grid = read_grid(repacked(as_xlsx([["a", "b"], ["c", "d"]]), claims))
    assert cells(grid) == [("a", "b"), ("c", "d")]


def test_more_rows_than_one_import_takes():
    head = [["名称", "类别"]]
    sheet = find_sheet(read_grid(as_csv(head + [["甲", "食品"]] * MAX_ROWS)), "products", Layout())
    assert len(sheet.rows) == MAX_ROWS
    with pytest.raises(FileTooLarge):
        find_sheet(
            read_grid(as_csv(head + [["甲", "食品"]] * (MAX_ROWS + 1))), "products", Layout()
        )
    assert refusal(as_csv([["甲"]] * (MAX_ROWS + 50))) == "import_too_many_rows"


@pytest.mark.parametrize("make", [as_csv, as_xlsx])
def test_a_title_above_the_header_is_passed_over(make):
    grid = read_grid(
        make([["二〇二六年商品表"], [], ["商品名称", "备注", "类别"], ["甲", "x", "食品"]])
    )
    sheet = find_sheet(grid, "products", Layout())
    assert (sheet.header_row, sheet.columns, sheet.ignored) == (
        3,
        {"name": "商品名称", "category": "类别"},
        1,
    )
    assert [(row.number, dict(row.values)) for row in sheet.rows] == [
        (4, {"name": "甲", "category": "食品"})
    ]


def test_cells_merged_in_the_title_do_no_harm_and_below_the_header_they_are_refused():
    rows = [["标题", None], ["名称", "类别"], ["甲", "食品"], ["乙", "食品"]]
    find_sheet(read_grid(as_xlsx(rows, merge="A1:B1")), "products", Layout())
    with pytest.raises(FileUnusable) as caught:
        find_sheet(read_grid(as_xlsx(rows, merge="B3:B4")), "products", Layout())
    assert (caught.value.key, caught.value.params) == ("import_merged", {"place": "B3:B4"})


def test_headers_are_known_in_either_language_and_by_other_names():
    for head in (["条形码", "品名", "分类"], ["EAN", "Product Name", "CATEGORY"],
                 ["gtin", "name ", "category*"], ["商品条码", "商品名称（必填）", "类别(必填)"]):  # fmt: skip
        sheet = find_sheet(read_grid(as_csv([head, ["1", "2", "3"]])), "products", Layout())
        assert list(sheet.columns) == ["gtin", "name", "category"]


def test_what_a_party_says_of_its_columns_comes_first():
    grid = read_grid(as_csv([["名称", "全称", "类别"], ["a", "b", "c"]]))
    sheet = find_sheet(grid, "products", Layout(columns={"name": "全称"}))
    assert sheet.rows[0].values["name"] == "b"
    assert sheet.columns == {"name": "全称", "category": "类别"}


def test_a_header_that_stands_twice_or_is_missing_is_named():
    def fails(head: list[str]) -> FileUnusable:
        with pytest.raises(FileUnusable) as caught:
            find_sheet(read_grid(as_csv([head, ["1", "2", "3"]])), "products", Layout())
        return caught.value

    twice = fails(["名称", "类别", "名称"])
    assert (twice.key, twice.params["header"]) == ("import_duplicate_header", "名称")
    missing = fails(["名称", "备注", "x"])
    assert missing.key == "import_columns_missing"
    assert "类别" in missing.params["missing"]
    assert "category" in missing.params["missing"]


@pytest.mark.parametrize(
    ("chosen", "head", "told"),
    [
        ("products", None, "import_is_shipments"),
        ("lots", ["商品条码", "商品名称", "类别"], "import_is_products"),
        ("shipments", ["商品条码", "批号"], "import_is_lots"),
    ],
)
def test_a_file_of_another_kind_says_which(chosen, head, told):
    sample = Path(__file__).parents[2] / "docs" / "samples" / "orders.csv"
    raw = sample.read_bytes() if head is None else as_csv([head, ["1", "2", "3"][: len(head)]])
    with pytest.raises(FileUnusable) as caught:
        find_sheet(read_grid(raw), chosen, Layout())
    assert caught.value.key == told


@pytest.mark.parametrize(
    ("kind", "family", "known"),
    [
        ("category", "page.category", PRODUCT_CATEGORIES),
        ("mode", "page.mode", IMPORT_MODES),
        ("event", "event", TYPES),
        ("signed_by", "goods.kind", SIGNATURE_KINDS),
    ],
)
def test_every_word_that_a_refusal_offers_is_one_that_a_cell_may_hold(kind, family, known):
    for lang in LANGUAGES:
        for value in known:
            read = choice(kind, text(lang, f"{family}.{value}"))
            assert (read or "").partition("/")[0] == value, (lang, value)
    assert has_word("yes", text("zh", "page.yes"))
    assert has_word("no", text("zh", "page.no"))
