"""/desk/cases: units scanned into a case, its label, and what befalls the case as a whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import urlencode

import uuid_utils
from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.errors import Fault, FieldFault, Invalid, invalid, read_all
from app.parties.identity import parse_region
from app.parties.principal import Principal
from app.parties.sessions import SignedIn
from app.trace.identifiers import parse_unit
from app.trace.packing import MAX_UNITS, CaseEvent, CaseUnknown, CaseView
from app.trace.requests import SealedInput
from app.trace.sscc import parse_sscc
from app.trace.typed import plainly
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, asked_by_script, frame_of, lang_of
from app.web.pages.camera import CAMERA_HEADERS, CAMERA_PATH, decoder_path
from app.web.pages.signed.form import BLANK, Form, InForm, Sent, refused
from app.web.pages.signed.numbers import whole
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed
from app.web.pages.versions import DESK_PATH
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/cases"

# What was done, as the address says, and how the page says it.
_SAID: Final = {
    "added": "goods.case.added",
    "taken": "goods.case.taken",
    "emptied": "goods.case.taken.all",
    "sold": "goods.case.sold",
}

_ASKED = Annotated[str, Query(max_length=2048)]
_PAGE: Final = 50
_MOST_SEEN: Final = 99_999
_MAX_ORDER: Final = 64


@router.get(PATH)
def show_cases(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    case: _ASKED = "",
    after: _ASKED = "",
) -> Response:
    """Shows the cases with something in them; leads to the one that was scanned."""
    if case:
        try:
            return _led(parse_sscc(plainly(case)), lang)
        except Fault as fault:
            sent = refused(request, Form((("case", case),)), fault)
            return _cases(request, rooms, signed, lang, sent, status=status_of(fault))
    return _cases(request, rooms, signed, lang, BLANK, after=after)


@router.post(PATH)
def make_case(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Makes a number and leads to its case, which is empty."""
    lang = form.text("lang") or None
    try:
        sscc = rooms.packing.new_number(signed.person.principal(), form.text("company_prefix"))
    except Fault as fault:
        sent = refused(request, form, fault)
        return _cases(request, rooms, signed, lang, sent, status=status_of(fault))
    return _led(sscc, lang)


@router.get(f"{PATH}/{{sscc}}")
def show_case(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    sscc: str,
    lang: AskedLang = None,
    done: _ASKED = "",
    how: _ASKED = "",
) -> Response:
    """Shows what is in a case."""
    said = ""
    if how in _SAID:
        said = text(lang_of(request, lang), _SAID[how], code=done[:200], count=done[:200])
    return _case(request, rooms, signed, lang, parse_sscc(sscc), BLANK, said=said)


@router.post(f"{PATH}/{{sscc}}")
def change_case(
    request: Request, rooms: InRooms, signed: InSigned, form: InForm, sscc: str
) -> Response:
    """Puts a unit in, takes one or all out, records the sale of all; `do` says which."""
    case, asked = parse_sscc(sscc), form.text("lang") or None
    lang = lang_of(request, asked)
    for_script = asked_by_script(request)
    do = form.text("do") or "add"
    try:
        done = _change(rooms, signed.person.principal(), form, case, do)
    except Fault as fault:
        sent = _at_field(refused(request, form, fault), fault, do, lang)
        if fault.reason == "already_packed" and _is_inside(rooms, signed, case, form):
            sent = replace(sent, errors={"code": text(lang, "goods.case.here_already")})
        if for_script:
            return JSONResponse({"ok": False, "message": sent.reason}, status_code=status_of(fault))
        return _case(request, rooms, signed, asked, case, sent, status=status_of(fault))
    if for_script:
        return JSONResponse({"ok": True, **_told(done, lang)})
    how = {"add": "added", "sale": "sold", "take_all": "emptied"}.get(do, "taken")
    return _led(case, asked, done=done, how=how)


