"""Alive and ready are two questions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.db.lease import Lease
from app.ledger.anchor import AnchorBusy
from app.ledger.publisher import LogFault
from tests.databases import opened
from tests.fakes import FakeClock


def test_ready_names_what_it_looked_at(service):
    assert service.call("GET", "/healthz").json()["status"] == "alive"
    told = service.call("GET", "/readyz").json()
    assert told["status"] == "ready"
    assert told["checks"] == ["database", "schema", "log", "publishing"]


def test_ready_says_who_leads(service):
    def told() -> tuple[str | None, bool]:
        found = service.call("GET", "/readyz").json()
        return found["leader"], found["leads"]

    lease = service.rooms.lease
    if lease is None:  # SQLite: the one process that serves
        assert told() == (None, True)
        return
    assert told() == (None, False), "nobody took the lease yet"
    other = Lease(service.rooms.database, lease_s=60)
    other.renew()
    assert told() == (other.id, False)
    other.release()
    lease.renew()
    assert told() == (lease.id, True)


def test_a_schema_of_a_later_release_is_served(service):
    """Hosts are changed one by one; a migration only adds."""
    with service.rooms.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert service.call("GET", "/readyz").status_code == 200


def test_a_log_that_was_never_begun_is_not_ready_but_alive(service):
    with service.rooms.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM log_state")
    answer = service.call("GET", "/readyz")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.headers["Retry-After"]
    assert service.call("GET", "/healthz").status_code == 200


def test_another_schema_is_not_ready(service):
    with service.rooms.database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    assert service.call("GET", "/readyz").status_code == 503


def test_a_publisher_that_cannot_publish_is_not_ready_and_says_why(service):
    service.rooms.publisher.publish()
    service.register()
    service.rooms.sequencer.sequence()
    with opened(service.rooms.database.url) as run:
        run("UPDATE log_state SET root = x'01'")
    with pytest.raises(LogFault):
        service.rooms.publisher.publish()
    answer = service.call("GET", "/readyz")
    assert answer.status_code == 503
    assert "publishing (database_contradicts_anchor)" in answer.json()["detail"]


def test_an_error_without_a_sentence_is_said_by_its_name(service, monkeypatch):
    def refuse():
        raise AnchorBusy("/secret/path")

    if service.rooms.lease is not None:
        service.rooms.lease.renew()
    monkeypatch.setattr(service.rooms.publisher, "_publish", refuse)
    with pytest.raises(AnchorBusy):
        service.rooms.publisher.publish()
    detail = service.call("GET", "/readyz").json()["detail"]
    assert "publishing (publish_failed: AnchorBusy)" in detail
    assert "/secret" not in detail


def test_a_promise_that_was_not_kept_is_not_ready(service):
    service.rooms.publisher.publish()
    service.register()
    assert service.call("GET", "/readyz").status_code == 200
    now = service.rooms.clock.now()
    for sequence in (False, True):
        if sequence:
            service.rooms.sequencer.sequence()
        service.rooms.clock = FakeClock(now + timedelta(seconds=50))
        assert service.call("GET", "/readyz").status_code == 200
        service.rooms.clock = FakeClock(now + timedelta(seconds=61))
        answer = service.call("GET", "/readyz")
        assert answer.status_code == 503
        assert "publishing" in answer.json()["detail"]
    service.rooms.publisher.publish()
    assert service.call("GET", "/readyz").status_code == 200


def test_a_database_that_does_not_answer_is_not_ready(service, monkeypatch):
    def refuse():
        raise OSError("disk gone: /secret/path")

    monkeypatch.setattr(service.rooms.database, "read", refuse)
    answer = service.call("GET", "/readyz")
    assert answer.status_code == 503
    assert "/secret" not in answer.text
