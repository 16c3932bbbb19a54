"""A file as lines of texts, whatever it was stored as; and the refusals of files that are none.

A cell is text as a person reads it: a date as `2026-09-05`, a number without an exponent. What cannot be
told exactly any more (a number beyond Excel's 15 digits, a formula never computed) stays recognisable,
so that `cells` refuses it with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.kit.errors import Invalid, TooLarge

MAX_BYTES = 8 * 1024 * 1024
MAX_ROWS = 10_000
MAX_COLUMNS = 200
MAX_CELL = 32_767
"""Characters: Excel's own limit."""


class FileUnusable(Invalid):
    """The file is no table that can be read, or not as it stands; the key says why."""


class FileTooLarge(TooLarge):
    """More bytes or rows than one import takes."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that is not blank. number: as a spreadsheet counts, from 1. cells: at most MAX_COLUMNS."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The lines of a file, and what was found out about it.

    encoding, separator: of a CSV file. sheet: the name of the one that was read, others: how many more
    have something in them. merged: ranges as in `A2:A3`.
    """

    lines: tuple[Line, ...]
    form: Literal["csv", "xlsx"]
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None
    others: int = 0
    merged: tuple[str, ...] = ()


def read_line(number: int, cells: list[str]) -> Line | None:
    """Returns the line without the empty cells at its end, None for a blank one. Raises FileUnusable."""
    end = len(cells)
    while end and not cells[end - 1].strip():
        end -= 1
    if end == 0:
        return None
    if end > MAX_COLUMNS:
        raise FileUnusable("import_too_wide", row=number, limit=MAX_COLUMNS)
    kept = tuple(cells[:end])
    if any(len(cell) > MAX_CELL for cell in kept):
        raise FileUnusable("import_cell_too_long", row=number, limit=MAX_CELL)
    return Line(number, kept)


def check_line_count(count: int) -> None:
    """Raises FileTooLarge where there are more lines than rows that one import takes.

    Some lines may stand above the rows: a title, the header.
    """
    if count > MAX_ROWS + 20:
        raise FileTooLarge("import_too_many_rows", limit=MAX_ROWS)
