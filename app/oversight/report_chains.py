"""The chains that a report tells of, record by record, as they stood under a signed state of the log.

A report tells of the state with which its audit began, whenever it is made: of every record that the
logs held then, and of the steps that were missing then. The records are verified when it is made, by
`chains`; what was recorded since is counted and not told. The whole chain is read for one code, or a few;
of a wider scope those in which the audit found something, and for all others their last record's hash.
What a bound leaves out is said, with how much it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection

from app.db.engine import Database
from app.kit.clock import format_time, to_ms
from app.kit.errors import Fault
from app.ledger import headstore, logstore
from app.ledger.auditstore import last_leaves
from app.ledger.verifier import Problem
from app.ledger.witnesses import Cosigning
from app.oversight import jobstore
from app.oversight.answering import find_answering
from app.oversight.chains import Anchor, Chain, Chains, Line
from app.oversight.report_lines import problem_as_json, tell_corrections, tell_line
from app.oversight.report_states import tell_anchor
from app.parties.identity import is_party_id
from app.parties.service import Parties
from app.trace.code import Code
from app.trace.gaps import Graces, Pending, pending
from app.trace.identifiers import parse_code
from app.trace.missing import lives_of
from app.trace.resoldstore import Listings
from app.trace.retold import finder

MOST_CHAINS: Final = 20
MOST_RECORDS: Final = 2_000
"""Of all chains of a report together: some 200 pages. An evidence package holds ten times as many."""
MOST_LISTED: Final = 10_000
MOST_NAMED: Final = 200
_PAGE: Final = 1_000

Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Under:
    """The signed states with which an audit began. sizes: by origin; end: the position behind all of them."""

    sizes: Mapping[str, int]
    end: int
    at: datetime

    def covers(self, line: Line) -> bool:
        """Whether a record stood under them, or cannot be told to have come later: it is broken."""
        index = line.in_log.index
        is_held = index is not None and index < self.sizes.get(line.in_log.origin, 0)
        return is_held or line.is_broken


@dataclass(slots=True)
class _Found:
    """What was told so far. room: how many records more may be."""

    room: int = MOST_RECORDS
    chains: list[dict[str, Any]] = field(default_factory=list)
    anchors: dict[tuple[str, int], Anchor] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


class ReportedChains:
    """Reads chains for reports. Reports what it finds broken, as every look does."""

    def __init__(
        self,
        database: Database,
        chains: Chains,
        cosigning: Cosigning,
        *,
        graces: Graces,
        parties: Parties,
    ) -> None:
        self._database = database
        self._chains = chains
        self._cosigning = cosigning
        self._graces = graces
        self._parties = parties

    def read(
        self,
        names: Sequence[str] | None,
        *,
        met: Sequence[Mapping[str, Any]],
        logs: Sequence[Mapping[str, Any]],
        at: datetime,
    ) -> dict[str, Any]:
        """Returns what a report says of chains, as data without nulls.

        names: streams of the scope, None for everything. met: findings of the audit; logs: signed states
        when it began, at.
        """
        under = self._under(logs, at)
        if names is not None:
            names = [name for name in names if _is_name(name)]
        goods = None if names is None else [name for name in names if name.startswith("01/")]
        suspect = list(dict.fromkeys(o["stream"] for o in met if o["stream"].startswith("01/")))
        few = goods is not None and len(goods) <= MOST_CHAINS
        wanted = list(dict.fromkeys([*suspect, *(goods or ())])) if few else suspect
        found = _Found()
        for name in wanted:
            self._take(found, name, under)
        told: dict[str, Any] = {
            "chains": found.chains,
            "listed": "every" if few else "with_findings",
            "anchors": [
                tell_anchor(anchor, self._cosigning) for _, anchor in sorted(found.anchors.items())
            ],
            "at": format_time(at),
            "bounds": {"chains": MOST_CHAINS, "records": MOST_RECORDS, "streams": MOST_LISTED},
        }
        if found.left:
            told["chains_left_out"] = {
                "count": len(found.left), "named": found.left[:MOST_NAMED],
            }  # fmt: skip
        told |= self._ends(names, under, few=few)
        named = self._parties.get_some(_parties_in(found.chains))
        told["parties"] = {party: named[party].name for party in sorted(named)}
        return told

    def _under(self, logs: Sequence[Mapping[str, Any]], at: datetime) -> Under:
        sizes = {one["origin"]: one["size"] for one in logs}
        with self._database.read() as connection:
            states = logstore.load_states(connection)
        ends = [one.log.start + sizes[one.origin] for one in states if one.origin in sizes]
        return Under(sizes, max(ends, default=0), at)

    def _ends(self, names: Sequence[str] | None, under: Under, *, few: bool) -> dict[str, Any]:
        """Returns where all chains of the scope ended, and of a wide one how many steps were missing."""
        told: dict[str, Any] = {}
        with self._database.read() as connection:
            if not few:
                told["missing"] = jobstore.count_missing(connection, names, at_ms=to_ms(under.at))
            if names is None:
                if (heads := _map_root(connection, under)) is not None:
                    told["heads"] = heads
                return told
            told["streams_listed"] = _list_ends(connection, sorted(names), under)
        return told

    def _take(self, found: _Found, name: str, under: Under) -> None:
        """Takes a chain in as far as there is room."""
        if len(found.chains) == MOST_CHAINS or found.room <= 0:
            found.left.append(name)
            return
        try:
            told, anchors = self._tell(parse_code(name), under, found.room)
        except Fault:
            # A name that a hand has altered, or a chain of which nothing is left: the finding tells of it.
            found.left.append(name)
            return
        found.chains.append(told)
        found.anchors |= anchors
        found.room -= len(told["records"])

    def _tell(
        self, code: Code, under: Under, room: int
    ) -> tuple[dict[str, Any], dict[tuple[str, int], Anchor]]:
        with self._database.read() as connection:
            ends = last_leaves(connection, [code.stream], end=under.end)
        last = ends[code.stream][0] if code.stream in ends else -1
        lines, others, total, cut = self._lines(code, under, room, last)
        own = [line for line in lines if line.own]
        records = [tell_line(line) for line in lines]
        tell_corrections(records)
        left = max(0, last + 1 - len(own)) + cut
        told: dict[str, Any] = {
            "stream": code.stream,
            "level": code.level,
            "records": records,
            "broken": sum(line.is_broken for line in lines),
            "later": max(0, total - last - 1),
            "left_out": left,
        }
        if others:
            told["problems"] = [problem_as_json(one) for one in others]
        if code.level != "product":
            told |= self._gaps(code, lines, under, is_whole=not left)
        anchors = {(a.origin, a.size): a for line in lines if (a := line.first) is not None}
        return told, anchors

    def _lines(
        self, code: Code, under: Under, room: int, last: int
    ) -> tuple[list[Line], list[Problem], int, int]:
        """Returns the records that stood there, in the story's order, and problems of none of them.

        And how many records the chain has now, and how many of other chains there was no room for.
        last: the seq of its last record then. Read page by page.
        """
        lines: dict[Place, Line] = {}
        cut: set[Place] = set()
        others: dict[tuple[str, str | None, int | None], Problem] = {}
        after, total = -1, 0
        while True:
            page: Chain = self._chains.read(code, after=after, most=min(_PAGE, room))
            total = page.look.story.own_count
            for line in page.lines:
                place = (line.stream, line.seq)
                if place in lines or not under.covers(line):
                    continue
                if len(lines) < room:
                    lines[place] = line
                elif not line.own:
                    cut.add(place)
            others |= {(one.kind, one.stream, one.seq): one for one in page.others}
            if page.following is None or page.following >= last or len(lines) >= room:
                return list(lines.values()), list(others.values()), total, len(cut)
            after = page.following

    def _gaps(
        self, code: Code, lines: Sequence[Line], under: Under, *, is_whole: bool
    ) -> dict[str, Any]:
        """Returns the steps that were missing or awaited, or why nothing can be said of them."""
        if not is_whole:
            return {"gaps_unknown": "left_out"}
        if any(line.own and line.is_broken for line in lines):
            return {"gaps_unknown": "broken"}
        here = {(line.stream, line.seq): line.fields for line in lines}
        own = [line.fields for line in lines if line.own]
        lot = code.lot or (own[0]["data"].get("lot") if own else None)
        gaps = []
        with self._database.read() as connection:
            late = Listings(connection, end=under.end).of(code, lot)
            stored = finder(connection)
            lives = lives_of(
                code,
                own,
                lambda *place: here[place] if place in here else stored(*place),
                self._graces,
                late,
            )
            for subject, life in lives.items():
                for gap in pending(life):
                    party = find_answering(
                        connection, code.stream, life, gap.step, subject=subject
                    ).party
                    gaps.append(_gap(gap, subject, party, under.at))
        return {"gaps": sorted(gaps, key=lambda one: (one["due_at"], one.get("consignment", "")))}


def _gap(gap: Pending, subject: str, party: str, at: datetime) -> dict[str, Any]:
    standing = "counts" if gap.due_at <= at else "grace" if gap.kind == "late" else "awaited"
    told = {
        "step": gap.step,
        "standing": standing,
        "since": format_time(gap.since),
        "due_at": format_time(gap.due_at),
        "party": party,
        "by_seq": gap.seq,
    }
    if subject:
        told["consignment"] = subject.partition("/")[2]
    return told


def _map_root(connection: Connection, under: Under) -> dict[str, Any] | None:
    """Returns the last recorded root over all chains' ends, None where there was none under that state."""
    record = headstore.last_map_root(connection)
    if record is None or not record.is_sound:
        return None
    if record.leaf_index is None or record.leaf_index >= under.end:
        return None
    fields = record.fields
    return {
        "root": str(fields["data"]["root"]),
        "seq": record.seq,
        "hash": record.hash.hex(),
        "recorded_at": str(fields["recorded_at"]),
    }


