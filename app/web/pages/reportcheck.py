"""/audit-reports/{id}: whether a report of an audit is the one that this service made and signed.

Where the symbol on the paper leads. It tells when the report was made and what was signed, and compares
a file that somebody holds; of what the report says it tells nothing but its result in numbers, to be
held against the paper.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from app.kit.clock import parse_time
from app.kit.errors import Invalid, TooMany
from app.oversight.audit_reports import PATH, Report
from app.oversight.report_content import scope_says
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, answer_page, frame_of
from app.web.pages.render import render_page
from app.web.upload import InMemory
from app.web.visit import visit_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_MATCHES: Final = frozenset({"zh", "en", "json"})


@router.get(f"{PATH}/{{report_id}}")
def show_report(
    request: Request, rooms: InRooms, report_id: str, lang: AskedLang = None
) -> Response:
    """Shows what was signed of a report, and a form for a file to compare."""
    return _answer(request, rooms, rooms.audit_reports.get(report_id), lang)


@router.post(f"{PATH}/{{report_id}}")
async def compare_file(request: Request, rooms: InRooms, report_id: str) -> Response:
    """Says whether a file is one of the report's, byte for byte. It is read in memory and forgotten."""
    if not rooms.photo_limit.take(visit_of(request).address):
        raise TooMany("too_many_requests", retry_after_s=1)
    raw, lang = await _read(request)
    return await rooms.photo_turns.run(lambda: _compare(request, rooms, report_id, raw, lang))


def _compare(
    request: Request, rooms: Rooms, report_id: str, raw: bytes, lang: str | None
) -> Response:
    report = rooms.audit_reports.get(report_id)
    if not raw:
        return _answer(request, rooms, report, lang, compared="empty", status=422)
    compared = report.matches(raw) or "other"
    return _answer(request, rooms, report, lang, compared=compared, hashed=sha256(raw).hexdigest())


async def _read(request: Request) -> tuple[bytes, str | None]:
    parser = InMemory(request.headers, request.stream(), max_files=1, max_fields=4)
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as err:
        raise Invalid("form_unreadable") from err
    try:
        file = form.get("file")
        raw = await file.read() if isinstance(file, UploadFile) else b""
        return raw, str(form.get("lang", "")) or None
    finally:
        await form.close()


def _answer(
    request: Request,
    rooms: Rooms,
    report: Report,
    lang: str | None,
    *,
    compared: str = "",
    hashed: str = "",
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, f"{PATH}/{report.id}")
    told = report.told
    content = told["report"]
    signed = rooms.audit_reports.is_signed(report)
    page = render_page(
        "audit_report.html",
        frame,
        report=told,
        content=content,
        scope=scope_says(frame.lang, content["scope"], content.get("scope_name", "")),
        made_at=parse_time(content["made_at"]),
        finished_at=parse_time(content["finished_at"]),
        signed=signed,
        compared=compared,
        matches=signed and compared in _MATCHES,
        hashed=hashed,
    )
    return answer_page(page, frame.lang, status=status)
