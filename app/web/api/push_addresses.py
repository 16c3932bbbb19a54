"""Where an aggregator that can send no key pushes to: a party's address and the salt it signs with."""

from __future__ import annotations

import structlog
from fastapi import Response
from pydantic import BaseModel

from app.kit.clock import format_time, format_time_if
from app.parties.principal import Principal
from app.trace.pushaddresses import Address, AddressUnknown
from app.trace.pushlog import last_push
from app.web.aggregators import PATH
from app.web.body import api_router
from app.web.deps import Caller, InRooms, Rooms
from app.web.openapi import problems

log = structlog.get_logger(__name__)

router = api_router(tag="events")

_AT = "/carriers/push-address"


class PushAddressOut(BaseModel):
    """An address. `callback_url` and `salt` go to kuaidi100 with a subscription, as they stand.

    `salt` only where it was made or asked for by `POST`. `outcome` of the last push, here or by a key:
    `recorded` (also where the page `/account/push` says "partly recorded": the rest could not be read),
    `nothing` (all known, or old news), `untold` (on the way, for the carrier to tell), `ended`, `unknown` (no
    parcel of yours), `untimed`, `unread`, `empty` (a state without a time, not known, without steps),
    `refused` (`reason`: a field's kind or a problem type), `unreadable`, `unavailable`; of whom nobody knows
    `sign_wrong`, `unformed`, which take the place of nothing that was signed within the minute before.
    """

    callback_url: str
    salt: str | None = None
    made_at: str
    renewed_at: str | None = None
    pushed_at: str | None = None
    outcome: str | None = None
    reason: str | None = None


@router.get(
    _AT, summary="Your push address", responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)  # fmt: skip
def show_address(rooms: InRooms, caller: Caller) -> PushAddressOut:
    """Returns the caller's address and what came of the last push; its salt is had by `POST` alone."""
    found = rooms.push_addresses.of(caller)
    if found is None:
        raise AddressUnknown("push_address_none")
    return _shown(rooms, caller, found)


@router.post(
    _AT, summary="Make a push address", responses=problems("forbidden"),
    response_model_exclude_none=True,
)  # fmt: skip
def make_address(rooms: InRooms, caller: Caller) -> PushAddressOut:
    """Makes the caller's address, or shows its salt again; the log of the service says by which key.

    Whoever knows both can push in the party's name. After an end it is another.
    """
    return _with_salt(rooms, caller, rooms.push_addresses.make(caller))


@router.post(
    f"{_AT}/renewal", summary="Renew the salt", responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)  # fmt: skip
def renew_salt(rooms: InRooms, caller: Caller) -> PushAddressOut:
    """Gives the address a new salt; what is signed with the one before is refused from now on."""
    return _with_salt(rooms, caller, rooms.push_addresses.renew(caller))


@router.delete(
    _AT, status_code=204, summary="End the push address", responses=problems("forbidden"),
    response_class=Response,
)  # fmt: skip
def end_address(rooms: InRooms, caller: Caller) -> None:
    """Ends it: nothing more is taken there. Again is no harm."""
    rooms.push_addresses.end(caller)


def _with_salt(rooms: Rooms, caller: Principal, address: Address) -> PushAddressOut:
    log.info("push.salt_shown", party=caller.party, key=caller.key_id)
    return _shown(rooms, caller, address)


def _shown(rooms: Rooms, caller: Principal, address: Address) -> PushAddressOut:
    lines = rooms.push_log.last(caller.own_party())
    last = last_push(lines, address.noted, since=address.made_at)
    return PushAddressOut(
        callback_url=f"{rooms.base_url}{PATH}/{address.address}",
        salt=address.salt,
        made_at=format_time(address.made_at),
        renewed_at=format_time_if(address.renewed_at),
        pushed_at=format_time(last.at) if last else None,
        outcome=last.outcome if last else None,
        reason=last.reason if last else None,
    )
