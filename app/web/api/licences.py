"""Licences of a party after its registration, and what waits for a look or ends."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, ConfigDict

from app.kit.clock import format_time_if
from app.parties.licensing import LicenceView, Waiting
from app.parties.registration import LicenceGiven
from app.web.api.party_bodies import Given, LicenceIn
from app.web.body import Body, Day, api_router
from app.web.deps import Caller, InRooms, Viewer
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="parties")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]
LicenceId = Annotated[
    str, Path(max_length=64, description="Of kind and number.", examples=["3f1c0a9be2d47758"])
]

_GUARDED = problems("unauthenticated", "forbidden", "not-found")


class ToldIn(LicenceIn):
    """A licence that a party has now, or renewed: the same kind and number with another last day.

    `valid_from`: its first day; left out, it says nothing of the days before today.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "food_business",
                    "number": "JY14412000000000",
                    "valid_from": "2026-11-01",
                    "valid_until": "2031-10-31",
                }
            ]
        }
    )

    valid_from: Day | None = None


class JudgedIn(Body):
    """What was found about a licence. `evidence` is sealed, the record commits to it.

    `told`: the record that was looked at; left out, what counts already was looked at again.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "verified", "evidence": "register looked up"}]}
    )

    status: Literal["verified", "rejected"]
    evidence: Given
    told: Given | None = None
    reason: Literal["not_found", "other_holder", "other_facts", "not_in_force"] | None = None


class HeldOut(BaseModel):
    """A licence on today's day. What waits or was refused is shown to those concerned alone.

    `told`: the record by which it was told, `told_at` when; of what waits or was refused.
    """

    id: str
    kind: str
    number: str
    state: Literal["in_force", "not_yet", "over", "ended", "waiting", "refused"]
    valid_from: str | None = None
    valid_until: str | None = None
    url: str | None = None
    told: str | None = None
    told_at: str | None = None
    reason: str | None = None


class HeldListOut(BaseModel):
    """All licences of a party."""

    items: list[HeldOut]
    next: None = None


class WaitingOut(BaseModel):
    """A licence that somebody should look at. `told_at`: since when it waits."""

    party: str
    party_name: str
    region: str | None = None
    id: str
    kind: str
    number: str
    told_at: str | None = None
    ends_on: str | None = None


@router.get(
    "/parties/{party}/licences",
    summary="A party's licences",
    responses=problems("not-found"),
    response_model_exclude_none=True,
)
def list_licences(rooms: InRooms, viewer: Viewer, party: PartyId) -> HeldListOut:
    """What counts, or did, is public; what waits is for the party and whoever may verify it."""
    return HeldListOut(items=[_held(one) for one in rooms.licensing.of(party, viewer)])


@router.post(
    "/parties/{party}/licences",
    status_code=201,
    summary="Tell of a licence, or of its renewal",
    responses={
        **_GUARDED,
        **problems("lifecycle-conflict", "invalid"),
        200: {"model": HeldOut, "description": "This waits already: the first answer."},
    },
    response_model_exclude_none=True,
)
def tell_licence(
    rooms: InRooms, caller: Caller, party: PartyId, body: ToldIn, response: Response
) -> HeldOut:
    """By the party itself, or the operator. It counts once somebody who may verify the party has seen it."""
    given = LicenceGiven(body.kind, body.number, body.valid_until, body.url)
    told, replayed = rooms.licensing.tell(caller, party, given, valid_from=body.valid_from)
    if replayed:
        response.status_code = 200
    return _held(told)


@router.post(
    "/parties/{party}/licences/{licence}/verification",
    status_code=201,
    summary="Record that a licence was found true, or not",
    responses={**_GUARDED, **problems("forbidden", "party-unverified", "lifecycle-conflict")},
    response_model_exclude_none=True,
)
def judge_licence(
    rooms: InRooms, caller: Caller, party: PartyId, licence: LicenceId, body: JudgedIn
) -> HeldListOut:
    """By whoever may verify the party. Without `told`, `rejected` ends what counts under the number today."""
    rooms.licensing.judge(
        caller,
        party,
        licence,
        status=body.status,
        evidence=body.evidence,
        told=body.told,
        reason=body.reason,
    )
    return HeldListOut(items=[_held(one) for one in rooms.licensing.of(party, caller)])


@router.delete(
    "/parties/{party}/licences/{licence}",
    status_code=204,
    summary="Give a licence up",
    responses=_GUARDED,
)
def end_licence(
    rooms: InRooms,
    caller: Caller,
    party: PartyId,
    licence: LicenceId,
    told: Annotated[
        str | None,
        Query(max_length=64, description="Withdraw this telling alone; what counts goes on."),
    ] = None,
) -> None:
    """Today is its last day; nothing is listed on it any more, and what waits under it is withdrawn.

    Again is no harm.
    """
    rooms.licensing.end(caller, party, licence, told=told)


@router.get(
    "/licences",
    summary="Licences that wait for a look, or end within 30 days",
    responses=problems("forbidden"),
    response_model=PageBody[WaitingOut],
)
def list_waiting(
    rooms: InRooms,
    caller: Caller,
    page: InPage,
    state: Annotated[Literal["waiting", "ending"], Query()] = "waiting",
) -> Response:
    """For whoever verifies parties: in an authority's region, of a platform the sellers it registered."""
    if state == "waiting":
        after = page.after(int, str, str)
        place = None if after is None else (int(after[0]), str(after[1]), str(after[2]))
        found = rooms.licensing.waiting(caller, after=place, limit=page.limit + 1)
    else:
        behind = page.after(str, str, str)
        last = None if behind is None else (str(behind[0]), str(behind[1]), str(behind[2]))
        found = rooms.licensing.ending(caller, after=last, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.place)
    return page_response([_waiting(one) for one in shown], following)


def _held(one: LicenceView) -> HeldOut:
    return HeldOut(
        id=one.id,
        kind=one.kind,
        number=one.number,
        state=one.state,
        valid_from=one.valid_from,
        valid_until=one.valid_until,
        url=one.url,
        told=one.told,
        told_at=format_time_if(one.told_at),
        reason=one.reason,
    )


def _waiting(one: Waiting) -> WaitingOut:
    return WaitingOut(
        party=one.party,
        party_name=one.party_name,
        region=one.region,
        id=one.id,
        kind=one.kind,
        number=one.number,
        told_at=format_time_if(one.told_at),
        ends_on=one.ends_on,
    )
