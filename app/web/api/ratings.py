"""Ratings of sellers and carriers by the other sides; of buyers, for the merchant alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query, Response
from pydantic import BaseModel

from app.credit.ratings import DAYS, MOST_DAYS, Line
from app.kit.clock import format_time
from app.trace.ratings import Kind, Side
from app.web.body import api_router
from app.web.deps import Caller, InRooms, Viewer
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="credit")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]


class RatingsOfSideOut(BaseModel):
    """What one side says of the party in one role.

    stars: how often one star to five stars was given. mean: of these. at_least: the lower end of the
    mean's 95 % interval, which is what to compare by: of few ratings it is low. inner_only: ratings
    proven by nothing but the code inside the pack, which the seller printed; in no other number here.
    """

    rated_as: Kind
    by: Side
    count: int
    stars: dict[str, int]
    mean: float | None
    at_least: float | None
    inner_only: int


class RatingsOut(BaseModel):
    """How the other sides rate a party, recorded in the days before `until`. No score follows from it."""

    party: str
    since: str
    until: str
    days: int
    ratings: list[RatingsOfSideOut]
    links: dict[str, str]


class RatingOut(BaseModel):
    """One rating. record: hash of its record, the leaf of the log.

    counts: it is the side's newest word on this parcel, and better proven than by the inner code.
    code: only for who had a part in it, and regulators.
    """

    rated_as: Kind
    by: Side
    rating: int
    at: str
    gtin: str
    proof: str | None = None
    record: str
    counts: bool
    code: str | None = None


class BuyerRatingOut(BaseModel):
    """What was said of a buyer. buyer: a pseudonym, another one for each merchant.

    said: null where it was erased.
    """

    buyer: str | None = None
    by: Side
    at: str
    code: str
    of: str
    record: str
    said: dict[str, Any] | None = None


@router.get(
    "/credit/{party}/ratings",
    summary="How the other sides rate a party",
    responses=problems("not-found"),
)
def read_ratings(rooms: InRooms, party: PartyId, days: Days = DAYS) -> RatingsOut:
    """Returns counts, distribution and mean, by role and side. Public."""
    told = rooms.ratings.summary(party, days=days)
    path = f"/api/v1/credit/{party}"
    return RatingsOut(
        party=party,
        since=format_time(told.since),
        until=format_time(told.until),
        days=days,
        ratings=[_shown(line) for line in told.lines],
        links={"records": f"{path}/ratings/records?days={days}", "credit": path},
    )


@router.get(
    "/credit/{party}/ratings/records",
    summary="The ratings of a party, one by one",
    responses=problems("not-found"),
    response_model=PageBody[RatingOut],
)
def read_rating_records(
    rooms: InRooms, viewer: Viewer, page: InPage, party: PartyId, days: Days = DAYS
) -> Response:
    """Returns what the numbers are made of, the newest first. Public; codes are not."""
    found = rooms.ratings.records(
        party, viewer, days=days, after=_place(page.after(int, int, int)), limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: one.place)
    items = [
        RatingOut(
            rated_as=one.kind,
            by=one.side,
            rating=one.rating,
            at=format_time(one.at),
            gtin=one.gtin,
            proof=one.proof,
            record=one.record,
            counts=one.counts,
            code=one.code,
        )
        for one in shown
    ]
    return page_response(items, following)


@router.get(
    "/credit/{party}/ratings/buyers",
    summary="What was said of a merchant's buyers",
    responses=problems("forbidden", "not-found"),
    response_model=PageBody[BuyerRatingOut],
)
def read_buyer_ratings(rooms: InRooms, caller: Caller, page: InPage, party: PartyId) -> Response:
    """Returns them to the merchant whose orders they were, the newest first; to nobody else."""
    found = rooms.ratings.of_buyers(
        caller, party, after=_place(page.after(int, int, int)), limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: one.place)
    items = [
        BuyerRatingOut(
            buyer=one.buyer,
            by=one.side,
            at=format_time(one.at),
            code=one.code,
            of=one.of,
            record=one.record,
            said=None if one.said is None else dict(one.said),
        )
        for one in shown
    ]
    return page_response(items, following)


def _shown(line: Line) -> RatingsOfSideOut:
    return RatingsOfSideOut(
        rated_as=line.kind,
        by=line.side,
        count=line.stars.count,
        stars={str(n): count for n, count in enumerate(line.stars.of, start=1)},
        mean=line.stars.mean,
        at_least=line.stars.at_least,
        inner_only=line.inner_only,
    )


def _place(after: tuple[Any, ...] | None) -> tuple[int, int, int] | None:
    return None if after is None else (after[0], after[1], after[2])
