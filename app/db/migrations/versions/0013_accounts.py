"""People who sign in, and merchants who apply."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _big(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), autoincrement=False, nullable=null)


def _text(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _bytes(name: str, *, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def upgrade() -> None:
    op.add_column("api_key", sa.Column("used_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "account",
        _text("id"),
        _text("name"),
        _text("party", null=True),
        _text("role"),
        _text("scopes"),
        _text("region", null=True),
        _text("password", null=True),
        _big("password_at"),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        _bytes("totp_sealed", null=True),
        _bytes("totp_key", null=True),
        _big("totp_step"),
        _big("created_at"),
        _text("created_by", null=True),
        _big("seen_at", null=True),
        _big("disabled_at", null=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index("account_party", "account", ["party"], unique=False)
    op.create_table(
        "recovery_code",
        _text("account"),
        _bytes("digest"),
        _big("used_at", null=True),
        sa.PrimaryKeyConstraint("account", "digest"),
    )
    op.create_table(
        "signed_session",
        _bytes("digest"),
        _text("id"),
        _text("account"),
        _text("stage"),
        _text("address"),
        _text("agent"),
        _big("created_at"),
        _big("confirmed_at"),
        _big("seen_at"),
        _big("until_at"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("signed_session_account", "signed_session", ["account"], unique=False)
    op.create_index("signed_session_until", "signed_session", ["until_at"], unique=False)
    op.create_table(
        "sign_in_try",
        _bytes("digest"),
        _big("failures"),
        _big("last_at"),
        _big("until_at"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("sign_in_try_last", "sign_in_try", ["last_at"], unique=False)
    op.create_table(
        "account_event",
        _text("id"),
        _text("account"),
        _big("at"),
        _text("kind"),
        _text("detail"),
        _text("by", null=True),
        _text("address"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("account_event_account", "account_event", ["account", "at"], unique=False)
    op.create_table(
        "invitation",
        _bytes("digest"),
        _text("id"),
        _text("party", null=True),
        _text("role"),
        _text("scopes"),
        _text("region", null=True),
        _text("label"),
        _text("created_by", null=True),
        _big("created_at"),
        _big("until_at"),
        _big("ended_at", null=True),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("invitation_party", "invitation", ["party"], unique=False)
    op.create_table(
        "application",
        _text("id"),
        _text("account"),
        _text("uscc"),
        _text("name"),
        _text("roles"),
        _text("region", null=True),
        _text("licences"),
        _bytes("contact", null=True),
        _bytes("contact_key", null=True),
        _text("status"),
        _text("reason", null=True),
        _big("created_at"),
        _big("decided_at", null=True),
        _text("decided_by", null=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("application_status", "application", ["status", "created_at"], unique=False)
