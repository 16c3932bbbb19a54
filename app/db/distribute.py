"""Spreading the tables of streams over the nodes of a Citus cluster; on plain PostgreSQL, nothing.

Portable SQL that one program can run on either. Each table of a stream is distributed by `stream` and
placed with `record`, so that what belongs to one stream stands on one node; the log's tables and all
others stay on the coordinator. May be run again: what is spread already is passed over.

Not tried on Citus here: on plain PostgreSQL, and with functions of the same names in their place.
"""

from __future__ import annotations

from sqlalchemy import Table, text
from sqlmodel import SQLModel

import app.db.tables  # noqa: F401 - fills the metadata
from app.db.engine import Database

_FIRST = "record"
# The statements stand inside EXECUTE: plain PostgreSQL knows none of these names.
_STEP = """
DO $do$
BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
    -- Ours refuse to change a record; they read nothing but their own row.
    PERFORM set_config('citus.enable_unsafe_triggers', 'on', true);
    IF NOT (SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrel = '{table}'::regclass)) THEN
      EXECUTE 'SELECT create_distributed_table(''{table}'', ''stream''{beside})';
    END IF;
  END IF;
END
$do$
"""


def stream_tables() -> list[Table]:
    """Returns the tables of streams: those whose primary key begins with `stream`, `record` first."""
    tables = SQLModel.metadata.tables.values()
    found = [one for one in tables if next(iter(one.primary_key.columns)).name == "stream"]
    return sorted(found, key=lambda one: (one.name != _FIRST, one.name))


def steps() -> list[str]:
    """Returns the statements, one a table."""
    return [
        _STEP.format(
            table=one.name,
            beside="" if one.name == _FIRST else f", colocate_with => ''{_FIRST}''",
        )
        for one in stream_tables()
    ]


def distribute(database: Database) -> None:
    """Distributes what is not yet. Does nothing without Citus."""
    if database.dialect == "sqlite":
        return
    with database.write() as connection:
        for step in steps():
            connection.execute(text(step.replace(":", "\\:")))
