"""The log derived once more from the stored records alone: every leaf, tile, the root, what was signed.

A second opinion beside `treecheck`, which asks what an alteration was and whose: this one asks nothing
but whether the same bytes come out. It shares no code with what wrote them above the hash of a node.
Holds one tile a level in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection

from app.ledger import logstore
from app.ledger.checkpoint import Checkpoint
from app.ledger.merkle import Edge, edge_append, edge_root, leaf_hash
from app.ledger.record import record_hash
from app.ledger.store import as_bytes
from app.ledger.tiles import ENTRIES, TILE_WIDTH, tile_root
from app.ledger.treecheck import tile_problem
from app.ledger.verifier import Problem


@dataclass(slots=True)
class LogCheck:
    """Derives the log inside one snapshot. Read-only.

    signed: checkpoints whose signature the caller has verified. progress: told the leaves done.
    `leaves` and `tiles` count what was derived and compared; `size` and `root` are what came out.
    """

    connection: Connection
    signed: list[Checkpoint]
    progress: Callable[[int], None] = lambda _: None
    leaves: int = 0
    tiles: int = 0
    size: int = 0
    root: bytes = b""
    _levels: list[list[bytes]] = field(default_factory=list)
    _counts: list[int] = field(default_factory=list)

    def check(self) -> Iterator[Problem]:
        """Yields every place at which what is stored is not what the records give."""
        state = logstore.load_state(self.connection)
        if state is None:
            yield _problem("log.state_mismatch", size="none")
            return
        pending = sorted({(one.size, one.root) for one in self.signed if one.size})
        edge: Edge = ()
        batch: list[bytes] = []
        bundle = b""
        for row in logstore.leaves_with_records(self.connection, 0, state.size):
            if row.leaf_index != self.leaves:
                # Whatever stands behind a hole cannot be derived.
                yield Problem("log.leaf_missing", None, None, self.leaves)
                return
            entry = as_bytes(row.leaf_hash)
            if row.body is None or record_hash(as_bytes(row.body)) != entry:
                # Goes on with the leaf row's, so that one damage is one problem.
                yield Problem("log.record_mismatch", None, None, row.leaf_index)
            batch.append(leaf_hash(entry))
            bundle += len(entry).to_bytes(2, "big") + entry
            self.leaves += 1
            if len(batch) == TILE_WIDTH or self.leaves == state.size:
                start = self.leaves - len(batch)
                while pending and pending[0][0] <= self.leaves:
                    at, root = pending.pop(0)
                    if edge_root(at, edge_append(start, edge, batch[: at - start])) != root:
                        yield _problem("log.checkpoint_mismatch", size=str(at))
                edge = edge_append(start, edge, batch)
                yield from self._compare(ENTRIES, start // TILE_WIDTH, bundle)
                yield from self._push(0, batch)
                batch, bundle = [], b""
                self.progress(self.leaves)
        if self.leaves < state.size:
            yield Problem("log.leaf_missing", None, None, self.leaves)
            return
        for level, hashes in enumerate(self._levels):
            if hashes:
                yield from self._compare(level, self._counts[level], b"".join(hashes))
        self.size, self.root = self.leaves, edge_root(self.leaves, edge)
        if (self.size, self.root, edge) != (state.size, state.root, state.edge):
            yield _problem("log.state_mismatch", size=str(state.size), got=str(self.size))
        for at, _ in pending:
            yield _problem("log.checkpoint_ahead", size=str(at), got=str(self.size))
        if (stored := logstore.count_tiles(self.connection)) != self.tiles:
            yield _problem("log.tile_foreign", expected=str(self.tiles), got=str(stored))

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
        self.tiles += 1
        if logstore.load_tile(self.connection, level, index) != data:
            yield tile_problem(level, index)


def _problem(kind: str, **evidence: str) -> Problem:
    return Problem(kind, None, None, None, evidence)
