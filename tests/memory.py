"""Where the files of tests are: in memory where there is room, for they are all thrown away.

A test waits for its disk at every commit (SQLite's `synchronous=FULL`), and PostgreSQL writes ten megabytes
for each database that it makes. On a busy disk that is more than half of a run.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
# More than a run of two processes ever holds at once, and what failed runs before it have left.
_ROOM_BYTES = 4 * 1024**3


def use_memory() -> None:
    """Lets this process and its children make temporary files in memory, unless TMPDIR says where."""
    if "TMPDIR" in os.environ or not _has_room(_MEMORY):
        return
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None  # asked for already by pytest itself


def _has_room(folder: Path) -> bool:
    """Whether so much may be written there, and programs run from there, as some tests do."""
    if not os.access(folder, os.W_OK):
        return False
    told = os.statvfs(folder)
    free_bytes = min(told.f_bavail * told.f_frsize, _available_bytes())
    return not told.f_flag & os.ST_NOEXEC and free_bytes > _ROOM_BYTES


def _available_bytes() -> int:
    """Returns how much memory may be used before the machine swaps; 0 where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    told = dict(line.split(":") for line in lines)
    return int(told.get("MemAvailable", "0 kB").split()[0]) * 1024
