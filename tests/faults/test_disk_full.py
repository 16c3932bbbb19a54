"""A disk that is full refuses, loses nothing, and is no matter any more once there is room."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator

import psycopg
import pytest

from app.db.engine import Database
from app.db.schema import migrate
from tests.faults.disks import Disk
from tests.faults.life import Life
from tests.ledger.ledgers import Ledger
from tests.postgres import RUNS_AS, PostgresServer, postgres_server

LARGE = "256m"
MOST_TURNS = 3_000
_SEGMENT = 1024 * 1024


@pytest.mark.parametrize("what", ["database", "keys"])
def test_a_full_disk(sqlite_template, small_disk, tmp_path, clock, what, tried):
    data = small_disk.folder if what == "database" else tmp_path
    keys = small_disk.folder if what == "keys" else tmp_path
    shutil.copyfile(sqlite_template, data / "suxin.db")
    ledger = Ledger(f"sqlite:///{data / 'suxin.db'}", keys / "keys", clock=clock)
    life = Life(ledger).begin()
    life.turn()
    if what == "keys":
        small_disk.fill()
    fill_up(life, until="Unavailable" if what == "database" else "OSError")
    if what == "keys":
        # Records are taken and sequenced; only what is to be signed waits.
        assert set(life.faults) == {"OSError"}
    small_disk.resize(LARGE)
    life.settle()
    life.ledger.close()
    tried("disk full", f"sqlite: {what}", 1)


def fill_up(life: Life, *, until: str) -> None:
    """Works until the disk is full, as this fault says, and a while longer."""
    turns = 0
    while until not in life.faults:
        life.turn()
        turns += 1
        assert turns < MOST_TURNS, "the disk never filled"
    for _ in range(3):
        life.turn()
    life.attempt(life.look)
    assert life.acked


def use_up_log(server: PostgresServer, *, left: int) -> None:
    """Goes on to the last segment of the write-ahead log that is there, and leaves so many bytes of it."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:

        def ask(query: str) -> int:
            return connection.execute(query).fetchone()[0]

        while ask(
            "SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'"
            " AND name > pg_walfile_name(pg_current_wal_insert_lsn())"
        ):
            ask("SELECT pg_logical_emit_message(true, 'fill', 'x')::text")
            ask("SELECT pg_switch_wal()::text")
        offset = ask("SELECT file_offset FROM pg_walfile_name_offset(pg_current_wal_insert_lsn())")
        more = max(0, _SEGMENT - offset - left)
        ask(f"SELECT pg_logical_emit_message(true, 'fill', repeat('x', {more}))::text")


@pytest.fixture(params=["tables", "log"])
def full_server(request, small_disk: Disk) -> Iterator[tuple[PostgresServer, str]]:
    """A server whose tables, or whose write-ahead log, lie on the small disk; and which of the two."""
    small_disk.resize(LARGE)
    place = small_disk.folder / request.param
    options = ["--wal-segsize=1", f"--waldir={place}"] if request.param == "log" else []
    if request.param == "tables":
        place.mkdir(mode=0o700)
    for path in small_disk.folder, *small_disk.folder.iterdir():
        shutil.chown(path, RUNS_AS)
    with postgres_server(*options) as server:
        where = ""
        if request.param == "tables":
            server.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
            where = " TABLESPACE small"
        server.execute(f"CREATE DATABASE ledger{where}")
        yield server, request.param
        server.stop()


def test_a_full_disk_of_postgresql(full_server, small_disk, tmp_path, clock, tried):
    server, what = full_server
    url = server.url("ledger")
    database = Database(url)
    migrate(database)
    database.close()
    life = Life(Ledger(url, tmp_path / "keys", clock=clock)).begin()
    life.turn()
    life.look()
    server.execute("CHECKPOINT")
    small_disk.fill(left=256 * 1024)
    if what == "log":
        use_up_log(server, left=64 * 1024)
    fill_up(life, until="Unavailable")
    assert "No space left on device" in server.log()
    small_disk.resize("512m")
    if what == "log":
        # It gave up, as it does where its own log cannot go on, and comes back when it is started.
        assert "PANIC" in server.log()
        server.stop(signal.SIGQUIT)
        server.start()
    life.settle()
    life.ledger.close()
    tried("disk full", f"postgresql: {what}", 1)
