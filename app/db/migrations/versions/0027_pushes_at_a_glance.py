"""A party's last pushes, and a count by day of those that its address refused for their signature."""

from __future__ import annotations

import sqlalchemy as sa

from app.db.migrations import online

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def upgrade() -> None:
    with online.beside_the_service():
        online.create_table(
            "push_taken",
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("id", sa.Text(), nullable=False),
            _count("at"),
            sa.Column("feed", sa.Text(), nullable=False),
            _count("recorded"),
            _count("repeated"),
            _count("refused"),
            sa.Column("reasons", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("party", "id"),
        )
        online.create_table(
            "push_forged",
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("day", sa.Text(), nullable=False),
            _count("missing"),
            _count("wrong"),
            _count("unformed"),
            sa.PrimaryKeyConstraint("party", "day"),
        )
