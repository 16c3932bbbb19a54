"""Renders every sample page to a folder and, with chromium, photographs it: for people's eyes.

`python -m tests.web.gallery FOLDER [NAME …]` writes FOLDER/<name>.html and, where chromium is at hand,
FOLDER/<name>.<width>[-dark].png. A developer looks at them before and after changing a page.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from app.web.pages.versions import STATIC
from tests.browser.phone import CHROMIUM, launched
from tests.web.samples import pages

SIZES = ((390, 844), (360, 740), (1280, 900))


def write_pages(folder: Path, wanted: list[str]) -> list[Path]:
    """Writes the pages with the stylesheet beside them, so that they open without a service."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(STATIC, folder / "static", dirs_exist_ok=True)
    written = []
    for name, html in pages().items():
        if not wanted or any(name.startswith(part) for part in wanted):
            path = folder / f"{name}.html"
            path.write_text(html.replace('"/static/', '"static/'), encoding="utf-8")
            written.append(path)
    return written


def photograph(paths: list[Path]) -> None:
    with launched() as opened:
        for width, height in SIZES:
            for scheme in ("light", "dark"):
                context = opened.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    reduced_motion="reduce",
                )
                page = context.new_page()
                for path in paths:
                    page.goto(path.as_uri())
                    dark = "-dark" if scheme == "dark" else ""
                    page.screenshot(path=path.with_suffix(f".{width}{dark}.png"), full_page=True)
                context.close()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m tests.web.gallery FOLDER [NAME …]")
    made = write_pages(Path(sys.argv[1]), sys.argv[2:])
    if CHROMIUM.exists():
        photograph(made)
    print(f"{len(made)} pages in {sys.argv[1]}")
