"""The sequencer: gives committed records their index in the log, and grows the tiles.

One leader. One transaction a round: the tree's state by compare-and-swap on its size and the leader's
epoch, leaves, tiles; so two leaders by mistake cannot both extend the same tree, and one whose lease
is over extends none. It trusts the edge in the state row, which
proves itself against the root, and no tile: a damaged one is derived again and never stops the log.
Because no audit could find it afterwards, it is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from app.db.engine import Database
from app.db.lease import Lease
from app.ledger import logstore, tilestore
from app.ledger.derivation import right_edge_reader, trusted_edge
from app.ledger.logstore import LeafTaken
from app.ledger.merkle import edge_append, edge_root, leaf_hash
from app.ledger.tiles import append_tiles
from app.ledger.treecheck import tile_problem
from app.ledger.verifier import Problem

_ROUND = 4_000


class Sequencer:
    """Owns its transactions.

    lease: None where one process alone has the database. report: is told which damaged tiles were
    derived again, once they are.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease: Lease | None = None,
        report: Callable[[Sequence[Problem]], object] = lambda _: None,
    ) -> None:
        self._database = database
        self._lease = lease
        self._report = report

    @property
    def lease(self) -> Lease | None:
        """By whose epoch it is fenced."""
        return self._lease

    def sequence(self, limit: int = _ROUND) -> int:
        """Sequences up to `limit` waiting records; returns how many.

        Leaf rows that stand where none can be yet do not stop it: they are replaced and reported. None
        in a log that goes on from another and is empty: its first leaf is the hand-over, which a
        rotation asks for by `sequence_record`.

        Raises logstore.TreeMoved if another sequencer was first: call again. Raises NotLeading or
        logstore.Fenced where another process leads. Raises derivation.TreeUnsound if the state
        contradicts itself and the leaves.
        """
        with self._database.read() as connection:
            if not logstore.load_waiting(connection, 1):
                return 0
        damaged: list[Problem] = []
        try:
            done = self._extend(limit, damaged, clear=False)
        except LeafTaken:
            damaged.clear()
            done = self._extend(limit, damaged, clear=True)
        if damaged:
            self._report(damaged)
        return done

    def sequence_record(self, stream: int, seq: int) -> None:
        """Makes one waiting record, by its stream's key, the next leaf, before all that wait longer.

        Nothing happens where it has its index. Raises as `sequence` does.
        """
        damaged: list[Problem] = []
        try:
            self._extend(1, damaged, clear=False, only=(stream, seq))
        except LeafTaken:
            damaged.clear()
            self._extend(1, damaged, clear=True, only=(stream, seq))
        if damaged:
            self._report(damaged)

    def _extend(
        self,
        limit: int,
        damaged: list[Problem],
        *,
        clear: bool,
        only: tuple[int, int] | None = None,
    ) -> int:
        """Does one round. clear: takes away what stands in the way of it first."""
        epoch = None if self._lease is None else self._lease.require()
        with self._database.write() as connection:
            before = logstore.load_state(connection)
            if before is None:
                raise RuntimeError("the log was never begun; run `suxin init`")
            if before.log.number and not before.size and only is None:
                return 0
            waiting = logstore.load_waiting(connection, limit, only=only)
            if clear:
                waiting, taken = logstore.make_room(connection, before.end, waiting)
                damaged += [Problem("log.leaf_altered", None, None, place) for place in taken]
            if not waiting:
                return 0
            old_edge = trusted_edge(connection, before)
            entries = [w.hash for w in waiting]
            edge = edge_append(before.size, old_edge, [leaf_hash(entry) for entry in entries])
            size = before.size + len(entries)
            # First of all: whoever wins this may write the rest, and nobody else.
            after = replace(before, size=size, root=edge_root(size, edge), edge=edge)
            logstore.move_state(connection, before, after, epoch=epoch)
            logstore.insert_leaves(connection, before.end, waiting)
            read_tile = right_edge_reader(
                connection,
                before,
                old_edge,
                on_damage=lambda *tile: damaged.append(tile_problem(before.origin, *tile)),
            )
            tiles = append_tiles(before.size, entries, read_tile)
            tilestore.save_tiles(connection, before.log, tiles)
        return len(waiting)
