"""Sheets and rolls of labels as PDF, in any of the layouts.

Symbols are vector paths whose modules are whole dots of a 300 dpi printer, so that no printer has
to round them. On A4 with 3 by 8 labels modules are 0.42 mm or more for a URI of up to 251 bytes,
0.34 mm up to 362, 0.25 mm up to 666.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final

from reportlab.pdfbase.pdfdoc import PDFName, PDFStream
from reportlab.pdfgen.canvas import Canvas

from app.kit.errors import Invalid
from app.labels.fonts import load_typeface
from app.labels.layouts import LAYOUTS, MM, Layout
from app.labels.placing import OFFICE_DPI, Line, Placed, SheetLabel, SheetSymbol, Typesetter

_DOT: Final = 72 / OFFICE_DPI  # points; one dot of the printer that modules are aligned to


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


def write_sheet(
    labels: Iterable[SheetLabel],
    out: BinaryIO,
    *,
    layout: Layout = LAYOUTS["a4-3x8"],
    symbol: SheetSymbol,
    font_path: Path,
    offset: int = 0,
    inner_word: str = "",
    document_title: str = "",
    lang: str = "zh-CN",
    progress: Callable[[int], None] | None = None,
) -> SheetReport:
    """Writes the PDF into `out`, at the very end and in one go: a refusal leaves `out` untouched.

    labels: taken one by one; finished pages are kept packed, about 400 bytes a label. offset: places
    of the first page that are used up already, fewer than the layout has. inner_word: above the box
    of a hidden code. progress: called after each page with the labels done so far; what it raises
    ends the work. The same labels give the same bytes.
    Raises Invalid: `no_labels`, `symbol_too_dense` and those of `grids.grid`; Unavailable as
    `fonts.load_typeface`.
    """
    if not 0 <= offset < layout.places:
        raise ValueError(offset)
    typeface = load_typeface(font_path)
    waiting = iter(labels)
    first = next(waiting, None)
    if first is None:
        raise Invalid("no_labels")
    canvas = Canvas(
        out,
        pagesize=(layout.page_width * MM, layout.page_height * MM),
        pageCompression=1,
        invariant=1,
        lang=lang,
        # Left to itself, reportlab names Helvetica on every page and does not embed it.
        initialFontName=typeface.name,
    )
    canvas.setTitle(document_title)
    canvas.setCreator("Suxin")
    setter = Typesetter(typeface, layout, symbol, inner_word=inner_word)
    pen = _Pen(canvas, layout, typeface.name)
    done = 0
    pages = 0
    for page in _pages(chain([first], waiting), offset, layout.places):
        for place, label in page:
            pen.draw(setter.place(label), place)
        finish_page(canvas)
        done += len(page)
        pages += 1
        if progress is not None:
            progress(done)
    with typeface.lock:
        canvas.save()
    return SheetReport(
        labels=done,
        pages=pages,
        replaced=tuple(sorted(setter.replaced)),
        module_mm=setter.module_mm,
    )


def _pages(
    labels: Iterator[SheetLabel], offset: int, places: int
) -> Iterator[list[tuple[int, SheetLabel]]]:
    while page := list(enumerate(islice(labels, places - offset), offset)):
        yield page
        offset = 0


def finish_page(canvas: Any) -> None:
    """Ends a page and packs it."""
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
    """Draws labels that are laid out on one canvas."""

    def __init__(self, canvas: Any, layout: Layout, font: str) -> None:
        self._canvas = canvas
        self._layout = layout
        self._font = font

    def draw(self, placed: Placed, place: int) -> None:
        """Draws one label at a place of the page."""
        corner_x, corner_y = self._layout.corner(place)
        left, top = corner_x * MM, (self._layout.page_height - corner_y) * MM
        x, y = left + placed.symbol_x, top - placed.symbol_y
        module = placed.dots * _DOT
        # From here on one unit is one module and y points down: small whole numbers, small files.
        matrix = f"q {module:.2f} 0 0 -{module:.2f} {_on_dot(x):.2f} {_on_dot(y):.2f} cm"
        runs = "\n".join([f"{x} {y} {n} 1 re" for x, y, n in placed.symbol.dark_runs()])
        self._canvas.addLiteral(f"{matrix}\n{runs}\nf Q")
        for line in placed.lines:
            self._write(line, left, top)
        if placed.frame is not None:
            frame = placed.frame
            self._canvas.setLineWidth(0.5)
            self._canvas.setDash(2, 1.5)
            bottom = top - frame.y - frame.height
            self._canvas.rect(left + frame.x, bottom, frame.width, frame.height)

    def _write(self, line: Line, left: float, top: float) -> None:
        text = self._canvas.beginText(left + line.x, top - line.y)
        text.setFont(self._font, line.size)
        if line.percent < 100:
            text.setHorizScale(line.percent)
        text.textOut(line.text)
        if line.percent < 100:
            text.setHorizScale(100)
        self._canvas.drawText(text)


def _on_dot(position: float) -> float:
    return round(position / _DOT) * _DOT
