"""The seal 印 that carries a verdict, and the mark 溯: drawn here, stroke by stroke, as SVG.

Own drawing, so that it looks the same on a phone without a Chinese serif font. The frame says the
verdict a second time for eyes that see no colour: whole, open, cracked, clipped, or
only dashed. Colour comes from the stylesheet (currentColor); attributes only, no style, so a strict
policy lets it pass.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

from markupsafe import Markup, escape

from app.i18n import Lang, text
from app.web.pages.views import VerdictKind

SealKind = VerdictKind | Literal["abnormal", "void", "open", "unproven"]
"""`abnormal` is a page's where the chain is sound and the goods are not: recalled, held, or perhaps copied.
`void` is a page's where the chain is sound and its code was withdrawn.
`open` and `unproven` are of no page's verdict but the browser's: a chain is unaltered and some of its steps
are not there, due or not; what was handed over could not be held against a key."""

# Strokes on a grid 76 high, with the width that each character takes.
_CHARACTERS: Final = {
    "全": (31, "M15.5 0 0 25M15.5 0 31 25M6 34H25M6 53H25M0 74H31M15.5 34V74"),
    "未": (34, "M5 18H29M0 36H34M17 0V76M17 38Q13 56 1 67M17 38Q21 56 33 67"),
    "登": (
        40,
        (
            "M4 5H17L2 29M4 14 10 20M21 1 38 29M29 0 25 8M36 8 30 16M9 36H31M10 45H30V58H10Z"
            "M13 60 15 71M27 60 25 71M0 74H40"
        ),
    ),
    "验": (
        45,
        (
            "M1 3H17L14 36H19Q19 66 13 75L7 71M5 3 3 36H14M0 57H13M32 0Q27 13 20 22M32 0Q38 13 45 22"
            "M26 26H39M24 38 28 58M33 34 34 56M43 36 37 60M20 72H45"
        ),
    ),
    "待": (
        40,
        "M11 0 2 14M12 17 1 33M8.5 26V76M19 11H37M28 0V25M15 25H40M15 42H40M32 32V74H23M20 49 25 60",
    ),
    "补": (38, "M8 0 13 9M2 18H19L1 45M10.5 32V76M19 33 14 41M13 40 21 54M29 0V76M29 31 38 46"),
    "断": (
        43,
        (
            "M2 3V72H21M13 2V64M5 35H21M6 13 9 25M20 13 17 25M13 37 6 55M13 37 20 55M41 1 28 8"
            "M28 7V46Q28 64 24 76M28 32H43M36 32V76"
        ),
    ),
    "链": (
        46,
        (
            "M9 0 1 16M6 10H16M3 24H15M0 40H16M9 24V71L16 65M20 2 24 11M18 25H23.5V62L18 74H46"
            "M28 11H45M36 0 31 26H45M28 43H46M38.5 17V66"
        ),
    ),
    "有": (40, "M0 12H40M18 0Q14 19 0 34M12 76V28H36V71Q36 76 28 75M12 43H36M12 58H36"),
    "异": (40, "M6 3H33V19H6M6 3V28Q6 34 13 34H38V27M0 49H40M13 38V51Q13 67 2 76M28 38V76"),
    "作": (40, "M13 0Q9 16 0 30M9 20V76M22 0Q19 13 14 23M19 15H40M25 15V76M25 35H39M25 54H40"),
    "废": (
        44,
        (
            "M21 0 24 8M4 11H44M5 11V42Q5 62 0 76M18 19 15 33H43M27 19Q24 52 10 75M22 47H37Q33 64 18 75"
            "M22 50Q29 67 44 75M34 19 39 26"
        ),
    ),
    "溯": (
        46,
        (
            "M3 3 9 12M0 26 7 35M1 76 8 47M15 1 18 11M28 1 25 11M12 17H30M21 17V45Q21 62 14 76"
            "M14 25V39H28V25M35 3V50Q35 67 30 76M35 3H45V73H39M35 25H45M35 45H45"
        ),
    ),
}
# Letters on a grid 32 high.
_LETTERS: Final = {
    "A": (19, "M1 32 8.5 1H10.5L18 32M4 21H15"),
    "B": (17, "M1 16H10Q14 16 14 11V6Q14 1 10 1H1V31H11Q16 31 16 26V21Q16 16 11 16"),
    "C": (18, "M18 1H7Q1 1 1 8V24Q1 31 7 31H18"),
    "D": (18, "M1 1H10Q17 1 17 9V23Q17 31 10 31H1Z"),
    "E": (15, "M15 1H1V31H15M1 16H13"),
    "G": (18, "M17 1H7Q1 1 1 8V24Q1 31 7 31H17V18H10"),
    "H": (18, "M1 0V32M17 0V32M1 16H17"),
    "I": (2, "M1 0V32"),
    "K": (17, "M1 0V32M16 0 2 18M6 13 17 32"),
    "L": (14, "M1 0V31H14"),
    "N": (18, "M1 32V1H2L16 31H17V0"),
    "O": (19, "M7 1H12Q18 1 18 8V24Q18 31 12 31H7Q1 31 1 24V8Q1 1 7 1Z"),
    "P": (16, "M1 32V1H11Q15 1 15 6V14Q15 19 11 19H1"),
    "R": (17, "M1 32V1H11Q15 1 15 6V14Q15 19 11 19H1M9 19 16 32"),
    "S": (16, "M15 1H6Q1 1 1 6V11Q1 16 6 16H10Q15 16 15 21V26Q15 31 10 31H1"),
    "T": (18, "M0 1H18M9 1V32"),
    "V": (19, "M1 0 8.5 31H10.5L18 0"),
    "W": (26, "M1 0 6.5 31H7.5L13 7 18.5 31H19.5L25 0"),
}
_WORDS: Final[dict[Lang, dict[SealKind, tuple[str, ...]]]] = {
    "zh": {
        "intact": ("链全",),
        "incomplete": ("待补",),
        "broken": ("断链",),
        "abnormal": ("有异",),
        "void": ("作废",),
        "unknown": ("未登",),
        "open": ("未全",),
        "unproven": ("未验",),
    },
    "en": {
        "intact": ("CHAIN", "WHOLE"),
        "incomplete": ("CHAIN", "GAPS"),
        "broken": ("CHAIN", "BROKEN"),
        "abnormal": ("TAKE", "CARE"),
        "void": ("CODE", "VOID"),
        "unknown": ("NOT", "LISTED"),
        "open": ("STEPS", "OPEN"),
        "unproven": ("NOT", "CHECKED"),
    },
}

# Cut by hand: no edge of a seal is quite straight.
_OUTER: Final = (
    "M5 5C30 3.8 58 4.4 78 3.9 88 3.7 93.5 3.9 95 4.8 96.3 8 95.8 28 96 48 96.1 66 95.7 80 95.9 92"
    " 95.9 94.7 94.6 95.9 91 96 66 96.5 40 95.8 20 96.2 10 96.4 5.2 96 4.2 92 4.4 70 4 40 4.1 18"
    " 4 10 4.2 6 5 5Z"
)
_INNER: Final = "M11 11H89.3V89.4H10.8Z"
_CLIPPED: Final = (
    "M5 5C30 3.8 58 4.4 78 3.9 88 3.7 93.5 3.9 95 4.8 96.3 8 95.8 28 96 48 96.1 66 95.7 80 95.9 92"
    " 95.9 94.7 94.6 95.9 91 96 66 96.5 40 95.8 24 96.2L4.2 77C4.4 60 4 40 4.1 18 4 10 4.2 6 5 5Z"
)
_CRACK: Final = "57 24 64 41 47 61 53 79 43 109"


def seal_words(verdict: SealKind, lang: Lang) -> tuple[str, ...]:
    """Returns what the seal says: one word of two characters, or two short English words."""
    return _WORDS[lang][verdict]


@cache
def draw_seal(verdict: SealKind, lang: Lang) -> Markup:
    """Returns the verdict's seal as an inline SVG, with its words for those who listen."""
    label = escape(text(lang, "page.seal.label", words=" ".join(seal_words(verdict, lang))))
    return Markup(  # noqa: S704 - built from constants and one escaped sentence
        f'<svg class="seal seal-{verdict}" viewBox="-4 -4 108 108" role="img" aria-label="{label}">'
        f'<g fill="none" stroke="currentColor" transform="rotate(-4 50 50)">'
        f"{_cut(verdict, lang)}</g></svg>"
    )


