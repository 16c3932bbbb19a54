"""A typeface that prints Chinese, and the promise that nothing printed with it is blank.

Only TrueType outlines (glyf) can be embedded; Debian's Noto CJK is CFF. A font may also name a
character and draw nothing for it: WenQuanYi Micro Hei does so for ℃ and Ⅹ. So "in the font" means
here: has an outline.
Known gap: reportlab writes a malformed ToUnicode entry for a character beyond U+FFFF, so that the
few of these that a font has print well and copy wrong.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont

from app.kit.errors import Unavailable

_ROOT = Path(__file__).resolve().parents[2]
_SYSTEM_FONTS = (
    Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"),  # Debian's fonts-wqy-microhei
    Path("/usr/share/fonts/wqy-microhei/wqy-microhei.ttc"),  # where other systems keep it
)
# Without these a label cannot be made at all: codes (CSET 82) and the commonest words beside them.
_NEEDED = "".join(map(chr, range(0x21, 0x7F))) + "商品条码批号序列"
_REPLACEMENTS = "〓\ufffd?"
_SUBFONT = 0  # of a .ttc; in Micro Hei the other one is its monospaced sister

_VARIATION_SELECTORS = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
# A Latin word or number stays whole; what may not begin a line sticks to what is before it.
_TOKEN = re.compile(r"\s+|(?:[!-~\u00a1-\u024f]+|.)[，。、；：！？）》】」』”’…％℃°]*", re.DOTALL)


def find_font(preferred: Path | None = None, *, root: Path = _ROOT) -> Path:
    """Returns the TrueType CJK font to print with.

    In order: `preferred` (a setting; never passed over in silence), `<root>/.cache/fonts/*.ttf`,
    what the system has. Read-only. Raises Unavailable (`font_missing`), which says the way out.
    """
    if preferred is not None:
        candidates: tuple[Path, ...] = (preferred,)
    else:
        candidates = (*sorted((root / ".cache" / "fonts").glob("*.ttf")), *_SYSTEM_FONTS)
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise Unavailable("font_missing", looked=", ".join(map(str, candidates)))


@dataclass(frozen=True, slots=True)
class Printable:
    """Text that prints whole; `replaced`: characters that the font lacks, now a visible sign."""

    text: str
    replaced: frozenset[str]


class Typeface:
    """One font file, measured. Threads may share it, but for `lock`."""

    def __init__(self, font: Any, path: Path) -> None:
        self.font = font
        self.path = path
        self.subfont = _SUBFONT
        # Subsetting at the end of a document seeks in the one shared file.
        self.lock = Lock()
        self.replacement = next(filter(self.shows, _REPLACEMENTS), "?")
        self._ellipsis = "…" if self.shows("…") else "..."

    @property
    def name(self) -> str:
        """The name under which reportlab knows the font."""
        return str(self.font.fontName)

    def shows(self, char: str) -> bool:
        """Returns whether the font draws something for `char`; a space needs no drawing."""
        if char == " ":
            return True
        face = self.font.face
        glyph = face.charToGlyph.get(ord(char), 0)
        # Glyph 0 is the box that stands for "unknown".
        return glyph != 0 and bool(face.glyphPos[glyph] != face.glyphPos[glyph + 1])

    def printable(self, text: str) -> Printable:
        """Returns `text` in which every character shows.

        Spaces of all kinds and controls become one space, invisible marks go. A missing character
        gives way to its compatibility form (℃ to °C), else to the replacement sign.
        """
        if (
            text.isascii() and text.isprintable()
        ):  # each of these the typeface has, or it is refused
            return Printable(" ".join(text.split()), frozenset())
        shown: list[str] = []
        replaced: set[str] = set()
        for char in unicodedata.normalize("NFC", text):
            category = unicodedata.category(char)
            if category in ("Zs", "Zl", "Zp", "Cc"):
                shown.append(" ")
            elif category == "Cf" or char in _VARIATION_SELECTORS:
                continue
            elif self.shows(char):
                shown.append(char)
            else:
                alike = unicodedata.normalize("NFKC", char)
                if alike.strip() and all(map(self.shows, alike)):
                    shown.append(alike)
                else:
                    replaced.add(char)
                    shown.append(self.replacement)
        return Printable(" ".join("".join(shown).split()), frozenset(replaced))

    def width(self, text: str, size: float) -> float:
        """Returns the width of `text` in the unit of `size`."""
        return float(self.font.stringWidth(text, size))

    def wrap(self, text: str, *, size: float, width: float, lines: int) -> list[str]:
        """Returns at most `lines` lines no wider than `width`, an ellipsis if text is left out."""

        def measure(part: str) -> float:
            return self.width(part, size)

        wrapped: list[str] = []
        rest = text
        while rest and measure(rest) > width and len(wrapped) < lines - 1:
            cut = _break_at(rest, width, measure)
            wrapped.append(rest[:cut].rstrip())
            rest = rest[cut:].lstrip()
        if measure(rest) > width:
            while rest and measure(rest + self._ellipsis) > width:
                rest = rest[:-1]
            rest = rest.rstrip() + self._ellipsis
        return [*wrapped, rest] if rest else wrapped


def load_typeface(path: Path) -> Typeface:
    """Returns the typeface of a .ttf or .ttc file, read once.

    Raises Unavailable: `font_missing` if there is no such file, `font_unusable` if it has no
    TrueType outlines or lacks the characters that every label needs.
    """
    try:
        changed_at = path.stat().st_mtime_ns
    except OSError as err:
        raise Unavailable("font_missing", looked=str(path)) from err
    return _load(path, changed_at)


@lru_cache(maxsize=2)
def _load(path: Path, changed_at: int) -> Typeface:
    name = f"suxin-{path.stem}-{changed_at}"
    try:
        # ASCII keeps its own codes in the file: smaller, and easier to look into.
        font = TTFont(name, str(path), subfontIndex=_SUBFONT, asciiReadable=True)
    except (TTFError, struct.error, OSError, ValueError, LookupError) as err:
        raise Unavailable("font_unusable", path=str(path)) from err
    typeface = Typeface(font, path)
    if not all(map(typeface.shows, _NEEDED)):
        raise Unavailable("font_unusable", path=str(path))
    pdfmetrics.registerFont(font)
    return typeface


def _break_at(text: str, width: float, measure: Callable[[str], float]) -> int:
    """Returns where the line must end; at least one character is taken."""
    cut = 0
    for token in _TOKEN.finditer(text):
        if measure(text[: token.end()].rstrip()) > width:
            break
        cut = token.end()
    if cut == 0:  # one word wider than the line
        cut = 1
        while measure(text[: cut + 1]) <= width:
            cut += 1
    return cut
