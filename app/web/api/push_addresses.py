"""Where an aggregator that can send no key pushes to: a party's address and the salt it signs with."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel

from app.kit.clock import format_time, format_time_if
from app.trace.pushaddresses import Address, AddressUnknown
from app.web.aggregators import PATH
from app.web.body import api_router
from app.web.deps import Caller, InRooms, Rooms
from app.web.openapi import problems

router = api_router(tag="events")

_AT = "/carriers/push-address"


class PushAddressOut(BaseModel):
    """An address. `callback_url` and `salt` go to kuaidi100 with a subscription, as they stand.

    `outcome` of the last push: `recorded`, `nothing` (all known, or no news), `unknown` (no parcel of
    yours), `refused`, `sign_wrong`, `unreadable`, `unavailable`.
    """

    callback_url: str
    salt: str
    made_at: str
    renewed_at: str | None = None
    pushed_at: str | None = None
    outcome: str | None = None


@router.get(
    _AT, summary="Your push address", responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)  # fmt: skip
def show_address(rooms: InRooms, caller: Caller) -> PushAddressOut:
    """Returns the caller's address with its salt. Whoever knows both can push in the party's name."""
    found = rooms.push_addresses.of(caller)
    if found is None:
        raise AddressUnknown("push_address_none")
    return _shown(rooms, found)


@router.post(
    _AT, summary="Make a push address", responses=problems("forbidden"),
    response_model_exclude_none=True,
)  # fmt: skip
def make_address(rooms: InRooms, caller: Caller) -> PushAddressOut:
    """Makes the caller's address; asked again it is the same. After an end it is another."""
    return _shown(rooms, rooms.push_addresses.make(caller))


@router.post(
    f"{_AT}/renewal", summary="Renew the salt", responses=problems("forbidden", "not-found"),
    response_model_exclude_none=True,
)  # fmt: skip
def renew_salt(rooms: InRooms, caller: Caller) -> PushAddressOut:
    """Gives the address a new salt; what is signed with the one before is refused from now on."""
    return _shown(rooms, rooms.push_addresses.renew(caller))


@router.delete(
    _AT, status_code=204, summary="End the push address", responses=problems("forbidden"),
    response_class=Response,
)  # fmt: skip
def end_address(rooms: InRooms, caller: Caller) -> None:
    """Ends it: nothing more is taken there. Again is no harm."""
    rooms.push_addresses.end(caller)


def _shown(rooms: Rooms, address: Address) -> PushAddressOut:
    return PushAddressOut(
        callback_url=f"{rooms.base_url}{PATH}/{address.address}",
        salt=address.salt,
        made_at=format_time(address.made_at),
        renewed_at=format_time_if(address.renewed_at),
        pushed_at=format_time_if(address.pushed_at),
        outcome=address.outcome,
    )
