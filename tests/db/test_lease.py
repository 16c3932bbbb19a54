"""The lease: one holder, a number that only grows, and nothing in the way of who comes next."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.db.engine import Database
from app.db.lease import Lease, NotLeading, read_standing
from app.ledger import logstore


@pytest.fixture
def place(postgresql_database_url):
    """A PostgreSQL database whose log has begun; `lease(**more)` is another process's."""
    opened = []

    def database(**more) -> Database:
        opened.append(Database(postgresql_database_url, **more))
        return opened[-1]

    def lease(*, lease_s=10.0, **more) -> Lease:
        return Lease(database(), lease_s=lease_s, **more)

    def epoch() -> int:
        with opened[0].read() as connection:
            return connection.exec_driver_sql("SELECT epoch FROM log_state").scalar_one()

    with database().write() as connection:
        logstore.create_state(connection, "suxin.test/log")
    yield SimpleNamespace(database=database, lease=lease, epoch=epoch, url=postgresql_database_url)
    for one in opened:
        one.close()


def end_lease(place) -> None:
    """As if the leader had not been heard of for its time."""
    with place.database().write() as connection:
        connection.exec_driver_sql("UPDATE leader SET expires_at = 0")


def standing(place):
    with place.database().read() as connection:
        return read_standing(connection)


def test_one_leads_and_the_others_wait(place):
    first, second = place.lease(), place.lease()
    assert first.renew()
    assert not second.renew()
    assert (first.leads(), second.leads()) == (True, False)
    assert first.renew(), "who has it keeps it"
    assert (standing(place).holder, standing(place).epoch) == (first.id, 1)
    assert 0 < standing(place).left_s <= 10
    with pytest.raises(NotLeading):
        second.require()


def test_who_takes_over_has_the_next_number_and_the_log_knows_it(place):
    first, second = place.lease(), place.lease()
    assert first.require() == 1
    assert place.epoch() == 1
    end_lease(place)
    assert second.require() == 2
    assert place.epoch() == 2
    assert not first.renew(), "taken is taken"
    assert not first.leads()


def test_a_lease_that_ended_and_was_not_taken_goes_on_under_its_number(place):
    lease = place.lease()
    assert lease.require() == 1
    end_lease(place)
    assert standing(place).holder is None
    assert lease.renew()
    assert lease.require() == 1


def test_an_orderly_end_frees_it_at_once(place):
    first, second = place.lease(), place.lease()
    first.renew()
    first.release()
    assert not first.leads()
    assert second.renew()


def test_who_steps_down_lets_others_try_first(place):
    now = SimpleNamespace(s=0.0)
    first, second = place.lease(monotonic_s=lambda: now.s), place.lease()
    first.renew()
    first.step_down()
    assert not first.renew(), "although nobody has it"
    assert second.renew()
    assert second.pause_s() < 4, "it looks before the other one does again"
    second.release()
    now.s = 3.9
    assert not first.renew()
    now.s = 4.1
    assert first.renew(), "there may be nobody else"


def test_however_long_the_lease_others_look_every_two_seconds(place):
    first, second = place.lease(lease_s=600), place.lease(lease_s=600)
    first.renew()
    second.renew()
    assert first.pause_s() == second.pause_s() == 2


def test_by_its_own_clock_a_leader_knows_that_its_time_is_over(place):
    now = SimpleNamespace(s=0.0)
    lease = place.lease(monotonic_s=lambda: now.s)
    lease.renew()
    now.s = 9.9
    assert lease.leads()
    now.s = 10
    assert not lease.leads()


def in_the_middle(monkeypatch, lease: Lease, act, *, at_end: bool) -> threading.Thread:
    """Lets another thread act inside the lease's next transaction, or just behind its commit."""
    write = lease._database.write
    thread = threading.Thread(target=act)

    @contextmanager
    def writing():
        monkeypatch.setattr(lease._database, "write", write)
        if not at_end:
            thread.start()
            thread.join(0.5)
        with write() as connection:
            yield connection
        if at_end:
            thread.start()
            thread.join(0.5)

    monkeypatch.setattr(lease._database, "write", writing)
    return thread