def _list_ends(connection: Connection, names: Sequence[str], under: Under) -> dict[str, Any]:
    """Returns the last records of streams then: how many, the first of them, one SHA-256 over all.

    Over a line a stream, `<hash> <seq> <stream>`, in the order of their names. There may be a million.
    """
    count, digest = 0, sha256()
    kept: list[dict[str, Any]] = []
    for start in range(0, len(names), _PAGE):
        part = names[start : start + _PAGE]
        ends = last_leaves(connection, part, end=under.end)
        for stream in part:
            if stream not in ends:
                continue  # it came later
            count += 1
            seq, hash_ = ends[stream]
            digest.update(f"{hash_.hex()} {seq} {stream}\n".encode())
            if len(kept) < MOST_LISTED:
                kept.append({"stream": stream, "seq": seq, "hash": hash_.hex()})
    return {"count": count, "sha256": digest.hexdigest(), "ends": kept}


def _is_name(name: object) -> bool:
    """Whether this can name a stream: what a hand has made no text has no key either."""
    return isinstance(name, str) and name.isascii()


def _parties_in(chains: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for chain in chains:
        for one in (*chain["records"], *chain.get("gaps", ())):
            for name in ("actor", "via", "party"):
                if is_party_id(one.get(name, "")):
                    yield one[name]
