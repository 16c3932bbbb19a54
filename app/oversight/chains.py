"""A chain as an authority reads it: every record, and what of it was verified how.

Six things are said of each record, never one verdict alone: its hash against what log or queue hold for
it, its link to the record before it, its signature where it has one, what it refers to or sealed, its
inclusion in the signed tree, and that the tree under which it first stood begins today's (RFC 9162 2.1.3,
2.1.4). What was not checked is said as such. What the story itself found broken is told by expected and
found; a record that is gone has a line of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import from_ms, parse_time
from app.kit.errors import Fault
from app.ledger import checkpointstore
from app.ledger.logstore import Published
from app.ledger.merkle import verify_consistency
from app.ledger.note import VerifierKey
from app.ledger.prover import InLog, Provers, prove_consistency
from app.ledger.served import read_checkpoint
from app.ledger.store import StoredRecord
from app.ledger.verifier import Problem
from app.oversight.looks import Look, Looks
from app.trace.code import Code
from app.trace.sides import outweighed
from app.trace.story_page import MOST, page_of
from app.trace.story_part import Part

CheckName = Literal["hash", "link", "signature", "attached", "inclusion", "consistency"]
_GONE = "integrity.record_missing"
_OF_HASH = frozenset(
    {
        "hash_mismatch", "leaf_mismatch", "index_mismatch", "record_missing", "unlogged", "order",
    }
)  # fmt: skip
_OF_ATTACHED = frozenset({"ref_mismatch", "sealed_mismatch"})


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing about one record. ok None: not checked, and `said` why; a word of `chain.said.`."""

    name: CheckName
    ok: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """A signed checkpoint. note: as it is served, with its cosignatures; at: when it was signed."""

    origin: str
    size: int
    root: bytes
    note: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One record. fields: {} where its bytes can be read no more, or it is gone (`body` None).

    occurred_at, recorded_at: None where they cannot be read. proof: leaf's sibling first. first: None
    before it is published. newest: the checkpoint against which it was proven.
    """

    stream: str
    seq: int | None
    own: bool
    fields: Mapping[str, Any]
    hash: bytes | None
    body: bytes | None
    occurred_at: datetime | None
    recorded_at: datetime | None
    in_log: InLog
    first: Anchor | None
    newest: Anchor | None
    checked: tuple[Checked, ...]
    problems: tuple[Problem, ...]

    @property
    def type(self) -> str:
        """The record's type, "" where it cannot be read."""
        told = self.fields.get("type", "")
        return told if isinstance(told, str) else ""

    @property
    def is_broken(self) -> bool:
        """Whether anything of it does not agree."""
        return bool(self.problems) or any(one.ok is False for one in self.checked)


@dataclass(frozen=True, slots=True)
class Chain:
    """A page of a code's story with what was verified of each record. others: problems of no record of it.

    following: the own seq behind which the next page begins, None on the last.
    """

    code: Code
    look: Look
    lines: tuple[Line, ...]
    others: tuple[Problem, ...]
    following: int | None

    @property
    def broken(self) -> tuple[Line, ...]:
        """The records of which something does not agree."""
        return tuple(line for line in self.lines if line.is_broken)

    @property
    def outweighed(self) -> frozenset[str]:
        """Ids of signatures after which the carrier's own came."""
        return outweighed(line.fields for line in self.lines if line.fields and not line.is_broken)


