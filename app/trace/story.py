"""The story of a code: its own chain, what that refers to, and what applies to it from above.

And its verification, computed now from stored bytes and never remembered: chain and columns of the
own stream, each record of the story against its leaf, each leaf against the signed checkpoint. Of a
product or lot with very many records a story is a part (app.trace.story_part), and says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from sqlalchemy import Connection

from app.kit.clock import china_day, from_ms, parse_time
from app.ledger import logstore, sealstore, store
from app.ledger.audit import LedgerAudit
from app.ledger.audit import Part as LedgerPart
from app.ledger.auditstore import AuditReads
from app.ledger.checkpointstore import logs_with_newest
from app.ledger.note import VerifierKey
from app.ledger.prover import InLog, Provers
from app.ledger.record import record_hash, stream_key
from app.ledger.store import StoredRecord
from app.ledger.submission import StreamHead, no_head
from app.ledger.vault import Vault
from app.ledger.verifier import Problem
from app.trace import lifecycle, replay
from app.trace.code import Code
from app.trace.decide import CodeUnknown, recalled_since
from app.trace.gaps import Graces, Pending, pending, verdict_of
from app.trace.life_shape import is_life
from app.trace.plainlife import PlainLives
from app.trace.resoldstore import RowsInOrder
from app.trace.retold import Retold, finder
from app.trace.story_part import APPLYING, NEWEST, Part, read_own

Verdict = Literal["intact", "incomplete", "broken"]

_MOST_LISTINGS = 10
_MOST_APPLYING = 20_000


@dataclass(frozen=True)
class Story:
    """A code's records by stream: its own whole chain, and the parts of others that it needs.

    records: the whole story by recorded_at, then stream, then seq.
    head: of the own stream; head_row: as it is stored, None where there is none.
    shelves: state of product and lot heads by stream name.
    part: which of its own records `own` are, None for all; aside: others of its own that apply to all.
    """

    code: Code
    head: StreamHead
    head_row: Any
    own: tuple[StoredRecord, ...]
    others: tuple[StoredRecord, ...]
    shelves: Mapping[str, Mapping[str, Any]]
    part: LedgerPart | None = None
    aside: tuple[StoredRecord, ...] = ()

    @cached_property
    def records(self) -> tuple[StoredRecord, ...]:
        return tuple(sorted((*self.own, *self.aside, *self.others), key=_order))

    @property
    def own_count(self) -> int:
        """How many own records there are: those that were read or, of a part, as the head counts."""
        return len(self.own) if self.part is None else self.head.seq + 1


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. ok None: not checked. detail: a locale key behind `check.`."""

    name: str
    ok: bool | None
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Verification:
    """What is true of a code now.

    state: the life, replayed from the records; {} on products and lots. problems: of integrity, and
    of the log (stream None) where it is not the one that was signed.
    in_log: by (stream, seq). checkpoint: the newest of the log that goes on.
    listed: the listing that was told after the sale and closed its gap; no record of the story names it.
    """

    verdict: Verdict
    warnings: tuple[str, ...]
    checks: tuple[Check, ...]
    problems: tuple[Problem, ...]
    state: Mapping[str, Any]
    pending: tuple[Pending, ...]
    in_log: Mapping[tuple[str, int], InLog]
    checkpoint: logstore.Published | None
    listed: StoredRecord | None = None


