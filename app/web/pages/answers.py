"""Answers of the pages: frame, HTML with its headers, and the page for a code that is not on record."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

import uuid_utils
from fastapi import Query
from fastapi.responses import HTMLResponse
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, pick_language, text
from app.kit.errors import Fault, Invalid
from app.trace.code import Code, digital_link, parse_lot, parse_serial
from app.trace.decide import CodeUnknown
from app.trace.foreign import tell_foreign
from app.trace.gtin import parse_gtin
from app.trace.sscc import is_sscc
from app.trace.typed import as_issued, plainly, read_typed
from app.web.deps import Rooms
from app.web.pages.render import render_unknown
from app.web.pages.views import FormState, Frame, UnknownView
from app.web.problems import say_fault
from app.web.visit import visit_of

AskedLang = Annotated[str | None, Query(max_length=8)]
"""The parameter `lang` of a page."""

_HEADERS = {"Cache-Control": "no-store", "Vary": "Accept-Language, Cookie"}


def asked_by_script(request: Request) -> bool:
    """Whether a page's own script sent the form: it is answered in JSON."""
    return "application/json" in request.headers.get("accept", "")


def answer_unknown(
    frame: Frame,
    code: str,
    fault: Fault,
    *,
    form: FormState | None = None,
    status: int | None = None,
) -> Response:
    """Returns the page for a code that is not on record, or is none. status: of a refused form."""
    problem = ""
    if not isinstance(fault, CodeUnknown) and fault.slug != "code-unknown":
        problem = say_fault(fault, frame.lang)
        foreign = tell_foreign(code)
        if foreign.kind != "text":
            problem = text(frame.lang, f"page.foreign.{foreign.kind}") + foreign.host
    view = UnknownView(
        frame=frame, code=code, lookup="/code", report="/reports", problem=problem, form=form
    )
    return answer_page(
        render_unknown(view), frame.lang, status=status or (404 if not problem else 422)
    )


def frame_of(
    request: Request, lang: str | None, path: str, *, keeps: tuple[str, ...] = ()
) -> Frame:
    """Returns what every page needs. lang: as the reader chose it, else the browser's is taken.

    keeps: names of the query that the other language's page is asked by too.
    """
    showing = str(uuid_utils.uuid4())
    kept = [(name, value) for name, value in request.query_params.items() if name in keeps]
    return Frame(
        lang=lang_of(request, lang),
        path=path,
        language_chosen=_is_chosen(lang),
        showing=showing,
        query=urlencode(kept),
    )


def lang_of(request: Request, asked: str | None) -> Lang:
    """Returns the reader's language: as chosen on the page, else as the browser told."""
    return pick_language(None, asked) if _is_chosen(asked) else visit_of(request).lang


def _is_chosen(asked: str | None) -> bool:
    return asked in ("zh", "en")


def code_of(gtin: str, *, lot: str | None = None, serial: str | None = None) -> Code:
    """Returns the code of a page's address, a unit's without the lot, whatever that is. Raises Invalid."""
    return Code(
        parse_gtin(gtin, allow_item_code=True),
        lot=None if lot is None or serial is not None else parse_lot(lot),
        serial=None if serial is None else parse_serial(serial),
    )


def path_of(code: Code) -> str:
    """Returns the path of a code's page, which compares the lot that a unit's label names."""
    return digital_link("", code, with_lot=True)


def typed_code(rooms: Rooms, typed: str) -> Code:
    """Returns the goods that a person typed, as they were issued. Raises Invalid. Read-only."""
    code = read_typed(typed.strip())
    with rooms.database.read() as connection:
        return as_issued(connection, code)


def as_typed(rooms: Rooms, typed: str) -> str:
    """Returns the name of the goods or case that a person typed, or the text where it names none.

    Whoever reads the text itself then says what is wrong with it, beside all else that is. Read-only.
    """
    try:
        return typed_code(rooms, typed).stream
    except Invalid:
        case = plainly(typed)
        return case if is_sscc(case) else typed


def answer_page(html: str, lang: Lang, *, status: int = 200) -> HTMLResponse:
    """Returns a page as an answer that nobody keeps."""
    return HTMLResponse(html, status, headers={**_HEADERS, "Content-Language": lang})
