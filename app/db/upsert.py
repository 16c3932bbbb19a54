"""Writing rows that may be there already, or must go: the two forms that our dialects share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, case, delete, literal_column
from sqlalchemy.dialects import postgresql, sqlite

from app.db.hot import execute_many

Adds = Callable[[Any, Any], ColumnElement[bool]]


def upsert_rows(
    connection: Connection,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    only_new: Mapping[str, Any] | None = None,
) -> None:
    """Inserts rows, or gives existing ones (same `keys`) the new values, in order. Writes `table`.

    only_new: further values for rows that are new; in existing ones they stay as they are.
    """
    if not rows:
        return
    changed = tuple(name for name in rows[0] if name not in keys)
    statement = upsert(connection.dialect.name, table, tuple(keys), changed)
    rows = [{**row, **only_new} for row in rows] if only_new else rows
    execute_many(connection, statement, rows)


def count_rows(
    connection: Connection,
    table: Any,
    rows: Sequence[Mapping[str, Any]],
    *,
    keys: Sequence[str],
    kept: Sequence[str],
    sums: Sequence[str],
    adds: Adds | None = None,
) -> None:
    """Inserts rows, or adds the columns `sums` to those of existing ones. Writes `table`.

    kept: columns that stay as they are in existing rows; the others are given the new values. adds: which
    existing rows are added to, of their columns as they stand and as they are given, without values to be
    bound; None: all. Two processes that add to one row lose nothing of each other.
    """
    if rows:
        dialect, names = connection.dialect.name, tuple(rows[0])
        statement = _count(dialect, table, names, tuple(keys), tuple(kept), tuple(sums), adds)
        execute_many(connection, statement, rows)


def delete_rows(
    connection: Connection, table: Any, rows: Sequence[Mapping[str, Any]], *, keys: Sequence[str]
) -> None:
    """Deletes the rows with these key values. Writes `table`."""
    if rows:
        places = [{f"k_{name}": row[name] for name in keys} for row in rows]
        execute_many(connection, _delete(table, tuple(keys)), places)


@cache
def upsert(dialect: str, table: Any, keys: tuple[str, ...], changed: tuple[str, ...]) -> Any:
    """Returns the statement that inserts, or gives the columns `changed` of an existing row new values."""
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    if not changed:
        return statement.on_conflict_do_nothing(index_elements=keys)
    values = {name: statement.excluded[name] for name in changed}
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


@cache
def _count(
    dialect: str,
    table: Any,
    names: tuple[str, ...],
    keys: tuple[str, ...],
    kept: tuple[str, ...],
    sums: tuple[str, ...],
    adds: Adds | None,
) -> Any:
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(table)
    given = {name: statement.excluded[name] for name in names if name not in (*keys, *kept, *sums)}
    for name in sums:
        more = statement.excluded[name]
        if adds is not None:
            more = case((adds(table.c, statement.excluded), more), else_=literal_column("0"))
        given[name] = table.c[name] + more
    return statement.on_conflict_do_update(index_elements=keys, set_=given)


@cache
def _delete(table: Any, keys: tuple[str, ...]) -> Any:
    return delete(table).where(*(table.c[name] == bindparam(f"k_{name}") for name in keys))
