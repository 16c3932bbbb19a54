"""Sheets of labels as PDF: A4, 3 by 8 labels of 70 x 37.125 mm, edge to edge.

Symbols are vector paths whose modules are whole dots of a 300 dpi printer, so that no printer has
to round them. Nothing is drawn in the outer 4.5 mm of a label, where office printers cannot print.
Modules are 0.42 mm or more for a URI of up to 251 bytes, 0.34 mm up to 362, 0.25 mm up to 666.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from reportlab.pdfbase.pdfdoc import PDFName, PDFStream
from reportlab.pdfgen.canvas import Canvas

from app.kit.errors import Invalid
from app.labels.fonts import Typeface, load_typeface
from app.labels.grids import Grid, grid

SheetSymbol = Literal["qr", "datamatrix"]

COLUMNS: Final = 3
ROWS: Final = 8
LABELS_PER_PAGE: Final = COLUMNS * ROWS

_MM = 72 / 25.4  # points
_DOT = 72 / 300  # points; one dot of the printer that modules are aligned to
_PAGE = (210 * _MM, 297 * _MM)
_CELL_WIDTH = 70 * _MM
_CELL_HEIGHT = 37.125 * _MM

# The symbol's dark modules lie in a square box; its quiet zone is the empty room around the box.
_BOX_LEFT = 5.0 * _MM
_BOX = 26.0 * _MM
_MOST_DOTS = {"qr": 9, "datamatrix": 10}  # 0.76 mm: four modules of quiet zone still fit; 0.85 mm
_FEWEST_DOTS = 3  # 0.254 mm; a phone does not reliably read less

_TEXT_LEFT = 34.3 * _MM
_TEXT_WIDTH = 70 * _MM - _TEXT_LEFT - 4.5 * _MM
_TEXT_TOP = 5.0 * _MM
_TITLE_SIZE = 8.5
_TITLE_LEADING = 3.5 * _MM
_TITLE_LINES = 2
_WORD_SIZE = 5.5
_VALUE_SIZE = 6.8
_SMALLEST_VALUE_SIZE = 5.5
_FIELD_LEADING = 2.9 * _MM
_MOST_FIELDS = 4
_GAP = 0.7 * _MM
_INNER_WORD_SIZE = 5.0
_INNER_WORD_LEADING = 2.5 * _MM
_INNER_HEIGHT = 4.8 * _MM


@dataclass(frozen=True, slots=True)
class SheetLabel:
    """What stands on one label.

    content: what the symbol holds, a URI or an element string. title: wraps to two lines, then an
    ellipsis. fields: at most four of (word, value), as `("批号", "(10)L1")`; one without a value is
    left out, and a value is never shortened: it gets narrower. inner: a hidden code, or "".
    """

    content: str
    title: str
    fields: tuple[tuple[str, str], ...]
    inner: str = ""


@dataclass(frozen=True, slots=True)
class SheetReport:
    """What was printed.

    replaced: characters that the font lacks, in code point order; each stands on the sheet as a
    visible sign. module_mm: width of the smallest symbol's modules.
    """

    labels: int
    pages: int
    replaced: tuple[str, ...]
    module_mm: float


def write_a4_3x8(
    labels: Iterable[SheetLabel],
    out: BinaryIO,
    *,
    symbol: SheetSymbol,
    font_path: Path,
    inner_word: str = "",
    document_title: str = "",
    lang: str = "zh-CN",
    progress: Callable[[int], None] | None = None,
) -> SheetReport:
    """Writes the PDF into `out`, at the very end and in one go: a refusal leaves `out` untouched.

    labels: taken one by one; finished pages are kept packed, about 400 bytes a label. inner_word:
    above the box of a hidden code. progress: called after each page with the labels done so far;
    what it raises ends the work. The same labels give the same bytes.
    Raises Invalid: `no_labels`, `symbol_too_dense` (modules under 0.25 mm) and those of
    `grids.grid`; Unavailable as `fonts.load_typeface`.
    """
    typeface = load_typeface(font_path)
    waiting = iter(labels)
    first = next(waiting, None)
    if first is None:
        raise Invalid("no_labels")
    canvas = Canvas(
        out,
        pagesize=_PAGE,
        pageCompression=1,
        invariant=1,
        lang=lang,
        # Left to itself, reportlab names Helvetica on every page and does not embed it.
        initialFontName=typeface.name,
    )
    canvas.setTitle(document_title)
    canvas.setCreator("Suxin")
    pen = _Pen(canvas, typeface, symbol, inner_word)
    done = 0
    pages = 0
    for page in _pages(chain([first], waiting)):
        for place, label in enumerate(page):
            row, column = divmod(place, COLUMNS)
            pen.draw(label, left=column * _CELL_WIDTH, top=_PAGE[1] - row * _CELL_HEIGHT)
        _finish_page(canvas)
        done += len(page)
        pages += 1
        if progress is not None:
            progress(done)
    with typeface.lock:
        canvas.save()
    return SheetReport(
        labels=done,
        pages=pages,
        replaced=tuple(sorted(pen.replaced)),
        module_mm=pen.fewest_dots * _DOT / _MM,
    )


def _pages(labels: Iterator[SheetLabel]) -> Iterator[list[SheetLabel]]:
    while page := list(islice(labels, LABELS_PER_PAGE)):
        yield page


def _finish_page(canvas: Any) -> None:
    # reportlab keeps a finished page as text until the document is saved, about 3 kB a label. It
    # can be packed now: a stream that names its filter is not filtered again, nor made a quarter
    # larger by the ASCII85 that reportlab puts around pages of its own packing.
    canvas.showPage()
    page = canvas._doc.Pages.pages[-1]  # noqa: SLF001 - no other door
    packed = PDFStream(content=zlib.compress(page.stream.encode("latin-1")))
    packed.dictionary["Filter"] = PDFName("FlateDecode")
    page.Contents = packed
    page.stream = None


class _Pen:
    """Draws labels on one canvas and remembers what it had to replace."""

    def __init__(
        self, canvas: Any, typeface: Typeface, symbol: SheetSymbol, inner_word: str
    ) -> None:
        self.replaced: set[str] = set()
        self.fewest_dots = _MOST_DOTS[symbol]
        self._canvas = canvas
        self._typeface = typeface
        self._symbol: SheetSymbol = symbol
        self._inner_word = self._printable(inner_word)
        # A batch has one product: its title is measured once, not ten thousand times.
        self._title_lines = lru_cache(maxsize=64)(self._wrapped_title)
        self._word = lru_cache(maxsize=64)(self._printable)

    def draw(self, label: SheetLabel, *, left: float, top: float) -> None:
        """Draws one label; left and top are the corner of its cell, in points."""
        self._draw_symbol(grid(self._symbol, label.content, bulk=True), left, top)
        x = left + _TEXT_LEFT
        y = top - _TEXT_TOP
        for line in self._title_lines(label.title):
            self._write(line, x, y - _TITLE_SIZE, _TITLE_SIZE)
            y -= _TITLE_LEADING
        y -= _GAP
        fields = [(self._word(word), value) for word, value in label.fields if value]
        if len(fields) > _MOST_FIELDS:
            raise ValueError(label.fields)
        for word, value in fields:
            self._draw_field(word, value, x, y - _VALUE_SIZE)
            y -= _FIELD_LEADING
        if label.inner:
            self._draw_inner(label.inner, x, y - _GAP)

    def _draw_symbol(self, drawn: Grid, left: float, top: float) -> None:
        dots = min(_MOST_DOTS[self._symbol], math.floor(_BOX / _DOT / drawn.width))
        if dots < _FEWEST_DOTS:
            raise Invalid("symbol_too_dense", modules=drawn.width)
        self.fewest_dots = min(self.fewest_dots, dots)
        module = dots * _DOT
        x = left + _BOX_LEFT + (_BOX - drawn.width * module) / 2
        y = top - (_CELL_HEIGHT - drawn.height * module) / 2
        # From here on one unit is one module and y points down: small whole numbers, small files.
        place = f"q {module:.2f} 0 0 -{module:.2f} {_on_dot(x):.2f} {_on_dot(y):.2f} cm"
        runs = "\n".join([f"{x} {y} {n} 1 re" for x, y, n in drawn.dark_runs()])
        self._canvas.addLiteral(f"{place}\n{runs}\nf Q")

    def _draw_field(self, word: str, value: str, x: float, y: float) -> None:
        self._write(word, x, y, _WORD_SIZE)
        used = self._typeface.width(word + " ", _WORD_SIZE) if word else 0.0
        self._write_within(self._printable(value), x + used, y, _TEXT_WIDTH - used)

    def _draw_inner(self, inner: str, x: float, y: float) -> None:
        self._write(self._inner_word, x, y - _INNER_WORD_SIZE, _INNER_WORD_SIZE)
        y -= _INNER_WORD_LEADING + _INNER_HEIGHT
        canvas = self._canvas
        canvas.setLineWidth(0.5)
        canvas.setDash(2, 1.5)
        canvas.rect(x, y, _TEXT_WIDTH, _INNER_HEIGHT)
        margin = 1.2 * _MM
        middle = y + (_INNER_HEIGHT - _VALUE_SIZE * 0.72) / 2
        self._write_within(self._printable(inner), x + margin, middle, _TEXT_WIDTH - 2 * margin)

    def _write_within(self, text: str, x: float, y: float, width: float) -> None:
        """Writes `text` smaller, then narrower, until it fits: a code cut short is a wrong code."""
        wanted = self._typeface.width(text, 1.0)
        if wanted == 0:
            return
        size = max(_SMALLEST_VALUE_SIZE, min(_VALUE_SIZE, width / wanted))
        self._write(text, x, y, size, percent=min(100.0, 100 * width / (wanted * size)))

    def _write(self, text: str, x: float, y: float, size: float, percent: float = 100.0) -> None:
        if not text:
            return
        line = self._canvas.beginText(x, y)
        line.setFont(self._typeface.name, size)
        if percent < 100:
            line.setHorizScale(percent)
        line.textOut(text)
        if percent < 100:
            line.setHorizScale(100)
        self._canvas.drawText(line)

    def _wrapped_title(self, title: str) -> list[str]:
        return self._typeface.wrap(
            self._printable(title), size=_TITLE_SIZE, width=_TEXT_WIDTH, lines=_TITLE_LINES
        )

    def _printable(self, text: str) -> str:
        printable = self._typeface.printable(text)
        self.replaced |= printable.replaced
        return printable.text


def _on_dot(position: float) -> float:
    return round(position / _DOT) * _DOT
