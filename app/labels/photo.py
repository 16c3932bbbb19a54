"""Symbols in a photo: what a camera saw, in; the texts of its labels, out.

A photo comes from anybody, and is bounded before it is decoded (app.kit.pictures). Nothing of it is kept,
neither the picture nor what was written into it (place, time, device): it is read from memory and forgotten.
"""

from __future__ import annotations

from typing import Final

import zxingcpp
from PIL import Image

from app.kit.errors import Invalid
from app.kit.pictures import WORKING_SIDE, PictureUnfit, opened_picture
from app.kit.turn import OneAtATime

_TRACE: Final = (zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.DataMatrix)
# Asked for QR, the decoder looks for Micro QR as well, which no label carries, and on a sheet of
# labels finds one where none is.
_TRACE_ASKED: Final = (zxingcpp.BarcodeFormat.QRCodeModel2, zxingcpp.BarcodeFormat.DataMatrix)
_GOODS: Final = (
    zxingcpp.BarcodeFormat.EAN13,
    zxingcpp.BarcodeFormat.EAN8,
    zxingcpp.BarcodeFormat.UPCA,
    zxingcpp.BarcodeFormat.ITF,
    zxingcpp.BarcodeFormat.Code128,
)


_turn = OneAtATime("photos_busy")


class PhotoRefused(Invalid):
    """The file is no photo that is read here: `key` is photo_kind, photo_pixels or photo_damaged."""


def read_photo(photo: bytes) -> tuple[str, ...]:
    """Returns the texts of the symbols in a photo, those with more to say first; () for none.

    A GS1 FNC1 stands as the control character 0x1D, as a scanner sends it.
    Raises PhotoRefused, and Overloaded where others' photos take too long.
    """
    with _turn:
        return _texts(_open(photo))


def _open(photo: bytes) -> Image.Image:
    try:
        with opened_picture(photo, mode="L") as image:
            return _grey(image)
    except PictureUnfit as unfit:
        if unfit.reason == "pixels":
            raise PhotoRefused("photo_pixels", limit=unfit.millions) from unfit
        raise PhotoRefused(f"photo_{unfit.reason}") from unfit


def _grey(image: Image.Image) -> Image.Image:
    """Returns the picture in shades of grey on white, no larger than is needed."""
    if "A" in image.getbands() or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    grey = image.convert("L")
    # A label that fills a tenth of the picture has six pixels a module then; more only costs time.
    grey.thumbnail((WORKING_SIDE, WORKING_SIDE))
    return grey


def _texts(image: Image.Image) -> tuple[str, ...]:
    found = zxingcpp.read_barcodes(
        image,
        formats=zxingcpp.BarcodeFormats([*_TRACE_ASKED, *_GOODS]),
        text_mode=zxingcpp.TextMode.Plain,
    )
    said: list[tuple[bool, str]] = []
    for code in found:
        try:
            said.append((code.format in _TRACE, code.bytes.decode("utf-8")))
        except UnicodeDecodeError:
            continue  # no code of anybody's that we know
    # A parcel shows the goods' own bar code beside the label: that says less.
    said.sort(key=lambda one: not one[0])
    return tuple(dict.fromkeys(text for _, text in said))