@cache
def draw_mark() -> Markup:
    """Returns the mark 溯, white cut into a filled seal; decoration beside the written name."""
    width, strokes = _CHARACTERS["溯"]
    return Markup(  # noqa: S704 - built from constants
        '<svg class="mark" viewBox="2 2 96 96" aria-hidden="true">'
        f'<path fill="currentColor" d="{_OUTER}"/>'
        f'<path class="mark-cut" fill="none" stroke-width="6" d="{strokes}"'
        f' transform="translate(17 14) scale({66 / width:.3f} .95)"/></svg>'
    )


def _cut(verdict: SealKind, lang: Lang) -> str:
    glyphs = f'<g stroke-width="5.2">{_glyphs(seal_words(verdict, lang))}</g>'
    match verdict:
        case "intact":
            return _frames() + glyphs
        case "incomplete":
            return _frames(outer="230 26 200", inner="5 3.4") + glyphs
        case "abnormal":
            return _frames(inner="16 5") + glyphs
        case "void":
            # As paper is cut at a corner when it is no longer good.
            return f'<path stroke-width="4" d="{_CLIPPED}"/>{glyphs}'
        case "open":
            return _frames(outer="230 26 200", inner="2 4") + glyphs
        case "unknown" | "unproven":
            return _frames(outer="7 5", inner="2 4") + glyphs
        case "broken":
            # One seal, clipped twice along the crack, the halves drawn apart.
            whole = _frames() + glyphs
            return (
                f'<clipPath id="seal-l"><path d="M-9-9H63L{_CRACK}H-9Z"/></clipPath>'
                f'<clipPath id="seal-r"><path d="M109-9H63L{_CRACK}H109Z"/></clipPath>'
                '<g transform="translate(-2 .5) rotate(-1.5 50 50)">'
                f'<g clip-path="url(#seal-l)">{whole}</g></g>'
                '<g transform="translate(2.5 2) rotate(2 50 50)">'
                f'<g clip-path="url(#seal-r)">{whole}</g></g>'
            )


