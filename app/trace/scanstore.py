"""SQL of scans. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, literal_column, select

from app.db.hot import HotSelect
from app.db.lookup import rows_at
from app.db.tables import Scan
from app.db.upsert import count_rows

SCAN = Scan.__table__  # type: ignore[attr-defined]

# A code that more devices than this have seen is no longer counted exactly; nobody buys it.
_MOST_DEVICES = 1_000

LIFE_MS = 86_400_000
"""How long a device's token lives after its last look; a look within it is that look repeated."""

_OF_CODE = HotSelect(
    select(SCAN.c.device, SCAN.c.first_at, SCAN.c.last_at, SCAN.c.loads)
    .where(SCAN.c.stream == bindparam("stream"))
    .limit(_MOST_DEVICES)
)


def load(connection: Connection, stream: int) -> dict[bytes, tuple[int, int, int]]:
    """Returns by device when it first and last looked, and how often that counted. Read-only."""
    rows = _OF_CODE.rows(connection, stream=stream)
    return {bytes(row.device): (row.first_at, row.last_at, row.loads) for row in rows}


def add(
    connection: Connection,
    taken: Mapping[int, Mapping[bytes, Sequence[int]]],
    regions: Mapping[tuple[int, bytes], str],
) -> list[int]:
    """Adds looks and returns the codes that a device opened for the first time. Writes `scan`.

    taken: stream -> device -> first_at, last_at of a look. It counts once, unless it repeats one of before.
    A device keeps the city of its first look.
    """
    pairs = [(stream, device) for stream, devices in sorted(taken.items()) for device in devices]
    known = {(row.stream, bytes(row.device)) for row in rows_at(connection, SCAN, "device", pairs)}
    fresh = [*dict.fromkeys(stream for stream, device in pairs if (stream, device) not in known)]
    # In one order, so that no two processes wait for each other's rows.
    rows = [
        {
            "stream": stream,
            "device": device,
            "first_at": first,
            "last_at": last,
            "loads": 1,
            "region": regions.get((stream, device)),
        }
        for stream, devices in sorted(taken.items())
        for device, (first, last) in sorted(devices.items())
    ]
    kept = ("first_at", "region")
    count_rows(
        connection,
        SCAN,
        rows,
        keys=("stream", "device"),
        kept=kept,
        sums=("loads",),
        adds=_is_another_look,
    )
    return fresh


_LIFE: ColumnElement[int] = literal_column(str(LIFE_MS))


def _is_another_look(before: Any, now: Any) -> Any:
    return now.first_at - before.last_at >= _LIFE


def of_device(connection: Connection, device: bytes) -> list[tuple[int, int, int]]:
    """Returns (loads, first_at, last_at) of each code that a device opened. Read-only."""
    looked = select(SCAN.c.loads, SCAN.c.first_at, SCAN.c.last_at).where(SCAN.c.device == device)
    return [tuple(row) for row in connection.execute(looked)]


def forget(connection: Connection, device: bytes) -> int:
    """Deletes the looks of a device and returns of how many codes. Writes `scan`."""
    return connection.execute(delete(SCAN).where(SCAN.c.device == device)).rowcount
