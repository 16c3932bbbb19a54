"""Re-verification of a stream from its stored bytes: hash, link, order, index columns, log entry.

An alteration is reported once, at the lowest place that explains it. What a record's hash must be is
said by the log (its leaf), and while it waits for an index by the queue. So a record whose body was
changed is at fault, and the records after it, whose links still fit the log, are not.

Known limit: where a leaf was made to name another record's place, both places are reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from app.kit.clock import parse_time, to_ms
from app.ledger.bundle_shape import wrong_record_field
from app.ledger.merkle import leaf_hash
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


class RecordRow(NamedTuple):
    """A record as stored, with its index columns; any of them may be anything, a number text.

    entry: what log or queue says its hash is, None where neither knows the record.
    leaf_index: None while it waits.
    """

    seq: Any
    id: bytes
    type: Any
    actor: Any
    recorded_at: Any
    hash: bytes
    body: bytes
    leaf_index: int | None
    entry: bytes | None


@dataclass(frozen=True, slots=True)
class LostRecord:
    """A record that log (leaf_index) or queue (None) knows, and that is not there."""

    seq: int
    leaf_index: int | None
    entry: bytes


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A head as stored; its columns too may be anything."""

    name: Any
    seq: Any
    hash: bytes
    recorded_at: Any


_ID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


# What a column of the database holds, and how deep the encoder goes.
_LAST_SEQ = 2**63 - 1
_MAX_DEPTH = 200


def read_record(body: bytes) -> dict[str, Any] | None:
    """Returns a record's fields, or None where the bytes are none of a record of ours.

    What it returns can be looked up and, not being too deep, written again.
    """
    try:
        fields = orjson.loads(body)
        if wrong_record_field(fields):
            return None
        # What the shape leaves open, and what is read as more than text.
        if not _ID.fullmatch(fields["id"]):
            return None
        parse_time(fields["recorded_at"])
        refs = fields.get("refs", ())
        for name in (fields["stream"], fields["actor"], *(ref["stream"] for ref in refs)):
            stream_key(name)
        if any(seq > _LAST_SEQ for seq in (fields["seq"], *(ref["seq"] for ref in refs))):
            return None
        if body.count(b"{") + body.count(b"[") > _MAX_DEPTH:
            orjson.dumps(fields)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    return fields  # type: ignore[no-any-return] # it has the shape of one


def read_told_record(body: bytes) -> dict[str, Any] | None:
    """Returns what `read_record` does where it also says from whom and of which moment it tells.

    Nothing else of that is verified, so a record without it may fit the log; it cannot be shown.
    """
    fields = read_record(body)
    try:
        if fields is None or not isinstance(fields["source"], str):
            return None
        parse_time(fields["occurred_at"])
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    return fields


_COLUMNS = ("hash", "seq", "type", "actor", "id", "recorded_at", "stream")


