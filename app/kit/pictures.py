"""Pictures from anybody, bounded before they are decoded: by kind, by pixels as told, by one at a time.

PIL is imported where it is used: most commands never look at a picture.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal

from app.kit.errors import Overloaded

if TYPE_CHECKING:
    from PIL import Image

Format = Literal["JPEG", "PNG", "WEBP"]
FORMATS: Final[tuple[Format, ...]] = ("JPEG", "PNG", "WEBP")
# A JPEG is decoded at a fraction of its size; what else is sent is the picture of a screen.
MAX_JPEG_PIXELS: Final = 60_000_000
MAX_PIXELS: Final = 20_000_000
WORKING_SIDE: Final = 2_400
"""Pixels of a side that are enough for a JPEG, which is decoded no larger where its form allows."""
_PATIENCE_S: Final = 5.0

# Whatever is sent, the memory of one picture is all that it costs a process.
_turn = threading.BoundedSemaphore(1)


class PictureUnfit(Exception):
    """The bytes are no picture that is taken. millions: of pixels that it may have at most."""

    def __init__(self, reason: Literal["kind", "pixels", "damaged"], *, millions: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.millions = millions


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Waits for the turn to look at a picture. Raises Overloaded where others' pictures take too long."""
    if not _turn.acquire(timeout=_PATIENCE_S):
        raise Overloaded("photos_busy", retry_after_s=2)
    try:
        yield
    finally:
        _turn.release()


@contextmanager
def opened_picture(
    raw: bytes, *, formats: tuple[Format, ...] = FORMATS, mode: str | None = None
) -> Iterator[Image.Image]:
    """Yields a picture of which the header alone has been read; a JPEG is decoded in `mode`, or its own.

    In its turn (`one_at_a_time`). Raises PictureUnfit, also for what fails while the picture is decoded.
    """
    from PIL import Image, JpegImagePlugin, UnidentifiedImageError  # noqa: PLC0415 - see above

    try:
        with Image.open(BytesIO(raw), formats=formats) as image:
            is_jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
            most = MAX_JPEG_PIXELS if is_jpeg else MAX_PIXELS
            if image.width * image.height > most:
                raise PictureUnfit("pixels", millions=most // 1_000_000)
            image.draft(mode, (WORKING_SIDE, WORKING_SIDE))
            yield image
    except UnidentifiedImageError as err:
        raise PictureUnfit("kind") from err
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as err:
        raise PictureUnfit("pixels", millions=MAX_PIXELS // 1_000_000) from err
    # A picture that lies about itself fails in whatever way its decoder fails.
    except (OSError, ValueError, SyntaxError) as err:
        raise PictureUnfit("damaged") from err