class Chains:
    """Reads and verifies chains. log_keys: of all logs by number."""

    def __init__(
        self, database: Database, looks: Looks, *, log_keys: Sequence[VerifierKey]
    ) -> None:
        self._database = database
        self._looks = looks
        self._log_keys = log_keys

    def read(self, code: Code, *, after: int = -1, most: int = MOST) -> Chain:
        """Returns a page of a code's chain, verified now; reports what is broken. Raises CodeUnknown.

        At most so many own records, behind the seq `after`. Of a product or lot no others are verified.
        """
        after = max(after, -1)
        look = self._looks.look(code, Part(most, after=after))
        page = page_of(look.story, after=after, most=most)
        problems = look.verification.problems
        of_record: dict[tuple[str | None, int | None], list[Problem]] = {}
        for problem in problems:
            of_record.setdefault((problem.stream, problem.seq), []).append(problem)
        lines = []
        with self._database.read() as connection:
            anchors = _Anchors(connection, self._log_keys)
            before = {} if page.before is None else {code.stream: page.before}
            for record in page.records:
                own = of_record.get((record.stream, record.seq), ())
                lines.append(_line(code, look, record, own, before.get(record.stream), anchors))
                before[record.stream] = record
        there = {(line.stream, line.seq) for line in lines}
        elsewhere = [p for p in problems if (p.stream, p.seq) not in there]
        gone = [p for p in elsewhere if p.kind == _GONE and page.covers(p.stream, p.seq)]
        lines += [_ghost(code, one) for one in gone]
        others = tuple(one for one in elsewhere if one not in gone)
        told = tuple(sorted(lines, key=_place(lines)))
        return Chain(code, look, told, others, page.following)


class _Anchors:
    """Checkpoints of one snapshot, each looked for and proven once."""

    def __init__(self, connection: Connection, log_keys: Sequence[VerifierKey]) -> None:
        self._connection = connection
        self._keys = {key.name: key for key in log_keys}
        self._provers = Provers(connection, log_keys)
        # By log: from which leaf on, to which size, what was found.
        self._known: dict[str, list[tuple[int, int, tuple[Published, bool | None]]]] = {}

    def newest(self, origin: str) -> Published | None:
        """Returns the newest signed checkpoint of a log."""
        return self._provers.published(origin)

    def first(self, origin: str, index: int) -> tuple[Published, bool | None] | None:
        """Returns the smallest signed checkpoint that covers a leaf, and whether the newest goes on from it.

        Known ones are asked first: the records of a chain stand under few checkpoints, and what is the
        smallest for one leaf is so for all up to its size.
        """
        for least, size, known in self._known.get(origin, ()):
            if least <= index < size:
                return known
        key = self._keys.get(origin)
        newest = self.newest(origin)
        if key is None or newest is None or index >= newest.size:
            return None
        row = checkpointstore.first_covering(self._connection, newest.log.number, index)
        if row is None:
            return newest, True
        found = read_checkpoint(row, key)
        if found is None:
            # What is kept of the first one is not signed: nothing follows from it.
            return newest, None
        told = found, self._goes_on(found, newest)
        self._known.setdefault(origin, []).append((index, found.size, told))
        return told

    def _goes_on(self, first: Published, newest: Published) -> bool | None:
        """Whether the newest tree begins with the first; None where the stored tree cannot say."""
        try:
            proof = prove_consistency(
                self._connection,
                newest.log,
                first.size,
                newest.size,
                signed=(newest.size, newest.root),
            )
        except Fault:
            return None
        try:
            verify_consistency(
                size1=first.size,
                root1=first.root,
                size2=newest.size,
                root2=newest.root,
                proof=proof,
            )
        except Fault:
            return False
        return True


def _line(
    code: Code,
    look: Look,
    record: StoredRecord,
    problems: Sequence[Problem],
    before: StoredRecord | None,
    anchors: _Anchors,
) -> Line:
    in_log = look.verification.in_log[(record.stream, record.seq)]
    try:
        fields: Mapping[str, Any] = record.fields
    except ValueError:
        fields = {}  # bytes that somebody destroyed are shown as what they are
    covering = None if in_log.index is None else anchors.first(in_log.origin, in_log.index)
    newest = anchors.newest(in_log.origin) if in_log.origin else None
    own = record.stream == code.stream
    kinds = {problem.kind.removeprefix("integrity.") for problem in problems}
    return Line(
        stream=record.stream,
        seq=record.seq,
        own=own,
        fields=fields,
        hash=record.hash,
        body=record.body,
        occurred_at=_time(fields, "occurred_at"),
        recorded_at=_time(fields, "recorded_at"),
        in_log=in_log,
        first=None if covering is None else _anchor(in_log.origin, covering[0]),
        newest=None if newest is None else _anchor(in_log.origin, newest),
        checked=tuple(_checks(fields, kinds, in_log, covering, record, before, own=own)),
        problems=tuple(problems),
    )


