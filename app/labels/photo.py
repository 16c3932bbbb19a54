"""Symbols in a photo: what a camera saw, in; the texts of its labels, out.

A photo comes from anybody, so it is bounded before it is decoded: by kind, by pixels as its header
tells them, by one at a time. Nothing of it is kept, neither the picture nor what was written into it
(place, time, device): it is read from memory and forgotten.
"""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Final

import zxingcpp
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

from app.kit.errors import Invalid, Overloaded

_FORMATS: Final = ("JPEG", "PNG", "WEBP")
# A JPEG is decoded at a fraction of its size; what else is sent is the picture of a screen.
MAX_JPEG_PIXELS: Final = 60_000_000
MAX_PIXELS: Final = 20_000_000
# A label that fills a tenth of the picture has six pixels a module then; more only costs time.
_WORKING_SIDE: Final = 2_400
_PATIENCE_S: Final = 5.0
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

# One at a time: whatever is sent, the memory of one picture is all that it costs.
_turn = threading.BoundedSemaphore(1)


class PhotoRefused(Invalid):
    """The file is no photo that is read here: `key` is photo_kind, photo_pixels or photo_damaged."""


def read_photo(photo: bytes) -> tuple[str, ...]:
    """Returns the texts of the symbols in a photo, those with more to say first; () for none.

    A GS1 FNC1 stands as the control character 0x1D, as a scanner sends it.
    Raises PhotoRefused, and Overloaded where others' photos take too long.
    """
    if not _turn.acquire(timeout=_PATIENCE_S):
        raise Overloaded("photos_busy", retry_after_s=2)
    try:
        return _texts(_open(photo))
    finally:
        _turn.release()


def _open(photo: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(photo), formats=_FORMATS) as image:
            # The header alone has been read so far.
            is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
            pixels, most = image.width * image.height, MAX_JPEG_PIXELS if is_jpeg else MAX_PIXELS
            if pixels > most:
                raise PhotoRefused("photo_pixels", limit=most // 1_000_000)
            image.draft("L", (_WORKING_SIDE, _WORKING_SIDE))
            return _grey(image)
    except PhotoRefused:
        raise
    except UnidentifiedImageError as err:
        raise PhotoRefused("photo_kind") from err
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise PhotoRefused("photo_pixels", limit=MAX_PIXELS // 1_000_000) from err
    # A picture that lies about itself fails in whatever way its decoder fails.
    except (OSError, ValueError, SyntaxError) as err:
        raise PhotoRefused("photo_damaged") from err


def _grey(image: Image.Image) -> Image.Image:
    """Returns the picture in shades of grey on white, no larger than is needed."""
    if "A" in image.getbands() or "transparency" in image.info:
        clear = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear)
    grey = image.convert("L")
    grey.thumbnail((_WORKING_SIDE, _WORKING_SIDE))
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
