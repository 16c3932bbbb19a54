"""The signed-in person's own page: what waits for them, with its dates, and how they stand.

A seller that has sent nothing yet is told the next step; one that has, what its day asks for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.credit.policy import ScoreCard
from app.kit.clock import local_day
from app.oversight.complaints import Line as Complaint
from app.oversight.queue import Queue, Waiting, queue_in, queue_of
from app.parties.applications import Asked
from app.parties.applicationstore import WAITING
from app.parties.licensing import LicenceView
from app.parties.roles import OFFICIAL_ROLES, SELLER_ROLES
from app.parties.service import PartyView
from app.parties.sessions import Person
from app.trace.beginning import STEPS, Beginning
from app.trace.beginning import Step as BeginStep
from app.trace.parcels import MOST_COUNTED
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.licences import ends_soon
from app.web.pages.signed.own_entries import Until, until
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does, told_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_FEW = 8
_MOST = 100
"""How many of a kind are counted: for more than that nobody needs the number."""


@dataclass(frozen=True, slots=True)
class Task:
    """A line of what waits. days: left, None: no date. name: of the party that it is about, "" for none.

    page: where it can be looked at, act: where something is done about it; "" for nowhere. attributed_to:
    whom a regulator attributed it to.
    """

    kind: str
    about: str
    name: str
    page: str
    act: str
    opened_at: datetime
    until: datetime | None
    days: int | None
    attributed_to: str | None


@dataclass(frozen=True, slots=True)
class Begin:
    """A step on the way to the first parcel. page: where it is done, "" where this person may not."""

    name: BeginStep
    is_done: bool
    is_next: bool
    page: str


@dataclass(frozen=True, slots=True)
class Work:
    """How much of a kind waits in a shop's day. more: than were counted. pressing: it has missed its date."""

    name: str
    count: int
    more: bool
    page: str
    pressing: bool = False


@dataclass(frozen=True, slots=True)
class Desk:
    """party: one's own. card: its score, of who sells. queue: findings; tasks: the first of them.

    asked: one's own application. applications: those that wait for the operator, and how many.
    begin: empty once goods have been sent. complaints: the most urgent, each with its date.
    licences: of one's own that end soon.
    """

    party: PartyView | None = None
    card: ScoreCard | None = None
    queue: Queue | None = None
    tasks: Sequence[Task] = ()
    is_official: bool = False
    asked: Asked | None = None
    applications: Sequence[Asked] = ()
    waiting: int = 0
    begin: Sequence[Begin] = ()
    works: Sequence[Work] = ()
    complaints: Sequence[tuple[Complaint, Until | None]] | None = None
    licences: Sequence[tuple[LicenceView, Until]] = ()


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
            works=_works(rooms, person),
        )
    if person.party is None:
        return Desk(asked=rooms.applications.of(person))
    principal = person.principal()
    official = bool(person.roles & OFFICIAL_ROLES)
    queue = None
    if "audit" in person.scopes:
        queue = (
            queue_in(rooms.database, person.region, limit=_FEW)
            if official
            else queue_of(rooms.database, rooms.credit_ledger, principal, limit=_FEW)
        )
    begin = _begin(rooms, person)
    return Desk(
        party=rooms.parties.get(person.party, principal),
        card=_card(rooms, person),
        queue=queue,
        tasks=_tasks(rooms, person, queue.first if queue else ()),
        is_official=official,
        begin=begin,
        works=() if begin else _works(rooms, person),
        complaints=_complaints(rooms, person),
        licences=_licences(rooms, person),
    )


def _licences(rooms: Rooms, person: Person) -> list[tuple[LicenceView, Until]]:
    """Returns one's licences that end soon with no renewal told: the reminder of it."""
    if person.party is None or not does("licence.tell")(person):
        return []
    found, now = rooms.licensing.of(person.party, person.principal()), rooms.clock.now()
    told = {one.id for one in found if one.state == "waiting"}
    ends = [(one, ends_soon(one, now)) for one in found if one.id not in told]
    return [(one, left) for one, left in ends if left is not None]


def _begin(rooms: Rooms, person: Person) -> list[Begin]:
    """Returns the steps to the first parcel; none for who sells nothing, or has sent goods."""
    if not person.roles & SELLER_ROLES or not does("product.register")(person):
        return []
    told = rooms.beginnings.of(person.principal())
    if told.is_over:
        return []
    return [
        Begin(step, step in told.done, step == told.next, _begin_page(step, told, person))
        for step in STEPS
    ]


