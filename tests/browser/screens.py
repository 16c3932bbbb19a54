"""A page looked at on every screen, in light and in dark, once it is loaded.

What a page shows in the dark and on another screen is a matter of style alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from tests.browser.measures import check_layout, check_structure

SCREENS = ((360, 740), (390, 844), (1280, 900), (1440, 900))
_PICTURED = (390, 1280)

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
    """The page fits every screen as it stands. schemes: one of the two alone, where it is named."""
    for dress in schemes or ("dark", "light"):
        page.emulate_media(color_scheme=dress, reduced_motion="reduce")
        for width, height in SCREENS:
            _resize(page, width, height)
            check_layout(page)
            if width in _PICTURED:
                pictures(page, f"{name}-{dress}-{width}.png", full_page=full_page)
    page.set_viewport_size({"width": width, "height": height})  # what it is now, told to playwright


def _resize(page: Any, width: int, height: int) -> None:
    """Shows the page on a screen as playwright does, but for its window, which is laid out before it."""
    if page not in _sessions:
        _sessions[page] = page.context.new_cdp_session(page)
    screen = {"width": width, "height": height, "screenWidth": width, "screenHeight": height}
    shown = {**screen, "deviceScaleFactor": 1, "mobile": False}
    _sessions[page].send("Emulation.setDeviceMetricsOverride", shown)
