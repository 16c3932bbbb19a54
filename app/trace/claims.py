"""Parts of a claim as they come from what was sent: its id, its data, who answers for it, what is sealed."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import uuid_utils

from app.kit.canonical import canonical_bytes_unchecked, check_canonical
from app.kit.errors import Denied, FieldFault, invalid
from app.ledger.submission import Seal
from app.ledger.vault import SALT_BYTES
from app.parties.identity import CONSUMER, is_party_id
from app.parties.principal import Principal
from app.trace.events import EVENT_TYPES, Level, check_event, waybill_tail
from app.trace.requests import EventRequest, SealedInput

# The one spelling in which ids stand: what has it needs no parsing.
_PLAIN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def record_id(given: str | None) -> str:
    """Returns the record's id in its one spelling; a UUIDv7 of ours where none was given."""
    if given is None:
        return str(uuid_utils.uuid7())
    if _PLAIN_ID.fullmatch(given):
        return given
    try:
        return str(UUID(given))
    except ValueError as err:
        raise invalid(FieldFault(("id",), "record_id", {"got": given[:80]})) from err


def with_tail(request: EventRequest) -> dict[str, Any]:
    """Returns the data with the last four of the waybill, which is all of it that a record may show.

    Who signs puts them there itself.
    """
    data = dict(request.data)
    waybill = request.sealed.get("waybill")
    if request.signed is not None or waybill is None or "waybill_tail" in data:
        return data
    number = waybill.content.get("number")
    tail = waybill_tail(number) if isinstance(number, str) else None
    event_type = EVENT_TYPES.get(request.type)
    if tail is not None and event_type is not None and "waybill_tail" in event_type.fields:
        data["waybill_tail"] = tail
    return data


def read_data(request: EventRequest, level: Level, data: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the data as it will stand; the waybill's tail that we added is checked like the rest.

    data: of `with_tail`. Raises as `check_event` does.
    """
    told, tail = data, None
    if "waybill_tail" in data and "waybill_tail" not in request.data:  # ours
        told = {name: value for name, value in data.items() if name != "waybill_tail"}
        tail = data["waybill_tail"]
    signed = request.signed is not None
    kept = check_event(request.type, level, told, request.sealed.keys(), signed=signed)
    return kept if tail is None else kept | {"waybill_tail": tail}


def read_actor(principal: Principal | None, given: str | None) -> str:
    """Returns who answers for the fact: the sender, unless it names the party it speaks for.

    Raises Invalid for what can be nobody's id, and Denied for a consumer who names anybody.
    """
    own = CONSUMER if principal is None or principal.party is None else principal.party
    if given is None or given == own:
        return own
    if principal is None:
        raise Denied("actor_not_yours")
    check_actor(given)
    return given


def check_actor(given: str) -> None:
    """Raises Invalid for what can be nobody's id."""
    if not is_party_id(given):
        raise invalid(FieldFault(("actor",), "unknown_party", {"got": given[:40]}))


def seal_section(name: str, given: SealedInput, *, signed: bool) -> Seal:
    """Returns a sent section ready to be sealed, its salt ours unless the sender signs."""
    check_canonical(given.content, ("sealed", name, "content"))
    content = canonical_bytes_unchecked(given.content)
    check_salt(name, given, signed=signed)
    return Seal(name, given.salt or secrets.token_bytes(SALT_BYTES), content)


def check_salt(name: str, given: SealedInput, *, signed: bool) -> None:
    """Raises Invalid unless the salt is the sender's just where it signs."""
    if signed and given.salt is None:
        raise invalid(FieldFault(("sealed", name, "salt"), "missing", {"name": "salt"}))
    if not signed and given.salt is not None:
        raise invalid(FieldFault(("sealed", name, "salt"), "reserved", {"name": "salt"}))