class StreamCheck:
    """Checks one stream, record by record in order of seq, holding no more than the last one.

    key: under which the stream is stored. lost: see LostRecord.
    true_leaf: what the log truly holds at an index, asked where record and leaf row differ.
    in_hole: whether the log holds this entry at a place whose leaf row is gone.
    """

    def __init__(
        self,
        name: str,
        *,
        key: int,
        lost: Iterable[LostRecord] = (),
        true_leaf: Callable[[int], bytes | None] = lambda _: None,
        in_hole: Callable[[bytes], bool] = lambda _: False,
    ) -> None:
        self._name = name
        self._key = key
        self._lost = {record.seq: record for record in lost}
        self._true_leaf = true_leaf
        self._in_hole = in_hole
        self._fed = False
        self._next_seq = 0
        # What the next link may name: more than one hash behind an altered record; None: not asked.
        self._prevs: frozenset[bytes] | None = frozenset((ZERO_HASH,))
        # Behind a record that was altered and hashed again: its new hash.
        self._rehashed: bytes | None = None
        # None behind a record whose own time is not to be trusted.
        self._last_at: int | None = 0
        self.fields: Mapping[str, Any] | None = None
        """Fields of the record last fed, None where its bytes are not what the log says."""

    @classmethod
    def single(cls, name: str, seq: int, **options: Any) -> StreamCheck:
        """Returns a check for one record alone; its link is not asked about."""
        check = cls(name, key=stream_key(name), **options)
        check._next_seq, check._prevs = seq, None
        return check

    @classmethod
    def part(cls, name: str, since: int, before: RecordRow | None, **options: Any) -> StreamCheck:
        """Returns a check that begins at seq `since`. before: the record before it, None where none is known.

        What is wrong with that one is told where it stands itself; here it says what the next names.
        """
        check = cls(name, key=stream_key(name), **options)
        if since > 0:
            check._next_seq, check._prevs = since if before is None else before.seq, None
            if before is not None:
                check.feed(before)
        return check

    def feed(self, row: RecordRow) -> Sequence[Problem]:
        """Returns what is wrong with the next record, at most one thing, and with the gap before it."""
        gap = [*self._check_gap(row.seq)] if row.seq > self._next_seq else ()
        self.fields = None
        self._fed = True
        self._next_seq = row.seq + 1
        problem = self._check(row)
        return gap if problem is None else (*gap, problem)

    def finish(self, head: HeadRow | None) -> Iterator[Problem]:
        """Yields what is wrong with the stream's end and its head."""
        yield from self._check_gap(max((seq + 1 for seq in self._lost), default=0))
        last = self._next_seq - 1
        if head is None:
            if self._fed:
                yield self._problem("integrity.index_mismatch", last, None, column="head")
            return
        if last in self._lost:
            return  # a head that was moved back with the records is a consequence
        prevs = self._prevs or frozenset()
        if isinstance(head.seq, int) and head.seq > last and head.hash not in prevs:
            # Neither log nor queue tells of the records that it counts.
            yield self._problem(
                "integrity.record_missing", last + 1, None, expected=str(head.seq), got=str(last)
            )
            return
        wrong = []
        if head.seq != last:
            wrong.append("head.seq")
        if head.hash not in prevs:
            wrong.append("head.hash")
        if self._last_at is not None and head.recorded_at != self._last_at:
            wrong.append("head.recorded_at")
        if wrong:
            yield self._problem("integrity.index_mismatch", last, None, column=" ".join(wrong))

    def _check_gap(self, until: int) -> Iterator[Problem]:
        """Yields the records missing below `until`: each that is known, the first of the others."""
        start = self._next_seq
        if until <= start:
            return
        known = [seq for seq in sorted(self._lost) if start <= seq < until]
        if len(known) < until - start:
            # Not seq by seq: a seq column may say any number.
            unknown = start
            for seq in known:
                if seq != unknown:
                    break
                unknown += 1
            yield self._problem("integrity.record_missing", unknown, None)
        for seq in known:
            yield self._problem("integrity.record_missing", seq, self._lost[seq].leaf_index)
        before = self._lost.get(until - 1)
        # Where the log still knows its hash, what follows can be checked against it.
        self._prevs = None if before is None else frozenset((before.entry,))
        self._rehashed = None
        self._next_seq = until

    def _check(self, row: RecordRow) -> Problem | None:
        found = record_hash(row.body)
        true_hash = self._true_hash(row, found)
        prevs, self._prevs = self._prevs, frozenset((true_hash,))
        rehashed, self._rehashed = self._rehashed, None
        last_at, self._last_at = self._last_at, None
        if found != true_hash:
            self._prevs = frozenset((true_hash, row.hash, found))
            kind = "integrity.hash_mismatch"
            if row.hash == found:
                self._rehashed = found
                if rehashed is not None and _prev_of(row.body) == rehashed.hex():
                    return None  # a consequence: only linked to the altered record before it
                kind = "integrity.leaf_mismatch"
            return self._problem(
                kind, row.seq, row.leaf_index, expected=true_hash.hex(), got=found.hex()
            )
        fields = read_record(row.body)
        if fields is None:
            return self._problem("integrity.index_mismatch", row.seq, row.leaf_index, column="body")
        self.fields = fields
        self._last_at = to_ms(parse_time(fields["recorded_at"]))
        if prevs is not None and bytes.fromhex(fields["prev"]) not in prevs:
            expected = " or ".join(sorted(prev.hex() for prev in prevs))
            return self._problem(
                "integrity.link_broken",
                row.seq,
                row.leaf_index,
                expected=expected,
                got=fields["prev"],
            )
        wrong = self._wrong_columns(row, fields, true_hash)
        if wrong:
            return self._problem(
                "integrity.index_mismatch", row.seq, row.leaf_index, column=" ".join(wrong)
            )
        if last_at is not None and self._last_at < last_at:
            return self._problem("integrity.order", row.seq, row.leaf_index, column="recorded_at")
        if row.entry is None and not self._in_hole(found):
            return self._problem("integrity.unlogged", row.seq, None)
        return None

    def _true_hash(self, row: RecordRow, found: bytes) -> bytes:
        """Returns what the record's hash must be."""
        if row.entry is None:
            return row.hash
        altered = row.entry != found and row.leaf_index is not None
        # Where the tree holds this very record, it is the leaf row that was altered, which is a
        # finding on the log.
        if altered and self._true_leaf(row.leaf_index or 0) == leaf_hash(found):
            return found
        return row.entry

    def _wrong_columns(
        self, row: RecordRow, fields: Mapping[str, Any], true_hash: bytes
    ) -> list[str]:
        stored = (row.hash, row.seq, row.type, row.actor, row.id, row.recorded_at, self._key)
        true = (
            true_hash,
            fields["seq"],
            fields["type"],
            fields["actor"],
            bytes.fromhex(fields["id"].replace("-", "")),
            self._last_at,
            stream_key(fields["stream"]),
        )
        if stored == true:
            return []
        told = zip(_COLUMNS, stored, true, strict=True)
        return [column for column, kept, wanted in told if kept != wanted]

    def _problem(self, kind: str, seq: int, leaf_index: int | None, **evidence: str) -> Problem:
        return Problem(kind, self._name, seq, leaf_index, evidence)


def _prev_of(body: bytes) -> object:
    try:
        fields = orjson.loads(body)
    except ValueError:
        return None
    return fields.get("prev") if isinstance(fields, dict) else None
