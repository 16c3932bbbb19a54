"""Making the map of heads: which record every stream ended with when the log had so many leaves.

A map covers exactly the leaves below a published tree size. What changed since the last one is found
in the log, by place, never by going through all streams; a stream's head is the highest seq among
the leaves below the size, whatever came after. In bounded pieces: each reads some hundred leaves and
the pages they touch in a snapshot, and writes the pages, and how far it came, in one short
transaction by compare-and-swap. So dying anywhere loses one piece, two leaders by mistake cannot both
go on, and a half-made map is never taken for one: it has no record.

What goes in is what the log holds: a record's own bytes, re-hashed and compared with the tree. A leaf
that cannot be had is passed over, which makes the map say less of its stream, never more; the audit
says why. Pages prove themselves up to the root that was recorded; where one is damaged, everything is
made anew from the log, and reported.

The pages keep what they were in the map before, so that proofs go on being given against a map whose
record is published while the next is being made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid5

import structlog
from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.ledger import headstore, logstore
from app.ledger.headmap import EMPTY, MAP_ROOT, Leaf, map_key
from app.ledger.headpages import PageDamaged, grow
from app.ledger.heads import submit_head
from app.ledger.headstore import MapMoved, MapState
from app.ledger.logstore import Log, Published
from app.ledger.merkle import leaf_hash
from app.ledger.note import VerifierKey
from app.ledger.record import has_key, record_hash
from app.ledger.recorder import Recorder
from app.ledger.served import load_checkpoint
from app.ledger.store import StoredRecord, as_bytes, stream_name
from app.ledger.tiles import TILE_WIDTH
from app.ledger.treecheck import true_leaves
from app.ledger.verifier import Problem, read_record

log = structlog.get_logger(__name__)

# Leaves a piece: its pages are written in some 20 ms, for which others that write wait.
_PIECE = 2 * TILE_WIDTH
_FORGOTTEN = 2_000
_NAMESPACE = UUID("5f0c7a36-7a0c-5b0e-9d0e-6d61705f726f")


class HeadsMaps:
    """Makes maps; `work` is a loop of the worker, of the log's leader. Owns its transactions.

    log_key: of the log that goes on. interval_s: from the begin of one map to that of the next, and
    from the log's first record to the first map. report: is told of pages that were damaged and are
    made anew, since no audit can find them afterwards.
    """

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        *,
        log_key: VerifierKey,
        clock: Clock,
        interval_s: float,
        report: Callable[[Sequence[Problem]], object] = lambda _: None,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._log_key = log_key
        self._clock = clock
        self._interval_ms = interval_s * 1000
        self._report = report

    def work(self) -> bool:
        """Does one bounded piece of what is due; returns whether there is more at once."""
        try:
            return self._work()
        except MapMoved:
            return True
        except PageDamaged as damaged:
            self._begin_anew(damaged)
            return True

    def _work(self) -> bool:
        with self._database.read() as connection:
            maps = headstore.load_maps(connection)
            left_over = not maps and headstore.has_pages(connection)
            newest = maps[0] if maps else None
            due = None
            if not left_over and (newest is None or self._is_over(connection, newest)):
                due = self._next(connection, newest)
        if left_over:
            with self._database.write() as connection:
                return headstore.forget_pages(connection, _FORGOTTEN)
        if due is not None:
            with self._database.write() as connection:
                headstore.begin_map(connection, due)
            return True
        if newest is None:
            return False
        if newest.position < newest.target:
            self._go_on(newest)
            return True
        if newest.seq is None:
            self._record(newest)
        return False

    def _is_over(self, connection: Connection, newest: MapState) -> bool:
        """Whether the newest map is recorded under a signed checkpoint, and long enough ago.

        Not before: until then proofs are given against the one before it, which the next would drop.
        """
        if newest.seq is None:
            return False
        if not self._is_past(newest.begun_at_ms):
            return False
        published = load_checkpoint(connection, self._log_key)
        record = headstore.map_root_at(connection, newest.seq)
        # One that was taken away is a finding of the audit, and no reason to wait for ever.
        return record is None or (published is not None and is_covered(record, published))

    def _is_past(self, since_ms: int) -> bool:
        """Whether the interval is over; a clock that was set back makes nobody wait."""
        return not 0 <= to_ms(self._clock.now()) - since_ms < self._interval_ms

    def _next(self, connection: Connection, last: MapState | None) -> MapState | None:
        """Returns the map that is due now, None while there is nothing new for it."""
        published = load_checkpoint(connection, self._log_key)
        done = 0 if last is None else last.target
        if published is None or published.end <= done:
            return None
        if last is None and not self._is_past(headstore.began_at_ms(connection)):
            return None  # of a log that has only just begun there is nothing to hide yet
        if not headstore.has_news(connection, done, published.end):
            return None
        if last is not None and not _is_recorded(connection, last):
            raise PageDamaged((0, b""))
        return MapState(
            version=1 if last is None else last.version + 1,
            log=self._log_key.name,
            size=published.size,
            target=published.end,
            position=done,
            streams=0 if last is None else last.streams,
            root=EMPTY if last is None else last.root,
            seq=None,
            begun_at_ms=to_ms(self._clock.now()),
        )

    def _go_on(self, before: MapState) -> None:
        """Takes the next leaves into the map. Raises MapMoved, PageDamaged."""
        end = min(before.target, before.position + _PIECE)
        with self._database.read() as connection:
            # A page that another process has written since is of another root: PageDamaged would
            # be wrong, so the state is asked for again in this very snapshot.
            if next(iter(headstore.load_maps(connection)), None) != before:
                raise MapMoved
            moved = _heads_between(connection, before.position, end)
            load = headstore.page_loader(connection, before.version)
            grown = grow(moved, load=load, root=before.root)
        after = replace(before, position=end, streams=before.streams + grown.added, root=grown.root)
        with self._database.write() as connection:
            headstore.move_map(connection, before, after)
            headstore.save_pages(connection, grown.pages, before.version)

    def _record(self, done: MapState) -> None:
        """Records the root of a complete map; a second time finds the first record again."""
        answer = submit_head(
            self._recorder,
            id_=str(uuid5(_NAMESPACE, f"{done.log}\n{done.size}\n{done.root.hex()}")),
            type_=MAP_ROOT,
            data=_data_of(done),
            at=self._clock.now(),
        )
        with self._database.write() as connection:
            headstore.move_map(connection, done, replace(done, seq=answer.seq))
        log.info("heads.recorded", seq=answer.seq, size=done.size, streams=done.streams)

    def _begin_anew(self, damaged: PageDamaged) -> None:
        log.error("heads.page_damaged", page=damaged.place)
        with self._database.write() as connection:
            headstore.forget_maps(connection)
        self._report([page_problem(damaged)])


def page_problem(damaged: PageDamaged) -> Problem:
    """Returns the problem of a page that is not what the map's root says."""
    return Problem("log.heads_mismatch", None, None, None, {"page": damaged.place})


