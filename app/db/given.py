"""Statements about many given rows at once: how many of its goods each of these sellers sold.

The rows stand in the statement as a table of their own, `n` their place. PostgreSQL takes it as one
array a column: a text that is always the same, which it plans once. SQLite knows no arrays: there the
rows are written out, in few widths, so that few statements are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Connection,
    FromClause,
    Select,
    Text,
    bindparam,
    column,
    func,
    literal_column,
    select,
    values,
)

from app.db.hot import HotSelect

# SQLite binds 32,766 values a statement.
_WIDTHS = (1, 4, 16, 32, 64, 128, 256)
_MOST = 1_000


class ForEach:
    """A SELECT about given rows of texts and big integers, which has their place as its column `n`.

    columns: of the given rows, in their order; what fills a width in SQLite, and must find nothing, is
    "" and 0. make: the SELECT, of the table of the rows.
    """

    def __init__(
        self,
        columns: Mapping[str, type[Text | BigInteger]],
        make: Callable[[FromClause], Select[Any]],
    ) -> None:
        self._columns = columns
        self._make = make
        self._filling = tuple("" if kind is Text else 0 for kind in columns.values())
        self._written: dict[int, tuple[HotSelect, list[str]]] = {}
        self._by_arrays: HotSelect | None = None

    def rows(
        self, connection: Connection, given: Sequence[tuple[Any, ...]], **common: Any
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Yields each row found, behind the given one that it is of. Read-only.

        common: the values of what else the statement binds.
        """
        as_arrays = connection.dialect.name == "postgresql"
        most = _MOST if as_arrays else _WIDTHS[-1]
        find = self._of_arrays if as_arrays else self._of_written
        for start in range(0, len(given), most):
            part = given[start : start + most]
            for row in find(connection, part, common):
                if row.n < len(part):
                    yield part[row.n], row

    def _of_arrays(
        self, connection: Connection, part: Sequence[tuple[Any, ...]], common: Mapping[str, Any]
    ) -> list[Any]:
        if self._by_arrays is None:
            self._by_arrays = HotSelect(self._make(self._arrays()))
        told = dict(zip(self._columns, map(list, zip(*part, strict=True)), strict=True))
        return self._by_arrays.rows(connection, **told, **common)

    def _arrays(self) -> FromClause:
        arrays = [bindparam(name, type_=ARRAY(kind)) for name, kind in self._columns.items()]
        table = func.unnest(*arrays).table_valued(*self._columns, with_ordinality="place")
        given = table.render_derived(name="given")
        named = [given.c[name] for name in self._columns]
        return select((given.c.place - 1).label("n"), *named).subquery("asked")

    def _of_written(
        self, connection: Connection, part: Sequence[tuple[Any, ...]], common: Mapping[str, Any]
    ) -> list[Any]:
        width = next(width for width in _WIDTHS if width >= len(part))
        if width not in self._written:
            names = [f"{name}_{n}" for n in range(width) for name in self._columns]
            self._written[width] = HotSelect(self._make(self._rows(width))), names
        search, names = self._written[width]
        filled = chain(part, [self._filling] * (width - len(part)))
        told = dict(zip(names, chain.from_iterable(filled), strict=True))
        return search.rows(connection, **told, **common)

    def _rows(self, width: int) -> FromClause:
        named = [column(name, kind) for name, kind in self._columns.items()]
        rows = [
            (
                literal_column(str(n)),
                *(bindparam(f"{name}_{n}", type_=kind) for name, kind in self._columns.items()),
            )
            for n in range(width)
        ]
        return values(column("n", BigInteger), *named, name="asked").data(rows).cte("asked")
