"""The one place where tests get a database: SQLite, or what `--database` says.

Everything that serves, or opens a deployment, asks here, so that the same tests run on both. Not a
fixture alone, because a deployment of a drill is made outside of any.
"""

from __future__ import annotations

import itertools
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.postgres import PostgresServer, postgres_server

KINDS = ("sqlite", "postgresql")
_TEMPLATE = "template_suxin"

# What tampering hands are used to from SQLite.
_LIKE_SQLITE = """
CREATE OR REPLACE FUNCTION zeroblob(bigint) RETURNS bytea LANGUAGE sql
  AS $$ SELECT decode(repeat('00', $1::int), 'hex') $$;
CREATE OR REPLACE FUNCTION replace(bytea, text, text) RETURNS bytea LANGUAGE sql
  AS $$ SELECT decode(replace(encode($1, 'hex'), encode(convert_to($2, 'UTF8'), 'hex'),
                              encode(convert_to($3, 'UTF8'), 'hex')), 'hex') $$;
"""

Run = Callable[..., list[Any]]


class Databases:
    """The databases of one test process. `kind`: of those that a deployment gets."""

    def __init__(self) -> None:
        self.kind = "sqlite"
        self._numbers = itertools.count()
        self._open = ExitStack()
        self._server: PostgresServer | None = None
        self._migrated = False
        self._file: Path | None = None

    # --- the two kinds -------------------------------------------------------------------------

    def server(self) -> PostgresServer:
        """Returns this process's PostgreSQL, started by the first who asks."""
        if self._server is None:
            self._server = self._open.enter_context(postgres_server())
        return self._server

    def postgres_template(self) -> str:
        """Returns the name of a migrated database that nobody is connected to."""
        if not self._migrated:
            self.server().execute(f"CREATE DATABASE {_TEMPLATE}")
            _migrate(self.server().url(_TEMPLATE))
            self._migrated = True
        return _TEMPLATE

    def sqlite_template(self) -> Path:
        """Returns a migrated SQLite file; copy it, never open it."""
        if self._file is None:
            path = self.folder() / "suxin.db"
            _migrate(_sqlite_url(path))
            assert not path.with_name("suxin.db-wal").exists(), "the template is not one whole file"
            self._file = path
        return self._file

    def folder(self) -> Path:
        """Returns a new folder for what this process makes once."""
        made = tempfile.TemporaryDirectory(prefix="suxin-tests-")
        return Path(self._open.enter_context(made))

    def close(self) -> None:
        """Stops the server and removes every file."""
        self._open.close()
        self._server, self._migrated, self._file = None, False, None

    # --- a database ----------------------------------------------------------------------------

    def new(self, folder: Path, *, kind: str | None = None) -> str:
        """Returns the URL of a fresh migrated database; SQLite's is `suxin.db` in `folder`."""
        if (kind or self.kind) == "sqlite":
            folder.mkdir(parents=True, exist_ok=True)
            return _sqlite_url(Path(shutil.copyfile(self.sqlite_template(), folder / "suxin.db")))
        return self.copy(self.server().url(self.postgres_template()), folder)

    def empty(self, folder: Path, *, kind: str | None = None) -> str:
        """Returns the URL of a database without any table, as an operator hands it over."""
        if (kind or self.kind) == "sqlite":
            return _sqlite_url(folder / "suxin.db")
        name = f"test_{next(self._numbers)}"
        self.server().execute(f"CREATE DATABASE {name}")
        return self.server().url(name)

    def copy(self, url: str, folder: Path) -> str:
        """Returns the URL of a copy. SQLite's may be in use; PostgreSQL's must not."""
        if url.startswith("sqlite"):
            import sqlite3

            folder.mkdir(parents=True, exist_ok=True)
            target = folder / "suxin.db"
            with (
                closing(sqlite3.connect(sqlite_path(url))) as old,
                closing(sqlite3.connect(target)) as new,
            ):
                old.backup(new)
            return _sqlite_url(target)
        name = f"test_{next(self._numbers)}"
        self.server().execute(_copied(name, _name(url)))
        return self.server().url(name)

    def put_back(self, url: str, copied: str) -> None:
        """Makes the database what an earlier copy of it is, as somebody who restores a backup."""
        if url.startswith("sqlite"):
            path = sqlite_path(url)
            for suffix in ("-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            shutil.copyfile(sqlite_path(copied), path)
            return
        self.server().execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")
        self.server().execute(_copied(_name(url), _name(copied)))

    def drop(self, url: str) -> None:
        """Removes a PostgreSQL database, whoever is connected; SQLite's goes with its folder."""
        if not url.startswith("sqlite"):
            self.server().execute(f"DROP DATABASE {_name(url)} WITH (FORCE)")


DATABASES = Databases()


def sqlite_path(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


@contextmanager
def opened(url: str, *, guarded: bool = True) -> Iterator[Run]:
    """Yields a function that runs SQL as somebody with the disk does, in one transaction.

    `?` stands for a value. guarded: whether the database may refuse to change a record.
    """
    if url.startswith("sqlite"):
        import sqlite3

        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None, timeout=30)) as file:
            file.execute("BEGIN IMMEDIATE")
            run = _runner(file.execute)
            triggers = run("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            for name, _ in [] if guarded else triggers:
                run(f'DROP TRIGGER "{name}"')
            yield run
            for _, statement in [] if guarded else triggers:
                run(statement)
            file.execute("COMMIT")
        return
    with psycopg.connect(url) as connection:
        run = _runner(lambda sql, values: connection.execute(_in_dialect(sql), values or None))
        if not guarded:
            connection.execute(_LIKE_SQLITE)
            run("SET LOCAL session_replication_role = 'replica'")
        yield run


@contextmanager
def commits(url: str) -> Iterator[Callable[[], object]]:
    """Yields a function whose answer stays the same as long as nobody commits a change."""
    if url.startswith("sqlite"):
        import sqlite3

        with closing(sqlite3.connect(sqlite_path(url), isolation_level=None)) as file:
            yield lambda: file.execute("PRAGMA data_version").fetchone()
        return
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda: connection.execute("SELECT pg_current_snapshot()::text").fetchone()


def stored_values(url: str) -> bytes:
    """Returns every text and every run of bytes that stands in a row of a PostgreSQL database."""
    from sqlmodel import SQLModel

    with opened(url) as run:
        rows = [row for name in SQLModel.metadata.tables for row in run(f'SELECT * FROM "{name}"')]
    values = [value.encode() if isinstance(value, str) else value for row in rows for value in row]
    return b"\n".join(value for value in values if isinstance(value, bytes))


def _runner(execute: Callable[[str, Sequence[Any]], Any]) -> Run:
    def run(statement: str, *values: Any) -> list[Any]:
        found = execute(statement, values)
        return list(found.fetchall()) if found.description else [found.rowcount]

    return run


def _in_dialect(statement: str) -> str:
    statement = re.sub(r"\bx'([0-9a-f]*)'", r"'\\x\1'::bytea", statement)
    return re.sub(r"\?", "%s", statement)


def _copied(name: str, template: str) -> str:
    """Files are copied as they are: to log every page of them costs three times as much."""
    return f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"


def _migrate(url: str) -> None:
    from app.db.engine import Database
    from app.db.schema import migrate

    database = Database(url)
    migrate(database)
    database.truncate_log()
    database.close()


def _sqlite_url(path: Path) -> str:
    from app.db.engine import sqlite_url

    return sqlite_url(path)


def _name(url: str) -> str:
    found = re.search(r"/(\w+)\?", url)
    assert found is not None, url
    return found.group(1)
