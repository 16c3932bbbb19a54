"""A party as an authority deals with it: what is in force, and measures taken and lifted.

The public dossier says how it stands; here is what an authority does about it. Whose region it is not
in is refused here as by the services.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.credit.policy import Entry, ScoreCard
from app.i18n import Lang
from app.kit.clock import format_time, from_ms
from app.kit.errors import Fault, FieldFault, invalid
from app.parties.offices import check_office
from app.parties.principal import Principal
from app.parties.roles import EVENTS
from app.parties.service import PartyView
from app.parties.sessions import Person, SignedIn
from app.trace.events import MEASURE_KINDS
from app.trace.requests import EventRequest
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.credit import own_listing
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.numbers import end
from app.web.pages.signed.resting import check_sure
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does, go_on, told_of
from app.web.pages.views import Frame
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/parties"
SHOWN: Final = frozenset({"invalid", "id-conflict", "lifecycle-conflict", "already-exists"})
"""Problems that a form tells at its field; any other has a page of its own."""
_ENTRIES = 50
_Kind = Annotated[str, Query(max_length=16)]
_Step = Literal["measure", "lift"]


@dataclass(frozen=True, slots=True)
class InForce:
    """A measure in force or to come."""

    kind: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class EntryLine:
    """An entry in a line. weight: what it counts now, why: a word of `credit.reason`."""

    id: str
    title: str
    points: int
    weight: int
    why: str
    day: date


@router.get(f"{PATH}/{{party}}")
def show_party(
    request: Request, rooms: InRooms, signed: InSigned, party: str, lang: AskedLang = None
) -> Response:
    """Shows what is in force on a party, and what can be done."""
    principal = signed.person.principal()
    check_deals(rooms, principal, party)
    frame = frame_of(request, lang, f"{PATH}/{party}")
    with rooms.database.one_snapshot():
        about = rooms.parties.get(party, principal)
        entries, card = rooms.credit.entries(party)
        listings = [
            own_listing(rooms, one, frame.lang)
            for one in reversed(rooms.lists.of_party(party, principal))
        ]
    return answer_signed(
        "party.html",
        frame,
        signed,
        at="search",
        told=told_of(request),
        about=about,
        card=card,
        highest=rooms.credit.policy.highest,
        measures=_in_force(about.measures),
        lines=_lines(rooms, frame.lang, entries, card),
        more=len(entries) > _ENTRIES,
        listings=listings,
        may_measure=_takes_measures(principal),
        may_enter=does("credit.enter")(signed.person),
        may_list=does("list.enter")(signed.person),
        decides=does("credit.decide")(signed.person),
        own=party == principal.party,
    )


@router.get(f"{PATH}/{{party}}/measure")
def show_measure(
    request: Request, rooms: InRooms, signed: InSigned, party: str, lang: AskedLang = None
) -> Response:
    """Shows the form by which a measure is taken."""
    return _measure(request, rooms, signed, party, "measure", lang, prefilled())


@router.post(f"{PATH}/{{party}}/measure")
def take_measure(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, party: str
) -> Response:
    """Records a measure on a party."""
    return _record(request, rooms, signed, form, party, "measure")


@router.get(f"{PATH}/{{party}}/lift")
def show_lift(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    party: str,
    kind: _Kind = "",
    lang: AskedLang = None,
) -> Response:
    """Shows the form by which measures of a kind are lifted."""
    return _measure(request, rooms, signed, party, "lift", lang, prefilled(kind=kind))


@router.post(f"{PATH}/{{party}}/lift")
def lift_measure(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, party: str
) -> Response:
    """Records that every measure of a kind is lifted."""
    return _record(request, rooms, signed, form, party, "lift")


# --- parts ---------------------------------------------------------------------------------------


def check_deals(rooms: Rooms, principal: Principal, party: str) -> None:
    """Raises what `check_may` raises, PartyUnknown, OutsideRegion for who does not deal with a party."""
    if not _takes_measures(principal):
        principal.check_may("credit.enter")
    rooms.parties.get(party)
    check_office(rooms.database, principal, party)


def deals(person: Person) -> bool:
    """Whether somebody deals with parties at all: enters facts about them, or takes measures."""
    return does("credit.enter")(person) or _takes_measures(person.principal())


def _takes_measures(principal: Principal) -> bool:
    sends = any(one.role in principal.roles for one in EVENTS["measure"])
    return sends and "events" in principal.scopes


def _in_force(measures: Any) -> list[InForce]:
    return [
        InForce(
            one["kind"],
            from_ms(one["since_ms"]),
            from_ms(one["until_ms"]) if "until_ms" in one else None,
        )
        for one in measures.values()
    ]


def _lines(rooms: Rooms, lang: Lang, entries: Sequence[Entry], card: ScoreCard) -> list[EntryLine]:
    """Returns the newest entries. What was said about each stands on its own page."""
    rules, found = rooms.credit.policy.rules, []
    for one in reversed(entries[-_ENTRIES:]):
        weight, rule = card.weights.get(one.id), rules.get(one.rule)
        found.append(
            EntryLine(
                one.id,
                one.rule if rule is None else rule.title[lang],
                one.points,
                0 if weight is None else weight.points,
                "ended" if weight is None else str(weight.reason),
                one.day,
            )
        )
    return found


def _record(
    request: Request, rooms: Rooms, signed: SignedIn, form: Form, party: str, step: _Step
) -> Response:
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        check_deals(rooms, principal, party)
        principal.check_may("event.send")
        rooms.recording.record_one(principal, _event(rooms, form, party, step))
    except Fault as fault:
        sent = refused(request, form, fault, only=SHOWN)
        return _measure(request, rooms, signed, party, step, lang, sent, status=status_of(fault))
    path = f"{PATH}/{party}"
    told = "measure_recorded" if step == "measure" else "measure_lifted"
    return go_on(frame_of(request, lang, path), path, told=told)


def _event(rooms: Rooms, form: Form, party: str, step: _Step) -> EventRequest:
    """Returns the event of a form. Raises Invalid."""
    data: dict[str, Any] = {"kind": form.text("kind"), "basis": form.text("basis")}
    missing = [FieldFault((one,), "missing", {"name": one}) for one in data if not data[one]]
    if missing:
        raise invalid(*missing)
    check_sure(form)
    until = end(form, "until") if step == "measure" else None
    if until is not None:
        if until <= (now := rooms.clock.now()):
            params = {"expected": f"> {format_time(now)}", "got": form.text("until")}
            raise invalid(FieldFault(("until",), "range", params))
        data["until"] = format_time(until)
    return EventRequest(
        code=f"party/{party}",
        type="measure" if step == "measure" else "measure_lifted",
        data=data,
        id=form.uuid("id"),
    )


def _measure(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    party: str,
    step: _Step,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    about = check_may(rooms, principal, party, "event.send")
    frame = frame_of(request, lang, f"{PATH}/{party}/{step}", keeps=("kind",))
    in_force = {one["kind"] for one in about.measures.values()}
    kinds = [one for one in MEASURE_KINDS if step == "measure" or one in in_force]
    told = {"step": step, "kinds": kinds, "sent": sent}
    return answer_form("party_measure.html", frame, signed, about, status=status, **told)


def check_may(rooms: Rooms, principal: Principal, party: str, action: str) -> PartyView:
    """Returns a party for who may do this to it. Raises what `check_deals` and `check_may` raise."""
    check_deals(rooms, principal, party)
    principal.check_may(action)
    return rooms.parties.get(party, principal)


def answer_form(
    template: str, frame: Frame, signed: SignedIn, about: PartyView, *, status: int, **filled: Any
) -> Response:
    """Returns the page of a form about a party."""
    return answer_signed(
        template,
        frame,
        signed,
        at="search",
        status=status,
        told="",
        about=about,
        own=about.id == signed.person.party,
        **filled,
    )
