"""What was sold, counted by offer and day, so that ranking need not count every unit."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db.migrations import online

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def _big(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def upgrade() -> None:
    with online.beside_the_service():
        online.create_table(
            "sold_day",
            sa.Column("seller", sa.Text(), nullable=False),
            sa.Column("gtin", sa.Text(), nullable=False),
            _big("day"),
            _big("units"),
            _big("steps"),
            _big("independent"),
            _big("gaps"),
            sa.PrimaryKeyConstraint("seller", "gtin", "day"),
            sqlite_with_rowid=False,
        )
        # Days of Asia/Shanghai, counted anew where the step is run again. What the release before sells
        # from now on is counted by `suxin reindex`.
        op.execute(
            "INSERT INTO sold_day (seller, gtin, day, units, steps, independent, gaps)"
            " SELECT seller, gtin, (sold_at + 28800000) / 86400000, COUNT(*), SUM(steps),"
            " SUM(independent), COUNT(gap_due_at)"
            " FROM sold_unit WHERE true GROUP BY seller, gtin, (sold_at + 28800000) / 86400000"
            " ON CONFLICT (seller, gtin, day) DO UPDATE SET units = excluded.units,"
            " steps = excluded.steps, independent = excluded.independent, gaps = excluded.gaps"
        )
        online.create_index(
            "sold_unit_gap",
            "sold_unit",
            ["seller", "gtin", "gap_due_at", "sold_at"],
            only="gap_due_at IS NOT NULL",
        )
