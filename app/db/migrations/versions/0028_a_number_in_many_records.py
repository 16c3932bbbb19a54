"""The keyed index in the order of streams, so that of a number in many records a part can be read."""

from __future__ import annotations

from app.db.migrations import online

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with online.beside_the_service():
        online.create_index("side_index_told", "side_index", ["digest", "stream", "seq", "kind"])
        # The release before looks for a digest alone, which the new one begins with.
        online.drop_index("side_index_digest", "side_index")
