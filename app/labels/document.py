"""Pages of text as PDF: headings, sentences, lists of facts and tables, in the typeface that labels use.

For papers that are filed and read again: A4, the page's number of all pages on each, and one symbol at
the top right of the first that leads to where the paper can be checked. Everything is laid out before
anything is drawn, so that the number of pages is known. Nothing prints blank: what the typeface lacks
becomes a visible sign, which the report names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal

from reportlab.pdfgen.canvas import Canvas

from app.labels.fonts import Typeface, load_typeface
from app.labels.grids import qr_grid
from app.labels.layouts import MM
from app.labels.sheet import finish_page

Style = Literal["title", "heading", "text", "small"]

_WIDTH, _HEIGHT = 210 * MM, 297 * MM
_SIDE, _TOP, _BOTTOM = 20 * MM, 20 * MM, 22 * MM
_COLUMN: Final = _WIDTH - 2 * _SIDE
_NAME: Final = 34 * MM  # of a fact, before its value
_SYMBOL: Final = 30 * MM
_BESIDE: Final = _COLUMN - _SYMBOL - 8 * MM
_FOOT: Final = 8.0
_CELL: Final = 7.5  # of a table
_GUTTER: Final = 2 * MM
_NOTE: Final = 18 * MM  # of a note, before its value
_LEADING: Final = 1.45
# Size in points, and room above it in lines of its own.
_STYLES: Final[dict[Style, tuple[float, float]]] = {
    "title": (18.0, 0.0),
    "heading": (12.5, 0.9),
    "text": (10.0, 0.3),
    "small": (8.5, 0.2),
}
_MOST_LINES: Final = 10_000
_KEPT: Final = 60  # characters of a text that is wrapped once: words, but no hash


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence or a heading."""

    text: str
    style: Style = "text"


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values one below the other, on one page where they fit. title: a line above them."""

    pairs: tuple[tuple[str, str], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table: for each column lines of text, and below them notes of a name and a value.

    A note's value has the width of all columns but the first, so that a hash stands on one line.
    marked: with a bar beside it, for what does not agree.
    """

    cells: tuple[tuple[str, ...], ...]
    notes: tuple[tuple[str, str], ...] = ()
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header, which is repeated on each page with the caption, as is told of what it is.

    columns: title and width in mm, 170 in all. A row stays on one page where it fits.
    """

    columns: tuple[tuple[str, float], ...]
    rows: tuple[Row, ...]
    caption: str = ""


Block = Words | Facts | Table


@dataclass(frozen=True, slots=True)
class Paper:
    """What is to be printed.

    head: stands beside the symbol on the first page. address: what the symbol holds, printable ASCII.
    foot: at the foot of every page, one line. pages: sentence with `{page}` and `{pages}`.
    """

    title: str
    subject: str
    head: Sequence[Words | Facts]
    body: Sequence[Block]
    address: str
    foot: str
    pages: str
    lang: str = "zh-CN"


@dataclass(frozen=True, slots=True)
class PaperReport:
    """replaced: characters that the font lacks, in code point order; each is a visible sign now."""

    pages: int
    replaced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text on a line: x from the column's left edge."""

    x: float
    text: str
    size: float
    mute: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    """height: to the next line's top. above: room before it, which a page's first line leaves out.

    bar: whether a bar stands beside it.
    """

    height: float
    pieces: tuple[_Piece, ...]
    above: float = 0.0
    rule: bool = False
    bar: bool = False


@dataclass(slots=True)
class _Page:
    lines: list[tuple[float, _Line]] = field(default_factory=list)


def write_paper(paper: Paper, out: BinaryIO, *, font_path: Path) -> PaperReport:
    """Writes the PDF into `out`, in one go at the end; the same paper gives the same bytes.

    Raises Unavailable as `fonts.load_typeface`, Invalid for an address that no symbol holds.
    """
    typeface = load_typeface(font_path)
    symbol = qr_grid(paper.address)
    setter = _Setter(typeface)
    pages = _paginate(setter, paper)
    canvas = Canvas(
        out,
        pagesize=(_WIDTH, _HEIGHT),
        pageCompression=1,
        invariant=1,
        lang=paper.lang,
        initialFontName=typeface.name,
    )
    canvas.setTitle(paper.title)
    canvas.setSubject(paper.subject)
    canvas.setCreator("Suxin")
    foot = setter.show(paper.foot)
    for number, page in enumerate(pages, 1):
        if number == 1:
            _draw_symbol(canvas, symbol.dark_runs(), symbol.width)
        for y, line in page.lines:
            _draw_line(canvas, typeface, line, y)
        counted = setter.show(paper.pages.format(page=number, pages=len(pages)))
        _draw_foot(canvas, typeface, foot, counted)
        finish_page(canvas)
    with typeface.lock:
        canvas.save()
    return PaperReport(len(pages), tuple(sorted(setter.replaced)))


