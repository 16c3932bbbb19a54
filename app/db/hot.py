"""Statements of the hot paths: compiled once, then sent straight to the driver.

SQLAlchemy builds parameters, contexts and rows anew each time; of a statement that finds or writes one
row by its key that is nine tenths of the time. Whoever sends the same thing hundreds of times a second
says it in SQLAlchemy as ever, and lets this send what SQLAlchemy compiled it to, on the same connection
and so in the same transaction. Values pass as they are: integers, texts, bytes, booleans and nulls,
which both drivers take and give unchanged. Rows are named tuples of the values that SQLAlchemy would
give, errors are SQLAlchemy's.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import BindParameter, Connection, Insert, insert
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.visitors import iterate

from app.db.planned import PLANS

_AS_BYTES = {"binary": True}
_COPIED = 8
"""Of so many new rows PostgreSQL takes a third of the time by COPY, on both sides."""


class HotSelect:
    """A SELECT whose values are bound by name; a list goes to a `bindparam(…, expanding=True)`."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._lists = tuple(
            dict.fromkeys(
                part.key
                for part in iterate(statement)
                if isinstance(part, BindParameter) and part.expanding
            )
        )
        self._compiled: dict[tuple[str, tuple[int, ...]], _Compiled] = {}

    def rows(self, connection: Connection, **values: Any) -> list[Any]:
        """Returns all rows, each a named tuple. Read-only.

        Nothing is in an empty list. Raises what SQLAlchemy raises, and TypeError for values that
        are many but no list.
        """
        widths = []
        for name in self._lists:
            if name not in values:
                continue  # the statement's own list
            value = values[name]
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
        return compiled.named(_fetch(connection, compiled.sql, compiled.bind(values)))

    def first(self, connection: Connection, **values: Any) -> Any | None:
        """Returns the first row, or None. Read-only."""
        found = self.rows(connection, **values)
        return found[0] if found else None


def ask_ahead(connection: Connection, ask: Callable[[], object]) -> None:
    """Has PostgreSQL answer what `ask` asks by `HotSelect` along with the next statement of this snapshot.

    Each message to it and back is a wait, for it and for a core. `ask` finds nothing, and what it returns
    is lost: it asks what will be asked in any case, and whoever then asks the very same finds the answer
    here. Only a reader's session does so; elsewhere nothing is asked. Read-only.
    """
    plans = connection.info.get(PLANS)
    if plans is not None:
        plans.ask_ahead(ask)


def execute_many(connection: Connection, statement: Any, rows: Sequence[Mapping[str, Any]]) -> int:
    """Executes an INSERT, UPDATE or DELETE for each row; returns how many rows that changed.

    Every row has the names of the first; an insert takes its columns from them.
    """
    names = tuple(rows[0])
    pick = itemgetter(*names)
    told = [*map(pick, rows)] if len(names) > 1 else [(pick(row),) for row in rows]
    return write_tuples(connection, statement, names, told)


