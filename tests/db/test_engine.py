"""Connections: what readers see, that writers wait their turn, and what the database refuses."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database, sqlite_url


def count(connection, table: str = "cursor") -> int:
    return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def put(connection, name: str) -> None:
    connection.exec_driver_sql(f"INSERT INTO cursor VALUES ('{name}', 1, 1)")


def test_what_was_written_is_there_when_the_block_ends(database):
    with database.write() as connection:
        put(connection, "a")
    with database.read() as connection:
        assert count(connection) == 1


def test_an_error_in_the_block_leaves_nothing(database):
    with pytest.raises(RuntimeError), database.write() as connection:
        put(connection, "a")
        raise RuntimeError
    with database.read() as connection:
        assert count(connection) == 0


def test_a_reader_sees_one_moment(database):
    with database.read() as reader:
        assert count(reader) == 0
        with database.write() as writer:
            put(writer, "a")
        assert count(reader) == 0
    with database.read() as reader:
        assert count(reader) == 1


def test_readers_inside_one_snapshot_see_one_moment_and_nobody_else_does(database):
    def counted() -> int:
        with database.read() as reader:
            return count(reader)

    with database.one_snapshot():
        assert counted() == 0
        with database.write() as writer:
            put(writer, "a")
        assert counted() == 0
        with ThreadPoolExecutor(1) as elsewhere:
            assert elsewhere.submit(counted).result() == 1
    assert counted() == 1
    with pytest.raises(ZeroDivisionError), database.one_snapshot():
        _ = 1 / 0
    with database.write() as writer:
        put(writer, "b")
    assert counted() == 2


def test_a_snapshot_inside_another_leaves_it_open(database):
    def counted() -> int:
        with database.read() as reader:
            return count(reader)

    with database.one_snapshot():
        assert counted() == 0
        with database.one_snapshot():
            assert counted() == 0
        with database.write() as writer:
            put(writer, "a")
        assert counted() == 0
    assert counted() == 1


def test_a_reader_does_not_see_what_is_not_committed_and_does_not_wait_for_it(database):
    with database.write() as writer:
        put(writer, "a")
        with database.read() as reader:
            assert count(reader) == 0


def test_a_reader_cannot_write(database):
    with database.read() as reader, pytest.raises(DBAPIError):
        put(reader, "a")
    # The connection goes back to the pool as it came.
    with database.write() as writer:
        put(writer, "a")
    with database.read() as reader:
        assert count(reader) == 1


def test_writers_that_read_first_lose_no_number(database):
    """Six threads, each ten times: read how many, write the next one under that number."""
    failed = []

    def write():
        for _ in range(10):
            try:
                with database.write() as connection:
                    if database.dialect == "postgresql":
                        connection.exec_driver_sql("LOCK TABLE cursor IN EXCLUSIVE MODE")
                    put(connection, str(count(connection)))
            except DBAPIError as err:
                failed.append(err)

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with database.read() as connection:
        assert count(connection) == 60


def test_two_processes_writing_one_sqlite_file_wait_for_each_other(sqlite_database_url):
    databases = [Database(sqlite_database_url) for _ in range(2)]

    def write(database):
        for _ in range(15):
            with database.write() as connection:
                put(connection, str(count(connection)))

    threads = [threading.Thread(target=write, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with databases[0].read() as connection:
        assert count(connection) == 30
    for database in databases:
        database.close()


def test_sqlite_is_durable_and_keeps_its_rules_on_every_connection(sqlite_database_url):
    database = Database(sqlite_database_url)
    wanted = {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL: a commit that was answered survives a power cut
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "secure_delete": 1,
    }
    for block in (database.read, database.write):
        with block() as connection:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in wanted}
        assert found == wanted
    database.close()


def test_the_log_of_sqlite_is_emptied_and_says_so(sqlite_database_url, tmp_path):
    database = Database(sqlite_database_url)
    wal = tmp_path / "suxin.db-wal"
    with database.write() as connection:
        put(connection, "erased")
    assert wal.stat().st_size > 0
    assert database.truncate_log()
    assert wal.stat().st_size == 0
    database.close()


def test_what_a_killed_process_erased_leaves_the_log_at_the_next_start(
    sqlite_database_url, tmp_path
):
    killed = Database(sqlite_database_url)
    wal = tmp_path / "suxin.db-wal"
    with killed.write() as connection:
        put(connection, "erased")
    # Killed before the log was emptied: it stands there as it was, for whoever starts next.
    assert wal.stat().st_size > 0
    started = Database(sqlite_database_url)
    started.empty_log()
    assert wal.stat().st_size == 0
    started.close()
    killed.close()


def test_a_reader_in_the_way_of_emptying_the_log_only_delays_it(
    sqlite_database_url, tmp_path, monkeypatch
):
    monkeypatch.setattr("app.db.engine._EMPTYING_MS", 10)
    database = Database(sqlite_database_url)
    wal = tmp_path / "suxin.db-wal"
    with database.read() as reader:
        count(reader)
        with database.write() as writer:
            put(writer, "a")
        assert not database.truncate_log()
        database.empty_log()
        assert wal.stat().st_size > 0
    # What could not be done then is done by the next round, and once.
    database.empty_log()
    assert wal.stat().st_size == 0
    with database.write() as writer:
        put(writer, "b")
    database.empty_log()
    assert wal.stat().st_size > 0
    database.close()


# ------------------------------------------------------------------ records are never changed


def fill(connection) -> None:
    connection.exec_driver_sql(
        "INSERT INTO record (stream, seq, id, type, actor, recorded_at, hash, body)"
        " VALUES (1, 0, '1', 'sale', 'a', 1, '2', '3')"
    )
    connection.exec_driver_sql(
        "INSERT INTO log_leaf (leaf_index, stream, seq, hash) VALUES (0, 1, 0, '2')"
    )


CHANGES = (
    "UPDATE record SET body = '4'",
    "UPDATE record SET type = type",
    "UPDATE record SET seq = 7",
    "DELETE FROM record",
    "DELETE FROM record WHERE seq = 0",
    "UPDATE log_leaf SET hash = '4'",
    "DELETE FROM log_leaf",
    "INSERT INTO record VALUES (1, 0, '1', 'sale', 'a', 1, '2', '4')"
    " ON CONFLICT (stream, seq) DO UPDATE SET body = excluded.body",
)


def test_the_database_itself_refuses_to_change_or_delete_a_record_or_leaf(database):
    with database.write() as connection:
        fill(connection)
    changes = list(CHANGES)
    if database.dialect == "sqlite":
        changes += [
            "INSERT OR REPLACE INTO record VALUES (1, 0, '1', 'sale', 'a', 1, '2', '4')",
            "REPLACE INTO log_leaf VALUES (0, 1, 0, '4')",
        ]
    for change in changes:
        with pytest.raises(DBAPIError, match="never changed"), database.write() as connection:
            connection.exec_driver_sql(change)
    with database.read() as connection:
        assert count(connection, "record") == count(connection, "log_leaf") == 1
        body = connection.exec_driver_sql("SELECT body FROM record").scalar()
    assert body in ("3", b"3")


def test_another_program_on_the_sqlite_file_is_refused_too(sqlite_database_url, tmp_path):
    database = Database(sqlite_database_url)
    with database.write() as connection:
        fill(connection)
    database.close()
    with sqlite3.connect(tmp_path / "suxin.db") as connection:
        for change in CHANGES:
            with pytest.raises(sqlite3.IntegrityError, match="never changed"):
                connection.execute(change)
    connection.close()


def test_commits_leave_the_log_alone_and_it_is_moved_beside_a_reader_and_a_writer(tmp_path):
    path, alone = tmp_path / "suxin.db", tmp_path / "alone.db"

    def moved() -> int:
        alone.write_bytes(path.read_bytes())
        with closing(sqlite3.connect(alone)) as connection:
            return connection.execute("SELECT count(*) FROM cursor").fetchone()[0]

    with closing(Database(sqlite_url(path))) as database:
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE cursor (name TEXT, position INT, at INT)")
        database.move_log()
        # More pages than SQLite by itself leaves in the log before a commit has to move them.
        for start in range(2):
            with database.write() as connection:
                for n in range(1_500):
                    put(connection, f"{start} {n} {'x' * 3_000}")
        assert moved() == 0
        with database.read() as reader, database.write() as writer:
            assert count(reader) == 3_000
            put(writer, "unfinished")
            database.move_log()
        assert moved() == 3_000
