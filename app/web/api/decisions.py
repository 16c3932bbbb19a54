"""What waits for a regulator's decision on credit, and what a party may do for its own."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Response
from pydantic import BaseModel

from app.credit.undecided import Asked
from app.i18n import Lang, text
from app.kit.clock import format_time, format_time_if
from app.web.body import api_router
from app.web.deps import Caller, InRooms, Language
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="credit")

PartyId = Annotated[str, Path(max_length=64, examples=["91441200MA4TE5T00Q"])]


class AskedOut(BaseModel):
    """Something that waits.

    `text`: of who asks, where it is opened; absent where it was erased or the service asks. `closed`: it is
    kept and was not opened.
    `decide_by`: absent where no term runs. `approximate`: it counts working days of a year whose
    official calendar is not known yet.
    """

    of: Literal["entry", "listing", "commitment"]
    wish: Literal["objection", "repair", "removal", "question"]
    id: str
    party: str
    party_name: str
    title: str
    points: int | None = None
    asked_at: str
    decide_by: str | None = None
    approximate: bool | None = None
    text: str | None = None
    closed: Literal[True] | None = None
    links: dict[str, str]


class GainOut(BaseModel):
    """One thing to do; `gain`: points of the score with it alone done.

    `until`: it costs nothing if it is put right by then. `since`: it can be asked for from then on.
    """

    way: Literal["avert", "repair", "decision", "sign"]
    rule: str
    gain: int
    entry: str | None = None
    until: str | None = None
    since: str | None = None
    text: str


class OutlookOut(BaseModel):
    """What would raise a score. `better`: the next grade; `missing`: points to it.

    `forced`: an entry forces the grade as long as it counts, whatever the score.
    """

    party: str
    score: int
    grade: Literal["A", "B", "C", "D"]
    better: Literal["A", "B", "C"] | None
    missing: int
    forced: bool
    gains: list[GainOut]


@router.get(
    "/credit/undecided",
    summary="What waits for a decision",
    responses=problems("forbidden"),
    response_model=PageBody[AskedOut],
)
def read_undecided(
    rooms: InRooms, caller: Caller, lang: Language, page: InPage, opened: bool = False
) -> Response:
    """Returns objections, applications for repair or removal, and commitments in question, by deadline.

    For regulators, never their own case. `?opened=true` opens for the decision what each says: then each
    is a look in the log of purposes, as `decide objection …`, or `repair`, `removal`. The list is none.
    """
    after = page.after(int, str)
    place = None if after is None else (after[0], after[1])
    _, found = rooms.undecided.page(caller, after=place, limit=page.limit + 1)
    shown, following = page.cut(found, lambda one: one.place)
    tell = rooms.undecided.opened if opened else rooms.undecided.marked
    told = tell(caller, shown)
    return page_response([_asked(one, lang) for one in told], following)


@router.get(
    "/credit/{party}/advice",
    summary="What would raise a party's score",
    responses=problems("forbidden", "not-found"),
    response_model_exclude_none=False,
)
def read_outlook(rooms: InRooms, caller: Caller, lang: Language, party: PartyId) -> OutlookOut:
    """Returns what the score would be with each one thing done. For the party itself and regulators."""
    told = rooms.outlook.of(caller, party)
    return OutlookOut(
        party=party,
        score=told.score,
        grade=told.grade,
        better=told.better,
        missing=told.missing,
        forced=told.forced,
        gains=[
            GainOut(
                way=one.way,
                rule=one.rule,
                gain=one.gain,
                entry=one.entry or None,
                until=format_time_if(one.at) if one.way == "avert" else None,
                since=format_time_if(one.at) if one.way == "repair" else None,
                text=text(lang, f"own.way.{one.way}"),
            )
            for one in told.gains
        ],
    )


def _asked(one: Asked, lang: Lang) -> AskedOut:
    paths = {
        "entry": f"/api/v1/credit/entries/{one.id}/decision",
        "listing": f"/api/v1/lists/items/{one.id}/decision",
        "commitment": f"/api/v1/parties/{one.party}/commitments/{one.id}/decision",
    }
    return AskedOut(
        of=one.of,
        wish=one.wish,
        id=one.id,
        party=one.party,
        party_name=one.party_name,
        title=one.title[lang],
        points=one.points,
        asked_at=format_time(one.asked_at),
        decide_by=format_time_if(one.decide_by),
        approximate=one.approximate or None,
        text=one.text,
        closed=one.closed or None,
        links={"decision": paths[one.of], "party": f"/api/v1/parties/{one.party}"},
    )