def test_who_steps_down_while_it_is_renewed_does_not_lead(place, monkeypatch):
    lease = place.lease()
    lease.renew()
    thread = in_the_middle(monkeypatch, lease, lease.step_down, at_end=True)
    lease.renew()
    thread.join()
    assert not lease.leads()
    assert standing(place).holder is None


def test_who_takes_it_twice_at_once_leads(place, monkeypatch):
    lease = place.lease()
    thread = in_the_middle(monkeypatch, lease, lease.renew, at_end=False)
    lease.renew()
    thread.join()
    assert lease.leads()
    assert place.epoch() == 1


def test_held_for_a_while_it_is_one_epoch_or_none(place):
    lease, other = place.lease(lease_s=2), place.lease(lease_s=2)
    with lease.held() as epoch:
        end_lease(place)
        until = time.monotonic() + 20
        while standing(place).left_s <= 0:
            assert time.monotonic() < until, "it is not renewed"
            time.sleep(0.02)
        assert lease.require() == epoch
        end_lease(place)
        while not other.renew():  # it was renewed just before
            end_lease(place)
        other.release()
        assert not lease.renew()
        with pytest.raises(NotLeading):
            lease.require()
    assert lease.renew(), "it may lead again, under another number"


def test_a_follower_looks_again_when_the_lease_would_end(place):
    first, second = place.lease(lease_s=1.5), place.lease(lease_s=30)
    first.renew()
    second.renew()
    assert second.pause_s() <= 1.55
    time.sleep(second.pause_s())
    assert second.renew()


def test_of_many_who_try_at_once_one_gets_it(place):
    leases = [place.lease() for _ in range(6)]
    got = []
    threads = [threading.Thread(target=lambda one=one: got.append(one.renew())) for one in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]
    assert place.epoch() == 1


@pytest.mark.parametrize(
    "error",
    [
        DBAPIError("UPDATE", {}, Exception("gone")),
        PoolTimeout("no connection came free"),
    ],
    ids=["gone", "none free"],
)
def test_a_database_that_does_not_answer_ends_no_loop(place, monkeypatch, error):
    lease = place.lease()
    lease.renew()

    def gone():
        raise error

    monkeypatch.setattr(lease._database, "write", gone)
    assert lease.keep() is False
    assert lease.leads(), "until its time is over"
    assert lease.pause_s() <= 1
    lease.step_down()
    assert not lease.leads()


def test_a_leader_that_stands_still_in_its_transaction_is_cut_off(place):
    """Otherwise its row lock would keep everybody from the log as long as it sleeps."""
    asleep = place.database(stalled_after_s=0.3)
    followed = []
    with pytest.raises(DBAPIError), asleep.write() as connection:
        connection.exec_driver_sql("SELECT * FROM log_state FOR UPDATE")
        next_one = place.lease(lease_s=40)
        next_one.keep()  # whether it got past the lock in half its lease
        followed.append(next_one.leads())
        connection.exec_driver_sql("UPDATE log_state SET size = 99")
    assert followed == [True]
    with place.database().read() as connection:
        assert connection.exec_driver_sql("SELECT size FROM log_state").scalar_one() == 0


def test_a_leader_that_is_stopped_in_the_middle_of_a_row_of_statements_is_cut_off(place):
    """Between them the server waits for its program for ever, and no time-out of its own ends that."""
    database = place.database()
    leader = Lease(database, lease_s=1)
    leader.renew()
    with psycopg.connect(place.url, application_name=database.session_name) as asleep:
        asleep.execute("SET idle_in_transaction_session_timeout = 100")
        asleep.commit()
        with pytest.raises(psycopg.OperationalError), asleep.pipeline():
            asleep.execute("SELECT * FROM log_state FOR UPDATE")
            asleep.pgconn.send_flush_request()
            asleep.pgconn.flush()
            time.sleep(1.1)
            heir = Lease(place.database(stalled_after_s=0.5), lease_s=1)
            until = time.monotonic() + 20
            while not heir.leads() and time.monotonic() < until:
                heir.keep()
            assert heir.leads()
            asleep.execute("UPDATE log_state SET size = 99")
    with place.database().read() as connection:
        assert connection.exec_driver_sql("SELECT size FROM log_state").scalar_one() == 0