class _Setter:
    """Breaks blocks into lines of one typeface."""

    def __init__(self, typeface: Typeface) -> None:
        self._typeface = typeface
        self.replaced: set[str] = set()
        # The same few words stand in most rows of a table.
        self._wrapped: dict[tuple[str, float, float], list[str]] = {}

    def show(self, text: str) -> str:
        """Returns the text as it prints, and notes what is replaced."""
        shown = self._typeface.printable(text)
        self.replaced |= shown.replaced
        return shown.text

    def lines(self, block: Words | Facts, width: float) -> list[_Line]:
        """Returns a block's lines; they belong on one page."""
        match block:
            case Words():
                return self._words(block, width)
            case Facts():
                return list(self._facts(block, width))

    def header(self, table: Table) -> list[_Line]:
        """Returns what stands above a table's rows on every page."""
        lines = []
        for n, text in enumerate(self._wrap(table.caption, _CELL, _COLUMN)):
            above = _CELL * _LEADING * 0.6 if n == 0 else 0.0
            lines.append(_Line(_CELL * _LEADING, (_Piece(0, text, _CELL),), above=above))
        titles = tuple((title,) for title, _ in table.columns)
        return [*lines, *self._cells(table, titles, mute=True, above=_CELL * 0.4)]

    def row(self, table: Table, row: Row) -> list[_Line]:
        """Returns a row's lines, a rule above the first; they belong on one page."""
        lines = list(self._cells(table, row.cells, above=_CELL * 0.6, bar=row.marked))
        first = table.columns[0][1] * MM
        height = _CELL * _LEADING
        for name, value in row.notes:
            names = self._wrap(name, _CELL, _NOTE - _GUTTER)
            values = self._wrap(value, _CELL, _COLUMN - first - _NOTE)
            for n in range(max(len(names), len(values))):
                pieces = []
                if n < len(names):
                    pieces.append(_Piece(first, names[n], _CELL, mute=True))
                if n < len(values):
                    pieces.append(_Piece(first + _NOTE, values[n], _CELL))
                lines.append(_Line(height, tuple(pieces), bar=row.marked))
        return lines

    def _cells(
        self,
        table: Table,
        cells: tuple[tuple[str, ...], ...],
        *,
        above: float,
        mute: bool = False,
        bar: bool = False,
    ) -> Iterator[_Line]:
        """Yields lines of cells side by side."""
        wrapped, lefts, x = [], [], 0.0
        for (_, width_mm), texts in zip(table.columns, cells, strict=True):
            width = width_mm * MM
            wrapped.append(
                [line for text in texts for line in self._wrap(text, _CELL, width - _GUTTER)]
            )
            lefts.append(x)
            x += width
        for n in range(max(map(len, wrapped))):
            pieces = tuple(
                _Piece(left, lines[n], _CELL, mute=mute)
                for left, lines in zip(lefts, wrapped, strict=True)
                if n < len(lines)
            )
            first = n == 0
            yield _Line(
                _CELL * _LEADING, pieces, above=above if first else 0.0, rule=first, bar=bar
            )

    def _words(self, block: Words, width: float) -> list[_Line]:
        size, above = _STYLES[block.style]
        rule = block.style == "heading"
        return [
            _Line(
                size * _LEADING,
                (_Piece(0, text, size, mute=block.style == "small"),),
                above=size * _LEADING * above if n == 0 else 0.0,
                rule=rule and n == 0,
            )
            for n, text in enumerate(self._wrap(block.text, size, width))
        ]

    def _facts(self, block: Facts, width: float) -> Iterator[_Line]:
        size = 9.5
        height = size * _LEADING
        if block.title:
            for n, text in enumerate(self._wrap(block.title, 10.5, width)):
                above = height * 0.5 if n == 0 else 0.0
                yield _Line(10.5 * _LEADING, (_Piece(0, text, 10.5),), above=above)
        for name, value in block.pairs:
            names = self._wrap(name, size, _NAME - 3 * MM)
            values = self._wrap(value, size, width - _NAME)
            for n in range(max(len(names), len(values))):
                pieces = []
                if n < len(names):
                    pieces.append(_Piece(0, names[n], size, mute=True))
                if n < len(values):
                    pieces.append(_Piece(_NAME, values[n], size))
                yield _Line(height, tuple(pieces), above=height * 0.15 if n == 0 else 0.0)

    def _wrap(self, text: str, size: float, width: float) -> list[str]:
        told = (text, size, width)
        lines = self._wrapped.get(told)
        if lines is None:
            shown = self.show(text)
            lines = self._typeface.wrap(shown, size=size, width=width, lines=_MOST_LINES)
            if len(text) <= _KEPT:
                self._wrapped[told] = lines
        return lines


