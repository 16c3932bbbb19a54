"""A ledger of each kind of database, and what is logged beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

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
