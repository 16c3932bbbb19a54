"""The pages' routes: the front page and what a scan opens. No script is needed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse
from starlette.requests import Request
from starlette.responses import Response

from app.db.hot import ask_ahead
from app.kit.clock import from_ms
from app.kit.errors import Denied, Fault, Invalid, NotFound, TooLarge, TooMany, Unavailable
from app.ledger import logstore
from app.ledger.served import load_checkpoint
from app.oversight.looks import Look
from app.oversight.reporting import PATIENCE_S
from app.parties.principal import OutsideRegion
from app.trace.code import Code, digital_link
from app.trace.decide import CodeUnknown
from app.trace.scans import LIFE_S, ask_beside
from app.web.body import StrictRoute, check_query
from app.web.deps import InRooms, Rooms, rooms_of
from app.web.lending import Asked
from app.web.pages.answers import (
    answer_page,
    answer_unknown,
    code_of,
    frame_of,
    path_of,
    typed_code,
)
from app.web.pages.carried import offer_carried
from app.web.pages.fill import Filler
from app.web.pages.privacy import COOKIE, device_of
from app.web.pages.render import link_within, render_error, render_home, render_scan
from app.web.pages.signed.form import FormForeign
from app.web.pages.signed.session import Led, lead, stood_on
from app.web.pages.views import ErrorView, Frame, HomeView, Log
from app.web.pages.zone import newest_of_zone
from app.web.paths import decode_parameters
from app.web.problems import say_fault, status_of
from app.web.visit import REQUEST_ID, SCOPE_KEY, visit_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_ROBOTS = re.compile(r"bot|crawl|spider|slurp|preview|headless|curl|wget|python", re.IGNORECASE)
_LANG = Annotated[str | None, Query(max_length=8)]
_MOST_LOT = 40  # characters of what a label calls its lot: twice the longest that there is


async def show_unit(request: Request) -> Response:
    """Shows a unit, whether its label names its lot too or not: what a phone opens.

    Reads its few parameters itself: to have the framework solve them is a twentieth of the page.
    """
    check_query(request)
    rooms = await rooms_of(request)
    if rooms.lending is None:
        return await _show_in_turn(request, rooms)
    scope, visit = request.scope, replace(visit_of(request), principal=None)
    asked = {name: scope[name] for name in ("path", "path_params", "query_string", "headers")}
    return await rooms.lending.run((asked, visit), lambda: _show_in_turn(request, rooms))


async def show_lent(rooms: Rooms, asked: Asked) -> Response:
    """Shows a unit that another process was asked for. Raises as `show_unit`."""
    told, visit = asked
    REQUEST_ID.set(visit.id)
    scope = {"type": "http", "method": "GET", **told, SCOPE_KEY: visit}
    return await _show_in_turn(Request(scope), rooms)


for _path in ("/01/{gtin}/21/{serial}", "/01/{gtin}/10/{lot}/21/{serial}"):
    router.add_route(_path, show_unit, methods=["GET"])


@router.get("/")
def show_home(request: Request, rooms: InRooms, lang: _LANG = None) -> Response:
    """Shows what this is, and lets one type a code."""
    frame = frame_of(request, lang, "/")
    view = HomeView(
        frame=frame, lookup="/code", log=_log(rooms), api_docs="/docs", zone=newest_of_zone(rooms)
    )
    return answer_page(render_home(view), frame.lang)


@router.get("/code")
def find_code(
    request: Request,
    rooms: InRooms,
    code: Annotated[str, Query(max_length=2048)] = "",
    lang: _LANG = None,
) -> Response:
    """Leads from a typed code, in any form, to its page."""
    frame = frame_of(request, lang, "/code")
    try:
        found = typed_code(rooms, code)
    except Invalid as fault:
        return answer_unknown(frame, code[:200], fault)
    return RedirectResponse(link_within(frame, path_of(found)), 303)


@router.get("/01/{gtin}")
def show_product(request: Request, rooms: InRooms, gtin: str, lang: _LANG = None) -> Response:
    """Shows a product."""
    return _show(request, rooms, lang, lambda: code_of(gtin))


@router.get("/01/{gtin}/10/{lot}")
def show_lot(request: Request, rooms: InRooms, gtin: str, lot: str, lang: _LANG = None) -> Response:
    """Shows a lot."""
    return _show(request, rooms, lang, lambda: code_of(gtin, lot=lot))


def problem_page(request: Request, fault: Fault) -> Response | None:
    """Returns the page for a fault where the reader looks at pages, None for programs."""
    path = request.url.path
    if path.startswith(("/api/", "/log/", "/docs", "/problems/")):
        return None
    if isinstance(fault, Led):
        return lead(request, fault)
    lang = visit_of(request).lang
    kind: Any = "internal"
    told = back = ""
    if isinstance(fault, NotFound):
        kind = "not_found"
    elif isinstance(fault, TooMany):
        kind = "too_many"
    elif isinstance(fault, TooLarge):
        kind = "too_large"
    elif isinstance(fault, Unavailable):
        kind = "unavailable"
    elif isinstance(fault, FormForeign):
        kind, back = "stale", stood_on(request)
    elif isinstance(fault, Denied):
        kind = "outside_region" if isinstance(fault, OutsideRegion) else "forbidden"
        told = say_fault(fault, lang)
    elif _is_too_long(fault):
        kind = "too_long"
        told = say_fault(fault, lang)
    elif status_of(fault) < 500:
        # A wrong address or way of asking: what a person can do about it is the same.
        kind = "not_found"
    view = ErrorView(
        frame=Frame(lang=lang, path="/"),
        kind=kind,
        told=told,
        back=back,
        request_id=visit_of(request).id,
        retry_after_s=fault.retry_after_s,
    )
    page = answer_page(render_error(view), lang, status=status_of(fault))
    if fault.retry_after_s is not None:
        page.headers["Retry-After"] = str(fault.retry_after_s)
    return page


def _is_too_long(fault: Fault) -> bool:
    """Whether all that is wrong is that a code or search that was typed is too long."""
    places = [(one.kind, one.loc) for one in fault.errors]
    return bool(places) and all(
        place in (("length", ("query", "code")), ("length", ("query", "q"))) for place in places
    )


async def _show_in_turn(request: Request, rooms: Rooms) -> Response:
    """Shows a unit a few at a time, in the order of asking; what it reports is waited for here.

    A page is work for Python, of which there is one at a time: forty at once would all be late. It is
    of one moment, the story and all that is said beside it.
    """
    reports: list[Future[None]] = []
    lang = request.query_params.get("lang")
    parameters = decode_parameters(request.path_params)

    def look(code: Code) -> Look:
        with rooms.database.read() as connection:
            ask_ahead(connection, lambda: ask_beside(connection, code))
        glance = rooms.looks.glance(code)
        if glance.reported is not None:
            reports.append(glance.reported)
        return glance

    def show() -> Response:
        with rooms.database.one_snapshot():
            return _show(
                request,
                rooms,
                lang,
                lambda: code_of(**parameters),
                look=look,
                label_lot=parameters.get("lot", ""),
            )

    response = await rooms.page_turns.run(show)
    if reports:
        # Whoever asks next for score and ranking finds them changed, unless the writer is busy.
        await asyncio.wait([asyncio.wrap_future(one) for one in reports], timeout=PATIENCE_S)
    return response


def _show(
    request: Request,
    rooms: Rooms,
    lang: str | None,
    make: Any,
    *,
    look: Callable[[Code], Look] | None = None,
    label_lot: str = "",
) -> Response:
    """Returns the page of a code. label_lot: the lot that a unit's address names beside its serial."""
    path = request.scope["path"]
    frame = frame_of(request, lang, path)
    try:
        code: Code = make()
        seen = (look or rooms.looks.look)(code)
    except CodeUnknown as fault:
        return answer_unknown(frame, path.lstrip("/"), fault)
    except Fault as fault:
        if status_of(fault) != 422:
            raise
        return answer_unknown(frame, path.lstrip("/"), fault)
    device = _count_scan(request, rooms, code) if code.level == "unit" else None
    view = offer_carried(Filler(rooms, frame).scan_view(seen), request)
    # Letters may have been typed: a lot in small ones is no sign of a forged label.
    if label_lot and view.product.lot and label_lot.upper() != view.product.lot.upper():
        # Who holds a forged label sees the goods and the caution, also where it names what can be no lot.
        shown = label_lot if len(label_lot) <= _MOST_LOT else f"{label_lot[:_MOST_LOT]}…"
        view = replace(view, label_lot=shown)
    response = answer_page(render_scan(view), frame.lang)
    if code.level != "product":
        product = digital_link(rooms.base_url, Code(code.gtin))
        response.headers["Link"] = f'<{product}>; rel="canonical"'
    if device is not None:
        response.set_cookie(
            COOKIE,
            device.hex(),
            max_age=LIFE_S,
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
    # A first look has no cookie yet; what it shows gives the pseudonym that the cookie then keeps.
    device = device_of(request) or rooms.scans.device(visit_of(request).address, agent)
    rooms.scans.note(code.stream, device, region=visit_of(request).region)
    return device


def _log(rooms: Rooms) -> Log | None:
    with rooms.database.read() as connection:
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
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
