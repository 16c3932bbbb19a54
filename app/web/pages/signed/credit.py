"""A party's own credit: what waits for an answer, what cures it, lists and alerts, what would help."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.credit.ledger import Given
from app.credit.listed import Listed
from app.credit.raising import Raising
from app.i18n import Lang
from app.kit.clock import from_ms
from app.kit.errors import Fault, NotFound
from app.oversight.queue import Waiting, queue_of
from app.parties.principal import Principal
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.dossier import fill_dossier
from app.web.pages.signed.entry import PATH as ENTRY_PATH
from app.web.pages.signed.form import BLANK, Form, Sent, form_reader, refused
from app.web.pages.signed.offers import OfferAdvice, fill_offers
from app.web.pages.signed.own_entries import OwnEntry, Until, own_entries, until
from app.web.pages.signed.sayings import FILES, hand_in, read_said, step_id
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.pages.standing_render import draw_courses
from app.web.pages.standing_views import DossierView
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/credit"
_FINDINGS = 50
_ALERTS = 5
_SHOWN = frozenset({"invalid", "id-conflict", "lifecycle-conflict"})
"""Problems that a form tells at its field; any other has a page of its own."""
_InFile = Annotated[Form, Depends(form_reader(max_files=len(FILES)))]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFinding:
    """An open finding. until: when it begins to cost something. page: of the goods, "" for none.

    cure: the page on which the missing step is recorded, "" where nothing is to be recorded.
    """

    id: str
    kind: str
    about: str
    page: str
    opened_at: datetime
    until: Until | None
    in_grace: bool
    entry: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnListing:
    """A listing with its clocks."""

    told: Listed
    title: str
    criterion: str
    answer: Until | None
    object_until: Until | None
    decide: Until | None
    removal_from: Until | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCredit:
    """public: as strangers see it. lost, earned, ended: what is on file, the newest first."""

    public: DossierView
    announced: tuple[OwnEntry, ...]
    lost: tuple[OwnEntry, ...]
    ended: tuple[OwnEntry, ...]
    count: int
    findings: tuple[OwnFinding, ...]
    listings: tuple[OwnListing, ...]
    alerts: tuple[Any, ...]
    raising: Raising
    titles: dict[str, str]
    offers: tuple[OfferAdvice, ...]


@router.get(PATH)
def show_credit(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows the party's own credit."""
    principal = signed.person.principal()
    party = _own_party(principal)
    frame = frame_of(request, lang, PATH)
    with rooms.database.one_snapshot():
        public = fill_dossier(rooms, frame, party, script="")
        own = _fill(rooms, frame.lang, principal, party, public)
    return answer_signed(
        "own_credit.html",
        frame,
        signed,
        at="credit",
        told=told_of(request),
        own=own,
        view=public,
        pictures=draw_courses(public),
    )


@router.get(f"{PATH}/entries/{{entry}}")
def show_entry(
    request: Request, rooms: InRooms, signed: InSigned, entry: str, lang: AskedLang = None
) -> Response:
    """Shows an entry with its story, and the forms for what may be done with it."""
    return _entry(request, rooms, signed, entry, lang, BLANK)


@router.post(f"{PATH}/entries/{{entry}}")
def answer_entry(
    request: Request, rooms: InRooms, signed: InSigned, form: _InFile, entry: str
) -> Response:
    """Takes an objection, or an application for repair."""
    principal = signed.person.principal()
    path = f"{PATH}/entries/{entry}"
    repairs = form.text("do") == "repair"
    try:
        text = _statement(form, "repair_" if repairs else "")
        named = hand_in(form, rooms, principal)
        given = Given(text, named, step_id(form, "repair" if repairs else "object"))
        if repairs:
            rooms.credit_ledger.ask_repair(principal, entry, given)
        else:
            rooms.credit_ledger.object(principal, entry, given)
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _entry(
            request, rooms, signed, entry, form.text("lang"), sent, status=status_of(fault)
        )
    told = "repair_asked" if repairs else "objected"
    return go_on(frame_of(request, form.text("lang"), path), path, told=told)


@router.get(f"{PATH}/lists/{{listing}}")
def show_listing(
    request: Request, rooms: InRooms, signed: InSigned, listing: str, lang: AskedLang = None
) -> Response:
    """Shows a listing with its story, and the forms for what may be done with it."""
    return _listing(request, rooms, signed, listing, lang, BLANK)


@router.post(f"{PATH}/lists/{{listing}}")
def answer_listing(
    request: Request, rooms: InRooms, signed: InSigned, form: _InFile, listing: str
) -> Response:
    """Takes an objection to a listing, or an application for its early removal."""
    principal = signed.person.principal()
    path = f"{PATH}/lists/{listing}"
    removes = form.text("do") == "removal"
    try:
        text = _statement(form, "removal_" if removes else "")
        named = hand_in(form, rooms, principal)
        given = Given(text, named, step_id(form, "removal" if removes else "object"))
        if removes:
            rooms.lists.ask_removal(principal, listing, given)
        else:
            rooms.lists.object(principal, listing, given)
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _listing(
            request, rooms, signed, listing, form.text("lang"), sent, status=status_of(fault)
        )
    told = "removal_asked" if removes else "objected"
    return go_on(frame_of(request, form.text("lang"), path), path, told=told)


