"""One label as a picture: the symbol, and below it what it says in letters.

PNG for printers and phones, at 400 pixels or more across 25 mm; SVG in millimetres, sharp at any
size. Nothing is drawn between modules, so both are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw, ImageFont

from app.labels.fonts import load_typeface
from app.labels.grids import Grid, Symbol, grid, spaced_ean13

_SYMBOL_MM = 25.0
_SMALLEST_MODULE_MM = 0.4  # what a printer of 203 dpi still separates
_EAN_MODULE_MM = 0.33  # nominal size, General Specifications 5.2.1.3
_SMALLEST_WIDTH_PX = 400  # 25 mm at 406 dpi
_EAN_MODULE_PX = 8
_CASE_MODULE_MM = 0.495  # the smallest of a logistic label, General Specifications 5.12.3.2

_MARGIN_MM = 1.0
_TEXT_MM = 2.4
_LINE_MM = 3.1
_WIDTH_OF_LETTER = 0.62  # of the text size; a monospaced letter, for SVG, which has no font to ask


@dataclass(frozen=True, slots=True)
class Label:
    """content: what the symbol holds (a URI, an element string, a GTIN). lines: text below it."""

    content: str
    lines: tuple[str, ...] = ()


def label_png(
    label: Label,
    symbol: Symbol,
    *,
    module_px: int | None = None,
    font_path: Path | None = None,
) -> bytes:
    """Returns a grey PNG whose resolution prints the symbol 25 mm wide (EAN-13: at nominal size).

    module_px: 1..50; None chooses one for 400 pixels or more across. font_path: for lines beyond
    ASCII; without it, and for what the font lacks, a visible sign stands in their place.
    Raises Invalid as `grids.grid`, Unavailable as `fonts.load_typeface`.
    """
    drawn = grid(symbol, label.content)
    module_mm = _module_mm(drawn, symbol)
    if module_px is None:
        columns = drawn.width + 2 * drawn.quiet_x
        module_px = _EAN_MODULE_PX if symbol == "ean13" else -(-_SMALLEST_WIDTH_PX // columns)
    if not 1 <= module_px <= 50:
        raise ValueError(module_px)
    px_per_mm = module_px / module_mm
    text_px = round(_TEXT_MM * px_per_mm)
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    if font_path is None:
        font = ImageFont.load_default(text_px)
        lines = [
            "".join(c if " " <= c <= "~" else "?" for c in line) for line in _lines(label, symbol)
        ]
    else:
        face = load_typeface(font_path)
        font = ImageFont.truetype(str(font_path), text_px, index=face.subfont)
        lines = [face.printable(line).text for line in _lines(label, symbol)]

    margin_px = round(_MARGIN_MM * px_per_mm)
    symbol_px = (drawn.width + 2 * drawn.quiet_x) * module_px
    width = max([symbol_px, *(round(font.getlength(line)) + 2 * margin_px for line in lines)])
    top = (drawn.height + 2 * drawn.quiet_y) * module_px
    line_px = round(_LINE_MM * px_per_mm)
    image = Image.new("L", (width, top + len(lines) * line_px + (margin_px if lines else 0)), 255)
    image.paste(
        _enlarged(drawn, module_px),
        ((width - drawn.width * module_px) // 2, drawn.quiet_y * module_px),
    )
    pen = ImageDraw.Draw(image)
    for index, line in enumerate(lines):
        middle = top + index * line_px + line_px // 2
        pen.text((width / 2, middle), line, fill=0, font=font, anchor="mm")
    out = BytesIO()
    dpi = px_per_mm * 25.4
    image.save(out, "PNG", optimize=True, dpi=(dpi, dpi))
    return out.getvalue()


def label_svg(label: Label, symbol: Symbol) -> bytes:
    """Returns an SVG (UTF-8) in millimetres, its symbol 25 mm wide, EAN-13 at nominal size.

    Lines are text in the viewer's own monospaced font, stretched to the room they were given.
    Raises Invalid as `grids.grid`.
    """
    drawn = grid(symbol, label.content)
    module_mm = _module_mm(drawn, symbol)
    lines = [_visible(line) for line in _lines(label, symbol)]
    lengths = [_estimated_mm(line) for line in lines]
    symbol_mm = (drawn.width + 2 * drawn.quiet_x) * module_mm
    width = max([symbol_mm, *(length + 2 * _MARGIN_MM for length in lengths)])
    top = (drawn.height + 2 * drawn.quiet_y) * module_mm
    height = top + len(lines) * _LINE_MM + (_MARGIN_MM if lines else 0)

    left = (width - drawn.width * module_mm) / 2
    bar = drawn.row_height
    path = "".join(f"M{x} {y}h{n}v{bar}h-{n}z" for x, y, n in drawn.dark_runs())
    name = quoteattr(" ".join(lines) or _visible(label.content))
    place = f"translate({left:.4f} {drawn.quiet_y * module_mm:.4f}) scale({module_mm:.5f})"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.3f}mm" height="{height:.3f}mm"',
        f' viewBox="0 0 {width:.3f} {height:.3f}" role="img" aria-label={name}>',
        f'<rect width="{width:.3f}" height="{height:.3f}" fill="#fff"/>',
        f'<path transform="{place}" shape-rendering="crispEdges" d="{path}"/>',
    ]
    for index, (line, length) in enumerate(zip(lines, lengths, strict=True)):
        baseline = top + index * _LINE_MM + _LINE_MM * 0.75
        parts.append(
            f'<text x="{width / 2:.3f}" y="{baseline:.3f}" font-size="{_TEXT_MM}" '
            f'font-family="monospace" text-anchor="middle" textLength="{length:.3f}" '
            f'lengthAdjust="spacingAndGlyphs">{escape(line)}</text>'
        )
    return "".join([*parts, "</svg>\n"]).encode()


def _module_mm(drawn: Grid, symbol: Symbol) -> float:
    if symbol == "ean13":
        return _EAN_MODULE_MM
    if symbol == "gs1-128":
        return _CASE_MODULE_MM
    return max(_SMALLEST_MODULE_MM, _SYMBOL_MM / (drawn.width + 2 * drawn.quiet_x))


def _lines(label: Label, symbol: Symbol) -> tuple[str, ...]:
    digits = (spaced_ean13(label.content),) if symbol == "ean13" else ()
    return digits + tuple(line for line in label.lines if line.strip())


def _visible(text: str) -> str:
    # XML 1.0 has no control characters, not even escaped.
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _enlarged(drawn: Grid, module_px: int) -> Image.Image:
    small = Image.frombytes("L", (drawn.width, len(drawn.rows)), b"".join(drawn.rows))
    size = (drawn.width * module_px, drawn.height * module_px)
    return small.resize(size, Image.Resampling.NEAREST)


def _estimated_mm(line: str) -> float:
    return _TEXT_MM * sum(_WIDTH_OF_LETTER if char < "\u2e80" else 1.0 for char in line)
