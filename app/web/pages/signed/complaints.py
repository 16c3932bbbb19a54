"""Complaints for who must answer: the list by deadline, one with its story, and what can be done about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault, FieldFault, invalid
from app.oversight.cases import Case
from app.oversight.complaints import Line
from app.oversight.outcomes import possible_after
from app.parties.identity import is_party_id
from app.parties.sessions import SignedIn
from app.trace.events import REPLY_OUTCOMES, RETURN_EXCEPTIONS
from app.trace.requests import EventRequest, SealedInput
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.proofs import ProofReader
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.own_entries import until
from app.web.pages.signed.sayings import read_said, step_id
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/complaints"
_PAGE = 30
_STATE = Annotated[str, Query(pattern="^(open|over)?$")]
_CURSOR = Annotated[str, Query(max_length=1_000)]
_SHOWN = frozenset({"invalid", "id-conflict", "lifecycle-conflict", "no-mandate", "not-found"})
_TOLD = {
    "message": "complaint_said",
    "accepted": "complaint_accepted",
    "refused": "complaint_refused",
    "platform": "complaint_referred",
    "regulator": "complaint_referred",
}


@router.get(PATH)
def show_complaints(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    state: _STATE = "open",
    cursor: _CURSOR = "",
) -> Response:
    """Shows complaints: open ones by what is due next, or those that are over."""
    principal = signed.person.principal()
    frame = frame_of(request, lang, PATH, keeps=("state", "cursor"))
    after = Page(_PAGE, cursor or None).after(int, int, int)
    now = rooms.clock.now()
    with rooms.database.one_snapshot():
        part = rooms.complaints.part_of(principal)
        found = rooms.complaints.page(
            principal,
            is_open=state != "over",
            after=None if after is None else (after[0], after[1], after[2]),
            limit=_PAGE + 1,
        )
        shown = found[:_PAGE]
        known = rooms.parties.get_some({one.seller for one in shown})
    return answer_signed(
        "complaints.html",
        frame,
        signed,
        at="complaints",
        told=told_of(request),
        state=state or "open",
        part=part,
        lines=[(one, until(one.due_at, now)) for one in shown],
        names={party: view.name for party, view in known.items()},
        following=encode_place(shown[-1].place) if len(found) > _PAGE else "",
    )


@router.get(f"{PATH}/{{ticket}}")
def show_complaint(
    request: Request, rooms: InRooms, signed: InSigned, ticket: str, lang: AskedLang = None
) -> Response:
    """Shows a matter; the words of who complained stay closed."""
    return _complaint(request, rooms, signed, ticket, lang, BLANK)


@router.post(f"{PATH}/{{ticket}}")
def act_on_complaint(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, ticket: str
) -> Response:
    """Opens the words for a purpose, or takes a message, a resolution, a refusal, a referral."""
    principal, lang = signed.person.principal(), form.text("lang")
    do = form.text("do")
    try:
        if do == "open":
            case = rooms.complaints.open(principal, ticket, form.text("purpose"), loc=("purpose",))
            # Not a way on: what is opened is shown in this answer alone, and again only for a purpose.
            return _complaint(request, rooms, signed, ticket, lang, BLANK, opened=case)
        case, row = rooms.complaints.read(principal, ticket)
        event = _event(form, case, do)
        if event.type == "reply" and principal.party != row.seller:
            # A platform answers in the shop's name, if it was given leave; the record says so.
            event = replace(event, actor=row.seller)
        principal.check_may("event.send", owner=principal.own_party())
        rooms.recording.record_one(principal, event)
    except Fault as fault:
        if fault.slug not in _SHOWN or fault.key == "ticket_unknown":
            raise
        sent = refused(request, form, fault)
        return _complaint(request, rooms, signed, ticket, lang, sent, status=status_of(fault))
    path = f"{PATH}/{case.ticket}"
    return go_on(frame_of(request, lang, path), path, told=_TOLD[do])


def _event(form: Form, case: Case, do: str) -> EventRequest:
    """Returns the record that a form asks for. Raises Invalid."""
    id_ = step_id(form, do)
    if do == "message":
        said = read_said(form, "message")
        data: dict[str, Any] = {"of": case.id}
        sealed = {"detail": SealedInput({"text": said})}
    elif do in ("accepted", "refused"):
        said = read_said(form, "text", most=500)
        data = {"of": case.id, "outcome": do}
        if do == "refused" and form.text("exception"):
            data["exception"] = form.text("exception")
        sealed = {"text": SealedInput({"text": said})}
    elif do in ("platform", "regulator"):
        said = read_said(form, "why", required=False)
        data = {"of": case.id, "to": do}
        sealed = {"detail": SealedInput({"text": said})} if said else {}
    else:
        params = {"expected": ", ".join(_TOLD), "got": do[:40]}
        raise invalid(FieldFault(("do",), "enum", params))
    type_ = {"message": "message", "accepted": "reply", "refused": "reply"}.get(do, "referral")
    if case.consignment is not None and type_ != "reply":
        data["consignment"] = case.consignment
    return EventRequest(code=case.code, type=type_, data=data, id=id_, sealed=sealed)


def _complaint(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    ticket: str,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
    opened: Case | None = None,
) -> Response:
    principal = signed.person.principal()
    case, row = rooms.complaints.read(principal, ticket)
    if opened is not None:
        case = opened
    frame, now = frame_of(request, lang, f"{PATH}/{case.ticket}"), rooms.clock.now()
    parties = {one.actor for one in case.said if is_party_id(one.actor)} | {row.seller}
    known = rooms.parties.get_some(parties)
    own = principal.party in (row.seller, row.platform)
    return answer_signed(
        "complaint.html",
        frame,
        signed,
        at="complaints",
        status=status,
        told=told_of(request) if opened is None else "",
        sent=sent,
        case=case,
        row=row,
        opened=opened is not None,
        names={party: view.name for party, view in known.items()},
        product=ProofReader(rooms).product(row.gtin),
        dues=[(due, until(due.due_at, now)) for due in case.dues],
        may_answer=own and case.is_open,
        may_resolve=rooms.powers.may_speak(
            principal.party or "", "reply", actor=row.seller, now=now
        ),
        # From a tab opened before: what is wrong is marked where it was typed.
        resolutions=REPLY_OUTCOMES if "text" in sent.errors else possible_after(case.outcome),
        hands=_hands(row, principal.party),
        exceptions=[("", ""), *((one, one) for one in RETURN_EXCEPTIONS)],
        me=principal.party,
    )


def _hands(row: Line, own: str | None) -> list[str]:
    """Returns to whom a complaint can be handed on, and is not yet."""
    to = ["platform"] if row.platform is not None and row.platform != own else []
    return [whom for whom in (*to, "regulator") if whom != row.referred_to]
