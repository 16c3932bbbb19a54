"""Office Open XML workbooks (ECMA-376), read row by row; a hostile file costs no more than its limits.

Before the library sees it, every part is unpacked once and counted, whatever it is called (the library
goes by content types, not by names): what a zip says about its sizes is the sender's word. Nothing in it
is executed: macros, links and formulas are not even looked at, a formula counts as the value that was
last computed for it.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterable
from datetime import date, datetime, time
from itertools import zip_longest
from typing import Any, NamedTuple

from app.imports.grid import (
    MAX_COLUMNS,
    FileTooLarge,
    FileUnusable,
    Grid,
    Line,
    check_line_count,
    read_line,
)

MAX_UNPACKED = 96 * 1024 * 1024
MAX_PARTS = 500
MAX_LINE = 1_048_576
"""Excel's own last line. The library makes up every line that a file skips."""
_PIECE = 256 * 1024
_OVERLAP = 64
_MERGED = re.compile(
    rb'<(?:\w+:)?mergeCell [^>]{0,200}?ref="([A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7})"'
)
_FORMULA = re.compile(rb"<(?:\w+:)?f[ />]")
_ENTITIES = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
# Doubles hold every whole number up to here; Excel shows 15 digits and keeps no more.
_EXACT = 10**15


class _Seen(NamedTuple):
    formulas: bool
    merged: tuple[str, ...]


def read_xlsx(raw: bytes) -> Grid:
    """Returns the lines of the first visible sheet that has any. Raises FileUnusable, FileTooLarge."""
    seen = _look_through(raw)
    try:
        with warnings.catch_warnings():
            # What the library cannot keep when it writes (drawings, validation) is nothing to a reader.
            warnings.simplefilter("ignore")
            return _read(raw, seen)
    except (FileUnusable, FileTooLarge):
        raise
    except Exception as err:  # whatever the library meets in a file that no program of repute wrote
        raise FileUnusable("import_broken") from err


def _look_through(raw: bytes) -> _Seen:
    """Returns what stands in the parts. Raises FileUnusable for bombs, and for what is no workbook."""
    formulas, merged, total = False, [], 0
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            parts = archive.infolist()
            names = {part.filename for part in parts}
            if len(parts) > MAX_PARTS or len(names) != len(parts):
                raise FileUnusable("import_bomb")
            if "EncryptedPackage" in names or any(part.flag_bits & 1 for part in parts):
                raise FileUnusable("import_encrypted")
            if "xl/workbook.xml" not in names:
                raise FileUnusable("import_not_table")
            for part in parts:
                # A drawing (SVG) may well have a DOCTYPE.
                is_media = part.filename.startswith("xl/media/")
                is_sheet = part.filename.startswith("xl/worksheets/")
                rest = b""
                with archive.open(part) as file:
                    while piece := file.read(_PIECE):
                        total += len(piece)
                        if total > MAX_UNPACKED:
                            raise FileUnusable("import_bomb")
                        window = rest + piece
                        if not is_media and _ENTITIES.search(window):
                            raise FileUnusable("import_broken")
                        if is_sheet:
                            formulas = formulas or _FORMULA.search(window) is not None
                            merged += [ref.decode() for ref in _MERGED.findall(window)]
                        rest = window[-_OVERLAP:]
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as err:
        raise FileUnusable("import_broken") from err
    except Exception as err:  # zlib.error, LZMAError: what unpacking raises has no common parent
        if isinstance(err, FileUnusable):
            raise
        raise FileUnusable("import_broken") from err
    return _Seen(formulas, tuple(dict.fromkeys(merged)))


def _read(raw: bytes, seen: _Seen) -> Grid:
    # Here, since it takes 7 MB that most processes never need.
    from openpyxl import load_workbook  # noqa: PLC0415

    values = load_workbook(io.BytesIO(raw), read_only=True, data_only=True, keep_links=False)
    formulas = (
        load_workbook(io.BytesIO(raw), read_only=True, keep_links=False) if seen.formulas else None
    )
    chosen: tuple[str, tuple[Line, ...]] | None = None
    others = 0
    for sheet in values.worksheets:
        if sheet.sheet_state != "visible":
            continue
        # The size that a sheet claims may be anything; what it has is counted as it comes.
        sheet.reset_dimensions()
        if chosen is not None:
            others += any(
                any(row) for row in sheet.iter_rows(max_col=5, max_row=5, values_only=True)
            )
            continue
        rows = sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True)
        beside: Iterable[Any] = ()
        if formulas is not None:
            twin = formulas[sheet.title]
            twin.reset_dimensions()
            beside = twin.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True)
        lines = tuple(_lines(rows, beside))
        if lines:
            chosen = (sheet.title, lines)
    if chosen is None:
        raise FileUnusable("import_empty")
    return Grid(chosen[1], "xlsx", sheet=chosen[0], others=others, merged=seen.merged)


def _lines(rows: Iterable[Any], beside: Iterable[Any]) -> Iterable[Line]:
    count = 0
    for number, (values, formulas) in enumerate(zip_longest(rows, beside, fillvalue=()), start=1):
        if number > MAX_LINE:
            raise FileUnusable("import_broken")
        if values.count(None) == len(values) and not any(formulas):
            continue  # a line that the file skips, maybe one of a million
        cells = [_text(value) for value in values]
        for at, formula in enumerate(formulas):
            if isinstance(formula, str) and formula.startswith("=") and not cells[at]:
                cells[at] = formula  # never computed: refused where it stands
        line = read_line(number, cells)
        if line is not None:
            count += 1
            check_line_count(count)
            yield line


def _text(value: Any) -> str:
    """Returns a cell's value as a person reads it."""
    match value:
        case None:
            return ""
        case bool():
            return "TRUE" if value else "FALSE"
        case int() | float():
            return _number(value)
        case datetime():
            whole = value.hour == value.minute == value.second == 0
            return value.date().isoformat() if whole else value.isoformat(" ", "seconds")
        case date() | time():
            return value.isoformat()
        case _:
            return _ESCAPED.sub(_unescaped, str(value))


def _unescaped(found: re.Match[str]) -> str:
    char = chr(int(found[1], 16))
    return char if char in "\r\n\t" or char.isprintable() else found[0]


def _number(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN alone
        return "#NUM!"
    if abs(value) >= _EXACT:
        return f"{value:.14E}"  # its last digits are lost: told as what it has become
    return str(int(value)) if value == int(value) else repr(value)
