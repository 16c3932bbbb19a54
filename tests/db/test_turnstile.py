"""The turn to write among the processes of one SQLite file: one at a time, in turn, freed by any death."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time

import pytest

from app.db.engine import Database
from app.db.turnstile import Turnstile


@pytest.fixture
def two(tmp_path):
    """As two processes have it: each has opened the files for itself."""
    turnstiles = [Turnstile(tmp_path / "suxin.db") for _ in range(2)]
    yield turnstiles
    for turnstile in turnstiles:
        turnstile.close()


def test_who_writes_all_the_time_lets_another_one_in(two):
    """Without the gate the one that has just given the turn back is the first to take it again."""
    busy, seldom = two
    ending = threading.Event()
    turns = 0

    def write_all_the_time() -> None:
        nonlocal turns
        while not ending.is_set():
            with busy.turn():
                time.sleep(0.005)
                turns += 1

    thread = threading.Thread(target=write_all_the_time)
    thread.start()
    passed_by = []
    try:
        time.sleep(0.05)
        for _ in range(20):
            before = turns
            with seldom.turn():
                passed_by.append(turns - before)
            time.sleep(0.003)
    finally:
        ending.set()
        thread.join()
    # The one under way, and one more that was at the gate already. Not each time: this thread may have
    # been held up on its way to the gate, which says nothing about the gate.
    assert statistics.median(passed_by) <= 2, passed_by


def test_the_turn_is_one_process_at_a_time_and_any_death_gives_it_back(two, tmp_path):
    holder, waiter = two
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with Turnstile(tmp_path / "suxin.db").turn():
            os.write(writing, b"1")
            time.sleep(60)
        os._exit(0)
    os.read(reading, 1)
    had = threading.Event()

    def wait() -> None:
        with waiter.turn():
            had.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not had.wait(0.2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert had.wait(10)
    thread.join()
    with holder.turn():
        pass


def test_a_folder_in_which_no_lock_can_be_made_does_without(tmp_path):
    with Turnstile(tmp_path / "absent" / "suxin.db").turn():
        pass


def test_a_write_that_fails_gives_the_turn_back(sqlite_database_url):
    one, other = (Database(sqlite_database_url) for _ in range(2))
    with pytest.raises(KeyError), one.write():
        raise KeyError
    with other.write() as connection:
        connection.exec_driver_sql("CREATE TABLE one (n INTEGER)")
    one.close()
    other.close()
