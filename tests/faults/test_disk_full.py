"""A disk that is full refuses, loses nothing, and is no matter any more once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.life import Life
from tests.ledger.ledgers import Ledger

SMALL, LARGE = "1500k", "64m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB; may be made larger by mounting it again."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "suxin-test", folder],
        capture_output=True, text=True, check=False,
    ) if os.geteuid() == 0 else None  # fmt: skip
    if made is None or made.returncode:
        why = "needs root" if made is None else made.stderr.strip()
        pytest.skip(f"no small file system can be mounted here: {why}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.parametrize("what", ["database", "keys"])
def test_a_full_disk(sqlite_template, small_disk, tmp_path, clock, what, tried):
    data = small_disk if what == "database" else tmp_path
    keys = small_disk if what == "keys" else tmp_path
    shutil.copyfile(sqlite_template, data / "suxin.db")
    ledger = Ledger(f"sqlite:///{data / 'suxin.db'}", keys / "keys", clock=clock)
    life = Life(ledger).begin()
    life.turn()
    if what == "keys":
        with (
            pytest.raises(OSError, match="No space"),
            (keys / "filler").open("wb", buffering=0) as filler,
        ):
            while True:
                filler.write(b"x" * 4096)
    turns = 0
    while not life.faults:
        life.turn()
        turns += 1
        assert turns < 3_000, "the disk never filled"
    for _ in range(3):
        life.turn()
    life.look()
    assert life.acked
    if what == "database":
        assert "Unavailable" in life.faults
    else:
        # Records are taken and sequenced; only what is to be signed waits.
        assert set(life.faults) == {"OSError"}
    subprocess.run(["mount", "-o", f"remount,size={LARGE}", small_disk], check=True)
    life.settle()
    life.ledger.close()
    tried("disk full", what, 1)
