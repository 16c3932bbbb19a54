"""A label to look at shows what the printed one will, in both kinds of picture."""

from __future__ import annotations

from io import BytesIO

import pytest

from app.labels.calibration import write_calibration
from app.labels.fonts import find_font
from app.labels.layouts import LAYOUTS
from app.labels.previews import preview_png, preview_svg
from tests.labels.reading import opened, page_texts, pages, rasterised, zbar_texts, zxing_texts
from tests.labels.sheets import label, printed, uri

PAPERS = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


@PAPERS
def test_both_pictures_read_and_have_the_labels_size(layout):
    given = label(3, serial="W" * 20, inner="K7Q2M4XA")
    options = {"font_path": find_font(), "inner_word": "刮开查验"}
    png = opened(preview_png(given, layout, "qr", **options)).convert("L")
    svg = rasterised(preview_svg(given, layout, "qr", **options), dpi=300)
    size = (layout.cell_width / 25.4 * 300, layout.cell_height / 25.4 * 300)
    for picture in (png, svg):
        assert picture.size == pytest.approx(size, abs=1)
        assert zxing_texts(picture) == zbar_texts(picture) == [uri("S00003")]


def test_the_preview_is_the_printed_label():
    """Pixel by pixel where it is dark: the symbol stands where the printer will put it."""
    layout = LAYOUTS["roll-60x40"]
    preview = opened(preview_png(label(1), layout, "qr", font_path=find_font())).convert("L")
    (page,) = pages(printed([label(1)], layout=layout, inner_word="")[0], dpi=300)
    box = tuple(round(mm / 25.4 * 300) for mm in (3, 6, 30, 34))
    dark = [[value < 128 for value in image.crop(box).tobytes()] for image in (preview, page)]
    differing = sum(a != b for a, b in zip(*dark, strict=True))
    assert differing < 0.06 * len(dark[0])  # a pixel's rounding along the modules' edges


def test_a_name_cannot_leave_the_drawing():
    evil = '"/><script>x</script>&amp;'
    svg = preview_svg(label(1, name=evil), LAYOUTS["a4-3x8"], "qr", font_path=find_font())
    assert b"<script" not in svg
    assert rasterised(svg, dpi=100).size


@PAPERS
def test_the_calibration_page_numbers_every_place(layout):
    out = BytesIO()
    write_calibration(layout, out, font_path=find_font(), advice="按 100% 打印")
    (text,) = page_texts(out.getvalue())
    numbers = {word for word in text.split() if word.isdigit()}
    assert {str(n + 1) for n in range(layout.places)} <= numbers
    assert "mm" in text
    (page,) = pages(out.getvalue(), dpi=100)
    assert page.size == pytest.approx(
        (layout.page_width / 25.4 * 100, layout.page_height / 25.4 * 100), abs=1
    )
