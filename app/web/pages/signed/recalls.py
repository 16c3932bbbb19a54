"""Recalls through pages: which there are, and how far each has come.

How far it has come is asked by a form that is no address: a purpose, and whose units they are, stand in
no history.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.clock import from_ms
from app.kit.errors import Fault
from app.oversight.reach import OUT, WAYS
from app.oversight.recalls import Reached, ToldRecall
from app.oversight.scoping import Scope, scope_of
from app.parties.principal import Principal
from app.parties.roles import EVENTS, OFFICIAL_ROLES, REGULATOR
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of, lang_of
from app.web.pages.bars import draw_share
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of
from app.web.reachfile import csv_of_reach

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/recalls"
_PAGE: Final = 30
NARROWED: Final = (
    "serial_from", "serial_to", "produced_since", "produced_until", "sold_since", "sold_until",
)  # fmt: skip
"""Fields by which a part of the goods is meant: of a range both ends are named, of days one may be open."""
_ASKED: Final = ("code", "serials", *NARROWED, "purpose")
STATES: Final = (
    "registered", "sold", "in_transit", "signed", "returned", "void", "unreadable",
)  # fmt: skip
_PLACES: Final = {"stock": ("registered", "returned"), "out": tuple(sorted(OUT)), "void": ("void",)}
"""What a holder's goods are counted as: more columns no phone has room for."""

_Text = Annotated[str, Query(max_length=2048)]


@router.get(PATH)
def show_recalls(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    code: _Text = "",
    open: _Text = "",  # noqa: A002 - the field's name
    after: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """Shows recalls, and asks how far one has come."""
    sent = prefilled(code=code, open=open)
    try:
        found = _list(rooms, signed.person.principal(), code, open, after)
    except Fault as fault:
        if fault.slug != "invalid":
            raise
        found = []
        sent = refused(request, Form(sent.items), fault)
    return _page(request, rooms, signed, lang, sent, found)


@router.post(f"{PATH}/reach")
def show_reach(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Shows how far a recall has come."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        found = rooms.recalls.reach(principal, scope_in(form), purpose=form.text("purpose"))
    except Fault as fault:
        sent = refused(request, form, fault)
        recalls = _list(rooms, principal, "", "", "")
        return _page(request, rooms, signed, lang, sent, recalls, status=status_of(fault))
    sent = Sent(tuple((name, form.text(name)) for name in _ASKED))
    return _reach(request, rooms, signed, lang, sent, found)


@router.post(f"{PATH}/reach.csv")
def export_reach(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Returns a line for each of the goods as CSV."""
    principal, lang = signed.person.principal(), lang_of(request, form.text("lang") or None)
    purpose = form.text("purpose")
    return csv_of_reach(rooms, principal, scope_in(form), purpose, lang)


def may_recall(principal: Principal) -> bool:
    """Whether somebody may recall anything at all; what, its records decide."""
    if principal.party is None or "events" not in principal.scopes:
        return False
    return any(one.role in principal.roles for one in EVENTS["recall"])


def scope_in(form: Form) -> Scope:
    """Returns the goods that a form is about. Raises Invalid."""
    return scope_of(
        form.text("code"),
        form.text("serials").split(),
        **{name: form.text(name) for name in NARROWED},
    )


def _list(
    rooms: Rooms, principal: Principal, code: str, is_open: str, after: str
) -> list[ToldRecall]:
    place = Page(_PAGE, after or None).after(int, int, str)
    return [
        *rooms.recalls.list(
            principal,
            code=code or None,
            is_open={"yes": True, "no": False}.get(is_open),
            after=place,
            limit=_PAGE + 1,
        )
    ]


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    found: list[ToldRecall],
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    principal.check_may("recall.read")
    shown = found[:_PAGE]
    parties = {one.recaller for one in shown}
    return answer_signed(
        "recalls.html",
        frame_of(request, lang, PATH, keeps=("code", "open", "after")),
        signed,
        at="recalls",
        status=422 if sent.errors and status == 200 else status,
        told=told_of(request),
        sent=sent,
        recalls=shown,
        products=rooms.seeking.product_names(sorted({one.gtin for one in shown})),
        names={one.id: one.name for one in rooms.parties.get_some(parties).values()},
        official=bool(principal.roles & OFFICIAL_ROLES),
        may_recall=may_recall(principal),
        may_lift=lambda one: REGULATOR in principal.roles or one.recaller == principal.party,
        next=encode_place(shown[-1].place) if len(found) > _PAGE else None,
        kept=[(name, sent.value(name)) for name in ("code", "open") if sent.value(name)],
        page_of=page_path,
        narrowed=bool(sent.errors) or any(sent.value(name) for name in ("serials", *NARROWED)),
    )


def _reach(
    request: Request, rooms: Rooms, signed: SignedIn, lang: str | None, sent: Sent, found: Reached
) -> Response:
    tally, principal = found.tally, signed.person.principal()
    asked = {*tally.holders, *(party for one in tally.channels for party in one if party)}
    states = [(state, tally.states[state]) for state in STATES if tally.states[state]]
    most = max(tally.states.values(), default=0)
    ways = [(way, tally.ways[way]) for way in WAYS]
    since, lifted = found.since_ms, found.lifted_ms
    return answer_signed(
        "recall_reach.html",
        frame_of(request, lang, PATH),
        signed,
        at="recalls",
        told="",
        sent=sent,
        asked=_ASKED,
        found=found,
        tally=tally,
        since=None if since is None else from_ms(since),
        lifted=None if lifted is None else from_ms(lifted),
        product=rooms.catalogue.product(found.code.gtin).name,
        names={one.id: one.name for one in rooms.parties.get_some(asked).values()},
        states=[(state, count, draw_share(count, most)) for state, count in states],
        ways=[(way, count, draw_share(count, tally.out)) for way, count in ways],
        silent=draw_share(tally.silent, tally.out),
        reached=draw_share(tally.reached, tally.concerned, room=True),
        columns=tuple(_PLACES),
        holders=[
            (party, [sum(held[state] for state in inside) for inside in _PLACES.values()])
            for party, held in tally.by_holder()
        ],
        channels=tally.by_channel(),
        official=bool(principal.roles & OFFICIAL_ROLES),
        may_recall=may_recall(principal),
        part=[(name, sent.value(name)) for name in NARROWED if sent.value(name)],
        page_of=page_path,
    )
