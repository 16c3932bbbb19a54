"""SQL of the logs: states and leaves. Flushes, never commits.

A database holds one log after another (app.ledger.rotation). Leaves are stored by position, which
counts over all of them; a leaf's index inside its log, which is all that anybody outside ever sees,
is its position less the log's start. Tiles, checkpoints and states are by log.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from app.db.engine import fetch_plainly
from app.db.hot import HotSelect
from app.db.tables import LogState
from app.ledger.merkle import EMPTY_ROOT, HASH_BYTES, Edge, edge_append, edge_root, leaf_hash
from app.ledger.record import stream_key
from app.ledger.store import LEAF, RECORD, UNSEQUENCED, as_bytes, insert_rows

STATE = LogState.__table__  # type: ignore[attr-defined]

# Statements that pages and proofs ask again and again, built once.
_STATES = HotSelect(select(STATE).order_by(STATE.c.log))
_STATE_NOW = HotSelect(select(STATE).order_by(STATE.c.log.desc()).limit(1))
_EPOCH_NOW = select(STATE.c.epoch).order_by(STATE.c.log.desc()).limit(1).with_for_update()
_LEAF_OF = HotSelect(
    select(LEAF.c.leaf_index, LEAF.c.hash).where(
        LEAF.c.stream == bindparam("stream"), LEAF.c.seq == bindparam("seq")
    )
)
_LEAF_AT = select(LEAF.c.stream, LEAF.c.seq, LEAF.c.hash).where(
    LEAF.c.leaf_index == bindparam("position")
)
_WAITING_HASH = HotSelect(
    select(UNSEQUENCED.c.hash).where(
        UNSEQUENCED.c.stream == bindparam("stream"), UNSEQUENCED.c.seq == bindparam("seq")
    )
)
_LEAVES_IN_ORDER = (
    select(LEAF.c.leaf_index, LEAF.c.hash)
    .where(LEAF.c.leaf_index >= bindparam("start"), LEAF.c.leaf_index < bindparam("end"))
    .order_by(LEAF.c.leaf_index)
)
_LEAVES_BETWEEN = HotSelect(_LEAVES_IN_ORDER)
_CHUNK = 5_000
_SAME_RECORD = (LEAF.c.stream == UNSEQUENCED.c.stream) & (LEAF.c.seq == UNSEQUENCED.c.seq)
_BODIES = 500  # bodies held at a time; each is at most 64 KiB


class Log(NamedTuple):
    """One of the logs: its number, and the position of its first leaf."""

    number: int
    start: int


@dataclass(frozen=True, slots=True)
class TreeState:
    """The tree of a log as committed. `edge` as in app.ledger.merkle."""

    log: Log
    origin: str
    size: int
    root: bytes
    edge: Edge

    @property
    def end(self) -> int:
        """The position behind its last leaf; behind none where a hand has put no number there."""
        return self.log.start + (self.size if isinstance(self.size, int) else 0)  # type: ignore[redundant-expr]


@dataclass(frozen=True, slots=True)
class Published:
    """A signed checkpoint as stored; published_at_ms in milliseconds since 1970."""

    log: Log
    size: int
    root: bytes
    note: str
    published_at_ms: int

    @property
    def end(self) -> int:
        """The position behind the last leaf that it covers."""
        return self.log.start + self.size


@dataclass(frozen=True, slots=True)
class Waiting:
    """A committed record: one without an index, or the one at a place that was asked for."""

    stream: int
    seq: int
    hash: bytes


class TreeMoved(Exception):
    """Another sequencer extended the tree first; nothing of ours stands."""


class Fenced(Exception):
    """Another process has taken the lease since; nothing of ours stands."""


class LeafTaken(Exception):
    """A leaf row stands at an index that is not given yet, or names a record that still waits."""


class LeavesMissing(Exception):
    """The log does not hold a leaf that it must hold."""


def create_state(connection: Connection, origin: str) -> None:
    """Begins the first log with an empty tree, unless it has begun. Writes `log_state`."""
    if connection.execute(select(STATE.c.log)).first() is None:
        open_log(connection, Log(0, 0), origin)


def open_log(connection: Connection, log: Log, origin: str) -> None:
    """Begins a log with an empty tree. Writes `log_state`. Raises TreeMoved if it has begun.

    Who leads, and under which anchor, goes on from the log before.
    """
    row: dict[str, Any] = {"log": log.number, "start": log.start, "origin": origin}
    row["epoch"] = connection.execute(select(func.coalesce(func.max(STATE.c.epoch), 0))).scalar()
    row["anchor"] = anchor_of_log(connection)
    try:
        connection.execute(insert(STATE).values(**row, size=0, root=EMPTY_ROOT, edge=b""))
    except IntegrityError as err:
        raise TreeMoved from err


def has_records(connection: Connection) -> bool:
    """Whether anything was ever recorded. Read-only."""
    tables = (RECORD.c.seq, LEAF.c.seq)  # a log outlives records that were deleted
    return any(connection.execute(select(column).limit(1)).first() for column in tables)


def load_state(connection: Connection) -> TreeState | None:
    """Returns the tree of the log that goes on, or None where none was ever begun. Read-only."""
    row = _STATE_NOW.first(connection)
    return None if row is None else state_of(row)


def load_states(connection: Connection) -> list[TreeState]:
    """Returns the trees of all logs, the one that goes on last. Read-only."""
    return [state_of(row) for row in _STATES.rows(connection)]


def state_of(row: Any) -> TreeState:
    """Returns the tree of a row of `log_state`."""
    edge = as_bytes(row.edge)
    parts = tuple(edge[i : i + HASH_BYTES] for i in range(0, len(edge), HASH_BYTES))
    # A text that a hand has put there proves nothing, and must not stop an audit.
    start = row.start if isinstance(row.start, int) else 0
    return TreeState(Log(row.log, start), row.origin, row.size, as_bytes(row.root), parts)


def locate(states: Sequence[TreeState], position: int) -> tuple[TreeState, int]:
    """Returns the log that holds a position, and the leaf's index inside it.

    states: of all logs, at least one.
    """
    state = next((one for one in reversed(states) if one.log.start <= position), states[0])
    return state, position - state.log.start


def is_sound(state: TreeState) -> bool:
    """Whether the kept edge folds to the kept root."""
    try:
        return edge_root(state.size, state.edge) == state.root
    except ValueError:  # an edge of a tree of another size
        return False


def edge_of_leaves(connection: Connection, log: Log, size: int) -> Edge:
    """Returns the right edge of a log's first `size` leaves, from the leaves alone. Read-only.

    Reads all of them: for the rare case in which no kept edge is to be trusted. Raises LeavesMissing.
    """
    edge: Edge = ()
    for start in range(0, size, _CHUNK):
        end = min(start + _CHUNK, size)
        entries = leaf_hashes(connection, log.start + start, log.start + end)
        if len(entries) != end - start:
            raise LeavesMissing(f"between {start} and {end}")
        edge = edge_append(start, edge, [leaf_hash(entry) for entry in entries.values()])
    return edge


def move_state(
    connection: Connection, before: TreeState, after: TreeState, *, epoch: int | None = None
) -> None:
    """Replaces a log's tree by compare-and-swap on its size, and on the leader's epoch if one is given.

    Writes `log_state`. Raises TreeMoved, or Fenced where another process leads now.
    """
    if epoch is not None:
        check_epoch(connection, epoch)
    moved = connection.execute(
        update(STATE)
        .where(STATE.c.log == before.log.number, STATE.c.size == before.size)
        .values(size=after.size, root=after.root, edge=b"".join(after.edge))
    )
    if moved.rowcount != 1:
        raise TreeMoved


def check_epoch(connection: Connection, epoch: int) -> None:
    """Returns if the log's last leader has this epoch. Raises Fenced.

    Inside a write transaction: and nobody can take over before that has ended, since the row is locked.
    """
    held = connection.execute(_EPOCH_NOW).scalar()
    if held != epoch:
        raise Fenced(f"expected epoch {epoch}, got {held}")


def anchor_of_log(connection: Connection) -> str | None:
    """Returns the id of the anchor folder under which the log is signed, None before. Read-only."""
    told = select(STATE.c.anchor).where(STATE.c.anchor.is_not(None)).order_by(STATE.c.log.desc())
    return connection.execute(told.limit(1)).scalar()


def set_anchor(connection: Connection, anchor: str) -> None:
    """Remembers under which anchor folder the log is signed. Writes `log_state`."""
    connection.execute(update(STATE).values(anchor=anchor))


def load_waiting(
    connection: Connection, limit: int, *, only: tuple[int, int] | None = None
) -> list[Waiting]:
    """Returns records without an index, each stream's in its own order. Read-only.

    only: stream key and seq of the one that is asked for.

    By "has no index", never by a cursor: ids and times commit out of order. recorded_at never falls
    within a stream, so ordering by it and then by seq keeps every stream's order.
    """
    query = (
        select(UNSEQUENCED.c.stream, UNSEQUENCED.c.seq, UNSEQUENCED.c.hash)
        .order_by(UNSEQUENCED.c.recorded_at, UNSEQUENCED.c.stream, UNSEQUENCED.c.seq)
        .limit(limit)
    )
    if only is not None:
        query = query.where(UNSEQUENCED.c.stream == only[0], UNSEQUENCED.c.seq == only[1])
    rows = connection.execute(query)
    return [Waiting(row.stream, row.seq, as_bytes(row.hash)) for row in rows]


def make_room(
    connection: Connection, end: int, waiting: Sequence[Waiting]
) -> tuple[list[Waiting], list[int]]:
    """Returns which records can be given a place, and at which positions rows stood in their way.

    end: the position behind the last leaf.

    Leaf rows beyond the tree are nobody's, and deleted. Where a leaf of the tree names a record that
    still waits, its own is another: until it is put right there is no place for the one that waits.
    Writes `log_leaf`.
    """
    taken = []
    if connection.execute(delete(LEAF).where(LEAF.c.leaf_index >= end)).rowcount:
        taken.append(end)
    query = select(LEAF.c.stream, LEAF.c.seq, LEAF.c.leaf_index).join(UNSEQUENCED, _SAME_RECORD)
    held_up = {(row.stream, row.seq): row.leaf_index for row in connection.execute(query)}
    taken += held_up.values()
    return [one for one in waiting if (one.stream, one.seq) not in held_up], taken


def oldest_unpublished(connection: Connection, published: int) -> int | None:
    """Returns when the record was taken that waits longest for a signed checkpoint, None if none does.

    published: position behind the last leaf under a checkpoint. In milliseconds since 1970; records
    that are held up by an altered leaf row, a finding of its own, are passed over. Read-only.
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


