"""Runs migrations on the engine that app.db.schema hands over.

Each in a transaction of its own, but for what app.db.migrations.online does beside a service.
"""

from __future__ import annotations

import time

from alembic import context
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

import app.db.tables  # noqa: F401 - fills the metadata
from app.db.schema import MigrationStopped

# Any number that nobody else uses: of two who migrate at once, one waits for the other.
TURN = 0x53555849
PAUSE_S = 0.1


def take_turn(connection: Connection) -> None:
    """Returns once nobody else migrates. Raises MigrationStopped where one does for too long.

    Asked again and again: who waits inside a statement looks at an old state of the database, and the
    one waited for may be building an index, which waits for that.
    """
    until = time.monotonic() + lock_ms / 1000
    while True:
        had = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({TURN})").scalar_one()
        connection.commit()
        if had:
            return
        if time.monotonic() > until:
            at = MigrationContext.configure(connection).get_current_revision()
            raise MigrationStopped("migration_waited", at=at or "-")
        time.sleep(PAUSE_S)


engine = context.config.attributes["engine"]
lock_ms, statement_ms = context.config.attributes["timeouts_ms"]
with engine.connect() as connection:
    postgresql = connection.dialect.name == "postgresql"
    if postgresql:
        # A migration must never queue behind a long reader and stop the service behind itself.
        connection.exec_driver_sql(f"SET lock_timeout = {lock_ms}")
        connection.exec_driver_sql(f"SET statement_timeout = {statement_ms}")
        # Between the statements of a step that moves data there may be work: neither the server nor a
        # service beside it (app.db.stalled) takes it for one that stands still.
        connection.exec_driver_sql("SET application_name = 'suxin migrate'")
        connection.exec_driver_sql("SET idle_in_transaction_session_timeout = 0")
        connection.commit()
        take_turn(connection)
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
