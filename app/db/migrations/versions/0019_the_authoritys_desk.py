"""What an authority's people search by, work on, and look at."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from app.db.migrations import online

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_INDEXES = (
    ("party_region", "party", ["region"]),
    ("lot_lot", "lot", ["lot"]),
    ("lot_party", "lot", ["party", "created_at"]),
    ("batch_code_serial", "batch_code", ["serial"]),
    ("access_log_at", "access_log", ["at", "id"]),
    ("access_log_party", "access_log", ["party", "at", "id"]),
    ("finding_work_assignee", "finding_work", ["assignee"]),
    ("finding_note_finding", "finding_note", ["finding", "party", "id"]),
)


def _big(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=False)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=True)


def upgrade() -> None:
    with online.beside_the_service():
        online.add_column("api_key", sa.Column("region", sa.Text(), nullable=True))
        online.add_column("access_log", sa.Column("region", sa.Text(), nullable=True))
        online.create_table(
            "finding_work",
            _text("finding"),
            _text("party"),
            _text("assignee"),
            _big("at"),
            sa.PrimaryKeyConstraint("finding", "party"),
        )
        online.create_table(
            "finding_note",
            _text("id"),
            _text("finding"),
            _text("party"),
            _text("by"),
            _big("at"),
            _text("kind"),
            _text("about"),
            _bytes("sealed"),
            _bytes("wrapped_key"),
            sa.PrimaryKeyConstraint("id"),
        )
        for name, table, columns in _INDEXES:
            online.create_index(name, table, columns)