def _paginate(setter: _Setter, paper: Paper) -> list[_Page]:
    """Returns pages whose lines have their places: y of the line's top from the paper's foot."""
    pages = [_Page()]
    y = _HEIGHT - _TOP

    def put(lines: list[_Line]) -> None:
        nonlocal y
        for line in lines:
            if y - line.height < _BOTTOM and pages[-1].lines:
                pages.append(_Page())
                y = _HEIGHT - _TOP
            y -= line.above if pages[-1].lines else 0.0
            pages[-1].lines.append((y, line))
            y -= line.height

    def put_whole(lines: list[_Line], again: list[_Line] | None = None) -> None:
        """Puts lines on one page where they fit on one. again: what a new page begins with."""
        nonlocal y
        needed = sum(line.height + line.above for line in lines)
        room = _HEIGHT - _TOP - _BOTTOM - sum(line.height + line.above for line in again or ())
        if needed <= room and y - needed < _BOTTOM and pages[-1].lines:
            pages.append(_Page())
            y = _HEIGHT - _TOP
            put(again or [])
        put(lines)

    for beside in paper.head:
        put(setter.lines(beside, _BESIDE))
    if len(pages) == 1:
        y = min(y, _HEIGHT - _TOP - _SYMBOL - 6 * MM)
    waiting: list[_Line] = []  # a heading, which stands on the page of what follows it
    for block in paper.body:
        if isinstance(block, Table):
            header = setter.header(block)
            before = [*waiting, *header]
            for row in block.rows:
                put_whole([*before, *setter.row(block, row)], None if before else header)
                before = []
            waiting = before  # of a table without rows
            continue
        lines = setter.lines(block, _COLUMN)
        if isinstance(block, Words) and block.style == "heading":
            waiting += lines
            continue
        put_whole([*waiting, *lines])
        waiting = []
    put(waiting)
    return pages


def _draw_symbol(canvas: Any, runs: Iterator[tuple[int, int, int]], modules: int) -> None:
    module = _SYMBOL / modules
    x, y = _WIDTH - _SIDE - _SYMBOL, _HEIGHT - _TOP
    drawn = "\n".join(f"{left} {top} {count} 1 re" for left, top, count in runs)
    canvas.addLiteral(f"q {module:.4f} 0 0 -{module:.4f} {x:.2f} {y:.2f} cm\n{drawn}\nf Q")


def _draw_line(canvas: Any, typeface: Typeface, line: _Line, y: float) -> None:
    if line.rule:
        canvas.setStrokeGray(0.75)
        canvas.setLineWidth(0.5)
        top = y + line.above * 0.35
        canvas.line(_SIDE, top, _WIDTH - _SIDE, top)
    if line.bar:
        canvas.setFillGray(0.08)
        canvas.rect(_SIDE - 3 * MM, y - line.height, 1 * MM, line.height, stroke=0, fill=1)
    for piece in line.pieces:
        canvas.setFillGray(0.38 if piece.mute else 0.08)
        canvas.setFont(typeface.name, piece.size)
        canvas.drawString(_SIDE + piece.x, y - piece.size, piece.text)


def _draw_foot(canvas: Any, typeface: Typeface, foot: str, counted: str) -> None:
    canvas.setFillGray(0.38)
    canvas.setFont(typeface.name, _FOOT)
    (line, *_) = typeface.wrap(foot, size=_FOOT, width=_COLUMN - 40 * MM, lines=1) or [""]
    canvas.drawString(_SIDE, 12 * MM, line)
    canvas.drawRightString(_WIDTH - _SIDE, 12 * MM, counted)