class Stories:
    """Reads and verifies stories inside the caller's snapshot. log_keys: of all logs by number."""

    def __init__(self, *, vault: Vault, log_keys: Sequence[VerifierKey], graces: Graces) -> None:
        self._vault = vault
        self._log_keys = log_keys
        self._graces = graces

    def read(self, connection: Connection, code: Code, part: Part = NEWEST) -> Story:
        """Returns the story of a unit, or of a part of a product or lot. Raises CodeUnknown. Read-only."""
        product = Code(code.gtin).stream
        rows = store.head_rows(connection, {code.stream, product})
        head = _head(rows, code.stream)
        mine = read_own(connection, code, part)
        own = mine.records
        if (
            not head.exists
            and not own
            and not mine.aside
            and not store.has_leaves(connection, code.stream)
        ):
            raise CodeUnknown("code_unknown", code=code.stream)
        lot = code.lot or _lot_of(head, own)
        above = [] if code.level == "product" else [product]
        if code.level == "unit" and lot is not None:
            above.append(Code(code.gtin, lot=lot).stream)
            rows |= store.head_rows(connection, above[1:])
        wanted: dict[str, set[int]] = {stream: set() for stream in above}
        for record in own:
            for ref in refs_of(record):
                if ref["stream"] != code.stream:
                    wanted.setdefault(ref["stream"], set()).add(ref["seq"])
        if code.level == "unit" and not any(_is_sale(record) for record in own):
            # Not sold yet: where its holder offers it is what a buyer may still want to know.
            for stream in above:
                for record in store.load_some(
                    connection,
                    stream,
                    types=frozenset({"listing"}),
                    actor=str(head.state.get("holder", "")),
                    limit=_MOST_LISTINGS,
                ):
                    wanted[stream].add(record.seq)
        others = [
            record
            for stream, seqs in wanted.items()
            for record in store.load_some(
                connection, stream, types=APPLYING, seqs=seqs, limit=_MOST_APPLYING
            )
        ]
        shelves = {stream: _head(rows, stream).state for stream in above}
        row = rows.get(code.stream)
        return Story(code, head, row, own, tuple(others), shelves, mine.part, mine.aside)

    def ask(self, connection: Connection, code: Code) -> None:
        """Asks what `read` and `verify` ask of a unit whatever they find: for `hot.ask_ahead`."""
        product = Code(code.gtin).stream
        store.head_rows(connection, {code.stream, product})
        read_own(connection, code, NEWEST)
        logs_with_newest(connection)
        AuditReads(connection).lost_of_each({stream_key(code.stream), stream_key(product)})

    def verify(self, connection: Connection, story: Story, now: datetime) -> Verification:
        """Returns the verification of a story, from stored bytes. Read-only."""
        provers = Provers(connection, self._log_keys)
        published = provers.published(self._log_keys[-1].name)
        provers.fetch(record.leaf_index for record in story.records)
        lives = Retold(finder(connection, story.records), self._graces)
        audit = LedgerAudit(
            connection, vault=self._vault, check_state=lives.check, keeps_state=keeps_state
        )
        # What was read above is not read again: it is one snapshot.
        beside = (*story.aside, *story.others)
        problems = list(
            audit.check_read(story.code.stream, story.head_row, story.own, beside, story.part)
        )
        in_log: dict[tuple[str, int], InLog] = {}
        rewritten: set[str] = set()
        for record in story.records:
            position, entry = record.leaf_index, record.entry
            standing = provers.prove(position, entry)
            in_log[(record.stream, record.seq)] = standing
            if position is None or entry is None or standing.standing != "unproven":
                continue
            if _names(problems, record):
                continue
            if provers.holds_another(position, entry):
                place = (record.stream, record.seq, position)
                problems.append(Problem("integrity.leaf_mismatch", *place))
            else:
                rewritten.add(standing.origin)
        state, listed = self._state(connection, story, problems, lives)
        for origin in sorted(rewritten):
            # The stored tree is not the signed one: a fault of the log, told once and charged to
            # nobody. What is in it cannot be confirmed all the same.
            signed = provers.published(origin)
            evidence = {"size": str(signed.size if signed else 0), "log": origin}
            problems.append(Problem("log.checkpoint_mismatch", None, evidence=evidence))
        verdict: Verdict = "intact"
        warnings: list[str] = []
        if state:
            verdict, told = verdict_of(state, now)
            warnings += told
        warnings += _warnings_above(story, now)
        if problems:
            verdict = "broken"
        return Verification(
            verdict=verdict,
            warnings=tuple(dict.fromkeys(warnings)),
            checks=tuple(_checks(story, problems, in_log, published, verdict)),
            problems=tuple(problems),
            state=state,
            pending=pending(state) if state else (),
            in_log=in_log,
            checkpoint=published,
            listed=listed,
        )

    def _state(
        self, connection: Connection, story: Story, problems: list[Problem], lives: Retold
    ) -> tuple[Mapping[str, Any], StoredRecord | None]:
        """Returns the life replayed; where bytes are broken, as far as the head remembers it.

        {} where that was altered too. And the late listing that healed it.
        """
        if story.code.level != "unit":
            return {}, None
        columns = [p.evidence.get("column") for p in problems if p.stream == story.code.stream]
        head_altered = "head.state" in columns
        if problems and not head_altered and is_life(story.head.state):
            return story.head.state, None
        if any(column != "head.state" for column in columns):
            return {}, None
        state = lives.replayed
        if state is None:
            state = lives.replay(record.fields for record in story.own)
        if "listing" in state.get("gaps", {}):
            for record in self._late_listings(connection, story, state):
                state = lifecycle.heal(state, replay.happening_of(record.fields, lives.find))
                if "listing" not in state["gaps"]:
                    return state, record
        return state, None

    @staticmethod
    def _late_listings(
        connection: Connection, story: Story, state: Mapping[str, Any]
    ) -> Iterator[StoredRecord]:
        """Yields the seller's listings that were recorded when the gap was open already.

        Of an earlier one the sale was told whether it was live; it may have ended since.
        """
        seller = state.get("sale", {}).get("actor")
        since = from_ms(state["gaps"]["listing"]["since"])
        for stream in story.shelves:
            for record in store.load_some(
                connection, stream, types=frozenset({"listing"}), actor=seller
            ):
                # These stand outside the story, so nobody has checked their bytes yet.
                sound = record_hash(record.body) == record.hash
                if sound and parse_time(record.fields["recorded_at"]) >= since:
                    yield record

    def open_text(self, connection: Connection, record: StoredRecord) -> str | None:
        """Returns the text that a record sealed, None where it has none or it was erased. Read-only.

        For reviews, replies and notices, which are public until somebody hides them.
        """
        fields = record.fields
        return sealstore.open_words(connection, self._vault, (record.stream, fields["id"], "text"))

    def state_checker(self, connection: Connection) -> Any:
        """Returns what the ledger's audit asks about the states that this room keeps."""
        return Retold(finder(connection), self._graces).check

    @property
    def graces(self) -> Graces:
        """How long a step may be missing."""
        return self._graces

    def plain_prover(self, connection: Connection) -> Any:
        """Returns what the ledger's audit asks first of units: whether theirs is a common life."""
        return PlainLives(finder(connection), RowsInOrder(connection).of, self._graces).holds


