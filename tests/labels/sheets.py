"""Labels to print, the sheet of them, and one label cut out of it."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from PIL import Image

from app.labels.fonts import find_font
from app.labels.placing import SheetLabel
from app.labels.sheet import SheetReport, write_sheet

NAME = "活道粉葛 礼盒装"
GTIN = "06901234567892"
PUNCTUATION = "!\"%&'()*+,-./_:;<=>?"  # with nothing else: 20 characters of CSET 82


def uri(serial: str) -> str:
    return f"https://trace.example.cn/01/{GTIN}/21/{serial}"


def label(
    number: int = 0, *, name: str = NAME, lot: str = "L20261101", serial: str = "", inner: str = ""
) -> SheetLabel:
    serial = serial or f"8F3K2M9Q{number:05d}"
    return SheetLabel(
        content=uri(f"S{number:05d}"),
        title=name,
        fields=(
            ("商品条码", f"(01){GTIN}"),
            ("批号", lot and f"(10){lot}"),
            ("序列号", f"(21){serial}"),
        ),
        inner=inner,
    )


def labels(many: int) -> Iterator[SheetLabel]:
    return map(label, range(many))


def printed(given, **options) -> tuple[bytes, SheetReport]:
    out = BytesIO()
    settings = {"symbol": "qr", "font_path": find_font(), "inner_word": "刮开查验"} | options
    report = write_sheet(given, out, **settings)
    return out.getvalue(), report


def cell(page: Image.Image, place: int) -> Image.Image:
    row, column = divmod(place, 3)
    width, height = page.width / 3, page.height / 8
    box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
    return page.crop(tuple(map(round, box)))
