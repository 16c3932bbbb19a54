"""The life of a finding; sales of lots and reviews as detectors see them; the city of a scan."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def upgrade() -> None:
    op.add_column(
        "finding", sa.Column("due_at", sa.BigInteger(), autoincrement=False, nullable=True)
    )
    op.add_column(
        "finding",
        sa.Column(
            "round", sa.BigInteger(), autoincrement=False, nullable=False, server_default="0"
        ),
    )
    op.add_column("scan", sa.Column("region", sa.Text(), nullable=True))
    op.create_table(
        "finding_move",
        _text("finding"),
        _big("n"),
        _text("status"),
        _big("at"),
        _text("by", null=True),
        _text("why"),
        sa.PrimaryKeyConstraint("finding", "n"),
    )
    op.create_table(
        "lot_sale",
        _big("stream"),
        _text("subject"),
        _big("lot"),
        _big("seq"),
        _text("record"),
        _big("sold_at"),
        sa.PrimaryKeyConstraint("stream", "subject"),
    )
    op.create_index("lot_sale_lot", "lot_sale", ["lot", "sold_at"])
    op.create_table(
        "review_sign",
        _big("stream"),
        _big("seq"),
        _text("record"),
        _text("seller"),
        _text("month"),
        _text("gtin"),
        _text("category"),
        _big("rating"),
        _big("at"),
        _big("sold_at"),
        _big("sale_seq"),
        _big("signed_at", null=True),
        sa.PrimaryKeyConstraint("stream", "seq"),
    )
    op.create_index("review_sign_seller", "review_sign", ["seller", "month", "at"])
    op.create_index("review_sign_category", "review_sign", ["category", "at"])
