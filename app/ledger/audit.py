"""The audit of the ledger: every stream, re-verified from stored bytes.

One read snapshot; memory does not grow with the log. Heads, lost records and records are read side
by side in order of stream and seq, so each stream is seen once and whole. What a stream means is not
known here: `check_state` lets the rooms above compare the state they keep in its head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row, select

from app.db.engine import TextDamaged
from app.kit.collector import weakly
from app.ledger import logstore, store
from app.ledger.attachments import Attachments
from app.ledger.auditstore import EVERYTHING, AuditReads, Span, gone, head_row, rank
from app.ledger.logstore import TreeState
from app.ledger.merkle import leaf_hash
from app.ledger.quick import CheckRows, CheckState, ProvePlainly, QuickProof
from app.ledger.record import has_key, record_hash, stream_key
from app.ledger.store import HEAD, LEAF
from app.ledger.tiles import TILE_WIDTH
from app.ledger.treecheck import true_leaves
from app.ledger.vault import Vault
from app.ledger.verifier import LostRecord, Problem, RecordRow, StreamCheck, read_record

_TOLD_EVERY = 500
# Heads of so many streams are held at a time, each at most some KiB.
_STREAMS_AT_A_TIME = 500
# How many of a stream's records are asked for its name, where its head does not tell.
_NAME_TRIES = 8
_ATTACHED = frozenset({"refs", "signed", "sealed"})
_LAST_SEQ = 2**63 - 1
_STREAM_OF = attrgetter("stream")


class Part(NamedTuple):
    """Which records of a stream were read: from seq `since` on, without a gap that was not there.

    before: the one before them, None where there is none. ends: they go to the stream's end.
    """

    since: int
    before: store.StoredRecord | None
    ends: bool


class LedgerAudit:
    """Checks streams inside one snapshot; `streams` and `records` count what was read. Read-only.

    vault: opens sealed sections; without it (no keys at hand) they are not checked. keeps_state:
    streams whose records `check_state` is to see, all at once. progress: told the number of records
    done, now and then.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        vault: Vault | None,
        check_state: CheckState | None = None,
        keeps_state: Callable[[str], bool] = lambda _: False,
        check_rows: CheckRows = lambda _stream, _records: (),
        prove_plainly: ProvePlainly = lambda _key, _stream, _frames, _state: False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._connection = connection
        self._reads = AuditReads(connection)
        self._check_state = check_state
        self._keeps_state = keeps_state
        self._check_rows = check_rows
        self._progress = progress
        # Weakly: in a circle a page's records would wait for the collector, which then stops all pages.
        true_leaf, is_sound = weakly(self._true_leaf), weakly(self._is_sound)
        self._attachments = Attachments(
            connection, vault=vault, true_leaf=true_leaf, is_sound=is_sound
        )
        self._quick = QuickProof(
            self._reads,
            self._attachments,
            check_state=check_state,
            keeps_state=keeps_state,
            check_rows=check_rows,
            prove_plainly=prove_plainly,
            progress=weakly(self._tell),
        )
        self._holes: list[int] | None = None
        self._states: list[TreeState] | None = None
        self._tile: tuple[tuple[int, int], list[bytes]] = ((-1, -1), [])
        self._explained_streams = self._explained_records = 0

    @property
    def streams(self) -> int:
        return self._explained_streams + self._quick.streams

    @property
    def records(self) -> int:
        return self._explained_records + self._quick.records

    def _tell(self, done: int) -> None:
        self._progress(self.records + done)

    def check_all(self) -> Iterator[Problem]:
        """Yields every problem of every stream."""
        yield from self.check_span(EVERYTHING)

    def check_span(self, span: Span) -> Iterator[Problem]:
        """Yields every problem of the streams of a span, in order of their keys.

        Nearly all are proven clean in a few operations a record; the others are explained.
        """
        while True:
            part = span
            try:
                heads = self._reads.head_tuples(span, _STREAMS_AT_A_TIME)
                if len(heads) == _STREAMS_AT_A_TIME and all(type(head[0]) is int for head in heads):
                    part = Span(span.after, heads[-1][0])
                doubtful = self._quick.find_doubtful(part, heads)
            except TextDamaged:  # in a head
                doubtful = None
            if doubtful is None:
                yield from self.explain_span(part)
            else:
                for key in sorted(doubtful):
                    yield from self.check_key(key)
            if part.until == span.until:
                return
            span = Span(part.until, span.until)

    def explain_span(self, span: Span) -> Iterator[Problem]:
        """Yields the same as `check_span`, every stream by the long way that says what is wrong."""
        yield from self._check_merged(
            self._reads.heads(span), self._reads.lost(span), self._reads.records(span)
        )

    def check_lost(self) -> Iterator[Problem]:
        """Yields the records of streams that lost their head and every record."""
        heads = select(HEAD.c.stream)
        lost = select(LEAF.c.stream).where(LEAF.c.stream.not_in(heads)).distinct()
        for key in self._connection.execute(lost).scalars().all():
            yield from self.check_key(key)

    def check_streams(self, names: Iterable[str]) -> Iterator[Problem]:
        """Yields every problem of these streams."""
        for name in names:
            yield from self.check_key(stream_key(name))

    def check_key(self, key: int) -> Iterator[Problem]:
        """Yields every problem of one stream."""
        yield from self._check_merged(
            self._reads.head_of(key), self._reads.lost_of(key), self._reads.records_of(key)
        )

    def check_read(
        self,
        stream: str,
        head: Any | None,
        own: Sequence[store.StoredRecord],
        others: Sequence[store.StoredRecord],
        part: Part | None = None,
    ) -> Iterator[Problem]:
        """Yields every problem of a stream, and what is wrong with single records of others.

        head, own, others: as they were read in this snapshot; they are not read again. Another
        stream from which a record was taken is at fault as a whole: what it said may have been what
        mattered, a recall. part: which records of the stream `own` are, None for all; then what is
        wrong elsewhere in the stream is not said, and `others` has those of it that tell its state.
        """
        key = stream_key(stream)
        above = {stream_key(record.stream) for record in others} - {key}
        lost = self._reads.lost_of_each(above | {key} if part is None else above)
        if part is not None:
            until = _LAST_SEQ if part.ends else own[-1].seq
            lost[key] = self._reads.lost_between(key, part.since - 1, until)
        self._attachments.read_sections((*own, *others))
        for record in others:
            if record.leaf_index is not None:
                self._attachments.remember_entry(record.stream, record.seq, record.entry)
        sound = True
        if head is not None or own or key in lost:
            rows = (self._row_of(record) for record in own)
            for problem in self._check(key, head, rows, gone(lost.pop(key, ())), part):
                sound = False
                yield problem
        for problem in self._check_singles(others, lost):
            sound = sound and problem.stream != stream
            yield problem
        if sound and part is not None and part.ends and head is not None:
            aside = [record for record in others if record.stream == stream]
            yield from self._check_told(stream, head, [*aside, *own])

    def _check_told(
        self, stream: str, head: Any, records: Sequence[store.StoredRecord]
    ) -> Iterator[Problem]:
        """Yields the head's state where sound records, all that tell it, tell another."""
        if self._check_state is None or not self._keeps_state(stream):
            return
        in_order = sorted(records, key=attrgetter("seq"))
        told = (read_record(one.body) for one in in_order)
        kept: list[Mapping[str, Any]] = [fields for fields in told if fields is not None]
        if not self._state_holds(stream, kept, head):
            evidence = {"column": "head.state"}
            yield Problem("integrity.index_mismatch", stream, head.seq, None, evidence)

    def _check_singles(
        self, records: Iterable[store.StoredRecord], lost: Mapping[int, list[Any]]
    ) -> Iterator[Problem]:
        seen: set[str] = set()
        for record in records:
            name, seq = record.stream, record.seq
            if name not in seen:
                seen.add(name)
                for row in lost.get(stream_key(name), ()):
                    yield Problem("integrity.record_missing", name, row.seq, row.leaf_index)
            self._explained_records += 1
            check = StreamCheck.single(name, seq, true_leaf=self._true_leaf, in_hole=self._in_hole)
            yield from self._feed(check, name, self._row_of(record))

    def _check_merged(
        self, heads: Iterable[Row[Any]], lost: Iterable[Row[Any]], records: Iterable[Row[Any]]
    ) -> Iterator[Problem]:
        """Checks the streams of three sources, each in order of stream (and seq)."""
        sources = [groupby(rows, _STREAM_OF) for rows in (heads, lost, records)]
        waiting = [next(source, None) for source in sources]
        while any(waiting):
            # Not row by row: a stream's rows are taken as they come.
            key = min((one[0] for one in waiting if one is not None), key=rank)
            here = [one[1] if one is not None and one[0] == key else () for one in waiting]
            head = next(iter(here[0]), None)
            rows = (self._record_row(row) for row in here[2])
            yield from self._check(key, head, rows, gone(here[1]))
            for n, one in enumerate(waiting):
                if one is not None and one[0] == key:
                    waiting[n] = next(sources[n], None)

    def _check(
        self,
        key: Any,
        head: Any | None,
        rows: Iterator[RecordRow],
        lost: list[LostRecord],
        part: Part | None = None,
    ) -> Iterator[Problem]:
        self._explained_streams += 1
        first = list(islice(rows, _NAME_TRIES))
        name, told = self._name(key, head, first)
        if told is not None:
            yield told
        asked: dict[str, Any] = {"true_leaf": self._true_leaf, "in_hole": self._in_hole}
        if part is None:
            check = StreamCheck(name, key=key, lost=lost, **asked)
        else:
            before = None if part.before is None else self._row_of(part.before)
            check = StreamCheck.part(name, part.since, before, lost=lost, **asked)
        sound = told is None
        keep = part is None and self._check_state is not None and self._keeps_state(name)
        kept: list[Mapping[str, Any]] = []
        for row in chain(first, rows):
            self._explained_records += 1
            if self.records % _TOLD_EVERY == 0:
                self._progress(self.records)
            if row.entry is None and self._belongs_elsewhere(key, row):
                continue
            for problem in self._feed(check, name, row):
                sound = False
                yield problem
            if keep and sound and check.fields is not None:
                kept.append(check.fields)
        if part is not None and not (part.ends and (first or part.before)):
            return
        for problem in check.finish(head_row(head)):
            sound = False
            yield problem
        if sound and kept and head is not None and not self._state_holds(name, kept, head):
            evidence = {"column": "head.state"}
            yield Problem("integrity.index_mismatch", name, head.seq, None, evidence)
        if sound and kept:
            yield from self._check_rows(name, kept)

    def _feed(self, check: StreamCheck, name: str, row: RecordRow) -> Iterator[Problem]:
        if not isinstance(row.seq, int):
            yield Problem("integrity.index_mismatch", name, None, None, {"column": "seq"})
            return
        yield from check.feed(row)
        if check.fields is not None and not _ATTACHED.isdisjoint(check.fields):
            yield from self._attachments.check(
                check.fields, name=name, seq=row.seq, leaf_index=row.leaf_index
            )

    def _name(
        self, key: Any, head: Any | None, rows: list[RecordRow]
    ) -> tuple[str, Problem | None]:
        """Returns the stream's true name, and what is wrong with the one in its head.

        A name that does not give this key is somebody else's, who must not be named for it.
        """
        if head is not None and has_key(head.name, key):
            return head.name, None
        bodies = (read_record(row.body) for row in rows)
        names = (fields["stream"] for fields in bodies if fields is not None)
        name = next((name for name in names if has_key(name, key)), f"#{key}")
        if head is None:
            return name, None
        evidence = {"column": "head.name"}
        return name, Problem("integrity.index_mismatch", name, None, None, evidence)

    def _state_holds(self, name: str, kept: list[Mapping[str, Any]], head: Any) -> bool:
        """Whether the head's state follows from the records, or nobody can say.

        Where a record that these refer to is gone or altered, the fold cannot be had again; that
        one is reported, and this stream is not.
        """
        assert self._check_state is not None
        try:
            state = orjson.loads(head.state)
        except (ValueError, TypeError):
            return False
        if not isinstance(state, dict):
            return False
        if self._check_state(name, kept, state):
            return True
        return not all(map(self._attachments.refers_to_sound, kept))

    def _is_sound(self, name: str) -> bool:
        """Whether a stream's records are all there and what log and columns say."""
        key = stream_key(name)
        if next(self._reads.lost_of(key), None) is not None:
            return False
        check = StreamCheck(name, key=key)
        return not any(
            problem
            for row in self._reads.records_of(key)
            for problem in check.feed(self._record_row(row))
        )

    def _belongs_elsewhere(self, key: Any, row: RecordRow) -> bool:
        """Whether the log knows this record at another place, where it is missing.

        Its place was altered; it is reported missing there, once.
        """
        fields = read_record(row.body)
        if fields is None:
            return False
        stream, seq = fields["stream"], fields["seq"]
        own = stream_key(stream)
        if (own, seq) == (key, row.seq) or store.load_record(self._connection, stream, seq):
            return False
        leaf = logstore.find_leaf(self._connection, stream, seq)
        entry = leaf[1] if leaf else logstore.waiting_hash(self._connection, own, seq)
        return entry == record_hash(row.body)

    def _true_leaf(self, position: int) -> bytes | None:
        """Returns the leaf hash that the log truly holds at a place."""
        states = self._logs()
        if not states:
            return None
        state, leaf_index = logstore.locate(states, position)
        index, offset = divmod(leaf_index, TILE_WIDTH)
        place = (state.log.number, index)
        if self._tile[0] != place:
            self._tile = (place, true_leaves(self._connection, state.log, index))
        hashes = self._tile[1]
        return hashes[offset] if offset < len(hashes) else None

    def _in_hole(self, entry: bytes) -> bool:
        """Whether the log holds this entry where the leaf row is gone (a finding on the log)."""
        if self._holes is None:
            states = self._logs()
            end = states[-1].end if states else 0
            self._holes = logstore.leaf_holes(self._connection, end)
        return any(self._true_leaf(position) == leaf_hash(entry) for position in self._holes)

    def _logs(self) -> list[TreeState]:
        if self._states is None:
            self._states = logstore.load_states(self._connection)
        return self._states

    def _record_row(self, row: Iterable[Any]) -> RecordRow:
        stream, seq, id_, type_, actor, recorded_at, hash_, body, leaf_index, entry = tuple(row)
        if leaf_index is None:
            entry = logstore.waiting_hash(self._connection, stream, seq)
        # The columns of bytes are read as bytes, whatever stands there.
        return RecordRow(seq, id_, type_, actor, recorded_at, hash_, body, leaf_index, entry)

    def _row_of(self, record: store.StoredRecord) -> RecordRow:
        """Returns a record that was read with its columns, as the check wants it."""
        assert record.columns is not None, "only what is read from the table is checked"
        place = stream_key(record.stream), record.seq
        log = record.hash, record.body, record.leaf_index, record.entry
        return self._record_row((*place, *record.columns, *log))
