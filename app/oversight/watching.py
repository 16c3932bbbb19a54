"""The watch: follows the log record by record and asks the detectors about the goods it speaks of.

A cursor over positions in the log, so that nothing is asked of who writes: a record is judged a moment
after it has its place. To look twice finds the same (app.oversight.discoveries). Goods that could not be
judged are put into the outbox, tried again later each time, and stand there for a person in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from app import outbox
from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.ledger.record import stream_key
from app.ledger.store import load_heads, load_record
from app.ledger.submission import StreamHead
from app.oversight import movestore, signstore, store
from app.oversight.answering import find_answering
from app.oversight.conduct import Conduct, LotFacts
from app.oversight.discoveries import Discoveries
from app.oversight.finding_rows import LIFE_CHECK
from app.oversight.kinds import LIFE_KINDS
from app.oversight.lifelook import (
    Life,
    read_life,
    read_other_parcels,
    read_parcel,
    subject_of,
)
from app.oversight.raised import told_together
from app.oversight.scanwatch import ScanWatch
from app.trace import store as trace_store
from app.trace.detectors import (
    Discovery,
    Thresholds,
    find_impossible_order,
    find_shared_waybill,
    find_too_fast,
)
from app.trace.life_shape import is_life
from app.trace.sides import seller_of

log = structlog.get_logger(__name__)

_CURSOR = "findings.follow"
# As many records a round: each ends with a turn to write, which others wait for.
_BATCH = 1_000
# So many lives are read in one snapshot, and what was found is settled before the next.
_TOGETHER = 100
_LIFE_TYPES = frozenset({
    "sale", "dispatch", "transit", "signature", "refusal", "return", "review", "correction",
})  # fmt: skip
_FOLLOWED = _LIFE_TYPES | {"listing"}
# The second record of a unit: its first is its registration.
_SECOND = 1
Place = tuple[str, str]
"""Stream, and "" or the consignment."""


_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Judged:
    """What a life tells. sides: who may have to answer; freed: goods to be judged anew because of it."""

    life: Life
    seller: str
    found: Sequence[Discovery]
    sides: Mapping[str, str]
    freed: Sequence[str]
    is_marked: bool


class Watch:
    """Asks detectors; `follow` is a loop of the worker, the topics are handled by its outbox."""

    def __init__(
        self,
        database: Database,
        discoveries: Discoveries,
        conduct: Conduct,
        scans: ScanWatch,
        *,
        clock: Clock,
        thresholds_at: Callable[[datetime], Thresholds],
    ) -> None:
        self._database = database
        self._discoveries = discoveries
        self._conduct = conduct
        self._scans = scans
        self._clock = clock
        self._thresholds_at = thresholds_at
        self.topics: Mapping[str, Callable[[outbox.Message], None]] = {LIFE_CHECK: self._asked}

    def follow(self) -> bool:
        """Judges the goods that the log's next records speak of; returns whether there may be more."""
        with self._database.read() as connection:
            after = store.load_cursor(connection, _CURSOR)
            rows = signstore.new_records(connection, after, _BATCH)
            names = store.names_of(
                connection, list({row.stream for row in rows if row.type in _FOLLOWED})
            )
            lives, shelves = _told(connection, rows, names)
        if not rows:
            return False
        with told_together():
            self._check_lives(sorted(lives))
            for stream, seller in sorted(shelves):
                self._try((stream, ""), partial(self._conduct.check_listings, stream, seller))
        with self._database.write() as connection:
            store.save_cursor(connection, _CURSOR, rows[-1].leaf_index, to_ms(self._clock.now()))
        return len(rows) == _BATCH

    def _check_lives(self, places: Sequence[Place]) -> None:
        """Judges lives, then the lots and sellers' months that they belong to."""
        facts: list[LotFacts] = []
        for start in range(0, len(places), _TOGETHER):
            self._check_some(places[start : start + _TOGETHER], facts)
        lots, months = self._conduct.note(facts)
        for lot in sorted(lots):
            self._try((lot, ""), partial(self._conduct.check_lot, lot))
        for seller, month in sorted(months):
            self._try(
                (f"party/{seller}", month), partial(self._conduct.check_month, (seller, month))
            )

    def _check_some(self, places: Sequence[Place], facts: list[LotFacts]) -> None:
        """Judges lives, all read in one snapshot, and adds them to those whose lot and seller are to be.

        Whatever is written is written after it, for who settles reads anew what stands.
        """
        judged: list[tuple[Place, Callable[[], None]]] = []
        with self._database.read() as connection:
            heads = load_heads(connection, [stream for stream, subject in places if not subject])
            states = trace_store.load_lives(connection, [place for place in places if place[1]])
            states |= {(stream, ""): head.state for stream, head in heads.items()}
            keys = [stream_key(stream) for stream, _ in places]
            marked = movestore.streams_with(connection, keys)
            looks = self._scans.read(
                connection,
                [key for key, (_, subject) in zip(keys, places, strict=True) if not subject],
            )
            for place, key in zip(places, keys, strict=True):
                state = states[place]
                if not is_life(state):
                    continue  # altered behind our back: the audit says so
                if key in marked or place[1] or not self._is_only_sold(heads[place[0]]):
                    work = partial(self._judge, connection, place, state, is_marked=key in marked)
                    judged.append((place, partial(self._settle, self._try(place, work), facts)))
                if not place[1] and key in looks:
                    judged.append((place, partial(self._scans.settle, place[0], state, looks[key])))
        for place, settle in judged:
            self._try(place, settle)

    def _is_only_sold(self, head: StreamHead) -> bool:
        """Whether no detector could have anything to say of a unit: it was registered, and then sold.

        Its lot may have been sold out, and its seller's licence may be over; then its records are read.
        """
        return (
            head.seq == _SECOND
            and head.state["state"] == "sold"
            and "lot" not in head.state
            and not self._conduct.asks_licences(head.stream)
        )

    def check(self, stream: str, subject: str = "") -> None:
        """Judges one life, lot, shelf or seller's month anew."""
        if stream.startswith("party/"):
            if subject:
                self._conduct.check_month((stream.removeprefix("party/"), subject))
            return
        if "/21/" not in stream and not subject:
            if "/10/" in stream:
                self._conduct.check_lot(stream)
            for seller in self._conduct.listers(stream):
                self._conduct.check_listings(stream, seller)
            return
        self._check_lives([(stream, subject)])

    def _try(self, place: Place, work: Callable[[], _T]) -> _T | None:
        """Does it, or leaves it to the outbox: one that fails must not stop those behind it."""
        try:
            return work()
        except Exception:
            log.exception("watch.failed", stream=place[0], subject=place[1])
            with self._database.write() as connection:
                self._ask(connection, place)
            return None

    def _ask(self, connection: Connection, place: Place) -> None:
        outbox.ask(
            connection,
            stream=stream_key(place[0]),
            topic=LIFE_CHECK,
            payload={"code": place[0], "subject": place[1]},
            at_ms=to_ms(self._clock.now()),
        )

    def _asked(self, message: outbox.Message) -> None:
        self.check(str(message.payload["code"]), str(message.payload.get("subject", "")))

    def _judge(
        self, connection: Connection, place: Place, state: Mapping[str, Any], *, is_marked: bool
    ) -> _Judged:
        """Returns what a life by itself tells. Read-only.

        is_marked: whether its stream has a finding that may be healed.
        """
        stream, subject = place
        life = read_life(connection, stream, subject, state)
        fastest = self._thresholds_at(self._clock.now()).fastest
        found = [
            *find_impossible_order(state),
            *find_too_fast(life.records, at_least=fastest),
        ]
        parcel = read_parcel(connection, life)
        if parcel is not None:
            others = read_other_parcels(connection, life, *parcel)
            found += find_shared_waybill(parcel[0], others)
        freed: Sequence[str] = ()
        if any(one.type == "correction" for one in life.records):
            freed = self._sharing(connection, life)
        seller, sides = seller_of(state), {"seller": seller_of(state)}
        if found:
            answering = find_answering(connection, stream, state, "signature", subject=subject)
            seller = answering.seller
            sides = {"seller": seller, "carrier": answering.carrier or ""}
        return _Judged(life, seller, found, sides, freed, is_marked=is_marked)

    def _settle(self, judged: _Judged | None, facts: list[LotFacts]) -> None:
        """Raises and closes what a life tells, and adds it to those whose lot and seller are judged."""
        if judged is None:
            return  # it is in the outbox
        life, seller = judged.life, judged.seller
        if judged.found or judged.is_marked:
            known = set(judged.sides.values())
            settled = [
                # A carrier that is no party here cannot answer, so the seller does.
                one if one.party is None or one.party in known else replace(one, party=seller)
                for one in judged.found
            ]
            told = {role: party for role, party in judged.sides.items() if party}
            self._discoveries.settle(
                life.stream, life.subject, settled, kinds=LIFE_KINDS, sides=told
            )
        facts.append(LotFacts(life, seller))
        self._conduct.check_licences(facts[-1])
        if judged.freed:
            with self._database.write() as connection:
                for name in judged.freed:
                    self._ask(connection, (name, ""))

    @staticmethod
    def _sharing(connection: Connection, life: Life) -> list[str]:
        """Returns other goods under a waybill of this life, which its correction may have freed."""
        digests = {
            digest
            for _, kind, digest in signstore.side_digests(connection, life.stream)
            if kind == "waybill"
        }
        found = {key for digest in digests for key in signstore.streams_under(connection, digest)}
        names = store.names_of(connection, sorted(found - {stream_key(life.stream)}))
        return [*names.values()]


def _told(
    connection: Connection, rows: Iterable[Any], names: Mapping[int, str]
) -> tuple[set[Place], set[Place]]:
    """Returns the lives that records speak of, and (stream, seller) of the listings among them."""
    lives: set[Place] = set()
    shelves: set[Place] = set()
    for row in rows:
        name = names.get(row.stream, "")
        if not name.startswith("01/") or row.type is None:
            continue
        if "/21/" in name:
            if row.type in _LIFE_TYPES:
                lives.add((name, ""))
            continue
        if row.type == "listing" or (row.type in _LIFE_TYPES and "/10/" in name):
            record = load_record(connection, name, row.seq)
            # Of what was altered the audit tells, and it must not keep the others from being looked at.
            if record is None or not record.is_sound:
                continue
            if row.type == "listing":
                shelves.add((name, str(record.fields["actor"])))
            elif subject := subject_of(record.fields["data"]):
                lives.add((name, subject))
    return lives, shelves
