"""SQL of the log: state, leaves, tiles, checkpoints. Flushes, never commits."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.db.tables import CheckpointRow, LogState
from app.ledger.merkle import EMPTY_ROOT, HASH_BYTES, Edge, edge_append, edge_root, leaf_hash
from app.ledger.record import stream_key
from app.ledger.store import LEAF, RECORD, TILE, UNSEQUENCED, as_bytes, upsert_rows

STATE = LogState.__table__  # type: ignore[attr-defined]
CHECKPOINT = CheckpointRow.__table__  # type: ignore[attr-defined]

_STATE_ID = 1
# Statements that pages and proofs ask again and again, built once.
_STATE_NOW = select(STATE).where(STATE.c.id == _STATE_ID)
_TILE_AT = select(TILE.c.data).where(
    TILE.c.level == bindparam("level"), TILE.c.tile_index == bindparam("tile_index")
)
_CHECKPOINTS = (
    select(CHECKPOINT)
    .order_by(CHECKPOINT.c.size.desc())
    .limit(bindparam("most"))
    .offset(bindparam("passed"))
)
_CHECKPOINTS_WITHIN = _CHECKPOINTS.where(
    CHECKPOINT.c.size <= select(STATE.c.size).where(STATE.c.id == _STATE_ID).scalar_subquery()
)
_LEAF_OF = select(LEAF.c.leaf_index, LEAF.c.hash).where(
    LEAF.c.stream == bindparam("stream"), LEAF.c.seq == bindparam("seq")
)
_WAITING_HASH = select(UNSEQUENCED.c.hash).where(
    UNSEQUENCED.c.stream == bindparam("stream"), UNSEQUENCED.c.seq == bindparam("seq")
)
_LEAVES_BETWEEN = (
    select(LEAF.c.leaf_index, LEAF.c.hash)
    .where(LEAF.c.leaf_index >= bindparam("start"), LEAF.c.leaf_index < bindparam("end"))
    .order_by(LEAF.c.leaf_index)
)
_CHUNK = 5_000
_CHECKPOINTS_READ = 200
_SAME_RECORD = (LEAF.c.stream == UNSEQUENCED.c.stream) & (LEAF.c.seq == UNSEQUENCED.c.seq)
_BODIES = 500  # bodies held at a time; each is at most 64 KiB


@dataclass(frozen=True, slots=True)
class TreeState:
    """The tree as committed. `edge` as in app.ledger.merkle."""

    origin: str
    size: int
    root: bytes
    edge: Edge


@dataclass(frozen=True, slots=True)
class Published:
    """A signed checkpoint as stored; published_at_ms in milliseconds since 1970."""

    size: int
    root: bytes
    note: str
    published_at_ms: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A committed record without an index."""

    stream: int
    seq: int
    hash: bytes


class TreeMoved(Exception):
    """Another sequencer extended the tree first; nothing of ours stands."""


class LeafTaken(Exception):
    """A leaf row stands at an index that is not given yet, or names a record that still waits."""


class LeavesMissing(Exception):
    """The log does not hold a leaf that it must hold."""


def create_state(connection: Connection, origin: str) -> None:
    """Begins the log with an empty tree, unless it has begun. Writes `log_state`."""
    if connection.execute(select(STATE.c.id)).first() is None:
        connection.execute(
            insert(STATE).values(id=_STATE_ID, origin=origin, size=0, root=EMPTY_ROOT, edge=b"")
        )


def has_records(connection: Connection) -> bool:
    """Whether anything was ever recorded. Read-only."""
    tables = (RECORD.c.seq, LEAF.c.seq)  # a log outlives records that were deleted
    return any(connection.execute(select(column).limit(1)).first() for column in tables)


def load_state(connection: Connection) -> TreeState | None:
    """Returns the committed tree, or None where the log was never begun. Read-only."""
    row = connection.execute(_STATE_NOW).first()
    if row is None:
        return None
    edge = as_bytes(row.edge)
    parts = tuple(edge[i : i + HASH_BYTES] for i in range(0, len(edge), HASH_BYTES))
    return TreeState(row.origin, row.size, as_bytes(row.root), parts)


def is_sound(state: TreeState) -> bool:
    """Whether the kept edge folds to the kept root."""
    try:
        return edge_root(state.size, state.edge) == state.root
    except ValueError:  # an edge of a tree of another size
        return False


def edge_of_leaves(connection: Connection, size: int) -> Edge:
    """Returns the right edge of the first `size` leaves, from the leaves alone. Read-only.

    Reads all of them: for the rare case in which no kept edge is to be trusted. Raises LeavesMissing.
    """
    edge: Edge = ()
    for start in range(0, size, _CHUNK):
        end = min(start + _CHUNK, size)
        entries = leaf_hashes(connection, start, end)
        if len(entries) != end - start:
            raise LeavesMissing(f"between {start} and {end}")
        edge = edge_append(start, edge, [leaf_hash(entry) for entry in entries.values()])
    return edge


