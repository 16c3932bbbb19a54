"""Steps that run beside the service of the release before, however large its tables are.

On PostgreSQL each statement of such a step commits by itself, so that nobody waits for more than one of
them, and indexes are built CONCURRENTLY. What was killed half-way is run again from its beginning:
whatever is there is passed over, and an index that was left INVALID is built anew. SQLite has one writer
and does the whole step in one transaction, as any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

_IS_VALID = sa.text(
    "SELECT i.indisvalid FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid"
    " WHERE c.relname = :name AND pg_table_is_visible(c.oid)"
)


@contextmanager
def beside_the_service() -> Iterator[None]:
    """Around all that a step does: ends the transaction of the step before (PostgreSQL)."""
    if not _is_postgresql():
        yield
        return
    with op.get_context().autocommit_block():
        yield


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Adds a column that may be NULL, which takes no time; one that is there stays. Writes the schema."""
    if _is_postgresql():
        # Looked up: `IF NOT EXISTS` would stop everybody at the table to find that it has nothing to do.
        there = {one["name"] for one in sa.inspect(op.get_bind()).get_columns(table)}
        if column.name in there:
            return
    op.add_column(table, column)


def create_table(name: str, *columns: sa.schema.SchemaItem, **options: Any) -> None:
    """Makes a table; one that is there stays. Writes the schema. options: of a dialect."""
    op.create_table(name, *columns, if_not_exists=True, **options)


def create_index(name: str, table: str, columns: Sequence[str], *, only: str | None = None) -> None:
    """Builds an index that nobody waits for; one that is there and whole stays. Writes the schema.

    only: the condition of a partial index.
    """
    where = None if only is None else sa.text(only)
    if not _is_postgresql():
        op.create_index(name, table, columns, unique=False, sqlite_where=where)
        return
    connection = op.get_bind()
    valid = connection.execute(_IS_VALID, {"name": name}).scalar()
    if valid:
        return
    # It waits for whoever looks at an old state of the database, an audit, say, and nobody waits behind
    # it. So the time-out for locks, which is for those who wait, must not end it after hours of work; that
    # of statements does.
    patience = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    connection.exec_driver_sql("SET lock_timeout = 0")
    if valid is False:
        op.drop_index(name, table, postgresql_concurrently=True)
    op.create_index(
        name, table, columns, unique=False, postgresql_where=where, postgresql_concurrently=True
    )
    connection.exec_driver_sql(f"SET lock_timeout = '{patience}'")


def drop_index(name: str, table: str) -> None:
    """Drops an index that another does the work of; one that is gone stays so. Writes the schema."""
    if not _is_postgresql():
        op.drop_index(name, table, if_exists=True)
        return
    connection = op.get_bind()
    patience = connection.exec_driver_sql("SHOW lock_timeout").scalar_one()
    connection.exec_driver_sql("SET lock_timeout = 0")  # as above
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    connection.exec_driver_sql(f"SET lock_timeout = '{patience}'")


@contextmanager
def filling() -> Iterator[None]:
    """Around many small writes: none waits for the disk by itself (PostgreSQL).

    The step's own entry, which follows them in the write-ahead log, does: it never stands without them.
    """
    if not _is_postgresql():
        yield
        return
    connection = op.get_bind()
    connection.exec_driver_sql("SET synchronous_commit = off")
    yield
    connection.exec_driver_sql("RESET synchronous_commit")


def _is_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"
