"""Keys of one's party: API keys, shown once, and the public keys by which its signatures are checked.

Of a signing key only the public half ever comes here, with a signature of its own as the proof.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.errors import Fault
from app.parties.access import NewKey
from app.parties.account_rules import PARTY_SCOPES
from app.parties.roles import actions_of_use, scopes_of_use
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, InForm, Sent, refused
from app.web.pages.signed.session import InConfirmed, note
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_PATH = "/account/keys"
_SHOWN = frozenset({"invalid", "already-exists", "signature-invalid"})


@router.get(_PATH)
def show_keys(
    request: Request, rooms: InRooms, signed: InConfirmed, lang: AskedLang = None
) -> Response:
    """Shows the party's keys and a form for a new one."""
    return _keys(request, rooms, signed, lang, BLANK)


@router.post(_PATH)
def make_key(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Makes a key and shows it, this once."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        made = rooms.keys.create(
            principal,
            principal.party or "",
            scopes=form.many("scopes"),
            label=form.text("label") or None,
        )
    except Fault as fault:
        sent = refused(request, form, fault)
        return _keys(request, rooms, signed, lang, sent, status=status_of(fault))
    note(request, rooms, signed, "key_made", made.key_id)
    return _keys(request, rooms, signed, lang, BLANK, made=made)


@router.post(f"{_PATH}/revoke")
def revoke_key(request: Request, rooms: InRooms, signed: InConfirmed, form: InForm) -> Response:
    """Revokes a key."""
    principal = signed.person.principal()
    rooms.keys.revoke(principal, form.text("key"), party=principal.party or "")
    note(request, rooms, signed, "key_revoked", form.text("key"))
    return go_on(frame_of(request, form.text("lang"), _PATH), _PATH, told="key_revoked")


@router.post(f"{_PATH}/signing")
def add_signing_key(
    request: Request, rooms: InRooms, signed: InConfirmed, form: InForm
) -> Response:
    """Adds a signing key, a record of the party."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    try:
        key_id, _ = rooms.powers.add_signing_key(
            principal,
            principal.own_party(),
            public_key=form.text("public_key"),
            proof=form.text("proof"),
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _keys(request, rooms, signed, lang, BLANK, signing=sent, status=status_of(fault))
    note(request, rooms, signed, "signing_key_added", key_id)
    return go_on(frame_of(request, lang, _PATH), _PATH, told="signing_key_added")


@router.post(f"{_PATH}/signing/revoke")
def revoke_signing_key(
    request: Request, rooms: InRooms, signed: InConfirmed, form: InForm
) -> Response:
    """Revokes a signing key: it signs nothing that is recorded from now on."""
    principal = signed.person.principal()
    rooms.powers.revoke_signing_key(principal, principal.own_party(), form.text("key"))
    note(request, rooms, signed, "signing_key_revoked", form.text("key"))
    frame = frame_of(request, form.text("lang") or None, _PATH)
    return go_on(frame, _PATH, told="signing_key_revoked")


def _keys(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
    made: NewKey | None = None,
    signing: Sent = BLANK,
) -> Response:
    frame = frame_of(request, lang, _PATH)
    principal = signed.person.principal()
    # Only what opens something to a party of these roles, and what that is.
    scopes = [scope for scope in scopes_of_use(principal.roles) if scope in principal.scopes]
    joint = text(frame.lang, "page.clause.join")
    opens = {
        scope: joint.join(
            text(frame.lang, f"action.{action}")
            for action in actions_of_use(principal.roles, scope)
        )
        for scope in scopes
    }
    return answer_signed(
        "keys.html",
        frame,
        signed,
        at="keys",
        status=status,
        told=told_of(request),
        sent=sent,
        made=made,
        shown_once=made is not None,
        keys=list(reversed(rooms.keys.list_of(principal, principal.party or ""))),
        scopes=[(scope, text(frame.lang, f"scope.{scope}")) for scope in scopes],
        opens=opens,
        words={scope: text(frame.lang, f"scope.{scope}") for scope in PARTY_SCOPES},
        party=principal.party,
        signing=signing,
        signing_keys=rooms.powers.signing_keys(principal.own_party())[::-1],
    )
