"""Several logs, one after another: each tile, checkpoint and state belongs to one of them.

A database made before holds one log, number 0, which begins at position 0.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Where the newest log ends; a leaf row from there on is nobody's, and may be taken away.
_END = "(SELECT max(start + size) FROM log_state)"
_NOBODYS = f"OLD.leaf_index >= coalesce({_END}, {2**63 - 1})"


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:
        # First, since it names a column that goes.
        op.execute("DROP TRIGGER log_leaf_no_delete")
    op.execute("ALTER TABLE log_state RENAME COLUMN id TO log")
    op.execute("ALTER TABLE log_state ADD COLUMN start BIGINT NOT NULL DEFAULT 0")
    op.execute("UPDATE log_state SET log = log - 1")
    if sqlite:
        # SQLite changes no key in place.
        _rebuild(
            "tile",
            sa.Column("level", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("tile_index", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("data", sa.LargeBinary(), nullable=False),
            key=("log", "level", "tile_index"),
        )
        _rebuild(
            "checkpoint",
            sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("root", sa.LargeBinary(), nullable=False),
            sa.Column("note", sa.Text(), nullable=False),
            sa.Column("published_at", sa.BigInteger(), autoincrement=False, nullable=False),
            key=("log", "size"),
        )
        op.execute(
            f"CREATE TRIGGER log_leaf_no_delete BEFORE DELETE ON log_leaf WHEN NOT ({_NOBODYS}) "
            "BEGIN SELECT RAISE(ABORT, 'log_leaf rows are never changed'); END"
        )
        return
    for table, key in (("tile", "log, level, tile_index"), ("checkpoint", "log, size")):
        op.execute(f"ALTER TABLE {table} ADD COLUMN log BIGINT NOT NULL DEFAULT 0")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN log DROP DEFAULT")
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_pkey")
        op.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")
    op.execute(
        "CREATE OR REPLACE FUNCTION log_leaf_refuse_some() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$BEGIN IF {_NOBODYS} THEN RETURN OLD; END IF; "
        "RAISE EXCEPTION 'log_leaf rows are never changed'; END$$"
    )


def _rebuild(table: str, *columns: sa.Column[object], key: tuple[str, ...]) -> None:
    names = ", ".join(column.name for column in columns)
    op.rename_table(table, f"{table}_before")
    op.create_table(
        table,
        sa.Column("log", sa.BigInteger(), autoincrement=False, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint(*key),
    )
    # The names are those of above.
    op.execute(f"INSERT INTO {table} (log, {names}) SELECT 0, {names} FROM {table}_before")  # noqa: S608
    op.drop_table(f"{table}_before")
