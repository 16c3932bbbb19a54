"""An old backup that was restored never signs; the newest one, put back, goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.ledger.publisher import DatabaseBehindAnchor, DatabaseContradictsAnchor, LogFault
from tests.databases import DATABASES, sqlite_path
from tests.faults.life import Life
from tests.ledger.ledgers import Ledger

TURNS = 4
Grow = Callable[[int], tuple[Life, Ledger]]


@pytest.fixture
def grow(ledger: Ledger, tmp_path: Path) -> Iterator[Grow]:
    """Returns a life, and the ledger on a backup of it that is so many turns old, beside the keys, which
    were never restored."""
    restored: list[Ledger] = []

    def grown(age: int) -> tuple[Life, Ledger]:
        life = Life(ledger).begin()
        backup = tmp_path / "backup"
        for left in reversed(range(TURNS)):
            life.turn()
            life.look()
            if left == age:
                back_up(life.ledger, backup)
        url = restore(life.ledger, backup, tmp_path / "restored")
        restored.append(Ledger(url, ledger.keys_dir, clock=ledger.clock))
        return life, restored[-1]

    yield grown
    for one in restored:
        one.close()
        DATABASES.drop(one.url)


def back_up(ledger: Ledger, backup: Path) -> None:
    """Copies SQLite's file; takes a dump of PostgreSQL."""
    if ledger.database.dialect == "postgresql":
        DATABASES.server().dump(ledger.url, backup)
        return
    ledger.database.truncate_log()
    shutil.copyfile(sqlite_path(ledger.url), backup)


def restore(ledger: Ledger, backup: Path, folder: Path) -> str:
    kind = ledger.database.dialect
    folder.mkdir()
    url = DATABASES.empty(folder, kind=kind)
    if kind == "postgresql":
        DATABASES.server().restore(backup, url)
    else:
        shutil.copyfile(backup, sqlite_path(url))
    return url


@pytest.mark.parametrize("age", [1, 2, 3])
def test_an_old_copy_is_refused_at_the_start_and_at_every_checkpoint(grow, age, tried):
    life, old = grow(age)
    with pytest.raises(DatabaseBehindAnchor):
        old.publisher.check_start()
    anchored = life.ledger.anchor.read()
    # Who starts it all the same, past the check, and feeds it until it is as large, forks nothing.
    imposter = Life(old)
    for _ in range(age + 2):
        imposter.turn()
    assert {"DatabaseBehindAnchor", "DatabaseContradictsAnchor"} & set(imposter.faults)
    with pytest.raises(LogFault):
        old.publisher.publish()
    assert life.ledger.anchor.read() == anchored
    life.settle()
    tried("an old backup restored", life.ledger.database.dialect, 1)


def test_a_copy_as_large_as_what_was_signed_with_other_records_is_refused(grow):
    life, old = grow(TURNS - 1)
    while old.size < life.ledger.size:
        old.add()
        old.sequence()
    with pytest.raises(DatabaseContradictsAnchor):
        old.publisher.check_start()


def test_the_newest_copy_goes_on(grow):
    life, back = grow(0)
    back.publisher.check_start()
    life.ledger = back
    life.turn()
    life.settle()
