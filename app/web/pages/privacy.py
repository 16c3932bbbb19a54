"""/privacy: what is kept about the reader and why, and how to see and erase it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.clock import parse_time
from app.kit.errors import Fault, Invalid
from app.trace import texts
from app.trace.code import Code
from app.trace.decide import CodeUnknown
from app.trace.identifiers import parse_code
from app.trace.proof import ProofInvalid
from app.trace.requests import ConsumerProof
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import answer_page, as_typed, frame_of
from app.web.pages.consumer_views import PrivacyView, Written
from app.web.pages.formwords import read_values
from app.web.pages.render import render_page
from app.web.pages.views import Again
from app.web.problems import say_fault, status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

COOKIE: Final = "sx_device"
_DEVICE = re.compile(r"[0-9a-f]{32}")
_LANG = Annotated[str | None, Query(max_length=8)]


def device_of(request: Request) -> bytes | None:
    """Returns the pseudonym that the cookie keeps, None without one."""
    cookie = request.cookies.get(COOKIE, "")
    return bytes.fromhex(cookie) if _DEVICE.fullmatch(cookie) else None


@router.get("/privacy")
def show_privacy(request: Request, rooms: InRooms, lang: _LANG = None) -> Response:
    """Shows what is kept of this device, and asks for what may be kept elsewhere."""
    return _answer(_view(request, rooms, lang))


@router.post("/privacy")
async def change_privacy(request: Request, rooms: InRooms) -> Response:
    """Shows what somebody wrote, or erases a text, a report, or the looks of this device."""
    values = await read_values(request)
    return await run_in_threadpool(_change, request, rooms, values)


def _change(request: Request, rooms: Rooms, values: Mapping[str, str]) -> Response:
    lang, device = values.get("lang"), device_of(request)
    match values.get("act"):
        case "looks":
            if device is not None:
                rooms.scans.forget(device)
            view = replace(_view(request, rooms, lang), looks=None, known=False, done="looks")
            response = _answer(view)
            response.delete_cookie(
                COOKIE, httponly=True, samesite="lax", secure=rooms.base_url.startswith("https:")
            )
            return response
        case "report":
            view = _view(request, rooms, lang)
            ticket = values.get("ticket", "").strip()[:64]
            if not ticket:
                problem = text(view.frame.lang, "page.ticket.number.missing")
                return _answer(replace(view, problem=problem, wrong="number"), status=422)
            try:
                rooms.reports.erase(ticket, values.get("query", "").strip())
            except ProofInvalid as fault:
                problem = text(view.frame.lang, "page.privacy.no_report")
                view = replace(view, ticket=ticket, problem=problem, wrong="ticket")
                return _answer(view, status=status_of(fault))
            return _answer(replace(view, done="report"))
        case _:
            return _show_written(request, rooms, values)


def _show_written(request: Request, rooms: Rooms, values: Mapping[str, str]) -> Response:
    said = values.get("code", "").strip()[:2048]
    kind, given = values.get("proof_kind", "claim"), values.get("proof", "").strip()[:256]
    view = _view(request, rooms, values.get("lang"))
    view = replace(view, code=said, proof_kind=kind)
    try:
        code, proof = parse_code(as_typed(rooms, said)), _proof(kind, given)
        if values.get("act") == "erase":
            rooms.texts.erase(code, values.get("of", ""), proof)
            view = replace(view, done="text")
        written = _written(rooms, code, proof)
    except Fault as fault:
        view = replace(view, problem=say_fault(fault, view.frame.lang), wrong=_wrong(fault))
        return _answer(view, status=status_of(fault))
    # The proof goes back to who has just sent it, in a page that nobody keeps: each text has a button.
    is_cut = len(written) >= texts.MOST_TEXTS
    fields = {"code": said, "proof_kind": kind, "proof": given}
    frame = replace(view.frame, again=Again(action="/privacy#mine", fields=fields))
    return _answer(replace(view, frame=frame, proof=given, written=written, is_cut=is_cut))


def _wrong(fault: Fault) -> Literal["", "code", "proof"]:
    """Returns the field that a fault is about, "" where it is about neither."""
    if isinstance(fault, ProofInvalid):
        return "proof"
    return "code" if isinstance(fault, Invalid | CodeUnknown) else ""


def _proof(kind: str, given: str) -> ConsumerProof:
    match kind:
        case "inner":
            return ConsumerProof(inner=given)
        case "ticket":
            return ConsumerProof(query=given)
        case _:
            return ConsumerProof(token=given)


def _written(rooms: Rooms, code: Code, proof: ConsumerProof) -> tuple[Written, ...]:
    return tuple(
        Written(
            id=fields["id"],
            type=fields["type"],
            at=parse_time(fields["recorded_at"]),
            text=told or "",
            rating=_rating(fields),
            erasable=told is not None,
            matter=_matter(rooms, code, fields) if told is not None else "",
        )
        for fields in rooms.texts.written(code, proof)
        for told in (rooms.texts.open_said(code, fields),)
    )


def _matter(rooms: Rooms, code: Code, fields: Mapping[str, Any]) -> Literal["", "open", "closed"]:
    if fields["type"] != "complaint":
        return ""
    return "open" if rooms.cases.of(code.stream, fields).is_open else "closed"


def _rating(fields: Mapping[str, Any]) -> int | None:
    rating: int | None = fields["data"].get("rating")
    return rating


def _view(request: Request, rooms: Rooms, lang: str | None) -> PrivacyView:
    device = device_of(request)
    looks = None if device is None else rooms.scans.of_device(device)
    frame = frame_of(request, lang, "/privacy")
    return PrivacyView(frame=frame, looks=looks, known=device is not None)


def _answer(view: PrivacyView, *, status: int = 200) -> Response:
    page = render_page("privacy.html", view.frame, view=view, indexable=status == 200)
    return answer_page(page, view.frame.lang, status=status)
