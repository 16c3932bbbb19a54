"""SQL of scans. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, select

from app.db.hot import HotSelect
from app.db.tables import Scan
from app.db.upsert import upsert_rows

SCAN = Scan.__table__  # type: ignore[attr-defined]

# A code that more devices than this have seen is no longer counted exactly; nobody buys it.
_MOST_DEVICES = 1_000

_OF_CODE = HotSelect(
    select(SCAN.c.device, SCAN.c.first_at, SCAN.c.loads)
    .where(SCAN.c.stream == bindparam("stream"))
    .limit(_MOST_DEVICES)
)


def load(connection: Connection, stream: int) -> dict[bytes, tuple[int, int]]:
    """Returns by device when it first looked and how often. Read-only."""
    rows = _OF_CODE.rows(connection, stream=stream)
    return {bytes(row.device): (row.first_at, row.loads) for row in rows}


def add(
    connection: Connection,
    taken: Mapping[tuple[int, bytes], Sequence[int]],
    regions: Mapping[tuple[int, bytes], str],
) -> list[int]:
    """Adds looks and returns the codes that a device opened for the first time. Writes `scan`.

    taken: (stream, device) -> first_at, last_at, loads. A device keeps the city of its first look.
    """
    rows, fresh = [], set()
    for (stream, device), (first, last, loads) in taken.items():
        known = connection.execute(
            select(SCAN.c.first_at, SCAN.c.loads, SCAN.c.region).where(
                SCAN.c.stream == stream, SCAN.c.device == device
            )
        ).first()
        if known is None:
            fresh.add(stream)
        rows.append(
            {
                "stream": stream,
                "device": device,
                "first_at": first if known is None else known.first_at,
                "last_at": last,
                "loads": loads if known is None else known.loads + loads,
                "region": regions.get((stream, device)) if known is None else known.region,
            }
        )
    upsert_rows(connection, SCAN, rows, keys=("stream", "device"))
    return sorted(fresh)
