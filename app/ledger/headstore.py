"""SQL of the map of heads: its states and pages, and what of the log goes into it. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    bindparam,
    case,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from app.db.hot import execute_many
from app.db.tables import HeadsMap, HeadsPage
from app.ledger.headmap import HEADS_STREAM, MAP_ROOT
from app.ledger.headpages import LoadPages, Place
from app.ledger.record import stream_key
from app.ledger.store import HEAD, LEAF, RECORD, StoredRecord, as_bytes

MAP = HeadsMap.__table__  # type: ignore[attr-defined]
PAGE = HeadsPage.__table__  # type: ignore[attr-defined]

_AT_ONCE = 256  # prefixes a statement: SQLite binds at most 32,766; PostgreSQL plans short lists
_PAGES_AT = select(PAGE).where(
    PAGE.c.depth == bindparam("depth"),
    PAGE.c.prefix.in_(bindparam("prefixes", expanding=True)),
)
_LEAVES = (
    select(LEAF.c.leaf_index, LEAF.c.stream, LEAF.c.seq, LEAF.c.hash, RECORD.c.body.label("body"))
    .select_from(
        LEAF.outerjoin(RECORD, (RECORD.c.stream == LEAF.c.stream) & (RECORD.c.seq == LEAF.c.seq))
    )
    .where(LEAF.c.leaf_index >= bindparam("start"), LEAF.c.leaf_index < bindparam("end"))
    .order_by(LEAF.c.leaf_index)
    .execution_options(yield_per=200)  # bodies held at a time; each is at most 64 KiB
)
_OTHER_LEAF = (
    select(LEAF.c.leaf_index)
    .where(
        LEAF.c.leaf_index >= bindparam("start"),
        LEAF.c.leaf_index < bindparam("end"),
        LEAF.c.stream != bindparam("stream"),
    )
    .limit(1)
)
_NAMED_LEAVES = (
    select(LEAF.c.stream, LEAF.c.seq, LEAF.c.hash, HEAD.c.name)
    .select_from(LEAF.outerjoin(HEAD, HEAD.c.stream == LEAF.c.stream))
    .where(LEAF.c.leaf_index < bindparam("end"))
    .order_by(LEAF.c.leaf_index)
    .execution_options(yield_per=2_000)
)
_MAP_ROOTS = (
    select(
        RECORD.c.seq, RECORD.c.hash, RECORD.c.body, LEAF.c.leaf_index, LEAF.c.hash.label("entry")
    )
    .select_from(
        RECORD.outerjoin(LEAF, (LEAF.c.stream == RECORD.c.stream) & (LEAF.c.seq == RECORD.c.seq))
    )
    .where(RECORD.c.stream == stream_key(HEADS_STREAM), RECORD.c.type == MAP_ROOT)
)
_MAP_ROOT_AT = _MAP_ROOTS.where(RECORD.c.seq == bindparam("seq"))
_LAST_MAP_ROOT = _MAP_ROOTS.order_by(RECORD.c.seq.desc()).limit(1)


class MapMoved(Exception):
    """Another process went on with the map first; nothing of ours stands."""


@dataclass(frozen=True, slots=True)
class MapState:
    """A map as in `heads_map`: complete once position is target, recorded once seq is there."""

    version: int
    log: str
    size: int
    target: int
    position: int
    streams: int
    root: bytes
    seq: int | None
    begun_at_ms: int


def load_maps(connection: Connection) -> list[MapState]:
    """Returns the maps that are kept, newest first. Read-only."""
    rows = connection.execute(select(MAP).order_by(MAP.c.version.desc()).limit(2))
    return [
        MapState(
            row.version, row.log, row.size, row.target, row.position, row.streams,
            as_bytes(row.root), row.seq, row.begun_at,
        )
        for row in rows
    ]  # fmt: skip


def begin_map(connection: Connection, state: MapState) -> None:
    """Begins a map, and forgets all but the one before it. Writes `heads_map`.

    Raises sqlalchemy.exc.IntegrityError where another process began it.
    """
    connection.execute(delete(MAP).where(MAP.c.version < state.version - 1))
    connection.execute(
        insert(MAP).values(
            version=state.version,
            log=state.log,
            size=state.size,
            target=state.target,
            position=state.position,
            streams=state.streams,
            root=state.root,
            seq=state.seq,
            begun_at=state.begun_at_ms,
        )
    )


def move_map(connection: Connection, before: MapState, after: MapState) -> None:
    """Moves a map on by compare-and-swap on what is done of it. Writes `heads_map`. Raises MapMoved."""
    moved = connection.execute(
        update(MAP)
        .where(
            MAP.c.version == before.version,
            MAP.c.position == before.position,
            MAP.c.root == before.root,
        )
        .values(position=after.position, streams=after.streams, root=after.root, seq=after.seq)
    )
    if moved.rowcount != 1:
        raise MapMoved


def page_loader(connection: Connection, version: int) -> LoadPages:
    """Returns what reads pages as they were in the map `version`, the newest or the one before it."""

    def load(depth: int, prefixes: Sequence[bytes]) -> Mapping[bytes, bytes]:
        found = {}
        for row in _pages(connection, depth, prefixes):
            data = row.data if row.version <= version else row.before
            if data is not None:
                found[as_bytes(row.prefix)] = as_bytes(data)
        return found

    return load


def save_pages(connection: Connection, pages: Mapping[Place, bytes], version: int) -> None:
    """Stores pages of the map that is being made; what each was before it stays. Writes `heads_page`."""
    rows = [
        {"depth": depth, "prefix": prefix, "version": version, "data": data, "before": None}
        for (depth, prefix), data in sorted(pages.items())
    ]
    if rows:
        execute_many(connection, _put_page(connection.dialect.name), rows)


@cache
def _put_page(dialect: str) -> Any:
    """Returns the statement that stores a page. The database moves `before` itself.

    So the writer, for whom others wait, reads no page a second time.
    """
    statement = (sqlite if dialect == "sqlite" else postgresql).insert(PAGE)
    new = statement.excluded
    moved = case((PAGE.c.version < new.version, PAGE.c.data), else_=PAGE.c.before)
    return statement.on_conflict_do_update(
        index_elements=("depth", "prefix"),
        set_={"version": new.version, "data": new.data, "before": moved},
    )


def _pages(connection: Connection, depth: int, prefixes: Sequence[bytes]) -> Iterator[Any]:
    for start in range(0, len(prefixes), _AT_ONCE):
        asked = {"depth": depth, "prefixes": prefixes[start : start + _AT_ONCE]}
        yield from connection.execute(_PAGES_AT, asked)


def forget_maps(connection: Connection) -> None:
    """Gives up every map; the pages go by `forget_pages`. Writes `heads_map`."""
    connection.execute(delete(MAP))


def forget_pages(connection: Connection, most: int) -> bool:
    """Deletes up to `most` pages; returns whether any was there. Writes `heads_page`."""
    some = select(PAGE.c.depth, PAGE.c.prefix).limit(most)
    gone = delete(PAGE).where(tuple_(PAGE.c.depth, PAGE.c.prefix).in_(some))
    return connection.execute(gone).rowcount > 0


def has_pages(connection: Connection) -> bool:
    """Whether any page is stored. Read-only."""
    return connection.execute(select(PAGE.c.depth).limit(1)).first() is not None


def measure_pages(connection: Connection) -> tuple[int, int]:
    """Returns how many pages are stored and their bytes; reads all of them. Read-only."""
    kept = func.length(PAGE.c.data) + func.coalesce(func.length(PAGE.c.before), 0)
    row = connection.execute(
        select(func.count(), func.coalesce(func.sum(kept), 0)).select_from(PAGE)
    ).one()
    return row[0], int(row[1])


def has_news(connection: Connection, start: int, end: int) -> bool:
    """Whether anything but `log/heads` itself was recorded in these places. Read-only."""
    asked = {"start": start, "end": end, "stream": stream_key(HEADS_STREAM)}
    return connection.execute(_OTHER_LEAF, asked).first() is not None


def began_at_ms(connection: Connection) -> int:
    """Returns when the log's first record was taken, in milliseconds since 1970; 0 if it is gone."""
    query = (
        select(RECORD.c.recorded_at)
        .join(LEAF, (RECORD.c.stream == LEAF.c.stream) & (RECORD.c.seq == LEAF.c.seq))
        .where(LEAF.c.leaf_index == 0)
    )
    told = connection.execute(query).scalar()
    return told if isinstance(told, int) else 0


