"""Looking up many rows at once, in statements that are written once and use the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
)

from app.db.hot import HotSelect

# SQLite binds at most 32,766 variables a statement; PostgreSQL plans short lists better.
_CHUNK = 256
# The widths of a search: few, so that each statement is written once.
_WIDTHS = (1, 8, 32, 128, _CHUNK)


def rows_of(connection: Connection, table: Any, streams: Sequence[int]) -> Iterator[Any]:
    """Yields the rows whose stream is among these."""
    for chunk in chunks(streams):
        yield from _by_stream(table).rows(connection, streams=list(chunk))


def rows_at(
    connection: Connection, table: Any, second: str, pairs: Sequence[tuple[int, Any]]
) -> Iterator[Any]:
    """Yields the rows whose (stream, `second`) is among the pairs, each found by its index.

    `(a, b) IN (VALUES …)` would read the whole table: SQLite has no index search for it.
    """
    for chunk in chunks(pairs):
        width = next(width for width in _WIDTHS if width >= len(chunk))
        names, by_pairs = _by_pairs(table, second, width)
        # The last pair stands again and again, until the width is full.
        filled = [*chunk, *[chunk[-1]] * (width - len(chunk))]
        values = [value for pair in filled for value in pair]
        yield from by_pairs.rows(connection, **dict(zip(names, values, strict=True)))


def due_rows(
    connection: Connection, table: Any, *, now_ms: int, after: tuple[int, str] | None, limit: int
) -> list[Any]:
    """Returns rows whose `next_at` has come, earliest first, behind `after` = (next_at, id). Read-only."""
    query = select(table).where(table.c.next_at <= now_ms)
    if after is not None:
        at, last = after
        query = query.where(
            or_(table.c.next_at > at, and_(table.c.next_at == at, table.c.id > last))
        )
    return list(connection.execute(query.order_by(table.c.next_at, table.c.id).limit(limit)))


def holds_bytes(connection: Connection, column: Any, needle: bytes) -> Any:
    """Returns the condition that a column of bytes has these somewhere in it: looked for where it stands."""
    told = literal(needle)
    if connection.dialect.name == "sqlite":
        return func.instr(column, told) > 0
    return func.position(told.op("IN")(column)) > 0


def text_in(connection: Connection, column: Any, name: str, *, width: int) -> Any:
    """Returns the text of a field in a column of flat JSON as we write it, null where it has none.

    width: characters that such a text always has. Looked for where it stands, since neither database
    survives JSON that a hand has broken; quotes inside texts are escaped, so nothing else is spelled so.
    """
    opening = f'"{name}":"'
    find = func.instr if connection.dialect.name == "sqlite" else func.strpos
    at = find(column, opening)
    return case((at > 0, func.substr(column, at + len(opening), width)), else_=None)


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yields the items in parts that one statement can ask for."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


@cache
def _by_stream(table: Any) -> HotSelect:
    return HotSelect(select(table).where(table.c.stream.in_(bindparam("streams", expanding=True))))


@cache
def _by_pairs(table: Any, second: str, width: int) -> tuple[tuple[str, ...], HotSelect]:
    """Returns the names of the values, pair by pair, and the search."""
    names = [(f"s{n}", f"k{n}") for n in range(width)]
    pairs = (
        and_(table.c.stream == bindparam(stream), table.c[second] == bindparam(key))
        for stream, key in names
    )
    return tuple(name for pair in names for name in pair), HotSelect(
        select(table).where(or_(*pairs))
    )
