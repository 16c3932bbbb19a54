"""Evidence packages through a page: of a code or a finding, with what is sealed where a purpose is given.

The form is posted, so that a purpose stands in no address, no history and no server's log.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault, FieldFault, invalid
from app.oversight.packages import Package
from app.parties.looking import MAX_PURPOSE, MIN_PURPOSE
from app.parties.roles import reach
from app.parties.sessions import SignedIn
from app.trace.identifiers import parse_code
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, as_typed, frame_of
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/evidence"


@router.get(PATH)
def show_form(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    code: str = "",
    finding: str = "",
) -> Response:
    """Shows the form, filled in where a page of goods or of a finding leads here."""
    sent = prefilled(goods=code[:2048], finding=finding[:80])
    return _form(request, rooms, signed, lang, sent)


@router.post(PATH)
def read_package(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Returns the package; a refused form says the field and why."""
    try:
        package = _package(rooms, signed, form)
    except Fault as fault:
        sent = refused(request, form, fault)
        lang = form.text("lang") or None
        return _form(request, rooms, signed, lang, sent, status=status_of(fault))
    headers = {
        "Content-Disposition": f'attachment; filename="{package.file_name}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(package.stream_zip(), media_type="application/zip", headers=headers)


def _package(rooms: Rooms, signed: SignedIn, form: Form) -> Package:
    principal = signed.person.principal()
    asked: dict[str, Any] = {
        "sealed": form.text("sealed") == "yes",
        "purpose": form.text("purpose") or None,
    }
    if finding := form.text("finding"):
        return rooms.packages.of_finding(finding, principal, **asked)
    if not form.text("goods"):
        raise invalid(FieldFault(("goods",), "missing"))
    code = parse_code(as_typed(rooms, form.text("goods")), loc=("goods",))
    return rooms.packages.of_code(code, principal, **asked)


def _form(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH, keeps=("code", "finding"))
    principal = signed.person.principal()
    principal.check_may("finding.read")
    opens = "events" in principal.scopes and reach(principal.roles, "sealed.read")
    return answer_signed(
        "evidence.html",
        frame,
        signed,
        at="evidence",
        status=status,
        told=told_of(request),
        sent=sent,
        opens=opens,
        needs_purpose=opens == "any",
        purpose_least=MIN_PURPOSE,
        purpose_most=MAX_PURPOSE,
        base_url=rooms.base_url,
    )
