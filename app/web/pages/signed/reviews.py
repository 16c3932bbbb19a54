"""Reviews of the party's goods, and replies to them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault
from app.parties.sessions import SignedIn
from app.trace.requests import EventRequest, SealedInput
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.proofs import ProofReader
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.sayings import read_said, step_id
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/reviews"
_PAGE = 20
_KEPT = ("rating", "unanswered", "cursor")
_RATING = Annotated[str, Query(pattern="^[1-5]?$")]
_FLAG = Annotated[str, Query(pattern="^1?$")]
_CURSOR = Annotated[str, Query(max_length=1_000)]


@router.get(PATH)
def show_reviews(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    rating: _RATING = "",
    unanswered: _FLAG = "",
    cursor: _CURSOR = "",
) -> Response:
    """Shows reviews, the newest first, by rating or those that wait for a reply."""
    asked = {"rating": rating, "unanswered": unanswered, "cursor": cursor}
    return _reviews(request, rooms, signed, lang, asked, BLANK)


@router.post(PATH)
def reply(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Takes a reply; it stands in the goods' chain, and on the page that a scan opens."""
    principal = signed.person.principal()
    asked = {name: form.text(name) for name in _KEPT}
    try:
        said = read_said(form, "text", most=500)
        event = EventRequest(
            code=form.text("code"),
            type="reply",
            data={"of": form.text("of")},
            id=step_id(form, form.text("of")),
            sealed={"text": SealedInput({"text": said})},
        )
        principal.check_may("event.send", owner=principal.own_party())
        rooms.recording.record_one(principal, event)
    except Fault as fault:
        sent = refused(request, form, fault)
        lang = form.text("lang")
        return _reviews(request, rooms, signed, lang, asked, sent, status=status_of(fault))
    query = "&".join(f"{name}={value}" for name, value in asked.items() if value)
    path = f"{PATH}?{query}" if query else PATH
    return go_on(frame_of(request, form.text("lang"), PATH), path, told="replied")


def _reviews(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    asked: dict[str, str],
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    frame = frame_of(request, lang, PATH, keeps=_KEPT)
    rating, cursor = asked["rating"], asked["cursor"]
    after = Page(_PAGE, cursor or None).after(int, int, int)
    with rooms.database.one_snapshot():
        found = rooms.reviews.page(
            principal,
            rating=int(rating) if rating in ("1", "2", "3", "4", "5") else None,
            unanswered=bool(asked["unanswered"]),
            after=None if after is None else (after[0], after[1], after[2]),
            limit=_PAGE + 1,
        )
        shown = found[:_PAGE]
        names = ProofReader(rooms)
        products = {one.gtin: names.product(one.gtin) for one in shown}
    return answer_signed(
        "reviews.html",
        frame,
        signed,
        at="reviews",
        status=status,
        told=told_of(request),
        sent=sent,
        asked=asked,
        reviews=shown,
        products=products,
        me=principal.party,
        may_reply="events" in principal.scopes,
        following=encode_place(shown[-1].place) if len(found) > _PAGE else "",
    )
