"""One batch inside its transaction: what the database says, and over it what this batch has done.

Everything a batch wants to see is read in three queries beforehand; each decision then works in
memory, and one `flush` writes all rows. An all-or-none request gets a Stage of its own on top.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from app.kit.clock import from_ms, to_ms
from app.kit.errors import Conflict, Fault, TooLarge, Unavailable
from app.ledger import store
from app.ledger.record import (
    MAX_EVENT_BYTES,
    Ref,
    record_body,
    record_hash,
    seal_commitment,
    stream_key,
)
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
from app.ledger.vault import SealBroken, Vault

log = structlog.get_logger(__name__)

EffectWriter = Callable[[Connection, Sequence[Mapping[str, Any]]], None]

# A stream whose last record is further ahead than this was written by a clock gone wrong; waiting
# is better than dragging the stream into the future.
_MAX_AHEAD = timedelta(seconds=5)


class IdConflict(Conflict):
    """The id stands in this stream with other content."""

    slug = "id-conflict"


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
        self._below = below
        # What the database said; shared with stages on top. A fact that is absent is kept as None.
        self._stored_heads: dict[str, StreamHead] = below._stored_heads if below else {}
        self._stored_facts: dict[tuple[str, str], Any] = below._stored_facts if below else {}
        self._stored_ids: dict[tuple[str, str], tuple[int, bytes, bytes]] = (
            below._stored_ids if below else {}
        )
        self._stored_hashes: dict[tuple[str, int], bytes] = below._stored_hashes if below else {}
        # What this stage has done.
        self._heads: dict[str, StreamHead] = {}
        self._facts: dict[tuple[str, str], Any] = {}
        self._ids: dict[tuple[str, str], Recorded] = {}
        self._hashes: dict[tuple[str, int], bytes] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("record", "unsequenced", "sealed", "side", "outbox")
        }
        self._effects: dict[str, list[Mapping[str, Any]]] = {}

    def load(self, submissions: Sequence[Submission]) -> None:
        """Reads what the submissions want to see, in few queries. Read-only.

        What a decision asks for beyond that is read when it asks.
        """
        self._load({s.claim.stream for s in submissions}, [r for s in submissions for r in s.reads])
        self._load(
            set(),
            [
                read
                for s in submissions
                if s.reads_after is not None
                for read in s.reads_after(self._stored_heads[s.claim.stream])
            ],
        )
        self._stored_ids.update(
            store.find_by_id(
                self._connection,
                # A stream that does not exist yet holds no id.
                {
                    (s.claim.stream, s.claim.id)
                    for s in submissions
                    if self._stored_heads[s.claim.stream].exists
                },
            )
        )

    def _load(self, streams: set[str], reads: Sequence[Read]) -> None:
        streams = {*streams, *(r.stream for r in reads if not r.key)} - self._stored_heads.keys()
        facts = {(r.stream, r.key) for r in reads if r.key} - self._stored_facts.keys()
        if streams:
            self._stored_heads.update(store.load_heads(self._connection, streams))
        if facts:
            self._stored_facts.update(dict.fromkeys(facts))
            self._stored_facts.update(store.load_facts(self._connection, facts))

    def decide(self, submission: Submission) -> Answer:
        """Returns the record, or the fault that refuses it; a refused claim leaves no trace."""
        try:
            return self._append(submission)
        except Fault as fault:
            return fault
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
        self._facts.update(above._facts)
        self._ids.update(above._ids)
        self._hashes.update(above._hashes)
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
        new, moved = [], []
        for name, head in self._heads.items():
            stored = self._stored_heads[name]
            values = {
                "seq": head.seq,
                "hash": head.hash,
                "recorded_at": head.recorded_at_ms,
                "state": orjson.dumps(head.state, option=orjson.OPT_SORT_KEYS),
            }
            if stored.exists:
                moved.append(
                    {
                        "k_stream": stream_key(name),
                        "k_seq": stored.seq,
                        **{f"v_{column}": value for column, value in values.items()},
                    }
                )
            else:
                new.append({"stream": stream_key(name), "name": name, **values})
        store.move_heads(connection, moved)
        try:
            store.insert_rows(connection, store.HEAD, new)
        except IntegrityError as err:  # PostgreSQL: the stream was created by another process
            raise store.HeadMoved from err
        store.insert_rows(connection, store.RECORD, self._rows["record"])
        store.insert_rows(connection, store.UNSEQUENCED, self._rows["unsequenced"])
        store.insert_rows(connection, store.SEALED, self._rows["sealed"])
        store.insert_rows(connection, store.SIDE, self._rows["side"])
        store.insert_rows(connection, store.OUTBOX, self._rows["outbox"])
        store.set_facts(connection, self._facts)
        for kind, rows in self._effects.items():
            writers[kind](connection, rows)

    def _append(self, submission: Submission) -> Recorded:
        claim = submission.claim
        place = (claim.stream, claim.id)
        earlier = self._find_id(place)
        if earlier is not None:
            self._check_same(submission, earlier)
            return earlier
        head = self._head(claim.stream)
        recorded_at = max(self._now, from_ms(head.recorded_at_ms))
        if recorded_at - self._now > _MAX_AHEAD:
            raise ClockBehind("clock_behind", retry_after_s=5, stream=claim.stream)
        draft = submission.decide(claim, self._view(submission, recorded_at))
        seq = head.seq + 1
        body = record_body(
            claim,
            seq=seq,
            prev=head.hash,
            recorded_at=recorded_at,
            source=draft.source or submission.source,
            via=submission.via,
            refs=tuple(Ref(stream, at, self._hash(stream, at)) for stream, at in draft.refs),
            signed=submission.signed,
        )
        if len(body) > MAX_EVENT_BYTES:
            raise TooLarge("event_too_large", limit=MAX_EVENT_BYTES, got=len(body))
        recorded = Recorded(
            stream=claim.stream,
            seq=seq,
            id=claim.id,
            type=claim.type,
            hash=record_hash(body),
            prev=head.hash,
            recorded_at=recorded_at,
            body=body,
            replayed=False,
        )
        self._keep(submission, draft, recorded)
        return recorded

    def _keep(self, submission: Submission, draft: Draft, recorded: Recorded) -> None:
        claim = submission.claim
        key = stream_key(claim.stream)
        at_ms = to_ms(recorded.recorded_at)
        self._heads[claim.stream] = StreamHead(
            claim.stream, recorded.seq, recorded.hash, at_ms, draft.state
        )
        for fact, value in draft.facts.items():
            self._facts[(claim.stream, fact)] = value
        self._ids[(claim.stream, claim.id)] = recorded
        self._hashes[(claim.stream, recorded.seq)] = recorded.hash
        place = {"stream": key, "seq": recorded.seq}
        self._rows["record"].append(
            {
                **place,
                "id": UUID(claim.id).bytes,
                "type": claim.type,
                "actor": claim.actor,
                "recorded_at": at_ms,
                "hash": recorded.hash,
                "body": recorded.body,
            }
        )
        self._rows["unsequenced"].append({**place, "recorded_at": at_ms, "hash": recorded.hash})
        for seal in submission.seals:
            sealed = self._vault.seal(
                place=(claim.stream, claim.id, seal.name), salt=seal.salt, content=seal.content
            )
            self._rows["sealed"].append(
                {
                    "stream": key,
                    "record_id": UUID(claim.id).bytes,
                    "name": seal.name,
                    "sealed": sealed.sealed,
                    "wrapped_key": sealed.wrapped_key,
                    "erased_at": None,
                }
            )
        for kind, digest in draft.side:
            self._rows["side"].append({**place, "kind": kind, "digest": digest})
        for topic, payload in draft.outbox:
            self._rows["outbox"].append(
                {
                    **place,
                    "topic": topic,
                    "payload": orjson.dumps(payload),
                    "available_at": at_ms,
                    "attempts": 0,
                    "last_error": None,
                }
            )
        for effect in draft.effects:
            self._effects.setdefault(effect.kind, []).append(effect.row)

    def _view(self, submission: Submission, recorded_at: datetime) -> View:
        own = self._head(submission.claim.stream)
        heads = {own.stream: own}
        facts: dict[tuple[str, str], Any] = {}
        more = submission.reads_after(own) if submission.reads_after is not None else ()
        for read in (*submission.reads, *more):
            if not read.key:
                heads[read.stream] = self._head(read.stream)
            elif (value := self._fact((read.stream, read.key))) is not None:
                facts[(read.stream, read.key)] = value
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

    def _fact(self, place: tuple[str, str]) -> Any:
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
            record = store.load_record(self._connection, stream, seq)
            if record is None:
                raise LookupError(f"{stream} has no record {seq} to refer to")
            self._stored_hashes[place] = record.hash
        return self._stored_hashes[place]

    def _find_id(self, place: tuple[str, str]) -> Recorded | None:
        """Returns the record that already has this id, as a replay."""
        stage: Stage | None = self
        while stage is not None:
            if place in stage._ids:
                done = stage._ids[place]
                return store.recorded_from(
                    done.stream, done.seq, done.hash, done.body, replayed=True
                )
            stage = stage._below
        row = self._stored_ids.get(place)
        return store.recorded_from(place[0], *row, replayed=True) if row else None

    def _check_same(self, submission: Submission, earlier: Recorded) -> None:
        """Raises IdConflict unless the submission says what the record with its id says.

        Salts of ours differ from one sending to the next; so a section is the same if its content
        under the salt that was kept gives the commitment in the record. Of an erased section only
        the name is left to compare.
        """
        claim = submission.claim
        stored = store.StoredRecord(
            earlier.stream, earlier.seq, earlier.hash, earlier.body, None
        ).fields
        told = claim.fields()
        told.pop("sealed", None)
        if not submission.time_given:
            told["occurred_at"] = stored["occurred_at"]
        same = all(stored.get(name) == value for name, value in told.items())
        same = same and stored.get("via") == submission.via
        same = same and (stored.get("signed") is None) == (submission.signed is None)
        kept = stored.get("sealed", {})
        if not same or set(kept) != {seal.name for seal in submission.seals}:
            raise IdConflict("id_conflict", id=claim.id, stream=claim.stream)
        salts = self._kept_salts(claim.stream, claim.id) if kept else {}
        for seal in submission.seals:
            if seal.name not in salts:
                continue
            again = seal_commitment(seal.name, salt=salts[seal.name], content=seal.content)
            if not hmac.compare_digest(again, kept[seal.name]):
                raise IdConflict("id_conflict", id=claim.id, stream=claim.stream)

    def _kept_salts(self, stream: str, record_id: str) -> dict[str, bytes]:
        """Returns the salts of a record's sections that are still there and still open."""
        rows = [
            (row["name"], row["sealed"], row["wrapped_key"])
            for row in self._pending_sealed(stream, record_id)
        ] or [
            (row.name, row.sealed, row.wrapped_key)
            for row in store.sealed_sections(self._connection, stream, record_id).values()
        ]
        salts: dict[str, bytes] = {}
        for name, sealed, wrapped_key in rows:
            if sealed is None:
                continue
            try:
                salts[name], _ = self._vault.open(
                    place=(stream, record_id, name), sealed=sealed, wrapped_key=wrapped_key
                )
            except SealBroken:
                log.warning("vault.section_broken", stream=stream, section=name)
        return salts

    def _pending_sealed(self, stream: str, record_id: str) -> list[dict[str, Any]]:
        key, raw = stream_key(stream), UUID(record_id).bytes
        found: list[dict[str, Any]] = []
        stage: Stage | None = self
        while stage is not None:
            found += [
                r for r in stage._rows["sealed"] if r["stream"] == key and r["record_id"] == raw
            ]
            stage = stage._below
        return found
