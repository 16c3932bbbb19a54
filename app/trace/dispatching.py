"""Dispatching goods at the packing table: the label of a unit or case, the waybill, the carrier last taken.

One dispatch, or, where the order's number is told, its sale as well, both or none. Whom the goods went
with last is read from the goods that were sent last, so nothing of it is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from app.db.engine import Database
from app.kit.canonical import check_canonical
from app.kit.errors import FieldFault, invalid, read_all
from app.ledger.submission import Recorded, all_recorded
from app.parties.identity import parse_region
from app.parties.principal import Principal
from app.trace import parcelstore
from app.trace.claims import record_id
from app.trace.events import check_event, waybill_tail
from app.trace.identifiers import parse_code, parse_unit
from app.trace.packing import CaseEvent, Packing
from app.trace.recording import Recording, find_refusal
from app.trace.requests import EventRequest, SealedInput
from app.trace.sscc import is_sscc, parse_sscc
from app.trace.store import find_product, load_lives
from app.trace.waybills import read_waybill

_REMEMBERED = 200


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is dispatched. id: of the try, so that it counts once. order: where the sale is told with it.

    at: when; None: now.
    """

    code: str
    carrier: str
    waybill: str
    id: str | None = None
    order: str = ""
    to: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What was dispatched. unsold: no sale of it is known, and will be missed.

    stream: of the unit, of a case that of its first; case: its SSCC, "" for a single unit. units: how many.
    """

    stream: str
    product: str
    tail: str
    unsold: bool
    replayed: bool
    case: str = ""
    units: int = 1


class Dispatching:
    """Sends single units and tells which carriers a party takes."""

    def __init__(self, database: Database, recording: Recording, packing: Packing) -> None:
        self._database = database
        self._recording = recording
        self._packing = packing

    def send(self, principal: Principal, parcel: Parcel) -> Sent:
        """Returns what was dispatched. Raises the Fault that refuses it, fields named as in Parcel.

        Everything that is wrong with the fields is told at once, before anything is asked of the goods.
        """
        principal.check_may("event.send")
        case = is_sscc(parcel.code)
        code, waybill, *_ = read_all(
            lambda: None if case else parse_unit(_told("code", parcel.code)),
            lambda: read_waybill(_told("waybill", parcel.waybill)),
            lambda: _check_carrier(_told("carrier", parcel.carrier)),
            lambda: parse_region(parcel.to, loc=("to",)) if parcel.to else None,
            lambda: _check_order(parcel.order, is_case=case),
        )
        if code is None:
            recorded = self._send_case(principal, parcel, waybill)
        else:
            recorded = self._send_unit(principal, parcel, code.stream, waybill)
        first = parse_code(recorded[-1].stream)
        with self._database.read() as connection:
            lives = load_lives(connection, [(one.stream, "") for one in recorded])
            product = find_product(connection, first.gtin)
        return Sent(
            stream=first.stream,
            product=product.name if product is not None else first.gtin,
            tail=waybill_tail(waybill) or "",
            unsold=any("sale" in life.get("gaps", {}) for life in lives.values()),
            replayed=all(one.replayed for one in recorded),
            case=parse_sscc(parcel.code) if case else "",
            units=len(lives),
        )

    def _send_unit(
        self, principal: Principal, parcel: Parcel, stream: str, waybill: str
    ) -> list[Recorded]:
        events = _events(parcel, stream, waybill)
        answers = self._recording.record_and_wait(principal, events, atomic=True)
        refused = find_refusal(answers)
        if refused is not None:
            raise refused[1]
        return all_recorded(answers)

    def _send_case(self, principal: Principal, parcel: Parcel, waybill: str) -> list[Recorded]:
        region = {"to": parcel.to} if parcel.to else {}
        event = CaseEvent(
            type="dispatch",
            data={"carrier": parcel.carrier.strip(), **region},
            id=parcel.id,
            occurred_at=parcel.at,
            sealed={"waybill": SealedInput({"number": waybill})},
        )
        return self._packing.move(principal, parcel.code, event)

    def carriers(self, principal: Principal) -> list[str]:
        """Returns the carriers of the party's last parcels, the one taken last first. Read-only.

        Of those on their way and of those that arrived, by when they were sent.
        """
        seller = principal.own_party()
        with self._database.read() as connection:
            lives = parcelstore.last_sent(connection, seller=seller, limit=_REMEMBERED)
            lives += parcelstore.last_arrived(connection, seller=seller, limit=_REMEMBERED)
        taken: dict[str, int] = {}
        for life in lives:
            # Of a life that a hand has damaged, anything.
            sent = life.get("dispatch")
            if not isinstance(sent, dict):
                continue
            carrier, at = sent.get("carrier"), sent.get("at")
            if isinstance(carrier, str) and carrier and isinstance(at, int):
                taken[carrier] = max(at, taken.get(carrier, at))
        return sorted(taken, key=lambda carrier: taken[carrier], reverse=True)


def _told(name: str, told: str) -> str:
    """Returns a field that must be there. Raises Invalid, kind `missing`."""
    if not told.strip():
        raise invalid(FieldFault((name,), "missing", {"name": name}))
    return told


def _check_carrier(carrier: str) -> None:
    check_event("dispatch", "unit", {"carrier": carrier.strip()}, ("waybill",))


def _check_order(order: str, *, is_case: bool) -> None:
    if is_case and order.strip():
        # Sold on paper to one buyer or piece by piece: which, the dispatch of a case cannot know.
        raise invalid(FieldFault(("order",), "case_order"))
    check_canonical({"number": order.strip()}, ("order",))


def _events(parcel: Parcel, stream: str, waybill: str) -> list[EventRequest]:
    """Returns the dispatch, behind the sale where the order is told.

    Their ids follow from that of the try. Where no time is told either is sent again as the same.
    """
    tried = UUID(record_id(parcel.id))
    region = {"to": parcel.to} if parcel.to else {}
    events = [
        EventRequest(
            code=stream,
            type="dispatch",
            data={"carrier": parcel.carrier.strip(), **region},
            id=str(uuid5(tried, f"{stream} dispatch")),
            occurred_at=parcel.at,
            sealed={"waybill": SealedInput({"number": waybill})},
        )
    ]
    if parcel.order.strip():
        sale = EventRequest(
            code=stream,
            type="sale",
            data={"region": parcel.to} if parcel.to else {},
            id=str(uuid5(tried, f"{stream} sale")),
            occurred_at=parcel.at,
            sealed={"order": SealedInput({"number": parcel.order.strip()})},
        )
        events.insert(0, sale)
    return events
