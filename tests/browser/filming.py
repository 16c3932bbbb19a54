"""Labels before a camera: chromium is given a film in place of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zxingcpp
from PIL import Image

from tests.browser.phone import another
from tests.labels.reading import ZXING_KINDS, pages

QR, BARS = zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Code128
# Scripts of a browser that reads no codes itself, and of one that can run no decoder either.
NO_DETECTOR = "delete globalThis.BarcodeDetector;"
NEITHER = f"{NO_DETECTOR} delete globalThis.WebAssembly;"
# A printed label as far as a camera sees it, from its symbol's corner in widths of that.
_AROUND = (-0.4, -0.6, 3.0, 1.6)


def symbol(said: str, *, kind: Any = QR) -> Image.Image:
    made = zxingcpp.create_barcode(said, kind)
    return Image.fromarray(zxingcpp.write_barcode_to_image(made, scale=6)).convert("L")


def printed(paper: bytes) -> dict[str, Image.Image]:
    """Returns the labels of a sheet (a PDF), each by what its symbol says."""
    seen = {}
    for page in pages(paper, dpi=200):
        for found in zxingcpp.read_barcodes(page, formats=ZXING_KINDS):
            at, wide = (
                found.position.top_left,
                found.position.top_right.x - found.position.top_left.x,
            )
            left, top, right, bottom = (round(side * wide) for side in _AROUND)
            seen[found.text] = page.crop((at.x + left, at.y + top, at.x + right, at.y + bottom))
    return seen


def film(*labels: Image.Image, path: Path) -> Path:
    """A video (YUV 4:2:0) in which labels come one after another, each for two seconds, over and over."""
    grey, frames = b"\x80" * (640 * 480 // 2), []
    for label in labels:
        seen, shown = Image.new("L", (640, 480), 170), label.copy()
        shown.thumbnail((600, 400))
        seen.paste(shown, (20, 40))
        frames += [seen] * 20
        frames += [Image.new("L", (640, 480), 170)] * 5
    body = b"".join(b"FRAME\n" + frame.tobytes() + grey for frame in frames)
    path.write_bytes(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + body)
    return path


@contextmanager
def seeing(browser: Any, path: Path) -> Iterator[Any]:
    """Yields a browser beside a first one, whose camera sees a film and may be used unasked."""
    with another(
        browser,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    ) as started:
        yield started
