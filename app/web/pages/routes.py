"""The pages' routes: the front page, what a scan opens, and the forms on it. No script is needed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, pick_language, text
from app.kit.clock import from_ms
from app.kit.errors import Fault, NotFound, TooMany, Unavailable
from app.ledger import logstore
from app.ledger.submission import Recorded
from app.trace.code import Code, parse_lot, parse_serial
from app.trace.decide import CodeUnknown
from app.trace.gtin import parse_gtin
from app.trace.identifiers import parse_code
from app.trace.requests import ConsumerProof, EventRequest, SealedInput
from app.web.body import StrictRoute
from app.web.checks import check_report_limit
from app.web.deps import InRooms, Rooms
from app.web.pages.fill import Filler
from app.web.pages.render import (
    render_error,
    render_home,
    render_result,
    render_scan,
    render_unknown,
)
from app.web.pages.views import (
    ErrorView,
    FormName,
    FormState,
    Frame,
    HomeView,
    Log,
    ResultView,
    UnknownView,
)
from app.web.problems import describe, status_of
from app.web.visit import visit_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_COOKIE = "sx_device"
_COOKIE_DAYS = 1
_DEVICE = re.compile(r"[0-9a-f]{32}")
_ROBOTS = re.compile(r"bot|crawl|spider|slurp|preview|headless|curl|wget|python", re.IGNORECASE)
_LANG = Annotated[str | None, Query(max_length=8)]
# As the API takes them in a report, and as the fields themselves say.
_MOST_WORDS, _MOST_CONTACT = 2000, 100
_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"}


@router.get("/")
def show_home(request: Request, rooms: InRooms, lang: _LANG = None) -> Response:
    """Shows what this is, and lets one type a code."""
    frame = _frame(request, lang, "/")
    view = HomeView(frame=frame, lookup="/code", log=_log(rooms), api_docs="/docs")
    return _page(render_home(view), frame.lang)


@router.get("/code")
def find_code(
    request: Request,
    code: Annotated[str, Query(max_length=2048)] = "",
    lang: _LANG = None,
) -> Response:
    """Leads from a typed code, in any form, to its page."""
    suffix = f"?lang={frame_lang}" if (frame_lang := lang) in ("zh", "en") else ""
    try:
        return RedirectResponse(f"/{parse_code(code.strip()).stream}{suffix}", 303)
    except Fault as fault:
        return _unknown(request, lang, code[:200], fault)


@router.get("/01/{gtin}")
def show_product(request: Request, rooms: InRooms, gtin: str, lang: _LANG = None) -> Response:
    """Shows a product."""
    return _show(request, rooms, lang, lambda: _code(gtin))


@router.get("/01/{gtin}/10/{lot}")
def show_lot(request: Request, rooms: InRooms, gtin: str, lot: str, lang: _LANG = None) -> Response:
    """Shows a lot."""
    return _show(request, rooms, lang, lambda: _code(gtin, lot=lot))


@router.get("/01/{gtin}/21/{serial}")
def show_unit(
    request: Request, rooms: InRooms, gtin: str, serial: str, lang: _LANG = None
) -> Response:
    """Shows a unit: what a phone opens."""
    return _show(request, rooms, lang, lambda: _code(gtin, serial=serial))


@router.get("/01/{gtin}/10/{lot}/21/{serial}")
def show_unit_of_lot(
    request: Request, rooms: InRooms, gtin: str, lot: str, serial: str, lang: _LANG = None
) -> Response:
    """Shows a unit whose label names its lot too."""
    return _show(request, rooms, lang, lambda: _code(gtin, lot=lot, serial=serial))


@router.post("/01/{gtin}/21/{serial}/{form}")
async def take_form(
    request: Request, rooms: InRooms, gtin: str, serial: str, form: str
) -> Response:
    """Takes a review, a follow-up or a complaint from a consumer who proves the purchase."""
    if form not in ("review", "follow_up", "complaint"):
        raise NotFound("path_unknown")
    values = {k: str(v) for k, v in (await request.form(max_files=0)).items()}
    name: FormName = form  # type: ignore[assignment]
    return await run_in_threadpool(_take, request, rooms, gtin, serial, name, values)


@router.post("/reports")
async def take_report(request: Request, rooms: InRooms) -> Response:
    """Takes a report by anyone."""
    values = {k: str(v) for k, v in (await request.form(max_files=0)).items()}
    return await run_in_threadpool(_take_report, request, rooms, values)


def problem_page(request: Request, fault: Fault) -> Response | None:
    """Returns the page for a fault where the reader looks at pages, None for programs."""
    path = request.url.path
    if path.startswith(("/api/", "/log/", "/docs", "/problems/")):
        return None
    lang = visit_of(request).lang
    kind: Any = "internal"
    if isinstance(fault, NotFound):
        kind = "not_found"
    elif isinstance(fault, TooMany):
        kind = "too_many"
    elif isinstance(fault, Unavailable):
        kind = "unavailable"
    elif status_of(fault) < 500:
        return None
    view = ErrorView(
        frame=Frame(lang=lang, path="/"),
        kind=kind,
        request_id=visit_of(request).id,
        retry_after_s=fault.retry_after_s,
    )
    return _page(render_error(view), lang, status=status_of(fault))


def _show(request: Request, rooms: Rooms, lang: str | None, make: Any) -> Response:
    path = request.scope["path"]
    frame = _frame(request, lang, path)
    try:
        code: Code = make()
        look = rooms.looks.look(code)
    except CodeUnknown as fault:
        return _unknown(request, lang, path.lstrip("/"), fault)
    except Fault as fault:
        if status_of(fault) != 422:
            raise
        return _unknown(request, lang, path.lstrip("/"), fault)
    device = _count_scan(request, rooms, code) if code.level == "unit" else None
    response = _page(render_scan(Filler(rooms, frame).scan_view(look)), frame.lang)
    if device is not None:
        response.set_cookie(
            _COOKIE,
            device.hex(),
            max_age=_COOKIE_DAYS * 86_400,
            httponly=True,
            samesite="lax",
            secure=rooms.base_url.startswith("https:"),
        )
    return response


def _count_scan(request: Request, rooms: Rooms, code: Code) -> bytes | None:
    """Counts one look and returns the device's pseudonym; None for what is nobody's look."""
    headers = request.headers
    purpose = headers.get("sec-purpose", "") + headers.get("purpose", "") + headers.get("x-moz", "")
    agent = headers.get("user-agent", "")
    if visit_of(request).is_head or "prefetch" in purpose or not agent or _ROBOTS.search(agent):
        return None
    cookie = request.cookies.get(_COOKIE, "")
    known = _DEVICE.fullmatch(cookie)
    # A first look has no cookie yet; what it shows gives the pseudonym that the cookie then keeps.
    device = (
        bytes.fromhex(cookie) if known else rooms.scans.device(visit_of(request).address, agent)
    )
    rooms.scans.note(code.stream, device)
    return device


def _take(
    request: Request,
    rooms: Rooms,
    gtin: str,
    serial: str,
    form: FormName,
    values: Mapping[str, str],
) -> Response:
    code = _code(gtin, serial=serial)
    frame = _frame(request, values.get("lang"), f"/{code.stream}")
    data: dict[str, Any] = {}
    errors: dict[str, str] = {}
    if form in ("review", "follow_up"):
        if values.get("rating", "") in ("1", "2", "3", "4", "5"):
            data["rating"] = int(values["rating"])
        else:
            errors["rating"] = text(frame.lang, "field.missing", name="rating")
    else:
        data["category"] = values.get("category", "")
        if not data["category"]:
            errors["category"] = text(frame.lang, "field.missing", name="category")
    section = "detail" if form == "complaint" else "text"
    content, wrong = _read_words(values, frame.lang, required=form == "complaint")
    errors |= wrong
    proof = values.get("proof", "").strip()
    if not proof:
        errors["proof"] = text(frame.lang, "field.missing", name="proof")
    answer: Recorded | Fault | None = None
    if not errors:
        given = (
            ConsumerProof(inner=proof)
            if values.get("proof_kind") == "inner"
            else ConsumerProof(token=proof)
        )
        event = EventRequest(
            code=code.stream,
            type=form,
            data=data,
            sealed={section: SealedInput(content)} if content else {},
        )
        answer = rooms.recording.record_and_wait(None, [event], proof=given)[0]
    if isinstance(answer, Recorded):
        ticket = rooms.recording.promises(answer).get("ticket", "")
        view = ResultView(
            frame=frame, form=form, back=f"/{code.stream}", ticket=ticket, hash=answer.hash.hex()
        )
        return _page(render_result(view), frame.lang, status=201)
    state = _refused(request, frame.lang, form, values, errors, answer)
    look = rooms.looks.look(code)
    status = 422 if answer is None else status_of(answer)
    page = render_scan(Filler(rooms, frame).scan_view(look, form=state))
    return _page(page, frame.lang, status=status)


def _take_report(request: Request, rooms: Rooms, values: Mapping[str, str]) -> Response:
    code = values.get("code", "").strip()
    back = "/"
    known: Code | None = None
    try:
        known = parse_code(code) if code else None
        back = f"/{known.stream}" if known is not None else "/"
    except Fault:
        code = code[:200]
    frame = _frame(request, values.get("lang"), back)
    told, errors = _read_words(values, frame.lang, required=True)
    refused: Fault | None = None
    if not errors:
        try:
            check_report_limit(rooms, visit_of(request))
            # What is no code of ours is part of what the person has to say.
            said = told["text"] if known is not None or not code else f"[{code}] {told['text']}"
            stream = known.stream if known is not None else None
            ticket = rooms.reports.file(stream, said, told.get("contact"))
        except Fault as fault:
            refused = fault
        else:
            view = ResultView(frame=frame, form="report", back=back, ticket=ticket)
            return _page(render_result(view), frame.lang, status=201)
    state = _refused(request, frame.lang, "report", values, errors, refused)
    status = 422 if refused is None else status_of(refused)
    try:
        if known is None:
            raise CodeUnknown("code_unknown", code=code)
        look = rooms.looks.look(known)
    except CodeUnknown as fault:
        return _unknown(request, frame.lang, code, fault, form=state, status=status)
    return _page(
        render_scan(Filler(rooms, frame).scan_view(look, form=state)), frame.lang, status=status
    )


def _read_words(
    values: Mapping[str, str], lang: Lang, *, required: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns text and contact as they will be sealed, those that were given, and what is wrong.

    They become one line in NFC: a record holds no other, and a keyboard need not know that.
    """
    told, errors = {}, {}
    for name, most in (("text", _MOST_WORDS), ("contact", _MOST_CONTACT)):
        said = unicodedata.normalize("NFC", " ".join(values.get(name, "").split()))
        if said:
            told[name] = said
        if len(said) > most:
            errors[name] = text(lang, "field.length", expected=f"≤ {most}", got=len(said))
    if required and "text" not in told:
        errors["text"] = text(lang, "field.missing", name="text")
    return told, errors


