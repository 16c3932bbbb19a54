"""Bodies of events and shipments as they are sent."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from app.kit.clock import parse_time
from app.kit.errors import FieldFault, invalid
from app.ledger.record import Signed
from app.trace.recording import MAX_BATCH
from app.trace.requests import EventRequest, SealedInput
from app.trace.shape import faults_in
from app.trace.shipment import NewUnits, Shipment
from app.web.body import Body, Time
from app.web.items import Whole, house_error

EXAMPLE: JsonDict = {
    "code": "01/06901234567892/21/8F3K2M9QZ7AB",
    "type": "sale",
    "occurred_at": "2026-11-23T15:00:00+08:00",
    "data": {"platform": "示例平台", "region": "440100"},
    "sealed": {"order": {"content": {"number": "A-1001"}}},
}


# A plain default would be copied, deeply, for every event.
_EMPTY: Any = Field(default_factory=dict, json_schema_extra={"default": {}})


def _salt(given: str | None) -> bytes | None:
    return None if given is None else base64.b64decode(given, validate=True)


def _check_salt(given: str | None) -> str | None:
    try:
        salt = _salt(given)
    except ValueError:  # binascii.Error is one
        salt = b""
    if salt is not None and len(salt) != 32:
        raise house_error(FieldFault(("salt",), "form", {"expected": 32}, "base64"))
    return given


class SealedIn(Body):
    """A sealed section: any object of the canonical subset; the salt only from a signing client."""

    content: dict[str, Any]
    salt: Annotated[str | None, Field(max_length=64), AfterValidator(_check_salt)] = None

    def input(self) -> SealedInput:
        """Returns the section as the recording takes it."""
        return SealedInput(self.content, _salt(self.salt))


class SignedIn(Body):
    """The actor's Ed25519 signature over the claim."""

    key: Annotated[str, Field(max_length=64)]
    value: Annotated[str, Field(max_length=128)]


# Said once for the model and for `plain_request`, which may let nothing pass that the model refuses.
_MOST_CODE, _MOST_TYPE, _MOST_ID, _MOST_ACTOR = 2048, 64, 80, 64


class EventIn(Whole):
    """An event as sent."""

    model_config = {**Body.model_config, "json_schema_extra": {"examples": [EXAMPLE]}}

    code: Annotated[str, Field(max_length=_MOST_CODE)]
    type: Annotated[str, Field(max_length=_MOST_TYPE)]
    id: Annotated[str | None, Field(max_length=_MOST_ID)] = None
    occurred_at: Time | None = None
    actor: Annotated[str | None, Field(max_length=_MOST_ACTOR)] = None
    data: Annotated[dict[str, Any], _EMPTY]
    sealed: Annotated[dict[str, SealedIn], _EMPTY]
    signed: SignedIn | None = None

    @classmethod
    def faults_beside(
        cls, sound: Mapping[str, Any], context: Mapping[str, Any]
    ) -> Iterable[FieldFault]:
        """Returns what the rules of events find. context: `now`, without which no time is judged."""
        given = {name: value for name, value in sound.items() if value is not None}
        if "occurred_at" in given:
            given["occurred_at"] = parse_time(given["occurred_at"])
        sealed = given.get("sealed", {})
        given["sealed"] = {
            name: SealedInput(one["content"], _salt(one.get("salt")))
            for name, one in sealed.items()
        }
        return faults_in(given, context.get("now"))

    def request(self) -> EventRequest:
        """Returns the event as the recording takes it."""
        return EventRequest(
            code=self.code,
            type=self.type,
            data=self.data,
            id=self.id,
            occurred_at=self.occurred_at,
            actor=self.actor,
            sealed={name: section.input() for name, section in self.sealed.items()},
            signed=None if self.signed is None else Signed(self.signed.key, self.signed.value),
        )


_PLAIN = frozenset({"code", "type", "id", "occurred_at", "actor", "data", "sealed"})
_JUST_CONTENT = {"content"}


def plain_request(given: Any) -> EventRequest | None:
    """Returns an event just as `EventIn` reads it, at a fifth of the cost; None for every other.

    What is wrong is every other too: why, the model says. Nothing passes here that it refuses
    (tests/web/test_short.py).
    """
    if type(given) is not dict or not _PLAIN.issuperset(given):
        return None
    code, type_, data = given.get("code"), given.get("type"), given.get("data", {})
    id_, actor, told = given.get("id"), given.get("actor"), given.get("occurred_at")
    if not (
        (type(code) is str and len(code) <= _MOST_CODE)
        and (type(type_) is str and len(type_) <= _MOST_TYPE)
        and (id_ is None or (type(id_) is str and len(id_) <= _MOST_ID))
        and (actor is None or (type(actor) is str and len(actor) <= _MOST_ACTOR))
        and (told is None or type(told) is str)
        and type(data) is dict
    ):
        return None
    sealed = given.get("sealed", {})
    if type(sealed) is not dict:
        return None
    if sealed:
        for section in sealed.values():
            if type(section) is not dict or section.keys() != _JUST_CONTENT:
                return None
            if type(section["content"]) is not dict:
                return None
        sealed = {name: SealedInput(section["content"]) for name, section in sealed.items()}
    try:
        occurred_at = None if told is None else parse_time(told)
    except (ValueError, OverflowError):
        return None
    return EventRequest(code, type_, data, id_, occurred_at, actor, sealed)


class BatchIn(Body):
    """Up to 1000 events; each is judged for itself, so their shapes are not checked here."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"events": [EXAMPLE]}]},
    }

    events: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH)]


class ShipmentIn(Body):
    """A parcel of one order: existing `codes`, or `gtin` and `quantity` to issue them now."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "order": "A-1001",
                    "ordered_at": "2026-11-22T21:14:00+08:00",
                    "gtin": "6901234567892",
                    "quantity": 1,
                    "carrier": "示例快递",
                    "waybill": "TEST0000000001",
                    "shipped_at": "2026-11-23T09:00:00+08:00",
                    "to": "440100",
                }
            ]
        },
    }

    id: Annotated[str | None, Field(max_length=80)] = None
    order: Annotated[str, Field(min_length=1, max_length=64)]
    ordered_at: Time
    platform: Annotated[str | None, Field(max_length=64)] = None
    codes: Annotated[list[str] | None, Field(min_length=1, max_length=500)] = None
    gtin: Annotated[str | None, Field(max_length=32)] = None
    lot: Annotated[str | None, Field(max_length=32)] = None
    quantity: Annotated[int | None, Field(ge=1, le=500)] = None
    carrier: Annotated[str, Field(min_length=1, max_length=64)]
    waybill: Annotated[str, Field(min_length=1, max_length=64)]
    shipped_at: Time
    to: Annotated[str | None, Field(max_length=6)] = None
    actor: Annotated[str | None, Field(max_length=64)] = None

    def shipment(self) -> Shipment:
        """Returns the shipment. Raises Invalid unless it names codes, or gtin and quantity."""
        units = None
        if self.gtin is not None and self.quantity is not None:
            units = NewUnits(self.gtin, self.quantity, self.lot)
        asks_for_new = any(told is not None for told in (self.gtin, self.quantity, self.lot))
        if (asks_for_new and self.codes is not None) or (self.codes is None and units is None):
            raise invalid(FieldFault(("codes",), "one_of"))
        return Shipment(
            order=self.order,
            ordered_at=self.ordered_at,
            carrier=self.carrier,
            waybill=self.waybill,
            shipped_at=self.shipped_at,
            codes=tuple(self.codes or ()),
            units=units,
            id=self.id,
            platform=self.platform,
            to=self.to,
            actor=self.actor,
        )
