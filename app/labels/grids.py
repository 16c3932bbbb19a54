"""Symbols as grids of dark and light modules, before anybody has chosen a size.

QR is ISO/IEC 18004, level M, so that a scratched label still reads; DataMatrix is ISO/IEC 16022
with FNC1 in first place (GS1 DataMatrix); EAN-13 is GS1 General Specifications 5.2, GS1-128 5.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, assert_never, cast

import barcode
import qrcode
import zxingcpp
from qrcode.exceptions import DataOverflowError

from app.kit.errors import FieldFault, Invalid, invalid
from app.labels.elements import square_brackets

Symbol = Literal["qr", "datamatrix", "ean13", "gs1-128"]

DARK = 0
LIGHT = 255
_DARK_RUN = re.compile(rb"\x00+")
_GTIN_13_OR_14 = re.compile(r"0?([0-9]{13})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grid:
    """A symbol without a size.

    rows: top first; one byte a module, DARK (0) or light (255). row_height: in modules, 1 but for
    bars. quiet_x, quiet_y: light modules that the standard wants on each side.
    """

    rows: tuple[bytes, ...]
    quiet_x: int
    quiet_y: int
    row_height: int = 1

    @property
    def width(self) -> int:
        """Modules from the first dark column to the last, without the quiet zone."""
        return len(self.rows[0])

    @property
    def height(self) -> int:
        """Modules from top to bottom, without the quiet zone."""
        return len(self.rows) * self.row_height

    def dark_runs(self) -> Iterator[tuple[int, int, int]]:
        """Yields x, y and length of each horizontal run of dark modules, in modules, y downwards.

        Drawing runs instead of modules keeps files a third of the size and leaves no hairlines.
        """
        for y, row in enumerate(self.rows):
            for run in _DARK_RUN.finditer(row):
                start, end = run.span()
                yield start, y * self.row_height, end - start


def grid(symbol: Symbol, content: str, *, bulk: bool = False) -> Grid:
    """Returns the symbol that holds `content`: a URI, an element string or a GTIN.

    bulk: QR by zxing-cpp, twenty times as fast as qrcode; both give what any reader reads alike.
    Raises Invalid (`symbol_charset`, `symbol_size`, `symbol_elements`; `ean13` as a field's kind).
    """
    match symbol:
        case "qr":
            return bulk_qr_grid(content) if bulk else qr_grid(content)
        case "datamatrix":
            return datamatrix_grid(content)
        case "ean13":
            return ean13_grid(content)
        case "gs1-128":
            return gs1_128_grid(content)
        case _:
            assert_never(symbol)


def qr_grid(uri: str) -> Grid:
    """Returns a QR symbol, level M. Raises Invalid if `uri` is not printable ASCII or too long."""
    _check_ascii(uri, symbol="QR")
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, border=0)
    code.add_data(uri)
    try:
        code.make(fit=True)
    except (DataOverflowError, ValueError) as err:
        raise Invalid("symbol_size", symbol="QR", got=len(uri)) from err
    rows = (bytes(DARK if dark else LIGHT for dark in row) for row in code.get_matrix())
    return Grid(rows=tuple(rows), quiet_x=4, quiet_y=4)


def bulk_qr_grid(uri: str) -> Grid:
    """Returns a QR symbol at level M like `qr_grid`, by the faster encoder."""
    _check_ascii(uri, symbol="QR")
    try:
        # Left to itself the encoder takes level L, and a higher one only where it costs nothing.
        made = zxingcpp.create_barcode(uri, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    except ValueError as err:
        raise Invalid("symbol_size", symbol="QR", got=len(uri)) from err
    return Grid(rows=_rows(made), quiet_x=4, quiet_y=4)


def datamatrix_grid(element_string: str) -> Grid:
    """Returns a square GS1 DataMatrix symbol of `(01)…` or `[01]…`.

    Raises Invalid if the text is no element string, or a value is too long or outside CSET 82.
    The encoder takes a wrong check digit and a thirteenth month: whoever calls has checked both.
    """
    _check_ascii(element_string, symbol="DataMatrix")
    elements = square_brackets(element_string)
    try:
        # Unforced, the encoder prefers rectangles of ISO/IEC 21471, which GS1 does not have.
        made = zxingcpp.create_barcode(
            elements, zxingcpp.BarcodeFormat.DataMatrix, gs1=True, force_square=True
        )
    except ValueError as err:
        raise Invalid("symbol_elements", got=element_string[:80]) from err
    # The standard asks for one light module. With less than four, a decoder lost the symbols that
    # lay at 45 degrees (measured, zxing-cpp 3.1: 12 to 24 of 36), and no others.
    return Grid(rows=_rows(made), quiet_x=4, quiet_y=4)


def ean13_grid(gtin: str) -> Grid:
    """Returns the bars of a GTIN-13, which may be written as GTIN-14 with its leading zero.

    Raises Invalid, a field fault `ean13` at `symbol`, for a case (GTIN-14 with another first
    digit), a GTIN-8 (which has a symbol of its own) and a wrong check digit.
    """
    found = _GTIN_13_OR_14.fullmatch(gtin)
    digits = found[1] if found else ""
    if not digits or digits.startswith("00000") or _ean13(digits).ean != digits:
        raise invalid(FieldFault(("symbol",), "ean13", {"got": gtin[:20]}))
    bars = _ean13(digits).build()[0]
    row = bytes(DARK if bar == "1" else LIGHT for bar in bars)
    # Left 11, right 7 by the standard; nominal height 22.85 mm at a module of 0.33 mm.
    return Grid(rows=(row,), quiet_x=11, quiet_y=2, row_height=69)


def gs1_128_grid(element_string: str) -> Grid:
    """Returns the bars of `(00)…` or `[00]…`, for cases and pallets. Raises Invalid as `datamatrix_grid`."""
    _check_ascii(element_string, symbol="GS1-128")
    elements = square_brackets(element_string)
    try:
        made = zxingcpp.create_barcode(elements, zxingcpp.BarcodeFormat.Code128, gs1=True)
    except ValueError as err:
        raise Invalid("symbol_elements", got=element_string[:80]) from err
    # Ten light modules on each side; on a logistic label bars of 31.75 mm at a module of 0.495 mm.
    return Grid(rows=_rows(made)[:1], quiet_x=10, quiet_y=2, row_height=65)


def spaced_ean13(gtin: str) -> str:
    """Returns the digits as they stand below the bars: `6 901234 567892`."""
    digits = gtin[-13:]
    return f"{digits[0]} {digits[1:7]} {digits[7:]}"


def _ean13(digits: str) -> Any:
    return barcode.EAN13(digits)


def _rows(made: zxingcpp.Barcode) -> tuple[bytes, ...]:
    image = made.to_image(scale=1, add_quiet_zones=False)
    # The stub knows numpy's door only; the object is a buffer too.
    view = memoryview(cast("Any", image))
    width = image.shape[1]
    flat = view.tobytes()
    return tuple(flat[start : start + width] for start in range(0, len(flat), width))


def _check_ascii(text: str, *, symbol: str) -> None:
    # Readers guess the character set of anything else, and guess differently.
    if not text or not text.isascii() or not text.isprintable():
        raise Invalid("symbol_charset", symbol=symbol, got=ascii(text[:80]))
