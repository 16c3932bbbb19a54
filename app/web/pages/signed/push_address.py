"""/account/push: where kuaidi100 pushes to for one's party, and the salt it signs with."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import FieldFault, invalid
from app.parties.roles import AGGREGATOR, CARRIER
from app.web.aggregators import PATH
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import InForm
from app.web.pages.signed.session import InConfirmed, note
from app.web.pages.signed.shell import answer_signed, go_on, told_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_PATH = "/account/push"


@router.get(_PATH)
def show_push_address(
    request: Request, rooms: InRooms, signed: InConfirmed, lang: AskedLang = None
) -> Response:
    """Shows the party's address and salt, what the last push came to, and how to use them."""
    principal = signed.person.principal()
    found = rooms.push_addresses.of(principal)
    return answer_signed(
        "push_address.html",
        frame_of(request, lang, _PATH),
        signed,
        at="push",
        told=told_of(request),
        found=found,
        url=f"{rooms.base_url}{PATH}/{found.address}" if found else "",
        is_carrier=bool(principal.roles & {CARRIER, AGGREGATOR}),
    )


@router.post(_PATH)
def change_push_address(
    request: Request, rooms: InRooms, signed: InConfirmed, form: InForm
) -> Response:
    """Makes the address, renews its salt, or ends it."""
    principal = signed.person.principal()
    match form.text("do"):
        case "renew":
            rooms.push_addresses.renew(principal)
            told = "push_renewed"
        case "end":
            rooms.push_addresses.end(principal)
            told = "push_ended"
        case "make":
            rooms.push_addresses.make(principal)
            told = "push_made"
        case other:
            params = {"expected": "make, renew, end", "got": other[:40]}
            raise invalid(FieldFault(("do",), "enum", params))
    note(request, rooms, signed, told, "kuaidi100")
    return go_on(frame_of(request, form.text("lang") or None, _PATH), _PATH, told=told)
