"""The forms on the page that a scan opens: reviews, follow-ups and complaints with proof, reports without."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.errors import Fault, FieldFault, Invalid, NotFound, invalid
from app.ledger.submission import Recorded
from app.trace.code import Code
from app.trace.decide import CodeUnknown
from app.trace.events import COMPLAINT_CATEGORIES
from app.trace.identifiers import parse_code
from app.trace.proof import ProofInvalid
from app.trace.requests import ConsumerProof, EventRequest, SealedInput
from app.trace.shape import faults_of
from app.web.body import StrictRoute
from app.web.checks import check_report_limit
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import answer_page, answer_unknown, code_of, frame_of
from app.web.pages.carried import carried, drop, offer_carried
from app.web.pages.consumer_views import with_matter
from app.web.pages.fill import Filler
from app.web.pages.formwords import form_id, read_rating, read_values, read_words
from app.web.pages.render import render_result, render_scan
from app.web.pages.signed.form import check_origin
from app.web.pages.views import Actions, FormName, FormState, ResultView
from app.web.problems import describe, say_fault, status_of
from app.web.visit import visit_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_PROVEN = ("review", "follow_up", "complaint")


@router.post("/01/{gtin}/21/{serial}/{form}")
async def take_form(
    request: Request, rooms: InRooms, gtin: str, serial: str, form: str
) -> Response:
    """Takes a review, a follow-up or a complaint from a consumer who proves the purchase."""
    if form not in _PROVEN:
        raise NotFound("path_unknown")
    values = await read_values(request)
    name: FormName = form  # type: ignore[assignment]
    return await run_in_threadpool(_take, request, rooms, gtin, serial, name, values)


@router.get("/01/{gtin}/21/{serial}/{form}")
def find_form(gtin: str, serial: str, form: str) -> Response:
    """Leads back to the form: a browser that restores its tabs asks for what was posted to."""
    if form not in _PROVEN:
        raise NotFound("path_unknown")
    return RedirectResponse(f"/{code_of(gtin, serial=serial).stream}#{form}", 303)


@router.get("/reports")
def find_report() -> Response:
    """Leads to the front page: what was reported is not known from the address."""
    return RedirectResponse("/", 303)


@router.post("/reports")
async def take_report(request: Request, rooms: InRooms) -> Response:
    """Takes a report by anyone."""
    values = await read_values(request)
    return await run_in_threadpool(_take_report, request, rooms, values)


def _take(
    request: Request,
    rooms: Rooms,
    gtin: str,
    serial: str,
    form: FormName,
    values: Mapping[str, str],
) -> Response:
    code = code_of(gtin, serial=serial)
    frame = frame_of(request, values.get("lang"), f"/{code.stream}")
    data, errors = _read_choice(form, values, frame.lang)
    section = "detail" if form == "complaint" else "text"
    content, wrong = read_words(values, frame.lang, required=form == "complaint")
    event = EventRequest(
        code=code.stream,
        type=form,
        data=data,
        id=form_id(values, form),
        sealed={section: SealedInput(content)} if content else {},
    )
    # What our rules find stands behind what a field says itself: a wrong number is no missing one.
    errors = _said(faults_of(event, rooms.clock.now()), frame.lang) | errors | wrong
    typed, brought = values.get("proof", "").strip(), carried(request)
    if brought and not typed:
        check_origin(request, rooms)
    by_inner = bool(typed) and values.get("proof_kind") == "inner"
    proof = typed or brought
    given = ConsumerProof(inner=proof) if by_inner else ConsumerProof(token=proof)
    answer: Recorded | Fault | None = None
    if not proof:
        errors["proof"] = text(frame.lang, "field.missing", name="proof")
    elif not errors:
        answer = rooms.recording.record_and_wait(None, [event], proof=given)[0]
    else:
        try:
            rooms.recording.check_proof(code, given)
        except ProofInvalid as refused:
            errors["proof"] = say_fault(refused, frame.lang)
    if isinstance(answer, Recorded):
        promises = rooms.recording.promises(answer)
        ticket, query = promises.get("ticket", ""), promises.get("query_code", "")
        result = ResultView(
            frame=with_matter(frame, ticket, query) if ticket else frame,
            form=form,
            back=f"/{code.stream}",
            ticket=ticket,
            query=query,
            hash=answer.hash.hex(),
        )
        return answer_page(
            render_result(result), frame.lang, status=200 if answer.replayed else 201
        )
    state = _refused(request, frame.lang, form, values, errors, answer)
    look = rooms.looks.look(code)
    status = 422 if answer is None else status_of(answer)
    view = Filler(rooms, frame).scan_view(look, form=state)
    view = replace(view, form=_place(state, view.actions))
    # What was brought along and proves nothing is asked for again.
    is_refused = brought == proof and "proof" in state.errors
    page = render_scan(view if is_refused else offer_carried(view, request))
    refusal = answer_page(page, frame.lang, status=status)
    if is_refused:
        drop(refusal, code)
    return refusal


def _read_choice(
    form: FormName, values: Mapping[str, str], lang: Lang
) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the data that was chosen, and what is wrong with a number; what is missing our rules say."""
    if form == "complaint":
        category = values.get("category", "")
        return ({"category": category} if category else {}), {}
    try:
        rating = read_rating(values)
    except Invalid as unfit:
        return {}, {"rating": say_fault(unfit, lang)}
    return ({} if rating is None else {"rating": rating}), {}


