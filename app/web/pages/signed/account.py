"""One's own account: sessions, the access log, the second factor."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault
from app.labels.grids import qr_grid
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.device import device_name
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.session import InConfirmed, InSigned, client_of, set_session
from app.web.pages.signed.shell import answer_signed, go_on, places_of, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)


@router.get("/account")
def show_account(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows who one is here, where one is signed in, and what happened."""
    frame = frame_of(request, lang, "/account")
    people = rooms.people
    sessions = people.sessions.list_of(signed.person.id)
    return answer_signed(
        "account.html",
        frame,
        signed,
        at="account",
        told=told_of(request),
        more=[place for place in places_of(signed.person) if not place.on_phone],
        party=_name_of(rooms, signed),
        sessions=sessions,
        devices={one.id: device_name(one.agent, frame.lang) for one in sessions},
        here=signed.id,
        events=people.accounts.events(signed.person.id),
        recovery_left=people.sign_in.recovery_left(signed) if signed.person.has_second else 0,
    )


@router.post("/account/sessions")
def end_sessions(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Signs one device out, or every other one."""
    frame = frame_of(request, form.text("lang"), "/account")
    only = form.text("session")
    account = signed.person.id
    if only:
        rooms.people.sessions.end(account, only=only)
    else:
        rooms.people.sessions.end(account, but=signed.id)
    rooms.people.accounts.log(account, "sessions_ended", client=client_of(request))
    return go_on(frame, "/account", told="session_ended" if only else "sessions_ended")


@router.get("/account/second")
def show_second(
    request: Request, rooms: InRooms, signed: InConfirmed, lang: AskedLang = None
) -> Response:
    """Shows the QR code for an authenticator app, or that there is one already."""
    secret = "" if signed.person.has_second else rooms.people.sign_in.new_secret()
    return _second(request, rooms, signed, lang, BLANK, secret)


@router.post("/account/second")
def turn_on_second(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Takes the first code of the app."""
    lang, secret = form.text("lang") or None, form.text("second_secret")
    try:
        codes, token = rooms.people.sign_in.turn_on_second(
            signed, secret=secret, code=form.plain("second_code"), client=client_of(request)
        )
    except Fault as fault:
        sent = refused(request, form, fault)
        return _second(request, rooms, signed, lang, sent, secret, status=status_of(fault))
    response = _second(request, rooms, signed, lang, BLANK, "", codes=codes)
    set_session(response, rooms, token)
    return response


@router.post("/account/second/off")
def turn_off_second(
    request: Request, rooms: InRooms, signed: InConfirmed, form: InForm
) -> Response:
    """Ends the second factor."""
    rooms.people.sign_in.turn_off_second(signed, client=client_of(request))
    return go_on(frame_of(request, form.text("lang"), "/account"), "/account", told="second_off")


def _second(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    secret: str,
    *,
    codes: tuple[str, ...] = (),
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, "/account/second")
    picture: Any = None
    if len(secret) == 32 and secret.isalnum() and secret.isascii():
        picture = qr_grid(rooms.people.sign_in.secret_uri(signed, secret))
    return answer_signed(
        "second.html",
        frame,
        signed,
        at="account",
        status=status,
        told=told_of(request),
        sent=sent,
        secret=secret if picture is not None else "",
        picture=picture,
        codes=codes,
        shown_once=bool(codes),
    )


def _name_of(rooms: Rooms, signed: SignedIn) -> str:
    if signed.person.party is None:
        return ""
    return rooms.parties.get(signed.person.party, signed.person.principal()).name
