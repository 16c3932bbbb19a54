"""A page to hold against the paper: where the labels of a layout will be, and a ruler.

A printer that scales to fit, or pulls the sheet in askew, shows here and not on the first hundred
labels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

from reportlab.pdfgen.canvas import Canvas

from app.labels.fonts import load_typeface
from app.labels.layouts import MM, Layout

_SIZE = 7.0
_TICK_MM = 10


def write_calibration(layout: Layout, out: BinaryIO, *, font_path: Path, advice: str) -> None:
    """Writes one page: each label's edge, a cross in its middle, its number, and a ruler.

    advice: a sentence, one line, in the first label's place or as much of it as fits there.
    Raises Unavailable as `fonts.load_typeface`.
    """
    typeface = load_typeface(font_path)
    canvas = Canvas(
        out,
        pagesize=(layout.page_width * MM, layout.page_height * MM),
        pageCompression=1,
        invariant=1,
        initialFontName=typeface.name,
    )
    canvas.setLineWidth(0.3)
    for place in range(layout.places):
        left, top = layout.corner(place)
        _outline(canvas, layout, left, top)
        canvas.setFont(typeface.name, _SIZE)
        x, y = (left + layout.inset) * MM, (layout.page_height - top - layout.cell_height) * MM
        canvas.drawString(x, y + layout.inset * MM, str(place + 1))
    left, top = layout.corner(0)
    lines = typeface.wrap(
        typeface.printable(advice).text, size=_SIZE, width=layout.text_width * MM, lines=4
    )
    for n, line in enumerate(lines, 1):
        y = (layout.page_height - top - layout.text_top) * MM - n * 1.25 * _SIZE
        canvas.drawString((left + layout.text_left) * MM, y, line)
    _ruler(canvas, layout)
    with typeface.lock:
        canvas.save()


def _outline(canvas: Any, layout: Layout, left: float, top: float) -> None:
    bottom = layout.page_height - top - layout.cell_height
    canvas.rect(left * MM, bottom * MM, layout.cell_width * MM, layout.cell_height * MM)
    x, y = (left + layout.cell_width / 2) * MM, (bottom + layout.cell_height / 2) * MM
    canvas.line(x - 2 * MM, y, x + 2 * MM, y)
    canvas.line(x, y - 2 * MM, x, y + 2 * MM)


def _ruler(canvas: Any, layout: Layout) -> None:
    """Draws whole centimetres, 10 of them where the page is that wide, across the first label's middle."""
    room = layout.page_width - 2 * layout.left - 2 * layout.inset
    length = min(100, int(room // _TICK_MM) * _TICK_MM)
    x = layout.left + layout.inset
    y = layout.page_height - layout.top - layout.cell_height * 0.25
    canvas.line(x * MM, y * MM, (x + length) * MM, y * MM)
    for tick in range(0, length + 1, _TICK_MM):
        canvas.line((x + tick) * MM, (y - 1.5) * MM, (x + tick) * MM, (y + 1.5) * MM)
    canvas.drawString((x + 1) * MM, (y + 0.6) * MM, f"{length} mm")
