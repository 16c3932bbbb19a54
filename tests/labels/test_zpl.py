r"""Printer commands: read back by a renderer and by decoders of others, and closed to whoever names products.

What no test here can tell: how a printer's own font 0 looks and how wide it runs, and whether a
printer that is not Zebra's takes `~DG`, `^XG` and packed `^GF` as Zebra's manual has them.
"""

from __future__ import annotations

import re
from io import BytesIO

import pytest
import zplkit
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.kit.errors import Invalid
from app.labels.fonts import find_font
from app.labels.placing import SheetLabel
from app.labels.zpl import escape_text, packed_rows, write_zpl
from tests.labels.reading import blurred, opened, rotated, zbar_texts, zxing_kinds, zxing_texts
from tests.labels.sheets import GTIN, NAME, label, labels, uri

SIZES = {203: (480, 320), 300: (709, 472)}
COMMAND = re.compile(r"[\^~][A-Z][A-Z0-9@]")


def commands(given, **options) -> tuple[str, object]:
    out = BytesIO()
    report = write_zpl(given, out, **({"symbol": "qr", "font_path": find_font()} | options))
    return out.getvalue().decode("ascii"), report


def rendered(zpl: str, dpi: int) -> list[Image.Image]:
    """What a renderer written by others draws. It knows no `^ID`, which draws nothing."""
    width, height = SIZES[dpi]
    shown = re.sub(r"\^XA(\^ID[^^]+\^FS)+\^XZ\n", "", zpl)
    options = zplkit.Options(profile="specification", width=width, height=height, dpi=dpi)
    return [opened(one.png()).convert("L") for one in zplkit.render(shown, options).labels]


@pytest.mark.parametrize("dpi", [203, 300])
@pytest.mark.parametrize("symbol", ["qr", "datamatrix"])
def test_labels_read_back_from_the_commands(symbol, dpi):
    wanted = [uri("S00000"), uri("S00001")]
    given = list(labels(2))
    if symbol == "datamatrix":
        given = [SheetLabel(f"[01]{GTIN}[10]L1[21]S{n}", NAME, ()) for n in range(2)]
        wanted = [f"01{GTIN}10L1\x1d21S{n}" for n in range(2)]
    zpl, report = commands(given, symbol=symbol, dpi=dpi)
    images = rendered(zpl, dpi)
    assert [image.size for image in images] == [SIZES[dpi]] * 2
    assert [zxing_texts(image) for image in images] == [[text] for text in wanted]
    assert zxing_kinds(images[0]) == ["]Q1" if symbol == "qr" else "]d2"]
    worn = blurred(rotated(images[0], 7), 0.3 * report.module_mm / 25.4 * dpi)
    assert zxing_texts(worn) == wanted[:1]
    if symbol == "qr":
        assert zbar_texts(images[1]) == zbar_texts(blurred(rotated(images[1], 45), 1)) == wanted[1:]
    dots = report.module_mm / 25.4 * {203: 203.2, 300: 300}[dpi]
    assert dots == pytest.approx(round(dots)), "a module is whole dots of the printer"


def test_each_label_is_one_format_in_ascii():
    zpl, report = commands([label(n, inner="K7Q2M4XA") for n in range(3)], inner_word="刮开查验")
    formats = re.findall(r"\^XA.*?\^XZ\n", zpl)
    assert report.labels == 3
    assert [one.count("^GFA") for one in formats] == [1, 1, 1, 0]
    assert all(one.startswith("^XA^PW480^LL320^LH0,0^CI28") for one in formats[:3])
    assert all(one.count("^GB") == 1 for one in formats[:3]), "the frame of the hidden code"
    assert all("^FDK7Q2M4XA^FS" in one for one in formats[:3])


def test_chinese_is_drawn_once_and_called_by_name_then_taken_away():
    zpl, _ = commands([label(n, name="活道粉葛 礼盒装") for n in range(5)], inner_word="")
    stored = re.findall(r"~DG(R:SX\d{4}\.GRF),", zpl)
    assert len(stored) == len(set(stored)) == 4, "the name and three words"
    assert [zpl.count(f"^XG{name},1,1") for name in stored] == [5] * 4
    assert zpl.endswith("^XA" + "".join(f"^ID{name}^FS" for name in stored) + "^XZ\n")
    image = rendered(zpl, 203)[0]
    assert image.crop((255, 60, 480, 100)).getextrema() == (0, 255), "the name is there to see"


