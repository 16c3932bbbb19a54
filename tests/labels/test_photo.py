"""Symbols in photos: read at any turn and kind, and refused before they cost anything."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest
import zxingcpp
from PIL import Image, ImageFilter

from app.credit.document_bodies import fault_of_body
from app.kit.errors import Overloaded
from app.kit.pictures import MAX_JPEG_PIXELS, MAX_PIXELS
from app.kit.turn import OneAtATime
from app.labels import photo
from app.labels.photo import PhotoRefused, read_photo
from app.trace.identifiers import parse_code

CODE = "01/06901234567892/21/8F3K2M9QZ7AB"
LINK = f"https://trace.example/{CODE}"
QR, MATRIX, EAN = (
    zxingcpp.BarcodeFormat.QRCode,
    zxingcpp.BarcodeFormat.DataMatrix,
    zxingcpp.BarcodeFormat.EAN13,
)


def symbol(said: str, kind: Any = QR, scale: int = 6, **more: Any) -> Image.Image:
    made = zxingcpp.create_barcode(said, kind, **more)
    return Image.fromarray(zxingcpp.write_barcode_to_image(made, scale=scale)).convert("L")


def table(*symbols: Image.Image, size: tuple[int, int] = (1600, 1200)) -> Image.Image:
    seen = Image.new("L", size, 180)
    for n, one in enumerate(symbols):
        seen.paste(one, (120 + n * 560, 300))
    return seen


def sent(image: Image.Image, kind: str = "JPEG", **more: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **more)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("turn", [0, 7, 45, 90, 180])
def test_a_label_is_read_at_any_turn(kind, turn):
    seen = table(symbol(LINK)).rotate(turn, expand=True, fillcolor=180)
    assert read_photo(sent(seen.filter(ImageFilter.GaussianBlur(1.5)), kind)) == (LINK,)


def test_a_gs1_datamatrix_names_its_unit():
    label = symbol("(01)06901234567892(21)8F3K2M9QZ7AB", MATRIX, gs1=True)
    (said,) = read_photo(sent(table(label)))
    assert parse_code(said).stream == CODE


def test_the_trace_code_comes_before_the_goods_own_bar_code():
    for order in ((symbol("6901234567892", EAN), symbol(LINK)),
                  (symbol(LINK), symbol("6901234567892", EAN))):  # fmt: skip
        assert read_photo(sent(table(*order))) == (LINK, "6901234567892")


def test_a_transparent_picture_is_on_white():
    label = symbol(LINK)
    clear = Image.new("LA", label.size, (0, 0))
    clear.paste(label, (0, 0), Image.eval(label, lambda grey: 255 - grey))
    assert read_photo(sent(clear, "PNG")) == (LINK,)


def test_nothing_is_read_where_there_is_nothing():
    assert read_photo(sent(table())) == ()


def test_a_micro_qr_is_no_code_of_anybodys():
    small = symbol("0088", zxingcpp.BarcodeFormat.MicroQRCode)
    assert read_photo(sent(table(small))) == ()
    assert read_photo(sent(table(small, symbol(LINK)))) == (LINK,)


@pytest.mark.parametrize(
    ("file", "key"),
    [
        (lambda: b"", "photo_kind"),
        (lambda: b"hello", "photo_kind"),
        (lambda: sent(table(), "GIF"), "photo_kind"),
        (lambda: sent(table(), "BMP"), "photo_kind"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "photo_kind"),
        (lambda: sent(table())[:900], "photo_damaged"),
        (lambda: sent(table(), "PNG")[:200], "photo_damaged"),
        (lambda: b"\xff\xd8\xff" + bytes(range(256)) * 9, "photo_kind"),
        (lambda: b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "photo_kind"),
    ],
)
def test_what_is_no_photo_is_refused(file, key):
    with pytest.raises(PhotoRefused) as refused:
        read_photo(file())
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("side", "kind"), [(5_000, "PNG"), (12_000, "PNG"), (20_000, "PNG"), (8_000, "JPEG")]
)
def test_a_bomb_is_refused_by_its_header(side, kind):
    file = sent(Image.new("1" if kind == "PNG" else "L", (side, side)), kind)
    assert side * side > (MAX_PIXELS if kind == "PNG" else MAX_JPEG_PIXELS)
    tracemalloc.start()
    try:
        with pytest.raises(PhotoRefused) as refused:
            read_photo(file)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.key == "photo_pixels"
    assert most < 2_000_000


def test_a_large_photo_of_a_phone_is_read():
    seen = Image.new("L", (8_000, 6_000), 180)
    seen.paste(symbol(LINK, scale=24), (3_000, 2_500))
    assert read_photo(sent(seen)) == (LINK,)


def test_one_photo_is_read_at_a_time_and_who_waits_too_long_is_told(monkeypatch):
    monkeypatch.setattr(photo, "_turn", OneAtATime("photos_busy", patience_s=0.01))
    assert read_photo(sent(table())) == ()
    with photo._turn:
        with pytest.raises(Overloaded):
            read_photo(sent(table()))
        # A party's own document does not wait for what strangers hold to a camera.
        assert fault_of_body(sent(table()), "image/jpeg") is None
    with pytest.raises(PhotoRefused):
        read_photo(b"")
    assert read_photo(sent(table())) == ()  # a refusal gives the turn back
