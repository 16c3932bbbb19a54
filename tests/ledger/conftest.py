"""A ledger of each kind of database, and what is logged beside it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.fakes import FakeClock
from tests.ledger.drills import Scene
from tests.ledger.ledgers import Ledger


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """Everything logged during the test. (Shown, a traceback with its variables takes a second.)"""
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture
def ledger(database_url: str, tmp_path: Path, clock: Any) -> Iterator[Ledger]:
    opened = Ledger(database_url, tmp_path / "keys", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_ledger(sqlite_database_url: str, tmp_path: Path, clock: Any) -> Iterator[Ledger]:
    """For what does not touch the database's own behaviour, and takes long."""
    opened = Ledger(sqlite_database_url, tmp_path / "keys", clock=clock)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def scene(request: Any, tmp_path_factory: Any) -> Iterator[Scene]:
    """One scene of each kind for a whole module; drills undo what they do."""
    from app.db.engine import sqlite_url

    folder = tmp_path_factory.mktemp("scene")
    name = f"scene_{request.module.__name__.rsplit('.')[-1]}"
    if request.param == "sqlite":
        template = request.getfixturevalue("sqlite_template")
        url = sqlite_url(shutil.copyfile(template, folder / "suxin.db"))
    else:
        postgres = request.getfixturevalue("postgres")
        template = request.getfixturevalue("postgres_template")
        postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        url = postgres.url(name)
    ledger = Ledger(url, folder / "keys", clock=FakeClock())
    yield Scene(ledger)
    ledger.close()
    if request.param == "postgresql":
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")
