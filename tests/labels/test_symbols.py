"""Single labels: what PNG and SVG say to a decoder after a printer and a hand, and to an eye."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from PIL import Image, ImageChops

from app.kit.errors import Invalid, Unavailable
from app.labels.fonts import find_font
from app.labels.symbols import Label, label_png, label_svg
from tests.labels.reading import (
    at_dpi,
    blurred,
    noisy,
    opened,
    rasterised,
    rotated,
    zbar_texts,
    zxing_kinds,
    zxing_texts,
)

URI = "https://trace.example.cn/01/06901234567892/21/8F3K2M9QZ7AB"
LINES = ("(01)06901234567892", "(10)L20261101", "(21)8F3K2M9QZ7AB")
QR = Label(URI, LINES)
DATAMATRIX = Label("(01)06901234567892(10)L20261101(21)8F3K2M9QZ7AB", LINES)
SCANNED = "010690123456789210L20261101\x1d218F3K2M9QZ7AB"
EAN13 = Label("06901234567892")
SVG = "{http://www.w3.org/2000/svg}"


def seen(label: Label, symbol: str, form: str, *, dpi: int) -> Image.Image:
    if form == "svg":
        return rasterised(label_svg(label, symbol), dpi=dpi)
    return at_dpi(opened(label_png(label, symbol)), dpi=dpi)


def worn(image: Image.Image, wear: str, *, dpi: int) -> Image.Image:
    if wear == "blurred":
        return blurred(
            image, 0.3 * 0.6 * dpi / 25.4
        )  # 0.3 of a module, which is 0.6 mm or more here
    return noisy(image) if wear == "noisy" else image


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize("dpi", [200, 300])
@pytest.mark.parametrize("degrees", [0, 7, 45, 90])
@pytest.mark.parametrize("wear", ["clean", "blurred", "noisy"])
def test_a_qr_label_reads_after_print_and_hand(form, dpi, degrees, wear):
    image = worn(rotated(seen(QR, "qr", form, dpi=dpi), degrees), wear, dpi=dpi)
    assert zxing_texts(image) == [URI]
    # zbar gives up at 45 degrees on edges sharper than any camera's.
    assert zbar_texts(image if degrees != 45 else blurred(image, 1)) == [URI]


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize("dpi", [200, 300])
@pytest.mark.parametrize("degrees", [0, 7, 45, 90])
@pytest.mark.parametrize("wear", ["clean", "blurred", "noisy"])
def test_a_datamatrix_label_reads_after_print_and_hand(form, dpi, degrees, wear):
    image = worn(rotated(seen(DATAMATRIX, "datamatrix", form, dpi=dpi), degrees), wear, dpi=dpi)
    assert zxing_texts(image) == [SCANNED]
    assert zxing_kinds(image) == ["]d2"]


@pytest.mark.parametrize("form", ["png", "svg"])
@pytest.mark.parametrize("dpi", [300, 600])
@pytest.mark.parametrize("degrees", [0, 90, 180])
def test_an_ean13_label_reads_in_two_decoders(form, dpi, degrees):
    image = rotated(seen(EAN13, "ean13", form, dpi=dpi), degrees)
    assert zxing_texts(image) == ["6901234567892"]
    assert zxing_kinds(image) == ["]E0"]
    assert zbar_texts(image) == ["6901234567892"]


@pytest.mark.parametrize("degrees", [7, 45])
def test_a_tilted_ean13_label_reads(degrees):
    # zbar alone: zxing-cpp looks along rows and columns only.
    assert zbar_texts(rotated(opened(label_png(EAN13, "ean13")), degrees)) == ["6901234567892"]


@pytest.mark.parametrize("length", [20, 58, 120, 250, 500])
def test_a_png_has_300_dpi_or_more_at_25_mm(length):
    content = ("https://t.cn/" + "a" * length)[:length]
    image = opened(label_png(Label(content), "qr"))
    assert image.width >= 300 * 25 / 25.4
    printed_mm = image.width / image.info["dpi"][0] * 25.4
    assert printed_mm >= 24.9
    assert zxing_texts(image) == [content]


def test_the_module_size_is_what_was_asked_for():
    small, large = (opened(label_png(Label(URI), "qr", module_px=px)) for px in (3, 12))
    assert large.width == 4 * small.width
    assert zxing_texts(small) == zxing_texts(large) == [URI]


@pytest.mark.parametrize("module_px", [0, -1, 51])
def test_a_senseless_module_size_is_refused(module_px):
    with pytest.raises(ValueError, match=str(module_px)):
        label_png(QR, "qr", module_px=module_px)


def test_the_quiet_zone_is_four_modules_of_white():
    image = opened(label_png(Label(URI), "qr", module_px=10))
    left, top, right, bottom = ImageChops.invert(image).getbbox()
    assert (left, top, image.width - right, image.height - bottom) == (40, 40, 40, 40)


@pytest.mark.parametrize(("content", "symbol"), [(URI, "qr"), ("(01)06901234567892", "datamatrix")])
def test_a_png_has_no_grey_between_modules(content, symbol):
    assert set(opened(label_png(Label(content), symbol)).tobytes()) == {0, 255}


def test_the_letters_below_do_not_touch_the_quiet_zone():
    bare = opened(label_png(Label(URI), "qr"))
    lettered = opened(label_png(QR, "qr"))
    assert lettered.height > bare.height
    strip = lettered.crop((0, bare.height - 40, lettered.width, bare.height))
    assert strip.getextrema() == (255, 255)


def test_a_long_line_widens_the_label_and_is_not_cut():
    serial = "(21)" + "W" * 20
    label = Label(URI, (serial,))
    image = opened(label_png(label, "qr"))
    left, _, right, _ = ImageChops.invert(image).getbbox()
    assert left > 5
    assert right < image.width - 5
    assert image.width > opened(label_png(Label(URI), "qr")).width
    assert zxing_texts(image) == [URI]


def test_each_line_takes_room_and_ink():
    one, two = (opened(label_png(Label(URI, LINES[:count]), "qr")) for count in (1, 2))
    assert two.height > one.height
    below = two.crop((0, one.height, two.width, two.height))
    assert below.getextrema()[0] < 64


def test_without_a_font_a_chinese_line_shows_signs_and_no_blanks():
    assert label_png(Label(URI, ("粉葛",)), "qr") == label_png(Label(URI, ("??",)), "qr")


def test_with_a_font_a_line_may_be_chinese():
    font_path = find_font()
    shown = label_png(Label(URI, ("粉葛",)), "qr", font_path=font_path)
    assert shown != label_png(Label(URI, ("粉藕",)), "qr", font_path=font_path)
    assert zxing_texts(opened(shown)) == [URI]


def test_a_font_that_is_not_there_is_said(tmp_path):
    with pytest.raises(Unavailable) as refused:
        label_png(QR, "qr", font_path=tmp_path / "none.ttf")
    assert refused.value.key == "font_missing"


def test_an_svg_is_measured_in_millimetres_and_sharp():
    root = ET.fromstring(label_svg(Label(URI), "qr"))
    width, height = root.get("width"), root.get("height")
    assert (width, height) == ("25.000mm", "25.000mm")
    assert root.get("viewBox") == "0 0 25.000 25.000"
    path = root.find(f"{SVG}path")
    assert path.get("shape-rendering") == "crispEdges"


def test_the_modules_of_a_large_symbol_do_not_shrink_below_0_4_mm():
    root = ET.fromstring(label_svg(Label("https://t.cn/" + "a" * 500), "qr"))
    assert float(root.get("width").removesuffix("mm")) > 30
    scale = root.find(f"{SVG}path").get("transform").split("scale(")[1]
    assert float(scale.rstrip(")")) == 0.4


def test_an_svg_shows_its_lines_as_text():
    root = ET.fromstring(label_svg(QR, "qr"))
    assert tuple(text.text for text in root.iter(f"{SVG}text")) == LINES
    width = float(root.get("viewBox").split()[2])
    assert all(float(text.get("textLength")) <= width for text in root.iter(f"{SVG}text"))


def test_ean13_digits_stand_below_the_bars():
    root = ET.fromstring(label_svg(EAN13, "ean13"))
    assert [text.text for text in root.iter(f"{SVG}text")] == ["6 901234 567892"]


def test_a_line_is_text_and_never_markup():
    evil = "</text><script>alert(1)</script>&\"'<"
    root = ET.fromstring(label_svg(Label(URI, (evil,)), "qr"))
    assert {element.tag for element in root.iter()} == {
        f"{SVG}{tag}" for tag in ("svg", "rect", "path", "text")
    }
    assert [text.text for text in root.iter(f"{SVG}text")] == [evil]
    assert root.get("aria-label") == evil


def test_controls_and_surrogates_do_not_break_the_xml():
    root = ET.fromstring(label_svg(Label(URI, ("a\x00b\x1dc\ud800d\ufffe", "  ", "")), "qr"))
    assert [text.text for text in root.iter(f"{SVG}text")] == ["a b c d"]


@pytest.mark.parametrize("draw", [label_png, label_svg])
def test_a_symbol_that_cannot_be_is_refused(draw):
    with pytest.raises(Invalid):
        draw(Label("16901234567899"), "ean13")


@pytest.mark.parametrize("draw", [label_png, label_svg])
def test_the_same_label_gives_the_same_bytes(draw):
    assert draw(QR, "qr") == draw(QR, "qr")