def _said(faults: Iterable[FieldFault], lang: Lang) -> dict[str, str]:
    """Returns what is said of each field, by the last part of its place."""
    return {str(one.loc[-1]): say_fault(invalid(one), lang) for one in faults}


def _take_report(request: Request, rooms: Rooms, values: Mapping[str, str]) -> Response:
    code = values.get("code", "").strip()
    back = "/"
    known: Code | None = None
    try:
        known = parse_code(code) if code else None
        back = f"/{known.stream}" if known is not None else "/"
    except Fault:
        code = code[:200]
    frame = frame_of(request, values.get("lang"), back)
    told, errors = read_words(values, frame.lang, required=True)
    refused: Fault | None = None
    if not errors:
        try:
            check_report_limit(rooms, visit_of(request))
            # What is no code of ours is part of what the person has to say.
            said = told["text"] if known is not None or not code else f"[{code}] {told['text']}"
            # So is what a complaint was about that goes as a report, which has no such field.
            if (category := values.get("category")) in COMPLAINT_CATEGORIES:
                said = f"[{text(frame.lang, f'complaint.{category}')}] {said}"
            stream = known.stream if known is not None else None
            ticket, is_new = rooms.reports.file_once(
                stream, said, told.get("contact"), id=form_id(values, "report")
            )
        except Fault as fault:
            refused = fault
        else:
            query = rooms.reports.query_code(ticket)
            frame = with_matter(frame, ticket, query)
            view = ResultView(frame=frame, form="report", back=back, ticket=ticket, query=query)
            return answer_page(render_result(view), frame.lang, status=201 if is_new else 200)
    state = _refused(request, frame.lang, "report", values, errors, refused)
    status = 422 if refused is None else status_of(refused)
    try:
        if known is None:
            raise CodeUnknown("code_unknown", code=code)
        look = rooms.looks.look(known)
    except CodeUnknown as fault:
        return answer_unknown(frame, code, fault, form=state, status=status)
    return answer_page(
        render_scan(Filler(rooms, frame).scan_view(look, form=state)), frame.lang, status=status
    )


def _place(state: FormState, actions: Actions) -> FormState:
    """Returns a refused rating on the form that is open for it: after a review, the follow-up."""
    match state.form:
        case "review" if not actions.review and actions.follow_up:
            return replace(state, form="follow_up", sent_as="review")
        case "follow_up" if not actions.follow_up and actions.review:
            return replace(state, form="review", sent_as="follow_up")
        case _:
            return state


def _refused(
    request: Request,
    lang: Lang,
    form: FormName,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    fault: Fault | None,
) -> FormState:
    """Returns the form as it was sent, with why it was refused; the proof is never sent back.

    A page is kept, photographed and looked at by others, and whoever has the proof speaks as the buyer.
    """
    message = text(lang, "page.form.incomplete")
    told = dict(errors)
    if fault is not None:
        problem = describe(fault, lang=lang, instance=visit_of(request).id)
        for error in problem.get("errors", ()):
            told[str(error["loc"][-1])] = error["msg"]
        if fault.slug == "proof-invalid":
            told["proof"] = problem["detail"]
        if not told:
            message = problem["detail"]
    unkept = {"proof", "lang"}
    if fault is not None and fault.slug == "id-conflict":
        # Taken before, with other words: sent once more it is something new to say.
        message = text(lang, "page.form.sent_before")
        unkept.add("id")
    kept = {name: value for name, value in values.items() if name not in unkept}
    proof_again = bool(values.get("proof", "").strip()) and "proof" not in told
    return FormState(form=form, message=message, values=kept, errors=told, proof_again=proof_again)
