"""Migrations on PostgreSQL beside the release before: nobody is held up, and any end can be gone on from."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing

import psycopg
import pytest
from alembic import command
from sqlalchemy import event

from app.db import schema
from app.db.engine import SESSION_PREFIX, Database
from app.db.schema import MigrationStopped, is_served, migrate
from tests.databases import DATABASES, opened

BEFORE = "0016"
SHOP = "91441200MA4TE5T00Q"
GOODS = 40
WAIT_S = 60
# In the words of the release before: each of the tables that a step widens, fills or indexes, by
# where it begins.
WRITES = {
    "0016": (
        "UPDATE sold_unit SET steps = steps + 1 WHERE stream = 1",
        "INSERT INTO due VALUES (900, '', 'signature', 'overdue', NULL, 5, 9, false)",
    ),
    "0018": (
        "UPDATE party SET region = NULL",
        "UPDATE api_key SET label = NULL",
        "DELETE FROM access_log WHERE id = 'none'",
        "DELETE FROM batch_code WHERE serial = 'none'",
        "DELETE FROM lot WHERE lot = 'none'",
    ),
    "0027": (
        "INSERT INTO side_index VALUES (1, 1, 'order', 'x')",
        "DELETE FROM side_index WHERE kind = 'order'",
    ),
}


@pytest.fixture
def url(tmp_path):
    """A PostgreSQL as the release before left it, with goods on their way."""
    url = DATABASES.empty(tmp_path, kind="postgresql")
    database = Database(url)
    command.upgrade(schema._config(database, (4, 60)), BEFORE)
    database.close()
    life = json.dumps({"state": "sold", "cycle": 1, "sale": {"at": 7}}).encode()
    with opened(url) as run:
        for key in range(1, GOODS + 1):
            run("INSERT INTO head VALUES (?, ?, 1, ?, 5, ?)", key, f"unit {key}", b"0" * 32, life)
            run(
                "INSERT INTO sold_unit (stream, subject, cycle, gtin, seller, sold_at, steps, independent)"
                " VALUES (?, '', 1, '06901234567892', ?, 5, 2, 0)",
                key,
                SHOP,
            )
    yield url
    DATABASES.drop(url)


def shape(url: str) -> list[object]:
    """Returns columns and indexes as the database has them, each index with whether it is used."""
    with opened(url) as run:
        return [
            *run(
                "SELECT table_name, column_name, data_type, is_nullable, column_default"
                " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
            ),
            *run(
                "SELECT pg_get_indexdef(indexrelid), indisvalid, indisready FROM pg_index"
                " JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
            ),
        ]


def whole_shape() -> list[object]:
    server = DATABASES.server()
    return shape(server.url(DATABASES.postgres_template()))


def placed(url: str) -> int:
    with opened(url) as run:
        return run("SELECT count(*) FROM sold_unit WHERE underway = 'sold' AND moved_at = 7")[0][0]


def invalid(url: str) -> list[str]:
    with opened(url) as run:
        found = run(
            "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid WHERE NOT indisvalid"
        )
        return [name for (name,) in found]


def migrating(url: str, lock_timeout_s: float = 4.0) -> subprocess.Popen[bytes]:
    program = (
        "import sys\nfrom app.db.engine import Database\nfrom app.db.schema import migrate\n"
        "migrate(Database(sys.argv[1]), lock_timeout_s=float(sys.argv[2]))"
    )
    return subprocess.Popen([sys.executable, "-c", program, url, str(lock_timeout_s)])


def await_lock(url: str, process: subprocess.Popen[bytes], kind: str) -> int:
    """Returns the backend of the migration once it waits for a lock of this kind."""
    return await_session(url, process, f"wait_event_type = 'Lock' AND wait_event = '{kind}'")


def await_session(url: str, process: subprocess.Popen[bytes], condition: str) -> int:
    until = time.monotonic() + WAIT_S
    query = f"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
    with psycopg.connect(url, autocommit=True) as looking:
        while time.monotonic() < until:
            assert process.poll() is None, "it ended before it had to wait"
            found = looking.execute(query).fetchone()
            if found is not None:
                return int(found[0])
            time.sleep(0.02)
    raise AssertionError(f"nobody came to where {condition}")


def kill(url: str, process: subprocess.Popen[bytes], backend: int) -> None:
    """Ends the program and what it asked of the server, as when its machine is gone."""
    process.kill()
    process.wait()
    with psycopg.connect(url, autocommit=True) as looking:
        looking.execute("SELECT pg_terminate_backend(%s)", (backend,))
        until = time.monotonic() + WAIT_S
        while looking.execute(
            "SELECT 1 FROM pg_stat_activity WHERE pid = %s", (backend,)
        ).fetchone():
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.parametrize("start", WRITES)
def test_who_writes_meanwhile_is_not_held_up_and_a_kill_while_an_index_is_built_is_mended(
    url, start
):
    with closing(Database(url)) as database:
        command.upgrade(schema._config(database, (4, 60)), start)
    with psycopg.connect(url) as audit:  # looks at one state for long, as an audit does
        audit.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        audit.execute("SELECT count(*) FROM log_leaf")
        process = migrating(url, lock_timeout_s=1.0)
        backend = await_lock(url, process, "virtualxid")
        time.sleep(1.5)  # longer than a step may wait for a lock that others queue behind
        assert process.poll() is None
        for write in WRITES[start]:
            with psycopg.connect(url) as writer:
                writer.execute("SET lock_timeout = '1s'")
                writer.execute(write)
        kill(url, process, backend)
    assert invalid(url)
    with closing(Database(url)) as database:
        assert not is_served(database)
        migrate(database)
        assert is_served(database)
    assert shape(url) == whole_shape()
    assert placed(url) == GOODS


def test_a_kill_while_goods_are_filled_in_keeps_what_was_done(url):
    with opened(url) as run:  # by a run before: who holds a row holds up whoever adds a column
        run("ALTER TABLE sold_unit ADD COLUMN underway TEXT, ADD COLUMN moved_at BIGINT")
    with psycopg.connect(url) as seller:
        seller.execute("UPDATE sold_unit SET steps = 3 WHERE stream = 20")
        process = migrating(url)
        backend = await_lock(url, process, "transactionid")
        with psycopg.connect(url) as writer:  # nobody else's goods are held
            writer.execute("SET lock_timeout = '1s'")
            writer.execute("UPDATE sold_unit SET steps = 3 WHERE stream <> 20")
        kill(url, process, backend)
        assert placed(url) == 19
        seller.execute("UPDATE sold_unit SET completed_at = 8 WHERE stream = 20")
    with closing(Database(url)) as database:
        migrate(database)
    assert placed(url) == GOODS - 1, "signed for meanwhile: it is not on its way"
    assert shape(url) == whole_shape()


def test_it_goes_on_from_behind_any_statement(url):
    """Ended behind the first statement that writes, then behind the first that is new, and so on."""
    seen: set[str] = set()
    while True:
        with closing(Database(url)) as database:
            end_behind_a_new_one(database, seen)
            try:
                migrate(database)
            except Ended:
                continue
            break
    assert len(seen) > 30
    assert placed(url) == GOODS
    assert shape(url) == whole_shape()


class Ended(Exception):
    """The program was ended."""


def end_behind_a_new_one(database: Database, seen: set[str]) -> None:
    @event.listens_for(database.writer, "after_cursor_execute")
    def _look(connection, cursor, statement, parameters, context, executemany):
        writes = not statement.lstrip().startswith(("SELECT", "SHOW", "SET", "RESET"))
        if writes and statement not in seen:
            seen.add(statement)
            raise Ended


def test_work_between_two_statements_is_not_taken_for_standing_still(tmp_path):
    """Else a service beside it would end it (app.db.stalled)."""
    url = DATABASES.empty(tmp_path, kind="postgresql")
    database = Database(url)
    names = set()

    @event.listens_for(database.writer, "before_cursor_execute")
    def _look(connection, cursor, statement, *_) -> None:
        if "CREATE TABLE" in statement:
            shown = connection.connection.execute("SHOW application_name").fetchone()
            names.add(shown[0])

    migrate(database)
    assert names == {"suxin migrate"}
    assert not next(iter(names)).startswith(SESSION_PREFIX)
    with database.write() as connection:
        shown = connection.exec_driver_sql("SHOW application_name").scalar_one()
    assert shown == database.session_name, "the connection is not used again"
    database.close()
    DATABASES.drop(url)


def test_of_two_who_migrate_the_second_does_not_keep_the_first_from_its_end(url):
    """Who waits for a turn inside a statement would be waited for by an index that is built."""
    with psycopg.connect(url) as audit:
        audit.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        audit.execute("SELECT count(*) FROM log_leaf")
        process = migrating(url)
        await_lock(url, process, "virtualxid")
        with closing(Database(url)) as database, pytest.raises(MigrationStopped) as found:
            migrate(database, lock_timeout_s=0.3)
        assert found.value.key == "migration_waited"
        second = migrating(url, lock_timeout_s=WAIT_S)
        await_session(
            url, second, "query LIKE '%advisory_lock%' AND query NOT LIKE '%stat_activity%'"
        )
    assert process.wait(WAIT_S) == 0
    assert second.wait(WAIT_S) == 0
    assert shape(url) == whole_shape()
