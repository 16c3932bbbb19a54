"""Commitments 信用承诺 of the party: the texts to sign, those that were signed, kept or broken."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.credit.matters import ACTIVE, QUESTIONED
from app.credit.templates import templates
from app.kit.errors import Fault
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.own_entries import until
from app.web.pages.signed.sayings import step_id
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/credit/commitments"
_SHOWN = frozenset(
    {"invalid", "id-conflict", "already-exists", "lifecycle-conflict", "party-unverified"}
)


@router.get(PATH)
def show_commitments(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows what was signed, and the texts that may be."""
    return _commitments(request, rooms, signed, lang, BLANK)


@router.post(PATH)
def act_on_commitments(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm
) -> Response:
    """Signs a text as it was read, or withdraws a commitment."""
    principal = signed.person.principal()
    party = principal.own_party()
    withdraws = form.text("do") == "withdraw"
    try:
        if withdraws:
            rooms.commitments.withdraw(
                principal, party, form.text("commitment"), id=step_id(form, "withdraw")
            )
        else:
            rooms.commitments.sign(
                principal,
                party,
                template=form.text("template"),
                version=None,
                digest=form.text("digest"),
                id=step_id(form, form.text("template")) or str(uuid4()),
            )
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        lang = form.text("lang")
        return _commitments(request, rooms, signed, lang, sent, status=status_of(fault))
    told = "promise_withdrawn" if withdraws else "promise_signed"
    return go_on(frame_of(request, form.text("lang"), PATH), PATH, told=told)


def _commitments(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    party = principal.own_party()
    principal.check_may("commitment.sign", owner=party)
    frame, now = frame_of(request, lang, PATH), rooms.clock.now()
    found = rooms.commitments.of_party(party, principal)[::-1]
    standing = {one.template.id for one in found if one.status in (ACTIVE, QUESTIONED)}
    return answer_signed(
        "own_commitments.html",
        frame,
        signed,
        at="credit",
        status=status,
        told=told_of(request),
        sent=sent,
        found=[(one, until(one.until, now)) for one in found],
        offered=[one for one in templates().values() if one.id not in standing],
        rule=rooms.credit.policy.rules.get("commitment_active"),
    )