def move_state(connection: Connection, before: TreeState, after: TreeState) -> None:
    """Replaces the tree by compare-and-swap on its size. Writes `log_state`. Raises TreeMoved."""
    moved = connection.execute(
        update(STATE)
        .where(STATE.c.id == _STATE_ID, STATE.c.size == before.size)
        .values(size=after.size, root=after.root, edge=b"".join(after.edge))
    )
    if moved.rowcount != 1:
        raise TreeMoved


def load_waiting(connection: Connection, limit: int) -> list[Waiting]:
    """Returns records without an index, each stream's in its own order. Read-only.

    By "has no index", never by a cursor: ids and times commit out of order. recorded_at never falls
    within a stream, so ordering by it and then by seq keeps every stream's order.
    """
    rows = connection.execute(
        select(UNSEQUENCED.c.stream, UNSEQUENCED.c.seq, UNSEQUENCED.c.hash)
        .order_by(UNSEQUENCED.c.recorded_at, UNSEQUENCED.c.stream, UNSEQUENCED.c.seq)
        .limit(limit)
    )
    return [Waiting(row.stream, row.seq, as_bytes(row.hash)) for row in rows]


def make_room(
    connection: Connection, size: int, waiting: Sequence[Waiting]
) -> tuple[list[Waiting], list[int]]:
    """Returns which records can be given a place, and at which indices rows stood in their way.

    Leaf rows beyond the tree are nobody's, and deleted. Where a leaf of the tree names a record that
    still waits, its own is another: until it is put right there is no place for the one that waits.
    Writes `log_leaf`.
    """
    taken = []
    if connection.execute(delete(LEAF).where(LEAF.c.leaf_index >= size)).rowcount:
        taken.append(size)
    query = select(LEAF.c.stream, LEAF.c.seq, LEAF.c.leaf_index).join(UNSEQUENCED, _SAME_RECORD)
    held_up = {(row.stream, row.seq): row.leaf_index for row in connection.execute(query)}
    taken += held_up.values()
    return [one for one in waiting if (one.stream, one.seq) not in held_up], taken


def oldest_unpublished(connection: Connection, published: int) -> int | None:
    """Returns when the record was taken that waits longest for a signed checkpoint, None if none does.

    published: size of the last checkpoint. In milliseconds since 1970; records that are held up by
    an altered leaf row, a finding of its own, are passed over. Read-only.
    """
    waiting = (
        select(UNSEQUENCED.c.recorded_at)
        .where(~select(LEAF.c.seq).where(_SAME_RECORD).exists())
        .order_by(UNSEQUENCED.c.recorded_at)
        .limit(1)
    )
    logged = (
        select(RECORD.c.recorded_at)
        .join(LEAF, (RECORD.c.stream == LEAF.c.stream) & (RECORD.c.seq == LEAF.c.seq))
        .where(LEAF.c.leaf_index >= published)
        .order_by(LEAF.c.leaf_index)
        .limit(1)
    )
    told = (connection.execute(query).scalar() for query in (waiting, logged))
    return min((at for at in told if isinstance(at, int)), default=None)


def count_waiting(connection: Connection) -> int:
    """Returns how many committed records have no index yet. Read-only."""
    return connection.execute(select(func.count()).select_from(UNSEQUENCED)).scalar_one()


def count_tiles(connection: Connection) -> int:
    """Returns how many tiles and entry bundles are stored, partial ones included. Read-only."""
    return connection.execute(select(func.count()).select_from(TILE)).scalar_one()


def insert_leaves(connection: Connection, start: int, waiting: Sequence[Waiting]) -> None:
    """Gives records the indices from `start` on and takes them off the queue. Raises LeafTaken."""
    rows = [
        {"leaf_index": start + n, "stream": w.stream, "seq": w.seq, "hash": w.hash}
        for n, w in enumerate(waiting)
    ]
    try:
        connection.execute(insert(LEAF), rows)
    except IntegrityError as err:
        raise LeafTaken from err
    # Exactly those that have an index now: on PostgreSQL others may have joined the queue since we
    # looked, and a record that leaves it without an index is in no log, ever.
    logged = select(LEAF.c.stream, LEAF.c.seq).where(LEAF.c.leaf_index >= start)
    connection.execute(
        delete(UNSEQUENCED).where(tuple_(UNSEQUENCED.c.stream, UNSEQUENCED.c.seq).in_(logged))
    )


