"""Every paper with either symbol: what is printed reads back, fits the label, and is refused if it cannot.

A page of each is rendered once per resolution. Wear is not crossed with all of it: each kind of wear is
one line of pixels treated alike on every paper, so that each layout and symbol meets three of them and
`test_sheet` the rest.
"""

from __future__ import annotations

from functools import cache

import pytest
from PIL import Image

from app.kit.errors import Invalid
from app.labels.fonts import find_font, load_typeface
from app.labels.layouts import LAYOUTS, MM, Layout
from app.labels.placing import RETAIL_MODULE_MM, SheetLabel, Typesetter
from tests.labels.reading import blurred, page_texts, pages, rotated, zbar_texts, zxing_kinds
from tests.labels.reading import zxing_texts as read
from tests.labels.sheets import GTIN, NAME, label, printed, uri
from tests.sentences import explain

PAPERS = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
SYMBOLS = pytest.mark.parametrize("symbol", ["qr", "datamatrix"])


def content(symbol: str, number: int) -> str:
    return uri(f"S{number:05d}") if symbol == "qr" else f"[01]{GTIN}[10]L1[21]S{number:05d}"


def scanned(symbol: str, number: int) -> str:
    return uri(f"S{number:05d}") if symbol == "qr" else f"01{GTIN}10L1\x1d21S{number:05d}"


def batch(symbol: str, many: int, **more) -> list[SheetLabel]:
    return [
        SheetLabel(content(symbol, n), (plain := label(n, **more)).title, plain.fields, plain.inner)
        for n in range(many)
    ]


@cache
def page(layout: Layout, symbol: str, dpi: int) -> tuple[Image.Image, float]:
    """A full first page, and the module of its symbols in mm."""
    pdf, report = printed(batch(symbol, layout.places), layout=layout, symbol=symbol)
    return pages(pdf, dpi=dpi)[0], report.module_mm


def cell(image: Image.Image, layout: Layout, place: int, dpi: int) -> Image.Image:
    left, top = layout.corner(place)
    sides = (left, top, left + layout.cell_width, top + layout.cell_height)
    return image.crop(tuple(round(side / 25.4 * dpi) for side in sides))


def corners(layout: Layout) -> list[int]:
    return sorted({0, layout.columns - 1, layout.places - layout.columns, layout.places - 1})


@PAPERS
@SYMBOLS
@pytest.mark.parametrize("dpi", [200, 300])
def test_labels_in_every_corner_of_a_page_read_back(layout, symbol, dpi):
    image, _ = page(layout, symbol, dpi)
    assert image.size == pytest.approx(
        (layout.page_width / 25.4 * dpi, layout.page_height / 25.4 * dpi), abs=1
    )
    for place in corners(layout):
        one = cell(image, layout, place, dpi)
        assert read(one) == [scanned(symbol, place)], "row by row, left to right"
        assert zxing_kinds(one) == ["]Q1" if symbol == "qr" else "]d2"]
        if symbol == "qr":  # the second decoder knows no DataMatrix
            assert zbar_texts(one) == [scanned(symbol, place)]


@PAPERS
@SYMBOLS
@pytest.mark.parametrize(
    ("dpi", "degrees", "sigma"), [(200, 7, 0.3), (200, 90, 0.0), (300, 45, 0.3)]
)
def test_a_label_reads_after_a_hand(layout, symbol, dpi, degrees, sigma):
    image, module_mm = page(layout, symbol, dpi)
    one = rotated(cell(image, layout, 0, dpi), degrees)
    one = blurred(one, sigma * module_mm / 25.4 * dpi)
    assert read(one) == [scanned(symbol, 0)]
    if symbol == "qr":
        # zbar gives up at 45 degrees on edges sharper than any camera's.
        assert zbar_texts(one if degrees != 45 else blurred(one, 1)) == [scanned(symbol, 0)]


@PAPERS
@SYMBOLS
def test_an_ordinary_label_meets_what_gs1_asks_of_a_till(layout, symbol):
    _, module_mm = page(layout, symbol, 200)
    assert module_mm >= RETAIL_MODULE_MM


@PAPERS
@SYMBOLS
def test_nothing_is_drawn_at_the_edge_of_a_label_however_long_its_words(layout, symbol):
    (full,) = batch(
        symbol, 1, name="肇庆市高要区活道镇" * 9, serial="W" * 20, lot="W" * 20, inner="W" * 16
    )
    pdf, _ = printed([full] * layout.places, layout=layout, symbol=symbol)
    image = pages(pdf, dpi=200)[0]
    margin = int((layout.inset - 0.25) / 25.4 * 200)  # less a pixel's rounding, half a line's width
    for place in corners(layout):
        one = cell(image, layout, place, 200)
        core = (margin, margin, one.width - margin, one.height - margin)
        inside = Image.new("L", one.size, 255)
        inside.paste(one.crop(core), core)
        assert inside.tobytes() == one.tobytes(), f"ink in the margin of label {place}"
        assert read(one) == [scanned(symbol, 0)]


