"""One label of a layout as a picture, as it will be printed: PNG at 300 dpi, SVG in millimetres."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from PIL import Image, ImageDraw, ImageFont

from app.labels.fonts import load_typeface
from app.labels.layouts import MM, Layout
from app.labels.placing import OFFICE_DPI, Line, Placed, SheetLabel, SheetSymbol, Typesetter

_DOT = 72 / OFFICE_DPI
_FRAME_DASH = (6, 5)  # dots drawn and left out


def preview_png(
    label: SheetLabel,
    layout: Layout,
    symbol: SheetSymbol,
    *,
    font_path: Path,
    inner_word: str = "",
) -> bytes:
    """Returns a grey PNG of the label's size. Raises as `sheet.write_sheet`."""
    typeface = load_typeface(font_path)
    placed = Typesetter(typeface, layout, symbol, inner_word=inner_word).place(label)
    size = (_px(layout.cell_width * MM), _px(layout.cell_height * MM))
    image = Image.new("L", size, 255)
    pen = ImageDraw.Draw(image)
    left, top, dots = _px(placed.symbol_x), _px(placed.symbol_y), placed.dots
    for x, y, n in placed.symbol.dark_runs():
        corner = (left + x * dots, top + y * dots)
        pen.rectangle((*corner, corner[0] + n * dots - 1, corner[1] + dots - 1), fill=0)
    for line in placed.lines:
        font = ImageFont.truetype(str(font_path), line.size / _DOT, index=typeface.subfont)
        _write(image, line, font)
    if placed.frame is not None:
        frame = placed.frame
        right, bottom = _px(frame.x + frame.width), _px(frame.y + frame.height)
        _dash(pen, (_px(frame.x), _px(frame.y), right, bottom))
    out = BytesIO()
    image.save(out, "PNG", optimize=True, dpi=(OFFICE_DPI, OFFICE_DPI))
    return out.getvalue()


def preview_svg(
    label: SheetLabel,
    layout: Layout,
    symbol: SheetSymbol,
    *,
    font_path: Path,
    inner_word: str = "",
) -> bytes:
    """Returns an SVG (UTF-8) of the label's size. Raises as `sheet.write_sheet`.

    Lines are text in a font of the viewer's, stretched to the room that ours takes.
    """
    typeface = load_typeface(font_path)
    placed = Typesetter(typeface, layout, symbol, inner_word=inner_word).place(label)
    width, height = layout.cell_width * MM, layout.cell_height * MM
    name = quoteattr(" ".join(line.text for line in placed.lines) or label.content)
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.cell_width:g}mm"',
            f' height="{layout.cell_height:g}mm" viewBox="0 0 {width:.2f} {height:.2f}"',
            f' role="img" aria-label={name}>',
            f'<rect width="{width:.2f}" height="{height:.2f}" fill="#fff"/>',
            _symbol_path(placed),
            *(
                _text(line, typeface.width(line.text, line.size) * line.percent / 100)
                for line in placed.lines
            ),
            _frame(placed),
            "</svg>\n",
        ]
    ).encode()


def _symbol_path(placed: Placed) -> str:
    path = "".join(f"M{x} {y}h{n}v1h-{n}z" for x, y, n in placed.symbol.dark_runs())
    place = (
        f"translate({placed.symbol_x:.3f} {placed.symbol_y:.3f}) scale({placed.dots * _DOT:.4f})"
    )
    return f'<path transform="{place}" shape-rendering="crispEdges" d="{path}"/>'


def _text(line: Line, length: float) -> str:
    return (
        f'<text x="{line.x:.2f}" y="{line.y:.2f}" font-size="{line.size:.2f}" '
        f'font-family="sans-serif" textLength="{length:.2f}" '
        f'lengthAdjust="spacingAndGlyphs">{escape(line.text)}</text>'
    )


def _frame(placed: Placed) -> str:
    if placed.frame is None:
        return ""
    frame = placed.frame
    return (
        f'<rect x="{frame.x:.2f}" y="{frame.y:.2f}" width="{frame.width:.2f}" '
        f'height="{frame.height:.2f}" fill="none" stroke="#000" stroke-width="0.5" '
        'stroke-dasharray="2 1.5"/>'
    )


def _write(image: Image.Image, line: Line, font: ImageFont.FreeTypeFont) -> None:
    ascent, descent = font.getmetrics()
    width = max(1, round(font.getlength(line.text)))
    drawn = Image.new("L", (width, ascent + descent), 255)
    ImageDraw.Draw(drawn).text((0, ascent), line.text, fill=0, font=font, anchor="ls")
    if line.percent < 100:
        drawn = drawn.resize((max(1, int(width * line.percent / 100)), drawn.height))
    image.paste(drawn, (_px(line.x), _px(line.y) - ascent))


def _dash(pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    drawn, left_out = _FRAME_DASH
    for x in range(left, right, drawn + left_out):
        for y in (top, bottom):
            pen.line((x, y, min(x + drawn, right), y), fill=0, width=2)
    for y in range(top, bottom, drawn + left_out):
        for x in (left, right):
            pen.line((x, y, x, min(y + drawn, bottom)), fill=0, width=2)


def _px(points: float) -> int:
    return round(points / _DOT)
