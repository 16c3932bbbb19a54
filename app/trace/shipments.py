"""Shipments: what a shop does when it packs. One order, its units, one parcel: sale and dispatch.

All units of a shipment, or none. Record ids are derived from the shipment's id, so sending it again
is a repeat. Without codes the units are issued now, under a batch that bears the shipment's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from app.db.engine import Database
from app.kit.canonical import canonical_bytes
from app.kit.clock import Clock, to_ms
from app.kit.errors import Denied, Fault, FieldFault, Invalid, invalid
from app.ledger.recorder import Recorder
from app.ledger.stage import IdConflict
from app.ledger.submission import (
    Answer,
    Effect,
    Recorded,
    Submission,
    with_effects,
)
from app.parties.identity import SYSTEM, parse_waybill
from app.parties.principal import Principal
from app.trace import batchstore
from app.trace.claims import record_id
from app.trace.code import Code, parse_lot
from app.trace.gtin import parse_gtin
from app.trace.identifiers import parse_unit
from app.trace.issuing import Issuing
from app.trace.recording import Recording, find_refusal
from app.trace.requests import EventRequest, SealedInput

MAX_UNITS = 500


@dataclass(frozen=True, slots=True)
class NewUnits:
    """Units to be issued with the shipment. quantity: 1 to MAX_UNITS."""

    gtin: str
    quantity: int
    lot: str | None = None


@dataclass(frozen=True, slots=True)
class Shipment:
    """A parcel of one order. Exactly one of codes and units."""

    order: str
    ordered_at: datetime
    carrier: str
    waybill: str
    shipped_at: datetime
    codes: tuple[str, ...] = ()
    units: NewUnits | None = None
    id: str | None = None
    platform: str | None = None
    to: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Shipped:
    """What came of a shipment. batch_id: where units were issued for it."""

    events: tuple[Recorded, ...]
    codes: tuple[str, ...]
    batch_id: str | None


class Shipments:
    """Records shipments through the rooms of recording and issuing."""

    def __init__(
        self,
        database: Database,
        recorder: Recorder,
        recording: Recording,
        issuing: Issuing,
        *,
        clock: Clock,
    ) -> None:
        self._database = database
        self._recorder = recorder
        self._recording = recording
        self._issuing = issuing
        self._clock = clock

    def ship(
        self,
        principal: Principal,
        shipment: Shipment,
        *,
        effects: Sequence[Effect] = (),
        low_priority: bool = False,
    ) -> Shipped:
        """Returns the recorded events, two a unit. Raises the first Fault; then nothing is written.

        effects: rows to be written with it; a repeat writes none. low_priority: lets everything else
        go first.
        """
        principal.check_may("shipment.send")
        shipment_id = _check(shipment)
        codes = _read_codes(shipment.codes)
        content = _content(principal, shipment, codes)
        known = self._known(shipment_id, content)
        first: Sequence[tuple[Submission, Code]] = ()
        if known is not None:
            codes = codes or known
        elif shipment.units is not None:
            first = self._issue(principal, shipment_id, shipment)
            codes = [code for _, code in first]
        row = {
            "shipment_id": shipment_id,
            "content": content,
            "created_at": to_ms(self._clock.now()),
        }
        submissions = self._prepare(principal, shipment, UUID(shipment_id), codes)
        # A repeat decides nothing, so the row is written with the shipment's first record, once.
        submissions[0] = with_effects(submissions[0], Effect("shipment", row), *effects)
        answers = self._recorder.submit_and_wait(
            [*(submission for submission, _ in first), *submissions],
            atomic=True,
            low_priority=low_priority,
        )
        refused = [a for a in answers if isinstance(a, Fault)]
        if refused:
            if known is None and self._known(shipment_id, content) is not None:
                # The same shipment, sent twice at once: the other one was first.
                return self.ship(principal, shipment, effects=effects, low_priority=low_priority)
            raise _named(answers[len(first) :], shipment) or refused[0]
        recorded = [a for a in answers if isinstance(a, Recorded)]
        return Shipped(
            tuple(recorded[len(first) :]),
            tuple(code.stream for code in codes),
            None if shipment.units is None else shipment_id,
        )

    def _prepare(
        self, principal: Principal, shipment: Shipment, shipment_id: UUID, codes: Sequence[Code]
    ) -> list[Submission]:
        """Returns sale and dispatch of every unit. Raises Invalid, fields named as they were sent."""
        prepared = []
        for code in codes:
            for event in _events(shipment, shipment_id, code.stream):
                try:
                    prepared.append(self._recording.prepare(principal, event, None))
                except Invalid as refused:
                    refused.errors = tuple(
                        replace(error, loc=_SENT_AS.get((event.type, *error.loc[:2]), error.loc))
                        for error in refused.errors
                    )
                    raise
        return prepared

    def _known(self, shipment_id: str, content: bytes) -> list[Code] | None:
        """Returns the units issued for this shipment if it was recorded before, else None.

        Raises IdConflict where its id is that of another shipment, or of an order for codes.
        """
        with self._database.read() as connection:
            row = batchstore.find_shipment(connection, shipment_id)
            batch = batchstore.find(connection, shipment_id)
            if row is None and batch is None:
                return None
            if row is None or row.content != content:
                raise IdConflict("id_conflict", id=shipment_id, stream="shipment")
            if batch is None:
                return []
            rows = batchstore.serials(connection, shipment_id, after=-1, limit=MAX_UNITS)
        return [Code(batch.gtin, lot=batch.lot, serial=one.serial) for one in rows]

    def _issue(
        self, principal: Principal, batch_id: str, shipment: Shipment
    ) -> Sequence[tuple[Submission, Code]]:
        units = shipment.units
        if (
            units is None
            or principal.party is None
            or shipment.actor not in (None, principal.party)
        ):
            # A mandate to sell and dispatch is none to issue.
            raise Denied("issue_not_yours")
        code = Code(
            parse_gtin(units.gtin, allow_item_code=True),
            lot=None if units.lot is None else parse_lot(units.lot),
        )
        row: dict[str, Any] = {
            "batch_id": batch_id,
            "party": principal.party,
            "via": None,
            "source": SYSTEM,
            "gtin": code.gtin,
            "lot": code.lot,
            "count": units.quantity,
            "done": 0,
            "inner": False,
            "status": "shipment",
            "error": None,
            "created_at": to_ms(self._clock.now()),
        }

        def effect(n: int, serial: str) -> Effect:
            told = {"batch_id": batch_id, "n": n, "serial": serial}
            return Effect("shipment_code", {**told, "batch": row})

        return self._issuing.unit_submissions(
            code, principal.party, count=units.quantity, inner=False, effect=effect
        )


# Where the sender of a shipment wrote what the event found wrong.
_SENT_AS: Mapping[tuple[str | int, ...], tuple[str | int, ...]] = {
    ("sale", "data", "platform"): ("platform",),
    ("sale", "data", "region"): ("to",),
    ("sale", "sealed", "order"): ("order",),
    ("sale", "occurred_at"): ("ordered_at",),
    ("dispatch", "data", "carrier"): ("carrier",),
    ("dispatch", "data", "to"): ("to",),
    ("dispatch", "occurred_at"): ("shipped_at",),
}


def _check(shipment: Shipment) -> str:
    """Returns the shipment's id in its one spelling. Raises Invalid."""
    faults = []
    if bool(shipment.codes) == (shipment.units is not None):
        faults.append(FieldFault(("codes",), "one_of"))
    if shipment.units is not None and not 1 <= shipment.units.quantity <= MAX_UNITS:
        params = {"expected": f"1..{MAX_UNITS}", "got": shipment.units.quantity}
        faults.append(FieldFault(("quantity",), "range", params))
    if len(shipment.codes) > MAX_UNITS:
        params = {"expected": f"1..{MAX_UNITS}", "got": len(shipment.codes)}
        faults.append(FieldFault(("codes",), "range", params))
    if faults:
        raise invalid(*faults)
    parse_waybill(shipment.waybill)
    return record_id(shipment.id)


