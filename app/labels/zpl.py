r"""Labels as ZPL II commands for a thermal printer of 203 or 300 dpi.

The symbol is a picture of ours (`^GF`), not a command of the printer's: its size is known before it is
printed, and it holds what our decoders have read in the tests. Printers differ in how they encode
`^BQ` and in how `^BX` is told of FNC1.

Text. What is ASCII goes to the printer as text in font 0, which every ZPL II printer has, each byte
that is no letter, digit, space or one of `( ) . , : / -` as `\XX` behind `^FH\`: a product called
`^XZ~JR` prints that. Anything else is a picture too, drawn once a file and called again by name
(`~DG`, `^XG`): fonts with Chinese are sold apart, and `^CI28` without one prints blanks.

Not known here: how wide the printer's own font 0 runs. Its letters are taken to be no wider than
ours, which holds for CG Triumvirate Bold Condensed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Literal

from PIL import Image, ImageDraw, ImageFont

from app.kit.errors import Invalid
from app.labels.fonts import Typeface, load_typeface
from app.labels.grids import DARK, LIGHT
from app.labels.layouts import LAYOUTS, MM
from app.labels.placing import Frame, Line, Placed, SheetLabel, SheetSymbol, Typesetter
from app.labels.sheet import SheetReport

DPI = Literal[203, 300]

# Printers have 8 and 11.8 dots in a millimetre.
_TRUE_DPI: Final[dict[DPI, float]] = {203: 8 * 25.4, 300: 300.0}
_LAYOUT: Final = LAYOUTS["roll-60x40"]
_MOST_STORED = 64
_EVERY = 100

_DARK, _LIGHT = bytes([DARK]), bytes([LIGHT])
_UNSAFE = re.compile(r"[^A-Za-z0-9 ().,:/-]")
_RUN = re.compile(r"(.)\1\1+")
_HIGH = "ghijklmnopqrstuvwxyz"  # 20, 40, … 400 times
_LOW = "GHIJKLMNOPQRSTUVWXY"  # 1, 2, … 19 times


def write_zpl(
    labels: Iterable[SheetLabel],
    out: BinaryIO,
    *,
    symbol: SheetSymbol,
    font_path: Path,
    dpi: DPI = 203,
    inner_word: str = "",
    progress: Callable[[int], None] | None = None,
) -> SheetReport:
    """Writes one format (`^XA … ^XZ`) a label of 60 by 40 mm into `out`; ASCII alone.

    labels: taken one by one, and written as they come. progress: called after every hundred.
    Raises Invalid and Unavailable as `sheet.write_sheet`.
    """
    typeface = load_typeface(font_path)
    waiting = iter(labels)
    first = next(waiting, None)
    if first is None:
        raise Invalid("no_labels")
    setter = Typesetter(typeface, _LAYOUT, symbol, inner_word=inner_word, dpi=_TRUE_DPI[dpi])
    writer = _Writer(typeface, setter.dot)
    done = 0
    for label in chain([first], waiting):
        out.write(writer.format_of(setter.place(label)).encode("ascii"))
        done += 1
        if progress is not None and done % _EVERY == 0:
            progress(done)
    out.write(writer.farewell().encode("ascii"))
    if progress is not None:
        progress(done)
    return SheetReport(done, done, tuple(sorted(setter.replaced)), setter.module_mm)


def escape_text(text: str) -> str:
    r"""Returns ASCII text as field data behind `^FH\`: nothing in it can begin a command."""
    return _UNSAFE.sub(lambda found: f"\\{ord(found[0]):02X}", text)


def packed_rows(rows: Iterable[str]) -> str:
    """Returns rows of hexadecimal digits in ZPL's own packing of repeats.

    `G`…`Y` are 1 to 19 times the digit behind, `g`…`z` 20 to 400; `,` fills a row with zeros; `:` is
    the row before once more. Each row has the same, even number of digits.
    """
    packed: list[str] = []
    before = None
    for row in rows:
        packed.append(":" if row == before else _packed_row(row))
        before = row
    return "".join(packed)


def _packed_row(row: str) -> str:
    kept = row.rstrip("0")
    kept += "0" * (len(kept) % 2)
    return _RUN.sub(lambda run: _packed_run(run[0]), kept) + ("," if len(kept) < len(row) else "")


@lru_cache(maxsize=1024)
def _packed_run(run: str) -> str:
    most = 20 * len(_HIGH)
    count = len(run)
    high = _HIGH[-1] * (count // most)
    count %= most
    high += _HIGH[count // 20 - 1] if count >= 20 else ""
    return high + (_LOW[count % 20 - 1] if count % 20 else "") + run[0]


class _Writer:
    """Turns labels that are laid out into formats, and keeps what the printer was given to keep."""

    def __init__(self, typeface: Typeface, dot: float) -> None:
        self._typeface = typeface
        self._dot = dot
        self._stored: dict[tuple[str, float, float], tuple[str, int]] = {}
        width, height = (
            self._dots(side * MM) for side in (_LAYOUT.page_width, _LAYOUT.page_height)
        )
        self._begin = f"^XA^PW{width}^LL{height}^LH0,0^CI28"

    def format_of(self, placed: Placed) -> str:
        """Returns the commands of one label, after those that store the pictures it calls by name."""
        before: list[str] = []
        fields = [self._symbol(placed)]
        fields += [self._line(line, before) for line in placed.lines]
        if placed.frame is not None:
            fields.append(self._frame(placed.frame))
        return "".join(before) + self._begin + "".join(fields) + "^XZ\n"

    def farewell(self) -> str:
        """Returns what takes the stored pictures out of the printer's memory again."""
        names = [name for name, _ in self._stored.values()]
        deletes = "".join(f"^ID{name}^FS" for name in names)
        return f"^XA{deletes}^XZ\n" if names else ""

    def _symbol(self, placed: Placed) -> str:
        dots = placed.dots
        dark, light = b"1" * dots, b"0" * dots
        row_bytes = -(-placed.symbol.width * dots // 8)
        rows = [
            _hexadecimal(row.replace(_LIGHT, light).replace(_DARK, dark), row_bytes)
            for row in placed.symbol.rows
        ]
        # The printer repeats a row for less than it takes to send it.
        data = packed_rows(row for row in rows for _ in range(dots))
        size = row_bytes * len(rows) * dots
        x, y = self._dots(placed.symbol_x), self._dots(placed.symbol_y)
        return f"^FO{x},{y}^GFA,{size},{size},{row_bytes},{data}^FS"

    def _line(self, line: Line, before: list[str]) -> str:
        if not line.text.isascii():
            return self._picture(line, before)
        x, y = self._dots(line.x), self._dots(line.y)
        height = line.size / self._dot
        width = max(1, int(height * line.percent / 100))
        return f"^FT{x},{y}^A0N,{round(height)},{width}^FH\\^FD{escape_text(line.text)}^FS"

    def _picture(self, line: Line, before: list[str]) -> str:
        key = (line.text, line.size, line.percent)
        stored = self._stored.get(key)
        if stored is None:
            image, ascent = self._drawn(line)
            row_bytes = -(-image.width // 8)
            raw = image.tobytes()  # of mode "1": rows of whole bytes
            rows = (
                raw[start : start + row_bytes].hex().upper()
                for start in range(0, len(raw), row_bytes)
            )
            data = packed_rows(rows)
            if len(self._stored) >= _MOST_STORED:
                x, y = self._dots(line.x), self._dots(line.y) - ascent
                return f"^FO{x},{y}^GFA,{len(raw)},{len(raw)},{row_bytes},{data}^FS"
            name = f"R:SX{len(self._stored):04d}.GRF"
            before.append(f"~DG{name},{len(raw)},{row_bytes},{data}\n")
            stored = self._stored[key] = (name, ascent)
        name, ascent = stored
        x, y = self._dots(line.x), self._dots(line.y) - ascent
        return f"^FO{x},{y}^XG{name},1,1^FS"

    def _drawn(self, line: Line) -> tuple[Image.Image, int]:
        """Returns the line as dots, and how far its top is above its baseline."""
        size = line.size / self._dot
        font = ImageFont.truetype(str(self._typeface.path), size, index=self._typeface.subfont)
        ascent, descent = font.getmetrics()
        width = -(-int(font.getlength(line.text) + 1) // 8) * 8
        image = Image.new("1", (width, ascent + descent), 0)
        # A printer has no grey: letters are drawn in dots from the beginning.
        pen = ImageDraw.Draw(image)
        pen.fontmode = "1"
        pen.text((0, ascent), line.text, fill=1, font=font, anchor="ls")
        if line.percent < 100:
            narrow = -(-int(width * line.percent / 100) // 8) * 8
            image = image.resize((narrow, image.height), Image.Resampling.NEAREST)
        return image, ascent

    def _frame(self, frame: Frame) -> str:
        x, y = self._dots(frame.x), self._dots(frame.y)
        width, height = self._dots(frame.width), self._dots(frame.height)
        return f"^FO{x},{y}^GB{width},{height},2^FS"

    def _dots(self, points: float) -> int:
        return round(points / self._dot)


def _hexadecimal(bits: bytes, row_bytes: int) -> str:
    return f"{int(bits.ljust(8 * row_bytes, b'0'), 2):0{2 * row_bytes}X}"
