"""The log of purposes, for an authority's supervisor and for the operator."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault
from app.oversight.lookbook import LoggedLook, WantedLooks
from app.oversight.periods import read_period
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.lookfile import csv_of_looks, say_purpose
from app.web.pages.answers import AskedLang, frame_of, lang_of
from app.web.pages.signed.form import Form, Sent, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed
from app.web.paging import Page, encode_place

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/looks"
_PAGE: Final = 50
_FILTERS: Final = ("by", "code", "purpose", "party", "since", "until")

_Text = Annotated[str, Query(max_length=200)]
_Code = Annotated[str, Query(max_length=2048)]


@router.get(PATH)
def show_looks(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    by: _Text = "",
    code: _Code = "",
    purpose: _Text = "",
    party: _Text = "",
    since: _Text = "",
    until: _Text = "",
    after: Annotated[str, Query(max_length=1000)] = "",
) -> Response:
    """Shows who looked at what others had sealed, and why."""
    principal = signed.person.principal()
    principal.check_may("access.read")
    asked = prefilled(by=by, code=code, purpose=purpose, party=party, since=since, until=until)
    sent, found = asked, []
    try:
        place = Page(_PAGE, after or None).after(int, str)
        found = list(
            rooms.lookbook.list(
                principal,
                _wanted(asked),
                after=None if place is None else (place[0], place[1]),
                limit=_PAGE + 1,
            )
        )
    except Fault as fault:
        if fault.slug != "invalid":
            raise
        sent = refused(request, Form(asked.items), fault)
    shown: list[LoggedLook] = found[:_PAGE]
    frame = frame_of(request, lang, PATH, keeps=(*_FILTERS, "after"))
    return answer_signed(
        "looks.html",
        frame,
        signed,
        at="looks",
        status=422 if sent.errors else 200,
        told="",
        sent=sent,
        looks=[(one, say_purpose(frame.lang, one.purpose)) for one in shown],
        kept=[(name, sent.value(name)) for name in _FILTERS if sent.value(name)],
        next=encode_place(shown[-1].place) if len(found) > _PAGE else None,
    )


@router.get(f"{PATH}.csv")
def export_looks(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    by: _Text = "",
    code: _Code = "",
    purpose: _Text = "",
    party: _Text = "",
    since: _Text = "",
    until: _Text = "",
) -> Response:
    """Returns the same as CSV."""
    asked = prefilled(by=by, code=code, purpose=purpose, party=party, since=since, until=until)
    told = lang_of(request, lang)
    return csv_of_looks(rooms, signed.person.principal(), _wanted(asked), told)


def _wanted(asked: Sent) -> WantedLooks:
    told = {name: asked.value(name).strip() or None for name in _FILTERS}
    since_ms, until_ms = read_period(told["since"], told["until"])
    return WantedLooks(
        by=told["by"],
        code=told["code"],
        purpose=told["purpose"],
        party=told["party"],
        since_ms=since_ms,
        until_ms=until_ms,
    )
