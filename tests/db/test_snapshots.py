"""Snapshots on PostgreSQL: what they keep for the next one, and what they do not."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database
from app.db.hot import HotSelect
from app.ledger.store import HEAD

NAMES = HotSelect(select(HEAD.c.name).where(HEAD.c.stream == bindparam("stream")))
# Of so many uses psycopg lets the server plan a statement once and for all.
OFTEN = 8


@pytest.fixture
def database(postgresql_database_url):
    opened = Database(postgresql_database_url)
    yield opened
    opened.close()


def planned(connection) -> list[str]:
    found = connection.exec_driver_sql("SELECT statement FROM pg_prepared_statements")
    return [text for text in found.scalars() if "head" in text]


def read_often(database) -> None:
    for _ in range(OFTEN):
        with database.read() as connection:
            assert NAMES.rows(connection, stream=1) == []


def test_what_is_asked_in_every_snapshot_is_planned_once(database):
    read_often(database)
    with database.read() as connection:
        assert len(planned(connection)) == 1


def test_a_snapshot_that_ends_in_an_error_of_ours_forgets_no_plan(database):
    read_often(database)
    with pytest.raises(ZeroDivisionError), database.read():
        _ = 1 / 0
    with database.read() as connection:
        assert len(planned(connection)) == 1


def test_after_an_error_of_the_server_everything_is_planned_anew(database):
    """A table that has changed can make a plan useless; a session that kept it would fail for ever."""
    read_often(database)
    with database.read() as connection, pytest.raises(DBAPIError):
        connection.exec_driver_sql("SELECT * FROM nothing")
    with database.read() as connection:
        assert planned(connection) == []
        assert NAMES.rows(connection, stream=1) == []


def test_a_changed_column_costs_one_reader_one_error(database, postgresql_database_url):
    read_often(database)
    with psycopg.connect(postgresql_database_url, autocommit=True) as other:
        other.execute("ALTER TABLE head ALTER COLUMN name TYPE varchar(500)")
    with pytest.raises(DBAPIError, match="cached plan"), database.read() as connection:
        NAMES.rows(connection, stream=1)
    read_often(database)


def test_readers_whose_sessions_were_cut_are_connected_anew(database, postgresql_database_url):
    with database.read() as first, database.read() as second:
        for connection in (first, second):
            NAMES.rows(connection, stream=1)
    with psycopg.connect(postgresql_database_url, autocommit=True) as other:
        cut = "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity WHERE application_name = %s"
        assert len(other.execute(cut, (database.session_name,)).fetchall()) == 2
    for _ in range(3):
        with database.read() as connection:
            assert NAMES.rows(connection, stream=1) == []


def test_a_snapshot_is_one_that_cannot_write(database):
    with database.read() as reader:
        assert reader.exec_driver_sql("SHOW transaction_read_only").scalar_one() == "on"
        assert (
            reader.exec_driver_sql("SHOW transaction_isolation").scalar_one() == "repeatable read"
        )
