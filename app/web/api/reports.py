"""Reports by anyone, for regulators and the operator, who read them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time
from app.oversight.reportdesk import ReportLine
from app.parties.looking import MAX_PURPOSE
from app.web.api.complaints import OpeningIn
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="texts")

_Ticket = Annotated[str, Path(max_length=64, examples=["7KQ2M9XW4T"])]


class ReportOut(BaseModel):
    """A report without its words. `holder`: who has the goods; absent where they are nobody's here."""

    ticket: str
    code: str | None = None
    holder: str | None = None
    status: Literal["received", "closed", "erased"]
    at: str
    links: dict[str, str]


class ReportWordsOut(BaseModel):
    """What somebody reported. `text` is absent where its author erased it."""

    text: str | None = None
    contact: str | None = None


class ClosingIn(Body):
    """What came of it; kept in the log of purposes, with who says so."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"reason": "已核实，转办案科室"}]},
    }

    reason: Annotated[str, Field(max_length=MAX_PURPOSE)]


@router.get(
    "/reports",
    summary="Reports to read",
    responses=problems("forbidden"),
    response_model=PageBody[ReportOut],
)
def list_reports(
    rooms: InRooms,
    caller: Caller,
    page: InPage,
    state: Literal["open", "over"] = "open",
) -> Response:
    """Returns reports that wait, the oldest first, or those that are over, the newest first.

    An authority in office somewhere sees those on goods whose holder is registered there, and those that
    name no goods or a code that nobody registered.
    """
    after = page.after(int, str)
    found = rooms.report_desk.page(
        caller,
        is_open=state == "open",
        after=None if after is None else (after[0], after[1]),
        limit=page.limit + 1,
    )
    shown, following = page.cut(found, lambda one: one.place)
    return page_response([_line(one) for one in shown], following)


@router.post(
    "/reports/{ticket}/opening",
    summary="Open a report's words",
    responses=problems("forbidden", "not-found"),
)
def open_report(rooms: InRooms, caller: Caller, ticket: _Ticket, body: OpeningIn) -> ReportWordsOut:
    """Returns what was reported, with the contact if one was left, for a stated purpose.

    Who looks, when and why is written down before anything is shown.
    """
    said = rooms.report_desk.open(caller, ticket, body.purpose, loc=("purpose",))
    return ReportWordsOut(text=said.text, contact=said.contact)


@router.post(
    "/reports/{ticket}/closing",
    summary="Close a report",
    responses=problems("forbidden", "not-found", "lifecycle-conflict"),
)
def close_report(rooms: InRooms, caller: Caller, ticket: _Ticket, body: ClosingIn) -> ReportOut:
    """Notes that a report was dealt with; who filed it sees so by its ticket."""
    return _line(rooms.report_desk.close(caller, ticket, body.reason, loc=("reason",)))


def _line(one: ReportLine) -> ReportOut:
    links = {"opening": f"/api/v1/reports/{one.ticket}/opening"}
    return ReportOut.model_validate(
        {
            "ticket": one.ticket,
            "code": one.code,
            "holder": one.holder,
            "status": one.status,
            "at": format_time(one.at),
            "links": links,
        }
    )
