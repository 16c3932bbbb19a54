"""Which measures of an authority are to be made public, and by when."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Response
from pydantic import BaseModel

from app.kit.clock import format_time
from app.oversight.publications import Measure
from app.web.body import api_router
from app.web.deps import Caller, InRooms
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="audit")


class PublicationOut(BaseModel):
    """A measure of the caller's authority. `due_at`: the last moment at which publishing it is in time.

    `late`: overdue, or published too late. `approximate`: `due_at` counts working days of a year whose
    official calendar is not known yet.
    """

    id: str
    party: str
    party_name: str
    region: str | None = None
    kind: str
    basis: str
    decided_at: str
    due_at: str
    late: bool
    approximate: bool | None = None
    published_on: str | None = None
    url: str | None = None


@router.get(
    "/publications",
    summary="Measures that are to be made public, by due date",
    responses=problems("forbidden"),
    response_model=PageBody[PublicationOut],
)
def list_publications(
    rooms: InRooms,
    caller: Caller,
    page: InPage,
    state: Annotated[Literal["due", "published"], Query()] = "due",
) -> Response:
    """Of the caller's authority: 7 working days after the day of the decision, what is overdue first.

    That one was published is an event on the party: `publication` with `of`, `on` and `url`.
    """
    after = page.after(int, str, str)
    place = None if after is None else (int(after[0]), str(after[1]), str(after[2]))
    found = rooms.publications.page(
        caller, published=state == "published", after=place, limit=page.limit + 1
    )
    shown, following = page.cut(found, lambda one: one.place)
    return page_response([_told(one) for one in shown], following)


def _told(one: Measure) -> PublicationOut:
    return PublicationOut(
        id=one.id,
        party=one.party,
        party_name=one.party_name,
        region=one.region,
        kind=one.kind,
        basis=one.basis,
        decided_at=format_time(one.decided_at),
        due_at=format_time(one.due_at),
        late=one.late,
        approximate=one.approximate or None,
        published_on=None if one.published_on is None else one.published_on.isoformat(),
        url=one.url,
    )
