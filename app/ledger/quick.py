"""The quick proof that streams are clean, for the millions of records that nobody touched.

It explains nothing. A stream of which one test fails, or of which anything is not as usual, is doubtful
and goes to the explaining audit, which alone says what a finding is; so each test here must be at least
as strict as the one there: hash equal to the leaf's, link equal to the hash before, columns equal to
the parsed fields, shape, times, what the record brings along, head, state, rows.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import orjson

from app.db.engine import TextDamaged
from app.kit.clock import read_ms
from app.ledger.attachments import Attachments
from app.ledger.auditstore import AuditReads, Span
from app.ledger.frame import Frame, FrameReader, name_part
from app.ledger.record import ZERO_HASH
from app.ledger.verifier import Problem, read_record

CheckRows = Callable[[str, list[Mapping[str, Any]]], Iterable[Problem]]
"""Yields the rows of other rooms that do not follow from a sound stream's records."""

CheckState = Callable[[str, list[Mapping[str, Any]], Mapping[str, Any]], bool]
"""Whether a head's state is the fold of its stream's records; asked only for sound streams."""

ProvePlainly = Callable[[int, str, Sequence[Frame], bytes], bool]
"""Whether a head's state, in its bytes, is the fold of its stream's records, and the rows of other rooms
are what follows from them; given the key of the stream, its name, frames and state, keys in ascending
order. False also of what is not so plain: the two above are asked then."""

_ZEROS = hexlify(ZERO_HASH)
_ID_BYTES = 16
_MOST_BRACKETS = 100
_MOST_KNOWN = 20_000
_ATTACHED = frozenset({"refs", "signed", "sealed"})
_NO_KEY = ""
"""Among the doubtful, it says that they are not all known."""
_BEFORE = object()
"""Stands for no stream: a hand may have put anything else in a key's place."""

# What damaged bytes and columns of another type raise here.
_UNUSUAL = (ValueError, TypeError, KeyError, AttributeError)


