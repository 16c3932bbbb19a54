"""What every test may ask for: real databases, migrated once and copied; the outside vectors."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import hypothesis
import pytest

from app.kit.collector import spare_what_stays
from tests.databases import DATABASES, KINDS, Databases
from tests.fakes import FakeClock
from tests.memory import use_memory
from tests.postgres import PostgresServer
from tests.spreading import ByUnit, sort_by_unit

ROOT = Path(__file__).resolve().parents[1]

# The same examples each time in CI, so that a red run can be had again; new ones at every desk. How long
# an example takes is said by no test: it depends on what else the machine does.
_ANY_SPEED: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}
hypothesis.settings.register_profile("ci", derandomize=True, print_blob=True, **_ANY_SPEED)
hypothesis.settings.register_profile("desk", **_ANY_SPEED)
hypothesis.settings.register_profile("long", max_examples=2000, **_ANY_SPEED)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")

# What a test may hold that opens a database by itself, without asking for a fixture.
_SQLITES_OWN = ("sqlite_ledger", "sqlite_template", "sqlite_database_url")
_POSTGRESQLS_OWN = ("postgresql_database_url", "postgres")
_OPENERS = ("tests.databases", "tests.drills.deployment", "tests.web.market", "app.demo")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=KINDS,
        help="run what touches a database on this kind alone. Without it, what serves a deployment "
        "runs on SQLite, and what opens a database alone on both. With postgresql, tests that touch "
        "no database are left out: they have nothing new to say.",
    )
    parser.addoption(
        "--pictures", help="an existing folder for pictures of the pages that are tested"
    )


def pytest_configure(config: pytest.Config) -> None:
    use_memory()
    DATABASES.kind = config.getoption("database") or "sqlite"


def pytest_unconfigure() -> None:
    gc.unfreeze()  # else zxing-cpp says that what it made was never freed
    DATABASES.close()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what touches a database, and leaves out what `--database` does not ask for."""
    chosen = config.getoption("database")
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    unseen: list[str] = []
    for item in items:
        touches = _touches_database(item)
        if "postgresql" in _parameters(item) and not touches:
            unseen.append(item.nodeid)
        if touches:
            item.add_marker("database")
        about = _about_sqlite(item)
        if about and chosen == "postgresql":
            item.add_marker(pytest.mark.skip(reason=f"about SQLite: {about}"))
        kinds = set(KINDS) & (_parameters(item) | _about_postgresql(item))
        wanted = chosen is None or (kinds <= {chosen} and (touches or chosen == "sqlite"))
        (kept if wanted else left).append(item)
    if unseen:  # which would run on PostgreSQL never, and nobody would miss it
        raise pytest.UsageError(f"name a database and ask for none: {', '.join(unseen)}")
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept
    sort_by_unit(items)


def pytest_collection_finish() -> None:
    """Has the collector pass over what was imported, as in a process that serves."""
    spare_what_stays()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByUnit | None:
    """Spreads by tests/spreading.py, unless `--dist` says how."""
    return ByUnit(config, log) if config.getoption("dist") == "load" else None


def _touches_database(item: pytest.Item) -> bool:
    if "databases" in getattr(item, "fixturenames", ()):
        return True
    return _opens_databases(getattr(item, "module", None))


@cache
def _opens_databases(module: ModuleType | None) -> bool:
    held = vars(module or object).values()
    return any(str(getattr(one, "__module__", "")).startswith(_OPENERS) for one in held)


def _about_sqlite(item: pytest.Item) -> str:
    """Returns why a test is about SQLite itself, or nothing."""
    marked = item.get_closest_marker("sqlite_only")
    if marked is not None:
        return str(marked.args[0])
    asked = [name for name in getattr(item, "fixturenames", ()) if name in _SQLITES_OWN]
    return f"it asks for a {asked[0]}" if asked else ""


def _about_postgresql(item: pytest.Item) -> set[object]:
    """Returns the kind of what asks for PostgreSQL by name: it has nothing else to say on SQLite."""
    asked = set(getattr(item, "fixturenames", ())) & set(_POSTGRESQLS_OWN)
    return {"postgresql"} if asked else set()


def _parameters(item: pytest.Item) -> set[object]:
    spec = getattr(item, "callspec", None)
    values = spec.params.values() if spec is not None else ()
    return {value for value in values if isinstance(value, str)}


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
def databases() -> Databases:
    """Where databases come from. Whoever asks for this, however indirectly, runs on both kinds."""
    return DATABASES


@pytest.fixture(scope="session")
def sqlite_template(databases: Databases) -> Path:
    """A migrated SQLite file; copy it, never open it."""
    return databases.sqlite_template()


@pytest.fixture(scope="session")
def postgres(databases: Databases) -> PostgresServer:
    """One server for this process, started by the first test that needs it."""
    return databases.server()


@pytest.fixture
def sqlite_database_url(databases: Databases, tmp_path: Path) -> str:
    """A fresh copy of the migrated SQLite file."""
    return databases.new(tmp_path, kind="sqlite")


@pytest.fixture
def postgresql_database_url(databases: Databases, tmp_path: Path) -> Iterator[str]:
    """A fresh copy of the migrated PostgreSQL database; dropped afterwards."""
    url = databases.new(tmp_path, kind="postgresql")
    yield url
    databases.drop(url)


@pytest.fixture
def one_database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """A fresh migrated database of the kind that `--database` says."""
    return request.getfixturevalue(f"{databases.kind}_database_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
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
