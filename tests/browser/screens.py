"""A page looked at on every screen, in light and in dark, once it is loaded.

What a page shows in the dark and on another screen is a matter of style alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tests.browser.looked import note
from tests.browser.measures import check_fit, check_layout, check_structure

# From WCAG 2.2's narrowest (1.4.10, reflow) on, both sides of every width at which the pages change.
SCREENS = (
    (320, 640), (360, 740), (390, 844), (600, 960), (768, 1024), (1024, 768), (1280, 900), (1440, 900),
)  # fmt: skip
PICTURED = (390, 1280)

_sessions: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def look(
    page: Any, pictures: Callable[..., None], name: str, lang: str, scheme: str | None = None
) -> None:
    """Measures the page on every screen, in light and in dark, with what is folded opened.

    scheme: one of the two, where the page comes another way in the other.
    """
    check_structure(page, lang=lang, also_dark=scheme is None)
    page.locator("details").evaluate_all("all => all.forEach((one) => one.open = true)")
    check_screens(page, pictures, f"{name}-{lang}", *([scheme] if scheme else ()))


def check_screens(
    page: Any, pictures: Callable[..., None], name: str, *schemes: str, full_page: bool = True
) -> None:
    """The page fits every screen as it stands. schemes: one of the two alone, where it is named.

    Light and dark differ in colours alone (tests/browser/test_looks.py), so every width is measured in one.
    """
    *others, last = schemes or ("dark", "light")
    for dress in (*others, last):
        page.emulate_media(color_scheme=dress, reduced_motion="reduce")
        for width, height in SCREENS:
            if width in PICTURED:
                _resize(page, width, height)
                check_layout(page)
                pictures(page, f"{name}-{dress}-{width}.png", full_page=full_page)
            elif dress == last:
                _resize(page, width, height)
                check_fit(page)
    page.set_viewport_size({"width": width, "height": height})  # what it is now, told to playwright
    note("screens", page)


def _resize(page: Any, width: int, height: int) -> None:
    """Shows the page on a screen as playwright does, but for its window, which is laid out before it."""
    if page not in _sessions:
        _sessions[page] = page.context.new_cdp_session(page)
    screen = {"width": width, "height": height, "screenWidth": width, "screenHeight": height}
    shown = {**screen, "deviceScaleFactor": 1, "mobile": False}
    _sessions[page].send("Emulation.setDeviceMetricsOverride", shown)
