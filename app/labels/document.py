"""Pages of text as PDF: headings, sentences and lists of facts, in the typeface that labels use.

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
_LEADING: Final = 1.45
# Size in points, and room above it in lines of its own.
_STYLES: Final[dict[Style, tuple[float, float]]] = {
    "title": (18.0, 0.0),
    "heading": (12.5, 0.9),
    "text": (10.0, 0.3),
    "small": (8.5, 0.2),
}
_MOST_LINES: Final = 10_000


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


Block = Words | Facts


@dataclass(frozen=True, slots=True)
class Paper:
    """What is to be printed.

    head: stands beside the symbol on the first page. address: what the symbol holds, printable ASCII.
    foot: at the foot of every page, one line. pages: sentence with `{page}` and `{pages}`.
    """

    title: str
    subject: str
    head: Sequence[Block]
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
    """height: to the next line's top. above: room before it, which a page's first line leaves out."""

    height: float
    pieces: tuple[_Piece, ...]
    above: float = 0.0
    rule: bool = False


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

    def show(self, text: str) -> str:
        """Returns the text as it prints, and notes what is replaced."""
        shown = self._typeface.printable(text)
        self.replaced |= shown.replaced
        return shown.text

    def lines(self, block: Block, width: float) -> list[_Line]:
        """Returns a block's lines; they belong on one page."""
        match block:
            case Words():
                return self._words(block, width)
            case Facts():
                return list(self._facts(block, width))

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
        shown = self.show(text)
        return self._typeface.wrap(shown, size=size, width=width, lines=_MOST_LINES)


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

    for block in paper.head:
        put(setter.lines(block, _BESIDE))
    if len(pages) == 1:
        y = min(y, _HEIGHT - _TOP - _SYMBOL - 6 * MM)
    waiting: list[_Line] = []  # a heading, which stands on the page of what follows it
    for block in paper.body:
        lines = setter.lines(block, _COLUMN)
        if isinstance(block, Words) and block.style == "heading":
            waiting += lines
            continue
        whole = [*waiting, *lines]
        waiting = []
        needed = sum(line.height + line.above for line in whole)
        fits_one = needed <= _HEIGHT - _TOP - _BOTTOM
        if fits_one and y - needed < _BOTTOM and pages[-1].lines:
            pages.append(_Page())
            y = _HEIGHT - _TOP
        put(whole)
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
