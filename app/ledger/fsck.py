"""The logs derived once more from the stored records alone: every leaf, tile, the root, what was signed.

A second opinion beside `treecheck`, which asks what an alteration was and whose: this one asks nothing
but whether the same bytes come out. It shares no code with what wrote them above the hash of a node.
Holds one tile a level in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection

from app.ledger import logstore, tilestore
from app.ledger.checkpoint import Checkpoint
from app.ledger.logstore import Log, TreeState
from app.ledger.merkle import Edge, edge_append, edge_root, leaf_hash
from app.ledger.record import record_hash
from app.ledger.store import as_bytes
from app.ledger.tiles import ENTRIES, TILE_WIDTH, tile_root
from app.ledger.treecheck import log_problem, tile_problem
from app.ledger.verifier import Problem


@dataclass(frozen=True, slots=True)
class Derived:
    """What came out of the records of one log. root: 32 bytes."""

    origin: str
    size: int
    root: bytes


@dataclass(slots=True)
class LogCheck:
    """Derives the logs inside one snapshot. Read-only.

    signed: checkpoints whose signature the caller has verified. progress: told the leaves done.
    `leaves` and `tiles` count what was derived and compared; `logs` is what came out of each.
    """

    connection: Connection
    signed: list[Checkpoint]
    progress: Callable[[int], None] = lambda _: None
    leaves: int = 0
    tiles: int = 0
    logs: list[Derived] = field(default_factory=list)

    def check(self) -> Iterator[Problem]:
        """Yields every place at which what is stored is not what the records give."""
        states = logstore.load_states(self.connection)
        if not states:
            yield log_problem("log.state_mismatch", size="none")
            return
        for n, state in enumerate(states):
            if state.log != Log(n, self.leaves):
                # Where one log begins wrongly, what is in it cannot be derived.
                got = f"log {state.log.number} at {state.log.start}"
                expected = f"log {n} at {self.leaves}"
                yield log_problem("log.state_mismatch", state.origin, expected=expected, got=got)
                return
            pending = sorted({(c.size, c.root) for c in self.signed if c.origin == state.origin})
            if state is not states[-1] and (state.size, state.root) not in pending:
                yield log_problem("log.checkpoint_missing", state.origin, size=str(state.size))
            check = _OneLog(self, state, [one for one in pending if one[0]])
            yield from check.check()
            if check.size != state.size:
                return  # whatever stands behind a hole cannot be derived
        for one in self.signed:
            if one.size and all(one.origin != state.origin for state in states):
                yield log_problem("log.checkpoint_ahead", one.origin, size=str(one.size), got="0")
        if (stored := tilestore.count_tiles(self.connection)) != self.tiles:
            yield log_problem("log.tile_foreign", expected=str(self.tiles), got=str(stored))


@dataclass(slots=True)
class _OneLog:
    """One log's derivation. pending: size and root of what was signed, by size."""

    whole: LogCheck
    state: TreeState
    pending: list[tuple[int, bytes]]
    size: int = 0
    _levels: list[list[bytes]] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)

    def check(self) -> Iterator[Problem]:
        state, origin = self.state, self.state.origin
        edge: Edge = ()
        batch: list[bytes] = []
        bundle = b""
        for row in logstore.leaves_with_records(self.whole.connection, state.log.start, state.end):
            if row.leaf_index != self.whole.leaves:
                yield Problem("log.leaf_missing", None, None, self.whole.leaves)
                return
            entry = as_bytes(row.leaf_hash)
            if row.body is None or record_hash(as_bytes(row.body)) != entry:
                # Goes on with the leaf row's, so that one damage is one problem.
                yield Problem("log.record_mismatch", None, None, row.leaf_index)
            batch.append(leaf_hash(entry))
            bundle += len(entry).to_bytes(2, "big") + entry
            self.size += 1
            self.whole.leaves += 1
            if len(batch) == TILE_WIDTH or self.size == state.size:
                start = self.size - len(batch)
                while self.pending and self.pending[0][0] <= self.size:
                    at, root = self.pending.pop(0)
                    if edge_root(at, edge_append(start, edge, batch[: at - start])) != root:
                        yield log_problem("log.checkpoint_mismatch", origin, size=str(at))
                edge = edge_append(start, edge, batch)
                yield from self._compare(ENTRIES, start // TILE_WIDTH, bundle)
                yield from self._push(0, batch)
                batch, bundle = [], b""
                self.whole.progress(self.whole.leaves)
        if self.size < state.size:
            yield Problem("log.leaf_missing", None, None, self.whole.leaves)
            return
        for level, hashes in enumerate(self._levels):
            if hashes:
                yield from self._compare(level, self._counts[level], b"".join(hashes))
        root = edge_root(self.size, edge)
        self.whole.logs.append(Derived(origin, self.size, root))
        if (self.size, root, edge) != (state.size, state.root, state.edge):
            yield log_problem(
                "log.state_mismatch", origin, size=str(state.size), got=str(self.size)
            )
        for at, _ in self.pending:
            yield log_problem("log.checkpoint_ahead", origin, size=str(at), got=str(self.size))

    def _push(self, level: int, hashes: list[bytes]) -> Iterator[Problem]:
        """Puts hashes into a level; a tile that is full is compared and hashed into the one above."""
        if level == len(self._levels):
            self._levels.append([])
            self._counts.append(0)
        tile = self._levels[level]
        tile += hashes
        if len(tile) == TILE_WIDTH:
            data = b"".join(tile)
            yield from self._compare(level, self._counts[level], data)
            self._levels[level] = []
            self._counts[level] += 1
            yield from self._push(level + 1, [tile_root(data)])

    def _compare(self, level: int, index: int, data: bytes) -> Iterator[Problem]:
        self.whole.tiles += 1
        if tilestore.load_tile(self.whole.connection, self.state.log, level, index) != data:
            yield tile_problem(self.state.origin, level, index)
