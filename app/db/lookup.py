"""Looking up many rows at once, in statements that are written once and use the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, or_, select

from app.db import driver

# SQLite binds at most 32,766 variables a statement; PostgreSQL plans short lists better.
_CHUNK = 256
# The widths of a search: few, so that each statement is written once.
_WIDTHS = (1, 8, 32, 128, _CHUNK)


def rows_of(connection: Connection, table: Any, streams: Sequence[int]) -> Iterator[Any]:
    """Yields the rows whose stream is among these."""
    for filled in _filled(streams):
        values = {f"s{n}": stream for n, stream in enumerate(filled)}
        yield from driver.execute(connection, _select_streams(table, len(filled)), values)


def rows_at(
    connection: Connection, table: Any, second: str, pairs: Sequence[tuple[int, Any]]
) -> Iterator[Any]:
    """Yields the rows whose (stream, `second`) is among the pairs, each found by its index.

    `(a, b) IN (VALUES …)` would read the whole table: SQLite has no index search for it.
    """
    for filled in _filled(pairs):
        values: dict[str, Any] = {}
        for n, (stream, key) in enumerate(filled):
            values[f"s{n}"] = stream
            values[f"k{n}"] = key
        yield from driver.execute(connection, _select_pairs(table, second, len(filled)), values)


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yields the items in parts that one statement can ask for."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def _filled(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yields the items in parts, each as long as one of the widths: the last item stands again."""
    for chunk in chunks(items):
        width = next(width for width in _WIDTHS if width >= len(chunk))
        yield [*chunk, *[chunk[-1]] * (width - len(chunk))]


@cache
def _select_streams(table: Any, width: int) -> Select[Any]:
    return select(table).where(table.c.stream.in_([bindparam(f"s{n}") for n in range(width)]))


@cache
def _select_pairs(table: Any, second: str, width: int) -> Select[Any]:
    pairs = (
        and_(table.c.stream == bindparam(f"s{n}"), table.c[second] == bindparam(f"k{n}"))
        for n in range(width)
    )
    return select(table).where(or_(*pairs))
