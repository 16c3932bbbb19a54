"""What an authority decides on credit: objections, repairs, removals, commitments in question.

A queue by deadline, and a page of each with what was said by both sides. Who may is the table of roles;
where an authority's people are in office for a region, they see and decide what is of that region.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.credit.commitments import JUDGED, Commitment
from app.credit.document_uses import Named
from app.credit.ledger import Given
from app.credit.lists import DECISIONS as LIST_DECISIONS
from app.credit.matters import PROMISE_STEPS
from app.credit.steps import DECISIONS
from app.kit.errors import Fault, NotFound
from app.parties.account_rules import covers
from app.parties.principal import Principal
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.credit import own_listing
from app.web.pages.signed.form import BLANK, Form, Sent, form_reader, refused
from app.web.pages.signed.own_entries import own_entries, until
from app.web.pages.signed.sayings import FILES, hand_in, read_said, step_id
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/decisions"
_PAGE = 30
_SHOWN = frozenset({"invalid", "id-conflict", "lifecycle-conflict"})
_CURSOR = Annotated[str | None, Query(max_length=1_000)]
_InFile = Annotated[Form, Depends(form_reader(max_files=len(FILES)))]


@dataclass(frozen=True, slots=True)
class Case:
    """What is decided. kind: `entries`, `lists` or `commitments`. outcomes: that are possible now.

    named: documents that its evidence and steps name.
    """

    kind: str
    party: str
    told: Any
    outcomes: tuple[str, ...]
    named: tuple[Named, ...] = ()


@router.get(PATH)
def show_decisions(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    cursor: _CURSOR = None,
) -> Response:
    """Shows what waits, what is due first first."""
    principal = signed.person.principal()
    frame, now = frame_of(request, lang, PATH, keeps=("cursor",)), rooms.clock.now()
    after = Page(_PAGE, cursor).after(int, str)
    place = None if after is None else (after[0], after[1])
    count, found = rooms.undecided.page(principal, after=place, limit=_PAGE + 1)
    shown = found[:_PAGE]
    return answer_signed(
        "decisions.html",
        frame,
        signed,
        at="decisions",
        told=told_of(request),
        count=count,
        waiting=[(one, _page_of(one), until(one.decide_by, now)) for one in shown],
        following=encode_place(shown[-1].place) if len(found) > _PAGE else "",
    )


@router.get(f"{PATH}/{{kind}}/{{party}}/{{case}}")
def show_case(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    kind: str,
    party: str,
    case: str,
    lang: AskedLang = None,
) -> Response:
    """Shows one matter with both sides' words, and the forms to decide it."""
    return _case(request, rooms, signed, (kind, party, case), lang, BLANK)


@router.post(f"{PATH}/{{kind}}/{{party}}/{{case}}")
def decide(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    form: _InFile,
    kind: str,
    party: str,
    case: str,
) -> Response:
    """Takes a decision, with its reason; or opens for a purpose what was said in what is over."""
    principal = signed.person.principal()
    place = (kind, party, case)
    outcome = form.text("do")
    if outcome == "open":
        return _opened(request, rooms, signed, form, place)
    _find(rooms, principal, place, "zh", opens=False)  # not of another region
    try:
        reason = read_said(form, "reason")
        id_ = step_id(form, outcome)
        match kind:
            case "entries" if outcome in DECISIONS:
                given = Given(reason, hand_in(form, rooms, principal), id_)
                rooms.credit_ledger.decide(principal, case, outcome, given)
            case "lists" if outcome in LIST_DECISIONS:
                given = Given(reason, hand_in(form, rooms, principal), id_)
                rooms.lists.decide(principal, case, outcome, given)
            case "commitments" if outcome in JUDGED:
                rooms.commitments.judge(
                    principal, party, case, outcome, reason=reason, evidence={}, id=id_
                )
            case _:
                raise NotFound("path_unknown")
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _case(
            request, rooms, signed, place, form.text("lang"), sent, status=status_of(fault)
        )
    return go_on(frame_of(request, form.text("lang"), PATH), PATH, told="decided")


