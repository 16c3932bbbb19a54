"""A device's looks are found, so that whoever has it can see and erase them."""

from __future__ import annotations

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("scan_device", "scan", ["device"], unique=False)