@PAPERS
@SYMBOLS
@pytest.mark.parametrize("length", [14, 26, 40, 62, 90, 150])
def test_the_quiet_zone_is_empty_paper_whatever_the_size_of_the_symbol(layout, symbol, length):
    """A short URI makes a symbol of few modules: then the quiet zone, and not the box, is the limit."""
    setter = Typesetter(load_typeface(find_font()), layout, symbol, inner_word="刮开或拆封后可见")
    given = label(0, name="粉葛" * 30, inner="W" * 16)
    text = "https://t.cn/" + "a" * (length - 13)
    if symbol == "datamatrix":
        text = f"[01]{GTIN}[10]{'L' * min(20, length // 5)}[21]{'a1B' * min(6, length // 9)}X"
    placed = setter.place(SheetLabel(text, given.title, given.fields, given.inner))
    module = placed.dots * setter.dot
    quiet, side = placed.symbol.quiet_x * module, placed.symbol.width * module
    assert placed.symbol_x >= quiet - 0.01
    assert placed.symbol_y >= quiet - 0.01
    assert placed.symbol_y + side + quiet <= layout.cell_height * MM + 0.01
    assert all(line.x >= placed.symbol_x + side + quiet - 0.01 for line in placed.lines)
    baselines = [line.y for line in placed.lines]
    assert baselines == sorted(baselines)
    assert placed.frame is not None
    assert placed.frame.y + placed.frame.height <= (layout.cell_height - layout.inset) * MM


@PAPERS
def test_codes_stand_whole_and_a_long_name_ends_in_an_ellipsis(layout):
    (full,) = batch(
        "qr",
        1,
        name="肇庆市高要区活道镇特产粉葛礼盒装五百克两包送礼佳品",
        serial="W" * 20,
        inner="K7" * 8,
    )
    text = page_texts(printed([full], layout=layout)[0])[0].split("\n")
    assert text[0].startswith("肇庆市高要区活道")
    assert text[1].endswith("…")
    for code in (f"(01){GTIN}", "(10)L20261101", f"(21){'W' * 20}"):
        assert any(line.endswith(code) for line in text), code
    assert "K7" * 8 in text
    assert ("商品条码" in "".join(text)) is layout.words


@PAPERS
def test_a_symbol_too_dense_for_the_paper_is_refused_with_the_limits(layout):
    given = SheetLabel("https://t.cn/" + "a" * 800, NAME, ())
    with pytest.raises(Invalid) as refused:
        printed([given], layout=layout)
    assert refused.value.key == "symbol_too_dense"
    for sentence in explain(refused.value):
        for word in (layout.name, "0.25", "0.254", "0.396"):
            assert word in sentence


def test_what_the_smallest_paper_refuses_a_larger_one_takes():
    given = SheetLabel("https://t.cn/" + "a" * 300, NAME, ())
    with pytest.raises(Invalid):
        printed([given], layout=LAYOUTS["a4-5x13"])
    _, report = printed([given], layout=LAYOUTS["a4-3x8"])
    assert report.module_mm >= 0.33


# --- sheets that are half used -------------------------------------------------------------------


@PAPERS
def test_a_sheet_may_begin_anywhere(layout):
    offset = layout.places - 1
    pdf, report = printed(batch("qr", 2), layout=layout, offset=offset)
    first, second = pages(pdf, dpi=200)
    assert report.pages == 2
    assert read(cell(first, layout, offset, 200)) == [scanned("qr", 0)]
    assert read(cell(second, layout, 0, 200)) == [scanned("qr", 1)]
    assert len(read(first)) == len(read(second)) == 1


@pytest.mark.parametrize("offset", [-1, 24])
def test_a_place_that_the_sheet_does_not_have_is_a_mistake(offset):
    with pytest.raises(ValueError, match=str(offset)):
        printed(batch("qr", 1), offset=offset)


def test_pages_hold_what_they_hold_after_a_half_used_one():
    pdf, report = printed(batch("qr", 30), offset=20)
    assert report.pages == 3
    assert [len(read(image)) for image in pages(pdf, dpi=200)] == [4, 24, 2]


@pytest.mark.parametrize(
    ("name", "last", "margins"),
    [
        # Of the sheets as they are sold: mm from the page's left and top to the last label.
        ("a4-3x8", (140, 259.875), (0, 0)),
        ("a4-4x10", (157.5, 267.3), (0, 0)),
        ("a4-5x13", (167.15, 265.1), (4.75, 10.7)),
        ("roll-60x40", (0, 0), (0, 0)),
    ],
)
def test_labels_lie_where_the_paper_has_them(name, last, margins):
    layout = LAYOUTS[name]
    left, top = layout.corner(layout.places - 1)
    assert (left, top) == pytest.approx(last)
    assert layout.corner(0) == pytest.approx(margins)
    assert layout.page_width - left - layout.cell_width == pytest.approx(margins[0])
    assert layout.page_height - top - layout.cell_height == pytest.approx(margins[1])
