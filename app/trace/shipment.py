"""What a shipment is: an order's units and their parcel, in which two events a unit it comes to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid5

from app.kit.canonical import canonical_bytes
from app.kit.errors import Fault, FieldFault, invalid
from app.parties.identity import parse_waybill
from app.parties.principal import Principal
from app.trace.claims import record_id
from app.trace.code import Code, parse_lot
from app.trace.gtin import parse_gtin
from app.trace.identifiers import parse_unit
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


# Where the sender of a shipment wrote what the event found wrong.
SENT_AS: Mapping[tuple[str | int, ...], tuple[str | int, ...]] = {
    ("sale", "data", "platform"): ("platform",),
    ("sale", "data", "region"): ("to",),
    ("sale", "sealed", "order"): ("order",),
    ("sale", "occurred_at"): ("ordered_at",),
    ("dispatch", "data", "carrier"): ("carrier",),
    ("dispatch", "data", "to"): ("to",),
    ("dispatch", "occurred_at"): ("shipped_at",),
}


def check_shape(shipment: Shipment) -> str:
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


def read_codes(given: Sequence[str]) -> list[Code]:
    """Returns the units, each once. Raises Invalid."""
    codes = [parse_unit(text, loc=("codes", n)) for n, text in enumerate(given)]
    seen: set[str] = set()
    for n, code in enumerate(codes):
        if code.stream in seen:
            raise invalid(FieldFault(("codes", n), "duplicate", {"got": code.stream}))
        seen.add(code.stream)
    return codes


def content_of(principal: Principal, shipment: Shipment, codes: Sequence[Code]) -> bytes:
    """Returns the digest of what no event of the shipment tells by itself."""
    told: dict[str, Any] = {"party": principal.party or "", "codes": [c.stream for c in codes]}
    if shipment.units is not None:
        units = shipment.units
        told["gtin"] = parse_gtin(units.gtin, allow_item_code=True)
        told["quantity"] = units.quantity
        told["lot"] = "" if units.lot is None else parse_lot(units.lot)
    return sha256(canonical_bytes(told)).digest()


def at_code(fault: Fault, shipment: Shipment, n: int) -> Fault:
    """Returns the fault of a unit, with the place of its code where it was sent with one."""
    if shipment.codes and not fault.errors:
        fault.errors = (FieldFault(("codes", n), "refused"),)
    return fault


def code_of(units: NewUnits) -> Code:
    """Returns what the units are of: a product, or a lot. Raises Invalid."""
    lot = None if units.lot is None else parse_lot(units.lot)
    return Code(parse_gtin(units.gtin, allow_item_code=True), lot=lot)


def events_of(shipment: Shipment, shipment_id: UUID, stream: str) -> list[EventRequest]:
    """Returns sale and dispatch of a unit, whose ids follow from the shipment's."""
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
