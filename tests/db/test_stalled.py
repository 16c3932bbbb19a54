"""A program that stops in the middle of many rows, or behind them, does not keep its locks."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.engine import Database
from app.db.stalled import Stalled
from app.ledger import logstore
from app.ledger.record import stream_key
from app.ledger.submission import Recorded
from tests.ledger.ledgers import UNIT, Ledger, submission

AFTER_S = 3.0


@pytest.fixture
def place(postgresql_database_url):
    """A database whose log has begun, and who looks at its sessions by a clock of its own."""
    opened = []

    def database() -> Database:
        opened.append(Database(postgresql_database_url, stalled_after_s=AFTER_S))
        return opened[-1]

    with database().write() as connection:
        logstore.create_state(connection, "suxin.test/log")
    now = SimpleNamespace(s=0.0)
    stalled = Stalled(database(), monotonic_s=lambda: now.s)
    yield SimpleNamespace(
        url=postgresql_database_url, database=database, own=opened[-1], now=now, stalled=stalled
    )
    for one in opened:
        one.close()


@contextmanager
def in_the_middle(url: str, name: str, statement: str = "SELECT * FROM log_state FOR UPDATE"):
    """A session that has sent this and more is to come; yields what sends the next statement."""
    with psycopg.connect(url, application_name=name) as asleep:
        # Else the rest of the block would wait for what was cut off.
        asleep.execute("SET idle_in_transaction_session_timeout = 100")
        asleep.commit()
        pipeline = asleep.pipeline()
        pipeline.__enter__()

        def send(more: str) -> None:
            pid = asleep.info.backend_pid
            before = _waits(url, pid, "active")  # behind the statement that came last
            asleep.execute(more)
            asleep.pgconn.send_flush_request()
            asleep.pgconn.flush()
            _wait(lambda: _waits(url, pid, "active") not in (None, before), "it stands still")

        try:
            send(statement)
            yield send
        finally:
            asleep.pgconn.finish()


def _waits(url: str, pid: int, state: str) -> tuple[object, ...] | None:
    """Returns at what the server waits for more, None where it does not; who has its answer may be ahead.

    At what: when the last statement came, and how much of a COPY.
    """
    with psycopg.connect(url) as looking:
        return looking.execute(
            "SELECT query_start, bytes_processed FROM pg_stat_activity"
            " LEFT JOIN pg_stat_progress_copy USING (pid)"
            " WHERE wait_event = 'ClientRead' AND state = %s AND pid = %s", [state, pid],
        ).fetchone()  # fmt: skip


def _is_there(url: str, pid: int) -> bool:
    with psycopg.connect(url) as looking:
        found = looking.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    return found is not None


def _wait(true, what: str) -> None:
    until = time.monotonic() + 20
    while not true():
        assert time.monotonic() < until, f"{what}: not within 20 s"
        time.sleep(0.01)


def is_locked(url: str) -> bool:
    with psycopg.connect(url) as connection:
        try:
            connection.execute("SELECT * FROM log_state FOR UPDATE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return True
        return False


@contextmanager
def behind_rows(url: str, name: str):
    """A session that has written many rows and stands still before the next statement."""
    asleep = psycopg.connect(url, application_name=name)
    try:
        asleep.execute("SET idle_in_transaction_session_timeout = 100")
        asleep.commit()
        asleep.cursor().executemany("UPDATE log_state SET size = %s", [(0,), (0,)])
        pid = asleep.info.backend_pid
        _wait(lambda: _waits(url, pid, "idle in transaction") is not None, "it stands still")
        yield
    finally:
        asleep.pgconn.finish()


@pytest.mark.parametrize("stopped", [in_the_middle, behind_rows])
def test_who_stands_still_for_its_time_is_cut_off(place, stopped):
    with stopped(place.url, place.database().session_name):
        time.sleep(0.3)  # the server's own time-out does not hold here
        assert place.stalled.end() == 0
        place.now.s = AFTER_S - 0.1
        assert place.stalled.end() == 0
        assert is_locked(place.url)
        place.now.s = AFTER_S
        assert place.stalled.end() == 1
        _wait(lambda: not is_locked(place.url), "its lock is free")
        assert place.stalled.end() == 0


def test_who_goes_on_slowly_is_not(place):
    with in_the_middle(place.url, place.database().session_name) as send:
        for n in range(4):
            place.now.s = n * AFTER_S
            assert place.stalled.end() == 0
            send("SELECT 1")
        assert is_locked(place.url)


def test_who_copies_rows_slowly_is_not_and_who_stops_in_the_middle_is(place):
    """A COPY is one statement, so it changes no state however long its rows come."""
    with psycopg.connect(place.url, application_name=place.database().session_name) as slow:
        slow.execute("CREATE TABLE copied (n bigint, told text)")
        slow.commit()
        slow.execute("SELECT * FROM log_state FOR UPDATE")

        def waits() -> tuple[object, ...] | None:
            return _waits(place.url, slow.info.backend_pid, "active")

        with pytest.raises(psycopg.OperationalError), slow.cursor() as cursor:  # noqa: SIM117
            with cursor.copy("COPY copied (n, told) FROM STDIN") as copy:
                _wait(lambda: waits() is not None, "it waits for the first")
                for n in range(4):
                    before = waits()
                    copy.write_row((n, "x" * 100_000))
                    while slow.pgconn.flush():  # libpq keeps what fills no packet until more comes
                        time.sleep(0.001)
                    _wait(lambda last=before: waits() not in (None, last), "it waits for more")
                    place.now.s = n * AFTER_S
                    assert place.stalled.end() == 0
                assert is_locked(place.url)
                place.now.s += AFTER_S
                assert place.stalled.end() == 1
                _wait(lambda: not is_locked(place.url), "its lock is free")


@pytest.mark.parametrize("statement", ["SELECT * FROM log_state", "SELECT pg_advisory_lock(1)"])
def test_who_holds_no_row_is_not(place, statement):
    with in_the_middle(place.url, place.database().session_name, statement):
        for n in range(3):
            place.now.s = n * AFTER_S
            assert place.stalled.end() == 0


@pytest.mark.parametrize("command", [None, "reindex"])
def test_a_command_computes_between_its_statements_for_as_long_as_it_takes(place, command):
    """Neither the server nor whoever may lead ends it; a service's session both would."""
    other = Database(place.url, stalled_after_s=0.2, command=command)
    ends = pytest.raises(DBAPIError) if command is None else nullcontext()
    with ends, other.write() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        connection.execute(text("UPDATE log_state SET size = size"))
        for n in range(3):
            place.now.s = n * AFTER_S
            assert place.stalled.end() == 0 or command is None
            time.sleep(0.2)
        if command is None:
            _wait(lambda: not _is_there(place.url, pid), "the server has ended it")
        connection.execute(text("UPDATE log_state SET size = 7"))
    with place.own.read() as connection:
        found = connection.execute(text("SELECT size FROM log_state")).scalar_one()
    assert found == (0 if command is None else 7)
    with behind_rows(place.url, other.session_name):
        place.now.s += AFTER_S
        assert place.stalled.end() == 0
        place.now.s += AFTER_S
        assert place.stalled.end() == (1 if command is None else 0)
    other.close()


