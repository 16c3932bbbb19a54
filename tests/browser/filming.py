"""Labels before a camera: chromium is given a film in place of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zxingcpp
from PIL import Image

from tests.browser.phone import another

QR, BARS = zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Code128
# Scripts of a browser that reads no codes itself, and of one that can run no decoder either.
NO_DETECTOR = "delete globalThis.BarcodeDetector;"
NEITHER = f"{NO_DETECTOR} delete globalThis.WebAssembly;"


def symbol(said: str, *, kind: Any = QR) -> Image.Image:
    made = zxingcpp.create_barcode(said, kind)
    return Image.fromarray(zxingcpp.write_barcode_to_image(made, scale=6)).convert("L")


def film(*said: tuple[str, Any], path: Path) -> Path:
    """A video (YUV 4:2:0) in which labels come one after another, each for two seconds, over and over."""
    grey, frames = b"\x80" * (640 * 480 // 2), []
    for told, kind in said:
        seen, label = Image.new("L", (640, 480), 170), symbol(told, kind=kind)
        label.thumbnail((600, 400))
        seen.paste(label, (20, 40))
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
