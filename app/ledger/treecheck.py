"""Re-verification of the log: leaves against tiles, tiles against the tree, the tree against what was signed.

Every tile is derived again from the leaves, level by level, holding one tile a level. Where a leaf
and its tile differ, the hash above them says which of the two was altered; where that one cannot
tell, two of leaf row, tile and record against one. A tile or leaf row at fault is a finding on the
log and charges no merchant; a record that differs from what the log holds is one on its stream.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, select

from app.db.engine import TextDamaged
from app.ledger import logstore, tilestore
from app.ledger.checkpoint import Checkpoint
from app.ledger.logstore import Log, TreeState
from app.ledger.merkle import (
    HASH_BYTES,
    LEAF_PREFIX,
    Edge,
    edge_append,
    edge_append_subtree,
    edge_root,
    fold_edge,
    leaf_hash,
    root_of,
)
from app.ledger.record import record_hash
from app.ledger.store import LEAF, as_bytes, stream_name
from app.ledger.tiles import (
    ENTRIES,
    TILE_HEIGHT,
    TILE_WIDTH,
    EntryBundleMalformed,
    decode_entries,
    encode_entries,
    split_hashes,
    tile_root,
)
from app.ledger.verifier import Problem

_AHEAD = 8  # tiles read at once

Progress = Callable[[int], None]


def check_tree(
    connection: Connection, signed: list[Checkpoint], *, progress: Progress = lambda _: None
) -> Iterator[Problem]:
    """Yields what does not agree in the logs, one after another. Read-only.

    signed: checkpoints whose signature the caller has verified (served and anchored ones).
    progress: told the number of leaves done.
    """
    states = logstore.load_states(connection)
    start = 0
    for n, state in enumerate(states):
        true = Log(n, start)
        if state.log != true:
            places = (f"log {log.number} at {log.start}" for log in (true, state.log))
            evidence = dict(zip(("expected", "got"), places, strict=True))
            yield log_problem("log.state_mismatch", state.origin, **evidence)
        here = replace(state, log=Log(state.log.number, start))
        following = states[n + 1].log.start if n + 1 < len(states) else None
        own = sorted({(c.size, c.root) for c in signed if c.size and c.origin == state.origin})
        start += yield from _check_log(connection, here, following, own, progress)
    if not states:
        start, told = _true_size(connection, None, None)
        yield from told
    known = {state.origin for state in states}
    for checkpoint in signed:
        # Of a log that this database does not know: it is older than that.
        if checkpoint.origin not in known and checkpoint.size > (0 if states else start):
            size, got = str(checkpoint.size), str(0 if states else start)
            yield log_problem("log.checkpoint_ahead", checkpoint.origin, size=size, got=got)


def _check_log(
    connection: Connection,
    state: TreeState,
    following: int | None,
    pending: list[tuple[int, bytes]],
    progress: Progress,
) -> Generator[Problem, None, int]:
    """Yields what does not agree in one log; returns how many leaves it has.

    following: where the next log says to begin. pending: size and root of what was signed, by size.
    """
    origin = state.origin
    size, told = _true_size(connection, state, following)
    yield from told
    check = _TreeCheck(connection, state, _useful_edge(state, told), size)
    wrong: list[Problem] = []
    if following is not None and (not pending or pending[-1][0] < size):
        # What another log went on from was signed to its very end.
        wrong.append(log_problem("log.checkpoint_missing", origin, size=str(size)))
    edge: Edge = ()
    for start in range(0, size, TILE_WIDTH):
        end = min(start + TILE_WIDTH, size)
        hashes, root, problems = check.next_tile(start, end)
        yield from problems
        while pending and pending[0][0] <= end:
            at, told_root = pending.pop(0)
            if edge_root(at, edge_append(start, edge, hashes[: at - start])) != told_root:
                wrong.append(log_problem("log.checkpoint_mismatch", origin, size=str(at)))
        if end - start == TILE_WIDTH:
            edge = edge_append_subtree(start, edge, root, height=TILE_HEIGHT)
        else:
            edge = edge_append(start, edge, hashes)
        progress(state.log.start + end)
    yield from check.finish()
    if not told and (edge_root(size, edge) != state.root or edge != state.edge):
        yield log_problem("log.state_mismatch", origin, size=str(size))
    yield from wrong
    for at, _ in pending:
        yield log_problem("log.checkpoint_ahead", origin, size=str(at), got=str(size))
    return size


def true_leaves(connection: Connection, log: Log, index: int) -> list[bytes]:
    """Returns the leaf hashes of one level-0 tile as `check_tree` takes them to be. Read-only."""
    states = logstore.load_states(connection)
    state = next((one for one in states if one.log == log), None)
    following = next((one.log.start for one in states if one.log.number == log.number + 1), None)
    size, told = _true_size(connection, state, following)
    start = index * TILE_WIDTH
    if state is None or start >= size:
        return []
    check = _TreeCheck(connection, state, _useful_edge(state, told), size)
    return check.read_tile(start, min(start + TILE_WIDTH, size)).hashes


def _useful_edge(state: TreeState, told: list[Problem]) -> Edge | None:
    return state.edge if not told and logstore.is_sound(state) else None


def _true_size(
    connection: Connection, state: TreeState | None, following: int | None
) -> tuple[int, list[Problem]]:
    """Returns how many leaves a log has, and what is wrong with what is said about it.

    Said by the state, the width of the last tile, and where the leaf rows end or the next log
    begins (`following`): two against one.
    """
    end = following
    if end is None:
        last = connection.execute(select(func.max(LEAF.c.leaf_index))).scalar()
        end = 0 if last is None else last + 1
    if state is None:
        return end, [log_problem("log.state_mismatch", size="none")] if end else []
    leaves = max(end - state.log.start, 0)
    size: Any = state.size  # or text, where a hand has been
    if size == leaves:
        return size, []
    if isinstance(size, int) and size > 0:
        index = (size - 1) // TILE_WIDTH
        data = tilestore.load_tile(connection, state.log, 0, index) or b""
        if len(data) == (size - index * TILE_WIDTH) * HASH_BYTES:
            added = leaves > size and following is None  # else it is the next log's state
            return size, [Problem("log.leaf_altered", None, None, state.end)] if added else []
    told = log_problem("log.state_mismatch", state.origin, size=str(size), got=str(leaves))
    return leaves, [told]


@dataclass(slots=True)
class _Level:
    """A level above the leaves while it is derived: how many hashes, and those of its last tile."""

    count: int = 0
    last: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Bottom:
    """A level-0 tile: its leaf rows' entries, their hashes, the stored ones, the true ones, the root."""

    entries: tuple[bytes, ...]
    derived: Sequence[bytes | None]
    stored: Sequence[bytes | None]
    hashes: list[bytes]
    root: bytes