def _frames(*, outer: str = "", inner: str = "") -> str:
    dashed = {edge: f' stroke-dasharray="{edge}"' if edge else "" for edge in (outer, inner)}
    return (
        f'<path stroke-width="4" d="{_OUTER}"{dashed[outer]}/>'
        f'<path stroke-width="1.5" d="{_INNER}"{dashed[inner]}/>'
    )


def _glyphs(words: tuple[str, ...]) -> str:
    if len(words) == 1:
        return _line(words[0], top=17, height=66, gap=7, grid=_CHARACTERS, grid_height=76)
    return "".join(
        _line(word, top=18 + 36 * row, height=28, gap=6.5, grid=_LETTERS, grid_height=32)
        for row, word in enumerate(words)
    )


def _line(
    word: str,
    *,
    top: float,
    height: float,
    gap: float,
    grid: dict[str, tuple[int, str]],
    grid_height: float,
) -> str:
    """Returns a word stretched to the seal's inner width, as seal cutters do."""
    left, width = 17.0, 66.0
    stretch = width / (sum(grid[char][0] for char in word) + gap * (len(word) - 1))
    drawn = []
    for char in word:
        char_width, strokes = grid[char]
        drawn.append(
            f'<path transform="translate({left:.1f} {top}) scale({stretch:.3f}'
            f' {height / grid_height:.3f})" d="{strokes}"/>'
        )
        left += (char_width + gap) * stretch
    return "".join(drawn)
