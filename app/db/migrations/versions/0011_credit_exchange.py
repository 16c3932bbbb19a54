"""Credit kept in another store, and other people's credit kept here."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def upgrade() -> None:
    op.create_index("outbox_topic", "outbox", ["topic", "available_at"], unique=False)
    op.create_table(
        "credit_link",
        _text("name"),
        _big("failures"),
        _big("next_at"),
        _text("last_error", null=True),
        _big("last_ok_at", null=True),
        _big("updated_at"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "credit_card",
        _text("party"),
        _text("card"),
        _big("fetched_at"),
        sa.PrimaryKeyConstraint("party"),
    )
    op.create_table(
        "credit_sender",
        _text("name"),
        _text("vkey"),
        _big("since_at"),
        _big("ended_at", null=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "credit_received",
        _text("sender"),
        _big("source"),
        _big("seq"),
        _text("party"),
        _text("type"),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        _big("place"),
        _big("received_at"),
        sa.PrimaryKeyConstraint("sender", "source", "seq"),
    )
    op.create_index("credit_received_party", "credit_received", ["party"], unique=False)