@dataclass(frozen=True, slots=True)
class _Ahead:
    """What is stored of neighbouring level-0 tiles, read at once: `start` to `end` of their leaves.

    leaves: (index, entry) as they come. tiles, bundles: by index.
    """

    start: int = 0
    end: int = 0
    leaves: Sequence[tuple[Any, ...]] = ()
    tiles: Mapping[int, bytes] = field(default_factory=dict)
    bundles: Mapping[int, bytes] = field(default_factory=dict)


class _TreeCheck:
    """Derives a log's tiles from left to right. edge: the kept one, or None if it is no use."""

    def __init__(
        self, connection: Connection, state: TreeState, edge: Edge | None, size: int
    ) -> None:
        self._connection = connection
        self._log = state.log
        self._origin = state.origin
        self._edge = edge
        self._size = size
        self._ahead = _Ahead()
        self._levels: dict[int, _Level] = {}
        self._parents: tuple[int, list[bytes]] = (-1, [])

    def next_tile(self, start: int, end: int) -> tuple[list[bytes], bytes, list[Problem]]:
        """Returns the true leaf hashes of a level-0 tile, its root, and what is wrong with it and them."""
        clean = self._prove_clean(start, end)
        if clean is not None:
            hashes, root = clean
            return hashes, root, self._raise(1, root) if end - start == TILE_WIDTH else []
        tile, problems = self._explain(start, end)
        if end - start == TILE_WIDTH:
            problems += self._raise(1, tile.root)
        return tile.hashes, tile.root, problems

    def _prove_clean(self, start: int, end: int) -> tuple[list[bytes], bytes] | None:
        """Returns the leaf hashes and root of a tile that is as its leaves are, as nearly all are.

        None where anything is amiss: what, and whose fault it is, `_explain` says.
        """
        if end > self._ahead.end or start < self._ahead.start:
            self._ahead = _Ahead()  # let go before the next is read
            try:
                self._ahead = self._read_ahead(start)
            except TextDamaged:
                return None
        ahead, index, first = self._ahead, start // TILE_WIDTH, self._log.start
        leaves = ahead.leaves[start - ahead.start : end - ahead.start]
        places, entries = zip(*leaves, strict=True) if leaves else ((), ())
        if (
            places != tuple(range(first + start, first + end))
            or {*map(type, entries)} != {bytes}
            or ahead.bundles.get(index) != encode_entries(entries)
        ):
            return None
        hashes = [sha256(LEAF_PREFIX + entry).digest() for entry in entries]
        if ahead.tiles.get(index) != b"".join(hashes):
            return None
        root = root_of(hashes)
        above = self._hash_above(start, end - start)
        return (hashes, root) if above in (None, root) else None

    def _read_ahead(self, start: int) -> _Ahead:
        end = min(start + _AHEAD * TILE_WIDTH, self._size)
        tiles = start // TILE_WIDTH, -(-end // TILE_WIDTH)
        return _Ahead(
            start,
            end,
            logstore.leaves_plainly(
                self._connection, self._log.start + start, self._log.start + end
            ),
            tilestore.load_tiles(self._connection, self._log, 0, *tiles),
            tilestore.load_tiles(self._connection, self._log, ENTRIES, *tiles),
        )

    def _explain(self, start: int, end: int) -> tuple[_Bottom, list[Problem]]:
        """Returns a level-0 tile, and what is wrong with it and its leaves."""
        index = start // TILE_WIDTH
        tile = self.read_tile(start, end)
        problems: list[Problem] = []
        if tile.stored != tile.hashes:
            problems.append(tile_problem(self._origin, 0, index))
        for offset, true in enumerate(tile.hashes):
            if tile.derived[offset] != true:
                problems.append(self._judge_leaf(self._log.start + start + offset, true))
        bundle = tilestore.load_tile(self._connection, self._log, ENTRIES, index)
        whole = tile.derived == tile.hashes and bundle == encode_entries(list(tile.entries))
        if not whole and _hashes_in(bundle or b"") != tile.hashes:
            problems.append(tile_problem(self._origin, ENTRIES, index))
        return tile, problems

    def read_tile(self, start: int, end: int) -> _Bottom:
        """Returns a level-0 tile as its leaf rows give it, as it is stored, and as it truly is."""
        first, last = self._log.start + start, self._log.start + end
        entries = logstore.leaf_hashes(self._connection, first, last)
        derived = [leaf_hash(entries[at]) if at in entries else None for at in range(first, last)]
        data = tilestore.load_tile(self._connection, self._log, 0, start // TILE_WIDTH) or b""
        whole = len(data) == (end - start) * HASH_BYTES
        stored = [*split_hashes(data)] if whole else [None] * (end - start)
        above = self._hash_above(start, end - start)
        hashes = split_hashes(data)
        root = root_of(hashes)
        if derived != stored or (above is not None and root != above):
            hashes = self._arbitrate(start, derived, stored, above)
            root = root_of(hashes)
        return _Bottom(tuple(entries.values()), derived, stored, hashes, root)

    def finish(self) -> Iterator[Problem]:
        """Yields what is wrong with the partial tiles of the levels above."""
        for number, level in self._levels.items():
            if level.count % TILE_WIDTH:
                yield from self._compare(number, level)

    def _arbitrate(
        self,
        start: int,
        derived: Sequence[bytes | None],
        stored: Sequence[bytes | None],
        above: bytes | None,
    ) -> list[bytes]:
        """Returns the true leaf hashes of a tile that its leaf rows, or the hash above, contradict."""
        first = self._log.start + start
        records = self._records_of(first, first + len(derived))
        for whole in (derived, stored, records):
            known = [told for told in whole if told is not None]
            if len(known) == len(whole) and root_of(known) == above:
                return known
        # A bit of each, or the hash above is damaged too: place by place, two against one.
        return [
            (tile if row is None or (tile is not None and tile == record) else row) or b""
            for row, tile, record in zip(derived, stored, records, strict=True)
        ]

    def _hash_above(self, start: int, width: int) -> bytes | None:
        """Returns the root of a level-0 tile as the tree keeps it above: in level 1, or in the edge."""
        index = start // TILE_WIDTH
        if width == TILE_WIDTH:
            parent, offset = divmod(index, TILE_WIDTH)
            if self._parents[0] != parent:
                data = tilestore.load_tile(self._connection, self._log, 1, parent) or b""
                self._parents = (parent, split_hashes(data))
            told = self._parents[1]
            return told[offset] if offset < len(told) else None
        if self._edge is None:
            return None
        return fold_edge(self._edge[-width.bit_count() :])

    def _judge_leaf(self, position: int, true: bytes) -> Problem:
        """Returns the problem of a leaf that is not what the log holds at its place."""
        row = self._connection.execute(
            select(LEAF.c.stream, LEAF.c.seq, LEAF.c.hash).where(LEAF.c.leaf_index == position)
        ).first()
        if row is None:
            return Problem("log.leaf_missing", None, None, position)
        (record,) = self._records_of(position, position + 1)
        if record in (true, None):
            # The record is what was logged; only the row that names its place was changed.
            return Problem("log.leaf_altered", None, None, position)
        name = stream_name(self._connection, row.stream) or f"#{row.stream}"
        evidence = {"expected": true.hex(), "got": leaf_hash(as_bytes(row.hash)).hex()}
        return Problem("integrity.leaf_mismatch", name, row.seq, position, evidence)

    def _records_of(self, start: int, end: int) -> list[bytes | None]:
        """Returns the leaf hashes of the records at these positions, None where one is gone."""
        found: list[bytes | None] = [None] * (end - start)
        for row in logstore.leaves_with_records(self._connection, start, end):
            if row.body is not None:
                found[row.leaf_index - start] = leaf_hash(record_hash(as_bytes(row.body)))
        return found

    def _raise(self, number: int, node: bytes) -> list[Problem]:
        """Puts a full tile's hash into the level above, and compares that one's tile when it is full."""
        level = self._levels.setdefault(number, _Level())
        level.count += 1
        level.last.append(node)
        if level.count % TILE_WIDTH:
            return []
        problems = self._compare(number, level)
        full = tile_root(b"".join(level.last))
        level.last = []
        return problems + self._raise(number + 1, full)

    def _compare(self, number: int, level: _Level) -> list[Problem]:
        index = (level.count - 1) // TILE_WIDTH
        if tilestore.load_tile(self._connection, self._log, number, index) == b"".join(level.last):
            return []
        return [tile_problem(self._origin, number, index)]


def _hashes_in(bundle: bytes) -> list[bytes]:
    """Returns the leaf hashes of an entry bundle's entries; none where it is damaged."""
    try:
        return [leaf_hash(entry) for entry in decode_entries(bundle)]
    except EntryBundleMalformed:
        return []


def tile_problem(origin: str, level: int, index: int) -> Problem:
    """Returns the problem of a tile that is not what lies below it."""
    shown = "entries" if level == ENTRIES else str(level)
    return log_problem("log.tile_mismatch", origin, tile=f"{shown}/{index}")


def log_problem(kind: str, origin: str | None = None, **evidence: str) -> Problem:
    """Returns a problem of one of the logs; origin: its name, None where none is known."""
    told = evidence if origin is None else {**evidence, "log": str(origin)}
    return Problem(kind, None, None, None, told)
