"""/desk/entry: one event on one code by form: what a program sends to POST /api/v1/events.

A type is chosen first, so that without script too only its own fields stand there. The id of the try is
in the form: sent twice, it is recorded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.errors import Fault, FieldFault, Invalid, invalid, read_all
from app.parties.roles import EVENTS, OFFICIAL_ROLES
from app.parties.sessions import Person, SignedIn
from app.trace.events import SIGNATURE_KINDS
from app.trace.identifiers import parse_code
from app.trace.requests import EventRequest, SealedInput
from app.trace.waybills import read_waybill
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.form import Form, Sent, form_reader, prefilled, refused
from app.web.pages.signed.numbers import moment
from app.web.pages.signed.sayings import file_digest
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, does
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/entry"

_ASKED = Annotated[str, Query(max_length=2048)]
_InFile = Annotated[Form, Depends(form_reader(max_files=1))]
Kind = Literal["line", "region", "words", "flag", "pick", "file"]
"""A `file` is recorded by its SHA-256 alone."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a type's form. sealed: the section that it is sealed in, "" for open data."""

    name: str
    kind: Kind = "line"
    required: bool = False
    sealed: str = ""
    choices: tuple[str, ...] = ()


_PLACE: Final = Field("platform")
FIELDS: Final[Mapping[str, tuple[Field, ...]]] = {
    "listing": (_PLACE, Field("url"), Field("title"), Field("ended", "flag")),
    "sale": (_PLACE, Field("region", "region"), Field("order", sealed="order")),
    "dispatch": (
        Field("carrier", required=True),
        Field("waybill", required=True, sealed="waybill"),
        Field("from", "region"),
        Field("to", "region"),
    ),
    "transit": (Field("region", "region"), Field("status")),
    "signature": (Field("kind", "pick", choices=SIGNATURE_KINDS),),
    "refusal": (Field("reason", required=True),),
    "return": (Field("reason", required=True),),
    "transfer": (Field("to", required=True),),
    "acceptance": (Field("from", required=True),),
    "notice": (Field("text", "words", required=True),),
    "inspection": (
        Field("result", required=True),
        Field("body"),
        Field("report_digest", "file"),
    ),
    "void": (Field("reason", required=True),),
}
"""What is told by hand, and the fields of each. What binds many goods (recall, measure) is not here."""


def types_of(person: Person) -> tuple[str, ...]:
    """Returns the types that a person may record by its party's roles."""
    roles = person.principal().roles
    return tuple(
        name
        for name in FIELDS
        if any(one.role in roles and not one.by_mandate for one in EVENTS[name])
    )


@router.get(PATH)
def show_entry(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    type: _ASKED = "",
    code: _ASKED = "",
    consignment: _ASKED = "",
    done: _ASKED = "",
) -> Response:
    """Shows the types, or the form of one."""
    told = {"code": code, "consignment": consignment}
    if type == "dispatch":
        told["carrier"] = next(iter(rooms.dispatching.carriers(signed.person.principal())), "")
    return _entry(request, signed, lang, type, prefilled(**told), done=done)


@router.post(PATH)
def record_entry(request: Request, rooms: InRooms, signed: InSigned, form: _InFile) -> Response:
    """Records an event; the next page says so and asks for the next code."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    principal.check_may("event.send")
    type_ = form.text("type")
    try:
        event = _event(form, type_)
        answer = rooms.recording.record_one(principal, event)
    except Fault as fault:
        sent = _at_field(refused(request, form, fault), fault)
        return _entry(request, signed, lang, type_, sent, status=status_of(fault))
    on = {"lang": lang} if lang else {}
    query = urlencode({"type": type_, "done": answer.stream, **on})
    return Response(status_code=303, headers={"Location": f"{PATH}?{query}"})


def _event(form: Form, type_: str) -> EventRequest:
    """Returns the event of a form. Raises Invalid."""
    if type_ not in FIELDS:
        raise invalid(FieldFault(("type",), "unknown_type", {"got": type_[:64]}))
    (data, sealed), at, _ = read_all(
        lambda: _said(form, type_), lambda: moment(form, "occurred_at"), lambda: _check_code(form)
    )
    if consignment := form.text("consignment"):
        data["consignment"] = consignment
    return EventRequest(
        code=form.text("code"),
        type=type_,
        data=data,
        id=form.uuid("entry"),
        occurred_at=at,
        sealed=sealed,
    )


def _check_code(form: Form) -> None:
    if not form.text("code"):
        raise invalid(FieldFault(("code",), "missing", {"name": "code"}))
    parse_code(form.text("code"))


def _said(form: Form, type_: str) -> tuple[dict[str, Any], dict[str, SealedInput]]:
    """Returns what is told in the clear, and what is sealed. Raises Invalid for all that is wrong."""
    faults: list[FieldFault] = []
    data: dict[str, Any] = {}
    sealed: dict[str, SealedInput] = {}
    for field in FIELDS[type_]:
        told = file_digest(form, field.name) if field.kind == "file" else form.text(field.name)
        if not told:
            if field.required:
                faults.append(FieldFault((field.name,), "missing", {"name": field.name}))
        elif field.kind == "flag":
            data[field.name] = True
        elif field.sealed == "waybill":
            try:
                sealed["waybill"] = SealedInput({"number": read_waybill(form.plain(field.name))})
            except Invalid as wrong:
                faults += wrong.errors
        elif field.sealed:
            sealed[field.sealed] = SealedInput({"number": told[:64]})
        else:
            data[field.name] = told
    if faults:
        raise invalid(*faults)
    return data, sealed


def _at_field(sent: Sent, fault: Fault) -> Sent:
    """Returns the form with the reason at the code, where it is that no such goods are registered."""
    if fault.slug != "code-unknown":
        return sent
    return replace(sent, errors={**sent.errors, "code": sent.message})


def _entry(
    request: Request,
    signed: SignedIn,
    lang: str | None,
    type_: str,
    sent: Sent,
    *,
    done: str = "",
    status: int = 200,
) -> Response:
    principal = signed.person.principal()
    principal.check_may("event.send")
    known, may_register = _known(done), does("product.register")(signed.person)
    frame = frame_of(request, lang, PATH, keeps=("type", "code", "consignment"))
    types = types_of(signed.person)
    chosen = type_ if type_ in types else ""
    official = bool(signed.person.roles & OFFICIAL_ROLES)
    return answer_signed(
        "entry.html",
        frame,
        signed,
        at="search" if official else "shipments",
        official=official,
        status=status,
        told="",
        types=types,
        type=chosen,
        fields=FIELDS.get(chosen, ()),
        labels={one.name: label_of(frame.lang, chosen, one) for one in FIELDS.get(chosen, ())},
        kinds=[(one, text(frame.lang, f"goods.kind.{one}")) for one in SIGNATURE_KINDS],
        sent=sent,
        done=known,
        product=parse_code(known).gtin if known and chosen == "listing" and may_register else "",
        may_issue="codes" in principal.scopes,
        page_of=page_path,
    )


def label_of(lang: Lang, type_: str, field: Field) -> str:
    """Returns a field's name: `from` of a dispatch is a place, of an acceptance a party."""
    if type_ in ("transfer", "acceptance"):
        return text(lang, f"goods.field.party.{field.name}")
    return text(lang, f"goods.field.{field.name}")


def _known(done: str) -> str:
    try:
        return parse_code(done).stream if done else ""
    except Fault:
        return ""
