"""Counts as bars, as SVG: one bar a month, its number above it, in ink with one accent.

Attributes only, no style and no script, so a strict policy lets it pass; colours come from the
stylesheet, for light and dark. The same numbers stand beside it as a table, which is what a screen
reader is led to; so the picture itself is hidden from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from markupsafe import Markup, escape

_HEIGHT: Final = 162
_TOP, _BOTTOM = 22, 36  # below are two lines: the months, and the years under those that begin one
_LEFT: Final = 2
_UNIT: Final = 28  # of one month
_ON_A_PHONE: Final = 12
_GAP: Final = 8
_ROOM: Final = '<rect class="bar-room" x="0.5" y="0.5" width="119" height="9"/>'


def draw_months(counts: Sequence[tuple[str, int]]) -> Markup:
    """Returns the picture of counts by month (`2026-11`), oldest first; the last one is the present.

    Where there are more months than a phone has room for, it is two: on a phone the latest stand alone.
    """
    if len(counts) <= _ON_A_PHONE:
        return _draw(counts, "bars")
    return _draw(counts[-_ON_A_PHONE:], "bars bars-narrow") + _draw(counts, "bars bars-wide")


def _draw(counts: Sequence[tuple[str, int]], name: str) -> Markup:
    width = _UNIT * max(len(counts), 1) + 2 * _LEFT
    drawn = "".join(_bars(counts))
    floor = _HEIGHT - _BOTTOM + 0.5
    return Markup(  # noqa: S704 - numbers, our own constants and escaped labels
        f'<svg class="{name}" viewBox="0 0 {width} {_HEIGHT}" width="{width}" height="{_HEIGHT}" '
        f'aria-hidden="true" focusable="false">'
        f'<path class="bars-floor" d="M0 {floor}H{width}"/>{drawn}</svg>'
    )


def short_count(count: int) -> str:
    """Returns a number of at most four characters: `950`, `1.2k`, `34k`, `5.0M`."""
    for limit, unit, sign in ((10**6, 10**6, "M"), (10**3, 10**3, "k")):
        if count >= limit:
            value = count / unit
            return f"{value:.1f}{sign}" if value < 10 else f"{value:.0f}{sign}"
    return str(count)


def draw_share(part: int, most: int, *, room: bool = False) -> Markup:
    """Returns one bar as long as `part` is of `most`, for a row of a table.

    room: with what is missing, and as wide as the page lets it be.
    """
    length = round(120 * part / most, 1) if most else 0.0
    length = max(length, 2.0) if part else 0.0
    name = "share share-wide" if room else "share"
    return Markup(  # noqa: S704 - numbers and our own constants
        f'<svg class="{name}" viewBox="0 0 120 10" width="120" height="10" preserveAspectRatio="none" '
        f'aria-hidden="true" focusable="false">{_ROOM if room else ""}'
        f'<rect class="bar-now" width="{length}" height="10"/></svg>'
    )


def _bars(counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    most = max((count for _, count in counts), default=0) or 1
    years = {n for n, (month, _) in enumerate(counts) if month.endswith("-01")}
    if 1 not in years:  # two years side by side have no room
        years.add(0)
    room = _HEIGHT - _TOP - _BOTTOM
    for n, (month, count) in enumerate(counts):
        x = _LEFT + n * _UNIT
        middle = x + _UNIT / 2
        height = round(room * count / most, 1)
        height = max(height, 1.5) if count else 0.0  # what is there is seen
        name = "bar-now" if n == len(counts) - 1 else "bar-past"
        y = round(_HEIGHT - _BOTTOM - height, 1)
        if height:
            yield (
                f'<rect class="{name}" x="{x + _GAP / 2}" y="{y}" '
                f'width="{_UNIT - _GAP}" height="{height}"/>'
            )
            yield f'<text class="bars-count" x="{middle}" y="{y - 5}">{escape(short_count(count))}</text>'
        yield f'<text x="{middle}" y="{_HEIGHT - 20}">{escape(month[5:])}</text>'
        if n in years:
            yield f'<text x="{middle}" y="{_HEIGHT - 5}">{escape(month[:4])}</text>'
