"""Spreadsheets made for tests: rows to CSV in any encoding, and to workbooks."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

import openpyxl


def as_csv(
    rows: Sequence[Sequence[object]], *, encoding: str = "utf-8", separator: str = ","
) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows(rows)
    return out.getvalue().encode(encoding)


def as_xlsx(rows: Sequence[Sequence[Any]], *, merge: str = "", title: str = "表") -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append(list(row))
    if merge:
        sheet.merge_cells(merge)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def gtin(n: int) -> str:
    """A GTIN-13 in the textbook's prefix, one for each number below 10^5."""
    from app.trace.gtin import gtin_check_digit

    body = f"6901234{n:05}"
    return body + gtin_check_digit(body)
