"""Customs: a declaration, its goods, whether its three documents agree, release or hold.

Sent as forms alone: none of these numbers may stand in an address.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.kit.errors import Fault, FieldFault, invalid
from app.oversight.customs import Declared
from app.oversight.numbers import read_places, write_places
from app.oversight.threefold import DOCUMENTS
from app.parties.sessions import SignedIn
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/customs"
_LOOK: Final = ("number", *DOCUMENTS, "purpose")


@router.get(PATH)
def show_customs(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None
) -> Response:
    """Shows the form for a declaration."""
    return _page(request, rooms, signed, lang, BLANK)


@router.post(PATH)
def work_on_declaration(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm
) -> Response:
    """Shows a declaration, or records what is decided of its goods and shows it then."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    # A shop's numbers of orders and payments are its own texts.
    documents: Any = {
        name: form.plain(name) if name == "waybill" else form.text(name) for name in DOCUMENTS
    }
    asked = Sent(tuple((name, form.text(name)) for name in _LOOK))
    told, decide, status = "", BLANK, 200
    try:
        after = read_places(form.text("after"), loc=("number",)).get("declaration", 0)
    except Fault as fault:
        sent = refused(request, form, fault)
        return _page(request, rooms, signed, lang, sent, status=status_of(fault))
    if form.text("do") in ("release", "hold"):
        try:
            _decide(rooms, signed, form, documents)
        except Fault as fault:
            if fault.slug == "forbidden":
                raise
            decide, status = refused(request, form, fault), status_of(fault)
        else:
            told = f"customs_{form.text('do')}"
    try:
        declared = rooms.customs.look(
            principal, form.plain("number"), documents, purpose=form.text("purpose"), after=after
        )
    except Fault as fault:
        if fault.slug == "forbidden":
            raise
        sent = refused(request, form, fault)
        return _page(request, rooms, signed, lang, sent, status=status_of(fault))
    return _page(
        request, rooms, signed, lang, asked, status=status, declared=declared, decide=decide,
        told=told, after=after,
    )  # fmt: skip


def _decide(rooms: Rooms, signed: SignedIn, form: Form, documents: Any) -> None:
    decision: Any = form.text("do")
    missing = [
        FieldFault((name,), "missing", {"name": name})
        for name in ("port", *(("reason",) if decision == "hold" else ()))
        if not form.text(name)
    ]
    if missing:
        raise invalid(*missing)
    rooms.customs.decide(
        signed.person.principal(),
        form.plain("number"),
        form.text("code"),
        decision,
        port=form.text("port"),
        certificate=form.text("certificate"),
        reason=form.text("reason"),
        documents=documents,
        purpose=form.text("purpose"),
        despite=form.text("despite") == "yes",
        id=form.uuid("record"),
    )


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    status: int = 200,
    declared: Declared | None = None,
    decide: Sent = BLANK,
    told: str = "",
    after: int = 0,
) -> Response:
    signed.person.principal().check_may("customs.decide")
    frame = frame_of(request, lang, PATH)
    if decide is BLANK and declared and declared.goods:
        decide = prefilled(port=str(declared.goods[0].facts.get("port", "")))
    parties = {one.party for one in declared.goods if one.party} if declared else set()
    return answer_signed(
        "customs.html",
        frame,
        signed,
        at="customs",
        status=status,
        told=told,
        sent=sent,
        declared=declared,
        decide=decide,
        names={one.id: one.name for one in rooms.parties.get_some(parties).values()},
        looked=_LOOK,
        after=_place(after),
        onward=_place(declared.onward) if declared else "",
        goods=[(one.code, one.code) for one in declared.goods] if declared else [],
    )


def _place(after: int | None) -> str:
    return write_places({"declaration": after}) if after else ""