def _read_codes(given: Sequence[str]) -> list[Code]:
    """Returns the units, each once. Raises Invalid."""
    codes = [parse_unit(text, loc=("codes", n)) for n, text in enumerate(given)]
    seen: set[str] = set()
    for n, code in enumerate(codes):
        if code.stream in seen:
            raise invalid(FieldFault(("codes", n), "duplicate", {"got": code.stream}))
        seen.add(code.stream)
    return codes


def _content(principal: Principal, shipment: Shipment, codes: Sequence[Code]) -> bytes:
    """Returns the digest of what no event of the shipment tells by itself."""
    told: dict[str, Any] = {"party": principal.party or "", "codes": [c.stream for c in codes]}
    if shipment.units is not None:
        units = shipment.units
        told["gtin"] = parse_gtin(units.gtin, allow_item_code=True)
        told["quantity"] = units.quantity
        told["lot"] = "" if units.lot is None else parse_lot(units.lot)
    return sha256(canonical_bytes(told)).digest()


def _named(answers: Sequence[Answer], shipment: Shipment) -> Fault | None:
    """Returns the fault that refused the parcel, with the place of its code among those sent."""
    refused = find_refusal(answers)
    if refused is None:
        return None
    n, fault = refused
    if shipment.codes and not fault.errors:
        fault.errors = (FieldFault(("codes", n // 2), "refused"),)
    return fault


def _events(shipment: Shipment, shipment_id: UUID, stream: str) -> list[EventRequest]:
    sale: dict[str, Any] = {}
    dispatch: dict[str, Any] = {"carrier": shipment.carrier}
    if shipment.platform is not None:
        sale["platform"] = shipment.platform
    if shipment.to is not None:
        sale["region"] = dispatch["to"] = shipment.to
    return [
        EventRequest(
            code=stream,
            type="sale",
            data=sale,
            id=str(uuid5(shipment_id, f"{stream} sale")),
            occurred_at=shipment.ordered_at,
            actor=shipment.actor,
            sealed={"order": SealedInput({"number": shipment.order})},
        ),
        EventRequest(
            code=stream,
            type="dispatch",
            data=dispatch,
            id=str(uuid5(shipment_id, f"{stream} dispatch")),
            occurred_at=shipment.shipped_at,
            actor=shipment.actor,
            sealed={"waybill": SealedInput({"number": parse_waybill(shipment.waybill)})},
        ),
    ]
