"""The signed-in person's own page: what waits for them, with its dates, and how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.credit.policy import ScoreCard
from app.credit.workdays import local_day
from app.oversight.queue import Queue, Waiting, queue_in, queue_of
from app.parties.applications import Asked
from app.parties.applicationstore import WAITING
from app.parties.roles import OFFICIAL_ROLES, SELLER_ROLES
from app.parties.service import PartyView
from app.parties.sessions import Person
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, told_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_FEW = 8


@dataclass(frozen=True, slots=True)
class Task:
    """A line of what waits. page: where it can be looked at, "" for nowhere. days: left, None: no date."""

    kind: str
    about: str
    page: str
    opened_at: datetime
    until: datetime | None
    days: int | None


@dataclass(frozen=True, slots=True)
class Desk:
    """party: one's own. card: its score, of who sells. queue: findings; tasks: the first of them.

    asked: one's own application. applications: those that wait for the operator, and how many.
    """

    party: PartyView | None = None
    card: ScoreCard | None = None
    queue: Queue | None = None
    tasks: Sequence[Task] = ()
    is_official: bool = False
    asked: Asked | None = None
    applications: Sequence[Asked] = ()
    waiting: int = 0


@router.get("/desk")
def show_desk(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows what waits."""
    frame = frame_of(request, lang, "/desk")
    with rooms.database.one_snapshot():
        desk = fill_desk(rooms, signed.person)
    return answer_signed(
        "desk.html",
        frame,
        signed,
        at="desk",
        told=told_of(request),
        desk=desk,
        highest=rooms.credit.policy.highest,
    )


def fill_desk(rooms: Rooms, person: Person) -> Desk:
    """Returns what waits for a person. Read-only."""
    if person.is_operator:
        return Desk(
            applications=rooms.applications.list_of(person, WAITING, limit=_FEW),
            waiting=rooms.applications.count_waiting(),
        )
    if person.party is None:
        return Desk(asked=rooms.applications.of(person))
    principal = person.principal()
    party = rooms.parties.get(person.party, principal)
    if "audit" not in person.scopes:
        return Desk(party=party, card=_card(rooms, person))
    official = bool(person.roles & OFFICIAL_ROLES)
    if official:
        queue = queue_in(rooms.database, person.region, limit=_FEW)
    else:
        queue = queue_of(rooms.database, rooms.credit_ledger, principal, limit=_FEW)
    return Desk(
        party=party,
        card=_card(rooms, person),
        queue=queue,
        tasks=[_task(rooms, one, official=official) for one in queue.first],
        is_official=official,
    )


def _card(rooms: Rooms, person: Person) -> ScoreCard | None:
    if person.party is None or not person.roles & SELLER_ROLES:
        return None
    return rooms.credit.card(person.party)


def _task(rooms: Rooms, one: Waiting, *, official: bool) -> Task:
    days = None
    if one.until is not None:
        days = (local_day(one.until) - local_day(rooms.clock.now())).days
    about = one.party if official and one.party else one.stream
    page = page_path(one.stream) if one.stream.startswith("01/") else ""
    if not page and one.party:
        page = f"/credit/{one.party}"
    return Task(one.kind, about or "", page, one.opened_at, one.until, days)
