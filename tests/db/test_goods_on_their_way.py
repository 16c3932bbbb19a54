"""Migration 0017: what was sold before it is found on its way too, and what was raised with who answers."""

from __future__ import annotations

import json

import pytest
from alembic import command

from app.db import schema
from app.db.engine import Database
from app.db.schema import migrate
from tests.databases import DATABASES

SHOP, CARRIER = "91441200MA4TE5T00Q", "91440000MA4TE5T04E"
SOLD = (
    "INSERT INTO sold_unit (stream, subject, cycle, gtin, seller, sold_at, steps, independent, completed_at)"
    " VALUES (%d, '%s', %d, '06901234567892', '%s', 5, 2, 0, %s)"
)


def life(state: str, cycle: int = 1) -> bytes:
    steps = {"sale": {"at": 7}, "dispatch": {"at": 9}}
    return json.dumps({"state": state, "cycle": cycle, **steps}).encode()


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    """A database as the release before left it."""
    url = DATABASES.empty(tmp_path, kind=request.param)
    database = Database(url)
    command.upgrade(schema._config(database, (4, 60)), "0016")
    yield database
    database.close()
    DATABASES.drop(url)


def test_goods_sold_before_are_found_where_they_are(old):
    lives = {
        1: life("sold"), 2: life("in_transit"), 3: life("signed"), 4: life("returned"), 5: b"nothing",
        6: life("sold", cycle=2), 7: b"{}",
    }  # fmt: skip
    with old.write() as connection:
        run = connection.exec_driver_sql
        place = "?" if old.dialect == "sqlite" else "%s"
        head = f"INSERT INTO head VALUES ({', '.join([place] * 6)})"
        for key, state in lives.items():
            run(head, (key, f"unit {key}", 1, b"0" * 32, 5, state))
            run(SOLD % (key, "", 1, SHOP, "NULL"))
        run(SOLD % (6, "", 2, SHOP, "NULL"))
        fact = f"INSERT INTO fact VALUES ({', '.join([place] * 3)})"
        run(fact, (7, "consignment/a", life("in_transit")))
        run(SOLD % (7, "consignment/a", 1, SHOP, "NULL"))
        for key, raised in ((2, True), (1, False)):
            due = f"INSERT INTO due VALUES ({', '.join([place] * 8)})"
            run(due, (key, "", "signature", "overdue", CARRIER, 5, 9, raised))
        finding = (
            "INSERT INTO finding (id, kind, stream, stream_name, subject, party, status, evidence, opened_at)"
            f" VALUES ({', '.join([place] * 9)})"
        )
        run(finding, ("f", "continuity.missing_signature", 2, "unit 2", "", SHOP, "open", "{}", 5))
    migrate(old)
    with old.read() as connection:
        found = connection.exec_driver_sql(
            "SELECT stream, subject, cycle, underway, moved_at FROM sold_unit WHERE underway IS NOT NULL"
        )
        assert sorted(tuple(row) for row in found) == [
            (1, "", 1, "sold", 7),
            (2, "", 1, "in_transit", 9),
            (6, "", 2, "sold", 7),
            (7, "consignment/a", 1, "in_transit", 9),
        ]
        owed = connection.exec_driver_sql("SELECT stream, party FROM due ORDER BY stream")
        assert [tuple(row) for row in owed] == [(1, CARRIER), (2, SHOP)]
