"""Makes the README's pictures from a served demo: `python -m tests.browser.pictures [FOLDER]`.

Four phones side by side, once in Chinese and once in English (docs/scan-zh.png, docs/scan-en.png), and
what is met on the way through the three doors (docs/doors-….png), which tests/browser/test_three_doors.py
goes too. To be run by a developer after a page changed; tests only check that what is committed is light.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.doors import (
    Demo,
    demo_served,
    find_and_prove,
    now,
    push_signatures,
    scan_and_speak,
    sell_and_send,
    subscribe,
)
from tests.browser.phone import launched, opened
from tests.drills.processes import ROOT

SHOWN = ("intact", "incomplete", "broken", "recalled")
WIDTH, HEIGHT, SCALE, GAP = 390, 800, 2, 24
HEAVIEST_BYTES = 300_000
_GROUND = (216, 208, 194)
# What is kept of the walk -> how its picture is called.
DOORS = {
    "labels": "labels",
    "dispatched": "dispatch",
    "ticket": "ticket",
    "the altered chain": "chain",
    "audit": "audit",
}
_COLOURS = (96, 64, 48, 32)


def make_pictures(folder: Path) -> list[Path]:
    """Writes a picture a language, and one a door; returns their paths."""
    with (
        tempfile.TemporaryDirectory(prefix="suxin-pictures-") as name,
        demo_served(Path(name)) as demo,
        launched() as browser,
    ):
        made = [_make(browser, demo.shown, lang, folder) for lang in ("zh", "en")]
        return made + _walk(browser, demo, Path(name), folder)


def _walk(browser: Any, demo: Demo, work: Path, folder: Path) -> list[Path]:
    """Goes through the three doors and keeps what the README shows of each."""
    made: list[Path] = []

    def keep(page: Any, name: str) -> None:
        door = DOORS.get(name)
        if door is not None:
            page.evaluate("scrollTo(0, 0)")
            seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            path = folder / f"doors-{door}.png"
            path.write_bytes(_compress(seen))
            made.append(path)

    sent = sell_and_send(browser, demo, work, keep)
    push_signatures(subscribe(browser, demo, keep), now())
    find_and_prove(browser, demo, work, f"{demo.url}/{sent.scanned}", keep)
    scan_and_speak(browser, demo, work, sent, keep)
    return made


def _make(browser: Any, pages: dict[str, str], lang: str, folder: Path) -> Path:
    phones = [_photograph(browser, f"{pages[state]}?lang={lang}", lang) for state in SHOWN]
    width = sum(phone.width for phone in phones) + GAP * SCALE * (len(phones) - 1)
    picture = Image.new("RGB", (width, HEIGHT * SCALE), _GROUND)
    at = 0
    for phone in phones:
        picture.paste(phone, (at, 0))
        at += phone.width + GAP * SCALE
    path = folder / f"scan-{lang}.png"
    path.write_bytes(_compress(picture))
    return path


def _photograph(browser: Any, url: str, lang: str) -> Image.Image:
    size = {"width": WIDTH, "height": HEIGHT}
    with opened(browser, lang=lang, viewport=size, device_scale_factor=SCALE) as (page, _):
        page.goto(url, wait_until="networkidle")
        return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def _compress(picture: Image.Image) -> bytes:
    """Returns a PNG with as many colours as its weight allows; text and flat grounds need few."""
    for colours in _COLOURS:
        palette = picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        packed = io.BytesIO()
        palette.save(packed, "PNG", optimize=True)
        if packed.tell() < HEAVIEST_BYTES:
            return packed.getvalue()
    raise ValueError(f"a picture of {packed.tell()} bytes; at most {HEAVIEST_BYTES}")


if __name__ == "__main__":
    made = make_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
    for written in made:
        print(f"{written}  {written.stat().st_size} bytes")
