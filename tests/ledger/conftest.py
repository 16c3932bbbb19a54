"""A ledger of each kind of database, and what is logged beside it."""

from __future__ import annotations

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
    """For what is about SQLite itself."""
    opened = Ledger(sqlite_database_url, tmp_path / "keys", clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def quick_ledger(one_database_url: str, tmp_path: Path, clock: Any) -> Iterator[Ledger]:
    """Of the kind that `--database` says: for what has little to do with the kind, and takes long."""
    opened = Ledger(one_database_url, tmp_path / "keys", clock=clock)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def scene(request: Any, databases: Any, tmp_path_factory: Any) -> Iterator[Scene]:
    """One scene of each kind for a whole module; drills undo what they do."""
    folder = tmp_path_factory.mktemp("scene")
    url = databases.new(folder, kind=request.param)
    ledger = Ledger(url, folder / "keys", clock=FakeClock())
    yield Scene(ledger)
    ledger.close()
    databases.drop(url)
