"""What every test may ask for: real databases, migrated once and copied; the outside vectors."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.fakes import FakeClock
from tests.postgres import PostgresServer, postgres_server

ROOT = Path(__file__).resolve().parents[1]

# The same examples each time in CI, so that a red run can be had again; new ones at every desk.
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")

_numbers = itertools.count()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of vectors from outside; they are no part of this repository."""
    folder = ROOT.parent / "shared" / "vectors"
    if not folder.is_dir():
        pytest.skip(f"no outside vectors at {folder}")
    return folder


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; copy it, never open it."""
    from app.db.engine import Database, sqlite_url

    path = tmp_path_factory.mktemp("template") / "suxin.db"
    database = Database(sqlite_url(path))
    database.migrate()
    database.truncate_log()
    database.close()
    assert not path.with_name("suxin.db-wal").exists(), "the template is not one whole file"
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for this process, started by the first test that needs it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """The name of a migrated database that nobody is connected to."""
    from app.db.engine import Database

    postgres.execute("CREATE DATABASE template_suxin")
    database = Database(postgres.url("template_suxin"))
    database.migrate()
    database.close()
    return "template_suxin"


@pytest.fixture
def sqlite_database_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh copy of the migrated SQLite file."""
    from app.db.engine import sqlite_url

    return sqlite_url(Path(shutil.copyfile(sqlite_template, tmp_path / "suxin.db")))


@pytest.fixture
def postgresql_database_url(postgres: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A fresh copy of the migrated PostgreSQL database; dropped afterwards."""
    name = f"test_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh migrated database of each kind: whatever uses this runs on both."""
    return request.getfixturevalue(f"{request.param}_database_url")


@pytest.fixture
def database(database_url: str) -> Iterator[object]:
    """A `Database` on a fresh migrated copy, of each kind."""
    from app.db.engine import Database

    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """One browser for a module's tests: while it is there, playwright's loop runs in this thread.

    So none may outlive its module: a second one, or asyncio in another test, would find that loop.
    """
    from tests.browser.phone import CHROMIUM, launched

    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM} on this machine (apt-get install chromium)")
    with launched() as opened:
        yield opened
