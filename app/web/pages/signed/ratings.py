"""/desk/ratings: how others rate a party, and the form by which a shop rates the carriers of its parcels.

Said again, the newest word on a parcel counts; all of them stay. No score follows from a rating.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.credit.ratings import DAYS
from app.kit.errors import Fault, FieldFault, invalid
from app.parties.roles import SELLER_ROLES, sources_of
from app.parties.sessions import SignedIn
from app.trace.ratings import BEST, CARRIER_RATING
from app.trace.requests import EventRequest, SealedInput
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.conduct import fill_rated
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.numbers import whole
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/ratings"
_SHOWN: Final = 40
_MOST_TEXT: Final = 500


@router.get(PATH)
def show_ratings(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows what is said of the party, and its parcels with a form each."""
    return _page(request, rooms, signed, lang, BLANK)


@router.post(PATH)
def rate_carrier(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Records a rating of a carrier; sent twice it is recorded once."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    principal.check_may("event.send")
    try:
        rooms.recording.record_one(principal, _rating(form))
    except Fault as fault:
        sent = refused(request, form, fault)
        return _page(request, rooms, signed, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, lang, PATH), PATH, told="rated")


def _rating(form: Form) -> EventRequest:
    stars, words = whole(form, "rating", 1, BEST), form.text("text")
    if len(words) > _MOST_TEXT:
        params = {"expected": f"≤ {_MOST_TEXT}", "got": len(words)}
        raise invalid(FieldFault(("text",), "length", params))
    return EventRequest(
        code=form.text("code"),
        type=CARRIER_RATING,
        data={"of": form.text("of"), "carrier": form.text("carrier"), "rating": stars},
        id=form.uuid("entry"),
        sealed={"text": SealedInput({"text": words})} if words else {},
    )


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    principal.check_may("event.send")
    party = principal.own_party()
    # A platform has no parcels of its own here: it rates under a mandate, by the API.
    may_rate = bool(signed.person.roles & SELLER_ROLES) and bool(
        sources_of(principal.roles, CARRIER_RATING)
    )
    parcels = rooms.rateable.parcels(principal, limit=_SHOWN) if may_rate else []
    known = rooms.parties.get_some({one.carrier for one in parcels})
    return answer_signed(
        "ratings.html",
        frame_of(request, lang, PATH),
        signed,
        at="shipments",
        status=status,
        told=told_of(request),
        sent=sent,
        may_rate=may_rate,
        parcels=parcels,
        rated=fill_rated(rooms, party),
        days=DAYS,
        party=party,
        names={one: view.name or one for one, view in known.items()},
        page_of=page_path,
        path=PATH,
        most=_MOST_TEXT,
    )
