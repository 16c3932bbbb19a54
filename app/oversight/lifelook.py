"""Reads what detectors ask of one life: its records as the log holds them, its parcel, its scans.

Records whose bytes are not what was recorded are left out: the audit says so, and a detector that read
them could be made to charge anybody. Read-only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.kit.clock import from_ms
from app.ledger.store import StoredRecord, load_record, load_some, load_stream
from app.oversight import signstore, store
from app.trace import store as trace_store
from app.trace.detectors import Parcel, Place, correct
from app.trace.life_table import Happening
from app.trace.replay import happening_of

_MOST_RECORDS = 300
_FACTS = ("sale", "dispatch", "signature", "review")
_OF_LOT = frozenset({"transit", "correction"})
_PREFIX = "consignment/"


@dataclass(frozen=True)
class Life:
    """A unit, or a consignment of a lot (subject), with its records, corrected, in order of seq."""

    stream: str
    subject: str
    state: Mapping[str, Any]
    records: tuple[Happening, ...]

    def step(self, name: str) -> Happening | None:
        """Returns the record of a step of the present cycle, None where it is missing."""
        seq = self.state.get(name, {}).get("seq")
        return next((one for one in self.records if one.seq == seq), None)

    def place(self, one: Happening) -> Place:
        """Returns where a record of this life stands."""
        return Place(self.stream, one.seq, one.id)


def subject_of(data: Mapping[str, Any]) -> str:
    """Returns the subject that a record's data names: "" or the consignment."""
    named = data.get("consignment")
    return f"{_PREFIX}{named}" if isinstance(named, str) else ""


def read_life(
    connection: Connection, stream: str, subject: str, state: Mapping[str, Any] | None = None
) -> Life:
    """Returns a life. state: where it was loaded already."""
    if state is None:
        state = trace_store.load_life(connection, stream, subject)
    if not subject:
        stored = load_stream(connection, stream, limit=_MOST_RECORDS)
    else:
        seqs = [state[name]["seq"] for name in _FACTS if name in state]
        stored = load_some(connection, stream, types=_OF_LOT, seqs=seqs)
    told = [
        one
        for one in _sound(stored)
        if not subject or subject_of(one.data) in (subject, "" if one.type == "correction" else "-")
    ]
    return Life(stream, subject, state, tuple(correct(told)))


def _sound(records: Iterable[StoredRecord]) -> Iterator[Happening]:
    for record in records:
        if record.is_sound:
            yield happening_of(record.fields, lambda *_: None)


def read_parcel(connection: Connection, life: Life) -> tuple[Parcel, bytes] | None:
    """Returns the present dispatch with its waybill's digest, None where either is not told."""
    sent = life.step("dispatch")
    if sent is None:
        return None
    rows = signstore.side_digests(connection, life.stream)
    waybill = _newest(rows, "waybill", _seqs(life, sent))
    if waybill is None:
        return None
    sale = life.step("sale")
    seqs = set() if sale is None else _seqs(life, sale)
    parcel = Parcel(
        life.place(sent),
        sent.actor,
        sent.occurred_at,
        from_ms(sent.recorded_ms),
        _newest(rows, "buyer", seqs),
        _newest(rows, "order", seqs),
    )
    return parcel, waybill


def read_other_parcels(
    connection: Connection, life: Life, parcel: Parcel, waybill: bytes
) -> list[Parcel]:
    """Returns other parcels under the same waybill whose buyer or order is another, some of them."""
    unlike = [told for told in (parcel.buyer, parcel.order) if told is not None]
    if not unlike:
        return []
    keys = signstore.other_parcels(connection, waybill, stream=life.stream, unlike=unlike)
    names = [*store.names_of(connection, keys).values()]
    if life.subject:
        names.append(life.stream)  # two consignments of one lot
    found = []
    for name in names:
        for subject in _subjects(connection, name, waybill) if "/10/" in name else ("",):
            if (name, subject) == (life.stream, life.subject):
                continue
            other = read_parcel(connection, read_life(connection, name, subject))
            if other is not None and other[1] == waybill:
                found.append(other[0])
    return found


def _subjects(connection: Connection, lot: str, waybill: bytes) -> set[str]:
    found = set()
    for seq, kind, digest in signstore.side_digests(connection, lot):
        if kind == "waybill" and digest == waybill:
            record = load_record(connection, lot, seq)
            if record is not None:
                found.add(subject_of(record.fields["data"]))
    return found - {""}


def _seqs(life: Life, told: Happening) -> set[int]:
    """Returns the seqs of a record and of what corrects it."""
    return {told.seq} | {
        one.seq
        for one in life.records
        if one.type == "correction" and one.data.get("of") == told.id and one.actor == told.actor
    }


def _newest(rows: list[tuple[int, str, bytes]], kind: str, seqs: set[int]) -> bytes | None:
    told = [(seq, digest) for seq, named, digest in rows if named == kind and seq in seqs]
    return max(told)[1] if told else None
