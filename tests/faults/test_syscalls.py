"""kill −9 and a failing disk at every system call that writes: database, anchor, folders.

Real calls of a real process, by strace's injection. The whole sweep takes minutes, so the suite does
every n-th; `scripts/drill faults` does all.
"""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest

from tests.faults.life import check_notes, served_keys
from tests.faults.receipts import check_receipts
from tests.faults.tracing import CannotTrace
from tests.faults.victim import run_under
from tests.ledger.ledgers import Ledger, check_log, key_record, submission

CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "write", "rename", "unlink")
STRIDE = 1 if os.environ.get("SUXIN_DRILL") == "all" else 6
FAULTS = {
    "kill -9": "signal=KILL",
    "EIO": "error=EIO",
    "disk full": "error=ENOSPC",
}


@pytest.fixture
def begun(sqlite_database_url, tmp_path) -> Path:
    """A folder with a small ledger that was closed in order."""
    ledger = Ledger(sqlite_database_url, tmp_path / "keys")
    ledger.record(key_record(), submission())
    ledger.publish()
    ledger.database.truncate_log()
    ledger.close()
    return tmp_path


@pytest.mark.parametrize("fault", FAULTS)
def test_no_system_call_that_fails_loses_what_was_acknowledged(
    begun, tmp_path_factory, fault, tried
):
    places = 0
    for call in CALLS:
        for number in itertools.count(1, STRIDE):
            folder = tmp_path_factory.mktemp("victim", numbered=True)
            shutil.copy(begun / "suxin.db", folder)
            shutil.copytree(begun / "keys", folder / "keys")
            url = f"sqlite:///{folder / 'suxin.db'}"
            inject = f"{FAULTS[fault]}:when={number}"
            try:
                ended = run_under(url, folder / "keys", folder, call, inject)
            except CannotTrace as err:
                pytest.skip(str(err))
            check(Ledger(url, folder / "keys"), ended.told)
            shutil.rmtree(folder)
            if not ended.hit:
                break
            places += 1
    assert places > (80 if STRIDE == 1 else 12), "nothing was tried"
    tried(f"{fault} at a system call", "sqlite, anchor", places)


def check(ledger: Ledger, told: list[dict[str, str]]) -> None:
    """What stands after a death: clean, with all that was told, and it goes on."""
    ledger.publisher.check_start()
    ledger.record(submission())
    ledger.publish()
    check_log(ledger)
    notes = {line["note"] for line in told if "note" in line}
    check_notes(ledger, notes | {str(ledger.anchor.read())})
    receipts = [line["receipt"] for line in told if "receipt" in line]
    with ledger.database.read() as connection:
        check_receipts(connection, receipts, **served_keys(ledger))
    ledger.close()