def insert_leaves(connection: Connection, start: int, waiting: Sequence[Waiting]) -> None:
    """Gives records the positions from `start` on and takes them off the queue. Raises LeafTaken."""
    rows = [
        {"leaf_index": start + n, "stream": w.stream, "seq": w.seq, "hash": w.hash}
        for n, w in enumerate(waiting)
    ]
    try:
        insert_rows(connection, LEAF, rows)
    except IntegrityError as err:
        raise LeafTaken from err
    # Exactly those that have an index now: on PostgreSQL others may have joined the queue since we
    # looked, and a record that leaves it without an index is in no log, ever.
    logged = select(LEAF.c.stream, LEAF.c.seq).where(LEAF.c.leaf_index >= start)
    connection.execute(
        delete(UNSEQUENCED).where(tuple_(UNSEQUENCED.c.stream, UNSEQUENCED.c.seq).in_(logged))
    )


def find_leaf(connection: Connection, stream: str, seq: int) -> tuple[int, bytes] | None:
    """Returns (position, entry) of a record, or None while it has no index. Read-only."""
    row = _LEAF_OF.first(connection, stream=stream_key(stream), seq=seq)
    return None if row is None else (row.leaf_index, as_bytes(row.hash))


def waiting_hash(connection: Connection, key: int, seq: int) -> bytes | None:
    """Returns the hash under which a record (by stream key) waits for its index, or None. Read-only."""
    row = _WAITING_HASH.first(connection, stream=key, seq=seq)
    return None if row is None else as_bytes(row.hash)


