"""Making a recall and lifting one, through a page.

A recall is an event like others: on the codes that are named, or on the lots or units that a range of serials
or of dates comes to. What it comes to is counted and shown first; recorded is what was shown, all of it or
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final
from urllib.parse import urlencode
from uuid import UUID, uuid5

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.errors import Fault, FieldFault, Invalid, invalid, read_all
from app.ledger.submission import Abandoned
from app.oversight.recalls import Plan
from app.parties.looking import MAX_PURPOSE
from app.parties.principal import Principal
from app.parties.roles import REGULATOR
from app.parties.sessions import SignedIn
from app.trace.events import check_event
from app.trace.identifiers import parse_code
from app.trace.recalling import RecallStands
from app.trace.requests import EventRequest
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.lines import Line, LinesRefused, read_lines, refused_lines
from app.web.pages.signed.numbers import whole
from app.web.pages.signed.recalls import NARROWED, PATH, STATES, scope_in
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

MOST_CODES: Final = 200
"""Of one form: it is typed by hand; more go by the API."""
MOST_RANGE: Final = 1_000
"""Lots or units that a range may come to: of more a recall of the lot, or of the product, says the same."""
_TYPES: Final = ("recall", "recall_lifted")
_LEVELS: Final = (1, 2, 3)

_Text = Annotated[str, Query(max_length=2048)]


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
    """Records a recall, or that it is over, on codes, or on what a range comes to once that was shown."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    type_, standing, named_at = form.text("type"), list[str](), "codes"
    try:
        if any(form.text(name) for name in NARROWED):
            named_at = "code"
            plan = _plan(rooms, principal, form)
            if form.text("counted") != plan.digest:
                return _new(request, signed, lang, type_, Sent(form.items), plan=plan)
            if not plan.codes:
                # Sent a second time: the first one did it.
                return _go_on(request, rooms, lang, type_, plan.goods)
            lines = [Line(None, code) for code in plan.codes]
        else:
            lines = read_lines(form, "codes")
        asked = _events(form, type_, lines)
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
            raise _refusal(named_at, wrong, of=len(events))
    except Fault as fault:
        if isinstance(fault, LinesRefused):
            sent = refused_lines(request, form, fault)
        else:
            sent = refused(request, form, fault)
        return _new(request, signed, lang, type_, sent, status=status_of(fault), standing=standing)
    return _go_on(request, rooms, lang, type_, [event.code for event in events])


def _refusal(named_at: str, wrong: Sequence[tuple[Line, Fault]], *, of: int) -> Fault:
    """Returns the refusal of a form's events: of all of them for the same reason as that of one."""
    first = wrong[0][1]
    if of == 1 or (first.errors and all(one.errors == first.errors for _, one in wrong[1:])):
        return first
    return LinesRefused(named_at, wrong)


def _go_on(
    request: Request, rooms: Rooms, lang: str | None, type_: str, codes: Sequence[str]
) -> Response:
    # A lot may hold a `%` or a `/`, which a stream's name escapes and an address must once more.
    path = f"{PATH}?{urlencode({'code': codes[0]})}"
    return go_on(frame_of(request, lang, PATH), path, told=_told(rooms, type_, codes))


def _told(rooms: Rooms, type_: str, codes: Sequence[str]) -> str:
    """Returns what to say: of what was lifted, whether it is recalled all the same."""
    if type_ == "recall":
        return "recall_made"
    return "recall_lifted_others" if rooms.recalls.still_hold(codes) else "recall_lifted"


def _plan(rooms: Rooms, principal: Principal, form: Form) -> Plan:
    """Returns what a range comes to.

    Raises Invalid with all that is wrong with the fields; where it comes to nothing, or too much.
    """
    _, _, scope, _ = read_all(
        lambda: _check_one_way(form),
        lambda: _check_code(form),
        lambda: scope_in(form),
        lambda: _data(form),
    )
    purpose = f"{form.text('type')} {form.text('reason')}"[:MAX_PURPOSE]
    lifts = form.text("type") == "recall_lifted"
    plan = rooms.recalls.plan(principal, scope, lifts=lifts, purpose=purpose, most=MOST_RANGE)
    if not plan.goods:
        raise invalid(FieldFault(("code",), "no_goods", {}))
    if not plan.codes and form.text("counted") != plan.digest:
        raise invalid(FieldFault(("code",), "nothing_to_do", {}))
    return plan


def _check_one_way(form: Form) -> None:
    if form.text("codes"):
        raise invalid(FieldFault(("codes",), "one_way", {}))


def _check_code(form: Form) -> None:
    if not form.text("code"):
        raise invalid(FieldFault(("code",), "missing", {"name": "code"}))
    parse_code(form.text("code"))


def _data(form: Form) -> dict[str, object]:
    """Returns what a form's records say. Raises Invalid with all that is wrong."""
    type_ = form.text("type")
    names = ("reason", "basis") if type_ == "recall" else ("reason",)
    data: dict[str, object] = {name: form.text(name) for name in names if form.text(name)}
    level, _ = read_all(
        lambda: whole(form, "level", _LEVELS[0], _LEVELS[-1], default=0),
        lambda: _check_words(type_, data),
    )
    return {**data, "level": level} if level else data


def _check_words(type_: str, data: Mapping[str, object]) -> None:
    if type_ in _TYPES:
        check_event(type_, "product", data, ())
        return
    faults = [FieldFault(("type",), "unknown_type", {"got": type_[:64]})]
    if "reason" not in data:
        faults.append(FieldFault(("reason",), "missing", {"name": "reason"}))
    raise invalid(*faults)


def _events(form: Form, type_: str, lines: Sequence[Line]) -> list[tuple[Line, EventRequest]]:
    """Returns the events of a form, each with its line. Raises Invalid, LinesRefused: all that is wrong."""
    codes, wrong = _codes(lines)
    faults = []
    if not lines:
        faults.append(FieldFault(("codes",), "missing", {"name": "codes"}))
    if form.text("codes") and len(codes) > MOST_CODES:
        params = {"expected": f"≤ {MOST_CODES}", "got": len(codes)}
        faults.append(FieldFault(("codes",), "length", params))
    data = dict[str, object]()
    try:
        data = _data(form)
    except Invalid as refusal:
        faults += refusal.errors
    if wrong:
        raise LinesRefused("codes", wrong, faults)
    if faults:
        raise invalid(*faults)
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


def _new(
    request: Request,
    signed: SignedIn,
    lang: str | None,
    type_: str,
    sent: Sent,
    *,
    status: int = 200,
    plan: Plan | None = None,
    standing: Sequence[str] = (),
) -> Response:
    """plan: what a range comes to. standing: goods of the form that are recalled already."""
    principal = signed.person.principal()
    principal.check_may("event.send")
    frame = frame_of(request, lang, f"{PATH}/new", keeps=("code", "type"))
    tally = None if plan is None else plan.found.tally
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
        + [(str(n), text(frame.lang, f"recall.level.{n}")) for n in _LEVELS],
        standing=standing,
        orders=REGULATOR in principal.roles,
        most=MOST_CODES,
        most_range=MOST_RANGE,
        plan=plan,
        of_lots=plan is not None and "/10/" in plan.codes[0],
        states=[]
        if tally is None
        else [(state, tally.states[state]) for state in STATES if tally.states[state]],
        narrowed=any(sent.value(name) for name in NARROWED),
    )
