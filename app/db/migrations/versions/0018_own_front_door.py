"""What waits for a decision is found, and so is what buyers say to a seller. `suxin reindex` fills it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.db.migrations import online

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ENTRIES = "status IN ('objected', 'repair_asked')"
_MATTERS = "status IN ('objected', 'removal_asked', 'questioned')"


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def upgrade() -> None:
    with online.beside_the_service():
        online.create_table(
            "voice",
            _big("stream"),
            _big("seq"),
            _text("id"),
            _text("kind"),
            _text("seller"),
            _text("platform", null=True),
            _text("gtin"),
            _text("subject"),
            _big("rating", null=True),
            _text("category", null=True),
            _big("at"),
            _big("answered_at", null=True),
            _big("proposed_at", null=True),
            _big("settled_at", null=True),
            _big("ended_at", null=True),
            _text("referred_to", null=True),
            _big("referred_at", null=True),
            sa.PrimaryKeyConstraint("stream", "seq"),
        )
        online.create_index("voice_seller", "voice", ["seller", "kind", "at"])
        for name, column in (("voice_platform", "platform"), ("voice_referred", "referred_to")):
            online.create_index(name, "voice", [column, "at"], only=f"{column} IS NOT NULL")
        online.create_index("credit_entry_undecided", "credit_entry", ["status"], only=_ENTRIES)
        online.create_index("matter_undecided", "matter", ["status"], only=_MATTERS)
