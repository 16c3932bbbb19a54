"""The schema's rules for many nodes, read from the metadata and from the database itself.

Every table of a stream is placed by `stream`: it stands first in the primary key and in everything
unique, so that one node can keep the promise alone; nothing refers across, and no node counts for all.
"""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Boolean, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable
from sqlmodel import SQLModel

import app.db.tables
from app.db.distribute import distribute, steps, stream_tables
from app.db.engine import Database
from tests.databases import DATABASES, opened

assert app.db.tables
TABLES = sorted(SQLModel.metadata.tables.values(), key=lambda table: table.name)
OF_STREAMS = stream_tables()
# They name a stream and are not placed by it; each stays whole on the coordinator.
KEPT_TOGETHER = {
    "log_leaf": "the log: one order over all streams",
    "offer": "asked by product and seller",
    "access_log": "asked by time",
    "finding": "asked by party, status and time",
}

every_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
every_stream_table = pytest.mark.parametrize("table", OF_STREAMS, ids=lambda table: table.name)


@every_table
def test_a_table_that_names_a_stream_is_placed_by_it_or_kept_together(table):
    placed = table in OF_STREAMS
    assert ("stream" in table.columns) == (placed or table.name in KEPT_TOGETHER)
    assert not (placed and table.name in KEPT_TOGETHER)


@every_stream_table
def test_a_table_of_streams_has_the_stream_first_in_everything_unique(table):
    unique = [one.columns for one in table.constraints if isinstance(one, UniqueConstraint)]
    unique += [index.columns for index in table.indexes if index.unique]
    for columns in (table.primary_key.columns, *unique):
        assert columns.keys()[0] == "stream"
    assert isinstance(table.columns["stream"].type, BigInteger)
    assert not table.columns["stream"].nullable


@every_table
def test_nothing_refers_across_and_nothing_counts_by_itself(table):
    assert not table.foreign_keys
    told = str(CreateTable(table).compile(dialect=postgresql.dialect())).upper()
    for line in told.splitlines():
        _, *words = line.replace(",", " ").split() or [""]  # the first may be a column's name
        assert not {"SERIAL", "BIGSERIAL", "IDENTITY", "NEXTVAL", "REFERENCES"} & set(words)
    for column in table.columns:
        assert column.identity is None
        assert column.default is None or not column.default.is_sequence


@every_table
def test_numbers_are_big_and_types_are_few(table):
    for column in table.columns:
        assert isinstance(column.type, BigInteger | Text | LargeBinary | Boolean), column


def test_the_database_itself_keeps_the_rules(postgresql_database_url):
    """What migrations made, not what the metadata say."""
    with opened(postgresql_database_url) as run:
        assert run("SELECT relname FROM pg_class WHERE relkind = 'S'") == []
        assert run("SELECT conname FROM pg_constraint WHERE contype = 'f'") == []
        small = run(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND data_type IN ('integer', 'smallint')"
        )
        assert small == []
        firsts = run(
            "SELECT t.relname, i.indexrelid::regclass::text, a.attname FROM pg_index i "
            "JOIN pg_class t ON t.oid = i.indrelid "
            "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0] "
            "JOIN pg_namespace n ON n.oid = t.relnamespace "
            "WHERE i.indisunique AND n.nspname = 'public'"
        )
    placed = {table.name for table in OF_STREAMS}
    assert placed <= {table for table, _, _ in firsts}
    assert [row for row in firsts if row[0] in placed and row[2] != "stream"] == []


# --- spreading ------------------------------------------------------------------------------------


def test_on_plain_postgresql_nothing_is_spread(postgresql_database_url):
    database = Database(postgresql_database_url)
    for _ in range(2):
        distribute(database)
    database.close()


@pytest.mark.parametrize("kind", ["postgresql"])
def test_with_citus_each_table_of_streams_is_placed_with_its_records(kind, tmp_path):
    """Citus itself is not here: functions of its names note what they are asked."""
    url = DATABASES.new(tmp_path, kind=kind)
    with opened(url) as run:
        run("SET allow_system_table_mods = on")
        run(
            "INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, "
            "extversion) SELECT 99999, 'citus', 10, oid, false, '13.2' FROM pg_namespace "
            "WHERE nspname = 'public'"
        )
        run("CREATE TABLE pg_dist_partition (logicalrel regclass, beside text, n serial)")
        run(
            "CREATE FUNCTION create_distributed_table(t regclass, c text, colocate_with text "
            "DEFAULT 'none') RETURNS void LANGUAGE sql AS "
            "$$INSERT INTO pg_dist_partition VALUES (t, c || ' ' || colocate_with)$$"
        )
    database = Database(url)
    for _ in range(2):  # what is spread already is passed over
        distribute(database)
    database.close()
    with opened(url) as run:
        asked = run("SELECT logicalrel::text, beside FROM pg_dist_partition ORDER BY n")
    assert [tuple(row) for row in asked] == [
        (table.name, "stream none" if table.name == "record" else "stream record")
        for table in OF_STREAMS
    ]
    assert len(steps()) == len(OF_STREAMS) > 8
    DATABASES.drop(url)
