"""Makes the README's pictures from a served demo: `python -m tests.browser.pictures [FOLDER]`.

Four phones side by side, once in Chinese and once in English: docs/scan-zh.png, docs/scan-en.png. To
be run by a developer after a page changed; tests only check that what is committed is light.
"""

from __future__ import annotations

import io
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.phone import launched, opened
from tests.drills.deployment import wait_until
from tests.drills.processes import ROOT, start

SHOWN = ("intact", "incomplete", "broken", "recalled")
WIDTH, HEIGHT, SCALE, GAP = 390, 800, 2, 24
HEAVIEST_BYTES = 300_000
_GROUND = (216, 208, 194)
_COLOURS = (96, 64, 48, 32)


def make_pictures(folder: Path) -> list[Path]:
    """Writes a picture a language; returns their paths."""
    with tempfile.TemporaryDirectory(prefix="suxin-pictures-") as name:
        work = Path(name)
        out, err = work / "out", work / "err"
        demo = start(["demo", "--port", "0"], cwd=work, env={}, out=out, err=err)
        try:
            wait_until(
                lambda: "is serving at" in err.read_text("utf-8") or not demo.is_alive(),
                "the demo is served", timeout_s=120,
            )  # fmt: skip
            pages = dict(
                re.findall(
                    r"^ {2}(\w+) +(http://\S+/01/\S+)$", out.read_text("utf-8"), re.MULTILINE
                )
            )
            with launched() as browser:
                return [_make(browser, pages, lang, folder) for lang in ("zh", "en")]
        finally:
            demo.terminate()
            demo.join(30)


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
