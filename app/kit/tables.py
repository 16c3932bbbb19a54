"""Tables as a spreadsheet opens them: the one way in which this service writes CSV. Pure.

A cell that begins like a formula would be one when the file is opened; it is marked as text (CWE-1236).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_PIECE = 32_000


def safe_cell(value: str) -> str:
    """Returns a text that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(_BEGINS_FORMULA) else value


def write_csv(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Yields CSV in UTF-8 with the mark by which Excel knows it, in pieces."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    yield b"\xef\xbb\xbf"
    for row in rows:
        writer.writerow([safe_cell(v) if isinstance(v, str) else v for v in row])
        if buffer.tell() > _PIECE:
            yield buffer.getvalue().encode("utf-8")
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode("utf-8")
