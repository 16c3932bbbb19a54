"""What an authority is to make public, by the day on which it is due, and where it did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.kit.clock import china_day
from app.kit.errors import Fault
from app.oversight.publications import WORKING_DAYS, Measure
from app.parties.sessions import SignedIn
from app.trace.requests import EventRequest
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.own_entries import Until, until
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/publications"
_PAGE = 50
_SHOWN = frozenset({"invalid", "lifecycle-conflict", "id-conflict"})


@dataclass(frozen=True, slots=True)
class Due:
    """A measure with the days that are left."""

    told: Measure
    until: Until | None


@router.get(PATH)
def show(request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None) -> Response:
    """Shows what is due, what is overdue first, and what was published last."""
    return _page(request, rooms, signed, lang, BLANK)


@router.post(PATH)
def note(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Records that a measure was made public."""
    lang, of = form.text("lang") or None, form.text("of")
    data = {"of": of, "on": form.text("on"), "url": form.text("url")}
    event = EventRequest(
        code=f"party/{form.text('party')}",
        type="publication",
        data={name: value for name, value in data.items() if value},
    )
    principal = signed.person.principal()
    principal.check_may("event.send")
    try:
        rooms.recording.record_one(principal, event)
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _page(request, rooms, signed, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, lang, PATH), PATH, told="measure_published")


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH)
    principal, now = signed.person.principal(), rooms.clock.now()
    due = rooms.publications.page(principal, limit=_PAGE + 1)
    return answer_signed(
        "publications.html",
        frame,
        signed,
        at="publications",
        status=status,
        told=told_of(request),
        sent=sent,
        due=[Due(one, until(one.due_at, now)) for one in due[:_PAGE]],
        more=len(due) > _PAGE,
        published=rooms.publications.page(principal, published=True, limit=_PAGE),
        days=WORKING_DAYS,
        today=china_day(now),
    )
