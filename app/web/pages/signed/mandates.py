"""Who may speak for one's party: mandates given, each with its types and its end, and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault
from app.parties.powers import MandateView
from app.parties.roles import EVENTS, grantable_types
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.numbers import end
from app.web.pages.signed.sayings import step_id
from app.web.pages.signed.session import InConfirmed, note
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/account/mandates"


@dataclass(frozen=True, slots=True)
class Given:
    """A mandate with the agent's name, "" for one that has none to show. is_over: it lets nobody speak."""

    told: MandateView
    name: str
    is_over: bool


@router.get(PATH)
def show_mandates(
    request: Request, rooms: InRooms, signed: InConfirmed, lang: AskedLang = None
) -> Response:
    """Shows who may speak for the party, and a form for a new mandate."""
    return _mandates(request, rooms, signed, lang, BLANK)


@router.post(PATH)
def give_mandate(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Gives a mandate, a record of the party."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        made, replayed = rooms.powers.grant_mandate(
            principal,
            principal.own_party(),
            agent=form.plain("agent").upper(),
            types=form.many("types"),
            until=end(form, "until"),
            id_=step_id(form, "mandate"),
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=("invalid", "id-conflict"))
        return _mandates(request, rooms, signed, lang, sent, status=status_of(fault))
    if not replayed:
        note(request, rooms, signed, "mandate_given", made)
    return go_on(frame_of(request, lang, PATH), PATH, told="mandate_given")


@router.post(f"{PATH}/end")
def end_mandate(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Takes a mandate back."""
    principal, mandate = signed.person.principal(), form.text("mandate")
    if rooms.powers.revoke_mandate(principal, principal.own_party(), mandate):
        note(request, rooms, signed, "mandate_ended", mandate)
    frame = frame_of(request, form.text("lang") or None, PATH)
    return go_on(frame, PATH, told="mandate_ended")


def _mandates(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal, frame = signed.person.principal(), frame_of(request, lang, PATH)
    given = rooms.powers.mandates(principal, principal.own_party())
    names = rooms.parties.get_some({one.agent for one in given})
    grantable, now = grantable_types(principal.roles), rooms.clock.now()
    return answer_signed(
        "mandates.html",
        frame,
        signed,
        at="mandates",
        status=status,
        told=told_of(request),
        sent=sent,
        given=[
            Given(one, names[one.agent].name if one.agent in names else "", _is_over(one, now))
            for one in given
        ],
        types=[one for one in EVENTS if one in grantable],
    )


def _is_over(one: MandateView, now: datetime) -> bool:
    return one.revoked_at is not None or (one.until is not None and one.until <= now)