def _checks(
    fields: Mapping[str, Any],
    kinds: set[str],
    in_log: InLog,
    covering: tuple[Published, bool | None] | None,
    record: StoredRecord,
    before: StoredRecord | None,
    *,
    own: bool,
) -> Iterator[Checked]:
    wrong = bool(kinds & _OF_HASH)
    yield Checked("hash", ok=not wrong, said="hash.wrong" if wrong else "hash.right")
    if "link_broken" in kinds:
        yield Checked("link", ok=False, said="link.wrong")
    elif wrong or not fields:
        # The verifier asks nothing further of bytes that are not the recorded ones.
        yield Checked("link", ok=None, said="altered" if wrong else "unreadable")
    elif record.seq == 0:
        yield Checked("link", ok=True, said="link.first")
    elif before is not None and before.seq == record.seq - 1 and own:
        yield Checked("link", ok=True, said="link.right")
    else:
        # Of a stream above only the records that the story needs were read.
        yield Checked("link", ok=None, said="link.elsewhere")
    if "signature_invalid" in kinds:
        yield Checked("signature", ok=False, said="signature.wrong")
    elif wrong:
        yield Checked("signature", ok=None, said="altered")
    elif "signed" in fields:
        yield Checked("signature", ok=True, said="signature.right")
    else:
        yield Checked("signature", ok=None, said=_unsigned(fields))
    if kinds & _OF_ATTACHED:
        yield Checked("attached", ok=False, said="attached.wrong")
    elif wrong:
        yield Checked("attached", ok=None, said="altered")
    elif "refs" in fields or "sealed" in fields:
        yield Checked("attached", ok=True, said="attached.right")
    else:
        yield Checked("attached", ok=None, said="attached.none" if fields else "unreadable")
    match in_log.standing:
        case "proven":
            yield Checked("inclusion", ok=True, said="inclusion.right")
        case "tile_damaged":
            yield Checked("inclusion", ok=True, said="inclusion.past_damage")
        case "pending":
            yield Checked("inclusion", ok=None, said="inclusion.pending")
        case "unproven":
            yield Checked("inclusion", ok=False, said="inclusion.wrong")
    if covering is None:
        yield Checked("consistency", ok=None, said="consistency.pending")
    else:
        ok = covering[1]
        words = {True: "right", False: "wrong", None: "damaged"}
        yield Checked("consistency", ok=ok, said=f"consistency.{words[ok]}")


def _unsigned(fields: Mapping[str, Any]) -> str:
    match fields.get("actor"):
        case None:
            return "unreadable"
        case "system" | "consumer" as voice:
            return f"signature.{voice}"
        case _:
            return "signature.none"


def _ghost(code: Code, problem: Problem) -> Line:
    return Line(
        stream=problem.stream or "",
        seq=problem.seq,
        own=problem.stream == code.stream,
        fields={},
        hash=None,
        body=None,
        occurred_at=None,
        recorded_at=None,
        in_log=InLog("pending"),
        first=None,
        newest=None,
        checked=(Checked("hash", ok=False, said="hash.gone"),),
        problems=(problem,),
    )


def _place(lines: Sequence[Line]) -> Any:
    """Returns the order of lines: as the story tells them, one that is gone where it would stand."""
    order = {id(line): n for n, line in enumerate(lines)}

    def key(line: Line) -> tuple[float, int]:
        if line.body is not None or line.seq is None:
            return order[id(line)], 0
        earlier = [
            order[id(one)]
            for one in lines
            if one.stream == line.stream and one.body is not None and (one.seq or 0) < line.seq
        ]
        return max(earlier, default=-1), line.seq + 1

    return key


def _anchor(origin: str, published: Published) -> Anchor:
    at = from_ms(published.published_at_ms)
    return Anchor(origin, published.size, published.root, published.note, at)


def _time(fields: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return parse_time(fields[name])
    except (KeyError, ValueError, TypeError):
        return None
