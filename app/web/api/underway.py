"""GET /shipments, /shipments/latest, /gaps, /first-steps: goods on their way, what is owed, how to begin."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import BaseModel

from app.kit.clock import format_time, format_time_if
from app.oversight.owed import Gap, Status, closed_on
from app.trace.beginning import STEPS
from app.trace.beginning import Step as FirstStep
from app.trace.life_table import Step
from app.trace.parcels import Goods, Latest, Underway
from app.web.body import api_router
from app.web.deps import Caller, InRooms
from app.web.links import code_path
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="events")

_MOST_LATEST = 100


class NewsOut(BaseModel):
    """The last that was told of a parcel on its way."""

    at: str
    status: str | None = None
    region: str | None = None


class GoodsOut(BaseModel):
    """A unit, or a consignment of a lot, that was sold and has not arrived.

    `since`: of the sale, or of the dispatch. `due_at`: when its next step begins to be missed.
    """

    code: str
    consignment: str | None = None
    gtin: str
    product: str | None = None
    state: Underway
    since: str
    due_at: str | None = None
    overdue: bool
    carrier: str | None = None
    waybill_tail: str | None = None
    to: str | None = None
    last: NewsOut | None = None
    links: dict[str, str]


class LatestOut(BaseModel):
    """The last record of a unit, without what is sealed."""

    code: str
    seq: int
    type: str
    source: str
    occurred_at: str
    recorded_at: str
    data: dict[str, Any]
    links: dict[str, str]


class ClosesOut(BaseModel):
    """The event that closes a gap: its type, and on which code."""

    type: Step
    code: str
    consignment: str | None = None


class GapOut(BaseModel):
    """A step that is missing. `due_at`: from when its absence counts.

    `grace`: it does not count yet. `open`: it does, and costs points from `costs_from` on. `charged`: it
    cost points. `settled`: it was decided that it is not your fault.
    """

    code: str
    consignment: str | None = None
    step: Step
    since: str
    due_at: str
    status: Status
    finding: str | None = None
    costs_from: str | None = None
    closed_by: ClosesOut
    links: dict[str, str]


class FirstStepOut(BaseModel):
    """A step on the way to the first parcel."""

    step: FirstStep
    done: bool


class FirstStepsOut(BaseModel):
    """How far your party has come to its first parcel.

    `over`: goods have been sent, and there is nothing more to lead to. `gtin`, `batch_id`: what `next` is
    done with.
    """

    over: bool
    next: FirstStep | None = None
    steps: list[FirstStepOut]
    gtin: str | None = None
    batch_id: str | None = None


@router.get(
    "/shipments",
    summary="Your goods that have not arrived",
    responses=problems("forbidden"),
    response_model=PageBody[GoodsOut],
)
def list_shipments(
    rooms: InRooms,
    principal: Caller,
    page: InPage,
    state: Annotated[Underway, Query()] = "in_transit",
) -> Response:
    """Lists what your party sold and has not sent (`sold`), or sent and has not arrived (`in_transit`).

    What has been there longest comes first.
    """
    after = page.after(int, int, str)
    found = rooms.parcels.underway(principal, state, after=after, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.place)
    return page_response([_goods(one) for one in shown], following)


@router.get(
    "/shipments/latest", summary="What was last recorded of your goods", responses=problems("forbidden"),
    response_model=PageBody[LatestOut],
)  # fmt: skip
def list_latest(
    rooms: InRooms,
    principal: Caller,
    limit: Annotated[int, Query(ge=1, le=_MOST_LATEST)] = 20,
) -> Response:
    """Returns the last record of each of the units that were sold, sent or finished last, newest first."""
    found = rooms.parcels.latest(principal, limit=limit)
    return page_response([_latest(one) for one in found], None)


@router.get(
    "/gaps", summary="Steps that you still have to record", responses=problems("forbidden"),
    response_model=PageBody[GapOut],
)  # fmt: skip
def list_gaps(rooms: InRooms, principal: Caller, page: InPage) -> Response:
    """Lists the missing steps that your party answers for, the oldest date first.

    Each says which event closes it. A gap that is closed while it is only announced costs less.
    """
    after = page.after(int, int, str, str)
    found = rooms.owed.gaps(principal, after=after, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.place)
    return page_response([_gap(one) for one in shown], following)


@router.get(
    "/first-steps",
    summary="What to do next to send a first parcel",
    responses=problems("forbidden"),
)
def read_first_steps(rooms: InRooms, principal: Caller) -> FirstStepsOut:
    """Tells a new seller which steps are done: from verified and licence to print and dispatch."""
    told = rooms.beginnings.of(principal)
    return FirstStepsOut(
        over=told.is_over,
        next=told.next,
        steps=[FirstStepOut(step=step, done=step in told.done) for step in STEPS],
        gtin=told.gtin,
        batch_id=told.batch_id,
    )


def _goods(one: Goods) -> GoodsOut:
    last = None
    if one.news is not None:
        status, region = one.news.status or None, one.news.region or None
        last = NewsOut(at=format_time(one.news.at), status=status, region=region)
    return GoodsOut(
        code=one.stream,
        consignment=one.consignment,
        gtin=one.gtin,
        product=one.product or None,
        state=one.state,
        since=format_time(one.since),
        due_at=format_time_if(one.due_at),
        overdue=one.overdue,
        carrier=one.carrier or None,
        waybill_tail=one.tail or None,
        to=one.to or None,
        last=last,
        links={"code": code_path(one.stream)},
    )


def _latest(one: Latest) -> LatestOut:
    return LatestOut(
        code=one.stream,
        seq=one.seq,
        type=one.type,
        source=one.source,
        occurred_at=format_time(one.occurred_at),
        recorded_at=format_time(one.recorded_at),
        data=dict(one.data),
        links={"code": code_path(one.stream)},
    )


def _gap(one: Gap) -> GapOut:
    on = closed_on(one)
    links = {"code": code_path(one.stream)}
    if one.finding is not None:
        links["finding"] = f"/api/v1/findings/{one.finding}"
    return GapOut(
        code=one.stream,
        consignment=one.consignment,
        step=one.step,
        since=format_time(one.since),
        due_at=format_time(one.due_at),
        status=one.status,
        finding=one.finding,
        costs_from=format_time_if(one.costs_from),
        closed_by=ClosesOut(
            type=one.step,
            code=on,
            consignment=one.consignment if on == one.stream else None,
        ),
        links=links,
    )
