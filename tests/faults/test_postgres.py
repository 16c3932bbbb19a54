"""PostgreSQL goes away: restarted, crashed, a connection cut in the middle, a commit nobody answers."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psycopg
import pytest

from app.db.engine import Database
from app.db.schema import migrate
from tests.faults.life import Life
from tests.faults.tracing import CannotTrace, traced
from tests.ledger.ledgers import Ledger
from tests.postgres import PostgresServer, postgres_server

WRITES = "pwrite64,pwritev"
FAULTS = {"kill -9": "signal=KILL", "EIO": "error=EIO", "disk full": "error=ENOSPC"}
STRIDE = 1 if os.environ.get("SUXIN_DRILL") == "all" else 2


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of this module's own, to be stopped at will."""
    with postgres_server() as running:
        yield running


@pytest.fixture
def life(server: PostgresServer, tmp_path: Path, clock) -> Iterator[Life]:
    name = f"faults_{tmp_path.name.replace('-', '_')}"
    server.execute(f'CREATE DATABASE "{name}"')
    database = Database(server.url(name))
    migrate(database)
    database.close()
    ledger = Ledger(server.url(name), tmp_path / "keys", clock=clock)
    yield Life(ledger).begin()
    ledger.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_server_that_goes_away_and_comes_back(life, server, how, tried):
    life.turn()
    server.stop(how)
    life.faults.clear()
    life.turn()
    # The recorder says so to everybody, and neither sequencer nor publisher pretends.
    assert life.faults == ["Unavailable"] * 4 + ["OperationalError"] * 2
    server.start()
    life.turn()  # on connections of the server that was
    life.look()
    life.settle()
    tried(f"PostgreSQL {how.name}", "postgresql", 1)


def test_a_server_that_goes_away_under_load(life, server, tried):
    stopped = threading.Event()

    def work() -> None:
        while not stopped.is_set():
            life.turn()

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(3):
        acked = len(life.acked)
        while len(life.acked) < acked + 8:
            assert thread.is_alive()
        server.stop(signal.SIGQUIT)
        server.start()
    stopped.set()
    thread.join(60)
    assert not thread.is_alive()
    life.look()
    life.settle()
    tried("PostgreSQL crashes under load", "postgresql", 3)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_whose_disk_fails_at_a_system_call(life, server, fault, tmp_path, tried):
    """Its write-ahead log cannot be written, and it gives up (PANIC); or one of it is killed."""
    places = 0
    for number in itertools.count(1, STRIDE):
        life.turn()
        with psycopg.connect(server.url("postgres")) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name = %s",
                [life.ledger.database.session_name],
            ).fetchall()
        life.faults.clear()
        inject = f"{FAULTS[fault]}:when={number}"
        try:
            with traced([pid for (pid,) in rows], WRITES, inject, tmp_path / "trace") as trace:
                life.turn()
        except CannotTrace as err:
            pytest.skip(str(err))
        # Whatever it did about it itself, it is started anew from what is on the disk.
        server.stop(signal.SIGQUIT)
        server.start()
        life.settle()
        if not (trace.hit or life.faults):
            break
        places += 1
    assert places >= 2
    tried(f"{fault} at a system call of the server", "postgresql", places)


class Cut:
    """Ends the server's side of a connection before its n-th statement or commit; or after a commit
    that the server has done, so that its answer is lost."""

    def __init__(
        self, server: PostgresServer, database: Database, number: int, *, late: bool
    ) -> None:
        self.server = server
        self.dialect = database._writer.dialect
        self.number = number
        self.late = late
        self.passed = 0
        self.hit = False

    def __enter__(self) -> Self:
        self.real = {name: getattr(self.dialect, name) for name in ("do_execute", "do_executemany")}
        self.commit = self.dialect.do_commit
        for name, real in self.real.items():
            setattr(
                self.dialect,
                name,
                lambda cursor, *a, real=real, **k: self._statement(real, cursor, a, k),
            )
        self.dialect.do_commit = self._commit
        return self

    def __exit__(self, *_: object) -> None:
        for name in (*self.real, "do_commit"):
            delattr(self.dialect, name)

    def _is_now(self) -> bool:
        self.passed += 1
        self.hit = self.hit or self.passed == self.number
        return self.passed == self.number

    def _statement(self, real, cursor, arguments, more) -> None:
        if not self.late and self._is_now():
            self._end(cursor.connection.info.backend_pid)
        real(cursor, *arguments, **more)

    def _commit(self, connection) -> None:
        pid = connection.dbapi_connection.info.backend_pid
        if self._is_now():
            if self.late:
                self.commit(connection)
            self._end(pid)
        if self.late and self.hit and self.passed == self.number:
            raise psycopg.OperationalError("the answer to the commit never came")
        self.commit(connection)

    def _end(self, pid: int) -> None:
        self.server.execute(f"SELECT pg_terminate_backend({pid}, 5000)")


# psycopg's server-side cursor cannot be closed on a connection that is gone, and says so late.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("late", [False, True], ids=["cut before it", "commit done, answer lost"])
def test_a_connection_that_is_cut_in_the_middle(life, server, late, tried):
    places = 0
    for number in itertools.count(1):
        life.ledger.clock.advance(1)
        with Cut(server, life.ledger.database, number, late=late) as cut:
            life.turn()
        life.look()
        life.settle()
        assert set(life.faults) <= {"Unavailable", "OperationalError", "AdminShutdown"}, life.faults
        if not cut.hit:
            break
        places += 1
    assert places >= (4 if late else 20)
    what = "commit done, its answer lost" if late else "connection cut"
    tried(what, "postgresql", places)


def test_a_commit_whose_outcome_nobody_can_tell_is_unavailable_and_repeats_are_one(
    life, server, tried
):
    """The answer is lost, and the database cannot be asked either: the sender repeats with its id."""
    ledger = life.ledger
    real = ledger.database._writer.dialect.do_commit

    def commit_and_vanish(connection) -> None:
        real(connection)
        server.stop(signal.SIGQUIT)
        raise psycopg.OperationalError("the server is gone")

    life.faults.clear()
    ledger.database._writer.dialect.do_commit = commit_and_vanish
    life.turn()
    del ledger.database._writer.dialect.do_commit
    assert life.faults[:2] == ["Unavailable"] * 2
    server.start()
    unanswered = life.sent.keys() - life.acked.keys()
    assert unanswered
    life.settle()  # repeats all of them; check_log counts every record once
    tried("commit done, database gone before it could be asked", "postgresql", 1)
