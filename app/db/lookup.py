"""Looking up many rows at once, in statements that are compiled once and use the index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, or_, select

# SQLite binds at most 32,766 variables a statement; PostgreSQL plans short lists better.
_CHUNK = 256
# The widths of a search for pairs: few, so that each is compiled once.
_WIDTHS = (1, 8, 32, 128, _CHUNK)


def chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yields the items in parts that one statement can ask for."""
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]


def rows_at(
    connection: Connection, table: Any, second: str, pairs: Sequence[tuple[int, Any]]
) -> Iterator[Any]:
    """Yields the rows whose (stream, `second`) is among the pairs, each found by its index.

    `(a, b) IN (VALUES …)` would read the whole table: SQLite has no index search for it.
    """
    for chunk in chunks(pairs):
        width = next(width for width in _WIDTHS if width >= len(chunk))
        filled = [*chunk, *[chunk[-1]] * (width - len(chunk))]
        values = {f"s{n}": stream for n, (stream, _) in enumerate(filled)}
        values |= {f"k{n}": key for n, (_, key) in enumerate(filled)}
        yield from connection.execute(_select_pairs(table, second, width), values)


@cache
def _select_pairs(table: Any, second: str, width: int) -> Select[Any]:
    pairs = (
        and_(table.c.stream == bindparam(f"s{n}"), table.c[second] == bindparam(f"k{n}"))
        for n in range(width)
    )
    return select(table).where(or_(*pairs))
