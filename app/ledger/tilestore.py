"""SQL of the logs' tiles and entry bundles (level -1). Flushes, never commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from app.db.hot import HotSelect
from app.db.lookup import chunks
from app.db.upsert import upsert_rows
from app.ledger.logstore import Log
from app.ledger.store import TILE, as_bytes

_TILES_BETWEEN = select(TILE.c.tile_index, TILE.c.data).where(
    TILE.c.log == bindparam("log"),
    TILE.c.level == bindparam("level"),
    TILE.c.tile_index >= bindparam("start"),
    TILE.c.tile_index < bindparam("end"),
)


def load_tile(connection: Connection, log: Log, level: int, index: int) -> bytes | None:
    """Returns the widest content of a tile (level -1: entry bundle), or None. Read-only."""
    return load_tiles_at(connection, log, [(level, index)]).get((level, index))


def load_tiles_at(
    connection: Connection, log: Log, places: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], bytes]:
    """Returns the content of those tiles that exist, by (level, index), as `load_tile`. Read-only."""
    found: dict[tuple[int, int], bytes] = {}
    for part in chunks(sorted(places)):
        by_level: dict[int, list[int]] = {}
        for level, index in part:
            by_level.setdefault(level, []).append(index)
        asked: dict[str, Any] = {"log": log.number}
        for n, (level, indices) in enumerate(by_level.items()):
            asked |= {f"level_{n}": level, f"indices_{n}": indices}
        rows = _tiles_at(len(by_level)).rows(connection, **asked)
        found |= {(row.level, row.tile_index): as_bytes(row.data) for row in rows}
    return found


@cache
def _tiles_at(levels: int) -> HotSelect:
    """Returns the search for tiles of so many levels, each by its key."""
    return HotSelect(
        select(TILE.c.level, TILE.c.tile_index, TILE.c.data).where(
            or_(
                *(
                    and_(
                        TILE.c.log == bindparam("log"),
                        TILE.c.level == bindparam(f"level_{n}"),
                        TILE.c.tile_index.in_(bindparam(f"indices_{n}", expanding=True)),
                    )
                    for n in range(levels)
                )
            )
        )
    )


def load_tiles(
    connection: Connection, log: Log, level: int, start: int, end: int
) -> dict[int, bytes]:
    """Returns the stored ones of a level's tiles `start` to `end`−1, by index. Read-only."""
    place = {"log": log.number, "level": level, "start": start, "end": end}
    rows = connection.execute(_TILES_BETWEEN, place)
    return {row.tile_index: as_bytes(row.data) for row in rows}


def save_tiles(connection: Connection, log: Log, tiles: Mapping[tuple[int, int], bytes]) -> None:
    """Stores tiles of a log by (level, index). Writes `tile`."""
    rows = [
        {"log": log.number, "level": level, "tile_index": index, "data": data}
        for (level, index), data in tiles.items()
    ]
    upsert_rows(connection, TILE, rows, keys=("log", "level", "tile_index"))


def count_tiles(connection: Connection) -> int:
    """Returns how many tiles and entry bundles are stored, partial ones included. Read-only."""
    return connection.execute(select(func.count()).select_from(TILE)).scalar_one()
