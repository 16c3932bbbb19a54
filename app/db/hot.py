"""Hot reads: a SELECT compiled once, then sent straight to the driver.

SQLAlchemy builds parameters, contexts and rows anew each time; of a read that finds one row by its key
that is nine tenths of the time. Whoever reads the same thing hundreds of times a second says it in
SQLAlchemy as ever, and lets this send what SQLAlchemy compiled it to, on the same connection and so in
the same snapshot. The rows are named tuples of the same values.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError


class HotSelect:
    """A SELECT whose values are bound by name; a list goes to a `bindparam(…, expanding=True)`.

    Values are bound as the driver takes them: integers, texts and bytes.
    """

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[tuple[str, tuple[int, ...]], _Compiled] = {}

    def rows(self, connection: Connection, **values: Any) -> list[Any]:
        """Returns all rows, each a named tuple. Read-only.

        Nothing is in an empty list. Raises what SQLAlchemy raises, and TypeError for values that
        are many but no list.
        """
        widths = []
        for name, value in values.items():
            if isinstance(value, list | tuple | set | frozenset):
                if type(value) is not list:
                    # Of another kind the statement would be compiled for one length and keep it.
                    raise TypeError(f"{name}: expected a list, got {type(value).__name__}")
                # Few widths, so that few statements are compiled; the last is said again to fill one.
                width = 1 << (len(value) - 1).bit_length() if value else 0
                widths.append(width)
                if width != len(value):
                    values[name] = value + value[-1:] * (width - len(value))
        kind = (connection.dialect.name, tuple(widths))
        compiled = self._compiled.get(kind)
        if compiled is None:
            compiled = self._compiled[kind] = _Compiled(self._statement, connection, values)
        driver: Any = connection.connection.dbapi_connection
        try:
            found = driver.execute(compiled.sql, compiled.bind(values)).fetchall()
        except connection.dialect.loaded_dbapi.Error as err:
            if connection.dialect.is_disconnect(err, driver, None):
                # Once more in the long way, which takes the lost connection out of the pool.
                return list(connection.execute(self._statement, values))
            # Not once more: PostgreSQL answers any statement after a failed one with that alone.
            raise _told(connection, compiled.sql, err) from err
        return compiled.named(found)

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """Returns the first row, or None. Read-only."""
        found = self.rows(connection, **values)
        return found[0] if found else None


class _Compiled:
    """A statement for one dialect, its lists of certain widths."""

    def __init__(self, statement: Any, connection: Connection, values: Mapping[str, Any]) -> None:
        dialect = connection.dialect
        expanded = statement.compile(dialect=dialect).construct_expanded_state(dict(values))
        self.sql = expanded.statement
        self._is_positional = dialect.positional
        names = expanded.positiontup if self._is_positional else expanded.parameters
        place_of = {
            part: (name, n)
            for name, parts in expanded.parameter_expansion.items()
            for n, part in enumerate(parts)
        }
        # By parameter: its name here, the name and place of its value, or a value of the statement's.
        self._bound = [
            (name, *place_of.get(name, (name, None)), expanded.parameters[name]) for name in names
        ]
        columns = list(statement.selected_columns)
        self._row: Any = namedtuple("Row", [column.key for column in columns], rename=True)  # type: ignore[misc] # noqa: PYI024 - made at run time
        self._readers = [
            (n, reader)
            for n, column in enumerate(columns)
            if (reader := _reader(column, dialect)) is not None
        ]

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Returns the driver's parameters."""
        told = [
            values.get(source, constant) if n is None else values[source][n]
            for _, source, n, constant in self._bound
        ]
        if self._is_positional:
            return told
        return {name: value for (name, *_), value in zip(self._bound, told, strict=True)}

    def named(self, found: list[Any]) -> list[Any]:
        """Returns the driver's rows by name, as SQLAlchemy would read them."""
        if self._readers:
            found = [list(row) for row in found]
            for row in found:
                for n, read in self._readers:
                    row[n] = read(row[n])
        return [self._row._make(row) for row in found]


def _told(connection: Connection, sql: str, err: Exception) -> BaseException:
    """Returns a driver's error as SQLAlchemy's, without the values."""
    base = connection.dialect.loaded_dbapi.Error
    return DBAPIError.instance(
        sql, None, err, base, hide_parameters=True, dialect=connection.dialect
    )


def _reader(column: Any, dialect: Any) -> Callable[[Any], Any] | None:
    reader: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).result_processor(
        dialect, None
    )
    return reader