def _head(rows: Mapping[str, Any], stream: str) -> StreamHead:
    """Returns a stream's head; where its name was altered, as if it had none: the records speak."""
    row = rows.get(stream)
    return no_head(stream) if row is None or row.name != stream else store.read_head(row)


def _is_sale(record: StoredRecord) -> bool:
    try:
        return record.fields.get("type") == "sale"
    except ValueError:
        return False


def keeps_state(stream: str) -> bool:
    """Whether the head's state of this stream can be told again from its records."""
    return stream.startswith(("01/", "party/", "store/"))


def _lot_of(head: StreamHead, own: Sequence[StoredRecord]) -> str | None:
    lot = head.state.get("lot")
    if lot is None and own:
        try:
            lot = own[0].fields.get("data", {}).get("lot")
        except ValueError:
            return None
    return lot if isinstance(lot, str) else None


def refs_of(record: StoredRecord) -> list[Any]:
    """Returns what a record refers to, nothing where it cannot be read."""
    try:
        refs: list[Any] = record.fields.get("refs", [])
    except ValueError:
        return []
    return refs


def _names(problems: list[Problem], record: StoredRecord) -> bool:
    return any(p.stream == record.stream and p.seq == record.seq for p in problems)


def _warnings_above(story: Story, now: datetime) -> Iterator[str]:
    """Yields what products and lots say of their units: from their records, not the state beside."""
    today = china_day(now)
    by_stream: dict[str, list[Mapping[str, Any]]] = {}
    for record in story.records:
        if story.code.level == "unit" and record.stream == story.code.stream:
            continue
        try:
            by_stream.setdefault(record.stream, []).append(record.fields)
        except ValueError:
            continue
    for records in by_stream.values():
        if recalled_since({"recalls": replay.replay_recalls(records)}) is not None:
            yield "recalled"
        for fields in records:
            until = str(fields["data"].get("expires_on", today))
            if fields["type"] == "registration" and until < today:
                yield "expired"


def _order(record: StoredRecord) -> tuple[str, str, int]:
    try:
        at = str(record.fields["recorded_at"])
        parse_time(at)
    except (ValueError, KeyError):
        at = ""
    return at, record.stream, record.seq


def _checks(
    story: Story,
    problems: list[Problem],
    in_log: Mapping[tuple[str, int], InLog],
    published: logstore.Published | None,
    verdict: Verdict,
) -> Iterator[Check]:
    kinds = {problem.kind.split(".", 1)[1] for problem in problems}
    groups = {
        "hash": {"hash_mismatch", "leaf_mismatch", "record_missing", "unlogged"},
        "link": {"link_broken", "order"},
        "index": {"index_mismatch"},
        "references": {"ref_mismatch"},
        "signatures": {"signature_invalid"},
        "sealed": {"sealed_mismatch"},
    }
    count = len(story.records)
    if story.part is not None:
        yield Check("extent", None, {"count": len(story.own), "total": story.own_count})
    read = {"count": count, "part": story.part is not None}
    for name, told in groups.items():
        yield Check(name, not (kinds & told), read)
    standings = [one.standing for one in in_log.values()]
    proven = sum(s in ("proven", "tile_damaged") for s in standings)
    waiting = standings.count("pending")
    ok = None if proven == 0 and waiting else "unproven" not in standings
    yield Check(
        "log",
        ok,
        {
            "proven": proven,
            "pending": waiting,
            "size": published.size if published else 0,
            "damaged_tiles": standings.count("tile_damaged"),
            "rewritten": any(problem.stream is None for problem in problems),
        },
    )
    if story.code.level == "unit":
        yield Check("continuity", verdict != "incomplete", {"count": len(story.own)})
