"""/desk/dispatch: the packing table. A label, its waybill, the next; by camera, by scanner, by hand.

With a script each parcel is sent from the page, which takes the next one meanwhile; without one the form
does the same and comes back with the carrier still chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import uuid_utils
from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.errors import Fault
from app.parties.sessions import SignedIn
from app.trace.dispatching import Parcel, Sent
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, as_typed, asked_by_script, frame_of, lang_of
from app.web.pages.camera import CAMERA_HEADERS, CAMERA_PATH, decoder_path
from app.web.pages.signed.form import Form, InForm, prefilled, refused
from app.web.pages.signed.form import Sent as SentForm
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed
from app.web.pages.versions import DESK_PATH
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/dispatch"

_ASKED = Annotated[str, Query(max_length=2048)]
# Of the goods themselves a reason is understood beside their code; any other field must be named.
_LABELS: Final = {
    "carrier": "goods.field.carrier",
    "waybill": "goods.field.waybill",
    "order": "goods.field.order",
    "to": "goods.field.to",
}


@router.get(PATH)
def show_dispatch(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    code: _ASKED = "",
    carrier: _ASKED = "",
    done: _ASKED = "",
    tail: _ASKED = "",
    units: Annotated[int, Query(ge=0, le=10_000)] = 0,
    unsold: _ASKED = "",
) -> Response:
    """Shows the form with the carrier that was taken last."""
    signed.person.principal().check_may("event.send")
    known = rooms.dispatching.carriers(signed.person.principal())
    sent = prefilled(code=code, carrier=carrier or next(iter(known), ""))
    said = ""
    if done:
        key = "goods.dispatch.unsold" if unsold else "goods.dispatch.done"
        told: dict[str, Any] = {"code": done[:200], "tail": tail[:4]}
        told |= {"count": units} if units else {}
        said = text(lang_of(request, lang), f"{key}_case" if units else key, **told)
    return _page(request, rooms, signed, lang, sent, known=known, said=said)


@router.post(PATH)
def dispatch(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Dispatches one parcel; a script is answered with what it should say."""
    asked = form.text("lang") or None
    lang = lang_of(request, asked)
    for_script = asked_by_script(request)
    try:
        sent = _send(rooms, signed, form)
    except Fault as fault:
        again = _at_field(refused(request, form, fault), lang)
        if for_script:
            return JSONResponse(
                {"ok": False, "message": _reason(again, lang)}, status_code=status_of(fault)
            )
        known = rooms.dispatching.carriers(signed.person.principal())
        return _page(request, rooms, signed, asked, again, known=known, status=status_of(fault))
    if for_script:
        return JSONResponse({"ok": True, **_told(sent, lang)})
    told = {"carrier": form.text("carrier"), "done": sent.stream, "tail": sent.tail}
    told |= {"units": str(sent.units)} if sent.case else {}
    told |= {"unsold": "yes"} if sent.unsold else {}
    told |= {"lang": asked} if asked else {}
    return Response(status_code=303, headers={"Location": f"{PATH}?{urlencode(told)}"})


def _send(rooms: Rooms, signed: SignedIn, form: Form) -> Sent:
    return rooms.dispatching.send(
        signed.person.principal(),
        Parcel(
            # By camera, by scanner or by hand, in one field: letters as they stand come first.
            code=as_typed(rooms, form.text("code")),
            carrier=form.text("carrier"),
            waybill=form.plain("waybill"),
            id=form.uuid("sending"),
            order=form.text("order"),
            to=form.plain("to"),
        ),
    )


def _told(sent: Sent, lang: Lang) -> dict[str, str]:
    key = "goods.dispatch.unsold" if sent.unsold else "goods.dispatch.done"
    if sent.case:
        message = text(lang, f"{key}_case", count=sent.units, tail=sent.tail)
        return {"message": message, "code": sent.case, "page": f"/desk/cases/{sent.case}"}
    message = text(lang, key, code=sent.product, tail=sent.tail)
    return {"message": message, "code": sent.stream, "page": page_path(sent.stream)}


def _reason(sent: SentForm, lang: Lang) -> str:
    """Returns why a parcel was refused, for a list that shows its goods and none of its fields."""
    said = [
        text(lang, "goods.dispatch.at", field=text(lang, _LABELS[name]), said=why)
        if name in _LABELS
        else why
        for name, why in sent.errors.items()
    ]
    return " ".join(said) or sent.message


def _at_field(sent: SentForm, lang: Lang) -> SentForm:
    """Returns the form with the reason at the label, where it is about the goods and not about a field."""
    if sent.errors:
        return sent
    return replace(sent, errors={"code": sent.message}, message=text(lang, "form.refused"))


def _page(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: SentForm,
    *,
    known: Sequence[str],
    said: str = "",
    status: int = 200,
) -> Response:
    views = rooms.parties.get_some(known)
    names: dict[str, Any] = {one: view.name for one, view in views.items()}
    answer = answer_signed(
        "dispatch.html",
        frame_of(request, lang, PATH, keeps=("code",)),
        signed,
        at="shipments",
        status=status,
        told="",
        sent=sent,
        said=said,
        carriers=[(one, names.get(one, "")) for one in known],
        carrier_name=names.get(sent.value("carrier"), ""),
        # The same after a refusal: what was recorded although nobody heard so counts once.
        # Where no sale waits for its dispatch, the sale is told here or nowhere.
        asks_order=not rooms.parcels.count(signed.person.principal(), "sold"),
        sending=sent.value("sending") or str(uuid_utils.uuid7()),
        scripts=DESK_PATH,
        modules=CAMERA_PATH,
        decoder=decoder_path(),
    )
    answer.headers.update(CAMERA_HEADERS)
    return answer
