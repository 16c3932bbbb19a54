"""Webhooks of one's party: where it is told, a test, what was sent, and an end."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.errors import Fault, FieldFault, invalid
from app.oversight.hooks import EVENTS, Hook
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.session import InConfirmed, note
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_PATH = "/account/webhooks"
_SHOWN = 30


@router.get(_PATH)
def show_webhooks(
    request: Request, rooms: InRooms, signed: InConfirmed, lang: AskedLang = None
) -> Response:
    """Shows where the party is told of what, and what was sent lately."""
    return _webhooks(request, rooms, signed, lang, BLANK)


@router.post(_PATH)
def add_webhook(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Adds a webhook and shows its secret, this once."""
    lang = form.text("lang") or None
    try:
        hook = rooms.hooks.register(
            signed.person.principal(), url=form.text("url"), events=_events(form)
        )
    except Fault as fault:
        sent = refused(request, form, fault)
        return _webhooks(request, rooms, signed, lang, sent, status=status_of(fault))
    note(request, rooms, signed, "hook_made", hook.url)
    return _webhooks(request, rooms, signed, lang, BLANK, made=hook)


@router.post(f"{_PATH}/act")
def act(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Tests or ends a webhook, or sends a message again."""
    principal, told = signed.person.principal(), "hook_tested"
    match form.text("do"):
        case "end":
            rooms.hooks.end(principal, form.text("hook"))
            note(request, rooms, signed, "hook_ended", form.text("hook"))
            told = "hook_ended"
        case "resend":
            rooms.hooks.resend(principal, form.text("delivery"))
            told = "resent"
        case _:
            rooms.hooks.test(principal, form.text("hook"))
    return go_on(frame_of(request, form.text("lang"), _PATH), _PATH, told=told)


def _events(form: Form) -> list[str]:
    chosen = [event for event in EVENTS if event in form.many("events")]
    if not chosen:
        raise invalid(FieldFault(("events",), "length", sentence="none_chosen"))
    return chosen


def _webhooks(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
    made: Hook | None = None,
) -> Response:
    frame = frame_of(request, lang, _PATH)
    principal = signed.person.principal()
    return answer_signed(
        "webhooks.html",
        frame,
        signed,
        at="webhooks",
        status=status,
        told=told_of(request),
        sent=sent,
        made=made,
        shown_once=made is not None,
        hooks=rooms.hooks.hooks(principal),
        deliveries=rooms.hooks.recent(principal, limit=_SHOWN),
        events=[(event, text(frame.lang, f"hook.event.{event}")) for event in EVENTS],
    )
