"""What a sheet says in letters: copied out whole, in fonts that travel with it, nowhere blank."""

from __future__ import annotations

import ctypes
import re
from itertools import count, islice

import pypdfium2
import pypdfium2.raw as pdfium
import pytest

from app.labels.fonts import find_font, load_typeface
from app.labels.placing import SheetLabel
from tests.labels.reading import page_texts, pages
from tests.labels.sheets import GTIN, NAME, PUNCTUATION, cell, label, labels, printed, uri


def test_name_gtin_lot_and_serial_can_be_copied_out():
    text = page_texts(printed([label(7, inner="K7Q2M4XA")])[0])[0]
    assert text.split("\n") == [
        "活道粉葛 礼盒装",
        "商品条码 (01)06901234567892",
        "批号 (10)L20261101",
        "序列号 (21)8F3K2M9Q00007",
        "刮开查验",
        "K7Q2M4XA",
    ]


def test_words_of_another_language_stand_beside_the_codes():
    fields = (("GTIN", f"(01){GTIN}"), ("Lot", "(10)L1"), ("Serial", "(21)8F3K"))
    given = SheetLabel(uri("S1"), "Kudzu root, gift box", fields, inner="K7")
    pdf, _ = printed(
        [given], inner_word="Scratch or unfold to check", lang="en", document_title="Labels"
    )
    assert page_texts(pdf)[0].split("\n") == [
        "Kudzu root, gift box",
        f"GTIN (01){GTIN}",
        "Lot (10)L1",
        "Serial (21)8F3K",
        "Scratch or unfold to check",
        "K7",
    ]


def test_an_empty_lot_and_no_inner_code_leave_no_trace():
    text = page_texts(printed([label(lot="")])[0])[0]
    assert "批号" not in text
    assert "刮开查验" not in text
    assert text.count("\n") == 2


@pytest.mark.parametrize("code", [PUNCTUATION, "W" * 20, "a1B2c3D4e5F6g7H8i9J0"])
def test_a_code_of_twenty_characters_is_never_shortened(code):
    text = page_texts(printed([label(lot=code, serial=code, inner=code)])[0])[0]
    lines = text.split("\n")
    assert f"批号 (10){code}" in lines
    assert f"序列号 (21){code}" in lines
    assert code in lines


def test_a_long_name_takes_two_lines_and_an_ellipsis():
    text = page_texts(
        printed([label(name="肇庆市高要区活道镇特产粉葛礼盒装五百克两包送礼佳品")])[0]
    )[0]
    first, second, third, *_ = text.split("\n")
    assert first.startswith("肇庆市高要区活道镇")
    assert second.endswith("…")
    assert third.startswith("商品条码")


def test_four_fields_and_a_hidden_code_fit_and_five_fields_are_a_mistake():
    four = tuple((f"词{n}", f"({n})V") for n in range(4))
    text = page_texts(printed([SheetLabel(uri("S1"), "粉" * 20, four, inner="K7")])[0])[0]
    assert text.split("\n")[-2:] == ["刮开查验", "K7"]
    with pytest.raises(ValueError, match="词4"):
        printed([SheetLabel(uri("S1"), NAME, (*four, ("词4", "V")))])


def test_a_name_is_text_and_never_an_operator():
    name = "(a) Tj \\) ET Q \\"
    assert page_texts(printed([label(name=name)])[0])[0].split("\n")[0] == name


def test_a_squeezed_code_does_not_squeeze_the_next_label():
    after_wide, after_plain = (
        cell(pages(printed([label(0, serial=first), label(1)])[0], dpi=200)[0], 1)
        for first in ("W" * 20, "8F3K")
    )
    assert after_wide.tobytes() == after_plain.tobytes()


def test_a_dashed_box_stands_around_the_hidden_code_only():
    def most_strokes_in_a_row(given: SheetLabel) -> int:
        one = cell(pages(printed([given])[0], dpi=300)[0], 0)
        text = one.crop((round(34 / 25.4 * 300), 0, one.width, one.height))
        dark = text.point([255 * (value < 128) for value in range(256)])
        rows = (dark.crop((0, y, dark.width, y + 1)).tobytes() for y in range(dark.height))
        return max(len(re.findall(rb"\xff+", row)) for row in rows)

    bare = SheetLabel(uri("S1"), "粉", ())
    boxed = SheetLabel(uri("S1"), "粉", (), inner="K")
    assert most_strokes_in_a_row(boxed) >= 20 > most_strokes_in_a_row(bare)


# ---------------------------------------------------------------- fonts


def fonts_on(pdf: bytes) -> dict[str, bool]:
    """Name of each font that text is set in -> whether it is embedded."""
    document = pypdfium2.PdfDocument(pdf)
    found = {}
    for page in document:
        for thing in page.get_objects():
            if thing.type == pdfium.FPDF_PAGEOBJ_TEXT:
                font = pdfium.FPDFTextObj_GetFont(thing.raw)
                name = ctypes.create_string_buffer(200)
                pdfium.FPDFFont_GetBaseFontName(font, name, 200)
                found[name.value.decode()] = pdfium.FPDFFont_GetIsEmbedded(font) == 1
    document.close()
    return found


def test_every_font_is_embedded_and_only_in_part():
    given = [
        label(n, name="".join(islice(map(chr, count(0x4E00 + 20 * n)), 20))) for n in range(30)
    ]
    pdf, _ = printed(given)
    fonts = fonts_on(pdf)
    assert fonts
    assert all(fonts.values())
    named = re.findall(rb"/BaseFont /(\S+)", pdf)
    assert len(named) > 2, "600 different characters need several subsets"
    assert all(re.match(rb"[A-Z]{6}\+", name) for name in named), "a font of which all is embedded"
    assert pdf.count(b"/FontFile2 ") == len(named)
    assert len(pdf) < 1_000_000


def test_no_stream_is_made_larger_by_ascii85():
    assert b"ASCII85" not in printed(labels(1))[0]


def test_characters_that_the_font_lacks_are_reported_and_visible():
    pdf, report = printed(
        [label(name="粉\U0002a6d6葛😀"), label(1, name="粉葛"), label(2, name="😀")]
    )
    assert report.replaced == ("😀", "\U0002a6d6")
    sign = load_typeface(find_font()).replacement
    assert page_texts(pdf)[0].split("\n")[0] == f"粉{sign}葛{sign}"


def test_nothing_is_reported_where_nothing_was_replaced():
    assert printed(labels(3))[1].replaced == ()


def test_no_character_on_the_sheet_is_blank():
    names = [
        "2-8℃冷藏 Ⅹ号",
        "粉\U0002a6d6葛😀",
        "ǎǒ ①②③ ㎏ ￥",
        "“引号”、。",
        "䶮㐂鿿",
        "👨‍👩‍👧 \u200b\ufe0f",
    ]
    given = [label(n, name=name, serial=PUNCTUATION, inner="K7Q2") for n, name in enumerate(names)]
    pdf, _ = printed(given)
    document = pypdfium2.PdfDocument(pdf)
    page = document[0]
    scale = 400 / 72
    image = page.render(scale=scale).to_pil().convert("L")
    text = page.get_textpage()
    looked_at = 0
    for index in range(text.count_chars()):
        char = text.get_text_range(index, 1)
        if not char.strip():
            continue
        left, bottom, right, top = text.get_charbox(index, loose=True)
        box = (
            left * scale,
            image.height - top * scale,
            right * scale,
            image.height - bottom * scale,
        )
        ink = image.crop(tuple(map(round, box))).getextrema()[0]
        assert ink < 160, f"{char!r} is blank"
        looked_at += 1
    document.close()
    assert looked_at > 300
