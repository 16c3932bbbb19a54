"""Who leads, which anchor the log is signed under, and the epoch that stops a leader of the past."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    leader = op.create_table(
        "leader",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.bulk_insert(leader, [{"name": "log", "holder": "", "epoch": 0, "expires_at": 0}])
    op.add_column(
        "log_state",
        sa.Column(
            "epoch", sa.BigInteger(), autoincrement=False, nullable=False, server_default="0"
        ),
    )
    op.add_column("log_state", sa.Column("anchor", sa.Text(), nullable=True))