class QuickProof:
    """Proves streams clean inside one snapshot. Read-only.

    check_state, keeps_state, check_rows: as LedgerAudit has them. progress: told the records seen.
    `streams` and `records` count what was proven clean.
    """

    def __init__(
        self,
        reads: AuditReads,
        attachments: Attachments,
        *,
        check_state: CheckState | None,
        keeps_state: Callable[[str], bool],
        check_rows: CheckRows,
        prove_plainly: ProvePlainly,
        progress: Callable[[int], None],
    ) -> None:
        self._reads = reads
        self._attachments = attachments
        self._check_state = check_state
        self._keeps_state = keeps_state
        self._check_rows = check_rows
        self._prove_plainly = prove_plainly
        self._known_refs: set[tuple[str, int, str]] = set()
        self._frames = FrameReader(partial(_is_known, self._known_refs))
        self._progress = progress
        self._clean: dict[Any, int] = {}
        self.streams = 0
        self.records = 0

    def find_doubtful(self, span: Span, heads: list[tuple[Any, ...]]) -> set[int] | None:
        """Returns the keys of the streams that are not proven clean; `heads`: all of the span.

        None where they cannot be named, for text that is none or a key that is no number: then all of
        the span is.
        """
        self._clean = {}
        left = {head[0]: head for head in heads}
        try:
            doubtful = self._find_unclean(span, left)
        except TextDamaged:
            doubtful = {_NO_KEY}
        doubtful.update(left)
        if len({head[0] for head in heads}) == len(heads) and {*map(type, doubtful)} <= {int}:
            clean = [count for key, count in self._clean.items() if key not in doubtful]
            self.streams += len(clean)
            self.records += sum(clean)
            return doubtful
        return None

    def _find_unclean(self, span: Span, heads: dict[Any, tuple[Any, ...]]) -> set[Any]:
        """Returns the streams with records that are not proven clean, and those that lost some.

        Takes from `heads` what it has seen. One loop, and one call for a record that is as usual.
        """
        doubtful: set[Any] = set()
        queue = self._reads.waiting_tuples(span)
        waiting = {(key, seq): entry for key, seq, entry in queue}
        if len(waiting) != len(queue):
            return {_NO_KEY}
        read_frame = self._frames.read
        leaves = 0
        current: Any = _BEFORE
        name = head = hash_ = None
        part = b""
        bodies: list[bytes] | None = None
        frames: list[Frame | None] = []
        clean, count, link, last_ms = True, 0, _ZEROS, 0
        for page in self._reads.record_tuples(span):
            for key, seq, id_, type_, actor, at_ms, stored_hash, body, leaf_index, leaf in page:
                if key != current:
                    if not (
                        clean
                        and self._is_end_clean(head, name, count, hash_, last_ms, bodies, frames)
                    ):
                        doubtful.add(current)
                    current, head = key, heads.pop(key, None)
                    name, part = _name_of(head)
                    bodies, frames = [] if self._keeps(name) else None, []
                    clean, count, link, last_ms = name is not None, 0, _ZEROS, 0
                entry = leaf
                if leaf_index is not None:
                    leaves += 1
                if waiting:
                    waits_as = waiting.pop((key, seq), None)
                    entry = waits_as if leaf_index is None else leaf
                if not clean:
                    continue
                clean = False  # until everything below holds
                try:
                    hash_ = sha256(body).digest()
                    if hash_ != entry or hash_ != stored_hash or seq != count or at_ms < last_ms:
                        continue
                    frame = read_frame(body, part, seq, id_, type_, actor, at_ms, link)
                    if frame is None:
                        if not self._is_clean(body, name, seq, id_, type_, actor, at_ms, link):
                            continue
                        # What it refers to may be known by now.
                        frame = read_frame(body, part, seq, id_, type_, actor, at_ms, link)
                except _UNUSUAL:
                    continue
                clean = True
                count += 1
                link = hexlify(hash_)
                last_ms = at_ms
                if bodies is not None:
                    bodies.append(body)
                    frames.append(frame)
            self._progress(leaves)
        if not (clean and self._is_end_clean(head, name, count, hash_, last_ms, bodies, frames)):
            doubtful.add(current)
        doubtful.discard(_BEFORE)
        if doubtful or waiting or leaves != self._reads.count_leaves(span):
            # As many leaves as records that have one: then none is without a record.
            doubtful.update(row.stream for row in self._reads.lost(span))
        return doubtful

    def _is_clean(
        self,
        body: bytes,
        name: str | None,
        seq: Any,
        id_: Any,
        type_: Any,
        actor: Any,
        at_ms: Any,
        link: bytes,
    ) -> bool:
        """Whether a record that fits its hash says what its columns say. Raises what _UNUSUAL has."""
        fields = orjson.loads(body)
        digits = id_.hex()
        id_text = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        return not (
            fields["prev"] != link.decode("ascii")
            or fields["stream"] != name
            or fields["seq"] != seq
            or fields["type"] != type_
            or fields["actor"] != actor
            or fields["id"] != id_text
            or len(id_) != _ID_BYTES
            or fields["v"] != 1
            # Equal and yet of another type, as 1, 1.0 and true are.
            or not type(fields["v"]) is type(fields["seq"]) is type(seq) is int
            or not type(type_) is type(actor) is str
            or not actor.isascii()
            or type(fields["data"]) is not dict
            or read_ms(fields["recorded_at"]) != at_ms
            # Read, and too deep to be written again.
            or (body.count(b"{") + body.count(b"[") > _MOST_BRACKETS and read_record(body) is None)
        ) and (_ATTACHED.isdisjoint(fields) or self._is_attached_clean(fields, body, name, seq))

    def _keeps(self, name: str | None) -> bool:
        return self._check_state is not None and name is not None and self._keeps_state(name)

    def _is_end_clean(
        self,
        head: tuple[Any, ...] | None,
        name: str | None,
        count: int,
        last_hash: bytes | None,
        last_ms: int,
        bodies: list[bytes] | None,
        frames: list[Frame | None],
    ) -> bool:
        """Whether the head is where the records end, and state and rows follow from them."""
        if head is None or name is None:
            return head is None and count == 0  # before the first stream
        key, _, seq, hash_, at_ms, state = head
        if seq != count - 1 or hash_ != last_hash or at_ms != last_ms:
            return False
        if bodies and (None in frames or not self._prove_plainly(key, name, frames, state)):  # type: ignore[arg-type]
            assert self._check_state is not None
            kept = [orjson.loads(body) for body in bodies]
            try:
                folded = orjson.loads(state)
            except _UNUSUAL:
                return False
            if not self._check_state(name, kept, folded):
                return False
            if any(True for _ in self._check_rows(name, kept)):
                return False
        self._clean[key] = count
        return True

    def _is_attached_clean(
        self, fields: Mapping[str, Any], body: bytes, name: str | None, seq: int
    ) -> bool:
        """Whether references, signature and sealed sections hold.

        What was referred to once is known, and many refer to the same listing.
        """
        refs = fields.get("refs", ())
        known = self._known_refs
        places = [(ref["stream"], ref["seq"], ref["hash"]) for ref in refs]
        if (
            type(refs) is list
            and "signed" not in fields
            and "sealed" not in fields
            and known.issuperset(places)
            and all(type(place[1]) is int for place in places)
        ):
            return True
        if read_record(body) is None:
            return False
        if any(
            True for _ in self._attachments.check(fields, name=name or "", seq=seq, leaf_index=None)
        ):
            return False
        if len(known) > _MOST_KNOWN:
            known.clear()
        known.update(places)
        return True


def _name_of(head: tuple[Any, ...] | None) -> tuple[str | None, bytes]:
    """Returns the stream's name, and how its records have it; None where no name of it is at hand."""
    if head is None:
        return None, b""
    key, name = head[:2]
    try:
        part = name_part(name)
        hashed = sha256(name.encode("ascii")).digest()
    except (ValueError, TypeError):
        return None, b""
    # As `stream_key` has it, which remembers the last: here none comes again.
    ours = int.from_bytes(hashed[:8], "big") >> 1 == key
    return (name, part) if ours else (None, b"")


def _is_known(known: set[tuple[str, int, str]], ref: Mapping[str, Any]) -> bool:
    return (ref["stream"], ref["seq"], ref["hash"]) in known and type(ref["seq"]) is int
