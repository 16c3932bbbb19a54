"""The schema's revision: whether it is the program's, what a migration would do, and doing it.

Forward only. A database that is newer than the program is served all the same, because a migration
only adds (tests/db/test_migrations.py): the release before goes on while hosts are changed one by one.
Only to migrate it is refused.

Alembic is imported by what migrates alone: it takes 10 MB and every migration, and whoever serves asks only
for a number.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import String, column, inspect, select, table
from sqlalchemy.exc import OperationalError

from app.db.distribute import distribute
from app.db.engine import Database
from app.kit.errors import Fault

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).with_name("migrations")
_VERSION = table("alembic_version", column("version_num", String))  # Alembic's own
LOCK_TIMEOUT_S = 4.0
STATEMENT_TIMEOUT_S = 3600.0

# lock_not_available, query_canceled
_TIMED_OUT = {"55P03": "migration_waited", "57014": "migration_too_long"}


class DatabaseBehind(Fault):
    """The schema is older than the program."""


class DatabaseNewer(Fault):
    """The schema was made by a later release."""


class MigrationStopped(Fault):
    """A time-out ended a step; the steps before it are done, and it can be run again."""


@dataclass(frozen=True, slots=True)
class Step:
    """A revision that is missing. title: what it brings."""

    revision: str
    title: str


def revision_of(database: Database) -> str | None:
    """Returns the schema's revision, or None where there is no schema. Read-only."""
    with database.read() as connection:
        if not inspect(connection).has_table(_VERSION.name):
            return None
        return connection.execute(select(_VERSION.c.version_num)).scalar()


def missing_steps(database: Database) -> list[Step]:
    """Returns what `migrate` would do, in order. Read-only. Raises DatabaseNewer."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    at = revision_of(database)
    if is_newer(at):
        raise DatabaseNewer("database_newer", revision=at, newest=_newest())
    found = ScriptDirectory(str(MIGRATIONS)).iterate_revisions("head", at or "base")
    steps = [Step(one.revision, (one.doc or "").strip()) for one in found]
    return steps[::-1]


def migrate(
    database: Database,
    *,
    lock_timeout_s: float = LOCK_TIMEOUT_S,
    statement_timeout_s: float = STATEMENT_TIMEOUT_S,
) -> list[Step]:
    """Brings the schema to the program's revision, step by step; returns the steps.

    What ends half-way goes on when it is called again: a step is one transaction or may be run again from
    any point (app.db.migrations.online).

    lock_timeout_s: how long a step may wait behind others, who then wait behind it.
    statement_timeout_s: how long a statement may run. PostgreSQL only; SQLite waits for its one
    writer. Raises DatabaseNewer, MigrationStopped.
    """
    from alembic import command  # noqa: PLC0415 - see above

    steps = missing_steps(database)
    timeouts_s = (lock_timeout_s, statement_timeout_s)
    try:
        command.upgrade(_config(database, timeouts_s), "head")
        distribute(database)
    except OperationalError as err:
        key = _TIMED_OUT.get(str(getattr(err.orig, "sqlstate", None)))
        if key is None:
            raise
        raise MigrationStopped(key, at=revision_of(database) or "-") from err
    return steps


def check_current(database: Database) -> None:
    """Returns if the schema is the program's or newer. Read-only. Raises DatabaseBehind."""
    at = revision_of(database)
    if at != _newest() and not is_newer(at):
        raise DatabaseBehind("database_behind", revision=at or "-", newest=_newest())


def is_served(database: Database) -> bool:
    """Returns whether the schema is the program's or newer. Read-only."""
    at = revision_of(database)
    return at == _newest() or is_newer(at)


def is_newer(revision: str | None) -> bool:
    """Whether a later release made this revision; they are numbered."""
    newest = _newest()
    return revision is not None and revision.isdigit() and int(revision) > int(newest)


def _config(database: Database, timeouts_s: tuple[float, float]) -> Config:
    """Returns what migrations/env.py reads. timeouts_s: for a lock, for a statement."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["engine"] = database.writer
    config.attributes["timeouts_ms"] = tuple(int(seconds * 1000) for seconds in timeouts_s)
    return config


def _newest() -> str:
    """Returns the program's revision: migrations are numbered, in their files' names."""
    return max(path.name for path in MIGRATIONS.glob("versions/[0-9]*.py"))[:4]
