"""/desk/reports: what anybody reported, for regulators and the operator: the list, and one with its words."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault
from app.oversight.reportdesk import READ, ReportWords
from app.oversight.reportstore import WAITING
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/reports"
_PAGE = 30
_STATE = Annotated[str, Query(pattern="^(open|over)?$")]
_CURSOR = Annotated[str, Query(max_length=1_000)]


@router.get(PATH)
def show_reports(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    state: _STATE = "open",
    cursor: _CURSOR = "",
) -> Response:
    """Shows reports that wait, or those that are over."""
    principal = signed.person.principal()
    after = Page(_PAGE, cursor or None).after(int, str)
    found = rooms.report_desk.page(
        principal,
        is_open=state != "over",
        after=None if after is None else (after[0], after[1]),
        limit=_PAGE + 1,
    )
    shown = found[:_PAGE]
    known = rooms.parties.get_some({one.holder for one in shown if one.holder})
    return answer_signed(
        "reports.html",
        frame_of(request, lang, PATH, keeps=("state", "cursor")),
        signed,
        at="reports",
        told=told_of(request),
        state=state or "open",
        lines=shown,
        names={party: view.name for party, view in known.items()},
        following=encode_place(shown[-1].place) if len(found) > _PAGE else "",
    )


@router.get(f"{PATH}/{{ticket}}")
def show_report(
    request: Request, rooms: InRooms, signed: InSigned, ticket: str, lang: AskedLang = None
) -> Response:
    """Shows a report; its words stay closed."""
    return _report(request, rooms, signed, ticket, lang, BLANK)


@router.post(f"{PATH}/{{ticket}}")
def act_on_report(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, ticket: str
) -> Response:
    """Opens the words for a purpose, or closes the report."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    desk = rooms.report_desk
    try:
        if form.text("do") == "open":
            words = desk.open(principal, ticket, form.text("purpose"), loc=("purpose",))
            # Not a way on: what is opened is shown in this answer alone, and again only for a purpose.
            return _report(request, rooms, signed, ticket, lang, BLANK, words=words)
        desk.close(principal, ticket, form.text("reason"), loc=("reason",))
    except Fault as fault:
        sent = refused(request, form, fault, only=("invalid", "lifecycle-conflict"))
        return _report(request, rooms, signed, ticket, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, lang, PATH), PATH, told="report_closed")


def _report(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    ticket: str,
    lang: str | None,
    sent: Sent,
    *,
    words: ReportWords | None = None,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    principal.check_may(READ)
    line = rooms.report_desk.read(principal, ticket)
    known = rooms.parties.get_some([line.holder]) if line.holder else {}
    return answer_signed(
        "report.html",
        frame_of(request, lang, f"{PATH}/{line.ticket}"),
        signed,
        at="reports",
        status=status,
        told="",
        sent=sent,
        line=line,
        holder=known.get(line.holder or ""),
        page=page_path(line.code) if line.code else "",
        words=words,
        waits=line.status == WAITING,
    )
