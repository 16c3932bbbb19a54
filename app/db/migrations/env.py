"""Runs migrations, each in a transaction of its own, on the engine that app.db.schema hands over."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import app.db.tables  # noqa: F401 - fills the metadata

engine = context.config.attributes["engine"]
lock_ms, statement_ms = context.config.attributes["timeouts_ms"]
# Any number that nobody else uses: of two who migrate at once, one waits for the other.
TURN = 0x53555849
with engine.connect() as connection:
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        # A migration must never queue behind a long reader and stop the service behind itself.
        connection.exec_driver_sql(f"SET lock_timeout = {lock_ms}")
        connection.exec_driver_sql(f"SET statement_timeout = {statement_ms}")
        # Between the statements of a step that moves data there may be work.
        connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({TURN})")
        connection.commit()
    try:
        context.configure(
            connection=connection,
            target_metadata=SQLModel.metadata,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    finally:
        if postgresql:
            # With all that was set for it: the connection is not used again.
            connection.invalidate()
