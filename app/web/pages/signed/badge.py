"""The trust badge through a page: naming a domain, the file to put there, and what to paste into a shop."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.errors import Fault
from app.oversight.badges import MOST_DOMAINS, Place
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.badge_picture import HEIGHT, WIDTH
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/badge"

# What `Place.error` says, and how a page says it.
_ERRORS: Final = {
    "token": "badge.error.token",
    "name not found": "badge.error.name",
    "not a public address": "badge.error.private",
}


@router.get(PATH)
def show_badges(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows the domains, how each stands, and the snippet of those that are verified."""
    return _badges(request, rooms, signed, lang, BLANK)


@router.post(PATH)
def add_domain(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Names a domain."""
    try:
        rooms.badges.add(signed.person.principal(), form.text("domain"))
    except Fault as fault:
        sent = refused(request, form, fault)
        lang = form.text("lang") or None
        return _badges(request, rooms, signed, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, form.text("lang"), PATH), PATH, told="domain_added")


@router.post(f"{PATH}/act")
def act(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Looks for the file of a domain, or takes the domain away."""
    principal, domain = signed.person.principal(), form.text("domain")
    frame = frame_of(request, form.text("lang"), PATH)
    try:
        if form.text("do") == "drop":
            rooms.badges.drop(principal, domain)
            return go_on(frame, PATH, told="domain_dropped")
        place = rooms.badges.check(principal, domain)
    except Fault as fault:
        lang = form.text("lang") or None
        sent = Sent(message=refused(request, form, fault).message)
        return _badges(request, rooms, signed, lang, sent, status=status_of(fault))
    told = "domain_missing" if place.error else "domain_found"
    return go_on(frame, PATH, told=told)


def _badges(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH)
    principal = signed.person.principal()
    places = rooms.badges.places(principal)
    party = principal.own_party()
    said = text(frame.lang, "badge.alt")
    return answer_signed(
        "badges.html",
        frame,
        signed,
        at="badge",
        status=status,
        told=told_of(request),
        sent=sent,
        domains=places,
        most=MOST_DOMAINS,
        errors={one.domain: _error(frame.lang, one.error) for one in places if one.error},
        snippets={one.domain: _snippet(rooms.base_url, party, one, said) for one in places},
        width=WIDTH,
        height=HEIGHT,
        party=party,
    )


def _error(lang: Lang, why: str) -> str:
    """Returns why a file was not found good; a library's word for a lost connection stays as it is."""
    if why in _ERRORS:
        return text(lang, _ERRORS[why])
    return text(lang, "badge.error.answer" if why.startswith("HTTP ") else "badge.error", why=why)


def _snippet(base_url: str, party: str, place: Place, said: str) -> str:
    """Returns what a shop pastes: `origin` lets picture and page see from where they were asked."""
    address = f"{base_url}/badge/{party}"
    return (
        f'<a href="{address}?domain={place.domain}" target="_blank" rel="noopener" '
        f'referrerpolicy="origin"><img src="{address}.svg?domain={place.domain}" width="{WIDTH}" '
        f'height="{HEIGHT}" alt="{said}" referrerpolicy="origin"></a>'
    )