def _refused(
    request: Request,
    lang: Lang,
    form: FormName,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    fault: Fault | None,
) -> FormState:
    """Returns the form as it was sent, with why it was refused; the proof is never sent back."""
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
    kept = {name: value for name, value in values.items() if name not in ("proof", "lang")}
    return FormState(form=form, message=message, values=kept, errors=told)


def _unknown(
    request: Request,
    lang: str | None,
    code: str,
    fault: Fault,
    *,
    form: FormState | None = None,
    status: int | None = None,
) -> Response:
    frame = _frame(request, lang, request.scope["path"])
    problem = ""
    if not isinstance(fault, CodeUnknown) and fault.slug != "code-unknown":
        told = describe(fault, lang=frame.lang, instance=visit_of(request).id)
        problem = "; ".join(error["msg"] for error in told.get("errors", ())) or told["detail"]
    view = UnknownView(
        frame=frame, code=code, lookup="/code", report="/reports", problem=problem, form=form
    )
    return _page(render_unknown(view), frame.lang, status=status or (404 if not problem else 422))


def _frame(request: Request, lang: str | None, path: str) -> Frame:
    chosen = lang in ("zh", "en")
    picked: Lang = pick_language(None, lang) if chosen else _page_language(request)
    return Frame(lang=picked, path=path, language_chosen=chosen)


def _page_language(request: Request) -> Lang:
    return visit_of(request).lang


def _log(rooms: Rooms) -> Log | None:
    with rooms.database.read() as connection:
        published = logstore.load_checkpoint(connection)
        state = logstore.load_state(connection)
        waiting = logstore.count_waiting(connection)
    if published is None or state is None:
        return None
    return Log(
        origin=state.origin,
        size=published.size,
        published_at=from_ms(published.published_at_ms),
        pending=waiting + state.size - published.size,
    )


def _code(gtin: str, *, lot: str | None = None, serial: str | None = None) -> Code:
    return Code(
        parse_gtin(gtin, allow_item_code=True),
        lot=None if lot is None or serial is not None else parse_lot(lot),
        serial=None if serial is None else parse_serial(serial),
    )


def _page(html: str, lang: Lang, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(html, status, headers={**_HEADERS, "Content-Language": lang})