def write_tuples(
    connection: Connection, statement: Any, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Like `execute_many`, of rows whose values stand in the order of `names`."""
    dialect = connection.dialect
    cursor: Any = connection.connection.cursor()
    sql = None
    if dialect.name == "postgresql" and len(rows) >= _COPIED:
        sql = _copy_of(statement, dialect, names)
    if sql is not None:
        cursor = _Copying(cursor)
    else:
        sql, order = _text_of(statement, dialect, names)
        if order is not None:
            rows = [*map(order, rows)]
    try:
        dialect.do_executemany(cursor, sql, rows)
        return int(cursor.rowcount)
    except dialect.loaded_dbapi.Error as err:
        raise _told(connection, sql, err) from err
    finally:
        cursor.close()


class _Copying:
    """psycopg's cursor, which copies where it is to execute many times: a statement as any other is."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def executemany(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Copies the rows."""
        with self._cursor.copy(sql) as copy:
            for row in rows:
                copy.write_row(row)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


@lru_cache(maxsize=256)
def _copy_of(statement: Any, dialect: Dialect, names: tuple[str, ...]) -> str | None:
    """Returns the COPY that does what an INSERT of these columns does; None of another statement."""
    # One that minds what is there already is a dialect's own, and of another type.
    if type(statement) is not Insert or str(statement) != str(insert(statement.table)):
        return None
    quote = dialect.identifier_preparer.quote
    columns = ", ".join(map(quote, names))
    return f"COPY {quote(statement.table.name)} ({columns}) FROM STDIN"


class _Compiled:
    """A statement for one dialect, its lists of certain widths."""

    def __init__(self, statement: Any, connection: Connection, values: Mapping[str, Any]) -> None:
        dialect = connection.dialect
        compiled = statement.compile(dialect=dialect)
        expanded = compiled.construct_expanded_state(dict(values))
        self.sql = expanded.statement
        self._is_positional = dialect.positional
        names = expanded.positiontup if self._is_positional else expanded.parameters
        place_of = {
            part: (name, n)
            for name, parts in expanded.parameter_expansion.items()
            for n, part in enumerate(parts)
        }
        # By parameter: its name here, the name and place of its value.
        self._bound = [(name, *place_of.get(name, (name, None))) for name in names]
        # What the statement itself says. Not what it is asked with this time, lest a value that is
        # forgotten another time were this one.
        self._own = {
            name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required
        }
        columns = list(statement.selected_columns)
        # Where every parameter is one of the values as it is, they are picked out at once.
        sources = [source for _, source, n in self._bound if n is None]
        self._pick: Callable[[Any], Any] | None = None
        if 1 < len(sources) == len(self._bound):
            self._pick = itemgetter(*sources)
        self._row: Any = namedtuple("Row", [column.key for column in columns], rename=True)  # type: ignore[misc] # noqa: PYI024 - made at run time
        self._readers = [
            (n, reader)
            for n, column in enumerate(columns)
            if (reader := _reader(column, dialect)) is not None
        ]

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Returns the driver's parameters. Raises KeyError for a value that is missing."""
        given = {**self._own, **values} if self._own else values
        if self._pick is not None:
            told = self._pick(given)
        else:
            told = [
                given[source] if n is None else given[source][n] for _, source, n in self._bound
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


def _fetch(connection: Connection, sql: str, bound: Any) -> list[Any]:
    driver: Any = connection.connection.dbapi_connection
    how: Mapping[str, bool] = {}
    plans = None
    if connection.dialect.name == "postgresql":
        # psycopg is asked for bytes as bytes, of which it would make, and send, twice as many letters.
        how, plans = _AS_BYTES, connection.info.get(PLANS)
    try:
        told: list[Any] | None = None if plans is None else plans.fetch(sql, bound)
        found: list[Any] = driver.execute(sql, bound, **how).fetchall() if told is None else told
    except connection.dialect.loaded_dbapi.Error as err:
        raise _told(connection, sql, err) from err
    return found


@lru_cache(maxsize=1024)
def _text_of(
    statement: Any, dialect: Dialect, names: tuple[str, ...]
) -> tuple[str, Callable[[Any], Any] | None]:
    """Returns the driver's text, its parameters by place, and what brings a row into their order.

    None where the rows are in it.
    """
    make: Any = type(dialect)
    by_place = dialect if dialect.positional else make(paramstyle="format")
    compiled = statement.compile(dialect=by_place, column_keys=names)
    places = [names.index(name) for name in compiled.positiontup]
    if places == [*range(len(names))]:
        return str(compiled), None
    return str(compiled), itemgetter(*places) if len(places) > 1 else lambda row: (row[places[0]],)


def _told(connection: Connection, sql: str, err: Exception) -> BaseException:
    """Returns a driver's error as SQLAlchemy's, without the values; a lost connection is given up.

    Nothing is sent once more: PostgreSQL answers any statement after a failed one with that alone.
    """
    dialect = connection.dialect
    lost = dialect.is_disconnect(err, connection.connection.dbapi_connection, None)  # type: ignore[arg-type]
    if lost:
        connection.invalidate(err)
    return DBAPIError.instance(
        sql,
        None,
        err,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )


def _reader(column: Any, dialect: Any) -> Callable[[Any], Any] | None:
    reader: Callable[[Any], Any] | None = column.type.dialect_impl(dialect).result_processor(
        dialect, None
    )
    return reader
