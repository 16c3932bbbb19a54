"""Alive and ready are two questions."""

from __future__ import annotations


def test_ready_names_what_it_looked_at(service):
    assert service.call("GET", "/healthz").json()["status"] == "alive"
    assert service.call("GET", "/readyz").json() == {
        "status": "ready", "checks": ["database", "schema", "log"],
    }  # fmt: skip


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


def test_a_database_that_does_not_answer_is_not_ready(service, monkeypatch):
    def refuse():
        raise OSError("disk gone: /secret/path")

    monkeypatch.setattr(service.rooms.database, "read", refuse)
    answer = service.call("GET", "/readyz")
    assert answer.status_code == 503
    assert "/secret" not in answer.text