def test_programs_that_are_not_ours_and_our_own_sessions_are_not(place):
    for name in ("psql", "suxin migrate", place.own.session_name):
        with in_the_middle(place.url, name):
            for n in range(3):
                place.now.s = n * AFTER_S
                assert place.stalled.end() == 0
            assert is_locked(place.url)


def test_a_stopped_process_keeps_nobody_from_recording(postgresql_database_url, tmp_path, clock):
    """Its transaction has moved a head that others want, and its next row never comes."""
    ledger = Ledger(postgresql_database_url, tmp_path / "keys", clock=clock)
    ledger.record(submission(UNIT))
    other = Database(postgresql_database_url)
    looking = Stalled(Database(postgresql_database_url, stalled_after_s=0.2))
    moving = f"UPDATE head SET seq = seq + 1 WHERE stream = {stream_key(UNIT)}"
    answers = []
    waiting = threading.Thread(target=lambda: answers.extend(ledger.record(submission(UNIT))))
    with in_the_middle(postgresql_database_url, other.session_name, moving):
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive(), "it waits for the row"
        _wait(lambda: looking.end() == 1, "the stopped one is cut off")
        waiting.join(20)
    assert [type(answer) for answer in answers] == [Recorded]
    assert answers[0].seq == 1
    for one in (other, looking._database):
        one.close()
    ledger.close()
