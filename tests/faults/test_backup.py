"""An old backup that was restored never signs; the newest one, put back, goes on."""

from __future__ import annotations

import shutil

import pytest

from app.ledger.publisher import DatabaseBehindAnchor, DatabaseContradictsAnchor, LogFault
from tests.faults.life import Life
from tests.ledger.ledgers import Ledger


@pytest.fixture
def grown(sqlite_ledger, tmp_path):
    """A life, and copies of its database after each turn."""
    life = Life(sqlite_ledger).begin()
    copies = []
    for n in range(4):
        life.turn()
        life.look()
        life.ledger.database.truncate_log()
        copies.append(shutil.copyfile(tmp_path / "suxin.db", tmp_path / f"copy{n}.db"))
    return life, copies


def restore(life: Life, copy) -> Ledger:
    """The ledger on a backup, beside the keys that were never restored."""
    folder = copy.with_suffix("")
    folder.mkdir(exist_ok=True)
    shutil.copyfile(copy, folder / "suxin.db")
    return Ledger(f"sqlite:///{folder / 'suxin.db'}", life.ledger.keys_dir, clock=life.ledger.clock)


@pytest.mark.parametrize("age", [1, 2, 3])
def test_an_old_copy_is_refused_at_the_start_and_at_every_checkpoint(grown, age, tried):
    life, copies = grown
    old = restore(life, copies[-1 - age])
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
    old.close()
    life.settle()
    tried("an old backup restored", "sqlite", 1)


def test_a_copy_as_large_as_what_was_signed_with_other_records_is_refused(grown):
    life, copies = grown
    old = restore(life, copies[0])
    while old.size < life.ledger.size:
        old.add()
        old.sequence()
    with pytest.raises(DatabaseContradictsAnchor):
        old.publisher.check_start()
    old.close()


def test_the_newest_copy_goes_on(grown):
    life, copies = grown
    back = restore(life, copies[-1])
    back.publisher.check_start()
    life.ledger.close()
    life.ledger = back
    life.turn()
    life.settle()
    back.close()
