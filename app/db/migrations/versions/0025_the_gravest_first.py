"""Findings by how grave they are, and recalls by when they began, each read by an index."""

from __future__ import annotations

from app.db.migrations import online

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_GRAVE = (
    "(substr(kind, 1, 10) = 'integrity.' OR substr(kind, 1, 4) = 'log.'"
    " OR substr(kind, 1, 6) = 'index.')"
)
_SERIOUS = (
    "(substr(kind, 1, 9) IN ('identity.', 'brushing.')"
    " OR substr(kind, 1, 8) IN ('licence.', 'listing.'))"
)
_KINDS = {"grave": _GRAVE, "serious": _SERIOUS, "ordinary": f"(NOT ({_GRAVE} OR {_SERIOUS}))"}


def upgrade() -> None:
    with online.beside_the_service():
        for name, kinds in _KINDS.items():
            online.create_index(f"finding_{name}", "finding", ["status", "opened_at"], only=kinds)
        online.create_index("recall_since", "recall", ["since_at"])