def test_more_names_than_a_printer_should_keep_are_drawn_in_place():
    given = [SheetLabel(uri(f"S{n}"), f"粉葛{n:03d}号", ()) for n in range(70)]
    zpl, _ = commands(given)
    assert zpl.count("~DG") == 64
    assert zpl.count("^GFA") == 70 + 6
    last = re.findall(r"\^XA.*?\^XZ\n", zpl)[69]
    (image,) = rendered(last, 203)
    assert zxing_texts(image) == [uri("S69")]
    assert image.crop((255, 60, 480, 100)).getextrema() == (0, 255), "the name is there to see"


@settings(max_examples=150)
@given(st.text(st.characters(max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=30))
def test_no_name_becomes_a_command(name):
    """The same commands, in number and order, whatever the product is called."""
    zpl, _ = commands([SheetLabel(uri("S1"), "x" + name, ())])
    fields = re.findall(r"\^FH\\\^FD(.*?)\^FS", zpl)
    allowed = {
        "XA",
        "PW",
        "LL",
        "LH",
        "CI",
        "FO",
        "GF",
        "FS",
        "FT",
        "A0",
        "FH",
        "FD",
        "XZ",
        "DG",
        "XG",
        "ID",
    }
    assert {found[1:] for found in COMMAND.findall(zpl)} <= allowed
    assert zpl.count("^") + zpl.count("~") == len(COMMAND.findall(zpl))
    assert zpl.count("^XA") == zpl.count("^XZ") == 1 + ("~DG" in zpl)
    assert all(re.fullmatch(r"(?:[A-Za-z0-9 ().,:/-]|\\[0-9A-F]{2})*", field) for field in fields)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_escaped_text_means_itself(text):
    plain = re.sub(r"\\([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), escape_text(text))
    assert plain == text
    assert not set("^~_") & set(escape_text(text))


def test_a_name_that_is_commands_is_printed_as_letters():
    evil = "^XZ~JR^XA^FO0,0^GB480,320,320^FS"
    zpl, _ = commands([SheetLabel(uri("S1"), evil, (("^FS", "^XZ~JR"),), inner="~HS^FS")])
    (image,) = rendered(zpl, 203)
    assert zxing_texts(image) == [uri("S1")]
    assert r"^FD\5EXZ\7EJR" in zpl


@given(
    st.integers(1, 70).flatmap(
        lambda n: st.lists(st.text("0F7", min_size=2 * n, max_size=2 * n), min_size=1, max_size=8)
    )
)
def test_packed_rows_unpack_to_what_they_were(rows):
    assert unpacked(packed_rows(rows), len(rows[0])) == rows


@pytest.mark.parametrize("times", [3, 19, 20, 21, 399, 400, 401, 840])
def test_long_repeats_are_packed(times):
    row = "F" * times + "0" * (times % 2)
    packed = packed_rows([row, row])
    assert unpacked(packed, len(row)) == [row, row]
    assert len(packed) < 9


def unpacked(packed: str, width: int) -> list[str]:
    """As Zebra's manual has it: counts, then a digit; `,` zeros to the row's end; `:` the row before."""
    rows: list[str] = []
    row, times = "", 0
    for sign in packed:
        if sign == ":":
            assert row == ""
            rows.append(rows[-1])
        elif sign == ",":
            row = row.ljust(width, "0")
        elif "G" <= sign <= "Y":
            times += ord(sign) - ord("F")
        elif "g" <= sign <= "z":
            times += 20 * (ord(sign) - ord("f"))
        else:
            row, times = row + sign * (times or 1), 0
        if len(row) == width:
            rows.append(row)
            row = ""
        assert len(row) < width
    assert (row, times) == ("", 0)
    return rows


def test_none_are_refused_and_a_symbol_may_be_too_dense_for_the_printer():
    with pytest.raises(Invalid) as refused:
        commands([])
    assert refused.value.key == "no_labels"
    long = SheetLabel("https://t.cn/" + "a" * 350, NAME, ())
    with pytest.raises(Invalid) as refused:
        commands([long], dpi=203)
    assert refused.value.key == "symbol_too_dense"
    zpl, report = commands([long], dpi=300)
    assert report.module_mm == pytest.approx(0.254)
    assert zxing_texts(rendered(zpl, 300)[0].resize((1418, 944))) == [long.content]


def test_progress_is_told_and_a_label_costs_two_kilobytes_at_most():
    told: list[int] = []
    zpl, _ = commands(labels(250), progress=told.append)
    assert told == [100, 200, 250]
    assert len(zpl) / 250 < 2_000