def _change(rooms: Rooms, principal: Principal, form: Form, case: str, do: str) -> str:
    """Returns what was put in or taken out. Raises the Fault that refuses it."""
    packing, tried = rooms.packing, form.uuid("sending")
    if do == "sale":
        order, region, count = read_all(
            lambda: _order(form),
            lambda: {"region": parse_region(told)} if (told := form.plain("region")) else {},
            lambda: whole(form, "count", 1, _MOST_SEEN, default=0) or None,
        )
        sealed = {"order": SealedInput({"number": order})}
        packing.move(principal, case, CaseEvent("sale", region, tried, sealed=sealed, count=count))
        return ""
    if do == "take_all":
        return str(len(packing.unpack(principal, case, id=tried)))
    if not form.text("code"):
        raise invalid(FieldFault(("code",), "missing", {"name": "code"}))
    act = packing.pack if do == "add" else packing.unpack
    return act(principal, case, [form.text("code")], id=tried)[0].stream


def _order(form: Form) -> str:
    """Returns an order's number. Raises Invalid: nothing of it is cut off."""
    told = form.text("order")
    if not told:
        raise invalid(FieldFault(("order",), "missing", {"name": "order"}))
    if len(told) > _MAX_ORDER:
        params = {"expected": f"≤ {_MAX_ORDER}", "got": len(told)}
        raise invalid(FieldFault(("order",), "length", params))
    return told


def _is_inside(rooms: Rooms, signed: SignedIn, case: str, form: Form) -> bool:
    """Whether the unit is in this very case already."""
    try:
        inside = rooms.packing.look(signed.person.principal(), case).units
    except CaseUnknown:
        return False
    return parse_unit(form.text("code")).stream in {unit.stream for unit in inside}


def _told(code: str, lang: Lang) -> dict[str, str]:
    return {"message": text(lang, "goods.case.added.one"), "code": code, "page": page_path(code)}


def _at_field(sent: Sent, fault: Fault, do: str, lang: Lang) -> Sent:
    """Returns the form with the reason at the one field of `add`, which is sent on as a list of one."""
    if do != "add":
        return sent
    told = dict(sent.errors)
    at = told.pop("codes", "")
    told.setdefault("code", at if at and isinstance(fault, Invalid) else sent.message)
    return replace(sent, errors=told, message=text(lang, "form.refused"))


def _led(sscc: str, lang: str | None, **told: str) -> Response:
    query = urlencode({**told, **({"lang": lang} if lang else {})})
    path = f"{PATH}/{sscc}" + (f"?{query}" if query else "")
    return Response(status_code=303, headers={"Location": path})


def _cases(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sent: Sent,
    *,
    after: str = "",
    status: int = 200,
) -> Response:
    found = rooms.packing.cases(signed.person.principal(), after=after or None, limit=_PAGE + 1)
    return answer_signed(
        "cases.html",
        frame_of(request, lang, PATH, keeps=("after",)),
        signed,
        at="shipments",
        status=status,
        told="",
        sent=sent,
        cases=found[:_PAGE],
        next_after=found[_PAGE - 1].sscc if len(found) > _PAGE else "",
    )


def _case(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    sscc: str,
    sent: Sent,
    *,
    said: str = "",
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    try:
        case = rooms.packing.look(principal, sscc)
    except CaseUnknown:
        case = CaseView(sscc, ())
    answer = answer_signed(
        "case.html",
        frame_of(request, lang, f"{PATH}/{sscc}"),
        signed,
        at="shipments",
        status=status,
        told="",
        sent=sent,
        said=said,
        case=case,
        all_sold=all(unit.state == "sold" for unit in case.units),
        is_open=all(unit.state in ("registered", "returned", "sold") for unit in case.units),
        most=MAX_UNITS,
        page_of=page_path,
        sending=sent.value("sending") or str(uuid_utils.uuid7()),
        scripts=DESK_PATH,
        modules=CAMERA_PATH,
        decoder=decoder_path(),
    )
    answer.headers.update(CAMERA_HEADERS)
    return answer