def leaves_with_bodies(connection: Connection, start: int, end: int) -> Generator[Any, None, None]:
    """Yields rows (leaf_index, stream, seq, hash, body) in order; body None where a record is gone."""
    with connection.execute(_LEAVES, {"start": start, "end": end}) as rows:
        yield from rows


def named_leaves(connection: Connection, end: int) -> Generator[Any, None, None]:
    """Yields rows (stream, seq, hash, name) of the leaves below `end`, in order. Read-only.

    name: as the stream's head has it, None where that is gone.
    """
    with connection.execute(_NAMED_LEAVES, {"end": end}) as rows:
        yield from rows


def first_bodies(connection: Connection, key: int, most: int = 8) -> list[bytes]:
    """Returns the first bodies of a stream, by its key. Read-only."""
    query = select(RECORD.c.body).where(RECORD.c.stream == key).order_by(RECORD.c.seq).limit(most)
    return [as_bytes(body) for body in connection.execute(query).scalars()]


def map_root_at(connection: Connection, seq: int) -> StoredRecord | None:
    """Returns a record of a map's root by its seq in `log/heads`, or None. Read-only."""
    return _map_root(connection.execute(_MAP_ROOT_AT, {"seq": seq}).first())


def last_map_root(connection: Connection) -> StoredRecord | None:
    """Returns the last record of a map's root, or None. Read-only."""
    return _map_root(connection.execute(_LAST_MAP_ROOT).first())


def _map_root(row: Any) -> StoredRecord | None:
    if row is None:
        return None
    entry = None if row.entry is None else as_bytes(row.entry)
    return StoredRecord(
        HEADS_STREAM, row.seq, as_bytes(row.hash), as_bytes(row.body), row.leaf_index, entry
    )
