"""Imports of spreadsheets: jobs, their rows, and how a party's columns are called."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _bytes(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=True)


def upgrade() -> None:
    op.create_table(
        "import_job",
        _text("id"),
        _text("party"),
        _text("kind"),
        _text("status"),
        _big("total"),
        _text("about"),
        _text("error", null=True),
        _big("created_at"),
        _big("finished_at", null=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("import_job_party", "import_job", ["party", "created_at"], unique=False)
    op.create_index("import_job_status", "import_job", ["status"], unique=False)
    op.create_table(
        "import_row",
        _text("job"),
        _big("n"),
        _big("row"),
        _text("outcome"),
        _bytes("sealed"),
        _bytes("wrapped_key"),
        _text("problems", null=True),
        sa.PrimaryKeyConstraint("job", "n"),
    )
    op.create_index("import_row_outcome", "import_row", ["job", "outcome", "n"], unique=False)
    op.create_table(
        "import_mapping",
        _text("party"),
        _text("kind"),
        _text("name"),
        _text("mapping"),
        _big("updated_at"),
        sa.PrimaryKeyConstraint("party", "kind", "name"),
    )
