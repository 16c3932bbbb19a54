"""Licences on pages: a party tells of its own and renews them; who verifies parties looks at what waits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.credit.workdays import end_of_day
from app.i18n import text
from app.kit.errors import Fault
from app.parties.licence_book import ENDING_DAYS, REFUSALS
from app.parties.licences import LICENCE_KINDS
from app.parties.licensing import LicenceView
from app.parties.licensing import Waiting as Listed
from app.parties.registration import LicenceGiven
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.apply import licence_kinds
from app.web.pages.signed.form import BLANK, InForm, Sent, prefilled, refused
from app.web.pages.signed.own_entries import Until, until
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/licences"
CHECKS: Final = "/desk/licence-checks"
_PAGE = 30
_SHOWN = frozenset({"invalid", "lifecycle-conflict", "not-found", "forbidden"})


@dataclass(frozen=True, slots=True)
class Own:
    """A licence of one's own. ends: where it ends within ENDING_DAYS. link: where an authority answers."""

    told: LicenceView
    ends: Until | None
    link: str
    may_end: bool
    may_renew: bool


@dataclass(frozen=True, slots=True)
class Check:
    """A licence that waits for a look. told: what the party says, held: what counts under its number."""

    party: str
    name: str
    region: str | None
    told: LicenceView
    held: LicenceView | None
    link: str


@dataclass(frozen=True, slots=True)
class Ending:
    """A licence that ends soon. until: its last day."""

    listed: Listed
    until: Until | None


@router.get(PATH)
def show_own(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    renew: Annotated[str, Query(max_length=64)] = "",
    lang: AskedLang = None,
) -> Response:
    """Shows one's licences and the form for another; renew: id of the one with whose number it is filled."""
    sent = BLANK
    if renew:
        principal = signed.person.principal()
        for one in rooms.licensing.of(principal.own_party(), principal):
            if one.id == renew:
                sent = prefilled(kind=one.kind, number=one.number)
    return _own_page(request, rooms, signed, lang, sent)


@router.post(PATH)
def tell(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Takes a licence that is new or renewed."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    given = LicenceGiven(
        form.text("kind"),
        form.text("number"),
        form.text("valid_until") or None,
        form.text("url") or None,
    )
    try:
        rooms.licensing.tell(
            principal, principal.own_party(), given, valid_from=form.text("valid_from") or None
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _own_page(request, rooms, signed, lang, sent, status=status_of(fault))
    return go_on(frame_of(request, lang, PATH), PATH, told="licence_told")


@router.post(f"{PATH}/end")
def give_up(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Gives a licence up, or takes back what waits."""
    principal, told = signed.person.principal(), form.text("told") or None
    rooms.licensing.end(principal, principal.own_party(), form.text("licence"), told=told)
    frame = frame_of(request, form.text("lang") or None, PATH)
    return go_on(frame, PATH, told="licence_ended" if told is None else "licence_withdrawn")


@router.get(CHECKS)
def show_checks(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows what waits for a look, the longest waiting first, and what ends soon."""
    return _checks(request, rooms, signed, lang, BLANK)


@router.post(CHECKS)
def judge(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Takes what was found about one licence."""
    lang = form.text("lang") or None
    accepts = form.text("do") == "verify"
    try:
        rooms.licensing.judge(
            signed.person.principal(),
            form.text("party"),
            form.text("licence"),
            status="verified" if accepts else "rejected",
            evidence=form.text("evidence"),
            told=form.text("told"),
            reason=None if accepts else form.text("reason"),
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _checks(request, rooms, signed, lang, sent, status=status_of(fault))
    told = "licence_verified" if accepts else "licence_rejected"
    return go_on(frame_of(request, lang, CHECKS), CHECKS, told=told)


def _own_page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, PATH)
    principal = signed.person.principal()
    party = principal.own_party()
    principal.check_may("licence.tell", owner=party)
    found = rooms.licensing.of(party, principal)
    return answer_signed(
        "licences.html",
        frame,
        signed,
        at="licences",
        status=status,
        told=told_of(request),
        sent=sent,
        licences=[_own(one, found, rooms.clock.now()) for one in found],
        kinds=licence_kinds(frame.lang),
    )


def _own(one: LicenceView, all_of: list[LicenceView], now: datetime) -> Own:
    counts = one.state in ("in_force", "not_yet")
    waits = any(other.id == one.id and other.state == "waiting" for other in all_of)
    return Own(
        one,
        ends=ends_soon(one, now) if not waits else None,
        link=_link(one),
        # A renewal that waits is taken back by itself: what counts under its number goes on.
        may_end=one.state == "waiting" or counts,
        may_renew=one.state in ("in_force", "over", "ended", "refused") and not waits,
    )


def ends_soon(one: LicenceView, now: datetime) -> Until | None:
    """Returns the last day of a licence that counts, where it is within ENDING_DAYS."""
    left = _until(one.valid_until, now) if one.state == "in_force" else None
    return left if left is not None and left.days <= ENDING_DAYS else None


def _checks(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, CHECKS)
    principal, now = signed.person.principal(), rooms.clock.now()
    waiting = rooms.licensing.waiting(principal, limit=_PAGE + 1)
    ending = rooms.licensing.ending(principal, limit=_PAGE + 1)
    checks = [found for one in waiting[:_PAGE] if (found := _check(rooms, signed, one))]
    return answer_signed(
        "licence_checks.html",
        frame,
        signed,
        at="licence_checks",
        status=status,
        told=told_of(request),
        sent=sent,
        checks=checks,
        more=len(waiting) > _PAGE,
        ending=[Ending(one, _until(one.ends_on, now)) for one in ending[:_PAGE]],
        more_ending=len(ending) > _PAGE,
        days=ENDING_DAYS,
        reasons=[(one, text(frame.lang, f"licence.refused.{one}")) for one in REFUSALS],
    )


def _check(rooms: Rooms, signed: SignedIn, one: Listed) -> Check | None:
    """Returns what waits with its facts; None where it was decided this moment."""
    told = held = None
    for licence in rooms.licensing.of(one.party, signed.person.principal()):
        if licence.id == one.id:
            if licence.state == "waiting":
                told = licence
            elif licence.state != "refused":
                held = licence
    if told is None:
        return None
    return Check(one.party, one.party_name, one.region, told, held, _link(told))


def _until(day: str | None, now: datetime) -> Until | None:
    """Returns the end of a day, `YYYY-MM-DD`, with the days to it."""
    return None if day is None else until(end_of_day(date.fromisoformat(day)), now)


def _link(one: LicenceView) -> str:
    known = LICENCE_KINDS.get(one.kind)
    return one.url or (known.query_url if known is not None else None) or ""
