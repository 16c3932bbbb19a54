"""Recalls through pages: which there are, how far each has come, making one and lifting it.

How far it has come is asked by a form that is no address: a purpose, and whose units they are, stand in
no history. A recall is an event like others; of many codes all are recorded, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID, uuid5

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.clock import from_ms
from app.kit.errors import Fault, FieldFault, invalid
from app.ledger.submission import Abandoned
from app.oversight.reach import OUT, WAYS
from app.oversight.recalls import Reached, Scope, ToldRecall, scope_of
from app.parties.principal import Principal
from app.parties.roles import EVENTS, OFFICIAL_ROLES, REGULATOR
from app.parties.sessions import SignedIn
from app.trace.identifiers import parse_code
from app.trace.recalling import RecallStands
from app.trace.requests import EventRequest
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of, lang_of
from app.web.pages.bars import draw_share
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.lines import Line, LinesRefused, read_lines, refused_lines
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of
from app.web.reachfile import csv_of_reach

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/recalls"
MOST_CODES: Final = 200
"""Of one form: it is typed by hand; more go by the API."""
_PAGE: Final = 30
_ASKED: Final = ("code", "serials", "sold_since", "sold_until", "purpose")
_STATES: Final = (
    "registered", "sold", "in_transit", "signed", "returned", "void", "unreadable",
)  # fmt: skip
_PLACES: Final = {"stock": ("registered", "returned"), "out": tuple(sorted(OUT)), "void": ("void",)}
"""What a holder's goods are counted as: more columns no phone has room for."""
_TYPES: Final = ("recall", "recall_lifted")

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
        found = rooms.recalls.reach(principal, _scope(form), purpose=form.text("purpose"))
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
    return csv_of_reach(rooms, principal, _scope(form), purpose, lang, in_words=True)


@router.get(f"{PATH}/new")
def show_new(
    request: Request,
    signed: InSigned,
    lang: AskedLang = None,
    code: _Text = "",
    type: _Text = "recall",
) -> Response:
    """Shows the form of a recall, or of lifting one."""
    return _new(request, signed, lang, type, prefilled(codes=code))


@router.post(f"{PATH}/new")
def record_recall(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Records a recall, or that it is over, of one code or of several at once."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    type_ = form.text("type")
    standing: list[str] = []
    try:
        asked = _events(form, type_)
        events = [event for _, event in asked]
        answers = rooms.recording.record_and_wait(principal, events, atomic=True)
        wrong = [
            (line, answer)
            for (line, _), answer in zip(asked, answers, strict=True)
            if isinstance(answer, Fault) and not isinstance(answer, Abandoned)
        ]
        standing = [
            event.code
            for event, answer in zip(events, answers, strict=True)
            if isinstance(answer, RecallStands)
        ]
        if wrong:
            raise wrong[0][1] if len(events) == 1 else LinesRefused("codes", wrong)
    except Fault as fault:
        if isinstance(fault, LinesRefused):
            sent = refused_lines(request, form, fault)
        else:
            sent = refused(request, form, fault)
        return _new(request, signed, lang, type_, sent, status=status_of(fault), standing=standing)
    # A lot may hold a `%` or a `/`, which a stream's name escapes and an address must once more.
    path = f"{PATH}?{urlencode({'code': events[0].code})}"
    return go_on(frame_of(request, lang, PATH), path, told=_told(rooms, type_, events))


def _told(rooms: Rooms, type_: str, events: Sequence[EventRequest]) -> str:
    """Returns what to say: of what was lifted, whether it is recalled all the same."""
    if type_ == "recall":
        return "recall_made"
    still = rooms.recalls.still_hold([event.code for event in events])
    return "recall_lifted_others" if still else "recall_lifted"


def may_recall(principal: Principal) -> bool:
    """Whether somebody may recall anything at all; what, its records decide."""
    if principal.party is None or "events" not in principal.scopes:
        return False
    return any(one.role in principal.roles for one in EVENTS["recall"])


def _scope(form: Form) -> Scope:
    return scope_of(
        form.text("code"),
        form.text("serials").split(),
        sold_since=form.text("sold_since"),
        sold_until=form.text("sold_until"),
    )


def _events(form: Form, type_: str) -> list[tuple[Line, EventRequest]]:
    """Returns the events of a form, each with its line. Raises Invalid, LinesRefused."""
    lines = read_lines(form, "codes")
    codes, wrong = _codes(lines)
    faults = [
        FieldFault((name,), "missing", {"name": name})
        for name, told in (("codes", lines), ("reason", form.text("reason")))
        if not told
    ]
    if type_ not in _TYPES:
        faults.append(FieldFault(("type",), "unknown_type", {"got": type_[:64]}))
    if len(codes) > MOST_CODES:
        params = {"expected": f"≤ {MOST_CODES}", "got": len(codes)}
        faults.append(FieldFault(("codes",), "length", params))
    if wrong:
        raise LinesRefused("codes", wrong, faults)
    if faults:
        raise invalid(*faults)
    data: dict[str, object] = {"reason": form.text("reason")}
    if form.text("level").isdecimal():
        data["level"] = int(form.text("level")[:4])
    if form.text("basis") and type_ == "recall":
        data["basis"] = form.text("basis")
    entry = form.uuid("entry")
    return [
        (
            line,
            EventRequest(
                code=stream,
                type=type_,
                data=data,
                # Sent twice, each is recorded once.
                id=None if entry is None else str(uuid5(UUID(entry), line.text)),
            ),
        )
        for stream, line in codes.items()
    ]


def _codes(lines: Sequence[Line]) -> tuple[dict[str, Line], list[tuple[Line, Fault]]]:
    """Returns the goods with the lines that name them first, and what is wrong with other lines."""
    found: dict[str, Line] = {}
    wrong: list[tuple[Line, Fault]] = []
    for line in lines:
        try:
            found.setdefault(parse_code(line.text, loc=("codes",)).stream, line)
        except Fault as fault:
            wrong.append((line, fault))
    return found, wrong


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
        narrowed=bool(sent.errors)
        or any(sent.value(name) for name in ("serials", "sold_since", "sold_until")),
    )


def _reach(
    request: Request, rooms: Rooms, signed: SignedIn, lang: str | None, sent: Sent, found: Reached
) -> Response:
    tally, principal = found.tally, signed.person.principal()
    asked = {*tally.holders, *(party for one in tally.channels for party in one if party)}
    states = [(state, tally.states[state]) for state in _STATES if tally.states[state]]
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
        office=signed.person.region,
        may_recall=may_recall(principal),
        page_of=page_path,
    )


def _new(
    request: Request,
    signed: SignedIn,
    lang: str | None,
    type_: str,
    sent: Sent,
    *,
    status: int = 200,
    standing: Sequence[str] = (),
) -> Response:
    """standing: goods of the form that are recalled already."""
    principal = signed.person.principal()
    principal.check_may("event.send")
    frame = frame_of(request, lang, f"{PATH}/new", keeps=("code", "type"))
    return answer_signed(
        "recall_new.html",
        frame,
        signed,
        at="recalls",
        status=status,
        told="",
        sent=sent,
        type=type_ if type_ in _TYPES else "recall",
        levels=[("", text(frame.lang, "recall.level.none"))]
        + [(str(n), text(frame.lang, f"recall.level.{n}")) for n in (1, 2, 3)],
        standing=standing,
        orders=REGULATOR in principal.roles,
        most=MOST_CODES,
    )