def _is_recorded(connection: Connection, last: MapState) -> bool:
    """Whether the record of a map, as the log holds it, says what is kept of the map."""
    record = None if last.seq is None else headstore.map_root_at(connection, last.seq)
    if record is None or record.entry != record_hash(record.body):
        return False
    fields = read_record(record.body)
    return fields is not None and fields["data"] == _data_of(last)


def _data_of(done: MapState) -> dict[str, Any]:
    return {
        "log": done.log,
        "root": done.root.hex(),
        "size": done.size,
        "streams": done.streams,
    }


def is_covered(record: StoredRecord, published: Published) -> bool:
    """Whether a signed checkpoint covers the record of a map's root."""
    return record.leaf_index is not None and record.leaf_index < published.end


def _heads_between(connection: Connection, start: int, end: int) -> list[Leaf]:
    """Returns the last record of each stream among these leaves, in order of key. Read-only."""
    found: dict[bytes, Leaf] = {}
    states = logstore.load_states(connection)
    true: dict[tuple[Log, int], list[bytes]] = {}
    for row in headstore.leaves_with_bodies(connection, start, end):
        state, at = logstore.locate(states, row.leaf_index)
        index, offset = divmod(at, TILE_WIDTH)
        if (tile := (state.log, index)) not in true:
            true[tile] = true_leaves(connection, *tile)
        held = true[tile][offset] if offset < len(true[tile]) else None
        leaf = _leaf_of(connection, row, held)
        if leaf is None:
            log.error("heads.leaf_passed_over", leaf_index=row.leaf_index)
        elif leaf.key not in found or found[leaf.key].seq < leaf.seq:
            found[leaf.key] = leaf
    return sorted(found.values())


def _leaf_of(connection: Connection, row: Any, held: bytes | None) -> Leaf | None:
    """Returns what a leaf says of its stream; None where nothing of it is what the log holds."""
    body = b"" if row.body is None else as_bytes(row.body)
    if leaf_hash(entry := record_hash(body)) == held:
        fields: Mapping[str, Any] | None = read_record(body)
        if fields is not None:
            return Leaf(map_key(fields["stream"]), fields["seq"], entry)
    # The record was altered or is gone; its leaf row still says which it was.
    entry = as_bytes(row.hash)
    name = stream_name(connection, row.stream)
    if leaf_hash(entry) != held or not isinstance(row.seq, int) or not has_key(name, row.stream):
        return None
    return Leaf(map_key(name), row.seq, entry)
