"""One batch inside its transaction: what the database says, and over it what this batch has done.

Everything a batch wants to see is read in three queries beforehand; each decision then works in
memory, and one `flush` writes all rows. An all-or-none request gets a Stage of its own on top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.kit.clock import from_ms, to_ms
from app.kit.errors import Fault, TooLarge, Unavailable
from app.ledger import sealstore, store
from app.ledger.record import (
    MAX_AHEAD,
    MAX_EVENT_BYTES,
    Ref,
    id_bytes,
    record_body,
    record_hash,
    stream_key,
)
from app.ledger.repeat import IdConflict, check_repeat, open_salts
from app.ledger.rows import TABLES, Rows, dump, rows_of
from app.ledger.submission import (
    Abandoned,
    Answer,
    Draft,
    Read,
    Recorded,
    StreamHead,
    Submission,
    View,
)
from app.ledger.vault import Vault

__all__ = ["ClockBehind", "EffectWriter", "IdConflict", "Stage"]

log = structlog.get_logger(__name__)

EffectWriter = Callable[[Connection, Sequence[Mapping[str, Any]]], None]

_Place = tuple[str, str]


class ClockBehind(Unavailable):
    """The stream's last record is more than 5 s ahead of the clock."""


class Stage:
    """Decides submissions and gathers their rows. Lives inside one write transaction."""

    def __init__(
        self, connection: Connection, vault: Vault, now: datetime, below: Stage | None = None
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._now = now
        self._now_ms = to_ms(now)
        self._below = below
        # What the database said; shared with stages on top. What is absent is kept as None.
        self._stored_heads: dict[str, StreamHead] = below._stored_heads if below else {}
        self._stored_facts: dict[_Place, Any] = below._stored_facts if below else {}
        self._stored_ids: dict[_Place, tuple[int, bytes, bytes] | None] = (
            below._stored_ids if below else {}
        )
        self._stored_hashes: dict[tuple[str, int], bytes] = below._stored_hashes if below else {}
        # By id(): what a submission wants to see further, with the head that said so.
        self._after: dict[int, tuple[StreamHead, tuple[Read, ...]]] = below._after if below else {}
        # What this stage has done; states and facts also as the bytes to be stored.
        self._heads: dict[str, StreamHead] = {}
        self._states: dict[str, bytes] = {}
        self._records: list[store.NewRecord] = []
        self._facts: dict[_Place, Any] = {}
        self._fact_rows: dict[_Place, bytes | None] = {}
        self._ids: dict[_Place, Recorded] = {}
        self._hashes: dict[tuple[str, int], bytes] = {}
        self._rows: Rows = {name: [] for name in TABLES}
        self._effects: dict[str, list[Mapping[str, Any]]] = {}

    def load(self, submissions: Sequence[Submission]) -> None:
        """Reads what the submissions want to see, in few queries. Read-only.

        What a decision asks for beyond that is read when it asks.
        """
        # The same few things again and again: of a sender, a product, a lot.
        wanted = {read for s in submissions for read in s.reads}
        try:
            self._load({s.claim.stream for s in submissions}, wanted)
        except store.StreamKeyTaken:
            return  # whoever wants that stream is refused, alone, when it is decided
        after: set[Read] = set()
        for submission in submissions:
            if submission.reads_after is not None:
                try:
                    head = self._stored_heads[submission.claim.stream]
                    after.update(self._reads_after(submission, head))
                except Exception:  # noqa: BLE001, S112 - it fails again, alone, when it is decided
                    continue
        self._load(set(), after)
        self._load_ids({(s.claim.stream, s.claim.id) for s in submissions})

    def _reads_after(self, submission: Submission, head: StreamHead) -> tuple[Read, ...]:
        """Returns what only the stream's own head can name; of the same head it is asked once."""
        if submission.reads_after is None:
            return ()
        # Whoever gave the submissions holds them as long as this lives, so no other has their ids.
        known = self._after.get(id(submission))
        if known is None or known[0] is not head:
            known = self._after[id(submission)] = (head, submission.reads_after(head))
        return known[1]

    def _load(self, streams: set[str], reads: Iterable[Read]) -> None:
        streams = {*streams, *(r.stream for r in reads if not r.key)} - self._stored_heads.keys()
        # A Read with a key is the place of its fact.
        facts = {place for place in reads if place.key} - self._stored_facts.keys()
        if streams:
            self._stored_heads.update(store.load_heads(self._connection, streams))
        if facts:
            self._stored_facts.update(dict.fromkeys(facts))
            self._stored_facts.update(store.load_facts(self._connection, facts))

    def _load_ids(self, places: set[_Place]) -> None:
        places = places - self._stored_ids.keys()
        self._stored_ids.update(dict.fromkeys(places))
        # A stream that does not exist yet holds no id.
        places = {place for place in places if self._stored_heads[place[0]].exists}
        if places:
            self._stored_ids.update(store.find_by_id(self._connection, places))

    def decide(self, submission: Submission) -> Answer:
        """Returns the record, or the fault that refuses it; a refused claim leaves no trace."""
        try:
            return self._append(submission)
        except Fault as fault:
            return fault
        except SQLAlchemyError:
            raise  # the transaction is lost, for everybody in it
        except Exception:
            # A bug in one room's rules must not fail the neighbours in this batch.
            log.exception("recorder.decision_failed", type=submission.claim.type)
            return Fault("internal")

    def decide_together(self, submissions: Sequence[Submission]) -> list[Answer]:
        """Returns the answers of an all-or-none request."""
        above = Stage(self._connection, self._vault, self._now, below=self)
        answers: list[Answer] = []
        for submission in submissions:
            answer = above.decide(submission)
            if isinstance(answer, Fault):
                done = len(answers)
                return [
                    *(Abandoned("abandoned") for _ in range(done)),
                    answer,
                    *(Abandoned("abandoned") for _ in range(len(submissions) - done - 1)),
                ]
            answers.append(answer)
        self._heads.update(above._heads)
        self._states.update(above._states)
        self._facts.update(above._facts)
        self._fact_rows.update(above._fact_rows)
        self._ids.update(above._ids)
        self._hashes.update(above._hashes)
        self._records += above._records
        for name, rows in above._rows.items():
            self._rows[name] += rows
        for kind, effects in above._effects.items():
            self._effects.setdefault(kind, []).extend(effects)
        return answers

    def flush(self, writers: Mapping[str, EffectWriter]) -> None:
        """Writes everything decided.

        Raises store.HeadMoved if another process was first at one of the heads.
        """
        connection = self._connection
        store.move_heads(
            connection,
            [
                store.Moved(
                    stream_key(name),
                    name,
                    head.seq,
                    head.hash,
                    head.recorded_at_ms,
                    self._states[name],
                    self._stored_heads[name].seq,
                )
                for name, head in self._heads.items()
            ],
        )
        store.insert_records(connection, self._records)
        store.insert_rows(connection, sealstore.SEALED, self._rows["sealed"])
        store.insert_rows(connection, store.SIDE, self._rows["side"])
        store.insert_rows(connection, store.OUTBOX, self._rows["outbox"])
        store.set_facts(connection, self._fact_rows)
        for kind, rows in self._effects.items():
            writers[kind](connection, rows)

    def _append(self, submission: Submission) -> Recorded:
        claim = submission.claim
        place = (claim.stream, claim.id)
        earlier = self._find_id(place)
        if earlier is not None:
            check_repeat(submission, earlier, lambda: self._kept_salts(*place))
            return earlier
        head = self._head(claim.stream)
        recorded_at = self._now
        if head.recorded_at_ms > self._now_ms:
            recorded_at = from_ms(head.recorded_at_ms)
        if recorded_at - self._now > MAX_AHEAD:
            log.error("recorder.clock_behind", stream=claim.stream, last=str(recorded_at))
            raise ClockBehind("clock_behind", retry_after_s=5, stream=claim.stream)
        draft = submission.decide(claim, self._view(submission, head, recorded_at))
        seq = head.seq + 1
        body = record_body(
            claim,
            seq=seq,
            prev=head.hash,
            recorded_at=recorded_at,
            source=draft.source or submission.source,
            via=submission.via,
            refs=tuple([Ref(stream, at, self._hash(stream, at)) for stream, at in draft.refs]),
            signed=submission.signed,
        )
        if len(body) > MAX_EVENT_BYTES:
            raise TooLarge("event_too_large", limit=MAX_EVENT_BYTES, got=len(body))
        recorded = Recorded(
            claim.stream,
            seq,
            claim.id,
            claim.type,
            record_hash(body),
            head.hash,
            recorded_at,
            body,
            False,  # noqa: FBT003 - by place, as a named tuple is fastest made
        )
        self._keep(submission, draft, recorded)
        return recorded

    def _keep(self, submission: Submission, draft: Draft, recorded: Recorded) -> None:
        stream, seq, hash_ = recorded.stream, recorded.seq, recorded.hash
        at_ms = to_ms(recorded.recorded_at)
        new = store.NewRecord(
            stream_key(stream),
            seq,
            id_bytes(recorded.id),
            recorded.type,
            submission.claim.actor,
            at_ms,
            hash_,
            recorded.body,
        )
        rows = rows_of(submission, draft, seq, at_ms, self._vault)
        state = dump(draft.state)
        facts = {(stream, key): value for key, value in draft.facts.items()}
        fact_rows = {
            place: None if value is None else dump(value) for place, value in facts.items()
        }
        # Nothing fails from here on: a claim is kept whole, or not at all.
        self._heads[stream] = StreamHead(stream, seq, hash_, at_ms, draft.state)
        self._states[stream] = state
        self._records.append(new)
        self._facts |= facts
        self._fact_rows |= fact_rows
        self._ids[(stream, recorded.id)] = recorded
        self._hashes[(stream, seq)] = hash_
        if rows is not None:
            for name, added in rows.items():
                self._rows[name] += added
        for effect in draft.effects:
            self._effects.setdefault(effect.kind, []).append(effect.row)

    def _view(self, submission: Submission, own: StreamHead, recorded_at: datetime) -> View:
        heads = {own.stream: own}
        facts: dict[tuple[str, str], Any] = {}
        for read in submission.reads + self._reads_after(submission, own):
            if not read.key:
                heads[read.stream] = self._head(read.stream)
            elif (value := self._fact(read)) is not None:
                facts[read] = value
        return View(recorded_at, heads, facts)

    def _head(self, stream: str) -> StreamHead:
        stage: Stage | None = self
        while stage is not None:
            if stream in stage._heads:
                return stage._heads[stream]
            stage = stage._below
        if stream not in self._stored_heads:
            self._load({stream}, ())
        return self._stored_heads[stream]

    def _fact(self, place: _Place) -> Any:
        stage: Stage | None = self
        while stage is not None:
            if place in stage._facts:
                return stage._facts[place]
            stage = stage._below
        if place not in self._stored_facts:
            self._load(set(), (Read(*place),))
        return self._stored_facts[place]

    def _hash(self, stream: str, seq: int) -> bytes:
        place = (stream, seq)
        stage: Stage | None = self
        while stage is not None:
            if place in stage._hashes:
                return stage._hashes[place]
            stage = stage._below
        if place not in self._stored_hashes:
            hash_ = store.hash_at(self._connection, stream, seq)
            if hash_ is None:
                raise LookupError(f"{stream} has no record {seq} to refer to")
            self._stored_hashes[place] = hash_
        return self._stored_hashes[place]

    def _find_id(self, place: _Place) -> Recorded | None:
        """Returns the record that already has this id, as a replay."""
        stage: Stage | None = self
        while stage is not None:
            if place in stage._ids:
                done = stage._ids[place]
                return store.recorded_from(
                    done.stream, done.seq, done.hash, done.body, replayed=True
                )
            stage = stage._below
        if place not in self._stored_ids:
            self._head(place[0])
            self._load_ids({place})
        row = self._stored_ids[place]
        return store.recorded_from(place[0], *row, replayed=True) if row else None

    def _kept_salts(self, stream: str, record_id: str) -> dict[str, bytes]:
        """Returns the salts of a record's sections that are still there and still open."""
        key, raw = stream_key(stream), id_bytes(record_id)
        sections: list[tuple[str, bytes | None, bytes | None]] = []
        stage: Stage | None = self
        while stage is not None:
            sections += [
                (row["name"], row["sealed"], row["wrapped_key"])
                for row in stage._rows["sealed"]
                if row["stream"] == key and row["record_id"] == raw
            ]
            stage = stage._below
        if not sections:
            kept = sealstore.sealed_sections(self._connection, stream, record_id).values()
            sections = [(section.name, section.sealed, section.wrapped_key) for section in kept]
        return open_salts(self._vault, stream=stream, record_id=record_id, sections=sections)
