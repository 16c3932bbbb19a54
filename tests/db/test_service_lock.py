"""The lock that services share and a rotation has alone, also when its session is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.db.engine import Database
from app.db.service_lock import hold_service_lock
from tests.databases import DATABASES

LOOK_S = 0.05


@pytest.fixture
def two(postgresql_database_url):
    databases = [Database(postgresql_database_url) for _ in range(2)]
    yield databases
    for database in databases:
        database.close()


def end_sessions(database: Database) -> None:
    """As a server that is restarted does. Returns when they are gone, and their locks with them."""
    name = database.session_name
    DATABASES.server().execute(
        "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity "
        f"WHERE application_name = '{name}'"
    )


def can_rotate(database: Database) -> bool:
    with hold_service_lock(database, alone=True) as had:
        return had


def wait_until(asked, *, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not asked():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_lost_session_takes_the_lock_again(two):
    service, command = two
    lost = []
    with hold_service_lock(
        service, alone=False, on_lost=lambda: lost.append(1), look_every_s=LOOK_S
    ):
        assert not can_rotate(command)
        end_sessions(service)
        wait_until(lambda: not can_rotate(command))
        time.sleep(3 * LOOK_S)
        assert not can_rotate(command)
    # It may have looked just while the lock was asked for above; it has it now all the same.
    assert len(lost) <= 1
    assert can_rotate(command)


def test_a_service_that_is_shut_out_meanwhile_is_told_once_and_again_only_after_it_was_in(two):
    service, command = two
    lost = threading.Semaphore(0)
    with hold_service_lock(service, alone=False, on_lost=lost.release, look_every_s=LOOK_S):
        for _ in range(2):
            with rotating(service, command):
                assert lost.acquire(timeout=20)
                time.sleep(4 * LOOK_S)
                assert not lost.acquire(blocking=False)
            wait_until(lambda: not can_rotate(command))
            while lost.acquire(blocking=False):  # by the look above
                pass
    assert can_rotate(command)


@contextmanager
def rotating(service: Database, command: Database) -> Iterator[None]:
    """Has the rotation's lock, taken in a moment in which the service's session was gone."""
    for _ in range(200):
        end_sessions(service)
        with hold_service_lock(command, alone=True) as had:
            if had:
                yield
                return
    pytest.fail("the service was always first")


@pytest.mark.parametrize("alone", [True, False])
def test_an_end_in_order_after_the_session_was_lost_is_one(two, alone):
    holder, other = two
    with hold_service_lock(holder, alone=alone, look_every_s=60) as had:
        assert had
        end_sessions(holder)
    assert can_rotate(other)


def test_a_rotation_takes_its_lock_again_too(two):
    command, service = two
    with hold_service_lock(command, alone=True, look_every_s=LOOK_S):
        end_sessions(command)

        def is_shut_out() -> bool:
            with hold_service_lock(service, alone=False) as had:
                return not had

        wait_until(is_shut_out)
