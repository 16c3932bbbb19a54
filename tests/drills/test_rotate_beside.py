"""`suxin log rotate` on PostgreSQL where something serves, or served: real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest

from app.db.engine import Database
from app.db.service_lock import hold_service_lock
from tests.databases import DATABASES
from tests.drills.deployment import Deployment, wait_until

LEASE_S = 4


@pytest.fixture(params=["postgresql"])
def place(request, tmp_path) -> Iterator[Deployment]:
    url = DATABASES.empty(tmp_path, kind=request.param)
    place = Deployment(tmp_path, database_url=url, SUXIN_LEASE_S=str(LEASE_S)).init().serve()
    yield place
    place.close()
    DATABASES.drop(url)


def end_lock_sessions(place: Deployment) -> None:
    """As a server that is restarted does; the other sessions are left alone. Returns when they are gone."""
    with psycopg.connect(place.database_url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchall()
    assert ended


def lock_holders(place: Deployment) -> int:
    with psycopg.connect(place.database_url) as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ).fetchone()
    return count


def test_after_a_kill_it_waits_for_the_lease_and_is_done(place):
    place.kill()
    done = place.suxin("log", "rotate", "--yes", "--json")
    assert done.code == 0, done.err
    assert "leads; its lease ends in" in done.err
    assert json.loads(done.out)["new"]["origin"].startswith("127.0.0.1:8000/log/20")
    place.serve()
    place.wait_published()
    assert place.stop() in (0, -15)
    assert place.audit()[1]["findings"] == []


def test_a_service_whose_locks_session_died_has_the_lock_again(place):
    everybody = lock_holders(place)  # each of its processes but the first
    end_lock_sessions(place)
    wait_until(lambda: lock_holders(place) == everybody, "the lock is had again")
    done = place.suxin("log", "rotate", "--yes")
    assert done.code == 2
    assert "Stop every suxin serve" in done.err
    assert place.client.get("/readyz").status_code == 200
    assert place.stop() in (0, -15)
    assert "Traceback" not in place.log.read_text("utf-8")


def test_a_service_that_is_shut_out_ends_and_the_rotation_goes_on(place):
    """The rotation got the lock in the moment in which the service's session was gone."""
    process, everybody = place._process, lock_holders(place)
    command = Database(place.database_url)
    try:
        while True:
            end_lock_sessions(place)
            with hold_service_lock(command, alone=True) as had:
                if had:
                    process.join(30)
                    assert not process.is_alive()
                    break
            wait_until(lambda: lock_holders(place) == everybody, "the lock is had again")
    finally:
        command.close()
    assert "service_lock.lost" in place.log.read_text("utf-8")
    # It ended in order: nobody is waited for.
    done = place.suxin("log", "rotate", "--yes")
    assert done.code == 0, done.err
    assert "leads" not in done.err
