"""What goes out as a spreadsheet: templates, and the faults of an import. Pure."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from app.i18n import Lang, text
from app.imports.columns import Kind, columns_of, names_of
from app.imports.problems import Problem
from app.kit.tables import safe_cell, write_csv

Form = Literal["csv", "xlsx"]
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def write_template(kind: Kind, form: Form, lang: Lang) -> bytes:
    """Returns an empty spreadsheet of a kind: the header and one example row, which is never imported."""
    columns = [column for column in columns_of(kind) if not column.hidden]
    header = [
        f"{c.names[lang][0]}{text(lang, 'import.required') if c.required else ''}" for c in columns
    ]
    example = [column.example[lang] for column in columns]
    if form == "csv":
        return b"".join(write_csv([header, example]))
    return write_xlsx([header, example], title=text(lang, f"import.kind.{kind}"))


def write_xlsx(rows: Sequence[Sequence[str]], *, title: str) -> bytes:
    """Returns a workbook whose cells are texts, so that a code keeps its zeros. The first row is bold."""
    # Here, since it takes 7 MB that most processes never need.
    from openpyxl import Workbook  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    book = Workbook()
    sheet = book.active
    sheet.title = title
    for row in rows:
        sheet.append([safe_cell(value) for value in row])
    for at, value in enumerate(rows[0], start=1):
        column = sheet.column_dimensions[get_column_letter(at)]
        column.number_format = "@"
        column.width = max(12, min(40, 2 * len(value) + 4))
    for line in sheet.iter_rows():
        for cell in line:
            cell.number_format = "@"
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    sheet.freeze_panes = "A2"
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def error_rows(
    lang: Lang, rows: Iterable[tuple[int, Sequence[Problem]]], kind: Kind | None = None
) -> Iterator[list[object]]:
    """Yields a header and one line for each fault: row, column, value, reason, what was expected.

    kind: by whose template a column is called that the file has not, as of a fixed value; None, for
    programs: by its field.
    """
    names = {} if kind is None else names_of(kind, lang)
    yield [
        text(lang, f"import.error.{name}")
        for name in ("row", "column", "value", "reason", "expected")
    ]
    for number, problems in rows:
        for one in problems:
            problem = one.at_column(names)
            column = problem.column or problem.field
            yield [number, column, problem.value, problem.told(lang), problem.expected(lang)]
