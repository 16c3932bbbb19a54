"""One label laid out: symbol, lines of text and the box of a hidden code, each with its place.

Whoever draws it, as PDF, picture or printer commands, draws the same. Places are in points from the
label's top left corner, y downwards.

How wide a module is: whole dots of the printer, so that none has to round it, at most 0.76 mm (QR)
or 0.85 mm (DataMatrix), as many as leave the symbol its quiet zone, and at least three. GS1's
smallest X-dimension of two-dimensional symbols is 0.254 mm where no till scans them and 0.396 mm
where one does (General Specifications 5.12.3); three dots of a 300 dpi printer are 0.254 mm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from app.kit.errors import Invalid
from app.labels.fonts import Typeface
from app.labels.grids import Grid, grid
from app.labels.layouts import MM, Layout

SheetSymbol = Literal["qr", "datamatrix"]

OFFICE_DPI: Final = 300
SMALLEST_MODULE_MM: Final = 0.25
RETAIL_MODULE_MM: Final = 0.396

_MOST_MM: Final = {"qr": 0.7625, "datamatrix": 0.8475}
_FEWEST_DOTS: Final = 3


@dataclass(frozen=True, slots=True)
class SheetLabel:
    """What stands on one label.

    content: what the symbol holds, a URI or an element string. title: wraps to two lines, then an
    ellipsis. fields: at most as many of (word, value) as the layout holds, as `("批号", "(10)L1")`; one
    without a value is left out, and a value is never shortened: it gets narrower. inner: a hidden
    code, or "".
    """

    content: str
    title: str
    fields: tuple[tuple[str, str], ...]
    inner: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: x and y of its baseline's begin; percent: its width, 100 where it fits."""

    text: str
    x: float
    y: float
    size: float
    percent: float = 100.0


@dataclass(frozen=True, slots=True)
class Frame:
    """The box in which a hidden code stands."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Placed:
    """A label laid out. symbol_x, symbol_y: of its first dark column and row; dots: of a module."""

    symbol: Grid
    symbol_x: float
    symbol_y: float
    dots: int
    lines: tuple[Line, ...]
    frame: Frame | None


class Typesetter:
    """Lays out labels for one layout and printer, and remembers what it had to replace.

    replaced: characters that the font lacks. fewest_dots: of the smallest symbol's modules so far.
    """

    def __init__(
        self,
        typeface: Typeface,
        layout: Layout,
        symbol: SheetSymbol,
        *,
        inner_word: str = "",
        dpi: float = OFFICE_DPI,
    ) -> None:
        self.layout = layout
        self.dot = 72 / dpi
        self.replaced: set[str] = set()
        # A little more, or 9 dots of 0.0847 mm would not be 0.762.
        self._most_dots = math.floor(_MOST_MM[symbol] * MM / self.dot + 1e-6)
        self.fewest_dots = self._most_dots
        self._typeface = typeface
        self._symbol: SheetSymbol = symbol
        self._inner_word = self._printable(inner_word)
        # A batch has one product: its title is measured once, not ten thousand times.
        self._title_lines = lru_cache(maxsize=64)(self._wrapped_title)
        self._word = lru_cache(maxsize=64)(self._printable)

    @property
    def module_mm(self) -> float:
        """Width of the smallest symbol's modules so far."""
        return self.fewest_dots * self.dot / MM

    def place(self, label: SheetLabel) -> Placed:
        """Returns the label laid out.

        Raises Invalid: `symbol_too_dense` and those of `grids.grid`.
        """
        layout = self.layout
        drawn = grid(self._symbol, label.content, bulk=True)
        dots = self._dots_of(drawn)
        module = dots * self.dot
        symbol_x = layout.box_left * MM + (layout.box * MM - drawn.width * module) / 2
        symbol_y = (layout.cell_height * MM - drawn.height * module) / 2
        lines: list[Line] = []
        x = layout.text_left * MM
        y = layout.text_top * MM
        for line in self._title_lines(label.title):
            lines.append(Line(line, x, y + layout.title_size, layout.title_size))
            y += layout.title_leading * MM
        y += layout.gap * MM
        fields = [(word, value) for word, value in label.fields if value]
        if len(fields) > layout.most_fields:
            raise ValueError(label.fields)
        for word, value in fields:
            self._place_field(word if layout.words else "", value, x, y, lines)
            y += layout.field_leading * MM
        frame = self._place_inner(label.inner, x, y + layout.gap * MM, lines)
        return Placed(drawn, symbol_x, symbol_y, dots, tuple(lines), frame)

    def _dots_of(self, drawn: Grid) -> int:
        layout = self.layout
        whole = layout.box + 2 * layout.quiet_room
        room = min(layout.box / drawn.width, whole / (drawn.width + 2 * drawn.quiet_x)) * MM
        dots = min(self._most_dots, math.floor(room / self.dot + 1e-6))
        if dots < _FEWEST_DOTS:
            raise Invalid(
                "symbol_too_dense",
                layout=layout.name,
                modules=drawn.width,
                got=f"{room / MM:.2f}",
                limit=f"{max(_FEWEST_DOTS * self.dot / MM, SMALLEST_MODULE_MM):.2f}",
                retail=RETAIL_MODULE_MM,
            )
        self.fewest_dots = min(self.fewest_dots, dots)
        return dots

    def _place_field(self, word: str, value: str, x: float, y: float, lines: list[Line]) -> None:
        layout = self.layout
        y += layout.value_size
        word = self._word(word)
        used = 0.0
        if word:
            lines.append(Line(word, x, y, layout.word_size))
            used = self._typeface.width(word + " ", layout.word_size)
        lines += self._fitted(value, x + used, y, layout.text_width * MM - used)

    def _place_inner(self, inner: str, x: float, y: float, lines: list[Line]) -> Frame | None:
        if not inner:
            return None
        layout = self.layout
        if self._inner_word:
            size = layout.inner_word_size
            lines.append(Line(self._inner_word, x, y + size, size))
        y += layout.inner_word_leading * MM
        width, height = layout.text_width * MM, layout.inner_height * MM
        margin = 1.2 * MM
        middle = y + (height + layout.value_size * 0.72) / 2
        lines += self._fitted(inner, x + margin, middle, width - 2 * margin)
        return Frame(x, y, width, height)

    def _fitted(self, text: str, x: float, y: float, width: float) -> list[Line]:
        """Returns `text` smaller, then narrower, until it fits: a code cut short is a wrong code."""
        text = self._printable(text)
        wanted = self._typeface.width(text, 1.0)
        if wanted == 0:
            return []
        layout = self.layout
        size = max(layout.smallest_value_size, min(layout.value_size, width / wanted))
        return [Line(text, x, y, size, min(100.0, 100 * width / (wanted * size)))]

    def _wrapped_title(self, title: str) -> list[str]:
        layout = self.layout
        return self._typeface.wrap(
            self._printable(title),
            size=layout.title_size,
            width=layout.text_width * MM,
            lines=layout.title_lines,
        )

    def _printable(self, text: str) -> str:
        printable = self._typeface.printable(text)
        self.replaced |= printable.replaced
        return printable.text
