"""Shipments: what a shop does when it packs. One order, its units, one parcel: sale and dispatch.

All units of a shipment, or none. Record ids are derived from the shipment's id, so sending it again
is a repeat. Without codes the units are issued now, under a batch that bears the shipment's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

import uuid_utils

from app.db.engine import Database
from app.kit.clock import Clock, to_ms
from app.kit.errors import Denied, Fault, FieldFault, invalid
from app.ledger.stage import IdConflict
from app.ledger.submission import Abandoned, Effect, Recorded, Submission
from app.parties.identity import SYSTEM, parse_waybill
from app.parties.principal import Principal
from app.trace import batchstore
from app.trace.code import Code, parse_lot
from app.trace.gtin import parse_gtin
from app.trace.identifiers import parse_code
from app.trace.issuing import Issuing
from app.trace.recording import Recording
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
        self, database: Database, recording: Recording, issuing: Issuing, *, clock: Clock
    ) -> None:
        self._database = database
        self._recording = recording
        self._issuing = issuing
        self._clock = clock

    def ship(self, principal: Principal, shipment: Shipment) -> Shipped:
        """Returns the recorded events, two a unit. Raises the first Fault; then nothing is written."""
        principal.check_may("shipment.send")
        _check(shipment)
        shipment_id = shipment.id or str(uuid_utils.uuid7())
        batch_id = None
        first: Sequence[tuple[Submission, Code]] = ()
        if shipment.units is None:
            codes = [parse_code(code, loc=("codes", n)) for n, code in enumerate(shipment.codes)]
        else:
            batch_id = shipment_id
            known = self._known_units(shipment_id, shipment.units)
            first = () if known else self._issue(principal, shipment_id, shipment)
            codes = known or [code for _, code in first]
        events = [
            event for code in codes for event in _events(shipment, UUID(shipment_id), code.stream)
        ]
        answers = self._recording.record_and_wait(
            principal, events, atomic=True, first=[submission for submission, _ in first]
        )
        refused = [a for a in answers if isinstance(a, Fault)]
        if refused:
            raise next((f for f in refused if not isinstance(f, Abandoned)), refused[0])
        recorded = [a for a in answers if isinstance(a, Recorded)]
        return Shipped(
            tuple(recorded[len(first) :]), tuple(code.stream for code in codes), batch_id
        )

    def _known_units(self, batch_id: str, units: NewUnits) -> list[Code]:
        with self._database.read() as connection:
            row = batchstore.find(connection, batch_id)
            if row is None:
                return []
            if (row.gtin, row.lot, row.count) != (
                parse_gtin(units.gtin, allow_item_code=True), units.lot, units.quantity
            ):  # fmt: skip
                raise IdConflict("id_conflict", id=batch_id, stream="shipment")
            rows = batchstore.serials(connection, batch_id, after=-1, limit=MAX_UNITS)
        return [Code(row.gtin, lot=row.lot, serial=one.serial) for one in rows]

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


def _check(shipment: Shipment) -> None:
    faults = []
    if bool(shipment.codes) == (shipment.units is not None):
        faults.append(FieldFault(("codes",), "one_of", {"expected": "codes | gtin + quantity"}))
    if shipment.units is not None and not 1 <= shipment.units.quantity <= MAX_UNITS:
        params = {"expected": f"1..{MAX_UNITS}", "got": shipment.units.quantity}
        faults.append(FieldFault(("quantity",), "range", params))
    if len(shipment.codes) > MAX_UNITS:
        params = {"expected": f"1..{MAX_UNITS}", "got": len(shipment.codes)}
        faults.append(FieldFault(("codes",), "range", params))
    if len(set(shipment.codes)) != len(shipment.codes):
        faults.append(FieldFault(("codes",), "duplicate", {"got": "codes"}))
    if shipment.id is not None:
        try:
            UUID(shipment.id)
        except ValueError:
            faults.append(FieldFault(("id",), "record_id", {"got": shipment.id[:80]}))
    if faults:
        raise invalid(*faults)
    parse_waybill(shipment.waybill)


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