# --- parts ---------------------------------------------------------------------------------------


def _page_of(one: Any) -> str:
    kinds = {"entry": "entries", "listing": "lists", "commitment": "commitments"}
    return f"{PATH}/{kinds[one.of]}/{one.party}/{one.id}"


def _find(
    rooms: Rooms,
    principal: Principal,
    place: tuple[str, str, str],
    lang: Any,
    *,
    opens: bool,
    purpose: str | None = None,
) -> Case:
    """Returns a matter that this authority may decide on. Raises what `check_may` raises, NotFound.

    opens: with what its party said, for the decision or a stated purpose; each look is logged.
    """
    principal.check_may("credit.decide")
    kind, party, case = place
    region = rooms.parties.get(party).region
    if principal.region is not None and not covers(principal.region, region):
        raise NotFound("path_unknown")
    match kind:
        case "entries":
            ledger = rooms.credit_ledger
            filed = ledger.find(case, principal)
            if opens and filed.entry.party == party:
                filed = ledger.open_case(principal, case, purpose=purpose)
            (told,) = own_entries(rooms, lang, [filed], rooms.credit.card(filed.entry.party))
            outcomes = _possible(DECISIONS, filed.may)
            found = Case(kind, filed.entry.party, told, outcomes, tuple(filed.named()))
        case "lists":
            listing = rooms.lists.find(case, principal)
            if opens and listing.party == party:
                listing = rooms.lists.open_case(principal, case, purpose=purpose)
            told_listing = own_listing(rooms, listing, lang)
            outcomes = _possible(LIST_DECISIONS, listing.may)
            found = Case(kind, listing.party, told_listing, outcomes, tuple(listing.named()))
        case "commitments":
            promise = rooms.commitments.find(party, case, viewer=principal)
            if opens:
                promise = rooms.commitments.open_case(principal, party, case, purpose=purpose)
            found = Case(kind, party, promise, _judgements(promise))
        case _:
            raise NotFound("path_unknown")
    if found.party != party:
        raise NotFound("path_unknown")
    return found


def _possible(words: Any, may: frozenset[Any]) -> tuple[str, ...]:
    # A withdrawal takes an entry back that was made in error: not what was asked, so it stands last.
    return tuple(outcome for outcome, step in words.items() if step in may)


def _judgements(promise: Commitment) -> tuple[str, ...]:
    return tuple(
        outcome for outcome, step in JUDGED.items() if promise.status in PROMISE_STEPS[step][1]
    )


def _opened(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    form: Form,
    place: tuple[str, str, str],
) -> Response:
    """Shows a matter with what was said, for a purpose: in this answer alone."""
    lang = form.text("lang")
    try:
        purpose = form.text("purpose")
        return _case(request, rooms, signed, place, lang, BLANK, purpose=purpose)
    except Fault as fault:
        sent = refused(request, form, fault, only=("invalid",))
        return _case(request, rooms, signed, place, lang, sent, status=status_of(fault))


def _case(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    place: tuple[str, str, str],
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
    purpose: str | None = None,
) -> Response:
    kind, party, case = place
    principal = signed.person.principal()
    frame = frame_of(request, lang, f"{PATH}/{kind}/{party}/{case}")
    with rooms.database.one_snapshot():
        found = _find(rooms, principal, place, frame.lang, opens=True, purpose=purpose)
        about = rooms.parties.get(party)
        card = rooms.credit.card(party)
        documents = rooms.documents.tell(principal, party, found.named)
    steps = found.told.told.steps if kind == "lists" else found.told.steps
    others = [step for step in steps if step.text is not None and step.actor != principal.party]
    return answer_signed(
        "decision.html",
        frame,
        signed,
        at="decisions",
        status=status,
        told=told_of(request),
        sent=sent,
        found=found,
        one=found.told,
        about=about,
        card=card,
        own=party == principal.party,
        files=FILES if kind in ("entries", "lists") else (),
        documents=documents,
        highest=rooms.credit.policy.highest,
        me=principal.party,
        closed=any(step.closed for step in steps),
        looked=party != principal.party and bool(others),
    )
