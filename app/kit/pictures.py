"""Pictures from anybody, bounded before they are decoded: by kind, by pixels and scans, by one at a time.

PIL is imported where it is used: most commands never look at a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from PIL import Image

Format = Literal["JPEG", "PNG", "WEBP"]
FORMATS: Final[tuple[Format, ...]] = ("JPEG", "PNG", "WEBP")
# A JPEG is decoded at a fraction of its size; what else is sent is the picture of a screen, or a scan.
MAX_JPEG_PIXELS: Final = 60_000_000
MAX_PNG_PIXELS: Final = 50_000_000
"""Of who may send a scan: A4 at 600 dpi is 35 million. Decoded it takes 200 MB, and 1 s at the worst."""
MAX_PIXELS: Final = 20_000_000
"""Of any other picture. A WebP is decoded into several copies: 780 MB at 50 million pixels."""
WORKING_SIDE: Final = 2_400
"""Pixels of a side that are enough for a JPEG, which is decoded no larger where its form allows."""
MAX_SCANS: Final = 64
"""Of a JPEG: progressive ones have a dozen. Each is decoded over all pixels, however few bytes it has."""
# ITU-T T.81 B.1.1.2 and B.1.1.5: a marker; behind 0xFF stand no zero and no restart while a scan goes on.
_MARKER: Final = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_ALONE, _END, _SCAN = b"\x01\xd8", b"\xd9", b"\xda"


class PictureUnfit(Exception):
    """The bytes are no picture that is taken. millions: of pixels that it may have at most."""

    def __init__(self, reason: Literal["kind", "pixels", "damaged"], *, millions: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.millions = millions


@contextmanager
def opened_picture(
    raw: bytes,
    *,
    formats: tuple[Format, ...] = FORMATS,
    mode: str | None = None,
    max_png_pixels: int = MAX_PIXELS,
) -> Iterator[Image.Image]:
    """Yields a picture of which the header alone has been read; a JPEG is decoded in `mode`, or its own.

    In its turn (app.kit.turn). Raises PictureUnfit, also for what fails while the picture is decoded.
    """
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 - see above

    is_jpeg = raw.startswith(b"\xff\xd8")
    most = MAX_JPEG_PIXELS if is_jpeg else MAX_PIXELS
    if raw.startswith(b"\x89PNG"):
        most = max_png_pixels
    if is_jpeg and _scans(raw) > MAX_SCANS:
        raise PictureUnfit("damaged")
    try:
        with Image.open(BytesIO(raw), formats=formats) as image:
            if image.width * image.height > most:
                raise PictureUnfit("pixels", millions=most // 1_000_000)
            image.draft(mode, (WORKING_SIDE, WORKING_SIDE))
            yield image
    except UnidentifiedImageError as err:
        raise PictureUnfit("kind") from err
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise PictureUnfit("pixels", millions=most // 1_000_000) from err
    # A picture that lies about itself fails in whatever way its decoder fails.
    except (OSError, ValueError, SyntaxError) as err:
        raise PictureUnfit("damaged") from err


def _scans(raw: bytes) -> int:
    """Returns how many scans a JPEG has up to its end; previews within its segments are passed over."""
    at, scans = 0, 0
    while (found := _MARKER.search(raw, at)) is not None and found[1] != _END:
        at = found.end()
        if found[1] not in _ALONE:
            at += int.from_bytes(raw[at : at + 2], "big")
        scans += found[1] == _SCAN
    return scans
