"""The people of a party, or of the operator: invited by a link, their rights changed, disabled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.errors import Fault, FieldFault, NotFound, invalid
from app.parties.account_rules import MIN_PASSWORD, Role, staff_scopes
from app.parties.accounts import Place, reaches
from app.parties.roles import OFFICIAL_ROLES
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, answer_page, frame_of
from app.web.pages.render import render_page
from app.web.pages.signed.form import BLANK, Form, InForm, InOpenForm, Sent, refused
from app.web.pages.signed.session import HOME, InConfirmed, client_of, set_session
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import say_fault, status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_PATH = "/account/people"


@router.get(_PATH)
def show_people(
    request: Request,
    rooms: InRooms,
    signed: InConfirmed,
    party: Annotated[str, Query(max_length=64)] = "",
    lang: AskedLang = None,
) -> Response:
    """Shows who signs in for the party, and a form to invite somebody."""
    return _people(request, rooms, signed, lang, BLANK, party=party)


@router.post(_PATH)
def invite(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Makes an invitation and shows its link, this once."""
    by, lang = signed.person, form.text("lang") or None
    party = (form.text("party") or None) if by.is_operator else by.party
    try:
        place = _place(rooms, signed, form, party)
        made = rooms.people.invitations.invite(
            place, label=form.text("label"), by=by, client=client_of(request)
        )
    except Fault as fault:
        sent = refused(request, form, fault)
        return _people(
            request, rooms, signed, lang, sent, party=party or "", status=status_of(fault)
        )
    url = f"{rooms.base_url}/join/{made.token}"
    return _people(request, rooms, signed, lang, BLANK, party=party or "", url=url, whom=made.label)


@router.post(f"{_PATH}/uninvite")
def uninvite(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Takes an invitation back."""
    rooms.people.invitations.take_back(
        form.text("invitation"), by=signed.person, client=client_of(request)
    )
    return go_on(frame_of(request, form.text("lang"), _PATH), _PATH, told="uninvited")


@router.post(f"{_PATH}/change")
def change(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Changes rights, disables, lets in again, or resets a password."""
    by, accounts, client = signed.person, rooms.people.accounts, client_of(request)
    account, told, lang = form.text("account"), "moved", form.text("lang") or None
    party = (form.text("party") or None) if by.is_operator else by.party
    match form.text("do"):
        case "disable":
            accounts.disable(account, by=by, client=client)
            told = "disabled"
        case "enable":
            accounts.enable(account, by=by, client=client)
            told = "enabled"
        case "reset":
            once = accounts.reset(account, by=by, client=client)
            return _people(
                request, rooms, signed, lang, BLANK, party=party or "", password=once,
                whom=form.text("name"),
            )  # fmt: skip
        case _:
            try:
                place = _place(rooms, signed, form, party)
                accounts.move(account, place, by=by, client=client)
            except Fault as fault:
                sent = refused(request, form, fault)
                return _people(
                    request, rooms, signed, lang, sent, party=party or "", status=status_of(fault)
                )
    path = f"{_PATH}?party={party}" if by.is_operator and party else _PATH
    return go_on(frame_of(request, lang, _PATH), path, told=told)


@router.get("/join/{token}")
def show_invitation(
    request: Request, rooms: InRooms, token: str, lang: AskedLang = None
) -> Response:
    """Shows what a link invites to, and asks for a name and a password."""
    return _join(request, rooms, token, lang, BLANK)


@router.post("/join/{token}")
def join(request: Request, rooms: InRooms, token: str, form: InOpenForm) -> Response:
    """Makes the account that a link invites to."""
    lang = form.text("lang") or None
    try:
        account = rooms.people.invitations.join(
            token, name=form.text("name"), password=form.raw("password"), client=client_of(request)
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=("invalid",))
        return _join(request, rooms, token, lang, sent, status=422)
    response = go_on(frame_of(request, lang, HOME), HOME)
    token = rooms.people.sign_in.open_for(account, client=client_of(request))
    set_session(response, rooms, token)
    return response


def _place(rooms: Rooms, signed: SignedIn, form: Form, party: str | None) -> Place:
    role: Role
    match form.text("role"):
        case _ if signed.person.is_operator and party is None:
            role = "operator"
        case "staff":
            role = "staff"
        case "owner":
            role = "owner"
        case _:
            # Nobody becomes an owner by a choice that was forgotten.
            raise invalid(FieldFault(("role",), "missing", {"name": "role"}))
    return rooms.people.accounts.place(
        role=role,
        party=party,
        scopes=form.many("scopes"),
        region=form.plain("region") or None,
        by=signed.person,
    )


def _people(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    party: str,
    status: int = 200,
    url: str = "",
    password: str = "",
    whom: str = "",
) -> Response:
    frame = frame_of(request, lang, _PATH)
    by = signed.person
    accounts = rooms.people.accounts
    roles, unknown = by.roles, ""
    if by.is_operator and party:
        try:
            roles = frozenset(rooms.parties.get(party).roles)
        except NotFound as fault:
            unknown, status = say_fault(fault, frame.lang), status_of(fault)
    return answer_signed(
        "people.html",
        frame,
        signed,
        at="people",
        status=status,
        told=told_of(request),
        sent=sent,
        party=party if by.is_operator else "",
        unknown=unknown,
        found=[(one, reaches(by, one.person)) for one in accounts.people(by, party=party or None)],
        invitations=rooms.people.invitations.list_of(by),
        roles=[(one, text(frame.lang, f"account.role.{one}")) for one in ("staff", "owner")],
        # Of the operator's own nobody chooses what they may: all of it, everywhere.
        of_party=bool(party and not unknown) or not by.is_operator,
        scopes=scopes_in(frame.lang, staff_scopes(roles)),
        official=bool(OFFICIAL_ROLES & roles),
        url=url,
        password=password,
        shown_once=bool(url or password),
        whom=whom,
    )


def scopes_in(lang: Lang, scopes: Iterable[str]) -> list[tuple[str, str]]:
    """Returns scopes with their words."""
    return [(scope, text(lang, f"scope.{scope}")) for scope in scopes]


def _join(
    request: Request,
    rooms: Rooms,
    token: str,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    path = f"/join/{token}"
    frame = frame_of(request, lang, path)
    invited = rooms.people.invitations.find(token)
    name = "" if invited.party is None else rooms.parties.get(invited.party).name
    html = render_page(
        "join.html", frame, sent=sent, invited=invited, party=name, path=path, least=MIN_PASSWORD
    )
    return answer_page(html, frame.lang, status=status)
