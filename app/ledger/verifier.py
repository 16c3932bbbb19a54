"""Re-verification of a stream from its stored bytes: hash, link, order, index columns, log entry.

An alteration is reported once, at the lowest place that explains it. What a record's hash must be is
said by the log (its leaf); only while a record waits for its index, by the hash column. So a record
whose body was changed is at fault, and the records after it, whose links still fit the log, are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from app.kit.clock import parse_time, to_ms
from app.ledger.record import ZERO_HASH, record_hash, stream_key


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not agree.

    kind: `integrity.…` (a record or stream) or `log.…` (the log itself, which charges no merchant).
    stream: the stream's name, None for the log; `#<key>` where the name itself is lost.
    evidence: what was expected and what was found, as text.
    """

    kind: str
    stream: str | None
    seq: int | None = None
    leaf_index: int | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)

    @property
    def detail(self) -> str:
        """Returns the evidence as one line, for terminals and logs."""
        return ", ".join(f"{name} {value}" for name, value in self.evidence.items())


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record as stored, with its index columns and its leaf; body may be anything."""

    seq: int
    id: bytes
    type: str
    actor: str
    recorded_at: int
    hash: bytes
    body: bytes
    leaf_index: int | None
    entry: bytes | None
    waiting: bool


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A head as stored."""

    name: str
    seq: int
    hash: bytes
    recorded_at: int


class StreamCheck:
    """Checks one stream, record by record in order of seq, holding no more than the last one."""

    def __init__(
        self, name: str, *, missing: Mapping[int, tuple[int, bytes]] | None = None
    ) -> None:
        """missing: seq -> (leaf index, entry) of leaves that have no record."""
        self._name = name
        self._key = stream_key(name) if not name.startswith("#") else None
        self._missing = missing or {}
        self._next_seq = 0
        self._prev: bytes = ZERO_HASH
        self._last_at = 0
        self._rehashed = False
        self._reported_missing: set[int] = set()
        self.fields: Mapping[str, Any] | None = None
        """Fields of the record last fed, None where its bytes are not what the log says."""

    @classmethod
    def single(cls, name: str, seq: int) -> StreamCheck:
        """Returns a check for one record alone; its link is not asked about."""
        check = cls(name)
        check._next_seq, check._prev = seq, b""
        return check

    def feed(self, row: RecordRow) -> Iterator[Problem]:
        """Yields what is wrong with the next record, at most one thing."""
        yield from self._check_gap(row.seq)
        self.fields = None
        problem = self._check(row)
        if problem is not None:
            yield problem

    def finish(self, head: HeadRow | None) -> Iterator[Problem]:
        """Yields what is wrong with the stream's end and its head."""
        for seq in sorted(self._missing):
            if seq >= self._next_seq:
                yield from self._check_gap(seq + 1)
        last = self._next_seq - 1
        if head is None:
            if not self._reported_missing:
                yield self._problem("integrity.index_mismatch", last, None, column="head")
            return
        if head.seq > last and not self._reported_missing:
            # No leaf tells of the lost records: they were waiting for their index.
            yield self._problem(
                "integrity.record_missing", last + 1, None, expected=str(head.seq), got=str(last)
            )
            return
        if last in self._reported_missing:
            return
        wrong = [
            column
            for column, stored, true in (
                ("seq", head.seq, last),
                ("hash", head.hash, self._prev),
                ("recorded_at", head.recorded_at, self._last_at),
            )
            if stored != true
        ]
        if wrong and not (self._rehashed and wrong == ["hash"]):
            yield self._problem(
                "integrity.index_mismatch", last, None, column=f"head.{' head.'.join(wrong)}"
            )

    def _check_gap(self, until: int) -> Iterator[Problem]:
        for seq in range(self._next_seq, until):
            leaf_index, entry = self._missing.get(seq, (None, None))
            if not self._reported_missing or entry is not None:
                yield self._problem("integrity.record_missing", seq, leaf_index)
            self._reported_missing.add(seq)
            # Where the log still knows its hash, what follows can be checked against it.
            self._prev = entry or b""
            self._rehashed = False
        self._next_seq = max(self._next_seq, until)

    def _check(self, row: RecordRow) -> Problem | None:
        true_hash = row.entry or row.hash
        prev, self._prev = self._prev, true_hash
        rehashed, self._rehashed = self._rehashed, False
        last_at, self._last_at = self._last_at, max(self._last_at, row.recorded_at)
        self._next_seq = row.seq + 1
        found = record_hash(row.body)
        if found != true_hash:
            if row.entry is not None and row.hash == found:
                self._rehashed = True
                if rehashed:
                    return None  # a consequence: re-linked to an altered record before it
                kind = "integrity.leaf_mismatch"
            else:
                kind = "integrity.hash_mismatch"
            return self._problem(
                kind, row.seq, row.leaf_index, expected=true_hash.hex(), got=found.hex()
            )
        fields = self.fields = orjson.loads(row.body)
        if prev and bytes.fromhex(fields["prev"]) != prev:
            return self._problem(
                "integrity.link_broken",
                row.seq,
                row.leaf_index,
                expected=prev.hex(),
                got=fields["prev"],
            )
        column = self._wrong_column(row, fields)
        if column is not None:
            return self._problem("integrity.index_mismatch", row.seq, row.leaf_index, column=column)
        if row.recorded_at < last_at:
            return self._problem("integrity.order", row.seq, row.leaf_index, column="recorded_at")
        if row.leaf_index is None and not row.waiting:
            return self._problem("integrity.unlogged", row.seq, None)
        return None

    def _wrong_column(self, row: RecordRow, fields: Mapping[str, Any]) -> str | None:
        told = (
            ("hash", row.hash, row.entry or row.hash),
            ("seq", row.seq, fields["seq"]),
            ("type", row.type, fields["type"]),
            ("actor", row.actor, fields["actor"]),
            ("id", row.id, UUID(fields["id"]).bytes),
            ("recorded_at", row.recorded_at, to_ms(parse_time(fields["recorded_at"]))),
            ("stream", self._key, stream_key(fields["stream"])),
        )
        for column, stored, true in told:
            if stored != true and not (column == "stream" and stored is None):
                return column
        return None

    def _problem(self, kind: str, seq: int, leaf_index: int | None, **evidence: str) -> Problem:
        return Problem(kind, self._name, seq, leaf_index, evidence)
