"""Findings by how grave they are, and recalls by when they began: in order, page by page, by an index."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select

from app.db.engine import Database
from app.oversight import casestore, reachstore
from app.oversight.casestore import FINDING, WAITING, Wanted
from app.oversight.kinds import FAMILIES_OF, SEVERITIES, severity_of
from app.oversight.reachstore import HEAD, RECALL
from app.oversight.store import is_severe
from tests.databases import DATABASES

FAMILIES = (
    *(family for families in FAMILIES_OF.values() for family in families), "continuity", "integrityx", "lo",
)  # fmt: skip
STATUSES = ("open", "grace", "closed", "dismissed")


def finding(n: int, kind: str, status: str, opened_at: int) -> dict[str, Any]:
    return {
        "id": str(uuid.UUID(int=n)), "kind": kind, "stream": n, "stream_name": f"01/{n}", "subject": "",
        "seq": None, "party": None, "gtin": None, "status": status, "evidence": "{}",
        "opened_at": opened_at, "closed_at": None, "attributed_to": None, "reason": None, "due_at": None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def database(databases, tmp_path_factory):
    """Three hundred findings of every kind and status, many of one moment."""
    url = DATABASES.new(tmp_path_factory.mktemp("gravest"))
    made = Database(url)
    chance = random.Random(5)
    rows = [
        finding(chance.getrandbits(62), f"{family}.x", status, chance.randrange(20))
        for family, status, _ in itertools.product(FAMILIES, STATUSES, range(8))
    ]
    with made.write() as connection:
        connection.execute(insert(FINDING), rows)
    yield made
    made.close()
    DATABASES.drop(url)


def expected(rows: list[Any], wanted: Wanted) -> list[str]:
    statuses = {None: STATUSES, WAITING: STATUSES[:2]}.get(wanted.status, (wanted.status,))
    chosen = [
        row
        for row in rows
        if row.status in statuses and wanted.severity in (None, severity_of(row.kind))
    ]
    rank = {severity: n for n, severity in enumerate(SEVERITIES)}
    chosen.sort(key=lambda row: (rank[severity_of(row.kind)], -row.opened_at, row.id))
    return [row.id for row in chosen]


@pytest.mark.parametrize("severity", [None, *SEVERITIES])
@pytest.mark.parametrize("status", [None, WAITING, *STATUSES])
def test_the_gravest_come_first_on_every_page(database, status, severity):
    wanted = Wanted(status=status, severity=severity)
    with database.read() as connection:
        rows = list(connection.execute(select(FINDING)))
        found, after = list[str](), None
        while True:
            page = casestore.list_findings(
                connection, wanted, after=after, limit=7, order="gravest"
            )
            found += [row.id for row in page]
            if len(page) < 7:
                break
            after = page[-1].opened_at, page[-1].id
        count = casestore.count_findings(connection, wanted)
    assert found == expected(rows, wanted)
    assert count == len(found)


def test_the_database_tells_severities_as_the_rules_do(database):
    with database.read() as connection:
        for severity in SEVERITIES:
            found = connection.execute(select(FINDING.c.kind).where(is_severe(severity))).scalars()
            told = {f"{family}.x" for family in FAMILIES if severity_of(f"{family}.x") == severity}
            assert set(found) == told


MANY = 5_000
"""Rows enough that no planner reads them whole."""


@pytest.fixture(scope="module")
def many(databases, tmp_path_factory):
    """Thousands of findings, most of them over, and of recalls, each with its stream."""
    url = DATABASES.new(tmp_path_factory.mktemp("many"))
    made = Database(url)
    chance = random.Random(6)
    findings = [
        finding(n, f"{chance.choice(FAMILIES)}.x", status, n)
        for n, status in enumerate(chance.choices(STATUSES, (1, 1, 37, 1), k=MANY))
    ]
    recall = {"recaller": "A", "gtin": "1", "seller": None, "lifted_at": None}
    recalls = [{**recall, "stream": n, "since_at": n // 2} for n in range(MANY)]
    head = {"seq": 0, "hash": b"", "recorded_at": 0, "state": b"{}"}
    heads = [{**head, "stream": n, "name": f"01/{n}"} for n in range(MANY)]
    with made.write() as connection:
        for table, rows in ((FINDING, findings), (RECALL, recalls), (HEAD, heads)):
            connection.execute(insert(table), rows)
    if made.dialect == "postgresql":
        with made.write() as connection:
            connection.exec_driver_sql("ANALYZE")
    yield made
    made.close()
    DATABASES.drop(url)


@contextmanager
def explained(connection: Connection) -> Iterator[list[str]]:
    """Yields how each statement is carried out: the very one that is sent, with its bound values."""
    plans: list[str] = []
    how = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"

    def explain(_: Any, cursor: Any, statement: str, values: Any, *__: Any) -> None:
        cursor.execute(f"{how} {statement}", values)
        plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(connection, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(connection, "before_cursor_execute", explain)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_page_of_the_gravest_reads_an_index_of_its_severity(many, severity):
    with many.read() as connection, explained(connection) as plans:
        wanted = Wanted(status=WAITING, severity=severity)
        found = casestore.list_findings(connection, wanted, after=None, limit=5, order="gravest")
    assert len(found) == 5
    assert len(plans) == 2, "one for each status"
    for plan in plans:
        assert f"finding_{severity}" in plan
        assert "finding_opened" not in plan


def test_a_page_of_recalls_reads_an_index_of_when_they_began(many):
    of_all = {"party": None, "office": None, "gtin": None, "is_open": None}
    with many.read() as connection, explained(connection) as plans:
        found = reachstore.recalls(connection, **of_all, after=(25, 50, "A"), limit=5)
    assert [row.since_at for row in found] == [25, 24, 24, 23, 23]
    (plan,) = plans
    begins = "Index Cond: (since_at" if many.dialect == "postgresql" else "(since_at<?)"
    assert "recall_since" in plan
    assert begins in plan, "not from its start"
    assert "MULTI-INDEX" not in plan, "nor by two ways that are sorted together"
