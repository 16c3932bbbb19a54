"""/account/push: where kuaidi100 pushes to for one's party, and, where asked for, the salt it signs with."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import has
from app.kit.errors import FieldFault, invalid
from app.parties.roles import AGGREGATOR, CARRIER
from app.parties.sessions import SignedIn
from app.trace.kuaidi100 import WORD
from app.trace.pushaddresses import Address
from app.trace.pushlog import PushLine, last_push
from app.web.aggregators import PATH
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import InForm
from app.web.pages.signed.session import InConfirmed, note
from app.web.pages.signed.shell import answer_signed, go_on, told_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_PATH = "/account/push"
_TONES: Final = {
    **dict.fromkeys(("recorded", "nothing", "untold"), "state-good"),
    **dict.fromkeys(("partly", "ended", "unknown", "unavailable"), "state-wait"),
}
_Only = Annotated[Literal["refused"] | None, Query()]


@router.get(_PATH)
def show_push_address(
    request: Request,
    rooms: InRooms,
    signed: InConfirmed,
    lang: AskedLang = None,
    only: _Only = None,
) -> Response:
    """Shows the party's address without its salt, what the last pushes came to, and how to use it.

    only: the pushes that were not recorded as a whole.
    """
    found = rooms.push_addresses.of(signed.person.principal())
    return _page(request, rooms, signed, lang, found, only=only)


@router.post(_PATH)
def change_push_address(
    request: Request, rooms: InRooms, signed: InConfirmed, form: InForm
) -> Response:
    """Makes the address, shows or renews its salt, or ends it. The page that answers alone has the salt."""
    principal = signed.person.principal()
    addresses, lang = rooms.push_addresses, form.text("lang") or None
    match form.text("do"):
        case "make":
            # Sent twice, the second time shows what is there.
            done = "push_made" if addresses.of(principal) is None else "push_shown"
            found = addresses.make(principal)
        case "show":
            done, found = "push_shown", addresses.show(principal)
        case "renew":
            # A page that is loaded again sends its form again: what was just copied must not die of it.
            if _since(addresses.of(principal)) == form.text("since"):
                done, found = "push_renewed", addresses.renew(principal)
            else:
                done, found = "push_shown", addresses.show(principal)
        case "end":
            addresses.end(principal)
            note(request, rooms, signed, "push_ended", "kuaidi100")
            return go_on(frame_of(request, lang, _PATH), _PATH, told="push_ended")
        case other:
            params = {"expected": "make, show, renew, end", "got": other[:40]}
            raise invalid(FieldFault(("do",), "enum", params))
    note(request, rooms, signed, done, "kuaidi100")
    return _page(request, rooms, signed, lang, found)


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    found: Address | None,
    *,
    only: Literal["refused"] | None = None,
) -> Response:
    party = signed.person.principal().own_party()
    lines = rooms.push_log.last(party)
    refused = [line for line in lines if line.refused]
    last = last_push(lines, found.noted, since=found.made_at) if found else None
    return answer_signed(
        "push_address.html",
        frame_of(request, lang, _PATH),
        signed,
        at="push",
        told=told_of(request),
        found=found,
        last=last,
        reason=_reason(last),
        tone=_tone,
        since=_since(found),
        lines=refused if only else lines,
        refused=refused,
        only=only,
        days=rooms.push_log.forged(party),
        why=_why,
        most_of_a_word=WORD,
        url=f"{rooms.base_url}{PATH}/{found.address}" if found else "",
        is_carrier=bool(signed.person.principal().roles & {CARRIER, AGGREGATOR}),
    )


def _why(word: str) -> str:
    """Returns the sentence on why items were refused; one for all words that have none."""
    key = f"push.why.{word}"
    return key if has(key) else "push.why.other"


def _since(found: Address | None) -> str:
    """Returns since when the salt holds, as a form sends it back: with the next one it is another."""
    return "" if found is None else (found.renewed_at or found.made_at).isoformat()


def _reason(last: PushLine | None) -> str:
    """Returns the sentence on why the last push was refused; "" where the word has none."""
    key = f"push.reason.{last.reason}" if last is not None and last.reason else ""
    return key if key and has(key) else ""


def _tone(line: PushLine) -> str:
    return _TONES.get(line.shown, "state-bad")
