"""/desk/records: a party's own records of goods, and the form that sets one right.

Nothing is edited: what differs from the values that stand becomes the `changes` of a correction, beside
which the wrong record stays. What is sealed is not shown; a new waybill or order number is given anew.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import Lang, text
from app.kit.errors import Fault, FieldFault, Invalid, invalid
from app.parties.sessions import SignedIn
from app.trace.code import Code
from app.trace.correcting import OwnRecord
from app.trace.identifiers import parse_code
from app.trace.requests import EventRequest, SealedInput
from app.trace.waybills import read_waybill
from app.web.body import StrictRoute
from app.web.deps import InRooms, Rooms
from app.web.links import page_path
from app.web.pages.answers import AskedLang, frame_of
from app.web.pages.signed.entry import FIELDS, Field, label_of
from app.web.pages.signed.form import Form, InForm, Sent, prefilled, refused
from app.web.pages.signed.session import InSigned
from app.web.pages.signed.shell import answer_signed, go_on, told_of
from app.web.problems import status_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

PATH: Final = "/desk/records"
CORRECT: Final = f"{PATH}/correct"

_ASKED = Annotated[str, Query(max_length=2048)]
_SHOWN: Final = 100
_WAS: Final = "was_"
_PARTIES: Final = ("carrier", "platform", "to", "from")
"""Fields that may name a party: the last two of a transfer and its acceptance; elsewhere they are places."""
_LEVELS: Final = ("1", "2", "3")
_OF_RECALL: Final = (
    Field("reason", required=True),
    Field("level", "pick", choices=_LEVELS),
    Field("basis"),
)


@router.get(PATH)
def show_records(
    request: Request, rooms: InRooms, signed: InSigned, lang: AskedLang = None, code: _ASKED = ""
) -> Response:
    """Shows what the party recorded of a code, each with the way to correct it."""
    principal = signed.person.principal()
    principal.check_may("event.send")
    sent = prefilled(code=code)
    status, found, stream = 200, [], ""
    if code:
        try:
            stream = parse_code(code).stream
            found = rooms.correcting.records(principal, parse_code(code))
        except Fault as fault:
            form = Form((("code", code), ("lang", lang or "")))
            sent, status = refused(request, form, fault), status_of(fault)
    return answer_signed(
        "records.html",
        frame_of(request, lang, PATH, keeps=("code",)),
        signed,
        at="shipments",
        status=status,
        told=told_of(request),
        sent=sent,
        stream=stream,
        page=page_path(stream) if stream else "",
        records=found[:_SHOWN],
        correct=_path,
        names=_names(rooms, found[:_SHOWN]),
    )


@router.get(CORRECT)
def show_correction(
    request: Request,
    rooms: InRooms,
    signed: InSigned,
    lang: AskedLang = None,
    code: _ASKED = "",
    of: _ASKED = "",
) -> Response:
    """Shows the form, filled in with what stands."""
    own = rooms.correcting.record(signed.person.principal(), parse_code(code), of)
    stands = {one.name: str(own.now.get(one.name, "")) for one in _fields(own) if not one.sealed}
    was = {_WAS + name: value for name, value in stands.items()}
    return _form(request, rooms, signed, lang, own, prefilled(**stands, **was))


@router.post(CORRECT)
def correct(request: Request, rooms: InRooms, signed: InSigned, form: InForm) -> Response:
    """Records the correction; sent twice it is recorded once."""
    principal, lang = signed.person.principal(), form.text("lang") or None
    code = parse_code(form.text("code"))
    own = rooms.correcting.record(principal, code, form.text("of"))
    try:
        rooms.recording.record_one(principal, _event(form, code, own))
    except Fault as fault:
        sent = refused(request, form, fault)
        return _form(request, rooms, signed, lang, own, sent, status=status_of(fault))
    path = f"{PATH}?{urlencode({'code': code.stream})}"
    return go_on(frame_of(request, lang, PATH), path, told="corrected")


def _event(form: Form, code: Code, own: OwnRecord) -> EventRequest:
    """Returns the correction. Raises Invalid where nothing differs, or where a value is taken away.

    What differs from the form as it was drawn: sent twice, it says the same twice.
    """
    changes: dict[str, Any] = {}
    sealed: dict[str, SealedInput] = {}
    faults: list[FieldFault] = []
    for field in _fields(own):
        given, stands = form.text(field.name), form.text(_WAS + field.name)
        if field.sealed:
            if given and field.sealed == "waybill":
                try:
                    sealed["waybill"] = SealedInput(
                        {"number": read_waybill(form.plain(field.name))}
                    )
                except Invalid as wrong:
                    faults += wrong.errors
            elif given:
                sealed[field.sealed] = SealedInput({"number": given[:64]})
        elif stands and not given:
            faults.append(FieldFault((field.name,), "missing", sentence="correction_empty"))
        elif given != stands:
            changes[field.name] = (
                int(given) if field.name == "level" and given in _LEVELS else given
            )
    if not (changes or sealed or faults):
        faults.append(FieldFault((_fields(own)[0].name,), "missing", sentence="correction_same"))
    if faults:
        raise invalid(*faults)
    data: dict[str, Any] = {"of": own.id}
    if changes:
        data["changes"] = changes
    if "consignment" in own.data:
        data["consignment"] = own.data["consignment"]
    return EventRequest(
        code=code.stream, type="correction", data=data, id=form.uuid("entry"), sealed=sealed
    )


def _fields(own: OwnRecord) -> tuple[Field, ...]:
    """Returns what of a record can be set right. A flag cannot: listed or not is a listing of its own."""
    if own.type == "recall":
        return _OF_RECALL
    return tuple(one for one in FIELDS.get(own.type, ()) if one.kind != "flag")


def _form(
    request: Request,
    rooms: Rooms,
    signed: SignedIn,
    lang: str | None,
    own: OwnRecord,
    sent: Sent,
    *,
    status: int = 200,
) -> Response:
    frame = frame_of(request, lang, CORRECT, keeps=("code", "of"))
    fields = _fields(own)
    return answer_signed(
        "correct.html",
        frame,
        signed,
        at="shipments",
        status=status,
        told="",
        own=own,
        sent=sent,
        fields=fields,
        labels={one.name: label_of(frame.lang, own.type, one) for one in fields},
        picks={one.name: _choices(frame.lang, one, sent) for one in fields if one.kind == "pick"},
        names=_names(rooms, [own]),
        back=f"{PATH}?{urlencode({'code': own.stream})}",
        action=CORRECT,
    )


def _choices(lang: Lang, field: Field, sent: Sent) -> list[tuple[str, str]]:
    family = "recall.level" if field.name == "level" else "goods.kind"
    known = [(one, text(lang, f"{family}.{one}")) for one in field.choices]
    stands = sent.value(_WAS + field.name)
    # What was told in a word of its own, or not at all, stands until somebody chooses another.
    return known if stands in field.choices else [(stands, stands or "–"), *known]


def _path(own: OwnRecord) -> str:
    return f"{CORRECT}?{urlencode({'code': own.stream, 'of': own.id})}"


def _names(rooms: Rooms, records: list[OwnRecord]) -> dict[str, str]:
    said = {str(one.now.get(name, "")) for one in records for name in _PARTIES}
    return {party: view.name or party for party, view in rooms.parties.get_some(said).items()}