# --- parts ---------------------------------------------------------------------------------------


def _own_party(principal: Principal) -> str:
    party = principal.own_party()
    principal.check_may("credit.object", owner=party)
    return party


def _statement(form: Form, prefix: str) -> str:
    """Returns what the party says, with the document that it names. Raises Invalid."""
    said = read_said(form, f"{prefix}text", most=1_800)
    number = read_said(form, f"{prefix}number", most=150, required=False)
    return f"{said} [{number}]" if number else said


def _fill(
    rooms: Rooms, lang: Lang, principal: Principal, party: str, public: DossierView
) -> OwnCredit:
    filed, card = rooms.credit_ledger.file_of(party, principal)
    charges = [one for one in filed if one.entry.points < 0]
    entries = own_entries(rooms, lang, charges, card)[::-1]
    queue = queue_of(rooms.database, rooms.credit_ledger, principal, limit=_FINDINGS)
    now = rooms.clock.now()
    raising = rooms.outlook.of(principal, party)
    may_record = "events" in principal.scopes
    return OwnCredit(
        public=public,
        announced=tuple(one for one in reversed(entries) if one.answer is not None),
        lost=tuple(one for one in entries if one.answer is None and not one.ended),
        ended=tuple(one for one in entries if one.ended),
        count=queue.count,
        findings=tuple(
            OwnFinding(
                id=one.id,
                kind=one.kind,
                about=one.stream,
                page=f"/{one.stream}" if one.stream.startswith("01/") else "",
                opened_at=one.opened_at,
                until=until(one.until, now),
                in_grace=one.in_grace,
                entry=one.entry,
                cure=_cure(one) if may_record else "",
            )
            for one in queue.first
        ),
        listings=tuple(
            own_listing(rooms, one, lang)
            for one in reversed(rooms.lists.of_party(party, principal))
        ),
        alerts=tuple(_alerts(rooms, party)),
        raising=raising,
        titles={one.id: one.title for one in entries},
        offers=fill_offers(rooms, lang, principal, party),
    )


def _cure(one: Waiting) -> str:
    """Returns where a missing step is recorded, the code filled in; of a lot it takes the consignment too."""
    _, _, step = one.kind.partition("continuity.missing_")
    if not step or "/21/" not in one.stream:
        return ""
    return f"{ENTRY_PATH}?{urlencode({'type': step, 'code': one.stream})}"


def _alerts(rooms: Rooms, party: str) -> list[dict[str, Any]]:
    rows = rooms.lists.newest_warnings(party, limit=_ALERTS)
    return [
        {"kind": row.kind, "at": from_ms(row.at), "score": row.score, "before": row.before,
         "grade": row.grade, "line": row.line}
        for row in rows
    ]  # fmt: skip


def own_listing(rooms: Rooms, one: Listed, lang: Lang) -> OwnListing:
    """Returns a listing as pages show it."""
    terms, now = rooms.credit.policies.get(one.policy).lists[one.list], rooms.clock.now()
    criterion = terms.criteria.get(one.criterion)
    decide = next((step.decide_by for step in reversed(one.steps) if step.decide_by), None)
    awaited = one.status in ("objected", "removal_asked")
    return OwnListing(
        told=one,
        title=terms.title[lang],
        criterion=one.criterion if criterion is None else criterion.title[lang],
        answer=until(one.listed_at, now) if one.status == "notice" else None,
        object_until=until(one.object_until, now) if "object" in one.may else None,
        decide=until(decide, now) if awaited else None,
        removal_from=until(one.removal_from, now) if one.ended_at is None else None,
    )


def _entry(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    entry: str,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    party = _own_party(principal)
    frame = frame_of(request, lang, f"{PATH}/entries/{entry}")
    with rooms.database.one_snapshot():
        filed = rooms.credit_ledger.find(entry, principal)
        if filed.entry.party != party:
            raise NotFound("credit_entry_unknown", id=entry[:80])
        (shown,) = own_entries(rooms, frame.lang, [filed], rooms.credit.card(party))
        documents = rooms.documents.tell(signed.person.principal(), party, filed.named())
    return answer_signed(
        "own_entry.html",
        frame,
        signed,
        at="credit",
        status=status,
        told=told_of(request),
        sent=sent,
        one=shown,
        me=party,
        files=FILES,
        documents=documents,
        policy=rooms.credit.policy,
    )


def _listing(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    listing: str,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    party = _own_party(principal)
    frame = frame_of(request, lang, f"{PATH}/lists/{listing}")
    found = rooms.lists.find(listing, principal)
    if found.party != party:
        raise NotFound("matter_unknown", id=listing[:80])
    return answer_signed(
        "own_listing.html",
        frame,
        signed,
        at="credit",
        status=status,
        told=told_of(request),
        sent=sent,
        one=own_listing(rooms, found, frame.lang),
        me=party,
        files=FILES,
        documents=rooms.documents.tell(signed.person.principal(), party, found.named()),
        policy=rooms.credit.policy,
    )