def leaf_hashes(connection: Connection, start: int, end: int) -> dict[int, bytes]:
    """Returns the entries at positions `start` to `end`−1 that exist, by position. Read-only."""
    rows = _LEAVES_BETWEEN.rows(connection, start=start, end=end)
    return {row.leaf_index: as_bytes(row.hash) for row in rows}


def leaf_at(connection: Connection, position: int) -> Waiting | None:
    """Returns which record stands at a position, or None. Read-only."""
    row = connection.execute(_LEAF_AT, {"position": position}).first()
    return None if row is None else Waiting(row.stream, row.seq, as_bytes(row.hash))


def leaves_plainly(connection: Connection, start: int, end: int) -> list[tuple[Any, ...]]:
    """Returns (position, entry) of leaves `start` to `end`−1, in order, as the driver gives them.

    Read-only.
    """
    with connection.execute(_LEAVES_IN_ORDER, {"start": start, "end": end}) as rows:
        return fetch_plainly(rows, end - start + 1)


def leaf_holes(connection: Connection, end: int, limit: int = 1_000) -> list[int]:
    """Returns the positions below `end` that have no leaf, at most `limit`. Read-only."""
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
        until = connection.execute(following).scalar()
        holes += range(last + 1, min(end if until is None else until, last + 1 + limit))
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
