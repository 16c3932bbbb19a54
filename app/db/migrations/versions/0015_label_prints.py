"""Who printed which labels, so that a reprint is known as one."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _big(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def upgrade() -> None:
    op.create_table(
        "label_print",
        _text("print_id"),
        _text("batch_id"),
        _text("printed_by"),
        _text("key_id"),
        _big("printed_at"),
        _text("form"),
        _text("layout"),
        _text("symbol"),
        _big("first"),
        _big("count"),
        _big("void"),
        _big("again"),
        _text("reason", null=True),
        sa.PrimaryKeyConstraint("print_id"),
    )
    op.create_index("label_print_batch", "label_print", ["batch_id", "print_id"], unique=False)
