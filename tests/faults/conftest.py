"""The ledgers of tests/ledger, and the table of what was tried."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.disks import Disk
from tests.ledger.conftest import ledger, logs, scene, sqlite_ledger  # noqa: F401 - fixtures


@pytest.fixture
def tried(record_property: Any) -> Callable[[str, str, int], None]:
    """Notes a row of the table: the fault, where, at how many places it was tried."""

    def note(fault: str, where: str, places: int) -> None:
        assert places > 0, f"{fault}: it was tried nowhere"
        record_property("fault", (fault, where, places))

    return note


@pytest.fixture
def small_disk() -> Iterator[Disk]:
    """A file system of its own, of 1.5 MB until it is made larger; what needs one is skipped without."""
    # Straight under the system's temporary folder: the user who runs PostgreSQL must reach it.
    with tempfile.TemporaryDirectory(prefix="suxin-disk-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        disk = Disk(folder / "disk")
        try:
            disk.mount()
        except OSError as err:
            pytest.skip(f"no small file system can be mounted here: {err}")
        yield disk
        disk.unmount()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Prints the table of docs/faults.md: each row stands for faults whose every check passed."""
    rows: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in report.user_properties:
            if name == "fault":
                fault, where, places = value
                rows[fault, where] += places
    if rows:
        terminalreporter.section("faults")
    for (fault, where), places in sorted(rows.items()):
        terminalreporter.write_line(f"| {fault} | {where} | {places} |")
    for report in terminalreporter.stats.get("skipped", ()):
        if "/faults/" in report.nodeid:
            terminalreporter.write_line(f"NOT TRIED: {report.nodeid}: {report.longrepr[2]}")
