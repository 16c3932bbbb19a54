"""Statements of the hot paths: written by SQLAlchemy once, then given to the driver as they are.

SQLAlchemy prepares parameters, types and results anew on every execution, which costs more than the
driver's own work on a row. Here the text of a statement is kept and values pass as they are: whole
numbers, texts, bytes, booleans and nulls, which both drivers take and give unchanged. Errors come as
SQLAlchemy's all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, CursorResult
from sqlalchemy.engine import Dialect

Row = Mapping[str, Any]


def execute(connection: Connection, statement: Any, values: Row) -> CursorResult[Any]:
    """Returns the result of one execution. Booleans come as the driver has them: 0 and 1 on SQLite."""
    text, names = _text_of(statement, connection.dialect, None)
    given = values if names is None else tuple([values[name] for name in names])
    return connection.exec_driver_sql(text, given)


def execute_many(connection: Connection, statement: Any, rows: Sequence[Row]) -> int:
    """Executes the statement for each row and returns how many rows that changed.

    Every row has the names of the first; an insert takes its columns from them.
    """
    text, names = _text_of(statement, connection.dialect, tuple(rows[0]))
    given: Any = rows
    if names is not None:
        pick = itemgetter(*names)
        given = [*map(pick, rows)] if len(names) > 1 else [(pick(row),) for row in rows]
    counted = {"preserve_rowcount": True}
    return connection.exec_driver_sql(text, given, execution_options=counted).rowcount


@lru_cache(maxsize=1024)
def _text_of(
    statement: Any, dialect: Dialect, columns: tuple[str, ...] | None
) -> tuple[str, tuple[str, ...] | None]:
    """Returns the driver's text, and the order of its parameters where they go by place."""
    compiled = statement.compile(dialect=dialect, column_keys=columns)
    return str(compiled), tuple(compiled.positiontup) if compiled.positional else None
