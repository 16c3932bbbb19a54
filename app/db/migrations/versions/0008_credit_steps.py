"""What happens to a credit entry: its steps, and when time moves it next."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credit_entry", sa.Column("next_at", sa.BigInteger(), nullable=True))
    op.add_column("credit_entry", sa.Column("object_until", sa.BigInteger(), nullable=True))
    op.add_column("credit_entry", sa.Column("actor", sa.Text(), nullable=True))
    op.add_column("credit_entry", sa.Column("approximate", sa.Boolean(), nullable=True))
    # Entries made before have their dates: time moves them as it moves the new ones.
    op.execute("UPDATE credit_entry SET next_at = effective_at WHERE status = 'notice'")
    op.execute("UPDATE credit_entry SET next_at = expires_at WHERE status = 'effective'")
    op.create_index("credit_entry_next", "credit_entry", ["next_at"])
    op.create_table(
        "credit_step",
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("more", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry", "seq"),
    )
    op.create_index("credit_step_party", "credit_step", ["party"])
    op.create_index("sold_unit_sold", "sold_unit", ["seller", "sold_at"])
