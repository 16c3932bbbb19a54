"""Addresses to which aggregators push states of a party's waybills."""

from __future__ import annotations

import sqlalchemy as sa

from app.db.migrations import online

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with online.beside_the_service():
        online.create_table(
            "push_address",
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("address", sa.Text(), nullable=False),
            sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("made_at", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("renewed_at", sa.BigInteger(), autoincrement=False, nullable=True),
            sa.Column("ended_at", sa.BigInteger(), autoincrement=False, nullable=True),
            sa.Column("pushed_at", sa.BigInteger(), autoincrement=False, nullable=True),
            sa.Column("outcome", sa.Text(), nullable=True),
            sa.PrimaryKeyConstraint("party"),
        )
        online.create_index("push_address_address", "push_address", ["address"])
