"""Complaints for who must answer them, and reviews for who replies to them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time, format_time_if
from app.oversight.cases import Case
from app.oversight.complaints import Line
from app.oversight.reviews import Rated, Review, Words
from app.parties.looking import MAX_PURPOSE
from app.web.api.texts import DueOut, OutcomeOut, SaidOut, dues_of, outcome_of, said_fields
from app.web.body import Body, api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="texts")

_Ticket = Annotated[str, Path(max_length=64, examples=["7KQ2M9XW4T"])]


class ComplaintOut(BaseModel):
    """A complaint. `due`: what the seller's side owes next, absent where nothing is."""

    ticket: str
    code: str
    seller: str
    platform: str | None = None
    category: str
    at: str
    state: Literal["waiting", "answered", "proposed", "returned", "settled"]
    due: Literal["reply", "proposal"] | None = None
    due_at: str | None = None
    late: bool
    referred_to: Literal["platform", "regulator"] | None = None
    links: dict[str, str]


class SaidInMatterOut(SaidOut):
    """What was said or done. `closed`: it holds words that were not opened; `text` null: they were erased."""

    closed: bool
    contact: str = ""


class MatterOut(BaseModel):
    """A complaint and what came of it, as who must answer it sees it."""

    ticket: str
    code: str
    id: str
    consignment: str | None
    category: str
    wish: str
    at: str
    status: Literal["settled", "returned", "answered", "overdue", "waiting"]
    erased: bool
    said: list[SaidInMatterOut]
    outcome: OutcomeOut | None = None
    dues: list[DueOut]
    left_out: int = 0


class OpeningIn(Body):
    """Why the words are looked at; kept with who looked and when."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {"examples": [{"purpose": "处理客户投诉"}]},
    }

    purpose: Annotated[str, Field(max_length=MAX_PURPOSE)]


class WordsOut(BaseModel):
    """Public words. `text` is absent where it was erased; `hidden`: why it is not to be read.

    unreadable: its record was altered or is gone; the audit tells of it.
    """

    at: str
    actor: str
    text: str | None = None
    hidden: str = ""
    unreadable: bool | None = None


class RatedOut(BaseModel):
    """A review or follow-up, with what was replied."""

    id: str
    rating: int
    said: WordsOut
    replies: list[WordsOut]


class ReviewOut(BaseModel):
    """A review of one of the caller's sales, with what its author added later."""

    code: str
    gtin: str
    proof: str
    first: RatedOut
    later: list[RatedOut]


@router.get(
    "/complaints",
    summary="Complaints to answer",
    responses=problems("forbidden"),
    response_model=PageBody[ComplaintOut],
)
def list_complaints(
    rooms: InRooms,
    caller: Caller,
    page: InPage,
    state: Literal["open", "over"] = "open",
) -> Response:
    """Returns open complaints by what is due next, or those that are over, the newest first.

    A seller's about its goods, a platform's about what it sold, a regulator's that were handed to it.
    Without anybody's words.
    """
    after = page.after(int, int, int)
    found = rooms.complaints.page(
        caller,
        is_open=state == "open",
        after=None if after is None else (after[0], after[1], after[2]),
        limit=page.limit + 1,
    )
    shown, following = page.cut(found, lambda one: one.place)
    return page_response([_line(one) for one in shown], following)


@router.get(
    "/complaints/{ticket}",
    summary="A complaint to answer",
    responses=problems("forbidden", "not-found"),
)
def read_complaint(rooms: InRooms, caller: Caller, ticket: _Ticket) -> MatterOut:
    """Returns what was said and done, and until when who must act; the complaint's own words stay closed."""
    case, _ = rooms.complaints.read(caller, ticket)
    return _matter(case)


@router.post(
    "/complaints/{ticket}/opening",
    summary="Open a complaint's words",
    responses=problems("forbidden", "not-found"),
)
def open_complaint(rooms: InRooms, caller: Caller, ticket: _Ticket, body: OpeningIn) -> MatterOut:
    """Returns the matter with the words and the contact of who complained, for a stated purpose.

    Who looks, when and why is written down before anything is shown. For the seller of the goods, the
    platform that sold them and regulators. What was erased is gone for everybody.
    """
    return _matter(rooms.complaints.open(caller, ticket, body.purpose, loc=("purpose",)))


@router.get(
    "/reviews",
    summary="Reviews of one's own sales",
    responses=problems("forbidden"),
    response_model=PageBody[ReviewOut],
)
def list_reviews(
    rooms: InRooms,
    caller: Caller,
    page: InPage,
    rating: Annotated[int | None, Query(ge=1, le=5)] = None,
    unanswered: bool = False,
) -> Response:
    """Returns reviews, the newest first, each with its follow-up and replies; a `reply` is an event."""
    after = page.after(int, int, int)
    found = rooms.reviews.page(
        caller,
        rating=rating,
        unanswered=unanswered,
        after=None if after is None else (after[0], after[1], after[2]),
        limit=page.limit + 1,
    )
    shown, following = page.cut(found, lambda one: one.place)
    return page_response([_review(one) for one in shown], following)


def _line(one: Line) -> ComplaintOut:
    return ComplaintOut.model_validate(
        {
            "ticket": one.ticket,
            "code": one.code,
            "seller": one.seller,
            "platform": one.platform,
            "category": one.category,
            "at": format_time(one.at),
            "state": one.state,
            "due": one.due,
            "due_at": format_time_if(one.due_at),
            "late": one.late,
            "referred_to": one.referred_to,
            "links": {"self": f"/api/v1/complaints/{one.ticket}"},
        }
    )


def _matter(case: Case) -> MatterOut:
    return MatterOut(
        ticket=case.ticket,
        code=case.code,
        id=case.id,
        consignment=case.consignment,
        category=case.category,
        wish=case.wish,
        at=format_time(case.at),
        status=case.status,
        erased=case.erased,
        said=[
            SaidInMatterOut(**said_fields(one), closed=one.closed, contact=one.contact)
            for one in case.said
        ],
        outcome=outcome_of(case.outcome),
        dues=dues_of(case),
        left_out=case.left_out,
    )


def _review(one: Review) -> ReviewOut:
    return ReviewOut(
        code=one.code,
        gtin=one.gtin,
        proof=one.proof,
        first=_rated(one.first),
        later=[_rated(later) for later in one.later],
    )


def _rated(one: Rated) -> RatedOut:
    return RatedOut(
        id=one.id,
        rating=one.rating,
        said=_words(one.said),
        replies=[_words(reply) for reply in one.replies],
    )


def _words(one: Words) -> WordsOut:
    return WordsOut(
        at=format_time(one.at),
        actor=one.actor,
        text=one.text,
        hidden=one.hidden,
        unreadable=one.unreadable or None,
    )
