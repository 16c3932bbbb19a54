"""Findings by how grave they are, and recalls by when they began: in order, page by page, by an index."""

from __future__ import annotations

import itertools
import random
import uuid
from typing import Any

import pytest
from sqlalchemy import insert, select

from app.db.engine import Database
from app.oversight import casestore, reachstore
from app.oversight.casestore import FINDING, WAITING, Wanted
from app.oversight.kinds import FAMILIES_OF, SEVERITIES, severity_of
from app.oversight.reachstore import RECALL
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


class Explaining:
    """Answers as the connection does, and keeps how each statement is carried out."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.dialect = connection.dialect
        self.plans: list[str] = []
        if self.dialect.name == "postgresql":
            # Else a small table is read whole.
            for way in ("seqscan", "bitmapscan"):
                connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")

    def execute(self, query: Any) -> Any:
        told = str(query.compile(dialect=self.dialect, compile_kwargs={"literal_binds": True}))
        how = "EXPLAIN" if self.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        rows = self._connection.exec_driver_sql(f"{how} {told.replace('%', '%%')}")
        self.plans.append("\n".join(str(row[-1]) for row in rows))
        return self._connection.execute(query)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_page_of_the_gravest_reads_an_index_of_its_severity(database, severity):
    with database.read() as connection:
        asked: Any = Explaining(connection)
        casestore.list_findings(
            asked, Wanted(status=WAITING, severity=severity), after=None, limit=5, order="gravest"
        )
    assert len(asked.plans) == 2, "one for each status"
    for plan in asked.plans:
        assert f"finding_{severity}" in plan
        assert "finding_opened" not in plan


def test_a_page_of_recalls_reads_an_index_of_when_they_began(database):
    row = {"recaller": "A", "gtin": "1", "seller": None, "lifted_at": None}
    with database.write() as connection:
        connection.execute(
            insert(RECALL), [{**row, "stream": n, "since_at": n % 50} for n in range(300)]
        )
    of_all = {"party": None, "office": None, "gtin": None, "is_open": None}
    with database.read() as connection:
        asked: Any = Explaining(connection)
        reachstore.recalls(asked, **of_all, after=(25, 25, "A"), limit=5)
    (plan,) = asked.plans
    assert "recall_since" in plan
