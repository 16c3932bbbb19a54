"""Documents that parties hand in, and which records name them."""

from __future__ import annotations

import sqlalchemy as sa

from app.db.migrations import online

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with online.beside_the_service():
        online.create_table(
            "document",
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("digest", sa.Text(), nullable=False),
            sa.Column("kind", sa.Text(), nullable=False),
            sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("kept_at", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("waits_until", sa.BigInteger(), autoincrement=False, nullable=True),
            sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
            sa.Column("name_key", sa.LargeBinary(), nullable=False),
            sa.Column("sealed", sa.LargeBinary(), nullable=False),
            sa.Column("wrapped_key", sa.LargeBinary(), nullable=False),
            sa.PrimaryKeyConstraint("party", "digest"),
        )
        # What records named before is found by `suxin reindex`.
        online.create_table(
            "document_use",
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("digest", sa.Text(), nullable=False),
            sa.Column("about", sa.Text(), nullable=False),
            sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("matter", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("party", "digest", "about", "seq"),
        )
        online.create_index(
            "document_waits", "document", ["waits_until"], only="waits_until IS NOT NULL"
        )
        online.create_index("document_kept", "document", ["kept_at"])
        online.create_index("document_use_about", "document_use", ["about"])
        online.create_index("document_use_digest", "document_use", ["digest"])
