"""Ratings of sellers, carriers and buyers, as they are counted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def upgrade() -> None:
    op.create_table(
        "rating",
        _big("stream"),
        _big("seq"),
        _text("kind"),
        _text("side"),
        _text("party"),
        _text("merchant"),
        _text("gtin"),
        _big("of_seq"),
        _big("sale_seq", null=True),
        _big("rating", null=True),
        _text("proof", null=True),
        sa.Column("parcel", sa.LargeBinary(), nullable=False),
        _big("at"),
        sa.PrimaryKeyConstraint("stream", "seq"),
    )
    op.create_index("rating_party", "rating", ["party", "at"], unique=False)
    op.create_index("rating_merchant", "rating", ["merchant", "kind", "at"], unique=False)
