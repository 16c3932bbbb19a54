"""What an audit met and its report; figures by month; domains of badges."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def upgrade() -> None:
    op.add_column("audit_job", sa.Column("started_at", sa.BigInteger(), nullable=True))
    op.add_column("audit_job", sa.Column("total", sa.BigInteger(), nullable=True))
    op.add_column("audit_job", sa.Column("checkpoints", sa.Text(), nullable=True))
    op.create_index("audit_job_asked", "audit_job", ["asked_by", "id"], unique=False)
    op.create_table(
        "audit_finding",
        _text("job"),
        _big("n"),
        _text("told"),
        sa.PrimaryKeyConstraint("job", "n"),
    )
    op.create_table(
        "audit_report",
        _text("job"),
        _big("made_at"),
        _text("made_by"),
        _text("signed"),
        _bytes("pdf_zh"),
        _bytes("pdf_en"),
        sa.PrimaryKeyConstraint("job"),
    )
    op.create_table(
        "month_figure",
        _text("month"),
        _text("party"),
        _text("what"),
        _big("count"),
        sa.PrimaryKeyConstraint("month", "party", "what"),
    )
    op.create_table(
        "badge_domain",
        _text("party"),
        _text("domain"),
        _big("created_at"),
        _big("checked_at"),
        _big("verified_at", null=True),
        _text("error", null=True),
        sa.PrimaryKeyConstraint("party", "domain"),
    )
    op.create_index("badge_domain_checked", "badge_domain", ["checked_at"], unique=False)