_MAY: Mapping[BeginStep, str] = {
    "licence": "licence.tell",
    "product": "product.register",
    "listing": "event.send",
    "codes": "code.issue",
    "print": "code.issue",
    "dispatch": "event.send",
}


def _begin_page(step: BeginStep, told: Beginning, person: Person) -> str:
    if step not in _MAY or not does(_MAY[step])(person):
        return ""
    match step:
        case "licence":
            return "/desk/licences"
        case "product":
            return "/desk/products/new"
        case "listing" if told.gtin:
            return f"/desk/entry?type=listing&code=01/{told.gtin}"
        case "codes" if told.gtin:
            return f"/desk/products/{told.gtin}"
        case "print" if told.batch_id:
            return f"/desk/batches/{told.batch_id}"
        case "dispatch":
            return "/desk/dispatch"
        case _:
            return ""


def _works(rooms: Rooms, person: Person) -> list[Work]:
    """Returns what a day asks for: of a seller parcels, gaps and reviews, of an authority reports."""
    principal = person.principal()
    found: list[Work] = []
    if does("report.read")(person):
        count = rooms.report_desk.count_waiting(principal, most=_MOST)
        found.append(Work("reports", count, count >= _MOST, "/desk/reports"))
    if person.party is not None and does("finding.attribute")(person):
        count, overdue = rooms.publications.count_due(principal, most=_MOST)
        place = "/desk/publications"
        found.append(Work("publications", count, count >= _MOST, place, pressing=overdue))
    if does("party.verify")(person):
        count = len(rooms.licensing.waiting(principal, limit=_MOST))
        found.append(Work("licence_checks", count, count >= _MOST, "/desk/licence-checks"))
    if not person.roles & SELLER_ROLES:
        return found
    if does("event.send")(person):
        counts = {
            "sold": rooms.parcels.count(principal, "sold"),
            "gaps": rooms.owed.count(principal),
            "in_transit": rooms.parcels.count(principal, "in_transit"),
        }
        found += [
            Work(
                name,
                min(count, MOST_COUNTED),
                count >= MOST_COUNTED,
                f"/desk/shipments?show={name}",
                pressing=name == "gaps" and count > 0,
            )
            for name, count in counts.items()
        ]
    if does("voice.read")(person):
        count = rooms.reviews.count_unanswered(principal, most=_MOST)
        found.append(Work("reviews", count, count >= _MOST, "/desk/reviews?unanswered=1"))
    return found


def _complaints(rooms: Rooms, person: Person) -> list[tuple[Complaint, Until | None]] | None:
    """Returns the complaints that wait, by deadline; None for who is told of none."""
    if person.party is None or not does("voice.read")(person):
        return None
    now = rooms.clock.now()
    found = rooms.complaints.page(person.principal(), is_open=True, limit=_FEW)
    return [(one, until(one.due_at, now)) for one in found]


def _card(rooms: Rooms, person: Person) -> ScoreCard | None:
    if person.party is None or not person.roles & SELLER_ROLES:
        return None
    return rooms.credit.card(person.party)


def _tasks(rooms: Rooms, person: Person, waiting: Sequence[Waiting]) -> list[Task]:
    """Returns the lines of what waits; to an authority each says whom it is about."""
    names: dict[str, str] = {}
    if person.roles & OFFICIAL_ROLES:
        known = rooms.parties.get_some({one.party for one in waiting if one.party})
        names = {party: view.name for party, view in known.items()}
    return [_task(rooms, person, one, names.get(one.party or "", "")) for one in waiting]


def _task(rooms: Rooms, person: Person, one: Waiting, name: str) -> Task:
    official = bool(person.roles & OFFICIAL_ROLES)
    days = None
    if one.until is not None:
        days = (local_day(one.until) - local_day(rooms.clock.now())).days
    about = one.party if official and one.party else one.stream
    page = page_path(one.stream) if one.stream.startswith("01/") else ""
    if not page and one.party:
        page = f"/credit/{one.party}"
    act = ""
    if official and does("finding.work")(person):
        act = f"/desk/findings/{one.id}"
    elif not official and does("credit.object")(person):
        entry = quote(one.entry, safe="")
        act = f"/desk/credit/entries/{entry}" if entry else "/desk/credit"
    return Task(
        one.kind, about or "", name, page, act, one.opened_at, one.until, days, one.attributed_to
    )
