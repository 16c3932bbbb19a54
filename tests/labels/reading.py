"""What a phone, a printer and a copier do to a label, and two decoders that never saw our code."""

from __future__ import annotations

import random
from io import BytesIO

import pypdfium2
import resvg_py
import zxingcpp
from PIL import Image, ImageChops, ImageFilter
from pyzbar import pyzbar

ZBAR_KINDS = [pyzbar.ZBarSymbol.QRCODE, pyzbar.ZBarSymbol.EAN13]
# What labels carry. Asked for every kind there is, or for QR in general, the decoder now and then
# reads a corner of a dense symbol as a Micro QR of four digits.
ZXING_KINDS = zxingcpp.BarcodeFormats(
    [
        zxingcpp.BarcodeFormat.QRCodeModel2,
        zxingcpp.BarcodeFormat.DataMatrix,
        zxingcpp.BarcodeFormat.EAN13,
    ]
)


def zxing_texts(image: Image.Image) -> list[str]:
    """What zxing-cpp reads, a GS1 FNC1 as the control character that a scanner sends."""
    found = zxingcpp.read_barcodes(image, formats=ZXING_KINDS, text_mode=zxingcpp.TextMode.Plain)
    return [code.bytes.decode() for code in found]


def zxing_kinds(image: Image.Image) -> list[str]:
    """The symbology identifiers: `]Q1` is QR, `]d2` is DataMatrix with FNC1 first, `]E0` EAN-13."""
    found = zxingcpp.read_barcodes(image, formats=ZXING_KINDS)
    return [code.symbology_identifier for code in found]


def zbar_texts(image: Image.Image) -> list[str]:
    return [code.data.decode() for code in pyzbar.decode(image, symbols=ZBAR_KINDS)]


def opened(png: bytes) -> Image.Image:
    return Image.open(BytesIO(png))


def rasterised(svg: bytes, *, dpi: int) -> Image.Image:
    """An SVG in millimetres as a renderer written by others draws it at this resolution."""
    return opened(bytes(resvg_py.svg_to_bytes(svg_string=svg.decode(), dpi=dpi))).convert("L")


def at_dpi(image: Image.Image, *, dpi: int) -> Image.Image:
    """A picture as it comes off paper: printed at its own resolution, seen at another."""
    scale = dpi / image.info["dpi"][0]
    size = (round(image.width * scale), round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def pages(pdf: bytes, *, dpi: int) -> list[Image.Image]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.render(scale=dpi / 72).to_pil().convert("L") for page in document]
    finally:
        document.close()


def page_texts(pdf: bytes) -> list[str]:
    """The text of each page as copied from a viewer, line ends as one sign."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in document]
    finally:
        document.close()


def rotated(image: Image.Image, degrees: int) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=255)


def blurred(image: Image.Image, sigma_px: float) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(sigma_px))


def noisy(image: Image.Image, level: int = 20) -> Image.Image:
    grain = random.Random(7).randbytes(image.width * image.height)
    noise = Image.frombytes("L", image.size, grain)
    noise = noise.point([128 - level + 2 * level * value // 255 for value in range(256)])
    return ImageChops.add(image, noise, 1, -128)
