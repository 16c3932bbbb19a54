"""The trust badge as a picture: the mark, the grade, whose it is, for which domain and until when.

For other people's pages: one size, its own paper and ink, no style, no script, no font to load. A badge
that does not belong where it is shown is red and says so; nobody takes it for the other.
"""

from __future__ import annotations

from typing import Final

from markupsafe import escape

from app.i18n import Lang, text

WIDTH: Final = 264
HEIGHT: Final = 76

_PAPER, _INK, _MUTE, _LINE = "#fffdf9", "#1b1d1f", "#5d6269", "#c9c2b4"
_JADE, _CINNABAR, _RED_GROUND = "#14735a", "#b3261e", "#fbe7e4"
_SANS = "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
_SERIF = "'Songti SC', 'Noto Serif CJK SC', 'SimSun', serif"
_MOST_NAME: Final = 15  # in widths of a Chinese character


def draw_badge(lang: Lang, standing: str, *, domain: str, grade: str, name: str, until: str) -> str:
    """Returns the SVG. standing: right, unseen, foreign or unknown."""
    good = standing in ("right", "unseen")
    ground, edge = (_PAPER, _JADE) if good else (_RED_GROUND, _CINNABAR)
    title = text(lang, f"badge.picture.{standing}", domain=domain)
    lines = _good(lang, standing, domain, name, until) if good else _bad(lang, standing, domain)
    sign = grade if good else "×"
    frame = _LINE if good else edge
    drawn = [
        f"""<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}"
 viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>
<rect x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{HEIGHT - 1.5}" rx="10" fill="{ground}"
 stroke="{frame}" stroke-width="1.5"/>
<rect x="12" y="12" width="52" height="52" rx="6" fill="none" stroke="{edge}" stroke-width="3"/>
<text x="38" y="50" font-family="{_SERIF}" font-size="34" font-weight="700" fill="{edge}"
 text-anchor="middle">{escape(sign)}</text>"""
    ]
    for y, size, colour, said in lines:
        weight = ' font-weight="700"' if size > 13 else ""
        drawn.append(
            f'<text x="76" y="{y}" font-family="{_SANS}" font-size="{size}"{weight} '
            f'fill="{colour}"{_squeezed(said, size)}>{escape(said)}</text>'
        )
    return "".join([*drawn, "</svg>"])


def _good(
    lang: Lang, standing: str, domain: str, name: str, until: str
) -> list[tuple[int, int, str, str]]:
    last = text(lang, "badge.picture.compare") if standing == "unseen" else until
    return [
        (24, 14, _INK, _cut(name) or text(lang, "badge.title")),
        (43, 13, _JADE, domain),
        (61, 11, _MUTE, last),
    ]


def _bad(lang: Lang, standing: str, domain: str) -> list[tuple[int, int, str, str]]:
    return [
        (24, 14, _CINNABAR, text(lang, f"badge.picture.{standing}.short")),
        (43, 13, _INK, domain or "–"),
        (61, 11, _INK, text(lang, "badge.picture.beware")),
    ]


def _width(said: str, size: float) -> float:
    """Returns about how wide a line is: no font is there to ask."""
    return sum(size if ord(char) > 0x2E7F else 0.56 * size for char in said)


def _squeezed(said: str, size: float) -> str:
    room = WIDTH - 76 - 12
    if _width(said, size) <= room:
        return ""
    return f' textLength="{room}" lengthAdjust="spacingAndGlyphs"'


def _cut(name: str) -> str:
    kept, width = "", 0.0
    for char in name:
        width += 1.0 if ord(char) > 0x2E7F else 0.56
        if width > _MOST_NAME:
            return kept + "…"
        kept += char
    return kept
