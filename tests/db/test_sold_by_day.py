"""Migration 0021: what was sold before is counted by the days of China."""

from __future__ import annotations

import pytest
from alembic import command

from app.db import schema
from app.db.engine import Database
from app.db.schema import migrate
from app.trace.soldstore import days_apart
from tests.databases import DATABASES

GTIN, SHOP = "06901234567892", "91441200MA4TE5T00Q"
MIDNIGHT = 1_795_104_000_000
"""2026-11-20 in Shanghai: 16:00 UTC of the day before."""


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request, tmp_path):
    """A database as the release before left it."""
    url = DATABASES.empty(tmp_path, kind=request.param)
    database = Database(url)
    command.upgrade(schema._config(database, (4, 60)), "0020")
    yield database
    database.close()
    DATABASES.drop(url)


def test_what_was_sold_before_is_counted(old):
    sold = [(MIDNIGHT - 1, "NULL"), (MIDNIGHT, "7"), (MIDNIGHT + 86_399_999, "NULL")]
    with old.write() as connection:
        for n, (at, gap) in enumerate(sold):
            connection.exec_driver_sql(
                "INSERT INTO sold_unit (stream, subject, cycle, gtin, seller, sold_at, steps, independent,"
                f" gap_due_at) VALUES ({n}, '', 1, '{GTIN}', '{SHOP}', {at}, 2, 1, {gap})"
            )
    assert next(step.revision for step in migrate(old)) == "0021"
    with old.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM sold_day ORDER BY day")
        assert [tuple(row) for row in rows] == [
            (SHOP, GTIN, 20_776, 1, 2, 1, 0),
            (SHOP, GTIN, 20_777, 2, 4, 2, 1),
        ]
        assert days_apart(connection) == {}
