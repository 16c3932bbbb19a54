"""Texts of reviews, follow-ups and replies: hidden with one of the reasons that the law knows, shown again.

Nothing is deleted: the chain holds who hid it and why, and the page says so in its place.
"""

from __future__ import annotations

from typing import Annotated, Final, cast
from urllib.parse import quote

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.errors import Fault, FieldFault, invalid
from app.parties.sessions import SignedIn
from app.trace.identifiers import parse_code
from app.trace.texts import MOST_TEXTS, REASONS, HidingReason, PublicTexts
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.sayings import step_id
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does, go_on, told_of
from app.web.paging import Page, encode_place
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/texts"
_SHOWN: Final = frozenset({"invalid", "not-found", "code-unknown", "forbidden", "id-conflict"})
_CURSOR = Annotated[str, Query(max_length=1_000)]
_CODE = Annotated[str, Query(max_length=2048)]


@router.get(PATH)
def show_texts(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    code: _CODE = "",
    lang: AskedLang = None,
    cursor: _CURSOR = "",
) -> Response:
    """Shows the texts of some goods, the newest first of all."""
    return _texts(request, rooms, signed, code.strip(), lang, BLANK, cursor=cursor)


@router.post(PATH)
def change_text(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Hides a text with a reason, or shows it again."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    code, of, shows = form.text("code"), form.text("of"), form.text("do") == "show"
    cursor = form.text("cursor")
    try:
        parsed = parse_code(code, loc=("code",))
        recorded = rooms.texts.hide(
            principal,
            parsed,
            of,
            _reason(form),
            shown=shows,
            id_=step_id(form, f"{of} {'show' if shows else 'hide'}"),
        )
    except Fault as fault:
        sent = refused(request, form, fault, only=_SHOWN)
        return _texts(
            request, rooms, signed, code, lang, sent, cursor=cursor, status=status_of(fault)
        )
    path = f"{PATH}?code={quote(recorded.stream, safe='/')}"
    if cursor:
        path += f"&cursor={quote(cursor)}"
    return go_on(frame_of(request, lang, PATH), path, told="text_shown" if shows else "text_hidden")


def _reason(form: Form) -> HidingReason:
    """Raises Invalid for none that the law knows."""
    told = form.text("reason")
    if told not in REASONS:
        kind, params = "enum", {"expected": ", ".join(REASONS), "got": told[:40]}
        if not told:
            kind, params = "missing", {"name": "reason"}
        raise invalid(FieldFault(("reason",), kind, params))
    return cast("HidingReason", told)


def _texts(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    code: str,
    lang: str | None,
    sent: Sent,
    *,
    cursor: str,
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    principal.check_may("text.hide")
    frame = frame_of(request, lang, PATH, keeps=("code", "cursor"))
    before = Page(MOST_TEXTS, cursor or None).after(int)
    found = PublicTexts((), is_more=False)
    stream = ""
    if code:
        try:
            stream = parse_code(code, loc=("code",)).stream
            found = rooms.texts.public(
                principal, parse_code(stream), before=None if before is None else before[0]
            )
        except Fault as fault:
            if fault.slug not in _SHOWN:
                raise
            stream = ""
            if sent is BLANK:
                sent = refused(request, Form((("code", code),)), fault)
                status = status_of(fault)
    parties = rooms.parties.get_some({one.by for one in found.texts})
    return answer_signed(
        "texts.html",
        frame,
        signed,
        at="texts",
        status=status,
        told=told_of(request),
        sent=sent,
        code=code,
        stream=stream,
        found=found.texts,
        cursor=cursor,
        following=encode_place((found.texts[0].seq,)) if found.is_more else "",
        names={party: view.name for party, view in parties.items()},
        reasons=[(one, text(frame.lang, f"page.hiding.{one}")) for one in REASONS],
        reads_chains=not signed.person.is_operator and does("desk.search")(signed.person),
    )