def load_tile(connection: Connection, level: int, index: int) -> bytes | None:
    """Returns the widest content of a tile (level -1: entry bundle), or None. Read-only."""
    data = connection.execute(_TILE_AT, {"level": level, "tile_index": index}).scalar()
    return None if data is None else as_bytes(data)


def save_tiles(connection: Connection, tiles: Mapping[tuple[int, int], bytes]) -> None:
    """Stores tiles by (level, index). Writes `tile`."""
    rows = [
        {"level": level, "tile_index": index, "data": data}
        for (level, index), data in tiles.items()
    ]
    upsert_rows(connection, TILE, rows, keys=("level", "tile_index"))


def save_checkpoint(connection: Connection, published: Published) -> None:
    """Stores a signed checkpoint. Writes `checkpoint`."""
    row = {
        "size": published.size,
        "root": published.root,
        "note": published.note,
        "published_at": published.published_at_ms,
    }
    upsert_rows(connection, CHECKPOINT, [row], keys=("size",))


def checkpoints(connection: Connection, *, within_tree: bool) -> Iterator[Any]:
    """Yields the stored checkpoints, newest first, verified by nobody. Read-only.

    within_tree: only of sizes that the tree has reached. app.ledger.served says which are true.
    """
    query = _CHECKPOINTS_WITHIN if within_tree else _CHECKPOINTS
    passed, most = 0, 1  # nearly always the first is the one
    while rows := connection.execute(query, {"most": most, "passed": passed}).all():
        yield from rows
        passed, most = passed + len(rows), _CHECKPOINTS_READ


def has_checkpoint(connection: Connection) -> bool:
    """Whether there is a checkpoint, true or not. Read-only."""
    return connection.execute(select(CHECKPOINT.c.size).limit(1)).first() is not None


def delete_checkpoints(connection: Connection, sizes: Sequence[Any]) -> None:
    """Deletes checkpoints. Writes `checkpoint`."""
    if sizes:
        rows = [{"k_size": size} for size in sizes]
        connection.execute(delete(CHECKPOINT).where(CHECKPOINT.c.size == bindparam("k_size")), rows)


def find_leaf(connection: Connection, stream: str, seq: int) -> tuple[int, bytes] | None:
    """Returns (leaf index, entry) of a record, or None while it has no index. Read-only."""
    row = connection.execute(_LEAF_OF, {"stream": stream_key(stream), "seq": seq}).first()
    return None if row is None else (row.leaf_index, as_bytes(row.hash))


def waiting_hash(connection: Connection, key: int, seq: int) -> bytes | None:
    """Returns the hash under which a record (by stream key) waits for its index, or None. Read-only."""
    found = connection.execute(_WAITING_HASH, {"stream": key, "seq": seq}).scalar()
    return None if found is None else as_bytes(found)


def leaf_hashes(connection: Connection, start: int, end: int) -> dict[int, bytes]:
    """Returns the entries of leaves `start` to `end`−1 that exist, by index. Read-only."""
    rows = connection.execute(_LEAVES_BETWEEN, {"start": start, "end": end})
    return {row.leaf_index: as_bytes(row.hash) for row in rows}


def leaf_holes(connection: Connection, size: int, limit: int = 1_000) -> list[int]:
    """Returns the indices below `size` that have no leaf, at most `limit`. Read-only."""
    here = LEAF.alias("here")
    after = LEAF.alias("after")
    query = (
        select(here.c.leaf_index)
        .where(~select(after).where(after.c.leaf_index == here.c.leaf_index + 1).exists())
        .order_by(here.c.leaf_index)
        .limit(limit)
    )
    holes: list[int] = []
    for last in (-1, *connection.execute(query).scalars()):
        following = select(func.min(LEAF.c.leaf_index)).where(LEAF.c.leaf_index > last)
        end = connection.execute(following).scalar()
        holes += range(last + 1, min(size if end is None else end, last + 1 + limit))
        if len(holes) >= limit:
            break
    return holes[:limit]


def leaves_with_records(connection: Connection, start: int, end: int) -> Generator[Any, None, None]:
    """Yields rows (leaf_index, leaf_hash, hash, body) in order; body is None where a record is gone.

    Read-only.
    """
    query = (
        select(LEAF.c.leaf_index, LEAF.c.hash.label("leaf_hash"), RECORD.c.hash, RECORD.c.body)
        .select_from(
            LEAF.outerjoin(
                RECORD, (RECORD.c.stream == LEAF.c.stream) & (RECORD.c.seq == LEAF.c.seq)
            )
        )
        .where(LEAF.c.leaf_index >= start, LEAF.c.leaf_index < end)
        .order_by(LEAF.c.leaf_index)
    )
    with connection.execute(query.execution_options(yield_per=_BODIES)) as rows:
        yield from rows
