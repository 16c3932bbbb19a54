"""Licences told after a registration, and measures until they are published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from app.db.migrations import online

revision = "0023"
down_revision = "0021"
branch_labels = None
depends_on = None

_PAGE = 500
_PARTIES = sa.text(
    "SELECT id, licences FROM party WHERE id > :after AND licences <> '[]' ORDER BY id LIMIT :most"
)
_INSERT = sa.text(
    "INSERT INTO licence (party, licence, kind, number, ends_on)"
    " VALUES (:party, :licence, :kind, :number, :ends_on) ON CONFLICT (party, licence) DO NOTHING"
)


def upgrade() -> None:
    with online.beside_the_service():
        online.create_table(
            "licence",
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("licence", sa.Text(), nullable=False),
            sa.Column("kind", sa.Text(), nullable=False),
            sa.Column("number", sa.Text(), nullable=False),
            sa.Column("ends_on", sa.Text(), nullable=True),
            sa.Column("told_at", sa.BigInteger(), autoincrement=False, nullable=True),
            sa.PrimaryKeyConstraint("party", "licence"),
        )
        # Measures that stand already are found by `suxin reindex`.
        online.create_table(
            "measure",
            sa.Column("party", sa.Text(), nullable=False),
            sa.Column("id", sa.Text(), nullable=False),
            sa.Column("kind", sa.Text(), nullable=False),
            sa.Column("basis", sa.Text(), nullable=False),
            sa.Column("authority", sa.Text(), nullable=False),
            sa.Column("decided_at", sa.BigInteger(), autoincrement=False, nullable=False),
            sa.Column("published_on", sa.Text(), nullable=True),
            sa.Column("url", sa.Text(), nullable=True),
            sa.PrimaryKeyConstraint("party", "id"),
        )
        # Whom the release before registers from now on `suxin reindex` adds.
        connection = op.get_bind()
        with online.filling():
            for rows in _registered(connection):
                connection.execute(_INSERT, rows)
        online.create_index("licence_number", "licence", ["number"])
        online.create_index("licence_ends", "licence", ["ends_on"], only="ends_on IS NOT NULL")
        online.create_index("licence_waits", "licence", ["told_at"], only="told_at IS NOT NULL")
        online.create_index(
            "measure_due", "measure", ["authority", "decided_at"], only="published_on IS NULL"
        )
        online.create_index("measure_authority", "measure", ["authority", "decided_at"])


def _registered(connection: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    """Yields the rows of the licences that parties were registered with, a few hundred parties at once."""
    after = ""
    while True:
        found = list(connection.execute(_PARTIES, {"after": after, "most": _PAGE}))
        rows = [
            {
                "party": party,
                "licence": _id(one["kind"], one["number"]),
                "kind": one["kind"],
                "number": one["number"],
                "ends_on": one.get("valid_until"),
            }
            for party, licences in found
            for one in json.loads(licences)
        ]
        if rows:
            yield rows
        if len(found) < _PAGE:
            return
        after = found[-1].id


def _id(kind: str, number: str) -> str:
    return hashlib.sha256(f"{kind}\n{number}".encode()).hexdigest()[:16]
