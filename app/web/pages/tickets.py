"""/ticket: a complaint followed by who made it; what is answered, until when, and what one says on.

Number and query code come in a form and never in an address: addresses stay in histories and logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.errors import Fault, FieldFault, invalid, read_all
from app.ledger.submission import Recorded
from app.oversight.cases import Case
from app.parties.identity import is_party_id
from app.trace.identifiers import normalise_inner, parse_code
from app.trace.proof import ProofInvalid
from app.trace.requests import ConsumerProof, EventRequest, SealedInput
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import answer_page, frame_of
from app.web.pages.consumer_views import TicketView, with_matter
from app.web.pages.formwords import form_id, read_rating, read_values, read_words
from app.web.pages.render import render_page
from app.web.pages.views import Frame
from app.web.problems import say_fault, status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_LANG = Annotated[str | None, Query(max_length=8)]


@router.get("/ticket")
def show_form(request: Request, lang: _LANG = None) -> Response:
    """Asks for number and query code."""
    return _answer(TicketView(frame=frame_of(request, lang, "/ticket")))


@router.post("/ticket")
async def show_ticket(request: Request, rooms: InRooms) -> Response:
    """Shows how a complaint or a report stands; first takes what is said on, or erases."""
    values = await read_values(request)
    return await run_in_threadpool(_show, request, rooms, values)


def _show(request: Request, rooms: Rooms, values: Mapping[str, str]) -> Response:
    frame = frame_of(request, values.get("lang"), "/ticket")
    ticket, query = values.get("ticket", "").strip(), values.get("query", "").strip()
    if not ticket:
        problem = text(frame.lang, "page.ticket.number.missing")
        view = TicketView(frame=frame, problem=problem, wrong="ticket")
        return _answer(view, status=422)
    try:
        report = rooms.reports.find(ticket)
        if query and report is not None:
            rooms.reports.check_query(ticket, query)
        if report is not None:
            own = normalise_inner(query)
            frame = with_matter(frame, report.ticket, own)
            return _answer(TicketView(frame=frame, ticket=report.ticket, query=own, report=report))
        if not query:
            raise ProofInvalid("query_code")
        case = rooms.cases.find(ticket, query)
    except ProofInvalid as fault:
        problem = text(frame.lang, f"fault.{fault.key}")
        wrong: Literal["query", "ticket"] = "query" if query else "ticket"
        view = TicketView(frame=frame, ticket=ticket[:64], problem=problem, wrong=wrong)
        return _answer(view, status=status_of(fault))
    match values.get("act"):
        case "message":
            return _take_message(rooms, frame, case, query, values)
        case "erase":
            rooms.texts.erase(parse_code(case.code), case.id, ConsumerProof(query=query))
            return _answer(
                replace(
                    _filled(rooms, frame, rooms.cases.find(ticket, query), query), done="erased"
                )
            )
        case _:
            return _answer(_filled(rooms, frame, case, query))


def _take_message(
    rooms: Rooms,
    frame: Frame,
    case: Case,
    query: str,
    values: Mapping[str, str],
) -> Response:
    told, errors = read_words(values, frame.lang, required=False)
    data: dict[str, object] = {"of": case.id}
    if values.get("settled") == "yes":
        data["settled"] = True
    if case.consignment is not None:
        data["consignment"] = case.consignment
    answer: Recorded | Fault
    try:
        rating, _ = read_all(lambda: read_rating(values), lambda: _check_length(errors))
        if rating is not None:
            data["rating"] = rating
        event = EventRequest(
            code=case.code,
            type="message",
            data=data,
            id=form_id(values, "message"),
            sealed={"detail": SealedInput({"text": told["text"]})} if "text" in told else {},
        )
        proof = ConsumerProof(query=query)
        answer = rooms.recording.record_and_wait(None, [event], proof=proof)[0]
    except Fault as fault:
        answer = fault
    view = _filled(rooms, frame, rooms.cases.find(case.ticket, query), query)
    if isinstance(answer, Recorded):
        return _answer(replace(view, done="message"), status=200 if answer.replayed else 201)
    said = say_fault(answer, frame.lang)
    at_text = any({"text", "detail"} & set(one.loc) for one in answer.errors)
    view = replace(view, refusal=said, at_text=at_text, kept=values)
    return _answer(view, status=status_of(answer))


def _check_length(errors: Mapping[str, str]) -> None:
    if errors:
        raise invalid(FieldFault(("text",), "length", {"expected": "≤ 2000", "got": "> 2000"}))


def _filled(rooms: Rooms, frame: Frame, case: Case, query: str) -> TicketView:
    parties = {one.actor for one in case.said if is_party_id(one.actor)}
    known = rooms.parties.get_some(parties)
    names = {party: party if (view := known.get(party)) is None else view.name for party in parties}
    product = rooms.catalogue.product(parse_code(case.code).gtin).name
    own = normalise_inner(query)
    return TicketView(
        frame=with_matter(frame, case.ticket, own),
        ticket=case.ticket,
        query=own,
        case=case,
        names=names,
        product=product,
    )


def _answer(view: TicketView, *, status: int = 200) -> Response:
    # The empty form may be found; what it leads to is nobody else's.
    empty = status == 200 and view.case is None and view.report is None
    page = render_page("ticket.html", view.frame, view=view, indexable=empty)
    return answer_page(page, view.frame.lang, status=status)
